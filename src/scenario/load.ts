import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  readFileSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { messageOf, NetrigError } from '../errors.js';
import { catalogueBeside, isCatalogueFile } from './catalogue.js';
import type { Catalogue } from './covers.js';
import { sortedDiagnostics } from './diagnostic.js';
import type { Diagnostic } from './diagnostic.js';
import { composeScenario } from './compose.js';
import { builtInKinds } from './kinds.js';
import type { Kinds } from './kinds.js';
import type { ParameterValues } from './parameters.js';
import type { Scenario } from './scenario.js';
import { isSharedFile, shownPath } from './shared-files.js';
import { decodeSource, maxFileBytes, readSource } from './source.js';
import type { ScenarioSource } from './source.js';
import { validateSource } from './validate.js';

export { diagnosticsToJson, distinctDiagnostics, formatDiagnostics } from './diagnostic.js';
export type { Diagnostic } from './diagnostic.js';

export interface LoadOptions {
  /** Kinds that the language has; default: those of the registries. */
  kinds?: Kinds;
  /** Matrix values wanted, by name: of a name that the file declares, only these; `image` also where hosts leave theirs open. */
  matrix?: Record<string, readonly string[]>;
  /** Where secrets come from; `null`: any text stands for one. Default: this process’s environment. */
  environment?: Readonly<Record<string, string | undefined>> | null;
  /** The provider that will be used whatever the file says. */
  provider?: string | null;
  /** What `covers` may name; default: the catalogue beside the file, and for a text any id. */
  catalogue?: Catalogue | null;
  /** Values of an exercise's parameters, of one student; default: examples. */
  parameters?: ParameterValues;
}

/** A scenario file: its scenarios (one for each combination of its matrix), or what is wrong with it. */
export interface LoadedScenario {
  /** Absolute path. */
  file: string;
  /** Empty when there are diagnostics. */
  scenarios: Scenario[];
  diagnostics: Diagnostic[];
  /** What a valid file says that is hardly meant. */
  hints: Diagnostic[];
  /** The name that the file gives itself, also where it has mistakes; `null` where it has none. */
  name: string | null;
  source: ScenarioSource;
}

/** Parses and validates a text as if it stood in `file`, whose shared files are read. Never throws for what a text is. */
export function loadScenarioText(text: string, file: string, options: LoadOptions = {}): LoadedScenario {
  const absolute = path.resolve(file);
  const { source, cases } = composeScenario(readSource(text, shownPath(absolute)), absolute);
  const { scenarios, diagnostics, hints } = validateSource(source, absolute, options.kinds ?? builtInKinds, {
    wanted: options.matrix,
    cases,
    catalogue: options.catalogue,
    provider: options.provider,
    environment: options.environment,
    parameters: options.parameters,
  });
  const name = (source.data as { scenario?: unknown } | null)?.scenario;
  return { file: absolute, scenarios, diagnostics, hints, name: typeof name === 'string' ? name : null, source };
}

function loadBytes(bytes: Uint8Array, file: string, options: LoadOptions): LoadedScenario {
  const absolute = path.resolve(file);
  if (bytes.byteLength > maxFileBytes) {
    const source = readSource('', shownPath(absolute));
    const diagnostic: Diagnostic = {
      ...source.diagnostic([], `the file is larger than 1 MiB, the most that a scenario may be`),
      lines: [],
    };
    return { file: absolute, scenarios: [], diagnostics: [diagnostic], hints: [], name: null, source };
  }
  const decoded = decodeSource(bytes, shownPath(absolute));
  if ('text' in decoded) return withCatalogue(decoded.text, absolute, options);
  return {
    file: absolute,
    scenarios: [],
    diagnostics: decoded.diagnostics,
    hints: [],
    name: null,
    source: readSource('', shownPath(absolute)),
  };
}

/** Validates a file's text against the catalogue beside it; where that has mistakes, what `covers` names cannot be judged. */
function withCatalogue(text: string, file: string, options: LoadOptions): LoadedScenario {
  if (options.catalogue !== undefined || !/\bcovers\b/.test(text)) return loadScenarioText(text, file, options);
  const beside = catalogueBeside(file);
  const sound = beside === null || beside.diagnostics.length === 0;
  const loaded = loadScenarioText(text, file, { ...options, catalogue: sound ? (beside?.catalogue ?? null) : null });
  return sound
    ? loaded
    : { ...loaded, scenarios: [], diagnostics: [...loaded.diagnostics, ...beside.diagnostics], hints: [] };
}

function readError(file: string, error: unknown): NetrigError {
  return new NetrigError('NETRIG_SCENARIO_READ', `${file}: ${messageOf(error)}`, { cause: error });
}

const notAFile = (file: string): NetrigError =>
  new NetrigError('NETRIG_SCENARIO_READ', `${file} is not a regular file.`, { hint: 'Name a scenario file.' });

