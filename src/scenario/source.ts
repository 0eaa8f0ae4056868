import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, Parser } from 'yaml';
import type { Alias, Document, Node, Pair, YAMLError } from 'yaml';
import { formatPath } from './diagnostic.js';
import type { Diagnostic, Path, Stretch } from './diagnostic.js';
import type { SourcePlace } from './scenario.js';
import { shown } from '../language/wording.js';

export type Data = null | boolean | number | string | Data[] | DataMap;
export interface DataMap {
  [key: string]: Data;
}

export function isDataMap(value: unknown): value is DataMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Larger files are refused before they are parsed. */
export const maxFileBytes = 1024 * 1024;

/** Deeper nesting than any scenario has; the YAML composer recurses, and its stack must not be at the mercy of a file. */
const maxDepth = 64;

/** Values that aliases may add to a file before it is taken for one that wants to exhaust memory. */
const maxAliasedValues = 10_000;

interface EntryPlaces {
  key: Stretch | null;
  value: Stretch;
  /** The scalar as it stands in the file, where that differs from its value: `20.10`. */
  text: string | null;
  /** Whether it is most likely the rest of the text before it, cut off by a comma: `b` of `{ text: a, b }`. */
  cutOff?: boolean;
}

/** Of each map and list the places of its entries. */
type Places = WeakMap<object, Map<string | number, EntryPlaces>>;

/** A YAML text as data, with the place of every key and value. */
export interface ScenarioSource {
  /** As the caller named the file. */
  readonly file: string;
  /** `null` where the text could not be read as one YAML document. */
  readonly data: Data;
  /** Mistakes of the YAML itself. */
  readonly diagnostics: Diagnostic[];
  /** Whether `data` is worth looking at: false after mistakes that garble the structure. */
  readonly usable: boolean;
  /** A diagnostic at the value of a path; at its key where `at` says so or where there is no value to point at; at the nearest parent for a path that does not exist. */
  diagnostic(path: Path, message: string, at?: 'key' | 'value'): Diagnostic;
  place(path: Path): SourcePlace;
  /** The scalar at a path as the file spells it; `null` for other values. */
  spelling(path: Path): string | null;
}

interface Reading {
  text: string;
  file: string;
  lineStarts: number[];
  /** Behind the last character that is no blank. */
  textEnd: number;
}

function placeAt(reading: Reading, offset: number): SourcePlace {
  const starts = reading.lineStarts;
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - starts[low]! + 1 };
}

function lineText({ text, lineStarts }: Reading, line: number): string {
  const start = lineStarts[line - 1]!;
  let end = lineStarts[line] ?? text.length;
  if (end > start && text[end - 1] === '\n') end -= 1;
  if (end > start && text[end - 1] === '\r') end -= 1;
  return text.slice(start, end);
}

/** Past the last character of a file (an unfinished one) the mistake is shown at the end of its last line that has text. */
function clampOffset(reading: Reading, offset: number): number {
  return Math.max(0, Math.min(offset, reading.textEnd));
}

function diagnosticAt(reading: Reading, stretch: Stretch, path: Path, message: string): Diagnostic {
  const start = clampOffset(reading, stretch.start);
  const { line, column } = placeAt(reading, start);
  const lines: Diagnostic['lines'] = [];
  for (let number = Math.max(1, line - 2); number <= Math.min(reading.lineStarts.length, line + 2); number += 1) {
    lines.push({ number, text: lineText(reading, number) });
  }
  // The empty line after the last line break is nobody's context.
  while (lines.length > 1 && lines.at(-1)!.number > line && lines.at(-1)!.text === '') lines.pop();
  const onLine = lineText(reading, line).length - (column - 1);
  return {
    file: reading.file,
    line,
    column,
    length: Math.max(1, Math.min(stretch.end - start, onLine)),
    path: formatPath(path),
    message,
    lines,
  };
}

