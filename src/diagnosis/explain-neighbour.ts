import { addressesOf } from '../model/planned-addresses.js';
import type { Case, NeighbourStep } from './follow.js';
import { countedDrop, droppedQuestion } from './explain-filter.js';
import { filteredByQueue, linkDown, lossAt, stuckInBridge } from './explain-link.js';
import { stoppedOwner } from './explain-local.js';
import { stuckInSwitch, switchOf } from './explain-switch.js';
import { lostInTunnel } from './explain-tunnel.js';
import { withoutIpv6 } from './explain-route.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { linkTowards, peerOf, sameSegment, sameWire, segmentOf } from './wire.js';
import { holdersOf, linkNamed } from './world.js';
import type { Link, Space } from './world.js';

export interface NextHop {
  space: Space;
  link: Link;
  address: string;
  /** A gateway of a route, and the route's destination in words; `null` where the address itself is the packet's destination. */
  route: string | null;
  /** The packet's destination was translated on the way. */
  translated: boolean;
  name: string;
}

/** Whether the next hop did not say its MAC address. */
export function isSilent(c: Case, { space, link, address }: NextHop): boolean {
  const entry = [...space.neighboursAfter, ...space.neighbours].find(
    (one) => one.dst === address && one.dev === link.name,
  );
  if (entry?.state.some((state) => state === 'FAILED' || state === 'INCOMPLETE')) return true;
  if (entry?.mac) return false;
  return c.neighbours.some((one) => one.message.ask && one.message.target === address && one.space === space);
}

function hostWith(c: Case, address: string): string | null {
  return (
    c.plan.hosts.find((host) =>
      host.interfaces.some((nic) => addressesOf(nic).some((one) => one.split('/')[0] === address)),
    )?.name ?? null
  );
}

function addressesThere(c: Case, { space, link, address }: NextHop): string {
  const near = c.world.spaces.flatMap((other) =>
    other.links
      .filter((one) => other !== space && sameSegment(c.plan, { space, link }, { space: other, link: one }) === true)
      .flatMap((one) =>
        one.addresses
          .filter((own) => own.address.includes(':') === address.includes(':') && own.scope === 'global')
          .map((own) => `${other.label} has ${own.address}`),
      ),
  );
  return near.length === 0 ? '' : `; there, ${near.slice(0, 3).join(', ')}`;
}

/** Nobody in the lab has the next hop's address. */
function nobodyHas(c: Case, hop: NextHop): Finding {
  const { space, link, address, route, translated, name } = hop;
  if (c.world.unlooked.length > 0)
    return finding(space, null, `nobody answers ${space.label} for ${address} on ${link.name}`);
  const stopped = stoppedOwner(c, address);
  if (stopped) return stopped;
  const planned = hostWith(c, address);
  if (planned !== null) {
    const own = c.world.spaces.find((one) => one.host === planned && one.kind === 'host');
    const has = own?.links.flatMap((one) => one.addresses.filter(({ scope }) => scope === 'global')) ?? [];
    const instead = has.filter((one) => one.address.includes(':') === address.includes(':')).map((one) => one.address);
    return finding(
      own ?? space,
      'address-missing',
      `${planned} does not have the address ${address}${instead.length === 0 ? '' : ` (it has ${instead.join(', ')})`}, so nobody answers for it`,
      { mend: `give ${planned} the address ${address} again` },
    );
  }
  if (translated)
    return finding(space, 'nat-wrong', `${space.label} translates ${name} to ${address}, which nobody has`, {
      mend: `mend the rule on ${space.label} that translates to ${address}`,
    });
  if (route !== null)
    return finding(
      space,
      'wrong-route',
      `the route of ${space.label} to ${route} leads to the gateway ${address}, which nobody has${addressesThere(c, hop)}`,
      { mend: `ip route replace ${route} via the right gateway, on ${space.label}` },
    );
  const off = address.includes(':')
    ? c.world.spaces.flatMap((one) => withoutIpv6(c, one).map((words) => `on ${one.label}, ${words}`))
    : [];
  return finding(
    space,
    'address-missing',
    `nobody has the address ${address} that ${space.label} looks for on ${link.name}${off.length === 0 ? '' : `; ${off.slice(0, 2).join('; ')}`}`,
    {
      evidence: [`No interface in any network namespace of the lab has ${address}.`],
    },
  );
}

/** The network of an engine that an interface of its host is the bridge of, with its address there, in words. */
function engineNetwork(c: Case, space: Space, link: Link): string | null {
  const networks = (space.kind === 'host' && c.world.engines.get(space.host)?.networks) || [];
  const own = networks.find(({ id, name }) => link.name === (name === 'bridge' ? 'docker0' : `br-${id.slice(0, 12)}`));
  const [at] = link.addresses;
  return own ? `network ${own.name} of the engine${at ? `, where it has ${at.address}/${at.prefix}` : ''}` : null;
}

