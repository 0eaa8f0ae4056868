import { z } from 'zod';
import { parseCidr } from '../model/cidr.js';
import { zCidr, zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { bgpNeighbours, bgpPaths } from '../facts/frr.js';
import type { BgpNeighbour, BgpPath } from '../facts/frr.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { aloneWhenAbsent, claims, zCount } from '../judging/claims.js';
import { judgeEachEntry, judgeEntries, noneWillDo } from '../judging/entries.js';
import { describeWanted } from '../judging/finding.js';
import { absent, zMatcher } from '../judging/match.js';
import { inconclusive } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck, looksOnly } from './kind.js';
import { addressesMeant, neighbourUse, samePrefix, silence, wrongClaims, zNeighbour } from './routing-daemon.js';

const neighbourClaims = ['state', 'as', 'received', 'sent'] as const;
const routeClaims = ['via', 'path', 'from', 'origin', 'local-preference', 'metric', 'weight'] as const;

const zSpec = z
  .strictObject({
    on: zEndpoint.describe(
      'Whose BGP: a host on which FRR runs, a container with an FRR of its own, or a network namespace by whose name FRR was started (`-N`).',
    ),
    neighbour: zNeighbour.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('Neighbours: IP version of the routes that are exchanged with them; 4 by default.'),
    route: zCidr.optional().describe('A prefix in BGP’s own table, in place of neighbours.'),
    expect: claims({
      absent: z.literal(true).optional().describe('There is no such neighbour, or no path to the prefix.'),
      count: zCount
        .optional()
        .describe('How many such neighbours, or paths to the prefix; at least one where left out.'),
      state: zMatcher
        .optional()
        .describe(
          'Neighbours, each of them: Idle, Connect, Active, OpenSent, OpenConfirm or Established (RFC 4271); Established where left out.',
        ),
      as: zMatcher.optional().describe('Neighbours, each of them: their AS number.'),
      received: zCount
        .optional()
        .describe('Neighbours, each of them: how many prefixes came from them and were accepted.'),
      sent: zCount.optional().describe('Neighbours, each of them: how many prefixes were sent to them.'),
      via: zMatcher.optional().describe('Best path: the list of its next hops.'),
      path: zMatcher
        .optional()
        .describe('Best path: AS numbers, the nearest first: `[65002, 65003]`; `[]` where the prefix is of this AS.'),
      from: zMatcher
        .optional()
        .describe('Best path: address of the neighbour it came from; `{ absent: true }` for one of its own.'),
      origin: zMatcher.optional().describe('Best path: IGP, EGP or incomplete.'),
      'local-preference': zMatcher.optional().describe('Best path: local preference.'),
      metric: zMatcher.optional().describe('Best path: multi-exit discriminator.'),
      weight: zMatcher.optional().describe('Best path: weight.'),
    })
      .check(aloneWhenAbsent)
      .default({})
      .describe('What they must be. Where left out, there is one at least; neighbours are Established, each of them.'),
  })
  .check((check) => {
    const { neighbour, family, route, expect } = check.value;
    if (route !== undefined && (neighbour !== undefined || family !== undefined))
      check.issues.push({
        code: 'custom',
        input: route,
        path: ['route'],
        continue: true,
        message: 'does not go with neighbour or family: a check is about neighbours or about a route',
      });
    check.issues.push(...wrongClaims(expect, route === undefined ? routeClaims : neighbourClaims, route !== undefined));
  });
type Spec = z.output<typeof zSpec>;

const showNeighbour = ({ address, as, state, received }: BgpNeighbour): string =>
  `${address} of AS ${as}, ${state}, ${received} prefixes received`;

const showPath = ({ prefix, via, path, best, multipath }: BgpPath): string =>
  `${prefix} via ${via.join(' and ') || 'nothing'}, path ${path.join(' ') || 'empty'}${best ? ', best' : multipath ? ', used, too' : ''}`;

async function judgeRoute(spec: Spec, route: string, context: ProbeContext, place: Vantage): Promise<Outcome> {
  const { absent: none, count, state: _state, as: _as, received: _received, sent: _sent, ...wanted } = spec.expect;
  const answer = await bgpPaths(context, place, parseCidr(route)!.family);
  if (!('facts' in answer)) return silence(answer, noneWillDo(spec.expect) ? null : describe(spec));
  const all = answer.facts.filter(({ prefix }) => samePrefix(prefix, route));
  const question = {
    what: `path to ${route} in BGP on ${spec.on}`,
    listed: answer.facts.length,
    show: showPath,
    valuesOf: (one: BgpPath) => ({ ...one, from: one.from ?? absent }),
    near: `it has ${[...new Set(answer.facts.map(({ prefix }) => prefix))].join(', ') || 'no prefix at all'}`,
  };
  const counted = judgeEntries({ ...question, found: all, expect: { absent: none, count }, wanted: {} });
  if (none || counted.verdict !== 'pass' || all.length === 0) return counted;
  return judgeEntries({
    ...question,
    what: `best path to ${route} in BGP on ${spec.on}`,
    found: all.filter(({ best, multipath }) => best || multipath),
    expect: {},
    wanted,
    near: `it has, as none that it uses, ${all.map(showPath).join('; ')}`,
  });
}

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const place = await placeAt(context, spec.on);
  if ('verdict' in place) return place;
  if (spec.route !== undefined) return judgeRoute(spec, spec.route, context, place);
  const { absent: none, count, state, as, received, sent } = spec.expect;
  const answer = await bgpNeighbours(context, place, spec.family ?? 4);
  if (!('facts' in answer)) return silence(answer, noneWillDo(spec.expect) ? null : describe(spec));
  const meant = spec.neighbour === undefined ? null : await addressesMeant(context, spec.neighbour);
  if (meant !== null && 'unknown' in meant) return inconclusive(meant.unknown);
  return judgeEachEntry({
    what: `${spec.neighbour === undefined ? 'neighbour' : `neighbour ${spec.neighbour}`} of BGP on ${spec.on}`,
    found: answer.facts.filter(({ address }) => meant === null || meant.includes(address)),
    listed: answer.facts.length,
    show: showNeighbour,
    valuesOf: (one) => ({ ...one, sent: one.sent ?? absent }),
    expect: { absent: none, count },
    wanted: { state: state ?? 'Established', as, received, sent },
    near: `it has ${answer.facts.map(showNeighbour).join('; ') || 'no neighbour'}`,
  });
}

function describe({ on, neighbour, route, expect }: Spec): string {
  const { absent: none, count, ...wanted } = expect;
  const what =
    route === undefined
      ? neighbour === undefined
        ? 'neighbours'
        : `the neighbour ${neighbour}`
      : `a path to ${route}`;
  if (none) return `BGP on ${on} does not have ${what}`;
  const claimed = describeWanted({ count, ...(route === undefined ? { state: 'Established', ...wanted } : wanted) });
  return `BGP on ${on} has ${what}${claimed.map((part) => `, ${part}`).join('')}`;
}

export const bgpCheck = defineCheck<Spec>({
  name: 'bgp',
  summary: 'BGP of FRR has its neighbours, and has learned a prefix: asked of bgpd by vtysh, in its JSON.',
  example: `- check: the way to the office leads through AS 65002
  bgp: { on: r1, route: 10.9.0.0/24, expect: { via: [10.0.12.2], path: [65002, 65003] } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 15_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }, ...neighbourUse(spec.neighbour)],
  describe,
  run,
});
