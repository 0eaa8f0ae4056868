import type { ClientChannel } from 'ssh2';
import { NetrigError } from '../errors.js';
import { keepOutput, type KeptOutput } from './kept-output.js';
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

/** One command from its start to its result. */
interface Run {
  readonly link: Link;
  readonly command: string;
  /** The command as errors name it. */
  readonly doing: string;
  /** The word by which its shell's line about its pid is told from its output. */
  readonly token: string;
  readonly options: ProcessOptions;
  readonly stdout: KeptOutput;
  readonly stderr: KeptOutput;
  readonly timers: Set<NodeJS.Timeout>;
  /** Calls the wait for a slot or a channel off. */
  readonly cancelled: AbortController;
  readonly done: Deferred<ExecResult>;
  readonly pgid: Deferred<number>;
  readonly closing: Deferred<void>;
  /** Given back once there is a result. */
  readonly borrowed: (() => void)[];
  startedAt: number | undefined;
  channel: ClientChannel | undefined;
  exit: { code: number | null; signal?: string } | undefined;
  exitedAt: number;
  /** Chunks that the caller has not taken yet. */
  held: number;
  lastDataAt: number;
  closed: boolean;
  settled: boolean;
  stopping: 'timeout' | 'abort' | undefined;
  terminating: boolean;
  opening: boolean;
  knownPgid: number | undefined;
}

/**
 * Runs a command line in the host's shell.
 *
 * The result settles when the channel closes, which sshd does once the command has exited *and* nobody holds its stdout or
 * stderr. A background child that does hold them must not keep the caller waiting: after the exit status, and then silence,
 * the result settles with what has come; the channel stays open unread, so that the child does not get SIGPIPE.
 */
export function startProcess(link: Link, command: string, options: ProcessOptions): StoppableProcess {
  const run = newRun(link, command, options);
  const abort = () => stop(run, 'abort');
  run.borrowed.push(link.onLost(() => fail(run, link.lostError(run.doing))));
  options.signal?.addEventListener('abort', abort);
  run.borrowed.push(() => options.signal?.removeEventListener('abort', abort));
  start(run).catch((error: unknown) => fail(run, error));

  // A process may be started and left; who waits for either promise still sees how it ended.
  run.done.promise.catch(() => undefined);
  run.pgid.promise.catch(() => undefined);
  return {
    pgid: run.pgid.promise,
    done: run.done.promise,
    abort,
    async kill(signal = 'TERM') {
      const group = await run.pgid.promise.catch(() => undefined);
      if (group !== undefined) await link.signalGroup(group, signal).catch(() => false);
    },
  };
}

function newRun(link: Link, command: string, options: ProcessOptions): Run {
  return {
    link,
    command,
    doing: `\`${command.length > 200 ? `${command.slice(0, 200)}...` : command}\``,
    token: link.token(),
    options,
    stdout: keepOutput(options.keepBytes ?? defaultKeepBytes),
    stderr: keepOutput(options.keepBytes ?? defaultKeepBytes),
    timers: new Set(),
    cancelled: new AbortController(),
    done: deferred<ExecResult>(),
    pgid: deferred<number>(),
    closing: deferred<void>(),
    borrowed: [],
    startedAt: undefined,
    channel: undefined,
    exit: undefined,
    exitedAt: 0,
    held: 0,
    lastDataAt: 0,
    closed: false,
    settled: false,
    stopping: undefined,
    terminating: false,
    opening: false,
    knownPgid: undefined,
  };
}

// ---- The beginning: a slot, a channel, the command's line.

async function start(run: Run): Promise<void> {
  const { link, doing, options, cancelled } = run;
  if (link.lost !== undefined) throw link.lostError(doing);
  if (options.signal?.aborted) return stop(run, 'abort');
  if (options.slots) {
    const slot = await options.slots.take(cancelled.signal);
    if (slot === null) return;
    if (run.settled) return slot();
    run.borrowed.push(slot);
  }
  run.opening = true;
  const opened = await link.open(
    doing,
    (client, answer) => {
      run.startedAt = performance.now();
      client.exec(sayPid(run.token, run.command), (error, fresh) => {
        // In the same turn as ssh2's answer: the first output may be the next thing it reads.
        if (!error) attach(run, fresh);
        answer(error, fresh);
      });
    },
    cancelled.signal,
  );
  if (opened === null) return settle(run);
  if (run.settled) opened.close();
  else if (run.stopping !== undefined && !run.terminating) endIt(run, opened);
}

