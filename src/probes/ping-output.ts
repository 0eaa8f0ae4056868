import { canonicalAddress, familyOf } from '../model/cidr.js';
import type { ProbeCause } from '../model/verdict.js';

/** One ICMP error, or a refusal of the sender's own kernel. */
export interface PingError {
  cause: ProbeCause;
  /** Who said so; `null` for the sender's own kernel. */
  from: string | null;
  text: string;
}

export interface PingReport {
  transmitted: number;
  /** Replies from the address that was asked, without duplicates. */
  received: number;
  duplicates: number;
  /** Addresses other than the one asked that replies came from. */
  strangers: string[];
  errors: PingError[];
  /** ms, one per reply from the address that was asked. */
  rtts: number[];
}

/** ICMP texts of iputils (`pr_icmph` in ping.c and ping6), each the whole rest of its line. */
const icmpTexts: readonly [RegExp, ProbeCause | null][] = [
  [/^Destination Net Unreachable$/, 'net-unreachable'],
  [/^Destination Host Unreachable$/, 'host-unreachable'],
  [/^Destination Port Unreachable$/, 'port-unreachable'],
  [/^Frag needed and DF set \(mtu = \d+\)$/, 'too-big'],
  [/^Destination Net Unknown$/, 'net-unreachable'],
  [/^Destination Host Unknown$/, 'host-unreachable'],
  [/^Destination (?:Net|Host) Prohibited$/, 'prohibited'],
  [/^Packet filtered$/, 'prohibited'],
  [/^Time to live exceeded$/, 'net-unreachable'],
  [/^Destination unreachable: No route$/, 'net-unreachable'],
  [/^Destination unreachable: Administratively prohibited$/, 'prohibited'],
  [/^Destination unreachable: Address unreachable$/, 'host-unreachable'],
  [/^Destination unreachable: Port unreachable$/, 'port-unreachable'],
  [/^Packet too big: mtu=\d+$/, 'too-big'],
  [/^Time exceeded: Hop limit$/, 'net-unreachable'],
  // A router's hint that another one is nearer: nothing is lost by it.
  [
    /^Redirect (?:Network|Host|Type of Service and Network|Type of Service and Host)\(New nexthop: [0-9a-f.:]+\)$/,
    null,
  ],
];

/** strerror texts of the C locale, as iputils prints them after `ping: connect: ` or `ping: sendmsg: `. */
const kernelTexts: Readonly<Record<string, ProbeCause>> = {
  'Network is unreachable': 'no-route',
  'No route to host': 'host-unreachable',
  'Operation not permitted': 'prohibited',
  // Linux on sending through a `blackhole` route, and through a `prohibit` route.
  'Invalid argument': 'no-route',
  'Permission denied': 'prohibited',
  'Message too long': 'too-big',
  // The packet fits the route, but not the device below it: a bridge port with a smaller MTU.
  'No buffer space available': 'too-big',
};

