import { expect } from 'chai';
import type { Outcome } from '../../src/model/verdict.js';
import { latestEvents, latestOutcomes, leftovers, netrig, workDirectory } from './netrig-command.js';

const head = (name: string): string => `scenario: ${name}
title: What a fault does
hosts:
  a: { init: light }
  b: { init: light }
  c: { routes: [{ to: 10.99.0.0/24, via: 10.84.0.1 }] }
segments:
  lan: { subnet: 10.84.0.0/24, hosts: { a: 10.84.0.1, b: 10.84.0.2, c: 10.84.0.3 } }
`;

const wires = `steps:
  - fault: { cut: { segment: lan, hosts: b } }
  - check: b sees that its cable is out
    command: { on: b, run: cat /sys/class/net/eth0/carrier, expect: { stdout: "0" } }
  - check: a does not reach b
    ping: { from: a, to: b, expect: { fails: [timeout, host-unreachable] } }
  - heal: all
  - check: a reaches b again
    ping: { from: a, to: b }
    within: 5s
  - fault: { cut: { segment: lan, hosts: b, as: silence }, for: 2s }
  - check: b sees nothing of it
    command: { on: b, run: cat /sys/class/net/eth0/carrier, expect: { stdout: "1" } }
  - check: a reaches b once its time is over
    ping: { from: a, to: b }
    within: 20s
  - fault: { partition: { segment: lan, groups: [[a, b]] }, name: split }
  - fault: { loss: { segment: lan, hosts: b, percent: 100 }, name: lossy }
  - check: a does not reach c in the other part
    ping: { from: a, to: c, expect: { fails: [timeout, host-unreachable] } }
  - check: a does not reach b, whose frames are lost
    ping: { from: a, to: b, expect: { fails: [timeout, host-unreachable] } }
  - heal: lossy
  - check: a reaches b in its part
    ping: { from: a, to: b }
    within: 5s
  - heal: split
  - check: a reaches c when the parts are one again
    ping: { from: a, to: c }
    within: 5s
`;

const power = `steps:
  - step: Something on disk, something in memory
    on: [a, c]
    run: |
      echo kept >/root/kept
      ip netns add blue
      ip address add 10.84.0.77/24 dev eth0
  - fault: { poweroff: c }
  - fault: { poweroff: a }
  - check: b does not reach c
    ping: { from: b, to: c, expect: { fails: [timeout, host-unreachable] } }
  - heal: all
  - check: b reaches c again
    ping: { from: b, to: c }
    within: 5s
  - step: What was on disk is there, what was in memory is not
    on: [a, c]
    run: |
      test "$(cat /root/kept)" = kept
      ! ip address show dev eth0 | grep 10.84.0.77
      ! grep blue /proc/mounts
  - check: its routes are there
    route: { on: c, to: 10.99.0.0/24, expect: { via: 10.84.0.1 } }
  - step: It is a whole system again
    on: c
    run: systemctl is-system-running --wait && docker version >/dev/null
  - check: a that is off is no error
    ping: { from: a, to: b }
`;

const processes = `steps:
  - step: A heart that beats
    on: [b, c]
    start: while :; do date +%s%N >>/root/beats; sleep 0.1; done
  - fault: { pause: b, name: still }
  - fault: { pause: c }
  - check: the kernel of b goes on
    ping: { from: a, to: b }
  - step: Two seconds pass
    on: a
    run: sleep 2
  - heal: still
  - heal: all
  - step: b and c stood still meanwhile, and go on
    on: [b, c]
    run: |
      sleep 0.5
      awk 'NR > 1 && $1 - last > 1500000000 { still = NR } { last = $1 } END { exit !(still && NR > still + 1) }' /root/beats
  - step: Something to kill
    on: [b, c]
    start: exec sleep 4711
  - fault: { kill: { host: b, process: sleep } }
  - fault: { kill: { host: c, process: sleep } }
  - check: it is no more on b
    process: { on: b, command-line: sleep 4711, expect: { absent: true } }
  - check: it is no more on c
    process: { on: c, command-line: sleep 4711, expect: { absent: true } }
  - step: Something on disk
    on: [b, c]
    run: echo kept >/root/kept; ip address add 10.84.0.77/24 dev eth0
  - fault: { pause: b }
  - fault: { restart: b }
  - fault: { restart: c }
  - step: They are restarted, not what they were
    on: [b, c]
    run: test "$(cat /root/kept)" = kept && ! ip address show dev eth0 | grep 10.84.0.77
  - check: a reaches b
    ping: { from: a, to: b }
    within: 5s
  - heal: all
  - step: b serves a megabyte
    on: b
    start: head -c 1000000 /dev/zero | busybox nc -l -p 7000
  - step: It listens
    on: b
    run: for i in $(seq 50); do ss -Hltn sport = 7000 | grep -q . && exit 0; sleep 0.1; done; exit 1
  - fault: { rate: { segment: lan, hosts: a, to: 2mbit } }
  - step: It takes its time to a
    on: a
    run: |
      begun=$(date +%s%N)
      exec 3<>/dev/tcp/10.84.0.2/7000
      test "$(wc -c <&3)" = 1000000
      test $(( $(date +%s%N) - begun )) -gt 3000000000
  - heal: all
`;

