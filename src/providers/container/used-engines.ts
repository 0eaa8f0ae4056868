import { readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeOwnFile } from '../../lab/own-file.js';
import { labsDirectory } from '../../lab/store.js';
import { makeDirectorySync } from '../../model/directory.js';

/** Where it stands which engines this user's labs were on: a sweep asks those, and no other. */
function file(): string {
  return join(dirname(labsDirectory()), 'container-engines.json');
}

/** The addresses of engines that labs of this user were on. */
export function usedEndpoints(): string[] {
  try {
    const value: unknown = JSON.parse(readFileSync(file(), 'utf8'));
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

function write(uris: readonly string[]): void {
  const path = file();
  makeDirectorySync(dirname(path), 0o700);
  const temporary = `${path}.${process.pid}`;
  writeOwnFile(temporary, `${JSON.stringify(uris)}\n`);
  renameSync(temporary, path);
}

/** Before the first thing is made there. Throws what the file system throws. */
export function noteEndpoint(uri: string): void {
  const known = usedEndpoints();
  if (!known.includes(uri)) write([...known, uri]);
}

export function forgetEndpoint(uri: string): void {
  const known = usedEndpoints();
  if (known.includes(uri)) write(known.filter((one) => one !== uri));
}
