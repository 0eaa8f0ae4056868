import { z } from 'zod';
import { contains as subnetContains, isAddress, networkAddress, parseCidr } from '../model/cidr.js';
import { compilePattern, testPattern } from './pattern.js';

/** What stands for a value that is not there: no key, no element, no such path. Never equal to anything but `{ absent: true }`. */
export const absent: unique symbol = Symbol('absent');

export type Scalar = string | number | boolean | null;

/** Operators of one matcher; several in one matcher must all hold. */
export interface MatcherOperators {
  matches?: string;
  contains?: Matcher;
  not?: Matcher;
  'one-of'?: Matcher[];
  'in-subnet'?: string;
  'at-least'?: number;
  'at-most'?: number;
  length?: Matcher;
  each?: Matcher;
  absent?: boolean;
}

/** What a value has to be: a scalar (equal), a list (element by element), or operators. */
export type Matcher = Scalar | Matcher[] | MatcherOperators;

export interface MatchResult {
  ok: boolean;
  /** Goes after a subject: `is 1500, expected 1450`. */
  sentence: string;
  expected: string;
  actual: string;
}

const zRegex = z
  .string()
  .min(1)
  .check((check) => {
    try {
      compilePattern(check.value);
    } catch (error) {
      // Goes on, so that a union around it reports this and not only that nothing fits.
      check.issues.push({
        code: 'custom',
        input: check.value,
        continue: true,
        message: `not a regular expression: ${(error as Error).message}`,
      });
    }
  })
  .describe(
    'A regular expression in JavaScript’s syntax, found anywhere in the text; ^ and $ stand at every line. One that is not decided within 2 s makes the check inconclusive.',
  );

const zSubnet = z
  .string()
  .refine((text) => parseCidr(text) !== null, 'must be a subnet in CIDR form, such as 10.0.0.0/24')
  .describe('A subnet in CIDR form.');

const zOperators = z
  .strictObject({
    matches: zRegex.optional(),
    get contains(): z.ZodOptional<z.ZodType<Matcher>> {
      return zMatcher
        .optional()
        .describe('For text: a part of it. For a list: at least one element is like this.') as never;
    },
    get not(): z.ZodOptional<z.ZodType<Matcher>> {
      return zMatcher.optional().describe('The value is there, and is not like this.') as never;
    },
    get 'one-of'(): z.ZodOptional<z.ZodType<Matcher[]>> {
      return z.array(zMatcher).min(1).optional().describe('Like at least one of these.') as never;
    },
    'in-subnet': zSubnet.optional(),
    'at-least': z.number().optional().describe('A number not below this.'),
    'at-most': z.number().optional().describe('A number not above this.'),
    get length(): z.ZodOptional<z.ZodType<Matcher>> {
      return zMatcher.optional().describe('How many elements (list), keys (map) or characters (text).') as never;
    },
    get each(): z.ZodOptional<z.ZodType<Matcher>> {
      return zMatcher.optional().describe('A list with at least one element, each of them like this.') as never;
    },
    absent: z.boolean().optional().describe('true: the value is not there. false: it is there, whatever it is.'),
  })
  .refine((operators) => Object.keys(operators).length > 0, 'must name at least one operator');

/** The one way in which expected values are written. */
export const zMatcher: z.ZodType<Matcher> = z
  .lazy(() => z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(zMatcher), zOperators]))
  .meta({
    id: 'Matcher',
    description:
      'An expected value: a scalar (equal), a list (element by element), or operators that must all hold: matches, contains, not, one-of, in-subnet, at-least, at-most, length, each, absent.',
  }) as unknown as z.ZodType<Matcher>;

/** `unfit`: the matcher asks for something that the value cannot answer (at-least of a text); neither it nor its negation holds. */
type Answer = 'yes' | 'no' | 'unfit';

const all = (answers: Answer[]): Answer =>
  answers.includes('no') ? 'no' : answers.includes('unfit') ? 'unfit' : 'yes';
const any = (answers: Answer[]): Answer =>
  answers.includes('yes') ? 'yes' : answers.includes('unfit') ? 'unfit' : 'no';
const whether = (held: boolean): Answer => (held ? 'yes' : 'no');

function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** YAML types what it reads (`1450`, `true`), engines often keep the same as text (`"1450"`): equal when they read the same. */
function equalScalar(expected: Scalar, actual: unknown): Answer {
  if (actual === absent) return 'unfit';
  if (!isScalar(actual)) return 'unfit';
  if (expected === null || actual === null) return whether(expected === actual);
  return whether(String(expected) === String(actual));
}

function inSubnet(cidr: string, actual: unknown): Answer {
  const subnet = parseCidr(cidr);
  if (subnet === null || typeof actual !== 'string') return 'unfit';
  if (isAddress(actual)) return whether(subnetContains(subnet, actual));
  const value = parseCidr(actual);
  if (value === null) return 'unfit';
  // `10.0.1.2/24` is an address with its prefix, `10.0.1.0/24` a network: the whole of a network must lie inside.
  const isNetwork = networkAddress(value) === value.address;
  return whether(subnetContains(subnet, value.address) && (!isNetwork || value.prefix >= subnet.prefix));
}

function numberOf(actual: unknown): number | null {
  if (typeof actual === 'number') return actual;
  return typeof actual === 'string' && /^-?\d+(\.\d+)?$/.test(actual) ? Number(actual) : null;
}

