import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { NetrigError } from '../errors.js';
import { isAlive, ownIdentity } from '../lab/process.js';
import { formatDuration } from '../model/duration.js';

export interface HeldLock {
  release(): Promise<void>;
}

export interface LockOptions {
  /** What is locked, for messages: `the image debian-11`. */
  subject: string;
  /** Milliseconds to wait for another holder. */
  deadlineMs: number;
  signal: AbortSignal;
  progress(line: string): void;
}

/** Exit status of flock(1) when the lock was not to be had in time. */
const lockedStatus = 75;

/** How long to wait in silence before saying for whom. */
const quietMs = 300;

/**
 * Takes an exclusive kernel lock on a file (flock(2)). flock(1) takes it on a descriptor of this process's own, to whose open
 * file the lock belongs: it is held until that is closed, by `release` or by the end of this process in whatever way, and by
 * nobody else whose death could lose it. The file says who holds it: pid, and start time in clock ticks since boot (field 22 of
 * /proc/PID/stat).
 *
 * Throws NETRIG_CACHE_LOCKED naming the holder after the deadline, NETRIG_INTERRUPTED, NETRIG_TOOL_MISSING.
 */
export async function takeLock(file: string, options: LockOptions): Promise<HeldLock> {
  const { subject, deadlineMs, signal, progress } = options;
  if (signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', `interrupted before ${subject} was locked`);
  // Opened for writing, so that a full or read-only cache shows as what it is.
  const fd = openSync(file, 'a');
  const waiting = setTimeout(() => {
    void holderOf(file).then((holder) =>
      progress(`waiting for ${holder}, which holds ${subject} (for up to ${formatDuration(deadlineMs)})`),
    );
  }, quietMs);
  try {
    const { status, stderr } = await flock(fd, deadlineMs, signal);
    if (signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', `interrupted while waiting for ${subject}`);
    if (status === lockedStatus)
      throw new NetrigError(
        'NETRIG_CACHE_LOCKED',
        `${await holderOf(file)} has held ${subject} for longer than ${formatDuration(deadlineMs)}`,
      );
    if (status !== 0)
      throw new NetrigError(
        'NETRIG_IMAGE_BUILD',
        `cannot lock ${file}: ${stderr.trim() || `flock ended with status ${status}`}`,
      );
    const own = ownIdentity();
    await writeFile(file, `${own.pid} ${own.startTime}\n`);
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    clearTimeout(waiting);
  }
  let open = true;
  return {
    release: async () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** flock(1) on a descriptor of ours; a Ctrl-C at the terminal is not for it. */
function flock(
  fd: number,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<{ status: number | null; stderr: string }> {
  const seconds = String(deadlineMs / 1000);
  const words = ['--exclusive', '--wait', seconds, '--conflict-exit-code', String(lockedStatus), '3'];
  const child = spawn('flock', words, { stdio: ['ignore', 'ignore', 'pipe', fd], detached: true });
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const abort = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', abort);
  return new Promise<{ status: number | null; stderr: string }>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new NetrigError('NETRIG_TOOL_MISSING', 'flock is not installed (Debian package util-linux)', {
              cause: error,
            })
          : error,
      ),
    );
    child.once('close', (status) => resolve({ status, stderr }));
  }).finally(() => signal.removeEventListener('abort', abort));
}

async function holderOf(file: string): Promise<string> {
  try {
    const [pid = '', started = ''] = (await readFile(file, 'utf8')).trim().split(' ');
    if (/^\d+$/.test(pid) && isAlive({ pid: Number(pid), startTime: Number(started) })) return `process ${pid}`;
  } catch {
    // it went away between two looks
  }
  return 'another process';
}
