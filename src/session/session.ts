import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProbeContext, ProbeHost } from '../places/context.js';
import { NetrigError } from '../errors.js';
import type { Transcript } from '../model/events.js';
import type { Attachment } from '../model/verdict.js';
import type { HostPlan } from '../plan/lab-plan.js';
import type { RunningLab } from '../providers/provider.js';
import { connect } from '../ssh/connection.js';
import type { ExecResult, HostConnection } from '../ssh/ssh.js';

export type RecordTranscript = (transcript: Transcript) => void;

/** What one step or check gets to work with. */
export interface ContextOptions {
  signal: AbortSignal;
  /** ms that the step or attempt may take. */
  timeoutMs: number;
  record: RecordTranscript;
  /** See `ProbeContext.later`. */
  later?: ProbeContext['later'];
  /** Where files kept with the run go; without it `attach` keeps nothing and its caller gets an attachment without a file. */
  files?: { runDir: string; folder: string };
}

/**
 * The SSH side of one running lab: one connection a host, opened at first use and opened again when it was lost.
 * All that steps and checks do goes through here.
 */
export interface LabSession {
  readonly lab: RunningLab;
  /** Rejects with NETRIG_SSH_CONNECT, NETRIG_SSH_HOST_KEY or NETRIG_HOST_UNKNOWN. */
  connection(host: string, signal?: AbortSignal): Promise<HostConnection>;
  context(options: ContextOptions): ProbeContext;
  /** Ends all connections; the lab itself stays. */
  close(): Promise<void>;
}

function transcriptOf(result: ExecResult): Transcript {
  const { host, command, exitCode, durationMs, stdout, stderr, stdoutBytes, stderrBytes } = result;
  return {
    host,
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

export function openSession(lab: RunningLab): LabSession {
  const open = new Map<string, Promise<HostConnection>>();
  const plans = new Map(lab.plan.hosts.map((plan) => [plan.name, plan]));
  let closed = false;

  function planOf(host: string): HostPlan {
    const plan = plans.get(host);
    if (plan) return plan;
    throw new NetrigError(
      'NETRIG_HOST_UNKNOWN',
      `The lab ${lab.id} has no host "${host}"; it has ${[...plans.keys()].join(', ')}.`,
    );
  }

  async function connection(host: string, signal?: AbortSignal): Promise<HostConnection> {
    planOf(host);
    if (closed) throw new NetrigError('NETRIG_SSH_LOST', `The session with the lab ${lab.id} is closed.`);
    const before = open.get(host);
    if (before) {
      const live = await before.catch(() => null);
      if (live && !live.closed) return live;
      // Somebody else may have opened a new one while this caller waited.
      if (open.get(host) === before) open.delete(host);
      const newer = open.get(host);
      if (newer) return newer;
    }
    const fresh = connect(lab.target(host), signal ? { signal } : {});
    open.set(host, fresh);
    fresh.catch(() => {
      if (open.get(host) === fresh) open.delete(host);
    });
    return fresh;
  }

  function context(options: ContextOptions): ProbeContext {
    const startedAt = performance.now();
    let kept = 0;

    function probeHost(name: string): ProbeHost {
      const record = (result: ExecResult): ExecResult => {
        options.record(transcriptOf(result));
        return result;
      };
      return {
        name,
        plan: planOf(name),
        exec: async (command, execOptions) =>
          record(
            await (await connection(name, options.signal)).exec(command, { signal: options.signal, ...execOptions }),
          ),
        spawn: (command, execOptions) => {
          const process = connection(name, options.signal).then((host) =>
            host.spawn(command, { signal: options.signal, ...execOptions }),
          );
          const pgid = process.then((running) => running.pgid);
          const done = process.then((running) => running.done).then(record);
          // Whoever waits for one of the two is told; nobody has to wait for both.
          pgid.catch(() => undefined);
          done.catch(() => undefined);
          return { pgid, done, kill: async (signal) => (await process).kill(signal) };
        },
        writeFile: async (path, content, writeOptions) => {
          const begin = performance.now();
          await (await connection(name, options.signal)).writeFile(path, content, writeOptions);
          const bytes = Buffer.byteLength(content);
          options.record({
            host: name,
            command: `sftp: write ${path} (${bytes} bytes)`,
            exitCode: 0,
            durationMs: performance.now() - begin,
            stdout: '',
            stderr: '',
            stdoutBytes: 0,
            stderrBytes: 0,
          });
        },
        readFile: async (path, readOptions) => (await connection(name, options.signal)).readFile(path, readOptions),
      };
    }

    async function attach(title: string, name: string, mime: string, data: Buffer): Promise<Attachment> {
      if (!options.files) return { title, file: '', mime };
      kept += 1;
      const { runDir, folder } = options.files;
      const safe = name.replace(/[^A-Za-z0-9._-]+/g, '-').slice(-80);
      const file = join('files', folder, `${kept}-${safe}`);
      await mkdir(join(runDir, 'files', folder), { recursive: true });
      await writeFile(join(runDir, file), data);
      return { title, file, mime };
    }

    return {
      plan: lab.plan,
      host: probeHost,
      signal: options.signal,
      timeLeftMs: () => Math.max(1, options.timeoutMs - (performance.now() - startedAt)),
      attach,
      ...(options.later ? { later: options.later } : {}),
    };
  }

  async function close(): Promise<void> {
    closed = true;
    const all = [...open.values()];
    open.clear();
    await Promise.all(all.map((one) => one.then((host) => host.end()).catch(() => undefined)));
  }

  return { lab, connection, context, close };
}
