import type { Outcome } from './verdict.js';

/**
 * What a student is told of a task that did not pass: its verdict alone, also what was expected and seen, or also the way of the
 * packet up to where it was stopped. How to mend it is the student's to find, whatever the level.
 */
export const feedbackLevels = ['verdict', 'seen', 'way'] as const;
export type FeedbackLevel = (typeof feedbackLevels)[number];

/** What was seen, without what was found out of it: `sentence`, which stands behind it. */
export function withoutWhy(reason: string, sentence: string | undefined): string {
  if (sentence === undefined || sentence === '') return reason;
  const at = reason.lastIndexOf(sentence);
  return at <= 0 ? reason : reason.slice(0, at).replace(/[;\s]+$/, '');
}

/**
 * An outcome as far as a student may know it. Of what could not be judged it says why at any level: that is nobody's to find. What
 * mends it, and the evidence, are left out always, and so is what programs wrote beside what was expected and seen.
 */
export function toldAs(outcome: Outcome, level: FeedbackLevel): Outcome {
  const { verdict, cause, reason, expected, actual, measures, again, diagnosis } = outcome;
  if (level === 'verdict' && (verdict === 'pass' || verdict === 'fail'))
    return { verdict, reason: verdict === 'pass' ? 'It is so.' : 'It is not so.' };
  return {
    verdict,
    ...(cause ? { cause } : {}),
    reason: level === 'way' ? reason : withoutWhy(reason, diagnosis?.sentence),
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    ...(again ? { again } : {}),
    ...(measures ? { measures } : {}),
    ...(level === 'way' && diagnosis
      ? { diagnosis: { ...diagnosis, back: [], evidence: [], mend: null, unlooked: [] } }
      : {}),
  };
}
