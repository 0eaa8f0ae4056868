import { closeSync, openSync, watch, writeSync, type FSWatcher } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import type { RunEvent, RunEventBody } from '../model/events.js';
import { eventOf } from './event-shape.js';
import { maskOf } from './mask.js';
import { makeDirectorySync } from '../model/directory.js';

/** The name of the record inside a run's directory. */
export const eventLogName = 'run.jsonl';

export interface EventLog {
  /** Appends one event. Never throws: what cannot be written is counted, and `close` tells. */
  emit(event: RunEventBody): void;
  /** The first error that kept an event from being written, `null` while the record is whole. */
  readonly failure: NetrigError | null;
  /** Events that are not in the file. */
  readonly lost: number;
  /** From now on these texts are masked in all that is written. May be called more than once; earlier ones stay masked. */
  hide(secrets: Iterable<string>): void;
  /** Closes the file. Returns `failure`: a caller that gets an error must not exit with status 0. */
  close(): NetrigError | null;
}

/**
 * Opens the record of a run for appending; several processes may have it open at once.
 *
 * Each event is one `write(2)` on a file opened with O_APPEND, so that lines of several writers never mix: the kernel
 * places and writes the whole buffer under the inode's lock. Writing is synchronous on purpose: what was emitted is in the
 * file even if the process is killed a moment later.
 *
 * @param warn Gets one sentence, once, when the file cannot be written (disk full); default: stderr.
 * @throws NETRIG_REPORT_WRITE when the file cannot be opened at all.
 */
export function openEventLog(dir: string, options: { warn?: (text: string) => void } = {}): EventLog {
  const file = join(dir, eventLogName);
  const warn = options.warn ?? ((text: string): void => void process.stderr.write(`netrig: ${text}\n`));
  let fd: number | null = openForAppending(dir, file);
  const writeLine = lineWriter(fd);
  let failure: NetrigError | null = null;
  let lost = 0;
  let lostUnsaid = 0;
  const secrets = new Set<string>();
  let mask = maskOf(secrets);

  const append = (event: RunEventBody): void => {
    const stamped: RunEvent = { v: 1, t: new Date().toISOString(), pid: process.pid, ...event };
    writeLine(JSON.stringify(mask(stamped)));
  };

  /** Room again: the record says itself how much of it is missing. */
  const sayLost = (): void => {
    if (lostUnsaid === 0) return;
    append({ type: 'lost', events: lostUnsaid });
    lostUnsaid = 0;
  };

  return {
    hide(more) {
      for (const secret of more) secrets.add(secret);
      mask = maskOf(secrets);
    },
    emit(event) {
      if (fd === null) {
        lost += 1;
        return;
      }
      try {
        sayLost();
        append(event);
      } catch (error) {
        lost += 1;
        lostUnsaid += 1;
        if (failure !== null) return;
        failure = new NetrigError('NETRIG_REPORT_WRITE', `${file} cannot be written: ${messageOf(error)}`, {
          cause: error,
        });
        try {
          warn(
            `${failure.message}. The run goes on, but its record and reports will be incomplete, and it will not exit with 0.`,
          );
        } catch {
          // A broken stderr must not break a test that is under way.
        }
      }
    },
    get failure() {
      return failure;
    },
    get lost() {
      return lost;
    },
    close() {
      if (fd !== null) {
        try {
          sayLost();
        } catch {
          // Still no room: that the end is missing shows, too.
        }
        try {
          closeSync(fd);
        } catch (error) {
          failure ??= new NetrigError('NETRIG_REPORT_WRITE', `${file} cannot be closed: ${messageOf(error)}`, {
            cause: error,
          });
        }
        fd = null;
      }
      return failure;
    },
  };
}

