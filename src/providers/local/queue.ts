import { readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NetrigError } from '../../errors.js';
import { writeOwnFile } from '../../lab/own-file.js';
import { outerIds } from '../../lab/outer-users.js';
import { isSurelyDead, lifeOf, ownIdentity, ownPidSpace } from '../../lab/process.js';
import { labsDirectory } from '../../lab/store.js';
import { formatDuration } from '../../model/duration.js';
import { formatSize } from '../../model/size.js';
import type { Kept } from './room.js';
import { makeDirectorySync } from '../../model/directory.js';

/** What a lab takes of the machine before it does anything. */
export interface Need {
  hosts: number;
  /** Bytes. */
  memory: number;
  /** Processes and threads. */
  pids: number;
  /** Ranges of user ids, one for each isolated host. */
  ranges: number;
}

/** What is free for it. */
export interface FreeRoom {
  freeMemory: number;
  freePids: number;
  freeRanges: number;
}

/** What is kept for a lab that came before: it has not taken all of what it needs yet. */
export type KeptRoom = Kept & { ranges: number };

/** The place of a lab among those that share this machine. */
export interface Place {
  /** It has its ranges of ids: their locks tell of them from now on. */
  haveRanges(): void;
  /** It is up. What it needs is kept for it all the same until it takes it: an engine starts with the first container. */
  settle(): void;
  /** It is gone. */
  leave(): void;
}

export interface QueueOptions {
  /** The lab's id, for those that wait for it. */
  lab: string;
  signal: AbortSignal;
  /** Called when a wait begins and whenever its place changes, with a sentence. */
  tell(text: string): void;
  /** Where its limits are, by which is known what it has taken. */
  groups: Kept['groups'];
  /** Looks at the machine, of which some is kept for others. */
  room(kept: readonly KeptRoom[]): FreeRoom;
  directory?: string;
  patienceMs?: number;
}

/** How long a lab waits for others: as long as a long scenario takes. */
const defaultPatienceMs = 15 * 60_000;
const lookMs = 250;
/** Whoever waits says so this often at least: one that is stopped is passed over. */
const silentMs = 10_000;

interface Ticket {
  file: string;
  /** Nanoseconds of the machine's monotonic clock: who asked first. */
  asked: bigint;
  pid: number;
  lab: string;
  state: 'waiting' | 'booting' | 'up';
  need: Need;
  groups: Kept['groups'];
}

/** Of the whole machine, where netrig is root; else of the user. */
function queueDirectory(): string {
  return outerIds() === null ? '/run/netrig/queue' : join(dirname(labsDirectory()), 'queue');
}

const namePattern = /^(\d+)\.([0-9a-f-]+)\.(\d+)\.(\d+)\.(\d+)$/;

