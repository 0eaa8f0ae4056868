import { linkDown } from './explain-link.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import type { Case, Step } from './follow.js';
import type { Switch, SwitchPort } from './switches.js';
import { holdersOfMac, peerOf } from './wire.js';
import { linkNamed } from './world.js';
import type { Link, Space } from './world.js';

function firstOf<One>(all: readonly One[], of: (one: One) => Finding | null): Finding | null {
  for (const one of all) {
    const found = of(one);
    if (found) return found;
  }
  return null;
}

/** The bridge of Open vSwitch that a link is a port of. */
export function switchOf(space: Space, link: Link): Switch | null {
  return space.switches.find(({ ports }) => ports.some(({ name }) => name === link.name)) ?? null;
}

const vlanWords = ({ tag, trunks }: SwitchPort): string =>
  tag !== null ? `VLAN ${tag}` : trunks.length > 0 ? `VLANs ${trunks.join(', ')} only` : 'no VLAN';

/** A port of a switch, with the host that it is on. */
interface At {
  space: Space;
  port: SwitchPort;
}

/** The access port by which the probe's source is on a switch. */
function sourcePort(c: Case): At | null {
  for (const link of c.source.links) {
    const peer = peerOf(c.world, c.source, link);
    const port = peer && switchOf(peer.space, peer.link)?.ports.find(({ name }) => name === peer.link.name);
    if (peer && port) return { space: peer.space, port };
  }
  return null;
}

/**
 * A port in another VLAN than the frame is in. A frame that comes by a trunk has its VLAN from the port by which it came into
 * the switches.
 */
function apart(c: Case, from: At, to: At): Finding | null {
  const first = from.port.tag === null ? sourcePort(c) : from;
  const vlan = first?.port.tag ?? null;
  if (!first || vlan === null || to.port.tag === vlan) return null;
  if (to.port.tag === null && (to.port.trunks.length === 0 || to.port.trunks.includes(vlan))) return null;
  const label = (at: At): string => (first.space === to.space ? at.port.name : `${at.port.name} of ${at.space.label}`);
  return finding(
    to.space,
    'vlan-mismatch',
    `${label(first)} is in ${vlanWords(first.port)}, ${label(to)} in ${vlanWords(to.port)}, so Open vSwitch of ${to.space.label} keeps them apart`,
    { mend: `ovs-vsctl set port ${to.port.name} tag=${vlan}, on ${to.space.label}` },
  );
}

function droppedByFlow(space: Space, bridge: Switch, name: string): Finding | null {
  const flow = bridge.flows?.find(({ drops, met }) => drops && met > 0);
  if (flow)
    return finding(
      space,
      'filtered',
      `${space.label} drops ${name}: the flow \`${flow.text}\` of bridge ${bridge.name}`,
      {
        evidence: [`${flow.met} packets met it while the probe was on its way.`],
        mend: `ovs-ofctl del-flows ${bridge.name} MATCH, on ${space.label}`,
      },
    );
  if (bridge.flows?.length !== 0 || !bridge.secure) return null;
  return finding(
    space,
    'filtered',
    `${space.label} drops ${name}: bridge ${bridge.name} has no flow, and its fail_mode is secure`,
    { mend: `ovs-vsctl set-fail-mode ${bridge.name} standalone, or flows of a controller, on ${space.label}` },
  );
}

/** A bridge, and the patch ports by which a frame comes to it from the bridge that it came in at. */
interface Reached {
  bridge: Switch;
  passed: SwitchPort[];
}

/** The bridges that are one switch: that itself, and those behind its patch ports. */
function joinedTo(space: Space, bridge: Switch): Reached[] {
  const reached: Reached[] = [{ bridge, passed: [] }];
  for (const { bridge: one, passed } of reached)
    for (const port of one.ports) {
      if (port.peer === null || port.error !== null) continue;
      const next = space.switches.find(({ ports }) => ports.some(({ name }) => name === port.peer));
      const end = next?.ports.find(
        ({ name, peer, error }) => name === port.peer && peer === port.name && error === null,
      );
      if (!next || !end || reached.some((known) => known.bridge === next)) continue;
      reached.push({ bridge: next, passed: [...passed, port, end] });
    }
  return reached;
}

