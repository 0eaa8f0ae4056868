import { randomBytes } from 'node:crypto';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { NetrigError } from '../errors.js';
import { takeLock } from './lock.js';
import { userOf } from './use.js';

/** `$XDG_CACHE_HOME/netrig/images`; a relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification wants. */
export function imagesDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const cache = environment['XDG_CACHE_HOME'];
  return join(cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), '.cache'), 'netrig', 'images');
}

/** Directories of finished images of that name, of whatever recipe. */
export async function builtDirectories(name: string): Promise<string[]> {
  const entries = await readdir(imagesDirectory()).catch(() => []);
  return entries
    .filter((entry) => entry.startsWith(`${name}-`) && /^[0-9a-f]{12}$/.test(entry.slice(name.length + 1)))
    .map((entry) => join(imagesDirectory(), entry));
}

/** Where an image goes before it is removed, or while hosts of a replaced one still run: `.old-NAME-KEY-RANDOM`. */
export function asidePath(directory: string): string {
  return join(dirname(directory), `.old-${basename(directory)}-${randomBytes(3).toString('hex')}`);
}

const oldName = /^\.old-(.+)-([0-9a-f]{12})-[0-9a-f]{6}$/;

/**
 * Removes a finished image, and answers null; or answers who uses it, and leaves it. Renamed first, so that an interrupted
 * removal leaves nothing that looks like an image; asked again after, because who takes an image notes it before looking.
 */
export async function discard(directory: string): Promise<number | null> {
  const before = await userOf(directory);
  if (before !== null) return before.pid;
  const doomed = asidePath(directory);
  await rename(directory, doomed);
  const meanwhile = await userOf(directory);
  if (meanwhile !== null) {
    await rename(doomed, directory);
    return meanwhile.pid;
  }
  await removeTree(doomed);
  return null;
}

/** A process that was killed a moment ago may still be writing: retried for a second. */
export async function removeTree(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
}

/** Removes what dead builds and interrupted removals left. The caller holds the image's lock, so no live one is among them. */
export async function sweep(name: string): Promise<void> {
  const images = imagesDirectory();
  for (const entry of await readdir(images)) {
    if (entry.startsWith(`.build-${name}-`)) await removeTree(join(images, entry));
    const old = oldName.exec(entry);
    // hosts of the image that was moved aside still stand on it, under the name it had
    if (old?.[1] === name && (await userOf(join(images, `${name}-${old[2]}`))) === null)
      await removeTree(join(images, entry));
  }
}

/**
 * Removes all that was built under a name, of whatever recipe, with what dead builds left of it; answers how many bytes that freed.
 * `subject` is what errors call it, `sizeOf` the size that a build noted of itself.
 *
 * Throws NETRIG_CACHE_LOCKED while it is being built or a lab's hosts are made of it.
 */
export async function removeBuilt(
  name: string,
  subject: string,
  sizeOf: (directory: string) => Promise<number>,
): Promise<number> {
  const images = imagesDirectory();
  if ((await lstat(images).catch(() => null)) === null) return 0;
  const lock = await takeLock(join(images, `.lock-${name}`), {
    subject,
    deadlineMs: 1000,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  try {
    let freed = 0;
    for (const directory of await builtDirectories(name)) {
      const size = await sizeOf(directory);
      const user = await discard(directory);
      if (user !== null)
        throw new NetrigError(
          'NETRIG_CACHE_LOCKED',
          `${subject} is in use by process ${user}, which has a lab or is about to`,
          { hint: 'Take the lab down first (`netrig ps` names it), or wait for the run to end.' },
        );
      freed += size;
    }
    await sweep(name);
    return freed;
  } finally {
    await lock.release();
  }
}
