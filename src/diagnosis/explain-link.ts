import type { Case, Step } from './follow.js';
import { stoppedOwner } from './explain-local.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { holdersOfMac, linkTrouble, parentOf, peerOf, sameWire, wireOf } from './wire.js';
import { linkNamed } from './world.js';
import type { Link, Space, World } from './world.js';

/** A place on a wire. */
interface At {
  space: Space;
  link: Link;
}

export function linkDown(at: At, name: string, world?: World): Finding | null {
  const trouble = linkTrouble(at.link);
  if (trouble === null) return null;
  // A veth has no carrier while its other end is down: that end is the reason.
  const peer = trouble === 'has no carrier' && world ? peerOf(world, at.space, at.link) : null;
  if (peer && !peer.link.up) return linkDown(peer, name);
  // Nor has what stands on an interface that is down.
  const parent = trouble === 'has no carrier' && world ? parentOf(world, at.space, at.link) : null;
  if (parent && !parent.link.up) return linkDown(parent, name);
  // A bridge has none while all its ports are down.
  const port = at.link.kind === 'bridge' ? at.space.links.find((one) => one.master === at.link.name && !one.up) : null;
  if (port) return linkDown({ space: at.space, link: port }, name);
  const words = `${at.link.name} of ${at.space.label} ${trouble}`;
  return finding(at.space, trouble === 'is down' ? 'link-down' : 'no-carrier', `${words}, so ${name} cannot pass`, {
    evidence: [`The kernel of ${at.space.label} says that ${words}.`],
    mend:
      trouble === 'is down'
        ? `ip link set ${at.link.name} up, on ${at.space.label}`
        : `set the other end of ${at.link.name} of ${at.space.label} up`,
  });
}

/**
 * How long a probe that is sent to be followed waits for its answer, ms. A neighbour that is being looked for is asked again
 * each second (arp(7): retrans_time_ms), so that at least one question is seen.
 */
export const probeWaitMs = 1080;

/** STP's states of a bridge port as iproute2 names them. */
const portStates: readonly string[] = ['disabled', 'listening', 'learning', 'blocking'];

function vlansOf(space: Space, dev: string): { ids: number[]; pvid: number | null } {
  const own = space.vlans.filter((vlan) => vlan.dev === dev);
  const ids = own.flatMap(({ id, end }) => Array.from({ length: Math.min(end - id + 1, 4094) }, (_, at) => id + at));
  return { ids, pvid: own.find(({ pvid }) => pvid)?.id ?? null };
}

const listed = (ids: readonly number[]): string => (ids.length === 0 ? 'none' : ids.slice(0, 8).join(', '));

/** Frames for everybody, or for one whose port the bridge does not know, do not go out by the port (bridge(8): flood). */
function floodOff(space: Space, bridge: Link, port: Link, broadcast: boolean): Finding | null {
  const flag = broadcast ? 'bcast_flood' : 'flood';
  const known = broadcast || space.forwards.some(({ dev, flags }) => dev === port.name && !flags.includes('permanent'));
  if (port.port?.[flag] !== false || (!broadcast && known)) return null;
  const what = broadcast
    ? 'broadcasts, as questions for a MAC address are,'
    : 'frames for whom the bridge does not know';
  return finding(
    space,
    'port-not-forwarding',
    `port ${port.name} of bridge ${bridge.name} on ${space.label} does not send ${what} out: ${flag} is off`,
    { mend: `bridge link set dev ${port.name} ${flag} on, on ${space.label}` },
  );
}

/** What stops a frame inside a bridge: between the port it came by (`null`: the bridge itself) and the one that leads to `mac`. */
function insideBridge(
  space: Space,
  bridge: Link,
  from: Link | null,
  to: Link | null,
  broadcast = false,
): Finding | null {
  const down = linkTrouble(bridge);
  if (down === 'is down')
    return finding(space, 'link-down', `bridge ${bridge.name} of ${space.label} is down`, {
      mend: `ip link set ${bridge.name} up, on ${space.label}`,
    });
  for (const port of [from, to]) {
    if (!port || port === bridge) continue;
    const state = typeof port.port?.state === 'string' ? port.port.state : '';
    if (portStates.includes(state) && port.up && port.carrier)
      return finding(
        space,
        'port-not-forwarding',
        `port ${port.name} of bridge ${bridge.name} on ${space.label} does not forward: its state is ${state}`,
        { mend: `bridge link set dev ${port.name} state 3, or let STP settle, on ${space.label}` },
      );
  }
  const silent = to && to !== bridge ? floodOff(space, bridge, to, broadcast) : null;
  if (silent) return silent;
  if (Number(bridge.data.vlan_filtering ?? 0) === 1) {
    const ends = [from ?? bridge, to ?? bridge].map((one) => ({ name: one.name, ...vlansOf(space, one.name) }));
    const [a, b] = ends as [(typeof ends)[0], (typeof ends)[0]];
    if (a.pvid !== null ? !b.ids.includes(a.pvid) : a.ids.length === 0)
      return finding(
        space,
        'vlan-mismatch',
        `bridge ${bridge.name} of ${space.label} keeps ports ${a.name} and ${b.name} apart: ${a.name} is in VLAN ${a.pvid ?? listed(a.ids)}, ${b.name} in ${listed(b.ids)}`,
        {
          mend: `put both ports into one VLAN: bridge vlan add dev ${b.name} vid ${a.pvid ?? 'ID'} pvid untagged, on ${space.label}`,
        },
      );
  }
  if (from?.port?.isolated === true && to?.port?.isolated === true)
    return finding(
      space,
      'port-not-forwarding',
      `ports ${from.name} and ${to.name} of bridge ${bridge.name} on ${space.label} are isolated from each other`,
      { mend: `bridge link set dev ${to.name} isolated off, on ${space.label}` },
    );
  return null;
}

