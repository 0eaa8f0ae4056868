import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { NetrigError } from '../errors.js';
import type { LabRecord } from '../providers/provider.js';
import { writeOwnFile } from './own-file.js';
import { isAlive, type Life, lifeOf, ownIdentity, ownPidSpace } from './process.js';
import { makeDirectorySync } from '../model/directory.js';

const recordName = 'lab.json';
const idPattern = /^[a-z0-9][a-z0-9-]{0,40}$/;
/** A record's directory is made under such a name and then renamed, so that no reader ever sees a lab without its record. */
const unfinishedPattern = /^\.new-(\d+)-(\d+)-/;
const keptLogs = 20;

function netrigState(): string {
  const base = process.env['XDG_STATE_HOME'];
  // The XDG Base Directory Specification has relative paths ignored.
  return join(base && isAbsolute(base) ? base : join(homedir(), '.local', 'state'), 'netrig');
}

/** Where all labs of this user have their records: `$XDG_STATE_HOME/netrig/labs`. */
export function labsDirectory(): string {
  return join(netrigState(), 'labs');
}

/** A new lab's id: its slug and a random part. */
export function newLabId(slug: string): string {
  // An id is never taken for an option of a command.
  return `${slug.replace(/^-+/, '') || 'lab'}-${randomBytes(3).toString('hex')}`;
}

/** Throws NETRIG_LAB_UNKNOWN for a text that can't be a lab's id, so that no id leads out of the directory of labs. */
export function labDirectory(id: string): string {
  if (!idPattern.test(id)) throw new NetrigError('NETRIG_LAB_UNKNOWN', `There is no lab "${id}".`);
  return join(labsDirectory(), id);
}

/** The console log of one host: what its PID 1 wrote. It lives as long as the lab. */
export function consoleLog(id: string, host: string): string {
  return join(labDirectory(id), `${host}.console`);
}

function writeAtomically(directory: string, record: LabRecord): void {
  const temporary = join(directory, `.${recordName}.${process.pid}`);
  writeOwnFile(temporary, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(temporary, join(directory, recordName));
}

/** Makes the lab's directory, readable to its owner only, with the record in it. Throws when the id is taken. */
export function createRecord(record: LabRecord): string {
  const directory = labDirectory(record.id);
  makeDirectorySync(labsDirectory(), 0o700);
  const { pid, startTime } = ownIdentity();
  const unfinished = join(labsDirectory(), `.new-${pid}-${startTime}-${record.id}`);
  mkdirSync(unfinished, { mode: 0o700 });
  try {
    writeAtomically(unfinished, record);
    // Fails when there is such a lab: the directory that a rename replaces must be empty (rename(2)).
    renameSync(unfinished, directory);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
  return directory;
}

/** Values that others kept with the lab meanwhile stay. */
export function updateRecord(record: LabRecord): void {
  const directory = labDirectory(record.id);
  const saved = record.saved ?? recordIn(directory)?.saved;
  writeAtomically(directory, saved === undefined ? record : { ...record, saved });
}

/** Keeps values that steps saved with a lab that stays; nothing happens when it is gone. */
export function keepSavedValues(id: string, saved: NonNullable<LabRecord['saved']>): void {
  const record = recordIn(labDirectory(id));
  if (record) updateRecord({ ...record, saved });
}

function isRecord(value: unknown): value is LabRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Partial<LabRecord>;
  return (
    typeof record.id === 'string' &&
    typeof record.provider === 'string' &&
    Number.isSafeInteger(record.holder?.pid) &&
    Number.isSafeInteger(record.holder?.startTime) &&
    Array.isArray(record.plan?.hosts)
  );
}

function recordIn(directory: string): LabRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, recordName), 'utf8'));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether there is that lab, for whoever asks often: it is not read. */
export function hasRecord(id: string): boolean {
  return existsSync(join(labDirectory(id), recordName));
}

/** Throws NETRIG_LAB_UNKNOWN. */
export function readRecord(id: string): LabRecord {
  const record = recordIn(labDirectory(id));
  if (record) return record;
  const others = listRecords().map((one) => one.id);
  throw new NetrigError(
    'NETRIG_LAB_UNKNOWN',
    `There is no lab "${id}"${others.length > 0 ? `; there is ${others.join(', ')}` : ''}.`,
  );
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** All labs of this user, the oldest first. */
export function listRecords(): LabRecord[] {
  return entriesOf(labsDirectory())
    .filter((name) => idPattern.test(name))
    .flatMap((name) => recordIn(join(labsDirectory(), name)) ?? [])
    .sort((a, b) => a.createdAt.localeCompare(b.createdAt));
}

/** Removes the lab's directory with all that is in it; nothing happens when there is none. */
export async function removeRecord(id: string): Promise<void> {
  await rm(labDirectory(id), { recursive: true, force: true, maxRetries: 3 });
}

/** What is known of the process that holds the lab. */
export function holderLife(record: Pick<LabRecord, 'holder' | 'space'>): Life {
  return lifeOf(record.holder, record.space ?? ownPidSpace());
}

/** Whether the holder lives where this process can see it. */
export function holderAlive(record: LabRecord): boolean {
  return holderLife(record) === 'alive';
}

/** Why a lab cannot be used from here although nothing is wrong with it; `null` where it can, or is gone. */
export function heldElsewhere(record: LabRecord): string | null {
  return holderLife(record) === 'elsewhere'
    ? `The lab ${record.id} is held by a process of another pid namespace (a container’s, or the one around this container).`
    : null;
}

/** Directories of labs that hold no readable record, or that a process began and did not finish. */
export function strayDirectories(): string[] {
  return entriesOf(labsDirectory()).flatMap((name) => {
    const path = join(labsDirectory(), name);
    const unfinished = unfinishedPattern.exec(name);
    if (unfinished) return isAlive({ pid: Number(unfinished[1]), startTime: Number(unfinished[2]) }) ? [] : [path];
    return idPattern.test(name) && recordIn(path) === null ? [path] : [];
  });
}

/** Keeps the console of a host that did not boot, after its lab is gone; the newest twenty are kept. Answers the path. */
export function keepLog(id: string, host: string, text: string): string {
  const directory = join(netrigState(), 'logs');
  makeDirectorySync(directory, 0o700);
  const path = join(directory, `${id}-${host}.console`);
  writeOwnFile(path, text);
  const ages = entriesOf(directory).map((name) => {
    const file = join(directory, name);
    return { file, time: statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  for (const { file } of ages.sort((a, b) => b.time - a.time).slice(keptLogs)) rmSync(file, { force: true });
  return path;
}
