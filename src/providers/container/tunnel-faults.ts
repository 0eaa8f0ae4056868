import type { WireFault } from '../../model/fault.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';

/**
 * Faults on the wire between containers, as the state that they make of the tunnels which stand for the hosts' cards: whether
 * there is a carrier, and whom a host sends to and hears. Pure.
 */

export type TunnelFault = Extract<WireFault, { kind: 'cut' | 'partition' }>;

export interface TunnelState {
  carrier: boolean;
  /** Names of the hosts of the segment that it neither sends to nor hears. */
  blocked: ReadonlySet<string>;
}

/** One host's end of a segment. */
export interface Tunnel {
  host: string;
  /** The interface, as the plan names it. */
  device: string;
  segment: string;
}

export function tunnelsOf(plan: LabPlan): Tunnel[] {
  return plan.hosts.flatMap((host) =>
    host.interfaces.map((nic) => ({ host: host.name, device: nic.name, segment: nic.segment })),
  );
}

/** The group of a host among those of a partition; the hosts that no group names are one more. */
function groupOf(host: string, groups: readonly (readonly string[])[]): number {
  const index = groups.findIndex((group) => group.includes(host));
  return index < 0 ? groups.length : index;
}

/** Whether a fault is between two hosts of its segment. */
function parts(fault: TunnelFault, one: string, other: string): boolean {
  if (fault.kind === 'partition') return groupOf(one, fault.groups) !== groupOf(other, fault.groups);
  return fault.as === 'silence' && (fault.hosts.includes(one) || fault.hosts.includes(other));
}

/** What the faults make of a tunnel. */
export function tunnelState(plan: LabPlan, { host, segment }: Tunnel, faults: readonly TunnelFault[]): TunnelState {
  const here = faults.filter((fault) => fault.segment === segment);
  const peers = peersOf(plan, host, segment).map((peer) => peer.name);
  return {
    carrier: !here.some((fault) => fault.kind === 'cut' && fault.as === 'carrier' && fault.hosts.includes(host)),
    blocked: new Set(peers.filter((peer) => here.some((fault) => parts(fault, host, peer)))),
  };
}

function peersOf(plan: LabPlan, host: string, segment: string): HostPlan[] {
  return plan.hosts.filter((other) => other.name !== host && other.interfaces.some((nic) => nic.segment === segment));
}

/** A row of a tunnel's forwarding database, as `bridge -json fdb show` states it. */
export interface ForwardingRow {
  mac: string;
  dst?: string;
}

/** To whom frames go whose receiver is not known: one row for each. */
const unknown = '00:00:00:00:00:00';

export interface TunnelEnds {
  /** By host of the segment: where its tunnel ends. */
  of: ReadonlyMap<string, string>;
  /** An address of their network at which nobody is. */
  nobody: string;
}

/**
 * The lines for `bridge -batch` that make a tunnel neither send to nor hear the hosts that are blocked, and send to all others as
 * ever. A row that is fixed (not learned) with another end is what keeps the kernel from hearing: vxlan drops what comes from a
 * known address over another way than the fixed one. `sunk`: the addresses that are led to nobody, with whose they are; it is
 * brought up to date.
 */
export function forwardingLines(
  plan: LabPlan,
  tunnel: Tunnel,
  rows: readonly ForwardingRow[],
  { blocked }: TunnelState,
  ends: TunnelEnds,
  sunk: Map<string, string>,
): string[] {
  const { device } = tunnel;
  const lines: string[] = [];
  for (const [mac, peer] of sunk) {
    if (blocked.has(peer)) continue;
    lines.push(`fdb del ${mac} dev ${device} dst ${ends.nobody}`);
    sunk.delete(mac);
  }
  for (const peer of peersOf(plan, tunnel.host, tunnel.segment)) {
    const end = ends.of.get(peer.name);
    if (end === undefined) continue;
    const theirs = rows.filter(({ dst }) => dst === end);
    const known = theirs.some(({ mac }) => mac === unknown);
    if (!blocked.has(peer.name)) {
      if (!known) lines.push(`fdb append ${unknown} dev ${device} dst ${end}`);
      continue;
    }
    if (known) lines.push(`fdb del ${unknown} dev ${device} dst ${end}`);
    const own = peer.interfaces.filter((nic) => nic.segment === tunnel.segment).map((nic) => nic.mac.toLowerCase());
    for (const mac of new Set([...own, ...theirs.map((row) => row.mac)])) {
      if (mac === unknown || sunk.has(mac)) continue;
      lines.push(`fdb replace ${mac} dev ${device} dst ${ends.nobody}`);
      sunk.set(mac, peer.name);
    }
  }
  return lines;
}
