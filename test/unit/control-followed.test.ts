import { expect } from 'chai';
import { networkControls } from '../../src/judging/control.js';
import type { Control, Diagnosis, RootCause } from '../../src/model/verdict.js';
import { resolveTarget } from '../../src/probes/target.js';
import { isVantageProblem, resolveVantage, type Vantage } from '../../src/places/vantage.js';
import type { Service } from '../../src/judging/same-path.js';
import { fakeLab } from '../fakes/lab.js';
import type { Asked } from '../fakes/lab.js';

/** What following the probe says: lost at that place, for that reason. */
function lost(place: string, rootCause: RootCause | null): Diagnosis {
  const hop = { place, in: 'eth0', did: 'dropped', out: null, state: 'broken' as const };
  const rule = `${place} drops it: rule 1 of chain INPUT`;
  return { sentence: rule, rootCause, way: [hop], back: [], evidence: [], mend: null, unlooked: [] };
}

const addresses = (flags: string[], local = '10.0.0.2'): string =>
  JSON.stringify([
    { ifname: 'lo', flags: ['LOOPBACK', 'UP'], addr_info: [{ local: '127.0.0.1' }] },
    { ifname: 'eth0', flags, addr_info: [{ local }] },
  ]);
const listening = 'LISTEN 0 5 0.0.0.0:80 0.0.0.0:*\n';

interface Found {
  held: boolean;
  seen: string;
  followed: number;
}

/** What the control of b says that drops all TCP, its own too, where following the probe of a says `told`. */
async function targetControl(
  told: Diagnosis | null,
  over: { service?: Service; addresses?: string; listeners?: string } = {},
): Promise<Found> {
  const { context } = fakeLab({
    hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } },
    said: [
      {
        at: 'b',
        tool: 'ip',
        when: ({ part }) => part === 'links',
        says: over.addresses ?? addresses(['UP', 'LOWER_UP']),
      },
      { at: 'b', tool: 'ss', says: over.listeners ?? listening },
    ],
  });
  const source = await resolveVantage(context, { kind: 'host', host: 'a' });
  if (isVantageProblem(source)) throw new Error(source.reason);
  const target = await resolveTarget(context, source, { kind: 'host', host: 'b' });
  if ('problem' in target) throw new Error(target.reason);
  let followed = 0;
  const controls = await networkControls({
    context,
    source,
    target,
    cause: 'timeout',
    answeredBy: null,
    path: null,
    author: null,
    service: over.service ?? { proto: 'tcp', port: 80 },
    send: async (_from: Vantage) => ({ saw: 'failure', cause: 'timeout', text: 'silence' }),
    followed: async () => {
      followed += 1;
      return told;
    },
  });
  const { held, seen } = controls[0]!;
  return { held, seen, followed };
}

describe('A target that does not answer itself', () => {
  it('is there where its kernel says so, and a rule of its own dropped the very probe', async () => {
    const { held, seen } = await targetControl(lost('b', 'filtered'));
    expect(seen).to.equal(
      'it has 10.0.0.2 on eth0, which is up; port 80 is listened on; b drops it: rule 1 of chain INPUT',
    );
    expect(held).to.equal(true);
  });

  it('needs no port for an echo request', async () => {
    const service: Service = { proto: 'icmp', port: null };
    expect(await targetControl(lost('b', 'filtered'), { service, listeners: '' })).to.include({ held: true });
  });

  for (const [what, told] of [
    ['was dropped on the way', lost('router', 'filtered')],
    ['was lost there for another reason', lost('b', 'rp-filter')],
    ['was last seen there, and nobody knows why', lost('b', null)],
    ['came through there', { ...lost('b', 'filtered'), way: [] }],
    ['could not be followed', null],
  ] satisfies [string, Diagnosis | null][])
    it(`proves nothing where the probe ${what}`, async () => {
      expect(await targetControl(told)).to.deep.equal({ held: false, seen: 'silence', followed: 1 });
    });

  for (const [what, over] of [
    ['nobody listens at the port', { listeners: '' }],
    ['somebody listens at another port', { listeners: listening.replace(':80', ':81') }],
    ['its link is down', { addresses: addresses([]) }],
    ['its link has no carrier', { addresses: addresses(['UP']) }],
    ['it has another address', { addresses: addresses(['UP', 'LOWER_UP'], '10.0.0.3') }],
    ['its kernel says nothing', { addresses: '' }],
  ] as const)
    it(`proves nothing, whatever dropped the probe, where ${what}`, async () => {
      expect(await targetControl(lost('b', 'filtered'), over)).to.deep.equal({
        held: false,
        seen: 'silence',
        followed: 0,
      });
    });
});

