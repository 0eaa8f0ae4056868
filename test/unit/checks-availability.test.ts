import { expect } from 'chai';
import { availabilityCheck, judgeAvailability } from '../../src/checks/availability.js';
import { gapsIn, readAnswer, type Answer } from '../../src/probes/answer-times.js';
import { kindTable } from '../fakes/kind-table.js';
import { fakeLab } from '../fakes/lab.js';
import type { FakeOptions } from '../fakes/lab.js';
import type { LabBreaker } from '../../src/steps/kind.js';
import { fakePingStream } from '../fakes/ping-stream.js';
import { areWellMade } from './well-made-kinds.js';
import { judgedText } from '../../src/report/wording.js';

const start = 1_795_863_033_000;

/** A stream of one request each 50 ms. Of each of `lost`, no answer came; `held`: it came only at that time after the start, ms. */
function stream(
  count: number,
  {
    lost = [],
    held = {},
    late = 0,
    lateFrom = Infinity,
  }: {
    lost?: number[];
    held?: Record<number, number>;
    late?: number;
    lateFrom?: number;
  } = {},
): Answer[] {
  return Array.from({ length: count }, (_, at) => at + 1)
    .filter((sequence) => !lost.includes(sequence))
    .map((sequence) => {
      const sent = start + sequence * 50 + (sequence >= lateFrom ? late : 0);
      const arrivedAt = sequence in held ? start + held[sequence]! : sent + 0.5;
      return { sequence, arrivedAt, rtt: arrivedAt - sent };
    });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('Times without answers', () => {
  areWellMade([availabilityCheck as never]);

  it('are none in a stream without loss, and none for one answer that is a little late', () => {
    expect(gapsIn(stream(100), 50)).to.deep.equal([]);
    expect(gapsIn(stream(100, { held: { 10: 530 } }), 50)).to.deep.equal([]);
  });

  it('last from when the next answer was due to when one came', () => {
    const [gap, ...more] = gapsIn(stream(100, { lost: range(21, 40) }), 50);
    expect(more).to.deep.equal([]);
    expect(gap!.lasted).to.be.closeTo(1000, 1);
    expect(gap!.atLeast).to.be.closeTo(1000, 1);
  });

  it('are not filled by requests that were held back and answered late, all at once', () => {
    const held = Object.fromEntries(range(21, 40).map((sequence) => [sequence, 2045]));
    const [gap] = gapsIn(stream(100, { held }), 50);
    expect(gap!.lasted).to.be.closeTo(994.5, 1);
    expect(gap!.atLeast).to.be.closeTo(994.5, 1);
  });

  it('tell what the sender, and not the network, was late', () => {
    const [gap] = gapsIn(stream(100, { lost: [21, 22], lateFrom: 21, late: 3000 }), 50);
    expect(gap!.lasted).to.be.closeTo(3100, 1);
    expect(gap!.atLeast).to.be.closeTo(100, 1);
  });

  it('come the longest first', () => {
    const gaps = gapsIn(stream(100, { lost: [5, 6, 7, ...range(21, 40), 60] }), 50);
    expect(gaps.map(({ lasted }) => Math.round(lasted))).to.deep.equal([1000, 150, 50]);
  });

  for (const [line, expected] of [
    ['[1795863033.150606] 64 bytes from 10.1.1.2: icmp_seq=93 ttl=64 time=0.046 ms', 93],
    ['[1795863033.150606] 64 bytes from 10.1.1.2: icmp_seq=93 ttl=64 time=1010 ms', 93],
    ['[1795863033.150606] 64 bytes from 10.1.1.3: icmp_seq=93 ttl=64 time=0.046 ms', null],
    ['[1795863033.150606] 64 bytes from 10.1.1.2: icmp_seq=93 ttl=64 time=0.046 ms (DUP!)', null],
    ['[1795863033.150606] From 10.1.1.1 icmp_seq=93 Destination Host Unreachable', null],
    ['64 bytes from 10.1.1.2: icmp_seq=93 ttl=64 time=0.046 ms', null],
  ] as const)
    it(`reads ${JSON.stringify(line)}`, () => {
      expect(readAnswer(line, '10.1.1.2')?.sequence ?? null).to.equal(expected);
    });
});

describe('Availability: the verdict', () => {
  const ends = { source: 'a', target: 'b', atMost: 500 };
  for (const [what, answers, openMs, verdict, reason] of [
    ['no gap', stream(100), 0, 'pass', /^b answered a all the time, 100 times$/],
    ['a gap that is allowed', stream(100, { lost: range(21, 25) }), 0, 'pass', /^b did not answer a for 250 ms$/],
    ['a gap that is too long', stream(100, { lost: range(21, 40) }), 0, 'fail', /^b did not answer a for 1\.0 s$/],
    ['a gap that is not over', stream(100), 600, 'fail', /no longer answers a: nothing came in the last 600 ms/],
    [
      'a gap that may be the sender’s',
      stream(100, { lost: [21], lateFrom: 21, late: 900 }),
      0,
      'inconclusive',
      /a was late itself/,
    ],
    [
      'a gap that is the network’s, beside one that may be the sender’s',
      stream(100, { lost: [...range(5, 20), 41], lateFrom: 41, late: 900 }),
      0,
      'fail',
      /did not answer a for/,
    ],
  ] as const)
    it(`${what}: ${verdict}`, () => {
      const outcome = judgeAvailability(answers, openMs, ends);
      expect(outcome.verdict).to.equal(verdict);
      expect(outcome.reason).to.match(reason);
      expect(outcome.cause).to.equal(verdict === 'fail' ? 'timeout' : undefined);
      expect(outcome.measures?.map(({ name }) => name)).to.deep.equal(['longest gap', 'answers', 'lost']);
      expect(judgedText(outcome)).to.match(/^longest gap \d[\d.]* m?s$/);
    });

  it('`during` says how long is watched', () => {
    const spec = { from: 'a', to: 'b', during: { poweroff: 'b' }, lasts: '5s', 'loses-at-most': '1s' };
    expect(availabilityCheck.schema.safeParse(spec).success).to.equal(false);
    expect(availabilityCheck.schema.safeParse({ ...spec, lasts: undefined }).success).to.equal(true);
  });

  it('`after` belongs to `during`, and is told', () => {
    const spec = { from: 'a', to: 'b', during: { poweroff: 'b' }, after: '30s', 'loses-at-most': '1s' };
    expect(availabilityCheck.describe(availabilityCheck.schema.parse(spec))).to.match(/ and for 30\.0 s after that$/);
    const alone = availabilityCheck.schema.safeParse({ ...spec, during: undefined });
    expect(alone.error?.issues.map(({ path, message }) => [path, message])).to.deep.equal([
      [['after'], 'nothing is healed without `during`: `lasts` says how long is watched'],
    ]);
  });
});

describe('Availability, once a fault is healed', () => {
  /** No answers come from half a second on, for a while. */
  const failsBack = { hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } } };
  async function watched(after: string, fault: object): Promise<{ verdict: string; healed: number }> {
    const lab = fakeLab({ ...failsBack, spawns: fakePingStream({ lost: range(100, 140) }) });
    let healed = 0;
    const breaker = { plantForAWhile: () => Promise.resolve({ heal: () => Promise.resolve(void (healed += 1)) }) };
    const spec = { from: 'a', to: 'b', during: { ...fault, for: '20ms' }, after, 'loses-at-most': '500ms' };
    const context = { ...lab.context, breaker: breaker as unknown as LabBreaker };
    const { verdict } = await availabilityCheck.run(availabilityCheck.schema.parse(spec), context);
    return { verdict, healed };
  }

  for (const fault of [{ poweroff: 'b' }, { cut: { segment: 'lan', hosts: 'b' } }])
    it(`${Object.keys(fault)[0]!}: what is lost within \`after\` counts, and nothing later`, async () => {
      expect(await watched('20ms', fault)).to.deep.equal({ verdict: 'pass', healed: 1 });
      expect(await watched('2s', fault)).to.deep.equal({ verdict: 'fail', healed: 1 });
    });

  it('without it, what a host that comes up again loses within ten seconds is seen', async () => {
    const lab = fakeLab({ ...failsBack, spawns: fakePingStream({ lost: range(650, 700) }) });
    const breaker = { plantForAWhile: () => Promise.resolve({ heal: () => Promise.resolve() }) };
    const context = { ...lab.context, breaker: breaker as unknown as LabBreaker };
    const verdictOf = async (during: object): Promise<string> => {
      const spec = { from: 'a', to: 'b', during, 'loses-at-most': '500ms' };
      return (await availabilityCheck.run(availabilityCheck.schema.parse(spec), context)).verdict;
    };
    const [off, restarted, cut] = await Promise.all([
      verdictOf({ poweroff: 'b', for: '10ms' }),
      verdictOf({ restart: 'b' }),
      verdictOf({ cut: { segment: 'lan' }, for: '10ms' }),
    ]);
    expect({ off, restarted, cut }).to.deep.equal({ off: 'fail', restarted: 'fail', cut: 'pass' });
  }).timeout(30_000);
});

