import { z } from 'zod';
import { type Matcher, type MatchResult, absent, match, zMatcher } from './match.js';

type PathStep = { key: string } | { index: number } | { each: true };

/** Thrown for a text that is no path, with the place. */
class PathSyntaxError extends Error {}

/** A key in JSON's quotes; `null` where it is none. */
function unquoted(text: string): string | null {
  try {
    return JSON.parse(text) as string;
  } catch {
    return null;
  }
}

/**
 * Parses `IPAM.Config[0].Subnet`, `Labels."com.example.role"`, `Containers[*].Name`. Keys of letters, digits, `_` and `-`
 * stand as they are, others in double quotes (JSON's escapes). Throws an Error that names the place for anything else.
 */
export function parsePath(text: string): PathStep[] {
  const steps: PathStep[] = [];
  let at = 0;
  const wrong = (what: string): never => {
    throw new PathSyntaxError(`${what} at character ${at + 1} of the path ${JSON.stringify(text)}`);
  };
  let wantsKey = true;
  while (at < text.length) {
    const rest = text.slice(at);
    if (wantsKey) {
      const key = /^(?:([\w-]+)|("(?:[^"\\]|\\.)*"))/u.exec(rest);
      if (key === null) {
        // A path may begin with an index where the document is a list.
        if (steps.length > 0 || !rest.startsWith('[')) wrong('a key was expected');
      } else {
        const name = key[1] ?? unquoted(key[2] ?? '');
        if (name === null) return wrong('a badly quoted key');
        steps.push({ key: name });
        at += key[0].length;
      }
      wantsKey = false;
      continue;
    }
    const index = /^\[(\d{1,9}|\*)\]/.exec(rest);
    if (index !== null) {
      steps.push(index[1] === '*' ? { each: true } : { index: Number(index[1]) });
      at += index[0].length;
    } else if (rest.startsWith('.')) {
      at += 1;
      wantsKey = true;
    } else wrong('"." or "[" was expected');
  }
  if (wantsKey) wrong('a key was expected');
  return steps;
}

function walk(value: unknown, steps: PathStep[], from: number): unknown {
  const step = steps[from];
  if (step === undefined) return value;
  if ('key' in step) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, step.key))
      return absent;
    return walk((value as Record<string, unknown>)[step.key], steps, from + 1);
  }
  if ('index' in step) {
    if (!Array.isArray(value) || step.index >= value.length) return absent;
    return walk(value[step.index], steps, from + 1);
  }
  if (typeof value !== 'object' || value === null) return absent;
  return Object.values(value).map((element) => walk(element, steps, from + 1));
}

/**
 * The value at a path, or the symbol `absent`. `[*]` gives a list with one entry per element of a list or value of a map; an
 * entry whose rest of the path does not exist is `absent`, so that it is seen rather than dropped.
 */
export function valueAt(document: unknown, path: string): unknown {
  return walk(document, parsePath(path), 0);
}

/** A claim of absence that shows nothing: what it is to be absent from is missing itself. Checks turn it into `inconclusive`. */
export class AbsenceUndecided extends Error {}

/** The path as it is written; keys in quotes where they need them. */
function pathText(steps: readonly PathStep[]): string {
  return steps
    .map((step, at) => {
      if (!('key' in step)) return 'index' in step ? `[${step.index}]` : '[*]';
      const key = /^[\w-]+$/u.test(step.key) ? step.key : JSON.stringify(step.key);
      return at === 0 ? key : `.${key}`;
    })
    .join('');
}

interface Gap {
  /** The part of the path that is not there. */
  missing: string;
  /** The last part of the path is missing, of something that is there. */
  atEnd: boolean;
  /** The path that leads on, where keys with dots in them were meant. */
  quoted: string | null;
}

/** Keys in a row that, with dots between them, are one key of the object. */
function quotedFrom(value: object, steps: readonly PathStep[], from: number): string | null {
  const names: string[] = [];
  let found: string | null = null;
  for (const [at, step] of steps.entries()) {
    if (at < from) continue;
    if (!('key' in step)) break;
    names.push(step.key);
    const key = names.join('.');
    if (names.length > 1 && Object.hasOwn(value, key))
      found = pathText([...steps.slice(0, from), { key }, ...steps.slice(at + 1)]);
  }
  return found;
}

