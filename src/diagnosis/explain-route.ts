import type { Case } from './follow.js';
import { filteredByQueue, linkDown, lossAt } from './explain-link.js';
import { elsewhere, isSilent, neighbourStop } from './explain-neighbour.js';
import type { NextHop } from './explain-neighbour.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { inSubnet, isOwn, lookup } from './lookup.js';
import type { Found } from './lookup.js';
import { linkTowards, linkTrouble, segmentOf } from './wire.js';
import { holdersOf, linkNamed, rose } from './world.js';
import type { Link, PolicyRule, Route, Space } from './world.js';

/** A packet that a namespace is to send or to pass on. */
export interface Onward {
  to: string;
  from: string | null;
  /** The interface by which it came; `null`: made here. */
  iif: string | null;
  bytes: number;
  df: boolean;
  /** Its destination was translated. */
  translated: boolean;
  /** `it`, or `the answer`. */
  name: string;
  mark?: number | undefined;
}

export function routeWords(route: Route): string {
  const all = route.prefix === 0;
  return all
    ? 'default'
    : route.prefix === (route.dst.includes(':') ? 128 : 32)
      ? route.dst
      : `${route.dst}/${route.prefix}`;
}

function ruleWords(rule: PolicyRule): string {
  const parts = [
    rule.not ? 'not' : '',
    rule.src === 'all' ? '' : `from ${rule.src}${rule.srcLen === 32 || rule.srcLen === 128 ? '' : `/${rule.srcLen}`}`,
    rule.dst === 'all' ? '' : `to ${rule.dst}${rule.dstLen === 32 || rule.dstLen === 128 ? '' : `/${rule.dstLen}`}`,
    rule.iif === null ? '' : `iif ${rule.iif}`,
    rule.mark === null
      ? ''
      : `fwmark 0x${rule.mark.toString(16)}${rule.mask === 0xffffffff ? '' : `/0x${rule.mask.toString(16)}`}`,
    rule.action ?? (rule.table === null ? '' : `lookup ${rule.table}`),
  ];
  return `rule ${rule.priority}: ${parts.filter((part) => part !== '').join(' ')}`;
}

/** The routing policy refuses the packet, or has nothing for it. */
function noWay(c: Case, space: Space, found: Found, onward: Onward): Finding | null {
  const { to, name } = onward;
  if (found.found === 'rule')
    return finding(space, 'policy-rule', `a policy rule of ${space.label} refuses ${name}: ${ruleWords(found.rule)}`, {
      mend: `ip rule del priority ${found.rule.priority}, on ${space.label}`,
    });
  if (found.found === 'route') {
    if (!found.refuses) return null;
    const { route, rule } = found;
    const words = `${route.type} ${routeWords(route)}`;
    if (rule.selective)
      return finding(
        space,
        'policy-rule',
        `a policy rule of ${space.label} (${ruleWords(rule)}) sends ${name} to a table with the route ${words}`,
        {
          mend: `ip rule del priority ${rule.priority}, or ip route del ${words} table ${route.table}, on ${space.label}`,
        },
      );
    return finding(space, 'route-refuses', `${space.label} has the route ${words}, which refuses ${name}`, {
      mend: `ip route del ${words}, on ${space.label}`,
    });
  }
  const towards = linkTowards(space, to);
  const down = towards ? linkDown({ space, link: towards }, name, c.world) : null;
  if (down) return down;
  const dead = space.routes[to.includes(':') ? 6 : 4].find(
    (route) => route.dead && inSubnet(to, route.dst, route.prefix),
  );
  const link = dead ? linkNamed(space, dead.dev) : null;
  const broken = link ? linkDown({ space, link }, name, c.world) : null;
  if (broken) return broken;
  // Routes go with their interface.
  const lost = space.links.find((one) => !one.up && segmentOf(c.plan, space, one) !== null);
  if (lost)
    return finding(
      space,
      'link-down',
      `${space.label} has no route to ${to}: ${lost.name} of ${space.label} is down, and routes go with their interface`,
      {
        evidence: [`No rule and table of ${space.label} has a route for ${to}.`],
        mend: `ip link set ${lost.name} up, on ${space.label}, and its routes again`,
      },
    );
  const off = to.includes(':') ? withoutIpv6(c, space)[0] : undefined;
  const own = off ? null : ownAddressMissing(c, space, to);
  const why = off ?? own?.words;
  return finding(space, 'no-route', `${space.label} has no route to ${to}${why ? `; ${why}` : ''}`, {
    evidence: [`No rule and table of ${space.label} has a route for ${to}.`],
    mend: off
      ? `sysctl -w ${off.replace(' is 1', '=0')} on ${space.label}, and its addresses again`
      : (own?.mend ?? `ip route add ${to} via GATEWAY, on ${space.label}`),
  });
}

