import { expect } from 'chai';
import fc from 'fast-check';
import { pingCheck } from '../../src/checks/ping.js';
import { NetrigError } from '../../src/errors.js';
import { withFaults } from '../../src/diagnosis/broken-by-steps.js';
import { soTheWayIsFree } from '../../src/diagnosis/explain.js';
import { faultText, type Fault, type WireFault } from '../../src/model/fault.js';
import type { Diagnosis, Outcome } from '../../src/model/verdict.js';
import { keptApart } from '../../src/places/kept-apart.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';
import { planLab } from '../../src/plan/plan.js';
import { portName } from '../../src/providers/local/segments.js';
import { lossTable, noFaults, queueChanges, wireFaultLines, wireState } from '../../src/providers/local/wire-faults.js';
import { queueLines } from '../../src/providers/shared/queue-lines.js';
import { cardScript, clockScript, guestFaults, killScript } from '../../src/providers/vagrant/faults.js';
import { cableChanges } from '../../src/providers/vagrant/wire-faults.js';
import { broken } from '../../src/run/course.js';
import { faultKeeper } from '../../src/run/faults.js';
import { createScenarioRun } from '../../src/run/scenario-run.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { formatDiagnostics } from '../../src/scenario/diagnostic.js';
import { openSession } from '../../src/session/session.js';
import { faultStep } from '../../src/steps/fault.js';
import type { FaultOrder, StepContext } from '../../src/steps/kind.js';
import { fakeLab as fakeWorld } from '../fakes/lab.js';
import { fakeConnection } from '../fakes/connection.js';
import { fakeLab, fakeProvider } from '../fakes/provider.js';
import { pingText } from '../fakes/sayings.js';

const text = (steps: string): string => `scenario: ring
title: A ring of three, and somebody behind it
hosts: { r1: , r2: , r3: , far: }
segments:
  west: { subnet: 10.1.0.0/24, hosts: [r1, r2] }
  east: { subnet: 10.2.0.0/24, hosts: [r2, r3] }
  south: { subnet: 10.3.0.0/24, hosts: [r3, r1] }
  lan: { subnet: 10.4.0.0/24, hosts: [r1, r2, r3, far] }
steps:
${steps}`;

function load(steps: string) {
  return loadScenarioText(text(steps), '/labs/ring.yaml');
}

const plan: LabPlan = planLab(load('  - run: "true"\n    on: r1\n').scenarios[0]!);
const west: Fault = { kind: 'cut', segment: 'west', hosts: ['r1'], as: 'carrier' };

describe('Steps that break things: the language', () => {
  const problems = (steps: string): string => formatDiagnostics(load(steps).diagnostics);

  it('takes each kind of fault, without `on`, and says in one line what it does', () => {
    const loaded = load(`
  - fault: { cut: { segment: lan, hosts: [r1, r2] } }
  - fault: { cut: { segment: lan, as: silence }, for: 2s }
  - fault: { partition: { segment: lan, groups: [[r1, r2]] }, name: split }
  - fault: { down: { host: far, segment: lan } }
  - fault: { flap: { host: far, segment: lan, every: 1s }, for: 10s }
  - fault: { loss: { segment: west, percent: 20 } }
  - fault: { poweroff: r3 }
  - fault: { delay: { segment: lan, hosts: far, by: 50ms } }
  - fault: { jitter: { segment: lan, by: 20ms }, for: 3s }
  - fault: { corrupt: { segment: lan, hosts: [r1, far], percent: 0.5 } }
  - fault: { duplicate: { segment: lan, percent: 3 } }
  - fault: { rate: { segment: lan, hosts: far, to: 1.5mbit } }
  - fault: { kill: { host: r1, process: sshd } }
  - fault: { pause: r1, for: 2s }
  - fault: { restart: r2 }
  - fault: { clock: { host: r1, behind: 1h } }
  - heal: all
`);
    expect(formatDiagnostics(loaded.diagnostics)).to.equal('');
    expect(loaded.scenarios[0]!.items.map((item) => item.title)).to.deep.equal([
      'r1, r2 are cut off from lan (no carrier)',
      'all hosts are cut off from lan (silence), for 2.0 s',
      'lan is partitioned (r1, r2 | all others)',
      'far is cut off from lan (no carrier)',
      'the link of far to lan goes down and up every 1.0 s, for 10.0 s',
      'west loses 20 % of the frames from and to all hosts',
      'r3 is powered off',
      'frames of lan to far come 50 ms later',
      'frames of lan to all hosts come up to 20 ms later, for 3.0 s',
      '0.5 % of the frames of lan to r1, far are corrupted',
      '3 % of the frames of lan to all hosts come twice',
      'no more than 1.5 mbit/s of lan comes to far',
      'sshd on r1 is killed',
      'r1 is paused, for 2.0 s',
      'r2 is restarted',
      'the clock of r1 is 60 min 00 s behind',
      'heals all faults',
    ]);
  });

  for (const [what, step, message] of [
    ['a segment that is none', 'fault: { cut: { segment: wets } }', /no segment "wets" .*did you mean "west"/],
    ['a host that is none', 'fault: { poweroff: r4 }', /no host "r4" in this scenario/],
    [
      'a host that is not on the segment',
      'fault: { down: { host: far, segment: west } }',
      /far is not on the segment west/,
    ],
    [
      'a host in two groups',
      'fault: { partition: { segment: lan, groups: [[r1], [r1]] } }',
      /r1 is in a group already/,
    ],
    ['two faults in one step', 'fault: { poweroff: r1, down: { host: r1, segment: lan } }', /a fault is one of cut, /],
    ['no fault at all', 'fault: { for: 2s }', /a fault is one of cut, /],
    ['a rate without a unit', 'fault: { rate: { segment: lan, to: "1000" } }', /a rate from 8kbit to 10gbit/],
    ['a rate of next to nothing', 'fault: { rate: { segment: lan, to: 1kbit } }', /a rate from 8kbit to 10gbit/],
    [
      'a host beyond the segment for a delay',
      'fault: { delay: { segment: west, hosts: far, by: 1s } }',
      /far is not on/,
    ],
    ['a process name that none can have', 'fault: { kill: { host: r1, process: sixteen-letters- } }', /keeps 15/],
    ['a kill for a while', 'fault: { kill: { host: r1, process: x }, for: 2s }', /kill and restart are over at once/],
    ['a restart to be healed', 'fault: { restart: r1, name: again }', /kill and restart are over at once/],
    ['a clock both ahead and behind', 'fault: { clock: { host: r1, ahead: 1s, behind: 1s } }', /one of ahead, behind/],
    ['a paused host that is none', 'fault: { pause: r4 }', /no host "r4"/],
    ['a percentage beyond all', 'fault: { loss: { segment: lan, percent: 101 } }', /at most 100 %/],
    ['a host to run on', 'heal: all\n    on: r1', /about the lab as a whole: it has no `on`/],
    ['a name that no fault has', 'heal: core', /no fault before it is called "core"/],
  ] as const)
    it(`refuses ${what}`, () => expect(problems(`  - ${step}\n`)).to.match(message));
});

