import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProbeContext, ProbeExecOptions, ProbeHost } from '../places/context.js';
import { NetrigError } from '../errors.js';
import { whatItHas } from '../language/wording.js';
import type { Transcript } from '../model/events.js';
import type { Attachment } from '../model/verdict.js';
import type { HostPlan } from '../plan/lab-plan.js';
import type { RunningLab } from '../providers/provider.js';
import { connect } from '../ssh/connection.js';
import { formatDuration } from '../model/duration.js';
import { quoteArgv } from '../ssh/quote.js';
import { sizeOf } from '../ssh/tree.js';
import type { ExecResult, HostConnection, SshTarget } from '../ssh/ssh.js';
import { makeDirectory } from '../model/directory.js';

export type RecordTranscript = (transcript: Transcript) => void;

/** What a host may take beyond the time of an attempt to end a command and say so, before it counts as silent, ms. */
const silentAfterMs = 3_000;
/** Time of a command that takes away what a check left, ms. */
const cleanUpMs = 10_000;

/** What one step or check gets to work with. */
export interface ContextOptions {
  signal: AbortSignal;
  /** ms that the step or attempt may take. */
  timeoutMs: number;
  record: RecordTranscript;
  /** See `ProbeContext.readOnly`. */
  readOnly?: boolean;
  /** See `ProbeContext.later`. */
  later?: ProbeContext['later'];
  /** Told when a command was ended because the time of the attempt was over. */
  cut?: () => void;
  /** Where files kept with the run go; without it `attach` keeps nothing and its caller gets an attachment without a file. */
  files?: { runDir: string; folder: string };
}

/**
 * The SSH side of one running lab: one connection a host, opened at first use and opened again when it was lost.
 * All that steps and checks do goes through here.
 */
export interface LabSession {
  readonly lab: RunningLab;
  /** Rejects with NETRIG_SSH_CONNECT, NETRIG_SSH_HOST_KEY, NETRIG_HOST_OFF or NETRIG_HOST_UNKNOWN. */
  connection(host: string, signal?: AbortSignal): Promise<HostConnection>;
  context(options: ContextOptions): ProbeContext;
  /** Ends all connections; the lab itself stays. */
  close(): Promise<void>;
}

function transcriptOf(result: ExecResult, beside: boolean): Transcript {
  const { host, command, exitCode, durationMs, stdout, stderr, stdoutBytes, stderrBytes } = result;
  return {
    host,
    ...(beside ? { beside } : {}),
    command,
    exitCode,
    ...(result.signal ? { signal: result.signal } : {}),
    ...(result.timedOut ? { timedOut: true } : {}),
    durationMs,
    stdout,
    stderr,
    stdoutBytes,
    stderrBytes,
  };
}

/** The result of a command of which nothing was heard. */
function unanswered(host: string, command: string): ExecResult {
  const none = { stdout: '', stderr: '', stdoutRaw: Buffer.alloc(0), stdoutBytes: 0, stderrBytes: 0 };
  return { host, command, exitCode: null, timedOut: true, aborted: false, durationMs: 0, ...none };
}

/** Rejects with what `silent` makes once `ms` have passed without a result; what comes later is dropped. */
async function answered<T>(work: Promise<T>, ms: number, silent: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(silent()), Math.min(ms, 2 ** 31 - 1));
  });
  work.catch(() => undefined);
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export function openSession(lab: RunningLab, connectTo: typeof connect = connect): LabSession {
  const connections = connectionsTo(lab, connectTo, (host) => lab.target(host));
  const helpers = connectionsTo(lab, connectTo, (host) => lab.beside!(host)!);
  /** Asked of the provider once for each host. */
  const helped = new Map<string, boolean>();
  const hasHelper = (host: string): boolean => {
    const has = helped.get(host) ?? (lab.beside?.(host) ?? null) !== null;
    helped.set(host, has);
    return has;
  };
  return {
    lab,
    connection: connections.connection,
    close: async () => {
      await Promise.all([connections.close(), helpers.close()]);
    },
    context(options) {
      const startedAt = performance.now();
      const attempt: Attempt = {
        options,
        connections,
        beside: false,
        leftMs: () => options.timeoutMs - (performance.now() - startedAt),
      };
      return {
        plan: lab.plan,
        host: (name) => {
          const host = probeHost(attempt, name);
          if (!hasHelper(name)) return host;
          return { ...host, beside: probeHost({ ...attempt, connections: helpers, beside: true }, name) };
        },
        signal: options.signal,
        timeLeftMs: () => Math.max(1, attempt.leftMs()),
        attach: (title, name, mime, data) => keepFile(options.files, title, name, mime, data),
        ...(options.readOnly ? { readOnly: true as const } : {}),
        ...(options.later ? { later: options.later } : {}),
      };
    },
  };
}

