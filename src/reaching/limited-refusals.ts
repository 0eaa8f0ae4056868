import { setTimeout as pause } from 'node:timers/promises';
import type { ProbeCause } from '../model/verdict.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { ProbeContext } from '../places/context.js';
import type { Sighting } from '../judging/expectation.js';

/**
 * Linux sends one host an ICMP error about once a second, after a few at once (ip-sysctl: icmp_ratelimit), and a packet that a
 * route refuses costs that twice (ip_error): who goes on asking gets none at all. What is silence then may be a refusal.
 */
const quietMs = 2200;
/** So long after an ICMP error, silence may be one that was held back. */
const recentMs = 12_000;

/** When a host was last refused by an ICMP error, by the clock of `performance.now`; for each lab. */
const refusals = new WeakMap<LabPlan, Map<string, number>>();

const byIcmp: readonly ProbeCause[] = [
  'host-unreachable',
  'net-unreachable',
  'port-unreachable',
  'prohibited',
  'too-big',
];

/** What is looked at of a probe that was sent. */
interface Refusable {
  sighting: Sighting;
  answeredBy: string | null;
}

/** A refusal that its sender may hold back the next time: an ICMP error of another host; over UDP also that nobody listens. */
function isLimited({ sighting, answeredBy }: Refusable, proto: 'icmp' | 'tcp' | 'udp'): boolean {
  if (sighting.saw !== 'failure' || answeredBy === null) return false;
  return byIcmp.some((cause) => cause === sighting.cause) || (proto === 'udp' && sighting.cause === 'refused');
}

const isSilent = ({ sighting, answeredBy }: Refusable): boolean =>
  sighting.saw === 'failure' && sighting.cause === 'timeout' && answeredBy === null;

export interface LimitedProbe<Sent> {
  /** The host that it is sent from. */
  host: string;
  proto: 'icmp' | 'tcp' | 'udp';
  /** It must fail, so that it matters for which cause it does. */
  mustFail: boolean;
  /** How long `send` waits for an answer that does not come, ms. */
  waitMs: number;
  send: () => Promise<Sent>;
}

/**
 * Sends a probe. One that must fail and meets silence soon after an ICMP error to the same host is sent once more, after a time
 * in which nothing is, so that an error that was held back comes: else which cause a check sees would depend on those before
 * it. Rejects with what `send` rejects with.
 *
 * @param quiet lets that time pass, ms
 */
export async function sendUnlimited<Sent extends Refusable>(
  context: Pick<ProbeContext, 'plan' | 'signal' | 'timeLeftMs' | 'probeOver'>,
  { host, proto, mustFail, waitMs, send }: LimitedProbe<Sent>,
  quiet: (ms: number, signal: AbortSignal) => Promise<unknown> = (ms, signal) => pause(ms, undefined, { signal }),
): Promise<Sent> {
  const heard = refusals.get(context.plan) ?? new Map<string, number>();
  refusals.set(context.plan, heard);
  const note = (sent: Sent): Sent => {
    if (isLimited(sent, proto)) heard.set(host, performance.now());
    return sent;
  };
  const first = note(await send());
  const recent = performance.now() - (heard.get(host) ?? -Infinity) < recentMs;
  // What runs during a capture or a counter is sent as often as it says.
  const counted = context.probeOver !== undefined;
  const time = context.timeLeftMs() > quietMs + 2 * waitMs;
  if (!mustFail || !isSilent(first) || !recent || counted || !time) return first;
  await quiet(quietMs, context.signal).catch(() => undefined);
  if (context.signal.aborted) return first;
  const second = note(await send());
  return isSilent(second) || second.sighting.saw === 'nothing' ? first : second;
}
