import { expect } from 'chai';
import fc from 'fast-check';
import type { CheckKind } from '../../src/checks/kind.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { reachCheck } from '../../src/checks/reach.js';
import type { Outcome } from '../../src/model/verdict.js';
import { fakeLab } from '../fakes/lab.js';
import type { FakeOptions, Row, Said } from '../fakes/lab.js';
import { arpingText, fpingAlive, fpingSilent, pingText } from '../fakes/sayings.js';

/** What a probe from a to b may see, in the words of whichever tool sends it. */
interface Fate {
  name: string;
  /** The target gave an answer that counts as one. */
  answered: boolean;
  /** All that was asked for came. */
  whole: boolean;
  ping: (address: string, sent: number) => string;
  fping: (address: string) => string;
  tcp: string;
  udp: string;
}

const silentPing = (address: string, sent: number): string => pingText(address, { sent, received: 0 });
const icmp = (line: string) => (address: string, sent: number) =>
  pingText(address, { sent, received: 0, lines: [line] });

const fates: Fate[] = [
  {
    name: 'answered',
    answered: true,
    whole: true,
    ping: (address, sent) => pingText(address, { sent }),
    fping: fpingAlive,
    tcp: 'open 0.3',
    udp: 'data 0.3 6869',
  },
  {
    name: 'answered late, and twice',
    answered: true,
    whole: true,
    ping: (address, sent) => pingText(address, { sent, duplicates: 1 }),
    fping: (address) => `${address} is alive (480 ms)`,
    tcp: 'open 1999.9',
    udp: 'data 1999.9 6869',
  },
  {
    name: 'answered in part',
    answered: true,
    whole: false,
    ping: (address, sent) => pingText(address, { sent, received: 1 }),
    fping: fpingAlive,
    tcp: 'open 0.3',
    udp: 'data 0.3 6869',
  },
  {
    name: 'silent',
    answered: false,
    whole: false,
    ping: silentPing,
    fping: fpingSilent,
    tcp: 'silent',
    udp: 'silent',
  },
  {
    name: 'answered by another address',
    answered: false,
    whole: false,
    ping: (address, sent) => pingText(address, { sent, received: 0, strangers: ['10.0.0.77'] }),
    fping: fpingSilent,
    tcp: 'silent',
    udp: 'other 0.3 10.0.0.77 80',
  },
  {
    name: 'called unreachable by a router',
    answered: false,
    whole: false,
    ping: icmp('From 10.0.0.77 icmp_seq=1 Destination Host Unreachable'),
    fping: (address) =>
      `ICMP Host Unreachable from 10.0.0.77 for ICMP Echo sent to ${address}\n${fpingSilent(address)}`,
    tcp: 'error remote EHOSTUNREACH icmp 3 1 10.0.0.77',
    udp: 'error remote EHOSTUNREACH icmp 3 1 10.0.0.77',
  },
  {
    name: 'not sent, for want of a route',
    answered: false,
    whole: false,
    ping: () => 'ping: connect: Network is unreachable\n',
    fping: (address) => `${address}: error while sending ping: Network is unreachable\n${fpingSilent(address)}`,
    tcp: 'error local ENETUNREACH',
    udp: 'error local ENETUNREACH',
  },
  {
    name: 'put in words that nobody knows',
    answered: false,
    whole: false,
    ping: () => 'ping: something new\n',
    fping: (address) => `${address} is sleepy`,
    tcp: 'asleep',
    udp: 'asleep',
  },
];

const B = '10.0.0.2';
const two: FakeOptions = { hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: B } } } };

/** What comes of the probe itself, from wherever it is sent but the target. */
function rows(fate: Fate, cut: number | null): Row[] {
  const said = (text: string): Said =>
    cut === null ? text : { stdout: text.slice(0, Math.floor(text.length * cut)), timedOut: false };
  const at = 'a';
  return [
    {
      at,
      tool: 'ping',
      about: B,
      when: ({ part }) => part === 'ping' || part === null,
      says: ({ argv }) => said(fate.ping(B, Number(argv[argv.indexOf('-c') + 1]))),
    },
    { at, tool: 'fping', about: B, says: () => said(fate.fping(B)) },
    { at, tool: 'perl', about: B, port: 80, says: ({ argv }) => said(argv[2] === 'udp' ? fate.udp : fate.tcp) },
  ];
}

