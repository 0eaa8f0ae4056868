import { readFileSync } from 'node:fs';

const shownBytes = 16 * 1024;
const shownLines = 30;

/** The end of a file's text, 30 lines at most; `''` when there is none. */
export function lastLines(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return '';
  }
  return bytes.subarray(-shownBytes).toString('utf8').trimEnd().split('\n').slice(-shownLines).join('\n');
}
