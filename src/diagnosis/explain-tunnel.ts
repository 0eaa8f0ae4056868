import type { Case, Step } from './follow.js';
import { countedDrop } from './explain-filter.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { hasAddress, holdersOf } from './world.js';
import type { Link, Space } from './world.js';

interface Vxlan {
  space: Space;
  link: Link;
  vni: number;
  port: number;
}

function vxlansOf(spaces: readonly Space[], host: string): Vxlan[] {
  return spaces
    .filter((space) => space.host === host)
    .flatMap((space) =>
      space.links
        .filter(({ kind }) => kind === 'vxlan')
        .map((link) => ({ space, link, vni: Number(link.data.id), port: Number(link.data.port ?? 8472) })),
    );
}

/** A packet in a tunnel came to a host and did not come out of the tunnel there. */
export function stuckInTunnel(c: Case, step: Step, name: string): Finding | null {
  const outer = step.packet.around[0];
  if (!outer) return null;
  const { space } = step;
  if (!hasAddress(space, outer.dst)) return null;
  const dropped = countedDrop(
    space,
    'forward',
    {
      src: outer.src,
      dst: outer.dst,
      proto: outer.dport === undefined ? 'other' : 'udp',
      dport: outer.dport,
    },
    'in',
    true,
  );
  if (dropped)
    return { ...dropped, sentence: dropped.sentence.replace(/ it:/, ` the tunnel's packets from ${outer.src}:`) };
  if (outer.vni === undefined) return null;
  const ends = vxlansOf(c.world.spaces, space.host);
  const what = `the VXLAN packet (VNI ${outer.vni}, port ${outer.dport ?? '?'}) that carries ${name}`;
  if (ends.length === 0)
    return finding(space, 'tunnel-mismatch', `${space.label} gets ${what}, but has no VXLAN interface`);
  const match = ends.find((one) => one.vni === outer.vni && one.port === outer.dport);
  if (!match) {
    const near = ends.find((one) => one.vni === outer.vni) ?? ends.find((one) => one.port === outer.dport) ?? ends[0]!;
    return finding(
      near.space,
      'tunnel-mismatch',
      `${space.label} gets ${what}, but its ${near.link.name} has VNI ${near.vni} and port ${near.port}`,
      { mend: `give the interfaces at both ends of the tunnel the same VNI and port` },
    );
  }
  if (!match.link.up)
    return finding(
      match.space,
      'link-down',
      `${match.link.name} of ${match.space.label}, the end of the tunnel, is down`,
      {
        mend: `ip link set ${match.link.name} up, on ${match.space.label}`,
      },
    );
  const remote = typeof match.link.data.local === 'string' ? match.link.data.local : null;
  if (remote !== null && remote !== outer.dst)
    return finding(
      match.space,
      'tunnel-mismatch',
      `${match.link.name} of ${match.space.label} takes packets at ${remote} only, and ${what} comes to ${outer.dst}`,
    );
  return null;
}

/** A packet went into a VXLAN interface and nothing came out of it. */
export function lostInTunnel(c: Case, step: Step, name: string): Finding | null {
  const { space, link } = step;
  if (link.kind !== 'vxlan') return null;
  const mac = step.packet.dstMac;
  const entries = space.forwards.filter((one) => one.dev === link.name && one.remote !== null);
  const own = entries.find((one) => one.mac === mac);
  const flood = entries.find((one) => one.mac === '00:00:00:00:00:00');
  const remote = own?.remote ?? flood?.remote ?? null;
  if (remote === null)
    return finding(
      space,
      'tunnel-mismatch',
      `${link.name} of ${space.label} has no forwarding entry for ${mac ?? 'that address'}, so ${name} goes into the tunnel and to nobody`,
      {
        evidence: [
          `bridge fdb of ${space.label} has no remote for ${mac ?? '?'} and none for all others on ${link.name}.`,
        ],
        mend: `bridge fdb append 00:00:00:00:00:00 dev ${link.name} dst REMOTE, on ${space.label}`,
      },
    );
  if (holdersOf(c.world, remote).length === 0 && c.world.unlooked.length === 0)
    return finding(
      space,
      'tunnel-mismatch',
      `${link.name} of ${space.label} sends ${name} to the remote ${remote}, which nobody has`,
      { mend: `bridge fdb replace ${mac ?? 'MAC'} dev ${link.name} dst REMOTE, on ${space.label}` },
    );
  return null;
}
