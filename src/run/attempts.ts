import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';

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
}

/** Between two attempts, ms: short at first, since most things become true soon, then at most this long. */
const firstPauseMs = 50;
const longestPauseMs = 500;

type Attempt = (timeoutMs: number) => Promise<Outcome>;

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * Tries until it passes or the time is over. What was seen last is the verdict; a check that never passed keeps its cause.
 * `inconclusive` is tried again too (a container that is not there yet), `error` is not.
 */
async function becomesTrue(attempt: Attempt, timing: Timing, withinMs: number, signal: AbortSignal): Promise<Timed> {
  const startedAt = performance.now();
  let attempts = 0;
  let wait = firstPauseMs;
  for (;;) {
    const left = withinMs - (performance.now() - startedAt);
    attempts += 1;
    const outcome = await attempt(Math.max(Math.min(timing.timeoutMs, left), Math.min(timing.timeoutMs, 1000)));
    const durationMs = performance.now() - startedAt;
    if (outcome.verdict === 'pass') {
      const took = { name: 'became true', value: Math.round(durationMs), unit: 'ms' as const };
      const reason =
        attempts === 1
          ? outcome.reason
          : `${outcome.reason} True after ${formatDuration(durationMs)}, at attempt ${attempts}.`;
      return { outcome: { ...outcome, reason, measures: [...(outcome.measures ?? []), took] }, attempts, durationMs };
    }
    if (
      outcome.verdict === 'error' ||
      outcome.verdict === 'skipped' ||
      signal.aborted ||
      durationMs + wait >= withinMs
    ) {
      const reason = `${outcome.reason} Tried ${attempts} ${attempts === 1 ? 'time' : 'times'} in ${formatDuration(durationMs)} (within ${formatDuration(withinMs)}).`;
      return { outcome: { ...outcome, reason }, attempts, durationMs };
    }
    await pause(wait, signal);
    wait = Math.min(longestPauseMs, wait * 2);
  }
}

/** Tries again and again for the time given: the first attempt that is not a pass is the verdict. */
async function staysTrue(attempt: Attempt, timing: Timing, holdsForMs: number, signal: AbortSignal): Promise<Timed> {
  const startedAt = performance.now();
  let attempts = 0;
  for (;;) {
    attempts += 1;
    const outcome = await attempt(timing.timeoutMs);
    const durationMs = performance.now() - startedAt;
    if (outcome.verdict !== 'pass') {
      return {
        outcome: {
          ...outcome,
          reason: `${outcome.reason} It had held for ${formatDuration(durationMs)} of ${formatDuration(holdsForMs)}.`,
        },
        attempts,
        durationMs,
      };
    }
    if (signal.aborted) {
      return { outcome: { verdict: 'error', reason: 'Interrupted before the time was over.' }, attempts, durationMs };
    }
    if (durationMs >= holdsForMs) {
      return {
        outcome: {
          ...outcome,
          reason: `${outcome.reason} It held for ${formatDuration(durationMs)}, at ${attempts} attempts.`,
        },
        attempts,
        durationMs,
      };
    }
    await pause(Math.min(longestPauseMs, holdsForMs - durationMs), signal);
  }
}

/** One verdict from as many attempts as the check's `within` and `holds-for` ask for; without them, from exactly one. */
export async function attemptsOf(attempt: Attempt, timing: Timing, signal: AbortSignal): Promise<Timed> {
  const startedAt = performance.now();
  let first: Timed;
  if (timing.withinMs !== null) {
    first = await becomesTrue(attempt, timing, timing.withinMs, signal);
  } else if (timing.holdsForMs === null) {
    const outcome = await attempt(timing.timeoutMs);
    first = { outcome, attempts: 1, durationMs: performance.now() - startedAt };
  } else {
    return staysTrue(attempt, timing, timing.holdsForMs, signal);
  }
  if (first.outcome.verdict !== 'pass' || timing.holdsForMs === null) return first;
  const held = await staysTrue(attempt, timing, timing.holdsForMs, signal);
  return {
    outcome: { ...held.outcome, measures: [...(first.outcome.measures ?? []), ...(held.outcome.measures ?? [])] },
    attempts: first.attempts + held.attempts,
    durationMs: performance.now() - startedAt,
  };
}
