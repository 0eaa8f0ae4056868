import picocolors from 'picocolors';
import type { HintCode } from './hints.js';
import type { SourcePlace } from './scenario.js';

export type Path = readonly (string | number)[];

/** A stretch of a file, by offsets in UTF-16 code units. */
export interface Stretch {
  start: number;
  end: number;
}

/** One mistake in a scenario file. */
export interface Diagnostic extends SourcePlace {
  /** As the caller named the file. */
  file: string;
  /** How many characters of the line the mistake covers, at least 1. */
  length: number;
  /** Where in the document: `steps[3].ping.from`; `''` for the document itself. */
  path: string;
  /** One sentence without a full stop. */
  message: string;
  /** The lines around the place, for the code frame. */
  lines: { number: number; text: string }[];
  /** Not a mistake, but hardly meant; see `hints.ts`. */
  hint?: HintCode;
}

/** `['steps', 3, 'ping', 'from']` as `steps[3].ping.from`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part.length > 40 ? `${part.slice(0, 39)}…` : part)}]`;
  }
  return text;
}

/** Without what is said twice about the same place: instances of a matrix repeat each other, and scenarios that take in one file. */
export function distinctDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>();
  return diagnostics.filter((diagnostic) => {
    const key = `${diagnostic.file}\0${diagnostic.line}:${diagnostic.column}\0${diagnostic.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Sorts by place and drops what is said twice about the same place. */
export function sortedDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return distinctDiagnostics(diagnostics).sort((a, b) =>
    a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column,
  );
}

/** A file's text must not reach the terminal as control sequences. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\u00b7');
}

/** Columns a character takes on a terminal: East Asian wide ones take two (Unicode UAX #11, the common blocks). */
function blank(text: string): string {
  return text.replace(/[^\t]/gu, (character) =>
    /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]/u.test(
      character,
    )
      ? '  '
      : ' ',
  );
}

const frameWidth = 110;

/** The lines around a mistake with a caret under it, without colour unless asked. */
export function codeFrame(diagnostic: Diagnostic, colors = picocolors.createColors(false)): string {
  const gutter = String(diagnostic.lines.at(-1)?.number ?? 1).length;
  // A long line is shown around the place of the mistake.
  const from = diagnostic.column > frameWidth - 10 ? diagnostic.column - Math.floor(frameWidth / 2) : 0;
  const rows: string[] = [];
  for (const { number, text } of diagnostic.lines) {
    const cut = printable(text.slice(from, from + frameWidth));
    const here = number === diagnostic.line;
    const head = `${here ? '>' : ' '} ${String(number).padStart(gutter)} |`;
    rows.push(
      `${here ? colors.red(head.slice(0, 1)) + colors.dim(head.slice(1)) : colors.dim(head)}${cut === '' ? '' : ` ${cut}`}`,
    );
    if (here) {
      const left = blank(printable(text.slice(from, diagnostic.column - 1)));
      const width = Math.max(1, Math.min(diagnostic.length, frameWidth - (diagnostic.column - 1 - from)));
      rows.push(`${colors.dim(`  ${' '.repeat(gutter)} |`)} ${left}${colors.red('^'.repeat(width))}`);
    }
  }
  return rows.join('\n');
}

/** Diagnostics for people: place, sentence and code frame of each, separated by empty lines. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], options: { color?: boolean } = {}): string {
  const colors = picocolors.createColors(options.color ?? false);
  return diagnostics
    .map((diagnostic) => {
      const place = `${printable(diagnostic.file)}:${diagnostic.line}:${diagnostic.column}`;
      const where = diagnostic.path === '' ? '' : ` ${colors.dim(`(${printable(diagnostic.path)})`)}`;
      const [mark, code] = diagnostic.hint
        ? [`${colors.yellow('hint')}: `, ` ${colors.dim(`[${diagnostic.hint}]`)}`]
        : ['', ''];
      return `${colors.bold(place)}: ${mark}${printable(diagnostic.message)}${where}${code}\n${codeFrame(diagnostic, colors)}`;
    })
    .join('\n\n');
}

/** Diagnostics for programs. `line` and `column` count from 1, `column` and `length` in UTF-16 code units as LSP does. */
export interface JsonDiagnostic {
  file: string;
  line: number;
  column: number;
  length: number;
  path: string;
  message: string;
  frame: string;
  /** Of a hint: its code. */
  hint?: HintCode;
}

export function diagnosticsToJson(diagnostics: readonly Diagnostic[]): JsonDiagnostic[] {
  return diagnostics.map((diagnostic) => ({
    file: diagnostic.file,
    line: diagnostic.line,
    column: diagnostic.column,
    length: diagnostic.length,
    path: diagnostic.path,
    message: diagnostic.message,
    frame: codeFrame(diagnostic),
    ...(diagnostic.hint ? { hint: diagnostic.hint } : {}),
  }));
}
