/** One row of a CSV file with the line (from 1) where it begins. */
export interface CsvRow {
  line: number;
  cells: string[];
}

/**
 * Rows of a CSV text (RFC 4180): quoted cells may hold commas, quotes (doubled) and line breaks. Rows without any text are left
 * out. A semicolon separates where the first row has one and no comma, as spreadsheets of many countries write it.
 *
 * @throws SyntaxError that names the line, for a quote that is never closed or that stands inside a cell.
 */
export function readCsv(text: string): CsvRow[] {
  const source = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n');
  const head = source.slice(0, source.indexOf('\n') + 1 || source.length);
  const separator = head.includes(';') && !head.includes(',') ? ';' : ',';
  const rows: CsvRow[] = [];
  let line = 1;
  let at = 0;
  while (at < source.length) {
    const row: CsvRow = { line, cells: [] };
    for (;;) {
      const cell = readCell(source, at, separator, line);
      row.cells.push(cell.text);
      line += cell.lines;
      at = cell.end;
      if (source[at] !== separator) break;
      at += 1;
    }
    at += 1;
    line += 1;
    if (row.cells.some((text) => text !== '')) rows.push(row);
  }
  return rows;
}

function readCell(
  source: string,
  start: number,
  separator: string,
  line: number,
): { text: string; end: number; lines: number } {
  if (source[start] !== '"') {
    let end = start;
    while (end < source.length && source[end] !== separator && source[end] !== '\n') end += 1;
    return { text: source.slice(start, end).trim(), end, lines: 0 };
  }
  let text = '';
  let at = start + 1;
  for (;;) {
    const quote = source.indexOf('"', at);
    if (quote === -1) throw new SyntaxError(`line ${line}: a quote is opened here and never closed`);
    text += source.slice(at, quote);
    at = quote + 1;
    if (source[at] !== '"') break;
    text += '"';
    at += 1;
  }
  while (source[at] === ' ') at += 1;
  if (at < source.length && source[at] !== separator && source[at] !== '\n')
    throw new SyntaxError(`line ${line}: text stands behind a quote; double the quotes that belong to the text`);
  return { text: text.trim(), end: at, lines: text.split('\n').length - 1 };
}

/**
 * A CSV text, its rows ended by CR LF. A cell that a spreadsheet would take for a formula gets a `'` before it: names come from
 * students.
 */
export function writeCsv(rows: readonly (readonly (string | number | null)[])[]): string {
  return rows.map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

function csvCell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
