import type { Cause, Outcome } from '../model/verdict.js';

type Extra = Omit<Outcome, 'verdict' | 'cause' | 'reason'>;

export function pass(reason: string, extra: Extra = {}): Outcome {
  return { verdict: 'pass', reason, ...extra };
}

export function fail(cause: Cause, reason: string, extra: Extra = {}): Outcome {
  return { verdict: 'fail', cause, reason, ...extra };
}

/** For what could not be known: the reason says what stood in the way. */
export function inconclusive(reason: string, extra: Extra = {}): Outcome {
  return { verdict: 'inconclusive', reason, ...extra };
}
