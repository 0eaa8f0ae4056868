import { z } from 'zod';
import { diagnose } from '../diagnosis/diagnose.js';
import { zDuration, zEndpoint, zInterfaceName } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { discoverDhcp } from '../probes/dhcp-discover.js';
import type { DhcpOffer } from '../probes/dhcp-discover.js';
import type { ProbeContext } from '../places/context.js';
import { aloneWhenAbsent, claims, zCount } from '../judging/claims.js';
import { judgeEachEntry, noneWillDo } from '../judging/entries.js';
import { describeWanted } from '../judging/finding.js';
import { absent, zMatcher } from '../judging/match.js';
import { fail, inconclusive, withDiagnosis } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck, looksOnly } from './kind.js';

const zSpec = z.strictObject({
  from: zEndpoint.describe('Who asks: a host, a container or a network namespace.'),
  interface: zInterfaceName.default('eth0').describe('On which of its interfaces; eth0 by default.'),
  wait: zDuration
    .default(5000)
    .describe('How long to wait for the first offer; 5 s by default. Others are collected for a second more.'),
  expect: claims({
    absent: z.literal(true).optional().describe('Nobody offers an address.'),
    count: zCount.optional().describe('How many servers make an offer; at least one where left out.'),
    server: zMatcher.optional().describe('The server identifier: the address by which a server calls itself.'),
    relay: zMatcher
      .optional()
      .describe('The relay agent that passed the question on; `{ absent: true }`: the server is on the segment.'),
    address: zMatcher.optional().describe('The address that is offered.'),
    mask: zMatcher.optional().describe('Subnet mask: 255.255.255.0.'),
    router: zMatcher.optional().describe('Default gateways, a list.'),
    dns: zMatcher.optional().describe('Name servers, a list.'),
    domain: zMatcher.optional().describe('Domain.'),
    lease: zMatcher.optional().describe('How long the address may be used, in seconds.'),
    mtu: zMatcher.optional().describe('MTU of the interface.'),
  })
    .check(aloneWhenAbsent)
    .default({})
    .describe('What each of the offers must be; left out, that there is one.'),
});
type Spec = z.output<typeof zSpec>;

const show = ({ server, address, lease, relay }: DhcpOffer): string =>
  `${server}${relay === null ? '' : `, by the relay ${relay},`} offers ${address}${lease === null ? '' : ` for ${lease} s`}`;

/** A server that hears a question twice, or by two ways, answers twice. */
function firstOfEach(offers: readonly DhcpOffer[]): DhcpOffer[] {
  return offers.filter((one, at) => offers.findIndex(({ server }) => server === one.server) === at);
}

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const place = await placeAt(context, spec.from);
  if ('verdict' in place) return place;
  const answer = await discoverDhcp(context, place, spec.interface, spec.wait);
  if ('unknown' in answer) return inconclusive(answer.unknown);
  const offers = firstOfEach(answer.offers);
  const { absent: none, count, ...wanted } = spec.expect;
  const what = `DHCP offer to ${spec.from} on ${spec.interface}`;
  if (offers.length === 0 && !noneWillDo(spec.expect)) {
    const failed = fail('no-answer', `nobody makes a ${what}`, { expected: describe(spec), actual: 'no offer' });
    return withDiagnosis(failed, await diagnose(context, { source: place, device: spec.interface }));
  }
  const outcome = judgeEachEntry({
    what,
    found: offers,
    listed: offers.length,
    show,
    valuesOf: (offer) => ({
      ...offer,
      relay: offer.relay ?? absent,
      mask: offer.mask ?? absent,
      domain: offer.domain ?? absent,
      lease: offer.lease ?? absent,
      mtu: offer.mtu ?? absent,
    }),
    expect: { absent: none, count },
    wanted,
  });
  if (offers.length === 0 && outcome.verdict === 'pass')
    return {
      ...outcome,
      reason: `nobody makes a ${what}`,
      controls: [
        { title: `${spec.from} sends a question by ${spec.interface}`, held: true, seen: 'it is up and has a carrier' },
      ],
    };
  const [first] = offers;
  return first === undefined
    ? outcome
    : { ...outcome, measures: [{ name: 'offer', value: Math.round(first.ms * 10) / 10, unit: 'ms' }] };
}

function describe({ from, interface: device, expect }: Spec): string {
  const { absent: none, ...wanted } = expect;
  if (none) return `nobody offers ${from} an address on ${device}`;
  return `${from} is offered an address on ${device}${describeWanted(wanted)
    .map((part) => `, ${part}`)
    .join('')}`;
}

export const dhcpCheck = defineCheck<Spec>({
  name: 'dhcp',
  summary:
    'Asked as a client asks (DHCPDISCOVER, which takes no lease), DHCP servers offer an address with the options expected, or nobody does.',
  example: `- check: the server of the building makes an offer, and nobody else does
  dhcp: { from: client, expect: { count: 1, server: 10.0.0.5, address: { in-subnet: 10.1.0.0/24 } } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.from, path: ['from'], role: 'vantage' }],
  describe,
  run,
});
