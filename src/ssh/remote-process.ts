import type { ClientChannel } from 'ssh2';
import { NetrigError } from '../errors.js';
import { keepOutput } from './kept-output.js';
import type { Link } from './link.js';
import { pidLine, sayPid } from './pid-line.js';
import type { Slots } from './slots.js';
import type { ExecOptions, ExecResult, RemoteProcess } from './ssh.js';

/** Between TERM and KILL, and between KILL and giving up on the channel, ms. */
const killGraceMs = 500;
/** After the command's exit: how long its output may stay silent, and how long it may go on, before we stop reading, ms. */
const quietAfterExitMs = 500;
const longestAfterExitMs = 2_000;
/** How long the remote shell may take to say its pid when the command must be killed already, ms. */
const pidDeadlineMs = 1_000;
const defaultKeepBytes = 1_048_576;

/** setTimeout's own limit; what is longer has no limit. */
const longestTimerMs = 2 ** 31 - 1;

export interface ProcessOptions extends ExecOptions {
  /** Waited for before the channel is opened; without, the process does not count. */
  slots?: Slots;
}

export interface StoppableProcess extends RemoteProcess {
  /** Ends it as an abort does. */
  abort(): void;
}

/**
 * Runs a command line in the host's shell.
 *
 * The result settles when the channel closes, which sshd does once the command has exited *and* nobody holds its stdout or
 * stderr. A background child that does hold them must not keep the caller waiting: after the exit status, and then silence,
 * the result settles with what has come; the channel stays open unread, so that the child does not get SIGPIPE.
 */
