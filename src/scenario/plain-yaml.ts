import type { Stretch } from './diagnostic.js';
import type { Data, DataMap, EntryPlaces, Places } from './source.js';

/**
 * Reads the plain part of YAML, of which nearly every scenario is made, in one pass: maps and lists of both styles, and scalars
 * that stand on one line or in a block. Of all else (anchors, tags, texts over several lines, tabs, mistakes) it says nothing:
 * that is for the package `yaml`, which takes ten times as long. What is read here has the same values and places by it.
 */
export interface PlainYaml {
  data: DataMap;
  places: Places;
}

/** Something that is not for this reader. */
class NotPlain extends Error {}

interface Reader {
  readonly text: string;
  readonly places: Places;
  /** Between two lines of a block: where the next content stands, and its column; -1 at the end of the file. */
  at: number;
  indent: number;
  depth: number;
}

/** A value with its place. */
interface Placed {
  value: Data;
  stretch: Stretch;
  /** Of scalars, how they stand in the file, without quotes. */
  text: string | null;
}

/** Far below what `source.ts` refuses. */
const deepest = 40;

const [tab, newline, space, hash, dash] = [9, 10, 32, 35, 45];
const [quote, apostrophe, comma, open, close, list, listEnd] = [34, 39, 44, 123, 125, 91, 93];

/** What makes a file another one than a single document of lines that end in line feeds. */
const otherwise = /\r|\ufeff|^(?:---|\.\.\.|%)/m;

/** `null` for a text that holds anything else than the plain part of YAML. */
export function readPlainYaml(text: string): PlainYaml | null {
  if (!text.endsWith('\n') || otherwise.test(text)) return null;
  const reader: Reader = { text, places: new WeakMap(), at: 0, indent: 0, depth: 0 };
  try {
    toContent(reader);
    // A file without content has none either.
    if (reader.indent !== 0) return null;
    const data = blockMap(reader, 0);
    return { data, places: reader.places };
  } catch (error) {
    if (error instanceof NotPlain) return null;
    throw error;
  }
}

/** From the beginning of a line to the next line that is neither empty nor a comment. */
function toContent(reader: Reader): void {
  const { text } = reader;
  for (let start = reader.at; ;) {
    let at = start;
    while (text.charCodeAt(at) === space) at += 1;
    const character = text.charCodeAt(at);
    if (character === newline) start = at + 1;
    else if (character === hash) start = text.indexOf('\n', at) + 1;
    else {
      if (character === tab) throw new NotPlain();
      reader.at = at;
      reader.indent = at < text.length ? at - start : -1;
      return;
    }
  }
}

/** Behind a value: nothing but a comment may stand on the rest of the line. */
function endOfLine(reader: Reader): void {
  const { text } = reader;
  let { at } = reader;
  while (text.charCodeAt(at) === space) at += 1;
  const character = text.charCodeAt(at);
  if (character === hash && at > reader.at) at = text.indexOf('\n', at);
  else if (character !== newline) throw new NotPlain();
  reader.at = at + 1;
  toContent(reader);
}

function skipSpaces({ text }: Reader, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === space) at += 1;
  return at;
}

function deeper(reader: Reader): void {
  reader.depth += 1;
  if (reader.depth > deepest) throw new NotPlain();
}

// ---- Blocks.

const blockKey = /(?:[A-Za-z0-9_./$][-A-Za-z0-9_./$@+=]{0,200}|"[^"\\\n\t]{0,200}"|'[^'\n\t]{0,200}')(?=:[ \n])/y;

/** The key that begins here and has its colon on the same line; `null` where none does. */
function keyAt({ text }: Reader, at: number): string | null {
  blockKey.lastIndex = at;
  return blockKey.exec(text)?.[0] ?? null;
}

/** What a key says. Those that mean something else than a name are not for this reader. */
function nameOf(key: string, entries: ReadonlyMap<string | number, EntryPlaces>): string {
  const first = key.charCodeAt(0);
  const quoted = first === quote || first === apostrophe;
  const name = quoted ? key.slice(1, -1) : key;
  if (!quoted && isNull(name)) throw new NotPlain();
  if (name === '__proto__' || entries.has(name)) throw new NotPlain();
  return name;
}

