import { z } from 'zod';
import { canonicalAddress, familyOf } from '../model/cidr.js';
import { quoteArgv } from '../ssh/quote.js';
import type { PartResult, ScriptPart } from '../places/script.js';

/** What the sender's kernel knows about the way to an address, asked right after a probe to it. */
export interface PathEvidence {
  route: { dev: string; gateway: string | null; source: string | null; local: boolean } | { refused: string } | null;
  /** State of the next hop in the neighbour table: `FAILED`, `INCOMPLETE`, `REACHABLE`, … `null`: no entry. */
  neighbour: string[] | null;
  /** The next hop's hardware address as the neighbour table has it, in lower case. */
  neighbourMac?: string | null;
  /** The first hop: the gateway, or the address itself on its own segment. */
  nextHop: string | null;
  link: { name: string; up: boolean; carrier: boolean } | null;
}

const zRoutes = z
  .array(
    z.object({
      type: z.string().optional(),
      dst: z.string().optional(),
      dev: z.string().optional(),
      gateway: z.string().optional(),
      prefsrc: z.string().optional(),
    }),
  )
  .min(1);
const zNeighbours = z.array(
  z.object({
    dst: z.string(),
    dev: z.string(),
    lladdr: z.string().optional(),
    state: z.array(z.string()).optional(),
  }),
);
const zLinks = z.array(z.object({ ifname: z.string(), flags: z.array(z.string()) }));

type Route = z.output<typeof zRoutes>[number];

/**
 * Script parts that gather the evidence, also after a probe that was answered: who the neighbour is tells whether the answer
 * came from the one that was meant.
 */
export function pathParts(address: string): ScriptPart[] {
  const family = familyOf(address) === 6 ? '-6' : '-4';
  return [
    { name: 'route', shell: quoteArgv(['ip', '-j', family, 'route', 'get', address]) },
    { name: 'neigh', shell: quoteArgv(['ip', '-j', family, 'neigh', 'show']), errors: 'apart' },
    { name: 'link', shell: quoteArgv(['ip', '-j', 'link', 'show']), errors: 'apart' },
  ];
}

/**
 * The same for many addresses of one family, by one process for all of it. Read by `readPaths`. What is refused comes after
 * all answers: among them it could stand in the middle of one, for `ip` writes only those through a buffer. With `own`, the
 * sender's own addresses of that family are asked for, too; read by `readOwnList`.
 */
export function manyPathParts(addresses: readonly string[], prefix: string, own = false): ScriptPart[] {
  const family = familyOf(addresses[0]!) === 6 ? '-6' : '-4';
  const routes = addresses.map((address) => `route get ${address}`);
  // `link` last: it changes what family `ip` takes the commands after it for.
  const lines = [...routes, ...(own ? ['addr show scope global'] : []), 'neigh show', 'link show'];
  return [
    {
      name: `${prefix}path`,
      shell: `{ e=$(ip -j ${family} -force -batch - 2>&1 >&3 <<'.'\n${lines.join('\n')}\n.\n) || :; } 3>&1; printf '\\n%s\\n' "$e"`,
    },
  ];
}

/**
 * What a list among other answers is of, by keys that only its kind has: most are routes, and to hold each against all three
 * shapes takes longer than all else.
 */
function kindOfList(list: readonly unknown[]): 'links' | 'neighbours' | 'route' {
  const some = (key: string): boolean =>
    list.some((one) => typeof one === 'object' && one !== null && (one as Record<string, unknown>)[key] !== undefined);
  if (some('ifname')) return 'links';
  return some('state') || some('lladdr') ? 'neighbours' : 'route';
}

/** The lists that `ip -j -batch` printed, each on a line of its own. */
function listsIn(output: string): unknown[][] {
  return output.split('\n').flatMap((line) => {
    const list = line.startsWith('[') ? json({ output: line, exitCode: 0 }) : null;
    return Array.isArray(list) && list.length > 0 ? [list as unknown[]] : [];
  });
}

/** The sender's own addresses as `ip -j addr` lists them; `null` where none are listed, which may also be for want of an answer. */
export function readOwnList(parts: ReadonlyMap<string, PartResult>, prefix: string): readonly unknown[] | null {
  const lines = (parts.get(`${prefix}path`)?.output ?? '').split('\n');
  const listed = lines.find((line) => line.startsWith('[') && line.includes('"addr_info":'));
  return listed === undefined ? null : (listsIn(listed)[0] ?? null);
}

