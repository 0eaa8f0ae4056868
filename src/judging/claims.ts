import { z } from 'zod';
import { describeMatcher, match, zMatcher } from './match.js';
import type { Matcher, MatcherOperators } from './match.js';
import { testPattern } from './pattern.js';

/** What a value always is, whatever is in it: a number of things, a text, or a list of texts. */
export type Domain = 'count' | 'text' | 'list';

/** Texts that differ as much as texts can: a pattern that is found in each of them is found in any. */
const texts = [
  '',
  'a',
  '7',
  '-1.5',
  'true',
  '{"a": [1]}',
  'one line\nand another\n',
  ' \t/~!@#$%^&*()_+=[]{}|\\;:\'",.<>?`',
  '\0\u001b[0m\ufffd\u{1f980}',
  'Zq'.repeat(1500),
];
const counts = [0, 1, 2, 3, 10, 99_991, 10 ** 12];

function matchesAll(pattern: string): boolean {
  try {
    return texts.every((text) => testPattern(pattern, text));
  } catch {
    // No pattern, which is reported where it stands, or one that does not come to an end on these few bytes.
    return false;
  }
}

/** A count, or another number that is never below zero, is compared with nothing but the matcher's own: those about each of them decide for all. */
function holdsForAllCounts(matcher: Matcher): boolean {
  const text = JSON.stringify(matcher);
  if (text.includes('"matches"')) return false;
  const own = (text.match(/\d+(?:\.\d+)?/g) ?? []).map(Number);
  return [...counts, ...own.flatMap((n) => [n - 1, n, n + 1]).filter((n) => n >= 0)].every(
    (count) => match(matcher, count).ok,
  );
}

/**
 * Whether every value of the domain is what the matcher asks for: what asks no more cannot fail. Never true of a matcher that
 * some value does not meet; of one that is put in a roundabout way it may be false all the same.
 */
export function holdsForAll(domain: Domain, matcher: Matcher): boolean {
  if (domain === 'count') return holdsForAllCounts(matcher);
  if (typeof matcher !== 'object' || matcher === null || Array.isArray(matcher)) return false;
  return Object.entries(matcher as MatcherOperators).every(([operator, wanted]) => {
    switch (operator) {
      case 'absent':
        return wanted === false;
      case 'length':
        return holdsForAllCounts(wanted as Matcher);
      case 'one-of':
        return (wanted as Matcher[]).some((one) => holdsForAll(domain, one));
      case 'contains':
        return domain === 'text' && wanted === '';
      case 'matches':
        return domain === 'text' && matchesAll(wanted as string);
      default:
        return false;
    }
  });
}

const words: Record<Domain, string> = { count: 'any number', text: 'any text', list: 'any list' };

function claimOf(domain: Domain): z.ZodType<Matcher> {
  return zMatcher.check((check) => {
    if (holdsForAll(domain, check.value))
      check.issues.push({
        code: 'custom',
        input: check.value,
        continue: true,
        message: `cannot fail: ${words[domain]} is ${describeMatcher(check.value)}`,
      });
  }) as z.ZodType<Matcher>;
}

/** A matcher for how many of something there are, or how many times as much: some number does not meet it. */
export const zCount = claimOf('count');
/** A matcher for a text that is always there, which some text does not meet. */
export const zText = claimOf('text');
/** A matcher for a list that is always there, which some list does not meet. */
export const zList = claimOf('list');

/** The map below `expect`: where it is written, it says something. */
export function claims<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z
    .strictObject(shape)
    .check((check) => {
      // Of several forms of a map zod would take the one whose only fault is an unknown key, and never look at the form whose
      // key that is (`fails`): to it, an unknown key is no end of a form.
      check.issues.forEach((issue, index) => {
        if (issue.code === 'unrecognized_keys') check.issues[index] = { ...issue, continue: false };
      });
      if (check.issues.length === 0 && Object.keys(check.value).length === 0)
        check.issues.push({
          code: 'custom',
          input: check.value,
          continue: true,
          message: 'says nothing: name what is expected, or leave it out for what is expected without it',
        });
    })
    .meta({ minProperties: 1 });
}

/** A check of a map of claims: what is absent has no properties. */
export function aloneWhenAbsent(check: { value: Record<string, unknown>; issues: unknown[] }): void {
  if (check.value.absent && Object.keys(check.value).length > 1)
    check.issues.push({
      code: 'custom',
      input: check.value,
      path: ['absent'],
      continue: true,
      message: 'what is absent has no properties',
    });
}
