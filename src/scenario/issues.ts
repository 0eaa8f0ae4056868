import { z } from 'zod';
import type { Path } from './diagnostic.js';
import { composePart, notCarriedOut } from './compose-words.js';
import { isDataMap } from './source.js';
import type { DataMap } from './source.js';
import { nearest, shown, suggestion } from '../language/wording.js';
import { probeCauses } from '../model/verdict.js';

/** A mistake with its place as a path; `at` says whether the key or the value is to blame. */
export interface Problem {
  path: Path;
  message: string;
  at: 'key' | 'value';
  /** Says that the last key of `missing` is not there. */
  missing?: Path;
  /** Says that a key is unknown and was most likely meant to be this one. */
  meant?: Path;
  /** Says that a key is unknown, and no key that is known is like it. */
  strange?: true;
}

/** Without those that only say once more that a key was misspelt: "titel" is unknown, "title" is missing. */
function withoutEchoes(problems: readonly Problem[]): Problem[] {
  const meant = new Set(
    problems.flatMap((problem) => (problem.meant === undefined ? [] : [JSON.stringify(problem.meant)])),
  );
  return problems.filter((problem) => problem.missing === undefined || !meant.has(JSON.stringify(problem.missing)));
}

const words: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'nothing',
};

function listed(values: readonly unknown[]): string {
  const all = values.map((value) => (typeof value === 'string' ? value : String(value)));
  return all.length <= 1 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`;
}

/** Sentences for issues whose schema has none of its own. Empty for those that `problems` words by itself. */
const sentence: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return withoutValue(issue.input)
        ? `expected ${words[issue.expected] ?? issue.expected}`
        : `expected ${words[issue.expected] ?? issue.expected}, got ${shown(issue.input)}`;
    case 'invalid_value':
      return `expected ${listed(issue.values)}${withoutValue(issue.input) ? '' : `, got ${shown(issue.input)}`}${suggestion(
        issue.input,
        issue.values.filter((value) => typeof value === 'string'),
      )}`;
    case 'too_small':
      if (issue.origin === 'string')
        return Number(issue.minimum) === 1
          ? 'the text is empty'
          : `expected at least ${issue.minimum} characters, got ${shown(issue.input)}`;
      if (issue.origin === 'array')
        return Number(issue.minimum) === 1
          ? 'the list is empty: name at least one'
          : `expected at least ${issue.minimum} items`;
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}, got ${shown(issue.input)}`;
    case 'too_big':
      if (issue.origin === 'string') return `expected at most ${issue.maximum} characters`;
      if (issue.origin === 'array') return `expected at most ${issue.maximum} items`;
      return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}, got ${shown(issue.input)}`;
    case 'invalid_format':
      return `expected ${issue.format === 'regex' ? `a text of the form ${issue.pattern ?? ''}` : issue.format === 'url' ? 'a URL' : `a ${issue.format}`}, got ${shown(issue.input)}`;
    case 'not_multiple_of':
      return `expected a multiple of ${issue.divisor}, got ${shown(issue.input)}`;
    default:
      return '';
  }
};

function withoutValue(input: unknown): boolean {
  return input === undefined;
}

type Issue = z.core.$ZodIssue;

/** Of the branches of a union, the one whose kind of value (text, list, map) the input has; `null` when it has none of them. */
function branchMeant(all: readonly Issue[][], input: unknown): Issue[] | null {
  const branches = withoutList(all, input);
  if (branches.length === 1) return branches[0]!;
  const inside = branches.filter(
    (issues) =>
      issues.length > 0 && issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  if (inside.length > 0) return inside.reduce((best, issues) => (isNearer(issues, best) ? issues : best));
  // One word of several, or something else altogether: all of it is worth saying.
  if (branches.some((issues) => issues.some((issue) => issue.path.length === 0 && issue.code === 'invalid_value')))
    return null;
  const matched = branches.filter(
    (issues) =>
      issues.length > 0 &&
      !issues.some(
        (issue) => issue.path.length === 0 && issue.code === 'invalid_type' && !acceptsType(issue.expected, input),
      ),
  );
  if (matched.length > 0) return matched[0]!;
  return null;
}

/** Of two forms of a map, the one that knows more of its keys was meant, or else the one with less wrong. */
function isNearer(issues: readonly Issue[], best: readonly Issue[]): boolean {
  const [here, there] = [unknownKeys(issues).length, unknownKeys(best).length];
  return here !== there ? here < there : mistakesOf(issues) < mistakesOf(best);
}

function unknownKeys(issues: readonly Issue[]): string[] {
  return issues.flatMap((one) => (one.code === 'unrecognized_keys' && one.path.length === 0 ? one.keys : []));
}

/** A misspelt key is one mistake, and not two: the one that is unknown, and the one that is missing for it. */
function mistakesOf(issues: readonly Issue[]): number {
  const unknown = unknownKeys(issues);
  const echoes = issues.filter(
    ({ path }) => path.length === 1 && unknown.some((key) => nearest(key, [String(path[0])]) !== null),
  );
  return issues.length - echoes.length;
}

/** Where one value or a list of them may stand and no list stands, the list is not worth a word. */
function withoutList(branches: readonly Issue[][], input: unknown): readonly Issue[][] {
  const rest = branches.filter(
    (issues) =>
      !issues.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type' && issue.expected === 'array'),
  );
  return Array.isArray(input) || rest.length === 0 ? branches : rest;
}

function acceptsType(expected: string, input: unknown): boolean {
  switch (expected) {
    case 'array':
      return Array.isArray(input);
    case 'object':
    case 'record':
      return isDataMap(input);
    case 'int':
      return typeof input === 'number';
    case 'null':
      return input === null;
    default:
      return typeof input === expected;
  }
}

type JsonSchema = z.core.JSONSchema.JSONSchema;

const jsonSchemas = new WeakMap<z.ZodType, JsonSchema>();

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  let made = jsonSchemas.get(schema);
  if (made === undefined) {
    made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    jsonSchemas.set(schema, made);
  }
  return made;
}

/** The keys that a schema knows at a path, over all branches that lead there. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  const root = jsonSchemaOf(schema);
  const open = (one: unknown): JsonSchema[] => {
    if (typeof one !== 'object' || one === null) return [];
    const node = one as JsonSchema;
    if (typeof node.$ref === 'string')
      return open(node.$ref === '#' ? root : (root.$defs ?? {})[node.$ref.replace(/^#\/\$defs\//, '')]);
    return [node, ...[node.anyOf, node.oneOf, node.allOf].flatMap((branches) => (branches ?? []).flatMap(open))];
  };
  let here = open(root);
  for (const part of path) {
    here = here.flatMap((node) => {
      if (typeof part === 'number') return open(Array.isArray(node.items) ? node.items[part] : node.items);
      return open(node.properties?.[part] ?? node.additionalProperties);
    });
  }
  return [...new Set(here.flatMap((node) => Object.keys(node.properties ?? {})))];
}

export type Checked<T> = { ok: true; value: T } | { ok: false; problems: Problem[] };

/** Keys of every check, which stand beside its kind and not in it. */
const besideCheck: readonly string[] = ['check', 'within', 'holds-for', 'timeout', 'when', 'covers', 'level', 'text'];

/** `steps[3].ping`: what stands below a kind's key. */
const isItemsBody = (base: Path): boolean => base.length === 3 && base[0] === 'steps';

/**
 * What is said of a key that has no place in a map, and has one in the map `expect` of it: of its very word, or of one that is
 * near to it and to no key of the map itself. `null`: it has none there either.
 */
export function belowExpect(key: string, known: readonly string[], expected: readonly string[]): string | null {
  if (expected.includes(key)) return `\`${key}\` belongs under \`expect:\``;
  const meant = nearest(key, known) === null ? nearest(key, expected) : null;
  return meant === null ? null : `unknown key ${shown(key)}; did you mean "${meant}"? It belongs under \`expect:\``;
}