const yamlSentences: Partial<Record<YAMLError['code'], string>> = {
  TAB_AS_INDENT: 'tabs cannot indent YAML: use spaces',
  BLOCK_AS_IMPLICIT_KEY:
    'a second `key:` inside a value: check the indentation, or put a value that holds ": " in quotes',
  KEY_OVER_1024_CHARS: 'a key of more than 1024 characters',
  MULTILINE_IMPLICIT_KEY: 'a key runs over several lines: is the indentation right, or a quote or colon missing?',
  TAG_RESOLVE_FAILED: 'scenarios have no YAML tags: write the value without `!`',
};

/** `; is a comma missing before …`, where a text of a flow map goes on with another key: `{ port: 81 expect: … }`. */
function forgottenComma(text: string, at: number): string {
  const key = /^[^,{}[\]\n]*[^\s,{}[\]:]\s+([\w.-]+):(?=\s|$)/.exec(text.slice(at, at + 200))?.[1];
  return key === undefined ? '' : `: is a comma missing before \`${key}:\`?`;
}

function yamlSentence(error: YAMLError, text: string): string {
  const own = yamlSentences[error.code];
  if (own !== undefined) return own;
  if (error.code === 'BAD_SCALAR_START') return `${lowerFirst(error.message)}: put the value in quotes`;
  if (error.message.startsWith('Implicit map keys need to be followed by map values'))
    return 'expected `key: value` here: a colon is missing, or the indentation is wrong';
  const unclosed = /^Flow (map|sequence) in block collection must be .* end with a (.)$/.exec(error.message);
  if (unclosed)
    return `a \`${unclosed[1] === 'map' ? '{' : '['}\` is not closed: \`${unclosed[2]}\` is missing, or the lines inside are indented too little`;
  if (/ at node end$/.test(error.message))
    return 'something follows here where the value is over already: put the text in quotes, or set a comma';
  const quote = /^Missing closing (.)quote$/.exec(error.message);
  if (quote) return `a text in quotes is not closed: \`${quote[1]}\` is missing`;
  if (error.message.startsWith('All mapping items must start at the same column'))
    return 'the keys of one map must start in the same column';
  if (error.message.startsWith('All sequence items must start at the same column'))
    return 'the items of one list must start in the same column';
  if (error.message.startsWith('Sequence item without - indicator'))
    return 'this line is indented otherwise than the keys of the item above it: they start in one column';
  const comma = error.code === 'BLOCK_IN_FLOW' ? forgottenComma(text, error.pos[0]) : '';
  return `not YAML: ${lowerFirst(error.message)}${comma}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Reads bytes that should be UTF-8; a diagnostic names the first byte that is not. */
export function decodeSource(bytes: Uint8Array, file: string): { text: string } | { diagnostics: Diagnostic[] } {
  const wide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (!wide) {
    try {
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
    } catch {
      // Falls through to find the place.
    }
  }
  const text = Buffer.from(bytes).toString('utf8');
  const bad = wide ? 0 : firstInvalid(bytes);
  const before = Buffer.from(bytes.subarray(0, bad))
    .toString('utf8')
    .replace(/^\ufeff/, '');
  const reading = reader(text.replace(/^\ufeff/, ''), file);
  const message = wide
    ? 'the file is UTF-16: save it as UTF-8'
    : `the file is not UTF-8: byte 0x${bytes[bad]!.toString(16).padStart(2, '0')} stands for nothing here`;
  return { diagnostics: [diagnosticAt(reading, { start: before.length, end: before.length + 1 }, [], message)] };
}

function firstInvalid(bytes: Uint8Array): number {
  let low = 0;
  let high = bytes.length;
  // The longest prefix that decodes; `stream` allows a character to be cut off at its end.
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      low = middle;
    } catch {
      high = middle - 1;
    }
  }
  // Back to where the character began that was cut off or spoilt.
  while (low > 0) {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, low));
      break;
    } catch {
      low -= 1;
    }
  }
  return Math.min(low, bytes.length - 1);
}

function reader(text: string, file: string): Reading {
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return { text, file, lineStarts, textEnd: text.trimEnd().length };
}

function stretchOf(node: unknown, fallback: Stretch): Stretch {
  const range = (node as Node | null)?.range;
  return range ? { start: range[0], end: Math.max(range[1], range[0] + 1) } : fallback;
}

/** What a file should be, in the sentences of its mistakes. */
export interface SourceWording {
  /** For a file without content; `null` where that is no mistake. */
  empty: string | null;
  /** For one that holds something else than a map: what was expected. */
  map: string;
}

const scenarioWording: SourceWording = {
  empty: 'the file is empty: a scenario begins with `scenario: NAME`',
  map: 'expected a map that begins with `scenario: NAME`',
};

/** Reads YAML (1.2, core schema, merge keys), a scenario's where nothing else is said. Never throws for what the text is. */
export function readSource(input: string, file: string, wording: SourceWording = scenarioWording): ScenarioSource {
  const text = input.replace(/^\ufeff/, '');
  const reading = reader(text, file);
  const diagnostics: Diagnostic[] = [];
  const complain = (stretch: Stretch, message: string, path: Path = []): void => {
    diagnostics.push(diagnosticAt(reading, stretch, path, message));
  };
  const unusable = (): ScenarioSource => sourceOf(reading, null, new WeakMap(), diagnostics, false);

  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(text);
  if (control) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
    complain(
      { start: control.index, end: control.index + 1 },
      `the control character U+${code} has no place in a scenario`,
    );
    return unusable();
  }

  const documents = compose(reading, complain);
  if (documents === null) return unusable();
  const document = documents[0];
  if (
    document === undefined ||
    document.contents === null ||
    (isScalar(document.contents) && document.contents.value === null && document.errors.length === 0)
  ) {
    if (wording.empty !== null && (document === undefined || document.errors.length === 0))
      complain({ start: 0, end: 1 }, wording.empty);
  }
  const second = documents[1];
  if (second !== undefined) {
    complain(
      stretchOf(second.contents, { start: second.range[0], end: second.range[0] + 1 }),
      'a second YAML document begins here: a file holds one scenario',
    );
  }

  let usable = true;
  for (const issue of documents.slice(0, 1).flatMap((one) => [...one.errors, ...one.warnings])) {
    complain({ start: issue.pos[0], end: issue.pos[1] }, yamlSentence(issue, text));
    // After a mistake of the YAML the structure is guesswork, and so would be every further sentence.
    usable = false;
    break;
  }
  const yaml = document?.directives?.yaml;
  if (yaml?.explicit && yaml.version !== '1.2') {
    complain(
      { start: 0, end: 1 },
      `scenarios are YAML 1.2, where \`on\` is a word and not a boolean; this file asks for ${yaml.version}`,
    );
    usable = false;
  }
  if (!usable || document === undefined || diagnostics.some((one) => one.message.startsWith('the file is empty')))
    return unusable();

  const places: Places = new WeakMap();
  const state = { broken: false };
  const data = toData(document, places, complain, state);
  if (state.broken) return unusable();
  if (data !== null && !isDataMap(data)) {
    complain(stretchOf(document.contents, { start: 0, end: 1 }), `${wording.map}, got ${shown(data)}`);
    return unusable();
  }
  return sourceOf(reading, data, places, diagnostics, true);
}

