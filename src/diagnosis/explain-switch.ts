import { linkDown } from './explain-link.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import type { Case } from './follow.js';
import type { Switch, SwitchPort } from './switches.js';
import { holdersOfMac, peerOf } from './wire.js';
import { linkNamed } from './world.js';
import type { Link, Space } from './world.js';

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
  for (const holder of holdersOfMac(c.world, mac)) {
    const peer = peerOf(c.world, holder.space, holder.link);
    if (peer?.space !== space) continue;
    const to = bridge.ports.find((port) => port.name === peer.link.name);
    if (!to || to.error !== null) {
      const other = switchOf(space, peer.link);
      const why = to ? `: ${to.error ?? ''}` : other ? ` but of ${other.name}` : '';
      return finding(
        space,
        'not-a-bridge-port',
        `${peer.link.name} of ${space.label}, which leads to ${holder.space.label}, is no port of bridge ${bridge.name}${why}`,
        { mend: `ovs-vsctl add-port ${bridge.name} ${peer.link.name}, on ${space.label}` },
      );
    }
    return (
      linkDown(peer, name, c.world) ??
      apart(c, { space, port: own }, { space, port: to }) ??
      droppedByFlow(space, bridge, name)
    );
  }
  // It is behind another switch: by which port, only a trunk that does not carry its VLAN tells.
  const trunks = bridge.ports.filter(
    (port) => port !== own && port.tag === null && port.trunks.length > 0 && linkNamed(space, port.name),
  );
  const closed = trunks.length === 1 ? apart(c, { space, port: own }, { space, port: trunks[0]! }) : null;
  return droppedByFlow(space, bridge, name) ?? closed;
}