/** What is said of causes that stand where a map with `fails` must; `null` where the value names none. */
function causesUnderFails(input: unknown): string | null {
  const words = Array.isArray(input) ? (input as unknown[]) : [input];
  const causes = words.map((word) => (typeof word === 'string' ? nearest(word, probeCauses) : null));
  if (causes.length === 0 || causes.includes(null)) return null;
  const list = Array.isArray(input) ? `[${causes.join(', ')}]` : causes[0]!;
  return `a cause belongs under \`fails\`: \`expect: { fails: ${list} }\``;
}

/** A key that has no place at `path`, where the `known` ones do; `beside`: the other keys that stand there. */
function unknownKey(
  path: Path,
  key: string,
  {
    known,
    beside,
    inItemsBody,
    expected,
  }: { known: readonly string[]; beside: readonly string[]; inItemsBody: boolean; expected: readonly string[] },
): Problem {
  const there = { path: [...path, key], at: 'key' } as const;
  // Another form of the map knows it: it is the company that is wrong, not the word.
  if (known.includes(key) && beside.length > 0)
    return { ...there, message: `${shown(key)} does not go with ${beside.map(shown).join(', ')}` };
  if (inItemsBody && besideCheck.includes(key))
    return { ...there, message: `\`${key}\` belongs one level up, beside \`check:\`` };
  const part = composePart(path);
  const without = part === null ? null : notCarriedOut(part, key);
  if (without !== null) return { ...there, message: without };
  const below = belowExpect(key, known, expected);
  if (below !== null) return { ...there, message: below, meant: [...path, 'expect'] };
  const guess = suggestion(key, known);
  const rest = guess === '' && known.length > 0 ? `; known here: ${known.join(', ')}` : guess;
  const near = nearest(key, known);
  return {
    ...there,
    message: `unknown key ${shown(key)}${rest}`,
    ...(near === null ? { strange: true as const } : { meant: [...path, near] }),
  };
}

