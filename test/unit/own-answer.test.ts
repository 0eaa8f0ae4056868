import { expect } from 'chai';
import fc from 'fast-check';
import { dnsCheck } from '../../src/checks/dns.js';
import type { CheckKind } from '../../src/checks/kind.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { acceptedNothing, gotNothing, parseReceived } from '../../src/facts/received.js';
import type { ProbeShape } from '../../src/facts/received.js';
import type { Outcome } from '../../src/model/verdict.js';
import { fakeLab } from '../fakes/lab.js';
import type { FakeOptions, Row } from '../fakes/lab.js';
import { receivedText, receives } from '../fakes/received.js';
import type { Counted } from '../fakes/received.js';

const B = '10.0.0.2';
const two: FakeOptions = { hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: B } } } };
const three: FakeOptions = { hosts: { ...two.hosts, c: { on: { lan: '10.0.0.3' } } } };
/** c has taken the address of b. */
const taken: FakeOptions = { hosts: { ...two.hosts, c: { on: { lan: '10.0.0.3' }, added: { eth0: [`${B}/24`] } } } };

const zero: Counted = { 'Ip.InReceives': 0 };
const open: Row = { at: 'a', tool: 'perl', about: B, port: 80, says: 'open 0.2' };
const refused: Row = { at: 'a', tool: 'perl', about: B, port: 80, says: 'error remote ECONNREFUSED' };
const listens: Row = { at: 'b', tool: 'perl', about: B, port: 80, says: 'open 0.1' };
const datagram: Row = { at: 'a', tool: 'perl', about: B, port: 80, says: 'data 0.3 6869' };
/** Answers from b’s address that may or must not come, with what the probe is to those who carry it. */
const answers: { name: string; kind: CheckKind<never>; spec: object; said: Row[]; shape: ProbeShape['proto'] }[] = [
  { name: 'a ping', kind: pingCheck as never, spec: { from: 'a', to: 'b' }, said: [], shape: 'icmp' },
  {
    name: 'an open port',
    kind: portCheck as never,
    spec: { from: 'a', to: 'b', port: 80 },
    said: [open],
    shape: 'tcp',
  },
  {
    name: 'a refusal',
    kind: portCheck as never,
    spec: { from: 'a', to: 'b', port: 80, expect: { fails: 'refused' } },
    said: [refused, listens],
    shape: 'tcp',
  },
  {
    name: 'a datagram',
    kind: portCheck as never,
    spec: { from: 'a', to: 'b', port: 80, proto: 'udp', send: 'hi', expect: { receive: 'hi' } },
    said: [datagram],
    shape: 'udp',
  },
];
const named = (name: string): (typeof answers)[number] => answers.find((one) => one.name === name)!;

interface Noise {
  echo: number;
  unreachable: number;
  segments: number;
  six: number;
}
/** Packets that are no part of a probe of that protocol, and are all accounted for: so many of each. */
const noise: fc.Arbitrary<Noise> = fc.record({
  echo: fc.nat(5),
  unreachable: fc.nat(5),
  segments: fc.nat(50),
  six: fc.nat(50),
});
function counted(proto: ProbeShape['proto'], { echo, unreachable, segments, six }: Noise): Counted {
  const echoes = proto === 'icmp' ? 0 : echo;
  const tcp = proto === 'tcp' ? 0 : segments;
  const messages = echoes + unreachable;
  return {
    'Ip.InReceives': messages + tcp,
    'Ip.InDelivers': messages + tcp,
    'Icmp.InMsgs': messages,
    'Icmp.InEchos': echoes,
    'Tcp.InSegs': tcp,
    'Ip6.InReceives': six,
    'Ip6.InDelivers': six,
    'Icmp6.InMsgs': six,
  };
}

async function attempt(name: string, lab: FakeOptions, rows: readonly Row[], spec: object = {}): Promise<Outcome> {
  const { kind, spec: usual, said } = named(name);
  return fakeLab({ ...lab, said: [...rows, ...said] }).check(kind, { ...usual, ...spec });
}