/** What `ip` makes of the lines of a batch, on the ports and bridges of a lab. */
class Wires {
  readonly ports = new Map<string, { up: boolean; master: string | null }>();
  readonly bridges = new Set<string>();
  readonly queues = new Map<string, string[]>();
  queue(lines: readonly string[]): void {
    for (const line of lines) {
      const gone = /^qdisc delete dev (\S+) root$/.exec(line);
      const added = /^qdisc add dev (\S+) (root|parent 1:1) handle ([12]): (netem|tbf) /.exec(line);
      if (gone) expect(this.queues.delete(gone[1]!), line).to.equal(true);
      else if (added?.[2] === 'root') {
        expect(this.queues.has(added[1]!), line).to.equal(false);
        this.queues.set(added[1]!, [line]);
      } else if (added) {
        expect(this.queues.get(added[1]!)?.[0], line).to.contain(' handle 1: netem ');
        this.queues.get(added[1]!)!.push(line);
      } else throw new Error(`no such line: ${line}`);
    }
  }
  run(lines: readonly string[]): void {
    for (const line of lines) {
      const added = /^link add name (\S+)/.exec(line);
      const gone = /^link delete dev (\S+)$/.exec(line);
      const set = /^link set dev (\S+) (?:nomaster|master (\S+)) (up|down)$/.exec(line);
      if (added) this.bridges.add(added[1]!);
      else if (gone) {
        expect(this.bridges.delete(gone[1]!), line).to.equal(true);
        for (const port of this.ports.values()) expect(port.master, `${line} with a port of it`).not.to.equal(gone[1]);
      } else if (set) this.ports.set(set[1]!, { up: set[3] === 'up', master: set[2] ?? null });
      else throw new Error(`no such line: ${line}`);
    }
  }
}

const segmentNames = plan.segments.map(({ name }) => name);
const hostsOf = (segment: string): string[] =>
  plan.hosts.filter((host: HostPlan) => host.interfaces.some((nic) => nic.segment === segment)).map(({ name }) => name);

const anyWireFault: fc.Arbitrary<WireFault> = fc.constantFrom(...segmentNames).chain((segment) => {
  const some = fc.subarray(hostsOf(segment), { minLength: 1 });
  return fc.oneof(
    fc.record({
      kind: fc.constant('cut' as const),
      segment: fc.constant(segment),
      hosts: some,
      as: fc.constantFrom('carrier' as const, 'silence' as const),
    }),
    fc.record({
      kind: fc.constant('partition' as const),
      segment: fc.constant(segment),
      groups: some.map((one) => [one]),
    }),
    fc.record({
      kind: fc.constant('loss' as const),
      segment: fc.constant(segment),
      hosts: some,
      percent: fc.integer({ min: 1, max: 100 }),
    }),
    fc.record({
      kind: fc.constantFrom('delay' as const, 'jitter' as const),
      segment: fc.constant(segment),
      hosts: some,
      byMs: fc.integer({ min: 1, max: 1000 }),
    }),
    fc.record({
      kind: fc.constantFrom('corrupt' as const, 'duplicate' as const),
      segment: fc.constant(segment),
      hosts: some,
      percent: fc.integer({ min: 1, max: 100 }),
    }),
    fc.record({
      kind: fc.constant('rate' as const),
      segment: fc.constant(segment),
      hosts: some,
      bitsPerSecond: fc.integer({ min: 8000, max: 1e9 }),
    }),
  );
});