/** Somebody has it, but elsewhere than the sender looks. */
export function elsewhere(c: Case, hop: NextHop, holder: { space: Space; link: Link }): Finding | null {
  const { space, link, address, route } = hop;
  const network = engineNetwork(c, space, link);
  const same =
    network === null
      ? sameSegment(c.plan, { space, link }, holder)
      : sameWire(c.world, c.plan, { space, link }, holder);
  const there = segmentOf(c.plan, holder.space, holder.link);
  if (same !== false || (network !== null && there === null)) return null;
  const here = network ?? `segment ${segmentOf(c.plan, space, link) ?? '?'}`;
  const mend =
    route !== null
      ? `a gateway on ${here} for ${route}, on ${space.label}`
      : network !== null
        ? `another subnet for the network, one that no segment of the lab has: docker network create --subnet SUBNET, on ${space.label}`
        : `a route to ${address} by a gateway, or a longer prefix of the address on ${link.name} of ${space.label}`;
  return finding(
    space,
    'wrong-route',
    `${space.label} takes ${address} for a neighbour on ${link.name} (${here}), but ${holder.space.label} has it on segment ${there ?? '?'}`,
    { mend },
  );
}

/** The holder got the question, or should have: why did it not answer. */
function holderSilent(c: Case, hop: NextHop, holder: { space: Space; link: Link }): Finding | null {
  const { space, link, address } = hop;
  const dropped = droppedQuestion(c, address);
  if (dropped) return dropped;
  const deaf = [holder, { space, link }].find((one) => one.link.noArp);
  if (deaf && !address.includes(':'))
    return finding(
      deaf.space,
      'neighbour-silent',
      `${deaf.link.name} of ${deaf.space.label} speaks no ARP (it has the flag NOARP), so ${space.label} does not learn the MAC address of ${address}`,
      { mend: `ip link set ${deaf.link.name} arp on, on ${deaf.space.label}` },
    );
  const about = c.neighbours.filter(({ message }) => message.target === address);
  const asked = about.find((one) => one.message.ask && one.space === holder.space && one.way === 'in');
  const answers = about.filter((one) => !one.message.ask);
  if (asked && !answers.some((one) => one.space === holder.space && one.way === 'out')) {
    const ignore = holder.space.sysctls.get(`ipv4/conf/${asked.link.name}/arp_ignore`) ?? '0';
    const all = holder.space.sysctls.get('ipv4/conf/all/arp_ignore') ?? '0';
    const level = Math.max(Number(ignore), Number(all));
    if (level > 0)
      return finding(
        holder.space,
        'neighbour-silent',
        `${holder.space.label} gets the question for ${address} on ${asked.link.name} and does not answer it: arp_ignore is ${level} there`,
        { mend: `sysctl -w net.ipv4.conf.${asked.link.name}.arp_ignore=0 on ${holder.space.label}` },
      );
    const filtered =
      filteredByQueue(holder.space, asked.link, 'ingress', 'the question for its MAC address') ??
      filteredByQueue(holder.space, asked.link, 'egress', 'its answer about its MAC address') ??
      lossAt(holder.space, asked.link, 'its answer about its MAC address');
    if (filtered) return filtered;
    if (address.includes(':')) return null;
    return finding(
      holder.space,
      'neighbour-silent',
      `${holder.space.label} gets the question for ${address} on ${asked.link.name} and does not answer it`,
    );
  }
  if (
    answers.some((one) => one.space === holder.space && one.way === 'out') &&
    !answers.some((one) => one.space === space)
  )
    return (
      bridgeStop(c, answers, link.mac) ??
      finding(
        holder.space,
        null,
        `the answer of ${holder.space.label} for ${address} does not come back to ${space.label}`,
      )
    );
  return null;
}

/** The question came to a host by an interface that is in no bridge, and whom it is for is behind a bridge there. */
function strayEnd(c: Case, steps: readonly NeighbourStep[], holder: { space: Space; link: Link }): Finding | null {
  const last = steps.findLast(({ way }) => way === 'in');
  const port = peerOf(c.world, holder.space, holder.link);
  if (!last || port?.space !== last.space || port.link.master === null || last.link.master !== null) return null;
  if (last.link.kind === 'bridge') return null;
  if (last.link.addresses.some(({ scope }) => scope === 'global') || last.link === port.link) return null;
  return finding(
    last.space,
    'not-a-bridge-port',
    `${last.link.name} of ${last.space.label} is no port of bridge ${port.link.master}, behind which ${holder.space.label} is`,
    { mend: `ip link set ${last.link.name} master ${port.link.master}, on ${last.space.label}` },
  );
}

/** The question came to a port of Open vSwitch, on the holder's host or, where it did not come there, on the sender's. */
function switchStop(c: Case, asks: readonly NeighbourStep[], holder: { space: Space; link: Link }): Finding | null {
  const came = asks.filter(({ way, space, link }) => way === 'in' && switchOf(space, link) !== null);
  const at = came.find(({ space }) => space.host === holder.space.host) ?? came.at(-1);
  const bySwitch = at ? switchOf(at.space, at.link) : null;
  return at && bySwitch
    ? stuckInSwitch(c, at.space, bySwitch, at.link, holder.link.mac, 'the question for its MAC address')
    : null;
}

