import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { Exercise } from '../exercise/exercise.js';
import { keepSavedValues } from '../lab/store.js';
import type { Outcome } from '../model/verdict.js';
import type { RunningLab } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';
import { createScenarioRun } from '../run/scenario-run.js';
import type { ScenarioItem } from '../scenario/scenario.js';
import type { ClassBook } from './book.js';
import type { JudgedTask } from './events.js';
import type { Round } from './state.js';
import { workOf } from './state.js';

export interface RoundsOptions {
  book: ClassBook;
  /** Rounds at once. */
  atOnce: number;
  /** Where files of checks go while a round runs. */
  directory: string;
  exercise(id: string, person: string): Exercise;
  running(key: string): Promise<RunningLab>;
  onProgress(round: Round): void;
}

/** Rounds of checks: each is asked for in the record, waits its turn, and is judged on the lab as it is then. */
export interface Rounds {
  wake(): void;
  /** Looks at tasks because something may have changed, where nobody waits for a round. Only what changed is written down. */
  watch(person: string, exercise: string, tasks: string[]): void;
  /** How many come before it, and how far it is. */
  standing(round: Round): { before: number; done: number };
  /** Waits for what runs; what waits stays in the record. */
  close(): Promise<void>;
}

/** What of an outcome a class keeps. */
export function judgedTask(
  { verdict, cause, reason, expected, actual, diagnosis }: Outcome,
  durationMs: number,
): JudgedTask {
  return {
    verdict,
    ...(cause ? { cause } : {}),
    ...(diagnosis?.rootCause ? { rootCause: diagnosis.rootCause } : {}),
    reason,
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    ...(diagnosis ? { why: { sentence: diagnosis.sentence, mend: diagnosis.mend }, way: diagnosis.way } : {}),
    durationMs: Math.round(durationMs),
  };
}

/** The outcome again, as far as it was kept: for grading. */
export function outcomeOf(judged: JudgedTask): Outcome {
  const { verdict, cause, reason, expected, actual, rootCause, why, way } = judged;
  return {
    verdict,
    ...(cause ? { cause } : {}),
    reason,
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    ...(why
      ? {
          diagnosis: {
            sentence: why.sentence,
            mend: why.mend,
            rootCause: rootCause ?? null,
            way: way ?? [],
            back: [],
            evidence: [],
            unlooked: [],
          },
        }
      : {}),
  };
}

export interface PerformOptions {
  /** Where files go. */
  directory: string;
  signal: AbortSignal;
  /** Called when an item is done. */
  onDone?(item: ScenarioItem, outcome: Outcome): void;
}

/** Performs items of an exercise on a lab that is up: checks, or further steps. Resolves to the outcomes by the items' ids. */
export async function performOn(
  lab: RunningLab,
  exercise: Exercise,
  wanted: (item: ScenarioItem) => boolean,
  { directory, signal, onDone }: PerformOptions,
): Promise<Map<string, { outcome: Outcome; durationMs: number }>> {
  const scenario = {
    ...exercise.scenario,
    items: exercise.scenario.items.filter(wanted),
    // What hosts' engines are declared to have was made when the lab came up.
    hosts: exercise.scenario.hosts.map((host) => ({ ...host, docker: { networks: {}, containers: {} } })),
  };
  const run = createScenarioRun(scenario, {
    provider: providerNamed(lab.record.provider),
    emit: () => undefined,
    runDir: directory,
    signal,
    existing: lab,
    furtherSteps: true,
    onSaved: (running, values) => keepSavedValues(running.id, values),
  });
  const outcomes = new Map<string, { outcome: Outcome; durationMs: number }>();
  try {
    for (const item of run.items) {
      const begin = performance.now();
      const outcome = await run.perform(item.id);
      outcomes.set(item.id, { outcome, durationMs: performance.now() - begin });
      onDone?.(item, outcome);
    }
  } finally {
    await run.leave();
  }
  return outcomes;
}

export function createRounds(options: RoundsOptions): Rounds {
  const { book } = options;
  const under = new Map<string, { round: Round; done: number; over: Promise<void> }>();
  const abort = new AbortController();
  let closed = false;

  /** What waits, in its order. */
  const waiting = (): Round[] => [...book.state.waiting].filter((round) => !under.has(round.id));
  const busy = ({ person, exercise }: Round): boolean =>
    [...under.values()].some(({ round }) => round.person === person && round.exercise === exercise);

  function wake(): void {
    if (closed) return;
    for (const round of waiting()) {
      if (under.size >= options.atOnce) return;
      if (busy(round)) continue;
      const entry = { round, done: 0, over: Promise.resolve() };
      under.set(round.id, entry);
      entry.over = judge(round, entry)
        .catch((error: unknown) => {
          if (!abort.signal.aborted)
            return book.append({ type: 'round:broken', round: round.id, message: messageOf(error) });
        })
        .finally(() => {
          under.delete(round.id);
          wake();
        });
    }
  }

  /** What the tasks of a round come to; `null` where the class ends meanwhile. */
  async function look(round: Round, onDone: () => void): Promise<Record<string, JudgedTask> | null> {
    const { lab: key } = workOf(book.state, round.person, round.exercise);
    if (key === null) throw new Error('There is no lab to look at.');
    const lab = await options.running(key);
    const exercise = options.exercise(round.exercise, round.person);
    const wanted = new Set(round.tasks);
    const directory = join(options.directory, round.id);
    try {
      const outcomes = await performOn(lab, exercise, (item) => item.kind === 'check' && wanted.has(item.id), {
        directory,
        signal: abort.signal,
        onDone,
      });
      // Of a lab that was replaced meanwhile nothing is known by this.
      if (abort.signal.aborted || workOf(book.state, round.person, round.exercise).lab !== key) return null;
      return Object.fromEntries(
        [...outcomes].map(([id, { outcome, durationMs }]) => [id, judgedTask(outcome, durationMs)]),
      );
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async function judge(round: Round, entry: { done: number }): Promise<void> {
    const results = await look(round, () => {
      entry.done += 1;
      options.onProgress(round);
    });
    if (results) await book.append({ type: 'round:judged', round: round.id, results });
    else if (!abort.signal.aborted) throw new Error('The lab was replaced while it was looked at.');
  }

  async function watch(round: Round): Promise<void> {
    const results = await look(round, () => undefined);
    const before = workOf(book.state, round.person, round.exercise).tasks;
    const changed = Object.entries(results ?? {}).filter(([task, { verdict }]) => before[task]?.verdict !== verdict);
    if (changed.length > 0)
      await book.append({
        type: 'watched',
        person: round.person,
        exercise: round.exercise,
        results: Object.fromEntries(changed),
      });
  }

  return {
    wake,
    watch(person, exercise, tasks) {
      const round: Round = {
        id: `watch-${randomBytes(6).toString('hex')}`,
        person,
        exercise,
        kind: 'watch',
        tasks,
        at: new Date().toISOString(),
        state: 'waiting',
        results: {},
        decided: {},
        message: null,
      };
      if (closed || under.size >= options.atOnce || busy(round) || waiting().length > 0) return;
      const entry = { round, done: 0, over: Promise.resolve() };
      under.set(round.id, entry);
      entry.over = watch(round)
        .catch(() => undefined)
        .finally(() => {
          under.delete(round.id);
          wake();
        });
    },
    standing(round) {
      const running = under.get(round.id);
      if (running) return { before: 0, done: running.done };
      return { before: under.size + waiting().findIndex(({ id }) => id === round.id), done: 0 };
    },
    async close() {
      closed = true;
      abort.abort();
      await Promise.all([...under.values()].map(({ over }) => over));
    },
  };
}
