import { isAddress } from '../model/cidr.js';

/** A place in the lab from which something can be probed. */
export type Vantage =
  | { kind: 'host'; host: string }
  | { kind: 'container'; host: string; container: string }
  | { kind: 'netns'; host: string; netns: string };

/** Where a probe goes: a vantage, a literal address, or a name that is resolved at the source. */
export type Target = Vantage | { kind: 'address'; address: string } | { kind: 'name'; name: string };

/** The engine's own rule for container names (two characters at least), which network namespaces obey too. */
const container = '[A-Za-z0-9][A-Za-z0-9_.-]{1,63}';
const netns = 'netns:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}';
/** A letter first: `10` would be an address to some programs, and to others a number. */
const host = '[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?';

export const hostNamePattern = new RegExp(`^${host}$`);
export const containerNamePattern = new RegExp(`^${container}$`);
export const vantagePattern = new RegExp(`^${host}(?:/(?:${netns}|${container}))?$`);
/** RFC 1123 labels, with the underscore that container and service names may have; a dot at the end makes it absolute. */
export const dnsNamePattern =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;

/** `node1`, `node1/web`, `node1/netns:blue`; `null` for a text that is none of these. */
export function parseVantage(text: string): Vantage | null {
  if (!vantagePattern.test(text)) return null;
  const slash = text.indexOf('/');
  if (slash < 0) return { kind: 'host', host: text };
  const name = text.slice(slash + 1);
  return name.startsWith('netns:')
    ? { kind: 'netns', host: text.slice(0, slash), netns: name.slice('netns:'.length) }
    : { kind: 'container', host: text.slice(0, slash), container: name };
}

/**
 * A word that is the name of one of the lab's hosts means that host, any other word a name to resolve at the source.
 * `null` for a text that is neither a vantage, an address nor a possible DNS name.
 */
export function parseTarget(text: string, hosts: Iterable<string> | ReadonlySet<string>): Target | null {
  if (isAddress(text)) return { kind: 'address', address: text };
  const vantage = parseVantage(text);
  if (vantage !== null && vantage.kind !== 'host') return vantage;
  if (vantage !== null && (hosts instanceof Set ? hosts : new Set(hosts)).has(vantage.host)) return vantage;
  return dnsNamePattern.test(text) ? { kind: 'name', name: text } : null;
}
