import type { Case, Step } from './follow.js';
import { routeWords, withoutIpv6 } from './explain-route.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import { lookup } from './lookup.js';
import { holdersOfMac, sameWire, wireOf } from './wire.js';
import { hasAddress, holdersOf } from './world.js';
import type { Link, Route, Space } from './world.js';

type Place = { space: Space; link: Link };

const pairsOf = (places: readonly Place[]): [Place, Place][] =>
  places.flatMap((one, at) => places.slice(at + 1).map((other): [Place, Place] => [one, other]));

/** The addresses that the packet was sent to on its way, its next hops' as far as neighbours were asked or are known, and its sender's. */
function addressesOnWay(c: Case): string[] {
  const gateways = c.forward.flatMap(({ space, packet, way }) => {
    const found = way === 'out' ? lookup(space, { to: packet.dst, from: null, iif: null }) : null;
    return found?.found === 'route' && found.route.gateway !== null ? [found.route.gateway] : [];
  });
  const answered = c.forward.filter(({ packet }) => packet.around.length === 0).map(({ packet }) => packet.src);
  return [...new Set([c.address, ...c.forward.map(({ packet }) => packet.dst), ...gateways, ...answered])];
}

/** Where two on one wire have the address that the packet is for, or that of a next hop; or where somebody else than its owner got it. */
export function sharedAddress(c: Case): Finding | null {
  const end = c.forward.findLast(({ way }) => way === 'in') ?? null;
  for (const address of addressesOnWay(c)) {
    const twins = pairsOf(holdersOf(c.world, address)).find(
      ([a, b]) => a.space !== b.space && sameWire(c.world, c.plan, a, b) === true,
    );
    if (!twins) continue;
    const [a, b] = twins;
    const refused = twins.find((one) => one.link.addresses.some((own) => own.address === address && own.duplicate));
    return finding(
      end?.space ?? null,
      'address-twice',
      `${a.space.label} and ${b.space.label} both have ${address} on ${wireOf(c.world, c.plan, a) ?? '?'}${end && twins.some(({ space }) => space === end.space) ? `; it came to ${end.space.label}` : ''}`,
      {
        evidence: refused
          ? [`Duplicate address detection failed for ${address} at ${refused.link.name} of ${refused.space.label}.`]
          : [],
        mend: `take ${address} away from one of them`,
      },
    );
  }
  const at = end ?? (c.forward.length === 0 ? { space: c.source, packet: { dst: c.address } } : null);
  if (!at || at.packet.dst !== c.address || c.owner === null || at.space.label === c.owner) return null;
  const owner = holdersOf(c.world, c.address).find(({ space }) => space.label === c.owner);
  if (!owner || !hasAddress(at.space, c.address)) return null;
  return finding(
    at.space,
    'address-twice',
    `${at.space.label} has the address ${c.address}, too, and takes for itself what is meant for ${c.owner}`,
    { mend: `take ${c.address} away from ${at.space.label}` },
  );
}

/** Where two on one wire have the MAC address that the packet, or the answer to the question for it, was sent to. */
export function sharedMac(c: Case): Finding | null {
  const end = c.forward.findLast(({ way }) => way === 'in') ?? null;
  const asked = c.neighbours.flatMap(({ message, link }) => (message.ask ? [link.mac] : [message.senderMac]));
  const macs = [...new Set([...c.forward.map(({ packet }) => packet.dstMac ?? ''), ...asked])];
  for (const mac of macs) {
    const own = holdersOfMac(c.world, mac).filter(({ link }) => link.kind === 'veth' || link.kind === null);
    const twins = pairsOf(own).find(([a, b]) => a.space !== b.space && sameWire(c.world, c.plan, a, b) === true);
    if (!twins) continue;
    const [a, b] = twins;
    return finding(
      end?.space ?? null,
      'mac-twice',
      `${a.link.name} of ${a.space.label} and ${b.link.name} of ${b.space.label} have the same MAC address ${mac} on ${wireOf(c.world, c.plan, a) ?? '?'}`,
      { mend: `ip link set ${b.link.name} address MAC, on ${b.space.label}` },
    );
  }
  return null;
}

/**
 * The packet went to another next hop than any route of the sender names, which has that one's address right: a router told it so
 * once, and the kernel keeps it in a cache of its own (RFC 1122, 3.3.1.2), where `ip route` does not show it.
 */