describe('Steps that break things', function () {
  this.timeout(180_000);

  for (const isolation of ['users', 'none']) {
    for (const [what, steps] of [
      ['wires', wires],
      ['power', power],
      ['processes', processes],
    ] as const)
      it(`${what}: broken from outside the hosts, then healed; isolation ${isolation}`, async () => {
        const name = `fault-${what}`;
        const { dir, remove } = workDirectory({ 'lab.yaml': head(name) + steps });
        const run = await netrig(['run', 'lab.yaml', '--isolation', isolation], { cwd: dir }).ended;
        expect(run.status, run.stdout + run.stderr).to.equal(0);
        expect(leftovers(name)).to.deep.equal([]);
        remove();
      });
  }

  for (const image of ['debian-11', 'debian-12', 'debian-13', 'debian-sid'])
    for (const isolation of ['users', 'none'])
      it(`a host of ${image} starts again with its disk, light or not; isolation ${isolation}`, async () => {
        const name = `fault-${image}`;
        const { dir, remove } = workDirectory({
          'lab.yaml': `scenario: ${name}
title: Power of hosts of one image
hosts: { a: { image: ${image}, init: light }, c: { image: ${image} } }
segments: { lan: { subnet: 10.84.0.0/24, hosts: [a, c] } }
steps:
  - step: Something on disk, and mounts
    on: [a, c]
    run: |
      echo kept >/root/kept
      ip netns add blue
      mount -t tmpfs tmpfs /srv
${'  - fault: { poweroff: a }\n  - fault: { poweroff: c }\n  - heal: all\n'.repeat(2)}  - step: What was on disk is there, what was mounted is not
    on: [a, c]
    run: |
      test "$(cat /root/kept)" = kept
      ! grep -e blue -e ' /srv ' /proc/mounts
  - check: a reaches c
    ping: { from: a, to: c }
    within: 10s
`,
        });
        const run = await netrig(['run', 'lab.yaml', '--isolation', isolation], { cwd: dir }).ended;
        expect(run.status, run.stdout + run.stderr).to.equal(0);
        expect(leftovers(name)).to.deep.equal([]);
        remove();
      });

  it('a check from or to a host that is off fails, and says so; the steps of `finally` find it up', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `${head('fault-off')}steps:
  - fault: { poweroff: a }
  - check: from a
    ping: { from: a, to: b }
  - check: to a
    ping: { from: b, to: a }
  - check: what a has
    route: { on: a, to: 10.84.0.0/24 }
finally:
  - on: a
    run: "true"
`,
    });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(1);
    const outcomes = latestOutcomes(dir);
    expect(outcomes.map(({ verdict, cause }) => cause ?? verdict)).to.deep.equal([
      'pass',
      'absent',
      outcomes[2]!.cause,
      'absent',
      'pass',
    ]);
    expect(['timeout', 'host-unreachable']).to.include(outcomes[2]!.cause);
    expect(outcomes[1]!.reason).to.equal('a is powered off.');
    expect(outcomes[2]!.reason).to.contain('a step broke the way on purpose: a is powered off');
    expect(leftovers('fault-off')).to.deep.equal([]);
    remove();
  });

  it('a host that is paused is absent, a process that is not there cannot be killed, and what is missing is skipped', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `${head('fault-paused')}steps:
  - fault: { pause: a }
  - check: from a
    ping: { from: a, to: b }
  - check: what a has
    route: { on: a, to: 10.84.0.0/24 }
  - check: to a
    ping: { from: b, to: a }
  - heal: all
  - check: from a again
    ping: { from: a, to: b }
  - fault: { kill: { host: a, process: nobody } }
`,
      'clock.yaml': `${head('fault-clock')}steps:
  - fault: { clock: { host: a, ahead: 1h } }
`,
    });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).not.to.equal(0);
    const outcomes = latestOutcomes(dir);
    expect(outcomes.map(({ verdict, cause }) => cause ?? verdict)).to.deep.equal([
      'pass',
      'absent',
      'absent',
      'pass',
      'pass',
      'pass',
      'error',
    ]);
    expect(outcomes[1]!.reason).to.equal('a is paused.');
    expect(outcomes[6]!.reason).to.contain('No process on a has the command name nobody');
    const clock = await netrig(['run', 'clock.yaml'], { cwd: dir }).ended;
    expect(latestOutcomes(dir)[0], clock.stdout).to.include({
      verdict: 'skipped',
      reason: 'The fault cannot be had here: all hosts share the machine’s clock.',
    });
    expect(leftovers('fault-paused')).to.deep.equal([]);
    remove();
  });

  it('Ctrl-C while a host is off and links are cut leaves nothing', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `${head('fault-ctrl-c')}steps:
  - fault: { poweroff: c }
  - fault: { flap: { host: b, segment: lan, every: 200ms } }
  - fault: { partition: { segment: lan, groups: [[a]] } }
  - fault: { rate: { segment: lan, to: 1mbit } }
  - fault: { pause: b }
  - step: Long
    on: a
    run: sleep 60
`,
    });
    const run = netrig(['run', 'lab.yaml'], { cwd: dir });
    await run.saw(/b is paused/);
    run.child.kill('SIGINT');
    expect((await run.ended).status).to.equal(130);
    expect(latestEvents(dir).filter((event) => event['type'] === 'log' && event['level'] === 'error')).to.deep.equal(
      [],
    );
    expect(leftovers('fault-ctrl-c')).to.deep.equal([]);
    remove();
  });

  it('a check that fails over a wire that loses frames names the fault, and one that goes elsewhere does not', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `${head('fault-named')}steps:
  - fault: { loss: { segment: lan, hosts: b, percent: 60 }, name: lossy }
  - check: every one of twenty is answered
    ping: { from: a, to: b, count: 20, expect: { min-received: 20 } }
  - check: nobody has to do with it
    port: { from: a, to: c, port: 81 }
  - check: it goes on being answered
    availability: { from: a, to: b, lasts: 5s, loses-at-most: 50ms }
`,
    });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(1);
    const [, all, other, gap] = latestOutcomes(dir);
    const named = /a step broke something on purpose: lan loses 60 % of the frames from and to b/;
    for (const outcome of [all!, gap!]) {
      expect(outcome.verdict).to.equal('fail');
      expect(outcome.reason).to.match(named);
      expect(outcome.reason).not.to.match(/does not tell .* its MAC address|the way there and back is free/);
    }
    expect(other!.cause).to.equal('refused');
    expect(JSON.stringify(other)).not.to.contain('on purpose');
    remove();
  });

  it('availability: what a host breaks once it is up again is seen within `after`, and nothing later', async () => {
    const failback = (title: string, after: string): string => `
  - check: ${title}
    availability: { from: a, to: b, during: { poweroff: c, for: 1s }, after: ${after}, loses-at-most: 1s }
`;
    const { dir, remove } = workDirectory({
      'lab.yaml': `${head('fault-failback')}steps:
  - step: c takes the address of b for a moment, some seconds after it is up
    on: c
    run: |
      cat >/etc/systemd/system/late.service <<'.'
      [Service]
      ExecStart=/bin/sh -c 'sleep 6; ip address add 10.84.0.2/32 dev eth0; arping -q -c 2 -U -I eth0 10.84.0.2; ip address del 10.84.0.2/32 dev eth0'
      [Install]
      WantedBy=multi-user.target
      .
      systemctl enable late.service
${failback('nothing is seen of it', '500ms')}${failback('it is seen', '20s')}`,
    });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    const verdicts = latestOutcomes(dir).map(({ verdict }) => verdict);
    expect(verdicts, run.stdout + run.stderr).to.deep.equal(['pass', 'pass', 'fail']);
    remove();
  });

  it('availability: passes where the gap is allowed, fails where it is not, and cannot know where the source goes', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': `${head('fault-gap')}steps:
  - check: nothing breaks
    availability: { from: a, to: b, lasts: 1s, loses-at-most: 1s }
  - check: a short cut
    availability: { from: a, to: b, during: { cut: { segment: lan, hosts: b }, for: 1s }, loses-at-most: 20s }
  - check: a cut that is too long
    availability: { from: a, to: b, during: { cut: { segment: lan, hosts: b, as: silence }, for: 4s }, loses-at-most: 1s }
  - check: the source itself goes
    availability: { from: a, to: b, during: { poweroff: a, for: 1s }, loses-at-most: 1s }
  - check: it never answered
    availability: { from: a, to: 10.84.0.99, lasts: 1s, loses-at-most: 1s }
  - check: all is healed
    ping: { from: a, to: b }
    within: 10s
`,
    });
    const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(1);
    const outcomes = latestOutcomes(dir);
    expect(outcomes.map(({ verdict }) => verdict)).to.deep.equal([
      'pass',
      'pass',
      'fail',
      'inconclusive',
      'fail',
      'pass',
    ]);
    const measured = latestEvents(dir).flatMap((event) =>
      event['type'] === 'item:end' ? [(event['outcome'] as Outcome).measures ?? []] : [],
    );
    const gap = (at: number): number => measured[at]!.find(({ name }) => name === 'longest gap')!.value;
    expect(gap(1)).to.be.at.least(800);
    expect(gap(2)).to.be.at.least(3500);
    expect(outcomes[2]!.reason).to.match(/^b \(10\.84\.0\.2\) did not answer a for /);
    expect(outcomes[4]!.reason).to.contain('before anything was broken');
    remove();
  });
});
