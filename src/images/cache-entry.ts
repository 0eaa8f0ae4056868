import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { isNetrigError, messageOf, NetrigError } from '../errors.js';
import { runCommand } from './build-command.js';
import { codedIfNoSpace } from './build-failure.js';
import { takeLock } from './lock.js';
import { diskUsage, formatBytes, type ImageOptions } from './build-site.js';
import { imagesDirectory, removeTree } from './cache-directory.js';
import { noteUse, userOf } from './use.js';
import { makeDirectory } from '../model/directory.js';

/**
 * Things of the cache beside host images: built once from what their key stands for, then only read. An entry is a
 * directory `ROOM/NAME-KEY` with an `entry.json` that is written last; while it is being made it has another name, and
 * what a dead builder left is swept by the next one.
 */
export interface EntryName {
  /** Directory below the cache: `layers`, `containers`, `engines`. */
  room: 'layers' | 'containers' | 'engines' | 'trees';
  /** For people, `[a-z0-9.-]+`: `debian-12+frr`. */
  name: string;
  /** From `contentKey`. */
  key: string;
}

export interface CacheEntry<Facts> {
  directory: string;
  facts: Facts;
  sizeBytes: number;
  /** ISO 8601. */
  builtAt: string;
}

export interface BuildPlace {
  /** Where to put what the entry is made of. */
  directory: string;
  signal: AbortSignal;
  log: Writable;
  /** Where the log can be read afterwards. */
  logFile: string;
  progress(text: string): void;
}

export interface EntryBuild<Facts> {
  /** What is made, for messages: `the packages frr for debian-12`. */
  subject: string;
  /** Bytes that the work needs at its peak. */
  neededBytes: number;
  make(place: BuildPlace): Promise<Facts>;
}

/** How long to wait for another process that makes the same entry. */
const lockDeadlineMs = 15 * 60_000;

/** Twelve hexadecimal digits for everything that decides what an entry holds. */
export function contentKey(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
}

export function cacheRoom(room: EntryName['room']): string {
  return join(dirname(imagesDirectory()), room);
}

function directoryOf({ room, name, key }: EntryName): string {
  return join(cacheRoom(room), `${name}-${key}`);
}

interface Manifest<Facts> {
  facts: Facts;
  sizeBytes: number;
  builtAt: string;
}

async function readEntry<Facts>(directory: string): Promise<CacheEntry<Facts> | null> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, 'entry.json'), 'utf8')) as Manifest<Facts>;
    return { directory, ...manifest };
  } catch {
    return null;
  }
}

/** The entry, if the cache has it. From then on it counts as used by this process. */
async function findEntry<Facts>(name: EntryName): Promise<CacheEntry<Facts> | null> {
  const directory = directoryOf(name);
  if ((await lstat(directory).catch(() => null)) === null) return null;
  // noted before the look, so that nobody removes it between the look and the note
  await noteUse(directory);
  return readEntry<Facts>(directory);
}

/** Every finished entry of a room. */
export async function listEntries<Facts>(room: EntryName['room']): Promise<CacheEntry<Facts>[]> {
  const names = await readdir(cacheRoom(room)).catch(() => []);
  const entries = await Promise.all(
    names.filter((name) => !name.startsWith('.')).map((name) => readEntry<Facts>(join(cacheRoom(room), name))),
  );
  return entries.filter((entry) => entry !== null);
}

/**
 * The entry, made first where the cache has none. Two processes at once make it once: the second waits, with a progress
 * line. Nothing half-made stays.
 *
 * Throws NETRIG_CACHE_FULL, NETRIG_CACHE_LOCKED, NETRIG_INTERRUPTED, and what `make` throws.
 */
