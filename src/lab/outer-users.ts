import { readFileSync } from 'node:fs';

/**
 * Without root of the machine, netrig runs as root of a user namespace around its command, the outer one: its 0 is the user,
 * its ids from 1 on are the user's subordinate ids (subuid(5)). Lab hosts get ids from 1 on, so nothing in a lab is the user.
 */

/** How many subordinate ids the map of an outer namespace has; `null` for a map of another kind, the machine's own among them. */
export function subordinateIds(uidMap: string): number | null {
  const lines = uidMap
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((fields) => fields.length === 3);
  const [user, subordinate, ...more] = lines;
  if (!user || !subordinate || more.length > 0) return null;
  return user[0] === 0 && user[2] === 1 && subordinate[0] === 1 ? subordinate[2]! : null;
}

let ids: number | null | undefined;

/** The subordinate ids of this process's user where it runs in an outer namespace; `null` where it does not. */
export function outerIds(): number | null {
  ids ??= subordinateIds(readFileSync('/proc/self/uid_map', 'utf8'));
  return ids;
}
