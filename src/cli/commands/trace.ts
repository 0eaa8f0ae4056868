import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { PacketRequest } from '../../diagnosis/diagnose.js';
import { tracePacket } from '../../diagnosis/trace.js';
import type { PacketTrace, TracedHop } from '../../diagnosis/trace.js';
import { NetrigError } from '../../errors.js';
import { placeNamed } from '../../labs/exec.js';
import { findRunningLab } from '../../labs/find.js';
import { nearest, nearestFirst } from '../../language/wording.js';
import type { FeedbackLevel } from '../../model/feedback.js';
import { exitStatus } from '../../model/verdict.js';
import type { ProbeContext } from '../../places/context.js';
import { parseEndpoint } from '../../places/endpoint.js';
import { encodeQuery } from '../../probes/dns-message.js';
import { resolveProbe } from '../../probes/probe-ends.js';
import type { RunningLab } from '../../providers/provider.js';
import { oneLine } from '../../report/terminal-text.js';
import { wayLine } from '../../report/way.js';
import { onInterrupt } from '../../run/interrupt.js';
import { toldOf } from '../../scenario/handed-out.js';
import { loadScenarioFileSync } from '../../scenario/load.js';
import { openSession } from '../../session/session.js';
import type { LabSession } from '../../session/session.js';
import type { TraceFlags, WatchFlags } from '../program.js';
import { joined, out, print, printJson, text } from '../terminal.js';
import type { Painted } from '../terminal.js';

/** Time for one trace, ms. */
const traceMs = 20_000;

function probeOf(flags: TraceFlags): Pick<PacketRequest, 'proto' | 'port' | 'fromPort' | 'payload'> {
  const asked = [flags.tcp, flags.udp, flags.dns].filter((one) => one !== undefined);
  if (asked.length > 1)
    throw new NetrigError('NETRIG_USAGE', 'Take one of --tcp, --udp and --dns: one packet is sent.');
  const from = flags.fromPort === undefined ? {} : { fromPort: flags.fromPort };
  if (flags.tcp !== undefined) return { proto: 'tcp', port: flags.tcp, ...from };
  if (flags.udp !== undefined) return { proto: 'udp', port: flags.udp, ...from };
  if (flags.dns !== undefined) return { proto: 'udp', port: 53, payload: questionFor(flags.dns), ...from };
  if (flags.fromPort !== undefined)
    throw new NetrigError('NETRIG_USAGE', 'An echo request has no source port.', {
      hint: 'Add --tcp PORT or --udp PORT.',
    });
  return { proto: 'icmp' };
}

function questionFor(name: string): Buffer {
  const question = encodeQuery(randomInt(0x10000), name, 'A');
  if (question) return question;
  throw new NetrigError('NETRIG_USAGE', `"${name}" is no name that can be asked for.`, {
    hint: 'Labels have at most 63 characters, a name at most 253.',
  });
}

function hopLines(hops: readonly TracedHop[]): Painted[] {
  const width = Math.max(...hops.map(({ place }) => place.length));
  return hops.flatMap(({ place, in: came, out: left, did, state, rules }) => {
    const mark = state === 'broken' ? out.red('╳') : out.green('•');
    const link = [came === null ? '' : `${came} →`, did, left === null ? '' : `→ ${left}`].filter(
      (part) => part !== '',
    );
    return [
      text`  ${mark} ${oneLine(place).padEnd(width)}  ${oneLine(link.join(' '))}`,
      ...rules.map((rule) => out.dim(`    ${' '.repeat(width)}  ${oneLine(rule)}`)),
    ];
  });
}

function show(trace: PacketTrace): void {
  const what = trace.proto === 'icmp' ? 'an echo request' : `${trace.proto} port ${trace.port ?? ''}`;
  const { diagnosis } = trace;
  const why = diagnosis?.sentence ?? (trace.fate === 'silent' ? 'no answer' : trace.fate);
  const lines = [
    text`${trace.from} → ${trace.to}, ${what}`,
    ...(trace.way.length > 0 ? hopLines(trace.way) : [text`  it was not seen to leave`]),
    ...(trace.back.length > 0 ? [text`and the answer`, ...hopLines(trace.back)] : []),
    trace.fate === 'answered' ? out.green('✓ answered') : out.red(`✗ ${oneLine(why)}`),
    ...(diagnosis?.mend ? [text`  mend: ${oneLine(diagnosis.mend)}`] : []),
    ...(diagnosis?.evidence ?? []).map((one) => out.dim(`  ${oneLine(one)}`)),
    ...trace.unlooked.map((one) => out.yellow(`  not looked at: ${oneLine(one)}`)),
  ];
  print`${joined(lines, '\n')}`;
}

/**
 * How much may be told of packets in a lab that came up from a file that students were given; `null`: all.
 *
 * @throws NETRIG_USAGE where their way is not.
 */
