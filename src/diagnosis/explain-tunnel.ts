import type { Case, Step } from './follow.js';
import { asTyped, countedDrop, droppedAround } from './explain-filter.js';
import { ruleWords } from './rules.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { inSubnet } from './lookup.js';
import { holdersOf } from './world.js';
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
  const dropped =
    droppedAround(c, space, outer) ??
    countedDrop(
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
  // The kernel takes packets of the tunnel at all addresses of the host, also where `local` names one (vxlan_socket_create()).
  return endNowhere(match);
}

/** What comes out of the tunnel goes no further: its end is in no bridge, and has no address. */
function endNowhere({ space, link }: Vxlan): Finding | null {
  const bridge = space.links.find(({ kind }) => kind === 'bridge');
  if (link.master !== null || !bridge || link.addresses.some(({ scope }) => scope === 'global')) return null;
  return finding(
    space,
    'not-a-bridge-port',
    `${link.name} of ${space.label}, the end of the tunnel, is no port of a bridge`,
    { mend: `ip link set ${link.name} master ${bridge.name}, on ${space.label}` },
  );
}

/** Why an engine was not told where the others of an overlay network are. */
interface Untold {
  words: string;
  mend: string;
}

/** Engines tell each other over port 7946 whom an overlay network has, and where; a rule of a host that drops that. */
function gossipFiltered(c: Case): Untold | null {
  for (const space of c.world.spaces.filter(({ kind }) => kind === 'host'))
    for (const rule of space.nft.rules.values())
      if (/\b7946\b/.test(rule.text) && /-j (?:DROP|REJECT)|\b(?:drop|reject)\b/.test(rule.text))
        return {
          words: `engines tell each other over port 7946 who is where, and ${space.label} has ${ruleWords({ ...rule, text: asTyped(rule.text) })}`,
          mend: 'let TCP and UDP port 7946 pass between the engines',
        };
  return null;
}

/** An engine that tells the others an address of its own that no segment has, so that they send nothing to it, nor hear of it. */
function strangeAdvertised(c: Case): Untold | null {
  for (const [host, { advertised }] of c.world.engines) {
    if (!advertised) continue;
    const planned = c.plan.segments.some(({ subnet }) => {
      const [of, length] = subnet.split('/');
      return inSubnet(advertised, of!, Number(length));
    });
    if (!planned)
      return {
        words: `the engine of ${host} tells the others the address ${advertised}, which is on no segment of the lab`,
        mend: `--cluster-advertise of the engine, or --advertise-addr of its swarm, with the address of ${host} on the segment between the engines`,
      };
  }
  return null;
}

const isGroup = (mac: string | null): boolean => mac === 'ff:ff:ff:ff:ff:ff' || mac?.startsWith('33:33') === true;

/** Where a VXLAN interface sends a frame: by its forwarding database, or by the remote that it was made with. */
export function remoteOf(space: Space, link: Link, mac: string | null): string | null {
  const entries = space.forwards.filter((one) => one.dev === link.name && one.remote !== null);
  const own = isGroup(mac) ? undefined : entries.find((one) => one.mac === mac);
  const flood = entries.find((one) => one.mac === '00:00:00:00:00:00');
  const made = [link.data.group, link.data.remote].find((one) => typeof one === 'string');
  return own?.remote ?? flood?.remote ?? made ?? null;
}

/** A packet went into a VXLAN interface and nothing came out of it. `mac` is whom it is for; for everybody, where it is a broadcast. */
export function lostInTunnel(
  c: Case,
  { space, link, mac }: { space: Space; link: Link; mac: string | null },
  name: string,
): Finding | null {
  if (link.kind !== 'vxlan') return null;
  const remote = remoteOf(space, link, mac);
  const everybody = isGroup(mac);
  const whom = mac === null || everybody ? 'what is for everybody' : mac;
  const untold = space.kind === 'engine' ? (gossipFiltered(c) ?? strangeAdvertised(c)) : null;
  if (remote === null)
    return finding(
      space,
      'tunnel-mismatch',
      `${link.name} of ${space.label} has no forwarding entry for ${whom}, so ${name} goes into the tunnel and to nobody${untold === null ? '' : `; ${untold.words}`}`,
      {
        evidence: [`bridge fdb of ${space.label} has no remote for ${whom} and none for all others on ${link.name}.`],
        mend: untold?.mend ?? `bridge fdb append 00:00:00:00:00:00 dev ${link.name} dst REMOTE, on ${space.label}`,
      },
    );
  if (holdersOf(c.world, remote).length > 0 || c.world.unlooked.length > 0 || /^(?:22[4-9]|23\d)\.|^ff/.test(remote))
    return null;
  return finding(
    space,
    'tunnel-mismatch',
    `${link.name} of ${space.label} sends ${name} to the remote ${remote}, which nobody has`,
    {
      mend: `bridge fdb replace ${everybody || mac === null ? '00:00:00:00:00:00' : mac} dev ${link.name} dst REMOTE, on ${space.label}`,
    },
  );
}