/** What shows that the way carries packets, or does not. */
interface Ways {
  arp: boolean;
  tcp: boolean;
  arrives: boolean;
  /** The target answers itself. */
  self: boolean;
}
const wayRows = ({ arp, tcp, arrives, self }: Ways, fate: Fate): Row[] => [
  {
    at: 'a',
    tool: 'perl',
    about: B,
    when: ({ port }) => port !== 80,
    says: tcp ? 'error remote ECONNREFUSED' : 'silent',
  },
  ...(arp ? [] : [{ at: 'a', tool: 'arping', says: { stdout: arpingText(B, 'eth0', []), exitCode: 1 } } satisfies Row]),
  ...(arrives
    ? []
    : [{ at: 'b', tool: 'perl', when: ({ argv }) => argv[2] === 'arrive', says: 'ready\n' } satisfies Row]),
  {
    at: 'b',
    tool: 'ping',
    says: ({ argv }) => (self ? pingText(B, { sent: 1 }) : silentPing(B, Number(argv[5] ?? 1))),
  },
  { at: 'b', tool: 'fping', about: B, says: self ? fpingAlive(B) : fpingSilent(B) },
  { at: 'b', tool: 'perl', port: 80, says: self ? 'open 0.1' : 'error remote ECONNREFUSED' },
  // The plain ping of a control meets the fate of every other ping.
  { at: 'a', tool: 'ping', about: B, says: fate.ping(B, 1) },
];

interface Shape {
  name: string;
  kind: CheckKind<never>;
  positive: object;
  negative: object;
  /** Whether the fate is all that a positive asks for. */
  enough: (fate: Fate) => boolean;
  /** Whether the target answered, by what this kind sends. */
  answered: (fate: Fate) => boolean;
}

const any = { fails: ['timeout', 'refused', 'no-route', 'host-unreachable', 'net-unreachable', 'prohibited'] };
const ends = { from: 'a', to: 'b' };
const groups = { x: ['a'], y: ['b'] };
const kinds: Shape[] = [
  {
    name: 'ping',
    kind: pingCheck as unknown as CheckKind<never>,
    positive: ends,
    negative: { ...ends, expect: any },
    enough: ({ whole }) => whole,
    answered: ({ answered }) => answered,
  },
  {
    name: 'port/tcp',
    kind: portCheck as unknown as CheckKind<never>,
    positive: { ...ends, port: 80 },
    negative: { ...ends, port: 80, expect: any },
    enough: ({ tcp }) => tcp.startsWith('open'),
    answered: ({ tcp }) => tcp.startsWith('open'),
  },
  {
    name: 'port/udp',
    kind: portCheck as unknown as CheckKind<never>,
    positive: { ...ends, port: 80, proto: 'udp', send: 'hi', expect: { receive: 'hi' } },
    negative: { ...ends, port: 80, proto: 'udp', expect: any },
    enough: ({ udp }) => udp.startsWith('data'),
    answered: ({ udp }) => udp.startsWith('data'),
  },
  {
    name: 'reach/ping',
    kind: reachCheck as unknown as CheckKind<never>,
    positive: { groups, expect: { allow: ['x <-> y'] } },
    negative: { groups, expect: { allow: ['y -> x'] } },
    enough: ({ answered }) => answered,
    answered: ({ answered }) => answered,
  },
  {
    name: 'reach/tcp',
    kind: reachCheck as unknown as CheckKind<never>,
    positive: { groups, expect: { allow: ['x <-> y'] }, by: { tcp: 80 } },
    negative: { groups, expect: { allow: ['y -> x'] }, by: { tcp: 80 } },
    enough: ({ tcp }) => tcp.startsWith('open'),
    answered: ({ tcp }) => tcp.startsWith('open'),
  },
];
/** The way back, which `reach` probes too, is open. */
const wayBack: Row[] = [{ at: 'b', tool: 'perl', about: '10.0.0.1', port: 80, says: 'open 0.2' }];

/** By name, so that a counterexample can be read. */
const anyFate = fc.constantFrom(...fates.map(({ name }) => name));
const anyKind = fc.constantFrom(...kinds.map(({ name }) => name));
const kindOf = (name: string): Shape => kinds.find((one) => one.name === name)!;
const fateOf = (name: string): Fate => fates.find((one) => one.name === name)!;
const anyWays = fc.record({ arp: fc.boolean(), tcp: fc.boolean(), arrives: fc.boolean(), self: fc.boolean() });
const open: Ways = { arp: true, tcp: true, arrives: true, self: true };
const runs = { numRuns: 150 };

async function attempt(shape: Shape, spec: object, lab: FakeOptions, said: readonly Row[]): Promise<Outcome> {
  return fakeLab({ ...lab, said: [...wayBack, ...said] }).check(shape.kind, spec);
}