/** A program of its own for each schema takes longer to make than a file's few values take by the schema itself. */
export const interpreted = { jitless: true } as const;

/** Parses by a schema; problems have their paths below `base`, and sentences for people. */
export function check<T>(
  schema: z.ZodType<T>,
  data: unknown,
  base: Path,
  otherKeys: readonly string[] = [],
): Checked<T> {
  const result = schema.safeParse(data, { error: sentence, reportInput: true, ...interpreted });
  if (result.success) return { ok: true, value: result.data };
  const problems: Problem[] = [];

  const take = (issue: Issue, at: Path): void => {
    const local = [...at, ...(issue.path as (string | number)[])];
    const path = [...base, ...local];
    switch (issue.code) {
      case 'unrecognized_keys': {
        const known = [...keysAt(schema, local), ...(local.length === 0 ? otherKeys : [])];
        const inItemsBody = local.length === 0 && isItemsBody(base);
        const expected = known.includes('expect') ? keysAt(schema, [...local, 'expect']) : [];
        const unknown = new Set(issue.keys);
        const beside = Object.keys(valueAt(data, local) ?? {}).filter((key) => !unknown.has(key));
        problems.push(...issue.keys.map((key) => unknownKey(path, key, { known, beside, inItemsBody, expected })));
        return;
      }
      case 'invalid_key':
        problems.push({
          path,
          at: 'key',
          message: issue.issues.map((one) => one.message).find((text) => text !== '') ?? 'this key has no place here',
        });
        return;
      case 'invalid_union': {
        const missing = isMissing(data, local);
        const branch = missing ? null : branchMeant(issue.errors, issue.input);
        if (branch !== null && !(issue.message !== '' && branch.every((one) => one.path.length === 0))) {
          for (const one of branch) take(one, local);
          return;
        }
        const expected = withoutList(issue.errors, issue.input)
          .flat()
          .flatMap((one) =>
            one.path.length === 0 ? [one.message.replace(/^expected /, '').replace(/, got .*$/s, '')] : [],
          );
        const got = issue.input === undefined ? '' : `, got ${shown(issue.input)}`;
        problems.push(
          worded(
            path,
            local,
            issue.message === '' ? `expected ${[...new Set(expected)].join(', or ')}${got}` : issue.message,
          ),
        );
        return;
      }
      default:
        problems.push(
          worded(
            path,
            local,
            issue.message === '' || issue.message === 'Invalid input' ? 'this value cannot stand here' : issue.message,
          ),
        );
    }
  };

  const worded = (path: Path, local: Path, message: string): Problem => {
    const causes =
      local.at(-1) === 'expect' && keysAt(schema, local).includes('fails')
        ? causesUnderFails((valueAt(data, local.slice(0, -1)) as DataMap | undefined)?.['expect'])
        : null;
    if (causes !== null) return { path, at: 'value', message: causes };
    if (!isMissing(data, local)) return { path, at: 'value', message };
    const key = shown(local.at(-1));
    return {
      path,
      at: 'value',
      missing: path,
      message: `${key} is missing${message === '' ? '' : `: ${message.replace(/, got nothing$/, '')}`}`,
    };
  };

  for (const issue of result.error.issues) take(issue, []);
  return { ok: false, problems: withOtherWords(schema, data, base, withoutEchoes(problems)) };
}

