import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { forgetDiagnoses } from '../diagnosis/diagnose.js';
import { messageOf } from '../errors.js';
import type { Exercise } from '../exercise/exercise.js';
import { keepSavedValues } from '../lab/store.js';
import type { Outcome } from '../model/verdict.js';
import type { RunningLab } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';
import { judgedText } from '../report/wording.js';
import { createScenarioRun } from '../run/scenario-run.js';
import type { ScenarioItem } from '../scenario/scenario.js';
import type { LabSession } from '../session/session.js';
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
  /** Connections to a lab's hosts that stay open between rounds. */
  session(key: string): Promise<LabSession>;
  onProgress(round: Round): void;
  /** Nobody looked at it, since there was somebody who waits for a round: it may be tried again. */
  onPutOff(person: string, exercise: string): void;
  /** Default: `performOn`. */
  perform?: typeof performOn;
}

/** Rounds of checks: each is asked for in the record, waits its turn, and is judged on the lab as it is then. */
export interface Rounds {
  wake(): void;
  /**
   * Looks at tasks because something may have changed, where nobody waits for a round. Only what changed is written down. Who asks
   * for a round meanwhile goes first: this one is given up.
   */
  watch(person: string, exercise: string, tasks: string[]): void;
  /** How many come before it, and how far it is. */
  standing(round: Round): { before: number; done: number };
  /** Waits for what runs; what waits stays in the record. */
  close(): Promise<void>;
}