describe('whatever the network does, for every connectivity kind', function () {
  this.timeout(60_000);

  it('a positive passes when the target answered all that was asked for, and never otherwise', () =>
    fc.assert(
      fc.asyncProperty(anyKind, anyFate, anyWays, async (kind, fated, ways) => {
        const shape = kindOf(kind);
        const fate = fateOf(fated);
        const outcome = await attempt(shape, shape.positive, two, [...rows(fate, null), ...wayRows(ways, fate)]);
        expect(outcome.verdict === 'pass', `${outcome.verdict}: ${outcome.reason}`).to.equal(shape.enough(fate));
      }),
      runs,
    ));

  it('a negative never passes when the target gave any answer', () =>
    fc.assert(
      fc.asyncProperty(anyKind, anyFate, anyWays, async (kind, fated, ways) => {
        const shape = kindOf(kind);
        const fate = fateOf(fated);
        fc.pre(shape.answered(fate));
        const outcome = await attempt(shape, shape.negative, two, [...rows(fate, null), ...wayRows(ways, fate)]);
        expect(outcome.verdict, outcome.reason).to.equal('fail');
      }),
      runs,
    ));

  it('a negative that met silence passes only when the target answers itself and something gets through to it', () =>
    fc.assert(
      fc.asyncProperty(anyKind, anyWays, async (kind, ways) => {
        const shape = kindOf(kind);
        const silent = fates.find(({ name }) => name === 'silent')!;
        const outcome = await attempt(shape, shape.negative, two, [...rows(silent, null), ...wayRows(ways, silent)]);
        const proven = ways.self && (ways.arp || ways.tcp || ways.arrives);
        expect(outcome.verdict, outcome.reason).to.equal(proven ? 'pass' : 'inconclusive');
      }),
      runs,
    ));

  it('an output that was cut anywhere never passes', () =>
    fc.assert(
      fc.asyncProperty(
        anyKind,
        anyFate,
        fc.boolean(),
        fc.double({ min: 0, max: 0.6, noNaN: true }),
        async (kind, fated, positive, cut) => {
          const shape = kindOf(kind);
          const fate = fateOf(fated);
          const said = [...rows(fate, cut), ...wayRows(open, fate)];
          const outcome = await attempt(shape, positive ? shape.positive : shape.negative, two, said);
          expect(outcome.verdict, outcome.reason).to.not.equal('pass');
        },
      ),
      runs,
    ));

  it('a probe that runs out of time never passes', () =>
    fc.assert(
      fc.asyncProperty(anyKind, fc.boolean(), async (kind, positive) => {
        const shape = kindOf(kind);
        const never: Row = { at: 'a', tool: ['ping', 'fping', 'perl'], says: { timedOut: true } };
        const outcome = await attempt(shape, positive ? shape.positive : shape.negative, two, [never]);
        expect(outcome.verdict, outcome.reason).to.equal('inconclusive');
      }),
      runs,
    ));

  it('nothing passes between two that have one address', () =>
    fc.assert(
      fc.asyncProperty(anyKind, anyFate, fc.boolean(), fc.boolean(), async (kind, fated, positive, engines) => {
        const shape = kindOf(kind);
        const fate = fateOf(fated);
        const one = { on: { bridge: '172.17.0.2/16' } };
        const lab: FakeOptions = {
          hosts: engines
            ? {
                n1: { on: { lan: '10.0.0.1' }, containers: { aa: one } },
                n2: { on: { lan: B }, containers: { bb: one } },
              }
            : {
                h: { namespaces: { a: { eth0: ['10.5.0.1/24', '10.5.0.2/24'] }, b: { eth0: ['10.5.0.2/24'] } } },
              },
        };
        const [from, to] = engines ? ['n1/aa', 'n2/bb'] : ['h/netns:a', 'h/netns:b'];
        const renamed = JSON.parse(
          JSON.stringify(positive ? shape.positive : shape.negative)
            .replaceAll('"a"', JSON.stringify(from))
            .replaceAll('"b"', JSON.stringify(to)),
        ) as object;
        const address = engines ? '172.17.0.2' : '10.5.0.2';
        const said: Row[] = [
          { at: from, tool: 'ping', says: ({ argv }) => fate.ping(address, Number(argv[argv.indexOf('-c') + 1])) },
          { at: from, tool: 'fping', about: address, says: fate.fping(address) },
          { at: from, tool: 'perl', about: address, says: ({ argv }) => (argv[2] === 'udp' ? fate.udp : fate.tcp) },
        ];
        const outcome = await attempt(shape, renamed, lab, said);
        expect(outcome.verdict, outcome.reason).to.not.equal('pass');
      }),
      runs,
    ));

  it('nothing passes that somebody else on the wire answered, who has the target’s address too', () =>
    fc.assert(
      fc.asyncProperty(anyKind, fc.boolean(), async (kind, positive) => {
        const shape = kindOf(kind);
        const lab: FakeOptions = {
          hosts: { ...two.hosts, c: { on: { lan: '10.0.0.3' }, added: { eth0: [`${B}/24`] } } },
        };
        const impostor: Row = {
          at: 'a',
          tool: 'ip',
          about: 'neigh',
          says: JSON.stringify([{ dst: B, dev: 'eth0', lladdr: '02:00:00:00:00:03', state: ['REACHABLE'] }]),
        };
        const said = [impostor, ...rows(fates[0]!, null), ...wayRows(open, fates[0]!)];
        const outcome = await attempt(shape, positive ? shape.positive : shape.negative, lab, said);
        expect(outcome, outcome.reason).to.include({ verdict: 'fail', cause: 'wrong-answer' });
      }),
      runs,
    ));
});
