import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cacheRoom, listEntries, removeEntry, type CacheEntry, type EntryName } from './cache-entry.js';
import { removeTree } from './cache-directory.js';
import { userOf } from './use.js';

/** What the cache holds beside host images, for people: by names that `images rm` takes. */
export interface CachedThing {
  /** `container:shop-latest-3a62f150e06e`. */
  name: string;
  /** What it is or has: a reference, images, packages. */
  holds: string;
  directory: string;
  sizeBytes: number;
  /** ISO 8601. */
  builtAt: string;
  /** A process has it, or a lab that stands on it. */
  inUse: boolean;
}

const kinds: Record<EntryName['room'], string> = {
  containers: 'container',
  engines: 'engine',
  layers: 'layer',
  trees: 'tree',
};

const rooms = Object.keys(kinds) as EntryName['room'][];

function holdsOf(facts: unknown): string {
  const { name, containerImages, packages, source } = facts as Record<string, unknown>;
  const from = (source as { from?: string } | undefined)?.from;
  if (typeof name === 'string') return from === undefined ? name : `${name}, from ${wording[from] ?? from}`;
  const list = containerImages ?? packages;
  return Array.isArray(list) ? list.join(' ') : '';
}

const wording: Record<string, string> = {
  registry: 'its registry',
  archive: 'an archive',
  packages: 'packages',
  build: 'a Dockerfile',
};

/** Everything of the cache but host images and boxes. */
export async function listCachedThings(): Promise<CachedThing[]> {
  const all = await Promise.all(
    rooms.map(async (room) => Promise.all((await listEntries<unknown>(room)).map((entry) => thing(room, entry)))),
  );
  return all.flat().sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function thing(room: EntryName['room'], entry: CacheEntry<unknown>): Promise<CachedThing> {
  return {
    name: `${kinds[room]}:${basename(entry.directory)}`,
    holds: holdsOf(entry.facts),
    directory: entry.directory,
    sizeBytes: entry.sizeBytes,
    builtAt: entry.builtAt,
    inUse: (await userOf(entry.directory)) !== null,
  };
}

/** Whether a name is that of something here, with or without the key at its end. */
export function isThingName(name: string): boolean {
  return Object.values(kinds).some((kind) => name.startsWith(`${kind}:`));
}

/** The things that a name means: one, or all of that name, whatever their key. */
export function thingsNamed(name: string, things: readonly CachedThing[]): CachedThing[] {
  return things.filter((one) => one.name === name || one.name.replace(/-[0-9a-f]{12}$/, '') === name);
}

/** Removes a thing. Answers how many bytes that freed; `null` where it is in use, and stays. */
export async function removeThing({ directory, sizeBytes }: CachedThing): Promise<number | null> {
  return removeEntry({ directory, sizeBytes, facts: null, builtAt: '' });
}

/** Removes what interrupted builds and removals of the cache's rooms left. Builds that go on are left alone. */
export async function sweepRooms(): Promise<void> {
  for (const room of rooms)
    for (const name of await readdir(cacheRoom(room)).catch(() => [])) {
      const pid = /^\.build-.*-(\d+)-[0-9a-f]{6}$/.exec(name)?.[1];
      const left = name.startsWith('.old-') || (pid !== undefined && !isRunning(Number(pid)));
      if (left) await removeTree(join(cacheRoom(room), name));
    }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
