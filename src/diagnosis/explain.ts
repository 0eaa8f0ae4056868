import type { Diagnosis, Hop, RootCause } from '../model/verdict.js';
import {
  asTyped,
  countedDrop,
  dropsByTarget,
  engineMeans,
  letThrough,
  mayMeet,
  stations,
  tracedDrop,
} from './explain-filter.js';
import type { TracedStation } from './explain-filter.js';
import { filteredByQueue, linkDown, lostBehind, stuckInBridge } from './explain-link.js';
import { cannotDeliver, endsOverAndOver, pausedThere, quietService, stoppedProcess } from './explain-local.js';
import {
  cannotSend,
  filteredByReversePath,
  forwardingOff,
  numberOf,
  ownAddressMissing,
  sentAstray,
  sentToNoRouter,
  tooBigOnWay,
} from './explain-route.js';
import type { Onward } from './explain-route.js';
import { droppedAround } from './explain-filter.js';
import { lostInTunnel, remoteOf, stuckInTunnel } from './explain-tunnel.js';
import { floodedAstray, stuckInSwitch, switchOf } from './explain-switch.js';
import { circling, usedUp } from './explain-ttl.js';
import { hopsOf } from './follow.js';
import type { Case, Step } from './follow.js';
import { finding, ownerWords } from './finding.js';
import type { Finding } from './finding.js';
import { elsewhere } from './explain-neighbour.js';
import { notTranslatedBack } from './untranslated.js';
import { inSubnet, isOwn, lookup } from './lookup.js';
import { redirectedBy, sharedAddress, sharedMac, takenForAnother } from './explain-identity.js';
import { holdersOf, linkNamed } from './world.js';
import type { Link, Space } from './world.js';

/** Where a packet goes after the translations of a namespace, as far as they were seen there. */
function translatedIn(
  c: Case,
  space: Space,
  step: { packet: Pick<Step['packet'], 'dst' | 'dport'>; link?: Link },
  all: readonly TracedStation[],
): { dst: string; dport?: number | undefined } {
  const last = all.filter(({ trace, role }) => trace.where === space && role === 'forward').at(-1)?.packet;
  const { dst, dport } = step.packet;
  if (last && last.dst !== dst) return { dst: last.dst, dport: last.dport };
  // What no chain after the translation shows, the rule that made it says.
  const met = all
    .filter(({ trace, role }) => trace.where === space && role === 'forward' && trace.type === 'rule')
    .flatMap(
      ({ trace }) =>
        space.nft.rules.get(`${trace.family} ${trace.table} ${trace.chain} ${trace.handle ?? ''}`)?.text ?? [],
    );
  const rule = met
    .map((text) => /(?:--to-destination|dnat (?:ip )?to) ([0-9.]+)(?::(\d+))?/.exec(text))
    .find((match) => match !== null);
  if (rule) return { dst: rule[1]!, dport: rule[2] === undefined ? dport : Number(rule[2]) };
  const redirect = met
    .map((text) => /(?:-j REDIRECT(?: --to-ports (\d+))?|\bredirect(?: to :(\d+))?)/.exec(text))
    .find((match) => match !== null);
  const own = step.link?.addresses.find((one) => one.address.includes(':') === dst.includes(':'));
  if (redirect && own) return { dst: own.address, dport: Number(redirect[1] ?? redirect[2] ?? dport) };
  const tracked = space.conntrackAfter.find(
    (line) => line.includes(`dst=${dst} `) && line.includes(c.proto === 'icmp' ? `id=${c.mark}` : `sport=${c.mark}`),
  );
  const reply = tracked ? [...tracked.matchAll(/src=(\S+) dst=\S+(?: sport=(\d+))?/g)][1] : undefined;
  return reply ? { dst: reply[1]!, dport: reply[2] === undefined ? dport : Number(reply[2]) } : { dst, dport };
}