/**
 * What a namespace's own addresses have to do with it that there is no route: an interface on a segment of the plan has none, or
 * one whose prefix leaves out the part of the segment that the destination is in. `null`: nothing.
 */
export function ownAddressMissing(c: Case, space: Space, to: string): { words: string; mend: string } | null {
  const six = to.includes(':');
  const alike = (link: Link): Link['addresses'] =>
    link.addresses.filter(({ address, scope }) => scope === 'global' && address.includes(':') === six);
  const none = space.links.every((link) => link.name === 'lo' || alike(link).length === 0);
  for (const link of space.links) {
    const name = segmentOf(c.plan, space, link);
    const segment = c.plan.segments.find((one) => one.name === name);
    if (!segment || link.master !== null) continue;
    const [of, length] = segment.subnet.split('/');
    const prefix = Number(length);
    const here = inSubnet(to, of!, prefix);
    const own = alike(link);
    if (own.length === 0 && (none || here)) {
      const host = c.plan.hosts.find((one) => one.name === space.host);
      const planned = host?.interfaces.find((one) => one.name === link.name && one.segment === name)?.address ?? null;
      return {
        words: `${link.name} of ${space.label} has no ${six ? 'IPv6' : 'IPv4'} address`,
        mend: `ip addr add ${six || planned === null ? 'ADDRESS' : planned.split('/')[0]!}/${six ? 64 : prefix} dev ${link.name}, on ${space.label}, and its routes again`,
      };
    }
    const narrow = here
      ? own.find((one) => inSubnet(one.address, of!, prefix) && one.prefix > prefix && one.address !== to)
      : undefined;
    if (narrow)
      return {
        words: `${link.name} of ${space.label} has the address ${narrow.address}/${narrow.prefix}, and segment ${segment.name} is ${segment.subnet}`,
        mend: `ip addr add ${narrow.address}/${prefix} dev ${link.name}, and ip addr del ${narrow.address}/${narrow.prefix} dev ${link.name}, on ${space.label}`,
      };
  }
  return null;
}

/** What says that interfaces on segments of the plan have no IPv6, a clause each. */
export function withoutIpv6(c: Case, space: Space): string[] {
  return space.links.flatMap(({ name, ...link }) =>
    segmentOf(c.plan, space, { name, ...link }) !== null && numberOf(space, `ipv6/conf/${name}/disable_ipv6`) === 1
      ? [`net.ipv6.conf.${name}.disable_ipv6 is 1`]
      : [],
  );
}

function tooBig(space: Space, link: Link, route: Route, onward: Onward): Finding | null {
  const mtu = Math.min(link.mtu || 65_536, route.mtu ?? 65_536);
  if (!onward.df || onward.bytes <= mtu) return null;
  return finding(
    space,
    'mtu',
    `${onward.name} has ${onward.bytes} bytes and may not be fragmented, and ${link.name} of ${space.label} takes at most ${mtu}`,
    {
      evidence: [`The MTU of ${link.name} of ${space.label} is ${mtu}; a payload of ${mtu - 28} bytes passes there.`],
      mend: `ip link set ${link.name} mtu ${onward.bytes}, on ${space.label} and at the other end`,
    },
  );
}

/**
 * The first link of the way that is too small for the packet, by the routes of the hosts: a sender that was told so once sends
 * no more packets that big, so that none is seen.
 */
export function tooBigOnWay(c: Case): Finding | null {
  let space: Space = c.source;
  for (let hops = 0; hops < 16; hops += 1) {
    const found = lookup(space, { to: c.address, from: null, iif: null });
    if (found.found !== 'route' || found.refuses || found.route.type === 'local') return null;
    const link = linkNamed(space, found.route.dev);
    if (!link) return null;
    const onward = { to: c.address, from: null, iif: null, bytes: c.bytes, df: true, translated: false, name: 'it' };
    const big = tooBig(space, link, found.route, onward);
    if (big) return big;
    const next = holdersOf(c.world, found.route.gateway ?? c.address).find((one) => one.space !== space);
    if (!next || next.space.links.some((one) => one.addresses.some(({ address }) => address === c.address)))
      return null;
    space = next.space;
  }
  return null;
}