function openForAppending(dir: string, file: string): number {
  try {
    makeDirectorySync(dir, 0o700);
    // All output of a lab is in it: for its owner only.
    return openSync(file, 'a', 0o600);
  } catch (error) {
    throw new NetrigError('NETRIG_REPORT_WRITE', `The record of the run cannot be opened: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Writes a text as a line, or throws when not all of it was taken. */
function lineWriter(fd: number): (text: string) => void {
  // A write that the full disk cut short leaves half a line; the next one must not be glued to it.
  let torn = false;
  return (text) => {
    const line = Buffer.from(`${torn ? '\n' : ''}${text}\n`);
    const written = writeSync(fd, line);
    if (written < line.length) {
      torn = written > 0 || torn;
      throw new Error(`only ${written} of ${line.length} bytes were taken: no space left on device`);
    }
    torn = false;
  };
}

/** A line of the record that is no event. `line` is 1-based; `torn`: it is the last one and has no newline. */
export interface BrokenLine {
  line: number;
  torn: boolean;
  text: string;
}

/** `null` for a line that is no event of this version: a report must not guess. */
function parseLine(bytes: Buffer): RunEvent | null {
  try {
    return eventOf(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}

const newline = 0x0a;

/** Cuts a stream of chunks into lines without ever decoding half a character. */
function lineSplitter(): { push(chunk: Buffer): Buffer[]; rest(): Buffer } {
  let pending: Buffer[] = [];
  return {
    push(chunk) {
      const lines: Buffer[] = [];
      let from = 0;
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
        const piece = chunk.subarray(from, at);
        lines.push(pending.length > 0 ? Buffer.concat([...pending, piece]) : piece);
        pending = [];
        from = at + 1;
      }
      if (from < chunk.length) pending.push(Buffer.from(chunk.subarray(from)));
      return lines;
    },
    rest: () => Buffer.concat(pending),
  };
}

/**
 * Reads the record of a run, line by line, whatever its size. A line that is no event (torn by a killed writer or a full
 * disk) is left out and told to `onBroken`.
 *
 * @throws NETRIG_RUN_UNKNOWN when there is no such file.
 */
export async function* readEvents(
  file: string,
  onBroken: (broken: BrokenLine) => void = () => {},
): AsyncGenerator<RunEvent> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    throw new NetrigError('NETRIG_RUN_UNKNOWN', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    const splitter = lineSplitter();
    let number = 0;
    for await (const chunk of handle.createReadStream({
      autoClose: false,
      highWaterMark: 1 << 18,
    }) as AsyncIterable<Buffer>) {
      for (const line of splitter.push(chunk)) {
        number += 1;
        if (line.length === 0) continue;
        const event = parseLine(line);
        if (event) yield event;
        else onBroken({ line: number, torn: false, text: line.subarray(0, 200).toString('utf8') });
      }
    }
    const rest = splitter.rest();
    if (rest.length > 0) {
      const event = parseLine(rest);
      if (event) yield event;
      else onBroken({ line: number + 1, torn: true, text: rest.subarray(0, 200).toString('utf8') });
    }
  } finally {
    await handle.close();
  }
}

/**
 * Calls `onEvent` for each event of a record that other processes are still writing, from its beginning, within about
 * 100 ms of its being written; only what is new is read. The file need not exist yet. Resolves when `signal` is aborted, after what
 * was written until then has been delivered.
 */
export async function followEvents(
  file: string,
  onEvent: (event: RunEvent) => void,
  signal: AbortSignal,
  onBroken: (broken: BrokenLine) => void = () => {},
): Promise<void> {
  const splitter = lineSplitter();
  const buffer = Buffer.allocUnsafe(1 << 16);
  let handle: FileHandle | null = null;
  let watcher: FSWatcher | null = null;
  let position = 0;
  let number = 0;

  const readNew = async (): Promise<void> => {
    if (handle === null) {
      try {
        handle = await open(file, 'r');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
        throw new NetrigError('NETRIG_RUN_UNKNOWN', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
      }
    }
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      for (const line of splitter.push(Buffer.from(buffer.subarray(0, bytesRead)))) {
        number += 1;
        if (line.length === 0) continue;
        const event = parseLine(line);
        if (event) onEvent(event);
        else onBroken({ line: number, torn: false, text: line.subarray(0, 200).toString('utf8') });
      }
    }
  };

  let wake: () => void = () => {};
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  try {
    while (!signal.aborted) {
      await readNew();
      if (handle !== null && watcher === null) {
        // inotify instances are few (128 a machine by default); without one, polling alone serves.
        try {
          watcher = watch(file, () => wake());
          watcher.on('error', () => {});
        } catch {
          watcher = null;
        }
      }
      if (signal.aborted) break;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await readNew();
  } finally {
    signal.removeEventListener('abort', onAbort);
    (watcher as FSWatcher | null)?.close();
    await (handle as FileHandle | null)?.close();
  }
}