const samePath = (a: Path, b: Path): boolean => a.length === b.length && a.every((part, index) => part === b[index]);

/** How many maps of one value are looked into for another word: each look reads the whole value once more. */
const otherWordsTried = 20;

/**
 * Where one key of a map is missing and one unknown key stands there whose value would do for it, the one is another word for
 * the other: one mistake.
 */
function withOtherWords(schema: z.ZodType, data: unknown, base: Path, problems: readonly Problem[]): Problem[] {
  const inMaps = new Map<string, { map: Path; lacks: Problem[]; strange: Problem[] }>();
  for (const problem of problems) {
    if (problem.missing === undefined && problem.strange !== true) continue;
    const map = (problem.missing ?? problem.path).slice(0, -1);
    const at = JSON.stringify(map);
    const known = inMaps.get(at) ?? { map, lacks: [], strange: [] };
    inMaps.set(at, known);
    (problem.missing === undefined ? known.strange : known.lacks).push(problem);
  }
  const instead = new Map<Problem, Problem | null>();
  const pairs = [...inMaps.values()].filter(({ lacks, strange }) => lacks.length === 1 && strange.length === 1);
  for (const { map, lacks, strange } of pairs.slice(0, otherWordsTried)) {
    const [lack, other] = [lacks[0]!, strange[0]!];
    const key = String(lack.missing!.at(-1));
    if (!wouldDo(schema, data, map.slice(base.length), String(other.path.at(-1)), key)) continue;
    const { path, at } = other;
    instead.set(lack, null).set(other, { path, at, message: `unknown key ${shown(path.at(-1))}: write ${shown(key)}` });
  }
  return problems.flatMap((problem) => {
    const other = instead.get(problem);
    return other === null ? [] : [other ?? problem];
  });
}

/** Whether nothing is wrong at `key` of the map at `path` once what stands at `from` stands there. */
function wouldDo(schema: z.ZodType, data: unknown, path: Path, from: string, key: string): boolean {
  const renamed: unknown = structuredClone(data);
  const map = valueAt(renamed, path) as Record<string, unknown>;
  map[key] = map[from];
  delete map[from];
  const result = schema.safeParse(renamed, interpreted);
  const at = [...path, key];
  return result.success || !issuesBelow(result.error.issues, []).some((one) => samePath(one.slice(0, at.length), at));
}

/** The paths of issues, those of the branches of unions among them. */
function issuesBelow(issues: readonly Issue[], base: Path): Path[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...(issue.path as (string | number)[])];
    return [
      path,
      ...(issue.code === 'invalid_union' ? issue.errors.flatMap((branch) => issuesBelow(branch, path)) : []),
    ];
  });
}

/** What stands at a path that leads through maps and lists which are there. */
function valueAt(data: unknown, path: Path): object | null {
  let here: unknown = data;
  for (const part of path) here = (here as Record<string | number, unknown>)[part];
  return typeof here === 'object' ? here : null;
}

/** Whether a path ends in a key that its map does not have. */
function isMissing(data: unknown, path: Path): boolean {
  if (path.length === 0) return false;
  let here: unknown = data;
  for (const part of path) {
    if (typeof here !== 'object' || here === null || !(part in here)) return true;
    here = (here as Record<string | number, unknown>)[part];
  }
  return false;
}
