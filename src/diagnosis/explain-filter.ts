import type { Case, Role } from './follow.js';
import { roleOf } from './follow.js';
import { finding } from './finding.js';
import type { Finding } from './finding.js';
import type { SeenPacket } from './frames.js';
import { readHeaders } from './frames.js';
import { inSubnet } from './lookup.js';
import { ruleWords } from './rules.js';
import type { CountedRule, RuleText, SavedRules, Trace } from './rules.js';
import type { Space } from './world.js';

/** A station of the packet's way through nftables, with the packet as it was there. */
export interface TracedStation {
  trace: Trace & { where: Space };
  packet: SeenPacket;
  role: Role;
}

/** What nftables told of the probe's packets, in the order it happened. */
export function stations(c: Case): TracedStation[] {
  const last = new Map<string, SeenPacket>();
  return c.world.traces.flatMap((trace): TracedStation[] => {
    const key = `${trace.space} ${trace.id}`;
    if (trace.network && trace.transport) {
      const packet = readHeaders(trace.network, trace.transport);
      if (packet) last.set(key, packet);
    }
    const packet = last.get(key);
    const role = packet ? roleOf(packet, c.proto, c.mark, c.isn) : null;
    return packet && role ? [{ trace, packet, role }] : [];
  });
}

/** Whom a question for a neighbour, or its answer, is about, as nftables' trace shows its headers; `null` for other packets. */
function aboutNeighbour(trace: Trace): { addresses: string[]; name: string } | null {
  const { network, transport } = trace;
  if (!network) return null;
  // ARP for IPv4 over Ethernet (RFC 826): sender and target address at 14 and 24.
  if (network.length >= 28 && network.readUInt32BE(0) === 0x00010800) {
    const four = (at: number): string => [...network.subarray(at, at + 4)].join('.');
    const asks = network.readUInt16BE(6) === 1;
    return {
      addresses: asks ? [four(24)] : [four(14)],
      name: asks ? `the question for ${four(24)}` : `the answer about ${four(14)}`,
    };
  }
  const packet = transport ? readHeaders(network, transport) : null;
  if (packet?.type !== 135 && packet?.type !== 136) return null;
  const asks = packet.type === 135;
  return {
    addresses: [packet.src, packet.dst],
    name: asks ? 'the question for its MAC address' : 'the answer about its MAC address',
  };
}

/** A rule that dropped a question for a neighbour, or its answer: of the families arp and bridge, and for IPv6. */
export function droppedQuestion(c: Case, address: string): Finding | null {
  const about = new Map<string, { addresses: string[]; name: string }>();
  for (const trace of c.world.traces) {
    const space = trace.where;
    const own = aboutNeighbour(trace);
    if (own) about.set(`${space.inode} ${trace.id}`, own);
    const known = about.get(`${space.inode} ${trace.id}`);
    if (!known || trace.verdict !== 'drop') continue;
    // A question by multicast has a part of the address in its destination (RFC 4291, 2.7.1).
    const six = address.includes(':');
    if (!six && !known.addresses.includes(address)) continue;
    const dropped = droppedAt(trace, space, known.name);
    if (dropped) return dropped;
  }
  return null;
}

/** A rule that dropped the packet around a packet in a tunnel, by its destination and UDP port. */
export function droppedAround(
  c: Case,
  space: Space,
  around: { dst: string; dport?: number | undefined },
): Finding | null {
  const fits = new Set<number>();
  for (const trace of c.world.traces.filter(({ where }) => where === space)) {
    const packet = trace.network && trace.transport ? readHeaders(trace.network, trace.transport) : null;
    if (packet?.proto === 'udp' && packet.dst === around.dst && packet.dport === around.dport) fits.add(trace.id);
    if (trace.verdict !== 'drop' || !fits.has(trace.id)) continue;
    const dropped = droppedAt(trace, space, `the tunnel's packets to ${around.dst}`);
    if (dropped) return dropped;
  }
  return null;
}

