import { subnetsOf } from '../../model/planned-addresses.js';
import type Docker from 'dockerode';
import ipaddr from 'ipaddr.js';
import type { LabPlan, SegmentPlan } from '../../plan/lab-plan.js';
import { isNetrigError, NetrigError } from '../../errors.js';
import { ask, changeMs, type EngineEndpoint } from './engine.js';
import { segmentLabel } from './labels.js';

/**
 * A segment as a network of the engine, and the tunnel in it.
 *
 * The frames of the lab's hosts do not go over the engine's bridge as they are: where br_netfilter is loaded, which Docker
 * sees to, a machine's own rules apply to bridged frames as well, so that the engine's masquerading would rewrite what a
 * host sends from an address like docker0's; the machine itself would answer for its addresses and show its MAC on the
 * segment. Inside VXLAN nothing of that is seen, and nothing of the machine reaches the lab.
 */
export interface SegmentNetwork {
  /** The network's id in the engine. */
  id: string;
  /** The VXLAN network identifier, 24 bits. */
  vni: number;
  /** MTU of the hosts' interfaces. */
  mtu: number;
  /** Host → its address in the engine's network, and the tunnel's end. */
  ends: ReadonlyMap<string, string>;
  /** Prefix length of those addresses. */
  prefix: number;
}

/** Segment → its network. */
export type SegmentNetworks = ReadonlyMap<string, SegmentNetwork>;

/** MTU of a segment that names none, bytes. */
const defaultMtu = 1500;
/** What VXLAN over IPv4 takes (RFC 7348: 50 bytes), a VLAN tag inside, and some room. */
const tunnelBytes = 64;

/**
 * Where the engine's own addresses for the interfaces come from, since it can make no network without: 198.18.0.0/15, which
 * RFC 2544 keeps for benchmarks, in blocks of 1022. No host keeps such an address, and the bridge gets none.
 */
const poolBase = ipaddr.IPv4.parse('198.18.0.0').toByteArray();
const blockBits = 22;
export const poolBlocks = 128;

/** The I-th block of the pool, 0 to 127. */
export function poolBlock(index: number): string {
  const third = (index % 64) * 4;
  return `${poolBase[0]}.${poolBase[1]! + Math.floor(index / 64)}.${third}.0/${blockBits}`;
}

function overlaps(block: string, subnet: string): boolean {
  const [a, aBits] = ipaddr.parseCIDR(block);
  const [b, bBits] = ipaddr.parseCIDR(subnet);
  return a.kind() === b.kind() && a.match(b, Math.min(aBits, bBits));
}

/** The blocks that a lab may use, from the one at `first` on, round the pool; without those that its own segments overlap. */
export function usableBlocks(plan: Pick<LabPlan, 'segments'>, first: number): string[] {
  return Array.from({ length: poolBlocks }, (_, index) => poolBlock((first + index) % poolBlocks)).filter(
    (block) => !plan.segments.flatMap(subnetsOf).some((subnet) => overlaps(block, subnet)),
  );
}

function networkOptions(
  lab: string,
  segment: SegmentPlan,
  subnet: string,
  labels: Record<string, string>,
): Docker.NetworkCreateOptions {
  return {
    Name: `netrig-${lab}-${segment.name}`,
    Driver: 'bridge',
    CheckDuplicate: true,
    // An internal network's rules drop all addresses but its own, also between its containers.
    Internal: false,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Config: [{ Subnet: subnet }] },
    Options: {
      // No address for the bridge: nothing of the engine's machine is a neighbour of the lab's hosts.
      'com.docker.network.bridge.inhibit_ipv4': 'true',
      'com.docker.network.bridge.enable_ip_masquerade': 'false',
      'com.docker.network.bridge.enable_icc': 'true',
      'com.docker.network.driver.mtu': String((segment.mtu ?? defaultMtu) + tunnelBytes),
    },
    Labels: { ...labels, [segmentLabel]: segment.name },
  };
}

/** Each host of a segment gets an address of the block: the first is the gateway's, which the engine keeps for itself. */
export function tunnelEnds(
  plan: Pick<LabPlan, 'hosts'>,
  segment: Pick<SegmentPlan, 'name'>,
  block: string,
): Map<string, string> {
  const [a = 0, b = 0, c = 0] = ipaddr.IPv4.parse(block.split('/')[0]!).toByteArray();
  const members = plan.hosts.filter((host) => host.interfaces.some((nic) => nic.segment === segment.name));
  return new Map(
    members.map((host, index) => [host.name, `${a}.${b}.${c + Math.floor((index + 2) / 256)}.${(index + 2) % 256}`]),
  );
}

/** Where networks are made. */
export interface NetworkPlace {
  endpoint: EngineEndpoint;
  engine: Docker;
  signal: AbortSignal;
}

/**
 * Makes a network in the first of the blocks that nobody has, which are then gone from the list. `what` it is, for messages:
 * `the segment lan`. Rejects with NETRIG_SEGMENT and NETRIG_ENGINE_UNREACHABLE.
 */
export async function makeInBlock(
  { endpoint, engine, signal }: NetworkPlace,
  what: string,
  blocks: string[],
  options: (block: string) => Docker.NetworkCreateOptions,
): Promise<{ id: string; block: string }> {
  for (;;) {
    const block = blocks.shift();
    if (block === undefined)
      throw new NetrigError(
        'NETRIG_SEGMENT',
        `${what.charAt(0).toUpperCase()}${what.slice(1)} could not be made: all blocks of 198.18.0.0/15 are taken by other networks of the engine.`,
        { hint: 'Remove networks that are not used any more (`docker network prune`).' },
      );
    try {
      const { id } = await ask(endpoint, `make ${what}`, changeMs, engine.createNetwork(options(block)), signal);
      return { id, block };
    } catch (error) {
      if (!isNetrigError(error, 'NETRIG_ENGINE_REFUSED')) throw error;
      // Another lab, or somebody else, has that block.
      if (/overlaps|already in use|conflicts with/i.test(error.message)) continue;
      throw new NetrigError('NETRIG_SEGMENT', error.message, { cause: error });
    }
  }
}

/** Makes all segments of a plan. Rejects as `makeInBlock` does; what was made till then stays, with its labels. */
export async function makeNetworks(
  place: NetworkPlace,
  lab: string,
  plan: LabPlan,
  labels: Record<string, string>,
): Promise<SegmentNetworks> {
  const made = new Map<string, SegmentNetwork>();
  const blocks = usableBlocks(plan, Math.floor(Math.random() * poolBlocks));
  for (const [index, segment] of plan.segments.entries()) {
    const { id, block } = await makeInBlock(place, `the segment ${segment.name}`, blocks, (subnet) =>
      networkOptions(lab, segment, subnet, labels),
    );
    made.set(segment.name, {
      id,
      vni: index + 1,
      mtu: segment.mtu ?? defaultMtu,
      ends: tunnelEnds(plan, segment, block),
      prefix: blockBits,
    });
  }
  return made;
}