/** The connections of a lab, one a host: to the hosts, or to the helpers beside them. */
interface Connections {
  planOf(host: string): HostPlan;
  connection(host: string, signal?: AbortSignal): Promise<HostConnection>;
  /** Forgets a connection whose host says nothing any more; the next caller opens a new one. */
  giveUp(host: string): void;
  close(): Promise<void>;
}

function connectionsTo(lab: RunningLab, connectTo: typeof connect, target: (host: string) => SshTarget): Connections {
  const open = new Map<string, Promise<HostConnection>>();
  const plans = new Map(lab.plan.hosts.map((plan) => [plan.name, plan]));
  let closed = false;

  function planOf(host: string): HostPlan {
    const plan = plans.get(host);
    if (plan) return plan;
    throw new NetrigError(
      'NETRIG_HOST_UNKNOWN',
      `The lab ${lab.id} has no host "${host}"${whatItHas(host, [...plans.keys()])}.`,
    );
  }

  async function connection(host: string, signal?: AbortSignal): Promise<HostConnection> {
    planOf(host);
    if (closed) throw new NetrigError('NETRIG_SSH_LOST', `The session with the lab ${lab.id} is closed.`);
    if (lab.faults?.isOff(host) === true) throw new NetrigError('NETRIG_HOST_OFF', `${host} is powered off.`);
    if (lab.faults?.isPaused?.(host) === true) throw new NetrigError('NETRIG_HOST_OFF', `${host} is paused.`);
    const before = open.get(host);
    if (before) {
      const live = await before.catch(() => null);
      if (live && !live.closed) return live;
      // Somebody else may have opened a new one while this caller waited.
      if (open.get(host) === before) open.delete(host);
      const newer = open.get(host);
      if (newer) return newer;
    }
    const fresh = connectTo(target(host), signal ? { signal } : {});
    open.set(host, fresh);
    fresh.catch(() => {
      if (open.get(host) === fresh) open.delete(host);
    });
    return fresh;
  }

  function giveUp(host: string): void {
    const silent = open.get(host);
    open.delete(host);
    void silent?.then((one) => one.end()).catch(() => undefined);
  }

  async function close(): Promise<void> {
    closed = true;
    const all = [...open.values()];
    open.clear();
    await Promise.all(all.map((one) => one.then((host) => host.end()).catch(() => undefined)));
  }

  return { planOf, connection, giveUp, close };
}

/** One step, or one attempt of a check: its connections and its time. */
interface Attempt {
  options: ContextOptions;
  connections: Connections;
  /** Whether the connections are to the helpers beside the hosts. */
  beside: boolean;
  leftMs(): number;
}