function isSeqItem({ text, at }: Reader): boolean {
  return text.charCodeAt(at) === dash && text.charCodeAt(at + 1) === space;
}

function blockMap(reader: Reader, indent: number): DataMap {
  deeper(reader);
  const out = Object.create(null) as DataMap;
  const entries = new Map<string | number, EntryPlaces>();
  do {
    const start = reader.at;
    const key = keyAt(reader, start);
    if (key === null) throw new NotPlain();
    const name = nameOf(key, entries);
    const place = { start, end: start + key.length };
    const placed = valueOfKey(reader, indent, place);
    entries.set(name, { key: place, value: placed.stretch, text: placed.text });
    out[name] = placed.value;
  } while (reader.indent === indent);
  if (reader.indent > indent) throw new NotPlain();
  reader.places.set(out, entries);
  reader.depth -= 1;
  return out;
}

function valueOfKey(reader: Reader, indent: number, key: Stretch): Placed {
  const behind = key.end + 1;
  const at = skipSpaces(reader, behind);
  reader.at = at;
  const character = reader.text.charCodeAt(at);
  if (character !== newline && (character !== hash || at === behind)) return blockScalarOrFlow(reader, indent);
  reader.at = behind;
  endOfLine(reader);
  const start = reader.at;
  if (reader.indent > indent) {
    const value = isSeqItem(reader) ? blockSeq(reader, reader.indent) : blockMap(reader, reader.indent);
    return { value, stretch: { start, end: reader.at }, text: null };
  }
  if (reader.indent === indent && isSeqItem(reader)) {
    const value = blockSeq(reader, indent);
    return { value, stretch: { start, end: reader.at }, text: null };
  }
  return { value: null, stretch: key, text: '' };
}

function blockSeq(reader: Reader, indent: number): Data[] {
  deeper(reader);
  const out: Data[] = [];
  const entries = new Map<string | number, EntryPlaces>();
  do {
    const start = skipSpaces(reader, reader.at + 1);
    const column = indent + start - reader.at;
    reader.at = start;
    let placed: Placed;
    if (keyAt(reader, start) === null) placed = blockScalarOrFlow(reader, indent);
    else {
      const value = blockMap(reader, column);
      placed = { value, stretch: { start, end: reader.at }, text: null };
    }
    entries.set(out.length, { key: null, value: placed.stretch, text: placed.text });
    out.push(placed.value);
  } while (reader.indent === indent && isSeqItem(reader));
  if (reader.indent > indent) throw new NotPlain();
  reader.places.set(out, entries);
  reader.depth -= 1;
  return out;
}

/** A value that begins on a line of a block, behind its key or dash; `indent`: that of the block. */
function blockScalarOrFlow(reader: Reader, indent: number): Placed {
  const { text, at: start } = reader;
  let placed: Placed;
  switch (text.charAt(start)) {
    case '|':
    case '>': {
      const value = blockText(reader, indent);
      return { value, stretch: { start, end: reader.at }, text: value };
    }
    case '{':
    case '[':
      placed = flowCollection(reader, indent);
      break;
    case '"':
    case "'":
      placed = quotedScalar(reader);
      break;
    default:
      placed = plainScalar(reader, lineOfPlain(reader));
  }
  endOfLine(reader);
  return placed;
}

/** A plain scalar of a block up to its end on this line. What goes on below is refused by the block, which sees the indentation. */
function lineOfPlain({ text, at }: Reader): string {
  const line = text.slice(at, text.indexOf('\n', at));
  const comment = line.indexOf(' #');
  const source = (comment < 0 ? line : line.slice(0, comment)).trimEnd();
  if (source.endsWith(':') || source.includes(': ')) throw new NotPlain();
  return source;
}

