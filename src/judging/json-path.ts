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

/** Every field against the document, in the order in which they were written. */
export function matchFields(fields: Record<string, Matcher>, document: unknown): FieldResult[] {
  return Object.entries(fields).map(([path, matcher]) => ({ path, ...match(matcher, valueAt(document, path)) }));
}
