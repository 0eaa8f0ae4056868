import { z } from 'zod';
import { canonicalAddress, familyOf, isAddress, networkAddress, parseCidr } from '../model/cidr.js';
import { zEndpoint } from '../language/fields.js';
import type { Cause } from '../model/verdict.js';
import { askIp } from '../facts/answer.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { claims } from '../judging/claims.js';
import { defineCheck, looksOnly } from './kind.js';
import { absent, describeMatcher, match, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('Whose routes: a host, a container or a network namespace.'),
    to: z
      .string()
      .refine(
        (text) => text === 'default' || parseCidr(text) !== null || isAddress(text),
        'must be default, a subnet such as 10.0.0.0/24, or an address',
      )
      .describe(
        'default or a subnet: that entry of the routing table. An address: the route that the kernel takes for it.',
      ),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('Which default route: 4 (the default) or 6.'),
    table: z
      .string()
      .regex(/^[\w-]+$/, 'must be the name or number of a routing table')
      .default('main')
      .describe('Routing table, for default and subnets.'),
    expect: claims({
      via: zMatcher.optional().describe('Next hop; { absent: true } for a destination on the link itself.'),
      dev: zMatcher.optional().describe('Interface.'),
      src: zMatcher.optional().describe('Preferred source address.'),
      metric: zMatcher.optional().describe('Metric.'),
      protocol: zMatcher.optional().describe('Who made the route: kernel, boot, static, dhcp, …'),
      scope: zMatcher.optional().describe('Scope: global, link, host.'),
      type: zMatcher
        .optional()
        .describe(
          'Type: blackhole, unreachable, prohibit, local, …; without it unicast, and for an address of its own also local.',
        ),
      absent: z
        .literal(true)
        .optional()
        .describe('There is no such route; for an address: the kernel has none for it.'),
    }).default({}),
  })
  .transform(({ on, expect, ...rest }) => ({ ...rest, of: on, ...expect }))
  .check((check) => {
    const { to, family, table } = check.value;
    if (family !== undefined && to !== 'default')
      check.issues.push({
        code: 'custom',
        input: family,
        path: ['family'],
        continue: true,
        message: 'goes with to: default only',
      });
    if (table !== 'main' && isAddress(to))
      check.issues.push({
        code: 'custom',
        input: table,
        path: ['table'],
        continue: true,
        message: 'does not go with an address: the kernel chooses the table',
      });
  });
type Spec = z.output<typeof zSpec>;

const zHop = z.looseObject({
  gateway: z.string().optional(),
  via: z.looseObject({ host: z.string() }).optional(),
  dev: z.string().optional(),
  flags: z.array(z.string()).optional(),
});
const zRoute = z.looseObject({
  type: z.string().optional(),
  dst: z.string().optional(),
  gateway: z.string().optional(),
  // A next hop of the other family (RFC 5549) stands here.
  via: z.looseObject({ host: z.string() }).optional(),
  dev: z.string().optional(),
  prefsrc: z.string().optional(),
  metric: z.number().optional(),
  protocol: z.string().optional(),
  scope: z.string().optional(),
  flags: z.array(z.string()).optional(),
  nexthops: z.array(zHop).optional(),
});
type Route = z.output<typeof zRoute>;

const matched = ['via', 'dev', 'src', 'metric', 'protocol', 'scope', 'type'] as const;
type Facts = Record<(typeof matched)[number], unknown> & { dead: boolean };

/** One entry per next hop. */
function factsOf(route: Route): Facts[] {
  const hops = route.nexthops ?? [route];
  return hops.map((hop) => ({
    via: hop.gateway ?? hop.via?.host ?? absent,
    dev: hop.dev ?? route.dev ?? absent,
    src: route.prefsrc ?? absent,
    metric: route.metric ?? absent,
    protocol: route.protocol ?? absent,
    scope: route.scope ?? absent,
    type: route.type ?? 'unicast',
    dead: [...(hop.flags ?? []), ...(route.flags ?? [])].includes('dead'),
  }));
}

function sameDestination(dst: string | undefined, to: string): boolean {
  if (dst === undefined) return false;
  if (to === 'default' || dst === 'default') return dst === to;
  const wanted = parseCidr(to);
  // iproute2 leaves out the prefix length of routes to a single host.
  const listed = parseCidr(dst) ?? (isAddress(dst) ? parseCidr(`${dst}/${familyOf(dst) === 4 ? 32 : 128}`) : null);
  return (
    wanted !== null &&
    listed !== null &&
    wanted.prefix === listed.prefix &&
    networkAddress(wanted) === networkAddress(listed)
  );
}

/** Addresses have many spellings: those of a matcher are brought to the one that the facts have. */
function normal(value: unknown): unknown {
  return typeof value === 'string' && isAddress(value) ? canonicalAddress(value) : value;
}

function meets(spec: Spec, facts: Facts): boolean {
  if (spec.type === undefined && facts.type !== 'unicast' && !(facts.type === 'local' && isAddress(spec.to)))
    return false;
  return matched.every((name) => {
    const matcher = spec[name];
    return matcher === undefined || match(normal(matcher) as Matcher, normal(facts[name])).ok;
  });
}

