import type { Diagnosis, Hop } from '../model/verdict.js';
import { asTyped, countedDrop, letThrough, stations, tracedDrop } from './explain-filter.js';
import type { TracedStation } from './explain-filter.js';
import { linkDown, lostBehind, stuckInBridge } from './explain-link.js';
import { cannotDeliver, pausedThere, quietService } from './explain-local.js';
import { cannotSend, filteredByReversePath, forwardingOff, sentAstray, tooBigOnWay } from './explain-route.js';
import type { Onward } from './explain-route.js';
import { lostInTunnel, stuckInTunnel } from './explain-tunnel.js';
import { hopsOf } from './follow.js';
import type { Case, Step } from './follow.js';
import { finding, ownerWords } from './finding.js';
import type { Finding } from './finding.js';
import { inSubnet, isOwn, lookup } from './lookup.js';
import { holdersOfMac, sameSegment, segmentOf } from './wire.js';
import { holdersOf, linkNamed } from './world.js';
import type { Space } from './world.js';

/** Where a packet goes after the translations of a namespace, as far as they were seen there. */
function translatedIn(
  c: Case,
  space: Space,
  step: Step,
  all: readonly TracedStation[],
): { dst: string; dport?: number | undefined } {
  const last = all.filter(({ trace, role }) => trace.where === space && role === 'forward').at(-1)?.packet;
  const { dst, dport } = step.packet;
  if (last && last.dst !== dst) return { dst: last.dst, dport: last.dport };
  // What no chain after the translation shows, the rule that made it says.
  const rule = all
    .filter(({ trace, role }) => trace.where === space && role === 'forward' && trace.type === 'rule')
    .flatMap(
      ({ trace }) =>
        space.nft.rules.get(`${trace.family} ${trace.table} ${trace.chain} ${trace.handle ?? ''}`)?.text ?? [],
    )
    .map((text) => /(?:--to-destination|dnat (?:ip )?to) ([0-9.]+)(?::(\d+))?/.exec(text))
    .find((match) => match !== null);
  if (rule) return { dst: rule[1]!, dport: rule[2] === undefined ? dport : Number(rule[2]) };
  const tracked = space.conntrackAfter.find(
    (line) => line.includes(`dst=${dst} `) && line.includes(c.proto === 'icmp' ? `id=${c.mark}` : `sport=${c.mark}`),
  );
  const reply = tracked ? [...tracked.matchAll(/src=(\S+) dst=\S+(?: sport=(\d+))?/g)][1] : undefined;
  return reply ? { dst: reply[1]!, dport: reply[2] === undefined ? dport : Number(reply[2]) } : { dst, dport };
}

