import type { ProgramOutput } from '../model/verdict.js';

/** Lines of an output that are shown, from its beginning and from its end: the first cause and the last word. */
const firstLines = 5;
const lastLines = 10;
const maxLineLength = 300;

/** The first and last lines of a text, one a line; `''` for a text that says nothing. */
export function firstAndLastLines(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trimEnd())
    .map((line) => (line.length > maxLineLength ? `${line.slice(0, maxLineLength - 1)}…` : line));
  while (lines.at(-1) === '') lines.pop();
  while (lines[0] === '') lines.shift();
  const left = lines.length - firstLines - lastLines;
  if (left <= 1) return lines.join('\n');
  return [...lines.slice(0, firstLines), `… ${left} lines left out …`, ...lines.slice(-lastLines)].join('\n');
}

/** Both streams of a command, those that say something. */
export function streamsOf(result: { stdout: string; stderr: string }): ProgramOutput[] {
  return [
    { title: 'standard error', text: firstAndLastLines(result.stderr) },
    { title: 'standard output', text: firstAndLastLines(result.stdout) },
  ].filter(({ text }) => text !== '');
}
