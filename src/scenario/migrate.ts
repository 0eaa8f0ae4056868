import { Document as Doc, isAlias, isMap, isScalar, isSeq, parseDocument, visit, YAMLMap, YAMLSeq } from 'yaml';
import type { Document, Pair, ParsedNode, Scalar } from 'yaml';
import { trafficKinds } from '../checks/during.js';
import { neededRenamings, renamings } from './former-keys.js';
import type { Renaming } from './former-keys.js';
import { reportFormer } from './passes/former.js';
import { isDataMap, readSource } from './source.js';
import type { Data } from './source.js';

const kindNames = [...new Set(renamings.flatMap(({ kind }) => (kind === null ? [] : [kind])))];

export interface Migrated {
  /** In the language as it is now; the text itself where nothing was to be done. */
  text: string;
  /** One for each key that changed: `steps[3].link.of`. */
  changed: string[];
  /** The lines that change, by their number in the former text. */
  lines: { line: number; before: string; after: string }[];
}

/** A stretch of the text that becomes another. */
interface Edit {
  start: number;
  end: number;
  text: string;
}

interface Migration {
  document: Document;
  text: string;
  edits: Edit[];
  changed: string[];
  done: Set<unknown>;
}

/**
 * Rewrites a scenario of the former language: only the keys that change, and the map that a key moves in. Everything else
 * keeps its place, its spelling and its comments. A text that is no YAML, or no scenario, is left as it is.
 */
export function migrateText(text: string): Migrated {
  const document = parseDocument(text, { uniqueKeys: false });
  const migration: Migration = { document, text, edits: [], changed: [], done: new Set() };
  if (document.errors.length > 0 || !isMap(document.contents)) return unchanged(text);
  const top = document.contents as YAMLMap;
  try {
    migrateFile(migration, top);
  } catch (error) {
    // Aliases that stand for more than any scenario holds: nothing that could be rewritten.
    if (error instanceof ReferenceError) return unchanged(text);
    throw error;
  }
  return {
    text: edited(text, migration.edits),
    changed: migration.changed,
    lines: changedLines(text, migration.edits),
  };
}

function migrateFile(migration: Migration, top: YAMLMap): void {
  migrateBody(migration, null, top, '');
  for (const list of ['steps', 'finally']) {
    const items = top.get(list);
    if (!isSeq(items)) continue;
    items.items.forEach((item, index) => {
      if (isMap(item)) migrateItem(migration, item as YAMLMap, `${list}[${index}]`);
    });
  }
}

function unchanged(text: string): Migrated {
  return { text, changed: [], lines: [] };
}

/** What is left of the former language, in places that `migrateText` does not rewrite. */
export function stillFormer(text: string, file: string): { line: number; message: string }[] {
  const source = readSource(text, file);
  if (!source.usable || !isDataMap(source.data)) return [];
  const found: { line: number; message: string }[] = [];
  reportFormer(source.data, (path, message, at) => {
    const { line } = source.diagnostic(path, '', at);
    found.push({ line, message: typeof message === 'string' ? message : message() });
  });
  return found;
}

/** Edits as the whole lines that they change; those of one line together. */
function changedLines(text: string, edits: readonly Edit[]): Migrated['lines'] {
  const groups: Edit[][] = [];
  const lineStart = (at: number): number => text.lastIndexOf('\n', at - 1) + 1;
  const lineEnd = (at: number): number => (text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at));
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    const last = groups.at(-1);
    if (last !== undefined && lineStart(edit.start) <= lineEnd(last.at(-1)!.end)) last.push(edit);
    else groups.push([edit]);
  }
  return groups.map((group) => {
    const start = lineStart(group[0]!.start);
    const end = lineEnd(group.at(-1)!.end);
    const before = text.slice(start, end);
    const moved = group.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
    return { line: text.slice(0, start).split('\n').length, before, after: edited(before, moved) };
  });
}

function edited(text: string, edits: readonly Edit[]): string {
  return [...edits]
    .sort((a, b) => b.start - a.start)
    .reduce((out, edit) => out.slice(0, edit.start) + edit.text + out.slice(edit.end), text);
}

