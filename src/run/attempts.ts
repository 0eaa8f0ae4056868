import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import { realClock, type Clock } from './clock.js';

export interface Timing {
  withinMs: number | null;
  holdsForMs: number | null;
  /** Time for one attempt, ms. */
  timeoutMs: number;
}

export interface Timed {
  outcome: Outcome;
  attempts: number;
  durationMs: number;
  /** The attempt whose outcome it is, from 1; 0 where none was made. */
  shown: number;
}

/** What an attempt may tell of itself besides its outcome. */
export interface AttemptReport {
  /** Something of it was ended because its time was over, not because of what it saw. */
  cut(): void;
}

/** One attempt that may take `timeoutMs`. */
export type Attempt = (timeoutMs: number, report: AttemptReport) => Promise<Outcome>;

/** Between two attempts, ms: short at first, since most things become true soon, then at most this long. */
const firstPauseMs = 50;
const longestPauseMs = 500;
/** What is kept free before the end for one last attempt, ms: what became true late must still be seen. */
const lastAttemptMs = 150;
/** With less than this left no attempt is begun, ms: not even a round trip to the host fits. */
const leastAttemptMs = 20;

interface Made {
  outcome: Outcome;
  /** ms it could take and did take. */
  givenMs: number;
  tookMs: number;
  cut: boolean;
}

interface Course {
  attempt: Attempt;
  timing: Timing;
  signal: AbortSignal;
  clock: Clock;
}

async function makeOne({ attempt, clock }: Course, givenMs: number): Promise<Made> {
  const begin = clock.now();
  let cut = false;
  const outcome = await attempt(givenMs, { cut: () => (cut = true) });
  return { outcome, givenMs, tookMs: clock.now() - begin, cut };
}

/** An attempt that had less than its usual time, and passed with a part of it ended by that, may owe its pass to the cut. */
function passByCut(made: Made, timeoutMs: number): Outcome | null {
  if (made.outcome.verdict !== 'pass' || !made.cut || made.givenMs >= timeoutMs) return null;
  const { reason } = made.outcome;
  return { verdict: 'inconclusive', reason: `Cut short by the end of its time, the attempt proves nothing: ${reason}` };
}

/**
 * An attempt as good as any: it had all the time that the check gives to one, or nothing of it was ended by its clock and
 * it had no less time than an earlier one needed.
 */
function hadItsTime(made: Made, timeoutMs: number, longestMs: number): boolean {
  if (made.givenMs >= timeoutMs) return true;
  if (made.cut) return false;
  return made.givenMs >= longestMs || made.tookMs < made.givenMs / 2;
}

/** A reason with more said after it; kinds give theirs with or without its full stop. */
export function more(reason: string, sentence: string): string {
  return `${/[.!?:…]$/.test(reason) ? reason : `${reason}.`} ${sentence}`;
}

/** Said of what did not become true. */
function tried(attempts: number, durationMs: number, withinMs: number): string {
  return `Tried ${attempts} ${attempts === 1 ? 'time' : 'times'} in ${formatDuration(durationMs)} (within ${formatDuration(withinMs)}).`;
}

function becameTrue(outcome: Outcome, attempts: number, durationMs: number): Timed {
  const took = { name: 'became true', value: Math.round(durationMs), unit: 'ms' as const };
  const reason =
    attempts === 1
      ? outcome.reason
      : more(outcome.reason, `True after ${formatDuration(durationMs)}, at attempt ${attempts}.`);
  return {
    outcome: { ...outcome, reason, measures: [...(outcome.measures ?? []), took] },
    attempts,
    durationMs,
    shown: attempts,
  };
}

/** What became true when its time was over has not become true within it, whatever was seen before. */
function tooLate(late: Outcome, before: Outcome | null, durationMs: number, withinMs: number): Outcome {
  const when = `It was so only after ${formatDuration(durationMs)}, not within ${formatDuration(withinMs)}.`;
  return {
    ...(before?.verdict === 'fail' ? before : { ...late, cause: 'timeout' as const }),
    verdict: 'fail',
    reason: before?.verdict === 'fail' ? more(before.reason, when) : `${when} What was seen then: ${late.reason}`,
    expected: `true within ${formatDuration(withinMs)}`,
    actual: `true after ${formatDuration(durationMs)}`,
  };
}

/**
 * Tries until it passes or the time is over. No attempt may take longer than what is left. What the last attempt saw that
 * had its full time is the verdict: one that was cut short by the end has seen less. `inconclusive` is tried again too
 * (a container that is not there yet), `error` is not.
 */
