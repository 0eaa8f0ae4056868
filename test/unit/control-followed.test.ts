import { expect } from 'chai';
import { networkControls } from '../../src/judging/control.js';
import type { Diagnosis, RootCause } from '../../src/model/verdict.js';
import { resolveTarget } from '../../src/probes/target.js';
import { isVantageProblem, resolveVantage, type Vantage } from '../../src/places/vantage.js';
import type { Service } from '../../src/judging/same-path.js';
import { fakeLab } from '../fakes/lab.js';

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
