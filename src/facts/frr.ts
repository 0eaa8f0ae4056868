import { z } from 'zod';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { lastLine, whyNoAnswer } from './answer.js';

/** Daemons of FRR that checks ask. */
export type FrrDaemon = 'bgpd' | 'ospfd';

/** What a daemon said; `silent`: it does not run there; `unknown`: nothing can be said. */
export type FrrAnswer<Facts> = { facts: Facts } | { silent: string } | { unknown: string };

const answerBytes = 8 << 20;

/** vtysh reaches its daemons by sockets in /run/frr: in a container by its own vtysh, in a named namespace by FRR's `-N`. */
function vtyshAt(place: Vantage, words: readonly string[]): string[] {
  const { endpoint } = place;
  if (endpoint.kind === 'container') return ['docker', 'exec', endpoint.container, 'vtysh', ...words];
  return endpoint.kind === 'netns' ? ['vtysh', '-N', endpoint.netns, ...words] : ['vtysh', ...words];
}

/**
 * Asks one FRR daemon by `vtysh -d DAEMON -c COMMAND`; the command ends with `json`. A stuck daemon keeps no other one's
 * answer back. vtysh ends with 1 where the daemon does not run, or knows no such command (seen with FRR 8.4, 10.3 and 10.7).
 */
async function askFrr<Facts>(
  context: ProbeContext,
  place: Vantage,
  daemon: FrrDaemon,
  command: string,
  schema: z.ZodType<Facts>,
): Promise<FrrAnswer<Facts>> {
  const result = await place.host.exec(vtyshAt(place, ['-d', daemon, '-c', command]), {
    timeoutMs: Math.min(context.timeLeftMs(), 10_000),
    signal: context.signal,
    keepBytes: answerBytes,
  });
  const unknown = (why: string): { unknown: string } => ({
    unknown: `${daemon} of ${place.label} gave no answer to “${command}”: ${why}`,
  });
  const why = whyNoAnswer('vtysh', result);
  if (why !== null) return unknown(why);
  if (result.exitCode !== 0) {
    const words = lastLine(result.stderr) || lastLine(result.stdout) || `exit status ${result.exitCode}`;
    return /^(?:\w+ is not running|Exiting: failed to connect to any daemons\.)$/.test(words)
      ? { silent: `${daemon} does not run on ${place.label}` }
      : unknown(words);
  }
  if (result.stdoutBytes > answerBytes) return unknown(`${result.stdoutBytes} bytes are more than is read`);
  let raw: unknown;
  try {
    raw = JSON.parse(result.stdout);
  } catch {
    return unknown(`that is no JSON: ${result.stdout.trim().slice(0, 120)}`);
  }
  const facts = schema.safeParse(raw);
  if (!facts.success) {
    const issue = facts.error.issues[0];
    return unknown(`its form is not known: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trimEnd());
  }
  return { facts: facts.data };
}

/** One neighbour of OSPF, on one interface. */
export interface OspfNeighbour {
  routerId: string;
  address: string;
  interface: string;
  /** RFC 2328, 10.1, in FRR's words: Down, Init, 2-Way, ExStart, Exchange, Loading, Full. */
  state: string;
  /** What the neighbour is on the segment: DR, Backup, DROther; `-` on a point-to-point link. */
  role: string;
}

const zOspfNeighbour = z.looseObject({
  // FRR 8.4 to 10.7 say nbrState; up to 8.3 it was state.
  nbrState: z.string().optional(),
  state: z.string().optional(),
  ifaceAddress: z.string().optional(),
  address: z.string().optional(),
  ifaceName: z.string(),
});

const zOspfNeighbours = z.looseObject({
  /** Missing where no OSPF is configured. */
  neighbors: z.record(z.string(), z.array(zOspfNeighbour)).optional(),
});

/** All neighbours that ospfd has on a place. */
export async function ospfNeighbours(context: ProbeContext, place: Vantage): Promise<FrrAnswer<OspfNeighbour[]>> {
  const answer = await askFrr(context, place, 'ospfd', 'show ip ospf neighbor json', zOspfNeighbours);
  if (!('facts' in answer)) return answer;
  const { neighbors } = answer.facts;
  if (neighbors === undefined) return { silent: `ospfd of ${place.label} has no OSPF configured` };
  const facts = Object.entries(neighbors).flatMap(([routerId, adjacencies]) =>
    adjacencies.map((one): OspfNeighbour => {
      const [state = '', role = '-'] = (one.nbrState ?? one.state ?? '').split('/');
      return {
        routerId,
        address: one.ifaceAddress ?? one.address ?? '',
        interface: one.ifaceName.split(':')[0]!,
        state,
        role,
      };
    }),
  );
  if (facts.some(({ state, address }) => state === '' || address === ''))
    return { unknown: `ospfd of ${place.label} lists neighbours in a form that is not known` };
  return { facts };
}

/** One way that OSPF has found to a destination. */
export interface OspfRoute {
  to: string;
  /** `N` within the area, `N IA` from another, `N E1` and `N E2` from outside; `R …` leads to a router. */
  type: string;
  cost: number | null;
  area: string | null;
  /** Next hop; `null` for a segment of its own. */
  via: string | null;
  dev: string | null;
}

const zOspfRoutes = z.record(
  z.string(),
  z.looseObject({
    routeType: z.string(),
    cost: z.number().optional(),
    area: z.string().optional(),
    nexthops: z
      .array(
        z.looseObject({
          ip: z.string().optional(),
          via: z.string().optional(),
          directlyAttachedTo: z.string().optional(),
        }),
      )
      .default([]),
  }),
);

/** OSPF's own routing table of a place, one entry per next hop. */
export async function ospfRoutes(context: ProbeContext, place: Vantage): Promise<FrrAnswer<OspfRoute[]>> {
  const answer = await askFrr(context, place, 'ospfd', 'show ip ospf route json', zOspfRoutes);
  if (!('facts' in answer)) return answer;
  return {
    facts: Object.entries(answer.facts).flatMap(([to, { routeType, cost, area, nexthops }]) =>
      nexthops.map(({ ip, via, directlyAttachedTo }) => ({
        to,
        type: routeType.trim(),
        cost: cost ?? null,
        area: area ?? null,
        via: ip === undefined || ip.trim() === '' ? null : ip,
        dev: via ?? directlyAttachedTo ?? null,
      })),
    ),
  };
}

export interface BgpNeighbour {
  address: string;
  /** Their AS number. */
  as: number;
  /** RFC 4271, 8.2.2: Idle, Connect, Active, OpenSent, OpenConfirm, Established; `Idle (Admin)` where it is shut down. */
  state: string;
  /** Prefixes that it sent and that were accepted. */
  received: number;
  /** Prefixes that were sent to it; `null` in versions that do not count them. */
  sent: number | null;
}

const zBgpSummary = z.looseObject({
  peers: z
    .record(
      z.string(),
      z.looseObject({
        remoteAs: z.number(),
        state: z.string(),
        pfxRcd: z.number().default(0),
        pfxSnt: z.number().optional(),
      }),
    )
    .optional(),
});

/** All neighbours that bgpd has on a place for one address family, configured or dynamic. */
export async function bgpNeighbours(
  context: ProbeContext,
  place: Vantage,
  family: 4 | 6,
): Promise<FrrAnswer<BgpNeighbour[]>> {
  const answer = await askFrr(context, place, 'bgpd', `show bgp ipv${family} unicast summary json`, zBgpSummary);
  if (!('facts' in answer)) return answer;
  const { peers } = answer.facts;
  if (peers === undefined) return { silent: `bgpd of ${place.label} has no neighbour configured for IPv${family}` };
  return {
    facts: Object.entries(peers).map(([address, { remoteAs, state, pfxRcd, pfxSnt }]) => ({
      address,
      as: remoteAs,
      state,
      received: pfxRcd,
      sent: pfxSnt ?? null,
    })),
  };
}

/** One path to a prefix that BGP knows. */
export interface BgpPath {
  prefix: string;
  best: boolean;
  /** Further paths that are used along with the best. */
  multipath: boolean;
  /** AS numbers from the nearest to the origin; sets and confederations as FRR writes them. */
  path: (number | string)[];
  /** Next hops; those that are not used stand there, too. */
  via: string[];
  /** The neighbour that it came from; `null` where it is of this router's own making. */
  from: string | null;
  origin: string | null;
  'local-preference': number | null;
  metric: number | null;
  weight: number | null;
}

const zBgpTable = z.looseObject({
  warning: z.string().optional(),
  routes: z
    .record(
      z.string(),
      z.array(
        z.looseObject({
          bestpath: z.boolean().optional(),
          multipath: z.boolean().optional(),
          path: z.string().default(''),
          peerId: z.string().optional(),
          origin: z.string().optional(),
          locPrf: z.number().optional(),
          metric: z.number().optional(),
          weight: z.number().optional(),
          nexthops: z.array(z.looseObject({ ip: z.string().optional() })).default([]),
        }),
      ),
    )
    .optional(),
});

/** BGP's own table of a place for one address family, one entry per path. */
export async function bgpPaths(context: ProbeContext, place: Vantage, family: 4 | 6): Promise<FrrAnswer<BgpPath[]>> {
  const answer = await askFrr(context, place, 'bgpd', `show bgp ipv${family} unicast json`, zBgpTable);
  if (!('facts' in answer)) return answer;
  const { warning, routes } = answer.facts;
  if (routes === undefined)
    return { silent: `bgpd of ${place.label} has no table for IPv${family}: ${warning ?? '?'}` };
  return {
    facts: Object.entries(routes).flatMap(([prefix, paths]) =>
      paths.map((one) => ({
        prefix,
        best: one.bestpath === true,
        multipath: one.multipath === true,
        path: one.path
          .split(' ')
          .filter((word) => word !== '')
          .map((word) => (/^\d+$/.test(word) ? Number(word) : word)),
        via: one.nexthops.flatMap(({ ip }) => (ip === undefined ? [] : [ip])),
        from: one.peerId === undefined || one.peerId === '(unspec)' ? null : one.peerId,
        origin: one.origin ?? null,
        'local-preference': one.locPrf ?? null,
        metric: one.metric ?? null,
        weight: one.weight ?? null,
      })),
    ),
  };
}