function ownerIn(name: string) {
  const [, asked, bootId = '', pidNamespace = '', pid, startTime] = namePattern.exec(name) ?? [];
  if (asked === undefined) return null;
  return {
    asked: BigInt(asked),
    owner: { pid: Number(pid), startTime: Number(startTime) },
    space: { bootId, pidNamespace },
  };
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** The tickets of live processes, the oldest first; those of other pid namespaces cannot be judged, and are left out. */
function ticketsIn(directory: string): Ticket[] {
  return list(directory)
    .flatMap((name): Ticket[] => {
      const whose = ownerIn(name);
      if (!whose || lifeOf(whose.owner, whose.space) !== 'alive') return [];
      const file = join(directory, name);
      try {
        const said = JSON.parse(readFileSync(file, 'utf8')) as Pick<Ticket, 'lab' | 'state' | 'need'> & {
          /** Left out by the first version. */
          groups?: Ticket['groups'];
        };
        if (said.state === 'waiting' && Date.now() - statSync(file).mtimeMs > silentMs) return [];
        return [{ file, asked: whose.asked, pid: whose.owner.pid, ...said, groups: said.groups ?? {} }];
      } catch {
        // It went meanwhile.
        return [];
      }
    })
    .sort((one, other) => (one.asked < other.asked ? -1 : 1));
}

function write(ticket: Ticket): void {
  const { lab, state, need, groups } = ticket;
  const unfinished = join(dirname(ticket.file), `.${ticket.file.slice(dirname(ticket.file).length + 1)}`);
  writeOwnFile(unfinished, JSON.stringify({ lab, state, need, groups }));
  renameSync(unfinished, ticket.file);
}

function become(ticket: Ticket, state: Ticket['state']): void {
  ticket.state = state;
  write(ticket);
}

function placeOf(ticket: Ticket): Place {
  return {
    haveRanges: () => {
      ticket.need = { ...ticket.need, ranges: 0 };
      write(ticket);
    },
    settle: () => become(ticket, 'up'),
    leave: () => rmSync(ticket.file, { force: true }),
  };
}

function numberIn(directory: string | undefined, ...names: readonly string[]): number | null {
  if (directory === undefined) return null;
  for (const name of names) {
    try {
      return Number(readFileSync(join(directory, name), 'utf8'));
    } catch {
      // Another version's name, or a group that is not there.
    }
  }
  return null;
}

/** What is kept for a lab. Of one that is up and whose groups are not to be read, it is taken to have all. */
function keptFor({ state, need, groups }: Ticket): KeptRoom {
  const rest = (needed: number, used: number | null): number =>
    Math.max(0, needed - (used ?? (state === 'up' ? needed : 0)));
  return {
    memory: rest(need.memory, numberIn(groups.memory, 'memory.current', 'memory.usage_in_bytes')),
    pids: rest(need.pids, numberIn(groups.pids, 'pids.current')),
    ranges: need.ranges,
    groups,
  };
}

/** Processes for what steps and probes start on hosts that are up. */
const sparePids = 32;

/** What does not fit, as the end of a sentence; `null` where all does. */
export function lackOf(need: Need, room: FreeRoom): string | null {
  if (need.memory > room.freeMemory)
    return `at least ${formatSize(need.memory)} of memory, and ${formatSize(Math.max(0, room.freeMemory))} are free`;
  const pids = need.pids + sparePids;
  if (pids > room.freePids) return `about ${pids} processes, and ${Math.max(0, room.freePids)} can be made`;
  if (need.ranges > room.freeRanges)
    return `${need.ranges} ranges of user ids, and ${Math.max(0, room.freeRanges)} are free`;
  return null;
}

const hostsOf = (need: Need): string => `${need.hosts} ${need.hosts === 1 ? 'host needs' : 'hosts need'}`;

function doesNotFit(need: Need, lack: string, waited: string, ahead: readonly Ticket[]): NetrigError {
  const who = ahead.map((one) => `${one.lab} (process ${one.pid})`).join(', ');
  return new NetrigError('NETRIG_LIMIT', `The lab does not fit: its ${hostsOf(need)} ${lack}${waited}.`, {
    hint: `${who === '' ? '' : `It has its place behind ${who}. `}End other labs (\`netrig ps\`), run fewer at once (\`--jobs\`), or make some hosts \`init: light\`.`,
  });
}

/** Where one stands, for people. */
function standing(need: Need, lack: string | null, ahead: readonly Ticket[], patienceMs: number): string {
  const waiting = ahead.filter((one) => one.state === 'waiting').length;
  const running = ahead.filter((one) => one.state !== 'waiting').map((one) => one.lab);
  const names = running.length > 3 ? `${running.length} are up or booting` : running.join(', ');
  const place = waiting === 0 ? 'first in the queue' : `number ${waiting + 1} in the queue`;
  const why = lack === null ? '' : `: its ${hostsOf(need)} ${lack}`;
  return `Waits for other labs${names === '' ? '' : ` (${names})`}, ${place}${why}. Up to ${formatDuration(patienceMs)}.`;
}

/**
 * Waits until there is room for a lab beside the others on this machine that netrig knows of, in the order in which they
 * asked. Where nothing runs whose end could make room, it does not wait.
 *
 * Throws NETRIG_LIMIT for what does not fit, also after `patienceMs`; rejects with the reason of `signal`.
 */
export async function takePlace(need: Need, options: QueueOptions): Promise<Place> {
  const { signal, tell, room, directory = queueDirectory(), patienceMs = defaultPatienceMs } = options;
  makeDirectorySync(directory, 0o700);
  const { pid, startTime } = ownIdentity();
  const { bootId, pidNamespace } = ownPidSpace();
  const asked = process.hrtime.bigint();
  const file = join(directory, `${asked}.${bootId}.${pidNamespace}.${pid}.${startTime}`);
  const own: Ticket = { file, asked, pid, lab: options.lab, state: 'waiting', need, groups: options.groups };
  const until = performance.now() + patienceMs;
  let told = -1;
  try {
    become(own, 'waiting');
    for (;;) {
      signal.throwIfAborted();
      const others = ticketsIn(directory).filter((one) => one.file !== file);
      const waiting = others.filter((one) => one.state === 'waiting' && one.asked < asked);
      const running = others.filter((one) => one.state !== 'waiting');
      const lack = lackOf(need, room(running.map(keptFor)));
      if (waiting.length === 0 && lack === null) {
        become(own, 'booting');
        if (isFirst(own, directory, room)) return placeOf(own);
        become(own, 'waiting');
      }
      const ahead = [...waiting, ...running];
      if (ahead.length === 0 && lack !== null) throw doesNotFit(need, lack, '', []);
      if (performance.now() > until)
        throw doesNotFit(need, lack ?? 'their turn', `, after ${formatDuration(patienceMs)} of waiting`, ahead);
      if (waiting.length !== told) tell(standing(need, lack, ahead, patienceMs));
      told = waiting.length;
      await pause(lookMs, undefined, { signal });
      utimesSync(file, new Date(), new Date());
    }
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  }
}

/** Two may have seen the same room at once. Each has said so before it looks again, so that the later one sees the earlier. */
function isFirst(own: Ticket, directory: string, room: QueueOptions['room']): boolean {
  const others = ticketsIn(directory).filter((one) => one.state !== 'waiting' && one.file !== own.file);
  const before = others.filter((one) => one.state === 'up' || one.asked < own.asked);
  return lackOf(own.need, room(before.map(keptFor))) === null;
}

/** Takes away what dead processes left. Answers how many. */
export function sweepQueue(directory = queueDirectory()): number {
  let removed = 0;
  for (const name of list(directory)) {
    const whose = ownerIn(name.replace(/^\./, ''));
    if (!whose || !isSurelyDead(whose.owner, whose.space)) continue;
    rmSync(join(directory, name), { force: true });
    removed += 1;
  }
  return removed;
}