type Complain = (stretch: Stretch, message: string, path?: Path) => void;

/** `null` after a complaint that leaves nothing to look at. */
function compose(reading: Reading, complain: Complain): Document.Parsed[] | null {
  const parser = new Parser();
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, version: '1.2', keepSourceTokens: false });
  const documents: Document.Parsed[] = [];
  for (const lexeme of new Lexer().lex(reading.text)) {
    for (const token of parser.next(lexeme)) {
      for (const document of composer.next(token)) documents.push(document as Document.Parsed);
    }
    if (parser.stack.length > maxDepth * 2) {
      complain({ start: parser.offset, end: parser.offset + 1 }, `nested deeper than ${maxDepth} levels`);
      return null;
    }
  }
  for (const token of parser.end()) {
    for (const document of composer.next(token)) documents.push(document as Document.Parsed);
  }
  for (const document of composer.end()) documents.push(document as Document.Parsed);
  return documents;
}

/** What is known while a document becomes data. */
interface Conversion {
  readonly places: Places;
  readonly complain: Complain;
  readonly state: { broken: boolean };
  readonly anchors: Map<string, Node>;
  /** The nodes that are being converted: an alias of one of them has no end. */
  readonly open: Set<Node>;
  /** Values that aliases have added. */
  aliased: number;
  insideAlias: number;
  exhausted: boolean;
}

