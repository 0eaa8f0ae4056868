import type { Terminal } from '@xterm/headless';
import type { TerminalSize } from '../ssh/ssh.js';
import { Unfinished } from './unfinished-sequence.js';

/** Between two times that something is drawn, ms: what comes meanwhile is drawn together. */
const drawMs = 25;
/** Of what holds sequences, drawn without a pause at most, bytes. */
const pieceBytes = 2048;
const lineEnd = Buffer.from('\r\n');
/** ESC, SO, SI, what C1 controls begin with in UTF-8, and what ends a sequence within: more than the last lines counts. */
const telling = [0x1b, 0x0e, 0x0f, 0xc2, 0x07, 0x18, 0x1a];
const holdsSequences = (bytes: Buffer): boolean => telling.some((sign) => bytes.includes(sign));
/** A sequence that began before ends within so many bytes. */
const headBytes = 256;

/**
 * What of an output has to be drawn, so that a terminal is afterwards as if all had been. Of a text without control sequences it
 * is the last lines, as many as a terminal keeps, and the first: a sequence that began before may end in it.
 */
export function whatCounts(bytes: Buffer, lines: number): Buffer {
  if (bytes.length < lines * lineEnd.length || holdsSequences(bytes)) return bytes;
  const head = bytes.indexOf(lineEnd, headBytes);
  let from = bytes.length;
  for (let line = 0; line <= lines; line += 1) {
    from = bytes.lastIndexOf(lineEnd, from - 1);
    if (head === -1 || from <= head) return bytes;
  }
  // Behind CR and LF the next sign stands in the first column, whatever was before.
  return Buffer.concat([bytes.subarray(0, head + lineEnd.length), bytes.subarray(from + lineEnd.length)]);
}

/** Longest beginning of a sequence that is kept back, bytes: only pictures and what is no sequence at all are longer. */
const mostHeld = 16 * 1024;

/** Where a screen stands in its output. */
export interface Drawn {
  /** Number of the first byte that has no effect on the screen yet. */
  at: number;
  /** What has to be read before that byte; `''` but within a sequence that is longer than what is kept back. */
  reopened: string;
}

/**
 * The screen of a terminal, drawn at a cost that does not grow with a flood of lines. Of a sign or a sequence that is not whole
 * yet nothing is drawn: who is shown the screen gets it from its first byte on.
 */
export interface Drawing {
  add(bytes: Buffer): void;
  /** Calls back when all that was added before is drawn, and nothing that comes later. */
  after(then: (drawn: Drawn) => void): void;
  /** From now on it has that size; what was added before is drawn in the one before. */
  resize(size: TerminalSize): void;
  /** Bytes that are not drawn yet. */
  readonly undrawn: number;
  end(): void;
}

/** @param onDrawn Something was drawn. */
export function createDrawing(screen: Terminal, scrollback: number, onDrawn: () => void): Drawing {
  const end = new Unfinished();
  let parts: Buffer[] = [];
  let added = 0;
  let undrawn = 0;
  let timer: NodeJS.Timeout | null = null;

  const held = (): number => (end.bytes > mostHeld ? 0 : end.bytes);
  const draw = (): void => {
    if (timer) clearTimeout(timer);
    timer = null;
    const all = Buffer.concat(parts);
    const bytes = all.subarray(0, all.length - held());
    parts = bytes.length === all.length ? [] : [all.subarray(bytes.length)];
    if (bytes.length === 0) return;
    const counts = whatCounts(bytes, scrollback + screen.rows);
    // Between two pieces xterm lets others have their turn: a kilobyte of sequences can cost as much as a megabyte of text.
    const step = holdsSequences(counts) ? pieceBytes : counts.length;
    for (let from = 0; from < counts.length; from += step) screen.write(counts.subarray(from, from + step));
    screen.write('', () => {
      undrawn -= bytes.length;
      onDrawn();
    });
  };
  return {
    add(bytes) {
      end.take(bytes);
      parts.push(bytes);
      added += bytes.length;
      undrawn += bytes.length;
      timer ??= setTimeout(draw, drawMs);
    },
    after(then) {
      draw();
      const drawn = { at: added - held(), reopened: held() === end.bytes ? '' : end.reopened };
      screen.write('', () => then(drawn));
    },
    resize({ cols, rows }) {
      draw();
      screen.write('', () => screen.resize(cols, rows));
    },
    get undrawn() {
      return undrawn;
    },
    end() {
      if (timer) clearTimeout(timer);
    },
  };
}