/** Where an answer goes after the translation of its question is undone (conntrack does that before it routes). */
function translatedBack(
  c: Case,
  space: Space,
  { dst, dport }: Step['packet'],
): { dst: string; dport?: number | undefined } {
  const here = c.forward.filter((step) => step.space === space && step.packet.around.length === 0);
  const sent = here.findLast(({ way, packet }) => way === 'out' && packet.src === dst);
  const came = sent && here.find(({ packet }) => packet.src !== dst);
  return came ? { dst: came.packet.src, dport: came.packet.sport } : { dst, dport };
}

function onwardOf(
  c: Case,
  packet: { dst: string; src: string },
  iif: string | null,
  name: string,
  translated: boolean,
  mark?: number,
): Onward {
  return {
    mark,
    to: packet.dst,
    from: packet.src,
    iif,
    bytes: c.bytes,
    df: c.df || packet.dst.includes(':'),
    translated,
    name,
  };
}

/**
 * The step by which the packet was sent here: whose route it was. On the wire it has the MAC address of that interface; it may
 * have left by another one below (a macvlan interface's parent, the ports of a bridge).
 */
function senderOf(steps: readonly Step[], step: Step): Step | null {
  const before = steps.slice(0, steps.indexOf(step)).filter(({ way, space }) => way === 'out' && space !== step.space);
  return before.findLast(({ link }) => link.mac === step.packet.srcMac) ?? before.at(-1) ?? null;
}

/** The sender sent it in a VLAN that the receiver has not. */
function otherVlan(steps: readonly Step[], step: Step): Finding | null {
  const { space, link } = step;
  const sender = senderOf(steps, step);
  const sent = sender && steps.find((one) => one.space === sender.space && one.link.kind === 'vlan');
  const own = space.links.filter((one) => one.kind === 'vlan' && one.below === link.name);
  if (!sent || own.some((one) => one.data.id === sent.link.data.id)) return null;
  const has = own.length === 0 ? 'no VLAN' : `VLAN ${own.map((one) => String(one.data.id)).join(', ')}`;
  return finding(
    space,
    'vlan-mismatch',
    `${sent.space.label} sends in VLAN ${String(sent.link.data.id)}, and ${space.label} has ${has} on ${link.name}`,
    { mend: 'give both ends the same VLAN id' },
  );
}

/** Where the frame came to a port of a bridge or switch that has to pass it on; `undefined` where it is for the namespace itself. */
function stuckOnLayer2(c: Case, { space, link, packet }: Step, name: string): Finding | null | undefined {
  if (packet.dstMac === null) return undefined;
  const bridge = linkNamed(space, link.master);
  if (bridge?.kind === 'bridge') return stuckInBridge(c, space, bridge, link, packet.dstMac, packet.length);
  const bySwitch = packet.dstMac === link.mac ? null : switchOf(space, link);
  return bySwitch ? stuckInSwitch(c, space, bySwitch, link, packet.dstMac, name) : undefined;
}