describe('Faults on the wire', () => {
  it('come and go in any order, and none leaves anything behind', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyWireFault, { maxLength: 4 }), { maxLength: 6 }), (sets) => {
        const wires = new Wires();
        let state = noFaults;
        for (const faults of [...sets, []]) {
          const next = wireState(plan, faults);
          wires.run(wireFaultLines(plan, state, next, () => true));
          wires.queue(queueChanges(state, next, () => true));
          expect([...wires.queues].toSorted()).to.deep.equal(
            [...next.queues].map(([port, { lines }]) => [port, lines] as const).toSorted(),
          );
          expect(new Set(next.bridges.keys())).to.deep.equal(wires.bridges);
          for (const [name, port] of next.ports)
            expect(wires.ports.get(name)).to.include({ up: port.up, master: port.master });
          state = next;
        }
        expect(wires.queues.size).to.equal(0);
        for (const [name, port] of wires.ports) {
          const [host, nic] = name.split('.');
          const { segment } = plan.hosts.find((one) => one.name === host)!.interfaces.find((one) => one.name === nic)!;
          expect(port, name).to.deep.equal({ up: true, master: `seg-${segment}` });
        }
      }),
    );
  });

  it('of one segment add up: only hosts that are together in all partitions reach each other', () => {
    const state = wireState(plan, [
      { kind: 'partition', segment: 'lan', groups: [['r1', 'r2']] },
      { kind: 'partition', segment: 'lan', groups: [['r2', 'r3']] },
    ]);
    const masters = ['r1', 'r2', 'r3', 'far'].map((host) => {
      const nic = plan.hosts.find((one) => one.name === host)!.interfaces.find(({ segment }) => segment === 'lan')!;
      return state.ports.get(`${host}.${nic.name}`)?.master ?? 'seg-lan';
    });
    expect(new Set(masters).size).to.equal(4);
  });

  it('leave a host that is off alone', () => {
    const state = wireState(plan, [{ kind: 'cut', segment: 'west', hosts: ['r1', 'r2'], as: 'carrier' }]);
    expect(wireFaultLines(plan, noFaults, state, (host) => host !== 'r1')).to.deep.equal([
      'link set dev r2.eth0 master seg-west down',
    ]);
  });

  it('lose each frame once, also one between two hosts that both lose', () => {
    const state = wireState(plan, [{ kind: 'loss', segment: 'west', hosts: ['r1', 'r2'], percent: 12.5 }]);
    expect(state.rules).to.deep.equal([
      'iifname { "r1.eth0", "r2.eth0" } numgen random mod 10000 < 1250 drop',
      'iifname != { "r1.eth0", "r2.eth0" } oifname { "r1.eth0", "r2.eth0" } numgen random mod 10000 < 1250 drop',
    ]);
    expect(lossTable(state)).to.match(
      /^add table bridge netrig_faults\ndelete table bridge netrig_faults\ntable bridge/,
    );
    expect(lossTable(noFaults)).not.to.contain('chain');
  });
});

describe('Faults on the way to a host', () => {
  const to = { segment: 'lan', hosts: ['far'] };
  it('add up: delays by their sum, chances one after the other, the lowest rate', () => {
    const lines = queueLines('far.eth0', [
      { kind: 'delay', ...to, byMs: 50 },
      { kind: 'delay', ...to, byMs: 10 },
      { kind: 'jitter', ...to, byMs: 20 },
      { kind: 'corrupt', ...to, percent: 50 },
      { kind: 'corrupt', ...to, percent: 50 },
      { kind: 'duplicate', ...to, percent: 1 },
      { kind: 'rate', ...to, bitsPerSecond: 2_000_000 },
      { kind: 'rate', ...to, bitsPerSecond: 1_000_000 },
    ]);
    expect(lines).to.deep.equal([
      'qdisc add dev far.eth0 root handle 1: netem limit 10000 delay 70000us 10000us corrupt 75.0000% duplicate 1.0000%',
      'qdisc add dev far.eth0 parent 1:1 handle 2: tbf rate 1000000bit burst 5000 latency 200ms',
    ]);
  });

  it('take only what they need', () => {
    expect(queueLines('far.eth0', [{ kind: 'rate', ...to, bitsPerSecond: 1e9 }])).to.deep.equal([
      'qdisc add dev far.eth0 root handle 2: tbf rate 1000000000bit burst 1250000 latency 200ms',
    ]);
    expect(queueLines('far.eth0', [{ kind: 'delay', ...to, byMs: 1 }])).to.deep.equal([
      'qdisc add dev far.eth0 root handle 1: netem limit 10000 delay 1000us',
    ]);
    expect(queueLines('far.eth0', [{ kind: 'loss', ...to, percent: 5 }])).to.deep.equal([]);
  });

  it('are for the hosts that they name, and for no other port of theirs', () => {
    const state = wireState(plan, [{ kind: 'delay', segment: 'west', hosts: ['r1'], byMs: 5 }]);
    expect([...state.queues.keys()]).to.deep.equal(['r1.eth0']);
    expect(queueChanges(noFaults, state, () => false)).to.deep.equal([]);
    expect(queueChanges(state, state, () => true)).to.deep.equal([]);
  });
});