/** The port or bridge of a host by which a namespace or MAC is reached, with whether it is a port of that bridge at all. */
function endBehind(c: Case, space: Space, bridge: Link, mac: string): { port: Link | null; stray: Link | null } {
  if (bridge.mac === mac) return { port: bridge, stray: null };
  for (const holder of holdersOfMac(c.world, mac)) {
    const peer = peerOf(c.world, holder.space, holder.link);
    if (peer?.space !== space) continue;
    return peer.link.master === bridge.name ? { port: peer.link, stray: null } : { port: null, stray: peer.link };
  }
  const entry = space.forwards.find((one) => one.mac === mac && linkNamed(space, one.dev)?.master === bridge.name);
  return { port: entry ? linkNamed(space, entry.dev) : null, stray: null };
}

/** Why a frame for `mac` that is in a bridge of `space` does not leave it. */
export function stuckInBridge(
  c: Case,
  space: Space,
  bridge: Link,
  from: Link | null,
  mac: string,
  bytes = 0,
  broadcast = false,
): Finding | null {
  const { port, stray } = endBehind(c, space, bridge, mac);
  if (stray)
    return finding(
      space,
      'not-a-bridge-port',
      `${stray.name} of ${space.label}, which leads to ${holdersOfMac(c.world, mac)[0]!.space.label}, is no port of bridge ${bridge.name}${stray.master === null ? '' : ` but of ${stray.master}`}`,
      { mend: `ip link set ${stray.name} master ${bridge.name}, on ${space.label}` },
    );
  const at = port && port !== bridge ? { space, link: port } : null;
  const down =
    at &&
    (linkDown(at, 'it', c.world) ?? tooSmallFor(at, bytes, 'it') ?? filteredByQueue(space, at.link, 'egress', 'it'));
  if (down) return down;
  const wrong = space.forwards.find(
    (one) =>
      one.mac === mac &&
      linkNamed(space, one.dev)?.master === bridge.name &&
      port !== null &&
      one.dev !== port.name &&
      one.dev !== bridge.name,
  );
  if (wrong && port)
    return finding(
      space,
      'neighbour-wrong',
      `the forwarding database of bridge ${bridge.name} on ${space.label} has ${mac} at port ${wrong.dev}, but it is behind ${port.name}`,
      { mend: `bridge fdb del ${mac} dev ${wrong.dev} master, on ${space.label}` },
    );
  return insideBridge(space, bridge, from, port, broadcast);
}

/** A queue of the link dropped packets while the probe was on its way (netem with loss, a queue without room). */
export function lossAt(space: Space, link: Link, name: string): Finding | null {
  // What filters of traffic control dropped, the queue that holds them counts, too.
  const own = space.qdiscs.filter(({ dev, kind }) => dev === link.name && kind !== 'clsact' && kind !== 'ingress');
  const queue = own.find(({ dropped }) => dropped > 0);
  if (!queue) return delayedAt(space, link, own, name);
  return finding(
    space,
    'link-loss',
    `${space.label} loses ${name} as it leaves by ${link.name}: the queue there (${queue.kind}) dropped it`,
    {
      evidence: [`The queue ${queue.kind} of ${link.name} of ${space.label} dropped ${queue.dropped} packets.`],
      mend: `tc qdisc del dev ${link.name} root, on ${space.label}`,
    },
  );
}

/** A netem queue that holds packets for longer than the probe waits (tc-netem(8); its JSON is in seconds). */
function delayedAt(space: Space, link: Link, queues: Space['qdiscs'], name: string): Finding | null {
  for (const { kind, options } of queues) {
    const { delay } = (typeof options.delay === 'object' && options.delay !== null ? options.delay : {}) as {
      delay?: unknown;
    };
    if (kind !== 'netem' || typeof delay !== 'number' || delay * 1000 < probeWaitMs) continue;
    return finding(
      space,
      'link-delay',
      `${space.label} holds ${name} at ${link.name}: the queue there (netem) delays by ${delay} s`,
      { mend: `tc qdisc del dev ${link.name} root, on ${space.label}` },
    );
  }
  return null;
}

