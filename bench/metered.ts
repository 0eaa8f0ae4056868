import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupLayout, removeCgroups } from '../src/providers/local/cgroups.js';
import { machineEnvironment } from '../src/providers/shared/command.js';
import { groupName } from './leftovers.js';

/** What one whole command cost, with all that it started. */
export interface Metered {
  exitCode: number;
  wallMs: number;
  /** User and system time of every process that ran below it, lab hosts included; `NaN` where the machine has no version 2 cgroups. */
  cpuMs: number;
  stdout: string;
  stderr: string;
}

export interface MeteredOptions {
  signal: AbortSignal;
  env?: Record<string, string>;
  /** Called with the command's pid once it runs. */
  onStart?: (pid: number) => void;
  timeoutMs?: number;
}

const defaultTimeoutMs = 180_000;
const graceMs = 20_000;
let count = 0;

/**
 * Joins the group, and shows it to the command as the top of the hierarchy: the groups that lab hosts get are made at the
 * top, and so all come to be below this one, where the kernel adds up their processor time.
 */
const enter =
  'if [ -n "$1" ]; then echo 0 >"$1/cgroup.procs" && mount --bind "$1" "$2" || exit 125; fi; shift 2; exec "$@"';

/**
 * Runs a command to its end, in a mount namespace of its own. Its processor time is the kernel's own account of a cgroup
 * (cpu.stat), so nothing that other people's processes do is in it. Aborting ends the command and its children by SIGTERM,
 * then by SIGKILL; they also end with this process.
 */
async function runMetered(argv: readonly string[], options: MeteredOptions): Promise<Metered> {
  const unified = cgroupLayout().unified?.mountPoint ?? null;
  const group = unified === null ? '' : join(unified, groupName((count += 1)));
  if (group !== '') mkdirSync(group);
  try {
    const from = performance.now();
    const child = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'TERM',
        'unshare',
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-c',
        enter,
        'enter',
        group,
        unified ?? '',
        ...argv,
      ],
      {
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...machineEnvironment, ...options.env },
      },
    );
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const end = (): void => {
      signalGroup(child.pid, 'SIGTERM');
      setTimeout(() => signalGroup(child.pid, 'SIGKILL'), graceMs).unref();
    };
    const timer = setTimeout(end, options.timeoutMs ?? defaultTimeoutMs);
    options.signal.addEventListener('abort', end, { once: true });
    if (child.pid !== undefined) options.onStart?.(child.pid);
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? -1));
    }).finally(() => {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', end);
    });
    const wallMs = performance.now() - from;
    options.signal.throwIfAborted();
    return { exitCode, wallMs, cpuMs: group === '' ? Number.NaN : cpuOf(group), stdout, stderr };
  } finally {
    if (group !== '') await removeCgroups([group], 5000);
  }
}

/** Like `runMetered`, but a command that fails is an error: a figure of half the work would be none. */
export async function runWhole(argv: readonly string[], options: MeteredOptions): Promise<Metered> {
  const result = await runMetered(argv, options);
  if (result.exitCode === 0) return result;
  throw new Error(
    `${argv.join(' ')} ended with status ${result.exitCode}:\n${`${result.stdout}${result.stderr}`.trim().split('\n').slice(-15).join('\n')}`,
  );
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It is over.
  }
}

function cpuOf(group: string): number {
  const usage = /^usage_usec (\d+)$/m.exec(readFileSync(join(group, 'cpu.stat'), 'utf8'))?.[1];
  return usage === undefined ? Number.NaN : Number(usage) / 1000;
}
