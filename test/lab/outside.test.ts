import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { findProgram } from '../../src/providers/shared/command.js';
import { missing } from './local-labs.js';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';
import { outsideScenario } from './outside-attempts.js';
import { inOwnNetwork } from './own-network.js';

const lacks = missing ?? (findProgram('slirp4netns') === null ? 'slirp4netns (package slirp4netns)' : null);

const opened = `
  - step: Names and pages of the outside, package sources of the machine
    on: [a, b]
    run: |
      curl -sf http://192.0.2.1:8080/direct
      curl -sf http://anything.example:8080/by-name
      grep -qx 'deb http://mirror.example:8080/debian/ bookworm main' /etc/apt/sources.list
      curl -sf http://mirror.example:8080/source
  - step: A container has it, too
    on: a
    run: docker run --rm busybox wget -q -O - http://192.0.2.1:8080/container
  - step: The machine’s loopback is out of reach, whatever root of the host does
    on: a
    run: |
      for port in 8081 8082; do
        for address in 198.18.255.2 198.18.255.3 127.0.0.1 127.0.0.2 0.0.0.0; do
          ! timeout 1 curl -s "http://$address:$port/inside" || exit 1
        done
      done
      echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
      ip address del 127.0.0.1/8 dev lo
      ip route flush table local type local 127.0.0.0/8 || true
      ip route add 127.0.0.0/8 via 198.18.255.2 dev uplink0
      ip route add 0.0.0.0/8 via 198.18.255.2 dev uplink0
      for port in 8081 8082; do
        for address in 127.0.0.1 127.0.0.2 0.0.0.1 198.18.254.2 198.18.254.3 198.18.254.100; do
          ! timeout 1 curl -s "http://$address:$port/routed" || exit 1
        done
      done
  - step: Routes of the lab win
    on: b
    run: |
      ip route get 203.0.113.9 | grep -q 'dev uplink0'
      ip route add default via 10.86.0.1
      ip route get 203.0.113.9 | grep -q 'dev eth0'
      ip route del default via 10.86.0.1
  - fault: { poweroff: b }
  - heal: all
  - step: A host that is started again has it again
    on: b
    run: curl -sf http://192.0.2.1:8080/again
  - step: A packet for somewhere
    on: b
    run: timeout 1 bash -c 'echo x >/dev/udp/203.0.113.9/9'
`;

const title = `The way to the outside${lacks === null ? '' : ` (needs ${lacks})`}`;

(lacks === null ? describe : describe.skip)(title, function () {
  this.timeout(180_000);

  it('is none unless a scenario says so: no packet leaves the machine, and nothing of it is reached', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': outsideScenario(null) });
    const run = await inOwnNetwork(dir);
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    expect(run.asked).to.equal('');
    expect(run.sent).to.equal(0);
    expect(readFileSync(join(dir, 'reports/latest/summary.md'), 'utf8')).not.to.contain('outside in');
    remove();
  });

  it('reaches the outside and nothing on the machine’s loopback; reports say who had it', async () => {
    const { dir, remove } = workDirectory({ 'lab.yaml': outsideScenario(opened) });
    const run = await inOwnNetwork(dir);
    expect(
      latestOutcomes(dir).map(({ verdict }) => verdict),
      run.stdout + run.stderr,
    ).to.deep.equal(Array.from({ length: 10 }, () => 'pass'));
    expect(run.asked).not.to.contain('loopback');
    for (const path of ['/direct', '/by-name', '/source', '/container', '/again'])
      expect(run.asked, path).to.contain(`outside ${path}\n`);
    // The control of the count above: a packet that leaves is seen.
    expect(run.sent).to.be.greaterThan(0);
    const summary = readFileSync(join(dir, 'reports/latest/summary.md'), 'utf8');
    expect(summary).to.contain('A way to the outside in outside: a, b.');
    const results = JSON.parse(readFileSync(join(dir, 'reports/latest/results.json'), 'utf8')) as {
      scenarios: { outside: string[] }[];
    };
    expect(results.scenarios[0]!.outside).to.deep.equal(['a', 'b']);
    remove();
  });

  it('ends with its lab, also where that is killed', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml':
        'scenario: killed\ntitle: t\nhosts: { a: { init: light, outside: true } }\nsteps:\n  - step: begun\n    run: sleep 60\n',
    });
    const env = { XDG_STATE_HOME: join(dir, 'state'), NETRIG_DEBIAN_MIRROR: 'http://127.0.0.1:1/debian/' };
    const run = netrig(['run', 'lab.yaml'], { cwd: dir, env });
    await run.saw(/Provisioned/);
    const labs = join(dir, 'state', 'netrig', 'labs');
    const [id] = readdirSync(labs).filter((name) => name.startsWith('killed-'));
    const ledger = readFileSync(join(labs, id!, 'ledger.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const uplinks = ledger
      .map((line) => JSON.parse(line) as { role?: string; pid: number })
      .filter((one) => one.role === 'uplink of a');
    expect(uplinks, ledger.join('\n')).to.have.length(2);
    for (const { pid } of uplinks) expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).to.equal('slirp4netns\n');
    const holder = JSON.parse(readFileSync(join(labs, id!, 'lab.json'), 'utf8')) as { holder: { pid: number } };
    process.kill(holder.holder.pid, 'SIGKILL');
    await run.ended;
    const gone = (): boolean => uplinks.every(({ pid }) => spawnSync('kill', ['-0', String(pid)]).status !== 0);
    for (let tries = 0; tries < 100 && !gone(); tries += 1) await pause(50);
    expect(gone(), 'slirp4netns outlived the lab').to.equal(true);
    await netrig(['gc'], { cwd: dir, env }).ended;
    remove();
  });

  it('is refused by name where the program is missing', async () => {
    const { dir, remove } = workDirectory({
      'lab.yaml': 'scenario: l\ntitle: t\nhosts: { a: { init: light, outside: true } }\nsteps: [ { run: "true" } ]\n',
    });
    mkdirSync(join(dir, 'bin'));
    for (const program of [
      'unshare',
      'nsenter',
      'setpriv',
      'perl',
      'ip',
      'cp',
      'du',
      'sh',
      'mount',
      'apt-config',
      'apt-get',
    ])
      spawnSync('ln', ['-s', findProgram(program) ?? '', join(dir, 'bin', program)]);
    const without = await netrig(['run', 'lab.yaml'], { cwd: dir, env: { PATH: join(dir, 'bin') } }).ended;
    expect(without.stdout + without.stderr).to.match(
      /a has `outside: true`, and `slirp4netns` is not installed.*apt-get install slirp4netns.*\(NETRIG_TOOL_MISSING\)/s,
    );
    remove();
  });
});
