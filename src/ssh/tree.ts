import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import path from 'node:path';

/** Files and directories of this machine on their way to a host, directories before what is in them. */
export type TreeEntry =
  | { kind: 'directory'; path: string; mode: number }
  | { kind: 'file'; path: string; mode: number; content: Buffer }
  | { kind: 'link'; path: string; target: string };

/** Numbers as the host knows them. */
export interface TreeOwner {
  uid: number;
  gid: number;
}

/** More than this goes into an image, or through a mount: all of it passes through memory. */
const maxTreeBytes = 256 * 1_048_576;
const maxTreeFiles = 10_000;

/** Why a tree cannot be taken along; the message names the file. */
export class TreeProblem extends Error {}

interface Walk {
  entries: TreeEntry[];
  bytes: number;
}

async function contentOf(file: string, walk: Walk): Promise<Buffer> {
  // Not through a link, nor a pipe, that came into its place a moment ago.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new TreeProblem(`${file} is neither a file, a directory nor a link`);
    if (walk.bytes + stats.size > maxTreeBytes)
      throw new TreeProblem(`there is more than ${maxTreeBytes / 1_048_576} MiB to copy, with ${file}`);
    const content = await handle.readFile();
    walk.bytes += content.length;
    return content;
  } finally {
    await handle.close();
  }
}

async function take(file: string, to: string, stats: Stats, mode: number | null, walk: Walk): Promise<void> {
  if (walk.entries.length >= maxTreeFiles) throw new TreeProblem(`there are more than ${maxTreeFiles} files to copy`);
  if (stats.isSymbolicLink()) {
    walk.entries.push({ kind: 'link', path: to, target: await readlink(file) });
  } else if (stats.isDirectory()) {
    walk.entries.push({ kind: 'directory', path: to, mode: stats.mode & 0o7777 });
    for (const name of (await readdir(file)).sort()) {
      const below = path.join(file, name);
      await take(below, posix.join(to, name), await lstat(below), null, walk);
    }
  } else if (stats.isFile()) {
    const content = await contentOf(file, walk);
    walk.entries.push({ kind: 'file', path: to, mode: mode ?? stats.mode & 0o7777, content });
  } else throw new TreeProblem(`${file} is neither a file, a directory nor a link`);
}

/**
 * Reads a file or directory of this machine as what it is to be on a host. Of a directory, the content goes into the directory
 * `to`; a file goes to `to`, or under its own name into it where that ends in a slash. Modes are kept, links are taken as links.
 *
 * Rejects with TreeProblem, or with what the file system says.
 */
export async function readTree(from: string, to: string, mode: number | null = null): Promise<TreeEntry[]> {
  const stats = await lstat(from);
  const walk: Walk = { entries: [], bytes: 0 };
  const named = to.endsWith('/') && !stats.isDirectory() ? posix.join(to, path.basename(from)) : to;
  await take(from, posix.normalize(named).replace(/(?<=.)\/$/, ''), stats, mode, walk);
  return walk.entries;
}

/** "./conf/nginx.conf (3 files, 1200 bytes)" is made of it. */
export function sizeOf(entries: readonly TreeEntry[]): { files: number; bytes: number } {
  const files = entries.flatMap((entry) => (entry.kind === 'file' ? [entry.content.length] : []));
  return {
    files: entries.filter(({ kind }) => kind !== 'directory').length,
    bytes: files.reduce((sum, one) => sum + one, 0),
  };
}
