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

/** The other end of a veth pair, where it is on the same host. Two ends name each other by their indexes. */
export function peerOf(world: World, space: Space, link: Link): { space: Space; link: Link } | null {
  if (link.kind !== 'veth') return null;
  for (const other of world.spaces) {
    if (other.host !== space.host) continue;
    for (const one of other.links) {
      if (one === link || one.kind !== 'veth') continue;
      const named = other === space && one.name === link.below && one.below === link.name;
      const numbered = one.index === link.peerIndex && one.peerIndex === link.index && other !== space;
      if (named || numbered) return { space: other, link: one };
    }
  }
  return null;
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