/** The packet came to a namespace, and was not seen to leave it. */
function stoppedInside(
  c: Case,
  steps: readonly Step[],
  step: Step,
  name: string,
  all: readonly TracedStation[],
): Finding | null {
  const { space, link, packet } = step;
  const queued = filteredByQueue(space, link, 'ingress', name);
  if (queued) return queued;
  const outer = packet.around[0];
  if (outer && isOwn(space, outer.dst)) return stuckInTunnel(c, step, name);
  // On its way to the other end of the tunnel, it is the packet around that is routed.
  if (outer)
    return stoppedInside(
      c,
      steps,
      { ...step, packet: { ...packet, ...outer, srcMac: null, around: [], proto: 'udp' } },
      name,
      all,
    );
  const layer2 = stuckOnLayer2(c, step, name);
  if (layer2 !== undefined) return layer2;
  const forward = name === 'it';
  const after = forward ? translatedIn(c, space, step, all) : translatedBack(c, space, packet);
  const translated = after.dst !== packet.dst;
  const loopback = translated ? toLoopback(space, link, after.dst) : null;
  if (loopback) return loopback;
  const reverse = filteredByReversePath(space, link, packet.src, after.dst);
  if (reverse) return reverse;
  const counted = countedDrop(space, forward ? 'forward' : 'reply', { ...packet, ...after }, 'in');
  if (counted) return counted;
  const untagged = otherVlan(steps, step);
  if (untagged) return untagged;
  if (isOwn(space, after.dst)) {
    if (!forward) return notTranslatedBack(c, step);
    const answer = { src: after.dst, dst: packet.src, proto: c.proto };
    return (
      tracedDrop('reply', all) ??
      // Silence: even a refusal would have come back, had it a way.
      cannotAnswer(c, steps, space, packet) ??
      cannotDeliver(c, space, { ...packet, ...after }, translated, link.name) ??
      countedDrop(space, 'reply', answer, 'out') ??
      quietService(c, space, { ...packet, ...after })
    );
  }
  const expired = usedUp(c, step, name);
  if (expired) return expired;
  const mark = all.findLast(
    ({ trace, role }) => trace.where === space && role === (forward ? 'forward' : 'reply') && trace.mark !== null,
  )?.trace.mark;
  const onward = onwardOf(c, { dst: after.dst, src: packet.src }, link.name, name, translated, mark ?? undefined);
  const from = senderOf(steps, step);
  const mistaken = translated ? null : takenForAnother(c, from, step, name);
  if (mistaken) return mistaken;
  const sender = redirectedBy(c, from, step) ?? from;
  const astray = sentAstray(c, sender, space, link, onward) ?? sentToNoRouter(c, sender, space, link, onward);
  return astray ?? forwardingOff(space, link, after.dst, name) ?? cannotSend(c, space, onward);
}

/** A translation to the loopback, which takes packets from outside only where it is told to (ip-sysctl: route_localnet). */
function toLoopback(space: Space, link: Link, to: string): Finding | null {
  if (!to.startsWith('127.')) return null;
  const knobs = [`ipv4/conf/${link.name}/route_localnet`, 'ipv4/conf/all/route_localnet'];
  if (knobs.some((knob) => numberOf(space, knob) === 1)) return null;
  return finding(
    space,
    'nat-wrong',
    `${space.label} translates it to ${to}, which takes nothing from outside: net.ipv4.conf.${link.name}.route_localnet is 0`,
    {
      mend: `sysctl -w net.ipv4.conf.${link.name}.route_localnet=1 on ${space.label}, or a translation to another address`,
    },
  );
}

/** The sender's address was translated on the way to one that nobody has: the answer has nowhere to go. */
function translatedFromNobody(c: Case, steps: readonly Step[], src: string): Finding | null {
  if (c.world.unlooked.length > 0 || steps[0]?.packet.src === src || holdersOf(c.world, src).length > 0) return null;
  const by = steps.find((step) => step.packet.src === src && step.packet.around.length === 0);
  if (!by) return null;
  return finding(
    by.space,
    'nat-wrong',
    `${by.space.label} translates the sender’s address to ${src}, which nobody has, so that no answer comes back`,
    { mend: `mend the rule on ${by.space.label} that translates to ${src}` },
  );
}

/** The way back from where the packet came to: the answer is not seen to leave. */
function cannotAnswer(c: Case, steps: readonly Step[], space: Space, packet: Step['packet']): Finding | null {
  const onward = onwardOf(c, { dst: packet.src, src: packet.dst }, null, 'the answer', false);
  const stop = cannotSend(c, space, onward);
  if (!stop) return null;
  const nobody = translatedFromNobody(c, steps, packet.src);
  if (nobody) return nobody;
  return asWayBack(c, steps, stop, packet);
}

/** What an answer comes to whose destination is nobody's. */
const lackOfTarget: readonly RootCause[] = ['no-route', 'address-missing'];

