import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { isAlive, ownIdentity, signalProcess, waitUntilGone, type ProcessIdentity } from '../lab/process.js';
import { labsDirectory } from '../lab/store.js';
import type { ClassFile } from './class-file.js';
import { createClassroom, recordName, type Classroom } from './classroom.js';
import { loadExercise, type GivenExercise } from './exercises.js';
import { writeGrades } from './grade-files.js';
import type { GradingOptions } from './grades.js';
import { linksCsv, linksIn, type GivenLink } from './links.js';
import { parseRecord } from './record.js';
import type { Room } from './room.js';
import { hashOf, newCode, normalCode } from './secrets.js';
import { serveClass } from './server.js';
import { applyEvent, stateOf, type ClassState } from './state.js';
import { editedSentences, hasOtherTasks, knownTasks } from './tasks.js';
import { makeDirectorySync } from '../model/directory.js';

/** Where a class of that name keeps everything. */
export function classDirectory(name: string): string {
  return join(labsDirectory(), '..', 'classes', name);
}

/** What is written down of the process that holds a class. */
interface Holding {
  holder: ProcessIdentity;
  /** `null` until it listens. */
  url: string | null;
  file: string;
}

const holdingName = 'holder.json';
const secretName = 'secret';
const linksName = 'links.csv';

function readHolding(directory: string): Holding | null {
  try {
    return JSON.parse(readFileSync(join(directory, holdingName), 'utf8')) as Holding;
  } catch {
    return null;
  }
}

/** The process that holds the class; `null`: none does. */
export function holderOf(directory: string): Holding | null {
  const holding = readHolding(directory);
  return holding && isAlive(holding.holder) ? holding : null;
}

function neverStarted(file: ClassFile): NetrigError {
  return new NetrigError('NETRIG_CLASS_RUNNING', `The class ${file.name} was never started here.`, {
    hint: `Start it by \`netrig class start ${file.file}\`. Classes are known by their name, to the user and on the machine that started them.`,
  });
}

/** Nobody else may hold the class. @throws NETRIG_CLASS_RUNNING. */
export function hold(directory: string, file: string): void {
  const path = join(directory, holdingName);
  const text = JSON.stringify({ holder: ownIdentity(), url: null, file } satisfies Holding);
  for (;;) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, text);
      closeSync(fd);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const other = holderOf(directory);
    if (other)
      throw new NetrigError(
        'NETRIG_CLASS_RUNNING',
        `The class is held by process ${other.holder.pid} already${other.url ? `, at ${other.url}` : ''}.`,
      );
    // Of two who find a dead holder's, one moves it away; the other finds nothing to move, and tries again.
    const dead = `${path}.dead-${process.pid}`;
    try {
      renameSync(path, dead);
    } catch {
      continue;
    }
    rmSync(dead, { force: true });
  }
}

/** The directory is nobody's any more. */
export function release(directory: string): void {
  rmSync(join(directory, holdingName), { force: true });
}

function sayUrl(directory: string, file: string, url: string): void {
  const path = join(directory, holdingName);
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, JSON.stringify({ holder: ownIdentity(), url, file } satisfies Holding), { mode: 0o600 });
  renameSync(fresh, path);
}

/** What the values of all students are drawn with: made once. */
function secretOf(directory: string): string {
  const path = join(directory, secretName);
  if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
  return readFileSync(path, 'utf8');
}

function exercisesOf(file: ClassFile, directory: string): GivenExercise[] {
  const secret = secretOf(directory);
  const students = file.students.map(({ id }) => id);
  return file.exercises.map((one) => loadExercise(one, students, secret));
}

/**
 * The exercises of a class with the values that were drawn for its students.
 *
 * @throws NETRIG_CLASS_RUNNING where none were drawn here: it was neither started nor handed out.
 */
export function drawnExercises(file: ClassFile): GivenExercise[] {
  const directory = classDirectory(file.name);
  if (existsSync(join(directory, secretName))) return exercisesOf(file, directory);
  throw new NetrigError('NETRIG_CLASS_RUNNING', `The class ${file.name} was neither started nor handed out here.`, {
    hint: 'Start it by `netrig class start CLASS`, or hand an exercise out by `netrig class handout`: that draws the values of its students.',
  });
}

/** The same, for whoever comes first: what the values are drawn with is made, and the class has the same when it starts. */
export function drawExercises(file: ClassFile): GivenExercise[] {
  const directory = classDirectory(file.name);
  makeDirectorySync(directory, 0o700);
  return exercisesOf(file, directory);
}

/** Persons of roster and file are made known, and those without a code get one: told here, kept as a hash. */
async function admitAll({ book }: Room, file: ClassFile, anew: boolean): Promise<GivenLink[]> {
  const all = [
    ...file.teachers.map((one) => ({ ...one, role: 'teacher' as const })),
    ...file.students.map((one) => ({ ...one, role: 'student' as const })),
  ];
  const links: GivenLink[] = [];
  for (const { id, name, role } of all) {
    const known = book.state.persons.get(id);
    if (known?.name !== name || known.role !== role) void book.append({ type: 'person:known', person: id, name, role });
    if (known?.code && !anew) continue;
    const code = newCode();
    void book.append({ type: 'person:code', person: id, code: hashOf(normalCode(code)) });
    links.push({ person: id, name, role, code });
  }
  await book.flush();
  return links;
}

/**
 * Writes the links that were just given, with those of before that are good still, for pages that stand at `url` now. The file's
 * path, `null` where nobody got a new one.
 */
