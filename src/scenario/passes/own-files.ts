import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { locateOwn, type OwnFile, type OwnFolders } from '../../language/own-path.js';
import type { Path } from '../diagnostic.js';
import type { ScenarioSource } from '../source.js';
import type { Reading } from './reading.js';

type OwnReading = Pick<Reading, 'source' | 'absoluteFile' | 'mistakes'>;

/** A text may be validated under the name of a file that is not there. */
function realOf(file: string): string {
  try {
    return realpathSync.native(file);
  } catch {
    return file;
  }
}

/** Of each source, by the file that a part of it stands in: every step asks. */
const foldersOf = new WeakMap<ScenarioSource, Map<string | undefined, OwnFolders>>();

/** The folders by which own files named at a place are found: names in a shared file begin at its folder. */
export function foldersAt({ source, absoluteFile }: Pick<OwnReading, 'source' | 'absoluteFile'>, at: Path): OwnFolders {
  const { file } = source.place(at);
  const known = foldersOf.get(source) ?? new Map<string | undefined, OwnFolders>();
  foldersOf.set(source, known);
  let folders = known.get(file);
  if (folders === undefined) {
    const real = realOf(absoluteFile);
    folders = {
      from: path.dirname(file === undefined ? real : realOf(path.resolve(file))),
      root: path.dirname(real),
    };
    known.set(file, folders);
  }
  return folders;
}

/**
 * The own file that is named at a place; `null` where it is none, which is reported. Where the scenario's own file is not there
 * (its text is validated without it), nothing beside it is looked for.
 *
 * @param mode Whether permission bits are given, which a directory cannot take.
 */
export function ownFileAt(
  reading: OwnReading,
  at: Path,
  given: string,
  mode: boolean,
  where: 'key' | 'value',
): OwnFile | null {
  const found = locateOwn(given, foldersAt(reading, at));
  if ('message' in found) {
    if (!found.missing || existsSync(reading.absoluteFile)) reading.mistakes.report(at, found.message, where);
    return null;
  }
  if (found.directory && mode) {
    reading.mistakes.report(at, `${given} is a directory: \`mode\` is for a file`, where);
    return null;
  }
  return found;
}