function bridgeStop(c: Case, steps: readonly NeighbourStep[], mac: string, broadcast = false): Finding | null {
  const last = steps.at(-1);
  if (!last) return null;
  const bridge = last.link.kind === 'bridge' ? last.link : linkNamed(last.space, last.link.master);
  return bridge ? stuckInBridge(c, last.space, bridge, last.link, mac, 0, broadcast) : null;
}

function questionStop(c: Case, hop: NextHop, holder: { space: Space; link: Link }): Finding | null {
  const { space, link, address } = hop;
  const asks = c.neighbours.filter((one) => one.message.ask && one.message.target === address);
  // The way of the question on one host, from one veth to the other.
  for (const bridge of holder.space.host === space.host ? c.world.spaces.flatMap(bridgesOf) : []) {
    const from = peerOf(c.world, space, link);
    if (bridge.space.host !== space.host || (from?.link.master !== bridge.link.name && link !== bridge.link)) continue;
    const stop = stuckInBridge(c, bridge.space, bridge.link, from?.link ?? null, holder.link.mac, 0, true);
    if (stop) return stop;
  }
  const mine = peerOf(c.world, space, link);
  if (
    mine &&
    mine.link.master === null &&
    link.kind === 'veth' &&
    mine.space !== holder.space &&
    mine.link.addresses.length === 0
  )
    return finding(
      mine.space,
      'not-a-bridge-port',
      `${mine.link.name} of ${mine.space.label}, the other end of ${link.name} of ${space.label}, is no port of a bridge`,
      { mend: `ip link set ${mine.link.name} master BRIDGE, on ${mine.space.label}` },
    );
  const last = asks.at(-1);
  const tunnel =
    last?.way === 'out'
      ? lostInTunnel(c, { ...last, mac: last.message.dstMac }, 'the question for its MAC address')
      : null;
  if (tunnel) return tunnel;
  return (
    switchStop(c, asks, holder) ??
    bridgeStop(c, asks, holder.link.mac, true) ??
    strayEnd(c, asks, holder) ??
    vlanStop(hop, holder)
  );
}

function bridgesOf(space: Space): { space: Space; link: Link }[] {
  return space.links.filter(({ kind }) => kind === 'bridge').map((link) => ({ space, link }));
}

function vlanStop({ space, link }: NextHop, holder: { space: Space; link: Link }): Finding | null {
  const [a, b] = [link, holder.link].map((one) => (one.kind === 'vlan' ? Number(one.data.id) : null));
  if (a === b) return null;
  const words = (id: number | null, one: Link, at: Space): string =>
    `${one.name} of ${at.label} ${id === null ? 'sends without a VLAN tag' : `is in VLAN ${id}`}`;
  return finding(
    holder.space,
    'vlan-mismatch',
    `${words(a ?? null, link, space)}, ${words(b ?? null, holder.link, holder.space)}`,
    { mend: 'give both ends the same VLAN id' },
  );
}

/** Why nobody told the sender the MAC address of its next hop. */
export function neighbourStop(c: Case, hop: NextHop): Finding {
  const { space, link, address, route, name } = hop;
  const down = linkDown({ space, link }, name, c.world);
  if (down) return down;
  const asked = c.neighbours.some((one) => one.message.ask && one.message.target === address && one.space === space);
  const loss =
    filteredByQueue(space, link, 'egress', asked ? 'the question for a MAC address' : name) ??
    (asked ? null : lossAt(space, link, name));
  if (loss) return loss;
  const holders = holdersOf(c.world, address).filter((one) => one.space !== space);
  const holder =
    holders.find((one) => sameWire(c.world, c.plan, { space, link }, one) === true) ??
    holders.find((one) => one.space.host === space.host) ??
    holders[0];
  if (!holder) return nobodyHas(c, hop);
  const packet = { src: linkTowards(space, address)?.addresses[0]?.address ?? '', dst: address, proto: 'icmp' };
  const found =
    linkDown(holder, 'the question for its MAC address', c.world) ??
    elsewhere(c, hop, holder) ??
    holderSilent(c, hop, holder) ??
    questionStop(c, hop, holder) ??
    (address.includes(':') ? countedDrop(holder.space, 'forward', packet, 'in', true) : null);
  if (found) return found;
  const who = route === null ? `${holder.space.label} (${address})` : `the gateway ${holder.space.label} (${address})`;
  const cameIn = c.neighbours.some(
    (one) => one.message.ask && one.message.target === address && one.space === holder.space && one.way === 'in',
  );
  // Who was not asked is not silent.
  if (asked && !cameIn)
    return finding(
      space,
      null,
      `the question of ${space.label} for the MAC address of ${who} on ${link.name} does not come in there`,
      { evidence: [`${space.label} asked for ${address} on ${link.name}; ${holder.space.label} did not get it.`] },
    );
  return finding(holder.space, null, `${who} does not tell ${space.label} its MAC address on ${link.name}`, {
    evidence: [`${space.label} asked for ${address} on ${link.name} and got no answer.`],
  });
}