/** Where the path leads no further; `null` where all of it is there. An engine writes an empty map or list as `null`: nothing is in it. */
function gapIn(value: unknown, steps: readonly PathStep[], from = 0): Gap | null {
  const step = steps[from];
  if (step === undefined) return null;
  const atEnd = from === steps.length - 1;
  const missing = pathText(steps.slice(0, from + 1));
  if (value === null) return { missing, atEnd, quoted: null };
  // What is neither a map nor a list is itself not what the path takes it for.
  if (typeof value !== 'object') return { missing, atEnd: false, quoted: null };
  if ('each' in step) {
    const gaps = Object.values(value).flatMap((one) => gapIn(one, steps, from + 1) ?? []);
    return gaps.find((one) => !one.atEnd) ?? gaps[0] ?? null;
  }
  if ('key' in step) {
    if (Array.isArray(value)) return { missing, atEnd: false, quoted: null };
    if (!Object.hasOwn(value, step.key)) return { missing, atEnd, quoted: quotedFrom(value, steps, from) };
    return gapIn((value as Record<string, unknown>)[step.key], steps, from + 1);
  }
  if (!Array.isArray(value)) return { missing, atEnd: false, quoted: null };
  return step.index < value.length ? gapIn(value[step.index], steps, from + 1) : { missing, atEnd, quoted: null };
}

/** How a path is written that leads to nothing because a key with dots stands in it without quotes; empty where that is not why. */
export function quotingHint(document: unknown, path: string): string {
  const quoted = gapIn(document, parsePath(path))?.quoted ?? null;
  return quoted === null ? '' : `; a key with dots is written in quotes: ${quoted}`;
}

export const zJsonPath = z
  .string()
  .min(1)
  .check((check) => {
    try {
      parsePath(check.value);
    } catch (error) {
      check.issues.push({ code: 'custom', input: check.value, continue: true, message: (error as Error).message });
    }
  })
  .describe('A path into a JSON document: keys with dots, [n], [*], other keys in double quotes.');

/** `path: matcher` pairs. */
export const zFields: z.ZodType<Record<string, Matcher>> = z
  .record(z.string(), zMatcher)
  .check((check) => {
    const paths = Object.keys(check.value);
    if (paths.length === 0)
      check.issues.push({
        code: 'custom',
        input: check.value,
        continue: true,
        message: 'must name at least one field',
      });
    for (const path of paths) {
      try {
        parsePath(path);
      } catch (error) {
        check.issues.push({
          code: 'custom',
          input: path,
          path: [path],
          continue: true,
          message: (error as Error).message,
        });
      }
    }
  })
  .describe('Paths into the JSON document with what must stand there: `IPAM.Config[0].Subnet: 10.0.0.0/24`.');

export interface FieldResult extends MatchResult {
  path: string;
}

/** Nothing was found, be it of each of several. */
function nothingIn(value: unknown): boolean {
  return value === absent || (Array.isArray(value) && value.length > 0 && value.every(nothingIn));
}

/**
 * Every field against the document, in the order in which they were written. Throws `AbsenceUndecided` where all hold, and one of
 * them only because a part of its path before the last is missing.
 */
export function matchFields(fields: Record<string, Matcher>, document: unknown): FieldResult[] {
  const results = Object.entries(fields).map(([path, matcher]): FieldResult => {
    const found = match(matcher, valueAt(document, path));
    return { path, ...found, sentence: `${found.sentence}${found.ok ? '' : quotingHint(document, path)}` };
  });
  if (results.some(({ ok }) => !ok)) return results;
  for (const path of Object.keys(fields)) {
    if (!nothingIn(valueAt(document, path))) continue;
    const gap = gapIn(document, parsePath(path));
    if (gap === null || gap.atEnd) continue;
    throw new AbsenceUndecided(
      `whether ${path} is absent is not shown: ${gap.missing} is not there to have it${quotingHint(document, path)}`,
    );
  }
  return results;
}