function migrateItem(migration: Migration, item: YAMLMap, at: string): void {
  // What is watched is inside what watches: it is changed first, and written with it.
  for (const watching of ['capture', 'counter']) {
    const during: unknown = item.getIn([watching, 'during']);
    if (!isMap(during)) continue;
    for (const kind of Object.keys(trafficKinds)) {
      const body: unknown = (during as YAMLMap).get(kind);
      if (isMap(body)) migrateBody(migration, kind, body as YAMLMap, `${at}.${watching}.during.${kind}`);
    }
  }
  for (const kind of kindNames) {
    const value: unknown = item.get(kind, true);
    // A body that stands elsewhere and is meant here is changed there, once.
    const body: unknown = isAlias(value) ? value.resolve(migration.document) : value;
    if (!isMap(body) || migration.done.has(body)) continue;
    migration.done.add(body);
    migrateBody(migration, kind, body as YAMLMap, `${at}.${kind}`);
  }
}

function migrateBody(migration: Migration, kind: string | null, body: YAMLMap, at: string): void {
  const { document, text, edits } = migration;
  const [start, end] = body.range!;
  const needed = neededRenamings(kind, body.toJS(document) as Data).filter(({ path }) => pairAt(body, path));
  if (needed.length === 0) return;
  const changed = needed.map(({ path }) => (at === '' ? path.join('.') : `${at}.${path.join('.')}`));
  migration.changed.push(...changed);
  const small = needed.map(({ path, renaming }) => inPlace(body, path, renaming));
  if (small.every((edit) => edit !== null)) {
    edits.push(...small);
    return;
  }
  for (const { path, renaming } of needed) apply(document, body, path, renaming);
  dropEmptied(body, kind);
  // The whole body is written anew, and with it what was to be changed inside.
  for (let index = edits.length - 1; index >= 0; index -= 1)
    if (edits[index]!.start >= start && edits[index]!.end <= end) {
      renameInside(body, edits[index]!);
      edits.splice(index, 1);
    }
  const old = text.slice(start, end).trimEnd();
  edits.push({ start, end: start + old.length, text: written(text, start, body) });
}

/** A key or a word that becomes another where it stands; `null` for what moves. */
function inPlace(body: YAMLMap, path: string[], { former, now, value, also }: Renaming): Edit | null {
  if (now === null || also !== undefined || now.length !== former.length || now.some((key) => /^\d+$/.test(key)))
    return null;
  if (now.slice(0, -1).join('\0') !== former.slice(0, -1).join('\0')) return null;
  const pair = pairAt(body, path)!;
  if (value === undefined) return editOf(pair.key, spelledLike(pair.key as Scalar, now.at(-1)!));
  return isScalar(pair.value) && now.at(-1) === former.at(-1)
    ? editOf(pair.value, new Doc(flow(value(pair.value.value as Data))).toString({ lineWidth: 0 }).trim())
    : null;
}

/** In quotes where the former key is: in `{"via":"lan"}` a bare word would not end at the colon. */
function spelledLike(key: Scalar, name: string): string {
  if (key.type === 'QUOTE_DOUBLE') return `"${name}"`;
  return key.type === 'QUOTE_SINGLE' ? `'${name}'` : name;
}

function editOf(node: unknown, text: string): Edit {
  const [start, end] = (node as Scalar).range!;
  return { start, end, text };
}

function flow(value: Data): unknown {
  const made = new Doc(value).contents;
  if (isMap(made)) made.flow = true;
  return made;
}

