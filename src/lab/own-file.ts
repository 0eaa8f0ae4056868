import { writeFileSync } from 'node:fs';

/**
 * Does something with a file of netrig's own. Node says of a failed write(2) not which file it was: the error gets its path,
 * so that whoever is told of a full disk knows of which.
 */
export function named<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && !('path' in error)) Object.assign(error, { path: file });
    throw error;
  }
}

/** Writes a file of netrig's own, which others may not read. Throws the file system's error, with the path. */
export function writeOwnFile(file: string, text: string): void {
  named(file, () => writeFileSync(file, text, { mode: 0o600 }));
}
