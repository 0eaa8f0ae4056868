import type { Hop } from '../model/verdict.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { Vantage } from '../places/vantage.js';
import type { SeenNeighbour, SeenPacket } from './frames.js';
import type { Observation } from './observe.js';
import type { ProbeFate } from './probe.js';
import { linkOf } from './world.js';
import type { Link, Sighting, Space, World } from './world.js';

/** A packet where it was seen. */
export interface Step {
  space: Space;
  link: Link;
  way: 'in' | 'out';
  packet: SeenPacket;
  timeMs: number;
}

/** A question for a neighbour, or its answer, where it was seen. */
export interface NeighbourStep {
  space: Space;
  link: Link;
  way: 'in' | 'out';
  message: SeenNeighbour;
  timeMs: number;
}

/** All that was seen of one probe. */
export interface Case {
  world: World;
  plan: LabPlan;
  /** Whom the address is meant to belong to; `null`: not known. */
  owner: string | null;
  source: Space;
  proto: 'icmp' | 'tcp' | 'udp';
  address: string;
  port: number;
  mark: number;
  /** TCP: the sequence number of its SYN, once that was seen. */
  isn: number | null;
  df: boolean;
  /** Bytes of the IP packet that the probe is. */
  bytes: number;
  fate: ProbeFate;
  /** The packet on its way there. */
  forward: Step[];
  /** The answer, of whatever kind: a reply, a SYN-ACK, a RST, a datagram. */
  reply: Step[];
  /** ICMP errors that speak of the packet or its answer. */
  errors: Step[];
  neighbours: NeighbourStep[];
  /** The packet and its answer at every sighting, also where they came by more than once. */
  again: { forward: Step[]; reply: Step[] };
}

function spaceOf(world: World, vantage: Vantage): Space | null {
  const { endpoint, container } = vantage;
  const named = world.spaces.find(({ label }) => label === vantage.label);
  if (named) return named;
  const host = world.spaces.find((space) => space.host === endpoint.host && space.kind === 'host') ?? null;
  if (container === null) return endpoint.kind === 'host' ? host : null;
  if (container.networkMode === 'host') return host;
  const shared = /^container:(.+)$/.exec(container.networkMode)?.[1];
  const owner = world.engines.get(endpoint.host)?.containers.find(({ id, name }) => id === shared || name === shared);
  return world.spaces.find(({ label }) => label === `${endpoint.host}/${owner?.name ?? ''}`) ?? null;
}

export type Role = 'forward' | 'reply' | 'error';

/** What a packet is to the probe. TCP's sequence number stays the same through every translation of addresses and ports. */
export function roleOf(packet: SeenPacket, proto: string, mark: number, isn: number | null): Role | null {
  if (packet.quoted) return roleOf(packet.quoted, proto, mark, isn) === null ? null : 'error';
  if (packet.proto !== proto) return null;
  if (proto === 'icmp') {
    if (packet.icmpId !== mark) return null;
    return packet.type === 8 || packet.type === 128 ? 'forward' : 'reply';
  }
  if (proto === 'udp') return packet.sport === mark ? 'forward' : packet.dport === mark ? 'reply' : null;
  const flags = packet.flags ?? 0x02;
  if ((flags & 0x12) === 0x02) return packet.seq === isn || packet.sport === mark ? 'forward' : null;
  if ((flags & 0x14) === 0 || packet.sport === mark) return null;
  // SYN-ACK or RST: it acknowledges the SYN.
  return (isn !== null && packet.ack === (isn + 1) >>> 0) || packet.dport === mark ? 'reply' : null;
}

/** Whether frames that are meant for others belong to the way: on ports of bridges, and below interfaces with MACs of their own. */
function passesOn(space: Space, link: Link): boolean {
  const switched = space.switches.some(({ ports }) => ports.some(({ name }) => name === link.name));
  return switched || link.master !== null || space.links.some((one) => one.below === link.name && one.kind !== 'veth');
}

function stepOf(sighting: Sighting): { link: Link; way: 'in' | 'out' } | null {
  const link = linkOf(sighting.space, sighting.ifindex);
  if (!link) return null;
  if (sighting.way !== 'other') return { link, way: sighting.way };
  return passesOn(sighting.space, link) ? { link, way: 'in' } : null;
}

