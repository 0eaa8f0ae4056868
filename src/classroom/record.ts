import { closeSync, fdatasync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import type { ClassEvent, ClassEventBody } from './events.js';
import { makeDirectorySync } from '../model/directory.js';

/** What happened in a class, in order; nothing in it is ever changed. */
export interface ClassRecord {
  /** What was there when it was opened. */
  readonly before: readonly ClassEvent[];
  /**
   * Appends an event. What it returns is taken into the state at once; `kept` resolves when the disk has it, so that an answer
   * that waits for it is true after a loss of power, too.
   *
   * @throws NETRIG_CLASS_RECORD where it cannot be written, and nothing of it is: once there is space again, the next one is.
   */
  append(event: ClassEventBody): { event: ClassEvent; kept: Promise<void> };
  /** Resolves when all that was appended is on the disk. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the record for appending. A last line that is not whole was never acknowledged to anybody, and is cut off.
 *
 * @param write Puts a line at the end of the file; throws where the disk does not take all of it. Default: write(2).
 * @throws NETRIG_CLASS_RECORD where it cannot be opened, or a line before the last one is no event.
 */
export function openRecord(file: string, write: typeof writeWhole = writeWhole): ClassRecord {
  const fd = openFile(file);
  const before = readWhole(file, fd);
  let number = before.at(-1)?.n ?? 0;
  let length = fstatSync(fd).size;
  let unsynced: (() => void)[] = [];
  let syncing: Promise<void> | null = null;
  let failure: NetrigError | null = null;

  const syncOnce = (): Promise<void> =>
    new Promise((resolve) => {
      const waiting = unsynced;
      unsynced = [];
      fdatasync(fd, (error) => {
        if (error) failure ??= recordError(file, error);
        for (const done of waiting) done();
        resolve();
      });
    });

  /** One at a time: what is appended meanwhile shares the next one. */
  const sync = (): void => {
    syncing ??= (async () => {
      // Whoever appends in the same turn gets the same sync.
      await Promise.resolve();
      while (unsynced.length > 0) await syncOnce();
      syncing = null;
    })();
  };

  return {
    before,
    append(body) {
      if (failure) throw failure;
      const event: ClassEvent = { v: 1, n: number + 1, t: new Date().toISOString(), ...body };
      const line = Buffer.from(`${JSON.stringify(event)}\n`);
      try {
        write(fd, line);
      } catch (error) {
        failure = takenBack(fd, length) ? null : recordError(file, error);
        throw recordError(file, error);
      }
      number += 1;
      length += line.length;
      const kept = new Promise<void>((resolve, reject) => unsynced.push(() => (failure ? reject(failure) : resolve())));
      kept.catch(() => undefined);
      sync();
      return { event, kept };
    },
    async flush() {
      while (syncing) await syncing;
      if (failure) throw failure;
    },
    async close() {
      while (syncing) await syncing;
      closeSync(fd);
    },
  };
}

function recordError(file: string, error: unknown): NetrigError {
  return new NetrigError('NETRIG_CLASS_RECORD', `The record ${file} cannot be written: ${messageOf(error)}.`, {
    cause: error,
  });
}

function openFile(file: string): number {
  try {
    makeDirectorySync(dirname(file), 0o700);
    return openSync(file, 'a+', 0o600);
  } catch (error) {
    throw recordError(file, error);
  }
}

/** Whether a line of which the disk took a part is away again. */
function takenBack(fd: number, length: number): boolean {
  try {
    ftruncateSync(fd, length);
    return true;
  } catch {
    return false;
  }
}

/** All of it in one call of write(2) but where the kernel takes less. */
function writeWhole(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}

function readWhole(file: string, fd: number): ClassEvent[] {
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end < bytes.length) {
    ftruncateSync(fd, end);
    fsyncSync(fd);
  }
  return parseRecord(bytes.toString('utf8', 0, end), file);
}

/** Events of a record's text. @throws NETRIG_CLASS_RECORD, with the line. */
export function parseRecord(text: string, file: string): ClassEvent[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      try {
        const event = JSON.parse(line) as ClassEvent;
        if (event.v === 1 && event.n === index + 1 && typeof event.type === 'string') return event;
      } catch {
        // Told below.
      }
      throw new NetrigError(
        'NETRIG_CLASS_RECORD',
        `${file}:${index + 1}: the line is no event of a class, or one before it is missing.`,
        {
          hint: 'The record was changed by hand, or its disk is broken: put a copy of it back.',
        },
      );
    });
}
