import { readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../errors.js';
import { shown, suggestion } from '../language/wording.js';
import type { Assembly, Origin } from './composed-source.js';
import type { Diagnostic, Path } from './diagnostic.js';
import {
  decodeSource,
  isDataMap,
  maxFileBytes,
  readSource,
  type Data,
  type DataMap,
  type ScenarioSource,
  type SourceWording,
} from './source.js';

/** Files that one scenario may take in, those that its shared files take in among them. */
const maxSharedFiles = 16;

/** Maps whose entries are joined by name, and inside an entry by key. */
const joinedByKey = ['hosts', 'segments'] as const;
/** Maps whose entries are joined by name. */
const joinedByName = ['vars', 'secrets'] as const;
/** Lists: those of the shared files first. */
const appended = ['requires', 'images', 'steps'] as const;
/** Lists: those of the shared files last, since what was done first is undone last. */
const prepended = ['finally'] as const;

const sharedKeys: readonly string[] = [...joinedByKey, ...joinedByName, ...appended, ...prepended];

const sharedWording: SourceWording = {
  empty: 'the file is empty: a shared file begins with `shared: what it holds`',
  map: 'expected a map that begins with `shared: what it holds`',
};

/** A key that belongs to the file's author alone: a home for anchors. */
function isOwnKey(key: string): boolean {
  return key.startsWith('x-');
}

/** Whether a text is that of a shared file, and no scenario: by its keys, as it may have mistakes. */
function isSharedText(text: string): boolean {
  return /^shared\s*:/m.test(text) && !/^scenario\s*:/m.test(text);
}

/** Whether a file is a shared one; `false` for one that cannot be read. */
export function isSharedFile(file: string): boolean {
  try {
    return statSync(file).size <= maxFileBytes && isSharedText(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}

/** Relative to the working directory where that is shorter to read. */
export function shownPath(absolute: string): string {
  const relative = path.relative(process.cwd(), absolute);
  return relative === '' || relative.startsWith('..') ? absolute : relative;
}

/** One layer of what a scenario is put together from. */
interface Layer {
  source: ScenarioSource;
  data: DataMap;
}

interface Reading {
  assembly: Assembly;
  diagnostics: Diagnostic[];
  /** Folder below which shared files must lie, with all links resolved. */
  root: string;
  /** Files on the way from the scenario to here, to name a circle. */
  chain: string[];
  /** Files that were taken in: each is once. */
  taken: Set<string>;
}

/** A value with the place where it really stands. */
interface Placed {
  value: Data;
  origin: Origin;
}

function placed(layer: Layer, assembly: Assembly, at: Path): Placed {
  let value: Data | undefined = layer.data;
  for (const part of at) value = (value as Record<string | number, Data>)[part];
  return { value: value!, origin: assembly.origin(layer.data, { source: layer.source, path: [] }, at) };
}

/** Entries of two maps: what `over` says wins; `inside` joins two values of one name. */
function joinMaps(
  assembly: Assembly,
  under: Placed,
  over: Placed,
  inside: (under: Placed, over: Placed) => Placed,
): Placed {
  if (!isDataMap(under.value)) return over.value === null ? under : over;
  if (over.value === null) return under;
  if (!isDataMap(over.value)) return over;
  const entry = (of: Placed, key: string): Placed => ({
    value: (of.value as DataMap)[key]!,
    origin: assembly.origin(of.value, of.origin, [key]),
  });
  const names = [...new Set([...Object.keys(under.value), ...Object.keys(over.value)])];
  const map = assembly.map(
    names.map((name) => {
      const one = !(name in (over.value as DataMap))
        ? entry(under, name)
        : !(name in (under.value as DataMap))
          ? entry(over, name)
          : inside(entry(under, name), entry(over, name));
      return [name, one.value, one.origin] as const;
    }),
  );
  return { value: map, origin: over.origin };
}

function joinLists(assembly: Assembly, first: Placed, then: Placed): Placed {
  const items = (of: Placed): (readonly [Data, Origin])[] =>
    Array.isArray(of.value)
      ? of.value.map((value, index) => [value, assembly.origin(of.value, of.origin, [index])] as const)
      : of.value === null
        ? []
        : [[of.value, of.origin] as const];
  return { value: assembly.list([...items(first), ...items(then)]), origin: then.origin };
}

/** Takes `under` in below `over`. */
function join(assembly: Assembly, under: Layer, over: Layer): Layer {
  const entries: (readonly [string, Data, Origin])[] = [];
  const overOnly = (_: Placed, one: Placed): Placed => one;
  const keys = [...Object.keys(over.data), ...Object.keys(under.data).filter((key) => !(key in over.data))];
  for (const key of keys) {
    if (!(key in under.data) || !sharedKeys.includes(key)) {
      if (!(key in over.data)) continue;
      const one = placed(over, assembly, [key]);
      entries.push([key, one.value, one.origin]);
      continue;
    }
    const below = placed(under, assembly, [key]);
    if (!(key in over.data)) {
      entries.push([key, below.value, below.origin]);
      continue;
    }
    const above = placed(over, assembly, [key]);
    const one = (joinedByKey as readonly string[]).includes(key)
      ? joinMaps(assembly, below, above, (a, b) => joinMaps(assembly, a, b, overOnly))
      : (joinedByName as readonly string[]).includes(key)
        ? joinMaps(assembly, below, above, overOnly)
        : (prepended as readonly string[]).includes(key)
          ? joinLists(assembly, above, below)
          : joinLists(assembly, below, above);
    entries.push([key, one.value, one.origin]);
  }
  return { source: over.source, data: assembly.map(entries) };
}

/** The text of a file that a scenario names, or what keeps it from being read. */
export function readBelow(file: string, given: string): { text: string } | { message: string } {
  let bytes: Buffer;
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return { message: `${given} is not a regular file` };
    if (stat.size > maxFileBytes) return { message: `${given} is larger than 1 MiB` };
    bytes = readFileSync(file);
  } catch (error) {
    return { message: `${given} cannot be read: ${messageOf(error)}` };
  }
  const decoded = decodeSource(bytes, shownPath(file));
  return 'diagnostics' in decoded ? { message: `${given}: ${decoded.diagnostics[0]!.message}` } : decoded;
}

/** The text of a shared file, or what keeps it from being read. */
function readShared(file: string, given: string): { source: ScenarioSource } | { message: string } {
  const read = readBelow(file, given);
  return 'message' in read ? read : { source: readSource(read.text, shownPath(file), sharedWording) };
}

/**
 * The real path of a file that a scenario names, or why it is not read: a scenario from elsewhere reads nothing of the machine
 * but what lies in its own folder.
 *
 * @param folder What the name is relative to.
 * @param root Folder in which the file must lie, with all links resolved.
 * @param what What the file is: `a shared file`.
 */
export function fileBelow(
  given: string,
  folder: string,
  root: string,
  what: string,
): { file: string } | { message: string } {
  if (path.isAbsolute(given)) return { message: `the path is relative to this file’s folder, got ${shown(given)}` };
  const outside = `${given} lies outside the scenario’s folder: ${what} lies in it or below`;
  const wanted = path.resolve(folder, given);
  const inside = (file: string): boolean => file.startsWith(root.endsWith(path.sep) ? root : root + path.sep);
  if (!inside(wanted)) return { message: outside };
  try {
    const file = realpathSync.native(wanted);
    return inside(file) ? { file } : { message: outside };
  } catch {
    return { message: `there is no file ${shownPath(wanted)}` };
  }
}

/** The real path of a file that `extends` names, or why it cannot be taken in. */
function locate(given: string, from: string, reading: Reading): { file: string } | { message: string } {
  const found = fileBelow(given, path.dirname(from), reading.root, 'a shared file');
  if ('message' in found) return found;
  const at = reading.chain.indexOf(found.file);
  if (at >= 0)
    return {
      message: `files extend each other in a circle: ${[...reading.chain.slice(at), found.file].map(shownPath).join(' → ')}`,
    };
  return found;
}

/** Mistakes of a shared file as such; what its parts say is validated in each scenario that takes them in. */
function complainOfKeys(layer: Layer, diagnostics: Diagnostic[]): void {
  const known = ['shared', 'extends', ...sharedKeys];
  for (const key of Object.keys(layer.data)) {
    if (known.includes(key) || isOwnKey(key)) continue;
    const guess = suggestion(key, known) || `; known here: ${known.join(', ')}`;
    diagnostics.push(layer.source.diagnostic([key], `a shared file has no key ${shown(key)}${guess}`, 'key'));
  }
  const { shared } = layer.data;
  if (shared === undefined)
    diagnostics.push(
      layer.source.diagnostic(
        [],
        'scenario' in layer.data
          ? 'this is a scenario, and a scenario extends shared files only: move what both need into a file that begins with `shared: what it holds`'
          : '"shared" is missing: one line that says what the file holds',
      ),
    );
  else if (typeof shared !== 'string' || shared.trim() === '')
    diagnostics.push(layer.source.diagnostic(['shared'], `expected a line of text, got ${shown(shared)}`));
}

/** The files that `extends` names, with the place of each name. */
function namedBy(layer: Layer, diagnostics: Diagnostic[]): { given: string; at: Path }[] {
  const { extends: named } = layer.data;
  const all = Array.isArray(named) ? named : [named];
  return all.flatMap((given, index) => {
    const at = Array.isArray(named) ? ['extends', index] : ['extends'];
    if (typeof given === 'string' && given.trim() !== '') return [{ given, at }];
    diagnostics.push(layer.source.diagnostic(at, `expected the name of a shared file, got ${shown(given)}`));
    return [];
  });
}

/** A layer with all that it extends: files named first lie lowest. */
function withShared(layer: Layer, file: string, reading: Reading): Layer {
  if (!('extends' in layer.data)) return layer;
  let below: Layer | null = null;
  for (const { given, at } of namedBy(layer, reading.diagnostics)) {
    const complain = (message: string): void => void reading.diagnostics.push(layer.source.diagnostic(at, message));
    const found = locate(given, file, reading);
    if ('message' in found) {
      complain(found.message);
      continue;
    }
    // Two shared files may extend a third: its steps are taken once.
    if (reading.taken.has(found.file)) continue;
    reading.taken.add(found.file);
    if (reading.taken.size > maxSharedFiles) {
      complain(`a scenario extends at most ${maxSharedFiles} files`);
      break;
    }
    const read = readShared(found.file, given);
    if ('message' in read) {
      complain(read.message);
      continue;
    }
    reading.diagnostics.push(...read.source.diagnostics);
    if (!read.source.usable || !isDataMap(read.source.data)) continue;
    const raw: Layer = { source: read.source, data: read.source.data };
    complainOfKeys(raw, reading.diagnostics);
    const one = withShared(raw, found.file, { ...reading, chain: [...reading.chain, found.file] });
    below = below === null ? one : join(reading.assembly, below, one);
  }
  return below === null ? layer : join(reading.assembly, below, layer);
}

/**
 * A scenario's data with all that it extends, without the keys that are its author's own. What the scenario says wins: in
 * `hosts` and `segments` key by key of each entry, in `vars` and `secrets` name by name; lists are appended to.
 *
 * @param file Absolute path of the scenario; shared files are read from its folder or below, with all links resolved.
 */
export function withSharedFiles(
  source: ScenarioSource,
  data: DataMap,
  file: string,
  assembly: Assembly,
): { data: DataMap; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  let layer: Layer = { source, data };
  if ('extends' in data) {
    const real = realOf(file);
    layer = withShared(layer, real, {
      assembly,
      diagnostics,
      root: path.dirname(real),
      chain: [real],
      taken: new Set(),
    });
  }
  const kept = Object.keys(layer.data).filter((key) => key !== 'extends' && !isOwnKey(key));
  const entries = kept.map((key) => {
    const one = placed(layer, assembly, [key]);
    return [key, one.value, one.origin] as const;
  });
  return { data: assembly.map(entries), diagnostics };
}

/** A file with all links resolved; a text may be validated under the name of a file that is not there. */
export function realOf(file: string): string {
  try {
    return realpathSync.native(file);
  } catch {
    return file;
  }
}