/** A route that is missing on the way back is told as such; where only a translation would have spared it, as that. */
function asWayBack(c: Case, steps: readonly Step[], stop: Finding, packet: Step['packet']): Finding {
  const nobody =
    stop.rootCause !== null && lackOfTarget.includes(stop.rootCause)
      ? translatedFromNobody(c, steps, packet.src)
      : null;
  if (nobody) return { ...nobody, evidence: [`${stop.sentence}.`, ...stop.evidence] };
  if (stop.rootCause !== 'no-route' || !stop.at) return stop;
  const planned = c.plan.segments.some(({ subnet }) => {
    const [of, length] = subnet.split('/');
    return inSubnet(packet.src, of!, Number(length));
  });
  const passed = [
    ...new Set(
      steps
        .filter(({ way, space }) => way === 'out' && space !== c.source && space !== stop.at)
        .map(({ space }) => space),
    ),
  ];
  // Who routes a packet makes its TTL smaller; who bridges it does not.
  const routed = (one: Space): boolean =>
    steps.some(
      ({ space, way, packet: { ttl } }) => space === one && way === 'out' && ttl < (steps[0]?.packet.ttl ?? 0),
    );
  const translator = passed.find((one) => one.host === c.source.host && one.kind === 'host' && routed(one));
  if (!planned && translator && c.source.kind !== 'host')
    return {
      ...stop,
      rootCause: 'nat-missing',
      sentence: `${translator.label} passes it on with the address ${packet.src} of ${c.source.label}, which ${stop.at.label} has no route to, and translates it by no rule`,
      mend: `iptables -t nat -A POSTROUTING -s SUBNET ! -o BRIDGE -j MASQUERADE on ${translator.label}, or a route to ${packet.src} on ${stop.at.label}`,
    };
  // Whether a route is missing, or the address is a wrong one, who was not looked at would tell.
  if (c.world.unlooked.length > 0 && holdersOf(c.world, packet.src).length === 0)
    return {
      ...stop,
      rootCause: 'no-way-back',
      sentence: `${stop.at.label} gets it, but has no route back to ${packet.src}, which nobody has who was looked at`,
      mend: null,
    };
  const own = ownAddressMissing(c, stop.at, packet.src);
  return {
    ...stop,
    rootCause: 'no-way-back',
    sentence: `${stop.at.label} gets it, but has no route back to ${packet.src}${own ? `; ${own.words}` : ''}`,
    mend: own?.mend ?? `ip route add ${packet.src} via GATEWAY, on ${stop.at.label}`,
  };
}

/**
 * A packet that was dropped after a translation to an address that nobody has. Where whoever filters decides by where the packet
 * goes, the translation is what is wrong; where it would have been stopped anyhow, the rule is, and the translation comes besides.
 */
function droppedTranslated(c: Case, all: readonly TracedStation[], dropped: Finding): Finding {
  if (!dropped.at || c.world.unlooked.length > 0) return dropped;
  const last = all.filter(({ trace, role }) => trace.where === dropped.at && role === 'forward').at(-1)?.packet;
  if (!last || last.dst === c.address || holdersOf(c.world, last.dst).length > 0) return dropped;
  const translates = `${dropped.at.label} translates it to ${last.dst}, which nobody has`;
  const mend = `mend the rule on ${dropped.at.label} that translates to ${last.dst}`;
  if (!dropsByTarget(dropped.at, all))
    return {
      ...dropped,
      sentence: `${dropped.sentence}; besides, ${translates}`,
      mend: [dropped.mend, mend].filter((one) => one !== null).join('; '),
    };
  return finding(dropped.at, 'nat-wrong', translates, { evidence: [`After that, ${dropped.sentence}.`], mend });
}

/** What went into a tunnel does not leave the host: why the host does not send the packet around it. */
function lostBelowTunnel(c: Case, { space, link, packet }: Step): Finding | null {
  const remote = remoteOf(space, link, packet.dstMac);
  const host = c.world.spaces.find((one) => one.host === space.host && one.kind === 'host');
  if (remote === null || !host) return null;
  const name = `the tunnel's packet to ${remote}`;
  const around = { src: '', dst: remote, proto: 'udp', dport: Number(link.data.port ?? 8472) };
  return (
    droppedAround(c, host, around) ??
    countedDrop(host, 'forward', around, 'out', true) ??
    cannotSend(c, host, { ...onwardOf(c, { dst: remote, src: '' }, null, name, false), bytes: 0 })
  );
}