describe('Faults of virtual machines', () => {
  const far = plan.hosts.find(({ name }) => name === 'far')!;
  it('are set behind the cards of the hosts that they name, and each change begins with nothing', () => {
    const script = cardScript(far, [
      { kind: 'delay', segment: 'lan', hosts: ['far', 'r1'], byMs: 5 },
      { kind: 'delay', segment: 'lan', hosts: ['r1'], byMs: 900 },
      { kind: 'loss', segment: 'lan', hosts: ['far'], percent: 5 },
    ]);
    expect(script).to.contain('qdisc add dev netrig-in0 root handle 1: netem limit 10000 delay 5000us\n');
    expect(script).to.contain('tc filter add dev eth0 ingress matchall action mirred egress redirect dev netrig-in0');
    expect(script.indexOf('ip link delete dev netrig-in0')).to.be.lessThan(
      script.indexOf('ip link add name netrig-in0'),
    );
    const healed = cardScript(far, []);
    expect(healed).to.contain('ip link delete dev netrig-in0').and.not.to.contain('add');
  });

  it('take ends of cards off their bridges, put them on others, and take the carrier, and lead back to what was', () => {
    const cards = plan.hosts.flatMap((host, index) =>
      host.interfaces.map((nic, card) => ({
        port: portName(index, host.name, nic.name),
        machine: `m${index + 1}`,
        mac: `52:54:00:00:0${index}:0${card}`,
        end: `vnet${index}${card}`,
        bridge: `virbr-${nic.segment}`,
      })),
    );
    const endOf = (host: string): string => cards.find(({ port }) => port === `${host}.eth0`)!.end;
    const far: { segment: string; hosts: string[] } = { segment: 'lan', hosts: ['far'] };
    const silent = wireState(plan, [{ kind: 'cut', ...far, as: 'silence' }]);
    const pulled = wireState(plan, [{ kind: 'cut', ...far, as: 'carrier' }]);
    const parted = wireState(plan, [{ kind: 'partition', segment: 'lan', groups: [['far']] }]);
    expect(cableChanges(cards, noFaults, silent)).to.deep.equal({
      lines: [`link set dev ${endOf('far')} nomaster`],
      carriers: [],
    });
    expect(cableChanges(cards, silent, pulled).lines).to.deep.equal([`link set dev ${endOf('far')} master virbr-lan`]);
    expect(cableChanges(cards, silent, pulled).carriers.map(({ card, up }) => [card.end, up])).to.deep.equal([
      [endOf('far'), false],
    ]);
    expect(cableChanges(cards, pulled, noFaults).carriers.map(({ up }) => up)).to.deep.equal([true]);
    const [bridge] = [...parted.bridges.keys()];
    const { lines } = cableChanges(cards, noFaults, parted);
    expect(lines[0]).to.match(new RegExp(`^link add name ${bridge?.replace('+', '\\+')} .*type bridge`));
    const back = cableChanges(cards, parted, noFaults).lines;
    expect(back.at(-1)).to.equal(`link delete dev ${bridge}`);
    expect(back.slice(0, -1).every((line) => line.endsWith('master virbr-lan'))).to.equal(true);
    expect(cableChanges(cards, parted, parted).carriers).to.deep.equal([]);
  });

  it('kill by the command name as it is, whatever is in it', () => {
    expect(killScript('sleep')).to.contain('pkill -KILL -x -- sleep');
    expect(killScript('a.b+c')).to.contain("'a\\.b\\+c'");
    expect(killScript('a-name-of-more-than-15')).to.contain('a-name-of-more- ');
  });

  it('set a clock by so much, whatever it shows', () => {
    expect(clockScript(-90_000)).to.contain('now + -90.000').and.to.contain('date -u -s "@$(');
  });

  it('are those that a kernel of one’s own can do; others are said to be out of reach', async () => {
    const asked: string[] = [];
    const faults = guestFaults(plan, (host) => {
      asked.push(host);
      return Promise.reject(new Error('no such kernel'));
    });
    expect(await faults.lacks({ kind: 'poweroff', host: 'far' })).to.contain('does not do that (poweroff)');
    expect(await faults.lacks({ kind: 'clock', host: 'far', byMs: 1 })).to.equal(null);
    expect(await faults.lacks({ kind: 'kill', host: 'far', process: 'sleep' })).to.equal(null);
    expect(await faults.lacks({ kind: 'cut', segment: 'lan', hosts: ['far'], as: 'carrier' })).to.contain(
      'only with a libvirtd of its own',
    );
    expect(asked).to.deep.equal([]);
    const delay: Fault = { kind: 'delay', segment: 'lan', hosts: ['far'], byMs: 5 };
    expect(await faults.lacks(delay)).to.equal('the kernel of far cannot do it (tried: no such kernel)');
    const error = await faults.plant(delay).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(NetrigError).and.include({ code: 'NETRIG_FAULT' });
    expect(asked).to.deep.equal(['far', 'far', 'far']);
  });
});

