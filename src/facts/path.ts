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

/** The same for many addresses of one family, in one process for all routes. Read by `readPaths`. */
export function manyPathParts(addresses: readonly string[], prefix: string): ScriptPart[] {
  const family = familyOf(addresses[0]!) === 6 ? '-6' : '-4';
  const lines = quoteArgv(addresses.map((address) => `route get ${address}`));
  return [
    { name: `${prefix}route`, shell: `printf '%s\\n' ${lines} | ip -j ${family} -force -batch -` },
    { name: `${prefix}neigh`, shell: quoteArgv(['ip', '-j', family, 'neigh', 'show']), errors: 'apart' },
    { name: `${prefix}link`, shell: quoteArgv(['ip', '-j', 'link', 'show']), errors: 'apart' },
  ];
}

/** The evidence for each address: `ip -batch` prints a list for each route that there is, and for the others the kernel's refusal. */
export function readPaths(
  parts: ReadonlyMap<string, PartResult>,
  addresses: readonly string[],
  prefix: string,
): Map<string, PathEvidence | null> {
  const batch = parts.get(`${prefix}route`);
  const lines = batch?.output.split('\n') ?? [];
  const refusal = lines.find((line) => line.startsWith('RTNETLINK answers: ')) ?? '';
  const routes = new Map<string, string>();
  for (const line of lines) {
    const dst = line.startsWith('[')
      ? zRoutes.safeParse(json({ output: line, exitCode: 0 })).data?.[0]?.dst
      : undefined;
    if (dst !== undefined && familyOf(dst) !== 0) routes.set(canonicalAddress(dst), line);
  }
  return new Map(
    addresses.map((address) => {
      const line = routes.get(canonicalAddress(address));
      const route =
        line !== undefined ? { output: line, exitCode: 0 } : refusal === '' ? null : { output: refusal, exitCode: 2 };
      const own = new Map<string, PartResult>(route === null ? [] : [['route', route]]);
      for (const name of ['neigh', 'link']) {
        const part = parts.get(`${prefix}${name}`);
        if (part) own.set(name, part);
      }
      return [address, readPath(own, address)];
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

export function readPath(parts: ReadonlyMap<string, PartResult>, address: string): PathEvidence | null {
  const asked = parts.get('route');
  if (!asked || (asked.exitCode === 0 && asked.output.trim() === '')) return null;
  if (asked.exitCode !== 0) {
    const words = asked.output.trim().replace(/^RTNETLINK answers: /, '');
    return { route: { refused: words }, neighbour: null, nextHop: null, link: null };
  }
  const routes = zRoutes.safeParse(json(asked));
  const route = routes.success ? routes.data[0]! : null;
  if (!route?.dev) return null;
  const nextHop = canonicalAddress(route.gateway ?? address);
  const neighbours = zNeighbours.safeParse(json(parts.get('neigh')));
  const entry = neighbours.success
    ? neighbours.data.find(
        ({ dst, dev }) => familyOf(dst) !== 0 && canonicalAddress(dst) === nextHop && dev === route.dev,
      )
    : undefined;
  const links = zLinks.safeParse(json(parts.get('link')));
  const link = links.success ? links.data.find(({ ifname }) => ifname === route.dev) : undefined;
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
