import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../errors.js';
import { locateOwn } from '../language/own-path.js';
import { shown } from '../language/wording.js';
import type { Assembly, Origin } from './composed-source.js';
import type { ComposeParts, ComposeSurroundings, Placed } from './compose-conversion.js';
import { convertCompose } from './compose-services.js';
import type { Diagnostic } from './diagnostic.js';
import { shownPath } from './shared-files.js';
import {
  decodeSource,
  isDataMap,
  maxFileBytes,
  readSource,
  type Data,
  type DataMap,
  type ScenarioSource,
} from './source.js';

/** Compose files that hosts name (`docker: { compose: ./compose.yaml }`), taken in as if their services stood in the scenario. */

const composeWording = {
  empty: 'the file is empty: a Compose file has `services`',
  map: 'expected a map with `services`',
};

interface Taking {
  assembly: Assembly;
  top: Origin;
  /** Absolute, with links resolved. */
  scenario: string;
  diagnostics: Diagnostic[];
}

function realOf(file: string): string {
  try {
    return realpathSync.native(file);
  } catch {
    return file;
  }
}

/** A Compose file, and where it lies, absolute. */
interface FoundFile {
  source: ScenarioSource;
  path: string;
}

/** The Compose file that stands at a place, read; `null` where there is none, which is told. */
function readCompose({ top, scenario, diagnostics }: Taking, given: Data, origin: Origin): FoundFile | null {
  const complain = (message: string): null => {
    diagnostics.push(origin.source.diagnostic(origin.path, message));
    return null;
  };
  if (typeof given !== 'string' || given.trim() === '')
    return complain(`expected a Compose file beside the scenario, got ${shown(given)}`);
  if (given.includes('${'))
    return complain('the name of a Compose file has no variables: it is read before they are replaced');
  const named = origin.source === top.source ? scenario : realOf(path.resolve(origin.source.file));
  const found = locateOwn(given, { from: path.dirname(named), root: path.dirname(scenario) });
  // A text may be validated without the files beside it.
  if ('message' in found) return found.missing && !existsSync(scenario) ? null : complain(found.message);
  if (found.directory) return complain(`${given} is a directory: name a Compose file`);
  let bytes: Buffer;
  try {
    bytes = readFileSync(found.path);
  } catch (error) {
    return complain(`${given} cannot be read: ${messageOf(error)}`);
  }
  if (bytes.length > maxFileBytes) return complain(`${given} is larger than 1 MiB`);
  const decoded = decodeSource(bytes, shownPath(found.path));
  if ('diagnostics' in decoded) {
    diagnostics.push(...decoded.diagnostics);
    return null;
  }
  const source = readSource(decoded.text, shownPath(found.path), composeWording);
  diagnostics.push(...source.diagnostics);
  return source.usable && isDataMap(source.data) ? { source, path: found.path } : null;
}

/** What a Compose file means beside what stands in it, for a host that names it. */
function surroundings({ scenario }: Taking, { path: file, source }: FoundFile, docker: DataMap): ComposeSurroundings {
  const profiles = docker['profiles'];
  return {
    folder: path.basename(path.dirname(path.resolve(source.file))),
    profiles: [profiles ?? []].flat().filter((one) => typeof one === 'string'),
    read(name) {
      const found = locateOwn(name, { from: path.dirname(file), root: path.dirname(scenario) });
      if ('message' in found) return found;
      if (found.directory) return { message: `${name} is a directory`, missing: false };
      try {
        const bytes = readFileSync(found.path);
        if (bytes.length > maxFileBytes) return { message: `${name} is larger than 1 MiB`, missing: false };
        return { text: bytes.toString('utf8') };
      } catch (error) {
        return { message: `${name} cannot be read: ${messageOf(error)}`, missing: false };
      }
    },
  };
}

/** Entries of a map or, for what has names alone, a list. */
function entriesOf(assembly: Assembly, value: Data | undefined, origin: Origin): Placed[] {
  if (Array.isArray(value))
    return value.flatMap((name, index) =>
      typeof name === 'string' ? [[name, null, assembly.origin(value, origin, [index])] as const] : [],
    );
  if (!isDataMap(value)) return [];
  return Object.entries(value).map(([key, one]) => [key, one, assembly.origin(value, origin, [key])] as const);
}

