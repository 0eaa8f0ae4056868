import { parseEnvFile } from '../model/env-file.js';
import { shown } from '../language/wording.js';
import { complain, origin, plain, type Conversion } from './compose-conversion.js';
import type { Path } from './diagnostic.js';
import { isDataMap, type Data, type DataMap } from './source.js';

/** What services of a Compose file have of files beside it: mounts, secrets and configs, files of environment variables. */

/** Of a file with lines `NAME=value`; `null`, told, where there is none. */
function envFile(conversion: Conversion, given: Data, path: Path): Readonly<Record<string, string>> | null {
  const named = isDataMap(given) ? given['path'] : given;
  if (typeof named !== 'string') {
    complain(conversion, path, `expected a file beside the Compose file, got ${shown(given)}`);
    return null;
  }
  const file = conversion.surroundings.read(named);
  if ('message' in file) {
    if (!(file.missing && isDataMap(given) && given['required'] === false)) complain(conversion, path, file.message);
    return null;
  }
  const { values, unread } = parseEnvFile(file.text, conversion.known);
  for (const line of unread) complain(conversion, path, `${named}:${line} is no \`NAME=value\``);
  return values;
}

/** `environment` with what `env_file` says before it. */
export function environment(conversion: Conversion, service: DataMap, path: Path): Data | undefined {
  const own = service['environment'];
  const files = service['env_file'];
  if (files === undefined || files === null) return own;
  const at: Path = [...path, 'env_file'];
  const list = Array.isArray(files)
    ? files.map((one, index) => [one, [...at, index]] as const)
    : [[files, at] as const];
  const out = Object.create(null) as DataMap;
  for (const [one, where] of list)
    for (const [key, value] of Object.entries(envFile(conversion, one, where) ?? {})) out[key] = plain(value);
  const items = Array.isArray(own) ? own : [];
  for (const item of items)
    if (typeof item === 'string' && item.includes('=')) out[item.replace(/=.*$/s, '')] = item.replace(/^[^=]*=/, '');
    else complain(conversion, [...path, 'environment'], `expected \`NAME=value\`, got ${shown(item)}`);
  return Object.assign(out, isDataMap(own) ? own : {});
}

/** A volume as `docker run --volume` takes it; what it binds of the Compose file’s folder becomes a file of the host. */
export function volume(conversion: Conversion, given: Data, path: Path): Data {
  const text = isDataMap(given) ? longVolume(conversion, given, path) : given;
  if (typeof text !== 'string') return text;
  const [from = '', to, ...options] = text.split(':');
  if (to === undefined || !/^[.~]/.test(from)) return text;
  if (from.startsWith('~')) {
    complain(conversion, path, `${from} would be of the machine’s user: bind what lies beside the Compose file`);
    return text;
  }
  return [onHost(conversion, from, path), to, ...options].join(':');
}

/** Where on the host a file or directory beside the Compose file goes. */
function onHost(conversion: Conversion, from: string, path: Path): string {
  // Where it leads out of the scenario's folder, that is told of the file itself.
  const own = from
    .replace(/^(?:\.\/)+|\/+$/g, '')
    .replaceAll('..', 'up')
    .replace(/^\.?$/, 'folder');
  const there = `/srv/compose/${conversion.project}/${own}`;
  if (!conversion.files.some(([name]) => name === from)) conversion.files.push([from, there, origin(conversion, path)]);
  return there;
}

/** The file of a secret or config that the Compose file declares; `null`, told, where it has none. */
function declaredFile(conversion: Conversion, kind: 'secrets' | 'configs', name: string, path: Path): string | null {
  const all = conversion.data[kind];
  const declared = isDataMap(all) && Object.hasOwn(all, name) ? all[name] : undefined;
  if (declared === undefined) {
    complain(conversion, path, `there is no ${shown(name)} among the ${kind} of the file`);
    return null;
  }
  const at: Path = [kind, name];
  const others = Object.keys(isDataMap(declared) ? declared : {}).filter(
    (key) => key !== 'file' && key !== 'name' && !key.startsWith('x-'),
  );
  for (const key of others)
    complain(conversion, [...at, key], `netrig does not carry out ${shown(key)} of ${kind}: they are files`, 'key');
  if (others.length > 0) return null;
  const file = isDataMap(declared) ? declared['file'] : undefined;
  if (typeof file === 'string' && /^[^/~]/.test(file)) return file;
  complain(conversion, at, `expected \`file\` with a file beside the Compose file, got ${shown(file ?? declared)}`);
  return null;
}

/** Secrets or configs of a service as volumes: files that it reads, below /run/secrets or at the root. */
export function fileVolumes(
  conversion: Conversion,
  kind: 'secrets' | 'configs',
  given: Data | undefined,
  path: Path,
): string[] {
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given)) {
    complain(conversion, path, `expected a list, got ${shown(given)}`);
    return [];
  }
  return given.flatMap((one, index) => {
    const at = [...path, index];
    const { source, target, ...more } = isDataMap(one) ? one : { source: one };
    for (const key of Object.keys(more))
      complain(conversion, [...at, key], `netrig does not carry out ${shown(key)} of ${kind}`, 'key');
    if (typeof source !== 'string') {
      complain(conversion, at, `expected the name of one of the ${kind} of the file, got ${shown(source ?? one)}`);
      return [];
    }
    const file = declaredFile(conversion, kind, source, at);
    if (file === null) return [];
    const named = typeof target === 'string' ? target : source;
    const inside = named.startsWith('/') ? named : `${kind === 'secrets' ? '/run/secrets' : ''}/${named}`;
    return [`${onHost(conversion, file, [kind, source, 'file'])}:${inside}:ro`];
  });
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