async function becomesTrue(course: Course, withinMs: number): Promise<Timed> {
  const { timing, signal, clock } = course;
  const startedAt = clock.now();
  let attempts = 0;
  let wait = firstPauseMs;
  let longestMs = 0;
  let seen: Outcome | null = null;
  let shown = 0;
  let seenInFull = false;
  for (;;) {
    const left = withinMs - (clock.now() - startedAt);
    const isLast = attempts > 0 && left <= lastAttemptMs;
    attempts += 1;
    const made = await makeOne(course, Math.min(timing.timeoutMs, left));
    made.outcome = passByCut(made, timing.timeoutMs) ?? made.outcome;
    const durationMs = clock.now() - startedAt;
    if (made.outcome.verdict === 'pass') {
      if (durationMs <= withinMs) return becameTrue(made.outcome, attempts, durationMs);
      const outcome = tooLate(made.outcome, seen, durationMs, withinMs);
      return { outcome, attempts, durationMs, shown: seen?.verdict === 'fail' ? shown : attempts };
    }
    const final = made.outcome.verdict === 'error' || made.outcome.verdict === 'skipped' || signal.aborted;
    const full = hadItsTime(made, timing.timeoutMs, longestMs);
    // Of attempts that were all cut short, the first had the most time.
    if (final || full || seen === null) {
      seen = made.outcome;
      shown = attempts;
    }
    seenInFull ||= full;
    longestMs = Math.max(longestMs, made.tookMs);
    if (final || isLast || withinMs - durationMs < leastAttemptMs) {
      const short = seenInFull || final ? '' : 'No attempt had the time that it needed. ';
      const reason = more(seen.reason, `${short}${tried(attempts, durationMs, withinMs)}`);
      return { outcome: { ...seen, reason }, attempts, durationMs, shown };
    }
    await clock.sleep(Math.min(wait, Math.max(0, withinMs - durationMs - lastAttemptMs)), signal);
    wait = Math.min(longestPauseMs, wait * 2);
  }
}

/** Tries again and again for the time given: the first attempt that is not a pass is the verdict. */
async function staysTrue(course: Course, holdsForMs: number): Promise<Timed> {
  const { timing, signal, clock } = course;
  const startedAt = clock.now();
  let attempts = 0;
  /** When it was first seen to be true: an attempt tells of its end, not of the time it took. */
  let trueSince: number | null = null;
  let heldMs = 0;
  for (;;) {
    attempts += 1;
    const { outcome } = await makeOne(course, timing.timeoutMs);
    const durationMs = clock.now() - startedAt;
    if (outcome.verdict !== 'pass') {
      const held =
        attempts === 1
          ? `It never held: 0 s of ${formatDuration(holdsForMs)}.`
          : `It had held for ${formatDuration(heldMs)} of ${formatDuration(holdsForMs)}.`;
      return { outcome: { ...outcome, reason: more(outcome.reason, held) }, attempts, durationMs, shown: attempts };
    }
    trueSince ??= clock.now();
    heldMs = Math.min(clock.now() - trueSince, holdsForMs);
    if (signal.aborted) {
      return {
        outcome: { verdict: 'error', reason: 'Interrupted before the time was over.' },
        attempts,
        durationMs,
        shown: attempts,
      };
    }
    if (heldMs >= holdsForMs && attempts > 1) {
      const reason = more(outcome.reason, `It held for ${formatDuration(heldMs)}, at ${attempts} attempts.`);
      return { outcome: { ...outcome, reason }, attempts, durationMs, shown: attempts };
    }
    await clock.sleep(Math.min(longestPauseMs, holdsForMs - heldMs), signal);
  }
}

/** One verdict from as many attempts as the check's `within` and `holds-for` ask for; without them, from exactly one. */
export async function attemptsOf(
  attempt: Attempt,
  timing: Timing,
  signal: AbortSignal,
  clock: Clock = realClock,
): Promise<Timed> {
  const course: Course = { attempt, timing, signal, clock };
  const startedAt = clock.now();
  let first: Timed;
  if (timing.withinMs !== null) {
    first = await becomesTrue(course, timing.withinMs);
  } else if (timing.holdsForMs === null) {
    const { outcome, tookMs } = await makeOne(course, timing.timeoutMs);
    first = { outcome, attempts: 1, durationMs: tookMs, shown: 1 };
  } else {
    return staysTrue(course, timing.holdsForMs);
  }
  if (first.outcome.verdict !== 'pass' || timing.holdsForMs === null) return first;
  const held = await staysTrue(course, timing.holdsForMs);
  return {
    outcome: { ...held.outcome, measures: [...(first.outcome.measures ?? []), ...(held.outcome.measures ?? [])] },
    attempts: first.attempts + held.attempts,
    durationMs: clock.now() - startedAt,
    shown: first.attempts + held.shown,
  };
}
