import path from 'node:path';
import { NetrigError } from '../errors.js';
import { emptyHost, nameOf } from './draft.js';
import type { Draft } from './draft.js';
import { ownFile } from './own-files.js';
import { isMap, leaveOut, textList } from './yaml-file.js';
import type { Data, Path, YamlFile } from './yaml-file.js';

/** What a service says that a container here says in the same words. */
const same = [
  ...['command', 'hostname', 'network_mode', 'networks', 'expose', 'environment', 'dns', 'dns_search', 'dns_opt'],
  ...['extra_hosts', 'links', 'cap_add', 'sysctls', 'restart', 'labels'],
];
const serviceKeys = [...same, 'image', 'build', 'container_name', 'ports', 'volumes', 'depends_on'];

const whyNot: Readonly<Record<string, string>> = {
  healthcheck: 'left out: a check with `within` waits until the service is well',
  deploy: 'left out: there is one container of each service',
  scale: 'left out: there is one container of each service',
  env_file: 'left out: write its lines under `environment`',
  profiles: 'left out: the service is there always',
};

const networkKeys = ['driver', 'driver_opts', 'internal', 'attachable', 'enable_ipv6', 'ipam', 'labels'];

/** Compose's interpolation, by its defaults alone: what the environment of some machine says is no part of the file. */
function interpolated(value: unknown, unset: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((one) => interpolated(one, unset));
  if (isMap(value))
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, interpolated(one, unset)]));
  if (typeof value !== 'string') return value;
  const text = value.replace(
    /\$(?:(\$)|\{([A-Za-z_]\w*)(?::?-([^}]*))?\}|([A-Za-z_]\w*))/g,
    (
      _,
      dollar: string | undefined,
      braced: string | undefined,
      fallback: string | undefined,
      bare: string | undefined,
    ) => {
      if (dollar !== undefined) return '\0';
      if (fallback === undefined) unset.add((braced ?? bare)!);
      return fallback ?? '';
    },
  );
  return text.replaceAll('\0{', () => '$${').replaceAll('\0', () => '$');
}

/** Services after those that they depend on; in the order of the file else. */
function inOrder(services: Data): [string, Data][] {
  const all = Object.entries(services).map(([name, value]) => [name, isMap(value) ? value : {}] as [string, Data]);
  const ordered: [string, Data][] = [];
  const needs = ({ depends_on: on }: Data): string[] => (isMap(on) ? Object.keys(on) : textList(on));
  const left = [...all];
  while (left.length > 0) {
    const ready = left.find(([, data]) => needs(data).every((one) => !left.some(([name]) => name === one))) ?? left[0]!;
    ordered.push(ready);
    left.splice(left.indexOf(ready), 1);
  }
  return ordered;
}

/** `8080:80`, of either form of Compose. */
function portOf(value: unknown): string {
  if (!isMap(value)) return String(value);
  const { published, target, protocol, host_ip: address } = value;
  const left = [address, published].filter((one) => one !== undefined).map(String);
  return `${[...left, String(target)].join(':')}${protocol === undefined || protocol === 'tcp' ? '' : `/${String(protocol)}`}`;
}

interface Taken {
  source: YamlFile;
  folder: string;
  draft: Draft;
  project: string;
}

/** A mount of a file beside the Compose file: it is put on the host first. */
function volumeOf({ source, folder, draft, project }: Taken, value: unknown, at: Path, of: string): string | null {
  const [from = '', to = '', mode] = isMap(value)
    ? [String(value.source ?? ''), String(value.target ?? ''), value.read_only === true ? 'ro' : undefined]
    : String(value).split(':');
  const tail = mode === undefined ? to : `${to}:${mode}`;
  if (!/^[.~/]/.test(from)) return `${from}:${tail}`;
  const own = ownFile(folder, from);
  if ('why' in own) {
    draft.lost.push({
      file: source.file,
      line: source.lineOf(at),
      what: `the mount of ${from} in ${of}`,
      why: `left out: ${own.why}`,
    });
    return null;
  }
  const target = `/srv/${project}/${own.path.slice(2)}`;
  draft.hosts.get('docker')!.files[own.path] = target;
  return `${target.replace(/\/$/, '')}:${tail}`;
}