/** Why steps end where they end. */
function whereItEnds(c: Case, steps: readonly Step[], name: string, all: readonly TracedStation[]): Finding | null {
  const last = steps.at(-1);
  if (!last) return null;
  const dropped = tracedDrop(name === 'it' ? 'forward' : 'reply', all);
  if (dropped && steps.some(({ space }) => space === dropped.at)) return droppedTranslated(c, all, dropped);
  if (last.way === 'in') return stoppedInside(c, steps, last, name, all);
  const tunnel = lostInTunnel(c, { ...last, mac: last.packet.dstMac }, name);
  if (tunnel) return tunnel;
  const below = last.link.kind === 'vxlan' ? lostBelowTunnel(c, last) : null;
  if (below) return below;
  const counted = countedDrop(last.space, name === 'it' ? 'forward' : 'reply', last.packet, 'out');
  return counted ?? lostBehind(c, last, name) ?? floodedAstray(c, steps, last, name);
}

/** Nothing was seen to leave the source. */
function neverSent(c: Case, all: readonly TracedStation[]): Finding | null {
  const dropped = tracedDrop(
    'forward',
    all.filter(({ trace }) => trace.where === c.source),
  );
  if (dropped) return dropped;
  const after = translatedIn(c, c.source, { packet: { dst: c.address, dport: c.port } }, all);
  const packet = { src: '', dst: after.dst, proto: c.proto, dport: after.dport };
  return (
    cannotSend(c, c.source, onwardOf(c, { dst: after.dst, src: '' }, null, 'it', after.dst !== c.address)) ??
    countedDrop(c.source, 'forward', packet, 'out') ??
    (c.fate.fate === 'error' && c.fate.errno === 'EMSGSIZE' ? tooBigOnWay(c) : null)
  );
}

function withBreak(hops: Hop[], at: Space | null): Hop[] {
  if (!at) return hops;
  const here = hops.findLastIndex(({ place }) => place === at.label);
  if (here < 0) return [...hops, { place: at.label, in: null, out: null, did: 'not reached', state: 'broken' }];
  return hops.map((hop, index) => (index === here ? { ...hop, state: 'broken' } : hop));
}

/** Hosts of which nothing is known, in words; `null` where all were looked at. */
function notLookedAt(c: Case): string | null {
  const hosts = c.plan.hosts
    .map(({ name }) => name)
    .filter((name) => !c.world.spaces.some(({ host }) => host === name));
  if (hosts.length === 0) return null;
  const named = hosts.length <= 4 ? hosts : [...hosts.slice(0, 3), `${hosts.length - 3} more`];
  const list = named.length === 1 ? named[0]! : `${named.slice(0, -1).join(', ')} and ${named.at(-1)!}`;
  return `${list} ${hosts.length === 1 ? 'was' : 'were'} not looked at`;
}

function lastPlace(c: Case, steps: readonly Step[], name: string): string {
  const { way, space, link } = steps.at(-1)!;
  const missing = notLookedAt(c);
  if (way === 'in') {
    const came = `${name} came to ${space.label} by ${link.name}, and was not seen any further`;
    return missing === null ? came : `${came}; ${missing}`;
  }
  return missing === null
    ? `${name} left ${space.label} by ${link.name}, and was not seen any further`
    : `${name} left ${space.label} by ${link.name}; what became of it then is not known, for ${missing}`;
}

/** Who refused, where an answer came back that says no. */
function refusal(c: Case, all: readonly TracedStation[]): Finding | null {
  const dropped = tracedDrop('forward', all);
  if (dropped) return droppedTranslated(c, all, dropped);
  const end = c.forward.findLast(({ way }) => way === 'in') ?? null;
  const counted = end ? countedDrop(end.space, 'forward', end.packet, 'in') : null;
  if (counted) return counted;
  const local = c.forward.length === 0 || end === null;
  if (local) {
    if (!isOwn(c.source, c.address)) return null;
    const packet = { src: c.address, dst: c.address, dport: c.port } as Step['packet'];
    return cannotDeliver(c, c.source, packet, false);
  }
  const packet = { ...end.packet, ...translatedIn(c, end.space, end, all) };
  const translated = packet.dst !== c.address || (packet.dport ?? c.port) !== c.port;
  if (isOwn(end.space, packet.dst)) return cannotDeliver(c, end.space, packet, translated, end.link.name);
  return stoppedInside(c, c.forward, end, 'it', all);
}

