import { z } from 'zod';
import { zAddress, zEndpoint, zInterfaceName } from '../language/fields.js';
import { canonicalAddress, familyOf } from '../model/cidr.js';
import type { Outcome } from '../model/verdict.js';
import { askIp } from '../facts/answer.js';
import { hardwareAddressesOf } from '../facts/link-owner.js';
import { claims } from '../judging/claims.js';
import { listLinks } from '../facts/links.js';
import { judgeEntries } from '../judging/entries.js';
import { describeWanted } from '../judging/finding.js';
import { zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { inconclusive } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck, looksOnly } from './kind.js';

const zSpec = z.strictObject({
  on: zEndpoint.describe('Whose neighbour table: that of a host, a container or a network namespace.'),
  address: zAddress.describe('The neighbour’s address, IPv4 (ARP) or IPv6 (neighbour discovery).'),
  interface: zInterfaceName.optional().describe('Only entries of this interface.'),
  expect: claims({
    absent: z
      .literal(true)
      .optional()
      .describe('No hardware address is known for it: there is no entry, or only one that has failed.'),
    mac: zMatcher.optional().describe('The hardware address, in lower case.'),
    'mac-of': zEndpoint
      .optional()
      .describe('The hardware address is that of an interface of this host, container or network namespace.'),
    state: zMatcher
      .optional()
      .describe('REACHABLE, STALE, DELAY, PROBE, PERMANENT, NOARP, INCOMPLETE or FAILED (ip-neighbour(8)).'),
  })
    .check((check) => {
      if (check.value.absent && Object.keys(check.value).length > 1)
        check.issues.push({
          code: 'custom',
          input: check.value,
          path: ['absent'],
          continue: true,
          message: 'an entry that is absent has no properties',
        });
    })
    .default({})
    .describe('Properties of the entry; left out, a hardware address must be known.'),
});
type Spec = z.output<typeof zSpec>;

const zEntry = z.looseObject({
  dst: z.string(),
  dev: z.string(),
  lladdr: z.string().optional(),
  state: z.array(z.string()).default([]),
});
type Entry = z.output<typeof zEntry>;

const show = ({ dst, dev, lladdr, state }: Entry): string =>
  `${dst} on ${dev} ${lladdr === undefined ? 'without a hardware address' : `at ${lladdr}`}, ${state.join(' ') || 'no state'}`;

async function run(spec: Spec, context: Parameters<typeof placeAt>[0]): Promise<Outcome> {
  const place = await placeAt(context, spec.on);
  if ('verdict' in place) return place;
  const answer = await askIp(context, place, ['neigh', 'show', 'nud', 'all'], zEntry);
  if ('unknown' in answer) return inconclusive(answer.unknown);
  if ('refusal' in answer)
    return inconclusive(`the neighbours of ${place.label} could not be listed: ${answer.refusal}`);
  const { absent, 'mac-of': owner, mac, state } = spec.expect;
  if (absent && spec.interface !== undefined) {
    // "No neighbour on an interface that is not there" would be true of every misspelt name.
    const links = await listLinks(context, place);
    if ('unknown' in links) return inconclusive(links.unknown);
    const names = links.map(({ ifname }) => ifname);
    if (!names.includes(spec.interface))
      return inconclusive(`${place.label} has no interface ${spec.interface}; it has ${names.join(', ')}`);
  }
  let ofOwner: Matcher | undefined;
  if (owner !== undefined) {
    const macs = await hardwareAddressesOf(context, owner);
    if ('unknown' in macs) return inconclusive(macs.unknown);
    ofOwner = { 'one-of': macs };
  }
  const wanted = canonicalAddress(spec.address);
  const of = answer.items.filter(
    ({ dst, dev }) =>
      familyOf(dst) !== 0 &&
      canonicalAddress(dst) === wanted &&
      (spec.interface === undefined || dev === spec.interface),
  );
  // Whoever asks for a state means entries of any state; else only one with a hardware address says anything.
  const found = state === undefined ? of.filter(({ lladdr }) => lladdr !== undefined) : of;
  return judgeEntries({
    what: `neighbour entry for ${spec.address} on ${spec.on}`,
    found,
    listed: answer.items.length,
    show,
    valuesOf: ({ lladdr, state: states }) => {
      const own = lladdr?.toLowerCase();
      return { mac: own, [`mac of ${owner}`]: own, state: states.join(' ') };
    },
    expect: { absent },
    wanted: { mac, [`mac of ${owner}`]: ofOwner, state },
    near: of.length > 0 ? of.map(show).join('; ') : `it has ${answer.items.length} neighbours`,
  });
}

export const neighbourCheck = defineCheck<Spec>({
  name: 'neighbour',
  summary: 'The neighbour table (ARP, IPv6 neighbour discovery) has, or does not have, an entry for an address.',
  example: `- check: the gateway's address leads to the router, and to nobody else
  neighbour: { on: client, address: 10.0.0.1, expect: { mac-of: router } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 15_000,
  endpoints: (spec) => [
    { endpoint: spec.on, path: ['on'], role: 'vantage' },
    ...(spec.expect['mac-of'] === undefined
      ? []
      : [{ endpoint: spec.expect['mac-of'], path: ['expect', 'mac-of'], role: 'vantage' as const }]),
  ],
  describe: ({ on, address, expect: { absent, 'mac-of': owner, mac, state } }) =>
    absent
      ? `${on} knows no neighbour ${address}`
      : `${on} knows the neighbour ${address}${[...(owner === undefined ? [] : [`as ${owner}`]), ...describeWanted({ mac, state })].map((part) => `, ${part}`).join('')}`,
  run,
});
