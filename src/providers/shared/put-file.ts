import { open } from 'node:fs/promises';
import { NetrigError } from '../../errors.js';
import { quoteArg } from '../../ssh/quote.js';
import type { HostConnection } from '../../ssh/ssh.js';

/** Bytes that go over at once: all of them are in memory here. */
const pieceBytes = 8 * 1_048_576;
const pieceMs = 300_000;

export interface PutOptions {
  signal: AbortSignal;
  /** What is put there, for an error: `a container image`. */
  what: string;
}

/** Runs a command that must succeed for a host to take something. Throws NETRIG_CAPABILITY with the host's words. */
export async function mustTake(
  connection: HostConnection,
  command: string,
  limitMs: number,
  { signal, what }: PutOptions,
  stdin?: Buffer,
): Promise<string> {
  const options = { signal, timeoutMs: limitMs, ...(stdin === undefined ? {} : { stdin }) };
  const result = await connection.exec(command, options);
  if (result.exitCode === 0) return result.stdout;
  const why = result.timedOut
    ? `it took longer than ${limitMs / 1000} s`
    : result.stderr.trim() || result.stdout.trim();
  throw new NetrigError('NETRIG_CAPABILITY', `${connection.host} did not take ${what}: ${why || 'it said nothing'}.`);
}

/** Puts a file of this machine on a host, piece by piece, however large it is. */
export async function putFile(
  connection: HostConnection,
  from: string,
  to: string,
  options: PutOptions,
): Promise<void> {
  await mustTake(connection, `: >${quoteArg(to)}`, pieceMs, options);
  const file = await open(from);
  for await (const piece of file.createReadStream({ highWaterMark: pieceBytes }))
    await mustTake(connection, `cat >>${quoteArg(to)}`, pieceMs, options, piece as Buffer);
}
