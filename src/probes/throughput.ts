import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { listensAt, readListeners } from '../facts/listeners.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import type { RemoteProcess } from '../ssh/ssh.js';
import type { ResolvedTarget } from './target.js';

/** One way that data is sent along, from its source to a place of the lab. */
export interface DataPath {
  source: Vantage;
  target: ResolvedTarget;
  server: Vantage;
}

export interface ThroughputRequest {
  port: number;
  /** Of one transfer, whole seconds. */
  seconds: number;
}

const zReport = z.looseObject({
  error: z.string().optional(),
  end: z.looseObject({ sum_received: z.looseObject({ bits_per_second: z.number() }).optional() }).optional(),
});

const listenWithinMs = 5_000;

/** Waits until the server listens; `null`: it does. */
async function whyNotListening(
  context: ProbeContext,
  { server, target }: DataPath,
  port: number,
  over: () => boolean,
): Promise<string | null> {
  for (let waited = 0; waited < listenWithinMs && context.timeLeftMs() > 0; waited += 100) {
    if (over()) return 'iperf3 ended at once';
    const result = await server.host.exec(server.enter(['ss', '-H', '-l', '-n', '-t']), {
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
    });
    if (listensAt(readListeners(result.stdout), target.address, port)) return null;
    await pause(100);
  }
  return `iperf3 does not listen at port ${port}`;
}

/** Runs `work` while iperf3 serves at the target; it is ended whatever happens. */
export async function withServer<Result>(
  context: ProbeContext,
  path: DataPath,
  port: number,
  work: () => Promise<Result>,
): Promise<Result | { unknown: string }> {
  const { server, target } = path;
  const argv = ['iperf3', '--server', '--bind', target.address, '--port', String(port)];
  const process: RemoteProcess = server.host.spawn(server.enter(argv), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  let over: { why: string } | null = null;
  const done = process.done.then(
    (result) => {
      const missing = whyNoAnswer('iperf3', result);
      over = { why: missing ?? lastLine(result.stderr) ?? '' };
    },
    (error: unknown) => {
      over = { why: String(error) };
    },
  );
  try {
    const why = await whyNotListening(context, path, port, () => over !== null);
    if (why !== null) {
      const { why: words } = (over as { why: string } | null) ?? { why: '' };
      return { unknown: `no server at ${server.label}: ${words === '' ? why : words}` };
    }
    return await work();
  } finally {
    if (over === null) await process.kill('TERM');
    await Promise.race([done, pause(2_000)]);
  }
}

/** Bits that came in at the server in a second, by one transfer over TCP; or why that is not known. */
export async function transfer(
  context: ProbeContext,
  { source, target }: DataPath,
  { port, seconds }: ThroughputRequest,
): Promise<number | { unknown: string }> {
  const argv = ['iperf3', '--client', target.address, '--port', String(port), '--time', String(seconds), '--json'];
  const result = await source.host.exec(source.enter(argv), {
    timeoutMs: Math.min(context.timeLeftMs(), seconds * 1000 + 10_000),
    signal: context.signal,
    keepBytes: 4 << 20,
  });
  const unknown = (why: string): { unknown: string } => ({
    unknown: `the transfer from ${source.label} to ${target.label} came to nothing: ${why}`,
  });
  const why = whyNoAnswer('iperf3', result);
  if (why !== null) return unknown(why);
  let raw: unknown;
  try {
    raw = JSON.parse(result.stdout);
  } catch {
    return unknown(lastLine(result.stderr) || 'iperf3 printed no JSON');
  }
  const report = zReport.safeParse(raw);
  if (!report.success) return unknown('iperf3 reports in a form that is not known');
  const { error, end } = report.data;
  if (error !== undefined) return unknown(error);
  return end?.sum_received?.bits_per_second ?? unknown('iperf3 does not say how much came in');
}
