/**
 * Control sequences of ECMA-48 that carry no text: CSI (colours, cursor), OSC (titles, links), character sets, resets. Only
 * whole ones: Node's `stripVTControlCharacters` also swallows text that merely follows an escape character.
 */
const sequences =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)|\u001b[()][0-9A-Z]|\u001b[=>78cM]/g;

/**
 * Text from a lab host made harmless for a terminal and for logs: colour and cursor sequences are dropped, any other
 * control character and the bidirectional overrides (which can reorder what a reader sees) become visible signs. Newlines
 * and tabs stay.
 */
export function neutralise(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(sequences, '')
    .replace(
      // Everything of C0 but \t and \n, DEL, C1, and U+202A-202E, U+2066-2069, U+200E-200F, U+061C.
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]/g,
      (sign) => {
        const code = sign.charCodeAt(0);
        if (code < 0x20) return String.fromCharCode(0x2400 + code);
        if (code === 0x7f) return '\u2421';
        return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
      },
    );
}

/** `neutralise`, and on one line: for titles and reasons. */
export function oneLine(text: string): string {
  return neutralise(text).replace(/\s+/g, ' ').trim();
}

let segmenter: Intl.Segmenter | null = null;
/** Made when the first text needs it: that takes longer than many a command has to say. */
const graphemes = (text: string): Intl.Segments =>
  (segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })).segment(text);
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;
const empty = /^[\p{Mark}\p{Cf}]/u;

function graphemeWidth(grapheme: string): number {
  if (wide.test(grapheme)) return 2;
  return empty.test(grapheme) ? 0 : 1;
}

/** Columns that the text takes on a terminal: wide characters (Unicode Standard Annex 11) count as two. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes(text)) width += graphemeWidth(segment);
  return width;
}

/**
 * The beginning of a text, cut before it is taken apart by graphemes: each step of that costs time in proportion to the
 * whole text, so that a line of megabytes would cost minutes of which nobody sees anything.
 *
 * @param most Code units; what is shown must fit into them.
 */
function cutRoughly(text: string, most: number): string {
  if (text.length <= most) return text;
  const cut = text.slice(0, most);
  // Not through the middle of a surrogate pair.
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}

/** The text cut to `columns`, with an ellipsis where something was cut. */
export function truncate(text: string, columns: number): string {
  if (columns <= 0) return '';
  // A grapheme of more than 16 units is a stack of marks that no reader misses.
  const rough = cutRoughly(text, Math.max(64, columns * 16));
  if (rough.length === text.length && displayWidth(text) <= columns) return text;
  let width = 0;
  let kept = '';
  for (const { segment } of graphemes(rough)) {
    const next = graphemeWidth(segment);
    if (width + next > columns - 1) break;
    width += next;
    kept += segment;
  }
  return `${kept}…`;
}

/** A word in pieces of at most `limit` columns; all but the last are full. Not more than `most` pieces are cut. */
function pieces(word: string, limit: number, most: number): string[] {
  if (word.length <= limit && displayWidth(word) <= limit) return [word];
  const all: string[] = [];
  let piece = '';
  let width = 0;
  for (const { segment } of graphemes(word)) {
    const next = graphemeWidth(segment);
    if (piece !== '' && width + next > limit) {
      all.push(piece);
      if (all.length >= most) return all;
      [piece, width] = ['', 0];
    }
    piece += segment;
    width += next;
  }
  return [...all, piece];
}

/** Lines that a wrapped text has at most: more than that nobody reads on a terminal. */
const mostLines = 60;

/** Text that is broken into lines at most, in UTF-16 units: a terminal may be as wide as a file. */
const mostText = 10_000;

/**
 * Breaks at spaces so that no line is wider than `columns`; a longer word is broken inside. A text of more than 60 lines is
 * cut there, with an ellipsis.
 */
export function wrap(text: string, columns: number): string[] {
  const limit = Math.max(columns, 10);
  const shown = cutRoughly(text, Math.min(limit * mostLines * 2, mostText));
  const lines: string[] = [];
  let line = '';
  for (const word of shown.split(' ')) {
    const [first = '', ...rest] = pieces(word, limit, mostLines + 1);
    if (line !== '' && displayWidth(line) + 1 + displayWidth(first) > limit) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? first : `${line} ${first}`;
    for (const piece of rest) {
      lines.push(line);
      line = piece;
    }
    if (lines.length > mostLines) break;
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  const whole = shown.length === text.length && lines.length <= mostLines;
  return whole ? lines : [...lines.slice(0, mostLines - 1), truncate(`${lines[mostLines - 1] ?? ''} …`, limit)];
}

/** A capture or an archive on standard output: it has NUL bytes, or much that is no UTF-8. */
function isBinary(text: string): boolean {
  return text.includes('\0') || (text.match(/\ufffd/g)?.length ?? 0) > text.length / 20;
}

/** The last `count` lines that hold something, neutralised; a carriage return counts as a line's end (progress bars); one remark for output that is no text. */
export function lastLines(text: string, count: number): string[] {
  if (isBinary(text)) return ['(output that is no text)'];
  return neutralise(text.replace(/\r(?!\n)/g, '\n'))
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-count);
}