/** A rule that translates a destination, in the words of iptables and of nft; to one address, where its words are so plain. */
const translating = /-j (?:DNAT|REDIRECT|NETMAP)\b|\bdnat\b|\bredirect\b/;
const leadsTo = /(?:--to-destination|dnat (?:ip6? )?to) \[?([0-9a-f.:]+?)\]?(?::\d+)?(?= |$)/;

/** Whether a rule may lead packets like the probe to an address, as far as it can be told from its words. */
function mayLeadTo(c: Case, space: Space, to: string): boolean {
  const packet = { src: c.forward[0]!.packet.src, dst: c.address, proto: c.proto, dport: c.port };
  const saved = [...space.saved.values()].flatMap(({ chains }) => [...chains.values()].flat());
  return [...space.nft.rules.values(), ...saved].some(({ tool, text }) => {
    if (!translating.test(text) || (tool !== 'nft' && !mayMeet(text, packet))) return false;
    const one = leadsTo.exec(text)?.[1];
    return one === undefined || one === to;
  });
}

/** A connection that was tracked before the probe was sent, and is translated to somebody to whom no rule leads any more. */
function staleTracking(c: Case): Finding | null {
  const wanted = ` dst=${c.address} sport=${c.mark} dport=${c.port} `;
  for (const space of new Set(c.forward.map((step) => step.space))) {
    const line = space.conntrack.find((one) => one.includes(` ${c.proto} `) && one.includes(wanted));
    const to = line ? [...line.matchAll(/src=(\S+)/g)][1]?.[1] : undefined;
    if (to === undefined || to === c.address || mayLeadTo(c, space, to)) continue;
    return finding(
      space,
      'conntrack-stale',
      `${space.label} goes on translating the connection from port ${c.mark} to ${to}, as it has tracked it, and no rule says so any more`,
      {
        evidence: [line!.trim()],
        mend: `conntrack -D -p ${c.proto} --sport ${c.mark}, on ${space.label}, or another source port`,
      },
    );
  }
  return null;
}

/** The answer goes over somebody who has not seen the question, and is dropped there for that. */
function otherWay(c: Case, stop: Finding): Finding {
  const { at } = stop;
  if (stop.rootCause !== 'filtered' || !at || c.forward.some(({ space }) => space === at)) return stop;
  const rules = [...at.nft.rules.values()].map(({ text }) => text);
  if (![stop.sentence, ...rules].some((text) => /ct ?state/i.test(text))) return stop;
  const labels = (steps: readonly Step[]): string[] => [...new Set(steps.map(({ space }) => space.label))];
  const [there, back] = [labels(c.forward), labels(c.reply)];
  const between = (passed: string[]): string => passed.slice(1, -1).join(', ') || 'nobody';
  return {
    ...stop,
    rootCause: 'asymmetric-way-back',
    sentence: `the answer takes another way than it: it went over ${between(there)}, the answer over ${back.slice(1).join(', ')}; ${at.label}, which has not seen the question, drops it: ${stop.sentence.replace(/^.*? drops the answer: /, '')}`,
    mend: `routes by which both ways go over the same hosts, or let ${at.label} pass what it has not tracked`,
  };
}