function toData(document: Document.Parsed, places: Places, complain: Complain, state: { broken: boolean }): Data {
  const conversion: Conversion = {
    places,
    complain,
    state,
    anchors: new Map(),
    open: new Set(),
    aliased: 0,
    insideAlias: 0,
    exhausted: false,
  };
  return convert(conversion, document.contents, []);
}

function convert(conversion: Conversion, node: unknown, path: Path): Data {
  const { state, anchors, open } = conversion;
  if (state.broken) return null;
  if (conversion.insideAlias > 0) {
    conversion.aliased += 1;
    if (conversion.aliased > maxAliasedValues) conversion.exhausted = true;
  }
  if (conversion.exhausted || node === null || node === undefined) return null;
  if (isAlias(node)) return convertAlias(conversion, node, path);
  const anchor = (node as Node & { anchor?: string }).anchor;
  if (anchor !== undefined) anchors.set(anchor, node as Node);
  if (isScalar(node)) return scalar(node.value);
  open.add(node as Node);
  const value = isSeq(node)
    ? convertList(conversion, node.items, path)
    : isMap(node)
      ? convertMap(conversion, node.items, path, node.flow === true)
      : null;
  open.delete(node as Node);
  return value;
}

function convertAlias(conversion: Conversion, node: Alias, path: Path): Data {
  const { state, anchors, open } = conversion;
  const broken = (message: string): null => {
    state.broken = true;
    conversion.complain(stretchOf(node, { start: 0, end: 1 }), message, path);
    return null;
  };
  const target = anchors.get(node.source);
  if (target === undefined) return broken(`no anchor \`&${node.source}\` stands before this alias`);
  if (open.has(target)) return broken(`the alias \`*${node.source}\` stands inside its own anchor`);
  conversion.insideAlias += 1;
  const value = convert(conversion, target, path);
  conversion.insideAlias -= 1;
  if (conversion.exhausted && conversion.insideAlias === 0)
    broken(`aliases add more than ${maxAliasedValues} values to this file: write out what is meant`);
  return value;
}

function convertList(conversion: Conversion, items: unknown[], path: Path): Data[] {
  const out: Data[] = [];
  const entries = new Map<string | number, EntryPlaces>();
  items.forEach((item, index) => {
    entries.set(index, { key: null, value: stretchOf(item, { start: 0, end: 1 }), text: spelling(item) });
    out.push(convert(conversion, item, [...path, index]));
  });
  conversion.places.set(out, entries);
  return out;
}

