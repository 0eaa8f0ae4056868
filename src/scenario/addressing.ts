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
  overlaps,
  parseCidr,
} from '../model/cidr.js';
import type { Cidr } from '../model/cidr.js';
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
export function segmentProblems(segment: SegmentShape, path: Path, hosts: readonly string[]): Problem[] {
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
      if (!hosts.includes(host)) problems.push(value([...below, index], unknown(host)));
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
    if (!hosts.includes(host)) problems.push(key(at, unknown(host)));
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
  const all = [...segments].filter(([, segment]) => subnetProblem(segment.subnet) === null);
  all.forEach(([name, segment], index) => {
    const other = all
      .slice(0, index)
      .find(([, earlier]) => overlaps(parseCidr(earlier.subnet)!, parseCidr(segment.subnet)!));
    if (other)
      problems.push(
        value(['segments', name, 'subnet'], `${segment.subnet} overlaps ${other[1].subnet} of the segment ${other[0]}`),
      );
  });
  return problems;
}

interface HostNetworks {
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

interface Publication {
  owner: string;
  address: string;
  from: number;
  to: number;
  protocol: string;
}

/** A published port taken apart; `null` where the engine picks the host's port. */
function publication(owner: string, text: string): Publication | null {
  const match = /^(?:(\[[^\]]+\]|\d+\.\d+\.\d+\.\d+):)?(?:(\d+)(?:-(\d+))?:)?\d+(?:-\d+)?(?:\/(\w+))?$/.exec(text);
  if (!match || match[2] === undefined) return null;
  return {
    owner,
    address: match[1] ?? '',
    from: Number(match[2]),
    to: Number(match[3] ?? match[2]),
    protocol: match[4] ?? 'tcp',
  };
}

/** Mistakes of a host's declared engine state. */
export function dockerProblems({ name, host, segments }: HostNetworks): Problem[] {
  const docker = host.docker;
  if (docker === undefined) return [];
  const problems: Problem[] = [];
  const path: Path = ['hosts', name, 'docker'];
  const taken: { network: string; subnet: Cidr; text: string }[] = [];

  for (const [network, shape] of Object.entries(docker.networks)) {
    const below = [...path, 'networks', network];
    if (['bridge', 'host', 'none', 'default'].includes(network))
      problems.push(key(below, `the engine keeps the network name ${JSON.stringify(network)} for itself`));
    shape.ipam.config.forEach((config, index) => {
      const at = [...below, 'ipam', 'config', index];
      if (config.subnet === undefined) {
        if (config.gateway !== undefined)
          problems.push(value([...at, 'gateway'], 'a gateway needs the subnet it is in'));
        return;
      }
      const message = subnetProblem(config.subnet);
      if (message !== null) {
        problems.push(value([...at, 'subnet'], message));
        return;
      }
      const subnet = parseCidr(config.subnet)!;
      if (config.gateway !== undefined && !contains(subnet, config.gateway))
        problems.push(
          value([...at, 'gateway'], `${config.gateway} is not in the subnet ${config.subnet} of the network`),
        );
      if (
        config.ip_range !== undefined &&
        !(contains(subnet, parseCidr(config.ip_range)!.address) && parseCidr(config.ip_range)!.prefix >= subnet.prefix)
      ) {
        problems.push(
          value([...at, 'ip_range'], `${config.ip_range} is not inside the subnet ${config.subnet} of the network`),
        );
      }
      const other = taken.find((one) => overlaps(one.subnet, subnet));
      if (other)
        problems.push(
          value([...at, 'subnet'], `${config.subnet} overlaps ${other.text} of the network ${other.network}`),
        );
      // A macvlan or ipvlan network shares its segment's subnet on purpose.
      const segment = ['macvlan', 'ipvlan'].includes(shape.driver)
        ? undefined
        : segments.find((one) => overlaps(one.subnet, subnet));
      if (segment)
        problems.push(
          value(
            [...at, 'subnet'],
            `${config.subnet} overlaps the segment ${segment.name} that ${name} is on: its containers could not reach that segment`,
          ),
        );
      taken.push({ network, subnet, text: config.subnet });
    });
  }

  const published: Publication[] = [];
  const containers = Object.keys(docker.containers);
  for (const [container, shape] of Object.entries(docker.containers)) {
    const below = [...path, 'containers', container];
    const joined = Object.entries(shape.networks);
    if (shape.network_mode !== null && joined.length > 0)
      problems.push(key([...below, 'networks'], '`networks` and `network_mode` exclude each other'));
    const shared = /^container:(.+)$/.exec(shape.network_mode ?? '');
    if (shared && !containers.includes(shared[1]!))
      problems.push(
        value(
          [...below, 'network_mode'],
          `no container ${JSON.stringify(shared[1])} is declared on ${name}${suggestion(shared[1], containers)}`,
        ),
      );
    if (['host', 'none'].includes(shape.network_mode ?? '') && shape.ports.length > 0)
      problems.push(
        key([...below, 'ports'], `the engine publishes no ports with \`network_mode: ${shape.network_mode}\``),
      );

    for (const [network, attachment] of joined) {
      const at = [...below, 'networks', network];
      const known = docker.networks[network];
      if (known === undefined && network !== 'bridge') {
        problems.push(
          key(
            at,
            `no network ${JSON.stringify(network)} is declared on ${name}${suggestion(network, Object.keys(docker.networks))}`,
          ),
        );
        continue;
      }
      for (const field of ['ipv4_address', 'ipv6_address'] as const) {
        const address = attachment[field];
        if (address === undefined) continue;
        const subnets = (known?.ipam.config ?? []).flatMap((config) =>
          config.subnet === undefined ? [] : [config.subnet],
        );
        if (familyOf(address) !== (field === 'ipv4_address' ? 4 : 6))
          problems.push(value([...at, field], `${address} is an IPv${familyOf(address)} address`));
        else if (subnets.length === 0)
          problems.push(
            value(
              [...at, field],
              `the engine takes a fixed address only on a network with a \`subnet\`, and ${network} has none`,
            ),
          );
        else if (!subnets.some((subnet) => contains(parseCidr(subnet)!, address)))
          problems.push(
            value([...at, field], `${address} is not in the subnet ${subnets.join(', ')} of the network ${network}`),
          );
      }
    }
    shape.links.forEach((link, index) => {
      const target = link.split(':')[0]!;
      if (!containers.includes(target))
        problems.push(
          value(
            [...below, 'links', index],
            `no container ${JSON.stringify(target)} is declared on ${name}${suggestion(target, containers)}`,
          ),
        );
    });
    shape.ports.forEach((text, index) => {
      const one = publication(container, text);
      if (one === null) return;
      const clash = published.find(
        (other) =>
          other.protocol === one.protocol &&
          other.from <= one.to &&
          one.from <= other.to &&
          (other.address === one.address || other.address === '' || one.address === ''),
      );
      if (clash)
        problems.push(
          value(
            [...below, 'ports', index],
            `port ${one.from}/${one.protocol} of ${name} is published by ${clash.owner} already`,
          ),
        );
      published.push(one);
    });
  }
  return problems;
}
