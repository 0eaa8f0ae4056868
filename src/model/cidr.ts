import ipaddr from 'ipaddr.js';

/** An address with its prefix length, as written by people and by `ip -j addr`: `10.10.10.11/24`. */
export interface Cidr {
  address: string;
  prefix: number;
  family: 4 | 6;
}

export function isAddress(text: string): boolean {
  return familyOf(text) !== 0;
}

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const fourOctets = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** 4, 6 or 0 where the text is no address. */
export function familyOf(text: string): 0 | 4 | 6 {
  // The library throws and catches an error for each text that is no address, which costs more than all else here.
  if (/^[\d.]+$/.test(text)) return fourOctets.test(text) ? 4 : 0;
  return text.includes(':') && ipaddr.IPv6.isValid(text) ? 6 : 0;
}

/** `null` where the text is no address with a prefix. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  if (slash < 0) return null;
  const address = text.slice(0, slash);
  const length = text.slice(slash + 1);
  const family = familyOf(address);
  if (family === 0 || !/^\d{1,3}$/.test(length)) return null;
  const prefix = Number(length);
  if (prefix > (family === 4 ? 32 : 128)) return null;
  return { address, prefix, family };
}

function parsed(text: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.parse(text);
}

/** Whether the address lies in the subnet; false for addresses of the other family. */
export function contains(subnet: Cidr, address: string): boolean {
  const a = parsed(address);
  const n = parsed(subnet.address);
  if (a.kind() !== n.kind()) return false;
  return a.match(n as never, subnet.prefix);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.prefix <= b.prefix ? contains(a, b.address) : contains(b, a.address);
}

function toBigInt(address: string): bigint {
  return parsed(address)
    .toByteArray()
    .reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function fromBigInt(value: bigint, family: 4 | 6): string {
  const size = family === 4 ? 4 : 16;
  const bytes: number[] = [];
  for (let i = 0; i < size; i += 1) {
    bytes.unshift(Number(value & 255n));
    value >>= 8n;
  }
  return ipaddr.fromByteArray(bytes).toString();
}

/** The subnet's first address: what people write before the slash when they mean the network. */
export function networkAddress(subnet: Cidr): string {
  const bits = BigInt((subnet.family === 4 ? 32 : 128) - subnet.prefix);
  return fromBigInt((toBigInt(subnet.address) >> bits) << bits, subnet.family);
}

/** The last address: the broadcast address of an IPv4 subnet with a prefix below 31. */
export function lastAddress(subnet: Cidr): string {
  const bits = BigInt((subnet.family === 4 ? 32 : 128) - subnet.prefix);
  return fromBigInt(toBigInt(networkAddress(subnet)) + (1n << bits) - 1n, subnet.family);
}

/** How many hosts a subnet can hold: without network and broadcast address for IPv4 prefixes below 31 (RFC 3021). */
export function hostCapacity(subnet: Cidr): bigint {
  const bits = BigInt((subnet.family === 4 ? 32 : 128) - subnet.prefix);
  const all = 1n << bits;
  return subnet.family === 4 && subnet.prefix < 31 ? all - 2n : all;
}

/** Whether a host may own the address inside the subnet (inside it, and neither network nor broadcast address). */
export function isHostAddress(subnet: Cidr, address: string): boolean {
  if (!contains(subnet, address)) return false;
  if (subnet.family === 6 || subnet.prefix >= 31) return true;
  const canonical = parsed(address).toString();
  return canonical !== networkAddress(subnet) && canonical !== lastAddress(subnet);
}

/** The n-th address after the network address (n = 1 is the first that a host may own). */
export function nthAddress(subnet: Cidr, n: number): string {
  return fromBigInt(toBigInt(networkAddress(subnet)) + BigInt(n), subnet.family);
}

/** One spelling per address, for comparison (`fe80::1`, `10.0.0.1`). */
export function canonicalAddress(address: string): string {
  return fourOctets.test(address) ? address : parsed(address).toString();
}