describe('Availability, over a lab', () => {
  const ask = (over: object = {}): object => ({
    from: 'a',
    to: 'b',
    lasts: '300ms',
    'loses-at-most': '500ms',
    ...over,
  });
  kindTable(availabilityCheck, {
    hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } },
    cases: [
      { title: 'answers all the time', spec: ask(), spawns: fakePingStream(), is: 'pass' },
      {
        title: 'a gap that is allowed',
        spec: ask(),
        spawns: fakePingStream({ lost: range(8, 12) }),
        is: 'pass',
        reason: /for 250 ms/,
      },
      {
        title: 'a gap that is too long',
        spec: ask(),
        spawns: fakePingStream({ lost: range(8, 28) }),
        is: 'fail timeout',
        reason: /for 1\.1 s/,
      },
      {
        title: 'silence that lasts',
        spec: ask(),
        spawns: fakePingStream({ silentFrom: 10 }),
        is: 'fail timeout',
        reason: /no longer answers/,
      },
      { title: 'no source', spec: ask({ from: 'a/gone' }), spawns: fakePingStream(), is: 'inconclusive' },
      {
        title: 'a ping that cannot be started',
        spec: ask(),
        spawns: fakePingStream({ refuses: 'ping: socket: Operation not permitted' }),
        is: 'inconclusive',
        reason: /ended early: ping: socket: Operation not permitted/,
      },
      {
        title: 'nobody to put the fault in',
        spec: ask({ lasts: undefined, during: { poweroff: 'b' } }),
        spawns: fakePingStream(),
        is: 'skipped',
      },
    ],
  });
});

