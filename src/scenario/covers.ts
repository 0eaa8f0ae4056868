/** Items of the catalogue: how many each section has. */
const sections: Record<string, number> = { S0: 74, S1: 78, S2: 134, S3: 79, S4: 63, F: 31 };

interface CatalogueItem {
  section: string;
  number: number;
}

function parseItem(text: string): CatalogueItem | null {
  const match = /^(?:(S[0-4])-|(F))(\d{1,3})$/.exec(text);
  return match ? { section: (match[1] ?? match[2])!, number: Number(match[3]) } : null;
}

function formatItem({ section, number }: CatalogueItem): string {
  return section === 'F' ? `F${number}` : `${section}-${String(number).padStart(2, '0')}`;
}

/** Every item of the catalogue, by section, in its order. */
export function catalogueIds(): Map<string, string[]> {
  return new Map(
    Object.entries(sections).map(([section, size]) => [
      section,
      Array.from({ length: size }, (_, i) => formatItem({ section, number: i + 1 })),
    ]),
  );
}

/** The catalogue's items that an id or a range stands for, or what is wrong with it. */
export function expandCovers(text: string): { ids: string[] } | { message: string } {
  const [from, to = from] = text.split('..');
  const first = parseItem(from!);
  const last = parseItem(to!);
  if (first === null || last === null)
    return {
      message: `expected a catalogue item such as S4-25, or a range such as S4-25..S4-48, got ${JSON.stringify(text)}`,
    };
  for (const item of [first, last]) {
    const size = sections[item.section]!;
    if (item.number < 1 || item.number > size) {
      const id = (number: number): string => formatItem({ section: item.section, number });
      return { message: `the catalogue has no ${formatItem(item)}: its section goes from ${id(1)} to ${id(size)}` };
    }
  }
  if (first.section !== last.section)
    return { message: `the range ${text} goes across sections: write one range for each` };
  if (first.number > last.number)
    return { message: `the range ${text} is reversed: write ${formatItem(last)}..${formatItem(first)}` };
  return {
    ids: Array.from({ length: last.number - first.number + 1 }, (_, i) =>
      formatItem({ section: first.section, number: first.number + i }),
    ),
  };
}

/** All items that a `covers` names, each once; texts that are no items are left out. */
export function expandedCovers(texts: readonly string[] | undefined): string[] {
  const ids = (texts ?? []).flatMap((text) => {
    const expanded = expandCovers(text);
    return 'ids' in expanded ? expanded.ids : [];
  });
  return [...new Set(ids)];
}
