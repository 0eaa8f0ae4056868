import { spawn } from 'node:child_process';
import { machineEnvironment } from '../src/providers/shared/command.js';

export interface PlainOptions {
  signal: AbortSignal;
  env?: Record<string, string>;
  /** What the program writes, as it comes. */
  onOutput?: (text: string) => void;
}

/** Runs a program to its end, with nothing around it, and answers how long that took, ms. Rejects when it fails. */
export async function runTimed(argv: readonly [string, ...string[]], options: PlainOptions): Promise<number> {
  const [program, ...args] = argv;
  const from = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...machineEnvironment, ...options.env },
    signal: options.signal,
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    options.onOutput?.(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? -1));
  });
  const wallMs = performance.now() - from;
  if (exitCode === 0) return wallMs;
  throw new Error(`${argv.join(' ')} ended with status ${exitCode}: ${said.trim().split('\n').slice(-10).join('\n')}`);
}
