import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a directory with those above it. In place of `mkdir` with `recursive`, which never ends below /proc, where a
 * directory that is there says of every name in it that there is no such (Node 20).
 *
 * @param mode Permissions of what is made, less the umask.
 * @throws what the file system says; ENOTDIR for a file in the place of a directory.
 */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  const whole = resolve(path);
  try {
    await mkdir(whole, { mode });
  } catch (error) {
    if (isInPlace(error) && (await isDirectory(whole))) return;
    const above = dirname(whole);
    if (!isOneAboveMissing(error, whole)) throw asNotDirectory(error);
    // Somebody else may make the same ones at once, those above and this one.
    if (!(await isDirectory(above))) await makeDirectory(above, mode);
    await mkdir(whole, { mode }).catch((again: unknown) => {
      if (!isInPlace(again)) throw again;
    });
  }
}

/** As `makeDirectory`. */
export function makeDirectorySync(path: string, mode = 0o777): void {
  const whole = resolve(path);
  try {
    mkdirSync(whole, { mode });
  } catch (error) {
    if (isInPlace(error) && isDirectorySync(whole)) return;
    const above = dirname(whole);
    if (!isOneAboveMissing(error, whole)) throw asNotDirectory(error);
    if (!isDirectorySync(above)) makeDirectorySync(above, mode);
    try {
      mkdirSync(whole, { mode });
    } catch (again) {
      if (!isInPlace(again)) throw again;
    }
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const isInPlace = (error: unknown): boolean => codeOf(error) === 'EEXIST';

function isOneAboveMissing(error: unknown, path: string): boolean {
  return codeOf(error) === 'ENOENT' && dirname(path) !== path;
}

/** What stands in the way is no directory: the kernel says that of the names below it only. */
function asNotDirectory(error: unknown): unknown {
  return isInPlace(error) ? Object.assign(error as Error, { code: 'ENOTDIR' }) : error;
}

function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function isDirectorySync(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
