import { shown, suggestion } from '../language/wording.js';
import { notCarriedOut } from './compose-words.js';
import type { Origin } from './composed-source.js';
import type { Diagnostic, Path } from './diagnostic.js';
import { keysAt } from './issues.js';
import { zHost } from './schema.js';
import { isDataMap, type Data, type DataMap, type ScenarioSource } from './source.js';

/** What a Compose file means in the words of a scenario (the Compose Specification; what netrig does not carry out is told). */

/** An entry of a map with the place where it stands. */
export type Placed = readonly [string, Data, Origin];

export interface ComposeParts {
  networks: Placed[];
  containers: Placed[];
  /** Of `images`: what services build. */
  images: Placed[];
  /** Of `files` of the host: what is bound into containers. */
  files: Placed[];
  diagnostics: Diagnostic[];
}

interface Conversion extends ComposeParts {
  source: ScenarioSource;
  services: DataMap;
  project: string;
  /** The network of services that name none. */
  defaultNetwork: string;
}

const origin = ({ source }: Conversion, path: Path): Origin => ({ source, path });
const complain = (conversion: Conversion, path: Path, message: string, at?: 'key' | 'value'): void =>
  void conversion.diagnostics.push(conversion.source.diagnostic(path, message, at));

/** Compose’s own defaults (`${NAME:-value}`) and its `$$`; `${NAME}` is left to the scenario’s variables. */
function interpolated(value: Data): Data {
  if (typeof value === 'string')
    return value.replace(/\$\$|\$\{\w+:?-([^}]*)\}/g, (all, fallback: string | undefined) =>
      all === '$$' ? '$' : (fallback ?? ''),
    );
  if (Array.isArray(value)) return value.map(interpolated);
  if (!isDataMap(value)) return value;
  const out = Object.create(null) as DataMap;
  for (const [key, one] of Object.entries(value)) out[key] = interpolated(one);
  return out;
}

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

/** Services in an order in which each comes after those that it depends on. */
function inOrder(conversion: Conversion): string[] {
  const done: string[] = [];
  const open = new Set<string>();
  const visit = (name: string): void => {
    if (done.includes(name) || open.has(name)) return;
    open.add(name);
    for (const other of dependencies(conversion, name)) visit(other);
    open.delete(name);
    done.push(name);
  };
  for (const name of Object.keys(conversion.services)) visit(name);
  return done;
}

function dependencies(conversion: Conversion, name: string): string[] {
  const service = conversion.services[name];
  const given = isDataMap(service) ? service['depends_on'] : undefined;
  const path = ['services', name, 'depends_on'];
  const known = (other: Data, at: Path): string[] => {
    if (typeof other === 'string' && other in conversion.services) return [other];
    complain(conversion, at, `there is no service ${shown(other)}`);
    return [];
  };
  if (Array.isArray(given)) return given.flatMap((other, index) => known(other, [...path, index]));
  if (!isDataMap(given)) return [];
  for (const [other, how] of Object.entries(given)) {
    const condition = isDataMap(how) ? how['condition'] : undefined;
    if (condition !== undefined && condition !== 'service_started')
      complain(
        conversion,
        [...path, other, 'condition'],
        `services are started in their order, and nothing waits for ${shown(condition)}: leave it out, and let a step or a check with \`within\` wait`,
      );
  }
  return Object.keys(given).flatMap((other) => known(other, [...path, other]));
}

