import { canonicalAddress, isAddress } from '../model/cidr.js';

/** One direction of a tracked connection. Ports where the protocol has them, type, code and id for ICMP. */
export interface Tuple {
  src: string;
  dst: string;
  sport: number | null;
  dport: number | null;
}

export interface TrackedConnection {
  family: 4 | 6;
  /** `tcp`, `udp`, `icmp`, …; `unknown` for those that the kernel's table has no name for. */
  protocol: string;
  /** Seconds until it is forgotten. */
  timeoutS: number | null;
  /** TCP: ESTABLISHED, SYN_SENT, …; `null` for what has none. */
  state: string | null;
  original: Tuple;
  reply: Tuple;
  /** A packet of the other direction was seen. */
  replied: boolean;
  assured: boolean;
  mark: number | null;
}

function tupleOf(pairs: readonly [string, string][]): Tuple | null {
  const value = (name: string): string | undefined => pairs.find(([key]) => key === name)?.[1];
  const src = value('src');
  const dst = value('dst');
  if (src === undefined || dst === undefined || !isAddress(src) || !isAddress(dst)) return null;
  const port = (name: string): number | null => {
    const text = value(name);
    return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
  };
  return { src: canonicalAddress(src), dst: canonicalAddress(dst), sport: port('sport'), dport: port('dport') };
}

/** `ipv4     2 tcp      6 117 TIME_WAIT src=… dst=… sport=… dport=… src=… dst=… sport=… dport=… [ASSURED] mark=0 zone=0 use=2` */
function readLine(line: string): TrackedConnection | null {
  const [family, , protocol, number, ...rest] = line.trim().split(/\s+/);
  if (
    (family !== 'ipv4' && family !== 'ipv6') ||
    protocol === undefined ||
    number === undefined ||
    !/^\d+$/.test(number)
  )
    return null;
  // A connection that was handed to hardware has no timeout, and counters may be switched on.
  const timeout = /^\d+$/.test(rest[0] ?? '') ? Number(rest.shift()) : null;
  const state = /^[A-Z][A-Z0-9_]*$/.test(rest[0] ?? '') ? rest.shift()! : null;
  const pairs = rest.flatMap((word): [string, string][] => {
    const at = word.indexOf('=');
    return at <= 0 ? [] : [[word.slice(0, at), word.slice(at + 1)]];
  });
  const second = pairs.findIndex(([key], index) => key === 'src' && index > 0);
  if (second < 0) return null;
  const original = tupleOf(pairs.slice(0, second));
  const reply = tupleOf(pairs.slice(second));
  if (original === null || reply === null) return null;
  const mark = pairs.find(([key]) => key === 'mark')?.[1];
  return {
    family: family === 'ipv4' ? 4 : 6,
    protocol,
    timeoutS: timeout,
    state,
    original,
    reply,
    replied: !rest.includes('[UNREPLIED]'),
    assured: rest.includes('[ASSURED]'),
    mark: mark === undefined ? null : Number(mark),
  };
}

/** The connections in `/proc/net/nf_conntrack` (nf_conntrack_standalone.c, ct_seq_show). `null`: a line in a form that is not known. */
export function parseConntrack(text: string): TrackedConnection[] | null {
  const connections: TrackedConnection[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const connection = readLine(line);
    if (connection === null) return null;
    connections.push(connection);
  }
  return connections;
}