function nextHops(space: Space, route: Route, onward: Onward): NextHop[] {
  const { translated, name } = onward;
  const ways = route.hops.length > 1 ? route.hops : [{ gateway: route.gateway, dev: route.dev }];
  return ways.flatMap(({ gateway, dev }) => {
    const link = linkNamed(space, dev);
    const words = gateway === null ? null : routeWords(route);
    return link ? [{ space, link, address: gateway ?? onward.to, route: words, translated, name }] : [];
  });
}

/** Why a namespace does not send a packet on its way; `null` where nothing there stands against it. */
export function cannotSend(c: Case, space: Space, onward: Onward): Finding | null {
  const found = lookup(space, onward);
  const none = noWay(c, space, found, onward);
  if (none || found.found !== 'route') return none;
  const { route } = found;
  if (route.type === 'local') return null;
  const hops = nextHops(space, route, onward);
  // Of several next hops the kernel takes one by a hash of the packet: the one that does not answer is the one that lost it.
  const hop = hops.find((one) => hops.length > 1 && isSilent(c, one)) ?? hops[0];
  if (!hop) return null;
  const { link } = hop;
  const holder = holdersOf(c.world, hop.address).find((one) => one.space !== space);
  // An engine's bridge without containers has no carrier, and takes what its subnet covers all the same.
  const astray = link.carrier || !link.up || !holder ? null : elsewhere(c, hop, holder);
  const down = astray ?? linkDown({ space, link }, onward.name, c.world);
  if (down) return down;
  const big = tooBig(space, link, route, onward);
  if (big) return big;
  if (link.kind !== 'wireguard' && isSilent(c, hop)) return neighbourStop(c, hop);
  return filteredByQueue(space, link, 'egress', onward.name) ?? lossAt(space, link, onward.name);
}

export const numberOf = (space: Space, sysctl: string): number => Number(space.sysctls.get(sysctl) ?? '0');

/** rp_filter as the kernel takes it: the larger of `all` and the interface's own (ip-sysctl). */
export function filteredByReversePath(space: Space, link: Link, from: string, to: string): Finding | null {
  if (from.includes(':')) return null;
  const mode = Math.max(
    numberOf(space, 'ipv4/conf/all/rp_filter'),
    numberOf(space, `ipv4/conf/${link.name}/rp_filter`),
  );
  if (mode === 0) return null;
  const back = lookup(space, { to: from, from: to, iif: null });
  const dev = back.found === 'route' && !back.refuses ? back.route.dev : null;
  if (mode === 1 ? dev === link.name : dev !== null) return null;
  const counted = rose(space, 'TcpExt.IPReversePathFilter') > 0;
  if (!counted) return null;
  return finding(
    space,
    'rp-filter',
    `${space.label} drops what comes from ${from} by ${link.name}: rp_filter is ${mode} there, and its own way to ${from} ${dev === null ? 'is none' : `leads by ${dev}`}`,
    {
      evidence: [
        `The counter IPReversePathFilter of ${space.label} rose by ${rose(space, 'TcpExt.IPReversePathFilter')}.`,
      ],
      mend: `a route to ${from} by ${link.name}, or sysctl -w net.ipv4.conf.${link.name}.rp_filter=0 and net.ipv4.conf.all.rp_filter=0, on ${space.label}`,
    },
  );
}

/** Whether a namespace passes packets on that come by the link. */
function forwards(space: Space, link: Link, to: string): boolean {
  return to.includes(':')
    ? numberOf(space, 'ipv6/conf/all/forwarding') !== 0
    : numberOf(space, `ipv4/conf/${link.name}/forwarding`) !== 0;
}

/** The packet came to a namespace that does not pass on what comes by that link. */
export function forwardingOff(space: Space, link: Link, to: string, name: string): Finding | null {
  const six = to.includes(':');
  if (forwards(space, link, to)) return null;
  const all = six ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward';
  const value = six ? 0 : numberOf(space, 'ipv4/ip_forward');
  const knob = value === 0 ? all : `net.ipv4.conf.${link.name}.forwarding`;
  return finding(
    space,
    'forwarding-off',
    `${space.label} got ${name} on ${link.name} and does not forward: ${knob} is 0`,
    {
      evidence: [`The destination ${to} is no address of ${space.label}.`],
      mend: `sysctl -w ${knob}=1 on ${space.label}`,
    },
  );
}

/**
 * The packet was handed to a namespace that could not lead it on whatever it did: none of its links is on a way to the
 * destination, and somebody else on the sender's segment is.
 */
