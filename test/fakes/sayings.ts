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

export interface CurlSaid {
  /** Default 0. */
  exit?: number;
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** In place of a response: anything. */
  raw?: string;
  /** TCP's handshake was over; default: there is a status or `raw`. */
  connected?: boolean;
  /** It was, and curl says so by its count alone, as 7.88 does until TLS stands. */
  counted?: boolean;
  /** OpenSSL's code of a certificate that is not accepted. */
  certificate?: number;
  /** Of a connection that was not made: the kernel's words; `local`: said at once. */
  refused?: string;
  local?: boolean;
  /** What netrig's listener heard meanwhile: `3 13 10.0.0.9`. */
  icmp?: string;
}

/** curl with `--verbose --include --write-out '%{stderr}%{json}'`, as debian-12 has it. */
export function curlText(said: CurlSaid = {}): { stdout: string; stderr: string; exitCode: number } {
  const { exit = 0, status, headers = {}, body = '', raw, refused, local = false, icmp } = said;
  const connected = said.connected ?? (status !== undefined || raw !== undefined);
  const head =
    status === undefined
      ? ''
      : `HTTP/1.1 ${status} Words\r\n${Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}\r\n`;
  const words =
    refused === undefined
      ? []
      : [
          local
            ? `* Immediate connect fail for 10.0.0.2: ${refused}`
            : `* connect to 10.0.0.2 port 80 failed: ${refused}`,
        ];
  const account = JSON.stringify({
    errormsg: exit === 0 ? null : 'words',
    exitcode: exit,
    response_code: status ?? 0,
    ssl_verify_result: said.certificate ?? 0,
    num_connects: connected || said.counted ? 1 : 0,
    time_connect: connected ? 0.0004 : 0,
    time_total: 0.0021,
  });
  return {
    stdout: raw ?? `${head}${body}`,
    stderr: `${['*   Trying 10.0.0.2:80...', ...words, account, ...(icmp === undefined ? [] : [`netrig-icmp ${icmp}`])].join('\n')}\n`,
    exitCode: exit,
  };
}

export interface DnsSaid {
  /** Default 0: NOERROR. 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. */
  rcode?: number;
  /** Records of type A. */
  addresses?: readonly string[];
}

/** A name server's answer to the question that a datagram of the connect probe carries, as the probe prints it. */
export function dnsData(argv: readonly string[], { rcode = 0, addresses = [] }: DnsSaid): string {
  const query = Buffer.from(argv.at(-1)!, 'hex');
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180 | rcode, 2);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) =>
    Buffer.concat([Buffer.from('c00c00010001000002580004', 'hex'), Buffer.from(address.split('.').map(Number))]),
  );
  return `data 0.500 ${Buffer.concat([header, query.subarray(12), ...records]).toString('hex')}`;
}

/** The name that a datagram of the connect probe asks for. */
export function nameAsked(argv: readonly string[]): string {
  const query = Buffer.from(argv.at(-1)!, 'hex');
  const labels: string[] = [];
  for (let at = 12; query[at]; at += query[at]! + 1)
    labels.push(query.subarray(at + 1, at + 1 + query[at]!).toString('latin1'));
  return labels.join('.');
}