/**
 * A rule that dropped the word that a packet was too large (RFC 1191, RFC 8201), on its way to `to`. Of such a word nftables'
 * trace shows too little to tell of which packet it speaks.
 */
export function droppedTooBig(c: Case, to: string): Finding | null {
  const fits = new Set<string>();
  for (const trace of c.world.traces) {
    const space = trace.where;
    const key = `${space.inode} ${trace.id}`;
    const packet = trace.network && trace.transport ? readHeaders(trace.network, trace.transport) : null;
    const six = packet?.dst.includes(':') === true;
    const tooBig = packet?.proto === 'icmp' && (six ? packet.type === 2 : packet.type === 3 && packet.code === 4);
    if (tooBig && packet.dst === to) fits.add(key);
    if (trace.verdict !== 'drop' || !fits.has(key)) continue;
    const dropped = droppedAt(trace, space, 'the word of it');
    if (dropped) return dropped;
  }
  return null;
}

function droppedAt(trace: Trace, space: Space, name: string): Finding | null {
  const how = 'nftables traced the packet there.';
  const table = `${trace.family} ${trace.table}`;
  if (trace.type === 'policy')
    return finding(
      space,
      'filtered',
      `${space.label} drops ${name}: no rule of chain ${trace.chain} (${table}) accepts it, and its policy is DROP`,
      { evidence: [how], mend: `add a rule to chain ${trace.chain} of ${space.label} that accepts it` },
    );
  const rule = space.nft.rules.get(`${table} ${trace.chain} ${trace.handle ?? ''}`);
  return rule ? droppedByRule(space, rule, name, null, how) : null;
}

const names: Record<Role, string> = { forward: 'it', reply: 'the answer', error: 'the error message' };

const rejecting = /(?:^| )(?:-j REJECT|reject)\b/;

/** Words that `iptables-save` adds to what was typed. */
export function asTyped(text: string): string {
  return text
    .replace(/-p (tcp|udp|icmp|icmpv6|ipv6-icmp) -m (?:tcp|udp|icmp|icmp6) /, '-p $1 ')
    .replace(/-p (tcp|udp|icmp) -m \1$/, '-p $1')
    .replace(/(-[sd] [0-9.]+)\/32\b/g, '$1')
    .replace(/(-j REJECT) --reject-with icmp6?-port-unreachable/, '$1')
    .trim();
}

function mendRule(rule: RuleText, space: Space): string {
  if (rule.chain.startsWith('DOCKER-ISOLATION'))
    return `join both containers to one network; the engine keeps its networks apart`;
  if (rule.tool === 'nft') return `remove or narrow that rule of table ${rule.table} on ${space.label}`;
  return `remove or narrow that rule on ${space.label}: ${rule.tool} -t ${rule.table} -D ${rule.chain} ${rule.place}`;
}

/** A rule that ends a packet's way. */
function droppedByRule(
  space: Space,
  rule: RuleText,
  role: Role | string,
  packet: SeenPacket | null,
  how: string,
): Finding {
  const typed = { ...rule, text: asTyped(rule.text) };
  const verb = rejecting.test(rule.text) ? 'rejects' : 'drops';
  const met = packet === null ? '' : ` It met a packet from ${packet.src} to ${packet.dst}.`;
  const sentence = `${space.label} ${verb} ${names[role as Role] ?? role}: ${ruleWords(typed)}`;
  const more = { evidence: [`${how}${met}`], mend: mendRule(rule, space) };
  return { ...finding(space, 'filtered', sentence, more), rule: typed.text };
}