describe('What faults keep apart', () => {
  for (const [what, faults, from, to, why] of [
    ['nothing, where nothing is broken', [], 'r1', 'r2', null],
    ['nothing, as long as another way is left', [west], 'r1', 'r2', null],
    [
      'a host without a link from all others',
      [{ kind: 'cut', segment: 'lan', hosts: ['far'], as: 'silence' }],
      'r1',
      'far',
      /far is cut off from lan/,
    ],
    [
      'a host that is off from all others',
      [west, { kind: 'poweroff', host: 'far' }],
      'r1',
      'far',
      /^far is powered off$/,
    ],
    [
      'the parts of a segment',
      [{ kind: 'partition', segment: 'lan', groups: [['far']] }],
      'far',
      'r3',
      /lan is partitioned/,
    ],
    [
      'nothing, where frames pass now and then',
      [{ kind: 'loss', segment: 'lan', hosts: ['far'], percent: 99 }],
      'r1',
      'far',
      null,
    ],
    ['nothing, where a host only stands still', [{ kind: 'pause', host: 'far' }], 'r1', 'far', null],
    [
      'nothing, where all frames come twice and late',
      [
        { kind: 'duplicate', segment: 'lan', hosts: ['far'], percent: 100 },
        { kind: 'delay', segment: 'lan', hosts: ['far'], byMs: 100 },
      ],
      'r1',
      'far',
      null,
    ],
    [
      'all, where none does',
      [{ kind: 'loss', segment: 'lan', hosts: ['far'], percent: 100 }],
      'r1',
      'far',
      /lan loses 100 %/,
    ],
  ] as [string, Fault[], string, string, RegExp | null][])
    it(what, () => {
      const found = keptApart(plan, faults, from, to);
      if (why === null) expect(found).to.equal(null);
      else expect(found?.join('; ')).to.match(why);
    });

  const hosts = { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } };
  const silent = {
    hosts,
    said: [
      { at: 'a', tool: 'ping', about: '10.0.0.2', says: pingText('10.0.0.2', { received: 0 }) },
      { at: 'a', tool: 'arping', says: '' },
    ],
  };
  const fails = { from: 'a', to: 'b', expect: { fails: 'timeout' } };
  const planted = (): Fault[] => [{ kind: 'poweroff', host: 'b' }];

  it('a probe that must fail and does not pass names the faults that are in, with what to write where the cause is another', async () => {
    const mute = { at: 'b', tool: 'ping', about: '10.0.0.2', says: pingText('10.0.0.2', { received: 0 }) };
    const outcomeOf = (cause: string, faults: Fault[]): Promise<Outcome> =>
      pingCheck.run(pingCheck.schema.parse({ ...fails, expect: { fails: cause } }), {
        ...fakeWorld({ ...silent, said: [mute, ...silent.said] }).context,
        planted: () => faults,
      });
    const off = await outcomeOf('host-unreachable', planted());
    expect(off).to.include({ verdict: 'fail', cause: 'timeout' });
    expect(off.reason).to.match(
      /that is timeout, not host-unreachable; a step broke the way on purpose: b is powered off/,
    );
    expect(off.diagnosis!.mend).to.contain('fails: [host-unreachable, timeout]');
    expect((await outcomeOf('refused', planted())).diagnosis!.mend).to.contain('heal:');
    const lossy = await outcomeOf('timeout', [{ kind: 'loss', segment: 'lan', hosts: ['b'], percent: 50 }]);
    expect(lossy.verdict).to.equal('inconclusive');
    expect(lossy.reason).to.match(
      /a step broke something on purpose: lan loses 50 % .* b, which leaves a way from a to b/,
    );
    for (const cause of ['timeout', 'host-unreachable'])
      expect((await outcomeOf(cause, [])).reason).not.to.contain('on purpose');
  });

  it('a probe that must fail passes for a fault that leaves no way, and for nothing less', async () => {
    const spec = pingCheck.schema.parse(fails);
    const controlsWith = async (faults: Fault[]): Promise<string[]> => {
      const outcome = await pingCheck.run(spec, { ...fakeWorld(silent).context, planted: () => faults });
      return outcome.controls!.map(({ title, seen }) => `${title}: ${seen}`);
    };
    expect(await controlsWith(planted())).to.deep.equal([
      'what keeps a from b (10.0.0.2) is known: a step broke it on purpose: b is powered off',
    ]);
    const some: Fault = { kind: 'loss', segment: 'lan', hosts: ['b'], percent: 50 };
    for (const control of await controlsWith([some])) expect(control).not.to.contain('on purpose');
  });

  it('one that must succeed fails, and says that a step broke the way', async () => {
    const spec = pingCheck.schema.parse({ from: 'a', to: 'b' });
    const outcome = await pingCheck.run(spec, { ...fakeWorld(silent).context, planted });
    expect(outcome).to.include({ verdict: 'fail', cause: 'timeout' });
    expect(outcome.diagnosis?.sentence).to.equal('a step broke the way on purpose: b is powered off');
  });

  it('of several faults those that leave no way together are named, a line each, and no other', async () => {
    const cut = (segment: string): Fault => ({ kind: 'cut', segment, hosts: ['r1'], as: 'silence' });
    const apart = keptApart(
      plan,
      [{ kind: 'loss', segment: 'lan', hosts: ['r2'], percent: 30 }, cut('lan'), west, cut('south')],
      'r1',
      'r2',
    );
    expect(apart).to.deep.equal([
      'r1 is cut off from lan (silence)',
      'r1 is cut off from west (no carrier)',
      'r1 is cut off from south (silence)',
    ]);
    const two = {
      ...silent,
      segments: { lan: '10.0.0.0/24', wan: '10.9.0.0/24' },
      hosts: { a: { on: { lan: '10.0.0.1', wan: '10.9.0.1' } }, b: { on: { lan: '10.0.0.2', wan: '10.9.0.2' } } },
    };
    const cuts: Fault[] = ['lan', 'wan'].map((segment) => ({ kind: 'cut', segment, hosts: ['b'], as: 'silence' }));
    const outcome = await pingCheck.run(pingCheck.schema.parse({ from: 'a', to: 'b' }), {
      ...fakeWorld(two).context,
      planted: () => cuts,
    });
    expect(outcome.diagnosis).to.deep.include({
      sentence: 'steps broke the way on purpose, by 2 faults',
      evidence: ['b is cut off from lan (silence).', 'b is cut off from wan (silence).'],
    });
  });

  it('a host that is off is a fact of the lab, not an error of SSH', async () => {
    const faults = { isOff: () => true, lacks: async () => null, plant: () => Promise.reject(new Error('none')) };
    const session = openSession(fakeLab(plan, { faults }));
    const error = await session.connection('r1').catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(NetrigError).and.include({ code: 'NETRIG_HOST_OFF' });
    expect(broken(error)).to.deep.equal({ verdict: 'fail', cause: 'absent', reason: 'r1 is powered off.' });
  });

  it('so is one that is paused', async () => {
    const faults = {
      isOff: () => false,
      isPaused: (host: string) => host === 'r1',
      lacks: async () => null,
      plant: () => Promise.reject(new Error('none')),
    };
    const error = await openSession(fakeLab(plan, { faults }))
      .connection('r1')
      .catch((thrown: unknown) => thrown);
    expect(broken(error)).to.deep.equal({ verdict: 'fail', cause: 'absent', reason: 'r1 is paused.' });
  });
});

