import { canonicalAddress, familyOf } from '../model/cidr.js';

/** What `/etc/resolv.conf` says, with the defaults of resolv.conf(5). */
export interface ResolverConfig {
  /** At most three, as glibc reads them. */
  servers: string[];
  search: string[];
  ndots: number;
}

/** Lines that are no known directive are passed over, as the resolver does. */
export function readResolvConf(text: string): ResolverConfig {
  const config: ResolverConfig = { servers: [], search: [], ndots: 1 };
  for (const line of text.split('\n')) {
    if (/^[#;]/.test(line)) continue;
    const [directive, ...values] = line.trim().split(/\s+/);
    if (directive === 'nameserver' && values[0] !== undefined && familyOf(values[0]) !== 0 && config.servers.length < 3)
      config.servers.push(values[0]);
    // The last of `search` and `domain` wins; a lone `.` means no list.
    if (directive === 'search') config.search = values.filter((value) => value !== '.');
    if (directive === 'domain' && values[0] !== undefined) config.search = [values[0]].filter((value) => value !== '.');
    if (directive === 'options') {
      for (const option of values) {
        const ndots = /^ndots:(\d+)$/.exec(option);
        if (ndots) config.ndots = Math.min(15, Number(ndots[1]));
      }
    }
  }
  return config;
}

/** Addresses of the family that a hosts file has for the name, in the file's order; names compare without case. */
export function readHostsFile(text: string, name: string, family: 4 | 6): string[] {
  const wanted = name.replace(/\.$/, '').toLowerCase();
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || familyOf(address) !== family) continue;
    if (names.some((entry) => entry.toLowerCase() === wanted)) found.push(canonicalAddress(address));
  }
  return [...new Set(found)];
}

/** The names that the resolver asks for, in its order (resolv.conf(5), `ndots` and `search`). */
export function searchCandidates(name: string, config: ResolverConfig): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const searched = config.search.map((domain) => `${name}.${domain.replace(/\.$/, '')}`);
  const dots = name.split('.').length - 1;
  return dots >= config.ndots ? [name, ...searched] : [...searched, name];
}