function networksOf(data: Data, name: string, project: string, own: readonly string[]): unknown {
  const alias = { aliases: [name] };
  if (data.network_mode !== undefined) return undefined;
  if (data.networks === undefined) return { [project]: alias };
  const listed = isMap(data.networks)
    ? data.networks
    : Object.fromEntries(textList(data.networks).map((one) => [one, null]));
  return Object.fromEntries(
    Object.entries(listed)
      .map(([network, value]): [string, unknown] => {
        const { aliases, ipv4_address, ipv6_address } = isMap(value) ? value : ({} as Data);
        const fixed = {
          ...(ipv4_address === undefined ? {} : { ipv4_address }),
          ...(ipv6_address === undefined ? {} : { ipv6_address }),
        };
        return [
          network === 'default' ? project : network,
          { ...fixed, aliases: [...new Set([name, ...textList(aliases)])] },
        ];
      })
      .filter(([network]) => own.includes(network)),
  );
}

const buildKeys = ['context', 'dockerfile', 'target', 'args'];

/** The image of a service: the one that it names, or one that is built of a directory beside the file. */
function imageOf({ source, folder, draft, project }: Taken, name: string, data: Data): string | null {
  const at = ['services', name];
  const named = typeof data.image === 'string' ? data.image : null;
  const lose = (why: string): null => {
    draft.lost.push({
      file: source.file,
      line: source.lineOf(at),
      what: `the service ${name}`,
      why: `left out: ${why}`,
    });
    return null;
  };
  if (data.build === undefined) return named ?? lose('it names no image');
  const build: Data = isMap(data.build) ? data.build : { context: data.build };
  const own = ownFile(folder, String(build.context ?? '.'));
  if ('why' in own) return lose(`of the directory that it is built of, ${own.why}`);
  leaveOut(source, draft.lost, { path: [...at, 'build'], of: `the build of ${name}`, data: build, known: buildKeys });
  const kept = Object.fromEntries(buildKeys.filter((key) => build[key] !== undefined).map((key) => [key, build[key]]));
  const image = named ?? `${project}-${name}`;
  draft.images = { ...draft.images, [image]: { build: { ...kept, context: own.path } } };
  return image;
}

