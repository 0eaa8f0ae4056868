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
    return `${text} is in ${range === 'unspecified' ? 'an' : 'a'} ${range} range, where no host can live`;
  if (subnet.family === 6 && range === 'linkLocal')
    return `${text} is link-local: each interface has an address of its own there, and none is found without the name of an interface; take one of fd00::/8`;
  if (range === 'ipv4Mapped')
    return `${text} is how programs write IPv4 addresses, and nothing is sent to it: write the IPv4 subnet`;
  return null;
}

/** The addresses of a segment's hosts, in the order of the file; a list hands them out from the first of each subnet. Only for segments without problems. */
export function segmentAddresses(segment: SegmentShape): Record<string, string[] | null> {
  if (!Array.isArray(segment.hosts)) return segment.hosts;
  const subnets = segment.subnet.map((text) => parseCidr(text)!);
  return Object.fromEntries(
    segment.hosts.map((host, index) => [
      host,
      // An IPv4 /31 or /32 has no network address to leave out (RFC 3021).
      subnets.map((subnet) => nthAddress(subnet, index + (subnet.family === 4 && subnet.prefix >= 31 ? 0 : 1))),
    ]),
  );
}

/** Of a value that may be a list, the path of one: the file says it by itself where there is one only. */
function pathOfOne(path: Path, all: readonly string[], index: number): Path {
  return all.length === 1 ? path : [...path, index];
}

/** Mistakes of one segment. `hosts`: every host of the file, also those with mistakes of their own. */
export function segmentProblems(segment: SegmentShape, path: Path, hosts: ReadonlySet<string>): Problem[] {
  const problems = subnetProblems(segment, [...path, 'subnet']);
  const sound = problems.length === 0;
  const subnets = segment.subnet.map((text) => parseCidr(text)!);
  if (segment.mtu !== undefined && segment.mtu < 1280 && subnets.some(({ family }) => family === 6))
    problems.push(value([...path, 'mtu'], `IPv6 needs an MTU of at least 1280 (RFC 8200), got ${segment.mtu}`));
  const below = [...path, 'hosts'];
  const unknown = (host: string): string =>
    `no host ${JSON.stringify(host)} in this scenario${suggestion(host, hosts)}`;
  if (Array.isArray(segment.hosts)) {
    const seen = new Set<string>();
    segment.hosts.forEach((host, index) => {
      if (!hosts.has(host)) problems.push(value([...below, index], unknown(host)));
      if (seen.has(host)) problems.push(value([...below, index], `${host} stands on this segment already`));
      seen.add(host);
    });
    return sound ? [...problems, ...roomProblems(segment, segment.hosts.length, [...path, 'subnet'])] : problems;
  }
  if (Object.keys(segment.hosts).length === 0) problems.push(value(below, 'a segment connects at least one host'));
  const owners = new Map<string, string>();
  for (const [host, addresses] of Object.entries(segment.hosts)) {
    if (!hosts.has(host)) problems.push(key([...below, host], unknown(host)));
    if (sound) problems.push(...addressProblems(segment, host, addresses ?? [], [...below, host], owners));
  }
  return problems;
}

/** Mistakes of the subnets themselves: at most one of each family. */
function subnetProblems(segment: SegmentShape, path: Path): Problem[] {
  const problems: Problem[] = [];
  const families = new Map<number, string>();
  segment.subnet.forEach((text, index) => {
    const at = pathOfOne(path, segment.subnet, index);
    const message = subnetProblem(text);
    if (message !== null) problems.push(value(at, message));
    const { family } = parseCidr(text)!;
    const other = families.get(family);
    if (other !== undefined)
      problems.push(
        value(at, `${text} is IPv${family} as ${other} is: a segment has one subnet of each family at most`),
      );
    else families.set(family, text);
  });
  return problems;
}

function roomProblems(segment: SegmentShape, hosts: number, path: Path): Problem[] {
  return segment.subnet.flatMap((text, index) => {
    const capacity = hostCapacity(parseCidr(text)!);
    if (BigInt(hosts) <= capacity) return [];
    const message = `${text} has room for ${capacity} hosts, and the segment has ${hosts}`;
    return [value(pathOfOne(path, segment.subnet, index), message)];
  });
}

/** Mistakes of one host's addresses on a segment. `owners`: who has which address, told by every call. */
function addressProblems(
  segment: SegmentShape,
  host: string,
  addresses: readonly string[],
  path: Path,
  owners: Map<string, string>,
): Problem[] {
  const problems: Problem[] = [];
  const families = new Set<number>();
  addresses.forEach((address, index) => {
    const at = pathOfOne(path, addresses, index);
    const family = familyOf(address);
    const text = segment.subnet.find((one) => parseCidr(one)!.family === family);
    const subnet = text === undefined ? null : parseCidr(text)!;
    const owner = owners.get(canonicalAddress(address));
    if (subnet === null || !contains(subnet, address))
      problems.push(value(at, `${address} is not in the subnet ${segment.subnet.join(' or ')} of the segment`));
    else if (!isHostAddress(subnet, address)) {
      const which = canonicalAddress(address) === networkAddress(subnet) ? 'network' : 'broadcast';
      const range = `${nthAddress(subnet, 1)} to ${beforeLast(subnet)}`;
      problems.push(value(at, `${address} is the ${which} address of ${text}: hosts have ${range}`));
    } else if (families.has(family))
      problems.push(value(at, `${host} has an IPv${family} address on this segment already`));
    else if (owner !== undefined) problems.push(value(at, `${address} belongs to ${owner} already`));
    else owners.set(canonicalAddress(address), host);
    families.add(family);
  });
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
    segment.subnet.forEach((text, index) => {
      if (subnetProblem(text) !== null) return;
      const subnet = parseCidr(text)!;
      const other = taken.overlapping(subnet);
      if (other !== undefined && other.name !== name) {
        const at = pathOfOne(['segments', name, 'subnet'], segment.subnet, index);
        problems.push(value(at, `${text} overlaps ${other.text} of the segment ${other.name}`));
      }
      taken.add(subnet, { name, text });
    });
  }
  return problems;
}

export interface HostNetworks {
  name: string;
  host: HostShape;
  /** Segments without mistakes that name the host, with its address there. */
  segments: { name: string; subnet: Cidr; address: string | null }[];
}

/** One destination, however it is written. */
function destinationKey(to: string): string {
  if (to === 'default') return '0.0.0.0/0';
  const cidr = parseCidr(to);
  return cidr === null ? to : `${canonicalAddress(cidr.address)}/${cidr.prefix}`;
}

/** Routes whose next hop the host cannot reach directly. `allKnown`: no segment with mistakes may have the host, too. */
export function routeProblems({ name, host, segments, allKnown }: HostNetworks & { allKnown: boolean }): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  host.routes.forEach((route, index) => {
    const at: Path = ['hosts', name, 'routes', index];
    const key = destinationKey(route.to);
    if (seen.has(key)) problems.push(value([...at, 'to'], `${name} has a route to ${route.to} already`));
    seen.add(key);
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
      if (!allKnown) return;
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
