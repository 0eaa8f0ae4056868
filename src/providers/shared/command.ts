import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** What a short-lived program of the machine's own came to. */
export interface CommandResult {
  /** `null` when a signal ended it or it could not be started. */
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** This process's environment with the directories of the system's own programs, which a root without a login shell may lack. */
export const machineEnvironment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
};

const found = new Map<string, string>();

/** Where a program is found, or `null`; asked of the file system until it is there. */
export function findProgram(name: string): string | null {
  const key = `${name} ${machineEnvironment['PATH']}`;
  const before = found.get(key);
  if (before !== undefined) return before;
  const path = lookFor(name);
  if (path !== null) found.set(key, path);
  return path;
}

function lookFor(name: string): string | null {
  for (const directory of machineEnvironment['PATH']?.split(':') ?? []) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return null;
}

/** Most that is kept of one output of a program, in characters: some are a lab host's own, and may write without end. */
const keptOutput = 4 * 1024 * 1024;

/**
 * Runs a program to its end, `timeoutMs` at most; then it is killed and `stderr` says so. The first 4 MiB of an output are kept.
 * Never rejects.
 */
export function runCommand(
  argv: readonly [string, ...string[]],
  options: { stdin?: string; timeoutMs: number; env?: NodeJS.ProcessEnv },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const [program, ...rest] = argv;
    const child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      env: options.env ?? machineEnvironment,
    });
    const kept = (before: string, text: string): string => (before.length < keptOutput ? before + text : before);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = kept(stdout, text)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = kept(stderr, text)));
    // A program that ends without reading all of its input is judged by its exit status, not by the broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.stdin ?? '');
    child.on('error', (error) => resolve({ exitCode: null, stdout, stderr: error.message }));
    child.on('close', (exitCode, signal) => {
      if (signal !== null) stderr += `ended by ${signal}, after ${options.timeoutMs} ms at most`;
      resolve({ exitCode, stdout, stderr });
    });
  });
}
