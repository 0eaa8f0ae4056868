import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { labsDirectory } from '../lab/store.js';

/** Where netrig itself, what it keeps and what it unpacks lie on this machine. No host of a lab has such a directory. */
function ownRoots(): string[] {
  return [
    dirname(labsDirectory()),
    join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'netrig'),
    join(tmpdir(), 'netrig-'),
    fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, ''),
  ];
}

/**
 * A text for students without paths of the machine that the class runs on, such as the kernel’s words name where its disk is full.
 * Paths of hosts of the lab stay.
 */
export function withoutOwnPaths(text: string, roots: readonly string[] = ownRoots()): string {
  const places = roots.filter((root) => root.length > 1).map((root) => root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  if (places.length === 0) return text;
  return text.replace(new RegExp(`(?:${places.join('|')})[^\\s'"’”),;:]*`, 'g'), 'a file of the class’s machine');
}