/** Time that passes when a test says so. */
function manualClock() {
  let now = 0;
  const waiting = new Set<{ at: number; wake(): void }>();
  return {
    now: () => now,
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal.aborted) return resolve();
        const one = { at: now + ms, wake: resolve };
        waiting.add(one);
        signal.addEventListener('abort', () => {
          waiting.delete(one);
          resolve();
        });
      }),
    async pass(ms: number): Promise<void> {
      now += ms;
      for (const one of waiting) {
        if (one.at > now) continue;
        waiting.delete(one);
        one.wake();
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function keeperOf(over: { heal?: () => Promise<void>; lacks?: string | null } = {}) {
  const happened: string[] = [];
  const lab = fakeLab(plan, {
    faults: {
      isOff: () => false,
      lacks: async () => over.lacks ?? null,
      plant: async (fault) => {
        happened.push(`in ${fault.kind}`);
        return {
          heal: async () => {
            await over.heal?.();
            happened.push(`out ${fault.kind}`);
          },
        };
      },
    },
  });
  const clock = manualClock();
  const keeper = faultKeeper({
    lab: () => lab,
    session: () => openSession(lab),
    provision: async (_session, host) => void happened.push(`provisioned ${host}`),
    log: (level, line) => void happened.push(`${level}: ${line}`),
    signal: new AbortController().signal,
    clock,
  });
  return { keeper, happened, clock };
}

const order = (over: Partial<FaultOrder> = {}): FaultOrder => ({
  name: null,
  fault: west,
  forMs: null,
  everyMs: null,
  ...over,
});
const anySignal = new AbortController().signal;

describe('A check that fails while a fault is in', () => {
  const ends = (from: string, to: string) =>
    [
      { endpoint: from, role: 'vantage' },
      { endpoint: to, role: 'target' },
    ] as const;
  const lossy: Fault = { kind: 'loss', segment: 'lan', hosts: ['far'], percent: 60 };
  const nothing = { rootCause: null, way: [], back: [], evidence: [], mend: null, unlooked: [] };
  const loses = 'a step broke something on purpose: lan loses 60 % of the frames from and to far';
  const told = (faults: readonly Fault[], found: Diagnosis | null, from = 'r1', to = 'far'): Diagnosis | null =>
    withFaults(plan, faults, ends(from, to), found);

  it('names it first, whatever kind it is, where nothing was seen to stop a packet', () => {
    const wires: Fault[] = [
      lossy,
      { kind: 'delay', segment: 'lan', hosts: ['far'], byMs: 3000 },
      { kind: 'jitter', segment: 'lan', hosts: ['far'], byMs: 3000 },
      { kind: 'corrupt', segment: 'lan', hosts: ['far'], percent: 60 },
      { kind: 'duplicate', segment: 'lan', hosts: ['far'], percent: 60 },
      { kind: 'rate', segment: 'lan', hosts: ['far'], bitsPerSecond: 8000 },
      { kind: 'kill', host: 'far', process: 'httpd' },
      { kind: 'pause', host: 'far' },
      { kind: 'clock', host: 'far', byMs: 60_000 },
    ];
    for (const fault of wires) {
      const found = told([fault], null)!;
      expect(found.sentence).to.equal(`a step broke something on purpose: ${faultText(fault)}`);
      expect(found.mend).to.match(/`heal:`/);
    }
    const seen = { ...nothing, sentence: 'it left r1 by eth2, and was not seen any further' };
    expect(told([lossy], seen)!.sentence).to.equal(
      `${loses}; of one packet that was followed: it left r1 by eth2, and was not seen any further`,
    );
    const lost = { ...nothing, rootCause: 'link-loss' as const, sentence: 'it is lost between r1 and far' };
    expect(told([lossy], lost)).to.include({
      rootCause: 'link-loss',
      sentence: `${loses}; of one packet that was followed: it is lost between r1 and far`,
    });
  });

  it('does not call the way free for one packet that got through', () => {
    const free = { ...nothing, sentence: `far (10.4.0.4) answers when it is asked again${soTheWayIsFree}` };
    expect(told([lossy], free)!.sentence).to.equal(
      `${loses}; of one packet that was followed: far (10.4.0.4) answers when it is asked again`,
    );
  });

  it('names it besides where something was seen to stop a packet', () => {
    const rule = { ...nothing, rootCause: 'filtered' as const, sentence: 'far drops it: rule 1', mend: 'remove it' };
    expect(told([lossy], rule)).to.deep.equal({
      ...rule,
      evidence: ['Besides, a step broke something on purpose: lan loses 60 % of the frames from and to far.'],
    });
  });

  it('says nothing twice: a failure that names the fault itself stays as it is', () => {
    const off: Fault = { kind: 'poweroff', host: 'far' };
    const said = (reason: string, faults: readonly Fault[]): Diagnosis | null =>
      withFaults(plan, faults, ends('r1', 'far'), null, reason);
    expect(said('far is powered off.', [off])).to.equal(null);
    expect(said('far is powered off.', [off, lossy])!.sentence).to.equal(loses);
    expect(said('No answer.', [off])!.sentence).to.contain('far is powered off');
  });

  it('says nothing of a fault that has no part in it', () => {
    const seen = { ...nothing, sentence: 'it left r1 by eth0, and was not seen any further' };
    const elsewhere: Fault[] = [
      { ...lossy, segment: 'east', hosts: ['r2', 'r3'] },
      { kind: 'kill', host: 'r3', process: 'bird' },
      { kind: 'partition', segment: 'east', groups: [['r2']] },
    ];
    expect(told(elsewhere, seen)).to.equal(seen);
    expect(told([], seen)).to.equal(seen);
    expect(told([], null)).to.equal(null);
    // Whoever looks at one host, and sends nothing, has no ends.
    expect(withFaults(plan, [lossy], [], null)).to.equal(null);
  });

  it('names one on the way that a packet took, where another way is left', () => {
    const west60: Fault = { ...lossy, segment: 'west', hosts: ['r2'] };
    const hop = (place: string, came: string | null, out: string | null) => ({
      ...{ place, in: came, out, did: 'routed', state: 'seen' as const },
    });
    const through = { ...nothing, sentence: 'it is gone', way: [hop('r1', null, 'eth0'), hop('r2', 'eth0', 'eth1')] };
    expect(told([west60], { ...nothing, sentence: 'it is gone' }, 'r1', 'r3')!.sentence).to.equal('it is gone');
    expect(told([west60], through, 'r1', 'r3')!.sentence).to.match(
      /^a step broke something on purpose: west loses 60 %/,
    );
  });

  it('names several by their number, with a line for each', () => {
    const two: Fault[] = [lossy, { kind: 'delay', segment: 'lan', hosts: ['far'], byMs: 500 }];
    expect(told(two, null)).to.deep.include({
      sentence: 'steps broke 2 things on purpose',
      evidence: two.map((fault) => `${faultText(fault)}.`),
    });
  });
});

describe('Faults of a run', () => {
  it('are healed by a step, one by its name or all, and that is repeatable', async () => {
    const { keeper, happened } = keeperOf();
    await keeper.plant(order({ name: 'one' }));
    await keeper.plant(order({ name: 'two', fault: { kind: 'poweroff', host: 'r3' } }));
    expect((await keeper.heal('two', anySignal)).reason).to.equal('Healed: r3 is powered off.');
    expect(keeper.planted().map(({ name }) => name)).to.deep.equal(['one']);
    await keeper.heal(null, anySignal);
    expect(await keeper.heal(null, anySignal)).to.deep.equal({ verdict: 'pass', reason: 'No fault is in any more.' });
    expect(happened).to.deep.equal(['in cut', 'in poweroff', 'out poweroff', 'provisioned r3', 'out cut']);
  });

  it('that are over at once leave nothing to heal', async () => {
    const { keeper, happened } = keeperOf();
    const kill: Fault = { kind: 'kill', host: 'r1', process: 'frr' };
    expect(await keeper.plant(order({ fault: kill }))).to.deep.equal({
      verdict: 'pass',
      reason: 'Done: frr on r1 is killed.',
    });
    const meanwhile = await keeper.plantForAWhile(kill, null);
    expect('verdict' in meanwhile).to.equal(false);
    if (!('verdict' in meanwhile)) await meanwhile.heal();
    expect(keeper.planted()).to.deep.equal([]);
    await keeper.end({ startHosts: true });
    expect(happened).to.deep.equal(['in kill', 'in kill']);
  });

  it('restart a host: off, on, provisioned, and no fault any more', async () => {
    const { keeper, happened } = keeperOf();
    const { spec } = load('  - fault: { restart: r2 }\n').scenarios[0]!.items[0]!;
    const outcome = await faultStep.run(spec as never, { plan, breaker: keeper } as unknown as StepContext);
    expect(outcome.verdict).to.equal('pass');
    expect(happened).to.deep.equal(['in poweroff', 'out poweroff', 'provisioned r2']);
    expect(keeper.planted()).to.deep.equal([]);
  });

  it('are healed when their time is over, once', async () => {
    const { keeper, happened, clock } = keeperOf();
    await keeper.plant(order({ forMs: 2000 }));
    await clock.pass(1999);
    expect(happened).to.deep.equal(['in cut']);
    await clock.pass(1);
    expect(happened.slice(1)).to.deep.equal([
      'out cut',
      'info: After 2.0 s, healed: r1 is cut off from west (no carrier).',
    ]);
    await keeper.end({ startHosts: true });
    expect(happened).to.have.length(3);
  });

  it('that come and go stop, healed, when they are healed', async () => {
    const { keeper, happened, clock } = keeperOf();
    await keeper.plant(order({ everyMs: 1000 }));
    await clock.pass(500);
    await clock.pass(500);
    await keeper.heal(null, anySignal);
    await clock.pass(5000);
    expect(happened).to.deep.equal(['in cut', 'out cut', 'in cut', 'out cut']);
  });

  it('are all healed at the end, the last first; hosts are started only where somebody is to use them', async () => {
    for (const startHosts of [true, false]) {
      const { keeper, happened } = keeperOf();
      await keeper.plant(order({ forMs: 60_000 }));
      await keeper.plant(order({ fault: { kind: 'poweroff', host: 'r3' } }));
      await keeper.end({ startHosts });
      const started = startHosts ? ['out poweroff', 'provisioned r3'] : [];
      expect(happened).to.deep.equal(['in cut', 'in poweroff', ...started, 'out cut']);
    }
  });

  it('that could not be healed are said, and tried again at the end', async () => {
    let times = 0;
    const heal = (): Promise<void> =>
      ++times === 1 ? Promise.reject(new Error('the kernel said no')) : Promise.resolve();
    const { keeper, happened, clock } = keeperOf({ heal });
    await keeper.plant(order({ forMs: 1000 }));
    await clock.pass(1000);
    expect(happened).to.deep.equal(['in cut', 'error: the kernel said no']);
    await keeper.end({ startHosts: true });
    expect(happened.at(-1)).to.equal('out cut');
    expect(keeper.planted()).to.deep.equal([]);
  });

  it('that cannot be had are skipped, with the reason', async () => {
    const { keeper } = keeperOf({ lacks: 'the kernel has no netem (kernel:netem)' });
    expect(await keeper.plant(order())).to.deep.equal({
      verdict: 'skipped',
      reason: 'The fault cannot be had here: the kernel has no netem (kernel:netem).',
    });
  });

  it('that cannot be had end the scenario as skipped: what follows is about a lab in which they are in', async () => {
    const loaded = load(`
  - fault: { poweroff: r1 }
  - check: it is off
    ping: { from: r2, to: r1, expect: { fails: timeout } }
`);
    const run = createScenarioRun(loaded.scenarios[0]!, {
      provider: fakeProvider(),
      emit: () => undefined,
      runDir: '/nowhere',
      signal: new AbortController().signal,
      openSession: (lab) => openSession(lab, () => Promise.resolve(fakeConnection())),
    });
    const outcomes = [];
    for (const item of run.items) outcomes.push(await run.perform(item.id));
    await run.finish();
    expect(outcomes.map(({ verdict }) => verdict)).to.deep.equal(['skipped', 'skipped']);
    expect(outcomes[0]!.reason).to.equal('The fake provider cannot break things from outside its hosts (poweroff).');
    expect(outcomes[1]!.reason).to.equal('the step "r1 is powered off" (line 11) cannot be taken here');
  });
});
