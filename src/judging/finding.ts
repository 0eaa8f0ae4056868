import type { Cause, Outcome } from '../model/verdict.js';
import { describeMatcher, match } from './match.js';
import type { Matcher, MatchResult } from './match.js';
import { fail } from './outcome.js';

/** One property that is not as it should be. */
export interface Finding extends Omit<MatchResult, 'ok'> {
  name: string;
}

/** Those of the wanted properties that are not as they should be, in the order in which they were written. */
export function findings(
  wanted: Readonly<Record<string, Matcher | undefined>>,
  values: Readonly<Record<string, unknown>>,
  matching = match,
): Finding[] {
  return Object.entries(wanted).flatMap(([name, matcher]) => {
    if (matcher === undefined) return [];
    const { ok, ...rest } = matching(matcher, values[name]);
    return ok ? [] : [{ name, ...rest }];
  });
}

/** One failure for all that is wrong of a subject. */
export function failed(subject: string, wrong: readonly Finding[], cause: Cause = 'wrong-value'): Outcome {
  return fail(cause, `${subject}: ${wrong.map((one) => `${one.name} ${one.sentence}`).join('; ')}`, {
    expected: wrong.map((one) => `${one.name}: ${one.expected}`).join('\n'),
    actual: wrong.map((one) => `${one.name}: ${one.actual}`).join('\n'),
  });
}

const text = (value: unknown): string => String(value);

/**
 * Like `match`, for values that are sets: a list that is written out means these elements and no others, in any order. The
 * value must be a list whose elements differ from each other.
 */
export function matchSet(matcher: Matcher, actual: unknown): MatchResult {
  if (!Array.isArray(matcher) || !Array.isArray(actual) || matcher.some((one) => typeof one === 'object'))
    return match(matcher, actual);
  const sorted = (list: readonly unknown[]): string[] => list.map(text).sort();
  return match(sorted(matcher), sorted(actual));
}

/** Properties as a reader sees them: `active "active", sub one of "running", "listening"`. */
export function describeWanted(wanted: Readonly<Record<string, Matcher | undefined>>): string[] {
  return Object.entries(wanted).flatMap(([name, matcher]) =>
    matcher === undefined ? [] : [`${name} ${describeMatcher(matcher)}`],
  );
}