/** A filter of traffic control (tc(8)) dropped packets on that side of the link while the probe was on its way. */
export function filteredByQueue(space: Space, link: Link, side: 'ingress' | 'egress', name: string): Finding | null {
  const filter = space.queueFilters.find((one) => one.dev === link.name && one.side === side && one.dropped > 0);
  if (!filter) return null;
  return finding(
    space,
    'filtered',
    `${space.label} drops ${name}: the tc filter ${filter.preference} (${filter.kind}) at ${side} of ${link.name}`,
    {
      evidence: [`Its action dropped ${filter.dropped} packets while the probe was on its way.`],
      mend: `tc filter del dev ${link.name} ${side} pref ${filter.preference}, on ${space.label}`,
    },
  );
}

/** What an interface takes at most (is_skb_forwardable() of the kernel lets room for a VLAN tag pass). */
function tooSmallFor(at: At, bytes: number, name: string): Finding | null {
  const { space, link } = at;
  if (link.mtu === 0 || bytes <= link.mtu + 4) return null;
  return finding(
    space,
    'mtu',
    `${name} has ${bytes} bytes, and ${link.name} of ${space.label} takes at most ${link.mtu}, without a word to the sender`,
    {
      evidence: [`The MTU of ${link.name} of ${space.label} is ${link.mtu}; frames that are larger are dropped there.`],
      mend: `ip link set ${link.name} mtu ${bytes}, on ${space.label}, or a smaller MTU at the ends`,
    },
  );
}

/** Why a frame that left by a link did not come in where its destination address is. */
export function lostBehind(c: Case, step: Step, name: string): Finding | null {
  const { space, link } = step;
  // In a tunnel, the frame on the wire is the one around.
  const mac = step.packet.around[0]?.dstMac ?? step.packet.dstMac;
  if (link.kind === 'bridge' && mac !== null) return stuckInBridge(c, space, link, link, mac, step.packet.length);
  const peer = peerOf(c.world, space, link);
  if (peer) {
    const down = linkDown(peer, name, c.world) ?? tooSmallFor(peer, step.packet.length, name);
    if (down) return down;
    const stray =
      peer.space !== space && peer.link.master === null && !peer.link.addresses.some(({ scope }) => scope === 'global');
    if (stray && mac !== null && holdersOfMac(c.world, mac).some((one) => one.space !== peer.space))
      return finding(
        peer.space,
        'not-a-bridge-port',
        `${peer.link.name} of ${peer.space.label}, the other end of ${link.name} of ${space.label}, is no port of a bridge`,
        { mend: `ip link set ${peer.link.name} master BRIDGE, on ${peer.space.label}` },
      );
  }
  if (mac === null || mac === 'ff:ff:ff:ff:ff:ff' || mac.startsWith('33:33')) return null;
  const holders = holdersOfMac(c.world, mac);
  if (holders.length === 0) return wrongMac(c, step, mac, name);
  const near = holders.find((holder) => sameWire(c.world, c.plan, { space, link }, holder) === true);
  if (near) {
    const down = linkDown(near, name, c.world) ?? tooSmallFor(near, step.packet.length, name);
    if (down) return down;
    // Whether it came in there is known of hosts that were looked at only.
    if (c.world.unlooked.length > 0) return null;
    return finding(
      space,
      'link-loss',
      `${name} is lost between ${link.name} of ${space.label} and ${near.link.name} of ${near.space.label}, on ${wireOf(c.world, c.plan, { space, link }) ?? '?'}`,
      { evidence: [`${space.label} sent it, and ${near.space.label} did not get it.`] },
    );
  }
  return null;
}

function wrongMac(c: Case, step: Step, mac: string, name: string): Finding | null {
  if (c.world.unlooked.length > 0) return null;
  // Who sent it may be a namespace behind: the packet left by a bridge's port, or by a macvlan interface's parent.
  const senders = [step, ...c.forward, ...c.reply].filter((one) => one.space.host === step.space.host);
  const found = senders.flatMap(({ space }) => space.neighbours.map((entry) => ({ space, entry })));
  const wrong = found.find(({ entry }) => entry.mac === mac);
  if (!wrong) return null;
  const { space, entry } = wrong;
  const fixed = entry.state.includes('PERMANENT');
  const stopped = fixed ? null : stoppedOwner(c, entry.dst);
  if (stopped) return stopped;
  return finding(
    space,
    'neighbour-wrong',
    `${space.label} sends ${name} to ${mac}, which it has for ${entry.dst}${fixed ? ' by a static entry' : ''} and nobody has`,
    {
      evidence: [
        `The neighbour table of ${space.label} says: ${entry.dst} dev ${entry.dev} lladdr ${mac} ${entry.state.join(' ')}.`,
      ],
      mend: `ip neigh del ${entry.dst} dev ${entry.dev}, on ${space.label}`,
    },
  );
}
