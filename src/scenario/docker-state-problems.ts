import { suggestion } from '../language/wording.js';
import { contains, familyOf, parseCidr } from '../model/cidr.js';
import { SubnetIndex } from '../model/subnet-index.js';
import { subnetProblem } from './addressing.js';
import type { HostNetworks } from './addressing.js';
import type { Path } from './diagnostic.js';
import type { Problem } from './issues.js';
import { limits } from './passes/limits.js';
import { startCircle } from './start-order.js';
import type { DockerShape } from './schema.js';

const value = (path: Path, message: string): Problem => ({ path, message, at: 'value' });
const key = (path: Path, message: string): Problem => ({ path, message, at: 'key' });

type NetworkShape = DockerShape['networks'][string];
type ContainerShape = DockerShape['containers'][string];

/** Mistakes of a host's declared engine state. */
export function dockerProblems({ name, host, segments }: HostNetworks): Problem[] {
  const docker = host.docker;
  if (docker === undefined) return [];
  const path: Path = ['hosts', name, 'docker'];
  const tooMany = sizeProblems(docker, path);
  if (tooMany.length > 0) return tooMany;
  return [
    ...networkProblems(docker, path, name, segments),
    ...Object.entries(docker.containers).flatMap(([container, shape]) =>
      containerProblems(docker, [...path, 'containers', container], name, shape),
    ),
    ...publicationProblems(docker, path, name),
    ...orderProblems(docker, path, name),
  ];
}

function sizeProblems(docker: DockerShape, path: Path): Problem[] {
  const containers = Object.values(docker.containers);
  const ports = containers.reduce((sum, container) => sum + container.ports.length, 0);
  const rows: [string, string, number, number][] = [
    ['networks', 'networks', Object.keys(docker.networks).length, limits.networksOfHost],
    ['containers', 'containers', containers.length, limits.containersOfHost],
    ['containers', 'published ports', ports, limits.portsOfHost],
  ];
  return rows
    .filter(([, , count, limit]) => count > limit)
    .map(([part, what, count, limit]) => key([...path, part], `${count} ${what}: a host has at most ${limit}`));
}

function networkProblems(docker: DockerShape, path: Path, name: string, segments: HostNetworks['segments']): Problem[] {
  const problems: Problem[] = [];
  const taken = new SubnetIndex<{ network: string; text: string }>();
  const wires = new SubnetIndex<string>();
  for (const segment of segments) wires.add(segment.subnet, segment.name);
  for (const [network, shape] of Object.entries(docker.networks)) {
    const below = [...path, 'networks', network];
    if (['bridge', 'host', 'none', 'default'].includes(network))
      problems.push(key(below, `the engine keeps the network name ${JSON.stringify(network)} for itself`));
    shape.ipam.config.forEach((config, index) => {
      const at = [...below, 'ipam', 'config', index];
      const own = ipamProblems(config, at);
      problems.push(...own);
      const subnet = config.subnet === undefined ? null : parseCidr(config.subnet);
      if (config.subnet === undefined || subnet === null || subnetProblem(config.subnet) !== null) return;
      const other = taken.overlapping(subnet);
      if (other !== undefined)
        problems.push(
          value([...at, 'subnet'], `${config.subnet} overlaps ${other.text} of the network ${other.network}`),
        );
      // A macvlan or ipvlan network shares its segment's subnet on purpose.
      const segment = ['macvlan', 'ipvlan'].includes(shape.driver) ? undefined : wires.overlapping(subnet);
      if (segment !== undefined)
        problems.push(
          value(
            [...at, 'subnet'],
            `${config.subnet} overlaps the segment ${segment} that ${name} is on: its containers could not reach that segment`,
          ),
        );
      taken.add(subnet, { network, text: config.subnet });
    });
  }
  return problems;
}

function ipamProblems(config: NetworkShape['ipam']['config'][number], at: Path): Problem[] {
  if (config.subnet === undefined)
    return config.gateway === undefined ? [] : [value([...at, 'gateway'], 'a gateway needs the subnet it is in')];
  const message = subnetProblem(config.subnet);
  if (message !== null) return [value([...at, 'subnet'], message)];
  const problems: Problem[] = [];
  const subnet = parseCidr(config.subnet)!;
  if (config.gateway !== undefined && !contains(subnet, config.gateway))
    problems.push(value([...at, 'gateway'], `${config.gateway} is not in the subnet ${config.subnet} of the network`));
  const range = config.ip_range === undefined ? null : parseCidr(config.ip_range)!;
  if (range !== null && !(contains(subnet, range.address) && range.prefix >= subnet.prefix))
    problems.push(
      value([...at, 'ip_range'], `${config.ip_range} is not inside the subnet ${config.subnet} of the network`),
    );
  return problems;
}

