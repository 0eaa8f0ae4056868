import { toldAs, type FeedbackLevel } from '../model/feedback.js';
import type { Outcome, Verdict } from '../model/verdict.js';
import { otherwise } from '../scenario/exercise-schema.js';
import { isShown, type Exercise, type GradedCheck } from './exercise.js';

/** What one task came to. */
export interface CheckGrade {
  check: GradedCheck;
  /** `null`: it was never looked at. */
  verdict: Verdict | null;
  /** Points that it gives; of a guard, what it costs, as a number below zero. `null`: not known yet. */
  points: number | null;
  /** What was seen, one sentence. */
  reason: string;
  /** `null`: it was never looked at. */
  outcome: Outcome | null;
  /** For what was seen; `null`: there is none, or nothing to help with. */
  hint: string | null;
}

/** What a hand-in came to. */
export interface Grade {
  /** Points that are certain, never below zero: what is not known counts neither for nor against. */
  points: number;
  /** What a whole solution is worth. */
  of: number;
  /** Tasks whose verdict is not known (inconclusive, an error, not looked at): for a person to decide. */
  undecided: CheckGrade[];
  /** The least and the most that `points` can become once all is decided. */
  least: number;
  most: number;
  checks: CheckGrade[];
}

/** Of root cause and cause the hint for the nearest; `null` where there is none, or nothing failed. */
export function hintFor({ hints }: Pick<GradedCheck, 'hints'>, outcome: Outcome): string | null {
  if (outcome.verdict !== 'fail') return null;
  const causes = [outcome.diagnosis?.rootCause, outcome.cause, otherwise];
  for (const cause of causes) {
    const hint = cause ? hints[cause] : undefined;
    if (hint !== undefined) return hint;
  }
  return null;
}

function checkGrade(check: GradedCheck, outcome: Outcome | undefined): CheckGrade {
  const known = outcome?.verdict === 'pass' || outcome?.verdict === 'fail';
  const held = outcome?.verdict === 'pass';
  return {
    check,
    verdict: outcome?.verdict ?? null,
    points: !known ? null : check.guard ? (held ? 0 : -check.points) : held ? check.points : 0,
    reason: outcome?.reason ?? 'it was not looked at',
    outcome: outcome ?? null,
    hint: outcome === undefined ? null : hintFor(check, outcome),
  };
}

/** What was seen as far as a student may know it, one sentence; `''`: of a task that passed. */
export function toldReason({ outcome, reason }: Pick<CheckGrade, 'outcome' | 'reason'>, level: FeedbackLevel): string {
  if (outcome === null) return reason;
  return outcome.verdict === 'pass' ? '' : toldAs(outcome, level).reason;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const atLeastNone = (points: number): number => Math.max(0, points);

/**
 * How points came about that guards took something off: what was earned, and what each of them took, told so that whoever handed
 * in may read it; `''` where none took any.
 *
 * @param factor What a late hand-in is multiplied by.
 */
export function sumSentence(checks: readonly Pick<CheckGrade, 'check' | 'points'>[], factor = 1): string {
  const taken = checks.flatMap(({ check, points }) => (points !== null && points < 0 ? [{ check, off: -points }] : []));
  if (taken.length === 0) return '';
  const earned = sum(checks.map(({ points }) => Math.max(0, points ?? 0)));
  const below = earned < sum(taken.map(({ off }) => off));
  const parts = taken.map(
    ({ check, off }) =>
      `${off} taken off by ${isShown(check, true) ? `“${check.title}”` : 'a guard that is not shown'}`,
  );
  const end = below ? '; points are never below 0' : factor === 1 ? '' : `; times ${factor}, since it was late`;
  return `${Number(earned.toFixed(2))} earned, ${parts.join(', ')}${end}.`;
}

/**
 * Grades what checks saw. Only `pass` and `fail` are verdicts about the answer; everything else is kept apart, and is neither
 * earned nor lost until somebody decides it.
 *
 * @param outcomes By the id of the check.
 */
export function grade(exercise: Exercise, outcomes: ReadonlyMap<string, Outcome>): Grade {
  const checks = exercise.checks.map((check) => checkGrade(check, outcomes.get(check.id)));
  const certain = sum(checks.map((one) => one.points ?? 0));
  const undecided = checks.filter((one) => one.points === null);
  const couldCost = sum(undecided.filter(({ check }) => check.guard).map(({ check }) => check.points));
  const couldGive = sum(undecided.filter(({ check }) => !check.guard).map(({ check }) => check.points));
  return {
    points: atLeastNone(certain),
    of: exercise.points,
    undecided,
    least: atLeastNone(certain - couldCost),
    most: atLeastNone(certain + couldGive),
    checks,
  };
}
