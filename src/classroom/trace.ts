import { randomInt } from 'node:crypto';
import type { PacketRequest } from '../diagnosis/diagnose.js';
import { tracePacket } from '../diagnosis/trace.js';
import { messageOf } from '../errors.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { encodeQuery } from '../probes/dns-message.js';
import { resolveProbe } from '../probes/probe-ends.js';
import { toldOf } from '../scenario/handed-out.js';
import type { TraceRequest, TraceView } from './api.js';
import { Refusal } from './problem.js';
import { exerciseFor, type Room } from './room.js';
import { workOf } from './state.js';
import { harmless } from './views.js';
import { mayTrace } from './work-view.js';

/** Time for one trace, ms. */
const traceMs = 20_000;

function probeOf({ tcp, udp, dns }: TraceRequest): Pick<PacketRequest, 'proto' | 'port' | 'payload'> {
  if ([tcp, udp, dns].filter((one) => one !== undefined).length > 1)
    throw new Refusal('not-valid', 'Take one of tcp, udp and dns: one packet is sent.');
  if (tcp !== undefined) return { proto: 'tcp', port: tcp };
  if (udp !== undefined) return { proto: 'udp', port: udp };
  if (dns === undefined) return { proto: 'icmp' };
  const payload = encodeQuery(randomInt(0x10000), dns, 'A');
  if (!payload) throw new Refusal('not-valid', `"${dns}" is no name that can be asked for.`);
  return { proto: 'udp', port: 53, payload };
}

/** Sends one packet in a person's lab and tells its way. */
export async function tracePacketIn(room: Room, person: string, id: string, asked: TraceRequest): Promise<TraceView> {
  const { lab } = workOf(room.book.state, person, id);
  if (lab === null) throw new Refusal('not-now', 'There is no lab; start one.');
  const exercise = exerciseFor(room, id, person);
  if (!mayTrace(room, exercise))
    throw new Refusal('not-allowed', 'The way of a packet is yours to find in this exercise.');
  const probe = probeOf(asked);
  const session = await room.places.session(lab);
  const context = session.context({
    signal: AbortSignal.timeout(traceMs),
    timeoutMs: traceMs,
    record: () => undefined,
  });
  const source = parseEndpoint(asked.from, context.plan);
  if (!isVantage(source))
    throw new Refusal('not-valid', `"${harmless(asked.from)}" is no place that a packet can start from.`);
  try {
    const ends = await resolveProbe(context, source, parseEndpoint(asked.to, context.plan), {});
    if (ends.state !== 'found')
      throw new Refusal('not-valid', harmless(ends.state === 'unresolved' ? ends.failure.reason : ends.reason));
    const seen = { cause: 'timeout' as const, answeredBy: null, path: null };
    const { trace } = await tracePacket(context, { source: ends.source, target: ends.target, ...probe, ...seen });
    const answered = trace.fate === 'answered';
    const mend = trace.diagnosis?.mend;
    const sentence = answered ? 'It was answered.' : (trace.diagnosis?.sentence ?? trace.fate);
    return {
      answered,
      sentence: harmless(sentence),
      way: trace.way.map(({ rules: _rules, ...hop }) => hop),
      back: trace.back.map(({ rules: _rules, ...hop }) => hop),
      mend: mend && toldOf(exercise.scenario) === null ? harmless(mend) : null,
    };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal('not-now', harmless(messageOf(error)));
  }
}