function redirected(from: Space, { space: to, packet }: Step, route: Route, name: string): Finding | null {
  const known = from.neighbours.find(({ dst, mac }) => mac === packet.dstMac && hasAddress(to, dst));
  const routes = from.routes[packet.dst.includes(':') ? 6 : 4];
  const leads = [...routes, ...routes.flatMap(({ hops }) => hops)].some(
    ({ gateway }) => gateway !== null && hasAddress(to, gateway),
  );
  if (!known || leads) return null;
  const told = routeWords(route);
  return finding(
    from,
    'wrong-route',
    `${from.label} sends ${name} to ${to.label} (${known.dst}), as an ICMP redirect told it, and not by its route to ${told}${route.gateway === null ? '' : `, which leads to ${route.gateway}`}`,
    {
      evidence: [
        `No route of ${from.label} leads to ${known.dst}; \`ip route get ${packet.dst}\` there says \`redirected\`.`,
      ],
      mend: `ip route flush cache, on ${from.label}`,
    },
  );
}

/**
 * Whose route it is that a packet goes by which its sender was told by a redirect: the gateway of the sender's own route, where
 * that one's route leads to the same place still. `null`: the sender's, or nobody's any more.
 */
export function redirectedBy(c: Case, sender: Place | null, { space: at, packet }: Step): Place | null {
  if (!sender) return null;
  const sent = lookup(sender.space, { to: packet.dst, from: null, iif: null });
  if (sent.found !== 'route' || sent.route.gateway === null || hasAddress(at, sent.route.gateway)) return null;
  const router = holdersOf(c.world, sent.route.gateway).find(({ space }) => space !== at && space !== sender.space);
  const on = router ? lookup(router.space, { to: packet.dst, from: null, iif: null }) : null;
  if (!router || on?.found !== 'route' || on.refuses || on.route.dev !== router.link.name) return null;
  return [on.route, ...on.route.hops].some(({ gateway }) => gateway !== null && hasAddress(at, gateway))
    ? router
    : null;
}

/** The sender's neighbour table leads to a namespace that does not have the address of the next hop. */
export function takenForAnother(c: Case, sender: Step | null, at: Step, name: string): Finding | null {
  if (!sender) return null;
  const { dst, dstMac } = at.packet;
  if (!at.space.links.some(({ mac }) => mac === dstMac)) return null;
  const sent = lookup(sender.space, { to: dst, from: null, iif: null });
  if (sent.found !== 'route' || sent.route.type !== 'unicast' || sent.route.hops.length > 1) return null;
  const next = sent.route.gateway ?? dst;
  if (hasAddress(at.space, next) || at.space.proxies.includes(next)) return null;
  const entry = sender.space.neighbours.find((one) => one.dst === next && one.mac === dstMac);
  const holder = holdersOf(c.world, next).find(({ space }) => space !== at.space && space !== sender.space);
  if (holder && entry)
    return finding(
      sender.space,
      'neighbour-wrong',
      `${sender.space.label} sends ${name} to the MAC address of ${at.space.label}, which it has for ${next}${entry.state.includes('PERMANENT') ? ' by a static entry' : ''}; ${holder.space.label} has ${next}`,
      {
        evidence: [
          `The neighbour table of ${sender.space.label} says: ${next} dev ${entry.dev} lladdr ${entry.mac} ${entry.state.join(' ')}.`,
        ],
        mend: `ip neigh del ${next} dev ${entry.dev}, on ${sender.space.label}`,
      },
    );
  if (holder) return redirectedBy(c, sender, at) ? null : redirected(sender.space, at, sent.route, name);
  if (sent.route.gateway !== null) return null;
  const has = at.space.links.flatMap((link) => link.addresses.filter((own) => own.scope === 'global'));
  const instead = has.map((own) => own.address).filter((address) => address.includes(':') === dst.includes(':'));
  const off = dst.includes(':') ? withoutIpv6(c, at.space) : [];
  return finding(
    at.space,
    'address-missing',
    `${at.space.label} got ${name} on ${at.link.name} and does not have the address ${dst}${instead.length === 0 ? '' : ` (it has ${instead.join(', ')})`}${off.length === 0 ? '' : `: ${off.join(', ')}`}`,
    {
      evidence: [`${sender.space.label} has the MAC address of ${at.space.label} for ${dst} in its neighbour table.`],
      mend: `ip addr add ${dst}/PREFIX dev ${at.link.name}, on ${at.space.label}`,
    },
  );
}
