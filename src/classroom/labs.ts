import { randomBytes } from 'node:crypto';
import { messageOf } from '../errors.js';
import { atStart } from '../exercise/views.js';
import type { Exercise } from '../exercise/exercise.js';
import { takeDown } from '../labs/down.js';
import { bringUp } from '../labs/up.js';
import { holderLife, listRecords, readRecord } from '../lab/store.js';
import type { RunEventBody } from '../model/events.js';
import type { ResourceLimits } from '../model/size.js';
import type { IsolationWish, LabRecord, RunningLab } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';
import type { Scenario } from '../scenario/scenario.js';
import type { ClassBook } from './book.js';
import type { LabState, Work } from './state.js';

export interface LabPoolOptions {
  book: ClassBook;
  /** How many labs at once, how many booting, how many in reserve for each exercise. */
  labs: number;
  starting: number;
  reserve: number;
  limits: ResourceLimits;
  isolation: IsolationWish;
  provider: string;
  exercise(id: string, person: string | null): Exercise;
  /** Exercises for which labs are kept in reserve just now. */
  open(): { id: string; personal: boolean }[];
  /** Students in the order of the roster. */
  students: readonly string[];
  /** A lab is about to be taken down. */
  onEnd(lab: string): void;
  /** What is told of a boot changed. */
  onProgress(person: string | null, exercise: string): void;
  warn(text: string): void;
}

/** Labs of a class: those that persons have, those in reserve, and who waits for one. */
export interface LabPool {
  /** Looks at what is wanted, and does what can be done now. */
  wake(): void;
  /** Labs of before: those that were not done, and those whose holder died, are taken away. */
  recover(): Promise<void>;
  /** Place in the queue from 1, `null` where it does not wait. */
  place(work: Work): { place: number; of: number } | null;
  /** What the lab that is being made for that work is at; `null`: none is. */
  progress(work: Work): string | null;
  running(key: string): Promise<RunningLab>;
  counts(): { up: number; starting: number; reserve: number; queued: number; limit: number };
  /** Takes a lab away for good. */
  end(key: string, why: string): Promise<void>;
  /** Ends what is being made, and looks no more. Labs that are up stay. */
  close(): Promise<void>;
}

/** Between two looks at whether holders live, ms. */
const lookMs = 3000;

const mark = '~';

/** The key in the title of a lab of a class; `null` for any other lab. */
export function keyOf(record: Pick<LabRecord, 'title'>): string | null {
  return /~([a-z0-9]{12})$/.exec(record.title)?.[1] ?? null;
}

/** The scenario as the lab of that key, with the limits of the class where it has any. */
function asLab(scenario: Scenario, key: string, limits: ResourceLimits): Scenario {
  const own = scenario.limits;
  const merged: ResourceLimits = {
    memory: limits.memory ?? own?.memory ?? null,
    pids: limits.pids ?? own?.pids ?? null,
    cpus: limits.cpus ?? own?.cpus ?? null,
    disk: own?.disk ?? null,
  };
  return { ...scenario, id: `${scenario.id}${mark}${key}`, limits: merged };
}