/** What an engine means by a rule of its own that drops, where the rule names the bridge of one of its networks. */
export function engineMeans(c: Case, stop: Finding): Finding {
  const networks = (stop.at && c.world.engines.get(stop.at.host)?.networks) ?? [];
  if (stop.rootCause !== 'filtered') return stop;
  const bridges = networks.map((network) => ({ ...network, bridge: `br-${network.id.slice(0, 12)}` }));
  const met = bridges.find(({ bridge }) => stop.sentence.includes(bridge));
  if (!met) return stop;
  const say = (words: string, mend: string): Finding => ({ ...stop, sentence: `${stop.sentence}; ${words}`, mend });
  if (met.internal && stop.sentence.includes('DOCKER-ISOLATION-STAGE-1'))
    return say(
      `network ${met.name} is internal, and the engine lets nothing in or out of it`,
      `a network without --internal, on ${stop.at!.host}`,
    );
  if (!met.icc && stop.sentence.includes(`-i ${met.bridge} -o ${met.bridge} -j DROP`))
    return say(
      `the engine keeps the containers of network ${met.name} apart: its option enable_icc is false`,
      `a network without com.docker.network.bridge.enable_icc=false, on ${stop.at!.host}`,
    );
  if (!stop.sentence.includes('DOCKER-ISOLATION')) return stop;
  return {
    ...stop,
    sentence: `${stop.sentence}; that is how the engine keeps network ${met.name} apart from its others`,
  };
}

function droppedByPolicy(space: Space, table: string, chain: string, role: Role, how: string): Finding {
  return finding(
    space,
    'filtered',
    `${space.label} drops ${names[role]}: no rule of chain ${chain} (${table}) accepts it, and its policy is DROP`,
    { evidence: [how], mend: `add a rule to chain ${chain} of ${space.label} that accepts it` },
  );
}

/** Where nftables itself said that it dropped a packet of that role. */
export function tracedDrop(role: Role, all: readonly TracedStation[]): Finding | null {
  const how = 'nftables traced the packet there.';
  for (const { trace, packet } of all.filter((one) => one.role === role)) {
    const space = trace.where;
    const table = `${trace.family} ${trace.table}`;
    const words = trace.family === 'ip' || trace.family === 'ip6' ? trace.table : table;
    if (trace.type === 'policy' && (trace.policy === 'drop' || trace.verdict === 'drop'))
      return droppedByPolicy(space, words, trace.chain, role, how);
    if (trace.verdict !== 'drop' || trace.type !== 'rule') continue;
    const rule = space.nft.rules.get(`${table} ${trace.chain} ${trace.handle ?? ''}`);
    if (rule) return droppedByRule(space, rule, role, packet, how);
    return finding(space, 'filtered', `${space.label} drops ${names[role]} in chain ${trace.chain} (${table})`, {
      evidence: [how],
    });
  }
  return null;
}

/** Matches of a rule by where the packet goes, in the words of iptables and of nft. */
const byTarget = /(?:^| )(?:-[do]|--dst-range|daddr|oif|oifname) /;
/** A rule that ends the way of whatever comes to it. */
const endsAll = /^(?:counter (?:packets \d+ bytes \d+ )?)?(?:-j (?:DROP|REJECT)|drop|reject)\b/;

/**
 * Whether what dropped the packet asked where it goes: the rule does, or it drops whatever no rule of its table accepts, and one
 * of those does.
 */
export function dropsByTarget(space: Space, all: readonly TracedStation[]): boolean {
  const dropped = all.find(
    ({ trace, role }) =>
      trace.where === space &&
      role === 'forward' &&
      (trace.verdict === 'drop' || (trace.type === 'policy' && trace.policy === 'drop')),
  )?.trace;
  if (!dropped) return false;
  const table = `${dropped.family} ${dropped.table} `;
  const rule = space.nft.rules.get(`${table}${dropped.chain} ${dropped.handle ?? ''}`)?.text.trim();
  if (rule !== undefined && byTarget.test(rule)) return true;
  if (dropped.type === 'rule' && (rule === undefined || !endsAll.test(rule))) return false;
  return [...space.nft.rules].some(
    ([key, { text }]) => key.startsWith(table) && byTarget.test(text) && /(?:-j ACCEPT|\baccept)\b/.test(text),
  );
}