/** Keys of services that are carried out: those of a container of a scenario, and what Compose has beyond them. */
const serviceKeys = (): string[] => [
  ...keysAt(zHost, ['docker', 'containers', 'any']),
  'build',
  'container_name',
  'depends_on',
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

/** A volume as `docker run --volume` takes it; what it binds of the Compose file’s folder becomes a file of the host. */
function volume(conversion: Conversion, given: Data, path: Path): Data {
  const text = isDataMap(given) ? longVolume(conversion, given, path) : given;
  if (typeof text !== 'string') return text;
  const [from = '', to, ...options] = text.split(':');
  if (to === undefined || !/^[.~]/.test(from)) return text;
  if (from.startsWith('~')) {
    complain(conversion, path, `${from} would be of the machine’s user: bind what lies beside the Compose file`);
    return text;
  }
  // Where it leads out of the scenario's folder, that is told of the file itself.
  const own = from
    .replace(/^(?:\.\/)+|\/+$/g, '')
    .replaceAll('..', 'up')
    .replace(/^\.?$/, 'folder');
  const there = `/srv/compose/${conversion.project}/${own}`;
  if (!conversion.files.some(([name]) => name === from)) conversion.files.push([from, there, origin(conversion, path)]);
  return [there, to, ...options].join(':');
}

function longVolume(conversion: Conversion, given: DataMap, path: Path): Data {
  const known = ['type', 'source', 'target', 'read_only'];
  for (const key of Object.keys(given))
    if (!known.includes(key))
      complain(conversion, [...path, key], `netrig does not carry out ${shown(key)} of a volume`, 'key');
  const { type, source, target, read_only: readOnly } = given;
  if ((type !== 'bind' && type !== 'volume') || typeof target !== 'string') {
    complain(conversion, path, 'a volume in the long form has `type: bind` or `type: volume`, and a `target`');
    return '';
  }
  return `${typeof source === 'string' ? `${source}:` : ''}${target}${readOnly === true ? ':ro' : ''}`;
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

function container(conversion: Conversion, name: string): void {
  const path: Path = ['services', name];
  const raw = conversion.services[name]!;
  if (!isDataMap(raw)) {
    complain(conversion, path, `expected a service, got ${shown(raw)}`);
    return;
  }
  const service = interpolated(raw) as DataMap;
  const given = service['container_name'];
  const called = typeof given === 'string' ? given : name;
  const out = Object.create(null) as DataMap;
  for (const [key, value] of Object.entries(service)) {
    if (key.startsWith('x-') || ['container_name', 'depends_on', 'build', 'image', 'networks'].includes(key)) continue;
    if (carriedOut(conversion, key, [...path, key])) out[key] = converted(conversion, key, value, [...path, key]);
  }
  if ('build' in service) out['image'] = builtImage(conversion, name, service);
  else if ('image' in service) out['image'] = service['image']!;
  if (!('network_mode' in service)) out['networks'] = networks(conversion, service, called === name ? null : name);
  conversion.containers.push([called, out, origin(conversion, path)]);
}

function converted(conversion: Conversion, key: string, value: Data, path: Path): Data {
  const each = (list: Data, work: (one: Data, at: Path) => Data): Data =>
    Array.isArray(list) ? list.map((one, index) => work(one, [...path, index])) : list;
  switch (key) {
    case 'command':
    case 'entrypoint':
      return typeof value === 'string' ? splitWords(value) : value;
    case 'ports':
      return each(value, (port, at) => shortPort(conversion, port, at));
    case 'volumes':
      return each(value, (one, at) => volume(conversion, one, at));
    case 'network_mode':
      return typeof value === 'string' ? value.replace(/^service:/, 'container:') : value;
    default:
      return value;
  }
}

function topNetworks(conversion: Conversion, given: Data | undefined): void {
  const named = isDataMap(given) ? Object.entries(given) : [];
  for (const [name, network] of named)
    conversion.networks.push([
      name === 'default' ? conversion.defaultNetwork : name,
      interpolated(network),
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
        complain(
          conversion,
          ['volumes', name, key],
          `netrig makes plain volumes: ${shown(key)} is not carried out`,
          'key',
        );
}

/**
 * Converts a Compose file. Values are left for the scenario’s own schema to judge; keys of services that are not carried out are
 * told here.
 *
 * @param folder Name of the file’s folder: the project’s, where the file has no `name`.
 */
export function convertCompose(source: ScenarioSource, folder: string): ComposeParts {
  const data = source.data as DataMap;
  const project =
    (typeof data['name'] === 'string' ? data['name'] : folder)
      .toLowerCase()
      .replace(/[^a-z0-9_-]/g, '')
      .replace(/^[_-]+/, '') || 'compose';
  const services = isDataMap(data['services']) ? data['services'] : {};
  const conversion: Conversion = {
    source,
    services,
    project,
    defaultNetwork: `${project}_default`,
    networks: [],
    containers: [],
    images: [],
    files: [],
    diagnostics: [],
  };
  for (const key of Object.keys(data))
    if (!['services', 'networks', 'volumes', 'name', 'version'].includes(key) && !key.startsWith('x-'))
      complain(conversion, [key], `netrig does not carry out ${shown(key)} of a Compose file`, 'key');
  if (Object.keys(services).length === 0)
    complain(conversion, 'services' in data ? ['services'] : [], 'there are no services in it');
  for (const name of inOrder(conversion)) container(conversion, name);
  topNetworks(conversion, data['networks']);
  topVolumes(conversion, data['volumes']);
  return conversion;
}
