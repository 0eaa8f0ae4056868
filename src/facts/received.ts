import type { ProbeContext } from '../places/context.js';
import { beside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/**
 * What the kernel of a network namespace has counted of packets since it was made, by `Group.Name` (`Ip.InReceives`,
 * `Ip6.InReceives`): /proc/net/snmp and /proc/net/snmp6, the counters of RFC 4293, 4022 and 4113.
 */
export type Received = ReadonlyMap<string, number>;

/** What is looked for among all that came in. */
export interface ProbeShape {
  proto: 'icmp' | 'tcp' | 'udp';
  family: 4 | 6;
}

/** Longest time that the counters of a namespace may take to be read, ms: who is slow is not asked. */
const longestMs = 2000;

/** Reads both files, one after the other. Exported for tests. */
export function parseReceived(text: string): Received {
  const counts = new Map<string, number>();
  let names: string[] | null = null;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const group = words[0]!.endsWith(':') ? words[0]!.slice(0, -1) : null;
    if (group === null) {
      // snmp6 has a line for each counter: `Ip6InReceives 12`.
      const six = /^(Ip6|Icmp6|Udp6)(\w+)$/.exec(words[0]!);
      if (six && words.length === 2) counts.set(`${six[1]}.${six[2]}`, Number(words[1]));
    } else if (names !== null && names[0] === words[0]) {
      for (let at = 1; at < names.length; at += 1) counts.set(`${group}.${names[at]!}`, Number(words[at]));
      names = null;
    } else names = words;
  }
  return counts;
}

/** `null` where the namespace could not be asked: its host is dead, off, or says nothing that is understood. Never rejects. */
export async function readReceived(context: ProbeContext, place: Vantage): Promise<Received | null> {
  const from = beside(place);
  try {
    const { stdout } = await from.host.exec(from.enter(['cat', '/proc/net/snmp', '/proc/net/snmp6']), {
      timeoutMs: Math.min(longestMs, context.timeLeftMs()),
      signal: context.signal,
    });
    const counts = parseReceived(stdout);
    return counts.has('Ip.InReceives') ? counts : null;
  } catch {
    return null;
  }
}

/**
 * Whether it is certain that no packet of the probe came in between two readings, whatever else did. A packet that was not
 * delivered to this namespace's own protocols (it was passed on, dropped by a rule, taken by IPVS) may have been the probe;
 * where all were, their protocols have counted them.
 */
export function gotNothing(before: Received, after: Received, { proto, family }: ProbeShape): boolean {
  const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  const ip = family === 6 ? 'Ip6' : 'Ip';
  const icmp = family === 6 ? 'Icmp6' : 'Icmp';
  if (!after.has(`${ip}.InReceives`) || [...after.keys()].some((name) => /\.In/.test(name) && grown(name) < 0))
    return false;
  if (grown(`${ip}.InReceives`) !== grown(`${ip}.InDelivers`)) return false;
  if (proto === 'icmp') return grown(`${icmp}.InEchos`) === 0;
  if (proto === 'tcp') return grown('Tcp.InSegs') === 0;
  // A datagram counts as such only once somebody reads it: all that was delivered must have been something else. TCP’s counter is of both families.
  const udp = ['Udp', 'Udp6'].flatMap((group) =>
    ['InDatagrams', 'NoPorts', 'InErrors'].map((name) => `${group}.${name}`),
  );
  const others = grown('Tcp.InSegs') + grown('Icmp.InMsgs') + grown('Icmp6.InMsgs');
  return udp.every((name) => grown(name) === 0) && grown('Ip.InDelivers') + grown('Ip6.InDelivers') === others;
}

/**
 * Whether it is certain that no TCP connection was accepted between two readings (RFC 4022, tcpPassiveOpens, which Linux counts when
 * the handshake is over). Segments of earlier connections are none; a packet that was not delivered here may have been the probe.
 */
export function acceptedNothing(before: Received, after: Received): boolean {
  const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  if (!after.has('Tcp.PassiveOpens') || [...after.keys()].some((name) => /\.In/.test(name) && grown(name) < 0))
    return false;
  // What a kernel without IPv6 discards is accepted by nobody.
  const passedOn = (ip: string): number =>
    grown(`${ip}.InReceives`) - grown(`${ip}.InDelivers`) - grown(`${ip}.InDiscards`);
  if (passedOn('Ip') !== 0 || passedOn('Ip6') !== 0) return false;
  return grown('Tcp.PassiveOpens') === 0;
}
