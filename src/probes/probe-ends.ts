import type { Cause } from '../model/verdict.js';
import type { Endpoint, VantageEndpoint } from '../places/endpoint.js';
import type { ProbeContext } from '../places/context.js';
import { isTargetProblem, resolveTarget } from './target.js';
import type { ResolvedTarget, TargetOptions } from './target.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/** Both ends of a probe, or why there are none. */
export type ProbeEnds =
  | { state: 'found'; source: Vantage; target: ResolvedTarget }
  /** Nothing can be said: the source is dead or absent, an engine does not answer. */
  | { state: 'unknown'; reason: string }
  /** The target does not exist: a positive fails with the cause, a negative proves nothing. */
  | { state: 'absent'; source: Vantage; cause: Cause; reason: string }
  /** The target's name did not resolve at the source: a failure of the probe, which an expectation may ask for. */
  | {
      state: 'unresolved';
      source: Vantage;
      failure: { cause: Cause; reason: string; server: string | null; replied: boolean };
    };

/** Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*. */
export async function resolveProbe(
  context: ProbeContext,
  from: VantageEndpoint,
  to: Endpoint,
  options: TargetOptions = {},
): Promise<ProbeEnds> {
  const source = await resolveVantage(context, from);
  if (isVantageProblem(source)) return { state: 'unknown', reason: `the source is not there: ${source.reason}` };
  const target = await resolveTarget(context, source, to, options);
  if (!isTargetProblem(target)) return { state: 'found', source, target };
  if (target.cause === null) return { state: 'unknown', reason: target.reason };
  if (target.resolution)
    return {
      state: 'unresolved',
      source,
      failure: { cause: target.cause, reason: target.reason, ...target.resolution },
    };
  return { state: 'absent', source, cause: target.cause, reason: target.reason };
}
