import { z } from 'zod';
import { zCidr, zEndpoint, zInterfaceName } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { ospfNeighbours, ospfRoutes } from '../facts/frr.js';
import type { OspfNeighbour, OspfRoute } from '../facts/frr.js';
import type { ProbeContext } from '../places/context.js';
import { aloneWhenAbsent, claims, zCount } from '../judging/claims.js';
import { judgeEachEntry, judgeEntries, noneWillDo } from '../judging/entries.js';
import { describeWanted } from '../judging/finding.js';
import { absent, zMatcher } from '../judging/match.js';
import { inconclusive } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck, looksOnly } from './kind.js';
import { addressesMeant, neighbourUse, samePrefix, silence, wrongClaims, zNeighbour } from './routing-daemon.js';

const neighbourClaims = ['state', 'role'] as const;
const routeClaims = ['via', 'dev', 'cost', 'type', 'area'] as const;

const zSpec = z
  .strictObject({
    on: zEndpoint.describe(
      'Whose OSPF: a host on which FRR runs, a container with an FRR of its own, or a network namespace by whose name FRR was started (`-N`).',
    ),
    neighbour: zNeighbour.optional(),
    interface: zInterfaceName.optional().describe('Only neighbours on this interface.'),
    route: zCidr.optional().describe('A destination in OSPF’s own routing table, in place of neighbours.'),
    expect: claims({
      absent: z.literal(true).optional().describe('There is no such neighbour, or no such route.'),
      count: zCount
        .optional()
        .describe('How many such neighbours, or next hops of the route; at least one where left out.'),
      state: zMatcher
        .optional()
        .describe(
          'Neighbours, each of them: Down, Init, 2-Way, ExStart, Exchange, Loading or Full (RFC 2328); Full where left out.',
        ),
      role: zMatcher
        .optional()
        .describe(
          'Neighbours, each of them: what they are on the segment, DR, Backup or DROther; `-` on a point-to-point link.',
        ),
      via: zMatcher.optional().describe('Route: next hop; `{ absent: true }` for a segment of its own.'),
      dev: zMatcher.optional().describe('Route: interface.'),
      cost: zMatcher.optional().describe('Route: its cost.'),
      type: zMatcher
        .optional()
        .describe('Route: `N` within the area, `N IA` from another one, `N E1` or `N E2` from outside.'),
      area: zMatcher.optional().describe('Route: the area, such as 0.0.0.0.'),
    })
      .check(aloneWhenAbsent)
      .default({})
      .describe('What they must be. Where left out, there is one at least; neighbours are Full, each of them.'),
  })
  .check((check) => {
    const { neighbour, interface: device, route, expect } = check.value;
    if (route !== undefined && (neighbour !== undefined || device !== undefined))
      check.issues.push({
        code: 'custom',
        input: route,
        path: ['route'],
        continue: true,
        message: 'does not go with neighbour or interface: a check is about neighbours or about a route',
      });
    check.issues.push(...wrongClaims(expect, route === undefined ? routeClaims : neighbourClaims, route !== undefined));
  });
type Spec = z.output<typeof zSpec>;

const showNeighbour = ({ routerId, address, interface: device, state, role }: OspfNeighbour): string =>
  `${routerId} at ${address} on ${device}, ${state}${role === '-' ? '' : `, ${role}`}`;

const showRoute = ({ to, type, cost, via, dev }: OspfRoute): string =>
  `${to} ${via === null ? 'without next hop' : `via ${via}`}${dev === null ? '' : ` dev ${dev}`}, ${type}${cost === null ? '' : `, cost ${cost}`}`;

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const place = await placeAt(context, spec.on);
  if ('verdict' in place) return place;
  const { absent: none, count, state, role, ...route } = spec.expect;
  const expected = noneWillDo(spec.expect) ? null : describe(spec);
  if (spec.route !== undefined) {
    const answer = await ospfRoutes(context, place);
    if (!('facts' in answer)) return silence(answer, expected);
    return judgeEntries({
      what: `route to ${spec.route} of OSPF on ${spec.on}`,
      found: answer.facts.filter(({ to }) => samePrefix(to, spec.route!)),
      listed: answer.facts.length,
      show: showRoute,
      valuesOf: ({ via, dev, cost, type, area }) => ({ via: via ?? absent, dev: dev ?? absent, cost, type, area }),
      expect: { absent: none, count },
      wanted: route,
      near: `it has ${answer.facts.map(({ to }) => to).join(', ') || 'no route at all'}`,
    });
  }
  const answer = await ospfNeighbours(context, place);
  if (!('facts' in answer)) return silence(answer, expected);
  const meant = spec.neighbour === undefined ? null : await addressesMeant(context, spec.neighbour);
  if (meant !== null && 'unknown' in meant) return inconclusive(meant.unknown);
  return judgeEachEntry({
    what: `${spec.neighbour === undefined ? 'neighbour' : `neighbour ${spec.neighbour}`} of OSPF on ${spec.on}`,
    found: answer.facts.filter(
      (one) =>
        (meant === null || meant.some((address) => [one.routerId, one.address].includes(address))) &&
        (spec.interface === undefined || one.interface === spec.interface),
    ),
    listed: answer.facts.length,
    show: showNeighbour,
    valuesOf: (one) => ({ state: one.state, role: one.role }),
    expect: { absent: none, count },
    wanted: { state: state ?? 'Full', role },
    near: `it has ${answer.facts.map(showNeighbour).join('; ') || 'no neighbour'}`,
  });
}

function describe({ on, neighbour, interface: device, route, expect }: Spec): string {
  const { absent: none, count, ...wanted } = expect;
  const what =
    route === undefined
      ? `${neighbour === undefined ? 'neighbours' : `the neighbour ${neighbour}`}${device === undefined ? '' : ` on ${device}`}`
      : `a route to ${route}`;
  if (none) return `OSPF on ${on} does not have ${what}`;
  const claimed = describeWanted({ count, ...(route === undefined ? { state: 'Full', ...wanted } : wanted) });
  return `OSPF on ${on} has ${what}${claimed.map((part) => `, ${part}`).join('')}`;
}

export const ospfCheck = defineCheck<Spec>({
  name: 'ospf',
  summary: 'OSPF of FRR has its neighbours, and has learned a route: asked of ospfd by vtysh, in its JSON.',
  example: `- check: r1 and r2 hold the same map of the network
  ospf: { on: r1, neighbour: r2, expect: { state: Full } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 15_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }, ...neighbourUse(spec.neighbour)],
  describe,
  run,
});
