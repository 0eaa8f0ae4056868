import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { ResourceLimits } from '../model/size.js';
import type { IsolationWish } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';
import type { ClaimView } from './api.js';
import { openBook, type ClassBook } from './book.js';
import type { ClassEvent } from './events.js';
import type { GivenExercise } from './exercises.js';
import { resumeResets } from './host-reset.js';
import { createLabPool } from './labs.js';
import { createPlaces } from './places.js';
import { openRecord } from './record.js';
import { exerciseFor, type Room } from './room.js';
import { createRounds } from './rounds.js';
import { advanceStage } from './stages.js';
import { workOf } from './state.js';
import { hasOtherTasks, knownTasks } from './tasks.js';
import { openTerminals } from './terminals.js';
import { askRound } from './student.js';
import { closesAt, isOpen } from './timing.js';
import { makeDirectorySync } from '../model/directory.js';

export interface ClassroomOptions {
  title: string;
  /** Where everything of the class is kept: record, recordings, the socket of its terminals. */
  directory: string;
  exercises: readonly GivenExercise[];
  students: readonly { id: string; name: string }[];
  limits: { labs: number; starting: number; rounds: number; reserve: number; lab: ResourceLimits };
  isolation: IsolationWish;
  provider: string;
  solo: boolean;
  /** Sentences that a step or check is about, by what it covers. */
  claims?(covers: readonly string[]): ClaimView[];
  warn(text: string): void;
}

export interface Classroom {
  room: Room;
  /** Takes up what was left when the process ended last, and begins to work. */
  begin(): Promise<void>;
  /** Stops working. Labs and terminals that are up stay; the record says all. */
  close(): Promise<void>;
  /** Takes every lab away, and ends the terminals; after `close`. */
  clear(): Promise<void>;
}

export const recordName = 'record.jsonl';

/** After the last line that was typed, ms, and between two looks at the same lab. */
const quietMs = 3000;
const betweenWatchesMs = 12_000;
/** Between two looks at which labs have a page that is open, ms. */
const placesMs = 4000;

export function createClassroom(options: ClassroomOptions): Classroom {
  for (const part of ['casts', 'rounds']) makeDirectorySync(join(options.directory, part), 0o700);
  const book = openBook(openRecord(join(options.directory, recordName)));
  for (const { settings, example } of options.exercises) {
    const tasks = knownTasks(example);
    if (hasOtherTasks(book.state, settings.id, tasks))
      void book.append({ type: 'exercise:tasks', exercise: settings.id, tasks });
  }
  const ending = new AbortController();
  const room = roomOf(options, book, ending.signal);
  const watching = watcherOf(room);
  const timer = setInterval(() => lookAtPlaces(room), placesMs).unref();
  const clock = setInterval(() => handInAtTheEnd(room), clockMs).unref();
  book.onEvent((event) => afterEvent(room, event));

  return {
    room,
    async begin() {
      await room.pool.recover();
      resumeResets(room);
      room.pool.wake();
      room.rounds.wake();
    },
    async close() {
      ending.abort();
      clearInterval(timer);
      clearInterval(clock);
      watching.stop();
      await Promise.all([room.pool.close(), room.rounds.close()]);
      await room.places.close();
      room.terminals.close();
      await book.flush();
    },
    async clear() {
      await room.terminals.quit();
      const labs = [...book.state.labs.values()].filter(({ state }) => state === 'up');
      await Promise.all(labs.map(({ key }) => room.pool.end(key, 'the class ended')));
      await book.flush();
    },
  };
}

function roomOf(options: ClassroomOptions, book: ClassBook, ending: AbortSignal): Room {
  const exercises = new Map(options.exercises.map((one) => [one.settings.id, one]));
  const listeners: ((person: string | null, exercise: string | null) => void)[] = [];
  const changed: Room['changed'] = (person, exercise) => {
    for (const listener of listeners) listener(person, exercise);
  };
  const ownerOf = (key: string): void => {
    for (const work of book.state.works.values()) if (work.lab === key) changed(work.person, work.exercise);
  };
  const exercise = (id: string, person: string | null) => {
    const given = exercises.get(id)!;
    return person === null ? given.example : given.of(person);
  };
  const pool = createLabPool({
    book,
    labs: options.limits.labs,
    starting: options.limits.starting,
    reserve: options.limits.reserve,
    limits: options.limits.lab,
    isolation: options.isolation,
    provider: options.provider,
    exercise,
    open: () =>
      options.exercises
        .filter(
          ({ settings }) => isOpen(settings, Date.now()) && (settings.closes === null || settings.closes > Date.now()),
        )
        .map(({ settings, personal }) => ({ id: settings.id, personal })),
    students: options.students.map(({ id }) => id),
    onEnd: (lab) => room.terminals.forget(lab),
    onProgress: changed,
    warn: options.warn,
  });
  const room: Room = {
    title: options.title,
    solo: options.solo,
    resetsHosts: providerNamed(options.provider).resetsHosts === true,
    ending,
    claims: options.claims ?? (() => []),
    book,
    pool,
    rounds: createRounds({
      book,
      atOnce: options.limits.rounds,
      directory: join(options.directory, 'rounds'),
      exercise,
      running: (key) => pool.running(key),
      session: (key) => room.places.session(key),
      onProgress: ({ person, exercise: id }) => changed(person, id),
      onPutOff: (person, id) => room.typed(person, id),
    }),
    places: createPlaces((key) => pool.running(key), ownerOf),
    terminals: openTerminals(join(options.directory, 'terminals')),
    exercises,
    students: options.students,
    online: new Map(),
    looking: new Set(),
    stepping: new Map(),
    casts: join(options.directory, 'casts'),
    typed: () => undefined,
    warn: options.warn,
    changed,
    onChange: (listener) => void listeners.push(listener),
  };
  return room;
}

