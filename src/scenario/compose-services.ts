import { shown, suggestion } from '../language/wording.js';
import { environment, fileVolumes, volume } from './compose-bound-files.js';
import {
  complain,
  containerOf,
  interpolated,
  isWanted,
  origin,
  type ComposeParts,
  type ComposeSurroundings,
  type Conversion,
} from './compose-conversion.js';
import { parseEnvFile } from '../model/env-file.js';
import { notCarriedOut } from './compose-words.js';
import type { Path } from './diagnostic.js';
import { keysAt } from './issues.js';
import { zHost } from './schema.js';
import { isDataMap, type Data, type DataMap, type ScenarioSource } from './source.js';

/** What a Compose file means in the words of a scenario (the Compose Specification; what netrig does not carry out is told). */

/** Words as Compose splits a command: by blanks, with quotes; nothing else means anything. */
function splitWords(text: string): string[] {
  return [...text.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+/gs)].map(([word]) =>
    word.replace(
      /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs,
      (_, single: string, double: string, escaped: string) =>
        single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped,
    ),
  );
}

/** `depends_on` by the names of containers. */
function dependencies(conversion: Conversion, given: Data, path: Path): Data {
  const isThere = (other: string, at: Path): boolean => {
    if (!Object.hasOwn(conversion.services, other)) complain(conversion, at, `there is no service ${shown(other)}`);
    else if (isWanted(conversion, other)) return true;
    else
      complain(
        conversion,
        at,
        `the service ${shown(other)} is of a profile that is not wanted: name one beside \`compose\` (\`profiles: […]\`)`,
      );
    return false;
  };
  if (Array.isArray(given))
    return given.flatMap((other, index): Data[] => {
      if (typeof other !== 'string') return [other];
      return isThere(other, [...path, index]) ? [containerOf(conversion, other)] : [];
    });
  if (!isDataMap(given)) return given;
  const out = Object.create(null) as DataMap;
  for (const [other, how] of Object.entries(given)) {
    const own = Object.create(null) as DataMap;
    // `restart` is about `docker compose restart`, which nobody calls here.
    for (const [key, value] of Object.entries(isDataMap(how) ? how : {}))
      if (key !== 'required' && key !== 'restart') own[key] = value;
    const optional = isDataMap(how) && how['required'] === false;
    if (optional && !(Object.hasOwn(conversion.services, other) && isWanted(conversion, other))) continue;
    if (isThere(other, [...path, other])) out[containerOf(conversion, other)] = own;
  }
  return out;
}

/** Keys of services that are carried out: those of a container of a scenario, and what Compose has beyond them. */
const serviceKeys = (): string[] => [
  ...keysAt(zHost, ['docker', 'containers', 'any']),
  'build',
  'configs',
  'container_name',
  'deploy',
  'env_file',
  'profiles',
  'pull_policy',
  'secrets',
];

/** Whether a key of a service is carried out; told where it is not. */
function carriedOut(conversion: Conversion, key: string, path: Path): boolean {
  const known = serviceKeys();
  if (known.includes(key)) return true;
  const guess = suggestion(key, known) || `; known here: ${known.join(', ')}`;
  complain(conversion, path, notCarriedOut('service', key) ?? `unknown key ${shown(key)}${guess}`, 'key');
  return false;
}

/** A port in the long form as the short one; `null`, told, for what has none. */
function shortPort(conversion: Conversion, port: Data, path: Path): Data {
  if (!isDataMap(port)) return port;
  const known = ['target', 'published', 'protocol', 'host_ip', 'mode', 'name', 'app_protocol'];
  for (const key of Object.keys(port))
    if (!known.includes(key)) complain(conversion, [...path, key], `unknown key ${shown(key)}`, 'key');
  const { target, published, protocol, host_ip: address } = port;
  const host = published === undefined || published === null ? '' : `${String(published)}:`;
  const family = typeof protocol === 'string' && protocol !== 'tcp' ? `/${protocol}` : '';
  return `${typeof address === 'string' ? `${address}:${host === '' ? ':' : ''}` : ''}${host}${String(target)}${family}`;
}

