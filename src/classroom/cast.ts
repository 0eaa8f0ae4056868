import { createWriteStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import type { TerminalSize } from '../ssh/ssh.js';

/** What one recording may hold, bytes of output: a program that writes for ever must not fill the disk. */
const mostBytes = 16 * 1024 * 1024;

/** A recording of what a terminal showed, never of what was typed: asciicast v2, one JSON line an event. */
export interface Cast {
  output(bytes: Buffer): void;
  resize(size: TerminalSize): void;
  /** A place to go to, such as a task that turned green. */
  mark(label: string): void;
  /** Whether the disk is behind. */
  full(): boolean;
  close(): void;
}

/** Begins a recording. A disk that takes no more ends it, not the terminal. */
export function openCast(file: string, size: TerminalSize, title: string): Cast {
  const stream = createWriteStream(file, { mode: 0o600, flags: 'a' });
  const decoder = new StringDecoder('utf8');
  const startedAt = performance.now();
  let bytesLeft = mostBytes;
  let broken = false;
  stream.on('error', () => (broken = true));
  const line = (value: unknown): void => {
    if (!broken && !stream.writableEnded) stream.write(`${JSON.stringify(value)}\n`);
  };
  const event = (kind: 'o' | 'r' | 'm', data: string): void =>
    line([Math.round(performance.now() - startedAt) / 1000, kind, data]);
  line({ version: 2, width: size.cols, height: size.rows, timestamp: Math.floor(Date.now() / 1000), title });
  return {
    output(bytes) {
      if (bytesLeft <= 0) return;
      bytesLeft -= bytes.length;
      const text = decoder.write(bytes);
      if (text !== '') event('o', text);
      if (bytesLeft <= 0) event('m', 'the recording ends here: it is full');
    },
    resize: ({ cols, rows }) => event('r', `${cols}x${rows}`),
    mark: (label) => event('m', label),
    full: () => !broken && stream.writableNeedDrain,
    close() {
      const rest = decoder.end();
      if (rest !== '' && bytesLeft > 0) event('o', rest);
      stream.end();
    },
  };
}
