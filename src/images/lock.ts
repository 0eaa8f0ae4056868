import { spawn } from 'node:child_process';
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

/** Exit status of flock(1) when the lock was not to be had in time; it cannot be mistaken for that of the command run under it. */
const lockedStatus = 75;

/** How long to wait in silence before saying for whom. */
const quietMs = 300;

/**
 * Takes an exclusive kernel lock on a file (flock(2), held by a flock(1) child that lives as long as our end of its pipe).
 * The kernel gives it back when the holder dies in whatever way, so there are no stale locks. The file says who holds it:
 * pid, and start time in clock ticks since boot (field 22 of /proc/PID/stat).
 *
 * Throws NETRIG_CACHE_LOCKED naming the holder after the deadline, NETRIG_INTERRUPTED, NETRIG_TOOL_MISSING.
 */
export async function takeLock(file: string, options: LockOptions): Promise<HeldLock> {
  const { subject, deadlineMs, signal, progress } = options;
  if (signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', `interrupted before ${subject} was locked`);
  // opened for writing here, so that a full or read-only cache shows as what it is
  await writeFile(file, '', { flag: 'a' });
  const child = spawn(
    'flock',
    [
      '--exclusive',
      '--wait',
      String(deadlineMs / 1000),
      '--conflict-exit-code',
      String(lockedStatus),
      file,
      'sh',
      '-c',
      'echo held; exec cat',
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      // a Ctrl-C on the terminal goes to the whole foreground group; who holds the lock decides when to let go
      detached: true,
    },
  );
  child.stdin.on('error', () => undefined);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const waiting = setTimeout(() => {
    void holderOf(file).then((holder) =>
      progress(`waiting for ${holder}, which holds ${subject} (for up to ${formatDuration(deadlineMs)})`),
    );
  }, quietMs);
  const abort = (): void => {
    child.stdin.end();
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', abort);
  // aborted while the file was being opened
  if (signal.aborted) abort();
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT'
            ? new NetrigError('NETRIG_TOOL_MISSING', 'flock is not installed (Debian package util-linux)', {
                cause: error,
              })
            : error,
        ),
      );
      child.once('close', (status) => {
        if (signal.aborted) reject(new NetrigError('NETRIG_INTERRUPTED', `interrupted while waiting for ${subject}`));
        else if (status === lockedStatus) {
          void holderOf(file).then((holder) =>
            reject(
              new NetrigError(
                'NETRIG_CACHE_LOCKED',
                `${holder} has held ${subject} for longer than ${formatDuration(deadlineMs)}`,
              ),
            ),
          );
        } else
          reject(
            new NetrigError(
              'NETRIG_IMAGE_BUILD',
              `cannot lock ${file}: ${stderr.trim() || `flock ended with status ${status}`}`,
            ),
          );
      });
    });
    const release = async (): Promise<void> => {
      child.stdin.end();
      await ended;
    };
    try {
      const own = ownIdentity();
      await writeFile(file, `${own.pid} ${own.startTime}\n`);
    } catch (error) {
      await release();
      throw error;
    }
    return { release };
  } finally {
    clearTimeout(waiting);
    signal.removeEventListener('abort', abort);
  }
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
