import { randomBytes } from 'node:crypto';
import type { ExecResult } from '../ssh/ssh.js';
import type { ProbeHost } from './context.js';

/**
 * Several commands in one exec: an exec over SSH costs more than most probes. Each part is shell text made with the quoting
 * function; its output (standard error merged in, unless `errors` is `apart`) and exit status come back under its name.
 */
export interface ScriptPart {
  /** `[a-z0-9.-]+`, unique in its script. */
  name: string;
  shell: string;
  /** Runs at once with the others that say so, before all that do not; its standard error is part of its output. */
  atOnce?: boolean;
  /** `merge` (default): standard error is part of the output. `apart`: it goes to the exec's own standard error. */
  errors?: 'merge' | 'apart';
}

export interface PartResult {
  output: string;
  exitCode: number;
}

export interface ScriptResult {
  /** Parts that ran to their end, by name. One that is missing did not: the script was killed or died before. */
  parts: ReadonlyMap<string, PartResult>;
  exec: ExecResult;
}

/**
 * The script for `parts`. `mark` ends each part's output; it is random, so that no output of a lab can look like it.
 * A part finds the exit status of the part before it in `$s`. `prelude` is shell text that runs first and prints nothing (it sets variables the parts share).
 */
export function composeScript(parts: readonly ScriptPart[], mark: string, prelude = ''): string {
  const trailer = (name: string): string => `printf '\\n${mark} ${name} %d\\n' "$s"`;
  const together = parts.filter((part) => part.atOnce);
  const background =
    together.length === 0
      ? []
      : [
          'd=$(mktemp -d) || exit 1',
          ...together.map(
            ({ name, shell }) => `{ { ${shell}\n}; echo $? >"$d/${name}.s"; } >"$d/${name}" 2>&1 </dev/null &`,
          ),
          'wait',
          ...together.map(({ name }) => `cat "$d/${name}"; s=$(cat "$d/${name}.s"); ${trailer(name)}`),
          'rm -rf "$d"',
        ];
  const body = parts
    .filter((part) => !part.atOnce)
    .map((part) => {
      const merge = part.errors === 'apart' ? '' : ' 2>&1';
      return `{ ${part.shell}\n}${merge}; s=$?; ${trailer(part.name)}`;
    });
  return [...(prelude === '' ? [] : [prelude]), ...background, ...body].join('\n');
}

/** Takes a script's output apart again. Output after the last mark belongs to a part that did not end, and is dropped. */
export function splitParts(stdout: string, mark: string): Map<string, PartResult> {
  const parts = new Map<string, PartResult>();
  const lead = `\n${mark} `;
  let start = 0;
  for (let at = stdout.indexOf(lead); at >= 0; at = stdout.indexOf(lead, at)) {
    const from = at + lead.length;
    const end = stdout.indexOf('\n', from);
    const trailer = end < 0 ? null : /^([a-z0-9.-]+) (\d+)$/.exec(stdout.slice(from, end));
    if (trailer) parts.set(trailer[1]!, { output: stdout.slice(start, at), exitCode: Number(trailer[2]) });
    if (trailer) start = end + 1;
    at = trailer ? start : from;
  }
  return parts;
}

export interface ScriptOptions {
  timeoutMs: number;
  signal: AbortSignal;
  prelude?: string;
  /** Default 1 MiB. */
  keepBytes?: number;
  /** Wraps the whole script, for example to run it inside a network namespace. */
  wrap?: (shell: string) => string;
  stdin?: string;
}

/** Runs the parts one after the other in one exec. Rejects only with what `exec` rejects with. */
export async function runScript(
  host: ProbeHost,
  parts: readonly ScriptPart[],
  options: ScriptOptions,
): Promise<ScriptResult> {
  const mark = `@@${randomBytes(5).toString('hex')}`;
  const shell = composeScript(parts, mark, options.prelude);
  const exec = await host.exec(options.wrap ? options.wrap(shell) : shell, {
    ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    ...(options.keepBytes === undefined ? {} : { keepBytes: options.keepBytes }),
  });
  return { parts: splitParts(exec.stdout, mark), exec };
}

/** Why a script has no result for one of its parts, as a clause: for `inconclusive` reasons. */
export function whyUnfinished(exec: ExecResult): string {
  if (exec.timedOut) return `the time limit ended it after ${Math.round(exec.durationMs)} ms`;
  if (exec.aborted) return 'it was interrupted';
  if (exec.signal !== undefined) return `signal ${exec.signal} ended it`;
  const words = exec.stderr.trim().split('\n').at(-1) ?? '';
  return words === '' ? `it ended early with exit status ${exec.exitCode}` : `it ended early: ${words}`;
}
