import { NetrigError } from '../../errors.js';
import { placeNamed } from '../../labs/exec.js';
import { findRunningLab } from '../../labs/find.js';
import { exitStatus } from '../../model/verdict.js';
import { inside, isVantageProblem, resolveVantage } from '../../places/vantage.js';
import { onInterrupt } from '../../run/interrupt.js';
import { openSession } from '../../session/session.js';
import { quoteArgv } from '../../ssh/quote.js';
import type { CaptureFlags } from '../program.js';
import { note, passThrough } from '../terminal.js';

/** Time to find the place, ms. */
const findMs = 20_000;

/**
 * `netrig capture`: what a place of a lab sends and gets, as a pcap stream on standard output, until Ctrl-C or until its reader
 * goes away. The host's own tcpdump captures, in the place's network namespace.
 */
export async function capture(where: string, flags: CaptureFlags): Promise<number> {
  if (process.stdout.isTTY)
    throw new NetrigError('NETRIG_USAGE', 'A capture is no text: standard output is a terminal.', {
      hint: `netrig capture ${where} | wireshark -k -i -   or   netrig capture ${where} > packets.pcap`,
    });
  const session = openSession(await findRunningLab(flags.lab));
  const interrupt = onInterrupt(() => undefined);
  const { signal } = interrupt;
  // A reader that closes its window wants no more packets.
  const gone = new AbortController();
  process.stdout.once('close', () => gone.abort());
  try {
    const context = session.context({ signal, timeoutMs: findMs, record: () => undefined });
    const endpoint = placeNamed(where, context.plan);
    const vantage = await resolveVantage(context, endpoint);
    if (isVantageProblem(vantage)) throw new NetrigError('NETRIG_USAGE', `${vantage.reason}.`);
    const device = flags.interface ?? 'any';
    const filter = flags.filter === undefined ? [] : [flags.filter];
    const argv = ['tcpdump', '-n', '-i', device, '-w', '-', '-U', '--immediate-mode', ...filter];
    const connection = await session.connection(endpoint.host, signal);
    const result = await connection.spawn(inside(vantage, quoteArgv(argv)), {
      signal: AbortSignal.any([signal, gone.signal]),
      keepBytes: 4096,
      onOutput: (stream, chunk) => (stream === 'stdout' ? passThrough('stdout', chunk) : undefined),
    }).done;
    if (result.aborted) return exitStatus.passed;
    note(`tcpdump on ${endpoint.host} ended: ${result.stderr.trim().split('\n').at(-1) ?? ''}`);
    return exitStatus.failed;
  } finally {
    interrupt.dispose();
    await session.close();
  }
}