function convertMap(conversion: Conversion, pairs: Pair[], path: Path, flow: boolean): DataMap {
  const { complain, anchors } = conversion;
  const out = Object.create(null) as DataMap;
  const entries = new Map<string | number, EntryPlaces>();
  const merges: Merge[] = [];
  let afterText = false;
  for (const pair of pairs) {
    const cutOff: boolean = flow && pair.value === null && afterText;
    afterText = cutOff || isUnquotedText(pair.value);
    const key = isAlias(pair.key) ? anchors.get(pair.key.source) : pair.key;
    const keyStretch = stretchOf(pair.key, { start: 0, end: 1 });
    const keyAnchor = (pair.key as (Node & { anchor?: string }) | null)?.anchor;
    if (keyAnchor !== undefined && isScalar(pair.key)) anchors.set(keyAnchor, pair.key);
    if (!isScalar(key) || key.value === null) {
      complain(keyStretch, 'a key must be a word', path);
      continue;
    }
    const name = key.source ?? String(key.value);
    if (name === '<<' && key.type === 'PLAIN') {
      merges.push({ value: pair.value, stretch: keyStretch });
      continue;
    }
    if (name === '__proto__') {
      complain(keyStretch, 'this key has no place in a scenario', path);
      continue;
    }
    if (entries.has(name)) complain(keyStretch, 'this key stands here a second time: keep one of the two', path);
    const empty =
      pair.value === null || (isScalar(pair.value) && pair.value.value === null && (pair.value.source ?? '') === '');
    entries.set(name, {
      key: keyStretch,
      value: empty ? keyStretch : stretchOf(pair.value, keyStretch),
      text: spelling(pair.value),
      cutOff,
    });
    out[name] = convert(conversion, pair.value, [...path, name]);
  }
  for (const merge of merges) takeIn(conversion, merge, out, entries, path);
  conversion.places.set(out, entries);
  return out;
}

function isUnquotedText(node: unknown): boolean {
  return isScalar(node) && node.type === 'PLAIN' && node.value !== null;
}

/** A key `<<` and what stands there. */
interface Merge {
  value: unknown;
  stretch: Stretch;
}

/** Adds what `<<` names to a map; what the map has itself wins. */
function takeIn(
  conversion: Conversion,
  { value, stretch }: Merge,
  out: DataMap,
  entries: Map<string | number, EntryPlaces>,
  path: Path,
): void {
  const merged = convert(conversion, value, path);
  for (const one of Array.isArray(merged) ? merged : [merged]) {
    if (!isDataMap(one)) {
      if (!conversion.exhausted) conversion.complain(stretch, '`<<` takes in a map or a list of maps', path);
      continue;
    }
    for (const [name, taken] of Object.entries(one)) {
      if (name in out) continue;
      out[name] = taken;
      const from = conversion.places.get(one)?.get(name);
      if (from) entries.set(name, from);
    }
  }
}

function scalar(value: unknown): Data {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  return String(value);
}

function spelling(node: unknown): string | null {
  return isScalar(node) ? (node.source ?? null) : null;
}

function sourceOf(
  reading: Reading,
  data: Data,
  places: Places,
  diagnostics: Diagnostic[],
  usable: boolean,
): ScenarioSource {
  const first = reading.text.search(/^[^\s#%-]/m);
  const top: EntryPlaces = { key: null, value: { start: Math.max(0, first), end: Math.max(0, first) + 1 }, text: null };

  const find = (path: Path): { entry: EntryPlaces; exact: boolean } => {
    let here: Data | undefined = data;
    let entry = top;
    for (const part of path) {
      const next = typeof here === 'object' && here !== null ? places.get(here)?.get(part) : undefined;
      if (next === undefined) return { entry, exact: false };
      entry = next;
      here = (here as Record<string | number, Data>)[part];
    }
    return { entry, exact: true };
  };

  return {
    file: reading.file,
    data,
    diagnostics,
    usable,
    diagnostic(path, message, at = 'value') {
      const { entry, exact } = find(path);
      // What is missing is missing from its parent: its name says more than the first thing inside it.
      const stretch = (at === 'key' || !exact) && entry.key !== null ? entry.key : entry.value;
      const hint = at === 'key' && exact && entry.cutOff === true ? '; a text with a comma needs quotes' : '';
      return diagnosticAt(reading, stretch, path, `${message}${hint}`);
    },
    place(path) {
      const { entry } = find(path);
      return placeAt(reading, clampOffset(reading, entry.value.start));
    },
    spelling(path) {
      const { entry, exact } = find(path);
      return exact ? entry.text : null;
    },
  };
}
