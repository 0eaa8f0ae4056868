/** A value as it would stand in the file, short enough for one line. */
export function shown(value: unknown): string {
  if (value === null) return 'nothing';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a map';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 56)}…"` : text;
}

/**
 * Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment. Infinite where it is more
 * than `limit`.
 */
function editDistance(a: string, b: string, limit = Infinity): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    // What comes later is built on these two rows, and no row makes it less.
    if (Math.min(...row) > limit && Math.min(...last) > limit) return Infinity;
    before = last;
    last = row;
  }
  return last[b.length]!;
}

/** The known word that a mistyped one most likely meant; `null` when none is near. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > 64) return null;
  const limit = word.length <= 3 ? 1 : word.length <= 7 ? 2 : 3;
  const folded = word.toLowerCase().replaceAll('_', '-');
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of known) {
    const other = candidate.toLowerCase().replaceAll('_', '-');
    // A word of which every letter must change is no near miss.
    const distance = editDistance(folded, other, bestDistance - 1);
    if (distance < bestDistance && distance < Math.max(folded.length, other.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean "ping"?`, or nothing. */
export function suggestion(word: unknown, known: Iterable<string>): string {
  const guess = typeof word === 'string' ? nearest(word, known) : null;
  return guess === null ? '' : `; did you mean ${JSON.stringify(guess)}?`;
}

/** Known words, the one that a mistyped word most likely meant first: `server, client`. */
export function nearestFirst(word: string, known: Iterable<string>): string {
  const all = [...known];
  const near = nearest(word, all);
  return [...(near === null ? [] : [near]), ...all.filter((one) => one !== near)].join(', ');
}

/** What there is in place of an unknown name: `; did you mean "gate"? It has gate, web`, or `; it has gate, web`. */
export function whatItHas(name: string, known: readonly string[]): string {
  const guess = suggestion(name, known);
  return `${guess === '' ? '; it' : `${guess} It`} has ${nearestFirst(name, known)}`;
}