describe('Availability, where another one answers', () => {
  const on = (address: string): object => ({ on: { lan: address } });
  const rows: [title: string, world: FakeOptions, spec: object, is: string, reason: RegExp][] = [
    [
      'a neighbour with the same address',
      {
        hosts: { a: on('10.0.0.1'), b: on('10.0.0.2'), c: { ...on('10.0.0.3'), added: { eth0: ['10.0.0.2/24'] } } },
        said: [
          {
            at: 'a',
            tool: 'ip',
            about: 'neigh',
            says: JSON.stringify([{ dst: '10.0.0.2', dev: 'eth0', lladdr: '02:00:00:00:00:03', state: ['REACHABLE'] }]),
          },
        ],
      },
      { from: 'a', to: 'b' },
      'fail wrong-answer',
      /^to a, 10\.0\.0\.2 is c .*, and not b$/,
    ],
    [
      'the source itself',
      { hosts: { h: { namespaces: { aa: { eth0: ['10.5.0.1/24'] }, bb: { eth0: ['10.5.0.2/24', '10.5.0.1/24'] } } } } },
      { from: 'h/netns:bb', to: 'h/netns:aa' },
      'fail wrong-answer',
      /it asks itself/,
    ],
  ];
  for (const [title, world, spec, is, reason] of rows)
    it(`${title}: ${is}`, async () => {
      const lab = fakeLab({ ...world, spawns: fakePingStream() });
      const {
        verdict,
        cause,
        reason: said,
      } = await lab.check(availabilityCheck, {
        ...spec,
        lasts: '300ms',
        'loses-at-most': '500ms',
      });
      expect(`${verdict} ${cause}`, said).to.equal(is);
      expect(said).to.match(reason);
    });
});