/** Entries of the scenario with those of the Compose file behind them. A name that both have is told. */
function joined(taking: Taking, what: string, own: Placed[], taken: readonly Placed[]): DataMap {
  const names = new Set(own.map(([name]) => name));
  for (const [name, , origin] of taken)
    if (names.has(name))
      taking.diagnostics.push(
        origin.source.diagnostic(origin.path, `the scenario gives this host a ${what} ${shown(name)} itself`, 'key'),
      );
  return taking.assembly.map([...own, ...taken.filter(([name]) => !names.has(name))]);
}

/** A host with its Compose file taken in. */
function withCompose(taking: Taking, host: DataMap, docker: DataMap, origin: Origin, parts: ComposeParts): DataMap {
  const { assembly } = taking;
  const below = (data: Data, from: Origin, key: string): Origin => assembly.origin(data, from, [key]);
  const dockerOrigin = below(host, origin, 'docker');
  const part = (key: 'networks' | 'containers', what: string): Placed => {
    const own = docker[key];
    const from = below(docker, dockerOrigin, key);
    return [
      key,
      joined(taking, what, entriesOf(assembly, own, from), parts[key]),
      own === undefined ? dockerOrigin : from,
    ];
  };
  const engine = assembly.map([
    ...entriesOf(assembly, docker, dockerOrigin).filter(
      ([key]) => !['compose', 'profiles', 'networks', 'containers'].includes(key),
    ),
    part('networks', 'network'),
    part('containers', 'container'),
  ]);
  const files: Placed[] =
    parts.files.length === 0
      ? []
      : [
          [
            'files',
            joined(taking, 'file', entriesOf(assembly, host['files'], below(host, origin, 'files')), parts.files),
            below(host, origin, 'docker'),
          ],
        ];
  return assembly.map([
    ...entriesOf(assembly, host, origin).filter(([key]) => key !== 'docker' && (key !== 'files' || files.length === 0)),
    ['docker', engine, dockerOrigin],
    ...files,
  ]);
}

function hasCompose(host: Data): host is DataMap {
  return isDataMap(host) && isDataMap(host['docker']) && 'compose' in host['docker'];
}

/** `images:` of the scenario with what the Compose files build. */
function withImages(taking: Taking, data: DataMap, built: readonly Placed[]): Placed[] {
  if (built.length === 0) return [];
  const { assembly, top } = taking;
  const own = data['images'];
  const from = assembly.origin(data, top, ['images']);
  const before: (readonly [Data, Origin])[] = Array.isArray(own)
    ? own.map((one, index) => [one, assembly.origin(own, from, [index])] as const)
    : own === undefined
      ? []
      : [[own, from]];
  return [
    [
      'images',
      assembly.list([...before, [assembly.map(built), built[0]![2]]]),
      own === undefined ? built[0]![2] : from,
    ],
  ];
}

/**
 * A scenario's data with the Compose files of its hosts taken in.
 *
 * @param file Absolute path of the scenario; Compose files are read from its folder or below.
 */
export function withComposeFiles(
  source: ScenarioSource,
  data: DataMap,
  file: string,
  assembly: Assembly,
): { data: DataMap; diagnostics: Diagnostic[] } {
  const hosts = data['hosts'];
  const taking: Taking = { assembly, top: { source, path: [] }, scenario: realOf(file), diagnostics: [] };
  if (!isDataMap(hosts) || !Object.values(hosts).some(hasCompose)) return { data, diagnostics: [] };
  const hostsOrigin = assembly.origin(data, taking.top, ['hosts']);
  const built: Placed[] = [];
  const out = entriesOf(assembly, hosts, hostsOrigin).map(([name, host, origin]): Placed => {
    if (!hasCompose(host)) return [name, host, origin];
    const docker = host['docker'] as DataMap;
    const at = assembly.origin(host, origin, ['docker', 'compose']);
    const compose = readCompose(taking, docker['compose']!, at);
    if (compose === null) return [name, host, origin];
    const parts = convertCompose(compose.source, surroundings(taking, compose, docker));
    taking.diagnostics.push(...parts.diagnostics);
    // Two hosts may have the same file.
    for (const image of parts.images) if (!built.some(([known]) => known === image[0])) built.push(image);
    return [name, withCompose(taking, host, docker, origin, parts), origin];
  });
  const rest = entriesOf(assembly, data, taking.top).filter(
    ([key]) => key !== 'hosts' && (key !== 'images' || built.length === 0),
  );
  const whole = assembly.map([...rest, ['hosts', assembly.map(out), hostsOrigin], ...withImages(taking, data, built)]);
  return { data: whole, diagnostics: taking.diagnostics };
}