function attach(run: Run, opened: ClientChannel): void {
  const { options } = run;
  run.channel = opened;
  // From here, not from the request: what is limited is the command, not the wait for sshd to have room for it.
  if (options.timeoutMs !== undefined && options.timeoutMs <= longestTimerMs)
    after(run, Math.max(0, options.timeoutMs), () => stop(run, 'timeout'));
  const line = pidLine(run.token, (pid) => {
    run.knownPgid = pid;
    run.pgid.resolve(pid);
  });
  opened.on('data', (chunk: Buffer) => {
    run.lastDataAt = performance.now();
    take(run, 'stdout', line.feed(chunk));
  });
  opened.stderr.on('data', (chunk: Buffer) => {
    run.lastDataAt = performance.now();
    take(run, 'stderr', chunk);
  });
  // Input that the command did not read: what became of the command is what counts.
  opened.on('error', () => undefined);
  opened.stderr.on('error', () => undefined);
  opened.on('exit', (code: number | null, signal?: string) => {
    run.exit = { code };
    if (signal !== undefined) run.exit.signal = signal.replace(/^SIG/, '');
    run.exitedAt = performance.now();
    if (run.stopping === undefined) watchForSilence(run);
  });
  opened.once('close', () => {
    const over = () => {
      take(run, 'stdout', line.flush());
      atItsEnd(run);
    };
    if (opened.stderr.readableEnded || run.link.lost !== undefined) over();
    else opened.stderr.once('end', over);
  });
  // Without input the command reads end of file, never hangs for want of a terminal.
  opened.end(options.stdin);
}

// ---- Output, as fast as its reader takes it.

function take(run: Run, stream: 'stdout' | 'stderr', chunk: Buffer): void {
  if (run.settled || chunk.length === 0) return;
  run[stream].add(chunk);
  if (!run.options.onOutput) return;
  try {
    const taken = run.options.onOutput(stream, chunk);
    if (taken) holdUntil(run, taken);
  } catch (error) {
    misused(run, error);
  }
}

/** The caller's own mistake goes back to the caller; the command is not left running. */
function misused(run: Run, error: unknown): void {
  if (run.knownPgid !== undefined) void run.link.signalGroup(run.knownPgid, 'KILL').catch(() => undefined);
  fail(run, error);
}

/** Takes no more output of either stream until the caller has taken this. */
function holdUntil(run: Run, taken: Promise<void>): void {
  run.held += 1;
  run.channel?.pause();
  run.channel?.stderr.pause();
  taken.then(
    () => {
      run.held -= 1;
      run.lastDataAt = performance.now();
      // What comes after an exit is waited for from now on, not from when nobody took any.
      if (run.exit !== undefined) run.exitedAt = performance.now();
      if (run.held > 0 || run.settled) return;
      run.channel?.resume();
      run.channel?.stderr.resume();
    },
    (error: unknown) => misused(run, error),
  );
}

// ---- The end, of itself or on order.

/** Its channel is closed and all its output has come. */
function atItsEnd(run: Run): void {
  run.closed = true;
  run.closing.resolve();
  if (run.stopping !== undefined) return;
  if (run.exit !== undefined) return settle(run);
  // The link's own end is told apart from this one by coming first.
  const without = `${run.link.host}: its sshd closed the channel of ${run.doing} without an exit status`;
  fail(run, new NetrigError('NETRIG_SSH_LOST', without));
}

