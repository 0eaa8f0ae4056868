import { readCsv } from './csv.js';

export interface RosterRow {
  /** As the school calls the person; in grades, too. */
  id: string;
  name: string;
}

const idPattern = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/;
const separatorNames: Readonly<Record<string, string>> = { ';': 'semicolons', ',': 'commas', '\t': 'tabs' };
const mostStudents = 2000;

/** Students of a roster: a CSV text whose first row names its columns, `id` and `name` among them. */
export function readRoster(text: string): { rows: RosterRow[]; mistakes: { line: number; message: string }[] } {
  let table;
  try {
    table = readCsv(text);
  } catch (error) {
    const [, line, message] = /^line (\d+): (.*)$/.exec((error as Error).message) ?? [];
    return { rows: [], mistakes: [{ line: Number(line ?? 1), message: message ?? (error as Error).message }] };
  }
  const [head, ...rest] = table;
  const columns = head?.cells.map((cell) => cell.toLowerCase()) ?? [];
  const [id, name] = [columns.indexOf('id'), columns.indexOf('name')];
  if (!head || id === -1 || name === -1)
    return {
      rows: [],
      mistakes: [
        { line: 1, message: `the first row names the columns, and \`${id === -1 ? 'id' : 'name'}\` is not among them` },
      ],
    };
  return readRows(rest, id, name);
}

function readRows(
  rest: readonly { line: number; cells: string[] }[],
  id: number,
  name: number,
): ReturnType<typeof readRoster> {
  const mistakes: { line: number; message: string }[] = [];
  const rows = new Map<string, RosterRow>();
  for (const { line, cells } of rest) {
    const row = { id: cells[id] ?? '', name: cells[name] ?? '' };
    const say = (message: string) => void mistakes.push({ line, message });
    const other = cells.length === 1 ? [';', ',', '\t'].find((sign) => cells[0]!.includes(sign)) : undefined;
    if (other !== undefined)
      say(`this row is separated by ${separatorNames[other]}, and the first row, which names the columns, is not`);
    else if (!idPattern.test(row.id)) say(`"${row.id}" is no id: letters, digits and . _ @ + -, at most 64`);
    else if (/^teacher-\d+$/.test(row.id)) say(`"${row.id}" is what teachers are called here`);
    else if (rows.has(row.id)) say(`${row.id} stands in the roster already`);
    else if (row.name === '' || row.name.length > 200) say(`${row.id} has no name, or one of more than 200 characters`);
    else rows.set(row.id, row);
  }
  if (rows.size === 0 && mistakes.length === 0) mistakes.push({ line: 1, message: 'nobody is in the roster' });
  if (rows.size > mostStudents) mistakes.push({ line: 1, message: `a class has at most ${mostStudents} students` });
  return { rows: [...rows.values()], mistakes };
}
