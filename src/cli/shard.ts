/** A part of a set of files: the second of three. */
export interface Shard {
  /** 1-based. */
  index: number;
  of: number;
}

/** `2/3`; `null` for what is not a part of a whole. */
export function parseShard(text: string): Shard | null {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  const [index, of] = [Number(match?.[1]), Number(match?.[2])];
  return match && index >= 1 && index <= of ? { index, of } : null;
}

/**
 * Every n-th file in the order of their paths, so that neighbours, which are alike in length, spread over the parts. Each file
 * is in exactly one part, on every machine that has the same files.
 */
export function partOf<File extends { file: string }>(files: readonly File[], { index, of }: Shard): File[] {
  return [...files].sort((a, b) => (a.file < b.file ? -1 : 1)).filter((_, at) => at % of === index - 1);
}
