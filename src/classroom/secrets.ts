import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Crockford's alphabet: no letter that is taken for another when it is read aloud. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const codeBytes = 10;

/** A code of 80 bits that a person can type: `7K3M-Q2ZD-90AB-XYTR`. */
export function newCode(): string {
  const bits = [...randomBytes(codeBytes)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const signs = bits.match(/.{5}/g)!.map((five) => alphabet[parseInt(five, 2)]!);
  return signs.join('').match(/.{4}/g)!.join('-');
}

/** As it was given out, whatever a person made of it: lower case, blanks, letters that look like digits. */
export function normalCode(typed: string): string {
  const signs = typed.slice(0, 64).toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
  return signs.match(/.{1,4}/g)?.join('-') ?? '';
}

/** A token of 256 bits, for cookies and tickets. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What of a code or token is kept: nobody who reads the record can come in with it. Both have too many bits to be guessed, so that one hash is enough. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** Compares without telling by its time where two texts differ. */
export function sameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

export interface Tickets<Bound> {
  /** A ticket for one socket, bound to what it may be used for. */
  give(bound: Bound): string;
  /** What the ticket is bound to; `null` where it was used, is too old, or never was one. It is used up by this. */
  take(ticket: string): Bound | null;
}

/** Tickets that hold once, for `holdMs`. They live in this process alone: one that did not outlive a restart is asked for anew. */
export function createTickets<Bound>(
  holdMs: number,
  most: number,
  now: () => number = () => performance.now(),
): Tickets<Bound> {
  const given = new Map<string, { bound: Bound; until: number }>();
  return {
    give(bound) {
      const time = now();
      for (const [hash, { until }] of given) {
        // In the order in which they were given: those after the first good one are good, too.
        if (until > time && given.size < most) break;
        given.delete(hash);
      }
      const ticket = newToken();
      given.set(hashOf(ticket), { bound, until: time + holdMs });
      return ticket;
    },
    take(ticket) {
      const hash = hashOf(ticket);
      const found = given.get(hash);
      given.delete(hash);
      return found && found.until > now() ? found.bound : null;
    },
  };
}