function probeHost(attempt: Attempt, name: string): ProbeHost {
  const { options } = attempt;
  const connection = (signal: AbortSignal | undefined) => attempt.connections.connection(name, signal);
  const withinTime = <T>(doing: string, work: Promise<T>): Promise<T> =>
    answeredInTime(attempt, name, doing, Math.max(0, attempt.leftMs()), work);
  return {
    name,
    plan: attempt.connections.planOf(name),
    exec: (command, given) => execute(attempt, name, command, given),
    spawn: (command, execOptions) => {
      const process = connection(options.signal).then((host) =>
        host.spawn(command, { signal: options.signal, ...execOptions }),
      );
      const pgid = process.then((running) => running.pgid);
      const done = process.then((running) => running.done).then((result) => record(attempt, result));
      // Whoever waits for one of the two is told; nobody has to wait for both.
      pgid.catch(() => undefined);
      done.catch(() => undefined);
      return { pgid, done, kill: async (signal) => (await process).kill(signal) };
    },
    writeFile: async (path, content, writeOptions) => {
      const begin = performance.now();
      const bytes = Buffer.byteLength(content);
      const command = `sftp: write ${path} (${bytes} bytes)`;
      const work = connection(options.signal).then((host) => host.writeFile(path, content, writeOptions));
      await withinTime(command, work);
      const durationMs = performance.now() - begin;
      record(attempt, { ...unanswered(name, command), exitCode: 0, timedOut: false, durationMs });
    },
    putTree: async (entries, owner) => {
      const begin = performance.now();
      const { files, bytes } = sizeOf(entries);
      const command = `sftp: write ${files} files to ${entries[0]?.path} (${bytes} bytes)`;
      const work = connection(options.signal).then((host) => host.putTree(entries, owner));
      await withinTime(command, work);
      const durationMs = performance.now() - begin;
      record(attempt, { ...unanswered(name, command), exitCode: 0, timedOut: false, durationMs });
    },
    readFile: async (path, readOptions) => {
      const work = connection(options.signal).then((host) => host.readFile(path, readOptions));
      return withinTime(`sftp: read ${path}`, work);
    },
  };
}

async function execute(
  attempt: Attempt,
  name: string,
  command: string | readonly string[],
  given: ProbeExecOptions = {},
): Promise<ExecResult> {
  const { options, connections, leftMs } = attempt;
  const { cleansUp = false, ...execOptions } = given;
  const left = cleansUp ? cleanUpMs : leftMs();
  const limitMs = Math.min(execOptions.timeoutMs ?? Infinity, left);
  const line = typeof command === 'string' ? command : quoteArgv(command);
  if (limitMs <= 0) {
    options.cut?.();
    return record(attempt, unanswered(name, line));
  }
  const bound = cleansUp ? {} : { signal: options.signal };
  const work = connections
    .connection(name, bound.signal)
    .then((host) => host.exec(command, { ...bound, ...execOptions, timeoutMs: limitMs }));
  const result = await answeredInTime(attempt, name, line, left, work);
  const byTheAttempt = (result.timedOut && limitMs >= left) || leftMs() <= 0;
  if (!cleansUp && (result.timedOut || result.aborted) && byTheAttempt) options.cut?.();
  return record(attempt, result);
}

function record(attempt: Attempt, result: ExecResult): ExecResult {
  attempt.options.record(transcriptOf(result, attempt.beside));
  return result;
}

/** To the end of the attempt, not of one command: that may have to wait for others of its host. `left` in ms. */
function answeredInTime<T>(attempt: Attempt, name: string, doing: string, left: number, work: Promise<T>): Promise<T> {
  return answered(work, left + silentAfterMs, () => {
    attempt.connections.giveUp(name);
    attempt.options.cut?.();
    record(attempt, { ...unanswered(name, doing), durationMs: left + silentAfterMs });
    const more = formatDuration(silentAfterMs);
    return new NetrigError(
      'NETRIG_SSH_SILENT',
      `${name} did not answer within ${formatDuration(left)}, and in ${more} more not even the order to end what ran there.`,
    );
  });
}

async function keepFile(
  files: ContextOptions['files'],
  title: string,
  name: string,
  mime: string,
  data: Buffer,
): Promise<Attachment> {
  if (!files) return { title, file: '', mime };
  const { runDir, folder } = files;
  const safe = name.replace(/[^A-Za-z0-9._-]+/g, '-').slice(-80);
  await makeDirectory(join(runDir, 'files', folder));
  // Other attempts at the item, other processes of the host and earlier runs of the scenario keep theirs in this folder.
  for (let number = 1; ; number += 1) {
    const file = join('files', folder, `${number}-${safe}`);
    try {
      await writeFile(join(runDir, file), data, { flag: 'wx' });
      return { title, file, mime };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