export function createLabPool(options: LabPoolOptions): LabPool {
  const { book } = options;
  const making = new Map<string, { what: string; abort: AbortController; done: Promise<void> }>();
  const ending = new Map<string, Promise<void>>();
  let closed = false;

  const live = (): LabState[] =>
    [...book.state.labs.values()].filter(({ state }) => state === 'making' || state === 'up');
  const given = (): Set<string> => new Set([...book.state.works.values()].flatMap(({ lab }) => lab ?? []));
  const free = (): LabState[] => {
    const had = given();
    return live().filter(({ key, state }) => state === 'up' && !had.has(key) && !ending.has(key));
  };
  const waiting = (): Work[] =>
    [...book.state.works.values()]
      .filter((work) => work.wanted !== null)
      .sort((one, other) => one.wanted!.n - other.wanted!.n);
  const fits = (lab: LabState, work: Work): boolean =>
    lab.exercise === work.exercise && lab.stage === work.wanted!.stage && (lab.person ?? work.person) === work.person;
  const makingFor = (work: Work): LabState | undefined =>
    live().find(
      (lab) => lab.state === 'making' && making.has(lab.key) && lab.person === work.person && fits(lab, work),
    );

  async function make(exercise: string, person: string | null, stage: string | null): Promise<void> {
    const key = randomBytes(6).toString('hex');
    const abort = new AbortController();
    void book.append({ type: 'lab:making', key, exercise, person, stage });
    const entry = { what: 'waits to be booted', abort, done: Promise.resolve() };
    making.set(key, entry);
    entry.done = bring(key, exercise, person, stage, entry)
      .catch((error: unknown) => {
        options.warn(`a lab of ${exercise} did not come up: ${messageOf(error)}`);
        if (!closed) void book.append({ type: 'lab:failed', key, message: messageOf(error) });
      })
      .finally(() => {
        making.delete(key);
        wake();
      });
  }

  async function bring(
    key: string,
    exercise: string,
    person: string | null,
    stage: string | null,
    entry: { what: string; abort: AbortController },
  ): Promise<void> {
    const { scenario } = options.exercise(exercise, person);
    const lab = await bringUp(asLab(atStart(scenario, stage), key, options.limits), {
      provider: providerNamed(options.provider),
      isolation: options.isolation,
      signal: entry.abort.signal,
      emit: (event) => {
        const what = whatOf(event);
        if (what === null || what === entry.what) return;
        entry.what = what;
        options.onProgress(person, exercise);
      },
    });
    await book.append({ type: 'lab:made', key, lab });
  }

  /** A lab that is ready goes to the first who waits for such a one. */
  function give(): void {
    for (const work of waiting()) {
      if (work.lab !== null) {
        void end(work.lab, 'a new one was asked for');
        continue;
      }
      const lab = free().find((one) => fits(one, work));
      if (lab) void book.append({ type: 'lab:given', key: lab.key, person: work.person });
    }
  }

  /** Room for one more, where need be by the end of a lab in reserve that nobody waits for. */
  function room(): boolean {
    if (live().length < options.labs) return true;
    const spare = free()[0];
    if (spare) void end(spare.key, 'its place was needed');
    return false;
  }

  function makeWanted(): void {
    for (const work of waiting()) {
      if (making.size >= options.starting) return;
      if (work.lab !== null || makingFor(work)) continue;
      if (!room()) return;
      void make(work.exercise, work.person, work.wanted!.stage);
    }
  }

  /** Whom a lab in reserve is made for: anybody, or the next of the roster who has not begun; `undefined`: nobody. */
  function nextInReserve({ id, personal }: { id: string; personal: boolean }): string | null | undefined {
    if (!personal) return null;
    const begun = new Set(
      [...book.state.works.values()]
        .filter(({ exercise, startedAt }) => exercise === id && startedAt)
        .map(({ person }) => person),
    );
    const ready = new Set(
      live()
        .filter(({ exercise }) => exercise === id)
        .map(({ person }) => person),
    );
    return options.students.find((student) => !begun.has(student) && !ready.has(student));
  }

  function makeReserve(): void {
    if (waiting().length > 0) return;
    const had = given();
    for (const exercise of options.open()) {
      if (making.size >= options.starting || live().length >= options.labs) return;
      const spare = live().filter((lab) => lab.exercise === exercise.id && lab.stage === null && !had.has(lab.key));
      const person = nextInReserve(exercise);
      if (spare.length < options.reserve && person !== undefined) void make(exercise.id, person, null);
    }
  }

  function wake(): void {
    if (closed) return;
    give();
    makeWanted();
    makeReserve();
  }

  function end(key: string, why: string): Promise<void> {
    let over = ending.get(key);
    if (!over) {
      over = endNow(key, why).finally(() => {
        ending.delete(key);
        wake();
      });
      ending.set(key, over);
    }
    return over;
  }

  async function endNow(key: string, why: string): Promise<void> {
    const { lab } = book.state.labs.get(key) ?? { lab: null };
    if (lab !== null) {
      options.onEnd(lab);
      const record = listRecords().find(({ id }) => id === lab);
      if (record) await takeDown(record).catch((error: unknown) => options.warn(`${lab}: ${messageOf(error)}`));
    }
    void book.append({ type: 'lab:ended', key, why });
  }

  function look(): void {
    const records = new Map(listRecords().map((record) => [record.id, record]));
    for (const { key, lab, state } of live()) {
      if (state !== 'up' || ending.has(key)) continue;
      const record = records.get(lab!);
      if (record && holderLife(record) !== 'dead') continue;
      options.warn(`the lab ${lab} is gone`);
      void end(key, 'the lab is gone: what held it ended');
    }
  }

  const timer = setInterval(() => {
    if (!closed) look();
  }, lookMs).unref();

  return {
    wake,
    async recover() {
      const unfinished = live().filter(({ state }) => state === 'making');
      const byKey = new Map(listRecords().map((record) => [keyOf(record), record]));
      await Promise.all(
        unfinished.map(async ({ key }) => {
          const record = byKey.get(key);
          if (record) await takeDown(record).catch((error: unknown) => options.warn(messageOf(error)));
          void book.append({ type: 'lab:ended', key, why: 'the class was interrupted while it came up' });
        }),
      );
      look();
    },
    place(work) {
      if (work.wanted === null || makingFor(work)) return null;
      const queue = waiting().filter((one) => !makingFor(one));
      const at = queue.findIndex((one) => one.person === work.person && one.exercise === work.exercise);
      return at === -1 ? null : { place: at + 1, of: queue.length };
    },
    progress(work) {
      const lab = work.wanted === null ? undefined : makingFor(work);
      return lab ? (making.get(lab.key)?.what ?? null) : null;
    },
    async running(key) {
      const lab = book.state.labs.get(key)?.lab;
      if (!lab) throw new Error('The lab is not up.');
      const record = readRecord(lab);
      return providerNamed(record.provider).attach(record);
    },
    counts() {
      const all = live();
      const starting = all.filter(({ state }) => state === 'making').length;
      return {
        up: all.length - starting,
        starting,
        reserve: free().length,
        queued: waiting().filter((work) => !makingFor(work)).length,
        limit: options.labs,
      };
    },
    end,
    async close() {
      closed = true;
      clearInterval(timer);
      for (const { abort } of making.values()) abort.abort();
      await Promise.all([...[...making.values()].map(({ done }) => done), ...ending.values()]);
    },
  };
}

/** What a person who waits is told of an event of the boot; `null`: nothing new. */
function whatOf(event: RunEventBody): string | null {
  if (event.type === 'phase' && event.state === 'start') return event.text;
  return event.type === 'item:start' ? 'Set-up' : null;
}
