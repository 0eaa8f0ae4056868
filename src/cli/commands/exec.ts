import { NetrigError } from '../../errors.js';
import { openSession } from '../../session/session.js';
import { exitStatus } from '../../model/verdict.js';
import { parseVantage } from '../../language/endpoint.js';
import { quoteArgv } from '../../ssh/quote.js';
import { pickRunningLab } from '../pick-lab.js';
import type { LabFlags } from '../program.js';

interface Place {
  host: string;
  container: string | null;
}

function placeOf(endpoint: string): Place {
  const vantage = parseVantage(endpoint);
  if (!vantage || vantage.kind === 'netns')
    throw new NetrigError('NETRIG_USAGE', `"${endpoint}" is neither a host nor a container of a host.`, {
      hint: 'Write node1, or node1/web for a container.',
    });
  return { host: vantage.host, container: vantage.kind === 'container' ? vantage.container : null };
}

/** `netrig exec`: the command's own output and exit status. */
export async function exec(endpoint: string, words: string[], flags: LabFlags): Promise<number> {
  // `exec HOST -- ls -l`: all after the host is passed through as it stands, the dashes of habit included.
  const command = words[0] === '--' ? words.slice(1) : words;
  if (command.length === 0)
    throw new NetrigError('NETRIG_USAGE', 'There is no command to run.', {
      hint: 'Write it after --, such as: netrig exec node1 -- ip addr',
    });
  const { host, container } = placeOf(endpoint);
  const session = openSession(await pickRunningLab(flags.lab));
  const abort = new AbortController();
  const onSignal = (): void => abort.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    const connection = await session.connection(host);
    const stdin = flags.stdin ? await readStdin() : undefined;
    const argv =
      container === null ? command : ['docker', 'exec', ...(stdin === undefined ? [] : ['-i']), container, ...command];
    const result = await connection.exec(argv, {
      ...(stdin === undefined ? {} : { stdin }),
      signal: abort.signal,
      timeoutMs: flags.timeout ?? 24 * 3_600_000,
      keepBytes: 1024,
      onOutput: (stream, chunk) => void process[stream].write(chunk),
    });
    if (result.timedOut) {
      process.stderr.write(`netrig: the command did not end in time and was killed\n`);
      return 124;
    }
    if (result.aborted) return exitStatus.interrupted;
    return result.exitCode ?? 128;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    await session.close();
  }
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** `netrig ssh`: an interactive shell. */
export async function ssh(endpoint: string, flags: LabFlags): Promise<number> {
  const { host, container } = placeOf(endpoint);
  const session = openSession(await pickRunningLab(flags.lab));
  try {
    const connection = await session.connection(host);
    return await connection.shell(
      container === null ? undefined : quoteArgv(['docker', 'exec', '-it', container, 'sh']),
    );
  } finally {
    await session.close();
  }
}