/** What of an outcome a class keeps. */
export function judgedTask(outcome: Outcome, durationMs: number): JudgedTask {
  const { verdict, cause, reason, expected, actual, diagnosis } = outcome;
  const measured = judgedText(outcome);
  return {
    verdict,
    ...(cause ? { cause } : {}),
    ...(diagnosis?.rootCause ? { rootCause: diagnosis.rootCause } : {}),
    reason,
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    ...(measured === '' ? {} : { measured }),
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
  /** Connections to use, which stay open; default: own ones. */
  session?: LabSession;
  /** What hosts' engines are declared to have is made, too. Default: it was when the lab came up. */
  declared?: boolean;
  /** Called when an item is done. */
  onDone?(item: ScenarioItem, outcome: Outcome): void;
}

/** By session, which stays as long as its lab: a host's engine is asked for its version once. */
const versionsOf = new WeakMap<LabSession, Map<string, Promise<string>>>();

function engineVersionsOf(session: LabSession | undefined): Map<string, Promise<string>> {
  const known = (session && versionsOf.get(session)) ?? new Map<string, Promise<string>>();
  if (session) versionsOf.set(session, known);
  return known;
}

/** Performs items of an exercise on a lab that is up: checks, or further steps. Resolves to the outcomes by the items' ids. */
export async function performOn(
  lab: RunningLab,
  exercise: Exercise,
  wanted: (item: ScenarioItem) => boolean,
  { directory, signal, session, declared = false, onDone }: PerformOptions,
): Promise<Map<string, { outcome: Outcome; durationMs: number }>> {
  const scenario = {
    ...exercise.scenario,
    items: exercise.scenario.items.filter(wanted),
    hosts: declared
      ? exercise.scenario.hosts
      : exercise.scenario.hosts.map((host) => ({ ...host, docker: { networks: {}, containers: {} } })),
  };
  const run = createScenarioRun(scenario, {
    provider: providerNamed(lab.record.provider),
    emit: () => undefined,
    runDir: directory,
    signal,
    existing: lab,
    furtherSteps: true,
    engineVersions: engineVersionsOf(session),
    ...(session ? { openSession: () => ({ ...session, close: () => Promise.resolve() }) } : {}),
    onSaved: (running, values) => keepSavedValues(running.id, values),
  });
  // Connections stay from round to round, and what is found out over them is kept: since then somebody has worked on the lab.
  forgetDiagnoses((session?.lab ?? lab).plan);
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
  return new RoundQueue(options);
}

interface Under {
  round: Round;
  /** Gives it up. */
  abort: AbortController;
  done: number;
  over: Promise<void>;
}

/** Ends what nobody asked for; answers whether it was that, and is ended now. */
function giveUp({ round, abort }: Under): boolean {
  if (round.kind !== 'watch' || abort.signal.aborted) return false;
  abort.abort();
  return true;
}

function unasked(person: string, exercise: string, tasks: string[]): Round {
  return {
    id: `watch-${randomBytes(6).toString('hex')}`,
    person,
    exercise,
    kind: 'watch',
    tasks,
    moreMinutes: 0,
    at: new Date().toISOString(),
    state: 'waiting',
    results: {},
    decided: {},
    message: null,
  };
}

class RoundQueue implements Rounds {
  private readonly under = new Map<string, Under>();
  private readonly abort = new AbortController();
  private closed = false;

  constructor(private readonly options: RoundsOptions) {}

  private get book(): ClassBook {
    return this.options.book;
  }

  /** What waits, in its order. */
  private waiting(): Round[] {
    return [...this.book.state.waiting].filter((round) => !this.under.has(round.id));
  }

  /** Whether the lab is not whole just now. */
  private resetting({ person, exercise }: Round): boolean {
    return workOf(this.book.state, person, exercise).resetting !== null;
  }

  /** What is under way on the same lab. */
  private inTheWay({ person, exercise }: Round): Under | undefined {
    return [...this.under.values()].find(({ round }) => round.person === person && round.exercise === exercise);
  }

  wake(): void {
    if (this.closed) return;
    for (const round of this.waiting()) {
      if (this.resetting(round)) continue;
      const before = this.inTheWay(round);
      const full = this.under.size >= this.options.atOnce;
      if (before) giveUp(before);
      else if (!full) this.run(round, (entry) => this.judge(round, entry));
      // What nobody waits for makes room; what comes next wakes this again.
      else if (![...this.under.values()].some(giveUp)) return;
    }
  }

  watch(person: string, exercise: string, tasks: string[]): void {
    if (this.closed) return;
    const round = unasked(person, exercise, tasks);
    const full = this.under.size >= this.options.atOnce || this.waiting().length > 0;
    if (full || this.resetting(round) || this.inTheWay(round)) return this.options.onPutOff(person, exercise);
    this.run(round, (entry) => this.see(round, entry));
  }

  private run(round: Round, work: (entry: Under) => Promise<void>): void {
    const entry: Under = { round, abort: new AbortController(), done: 0, over: Promise.resolve() };
    this.under.set(round.id, entry);
    entry.over = work(entry)
      .catch(async (error: unknown) => {
        if (!this.abort.signal.aborted && round.kind !== 'watch')
          await this.book.append({ type: 'round:broken', round: round.id, message: messageOf(error) });
      })
      .finally(() => {
        this.under.delete(round.id);
        if (entry.abort.signal.aborted && !this.closed) this.options.onPutOff(round.person, round.exercise);
        this.wake();
      });
  }

  /** What the tasks of a round come to; `null` where the class ends meanwhile, or the lab is another by then. */
  private async look(entry: Under, onDone: () => void): Promise<Record<string, JudgedTask> | null> {
    const { options } = this;
    const { round } = entry;
    const signal = AbortSignal.any([this.abort.signal, entry.abort.signal]);
    const labNow = (): string | null => workOf(this.book.state, round.person, round.exercise).lab;
    const key = labNow();
    if (key === null) throw new Error('There is no lab to look at.');
    const lab = await options.running(key);
    const exercise = options.exercise(round.exercise, round.person);
    const wanted = new Set(round.tasks);
    const directory = join(options.directory, round.id);
    try {
      const perform = options.perform ?? performOn;
      const outcomes = await perform(lab, exercise, (item) => item.kind === 'check' && wanted.has(item.id), {
        directory,
        signal,
        session: await options.session(key),
        onDone,
      });
      if (signal.aborted || labNow() !== key) return null;
      return Object.fromEntries(
        [...outcomes].map(([id, { outcome, durationMs }]) => [id, judgedTask(outcome, durationMs)]),
      );
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  private async judge(round: Round, entry: Under): Promise<void> {
    const results = await this.look(entry, () => {
      entry.done += 1;
      this.options.onProgress(round);
    });
    if (results) await this.book.append({ type: 'round:judged', round: round.id, results });
    else if (!this.abort.signal.aborted) throw new Error('The lab was replaced while it was looked at.');
  }

  private async see(round: Round, entry: Under): Promise<void> {
    const { person, exercise } = round;
    const results = (await this.look(entry, () => undefined)) ?? {};
    const before = workOf(this.book.state, person, exercise).tasks;
    const changed = Object.entries(results).filter(([task, { verdict }]) => before[task]?.verdict !== verdict);
    if (changed.length > 0)
      await this.book.append({ type: 'watched', person, exercise, results: Object.fromEntries(changed) });
  }

  standing(round: Round): { before: number; done: number } {
    const running = this.under.get(round.id);
    if (running) return { before: 0, done: running.done };
    // What nobody asked for is before nobody.
    const asked = [...this.under.values()].filter((one) => one.round.kind !== 'watch').length;
    return { before: asked + this.waiting().findIndex(({ id }) => id === round.id), done: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.abort.abort();
    await Promise.all([...this.under.values()].map(({ over }) => over));
  }
}