/** The networks of a service, with its own name on each where the container has another. */
function networks(conversion: Conversion, service: DataMap, alias: string | null): DataMap {
  const given = service['networks'];
  const out = Object.create(null) as DataMap;
  const named: DataMap = isDataMap(given)
    ? given
    : Object.fromEntries((Array.isArray(given) ? given : ['default']).map((name) => [String(name), null]));
  for (const [name, how] of Object.entries(named)) {
    const own: DataMap = isDataMap(how) ? { ...how } : {};
    const aliases = Array.isArray(own['aliases']) ? own['aliases'] : [];
    if (alias !== null) own['aliases'] = [...aliases, alias];
    out[name === 'default' ? conversion.defaultNetwork : name] = own;
  }
  return out;
}

function builtImage(conversion: Conversion, name: string, service: DataMap): string {
  const given = typeof service['image'] === 'string' ? service['image'] : `${conversion.project}-${name}`;
  const path = ['services', name, 'build'];
  const value = Object.create(null) as DataMap;
  value['build'] = service['build']!;
  // The key `build` of the made map stands where it stands in the file.
  conversion.images.push([given, value, origin(conversion, path.slice(0, 2))]);
  return given;
}

/** Keys of a service that have a place of their own in what is made of it. */
const apart = [
  'build',
  'configs',
  'container_name',
  'deploy',
  'env_file',
  'environment',
  'image',
  'networks',
  'profiles',
  'pull_policy',
  'secrets',
  'volumes',
];

function container(conversion: Conversion, name: string): void {
  const path: Path = ['services', name];
  const service = conversion.services[name]!;
  if (!isDataMap(service)) {
    complain(conversion, path, `expected a service, got ${shown(service)}`);
    return;
  }
  if (!isWanted(conversion, name)) return;
  const called = containerOf(conversion, name);
  const out = Object.create(null) as DataMap;
  for (const [key, value] of Object.entries(service)) {
    if (key.startsWith('x-') || apart.includes(key)) continue;
    if (carriedOut(conversion, key, [...path, key])) out[key] = converted(conversion, key, value, [...path, key]);
  }
  if ('build' in service) out['image'] = builtImage(conversion, name, service);
  else if ('image' in service) out['image'] = service['image']!;
  if (!('network_mode' in service)) out['networks'] = networks(conversion, service, called === name ? null : name);
  const variables = environment(conversion, service, path);
  if (variables !== undefined) out['environment'] = variables;
  const mounts = volumes(conversion, service, path);
  if (mounts !== undefined) out['volumes'] = mounts;
  deployed(conversion, service['deploy'], out, [...path, 'deploy']);
  conversion.containers.push([called, out, origin(conversion, path)]);
}

function volumes(conversion: Conversion, service: DataMap, path: Path): Data | undefined {
  const own = service['volumes'];
  const files = (['secrets', 'configs'] as const).flatMap((kind) =>
    fileVolumes(conversion, kind, service[kind], [...path, kind]),
  );
  if (own !== undefined && !Array.isArray(own)) return own;
  const mounts = (own ?? []).map((one, index) => volume(conversion, one, [...path, 'volumes', index]));
  return own === undefined && files.length === 0 ? undefined : [...mounts, ...files];
}

/** What `deploy` says that one container on one engine can be given. */
function deployed(conversion: Conversion, given: Data | undefined, out: DataMap, path: Path): void {
  if (given === undefined || given === null) return;
  const refuse = (at: Path, why: string): void =>
    complain(conversion, at, `netrig does not carry out ${shown(at.slice(2).join('.'))} of a service${why}`, 'key');
  for (const [key, value] of Object.entries(isDataMap(given) ? given : {})) {
    const at = [...path, key];
    if (key === 'replicas' && value === 1) continue;
    if (key !== 'resources' || !isDataMap(value)) {
      refuse(at, key === 'replicas' ? ' but for 1: there is one container of each service' : '');
      continue;
    }
    for (const [sort, amounts] of Object.entries(value))
      for (const [what, amount] of Object.entries(isDataMap(amounts) ? amounts : {})) {
        const own = resourceKeys[`${sort}.${what}`];
        if (own === undefined) refuse([...at, sort, what], '');
        else out[own] ??= amount;
      }
  }
}

/** Keys of a container that say the same as those of `deploy.resources`. */
const resourceKeys: Readonly<Record<string, string>> = {
  'limits.cpus': 'cpus',
  'limits.memory': 'mem_limit',
  'limits.pids': 'pids_limit',
  'reservations.memory': 'mem_reservation',
};

