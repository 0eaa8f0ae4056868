import { randomBytes } from 'node:crypto';
import { messageOf } from '../errors.js';
import { atStart } from '../exercise/views.js';
import type { Exercise } from '../exercise/exercise.js';
import { takeDown } from '../labs/down.js';
import { bringUp } from '../labs/up.js';
import { hasRecord, holderLife, listRecords, readRecord } from '../lab/store.js';
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
  /** Brings a lab up. Default: as `netrig up` does. */
  bring?: typeof bringUp;
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
  /** Labs wait because nothing can be written down just now: the disk is full. They go on by themselves. */
  stalled(): boolean;
  /** Takes a lab away for good. `asked`: whoever has it wanted that, and nothing has to be told of it. */
  end(key: string, why: string, options?: { asked: boolean }): Promise<void>;
  /** Ends what is being made, and looks no more. Labs that are up stay. */
  close(): Promise<void>;
}

/** Between two looks at whether holders live, ms. */
const lookMs = 3000;
/** Before a lab for the reserve is tried again that did not come up, ms: the first time, and at most. */
const firstPauseMs = 30_000;
const longestPauseMs = 1_800_000;

const mark = '~';

/** The key in the title of a lab of a class; `null` for any other lab. */
function keyOf(record: Pick<LabRecord, 'title'>): string | null {
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
  return new Labs(options);
}

type HolderRecord = Pick<LabRecord, 'holder' | 'space'>;

interface Making {
  /** What it is at. */
  what: string;
  abort: AbortController;
  done: Promise<void>;
}

class Labs implements LabPool {
  private readonly making = new Map<string, Making>();
  private readonly ending = new Map<string, Promise<void>>();
  /** Of labs that are up, by their ids: what `look` has to know of each. */
  private readonly records = new Map<string, HolderRecord>();
  private readonly timer: NodeJS.Timeout;
  private closed = false;
  /** Something could not be written down: it is tried again a little later. */
  private behind = false;
  /** Labs that did not come up, of which that could not be written down yet. */
  private readonly untold = new Set<string>();
  /** By exercise: how often in a row a lab for the reserve did not come up, and when the next one is tried, ms. */
  private readonly spoilt = new Map<string, { times: number; next: number }>();

  constructor(private readonly options: LabPoolOptions) {
    this.timer = setInterval(() => {
      if (this.closed) return;
      this.look();
      if (!this.behind && this.spoilt.size === 0) return;
      this.behind = false;
      this.wake();
    }, lookMs).unref();
  }

  private get book(): ClassBook {
    return this.options.book;
  }

  private live(): LabState[] {
    return [...this.book.state.labs.values()].filter(
      ({ key, state }) => state === 'up' || (state === 'making' && !this.untold.has(key)),
    );
  }

  /** Keys of the labs that somebody has. */
  private given(): Set<string> {
    return new Set([...this.book.state.works.values()].flatMap(({ lab }) => lab ?? []));
  }

  private free(): LabState[] {
    const had = this.given();
    return this.live().filter(({ key, state }) => state === 'up' && !had.has(key) && !this.ending.has(key));
  }

  private waiting(): Work[] {
    return [...this.book.state.works.values()]
      .filter((work) => work.wanted !== null)
      .sort((one, other) => one.wanted!.n - other.wanted!.n);
  }

  private makingFor(work: Work): LabState | undefined {
    return this.live().find(
      (lab) => lab.state === 'making' && this.making.has(lab.key) && lab.person === work.person && fits(lab, work),
    );
  }

  private make(exercise: string, person: string | null, stage: string | null): void {
    const key = randomBytes(6).toString('hex');
    void this.book.append({ type: 'lab:making', key, exercise, person, stage });
    if (!this.book.state.labs.has(key)) {
      this.behind = true;
      return;
    }
    const entry: Making = { what: 'waits to be booted', abort: new AbortController(), done: Promise.resolve() };
    this.making.set(key, entry);
    entry.done = this.bring(key, exercise, person, stage, entry)
      .catch((error: unknown) => {
        this.options.warn(`a lab of ${exercise} did not come up: ${messageOf(error)}`);
        if (this.closed) return;
        void this.book.append({ type: 'lab:failed', key, message: messageOf(error) });
        this.putOffReserve(exercise);
        if (this.book.state.labs.get(key)?.state !== 'making') return;
        // It takes nobody's place, and who wanted it still does: they get another one once there is room to write.
        this.untold.add(key);
        this.behind = true;
      })
      .finally(() => {
        this.making.delete(key);
        if (!this.behind) this.wake();
      });
  }

