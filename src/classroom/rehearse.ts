import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { freemem, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors.js';
import { whenSolved, atStart } from '../exercise/views.js';
import type { Exercise } from '../exercise/exercise.js';
import type { ClassFile } from './class-file.js';
import { createClassroom } from './classroom.js';
import { loadExercise, type GivenExercise } from './exercises.js';
import { gradeHandIn } from './grades.js';
import { performOn } from './rounds.js';
import type { Room } from './room.js';
import { workOf } from './state.js';
import { sumOf, useOfLab, useOfProcess, type Use } from './machine-use.js';
import { askRound, wantLab } from './student.js';

export interface RehearsedStudent {
  exercise: string;
  student: string;
  /** From wanting a lab to having it, ms. */
  startMs: number;
  solveMs: number;
  /** From handing in to the verdicts, with the wait for its turn, ms. */
  judgeMs: number;
  points: number;
  of: number;
  undecided: number;
  /** What went wrong; `null`: nothing. */
  problem: string | null;
}

export interface Rehearsal {
  students: RehearsedStudent[];
  /** Bytes of the machine’s memory: all, least that was available, and what an idle lab with its holder takes on average. */
  memory: { total: number; least: number; each: number };
  /**
   * `busy`: of all processors together, 0 to 1, on average, with all else that runs here. `idle`: of one processor, what the labs
   * with their holders and the class take while nobody does anything.
   */
  cpu: { busy: number; idle: number };
  /** What is met first when there are more students, and at how many; `null`: it was not met by far. */
  firstLimit: { what: string; at: number } | null;
}

export interface RehearseOptions {
  students: number;
  warn(text: string): void;
  progress(text: string): void;
  signal: AbortSignal;
}

/** Solutions that are typed at once: students do not all type in the same second. */
const solvingAtOnce = 8;
/** Within so long all hand in, evenly, ms: nor do they all press a button in the same second. */
const handingInMs = 10_000;
/** For what the boot left to do, ms; and how long nobody does anything while the processors are looked at. */
const settleMs = 30_000;
/** Between two looks at the memory that is left, ms. */
const memoryMs = 500;
const restMs = 20_000;

/** Ticks of all processors that were not idle, and all of them. From proc_stat(5): user nice system idle iowait … */
function ticks(): { busy: number; all: number } {
  const numbers = readFileSync('/proc/stat', 'latin1').split('\n')[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = numbers.reduce((sum, one) => sum + one, 0);
  return { busy: all - numbers[3]! - numbers[4]!, all };
}

function share(from: ReturnType<typeof ticks>, to: ReturnType<typeof ticks>): number {
  return to.all === from.all ? 0 : (to.busy - from.busy) / (to.all - from.all);
}

/** MemAvailable of proc_meminfo(5), bytes. */
function available(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'));
  return match ? Number(match[1]) * 1024 : freemem();
}

async function until(what: string, holds: () => boolean, signal: AbortSignal): Promise<void> {
  while (!holds()) {
    if (signal.aborted) throw new Error(`interrupted while waiting for ${what}`);
    await delay(50);
  }
}

async function solve(room: Room, exercise: Exercise, lab: string, signal: AbortSignal): Promise<void> {
  const done = new Set(atStart(exercise.scenario).items.map(({ id }) => id));
  const wanted = new Set(whenSolved(exercise.scenario).items.map(({ id }) => id));
  const running = await room.pool.running(lab);
  const outcomes = await performOn(
    running,
    exercise,
    (item) => item.kind === 'step' && !item.last && wanted.has(item.id) && !done.has(item.id),
    { directory: room.casts, signal },
  );
  const failed = [...outcomes.values()].find(({ outcome }) => outcome.verdict !== 'pass');
  if (failed) throw new Error(`the solution failed: ${failed.outcome.reason}`);
}

/** At most `most` at once; the others wait. */
function gate(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let under = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (under >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    under += 1;
    try {
      return await work();
    } finally {
      under -= 1;
      waiting.shift()?.();
    }
  };
}

interface Turns {
  /** Somebody has done all that comes before, or gave up. */
  done(): void;
  /** Waits until all have, and then for one’s own moment. */
  mine(): Promise<void>;
}

function handInTurns(students: number, signal: AbortSignal): Turns {
  let open = (): void => undefined;
  const all = new Promise<void>((resolve) => (open = resolve));
  let [ready, next] = [0, 0];
  const done = (): void => {
    ready += 1;
    if (ready === students) open();
  };
  return {
    done,
    async mine() {
      const turn = next++;
      done();
      await all;
      await delay((handingInMs * turn) / students, undefined, { signal });
    },
  };
}

async function act(
  room: Room,
  given: GivenExercise,
  student: string,
  through: ReturnType<typeof gate>,
  signal: AbortSignal,
  allUp: Promise<void>,
  turns: Turns,
  up: () => void,
): Promise<RehearsedStudent> {
  const id = given.settings.id;
  const told: RehearsedStudent = {
    exercise: id,
    student,
    startMs: 0,
    solveMs: 0,
    judgeMs: 0,
    points: 0,
    of: 0,
    undecided: 0,
    problem: null,
  };
  let reported = false;
  let solved = false;
  const report = (): void => {
    if (!reported) up();
    reported = true;
  };
  try {
    const begin = performance.now();
    await wantLab(room, student, id, null, false);
    const work = (): ReturnType<typeof workOf> => workOf(room.book.state, student, id);
    await until('a lab', () => work().lab !== null || work().failed !== null, signal);
    if (work().lab === null) throw new Error(work().failed ?? 'no lab');
    told.startMs = performance.now() - begin;
    report();
    await allUp;
    const solving = performance.now();
    await through(() => solve(room, given.of(student), work().lab!, signal));
    told.solveMs = performance.now() - solving;
    solved = true;
    await turns.mine();
    const asked = performance.now();
    await askRound(room, student, id, 'hand-in');
    const round = room.book.state.rounds.get(work().handIns.at(-1)!)!;
    await until('verdicts', () => round.state !== 'waiting', signal);
    told.judgeMs = performance.now() - asked;
    if (round.state === 'broken') throw new Error(round.message ?? 'the round broke');
    const graded = gradeHandIn(room.book.state, round, given.of(student), given.settings);
    Object.assign(told, { points: graded.points, of: graded.of, undecided: graded.undecided.length });
    const short = graded.tasks.find(({ verdict }) => verdict !== 'pass');
    if (short) told.problem = `${short.title}: ${short.verdict}: ${short.reason}`;
  } catch (error) {
    told.problem = messageOf(error);
  } finally {
    report();
    if (!solved) turns.done();
  }
  return told;
}

/** What the labs that are up take, with their holders and this process. */
function useNow(room: Room): { labs: Use; all: Use } {
  const up = [...room.book.state.labs.values()].flatMap(({ lab, state }) =>
    state === 'up' && lab !== null ? [lab] : [],
  );
  const labs = sumOf(up.map(useOfLab));
  return { labs, all: sumOf([labs, useOfProcess(process.pid)]) };
}

/** What more students would meet first, from what these took. */
function firstLimit(file: ClassFile, students: number, each: number, least: number): Rehearsal['firstLimit'] {
  const byMemory = each > 0 ? students + Math.floor(Math.max(0, least - totalmem() * 0.1) / each) : Infinity;
  const byLabs = file.limits.labs;
  if (byLabs <= byMemory) return { what: '`limits: { labs }` of the class', at: byLabs };
  return Number.isFinite(byMemory) ? { what: 'memory of this machine', at: byMemory } : null;
}

/**
 * Goes through an exercise with as many students as are asked for, at once: boots, solves, hands in, judges. Its own record and
 * labs are taken away afterwards.
 */
export async function rehearse(file: ClassFile, exercise: string, options: RehearseOptions): Promise<Rehearsal> {
  const directory = mkdtempSync(join(tmpdir(), 'netrig-rehearse-'));
  const names = Array.from({ length: options.students }, (_, index) => `student-${String(index + 1).padStart(3, '0')}`);
  const settings = { ...file.exercises.find(({ id }) => id === exercise)!, opens: null, closes: null, late: null };
  const given = loadExercise(settings, names, 'rehearsal');
  const classroom = createClassroom({
    title: file.title,
    directory,
    exercises: [given],
    students: names.map((id) => ({ id, name: id })),
    limits: { ...file.limits, labs: Math.max(file.limits.labs, options.students), reserve: 0 },
    isolation: 'users',
    provider: 'local',
    solo: false,
    warn: options.warn,
  });
  const { room } = classroom;
  let least = available();
  const watch = setInterval(() => (least = Math.min(least, available())), memoryMs);
  const first = ticks();
  let idle = 0;
  let each = 0;
  try {
    await classroom.begin();
    let up = 0;
    let release = (): void => undefined;
    const allUp = new Promise<void>((resolve) => (release = resolve));
    const rest = async (): Promise<void> => {
      options.progress(`${names.length} labs are up; nobody does anything for ${(settleMs + restMs) / 1000} s`);
      // What the boot left to do is done first.
      await delay(settleMs);
      const from = useNow(room);
      each = from.labs.memory / names.length;
      await delay(restMs);
      idle = (useNow(room).all.cpuMs - from.all.cpuMs) / restMs;
    };
    const through = gate(solvingAtOnce);
    const turns = handInTurns(names.length, options.signal);
    const students = await Promise.all(
      names.map((student) =>
        act(room, given, student, through, options.signal, allUp, turns, () => {
          up += 1;
          if (up % 5 === 0) options.progress(`${up} of ${names.length} labs are up`);
          if (up === names.length)
            void rest()
              .catch((error: unknown) => options.warn(messageOf(error)))
              .finally(release);
        }),
      ),
    );
    return {
      students,
      memory: { total: totalmem(), least, each },
      cpu: { busy: share(first, ticks()), idle },
      firstLimit: firstLimit(file, options.students, each, least),
    };
  } finally {
    clearInterval(watch);
    await classroom.close();
    await classroom.clear();
    await room.book.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
