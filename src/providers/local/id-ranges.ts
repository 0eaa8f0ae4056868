import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NetrigError } from '../../errors.js';
import { writeOwnFile } from '../../lab/own-file.js';
import { outerIds } from '../../lab/outer-users.js';
import { isSurelyDead, ownIdentity, ownPidSpace, type PidSpace, type ProcessIdentity } from '../../lab/process.js';
import { runCommand } from '../shared/command.js';
import { makeDirectorySync } from '../../model/directory.js';

/** Ids that one host has: 0 to 65535, as a machine of its own would. */
export const idsPerHost = 65_536;

/** A part of the machine's user and group ids, for the ids from 0 on of one host. */
export interface IdRange {
  /** The machine's id that is 0 in the host. */
  first: number;
  /** The lock that keeps the range: a directory; `null` for ids that all hosts of a user share. */
  lock: string | null;
}

/** Ids from `first` on, `count` of them. */
export interface IdSpan {
  first: number;
  count: number;
}

/**
 * What nobody else takes: systemd's list of ids (UIDS-GIDS) leaves 1879048192 to 2147483647 unused. From 2^31 on some
 * programs take an id for a negative number.
 */
export const unusedSpan: IdSpan = { first: 0x70000000, count: 0x10000000 };

/** The spans that /etc/subuid or /etc/subgid gives away, with their owner (subuid(5)). */
export function parseSubordinate(text: string): (IdSpan & { owner: string })[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([^:#\s]+):(\d+):(\d+)\s*$/.exec(line);
    return match ? [{ owner: match[1]!, first: Number(match[2]), count: Number(match[3]) }] : [];
  });
}

function givenIds(): { users: ReturnType<typeof parseSubordinate>; groups: ReturnType<typeof parseSubordinate> } {
  const read = (file: string): ReturnType<typeof parseSubordinate> => {
    try {
      return parseSubordinate(readFileSync(file, 'utf8'));
    } catch {
      return [];
    }
  };
  return { users: read('/etc/subuid'), groups: read('/etc/subgid') };
}

const overlap = (one: IdSpan, other: IdSpan): boolean =>
  one.first < other.first + other.count && other.first < one.first + one.count;

/**
 * The first ids of all ranges that hosts may have on this machine: those of the lines for `netrig` in /etc/subuid that
 * /etc/subgid has too, where there are any; else the unused ids, less what the two files give to others.
 */
export function possibleRanges(
  users: readonly (IdSpan & { owner: string })[],
  groups: readonly (IdSpan & { owner: string })[],
): number[] {
  const own = users.filter(
    (span) => span.owner === 'netrig' && groups.some((group) => group.owner === 'netrig' && group.first === span.first),
  );
  const spans: readonly IdSpan[] = own.length > 0 ? own : [unusedSpan];
  const given = [...users, ...groups].filter((span) => span.owner !== 'netrig');
  return spans.flatMap((span) =>
    Array.from({ length: Math.floor(span.count / idsPerHost) }, (_, slot) => span.first + slot * idsPerHost).filter(
      (first) => !given.some((other) => overlap({ first, count: idsPerHost }, other)),
    ),
  );
}

/** Of the whole machine, not of a user: gone with the machine's boot where /run is a tmpfs, and judged by it where not. */
export const idsDirectory = '/run/netrig/ids';

/** The name of the one file in a lock: whose it is. */
function ownerName(owner: ProcessIdentity, space: PidSpace): string {
  return `${space.bootId}.${space.pidNamespace}.${owner.pid}.${owner.startTime}`;
}