export async function ensureEntry<Facts>(
  name: EntryName,
  build: EntryBuild<Facts>,
  options: ImageOptions,
): Promise<CacheEntry<Facts>> {
  const known = await findEntry<Facts>(name);
  if (known !== null) return known;
  const room = cacheRoom(name.room);
  await makeDirectory(room);
  const lock = await takeLock(join(room, `.lock-${name.name}-${name.key}`), {
    subject: build.subject,
    deadlineMs: lockDeadlineMs,
    signal: options.signal,
    progress: options.progress,
  });
  try {
    await sweepEntry(name);
    const meanwhile = await findEntry<Facts>(name);
    if (meanwhile !== null) return meanwhile;
    const made = await makeEntry(name, build, options);
    await noteUse(made.directory);
    return made;
  } catch (error) {
    throw codedIfNoSpace(error, room);
  } finally {
    await lock.release();
  }
}

/** Removes what dead builders of the entry left. The caller holds its lock. */
async function sweepEntry({ room, name, key }: EntryName): Promise<void> {
  for (const entry of await readdir(cacheRoom(room))) {
    if (entry.startsWith(`.build-${name}-${key}-`) || entry.startsWith(`.old-${name}-${key}-`))
      await removeTree(join(cacheRoom(room), entry));
  }
}

async function requireSpace(room: string, build: { subject: string; neededBytes: number }): Promise<void> {
  const space = await statfs(room);
  const free = space.bavail * space.bsize;
  if (free >= build.neededBytes) return;
  throw new NetrigError(
    'NETRIG_CACHE_FULL',
    `making ${build.subject} takes ${formatBytes(build.neededBytes)} at its peak, and ${room} has ${formatBytes(free)} left`,
  );
}

async function makeEntry<Facts>(
  name: EntryName,
  build: EntryBuild<Facts>,
  options: ImageOptions,
): Promise<CacheEntry<Facts>> {
  const room = cacheRoom(name.room);
  await requireSpace(room, build);
  const suffix = `${name.name}-${name.key}`;
  const directory = join(room, `.build-${suffix}-${process.pid}-${randomBytes(3).toString('hex')}`);
  const logFile = join(dirname(room), 'logs', `${name.room}-${name.name}.log`);
  await mkdir(directory, { mode: 0o755 });
  await makeDirectory(dirname(logFile));
  const log = createWriteStream(logFile);
  // a full disk shows in the work itself; the log must not bring the process down
  log.on('error', () => undefined);
  const { signal, progress } = options;
  try {
    const facts = await build.make({ directory, signal, log, logFile, progress });
    const manifest: Manifest<Facts> = {
      facts,
      sizeBytes: await diskUsage(directory, { signal, log }),
      builtAt: new Date().toISOString(),
    };
    await writeFile(join(directory, 'entry.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    // the rename must not reach the disk before the files do
    await runCommand(['sync', '--file-system', directory], { signal, log });
    const final = directoryOf(name);
    await rename(directory, final);
    return { directory: final, ...manifest };
  } catch (error) {
    await removeTree(directory);
    if (signal.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', `interrupted while making ${build.subject}`, { cause: error });
    if (isNetrigError(error)) throw error;
    const coded = codedIfNoSpace(error, room);
    if (isNetrigError(coded)) throw coded;
    throw new NetrigError(
      'NETRIG_IMAGE_BUILD',
      `making ${build.subject} failed: ${messageOf(error)}; the log is ${logFile}`,
      {
        cause: error,
      },
    );
  } finally {
    await new Promise<void>((resolve) => log.end(() => resolve()));
  }
}

/** Removes an entry that nobody uses and answers how many bytes that freed; `null` where a live process uses it. */
export async function removeEntry(entry: CacheEntry<unknown>): Promise<number | null> {
  if ((await userOf(entry.directory)) !== null) return null;
  const doomed = join(dirname(entry.directory), `.old-${basename(entry.directory)}-${randomBytes(3).toString('hex')}`);
  // Renamed first: an interrupted removal leaves nothing that looks like an entry. Asked again: who takes one notes it first.
  await rename(entry.directory, doomed);
  if ((await userOf(entry.directory)) !== null) {
    await rename(doomed, entry.directory);
    return null;
  }
  await removeTree(doomed);
  return entry.sizeBytes;
}
