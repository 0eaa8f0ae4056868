import { suggestion } from '../language/wording.js';
import type { DataMap } from './source.js';

/** Words of letters and digits, joined by one sign each: `REQ-7`, `S4-25`, `rfc_1918`. */
export const itemId = /^[A-Za-z0-9]+(?:[-_:/.][A-Za-z0-9]+)*$/;
const maxIdLength = 64;

/** A range without a catalogue counts up; more than this is a slip of the pen. */
const maxRange = 1000;

export interface CatalogueItem {
  id: string;
  /** What it claims or asks for, one line. */
  says: string;
  /** Everything that the catalogue says of the item. */
  more: DataMap;
}

export interface CataloguePart {
  id: string;
  title: string;
  sections: { title: string; items: CatalogueItem[] }[];
}

/** What there is to prove: parts with items, in the order of the catalogue's file. */
export interface Catalogue {
  file: string;
  parts: readonly CataloguePart[];
  /** All items in their order, with the part that each is in. */
  items: ReadonlyMap<string, { part: string; position: number }>;
}

export function catalogueOf(file: string, parts: readonly CataloguePart[]): Catalogue {
  const items = new Map<string, { part: string; position: number }>();
  for (const part of parts)
    for (const { id } of part.sections.flatMap((section) => section.items))
      if (!items.has(id)) items.set(id, { part: part.id, position: items.size });
  return { file, parts, items };
}

type Expanded = { ids: string[] } | { message: string };

const expected = (text: string): Expanded => ({
  message: `expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got ${JSON.stringify(text)}`,
});

/** What is wrong with the form of an id or a range, whatever the catalogue has; `null` for nothing. */
export function coversFormProblem(text: string): string | null {
  const ends = text.split('..');
  const sound = ends.length <= 2 && ends.every((id) => itemId.test(id) && id.length <= maxIdLength);
  const wrong = expected(text);
  return sound || !('message' in wrong) ? null : wrong.message;
}

/**
 * The items that an id or a range stands for, or what is wrong with it. With a catalogue a range goes from one item to
 * another of the same part in the catalogue's order; without one it counts the number at the end of the ids.
 */
export function expandCovers(text: string, catalogue: Catalogue | null): Expanded {
  const problem = coversFormProblem(text);
  if (problem !== null) return { message: problem };
  const [from, to] = text.split('..') as [string, string?];
  return catalogue === null ? counted(text, from, to) : listed(text, from, to, catalogue);
}

function listed(text: string, from: string, to: string | undefined, catalogue: Catalogue): Expanded {
  const all = [...catalogue.items.keys()];
  /** The part whose name the id begins with, or else the item that was most likely meant. */
  const hint = (id: string): string => {
    const part = catalogue.parts.find((one) => id.startsWith(one.id) && /^[^A-Za-z]/.test(id.slice(one.id.length)));
    const ids = part?.sections.flatMap((section) => section.items) ?? [];
    return ids.length === 0 ? suggestion(id, all) : `: its part goes from ${ids[0]!.id} to ${ids.at(-1)!.id}`;
  };
  for (const id of to === undefined ? [from] : [from, to]) {
    if (!catalogue.items.has(id)) return { message: `${catalogue.file} has no item ${id}${hint(id)}` };
  }
  if (to === undefined) return { ids: [from] };
  const first = catalogue.items.get(from)!;
  const last = catalogue.items.get(to)!;
  if (first.part !== last.part)
    return { message: `the range ${text} goes from one part of the catalogue into another: write one range for each` };
  if (first.position > last.position) return { message: `the range ${text} is reversed: write ${to}..${from}` };
  return { ids: all.slice(first.position, last.position + 1) };
}

function counted(text: string, from: string, to: string | undefined): Expanded {
  if (to === undefined) return { ids: [from] };
  const [first, last] = [from, to].map((id) => /^(.*?)(\d{1,9})$/.exec(id));
  if (!first || !last || first[1] !== last[1])
    return { message: `the range ${text} counts nothing: both ends have the same beginning and a number at the end` };
  const [low, high] = [Number(first[2]), Number(last[2])];
  if (low > high) return { message: `the range ${text} is reversed: write ${to}..${from}` };
  if (high - low >= maxRange) return { message: `the range ${text} stands for more than ${maxRange} items` };
  const ids = Array.from(
    { length: high - low + 1 },
    (_, index) => `${first[1]}${String(low + index).padStart(first[2]!.length, '0')}`,
  );
  return { ids };
}
