import { expandCovers } from '../covers.js';
import type { Path } from '../diagnostic.js';
import type { Data } from '../source.js';
import type { Reading } from './reading.js';

/**
 * All items that a `covers` names, each once.
 *
 * @param data `covers` as it stands in the file: one text, or a list of them.
 * @param texts What the schema made of it; `undefined` where it stands nowhere or has mistakes.
 */
export function coveredItems(
  { mistakes, catalogue }: Reading,
  data: Data | undefined,
  texts: readonly string[] | undefined,
  path: Path,
): string[] {
  const ids = new Set<string>();
  texts?.forEach((text, index) => {
    const expanded = expandCovers(text, catalogue);
    if ('ids' in expanded) expanded.ids.forEach((id) => ids.add(id));
    else mistakes.report(Array.isArray(data) ? [...path, index] : path, expanded.message);
  });
  return [...ids];
}