function serviceOf(taken: Taken, name: string, data: Data, networks: readonly string[]): Data | null {
  const { source, draft, project } = taken;
  const at = ['services', name];
  leaveOut(source, draft.lost, { path: at, of: `the service ${name}`, data, known: serviceKeys, why: whyNot });
  const image = imageOf(taken, name, data);
  if (image === null) return null;
  if (
    isMap(data.depends_on) &&
    Object.values(data.depends_on).some((one) => isMap(one) && one.condition !== 'service_started')
  )
    draft.lost.push({
      file: source.file,
      line: source.lineOf([...at, 'depends_on']),
      what: `the condition of \`depends_on\` of the service ${name}`,
      why: 'it is started after the others, without waiting until they are well',
    });
  const on = networksOf(data, name, project, networks);
  const volumes = (Array.isArray(data.volumes) ? (data.volumes as unknown[]) : []).flatMap(
    (one, index) => volumeOf(taken, one, [...at, 'volumes', index], `the service ${name}`) ?? [],
  );
  const kept = Object.fromEntries(
    same.filter((key) => key !== 'networks' && data[key] !== undefined).map((key) => [key, data[key]]),
  );
  return {
    image,
    ...(on === undefined ? {} : { networks: on }),
    ...kept,
    ...(data.ports === undefined ? {} : { ports: (data.ports as unknown[]).map(portOf) }),
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

function declaredNetworks({ source, draft, project }: Taken, data: Data): Data {
  const networks: Data = {};
  for (const [name, value] of Object.entries(isMap(data.networks) ? data.networks : {})) {
    const map = isMap(value) ? value : {};
    leaveOut(source, draft.lost, {
      path: ['networks', name],
      of: `the network ${name}`,
      data: map,
      known: networkKeys,
    });
    const kept = Object.fromEntries(networkKeys.filter((key) => map[key] !== undefined).map((key) => [key, map[key]]));
    networks[name === 'default' ? project : name] = Object.keys(kept).length > 0 ? kept : null;
  }
  return networks;
}

/** TCP ports that are published at every address of the host. */
function publishedPorts(container: Data): number[] {
  return textList(container.ports).flatMap((port) => {
    const match = /^(?:0\.0\.0\.0:)?(\d+):\d+(?:\/tcp)?$/.exec(port);
    return match ? [Number(match[1])] : [];
  });
}

/**
 * A Compose file: one host whose engine has its networks and containers, and a client that tries the published ports. Throws
 * NETRIG_IMPORT for a file without services.
 *
 * @param folder Where the file lies; paths in it are relative to that.
 */
export function fromCompose(source: YamlFile, folder: string): Draft {
  const unset = new Set<string>();
  const data = interpolated(source.data, unset) as Data;
  if (!isMap(data.services) || Object.keys(data.services).length === 0)
    throw new NetrigError('NETRIG_IMPORT', `${source.file} has no services.`);
  const own = String(data.name ?? path.basename(folder));
  const project = nameOf(own).padEnd(2, 'x');
  const draft: Draft = {
    name: nameOf(own),
    title: `${own}, from a Compose file`,
    description: null,
    hosts: new Map([
      ['docker', { ...emptyHost(), systemd: true }],
      ['client', emptyHost()],
    ]),
    segments: [
      {
        name: 'lan',
        subnets: ['192.168.50.0/24'],
        members: [
          { host: 'docker', index: 0, addresses: ['192.168.50.10/24'] },
          { host: 'client', index: 0, addresses: ['192.168.50.20/24'] },
        ],
      },
    ],
    scripts: [],
    checks: [],
    lost: [],
  };
  const taken: Taken = { source, folder, draft, project };
  leaveOut(source, draft.lost, {
    path: [],
    of: 'the file',
    data,
    known: ['name', 'services', 'networks', 'volumes', 'version'],
  });
  for (const name of unset)
    draft.lost.push({
      file: source.file,
      line: null,
      what: `the variable ${name}`,
      why: 'empty, as it has no default in the file',
    });
  const networks = declaredNetworks(taken, data);
  const services = inOrder(data.services);
  if (
    services.some(
      ([, one]) =>
        (one.image ?? one.build) !== undefined && one.networks === undefined && one.network_mode === undefined,
    )
  )
    networks[project] ??= null;
  const containers: Data = {};
  for (const [service, value] of services) {
    const container = serviceOf(taken, service, value, Object.keys(networks));
    if (container === null) continue;
    // The engine wants two characters at least; by its network alias the service is known as before.
    const own = service.length > 1 ? service : `${service}-1`;
    const name = typeof value.container_name === 'string' ? value.container_name : own;
    containers[name] = container;
    draft.checks.push({
      check: `The container ${name} runs`,
      docker: { on: 'docker', container: name, expect: { 'State.Running': true } },
      within: '30s',
    });
    for (const port of publishedPorts(container))
      draft.checks.push({
        check: `The client reaches port ${port}, which ${name} publishes`,
        port: { from: 'client', to: 'docker', port, expect: { behind: 'open' } },
        within: '30s',
      });
  }
  draft.hosts.get('docker')!.docker = { ...(Object.keys(networks).length > 0 ? { networks } : {}), containers };
  return draft;
}
