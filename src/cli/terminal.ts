import { setImmediate } from 'node:timers/promises';
import pc from 'picocolors';
import { wantsColour } from '../report/console.js';
import { displayWidth, neutralise } from '../report/terminal-text.js';

/**
 * The one way of all commands to the terminal. What comes from a lab, a scenario or an error is data: it may hold sequences
 * that move the cursor, set the title or hide text, and is made harmless here, where nobody can forget it. Only what was
 * painted here keeps its colours.
 */

/** Text with nothing in it that a terminal obeys, but for colours of our own. Made in this file only. */
class Painted {
  constructor(readonly text: string) {}
}
export type { Painted };

export type Shown = string | number | Painted;

function harmless(value: Shown): string {
  return value instanceof Painted ? value.text : neutralise(String(value));
}

/** Puts words and values together as one text; what is not painted is made harmless. */
export function text(words: TemplateStringsArray, ...values: readonly Shown[]): Painted {
  return new Painted(words.map((word, index) => (index === 0 ? word : harmless(values[index - 1]!) + word)).join(''));
}

/** Parts of one text, one after the other. */
export function joined(parts: readonly Shown[], between = ''): Painted {
  return new Painted(parts.map(harmless).join(between));
}

/** Text of netrig's own that has been made harmless where it was put together, colours and all (code frames, tables). */
export function alreadyHarmless(made: string): Painted {
  return new Painted(made);
}

const colourNames = ['green', 'red', 'yellow', 'magenta', 'cyan', 'dim', 'bold'] as const;
export type Colour = (typeof colourNames)[number];
export type Palette = Record<Colour, (value: Shown) => Painted>;

/** Colours by what the stream is, NO_COLOR and FORCE_COLOR. */
function palette(isTTY: boolean): Palette {
  const colours = pc.createColors(wantsColour(process.env, isTTY));
  return Object.fromEntries(
    colourNames.map((name) => [name, (value: Shown) => new Painted(colours[name](harmless(value)))]),
  ) as Palette;
}

export const out = palette(process.stdout.isTTY === true);
export const err = palette(process.stderr.isTTY === true);
/** Whether standard error is coloured, for what colours itself. */
export const errIsColoured = wantsColour(process.env, process.stderr.isTTY === true);

/** A line on standard output: what was asked for. */
export function print(words: TemplateStringsArray, ...values: readonly Shown[]): void {
  process.stdout.write(`${text(words, ...values).text}\n`);
}

/** A line on standard error: what happens meanwhile, and what went wrong. */
export function tell(words: TemplateStringsArray, ...values: readonly Shown[]): void {
  process.stderr.write(`${text(words, ...values).text}\n`);
}

/** A word of netrig's own while it works: `netrig: …` on standard error. */
export function note(line: string): void {
  tell`netrig: ${line}`;
}

/** A document for programs, the only thing on standard output. JSON may spell any sign as an escape: nothing in it is obeyed. */
export function printJson(value: unknown): void {
  printJsonText(JSON.stringify(value, null, 2));
}

/** The same for a document that was made before. */
export function printJsonText(json: string): void {
  const escaped = json.replace(
    /[\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  process.stdout.write(`${escaped.trimEnd()}\n`);
}

/**
 * Output of a command of the lab as it stands, for `netrig exec`: a person asked for this very output, as with ssh.
 * Resolves when the stream takes more.
 */
export function passThrough(stream: 'stdout' | 'stderr', chunk: Buffer): Promise<void> | undefined {
  const to = process[stream];
  if (to.write(chunk)) return undefined;
  return new Promise((resolve) => {
    const ready = (): void => {
      to.off('drain', ready);
      to.off('close', ready);
      resolve();
    };
    to.on('drain', ready);
    to.on('close', ready);
  });
}

/** Resolves when everything that was written has left this process: output to a pipe would be lost with it otherwise. */
export async function allWritten(): Promise<void> {
  // What a stream has to say of the last write it says in the next turn.
  await setImmediate();
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) =>
        new Promise<void>((resolve) => {
          if (stream.destroyed || stream.writableLength === 0) resolve();
          else stream.write('', () => resolve());
        }),
    ),
  );
}

/** A table of plain cells, as wide as it must be; the heading is dimmed. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): Painted {
  const cells = [heading, ...rows].map((row) => row.map((cell) => neutralise(cell).replace(/\s+/g, ' ')));
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => displayWidth(row[column] ?? ''))));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell))))
      .join('  ')
      .trimEnd(),
  );
  return joined([out.dim(lines[0]!), ...lines.slice(1)], '\n');
}
