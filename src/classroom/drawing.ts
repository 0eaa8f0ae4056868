import type { Terminal } from '@xterm/headless';

/** Between two times that something is drawn, ms: what comes meanwhile is drawn together. */
const drawMs = 25;
const lineEnd = Buffer.from('\r\n');
/** ESC, SO, SI, what C1 controls begin with in UTF-8, and what ends a sequence within: more than the last lines counts. */
const telling = [0x1b, 0x0e, 0x0f, 0xc2, 0x07, 0x18, 0x1a];
/** A sequence that began before ends within so many bytes. */
const headBytes = 256;

/**
 * What of an output has to be drawn, so that a terminal is afterwards as if all had been. Of a text without control sequences it
 * is the last lines, as many as a terminal keeps, and the first: a sequence that began before may end in it.
 */
export function whatCounts(bytes: Buffer, lines: number): Buffer {
  if (bytes.length < lines * lineEnd.length || telling.some((sign) => bytes.includes(sign))) return bytes;
  const head = bytes.indexOf(lineEnd, headBytes);
  let from = bytes.length;
  for (let line = 0; line <= lines; line += 1) {
    from = bytes.lastIndexOf(lineEnd, from - 1);
    if (head === -1 || from <= head) return bytes;
  }
  // Behind CR and LF the next sign stands in the first column, whatever was before.
  return Buffer.concat([bytes.subarray(0, head + lineEnd.length), bytes.subarray(from + lineEnd.length)]);
}

/** The screen of a terminal, drawn at a cost that does not grow with a flood of lines. */
export interface Drawing {
  add(bytes: Buffer): void;
  /** Calls back when all that was added before is drawn, and nothing that comes later. */
  after(then: () => void): void;
  /** Bytes that are not drawn yet. */
  readonly undrawn: number;
  end(): void;
}

/** @param onDrawn Something was drawn. */
export function createDrawing(screen: Terminal, scrollback: number, onDrawn: () => void): Drawing {
  let parts: Buffer[] = [];
  let undrawn = 0;
  let timer: NodeJS.Timeout | null = null;

  const draw = (): void => {
    if (timer) clearTimeout(timer);
    timer = null;
    if (parts.length === 0) return;
    const bytes = Buffer.concat(parts);
    parts = [];
    screen.write(whatCounts(bytes, scrollback + screen.rows), () => {
      undrawn -= bytes.length;
      onDrawn();
    });
  };
  return {
    add(bytes) {
      parts.push(bytes);
      undrawn += bytes.length;
      timer ??= setTimeout(draw, drawMs);
    },
    after(then) {
      draw();
      screen.write('', then);
    },
    get undrawn() {
      return undrawn;
    },
    end() {
      if (timer) clearTimeout(timer);
    },
  };
}
