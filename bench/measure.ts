import { readFileSync } from 'node:fs';

/** One figure of one bench, in pairs: netrig and what it is compared with took turns. */
export interface Comparison {
  kind: 'comparison';
  title: string;
  unit: Unit;
  /** What netrig is compared with. */
  against: string;
  pairs: Pair<number>[];
  /** The ratio netrig / other that the project set for itself; `null` where it set none. */
  atMost: number | null;
}

/** One figure that stands for itself. */
export interface Figure {
  kind: 'figure';
  title: string;
  unit: Unit;
  values: number[];
  atMost: number | null;
}

export type Unit = 'ms' | 's' | 'MB' | '';
export type Result = Comparison | Figure;

export interface Pair<T> {
  netrig: T;
  other: T;
}

export interface BenchContext {
  /** Fewer rounds. */
  quick: boolean;
  /** Aborted by Ctrl-C: what runs is to end and to leave nothing. */
  signal: AbortSignal;
  /** A line for the person who waits. */
  note(line: string): void;
}

export interface Bench {
  name: string;
  /** One sentence. */
  what: string;
  /** Takes so long that it is run only when it is named. */
  onlyNamed?: boolean;
  /** Throws `Unavailable` when this machine can't run it. */
  run(context: BenchContext): Promise<Result[]>;
}

/** Why a bench is skipped. */
export class Unavailable extends Error {}

/** What a machine may be kept busy by others, and how long to wait for less, ms. */
const calmBelow = 0.15;
const longestWaitMs = 3000;

/** Waits for the kernel to be done with what was taken down, and for others to pause; not for long. */
async function calm(signal: AbortSignal): Promise<void> {
  const until = performance.now() + longestWaitMs;
  while (performance.now() < until && !signal.aborted && (await noise(200)) > calmBelow);
  signal.throwIfAborted();
}

/**
 * `rounds` pairs; who goes first alternates, so that a machine that slows down or speeds up favours nobody. With `wait`, each
 * waits for the machine to be calm: taken-down labs keep the kernel busy for a while.
 */
export async function takeTurns<T>(
  rounds: number,
  context: BenchContext,
  sides: { netrig: () => Promise<T>; other: () => Promise<T> },
  wait = false,
): Promise<Pair<T>[]> {
  const ready = (): Promise<void> | void => (wait ? calm(context.signal) : context.signal.throwIfAborted());
  const pairs: Pair<T>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await ready();
    if (round % 2 === 0) {
      const netrig = await sides.netrig();
      await ready();
      pairs.push({ netrig, other: await sides.other() });
    } else {
      const other = await sides.other();
      await ready();
      pairs.push({ netrig: await sides.netrig(), other });
    }
  }
  return pairs;
}

export function comparison<T>(
  title: string,
  against: string,
  unit: Unit,
  pairs: readonly Pair<T>[],
  value: (side: T) => number,
  atMost: number | null,
): Comparison {
  return {
    kind: 'comparison',
    title,
    against,
    unit,
    atMost,
    pairs: pairs.map((pair) => ({ netrig: value(pair.netrig), other: value(pair.other) })),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median of the ratios, pair by pair. */
export function ratioOf(result: Comparison): number {
  return median(ratiosOf(result));
}

export function ratiosOf(result: Comparison): number[] {
  return result.pairs.map((pair) => pair.netrig / pair.other);
}

export function isMet(result: Result): boolean | null {
  if (result.atMost === null) return null;
  return (result.kind === 'comparison' ? ratioOf(result) : median(result.values)) <= result.atMost;
}

/** ms that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Jiffies since boot: of all processors together, and those in which they were busy (proc_stat(5)). */
function processorTime(): { all: number; busy: number } {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/);
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = fields.map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  return { all: busy + idle + wait, busy };
}

/** The part of the machine's processors that others keep busy while this process waits. */
export async function noise(ms: number): Promise<number> {
  const before = processorTime();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const after = processorTime();
  return after.all === before.all ? 0 : (after.busy - before.busy) / (after.all - before.all);
}
