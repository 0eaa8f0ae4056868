import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeDirectory } from '../model/directory.js';
import type { RunModel } from './model.js';

/** What a report format left in the run's directory. */
export interface Written {
  /** Paths relative to the run's directory; for a format that writes many files, the directory. */
  files: string[];
  /** Sentences for the user: why something was not made and how to get it. */
  notes: string[];
}

/** One format of report: one file, one line in `formats` (`reports.ts`). */
export interface ReportFormat {
  readonly name: string;
  /** One sentence for the reference page and `--help`. */
  readonly summary: string;
  /** Throws only when it cannot write. */
  write(model: RunModel, dir: string, signal?: AbortSignal): Promise<Written>;
}

const ownerOnly = 0o600;
/** For pages that a user names a place for: as the umask says. */
export const asUmaskSays = 0o666;

/**
 * Writes a file in one rename, so that a reader never meets half of it.
 *
 * @param mode Permissions; by default its owner's only, since reports hold all output of a lab.
 */
export async function writeWhole(
  dir: string,
  name: string,
  content: string | Buffer,
  mode: number = ownerOnly,
): Promise<void> {
  const path = join(dir, name);
  await makeDirectory(dirname(path), mode === ownerOnly ? 0o700 : 0o777);
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(fresh, content, { mode });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}
