import ipaddr from 'ipaddr.js';
import {
  canonicalAddress,
  contains,
  familyOf,
  hostCapacity,
  isHostAddress,
  lastAddress,
  networkAddress,
  nthAddress,
  parseCidr,
} from '../model/cidr.js';
import type { Cidr } from '../model/cidr.js';
import { SubnetIndex } from '../model/subnet-index.js';
import type { Path } from './diagnostic.js';
import type { Problem } from './issues.js';
import type { HostShape, SegmentShape } from './schema.js';
import { suggestion } from '../language/wording.js';

const value = (path: Path, message: string): Problem => ({ path, message, at: 'value' });
const key = (path: Path, message: string): Problem => ({ path, message, at: 'key' });

/** What is wrong with a subnet by itself; `null` for one that hosts can live in. */
export function subnetProblem(text: string): string | null {
  const subnet = parseCidr(text);
  if (subnet === null) return null;
  const network = networkAddress(subnet);
  if (canonicalAddress(subnet.address) !== network)
    return `${text} is an address inside a subnet: the subnet is ${network}/${subnet.prefix}`;
  if (subnet.prefix === 0) return `${text} is every address there is`;
  const range = ipaddr.parse(network).range();
  if (['loopback', 'multicast', 'unspecified', 'broadcast'].includes(range))
    return `${text} is in a ${range} range, where no host can live`;
  return null;
}

/** The addresses of a segment's hosts, in the order of the file; a list hands them out from the first. Only for segments without problems. */
export function segmentAddresses(segment: SegmentShape): Record<string, string | null> {
  if (!Array.isArray(segment.hosts)) return segment.hosts;
  const subnet = parseCidr(segment.subnet)!;
  // An IPv4 /31 or /32 has no network address to leave out (RFC 3021).
  const first = subnet.family === 4 && subnet.prefix >= 31 ? 0 : 1;
  return Object.fromEntries(segment.hosts.map((host, index) => [host, nthAddress(subnet, first + index)]));
}

/** Mistakes of one segment. `hosts`: every host of the file, also those with mistakes of their own. */
export function segmentProblems(segment: SegmentShape, path: Path, hosts: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = [];
  const unknown = (host: string): string =>
    `no host ${JSON.stringify(host)} in this scenario${suggestion(host, hosts)}`;
  const subnetMessage = subnetProblem(segment.subnet);
  if (subnetMessage !== null) problems.push(value([...path, 'subnet'], subnetMessage));
  const subnet = parseCidr(segment.subnet)!;
  if (segment.mtu !== undefined && subnet.family === 6 && segment.mtu < 1280) {
    problems.push(value([...path, 'mtu'], `IPv6 needs an MTU of at least 1280 (RFC 8200), got ${segment.mtu}`));
  }
  const below = [...path, 'hosts'];
  if (Array.isArray(segment.hosts)) {
    const seen = new Set<string>();
    segment.hosts.forEach((host, index) => {
      if (!hosts.has(host)) problems.push(value([...below, index], unknown(host)));
      if (seen.has(host)) problems.push(value([...below, index], `${host} stands on this segment already`));
      seen.add(host);
    });
    if (subnetMessage === null && BigInt(segment.hosts.length) > hostCapacity(subnet)) {
      problems.push(
        value(
          [...path, 'subnet'],
          `${segment.subnet} has room for ${hostCapacity(subnet)} hosts, and the segment has ${segment.hosts.length}`,
        ),
      );
    }
    return problems;
  }
  if (Object.keys(segment.hosts).length === 0) problems.push(value(below, 'a segment connects at least one host'));
  const owners = new Map<string, string>();
  for (const [host, address] of Object.entries(segment.hosts)) {
    const at = [...below, host];
    if (!hosts.has(host)) problems.push(key(at, unknown(host)));
    if (address === null || subnetMessage !== null) continue;
    if (familyOf(address) !== subnet.family || !contains(subnet, address)) {
      problems.push(value(at, `${address} is not in the subnet ${segment.subnet} of the segment`));
      continue;
    }
    if (!isHostAddress(subnet, address)) {
      const which = canonicalAddress(address) === networkAddress(subnet) ? 'network' : 'broadcast';
      problems.push(
        value(
          at,
          `${address} is the ${which} address of ${segment.subnet}: hosts have ${nthAddress(subnet, 1)} to ${beforeLast(subnet)}`,
        ),
      );
      continue;
    }
    const owner = owners.get(canonicalAddress(address));
    if (owner !== undefined) problems.push(value(at, `${address} belongs to ${owner} already`));
    else owners.set(canonicalAddress(address), host);
  }
  return problems;
}

function beforeLast(subnet: Cidr): string {
  const bits = 32 - subnet.prefix;
  return bits > 1 ? nthAddress(subnet, 2 ** bits - 2) : lastAddress(subnet);
}

/** Segments whose subnets share addresses. */
export function overlapProblems(segments: ReadonlyMap<string, SegmentShape>): Problem[] {
  const problems: Problem[] = [];
  const taken = new SubnetIndex<{ name: string; text: string }>();
  for (const [name, segment] of segments) {
    if (subnetProblem(segment.subnet) !== null) continue;
    const subnet = parseCidr(segment.subnet)!;
    const other = taken.overlapping(subnet);
    if (other !== undefined)
      problems.push(
        value(['segments', name, 'subnet'], `${segment.subnet} overlaps ${other.text} of the segment ${other.name}`),
      );
    taken.add(subnet, { name, text: segment.subnet });
  }
  return problems;
}

export interface HostNetworks {
  name: string;
  host: HostShape;
  /** Segments without mistakes that name the host, with its address there. */
  segments: { name: string; subnet: Cidr; address: string | null }[];
}

/** Routes whose next hop the host cannot reach directly. */
export function routeProblems({ name, host, segments }: HostNetworks): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  host.routes.forEach((route, index) => {
    const at: Path = ['hosts', name, 'routes', index];
    if (seen.has(route.to)) problems.push(value([...at, 'to'], `${name} has a route to ${route.to} already`));
    seen.add(route.to);
    const destination = parseCidr(route.to);
    if (destination !== null) {
      const network = networkAddress(destination);
      if (canonicalAddress(destination.address) !== network)
        problems.push(
          value(
            [...at, 'to'],
            `${route.to} is an address inside a subnet: the subnet is ${network}/${destination.prefix}`,
          ),
        );
      if (destination.family !== familyOf(route.via)) {
        problems.push(
          value(
            [...at, 'via'],
            `${route.via} is IPv${familyOf(route.via)}, and the destination ${route.to} is IPv${destination.family}`,
          ),
        );
        return;
      }
    }
    const on = segments.find((segment) => contains(segment.subnet, route.via));
    if (on === undefined) {
      const have = segments
        .map((segment) => `${segment.name} (${networkAddress(segment.subnet)}/${segment.subnet.prefix})`)
        .join(', ');
      problems.push(
        value(
          [...at, 'via'],
          `${route.via} is on no segment of ${name}${have === '' ? ', which is on none' : `; it is on ${have}`}`,
        ),
      );
    } else if (on.address === null) {
      problems.push(
        value([...at, 'via'], `${name} has no address on ${on.name}, so it cannot reach ${route.via} directly`),
      );
    } else if (canonicalAddress(on.address) === canonicalAddress(route.via)) {
      problems.push(value([...at, 'via'], `${route.via} is the address of ${name} itself`));
    }
  });
  return problems;
}
