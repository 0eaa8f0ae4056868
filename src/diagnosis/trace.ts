import type { Diagnosis, Hop } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { asTyped, stations } from './explain-filter.js';
import type { TracedStation } from './explain-filter.js';
import { explain } from './explain.js';
import { buildCase, hopsOf } from './follow.js';
import type { Role } from './follow.js';
import { observe } from './observe.js';
import type { PacketRequest } from './diagnose.js';
import { pcapng } from './pcapng.js';

/** A hop with the rules that the packet met there, in the words of `iptables` or `nft`. */
export interface TracedHop extends Hop {
  rules: string[];
}

export interface PacketTrace {
  from: string;
  to: string;
  address: string;
  proto: 'icmp' | 'tcp' | 'udp';
  port: number | null;
  /** `answered`, `silent`, or the error that the sender met. */
  fate: string;
  way: TracedHop[];
  back: TracedHop[];
  /** Why it did not come through; `null` where it did. */
  diagnosis: Diagnosis | null;
  unlooked: string[];
}

function rulesAt(all: readonly TracedStation[], role: Role, place: string): string[] {
  const met = all.flatMap(({ trace, role: own }) => {
    if (own !== role || trace.where.label !== place) return [];
    const { family, table, chain, handle, type, verdict, policy } = trace;
    if (type === 'policy') return [`${table} ${chain}: policy ${policy ?? verdict}`];
    const rule = trace.where.nft.rules.get(`${family} ${table} ${chain} ${handle ?? ''}`);
    if (type !== 'rule' || !rule || verdict === 'continue') return [];
    return [`${rule.table} ${chain} ${rule.place}: ${asTyped(rule.text)} (${verdict})`];
  });
  return [...new Set(met)];
}

function tracedHops(hops: readonly Hop[], all: readonly TracedStation[], role: Role): TracedHop[] {
  return hops.map((hop) => ({ ...hop, rules: rulesAt(all, role, hop.place) }));
}

/** Sends one probe and tells its way, whatever becomes of it; with all that was captured of it. */
export async function tracePacket(
  context: ProbeContext,
  request: PacketRequest,
): Promise<{ trace: PacketTrace; pcap: () => Buffer }> {
  const observation = await observe(context, request);
  const { source, target, proto } = request;
  const { fate, world } = observation;
  const c = buildCase(observation, source, context.plan, target.owner?.label ?? null);
  const all = c ? stations(c) : [];
  const diagnosis = c && fate.fate !== 'answered' ? explain(c) : null;
  const trace: PacketTrace = {
    from: source.label,
    to: target.label,
    address: target.address,
    proto,
    port: request.port ?? null,
    fate: fate.fate === 'error' ? fate.errno : fate.fate === 'unknown' ? `not sent: ${fate.why}` : fate.fate,
    way: c ? tracedHops(diagnosis?.way ?? hopsOf(c.forward, 'sent'), all, 'forward') : [],
    back: c ? tracedHops(diagnosis?.back ?? hopsOf(c.reply, 'answered'), all, 'reply') : [],
    diagnosis,
    unlooked: world.unlooked,
  };
  const seen = new Set(c ? [...c.forward, ...c.reply, ...c.errors].map(({ timeMs }) => timeMs) : []);
  const own = world.sightings.filter((one) => seen.has(one.timeMs) || 'neighbour' in one.frame);
  return { trace, pcap: () => pcapng(own) };
}
