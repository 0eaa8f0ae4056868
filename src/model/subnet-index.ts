import ipaddr from 'ipaddr.js';
import type { Cidr } from './cidr.js';

/**
 * Subnets that are taken, so that a further one is compared with all of them at once: two subnets share addresses only where
 * one holds the other, so it is enough to look at the prefixes above it and to have noted those above the others.
 */
export class SubnetIndex<Owner> {
  private readonly taken = new Map<string, Owner>();
  private readonly holdsTaken = new Map<string, Owner>();

  /** The first owner whose subnet shares addresses with this one. */
  overlapping(subnet: Cidr): Owner | undefined {
    const above = prefixes(subnet);
    for (const key of above) {
      const owner = this.taken.get(key);
      if (owner !== undefined) return owner;
    }
    return this.holdsTaken.get(above[subnet.prefix]!);
  }

  add(subnet: Cidr, owner: Owner): void {
    const above = prefixes(subnet);
    const own = above[subnet.prefix]!;
    if (!this.taken.has(own)) this.taken.set(own, owner);
    for (const key of above) if (!this.holdsTaken.has(key)) this.holdsTaken.set(key, owner);
  }
}

/** A key for every prefix of a subnet's address, from 0 bits to the subnet's own length. */
function prefixes({ address, prefix, family }: Cidr): string[] {
  const bits = ipaddr
    .parse(address)
    .toByteArray()
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  return Array.from({ length: prefix + 1 }, (_, length) => `${family}:${bits.slice(0, length)}`);
}