describe('an answer is the target’s own', function () {
  this.timeout(60_000);

  for (const { name } of answers) {
    it(`${name} of which the target got nothing is another’s`, async () => {
      const outcome = await attempt(name, two, [receives('b', zero)]);
      expect(outcome).to.include({ verdict: 'fail', cause: 'wrong-answer' });
      expect(outcome.reason).to.match(/what answers a at 10\.0\.0\.2 is not b, which got nothing of the probe/);
    });
    it(`${name} is believed where the target can’t be asked`, async () => {
      const dead: Row = { at: 'b', tool: 'cat', says: { stderr: 'cat: No such file\n', exitCode: 1 } };
      expect((await attempt(name, two, [dead])).verdict).to.equal('pass');
    });
    it(`${name} is believed where the target passed something on, or dropped it`, async () => {
      const outcome = await attempt(name, two, [receives('b', { 'Ip.InReceives': 1 })]);
      expect(outcome.verdict, outcome.reason).to.equal('pass');
    });
  }

  it('never passes, whatever else came in at the target and was something else', () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...answers.map(({ name }) => name)), noise, async (name, other) => {
        const rows = [receives('b', counted(named(name).shape, other))];
        const outcome = await attempt(name, two, rows);
        expect(outcome, outcome.reason).to.include({ verdict: 'fail', cause: 'wrong-answer' });
      }),
      { numRuns: 100 },
    ));

  it('who has the address, too, is named', async () => {
    const outcome = await attempt('an open port', taken, [receives('b', zero)]);
    expect(outcome.reason).to.match(/is not b, which got nothing of the probe: c has that address, too/);
  });

  it('nobody answers for a host that a step powered off', async () => {
    const { kind, spec } = named('a ping');
    const lab = fakeLab(taken);
    const off = { ...lab.context, planted: () => [{ kind: 'poweroff' as const, host: 'b' }] };
    const outcome = await kind.run(kind.schema.parse(spec), off as never);
    expect(outcome).to.include({ verdict: 'fail', cause: 'wrong-answer' });
    expect(outcome.reason).to.match(/is not b, which is powered off: c has that address, too/);
  });

  it('an address that was written down is whoever’s has it', async () => {
    expect(await attempt('a ping', taken, [receives('b', zero)], { to: B })).to.include({ verdict: 'pass' });
    const nobodys = await attempt('a ping', three, [receives('b', zero)], { to: B });
    expect(nobodys).to.include({ verdict: 'fail', cause: 'wrong-answer' });
  });

  it('silence is silence', async () => {
    const silent: Row = { at: 'a', tool: 'perl', about: B, port: 80, says: 'silent' };
    const outcome = await attempt('an open port', two, [silent, receives('b', zero)]);
    expect(outcome).to.include({ verdict: 'fail', cause: 'timeout' });
  });

  it('an answer of a name server is that server’s, also that there is no such name', async () => {
    for (const [says, expected] of [
      ['answer', { addresses: '10.0.0.9', 'answered-by': B }],
      ['nxdomain', { fails: 'nxdomain' }],
    ] as const) {
      const lab = fakeLab({ ...two, said: [receives('b', zero), ...nameServer(says)] });
      const outcome = await lab.check(dnsCheck, { from: 'a', name: 'www.t', server: 'b', expect: expected });
      expect(outcome, outcome.reason).to.include({ verdict: 'fail', cause: 'wrong-answer' });
    }
  });
});

/** What the source hears when it asks b: RFC 1035’s header, the question, and an address or none. */
function nameServer(says: 'answer' | 'nxdomain'): Row[] {
  return [
    {
      at: 'a',
      tool: 'perl',
      about: B,
      port: 53,
      says: ({ argv }) => {
        const query = Buffer.from(argv.at(-1)!, 'hex');
        const reply = Buffer.concat([
          query,
          says === 'answer' ? Buffer.from('c00c00010001000000050004' + '0a000009', 'hex') : Buffer.alloc(0),
        ]);
        reply.writeUInt16BE(says === 'answer' ? 0x8580 : 0x8583, 2);
        if (says === 'answer') reply.writeUInt16BE(1, 6);
        return `data 0.3 ${reply.toString('hex')}`;
      },
    },
  ];
}

