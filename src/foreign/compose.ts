import { readFileSync } from 'node:fs';
import path from 'node:path';
import { NetrigError } from '../errors.js';
import { parseEnvFile } from '../model/env-file.js';
import { emptyHost, nameOf } from './draft.js';
import type { Draft } from './draft.js';
import { ownFile } from './own-files.js';
import { isMap, leaveOut, textList } from './yaml-file.js';
import type { Data, Path, YamlFile } from './yaml-file.js';

/** What a service says that a container here says in the same words. */
const same = [
  ...['command', 'entrypoint', 'hostname', 'network_mode', 'networks', 'expose', 'environment', 'dns'],
  ...['dns_search', 'dns_opt', 'extra_hosts', 'links', 'cap_add', 'cap_drop', 'privileged', 'sysctls', 'restart'],
  ...['labels', 'working_dir', 'user', 'group_add', 'read_only', 'tmpfs', 'init', 'stop_signal', 'stop_grace_period'],
  ...['tty', 'stdin_open', 'healthcheck', 'mem_limit', 'mem_reservation', 'memswap_limit', 'shm_size', 'cpus'],
  ...[
    'cpu_shares',
    'cpuset',
    'pids_limit',
    'ulimits',
    'security_opt',
    'devices',
    'pid',
    'ipc',
    'mac_address',
    'logging',
  ],
];
const serviceKeys = [
  ...same,
  ...[
    'image',
    'build',
    'container_name',
    'ports',
    'volumes',
    'depends_on',
    'env_file',
    'profiles',
    'secrets',
    'configs',
  ],
  'pull_policy',
];

const whyNot: Readonly<Record<string, string>> = {
  deploy: 'left out: there is one container of each service',
  scale: 'left out: there is one container of each service',
};

const networkKeys = ['driver', 'driver_opts', 'internal', 'attachable', 'enable_ipv6', 'ipam', 'labels'];

/** What variables are, and which of them nothing says. */
interface Variables {
  /** Of the file `.env`. */
  known: Readonly<Record<string, string>>;
  unset: Set<string>;
}

/** Compose's interpolation, by `.env` and by defaults alone: what the environment of some machine says is no part of the file. */
function interpolated(value: unknown, variables: Variables): unknown {
  if (Array.isArray(value)) return value.map((one) => interpolated(one, variables));
  if (isMap(value))
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, interpolated(one, variables)]));
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
      const given = variables.known[(braced ?? bare)!]?.replaceAll('${', '\0{') ?? fallback;
      if (given === undefined) variables.unset.add((braced ?? bare)!);
      return given ?? '';
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
  /** The whole file, its variables replaced. */
  top: Data;
  /** Containers that are there already, by service. */
  containers: Map<string, string>;
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

/** Variables of the files that a service names, and its own over them. */
function environmentOf({ source, folder, draft }: Taken, data: Data, at: Path, of: string): unknown {
  if (data.env_file === undefined || data.env_file === null) return data.environment;
  const values: Data = {};
  for (const one of [data.env_file].flat() as unknown[]) {
    const named = String(isMap(one) ? one.path : one);
    const own = ownFile(folder, named);
    const lose = (why: string): void =>
      void draft.lost.push({
        file: source.file,
        line: source.lineOf([...at, 'env_file']),
        what: `${named} of \`env_file\` of ${of}`,
        why: `left out: ${why}`,
      });
    if ('why' in own || own.directory) {
      if (!(isMap(one) && one.required === false)) lose('why' in own ? own.why : 'it is a directory');
      continue;
    }
    const { values: read, unread } = parseEnvFile(readFileSync(path.resolve(folder, named), 'utf8'));
    for (const [key, value] of Object.entries(read)) values[key] = value.replaceAll('${', () => '$${');
    if (unread.length > 0) lose(`its line ${unread.join(', ')}: no \`NAME=value\``);
  }
  if (isMap(data.environment)) return { ...values, ...data.environment };
  return {
    ...values,
    ...Object.fromEntries(
      textList(data.environment).map((item) => [item.replace(/=.*$/s, ''), item.replace(/^[^=]*=?/, '')]),
    ),
  };
}

/** Secrets and configs of a service: files that are mounted. */
function fileMounts(taken: Taken, data: Data, at: Path, of: string): string[] {
  return (['secrets', 'configs'] as const).flatMap((kind) =>
    ([data[kind] ?? []].flat() as unknown[]).flatMap((one, index) => {
      const name = String(isMap(one) ? one.source : one);
      const declared = isMap(taken.top[kind]) ? taken.top[kind][name] : undefined;
      const file = isMap(declared) ? declared.file : undefined;
      const target = String(isMap(one) && one.target !== undefined ? one.target : name);
      const inside = target.startsWith('/') ? target : `${kind === 'secrets' ? '/run/secrets' : ''}/${target}`;
      if (typeof file === 'string')
        return (
          volumeOf(
            taken,
            { source: /^[.~/]/.test(file) ? file : `./${file}`, target: inside, read_only: true },
            [...at, kind, index],
            of,
          ) ?? []
        );
      taken.draft.lost.push({
        file: taken.source.file,
        line: taken.source.lineOf([...at, kind, index]),
        what: `${name} of \`${kind}\` of ${of}`,
        why: 'left out: it is no file',
      });
      return [];
    }),
  );
}

