import { quoteArg } from '../ssh/quote.js';
import { shown } from '../language/wording.js';
import { savedName, type SavedValue } from '../model/saved.js';
import type { Path } from './diagnostic.js';
import { isDataMap, type Data, type DataMap } from './source.js';

/**
 * Values that steps save are known at run time only. In the data that is validated a reference to one stands between two
 * characters that no scenario can hold, so that it is told from a `${name}` that is meant as it stands.
 */
const mark = '\u0001';
const marked = /\u0001([a-z][a-z0-9_]*)\u0001/g;

export function markReference(name: string): string {
  return `${mark}${name}${mark}`;
}

/** A text with its references as they stand in the file. */
export function asWritten(text: string): string {
  return text.replace(marked, '${$1}');
}

/** Which names the steps of a file save, in the order of its items. */
export interface SavedNames {
  /** Index of the first item that saves the name, over `steps` and `finally`. */
  readonly first: ReadonlyMap<string, number>;
  /** Index of an item by its path. */
  indexOf(path: Path): number;
}

/** Read from the data as it stands, before anything in it is known to be valid. */
export function savedNames(data: DataMap): SavedNames {
  const list = (key: string): Data[] => (Array.isArray(data[key]) ? data[key] : []);
  const steps = list('steps');
  const first = new Map<string, number>();
  [...steps, ...list('finally')].forEach((item, index) => {
    if (!isDataMap(item) || 'check' in item) return;
    const names = typeof item.save === 'string' ? [item.save] : isDataMap(item.save) ? Object.keys(item.save) : [];
    for (const name of names) if (savedName.test(name) && !first.has(name)) first.set(name, index);
  });
  return {
    first,
    indexOf: (path) => (path[0] === 'finally' ? steps.length : 0) + Number(path[1]),
  };
}

/** Keys whose text is a line for a shell, where a saved value is a variable of that shell. */
const lineKeys = new Set(['run', 'start', 'command']);

export function isShellLine(path: Path): boolean {
  const last = path.at(-1);
  return typeof last === 'string' && lineKeys.has(last);
}

/** A place in an item's data that holds references. */
export interface SavedUse {
  path: Path;
  text: string;
  names: string[];
  /** Nothing but one reference: it takes the value's own type. */
  whole: boolean;
  /** A line for a shell: the value becomes one of its variables, and no part of its text. */
  line: boolean;
}

/** Whether a shell line uses a variable that it does not set itself. */
function usesVariable(line: string, name: string): boolean {
  if (!new RegExp(`\\$(?:\\{${name}(?![A-Za-z0-9_])|${name}(?![A-Za-z0-9_]))`).test(line)) return false;
  return !new RegExp(`(?:^|[\\s;&|(])(?:${name}=|for\\s+${name}\\s|read\\s[^\\n;]*\\b${name}\\b)`).test(line);
}

/** Every use of a saved value below a path. `known`: names that earlier items save. */
export function savedUses(data: Data | undefined, base: Path, known: readonly string[]): SavedUse[] {
  const uses: SavedUse[] = [];
  const walk = (value: Data | undefined, path: Path): void => {
    if (Array.isArray(value)) return value.forEach((one, index) => walk(one, [...path, index]));
    if (isDataMap(value)) return Object.entries(value).forEach(([key, one]) => walk(one, [...path, key]));
    if (typeof value !== 'string') return;
    const names = isShellLine(path)
      ? known.filter((name) => usesVariable(value, name))
      : [...new Set([...value.matchAll(marked)].map((match) => match[1]!))];
    if (names.length === 0) return;
    const whole = new RegExp(`^${mark}[a-z][a-z0-9_]*${mark}$`).test(value);
    uses.push({ path, text: value, names, whole, line: isShellLine(path) });
  };
  walk(data, base);
  return uses;
}

/** A copy of the data with what is to stand at each use. */
export function withUses(data: Data, base: Path, uses: readonly SavedUse[], values: readonly Data[]): Data {
  if (uses.length === 0) return data;
  const byPath = new Map(uses.map((use, index) => [JSON.stringify(use.path), values[index]!]));
  const walk = (value: Data, path: Path): Data => {
    const known = byPath.get(JSON.stringify(path));
    if (known !== undefined) return known;
    if (Array.isArray(value)) return value.map((one, index) => walk(one, [...path, index]));
    if (!isDataMap(value)) return value;
    const out = Object.create(null) as DataMap;
    for (const [key, one] of Object.entries(value)) out[key] = walk(one, [...path, key]);
    return out;
  };
  return walk(data, base);
}

/**
 * What may stand for a value while it is not known, by the kinds of fields that the language has. Each is told by the words in
 * it, so that what a kind makes of it can be shown with the reference again.
 */
export function samplesFor(use: SavedUse, names: readonly string[]): Data[] {
  if (use.line) return [use.text];
  const text = (sample: (at: number) => string): string =>
    use.text.replace(marked, (_, name: string) => sample(names.indexOf(name)));
  const number = (at: number): string => String(47_011 + at);
  const texts = [
    (at: number): string => `\${${names[at]}}`,
    (at: number): string => `n${number(at)}`,
    number,
    (at: number): string => `192.0.2.${47 + at}`,
    (at: number): string => `2001:db8::${47 + at}`,
    (at: number): string => `192.0.2.${47 + at}/32`,
    (at: number): string => `${number(at)}ms`,
  ].map(text);
  return use.whole ? [...texts.slice(0, 2), 47_011 + names.indexOf(use.names[0]!), ...texts.slice(2)] : texts;
}

/** A text that was made from samples, with the references in their place. */
export function withoutSamples(text: string, names: readonly string[]): string {
  return names.reduce((out, name, at) => {
    const number = String(47_011 + at);
    const address = String(47 + at);
    const samples = [
      `192.0.2.${address}/32`,
      `192.0.2.${address}`,
      `2001:db8::${address}`,
      `${number}ms`,
      `n${number}`,
      number,
    ];
    return samples.reduce((rest, sample) => rest.replaceAll(sample, `\${${name}}`), out);
  }, asWritten(text));
}

export function holdsSample(text: string, names: readonly string[]): boolean {
  return withoutSamples(text, names).includes('${');
}

/** What a value is in a field, best guess first: a text of digits is a number there, as in YAML, unless the field wants a text. */
function readings(value: SavedValue): Data[] {
  if (typeof value !== 'string') return [value, String(value)];
  if (/^-?(?:0|[1-9]\d{0,14})$/.test(value)) return [Number(value), value];
  if (value === 'true' || value === 'false') return [value, value === 'true'];
  return [value];
}

/** What stands at a use once the values are known: the readings that its field may take. */
export function valuesFor(use: SavedUse, values: ReadonlyMap<string, SavedValue>): Data[] {
  if (use.line) {
    const set = use.names.map((name) => `${name}=${quoteArg(String(values.get(name)!))}`);
    // On the line of the command: a script of several lines is another thing than one line.
    return [`${set.join(' ')}; ${use.text}`];
  }
  if (use.whole) return readings(values.get(use.names[0]!)!);
  return [use.text.replace(marked, (_, name: string) => String(values.get(name)!))];
}

/** `pid is "abc"`, for sentences. */
export function saying(names: readonly string[], values: ReadonlyMap<string, SavedValue>): string {
  return names.map((name) => `\`${name}\` is ${shown(values.get(name))}`).join(', ');
}