describe('what a namespace counted', () => {
  const read = (counts: Counted): ReturnType<typeof parseReceived> => parseReceived(receivedText(counts));
  const probes: ProbeShape[] = (['icmp', 'tcp', 'udp'] as const).flatMap((proto) =>
    ([4, 6] as const).map((family) => ({ proto, family })),
  );

  it('is read from both files', () => {
    const counts = read({ 'Ip.InReceives': 7, 'Tcp.InSegs': 3, 'Icmp6.InEchos': 2 });
    expect(counts.get('Ip.InReceives')).to.equal(7);
    expect(counts.get('Tcp.InSegs')).to.equal(3);
    expect(counts.get('Icmp6.InEchos')).to.equal(2);
  });

  it('a probe that was delivered is never called absent, whatever else came', () =>
    fc.assert(
      fc.property(fc.constantFrom(...probes), noise, (probe, other) => {
        const base = counted(probe.proto, other);
        const ip = probe.family === 6 ? 'Ip6' : 'Ip';
        const own: Record<ProbeShape['proto'], string[]> = {
          icmp: probe.family === 6 ? ['Icmp6.InMsgs', 'Icmp6.InEchos'] : ['Icmp.InMsgs', 'Icmp.InEchos'],
          tcp: ['Tcp.InSegs'],
          // Of a datagram that nobody has read yet there is no other trace.
          udp: [],
        };
        const after = { ...base };
        for (const name of [`${ip}.InReceives`, `${ip}.InDelivers`, ...own[probe.proto]])
          after[name] = (after[name] ?? 0) + 1;
        expect(gotNothing(read({}), read(after), probe)).to.equal(false);
      }),
    ));

  it('nor one that was counted by its protocol alone, nor after a namespace was made anew', () => {
    expect(gotNothing(read({}), read({ 'Tcp.InSegs': 1 }), { proto: 'tcp', family: 4 })).to.equal(false);
    expect(gotNothing(read({}), read({ 'Udp.NoPorts': 1 }), { proto: 'udp', family: 4 })).to.equal(false);
    expect(gotNothing(read({ 'Ip.InReceives': 9 }), read({}), { proto: 'tcp', family: 4 })).to.equal(false);
  });

  it('segments of an earlier connection are no accepted one; one that was passed on may have been', () => {
    const delivered = { 'Ip.InReceives': 3, 'Ip.InDelivers': 3, 'Tcp.InSegs': 3 };
    expect(acceptedNothing(read({}), read({}))).to.equal(true);
    expect(acceptedNothing(read({}), read(delivered))).to.equal(true);
    expect(acceptedNothing(read({}), read({ ...delivered, 'Tcp.PassiveOpens': 1 }))).to.equal(false);
    expect(acceptedNothing(read({}), read({ ...delivered, 'Ip.InReceives': 4 }))).to.equal(false);
    const discarded = { 'Ip6.InReceives': 2, 'Ip6.InDiscards': 2 };
    expect(acceptedNothing(read({}), read(discarded))).to.equal(true);
    expect(acceptedNothing(read({}), read({ 'Ip6.InReceives': 2 }))).to.equal(false);
    expect(acceptedNothing(read(delivered), read({}))).to.equal(false);
    const without = parseReceived('Ip: InReceives InDelivers\nIp: 1 1\n');
    expect(acceptedNothing(without, without)).to.equal(false);
  });

  it('without IPv6’s file nothing is said of IPv6', () => {
    const four = parseReceived('Ip: InReceives InDelivers\nIp: 1 1\n');
    expect(gotNothing(four, four, { proto: 'tcp', family: 6 })).to.equal(false);
    expect(gotNothing(four, four, { proto: 'tcp', family: 4 })).to.equal(true);
  });
});