/** The first sighting of each packet at each interface: what was sent again, and copies, add nothing. */
function once(steps: readonly Step[]): Step[] {
  const had = new Set<string>();
  return steps.filter(({ space, link, way, packet }) => {
    const key = `${space.host} ${space.inode} ${link.index} ${way} ${packet.around.length} ${packet.quoted ? packet.src : ''}`;
    if (had.has(key)) return false;
    had.add(key);
    return true;
  });
}

/** @param owner whom the address is meant to belong to, where that is known. */
export function buildCase(
  observation: Observation,
  vantage: Vantage,
  plan: LabPlan,
  owner: string | null = null,
): Case | null {
  const { world, probe, fate } = observation;
  const source = spaceOf(world, vantage);
  if (!source) return null;
  const { proto, mark } = probe;
  const packets = world.sightings.flatMap((sighting) => {
    const step = 'packet' in sighting.frame ? stepOf(sighting) : null;
    return step && 'packet' in sighting.frame
      ? [{ ...step, space: sighting.space, packet: sighting.frame.packet, timeMs: sighting.timeMs }]
      : [];
  });
  const first = packets.find(
    ({ packet }) => proto === 'tcp' && packet.proto === 'tcp' && packet.sport === mark && packet.flags === 0x02,
  );
  const others = world.sightings.flatMap((sighting): NeighbourStep[] => {
    const link = linkOf(sighting.space, sighting.ifindex);
    if (!('neighbour' in sighting.frame) || !link || sighting.way === 'other') return [];
    const { space, way, timeMs } = sighting;
    return [{ space, link, way, message: sighting.frame.neighbour, timeMs }];
  });
  const isn = first?.packet.seq ?? null;
  const every = (role: Role): Step[] => packets.filter(({ packet }) => roleOf(packet, proto, mark, isn) === role);
  const as = (role: Role): Step[] => once(every(role));
  const forward = as('forward');
  const header = probe.address.includes(':') ? 40 : 20;
  return {
    world,
    plan,
    owner,
    source,
    proto,
    isn,
    address: probe.address,
    port: probe.port,
    mark,
    df: probe.df || forward[0]?.packet.df === true,
    bytes: header + (proto === 'icmp' ? 8 + probe.size : proto === 'udp' ? 8 + probe.payload.length : 40),
    fate,
    forward,
    reply: as('reply'),
    errors: as('error'),
    neighbours: others,
    again: { forward: every('forward'), reply: every('reply') },
  };
}

const endOf = (address: string, port: number | undefined): string =>
  port === undefined ? address : `${address}:${port}`;

/** What a namespace did with a packet between its first and last sighting there. */
function didThere(steps: readonly Step[], begins: 'sent' | 'answered' | null, left: boolean): string {
  const first = steps[0]!.packet;
  const last = steps.at(-1)!.packet;
  const words: string[] = [];
  if (first.dst !== last.dst || first.dport !== last.dport)
    if (first.around.length === last.around.length) words.push(`DNAT ${endOf(last.dst, last.dport)}`);
  if (first.src !== last.src && first.around.length === last.around.length) words.push(`SNAT ${last.src}`);
  if (last.around.length > first.around.length) words.push(`into the tunnel to ${last.around[0]!.dst}`);
  if (last.around.length < first.around.length) words.push('out of the tunnel');
  if (words.length > 0) return words.join(', ');
  if (begins !== null) return begins;
  if (!left) return 'got it';
  const bridged = steps.every(({ link }) => link.master !== null || link.kind === 'bridge');
  return bridged ? 'bridged' : 'routed';
}

/** The sightings of a packet as hops: one for each stay in a namespace. */
export function hopsOf(steps: readonly Step[], begins: 'sent' | 'answered'): Hop[] {
  const stays: Step[][] = [];
  for (const step of steps) {
    const stay = stays.at(-1);
    if (stay?.[0]?.space === step.space) stay.push(step);
    else stays.push([step]);
  }
  return stays.map((stay, at): Hop => {
    const last = stay.findLastIndex(({ way }) => way === 'in');
    const came = stay.slice(0, last + 1).filter(({ way }) => way === 'in');
    const left = stay.slice(last + 1).find(({ way }) => way === 'out') ?? null;
    const own = at === 0 && stay[0]!.way === 'out';
    return {
      place: stay[0]!.space.label,
      in: own ? null : (came.at(-1)?.link.name ?? null),
      out: left?.link.name ?? null,
      did: didThere(stay, own ? begins : null, left !== null),
      state: 'seen',
    };
  });
}
