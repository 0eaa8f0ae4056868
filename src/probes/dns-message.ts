import { canonicalAddress } from '../model/cidr.js';

/** Record types that netrig asks for and reads (RFC 1035, RFC 3596, RFC 2782). */
export const recordTypes = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33 } as const;
export type RecordType = keyof typeof recordTypes;

export interface DnsRecord {
  name: string;
  type: RecordType | `TYPE${number}`;
  ttl: number;
  /** An address, a name without its last dot, or the words of the record as `dig` shows them. */
  data: string;
}

export interface DnsReply {
  id: number;
  rcode: 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED' | `RCODE${number}`;
  truncated: boolean;
  authoritative: boolean;
  question: { name: string; type: number } | null;
  answers: DnsRecord[];
}

const rcodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'] as const;

/** One question with recursion desired. `null` where the name has an empty or overlong label. */
export function encodeQuery(id: number, name: string, type: RecordType): Buffer | null {
  const labels = name.replace(/\.$/, '').split('.');
  const parts: Buffer[] = [];
  for (const label of labels) {
    const bytes = Buffer.from(label, 'utf8');
    if (bytes.length === 0 || bytes.length > 63) return null;
    parts.push(Buffer.from([bytes.length]), bytes);
  }
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(recordTypes[type], 1);
  tail.writeUInt16BE(1, 3);
  const query = Buffer.concat([header, ...parts, tail]);
  return query.length - header.length - 4 > 255 ? null : query;
}

function readName(message: Buffer, at: number): { name: string; next: number } | null {
  const labels: string[] = [];
  let next = -1;
  // Every jump of name compression must lead backwards, or a hostile message could keep us here for ever.
  let limit = at;
  for (;;) {
    const length = message[at];
    if (length === undefined) return null;
    if (length === 0) return { name: labels.join('.'), next: next < 0 ? at + 1 : next };
    if ((length & 0xc0) === 0xc0) {
      if (at + 1 >= message.length) return null;
      const target = ((length & 0x3f) << 8) | message[at + 1]!;
      if (next < 0) next = at + 2;
      if (target >= limit) return null;
      limit = target;
      at = target;
      continue;
    }
    if ((length & 0xc0) !== 0 || at + 1 + length > message.length) return null;
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    if (labels.length > 128) return null;
    at += 1 + length;
  }
}

function typeName(type: number): DnsRecord['type'] {
  const known = (Object.keys(recordTypes) as RecordType[]).find((name) => recordTypes[name] === type);
  return known ?? `TYPE${type}`;
}

function readData(message: Buffer, type: DnsRecord['type'], at: number, length: number): string | null {
  const nameAt = (from: number): string | null => readName(message, from)?.name ?? null;
  switch (type) {
    case 'A':
      return length === 4 ? [...message.subarray(at, at + 4)].join('.') : null;
    case 'AAAA': {
      if (length !== 16) return null;
      const groups = Array.from({ length: 8 }, (_, i) => message.readUInt16BE(at + 2 * i).toString(16));
      return canonicalAddress(groups.join(':'));
    }
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return nameAt(at);
    case 'MX': {
      if (length < 3) return null;
      const exchange = nameAt(at + 2);
      return exchange === null ? null : `${message.readUInt16BE(at)} ${exchange}`;
    }
    case 'SRV': {
      if (length < 7) return null;
      const target = nameAt(at + 6);
      return target === null
        ? null
        : `${message.readUInt16BE(at)} ${message.readUInt16BE(at + 2)} ${message.readUInt16BE(at + 4)} ${target}`;
    }
    case 'TXT': {
      const texts: string[] = [];
      for (let i = at; i < at + length;) {
        const size = message[i]!;
        if (i + 1 + size > at + length) return null;
        texts.push(message.toString('utf8', i + 1, i + 1 + size));
        i += 1 + size;
      }
      return texts.join('');
    }
    default:
      return message.toString('hex', at, at + length);
  }
}

/** `null` where the datagram is no well-formed DNS response. */
export function decodeReply(message: Buffer): DnsReply | null {
  if (message.length < 12) return null;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) === 0) return null;
  const questions = message.readUInt16BE(4);
  const answerCount = message.readUInt16BE(6);
  let at = 12;
  let question: DnsReply['question'] = null;
  for (let i = 0; i < questions; i += 1) {
    const name = readName(message, at);
    if (!name || name.next + 4 > message.length) return null;
    question ??= { name: name.name, type: message.readUInt16BE(name.next) };
    at = name.next + 4;
  }
  const answers: DnsRecord[] = [];
  for (let i = 0; i < answerCount; i += 1) {
    const name = readName(message, at);
    if (!name || name.next + 10 > message.length) return null;
    const type = typeName(message.readUInt16BE(name.next));
    const length = message.readUInt16BE(name.next + 8);
    const start = name.next + 10;
    if (start + length > message.length) return null;
    const data = readData(message, type, start, length);
    if (data === null) return null;
    answers.push({ name: name.name, type, ttl: message.readUInt32BE(name.next + 4), data });
    at = start + length;
  }
  const rcode = flags & 15;
  return {
    id: message.readUInt16BE(0),
    rcode: rcodes[rcode] ?? `RCODE${rcode}`,
    truncated: (flags & 0x0200) !== 0,
    authoritative: (flags & 0x0400) !== 0,
    question,
    answers,
  };
}

/** The name whose PTR record an address has (RFC 1035 3.5, RFC 3596 2.5). The address must be one. */
export function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail] = canonicalAddress(address).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const front = groups(head);
  const back = groups(tail ?? '');
  const middle = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => '0');
  const digits = [...front, ...middle, ...back].map((group) => group.padStart(4, '0')).join('');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