/** Settles once nothing has come for a while after the exit, unless the channel closes first. */
function watchForSilence(run: Run, ms = quietAfterExitMs): void {
  after(run, ms, () => {
    const { exitedAt, knownPgid, lastDataAt: seen } = run;
    const now = performance.now();
    // What is held back is still to come, however long its reader takes.
    if (run.held > 0) return watchForSilence(run);
    const quietFor = now - Math.max(seen, exitedAt);
    if (now - exitedAt >= longestAfterExitMs) return settle(run);
    if (quietFor < quietAfterExitMs)
      return watchForSilence(run, Math.min(quietAfterExitMs - quietFor, longestAfterExitMs - (now - exitedAt)));
    // A busy machine runs this timer before the output that has arrived meanwhile, here or in sshd: ask once around.
    const roundTrip =
      knownPgid === undefined ? Promise.resolve(false) : run.link.signalGroup(knownPgid, '0').catch(() => false);
    void roundTrip.then(() =>
      setImmediate(() => {
        if (run.settled) return;
        if (run.lastDataAt === seen) settle(run);
        else watchForSilence(run);
      }),
    );
  });
}

function stop(run: Run, reason: 'timeout' | 'abort'): void {
  if (run.settled || run.stopping !== undefined) return;
  if (run.exit !== undefined) {
    // It is over; only what holds its output is not.
    if (reason === 'abort') settle(run);
    return;
  }
  run.stopping = reason;
  run.cancelled.abort();
  // While it waits for a slot, nothing runs; while a channel is being opened, the link's own deadline bounds the wait.
  if (!run.opening) return settle(run);
  if (run.channel) endIt(run, run.channel);
}

function endIt(run: Run, running: ClientChannel): void {
  const over = () => settle(run);
  void terminate(run, running).then(over, over);
}

/** TERM to the group, then KILL to what is left of it, whether or not the shell itself has gone. */
async function terminate(run: Run, running: ClientChannel): Promise<void> {
  const within = (ms: number, event: Promise<unknown>) =>
    Promise.race([event, new Promise<void>((resolve) => after(run, ms, resolve))]);
  run.terminating = true;
  await within(
    pidDeadlineMs,
    run.pgid.promise.catch(() => undefined),
  );
  for (const signal of ['TERM', 'KILL'] as const) {
    if (run.knownPgid !== undefined) {
      const had = await run.link.signalGroup(run.knownPgid, signal);
      if (!had && run.closed) return;
    } else if (!run.closed) {
      // The shell never said its pid: the server's own way is all that is left, where it has one.
      running.signal(signal);
    }
    await within(killGraceMs, run.closing.promise);
  }
  if (!run.closed) running.close();
}

// ---- The result.

function settle(run: Run): void {
  const { channel, exit, link, stopping, stdout, stderr } = run;
  if (run.settled) return;
  if (channel && !run.closed) {
    channel.removeAllListeners('data');
    channel.stderr.removeAllListeners('data');
    link.linger(channel);
  }
  cleanUp(run);
  const result: ExecResult = {
    host: link.host,
    command: run.command,
    exitCode: stopping === undefined ? (exit?.code ?? null) : null,
    timedOut: stopping === 'timeout',
    aborted: stopping === 'abort',
    durationMs: run.startedAt === undefined ? 0 : performance.now() - run.startedAt,
    stdout: stdout.text(),
    stderr: stderr.text(),
    stdoutRaw: stdout.bytes(),
    stdoutBytes: stdout.total,
    stderrBytes: stderr.total,
  };
  if (exit?.signal !== undefined) result.signal = exit.signal;
  run.done.resolve(result);
}

function fail(run: Run, error: unknown): void {
  if (run.settled) return;
  cleanUp(run);
  run.done.reject(error);
}

function cleanUp(run: Run): void {
  run.settled = true;
  for (const timer of run.timers) clearTimeout(timer);
  for (const giveBack of run.borrowed) giveBack();
  // Who waits for a slot or a channel; once there is one nobody does.
  if (run.channel === undefined) run.cancelled.abort();
  run.closing.resolve();
  if (run.knownPgid !== undefined) return;
  run.pgid.reject(
    new NetrigError('NETRIG_SSH_LOST', `${run.link.host}: ${run.doing} was over before its shell said its process id`),
  );
}

/** A timer that ends with the run. */
function after(run: Run, ms: number, action: () => void): void {
  const timer = setTimeout(() => {
    run.timers.delete(timer);
    action();
  }, ms);
  run.timers.add(timer);
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
