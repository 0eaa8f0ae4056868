import type { Cause, Diagnosis, Outcome } from '../model/verdict.js';

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

/** The outcome with what a diagnosis found: its sentence joins the reason, all else stands apart. */
export function withDiagnosis(outcome: Outcome, diagnosis: Diagnosis | null): Outcome {
  if (diagnosis === null) return outcome;
  const reason =
    diagnosis.sentence === '' || outcome.reason.includes(diagnosis.sentence)
      ? outcome.reason
      : `${outcome.reason}${outcome.reason.endsWith('.') ? ' ' : '; '}${diagnosis.sentence}`;
  return { ...outcome, reason, diagnosis };
}