function judgeStop(
  c: Case,
  all: readonly TracedStation[],
): { stop: (Finding & { of?: 'the answer' }) | null; seen: string | null } {
  const said = c.reply[0]?.packet;
  const refused =
    (c.proto === 'tcp' && said !== undefined && ((said.flags ?? 0) & 0x04) !== 0) ||
    c.errors.length > 0 ||
    (c.fate.fate === 'error' && c.fate.errno === 'ECONNREFUSED');
  if (c.fate.fate === 'answered') return { stop: null, seen: null };
  const shared = sharedAddress(c) ?? sharedMac(c) ?? staleTracking(c) ?? circling(c);
  if (shared) return { stop: shared, seen: null };
  if (refused) {
    const stop = refusal(c, all);
    const again = stop === null || stop.rootCause === 'nobody-listens' ? endsOverAndOver(c) : null;
    if (again ?? stop) return { stop: again ?? stop, seen: null };
  }
  if (c.reply.length > 0) {
    const stop = whereItEnds(c, c.reply, 'the answer', all);
    const last = c.reply.at(-1)!;
    const came = c.forward.findLast(({ way }) => way === 'in')?.packet ?? c.forward[0]?.packet;
    const src = translatedBack(c, last.space, last.packet).dst;
    const told = stop && came ? asWayBack(c, c.forward, stop, { ...came, src }) : stop;
    return { stop: told && { ...otherWay(c, told), of: 'the answer' }, seen: lastPlace(c, c.reply, 'the answer') };
  }
  if (c.forward.length === 0) return { stop: neverSent(c, all), seen: null };
  return { stop: whereItEnds(c, c.forward, 'it', all), seen: lastPlace(c, c.forward, 'it') };
}

function steeredBy(all: readonly TracedStation[]): string[] {
  const met = all.flatMap(({ trace }) => {
    if (trace.type !== 'rule') return [];
    const rule = trace.where.nft.rules.get(`${trace.family} ${trace.table} ${trace.chain} ${trace.handle ?? ''}`);
    const does = rule
      ? /(?:-j (?:DNAT|SNAT|MASQUERADE|REDIRECT)|dnat|snat|masquerade|redirect)\b/.test(rule.text)
      : false;
    return rule && does ? [`${trace.where.label} met ${rule.chain} (${rule.table}): ${asTyped(rule.text)}`] : [];
  });
  return [...new Set(met)];
}

/**
 * The engine keeps its networks apart, and drops what a network of it is to get that has taken addresses of a segment: that it
 * has them is what is wrong.
 */
function takenByEngine(c: Case, stop: Finding): Finding | null {
  const { at } = stop;
  if (stop.rootCause !== 'filtered' || !at || !stop.sentence.includes('DOCKER-ISOLATION')) return null;
  const ends = [c.forward[0]?.packet.src, c.address].filter((address) => address !== undefined);
  for (const address of ends) {
    const way = lookup(at, { to: address, from: null, iif: null });
    const link = way.found === 'route' && way.route.gateway === null ? linkNamed(at, way.route.dev) : null;
    const holder = holdersOf(c.world, address).find(({ space }) => space !== at);
    if (!link || !holder || !stop.sentence.includes(link.name)) continue;
    const name = stop.sentence.includes('drops the answer') ? 'the answer' : 'it';
    const taken = elsewhere(c, { space: at, link, address, route: null, translated: false, name }, holder);
    if (taken) return { ...taken, evidence: [`${stop.sentence}.`, ...stop.evidence] };
  }
  return null;
}

/** What stops a packet, with the way that it took until there. */
function stoppedBy(c: Case, all: readonly TracedStation[], stop: Finding & { of?: 'the answer' }): Diagnosis {
  const way = hopsOf(c.forward, 'sent');
  const back = hopsOf(c.reply, 'answered');
  // A refusal is a break where the packet came to, not on the way of the word about it.
  const onBack = stop.of === 'the answer' && back.some(({ place }) => place === stop.at?.label);
  return {
    sentence: stop.sentence,
    rootCause: stop.rootCause,
    ...(stop.rule === undefined ? {} : { rule: stop.rule }),
    way: onBack ? way : withBreak(way, stop.at),
    back: onBack ? withBreak(back, stop.at) : back,
    evidence: [...stop.evidence, ...steeredBy(all)],
    mend: stop.mend,
    unlooked: c.world.unlooked,
  };
}