function onwardOf(
  c: Case,
  packet: { dst: string; src: string },
  iif: string | null,
  name: string,
  translated: boolean,
): Onward {
  return {
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

/** The sender takes a namespace for the destination itself, by what its neighbour table says, and that has not the address. */
function takenForOwner(sender: Step | null, at: Step, name: string): Finding | null {
  if (!sender) return null;
  const { dst } = at.packet;
  const sent = lookup(sender.space, { to: dst, from: null, iif: null });
  if (sent.found !== 'route' || sent.route.gateway !== null || sent.route.type !== 'unicast') return null;
  const six = dst.includes(':');
  const has = at.space.links.flatMap((link) => link.addresses.filter((own) => own.scope === 'global'));
  const instead = has.map((own) => own.address).filter((address) => address.includes(':') === six);
  return finding(
    at.space,
    'address-missing',
    `${at.space.label} got ${name} on ${at.link.name} and does not have the address ${dst}${instead.length === 0 ? '' : ` (it has ${instead.join(', ')})`}`,
    {
      evidence: [`${sender.space.label} has the MAC address of ${at.space.label} for ${dst} in its neighbour table.`],
      mend: `ip addr add ${dst}/PREFIX dev ${at.link.name}, on ${at.space.label}`,
    },
  );
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
  if (packet.around.length > 0) return stuckInTunnel(c, step, name);
  const bridge = linkNamed(space, link.master);
  if (bridge?.kind === 'bridge' && packet.dstMac !== null) return stuckInBridge(c, space, bridge, link, packet.dstMac);
  const forward = name === 'it';
  const after = forward ? translatedIn(c, space, step, all) : { dst: packet.dst, dport: packet.dport };
  const translated = after.dst !== packet.dst;
  const reverse = filteredByReversePath(space, link, packet.src, after.dst);
  if (reverse) return reverse;
  const counted = countedDrop(space, forward ? 'forward' : 'reply', { ...packet, ...after }, 'in');
  if (counted) return counted;
  const vlans = space.links.filter((one) => one.kind === 'vlan' && one.below === link.name);
  const tagged = senderOf(steps, step);
  const sentVlan = tagged
    ? steps.filter(({ space: at }) => at === tagged.space).find((one) => one.link.kind === 'vlan')
    : undefined;
  if (sentVlan && !vlans.some((one) => one.data.id === sentVlan.link.data.id))
    return finding(
      space,
      'vlan-mismatch',
      `${sentVlan.space.label} sends in VLAN ${String(sentVlan.link.data.id)}, and ${space.label} has ${vlans.length === 0 ? 'no VLAN' : `VLAN ${vlans.map((one) => String(one.data.id)).join(', ')}`} on ${link.name}`,
      { mend: 'give both ends the same VLAN id' },
    );
  if (isOwn(space, after.dst)) {
    if (!forward) return null;
    const answer = { src: after.dst, dst: packet.src, proto: c.proto };
    return (
      tracedDrop('reply', all) ??
      cannotDeliver(c, space, { ...packet, ...after }, translated) ??
      countedDrop(space, 'reply', answer, 'out') ??
      cannotAnswer(c, steps, space, packet) ??
      quietService(c, space, { ...packet, ...after })
    );
  }
  const onward = onwardOf(c, { dst: after.dst, src: packet.src }, link.name, name, translated);
  const mistaken = translated ? null : takenForOwner(senderOf(steps, step), step, name);
  if (mistaken) return mistaken;
  const astray = sentAstray(c, senderOf(steps, step), space, link, onward);
  return astray ?? forwardingOff(space, link, after.dst, name) ?? cannotSend(c, space, onward);
}

/** The way back from where the packet came to: the answer is not seen to leave. */
function cannotAnswer(c: Case, steps: readonly Step[], space: Space, packet: Step['packet']): Finding | null {
  const onward = onwardOf(c, { dst: packet.src, src: packet.dst }, null, 'the answer', false);
  const stop = cannotSend(c, space, onward);
  if (!stop) return null;
  return asWayBack(c, steps, stop, packet);
}

/** A route that is missing on the way back is told as such; where only a translation would have spared it, as that. */
function asWayBack(c: Case, steps: readonly Step[], stop: Finding, packet: Step['packet']): Finding {
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
  const translator = passed.find((one) => one.host === c.source.host && one.kind === 'host');
  if (!planned && translator && c.source.kind !== 'host')
    return {
      ...stop,
      rootCause: 'nat-missing',
      sentence: `${translator.label} passes it on with the address ${packet.src} of ${c.source.label}, which ${stop.at.label} has no route to, and translates it by no rule`,
      mend: `iptables -t nat -A POSTROUTING -s SUBNET ! -o BRIDGE -j MASQUERADE on ${translator.label}, or a route to ${packet.src} on ${stop.at.label}`,
    };
  return {
    ...stop,
    rootCause: 'no-way-back',
    sentence: `${stop.at.label} gets it, but has no route back to ${packet.src}`,
    mend: `ip route add ${packet.src} via GATEWAY, on ${stop.at.label}`,
  };
}

/** A packet that was dropped after a translation to an address that nobody has: the translation is what is wrong. */
function translatedToNobody(c: Case, all: readonly TracedStation[], dropped: Finding): Finding | null {
  if (!dropped.at || c.world.unlooked.length > 0) return null;
  const last = all.filter(({ trace, role }) => trace.where === dropped.at && role === 'forward').at(-1)?.packet;
  if (!last || last.dst === c.address || holdersOf(c.world, last.dst).length > 0) return null;
  return finding(dropped.at, 'nat-wrong', `${dropped.at.label} translates it to ${last.dst}, which nobody has`, {
    evidence: [`After that, ${dropped.sentence}.`],
    mend: `mend the rule on ${dropped.at.label} that translates to ${last.dst}`,
  });
}

/** Why steps end where they end. */
function whereItEnds(c: Case, steps: readonly Step[], name: string, all: readonly TracedStation[]): Finding | null {
  const last = steps.at(-1);
  if (!last) return null;
  const dropped = tracedDrop(name === 'it' ? 'forward' : 'reply', all);
  if (dropped && steps.some(({ space }) => space === dropped.at)) return translatedToNobody(c, all, dropped) ?? dropped;
  if (last.way === 'in') return stoppedInside(c, steps, last, name, all);
  const tunnel = lostInTunnel(c, last, name);
  if (tunnel) return tunnel;
  const counted = countedDrop(last.space, name === 'it' ? 'forward' : 'reply', last.packet, 'out');
  return counted ?? lostBehind(c, last, name);
}

/** Nothing was seen to leave the source. */
function neverSent(c: Case, all: readonly TracedStation[]): Finding | null {
  const dropped = tracedDrop(
    'forward',
    all.filter(({ trace }) => trace.where === c.source),
  );
  if (dropped) return dropped;
  const after = translatedIn(c, c.source, { packet: { dst: c.address, dport: c.port } } as unknown as Step, all);
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

function lastPlace(steps: readonly Step[], name: string): string {
  const last = steps.at(-1)!;
  return last.way === 'in'
    ? `${name} came to ${last.space.label} by ${last.link.name}, and was not seen any further`
    : `${name} left ${last.space.label} by ${last.link.name}, and was not seen any further`;
}

/** Who refused, where an answer came back that says no. */
function refusal(c: Case, all: readonly TracedStation[]): Finding | null {
  const dropped = tracedDrop('forward', all);
  if (dropped) return translatedToNobody(c, all, dropped) ?? dropped;
  const end = c.forward.findLast(({ way }) => way === 'in') ?? null;
  const counted = end ? countedDrop(end.space, 'forward', end.packet, 'in') : null;
  if (counted) return counted;
  const local = c.forward.length === 0 || end === null;
  if (local) {
    if (!isOwn(c.source, c.address)) return null;
    const packet = { src: c.address, dst: c.address, dport: c.port } as Step['packet'];
    return cannotDeliver(c, c.source, packet, false);
  }
  const translated = end.packet.dst !== c.address || (end.packet.dport ?? c.port) !== c.port;
  if (isOwn(end.space, end.packet.dst)) return cannotDeliver(c, end.space, end.packet, translated);
  return stoppedInside(c, c.forward, end, 'it', all);
}

/** A connection that was tracked before the probe was sent, and is translated to somebody whom no rule names any more. */
function staleTracking(c: Case): Finding | null {
  const wanted = ` dst=${c.address} sport=${c.mark} dport=${c.port} `;
  for (const space of new Set(c.forward.map((step) => step.space))) {
    const line = space.conntrack.find((one) => one.includes(` ${c.proto} `) && one.includes(wanted));
    const to = line ? [...line.matchAll(/src=(\S+)/g)][1]?.[1] : undefined;
    if (to === undefined || to === c.address) continue;
    const rules = [...space.nft.rules.values()].map(({ text }) => text);
    if (rules.some((text) => text.includes(`--to-destination ${to}`) || text.includes(`dnat to ${to}`))) continue;
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

/** Where two on one segment have the address that the packet is for, or the MAC address that it was sent to. */
function twiceThere(c: Case): Finding | null {
  const out =
    c.forward.findLast(({ way, link }) => way === 'out' && segmentOf(c.plan, c.source, link) !== null) ??
    c.forward.findLast(({ way }) => way === 'out');
  if (!out) return null;
  const end = c.forward.findLast(({ way }) => way === 'in') ?? null;
  const holders = holdersOf(c.world, out.packet.dst);
  const pairs = holders.flatMap((one, at) => holders.slice(at + 1).map((other) => [one, other] as const));
  const twins = pairs.find(([a, b]) => a.space !== b.space && sameSegment(c.plan, a, b) === true);
  if (twins) {
    const segment = segmentOf(c.plan, twins[0].space, twins[0].link) ?? '?';
    return finding(
      end?.space ?? null,
      'address-twice',
      `${twins[0].space.label} and ${twins[1].space.label} both have ${out.packet.dst} on segment ${segment}${end && twins.some(({ space }) => space === end.space) ? `; it came to ${end.space.label}` : ''}`,
      { mend: `take ${out.packet.dst} away from one of them` },
    );
  }
  const same = holdersOfMac(c.world, out.packet.dstMac ?? '').filter(
    ({ link }) => link.kind === 'veth' || link.kind === null,
  );
  const [a, b] = same;
  if (!a || !b || a.space === b.space || sameSegment(c.plan, a, b) !== true) return null;
  return finding(
    end?.space ?? null,
    'mac-twice',
    `${a.link.name} of ${a.space.label} and ${b.link.name} of ${b.space.label} have the same MAC address ${a.link.mac} on segment ${segmentOf(c.plan, a.space, a.link) ?? '?'}`,
    { mend: `ip link set ${b.link.name} address MAC, on ${b.space.label}` },
  );
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
  const twice = twiceThere(c) ?? staleTracking(c);
  if (twice) return { stop: twice, seen: null };
  if (refused) {
    const stop = refusal(c, all);
    if (stop) return { stop, seen: null };
  }
  if (c.reply.length > 0) {
    const stop = whereItEnds(c, c.reply, 'the answer', all);
    const told =
      stop?.rootCause === 'no-route' && c.forward[0]
        ? asWayBack(c, c.forward, stop, c.forward.findLast(({ way }) => way === 'in')?.packet ?? c.forward[0].packet)
        : stop;
    return { stop: told && { ...told, of: 'the answer' }, seen: lastPlace(c.reply, 'the answer') };
  }
  if (c.forward.length === 0) return { stop: neverSent(c, all), seen: null };
  return { stop: whereItEnds(c, c.forward, 'it', all), seen: lastPlace(c.forward, 'it') };
}

function steeredBy(all: readonly TracedStation[]): string[] {
  return all.flatMap(({ trace }) => {
    if (trace.type !== 'rule') return [];
    const rule = trace.where.nft.rules.get(`${trace.family} ${trace.table} ${trace.chain} ${trace.handle ?? ''}`);
    const does = rule
      ? /(?:-j (?:DNAT|SNAT|MASQUERADE|REDIRECT)|dnat|snat|masquerade|redirect)\b/.test(rule.text)
      : false;
    return rule && does ? [`${trace.where.label} met ${rule.chain} (${rule.table}): ${asTyped(rule.text)}`] : [];
  });
}

/** What the observation of one probe says of it. Pure. */
export function explain(c: Case): Diagnosis | null {
  const all = stations(c);
  const { stop, seen } = judgeStop(c, all);
  const way = hopsOf(c.forward, 'sent');
  const back = hopsOf(c.reply, 'answered');
  const evidence = [...(stop?.evidence ?? []), ...steeredBy(all)];
  const base = { evidence, mend: stop?.mend ?? null, unlooked: c.world.unlooked };
  if (stop) {
    // A refusal is a break where the packet came to, not on the way of the word about it.
    const onBack = stop.of === 'the answer' && back.some(({ place }) => place === stop.at?.label);
    return {
      sentence: stop.sentence,
      rootCause: stop.rootCause,
      way: onBack ? way : withBreak(way, stop.at),
      back: onBack ? withBreak(back, stop.at) : back,
      ...base,
    };
  }
  if (c.fate.fate === 'answered') return null;
  if (seen === null) return null;
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

/** The connection is taken, and the service behind it is not heard of. */
export function explainSilence(c: Case): Diagnosis | null {
  const end = c.forward.findLast(({ way }) => way === 'in');
  const stop = end ? (pausedThere(c, end.space) ?? linkDown(end, 'it')) : null;
  if (!end) return null;
  const sentence =
    stop?.sentence ??
    `${ownerWords(c.world, end.packet.dst)} ${c.proto === 'tcp' ? 'takes the connection' : 'answers when it is asked again'}, so the way there and back is free`;
  return {
    sentence,
    rootCause: stop?.rootCause ?? null,
    way: stop ? withBreak(hopsOf(c.forward, 'sent'), stop.at) : hopsOf(c.forward, 'sent'),
    back: hopsOf(c.reply, 'answered'),
    evidence: [...(stop?.evidence ?? []), ...steeredBy(stations(c))],
    mend: stop?.mend ?? null,
    unlooked: c.world.unlooked,
  };
}