/** The port that a frame has to leave by is of no bridge that it can come to: of none, of one that is not joined, or not opened. */
function notReached(space: Space, bridge: Switch, to: { link: Link; holder: Space }): Finding {
  const other = switchOf(space, to.link);
  const own = bridge.ports.find(({ name }) => name === to.link.name);
  const patch = [bridge, ...(other ? [other] : [])].flatMap(({ name, ports }) =>
    ports.flatMap((port) => (port.type === 'patch' && port.error !== null ? [{ bridge: name, port }] : [])),
  )[0];
  const which = `${to.link.name} of ${space.label}, which leads to ${to.holder.label}`;
  if (!own && other && patch)
    return finding(
      space,
      'not-a-bridge-port',
      `${which}, is a port of bridge ${other.name}, and the patch port ${patch.port.name} of ${patch.bridge} joins it to no other: ${patch.port.error ?? ''}`,
      {
        mend: `a patch port of ${patch.bridge === bridge.name ? other.name : bridge.name} with options:peer=${patch.port.name}, on ${space.label}`,
      },
    );
  const why = own ? `: ${own.error ?? ''}` : other ? ` but of ${other.name}` : '';
  return finding(space, 'not-a-bridge-port', `${which}, is no port of bridge ${bridge.name}${why}`, {
    mend: `ovs-vsctl add-port ${bridge.name} ${to.link.name}, on ${space.label}`,
  });
}

/** Why a frame for `mac` that came to a port of Open vSwitch does not leave the switch. */
export function stuckInSwitch(
  c: Case,
  space: Space,
  bridge: Switch,
  from: Link,
  mac: string,
  name: string,
): Finding | null {
  if (!bridge.running)
    return finding(
      space,
      'port-not-forwarding',
      `Open vSwitch of ${space.label} does not run, so bridge ${bridge.name} passes nothing on`,
      { mend: `systemctl start openvswitch-switch, on ${space.label}` },
    );
  const own = bridge.ports.find((port) => port.name === from.name)!;
  const joined = joinedTo(space, bridge);
  for (const holder of holdersOfMac(c.world, mac)) {
    const peer = peerOf(c.world, holder.space, holder.link);
    if (peer?.space !== space) continue;
    const at = joined.find(({ bridge: one }) => one.ports.some(({ name: port }) => port === peer.link.name));
    const to = at?.bridge.ports.find((port) => port.name === peer.link.name);
    if (!at || !to || to.error !== null) return notReached(space, bridge, { link: peer.link, holder: holder.space });
    const first = { space, port: own };
    return (
      linkDown(peer, name, c.world) ??
      firstOf([...at.passed, to], (port) => apart(c, first, { space, port })) ??
      firstOf(joined, ({ bridge: one }) => droppedByFlow(space, one, name))
    );
  }
  // It is behind another switch: by which port, only a trunk that does not carry its VLAN tells.
  const trunks = bridge.ports.filter(
    (port) => port !== own && port.tag === null && port.trunks.length > 0 && linkNamed(space, port.name),
  );
  const closed = trunks.length === 1 ? apart(c, { space, port: own }, { space, port: trunks[0]! }) : null;
  return firstOf(joined, ({ bridge: one }) => droppedByFlow(space, one, name)) ?? closed;
}

/**
 * A frame that left a switch by ports to others only, as one for an address that the switch does not know leaves by all: why it
 * did not leave by the one that leads to whose address it is.
 */
export function floodedAstray(c: Case, steps: readonly Step[], last: Step, name: string): Finding | null {
  const { space, link, packet } = last;
  const bridge = packet.dstMac === null ? null : switchOf(space, link);
  const peer = bridge && peerOf(c.world, space, link);
  if (!bridge || !peer || holdersOfMac(c.world, packet.dstMac!).some((holder) => holder.space === peer.space))
    return null;
  const came = steps.findLast(
    (one) => one.way === 'in' && one.space === space && bridge.ports.some(({ name: port }) => port === one.link.name),
  );
  return came ? stuckInSwitch(c, space, bridge, came.link, packet.dstMac!, name) : null;
}
