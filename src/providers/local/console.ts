import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { isAlive } from '../../lab/process.js';
import { runCommand } from '../shared/command.js';
import { enterCommand } from './enter.js';
import { holdFile } from './host-file.js';
import type { HostAccess } from './transport.js';

/** Most that is kept of one host's console, bytes: what writes more is the host's own doing, and must not fill the machine's disk. */
const consoleBytes = 1024 * 1024;

/** A host's console log, which takes so much and no more. */
export interface ConsoleLog {
  /** False when it is full: nothing more is kept. */
  append(bytes: Buffer | string): boolean;
  close(): void;
}

/** Appends to a file for as long as it is there. */
export function openConsoleLog(file: string, limit = consoleBytes): ConsoleLog {
  const fd = openSync(file, 'a', 0o600);
  let room = limit;
  let open = true;
  return {
    close: () => {
      if (open) closeSync(fd);
      open = false;
    },
    append: (text) => {
      const bytes = Buffer.from(text);
      if (room <= 0 || !open) return false;
      try {
        writeSync(fd, bytes.subarray(0, room));
        room -= bytes.length;
        if (room <= 0) writeSync(fd, `\n(netrig keeps the first ${limit} bytes of a host's console)\n`);
      } catch {
        // The disk is full: the host must not wait for a reader all the same.
        room = 0;
      }
      return room > 0;
    },
  };
}

/** Copies what comes out of a pipe until the log is full; then the pipe is closed, and who writes to it is told so. */
export function copyToConsole(pipe: Readable, log: ConsoleLog): void {
  pipe.on('data', (bytes: Buffer) => {
    if (!log.append(bytes)) pipe.destroy();
  });
  pipe.on('error', () => undefined);
}

/** Waits until a pipe whose writers have all ended is read to its end; half a second at most, for what else may hold it open. */
export async function readToItsEnd(pipe: Readable): Promise<void> {
  if (pipe.readableEnded || pipe.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 500);
    pipe.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** What a host's systemd writes before its journal runs, copied to the console log as it comes. */
export interface KernelLogReader {
  /** Takes the name out of the host's /dev, so that `dmesg` there finds no pipe; what is open stays so. */
  hide(): void;
  /** Copies what is still unread, then ends. */
  close(): void;
}

const shownLines = 30;
const journalMs = 3_000;
const kernelLog = '/dev/kmsg';

/**
 * Reads the pipe that stands for /dev/kmsg in a host. Opened for writing too: a pipe without a writer ends, and systemd
 * opens it anew now and then. `null` for a light host, which has none, and for one that has ended.
 */
export function readKernelLog(access: HostAccess, log: ConsoleLog): KernelLogReader | null {
  if (access.init !== 'systemd') return null;
  let fd: number;
  try {
    const file = holdFile(access.pid1, kernelLog, (stats) => stats.isFIFO());
    try {
      fd = openSync(file.path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
    } finally {
      file.close();
    }
  } catch {
    return null;
  }
  // Each record begins with its priority (syslog(2)); a console shows none.
  const write = (bytes: Buffer): boolean => log.append(bytes.toString('utf8').replace(/^<\d+>/gm, ''));
  const socket = new Socket({ fd, readable: true, writable: false });
  let open = true;
  const end = (): void => {
    open = false;
    socket.destroy();
  };
  let hidden = false;
  socket.on('data', (bytes: Buffer) => {
    // Read on while it can be opened, also where nothing more is kept: who opens a pipe for writing waits for a reader.
    if (!write(bytes) && hidden) end();
  });
  socket.on('error', () => undefined);
  return {
    hide: () => {
      hidden = true;
      try {
        const file = holdFile(access.pid1, kernelLog, (stats) => stats.isFIFO());
        try {
          unlinkSync(file.entry);
        } finally {
          file.close();
        }
      } catch {
        // The host ended.
      }
    },
    close: () => {
      if (!open) return;
      const bytes = Buffer.alloc(64 * 1024);
      try {
        for (let size = readSync(fd, bytes); size > 0; size = readSync(fd, bytes))
          if (!write(bytes.subarray(0, size))) break;
      } catch {
        // Nothing unread: EAGAIN.
      }
      end();
    },
  };
}

/** The end of a systemd host's journal, by the host's own journalctl; `''` when it does not answer within 3 s. */
export async function journalOf(access: HostAccess): Promise<string> {
  if (access.init !== 'systemd' || !isAlive(access.pid1)) return '';
  const journalctl = ['journalctl', '--quiet', '--no-pager', '--output', 'short-monotonic'];
  const result = await runCommand(enterCommand(access, [...journalctl, '--lines', String(shownLines)]), {
    timeoutMs: journalMs,
  });
  return result.exitCode === 0 ? result.stdout.trimEnd() : '';
}
