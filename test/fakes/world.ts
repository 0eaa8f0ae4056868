import { canonicalAddress, contains, familyOf, parseCidr } from '../../src/model/cidr.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';

/** One network stack of the fake lab: a host, a container or a named namespace. */
export interface FakePlace {
  /** `a`, `a/web`, `a/netns:blue`. */
  label: string;
  host: string;
  /** What it really has, planned or not. CIDR form, by interface. */
  links: Map<string, { mac: string; addresses: string[] }>;
  /** Gateway of its default route. */
  gateway: string | null;
}

export interface FakeContainer {
  /** Addresses in CIDR form, by network. */
  on: Record<string, string>;
  /** Default `running`. */
  state?: 'running' | 'paused' | 'exited';
  /** More of the engine's answer, laid over it. */
  inspect?: object;
}

export interface FakeHost {
  /** Addresses by segment, bare; `null`: on the segment, without one. */
  on?: Record<string, string | null>;
  /** Addresses that a step has added: CIDR form, by interface. They are on the host, not in the plan. */
  added?: Record<string, string[]>;
  gateway?: string;
  /** `true` by default where it has containers. */
  engine?: boolean;
  containers?: Record<string, FakeContainer>;
  /** Named network namespaces: addresses in CIDR form, by interface. */
  namespaces?: Record<string, Record<string, string[]>>;
}

export interface FakeWorld {
  /** Subnets by segment; one, `lan`, 10.0.0.0/24, where left out. */
  segments?: Record<string, string>;
  hosts: Record<string, FakeHost>;
}

export interface World {
  plan: LabPlan;
  places: FakePlace[];
  hosts: Record<string, FakeHost>;
}

let macs = 0;
const nextMac = (): string => {
  macs += 1;
  return `02:00:00:00:${(macs >> 8).toString(16).padStart(2, '0')}:${(macs & 255).toString(16).padStart(2, '0')}`;
};

/** As engines up to 27 make it from the address: two containers with one address have one hardware address. */
export const engineMac = (address: string): string =>
  `02:42:${address
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join(':')}`;

const bare = (cidr: string): string => cidr.split('/')[0]!;

function planOf(name: string, host: FakeHost, segments: Record<string, string>): HostPlan {
  return {
    name,
    image: 'debian-12',
    init: 'systemd',
    engine: host.engine ?? host.containers !== undefined,
    containerImages: [],
    interfaces: Object.entries(host.on ?? {}).map(([segment, address], at) => ({
      name: `eth${at}`,
      segment,
      address: address === null ? null : `${address}/${parseCidr(segments[segment]!)!.prefix}`,
      mac: nextMac(),
    })),
    routes: host.gateway === undefined ? [] : [{ to: 'default', via: host.gateway }],
    sysctls: {},
  };
}

export function makeWorld({ segments = { lan: '10.0.0.0/24' }, hosts }: FakeWorld): World {
  macs = 0;
  const plan: LabPlan = {
    title: 'fake',
    slug: 'fake',
    hosts: Object.entries(hosts).map(([name, host]) => planOf(name, host, segments)),
    segments: Object.entries(segments).map(([name, subnet]) => ({ name, subnet, mtu: null })),
    bootTimeoutMs: 1000,
  };
  const places = plan.hosts.flatMap((planned): FakePlace[] => {
    const host = hosts[planned.name]!;
    const links = new Map(
      planned.interfaces.map(({ name, mac, address }) => [
        name,
        { mac, addresses: [...(address === null ? [] : [address]), ...(host.added?.[name] ?? [])] },
      ]),
    );
    for (const [name, addresses] of Object.entries(host.added ?? {}))
      if (!links.has(name)) links.set(name, { mac: nextMac(), addresses });
    const inner = Object.entries(host.containers ?? {}).map(([name, { on }]): FakePlace => ({
      label: `${planned.name}/${name}`,
      host: planned.name,
      links: new Map(
        Object.values(on).map((address, at) => [`eth${at}`, { mac: engineMac(bare(address)), addresses: [address] }]),
      ),
      gateway: Object.values(on)[0]?.replace(/\d+\/\d+$/, '1') ?? null,
    }));
    const namespaces = Object.entries(host.namespaces ?? {}).map(([name, own]): FakePlace => ({
      label: `${planned.name}/netns:${name}`,
      host: planned.name,
      links: new Map(Object.entries(own).map(([link, addresses]) => [link, { mac: nextMac(), addresses }])),
      gateway: null,
    }));
    return [{ label: planned.name, host: planned.name, links, gateway: host.gateway ?? null }, ...inner, ...namespaces];
  });
  return { plan, places, hosts };
}

export function holds(place: FakePlace, address: string): boolean {
  if (familyOf(address) === 0) return false;
  return [...place.links.values()].some(({ addresses }) =>
    addresses.some((one) => canonicalAddress(bare(one)) === canonicalAddress(address)),
  );
}

/** How a place's kernel would send to an address. */
export interface FakeRoute {
  dev: string;
  source: string;
  gateway: string | null;
  local: boolean;
}

export function routeOf(place: FakePlace, address: string): FakeRoute | null {
  if (holds(place, address) || address === '127.0.0.1' || address === '::1')
    return { dev: 'lo', source: address, gateway: null, local: true };
  const near = (to: string): FakeRoute | null => {
    for (const [dev, { addresses }] of place.links)
      for (const one of addresses)
        if (contains(parseCidr(one)!, to)) return { dev, source: bare(one), gateway: null, local: false };
    return null;
  };
  const direct = near(address);
  if (direct) return direct;
  if (place.gateway === null || familyOf(place.gateway) !== familyOf(address)) return null;
  const hop = near(place.gateway);
  return hop && { ...hop, gateway: place.gateway };
}

/** Places that hold the address, other than `besides`. */
export function ownersOf(world: World, address: string, besides?: FakePlace): FakePlace[] {
  return world.places.filter((place) => place !== besides && holds(place, address));
}