function containerProblems(docker: DockerShape, below: Path, name: string, shape: ContainerShape): Problem[] {
  const problems: Problem[] = [];
  const undeclared = (container: string | undefined): string =>
    `no container ${JSON.stringify(container)} is declared on ${name}${suggestion(container, Object.keys(docker.containers))}`;
  const joined = Object.entries(shape.networks);
  if (shape.network_mode !== null && joined.length > 0)
    problems.push(key([...below, 'networks'], '`networks` and `network_mode` exclude each other'));
  const shared = /^container:(.+)$/.exec(shape.network_mode ?? '');
  if (shared && !Object.hasOwn(docker.containers, shared[1]!))
    problems.push(value([...below, 'network_mode'], undeclared(shared[1])));
  if (['host', 'none'].includes(shape.network_mode ?? '') && shape.ports.length > 0)
    problems.push(
      key([...below, 'ports'], `the engine publishes no ports with \`network_mode: ${shape.network_mode}\``),
    );
  for (const [network, attachment] of joined) {
    const at = [...below, 'networks', network];
    const known = docker.networks[network];
    if (known === undefined && network !== 'bridge') {
      const hint = suggestion(network, Object.keys(docker.networks));
      problems.push(key(at, `no network ${JSON.stringify(network)} is declared on ${name}${hint}`));
    } else problems.push(...attachmentProblems(known, network, attachment, at));
  }
  shape.links.forEach((link, index) => {
    const target = link.split(':')[0]!;
    if (!Object.hasOwn(docker.containers, target)) problems.push(value([...below, 'links', index], undeclared(target)));
  });
  return problems;
}

function attachmentProblems(
  known: NetworkShape | undefined,
  network: string,
  attachment: ContainerShape['networks'][string],
  at: Path,
): Problem[] {
  const problems: Problem[] = [];
  const subnets = (known?.ipam.config ?? []).flatMap((config) => (config.subnet === undefined ? [] : [config.subnet]));
  for (const field of ['ipv4_address', 'ipv6_address'] as const) {
    const address = attachment[field];
    if (address === undefined) continue;
    const complain = (message: string): void => void problems.push(value([...at, field], message));
    if (familyOf(address) !== (field === 'ipv4_address' ? 4 : 6))
      complain(`${address} is an IPv${familyOf(address)} address`);
    else if (subnets.length === 0)
      complain(`the engine takes a fixed address only on a network with a \`subnet\`, and ${network} has none`);
    else if (!subnets.some((subnet) => contains(parseCidr(subnet)!, address)))
      complain(`${address} is not in the subnet ${subnets.join(', ')} of the network ${network}`);
  }
  return problems;
}

/** What containers wait for. */
function orderProblems(docker: DockerShape, path: Path, name: string): Problem[] {
  const names = Object.keys(docker.containers);
  const unknown = Object.entries(docker.containers).flatMap(([container, { depends_on: others = {} }]) =>
    Object.keys(others)
      .filter((other) => !Object.hasOwn(docker.containers, other))
      .map((other) =>
        value(
          [...path, 'containers', container, 'depends_on'],
          `no container ${JSON.stringify(other)} is declared on ${name}${suggestion(other, names)}`,
        ),
      ),
  );
  const circle = startCircle(docker.containers);
  if (circle)
    unknown.push(
      key(
        [...path, 'containers', circle[0]!, 'depends_on'],
        `containers wait for each other in a circle: ${circle.join(' → ')}`,
      ),
    );
  if (docker.profiles !== undefined)
    unknown.push(key([...path, 'profiles'], '`profiles` are those of a Compose file: `compose` names none'));
  return unknown;
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

/** Ports that two containers of a host publish. */
function publicationProblems(docker: DockerShape, path: Path, name: string): Problem[] {
  const problems: Problem[] = [];
  const published: Publication[] = [];
  for (const [container, shape] of Object.entries(docker.containers)) {
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
            [...path, 'containers', container, 'ports', index],
            `port ${one.from}/${one.protocol} of ${name} is published by ${clash.owner} already`,
          ),
        );
      published.push(one);
    });
  }
  return problems;
}