function converted(conversion: Conversion, key: string, value: Data, path: Path): Data {
  const each = (list: Data, work: (one: Data, at: Path) => Data): Data =>
    Array.isArray(list) ? list.map((one, index) => work(one, [...path, index])) : list;
  switch (key) {
    case 'command': {
      // A shell's text: there, what is no variable of the scenario stays as it is.
      const own = interpolatedForShell(value);
      return typeof own === 'string' ? splitWords(own) : own;
    }
    case 'entrypoint':
      return typeof value === 'string' ? splitWords(value) : value;
    case 'ports':
      return each(value, (port, at) => shortPort(conversion, port, at));
    case 'depends_on':
      return dependencies(conversion, value, path);
    case 'network_mode':
      return typeof value === 'string' ? value.replace(/^service:/, 'container:') : value;
    default:
      return value;
  }
}

const forShell = (text: string): string => text.replaceAll('$${', () => '${');

function interpolatedForShell(value: Data): Data {
  if (typeof value === 'string') return forShell(value);
  return Array.isArray(value) ? value.map((one) => (typeof one === 'string' ? forShell(one) : one)) : value;
}

function topNetworks(conversion: Conversion, given: Data | undefined): void {
  const named = isDataMap(given) ? Object.entries(given) : [];
  for (const [name, network] of named)
    conversion.networks.push([
      name === 'default' ? conversion.defaultNetwork : name,
      network,
      origin(conversion, ['networks', name]),
    ]);
  const used = conversion.containers.some(
    ([, one]) => isDataMap(one) && isDataMap(one['networks']) && conversion.defaultNetwork in one['networks'],
  );
  if (used && !named.some(([name]) => name === 'default'))
    conversion.networks.unshift([conversion.defaultNetwork, null, origin(conversion, ['services'])]);
}

function topVolumes(conversion: Conversion, given: Data | undefined): void {
  for (const [name, how] of Object.entries(isDataMap(given) ? given : {}))
    if (isDataMap(how))
      for (const key of Object.keys(how))
        if (!(key === 'driver' && how[key] === 'local'))
          complain(
            conversion,
            ['volumes', name, key],
            `netrig makes plain volumes: ${shown(key)} is not carried out`,
            'key',
          );
}

/** What the file `.env` beside the Compose file says. */
function projectVariables(
  source: ScenarioSource,
  surroundings: ComposeSurroundings,
): Pick<ComposeParts, 'diagnostics'> & { known: Readonly<Record<string, string>> } {
  const file = surroundings.read('.env');
  if ('message' in file) return { known: {}, diagnostics: file.missing ? [] : [source.diagnostic([], file.message)] };
  const { values, unread } = parseEnvFile(file.text);
  const diagnostics = unread.map((line) => source.diagnostic([], `.env:${line} beside this file is no \`NAME=value\``));
  return { known: values, diagnostics };
}

/**
 * Converts a Compose file. Values are left for the scenario’s own schema to judge; keys of services that are not carried out are
 * told here.
 */
export function convertCompose(source: ScenarioSource, surroundings: ComposeSurroundings): ComposeParts {
  const { known, diagnostics } = projectVariables(source, surroundings);
  const data = interpolated(source.data, known) as DataMap;
  const project =
    (typeof data['name'] === 'string' ? data['name'] : surroundings.folder)
      .toLowerCase()
      .replace(/[^a-z0-9_-]/g, '')
      .replace(/^[_-]+/, '') || 'compose';
  const services = isDataMap(data['services']) ? data['services'] : {};
  const conversion: Conversion = {
    source,
    surroundings,
    known,
    data,
    services,
    project,
    defaultNetwork: `${project}_default`,
    networks: [],
    containers: [],
    images: [],
    files: [],
    diagnostics,
  };
  for (const key of Object.keys(data))
    if (
      !['services', 'networks', 'volumes', 'secrets', 'configs', 'name', 'version'].includes(key) &&
      !key.startsWith('x-')
    )
      complain(conversion, [key], `netrig does not carry out ${shown(key)} of a Compose file`, 'key');
  if (Object.keys(services).length === 0)
    complain(conversion, 'services' in data ? ['services'] : [], 'there are no services in it');
  for (const name of Object.keys(services)) container(conversion, name);
  topNetworks(conversion, data['networks']);
  topVolumes(conversion, data['volumes']);
  return conversion;
}