function ownerOf(name: string): { owner: ProcessIdentity; space: PidSpace } | null {
  const match = /^([0-9a-f-]+)\.(\d+)\.(\d+)\.(\d+)$/.exec(name);
  return match
    ? {
        space: { bootId: match[1]!, pidNamespace: match[2]! },
        owner: { pid: Number(match[3]), startTime: Number(match[4]) },
      }
    : null;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/**
 * Takes the lock of a range: false when somebody has it. A lock is a directory with one file, which names the process that
 * has it. It comes to be by a rename, which fails where a directory with something in it stands (rename(2)): so there is no
 * moment at which a lock has no owner, and nobody who removes the name of a dead owner can remove that of a new one.
 */
function take(directory: string, first: number, owner: string): string | null {
  const lock = join(directory, String(first));
  const made = join(directory, `.${first}.${owner}`);
  mkdirSync(made, { mode: 0o700 });
  writeOwnFile(join(made, owner), '');
  try {
    renameSync(made, lock);
    return lock;
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return null;
    throw error;
  }
}

/** Which of some ids belong to a user or a group of this machine, as its name service says, at one question each. */
async function knownIds(ids: readonly number[]): Promise<Set<number>> {
  const known = new Set<number>();
  for (const database of ['passwd', 'group'] as const) {
    const { stdout } = await runCommand(['getent', database, ...ids.map(String)], { timeoutMs: 10_000 });
    for (const line of stdout.split('\n')) if (line !== '') known.add(Number(line.split(':')[2]));
  }
  return known;
}

/**
 * Takes `count` ranges, each for one host, for as long as this process lives or until `giveBack`. Which ones is left to
 * chance, so that labs that begin at once do not meet.
 *
 * Throws NETRIG_CAPABILITY when there are not that many.
 */
export async function takeRanges(count: number, directory = idsDirectory): Promise<IdRange[]> {
  return outerIds() === null ? takeLocked(count, directory) : Array.from({ length: count }, () => sharedRange);
}

/**
 * Without root: images have the first subordinate ids on disk, as only root of the machine may bind them with others. So all
 * hosts of a user have these.
 */
const sharedRange: IdRange = { first: 1, lock: null };

async function takeLocked(count: number, directory: string): Promise<IdRange[]> {
  makeDirectorySync(directory, 0o700);
  const owner = ownerName(ownIdentity(), ownPidSpace());
  const { users, groups } = givenIds();
  const possible = possibleRanges(users, groups);
  const taken: IdRange[] = [];
  const known = new Set<number>();
  const start = Math.floor(Math.random() * possible.length);
  for (let offset = 0; offset < possible.length && taken.length < count; offset += 1) {
    const first = possible[(start + offset) % possible.length]!;
    if (known.has(first)) continue;
    const lock = take(directory, first, owner);
    if (lock !== null) taken.push({ first, lock });
    if (taken.length < count) continue;
    for (const id of await knownIds(taken.map((range) => range.first))) known.add(id);
    for (const range of taken.filter((one) => known.has(one.first))) {
      giveBack([range]);
      taken.splice(taken.indexOf(range), 1);
    }
  }
  if (taken.length === count) return taken;
  giveBack(taken);
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `${count} hosts need ${count} ranges of ${idsPerHost} user ids, and of ${possible.length} on this machine ${taken.length} are free.`,
    { hint: 'End other labs (`netrig ps`), or run `netrig gc`.' },
  );
}

/** How many ranges are free; more than anybody needs where all hosts share one. */
export function freeRanges(directory = idsDirectory): number {
  if (outerIds() !== null) return Infinity;
  const { users, groups } = givenIds();
  return possibleRanges(users, groups).length - list(directory).filter((name) => !name.startsWith('.')).length;
}

/** Gives ranges back that this process has. Only once nothing runs under their ids. */
export function giveBack(ranges: readonly IdRange[]): void {
  for (const { lock } of ranges) if (lock !== null) removeLock(lock, ownerName(ownIdentity(), ownPidSpace()));
}

/** Removes a lock if it is that owner's, and never one that another has taken since. */
function removeLock(lock: string, owner: string): boolean {
  try {
    rmSync(join(lock, owner));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
  try {
    rmdirSync(lock);
  } catch {
    // Taken again already.
  }
  return true;
}

/** Gives back the ranges of processes that are dead, of this boot or another. Answers how many. */
export function sweepRanges(directory = idsDirectory): number {
  let removed = 0;
  for (const name of list(directory)) {
    const path = join(directory, name);
    const unfinished = /^\.\d+\.(.+)$/.exec(name)?.[1];
    const owner = unfinished ?? list(path)[0];
    const who = owner === undefined ? null : ownerOf(owner);
    if (owner === undefined || !who || !isSurelyDead(who.owner, who.space)) continue;
    if (unfinished !== undefined) rmSync(path, { recursive: true, force: true });
    else if (removeLock(path, owner)) removed += 1;
  }
  return removed;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