function show(facts: Facts): string {
  const word = (name: string, value: unknown): string => (value === absent ? '' : ` ${name} ${String(value)}`);
  return `${facts.type === 'unicast' ? '' : `${String(facts.type)} `}${`${word('via', facts.via)}${word('dev', facts.dev)}${word('src', facts.src)}`.trim() || 'without next hop'}${facts.dead ? ' (dead)' : ''}`;
}

const preference = ({ metric }: Facts): number => (typeof metric === 'number' ? metric : 0);

const metricOf = ({ metric }: Facts): string => (metric === absent ? '' : ` (metric ${String(metric)})`);

/** Routes of a table to one destination that the kernel takes before those that were found: of a lower metric. */
function preferredTo(found: readonly Facts[], routes: readonly Facts[]): Facts[] {
  const best = Math.min(...found.map(preference));
  return routes.filter((one) => !one.dead && preference(one) < best);
}

/** What is asked for, as a noun phrase that can follow "a" and "no". */
function wanted(spec: Spec): string {
  const parts = matched.flatMap((name) => {
    const matcher = spec[name];
    return matcher === undefined ? [] : [`${name} ${describeMatcher(matcher)}`];
  });
  return `route to ${spec.to}${parts.length === 0 ? '' : ` with ${parts.join(', ')}`}`;
}

/**
 * What the kernel answers to `ip route get` when it will not send there: strerror(3) of ENETUNREACH, EHOSTUNREACH, EACCES and
 * EINVAL, the last three from routes of the types unreachable, prohibit and blackhole.
 */
const refusals: Record<string, Cause> = {
  'Network is unreachable': 'no-route',
  'No route to host': 'host-unreachable',
  'Permission denied': 'prohibited',
  'Invalid argument': 'no-route',
};

export const routeCheck = defineCheck<Spec>({
  name: 'route',
  summary: 'A routing table has (or lacks) a route, or the kernel takes a certain route for an address.',
  example: `- check: the container's way out is the bridge
  route: { on: node1/web, to: default, expect: { via: 172.17.0.1, dev: eth0 } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.of, path: ['on'], role: 'vantage' }],
  describe: (spec) => `${spec.of} has ${spec.absent ? 'no' : 'a'} ${wanted(spec)}`,
  async run(spec, context) {
    const endpoint = parseEndpoint(spec.of, context.plan);
    if (!isVantage(endpoint)) return inconclusive(`${spec.of} is no host, container or network namespace of the lab`);
    const vantage = await resolveVantage(context, endpoint);
    if (isVantageProblem(vantage)) return inconclusive(vantage.reason);
    const lookup = isAddress(spec.to);
    const family = lookup ? familyOf(spec.to) : spec.to === 'default' ? (spec.family ?? 4) : parseCidr(spec.to)!.family;
    const args = [`-${family}`, '-d', 'route', ...(lookup ? ['get', spec.to] : ['show', 'table', spec.table])];
    const answer = await askIp(context, vantage, args, zRoute);
    if ('unknown' in answer) return inconclusive(answer.unknown);
    const expected = `a ${wanted(spec)}`;
    if ('refusal' in answer) {
      const cause = lookup ? refusals[answer.refusal] : undefined;
      if (cause === undefined)
        return inconclusive(`${spec.of} could not be asked for its route to ${spec.to}: ${answer.refusal}`);
      const reason = `the kernel of ${spec.of} has no way to ${spec.to}: ${answer.refusal}`;
      return spec.absent
        ? pass(reason, {
            controls: [{ title: `the kernel of ${spec.of} can be asked for routes`, held: true, seen: answer.refusal }],
          })
        : fail(cause, reason, { expected, actual: answer.refusal });
    }
    const routes = (
      lookup ? answer.items : answer.items.filter((route) => sameDestination(route.dst, spec.to))
    ).flatMap(factsOf);
    if (lookup && routes.length === 0)
      return inconclusive(`the kernel of ${spec.of} answered the question for its route to ${spec.to} with nothing`);
    const found = routes.filter((facts) => !facts.dead && meets(spec, facts));
    const all =
      answer.items.map((route) => `${route.dst ?? '?'} ${factsOf(route).map(show).join(' and ')}`).join('; ') || 'none';
    const seen =
      routes.length === 0 ? `none to ${spec.to}; table ${spec.table} holds: ${all}` : routes.map(show).join('; ');
    if (spec.absent) {
      if (found.length > 0)
        return fail(
          'present',
          `${spec.of} has a route to ${spec.to} that must not be there: ${found.map(show).join('; ')}`,
          { expected: `no ${wanted(spec)}`, actual: seen },
        );
      return pass(`${spec.of} has no ${wanted(spec)}; it has ${seen}`, {
        controls: [{ title: `the routes of ${spec.of} can be listed`, held: true, seen: all }],
      });
    }
    if (found.length > 0) {
      const first = spec.metric === undefined ? preferredTo(found, routes) : [];
      const but =
        first.length === 0
          ? ''
          : `; but its kernel prefers ${first.map((one) => `${show(one)}${metricOf(one)}`).join('; ')}`;
      return pass(`${spec.of} reaches ${spec.to} ${found.map(show).join('; ')}${but}`);
    }
    return fail(routes.length === 0 ? 'absent' : 'wrong-value', `${spec.of} has no ${wanted(spec)}; it has ${seen}`, {
      expected,
      actual: seen,
    });
  },
});