export function startProcess(link: Link, command: string, options: ProcessOptions): StoppableProcess {
  const doing = `\`${command.length > 200 ? `${command.slice(0, 200)}...` : command}\``;
  const stdout = keepOutput(options.keepBytes ?? defaultKeepBytes);
  const stderr = keepOutput(options.keepBytes ?? defaultKeepBytes);
  const timers = new Set<NodeJS.Timeout>();
  const cancelled = new AbortController();
  let startedAt: number | undefined;
  let channel: ClientChannel | undefined;
  let exit: { code: number | null; signal?: string } | undefined;
  let exitedAt = 0;
  /** Chunks that the caller has not taken yet. */
  let held = 0;
  let lastDataAt = 0;
  let closed = false;
  let settled = false;
  let stopping: 'timeout' | 'abort' | undefined;
  let terminating = false;
  let opening = false;
  let giveSlotBack: (() => void) | undefined;
  let knownPgid: number | undefined;

  const done = deferred<ExecResult>();
  const pgid = deferred<number>();
  const closing = deferred<void>();
  const forgetLink = link.onLost(() => fail(link.lostError(doing)));
  const abort = () => stop('abort');
  options.signal?.addEventListener('abort', abort);

  const after = (ms: number, action: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      action();
    }, ms);
    timers.add(timer);
  };

  const cleanUp = () => {
    settled = true;
    for (const timer of timers) clearTimeout(timer);
    forgetLink();
    options.signal?.removeEventListener('abort', abort);
    giveSlotBack?.();
    cancelled.abort();
    closing.resolve();
    pgid.reject(
      new NetrigError('NETRIG_SSH_LOST', `${link.host}: ${doing} was over before its shell said its process id`),
    );
  };

  const settle = () => {
    if (settled) return;
    if (channel && !closed) {
      channel.removeAllListeners('data');
      channel.stderr.removeAllListeners('data');
      link.linger(channel);
    }
    cleanUp();
    const result: ExecResult = {
      host: link.host,
      command,
      exitCode: stopping === undefined ? (exit?.code ?? null) : null,
      timedOut: stopping === 'timeout',
      aborted: stopping === 'abort',
      durationMs: startedAt === undefined ? 0 : performance.now() - startedAt,
      stdout: stdout.text(),
      stderr: stderr.text(),
      stdoutRaw: stdout.bytes(),
      stdoutBytes: stdout.total,
      stderrBytes: stderr.total,
    };
    if (exit?.signal !== undefined) result.signal = exit.signal;
    done.resolve(result);
  };

  const fail = (error: unknown) => {
    if (settled) return;
    cleanUp();
    done.reject(error);
  };

  const take = (stream: 'stdout' | 'stderr', chunk: Buffer) => {
    if (settled || chunk.length === 0) return;
    (stream === 'stdout' ? stdout : stderr).add(chunk);
    if (!options.onOutput) return;
    try {
      const taken = options.onOutput(stream, chunk);
      if (taken) holdUntil(taken);
    } catch (error) {
      misused(error);
    }
  };

  // The caller's own mistake goes back to the caller; the command is not left running.
  const misused = (error: unknown) => {
    if (knownPgid !== undefined) void link.signalGroup(knownPgid, 'KILL').catch(() => undefined);
    fail(error);
  };

  /** Takes no more output of either stream until the caller has taken this. */
  const holdUntil = (taken: Promise<void>) => {
    held += 1;
    channel?.pause();
    channel?.stderr.pause();
    taken.then(() => {
      held -= 1;
      lastDataAt = performance.now();
      // What comes after an exit is waited for from now on, not from when nobody took any.
      if (exit !== undefined) exitedAt = performance.now();
      if (held > 0 || settled) return;
      channel?.resume();
      channel?.stderr.resume();
    }, misused);
  };

  /** Settles once nothing has come for a while after the exit, unless the channel closes first. */
  const watchForSilence = (ms = quietAfterExitMs) => {
    after(ms, () => {
      const seen = lastDataAt;
      const now = performance.now();
      // What is held back is still to come, however long its reader takes.
      if (held > 0) return watchForSilence();
      const quietFor = now - Math.max(seen, exitedAt);
      if (now - exitedAt >= longestAfterExitMs) return settle();
      if (quietFor < quietAfterExitMs)
        return watchForSilence(Math.min(quietAfterExitMs - quietFor, longestAfterExitMs - (now - exitedAt)));
      // A busy machine runs this timer before the output that has arrived meanwhile, here or in sshd: ask once around.
      const roundTrip =
        knownPgid === undefined ? Promise.resolve(false) : link.signalGroup(knownPgid, '0').catch(() => false);
      void roundTrip.then(() =>
        setImmediate(() => {
          if (settled) return;
          if (lastDataAt === seen) settle();
          else watchForSilence();
        }),
      );
    });
  };

  const attach = (opened: ClientChannel) => {
    channel = opened;
    // From here, not from the request: what is limited is the command, not the wait for sshd to have room for it.
    if (options.timeoutMs !== undefined && options.timeoutMs <= longestTimerMs)
      after(Math.max(0, options.timeoutMs), () => stop('timeout'));
    const line = pidLine(token, (pid) => {
      knownPgid = pid;
      pgid.resolve(pid);
    });
    opened.on('data', (chunk: Buffer) => {
      lastDataAt = performance.now();
      take('stdout', line.feed(chunk));
    });
    opened.stderr.on('data', (chunk: Buffer) => {
      lastDataAt = performance.now();
      take('stderr', chunk);
    });
    // Input that the command did not read: what became of the command is what counts.
    opened.on('error', () => undefined);
    opened.stderr.on('error', () => undefined);
    opened.on('exit', (code: number | null, signal?: string) => {
      exit = { code };
      if (signal !== undefined) exit.signal = signal.replace(/^SIG/, '');
      exitedAt = performance.now();
      if (stopping === undefined) watchForSilence();
    });
    opened.once('close', () => {
      const over = () => {
        take('stdout', line.flush());
        closed = true;
        closing.resolve();
        if (stopping !== undefined) return;
        if (exit !== undefined) settle();
        // The link's own end is told apart from this one by coming first.
        else
          fail(
            new NetrigError(
              'NETRIG_SSH_LOST',
              `${link.host}: its sshd closed the channel of ${doing} without an exit status`,
            ),
          );
      };
      if (opened.stderr.readableEnded || link.lost !== undefined) over();
      else opened.stderr.once('end', over);
    });
    // Without input the command reads end of file, never hangs for want of a terminal.
    opened.end(options.stdin);
  };

  const stop = (reason: 'timeout' | 'abort') => {
    if (settled || stopping !== undefined) return;
    if (exit !== undefined) {
      // It is over; only what holds its output is not.
      if (reason === 'abort') settle();
      return;
    }
    stopping = reason;
    cancelled.abort();
    // While it waits for a slot, nothing runs; while a channel is being opened, the link's own deadline bounds the wait.
    if (!opening) return settle();
    if (channel) void terminate(channel).then(settle, settle);
  };

  const within = (ms: number, event: Promise<unknown>) =>
    Promise.race([event, new Promise<void>((resolve) => after(ms, resolve))]);

  /** TERM to the group, then KILL to what is left of it, whether or not the shell itself has gone. */
  const terminate = async (running: ClientChannel) => {
    terminating = true;
    await within(
      pidDeadlineMs,
      pgid.promise.catch(() => undefined),
    );
    for (const signal of ['TERM', 'KILL'] as const) {
      if (knownPgid !== undefined) {
        const had = await link.signalGroup(knownPgid, signal);
        if (!had && closed) return;
      } else if (!closed) {
        // The shell never said its pid: the server's own way is all that is left, where it has one.
        running.signal(signal);
      }
      await within(killGraceMs, closing.promise);
    }
    if (!closed) running.close();
  };

  const token = link.token();

  const start = async () => {
    if (link.lost !== undefined) throw link.lostError(doing);
    if (options.signal?.aborted) return stop('abort');
    if (options.slots) {
      const slot = await options.slots.take(cancelled.signal);
      if (slot === null) return;
      giveSlotBack = slot;
      if (settled) return slot();
    }
    opening = true;
    const opened = await link.open(
      doing,
      (client, answer) => {
        startedAt = performance.now();
        client.exec(sayPid(token, command), (error, fresh) => {
          // In the same turn as ssh2's answer: the first output may be the next thing it reads.
          if (!error) attach(fresh);
          answer(error, fresh);
        });
      },
      cancelled.signal,
    );
    if (opened === null) return settle();
    if (settled) opened.close();
    else if (stopping !== undefined && !terminating) void terminate(opened).then(settle, settle);
  };
  start().catch(fail);

  // A process may be started and left; who waits for either promise still sees how it ended.
  done.promise.catch(() => undefined);
  pgid.promise.catch(() => undefined);
  return {
    pgid: pgid.promise,
    done: done.promise,
    abort,
    async kill(signal = 'TERM') {
      const group = await pgid.promise.catch(() => undefined);
      if (group !== undefined) await link.signalGroup(group, signal).catch(() => false);
    },
  };
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
