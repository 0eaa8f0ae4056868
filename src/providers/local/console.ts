import { appendFileSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { isAlive } from '../../lab/process.js';
import { runCommand } from '../shared/command.js';
import type { HostAccess } from './transport.js';

/** What a host's systemd writes before its journal runs, copied to the console log as it comes. */
export interface KernelLogReader {
  /** Takes the name out of the host's /dev, so that `dmesg` there finds no pipe; what is open stays so. */
  hide(): void;
  /** Copies what is still unread, then ends. */
  close(): void;
}

const shownLines = 30;
const journalMs = 3_000;

/**
 * Reads the pipe that stands for /dev/kmsg in a host. Opened for writing too: a pipe without a writer ends, and systemd
 * opens it anew now and then. `null` for a light host, which has none, and for one that has ended.
 */
export function readKernelLog(access: HostAccess, logFile: string): KernelLogReader | null {
  if (access.init !== 'systemd') return null;
  const path = `/proc/${access.pid1.pid}/root/dev/kmsg`;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
  const write = (bytes: Buffer): void => {
    // Each record begins with its priority (syslog(2)); a console shows none.
    appendFileSync(logFile, bytes.toString('utf8').replace(/^<\d+>/gm, ''));
  };
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.on('data', (bytes: Buffer) => {
    try {
      write(bytes);
    } catch {
      // The lab's directory is gone or full: the host must not wait for a reader all the same.
    }
  });
  socket.on('error', () => undefined);
  let open = true;
  return {
    hide: () => {
      try {
        unlinkSync(path);
      } catch {
        // The host ended.
      }
    },
    close: () => {
      if (!open) return;
      open = false;
      const bytes = Buffer.alloc(64 * 1024);
      try {
        for (let size = readSync(fd, bytes); size > 0; size = readSync(fd, bytes)) write(bytes.subarray(0, size));
      } catch {
        // Nothing unread: EAGAIN.
      }
      socket.destroy();
    },
  };
}

/** The end of a systemd host's journal, by the host's own journalctl; `''` when it does not answer within 3 s. */
export async function journalOf(access: HostAccess): Promise<string> {
  if (access.init !== 'systemd' || !isAlive(access.pid1)) return '';
  const enter = ['--target', String(access.pid1.pid), '--mount', '--uts', '--ipc', '--net', '--pid'];
  const journalctl = [
    'journalctl',
    '--quiet',
    '--no-pager',
    '--output',
    'short-monotonic',
    '--lines',
    String(shownLines),
  ];
  const result = await runCommand(['nsenter', ...enter, ...journalctl], { timeoutMs: journalMs });
  return result.exitCode === 0 ? result.stdout.trimEnd() : '';
}
