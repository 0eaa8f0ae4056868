import { itemKey, type CasesByItem } from './cases.js';
import type { Path } from './diagnostic.js';
import { isDataMap } from './source.js';
import type { Data, DataMap } from './source.js';
import { suggestion } from '../language/wording.js';
import { isShellLine, markReference, type SavedNames } from './saved-values.js';

export type Scalar = string | number | boolean;

/** Keys of an item whose values stand before the run begins. */
const plannedKeys = new Set([
  'step',
  'check',
  'on',
  'timeout',
  'within',
  'holds-for',
  'when',
  'covers',
  'level',
  'text',
  'for',
  'save',
  'role',
  'stage',
  'points',
  'guard',
  'shown',
  'hint',
]);

/** Texts that stand wherever a run is spoken of. */
function isTitle(path: Path): boolean {
  if (path.length === 1) return ['title', 'description', 'text', 'tags'].includes(String(path[0]));
  if (path[0] === 'exercise') return true;
  return (path[0] === 'steps' || path[0] === 'finally') && ['step', 'check', 'text', 'hint'].includes(String(path[2]));
}

/** Why a value that is saved by the item `first` cannot stand at a path of the item `index`; `null`: it can. */
function savedProblem(path: Path, first: number, index: number): string | null {
  if ((path[0] !== 'steps' && path[0] !== 'finally') || path.length < 3)
    return 'only the steps and checks after it have it';
  // A check kind of a name such as `text` would be one of the keys; there is none.
  if (plannedKeys.has(String(path[2]))) return `\`${String(path[2])}\` is planned before anything runs`;
  return first < index ? null : 'it stands after this item, or is this one';
}

/** Keys whose text a shell or a program reads, which has variables of its own. */
const shellKeys = new Set(['run', 'start', 'content', 'command', 'stdin']);

/** Parts of a file in which variables are declared, not used. */
const declaring = new Set(['scenario', 'vars', 'secrets', 'matrix', 'parameters']);

/** `${name}`, or `$${` which stands for a plain `${`. */
const reference = /(\$)?\$\{([^}]*)\}/g;

/** Whether the last named part of the path holds text for a shell. */
function isShellText(path: Path): boolean {
  for (let at = path.length - 1; at >= 0; at -= 1) {
    const part = path[at]!;
    if (typeof part === 'string') return shellKeys.has(part);
  }
  return false;
}

/**
 * A copy of the data with every `${name}` replaced. A text that is nothing but one reference takes the variable's own type, so
 * that `port: ${port}` is a number. `used` collects the names that were met; `cases` are the further variables of single items.
 */
export function replaceVariables(
  data: Data,
  shared: ReadonlyMap<string, Scalar>,
  report: (path: Path, message: string | (() => string), at: 'key' | 'value') => void,
  used: Set<string>,
  cases: CasesByItem = new Map(),
  saved: SavedNames | null = null,
  secret: (name: string) => boolean = () => false,
): Data {
  /** A value that a step saves is known at run time only: its reference stays, where one may stand. */
  const savedReference = (name: string, path: Path): string | null => {
    const first = saved?.first.get(name);
    if (first === undefined) return null;
    const problem = savedProblem(path, first, saved!.indexOf(path));
    if (problem !== null) report(path, `\`\${${name}}\` is a value that a step saves: ${problem}`, 'value');
    return markReference(name);
  };

  const replaceText = (text: string, path: Path): Data => {
    if (!text.includes('${')) return text;
    const own = path.length > 2 ? cases.get(itemKey(path)) : undefined;
    const variables = own === undefined ? shared : new Map([...shared, ...own]);
    const shell = isShellText(path);
    const whole = /^\$\{([^}]*)\}$/.exec(text);
    if (whole && !shell && variables.has(whole[1]!) && !secret(whole[1]!)) {
      used.add(whole[1]!);
      return variables.get(whole[1]!)!;
    }
    return text.replace(reference, (all: string, escaped: string | undefined, name: string) => {
      const value = variables.get(name);
      if (escaped !== undefined) {
        const known = value !== undefined || (saved?.first.has(name) === true && !isShellLine(path));
        return shell && !known ? all : all.slice(1);
      }
      if (value !== undefined) {
        used.add(name);
        if (secret(name) && isTitle(path))
          report(path, `\`\${${name}}\` is secret, and this is for everybody to read`, 'value');
        return String(value);
      }
      if (isShellLine(path)) return all;
      const reference = savedReference(name, path);
      if (reference !== null) return reference;
      if (!shell) report(path, () => unknownVariable(name, [...variables.keys()]), 'value');
      return all;
    });
  };

  const walk = (value: Data, path: Path): Data => {
    if (typeof value === 'string') return replaceText(value, path);
    // Most items refer to nothing.
    if (path.length === 2 && !refers(value)) return value;
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (!isDataMap(value)) return value;
    const out = Object.create(null) as DataMap;
    for (const [key, item] of Object.entries(value)) {
      const below = [...path, key];
      if (path.length === 0 && declaring.has(key)) {
        out[key] = item;
        continue;
      }
      if (key.includes('${') && !shellKeys.has(key)) report(below, 'variables are not replaced in keys', 'key');
      out[key] = walk(item, below);
    }
    return out;
  };

  return walk(data, []);
}

/** Whether `${` stands anywhere in a value. */
function refers(value: Data): boolean {
  if (typeof value === 'string') return value.includes('${');
  if (Array.isArray(value)) return value.some(refers);
  if (!isDataMap(value)) return false;
  return Object.keys(value).some((key) => key.includes('${') || refers(value[key]!));
}

function unknownVariable(name: string, declared: readonly string[]): string {
  const short = name.length > 40 ? `${name.slice(0, 39)}…` : name;
  const known =
    declared.length === 0
      ? '; the file has no `vars`'
      : suggestion(name, declared) || `; declared: ${declared.slice(0, 20).join(', ')}`;
  return `no variable \`\${${short}}\` is declared in \`vars\` or \`matrix\`${known}`;
}