  /** What did not come up is not tried again and again at once for the reserve: nobody waits for it. */
  private putOffReserve(exercise: string): void {
    const times = (this.spoilt.get(exercise)?.times ?? 0) + 1;
    const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (times - 1));
    this.spoilt.set(exercise, { times, next: performance.now() + pause });
  }

  /** Writes down of labs that they did not come up, where that could not be done at once. */
  private tellAll(): void {
    for (const key of this.untold) {
      void this.book.append({ type: 'lab:ended', key, why: 'it did not come up, and that could not be written down' });
      if (this.book.state.labs.get(key)?.state === 'making') {
        this.behind = true;
        return;
      }
      this.untold.delete(key);
    }
  }

  private async bring(
    key: string,
    exercise: string,
    person: string | null,
    stage: string | null,
    entry: Making,
  ): Promise<void> {
    const { options } = this;
    const { scenario } = options.exercise(exercise, person);
    const lab = await (options.bring ?? bringUp)(asLab(atStart(scenario, stage), key, options.limits), {
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
    this.spoilt.delete(exercise);
    await this.book.append({ type: 'lab:made', key, lab }).catch(async (error: unknown) => {
      // What is not written down is nobody's.
      await this.remove(readRecord(lab));
      throw error;
    });
  }

  /** A lab that is ready goes to the first who waits for such a one. */
  private give(): void {
    for (const work of this.waiting()) {
      if (work.lab !== null) {
        void this.end(work.lab, 'a new one was asked for');
        continue;
      }
      const lab = this.free().find((one) => fits(one, work));
      if (!lab) continue;
      void this.book.append({ type: 'lab:given', key: lab.key, person: work.person });
      if (work.lab === null) this.behind = true;
    }
  }

  /** Room for one more, where need be by the end of a lab in reserve that nobody waits for. */
  private room(): boolean {
    if (this.live().length < this.options.labs) return true;
    const spare = this.free()[0];
    if (spare) void this.end(spare.key, 'its place was needed');
    return false;
  }

  private makeWanted(): void {
    for (const work of this.waiting()) {
      if (this.making.size >= this.options.starting) return;
      if (work.lab !== null || this.makingFor(work)) continue;
      if (!this.room()) return;
      this.make(work.exercise, work.person, work.wanted!.stage);
    }
  }

  /** Whom a lab in reserve is made for: anybody, or the next of the roster who has not begun; `undefined`: nobody. */
  private nextInReserve({ id, personal }: { id: string; personal: boolean }): string | null | undefined {
    if (!personal) return null;
    const begun = [...this.book.state.works.values()].filter(({ exercise, startedAt }) => exercise === id && startedAt);
    const ready = this.live().filter(({ exercise }) => exercise === id);
    const served = new Set([...begun, ...ready].map(({ person }) => person));
    return this.options.students.find((student) => !served.has(student));
  }

  private makeReserve(): void {
    if (this.waiting().length > 0) return;
    const had = this.given();
    for (const exercise of this.options.open()) {
      if (this.making.size >= this.options.starting || this.live().length >= this.options.labs) return;
      if ((this.spoilt.get(exercise.id)?.next ?? 0) > performance.now()) continue;
      const spare = this.live().filter(
        (lab) => lab.exercise === exercise.id && lab.stage === null && !had.has(lab.key),
      );
      const person = this.nextInReserve(exercise);
      if (spare.length < this.options.reserve && person !== undefined) this.make(exercise.id, person, null);
    }
  }

  wake(): void {
    if (this.closed) return;
    this.tellAll();
    this.give();
    this.makeWanted();
    this.makeReserve();
  }

  end(key: string, why: string, { asked } = { asked: false }): Promise<void> {
    let over = this.ending.get(key);
    if (!over) {
      over = this.endNow(key, why, asked)
        .catch((error: unknown) => {
          this.behind = true;
          this.options.warn(messageOf(error));
        })
        .finally(() => {
          this.ending.delete(key);
          if (!this.behind) this.wake();
        });
      this.ending.set(key, over);
    }
    return over;
  }

  private async endNow(key: string, why: string, asked: boolean): Promise<void> {
    const { lab } = this.book.state.labs.get(key) ?? { lab: null };
    if (lab !== null) {
      this.options.onEnd(lab);
      const record = listRecords().find(({ id }) => id === lab);
      if (record) await this.remove(record);
    }
    await this.book.append({ type: 'lab:ended', key, why, ...(asked ? { asked } : {}) });
  }

  private async remove(record: LabRecord): Promise<void> {
    await takeDown(record).catch((error: unknown) => this.options.warn(`${record.id}: ${messageOf(error)}`));
  }

  /** Whether what holds a lab lives. A record is read once: who holds the lab stays the same, and ends with it. */
  private lives(lab: string): boolean {
    if (!hasRecord(lab)) return false;
    const record = this.records.get(lab) ?? listRecords().find(({ id }) => id === lab);
    if (!record) return false;
    if (!this.records.has(lab))
      this.records.set(lab, { holder: record.holder, ...(record.space ? { space: record.space } : {}) });
    return holderLife(record) !== 'dead';
  }

  /** Labs whose holder died are labs no more. */
  private look(): void {
    const up = this.live().filter(({ state }) => state === 'up');
    const known = new Set(up.map(({ lab }) => lab));
    for (const lab of this.records.keys()) if (!known.has(lab)) this.records.delete(lab);
    for (const { key, lab } of up) {
      if (this.ending.has(key) || this.lives(lab!)) continue;
      this.options.warn(`the lab ${lab} is gone`);
      void this.end(key, 'the lab is gone: what held it ended');
    }
  }

  async recover(): Promise<void> {
    const unfinished = this.live().filter(({ state }) => state === 'making');
    const byKey = new Map(listRecords().map((record) => [keyOf(record), record]));
    await Promise.all(
      unfinished.map(async ({ key }) => {
        const record = byKey.get(key);
        if (record) await this.remove(record);
        await this.book.append({ type: 'lab:ended', key, why: 'the class was interrupted while it came up' });
      }),
    );
    this.look();
  }

  place(work: Work): { place: number; of: number } | null {
    if (work.wanted === null || this.makingFor(work)) return null;
    const queue = this.waiting().filter((one) => !this.makingFor(one));
    const at = queue.findIndex((one) => one.person === work.person && one.exercise === work.exercise);
    return at === -1 ? null : { place: at + 1, of: queue.length };
  }

  progress(work: Work): string | null {
    const lab = work.wanted === null ? undefined : this.makingFor(work);
    return lab ? (this.making.get(lab.key)?.what ?? null) : null;
  }

  async running(key: string): Promise<RunningLab> {
    const lab = this.book.state.labs.get(key)?.lab;
    if (!lab) throw new Error('The lab is not up.');
    const record = readRecord(lab);
    return providerNamed(record.provider).attach(record);
  }

  counts(): { up: number; starting: number; reserve: number; queued: number; limit: number } {
    const all = this.live();
    const starting = all.filter(({ state }) => state === 'making').length;
    return {
      up: all.length - starting,
      starting,
      reserve: this.free().length,
      queued: this.waiting().filter((work) => !this.makingFor(work)).length,
      limit: this.options.labs,
    };
  }

  stalled(): boolean {
    return this.behind || this.untold.size > 0;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    for (const { abort } of this.making.values()) abort.abort();
    await Promise.all([...[...this.making.values()].map(({ done }) => done), ...this.ending.values()]);
  }
}

function fits(lab: LabState, work: Work): boolean {
  return (
    lab.exercise === work.exercise && lab.stage === work.wanted!.stage && (lab.person ?? work.person) === work.person
  );
}

/** What a person who waits is told of an event of the boot; `null`: nothing new. */
function whatOf(event: RunEventBody): string | null {
  if (event.type === 'phase' && event.state === 'start') return event.text;
  return event.type === 'item:start' ? 'Set-up' : null;
}