/** Whether a rule of iptables may be meant for the packet, by what is simple to read of it. */
export function mayMeet(
  text: string,
  packet: { src: string; dst: string; proto: string; dport?: number | undefined },
): boolean {
  const option = (pattern: RegExp): { value: string; not: boolean } | null => {
    const match = pattern.exec(text);
    return match ? { not: match[1] !== undefined, value: match[2]! } : null;
  };
  const proto = option(/(! )?-p (\S+)/);
  if (
    proto &&
    proto.value !== 'all' &&
    (proto.value.replace(/^(?:ipv6-)?icmp(?:v6)?$/, 'icmp') === packet.proto) === proto.not
  )
    return false;
  for (const [letter, address] of [
    ['s', packet.src],
    ['d', packet.dst],
  ] as const) {
    const asked = option(new RegExp(`(! )?-${letter} (\\S+)`));
    if (!asked) continue;
    const [of, length] = asked.value.split('/');
    const full = of!.includes(':') ? 128 : 32;
    if (inSubnet(address, of!, length === undefined ? full : Number(length)) === asked.not) return false;
  }
  const dport = option(/(! )?--dport (\d+)(?![\d:])/);
  return !(dport && packet.dport !== undefined && (Number(dport.value) === packet.dport) === dport.not);
}

const ending = /(?:^| )-j (?:DROP|REJECT)\b/;

/** Chains of iptables that a packet does not meet on its way in, or out. */
const otherWay = { in: ['OUTPUT', 'POSTROUTING'], out: ['INPUT', 'PREROUTING', 'FORWARD'] } as const;

/**
 * A rule or policy whose counter rose while the probe was on its way: for legacy iptables, of which nftables tells nothing,
 * and, where `untraced`, for packets that nftables was not asked to trace.
 */
export function countedDrop(
  space: Space,
  role: Role,
  packet: { src: string; dst: string; proto: string; dport?: number | undefined },
  going: 'in' | 'out',
  untraced = false,
): Finding | null {
  const how = 'Its counter rose while the probe was on its way.';
  for (const [name, after] of space.savedAfter) {
    if (name.endsWith('ip6') !== packet.dst.includes(':') || !(untraced || name.startsWith('legacy'))) continue;
    const before = space.saved.get(name);
    if (!before) continue;
    const rule = risenRule(before, after, packet, otherWay[going]);
    if (rule) return droppedByRule(space, rule, role, null, how);
    for (const [chain, { policy, packets }] of after.policies) {
      if (
        !name.startsWith('legacy') ||
        otherWay[going].some((own) => chain.endsWith(` ${own}`)) ||
        policy !== 'DROP' ||
        packets <= (before.policies.get(chain)?.packets ?? packets)
      )
        continue;
      const [table, own] = chain.split(' ');
      return droppedByPolicy(space, table!, own!, role, how);
    }
  }
  return null;
}

function risenRule(
  before: SavedRules,
  after: SavedRules,
  packet: Parameters<typeof mayMeet>[1],
  not: readonly string[],
): CountedRule | null {
  for (const [chain, rules] of after.chains) {
    const old = before.chains.get(chain);
    if (old?.length !== rules.length || not.some((own) => chain.endsWith(` ${own}`))) continue;
    const found = rules.find(
      (rule, at) => rule.packets > old[at]!.packets && ending.test(rule.text) && mayMeet(rule.text, packet),
    );
    if (found) return found;
  }
  return null;
}

/** The rules that let a packet through the filters of a namespace, for whoever wonders how it got there. */
export function letThrough(space: Space, all: readonly TracedStation[]): string | null {
  const passed = all.filter(
    ({ trace, role }) =>
      role === 'forward' && trace.where === space && !/nat|mangle|raw/.test(trace.table) && trace.verdict === 'accept',
  );
  const last = passed.at(-1)?.trace;
  if (!last) return null;
  const rule = space.nft.rules.get(`${last.family} ${last.table} ${last.chain} ${last.handle ?? ''}`);
  if (last.type === 'rule' && rule)
    return `${space.label} lets it through by ${ruleWords({ ...rule, text: asTyped(rule.text) })}`;
  return last.type === 'policy'
    ? `${space.label} lets it through: no rule of chain ${last.chain} (${last.table}) stops it, and its policy is ACCEPT`
    : null;
}