/** Throws NETRIG_SCENARIO_READ for a file that cannot be read; everything wrong inside it is a diagnostic. */
export function loadScenarioFileSync(file: string, options: LoadOptions = {}): LoadedScenario {
  const absolute = path.resolve(file);
  let bytes: Buffer;
  try {
    // Opening a FIFO for reading would wait for its writer.
    if (!statSync(absolute).isFile()) throw notAFile(file);
    const handle = openSync(absolute, 'r');
    try {
      const buffer = Buffer.alloc(Math.min(fstatSync(handle).size, maxFileBytes) + 1);
      let length = 0;
      for (let read = -1; read !== 0 && length < buffer.length; length += read)
        read = readSync(handle, buffer, length, buffer.length - length, null);
      bytes = buffer.subarray(0, length);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw error instanceof NetrigError ? error : readError(file, error);
  }
  return loadBytes(bytes, absolute, options);
}

/** As `loadScenarioFileSync`, after whatever else is waiting has had its turn: of many files, between one and the next. */
export async function loadScenarioFile(file: string, options: LoadOptions = {}): Promise<LoadedScenario> {
  await setImmediate();
  return loadScenarioFileSync(file, options);
}

interface NamedFile {
  file: string;
  name: string | null;
}

/** Files whose scenario has a name that one before them has, each with that one's path. */
export function takenNames<One extends NamedFile>(files: readonly One[]): Map<One, string> {
  const owners = new Map<string, string>();
  const taken = new Map<One, string>();
  for (const one of files) {
    if (one.name === null) continue;
    const owner = owners.get(one.name);
    if (owner === undefined) owners.set(one.name, one.file);
    else if (owner !== one.file) taken.set(one, owner);
  }
  return taken;
}

/** The mistake of such a file. */
export const nameIsTaken = ({ name }: NamedFile, owner: string): string =>
  `${shownPath(owner)} has a scenario of the name ${name} already`;

/** Loads files that run together: two of them with one name are a mistake of the later one. Throws NETRIG_SCENARIO_READ. */
export async function loadScenarioFiles(
  files: readonly string[],
  options: LoadOptions = {},
): Promise<LoadedScenario[]> {
  const loaded: LoadedScenario[] = [];
  for (const file of files) loaded.push(await loadScenarioFile(file, options));
  const taken = takenNames(loaded);
  return loaded.map((one) => {
    const owner = taken.get(one);
    if (owner === undefined) return one;
    const mistake = one.source.diagnostic(['scenario'], nameIsTaken(one, owner));
    return { ...one, scenarios: [], diagnostics: sortedDiagnostics([...one.diagnostics, mistake]), hints: [] };
  });
}

const scenarioExtension = /\.ya?ml$/i;

/** Names that Compose and containerlab give their files. */
const otherToolsName = /^(?:docker-)?compose(?:\.[\w-]+)?\.ya?ml$|\.clab\.ya?ml$/;

/** A file of another tool beside scenarios, such as one that `docker.compose` names; by its name, unless it is a scenario all the same. */
function isOtherTools(file: string): boolean {
  if (!otherToolsName.test(path.basename(file))) return false;
  try {
    return !/^["']?scenario["']?\s*:/m.test(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}

/**
 * The scenario files that paths stand for, absolute, sorted within each directory, each once: a file is taken as it is, of a
 * directory every `.yaml` and `.yml` below it (not in hidden directories and `node_modules`, nor the two files about the
 * catalogue, what scenarios share, and Compose files and containerlab topologies beside them). Rejects with NETRIG_NO_SCENARIO for a path that is not there or holds none.
 */
export async function findScenarioFiles(paths: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>();
  for (const given of paths) {
    const absolute = path.resolve(given);
    const kind = statOf(absolute, given);
    if (kind === undefined) throw new NetrigError('NETRIG_NO_SCENARIO', `There is no file or directory ${given}.`);
    const files = kind.isDirectory() ? filesBelow(absolute) : [absolute];
    if (files.length === 0) throw new NetrigError('NETRIG_NO_SCENARIO', `${given} holds no .yaml file.`);
    for (const file of files) {
      const real = realpathSync.native(file);
      if (!found.has(real)) found.set(real, file);
    }
  }
  if (found.size === 0) throw new NetrigError('NETRIG_NO_SCENARIO', 'No scenario file was named.');
  return [...found.values()];
}

/** Throws NETRIG_SCENARIO_READ for what is there and cannot be looked at, such as a link that leads to itself. */
function statOf(absolute: string, given: string): Stats | undefined {
  try {
    return statSync(absolute, { throwIfNoEntry: false });
  } catch (error) {
    throw readError(given, error);
  }
}

/** A link that leads nowhere, or in a circle, is no scenario file: a folder holds others. */
function leadsToFile(link: string): boolean {
  try {
    return statSync(link, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return false;
  }
}

/** Symbolic links to directories are not followed: they may lead in circles. */
function filesBelow(directory: string): string[] {
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    throw readError(directory, error);
  }
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const below = path.join(directory, entry.name);
      if (entry.isDirectory())
        return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : filesBelow(below);
      const file = entry.isFile() || (entry.isSymbolicLink() && leadsToFile(below));
      return file &&
        scenarioExtension.test(entry.name) &&
        !isCatalogueFile(below) &&
        !isSharedFile(below) &&
        !isOtherTools(below)
        ? [below]
        : [];
    });
}