/** What an event sets going. */
function afterEvent(room: Room, event: ClassEvent): void {
  switch (event.type) {
    case 'lab:wanted':
    case 'lab:unwanted':
    case 'lab:made':
      setImmediate(() => room.pool.wake());
      break;
    case 'lab:given':
      void room.places.look(event.key);
      break;
    case 'lab:ended':
      void room.places.forget(event.key);
      break;
    case 'host:reset':
      void room.places.look(event.key);
      setImmediate(() => room.rounds.wake());
      break;
    case 'round:asked':
      setImmediate(() => room.rounds.wake());
      break;
    case 'round:judged': {
      const round = room.book.state.rounds.get(event.round);
      if (round) afterJudged(room, round.person, round.exercise, event.t);
      break;
    }
    case 'watched':
      afterJudged(room, event.person, event.exercise, event.t);
      break;
    default:
  }
}

/** Tasks that turned green are marked on the recordings; the next stage is set up where all of one are. */
function afterJudged(room: Room, person: string, id: string, at: string): void {
  const work = workOf(room.book.state, person, id);
  const lab = work.lab === null ? null : (room.book.state.labs.get(work.lab)?.lab ?? null);
  if (lab === null) return;
  for (const { id: task, title } of exerciseFor(room, id, person).checks) {
    const progress = work.tasks[task];
    if (progress?.verdict === 'pass' && progress.since === at) room.terminals.mark(lab, `passed: ${title}`);
  }
  void room.places.look(work.lab!);
  advanceStage(room, person, id).catch((error: unknown) => room.warn(messageOf(error)));
}

/** Looks at tasks by itself, a little after something was typed. */
function watcherOf(room: Room): { stop(): void } {
  const timers = new Map<string, NodeJS.Timeout>();
  const last = new Map<string, number>();
  room.typed = (person, id) => {
    const key = `${person}\n${id}`;
    clearTimeout(timers.get(key));
    const wait = Math.max(quietMs, (last.get(key) ?? -Infinity) + betweenWatchesMs - performance.now());
    timers.set(
      key,
      setTimeout(() => {
        timers.delete(key);
        last.set(key, performance.now());
        const tasks = watchable(room, person, id);
        if (tasks.length > 0 && workOf(room.book.state, person, id).lab !== null) room.rounds.watch(person, id, tasks);
      }, wait),
    );
  };
  return {
    stop() {
      for (const timer of timers.values()) clearTimeout(timer);
      room.typed = () => undefined;
    },
  };
}

/** Tasks that are shown, and whose checks change nothing in the lab. */
function watchable(room: Room, person: string, id: string): string[] {
  const exercise = exerciseFor(room, id, person);
  const shown = new Set(exercise.checks.filter(({ shown: when }) => when === 'always').map((check) => check.id));
  return exercise.scenario.items.flatMap((item) =>
    item.kind === 'check' && shown.has(item.id) && item.type.mayChange(item.spec) === null ? [item.id] : [],
  );
}

/** So long before the end, what nobody handed in is handed in for them, ms; and between two looks at the clock. */
const beforeEndMs = 2500;
const clockMs = 1000;

/** Who works until the last second, and has handed in nothing, is judged by what is there then. */
function handInAtTheEnd(room: Room): void {
  const now = Date.now();
  for (const work of room.book.state.works.values()) {
    if (work.lab === null || work.handIns.length > 0) continue;
    const given = room.exercises.get(work.exercise);
    if (!given || room.solo) continue;
    const closes = closesAt(room.book.state, work, given.settings, given.of(work.person).timeMs);
    if (closes === null || now >= closes || now < closes - beforeEndMs) continue;
    askRound(room, work.person, work.exercise, 'hand-in').catch((error: unknown) => room.warn(messageOf(error)));
  }
}

/** Engines are followed while a page of whose lab it is looks, or a teacher does. */
function lookAtPlaces(room: Room): void {
  const looked = new Set([...room.looking].map(({ whose, exercise }) => `${whose}\n${exercise}`));
  for (const { person, exercise, lab } of room.book.state.works.values()) {
    if (lab === null) continue;
    if ((room.online.get(person) ?? 0) > 0 || looked.has(`${person}\n${exercise}`)) room.places.follow(lab);
    else room.places.rest(lab);
  }
}
