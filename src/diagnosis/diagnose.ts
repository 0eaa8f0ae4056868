import type { Cause, Diagnosis, RootCause } from '../model/verdict.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { PathEvidence } from '../facts/path.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import type { ResolvedTarget } from '../probes/target.js';
import { explainUnacknowledged } from './after-connection.js';
import { explain, explainAnother, explainContent, explainSilence, explainSuccess } from './explain.js';
import { buildCase } from './follow.js';
import type { Case } from './follow.js';
import { explainLease } from './leases.js';
import type { LeaseRequest } from './leases.js';
import { explainName } from './names.js';
import type { NameRequest } from './names.js';
import { observe } from './observe.js';
import { soleHolder } from './world.js';

/** A packet whose fate is to be explained. */
export interface PacketRequest {
  source: Vantage;
  target: ResolvedTarget;
  proto: 'icmp' | 'tcp' | 'udp';
  /** TCP and UDP: the destination port. */
  port?: number;
  /** TCP and UDP: the source port; any, where left out. */
  fromPort?: number;
  /** TCP: the source port of the connection on which no answer came. */
  connectedFrom?: number;
  /** ICMP: bytes of payload. */
  size?: number;
  /** ICMP: not to be fragmented. */
  df?: boolean;
  /** UDP: what the datagram holds. */
  payload?: Buffer;
  /** What the probe came to; `present` for one that got through and must not. */
  cause: Cause;
  /** The target answered itself, if not with what was expected. */
  content?: true;
  /** Who said no, when it was not the sender's own kernel. */
  answeredBy: string | null;
  path: PathEvidence | null;
}

/** What is to be explained: a packet, a name that did not resolve, or an address that nobody offered. */
export type DiagnosisRequest = PacketRequest | NameRequest | LeaseRequest;

/** What was found in a lab since something last changed it. */
const madeBefore = new WeakMap<LabPlan, Map<string, Promise<Diagnosis | null>>>();

function keyOf(request: DiagnosisRequest): string {
  if ('name' in request)
    return ['name', request.source.label, request.name, request.server ?? '', request.port ?? ''].join(' ');
  if ('device' in request) return ['lease', request.source.label, request.device].join(' ');
  const { source, target, proto, port, fromPort, size, df, cause, content } = request;
  const shape = [
    proto,
    port ?? '',
    fromPort ?? '',
    size ?? '',
    df ? 'df' : '',
    ['present', 'wrong-answer'].includes(cause) ? cause : '',
    content ? 'content' : '',
  ];
  return [source.label, target.address, ...shape].join(' ');
}

/** What stands in the way of all packets from one place to another, whatever they are. */
const ofTheWay: readonly RootCause[] = [
  'no-route',
  'wrong-route',
  'route-refuses',
  'routing-loop',
  'neighbour-silent',
  'neighbour-wrong',
  'address-missing',
  'address-twice',
  'mac-twice',
  'link-down',
  'no-carrier',
  'not-a-bridge-port',
  'port-not-forwarding',
  'vlan-mismatch',
  'tunnel-mismatch',
  'forwarding-off',
  'rp-filter',
  'no-way-back',
];

/** The way of a packet without what differs from packet to packet; `null` where no two packets are alike. */
function wayKeyOf(request: DiagnosisRequest): string | null {
  return 'name' in request || 'device' in request || request.cause === 'present' || request.content
    ? null
    : `way ${request.source.label} ${request.target.address}`;
}

/** To be called whenever something may have changed the lab: what was found before may be true no more. */
export function forgetDiagnoses(plan: LabPlan): void {
  madeBefore.delete(plan);
}

/** What is said where hosts gave no answer in time and nothing was found. The next check that comes to the same looks again. */
export function outOfTime(plan: LabPlan, request: DiagnosisRequest, silent: ReadonlySet<string>): Diagnosis {
  madeBefore.get(plan)?.delete(keyOf(request));
  const sentence = `why was looked for and not found: ${[...silent].join(', ')} gave no answer in time to what was asked`;
  return { sentence, rootCause: null, way: [], back: [], evidence: [], mend: null, unlooked: [...silent] };
}

/** Nothing could be seen of the sender itself: why is all that can be said. */
function notLooked(unlooked: readonly string[]): Diagnosis | null {
  if (unlooked.length === 0) return null;
  const sentence = `nothing could be looked at to say why: ${unlooked.join('; ')}`;
  return { sentence, rootCause: null, way: [], back: [], evidence: [], mend: null, unlooked: [...unlooked] };
}

/** What is said of a probe that came to this cause, by what was seen of its packet. Pure. */
export function explainCause(seen: Case, cause: Cause): Diagnosis | null {
  if (cause === 'present') return explainSuccess(seen);
  return cause === 'wrong-answer' ? explainAnother(seen) : (explain(seen) ?? explainSilence(seen));
}

async function followPacket(context: ProbeContext, request: PacketRequest): Promise<Diagnosis | null> {
  const observation = await observe(context, request);
  const owner = request.target.owner?.label ?? soleHolder(observation.world, request.target.address);
  const seen = buildCase(observation, request.source, context.plan, owner);
  if (!seen) return notLooked(observation.world.unlooked);
  const told = request.content ? explainContent(seen) : explainCause(seen, request.cause);
  const { connectedFrom } = request;
  const silent = request.cause === 'timeout' && connectedFrom !== undefined && seen.fate.fate === 'answered';
  if (!silent || told === null || told.rootCause !== null) return told;
  return (await explainUnacknowledged(context, seen, connectedFrom, told)) ?? told;
}

function explainRequest(context: ProbeContext, request: DiagnosisRequest): Promise<Diagnosis | null> {
  if ('name' in request) return explainName(context, request);
  return 'device' in request ? explainLease(context, request) : followPacket(context, request);
}

/** Follows a packet at once, whatever was found before; `null` where nothing certain can be said. Never rejects. */
export function diagnoseNow(context: ProbeContext, request: PacketRequest): Promise<Diagnosis | null> {
  return followPacket(context, request).catch(() => null);
}

/**
 * Why a probe failed, or why one got through that must not. At most one look for each source, target, protocol and port until
 * `forgetDiagnoses`; one for each source and target where what was found stops whatever goes that way. `null` where nothing certain can be said, or where the context wants it made later.
 *
 * Never rejects: a diagnosis that breaks must not change a verdict.
 */
export async function diagnose(context: ProbeContext, request: DiagnosisRequest): Promise<Diagnosis | null> {
  if (context.later) {
    context.later.request = request;
    return null;
  }
  const key = keyOf(request);
  const before = madeBefore.get(context.plan) ?? new Map<string, Promise<Diagnosis | null>>();
  madeBefore.set(context.plan, before);
  const way = wayKeyOf(request);
  const known = way === null ? undefined : before.get(way);
  const found = before.get(key) ?? known ?? explainRequest(context, request).catch(() => null);
  before.set(key, found);
  const { rootCause } = (await found) ?? { rootCause: null };
  if (way !== null && rootCause !== null && ofTheWay.includes(rootCause)) before.set(way, found);
  return found;
}
