import type { LabPlan } from '../plan/lab-plan.js';
import { inSubnet } from './lookup.js';
import type { Link, Space, World } from './world.js';

/** The segment of the plan that an interface of a host is on; `null` for interfaces that steps or engines made. */
export function segmentOf(plan: LabPlan, space: Space, link: Link): string | null {
  if (space.kind !== 'host') return null;
  const host = plan.hosts.find(({ name }) => name === space.host);
  const own = host?.interfaces.find(
    ({ name, device, mac }) => name === link.name || device === link.name || (mac === link.mac && link.kind !== 'vlan'),
  );
  return own?.segment ?? null;
}

type Place = { space: Space; link: Link };

/** Links that may be the other end of a veth pair: two ends name each other by indexes, which namespaces count each for itself. */
function peersOf(world: World, { space, link }: Place): Place[] {
  return world.spaces
    .filter(({ host }) => host === space.host)
    .flatMap((other) =>
      other.links
        .filter((one) => one !== link && one.kind === 'veth')
        .filter((one) =>
          other === space
            ? one.name === link.below && one.below === link.name
            : link.below === null && one.below === null && one.index === link.peerIndex && one.peerIndex === link.index,
        )
        .map((one) => ({ space: other, link: one })),
    );
}

/**
 * The other end of a veth pair, where it is on the same host. Of several that it may be: one that can be nobody else's, else one
 * whose state the carrier here fits; else `null`.
 */
export function peerOf(world: World, space: Space, link: Link): Place | null {
  if (link.kind !== 'veth') return null;
  const all = peersOf(world, { space, link });
  if (all.length < 2) return all[0] ?? null;
  const own = all.filter((one) => peersOf(world, one).length === 1);
  if (own.length === 1) return own[0]!;
  const taken = all.filter((one) =>
    peersOf(world, one).some((rival) => rival.link !== link && peersOf(world, rival).length === 1),
  );
  const free = all.filter((one) => !taken.includes(one));
  const fitting = free.filter((one) => !link.up || one.link.up === link.carrier);
  return fitting.length === 1 ? fitting[0]! : null;
}

/** The link that another one stands on (of a VLAN, macvlan or ipvlan interface), also where that is in the host's own namespace. */
export function parentOf(world: World, space: Space, link: Link): { space: Space; link: Link } | null {
  if (link.kind !== 'vlan' && link.kind !== 'macvlan' && link.kind !== 'ipvlan') return null;
  const near = space.links.find((one) => one.name === link.below);
  if (near) return { space, link: near };
  const host = world.spaces.find((one) => one.host === space.host && one.kind === 'host');
  const below = host && link.peerIndex !== null ? host.links.find((one) => one.index === link.peerIndex) : undefined;
  return host && below ? { space: host, link: below } : null;
}

/** Who has the MAC address, with the link that has it. */
export function holdersOfMac(world: World, mac: string): { space: Space; link: Link }[] {
  return world.spaces.flatMap((space) =>
    space.links.filter((link) => link.mac === mac && link.name !== 'lo').map((link) => ({ space, link })),
  );
}

/** Whether two links are on one segment of the plan; `null` where the plan does not know one of them. */
export function sameSegment(
  plan: LabPlan,
  a: { space: Space; link: Link },
  b: { space: Space; link: Link },
): boolean | null {
  const [one, other] = [segmentOf(plan, a.space, a.link), segmentOf(plan, b.space, b.link)];
  return one === null || other === null ? null : one === other;
}

/**
 * What a link is plugged into, as a name: a segment of the plan, a bridge of a host, a VLAN or a VXLAN network; `null` where
 * nothing says. Two links of one wire hear each other's broadcasts, if nothing on it is broken.
 */
export function wireOf(
  world: World,
  plan: LabPlan,
  { space, link }: { space: Space; link: Link },
  depth = 0,
): string | null {
  if (depth > 6) return null;
  const onward = (next: { space: Space; link: Link } | null): string | null =>
    next ? wireOf(world, plan, next, depth + 1) : null;
  const named = (name: string | null): Link | null => space.links.find((one) => one.name === name) ?? null;
  const segment = segmentOf(plan, space, link);
  if (segment !== null && link.kind !== 'vlan') return `segment ${segment}`;
  const below = parentOf(world, space, link);
  if (below) {
    const wire = onward(below);
    return wire === null || link.kind !== 'vlan' ? wire : `VLAN ${String(link.data.id)} of ${wire}`;
  }
  if (link.kind === 'vxlan') return `VXLAN ${String(link.data.id)}`;
  const bridge = link.kind === 'bridge' ? link : named(link.master);
  if (bridge?.kind === 'bridge') {
    if (bridge.data.vlan_filtering === 1) return null;
    const uplink = space.links.find(
      (one) => one.master === bridge.name && (segmentOf(plan, space, one) !== null || one.kind === 'vxlan'),
    );
    return (
      (uplink ? onward({ space, link: { ...uplink, master: null } }) : null) ??
      `bridge ${bridge.name} of ${space.label}`
    );
  }
  const peer = peerOf(world, space, link);
  return peer && peer.link.master !== null ? onward(peer) : null;
}

/** Whether two links hear each other; `null` where nothing says what one of them is plugged into. */
export function sameWire(
  world: World,
  plan: LabPlan,
  a: { space: Space; link: Link },
  b: { space: Space; link: Link },
): boolean | null {
  const [one, other] = [wireOf(world, plan, a), wireOf(world, plan, b)];
  return one === null || other === null ? null : one === other;
}

/** The link of a namespace whose own subnet holds the address. */
export function linkTowards(space: Space, address: string): Link | null {
  return (
    space.links.find((link) =>
      link.addresses.some((own) => own.scope !== 'host' && inSubnet(address, own.address, own.prefix)),
    ) ?? null
  );
}

/** Why a link carries nothing, as a predicate: "is down"; `null` for one that may. */
export function linkTrouble(link: Link): 'is down' | 'has no carrier' | null {
  if (!link.up) return 'is down';
  return link.carrier ? null : 'has no carrier';
}