function lengthOf(actual: unknown): number | null {
  if (typeof actual === 'string' || Array.isArray(actual)) return actual.length;
  return typeof actual === 'object' && actual !== null ? Object.keys(actual).length : null;
}

function answerContains(part: Matcher, actual: unknown): Answer {
  if (Array.isArray(actual))
    return any(
      actual.map((element) => answer(part, element)).map((one) => (one === 'unfit' && isScalar(part) ? 'no' : one)),
    );
  if (typeof actual === 'string' && (typeof part === 'string' || typeof part === 'number'))
    return whether(actual.includes(String(part)));
  return 'unfit';
}

function answer(matcher: Matcher, actual: unknown): Answer {
  if (isScalar(matcher)) return equalScalar(matcher, actual);
  if (Array.isArray(matcher)) {
    if (!Array.isArray(actual)) return 'unfit';
    if (actual.length !== matcher.length) return 'no';
    return all(matcher.map((element, i) => answer(element, actual[i])));
  }
  const answers: Answer[] = [];
  if (matcher.absent !== undefined) answers.push(whether((actual === absent) === matcher.absent));
  if (matcher.matches !== undefined) {
    const text =
      typeof actual === 'string'
        ? actual
        : typeof actual === 'number' || typeof actual === 'boolean'
          ? String(actual)
          : null;
    answers.push(text === null ? 'unfit' : whether(testPattern(matcher.matches, text)));
  }
  if (matcher.contains !== undefined) answers.push(answerContains(matcher.contains, actual));
  if (matcher.not !== undefined) {
    const inner = answer(matcher.not, actual);
    answers.push(inner === 'yes' ? 'no' : inner === 'no' ? 'yes' : 'unfit');
  }
  if (matcher['one-of'] !== undefined) {
    const one = any(matcher['one-of'].map((element) => answer(element, actual)));
    answers.push(one);
  }
  if (matcher['in-subnet'] !== undefined) answers.push(inSubnet(matcher['in-subnet'], actual));
  if (matcher['at-least'] !== undefined || matcher['at-most'] !== undefined) {
    const value = numberOf(actual);
    if (value === null) answers.push('unfit');
    else {
      if (matcher['at-least'] !== undefined) answers.push(whether(value >= matcher['at-least']));
      if (matcher['at-most'] !== undefined) answers.push(whether(value <= matcher['at-most']));
    }
  }
  if (matcher.length !== undefined) {
    const length = lengthOf(actual);
    answers.push(length === null ? 'unfit' : answer(matcher.length, length));
  }
  if (matcher.each !== undefined) {
    const each = matcher.each;
    // A statement about the elements of an empty list would be true of anything: it is not taken as shown.
    if (!Array.isArray(actual) || actual.length === 0) answers.push('unfit');
    else answers.push(all(actual.map((element) => answer(each, element))));
  }
  return answers.length === 0 ? 'unfit' : all(answers);
}

const shownLimit = 240;

/** A value as JSON; one that is nested too deeply for that is said to be so. */
function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, part: unknown) => (part === absent ? '(absent)' : part)) ?? String(value);
  } catch (error) {
    if (error instanceof RangeError) return '(a value that is nested too deeply to be shown)';
    throw error;
  }
}

/** A value as a reader sees it, on one line, cut when long. */
export function showValue(value: unknown): string {
  if (value === absent) return 'absent';
  const text = jsonText(value);
  return text.length <= shownLimit ? text : `${text.slice(0, shownLimit - 1)}… (${text.length} characters)`;
}

/** What a matcher asks for, as a noun phrase. */
export function describeMatcher(matcher: Matcher): string {
  if (isScalar(matcher)) return showValue(matcher);
  if (Array.isArray(matcher)) return `[${matcher.map(describeMatcher).join(', ')}]`;
  const parts: string[] = [];
  if (matcher.absent !== undefined) parts.push(matcher.absent ? 'absent' : 'present');
  if (matcher.matches !== undefined) parts.push(`text that matches /${matcher.matches}/`);
  if (matcher.contains !== undefined) parts.push(`something that contains ${describeMatcher(matcher.contains)}`);
  if (matcher.not !== undefined) parts.push(`anything but ${describeMatcher(matcher.not)}`);
  if (matcher['one-of'] !== undefined) parts.push(`one of ${matcher['one-of'].map(describeMatcher).join(', ')}`);
  if (matcher['in-subnet'] !== undefined) parts.push(`inside ${matcher['in-subnet']}`);
  if (matcher['at-least'] !== undefined) parts.push(`at least ${matcher['at-least']}`);
  if (matcher['at-most'] !== undefined) parts.push(`at most ${matcher['at-most']}`);
  if (matcher.length !== undefined) parts.push(`a length of ${describeMatcher(matcher.length)}`);
  if (matcher.each !== undefined) parts.push(`a list of nothing but ${describeMatcher(matcher.each)}`);
  return parts.join(' and ');
}

/**
 * Whether a value is what the matcher asks for. A value that the question does not fit (a subnet asked of a number, anything
 * but `absent` asked of what is not there) is never ok, and so is its negation: `not` cannot be met by a value that is missing.
 */
export function match(matcher: Matcher, actual: unknown): MatchResult {
  const ok = answer(matcher, actual) === 'yes';
  const expected = describeMatcher(matcher);
  const shown = showValue(actual);
  return { ok, expected, actual: shown, sentence: ok ? `is ${shown}` : `is ${shown}, expected ${expected}` };
}