export function sentAstray(
  c: Case,
  from: { space: Space; link: Link } | null,
  at: Space,
  iif: Link,
  onward: Onward,
): Finding | null {
  if (!from || from.space === at) return null;
  // One that forwards is a router: that it has no route is what is wrong then, not that it was asked.
  if (forwards(at, iif, onward.to)) return null;
  const out = lookup(at, { to: onward.to, from: null, iif: null });
  if (out.found === 'route' && !out.refuses && out.route.dev !== iif.name) return null;
  const sent = lookup(from.space, { to: onward.to, from: null, iif: null });
  if (sent.found !== 'route' || sent.route.gateway === null || !isOwn(at, sent.route.gateway)) return null;
  const better = routerNear(c, from, at, onward.to);
  if (!better) return null;
  return finding(
    from.space,
    'wrong-route',
    `the route of ${from.space.label} to ${routeWords(sent.route)} leads to ${at.label} (${sent.route.gateway}), which has no way to ${onward.to}; ${better.space.label} (${better.address}) has`,
    { mend: `ip route replace ${routeWords(sent.route)} via ${better.address}, on ${from.space.label}` },
  );
}

/** Somebody on a link's segment who forwards, and has a way on to an address; neither the link's own namespace nor `but`. */
function routerNear(
  c: Case,
  { space, link }: { space: Space; link: Link },
  but: Space,
  to: string,
): { space: Space; address: string } | null {
  const near = subnetOf(link, to);
  for (const one of c.world.spaces) {
    if (one === but || one === space) continue;
    for (const side of one.links) {
      if (linkTrouble(side) !== null || !forwards(one, side, to)) continue;
      const own = side.addresses.find(({ address, scope }) => scope === 'global' && inSubnet(address, ...near));
      if (!own) continue;
      const on = lookup(one, { to, from: null, iif: null });
      if (on.found === 'route' && !on.refuses && on.route.dev !== side.name && on.route.type !== 'local')
        return { space: one, address: own.address };
    }
  }
  return null;
}

/** What stands where a router is to stand: the packet's own sender, or a host on one network only. `null`: it may well be one. */
function noRouter(c: Case, at: Space, iif: Link, onward: Onward): string | null {
  if (onward.from !== null && isOwn(at, onward.from)) return `${at.label} is who sent ${onward.name}.`;
  if (forwards(at, iif, onward.to)) return null;
  const out = lookup(at, { to: onward.to, from: null, iif: null });
  // Between two subnets on one wire a single interface is enough.
  if (out.found === 'route' && !out.refuses && (out.route.dev !== iif.name || out.route.gateway === null)) return null;
  const networks = at.links.filter(
    (link) =>
      link.name !== 'lo' &&
      (segmentOf(c.plan, at, link) !== null || link.addresses.some(({ scope }) => scope === 'global')),
  );
  return networks.length > 1 ? null : `${at.label} is on one network only, by ${iif.name}.`;
}

/** The packet was handed to a namespace that is no router: the route that says so is wrong, whatever that namespace forwards. */
export function sentToNoRouter(
  c: Case,
  from: { space: Space; link: Link } | null,
  at: Space,
  iif: Link,
  onward: Onward,
): Finding | null {
  if (!from || from.space === at || onward.translated) return null;
  const why = noRouter(c, at, iif, onward);
  const sent = lookup(from.space, { to: onward.to, from: null, iif: null });
  if (why === null || sent.found !== 'route' || sent.refuses) return null;
  const { route } = sent;
  const gateway = [route, ...route.hops].find((hop) => hop.gateway !== null && isOwn(at, hop.gateway))?.gateway;
  if (!gateway) return null;
  const words = routeWords(route);
  const direct = linkTowards(from.space, onward.to);
  const routers = from.space.links.flatMap((link) => routerNear(c, { space: from.space, link }, at, onward.to) ?? []);
  const right = direct ? `dev ${direct.name}` : `via ${routers[0]?.address ?? 'GATEWAY'}`;
  return finding(
    from.space,
    'wrong-route',
    `${from.space.label}'s ${route.prefix === 0 ? 'default route' : `route to ${words}`} leads to ${at.label}, which is no router`,
    {
      evidence: [
        `The next hop ${gateway} is an address of ${at.label}. ${why}`,
        ...routers.map(({ space, address }) => `${space.label} (${address}) forwards, and has a way to ${onward.to}.`),
      ],
      mend: `ip route replace ${words} ${right}, on ${from.space.label}`,
    },
  );
}

function subnetOf(link: Link, like: string): [string, number] {
  const own = link.addresses.find((one) => one.scope === 'global' && one.address.includes(':') === like.includes(':'));
  return own ? [own.address, own.prefix] : ['', 0];
}
