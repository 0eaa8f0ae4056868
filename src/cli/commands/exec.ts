import { execIn, shellIn, statusOf } from '../../labs/exec.js';
import { findRunningLab } from '../../labs/find.js';
import { onInterrupt } from '../../run/interrupt.js';
import type { LabFlags } from '../program.js';
import { note, passThrough } from '../terminal.js';

/** Longer than anybody waits, shorter than timers go, ms. */
const noTimeout = 24 * 3_600_000;

/** `netrig exec`: the command's own output and exit status. */
export async function exec(endpoint: string, words: string[], flags: LabFlags): Promise<number> {
  // `exec HOST -- ls -l`: all after the host is passed through as it stands, the dashes of habit included.
  const command = words[0] === '--' ? words.slice(1) : words;
  const lab = await findRunningLab(flags.lab);
  const interrupt = onInterrupt(() => undefined);
  try {
    const result = await execIn(lab, endpoint, command, {
      ...(flags.stdin ? { stdin: await readStdin() } : {}),
      signal: interrupt.signal,
      timeoutMs: flags.timeout ?? noTimeout,
      onOutput: passThrough,
    });
    // 127: a shell's word for a command that is not there (POSIX, 2.8.2).
    if (result.exitCode === 127 && command.length === 1 && /\s/.test(command[0]!))
      note(
        `"${command[0]!}" was taken for the name of one program: give the words without quotes (netrig exec ${endpoint} ls -l), or a shell with the line (netrig exec ${endpoint} sh -c '…')`,
      );
    if (result.timedOut) note('the command did not end in time and was killed');
    return statusOf(result);
  } finally {
    interrupt.dispose();
  }
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** `netrig ssh`: an interactive shell. */
export async function ssh(endpoint: string, flags: LabFlags): Promise<number> {
  return shellIn(await findRunningLab(flags.lab), endpoint);
}