/** Does to the tree what an edit would have done to the text. */
function renameInside(body: YAMLMap, edit: Edit): void {
  visit(body, {
    Scalar(_, node) {
      if (node.range?.[0] === edit.start && node.range[1] === edit.end)
        node.value = edit.text.replace(/^(["'])(.*)\1$/, '$2');
    },
  });
}

/** The body as it stands in the file: in one line, or with the indentation that its first key has. */
function written(text: string, start: number, body: YAMLMap): string {
  const own = body.commentBefore;
  body.commentBefore = null;
  const out = new Doc(body).toString({ lineWidth: 0, flowCollectionPadding: true }).trimEnd();
  body.commentBefore = own ?? null;
  if (body.flow === true) return tightLists(out.replace(/\s*\n\s*/g, ' '));
  const indent = ' '.repeat(start - (text.lastIndexOf('\n', start - 1) + 1));
  return tightLists(out).replaceAll('\n', `\n${indent}`);
}

function apply(document: Document, body: YAMLMap, path: string[], { former, now, value, also }: Renaming): void {
  const pair = pairAt(body, path)!;
  if (value !== undefined) {
    const made = document.createNode(value(isScalar(pair.value) ? (pair.value.value as Data) : null));
    if (isMap(made)) made.flow = true;
    pair.value = made as unknown as ParsedNode;
  }
  const target = now?.map((key, index) => (key === '*' ? path[index]! : key));
  const parent = path.slice(0, -1);
  const sameParent = target?.slice(0, -1).join('\0') === parent.join('\0') && target.length === former.length;
  if (target !== undefined && sameParent) (pair.key as Scalar).value = target.at(-1);
  else {
    const holder = parent.length === 0 ? body : (body.getIn(parent) as YAMLMap);
    const position = holder.items.indexOf(pair as never);
    holder.items.splice(position, 1);
    if (target !== undefined) insert(document, body, target, pair, parent.length === 0 ? position : body.items.length);
  }
  for (const one of also ?? []) {
    const moved = body.items.indexOf(pair as never);
    const made = document.createPair(one.path.at(-1), one.value) as Pair;
    const position = moved < 0 ? body.items.length : one.before ? moved : moved + 1;
    insert(document, body, [...one.path], made, position);
  }
}

function pairAt(body: YAMLMap, path: readonly string[]): Pair | undefined {
  const holder = path.length === 1 ? body : body.getIn(path.slice(0, -1));
  return isMap(holder)
    ? (holder.items.find((pair) => isScalar(pair.key) && pair.key.value === path.at(-1)) as Pair | undefined)
    : undefined;
}

/** Puts a pair where it belongs now; maps and lists on the way are made. `position`: of the first of them in the body. */
function insert(document: Document, body: YAMLMap, target: string[], pair: Pair, position: number): void {
  let holder: YAMLMap = body;
  for (const [depth, key] of target.slice(0, -1).entries()) {
    const next: unknown = holder.get(key);
    if (/^\d+$/.test(target[depth + 1]!)) {
      const list = isSeq(next) ? next : new YAMLSeq();
      list.flow = true;
      list.add(pair.value);
      if (!isSeq(next)) add(holder, document.createPair(key, list), position);
      return;
    }
    if (isMap(next)) holder = next as YAMLMap;
    else {
      // A word stood there for the default, which what comes now says more of.
      const made = new YAMLMap();
      made.flow = true;
      if (next !== undefined) holder.delete(key);
      add(holder, document.createPair(key, made) as Pair, depth === 0 ? position : holder.items.length);
      holder = made;
    }
  }
  if (isScalar(pair.key)) pair.key.value = target.at(-1);
  else pair.key = document.createNode(target.at(-1));
  add(holder, pair, target.length === 1 ? position : holder.items.length);
}

function add(holder: YAMLMap, pair: Pair, position: number): void {
  holder.items.splice(Math.min(position, holder.items.length), 0, pair as never);
}

/** Maps that held nothing but what stands elsewhere now. */
function dropEmptied(body: YAMLMap, kind: string | null): void {
  if (kind !== 'consul') return;
  for (const key of ['members', 'health']) {
    const map: unknown = body.get(key);
    if (isMap(map) && map.items.length === 0) body.delete(key);
  }
}

/** `[a, b]` and `{ a: b }`, as people write them, where the writer of YAML knows one blank for both. */
function tightLists(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|\[ | \](?=[\s,\]}]|$)/g, (found) =>
    found === '[ ' ? '[' : found === ' ]' ? ']' : found,
  );
}
