import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..', '..', '..');
export const mainFile = join(root, 'dist', 'program', 'cli', 'main.js');

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcess;
  /** Everything written so far. */
  output(): string;
  ended: Promise<Ended>;
  /** Resolves once the pattern stands in the output; rejects when the process ends before that. */
  saw(pattern: RegExp): Promise<void>;
}

/** Starts a program the way a user would, in a process group of its own. */
export function start(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; detached?: boolean },
): Started {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, CI: 'true', NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: options.detached ?? false,
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    watchers.forEach((watch) => watch());
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    watchers.forEach((watch) => watch());
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return {
    child,
    output: () => stdout + stderr,
    ended,
    saw: (pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          if (!pattern.test(stdout + stderr)) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
        watch();
        void ended.then((end) => {
          if (!pattern.test(end.stdout + end.stderr))
            reject(new Error(`ended with ${end.status ?? end.signal} before ${pattern}:\n${end.stdout}${end.stderr}`));
        });
      }),
  };
}

export function netrig(
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; detached?: boolean },
): Started {
  return start(process.execPath, [mainFile, ...args], options);
}

/**
 * The beginning of an argv that runs a program as somebody who is not root but can read `file`: another user, or, for a
 * checkout in root's home, nobody in a user namespace without a mapping. `null` where neither can.
 */
export function notRoot(file: string): string[] | null {
  const ways = [
    ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'],
    ['unshare', '--user'],
  ];
  return ways.find(([program, ...args]) => spawnSync(program!, [...args, 'test', '-r', file]).status === 0) ?? null;
}

/** A directory for one test, with scenario files in it, removed afterwards. */
export function workDirectory(files: Record<string, string | Buffer> = {}): { dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'netrig-test-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** The items of the latest run, by the record itself; also while it is being written: a line that has no end yet does not count. */
export function latestEvents(dir: string): Record<string, unknown>[] {
  return readFileSync(join(dir, 'reports', 'latest', 'run.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export function latestOutcomes(dir: string): { item: string; verdict: string; cause?: string; reason: string }[] {
  return latestEvents(dir)
    .filter((event) => event['type'] === 'item:end')
    .map((event) => ({
      item: event['item'] as string,
      ...(event['outcome'] as { verdict: string; cause?: string; reason: string }),
    }));
}

/**
 * Whether a cgroup of a lab is that of a test in another process of Mocha's parallel mode (`test/lane.ts`), by the environment
 * of the process that holds the lab. What nobody holds any more is everybody's.
 */
function ofAnotherLane(cgroup: string): boolean {
  const holder = /netrig-\d+-(\d+)-\d+-/.exec(cgroup)?.[1];
  const own = process.env['NETRIG_TEST_LANE'];
  if (holder === undefined || own === undefined || Number(holder) === process.pid) return false;
  try {
    const environment = readFileSync(`/proc/${holder}/environ`, 'utf8').split('\0');
    const valueOf = (name: string): string | undefined =>
      environment.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
    // A process of Mocha's own has been told its number only.
    const lane = valueOf('NETRIG_TEST_LANE') ?? valueOf('MOCHA_WORKER_ID');
    return lane !== undefined && lane !== own;
  } catch {
    return false;
  }
}

/** Everything on this machine that belongs to labs whose ids begin so: processes, cgroups, records. */
export function leftovers(prefix: string): string[] {
  const found: string[] = [];
  const cgroups = '/sys/fs/cgroup';
  for (const hierarchy of [
    '',
    ...readdirSync(cgroups, { withFileTypes: true })
      .filter((one) => one.isDirectory())
      .map((one) => one.name),
  ]) {
    for (const name of readdirSync(join(cgroups, hierarchy)))
      if (name.startsWith('netrig-') && name.includes(prefix) && !ofAnotherLane(name))
        found.push(join(cgroups, hierarchy, name));
  }
  const state = process.env['XDG_STATE_HOME'] ?? join(process.env['HOME'] ?? '/root', '.local', 'state');
  try {
    for (const name of readdirSync(join(state, 'netrig', 'labs')))
      if (name.includes(prefix)) found.push(join(state, 'netrig', 'labs', name));
  } catch {
    // No lab has ever been made under this state directory.
  }
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      // A zombie holds nothing any more: it only waits for the machine's own init to take note.
      const zombie = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .startsWith('Z');
      if (!zombie && cgroup.includes('netrig-') && cgroup.includes(prefix) && !ofAnotherLane(cgroup))
        found.push(`process ${pid}: ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`);
    } catch {
      // It has just ended.
    }
  }
  return found;
}
