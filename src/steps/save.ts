import { z } from 'zod';
import { shown } from '../language/wording.js';
import { quotingHint, valueAt, zJsonPath } from '../judging/json-path.js';
import { absent } from '../judging/match.js';
import { compilePattern, execPattern, PatternUndecided } from '../judging/pattern.js';
import { savedName, type SavedValue } from '../model/saved.js';

/** Longer values are files: a shell would not take them as a variable. */
const maxLength = 32 * 1024;

const zSavedName = z.string().regex(savedName, {
  error: (issue) =>
    `expected a name for the value: lower-case letters, digits and underscores, beginning with a letter, got ${shown(issue.input)}`,
});

const zPattern = z
  .string()
  .min(1)
  .check((check) => {
    try {
      compilePattern(check.value);
    } catch (error) {
      check.issues.push({ code: 'custom', input: check.value, message: `no regular expression: ${String(error)}` });
    }
  });

const zFrom = z.union(
  [
    z.literal('text'),
    z.strictObject({ json: zJsonPath.describe('Path to the value in the JSON document that the output is.') }),
    z.strictObject({
      matches: zPattern.describe('Regular expression: the value is its first group, or all that it matches.'),
    }),
  ],
  { error: 'expected `text`, `{ json: PATH }` or `{ matches: PATTERN }`' },
);

/** A name alone saves the whole output. Comes out as a map. */
export const zSave = z
  .union([
    zSavedName,
    z
      .record(zSavedName, zFrom)
      .refine((names) => Object.keys(names).length > 0, { error: 'name at least one value to save' }),
  ])
  .transform((save): Record<string, z.output<typeof zFrom>> => (typeof save === 'string' ? { [save]: 'text' } : save))
  .describe(
    'Values of the standard output for later steps and checks, which have them as `${name}`. `save: pid`: all of it, without the blanks around it. `save: { id: { json: "[0].Id" }, mac: { matches: "ether (\\S+)" } }`: a value of a JSON document, the first group of a regular expression.',
  );

type Save = z.output<typeof zSave>;

/** The values of an output, or what keeps one from being there. */
export function savedFrom(save: Save, stdout: string): { values: Map<string, SavedValue> } | { problem: string } {
  const values = new Map<string, SavedValue>();
  for (const [name, from] of Object.entries(save)) {
    const one =
      from === 'text'
        ? { value: stdout.trim() }
        : 'json' in from
          ? ofJson(from.json, stdout)
          : ofPattern(from.matches, stdout);
    if ('problem' in one) return { problem: `\`${name}\` could not be saved: ${one.problem}` };
    const text = String(one.value);
    if (text === '') return { problem: `\`${name}\` could not be saved: the output is empty` };
    if (text.length > maxLength)
      return { problem: `\`${name}\` could not be saved: it has ${text.length} characters, more than ${maxLength}` };
    if (text.includes('\0')) return { problem: `\`${name}\` could not be saved: it holds a NUL character` };
    values.set(name, one.value);
  }
  return { values };
}

type One = { value: SavedValue } | { problem: string };

function ofJson(path: string, stdout: string): One {
  let document: unknown;
  try {
    document = JSON.parse(stdout);
  } catch {
    return { problem: `the output is no JSON document: ${shown(stdout.trim())}` };
  }
  const value = valueAt(document, path);
  if (value === absent) return { problem: `the output has no ${path}${quotingHint(document, path)}` };
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return { value };
  return { problem: `${path} is ${shown(value)}, and a value is a text, a number or true/false` };
}

function ofPattern(pattern: string, stdout: string): One {
  try {
    const found = execPattern(pattern, stdout);
    if (found === null) return { problem: `nothing in the output matches /${pattern}/: ${shown(stdout.trim())}` };
    return { value: found[1] ?? found[0] };
  } catch (error) {
    if (error instanceof PatternUndecided) return { problem: error.message };
    throw error;
  }
}