/** What a service waits for, by the names of containers; those that are not there are left out. */
function dependenciesOf({ containers }: Taken, data: Data): Data | undefined {
  const given: Data = isMap(data.depends_on)
    ? data.depends_on
    : Object.fromEntries(textList(data.depends_on).map((one) => [one, null]));
  const kept = Object.entries(given).flatMap(([service, how]) => {
    const name = containers.get(service);
    const condition = isMap(how) ? how.condition : undefined;
    return name === undefined ? [] : [[name, { condition: condition ?? 'service_started' }] as const];
  });
  // Without conditions, the order of the file says it.
  return kept.some(([, { condition }]) => condition !== 'service_started') ? Object.fromEntries(kept) : undefined;
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
  const of = `the service ${name}`;
  const on = networksOf(data, name, project, networks);
  const volumes = [
    ...(Array.isArray(data.volumes) ? (data.volumes as unknown[]) : []).flatMap(
      (one, index) => volumeOf(taken, one, [...at, 'volumes', index], of) ?? [],
    ),
    ...fileMounts(taken, data, at, of),
  ];
  const environment = environmentOf(taken, data, at, of);
  const others = dependenciesOf(taken, data);
  const kept = Object.fromEntries(
    same
      .filter((key) => key !== 'networks' && key !== 'environment' && data[key] !== undefined)
      .map((key) => [key, data[key]]),
  );
  // In a shell's text, what is no variable of the scenario stays as it is.
  if (kept.command !== undefined)
    kept.command = Array.isArray(kept.command)
      ? textList(kept.command).map((one) => one.replaceAll('$${', () => '${'))
      : String(kept.command as string).replaceAll('$${', () => '${');
  return {
    image,
    ...(on === undefined ? {} : { networks: on }),
    ...kept,
    ...(data.ports === undefined ? {} : { ports: (data.ports as unknown[]).map(portOf) }),
    ...(environment === undefined ? {} : { environment }),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(others === undefined ? {} : { depends_on: others }),
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

/** The checks of a container: that it runs, or did its work, and that what it publishes answers. */
function checksOf(name: string, container: Data, ends: boolean): object[] {
  return [
    ends
      ? {
          check: `The container ${name} has done its work`,
          docker: { on: 'docker', container: name, expect: { 'State.Status': 'exited', 'State.ExitCode': 0 } },
          within: '30s',
        }
      : {
          check: `The container ${name} runs`,
          docker: { on: 'docker', container: name, expect: { 'State.Running': true } },
          within: '30s',
        },
    ...publishedPorts(container).map((port) => ({
      check: `The client reaches port ${port}, which ${name} publishes`,
      port: { from: 'client', to: 'docker', port, expect: { behind: 'open' } },
      within: '30s',
    })),
  ];
}

/** Services that others wait for until they have ended. */
function endingServices(services: readonly [string, Data][]): Set<string> {
  return new Set(
    services.flatMap(([, { depends_on: others }]) =>
      Object.entries(isMap(others) ? others : {}).flatMap(([name, how]) =>
        isMap(how) && how.condition === 'service_completed_successfully' ? [name] : [],
      ),
    ),
  );
}

/** Services that are there without anybody asking for their profile; the others are listed. */
function withoutProfiles({ source, draft }: Taken, services: readonly [string, Data][]): [string, Data][] {
  return services.filter(([name, { profiles }]) => {
    const named = textList(profiles);
    if (named.length === 0) return true;
    draft.lost.push({
      file: source.file,
      line: source.lineOf(['services', name, 'profiles']),
      what: `the service ${name}`,
      why: `left out: it is of the profile ${named.join(', ')}`,
    });
    return false;
  });
}

function emptyDraft(own: string): Draft {
  return {
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
}

/** The variables of the file `.env` beside a Compose file. */
function projectVariables(folder: string): Readonly<Record<string, string>> {
  try {
    return parseEnvFile(readFileSync(path.join(folder, '.env'), 'utf8')).values;
  } catch {
    return {};
  }
}

/**
 * A Compose file: one host whose engine has its networks and containers, and a client that tries the published ports. Throws
 * NETRIG_IMPORT for a file without services.
 *
 * @param folder Where the file lies; paths in it are relative to that.
 */
export function fromCompose(source: YamlFile, folder: string): Draft {
  const variables: Variables = { known: projectVariables(folder), unset: new Set() };
  const data = interpolated(source.data, variables) as Data;
  if (!isMap(data.services) || Object.keys(data.services).length === 0)
    throw new NetrigError('NETRIG_IMPORT', `${source.file} has no services.`);
  const own = String(data.name ?? path.basename(folder));
  const draft = emptyDraft(own);
  const project = nameOf(own).padEnd(2, 'x');
  const taken: Taken = { source, folder, draft, project, top: data, containers: new Map() };
  leaveOut(source, draft.lost, {
    path: [],
    of: 'the file',
    data,
    known: ['name', 'services', 'networks', 'volumes', 'version', 'secrets', 'configs'],
  });
  for (const name of variables.unset)
    draft.lost.push({
      file: source.file,
      line: null,
      what: `the variable ${name}`,
      why: 'empty, as it has no default in the file',
    });
  const networks = declaredNetworks(taken, data);
  const services = withoutProfiles(taken, inOrder(data.services));
  const ending = endingServices(services);
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
    taken.containers.set(service, name);
    draft.checks.push(...checksOf(name, container, ending.has(service)));
  }
  draft.hosts.get('docker')!.docker = { ...(Object.keys(networks).length > 0 ? { networks } : {}), containers };
  return draft;
}