const blockHeader = /[|>]([-+]?) *(?:(?<= )#[^\n]*)?\n/y;

/** A text in a block, literal or folded. */
function blockText(reader: Reader, indent: number): string {
  const { text } = reader;
  blockHeader.lastIndex = reader.at;
  const header = blockHeader.exec(text);
  if (header === null) throw new NotPlain();
  const lines = linesOfText(reader, reader.at + header[0].length, indent);
  let count = lines.length;
  while (lines[count - 1] === '') count -= 1;
  const content = lines.slice(0, count);
  const whole = text.charAt(header.index) === '|' ? content.join('\n') : folded(content);
  if (header[1] === '-') return whole;
  return whole + (header[1] === '+' ? '\n'.repeat(lines.length - count + 1) : '\n');
}

/** The lines of a text in a block without their indentation; moves to the content behind them. */
function linesOfText(reader: Reader, from: number, indent: number): string[] {
  const { text } = reader;
  const lines: string[] = [];
  let own = -1;
  let at = from;
  while (at < text.length) {
    const end = text.indexOf('\n', at);
    const content = skipSpaces(reader, at);
    const column = content - at;
    if (content === end) {
      // Blanks beyond the indentation would belong to the text.
      if (column > Math.max(own, 0)) throw new NotPlain();
      lines.push('');
    } else {
      if (own < 0) own = column;
      if (own <= indent) throw new NotPlain();
      if (column < own) break;
      lines.push(text.slice(at + own, end));
    }
    at = end + 1;
  }
  if (own < 0) throw new NotPlain();
  reader.at = at;
  toContent(reader);
  return lines;
}

/** Lines of one paragraph become one line; lines that are indented further have rules of their own. */
function folded(lines: readonly string[]): string {
  let out = '';
  let separator = '';
  for (const line of lines) {
    const first = line.charCodeAt(0);
    if (first === space || first === tab || (line === '' && out === '')) throw new NotPlain();
    if (line !== '') {
      out += separator + line;
      separator = ' ';
    } else separator = separator === ' ' ? '\n' : `${separator}\n`;
  }
  return out;
}

// ---- Flows.

/** `indent`: that of the block around it, beyond which all of its lines must be. */
function flowCollection(reader: Reader, indent: number): Placed {
  deeper(reader);
  const start = reader.at;
  reader.at += 1;
  const value = reader.text.charCodeAt(start) === open ? flowMap(reader, indent) : flowSeq(reader, indent);
  reader.at += 1;
  reader.depth -= 1;
  return { value, stretch: { start, end: reader.at }, text: null };
}

/** To the next thing in a flow, over lines and comments. */
function toFlowContent(reader: Reader, indent: number): number {
  const { text } = reader;
  for (;;) {
    const before = reader.at;
    reader.at = skipSpaces(reader, before);
    const character = text.charCodeAt(reader.at);
    if (character === hash && reader.at > before) reader.at = text.indexOf('\n', reader.at);
    else if (character !== newline) return character;
    reader.at += 1;
    toContent(reader);
    if (reader.indent <= indent) throw new NotPlain();
    return text.charCodeAt(reader.at);
  }
}

/** Behind a value: to the next one, or to the end that is `end`. */
function toNextEntry(reader: Reader, indent: number, end: number): number {
  const character = toFlowContent(reader, indent);
  if (character === end) return character;
  if (character !== comma) throw new NotPlain();
  reader.at += 1;
  return toFlowContent(reader, indent);
}

function flowMap(reader: Reader, indent: number): DataMap {
  const out = Object.create(null) as DataMap;
  const entries = new Map<string | number, EntryPlaces>();
  let character = toFlowContent(reader, indent);
  while (character !== close) {
    const start = reader.at;
    const key = flowKey(reader);
    const name = nameOf(key, entries);
    const place = { start, end: reader.at };
    // Behind the colon.
    reader.at += 1;
    character = toFlowContent(reader, indent);
    const placed =
      character === comma || character === close
        ? { value: null, stretch: place, text: '' }
        : flowValue(reader, indent, character);
    entries.set(name, { key: place, value: placed.stretch, text: placed.text });
    out[name] = placed.value;
    character = toNextEntry(reader, indent, close);
  }
  reader.places.set(out, entries);
  return out;
}

const keyInFlow = /(?:[A-Za-z0-9_./$][-A-Za-z0-9_./$@+=]{0,200}|"[^"\\\n\t]{0,200}"|'[^'\n\t]{0,200}')(?=:[ \n,}])/y;

function flowKey(reader: Reader): string {
  keyInFlow.lastIndex = reader.at;
  const key = keyInFlow.exec(reader.text)?.[0];
  if (key === undefined) throw new NotPlain();
  reader.at += key.length;
  return key;
}

function flowSeq(reader: Reader, indent: number): Data[] {
  const out: Data[] = [];
  const entries = new Map<string | number, EntryPlaces>();
  let character = toFlowContent(reader, indent);
  while (character !== listEnd) {
    const placed = flowValue(reader, indent, character);
    entries.set(out.length, { key: null, value: placed.stretch, text: placed.text });
    out.push(placed.value);
    character = toNextEntry(reader, indent, listEnd);
  }
  reader.places.set(out, entries);
  return out;
}

function flowValue(reader: Reader, indent: number, character: number): Placed {
  if (character === open || character === list) return flowCollection(reader, indent);
  if (character === quote || character === apostrophe) return quotedScalar(reader);
  return plainScalar(reader, partOfPlain(reader));
}

const upToIndicator = /[^,[\]{}\n]*/y;

/** A plain scalar of a flow up to its end on this line; what goes on below is refused by what must follow it. */
function partOfPlain({ text, at }: Reader): string {
  upToIndicator.lastIndex = at;
  const part = upToIndicator.exec(text)![0];
  const comment = part.indexOf(' #');
  const source = (comment < 0 ? part : part.slice(0, comment)).trimEnd();
  if (source.endsWith(':') || source.includes(': ')) throw new NotPlain();
  return source;
}

// ---- Scalars.

const firstOfPlain = /^(?:[^\s,[\]{}#&*!|>'"%@`?:-]|--?[A-Za-z0-9.])[^\t]*$/;

function plainScalar(reader: Reader, source: string): Placed {
  if (!firstOfPlain.test(source)) throw new NotPlain();
  const start = reader.at;
  reader.at += source.length;
  return { value: plainValue(source), stretch: { start, end: reader.at }, text: source };
}

const isNull = (source: string): boolean => /^(?:~|[Nn]ull|NULL)$/.test(source);
const isBoolean = /^(?:[Tt]rue|TRUE|[Ff]alse|FALSE)$/;
const mayBeNumber = /^[-+.0-9]/;
const decimal = /^[-+]?(?:[0-9]+|\.[0-9]+|[0-9]+\.[0-9]*)$/;
const otherNumber =
  /^(?:0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

/** The core schema of YAML 1.2 (section 10.3.2). */
function plainValue(source: string): Data {
  if (mayBeNumber.test(source)) {
    if (decimal.test(source)) return Number(source);
    if (otherNumber.test(source)) throw new NotPlain();
    return source;
  }
  if (isBoolean.test(source)) return source.toLowerCase() === 'true';
  return isNull(source) ? null : source;
}

const quoted = /"([^"\\\n\t]*)"|'((?:[^'\n\t]|'')*)'|"((?:[^"\\\n\t]|\\[\\"nt/])*)"/y;
const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t' };

/** A scalar in quotes that ends on its line. Rarer escapes than those of quotes, line feeds and tabs are not for this reader. */
function quotedScalar(reader: Reader): Placed {
  quoted.lastIndex = reader.at;
  const found = quoted.exec(reader.text);
  if (found === null) throw new NotPlain();
  const [whole, simple, single, double] = found;
  const start = reader.at;
  reader.at += whole.length;
  const value =
    simple ?? single?.replaceAll("''", "'") ?? double!.replace(/\\(.)/g, (_, one: string) => escapes[one] ?? one);
  return { value, stretch: { start, end: reader.at }, text: value };
}