/** What the observation of one probe says of it. Pure. */
export function explain(c: Case): Diagnosis | null {
  const all = stations(c);
  const { stop: found, seen } = judgeStop(c, all);
  const stop = found && { ...found, ...(takenByEngine(c, found) ?? engineMeans(c, found)) };
  if (stop) return stoppedBy(c, all, stop);
  if (c.fate.fate === 'answered') return null;
  if (seen === null) return null;
  const way = hopsOf(c.forward, 'sent');
  const back = hopsOf(c.reply, 'answered');
  const base = { evidence: steeredBy(all), mend: null, unlooked: c.world.unlooked };
  const strange = c.reply.findLast(({ space }) => !c.forward.some((step) => step.space === space));
  if (strange && strange === c.reply.at(-1))
    return {
      sentence: `the answer takes another way than the packet did, and was last seen at ${strange.space.label}`,
      rootCause: 'asymmetric-way-back',
      way,
      back,
      ...base,
    };
  return { sentence: seen, rootCause: null, way, back, ...base };
}

/** How a packet got through that should not have. */
export function explainSuccess(c: Case): Diagnosis | null {
  if (c.fate.fate !== 'answered') return null;
  const all = stations(c);
  const way = hopsOf(c.forward, 'sent');
  const passed = [...new Set(c.forward.map(({ space }) => space))];
  const rules = passed.flatMap((space) => letThrough(space, all) ?? []);
  const path = way.map(({ place }) => place).join(' → ');
  const end = c.forward.findLast(({ way: going }) => going === 'in')?.space.label ?? null;
  const another = c.owner !== null && end !== null && end !== c.owner && c.forward.at(-1)?.way === 'in';
  return {
    sentence: [path === '' ? '' : `its way was ${path}`, ...rules].filter((part) => part !== '').join('; '),
    rootCause: another ? 'answer-from-another' : null,
    way,
    back: hopsOf(c.reply, 'answered'),
    evidence: [...(another ? [`It is ${end} that answers, not ${c.owner}.`] : []), ...steeredBy(all)],
    mend: null,
    unlooked: c.world.unlooked,
  };
}

/** What follows from one answer where nothing on the way is left to chance. */
export const soTheWayIsFree = ', so the way there and back is free';

/**
 * The connection is taken, and the service behind it is not heard of; or the probe is answered now. What is on the way twice
 * explains both: who spoke last gets it.
 */
export function explainSilence(c: Case): Diagnosis | null {
  const end = c.forward.findLast(({ way }) => way === 'in');
  const stop = end
    ? (pausedThere(c, end.space) ??
      linkDown(end, 'it') ??
      stoppedProcess(c, end.space, end.packet) ??
      sharedAddress(c) ??
      sharedMac(c))
    : null;
  if (!end) return null;
  const answers = `${ownerWords(c.world, end.packet.dst)} ${c.proto === 'tcp' ? 'takes the connection' : 'answers when it is asked again'}`;
  const missing = notLookedAt(c);
  return {
    sentence: stop?.sentence ?? (missing === null ? `${answers}${soTheWayIsFree}` : `${answers}; ${missing}`),
    rootCause: stop?.rootCause ?? null,
    way: stop ? withBreak(hopsOf(c.forward, 'sent'), stop.at) : hopsOf(c.forward, 'sent'),
    back: hopsOf(c.reply, 'answered'),
    evidence: [...(stop?.evidence ?? []), ...steeredBy(stations(c))],
    mend: stop?.mend ?? null,
    unlooked: c.world.unlooked,
  };
}

/** Why the answer is not the one that is meant: its question was led to somebody else, as long ago. `null` where nothing says so. */
export function explainContent(c: Case): Diagnosis | null {
  const stale = staleTracking(c);
  return stale && stoppedBy(c, stations(c), stale);
}

/** Why somebody else than the target answers; `null` where only that is known. */
export function explainAnother(c: Case): Diagnosis | null {
  const stale = explainContent(c);
  if (stale) return stale;
  const found = explain(c) ?? explainSilence(c);
  // Somebody answered, if not the right one: that the target says nothing, or that it answers by now, would contradict it.
  if (found !== null && found.rootCause !== null) return found;
  const through = explainSuccess(c);
  const end = c.forward.at(-1)?.space.label;
  return through !== null && through.rootCause !== null
    ? { ...through, sentence: `it is ${end}: ${through.sentence}`, evidence: through.evidence.slice(1) }
    : null;
}
