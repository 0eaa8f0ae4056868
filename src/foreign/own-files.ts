import { statSync } from 'node:fs';
import path from 'node:path';

/** What a path of the imported lab is, beside the scenario. */
export type OwnFile = { path: string; directory: boolean } | { why: string };

/** A file or directory that the imported lab names, as `files:` takes it: below the folder of the scenario, and there. */
export function ownFile(folder: string, named: string): OwnFile {
  const full = path.resolve(folder, named);
  const relative = path.relative(folder, full);
  if (path.isAbsolute(named) || named.startsWith('~') || relative.startsWith('..'))
    return { why: 'it lies outside the lab’s folder' };
  try {
    const directory = statSync(full).isDirectory();
    return { path: `./${relative}${directory ? '/' : ''}`, directory };
  } catch {
    return { why: 'it is not there' };
  }
}