function writeLinks(directory: string, url: string, { book }: Room, links: readonly GivenLink[]): string | null {
  const path = join(directory, linksName);
  const before = existsSync(path) ? linksIn(readFileSync(path, 'utf8'), book.state.persons) : [];
  const given = new Set(links.map(({ person }) => person));
  const all = [...before.filter(({ person }) => !given.has(person)), ...links];
  if (all.length > 0) writeFileSync(path, linksCsv(url, all), { mode: 0o600 });
  return links.length > 0 ? path : null;
}

export interface StartOptions {
  /** Everybody gets a new code; the former ones are good no more. */
  newLinks: boolean;
  version: string;
  warn(text: string): void;
}

export interface StartedClass {
  url: string;
  room: Room;
  classroom: Classroom;
  /** Of those who got a code just now. */
  links: readonly GivenLink[];
  /** File with those links; `null` where nobody got one. */
  linksFile: string | null;
  directory: string;
  /** Ends the server; labs and terminals stay. */
  end(): Promise<void>;
}

/**
 * Starts a class, or goes on with it where it was.
 *
 * @throws NETRIG_CLASS_FILE, NETRIG_CLASS_RUNNING, NETRIG_CLASS_RECORD, NETRIG_CLASS_LISTEN.
 */
export async function startClass(file: ClassFile, options: StartOptions): Promise<StartedClass> {
  const directory = classDirectory(file.name);
  makeDirectorySync(directory, 0o700);
  const exercises = exercisesOf(file, directory);
  hold(directory, file.file);
  const free = (): void => rmSync(join(directory, holdingName), { force: true });
  try {
    const classroom = createClassroom({
      title: file.title,
      directory,
      exercises,
      students: file.students,
      limits: file.limits,
      isolation: 'users',
      provider: 'local',
      solo: false,
      warn: options.warn,
    });
    const { room } = classroom;
    void room.book.append({ type: 'class:started', class: file.name, netrig: options.version, pid: process.pid });
    const links = await admitAll(room, file, options.newLinks);
    const server = await serveClass({ room, listen: file.listen, name: file.name });
    sayUrl(directory, file.file, server.url);
    // What was left is taken up while pages are answered already.
    const begun = classroom.begin().catch((error: unknown) => options.warn(messageOf(error)));
    return {
      url: server.url,
      room,
      classroom,
      links,
      linksFile: writeLinks(directory, server.url, room, links),
      directory,
      async end() {
        await server.close();
        await begun;
        await classroom.close();
        await room.book.append({ type: 'class:ended' });
        await room.book.close();
        free();
      },
    };
  } catch (error) {
    free();
    throw error;
  }
}

/** Time that a class process has to end, ms. */
const endMs = 60_000;

/**
 * Ends a class for good: its process, its labs, its terminals. The record stays, and the grades are written beside it.
 *
 * @returns Where the grades are.
 */
export async function stopClass(file: ClassFile, options: { warn(text: string): void }): Promise<string> {
  const directory = classDirectory(file.name);
  if (!existsSync(join(directory, recordName))) throw neverStarted(file);
  const holding = holderOf(directory);
  if (holding) {
    signalProcess(holding.holder, 'SIGTERM');
    if ((await waitUntilGone([holding.holder], endMs)).length > 0)
      throw new NetrigError(
        'NETRIG_CLASS_RUNNING',
        `Process ${holding.holder.pid}, which holds the class, does not end.`,
      );
  }
  const exercises = exercisesOf(file, directory);
  hold(directory, file.file);
  try {
    const classroom = createClassroom({
      title: file.title,
      directory,
      exercises,
      students: file.students,
      limits: { ...file.limits, reserve: 0 },
      isolation: 'users',
      provider: 'local',
      solo: false,
      warn: options.warn,
    });
    await classroom.room.pool.recover();
    await classroom.close();
    await classroom.clear();
    const grades = join(directory, 'grades');
    writeGrades(grades, { state: classroom.room.book.state, students: file.students, exercises });
    await classroom.room.book.close();
    return grades;
  } finally {
    rmSync(join(directory, holdingName), { force: true });
  }
}

/** Grades from the record alone, with points and tasks as the files have them now. @throws NETRIG_CLASS_RUNNING, NETRIG_CLASS_RECORD. */
export function recordedGrades(file: ClassFile): GradingOptions & { exercises: readonly GivenExercise[] } {
  const directory = classDirectory(file.name);
  const path = join(directory, recordName);
  if (!existsSync(path)) throw neverStarted(file);
  const text = readFileSync(path, 'utf8');
  // A class that runs may be writing its last line just now.
  const state = stateOf(parseRecord(text.slice(0, text.lastIndexOf('\n') + 1), path));
  const exercises = exercisesOf(file, directory);
  for (const { settings, example } of exercises) {
    const tasks = knownTasks(example);
    // As the class itself writes it down when it starts: here nothing is written.
    if (hasOtherTasks(state, settings.id, tasks))
      applyEvent(state, { v: 1, n: state.n, t: '', type: 'exercise:tasks', exercise: settings.id, tasks });
  }
  return { state, students: file.students, exercises };
}

/** What editing exercises did to hand-ins of before, for the teacher. */
export function editedSince({
  state,
  exercises,
}: {
  state: ClassState;
  exercises: readonly GivenExercise[];
}): string[] {
  return exercises.flatMap((given) => editedSentences(state, given));
}