const address = '[0-9a-f.:]+(?:%[A-Za-z0-9._-]+)?';
const header = new RegExp(
  `^PING ${address} ?\\(${address}\\)(?: from ${address}(?: [A-Za-z0-9._-]+)?:)? \\d+(?:\\(\\d+\\))? (?:data )?bytes(?: of data\\.)?$`,
);
const reply = new RegExp(
  `^\\d+ bytes from (${address}): icmp_seq=(\\d+) ttl=\\d+(?: time=(\\d+(?:\\.\\d+)?) ms)?( \\(DUP!\\))?( \\(DIFFERENT ADDRESS!\\))?$`,
);
const icmpError = new RegExp(`^From (${address}):? icmp_seq=\\d+ (.+)$`);
const kernelError = /^ping: (?:connect|sendmsg): (.+)$/;
const localMtu = /^ping: local error: [Mm]essage too long, mtu[=:] ?\d+$/;
const statisticsHead = new RegExp(`^--- ${address} ping statistics ---$`);
const counters =
  /^(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?(?:, \+(\d+) corrupted)?(?:, \+(\d+) errors)?, [\d.]+% packet loss, time \d+ms$/;
const rttLine =
  /^rtt min\/avg\/max\/mdev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms(?:, pipe \d+)?(?:, ipg\/ewma [\d.]+\/[\d.]+ ms)?$/;
const pipe = /^pipe \d+$/;

/** EACCES from connect(): a broadcast address, or a `prohibit` route. Broadcast addresses are not probed without -b. */
const broadcastRefused = 'ping: Do you want to ping broadcast?';

/** The error that a line states; `null` for one that loses nothing, `unknown` for one that is not known, `undefined`: it is no error. */
function readError(line: string): PingError | null | 'unknown' | undefined {
  const icmp = icmpError.exec(line);
  if (icmp) {
    const known = icmpTexts.find(([pattern]) => pattern.test(icmp[2]!));
    if (!known) return 'unknown';
    return known[1] === null ? null : { cause: known[1], from: icmp[1]!, text: icmp[2]! };
  }
  const kernel = kernelError.exec(line);
  if (kernel) {
    const cause = kernelTexts[kernel[1]!];
    return cause ? { cause, from: null, text: kernel[1]! } : 'unknown';
  }
  if (line.startsWith(broadcastRefused)) return { cause: 'prohibited', from: null, text: 'Permission denied' };
  if (localMtu.test(line)) return { cause: 'too-big', from: null, text: line.slice('ping: local error: '.length) };
  return undefined;
}

/**
 * Reads what iputils' ping printed (`LC_ALL=C ping -n`, both streams, versions 20210202 to 2025). Every line must be one of the
 * known forms and the counters must agree with the lines; otherwise the answer is `{ unread }`, the first line that was not
 * understood, so that no guess becomes a verdict.
 */
export function readPing(output: string, target: string): PingReport | { unread: string } {
  const wanted = canonicalAddress(target);
  const same = (text: string): boolean =>
    familyOf(text.split('%')[0]!) !== 0 && canonicalAddress(text.split('%')[0]!) === wanted;
  const report: PingReport = { transmitted: 0, received: 0, duplicates: 0, strangers: [], errors: [], rtts: [] };
  let counted: { transmitted: number; received: number; duplicates: number; corrupted: number } | null = null;
  let refused = false;
  const seen = new Set<string>();
  let allReplies = 0;
  for (const line of output.split('\n')) {
    if (line === '' || header.test(line) || statisticsHead.test(line) || rttLine.test(line) || pipe.test(line))
      continue;
    const answer = reply.exec(line);
    if (answer) {
      const [, from, sequence, ms, duplicate] = answer;
      if (duplicate !== undefined) report.duplicates += 1;
      else allReplies += 1;
      if (!same(from!)) report.strangers.push(from!);
      else if (duplicate === undefined && !seen.has(sequence!)) {
        seen.add(sequence!);
        report.received += 1;
        if (ms !== undefined) report.rtts.push(Number(ms));
      }
      continue;
    }
    const error = readError(line);
    if (error !== undefined) {
      if (error === 'unknown') return { unread: line };
      if (error !== null) report.errors.push(error);
      refused ||= line.startsWith('ping: connect: ') || line.startsWith(broadcastRefused);
      continue;
    }
    const counts = counters.exec(line);
    if (counts && counted === null) {
      counted = {
        transmitted: Number(counts[1]),
        received: Number(counts[2]),
        duplicates: Number(counts[3] ?? 0),
        corrupted: Number(counts[4] ?? 0),
      };
      continue;
    }
    return { unread: line };
  }
  if (counted === null)
    return refused ? report : { unread: output.trim() === '' ? 'no output' : 'no line with counters' };
  if (counted.received !== allReplies || counted.duplicates !== report.duplicates || counted.corrupted > 0) {
    return { unread: `counters that disagree with the replies: ${counted.received} counted, ${allReplies} seen` };
  }
  report.transmitted = counted.transmitted;
  return report;
}