/** The evidence for each address: `ip -batch` prints a list for each route that there is, and for the others the kernel's refusal. */
export function readPaths(
  parts: ReadonlyMap<string, PartResult>,
  addresses: readonly string[],
  prefix: string,
): Map<string, PathEvidence | null> {
  const output = parts.get(`${prefix}path`)?.output ?? '';
  const refusal = /^RTNETLINK answers: (.*)$/m.exec(output)?.[1];
  const routes = new Map<string, Route>();
  const around: Surroundings = { neighbours: new Map(), links: new Map() };
  for (const list of listsIn(output)) {
    const kind = kindOfList(list);
    if (kind === 'links') around.links = linksByName(zLinks.safeParse(list).data ?? []);
    else if (kind === 'neighbours') around.neighbours = neighboursByHop(zNeighbours.safeParse(list).data ?? []);
    else {
      const route = zRoutes.safeParse(list).data?.[0];
      if (route?.dst !== undefined && familyOf(route.dst) !== 0) routes.set(canonicalAddress(route.dst), route);
    }
  }
  return new Map(
    addresses.map((address) => {
      const route = routes.get(canonicalAddress(address));
      if (route) return [address, pathBy(route, address, around)];
      return [address, refusal === undefined ? null : refused(refusal)];
    }),
  );
}

function json(part: PartResult | undefined): unknown {
  if (!part || part.exitCode !== 0) return null;
  try {
    return JSON.parse(part.output.trim() === '' ? '[]' : part.output);
  } catch {
    return null;
  }
}

/** What a kernel says of all its neighbours and links. */
interface Surroundings {
  /** By `hopKey`; the first of several. */
  neighbours: Map<string, z.output<typeof zNeighbours>[number]>;
  links: Map<string, z.output<typeof zLinks>[number]>;
}

const hopKey = (dev: string, address: string): string => `${dev} ${canonicalAddress(address)}`;

function neighboursByHop(all: z.output<typeof zNeighbours>): Surroundings['neighbours'] {
  const valid = all.filter(({ dst }) => familyOf(dst) !== 0);
  return new Map(valid.toReversed().map((entry) => [hopKey(entry.dev, entry.dst), entry]));
}

function linksByName(all: z.output<typeof zLinks>): Surroundings['links'] {
  return new Map(all.map((link) => [link.ifname, link]));
}

function refused(words: string): PathEvidence {
  return { route: { refused: words }, neighbour: null, nextHop: null, link: null };
}

function pathBy(route: Route, address: string, { neighbours, links }: Surroundings): PathEvidence | null {
  if (!route.dev) return null;
  const nextHop = canonicalAddress(route.gateway ?? address);
  const entry = neighbours.get(hopKey(route.dev, nextHop));
  const link = links.get(route.dev);
  return {
    route: {
      dev: route.dev,
      gateway: route.gateway ?? null,
      source: route.prefsrc ?? null,
      local: route.type === 'local',
    },
    neighbour: entry ? (entry.state ?? []) : null,
    neighbourMac: entry?.lladdr?.toLowerCase() ?? null,
    nextHop,
    link: link
      ? { name: link.ifname, up: link.flags.includes('UP'), carrier: !link.flags.includes('NO-CARRIER') }
      : null,
  };
}

export function readPath(parts: ReadonlyMap<string, PartResult>, address: string): PathEvidence | null {
  const asked = parts.get('route');
  if (!asked || (asked.exitCode === 0 && asked.output.trim() === '')) return null;
  if (asked.exitCode !== 0) return refused(asked.output.trim().replace(/^RTNETLINK answers: /, ''));
  const routes = zRoutes.safeParse(json(asked));
  if (!routes.success) return null;
  return pathBy(routes.data[0]!, address, {
    neighbours: neighboursByHop(zNeighbours.safeParse(json(parts.get('neigh'))).data ?? []),
    links: linksByName(zLinks.safeParse(json(parts.get('link'))).data ?? []),
  });
}

/** The next hop did not answer ARP (or neighbour discovery). With short waits ping ends before the kernel says so itself. */
export function neighbourSilent(path: PathEvidence | null): boolean {
  return path?.neighbour?.some((state) => state === 'FAILED' || state === 'INCOMPLETE') ?? false;
}

/** The first thing on the sender's side that is broken, as a clause; `null` when the sender's side is in order. */
export function firstBrokenHop(path: PathEvidence | null, source: string, address: string): string | null {
  if (!path?.route) return null;
  if ('refused' in path.route)
    return `${source} has no way to ${address}: the kernel's route lookup answers “${path.route.refused}”`;
  const { dev, gateway } = path.route;
  if (path.link && !path.link.up) return `${dev} of ${source} is down`;
  if (path.link && !path.link.carrier) return `${dev} of ${source} has no carrier`;
  if (neighbourSilent(path)) {
    const asked = path.nextHop?.includes(':') ? 'no neighbour advertisement' : 'no ARP answer';
    return `${asked} from ${gateway === null ? '' : 'the gateway '}${path.nextHop} on ${dev} of ${source}`;
  }
  return null;
}
