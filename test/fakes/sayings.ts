/** What tools print, word for word, so that rows of a table state what was seen and not how it is spelt. */

export interface PingSaid {
  /** Requests sent; default 2. */
  sent?: number;
  /** Replies of the address that was asked; default all. */
  received?: number;
  duplicates?: number;
  /** Replies that came from another address. */
  strangers?: string[];
  /** Lines between: `From 10.0.0.9 icmp_seq=1 Packet filtered`. */
  lines?: string[];
}

/** iputils' ping. */
export function pingText(address: string, said: PingSaid = {}): string {
  const { sent = 2, duplicates = 0, strangers = [], lines = [] } = said;
  const received = said.received ?? sent;
  const reply = (sequence: number, from: string, tail = ''): string =>
    `64 bytes from ${from}: icmp_seq=${sequence} ttl=64 time=0.5 ms${tail}`;
  const replies = [
    ...Array.from({ length: received }, (_, at) => reply(at + 1, address)),
    ...Array.from({ length: duplicates }, () => reply(1, address, ' (DUP!)')),
    ...strangers.map((from, at) => reply(received + at + 1, from, ' (DIFFERENT ADDRESS!)')),
  ];
  const counted = received + strangers.length;
  const errors = lines.filter((line) => line.startsWith('From ')).length;
  const lost = Math.max(0, 100 - Math.round((100 * counted) / Math.max(1, sent)));
  return [
    `PING ${address} (${address}) 56(84) bytes of data.`,
    ...replies,
    ...lines,
    '',
    `--- ${address} ping statistics ---`,
    `${sent} packets transmitted, ${counted} received${duplicates > 0 ? `, +${duplicates} duplicates` : ''}${errors > 0 ? `, +${errors} errors` : ''}, ${lost}% packet loss, time 51ms`,
    '',
  ].join('\n');
}

/** One line of `fping -e`, for the address that a row is about. */
export const fpingAlive = (address: string): string => `${address} is alive (0.05 ms)`;
export const fpingSilent = (address: string): string => `${address} is unreachable`;

/** iputils' arping; `macs`: who answers, one reply each. */
export function arpingText(address: string, device: string, macs: readonly string[]): string {
  return [
    `ARPING ${address} from 0.0.0.0 ${device}`,
    ...macs.map((mac) => `Unicast reply from ${address} [${mac.toUpperCase()}]  0.600ms`),
    'Sent 2 probes (2 broadcast(s))',
    `Received ${macs.length} response(s)`,
    '',
  ].join('\n');
}