function mayFollow({ record }: RunningLab): FeedbackLevel | null {
  if (!record.scenarioFile) return null;
  let told: FeedbackLevel | null = null;
  try {
    const { scenarios } = loadScenarioFileSync(record.scenarioFile, { provider: record.provider });
    const scenario = scenarios.find(({ id }) => id === record.title);
    told = scenario ? toldOf(scenario) : null;
  } catch {
    // A file that is gone, or is another one by now, says nothing.
  }
  if (told === null || told === 'way') return told;
  throw new NetrigError('NETRIG_USAGE', 'The way of a packet is yours to find in this exercise.', {
    hint: 'Its checks say what was seen (`netrig check`); `netrig capture` shows the packets of an interface.',
  });
}

/** The trace without what mends it. */
function asTold(trace: PacketTrace, told: FeedbackLevel | null): PacketTrace {
  return told === null || !trace.diagnosis
    ? trace
    : { ...trace, diagnosis: { ...trace.diagnosis, mend: null, evidence: [] } };
}

/** A lab's session with both ends of the packet that is to be sent. */
async function requestFor(
  from: string,
  to: string,
  flags: TraceFlags,
  session: LabSession,
  signal: AbortSignal,
): Promise<{ context: ProbeContext; request: PacketRequest }> {
  const probe = probeOf(flags);
  const context = session.context({ signal, timeoutMs: traceMs, record: () => undefined });
  const source = placeNamed(from, context.plan);
  const target = parseEndpoint(to, context.plan);
  const family = flags.family === undefined ? {} : { family: flags.family as 4 | 6 };
  const ends = await resolveProbe(context, source, target, family);
  if (ends.state !== 'found') {
    const reason = ends.state === 'unresolved' ? ends.failure.reason : ends.reason;
    const names = context.plan.hosts.map(({ name }) => name);
    const near = nearest(to, names);
    throw new NetrigError(
      'NETRIG_USAGE',
      `${reason}.`,
      target.kind === 'name'
        ? { hint: `${near === null ? '' : `Did you mean "${near}"? `}The hosts are ${nearestFirst(to, names)}.` }
        : {},
    );
  }
  const seen = { cause: 'timeout' as const, answeredBy: null, path: null };
  return { context, request: { source: ends.source, target: ends.target, ...probe, ...seen } };
}

/** `netrig trace`: the way of one packet through a lab that is up, hop by hop. Ends with 1 when it was not answered. */
export async function trace(from: string, to: string, flags: TraceFlags): Promise<number> {
  const lab = await findRunningLab(flags.lab);
  const told = mayFollow(lab);
  const session = openSession(lab);
  const interrupt = onInterrupt(() => undefined);
  try {
    const { context, request } = await requestFor(from, to, flags, session, interrupt.signal);
    const { trace: found, pcap } = await tracePacket(context, request);
    if (interrupt.signal.aborted) return exitStatus.interrupted;
    if (flags.pcap !== undefined) writeFileSync(flags.pcap, pcap());
    const shown = asTold(found, told);
    if (flags.json) printJson(shown);
    else show(shown);
    return shown.fate === 'answered' ? exitStatus.passed : exitStatus.failed;
  } finally {
    interrupt.dispose();
    await session.close();
  }
}

function watchLine(told: PacketTrace): Painted {
  const line = oneLine(wayLine(told));
  if (told.fate === 'answered') return joined([out.green('✓ '), line]);
  const why = told.diagnosis?.sentence ?? told.fate;
  return joined([out.red('✗ '), line, line === '' ? '' : ': ', oneLine(why)]);
}

/** Between two packets of `netrig watch`, ms. */
const watchPauseMs = 1000;

/**
 * `netrig watch`: sends a packet again and again while somebody works in the lab, and tells its way whenever that changes.
 * Ctrl-C ends it.
 */
export async function watch(from: string, to: string, flags: WatchFlags): Promise<number> {
  const lab = await findRunningLab(flags.lab);
  const told = mayFollow(lab);
  const session = openSession(lab);
  const interrupt = onInterrupt(() => undefined);
  const { signal } = interrupt;
  let last = '';
  try {
    for (let sent = 0; !signal.aborted && (flags.count === undefined || sent < flags.count); sent += 1) {
      // Both ends are looked up each time: containers come and go.
      const { context, request } = await requestFor(from, to, flags, session, signal);
      const { trace: found } = await tracePacket(context, request);
      const shown = asTold(found, told);
      const line = watchLine(shown);
      if (!signal.aborted && line.text !== last) {
        last = line.text;
        if (flags.json) printJson({ time: new Date().toISOString(), ...shown });
        else print`${out.dim(new Date().toLocaleTimeString('en-GB'))}  ${line}`;
      }
      await delay(watchPauseMs, undefined, { signal }).catch(() => undefined);
    }
    return exitStatus.passed;
  } catch (error) {
    // What was on its way when Ctrl-C came is no error.
    if (signal.aborted) return exitStatus.passed;
    throw error;
  } finally {
    interrupt.dispose();
    await session.close();
  }
}
