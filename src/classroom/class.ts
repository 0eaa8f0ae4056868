import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { orderAt, takeOrdersAt } from '../lab/order-socket.js';
import { isAlive, ownIdentity, signalProcess, waitUntilGone, type ProcessIdentity } from '../lab/process.js';
import { labsDirectory } from '../lab/store.js';
import { admitAll, newLinkFor, writeLinks } from './admission.js';
import { openBook } from './book.js';
import type { ClassFile } from './class-file.js';
import { createClassroom, recordName, type Classroom } from './classroom.js';
import { loadExercise, type GivenExercise } from './exercises.js';
import { writeGrades } from './grade-files.js';
import type { GradingOptions } from './grades.js';
import type { GivenLink } from './links.js';
import { openRecord, parseRecord } from './record.js';
import type { Room } from './room.js';
import { addressOf, serveClass } from './server.js';
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
const ordersName = 'orders.sock';

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

/** What others of the same user ask of the process that holds a class. */
interface ClassOrder {
  do: 'new-link';
  person: string;
}

interface NewLink {
  link: GivenLink;
  /** Where the pages of the class stand. */
  url: string;
}

function takeClassOrders(
  directory: string,
  warn: (text: string) => void,
  newLink: (person: string) => Promise<GivenLink>,
): { close(): void } {
  // Of a process that was killed: this one holds the class now.
  rmSync(join(directory, ordersName), { force: true });
  return takeOrdersAt(
    { directory, socket: ordersName },
    ({ person }: ClassOrder) => newLink(person),
    (error) => warn(`netrig class link cannot reach this class: ${messageOf(error)}`),
  );
}

/** For the process that holds a class to answer, ms. */
const answerMs = 30_000;

/**
 * Gives one person a new link, whether the class runs or not. Theirs of before is good no more.
 *
 * @throws NETRIG_USAGE where the class has nobody of that id; NETRIG_CLASS_RUNNING, NETRIG_CLASS_RECORD.
 */
export async function giveNewLink(
  file: ClassFile,
  person: string,
  { warn }: { warn(text: string): void },
): Promise<NewLink> {
  const directory = classDirectory(file.name);
  if (!existsSync(join(directory, recordName))) throw neverStarted(file);
  const address = addressOf(file.listen, file.listen.port);
  const holding = holderOf(directory);
  if (holding) {
    const order: ClassOrder = { do: 'new-link', person };
    const place = { directory, socket: ordersName };
    try {
      const link = await orderAt<ClassOrder, GivenLink>(place, order, AbortSignal.timeout(answerMs));
      return { link, url: holding.url ?? address };
    } catch (error) {
      if (error instanceof NetrigError) throw error;
      throw new NetrigError(
        'NETRIG_CLASS_RUNNING',
        `Process ${holding.holder.pid}, which holds the class, does not answer.`,
        { hint: 'It may just be starting or ending; try again.', cause: error },
      );
    }
  }
  hold(directory, file.file);
  try {
    const book = openBook(openRecord(join(directory, recordName)));
    const link = await newLinkFor(book, person, { directory, url: address, warn });
    await book.close();
    return { link, url: address };
  } finally {
    release(directory);
  }
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
  // Of a `stop` that was killed.
  rmSync(join(directory, stoppingName), { force: true });
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
    const links = await admitAll(room.book, file, options.newLinks);
    let url = '';
    const newLink = (person: string): Promise<GivenLink> =>
      newLinkFor(room.book, person, { directory, url, warn: options.warn });
    const server = await serveClass({ room, listen: file.listen, name: file.name, newLink });
    ({ url } = server);
    const orders = takeClassOrders(directory, options.warn, newLink);
    sayUrl(directory, file.file, url);
    // What was left is taken up while pages are answered already.
    const begun = classroom.begin().catch((error: unknown) => options.warn(messageOf(error)));
    return {
      url,
      room,
      classroom,
      links,
      linksFile: writeLinks(directory, url, room.book, links),
      directory,
      async end() {
        orders.close();
        await server.close(existsSync(join(directory, stoppingName)));
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

/** A file in the class’s directory: who ends the server now ends the class for good, and open pages are told so. */
const stoppingName = 'stopping';

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
    const stopping = join(directory, stoppingName);
    writeFileSync(stopping, '');
    signalProcess(holding.holder, 'SIGTERM');
    const left = await waitUntilGone([holding.holder], endMs);
    rmSync(stopping, { force: true });
    if (left.length > 0)
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