describe('A way on which nothing is heard of the target', () => {
  /** What the way from guest to db is worth, where the probe comes in at db or does not, and following it says `told`. */
  async function wayControl(
    arrives: boolean,
    told: Diagnosis | null,
    leftMs = 30_000,
    pings = false,
  ): Promise<Control> {
    const nothing = { exitCode: 1, stdout: '1 packets transmitted, 0 received, 100% packet loss, time 0ms\n' };
    const { context } = fakeLab({
      segments: { left: '10.1.0.0/24', right: '10.2.0.0/24' },
      hosts: {
        guest: { on: { left: '10.1.0.10' }, gateway: '10.1.0.1' },
        router: { on: { left: '10.1.0.1', right: '10.2.0.1' } },
        db: { on: { right: '10.2.0.10' }, gateway: '10.2.0.1' },
      },
      said: [
        { at: 'router', tool: 'nft', says: 'table ip n {\n\tchain c {\n\t\ttcp dport 80 dnat to 10.2.0.99\n' },
        ...(pings ? [] : [{ at: 'guest', tool: 'ping', says: nothing }]),
        { at: 'guest', tool: 'perl', says: 'silent' },
        ...(arrives ? [] : [{ tool: 'perl', when: ({ argv }: Asked) => argv[2] === 'arrive', says: 'ready\n' }]),
      ],
      timeLeftMs: leftMs,
    });
    const source = await resolveVantage(context, { kind: 'host', host: 'guest' });
    if (isVantageProblem(source)) throw new Error(source.reason);
    const target = await resolveTarget(context, source, { kind: 'host', host: 'db' });
    if ('problem' in target) throw new Error(target.reason);
    const controls = await networkControls({
      context,
      source,
      target,
      cause: 'timeout',
      answeredBy: null,
      path: {
        route: { dev: 'eth0', gateway: '10.1.0.1', source: '10.1.0.10', local: false },
        neighbour: ['REACHABLE'],
        nextHop: '10.1.0.1',
        link: { name: 'eth0', up: true, carrier: true },
      },
      author: null,
      service: { proto: 'tcp', port: 80 },
      send: async (from: Vantage) =>
        from.label === 'guest'
          ? { saw: 'failure', cause: 'timeout', text: 'silence' }
          : { saw: 'success', text: 'it is open' },
      followed: async () => told,
    });
    return controls.at(-1)!;
  }
  const by = (rule: string | null): Diagnosis => ({
    ...lost('router', 'filtered'),
    ...(rule === null ? {} : { rule }),
  });

  for (const rule of [
    'ip saddr @bad drop',
    'iifname "eth0" oifname "eth1" drop',
    'tcp dport 9090 reject with tcp reset',
    '-s 10.1.0.10 -j DROP',
  ])
    it(`is shown by the rule of the router that dropped the very probe: ${rule}`, async () => {
      expect(await wayControl(false, by(rule))).to.include({ held: true, seen: by(rule).sentence });
    });

  for (const rule of [null, 'drop', 'reject with icmp port-unreachable', 'log prefix "no " drop', '-j DROP'])
    it(`is not shown by what drops everything: ${rule ?? 'a policy'}`, async () => {
      const { held, seen } = await wayControl(false, by(rule));
      expect({ held, seen }).to.deep.include({ held: false });
      expect(seen).to.match(/nothing shows that the gateway 10\.1\.0\.1 \(router\) carries anything/);
    });

  it('is not shown by the rule of somebody else than the router', async () => {
    expect(await wayControl(false, { ...lost('db', 'filtered'), rule: '-s 10.1.0.10 -j DROP' })).to.include({
      held: false,
    });
  });

  for (const cause of ['no-way-back', 'route-refuses', 'neighbour-silent', 'nat-wrong', 'forwarding-off'] as const)
    it(`is broken where the probe was lost for ${cause}, wherever it came to`, async () => {
      const told = { ...lost('router', cause), sentence: `router says ${cause}` };
      for (const arrives of [true, false]) {
        const { held, seen } = await wayControl(arrives, told);
        expect({ arrives, held }).to.deep.equal({ arrives, held: false });
        expect(seen).to.include(`router says ${cause}`);
      }
    });

  for (const told of [null, lost('db', null), lost('db', 'filtered'), lost('db', 'rp-filter')])
    it(`is shown by the probe that comes in, where following it says ${told?.rootCause ?? 'nothing'}`, async () => {
      expect(await wayControl(true, told)).to.include({ held: true, seen: 'the probe comes in at db' });
    });

  it('is broken where the target answers otherwise and the probe is translated to nobody', async () => {
    const told = { ...lost('router', 'nat-wrong'), sentence: 'router translates it to 10.2.0.99, which nobody has' };
    const { held, seen } = await wayControl(true, told, 30_000, true);
    expect(held).to.equal(false);
    expect(seen).to.match(/db .*answers pings, but router translates it to 10\.2\.0\.99/);
    expect(await wayControl(true, lost('db', 'filtered'), 30_000, true)).to.include({ held: true });
  });

  it('is not followed where there is no time for it', async () => {
    expect(await wayControl(true, lost('router', 'no-way-back'), 5000)).to.include({ held: true });
  });
});
