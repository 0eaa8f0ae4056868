import type { Outcome } from '../model/verdict.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import type { ProbeContext } from '../places/context.js';
import { inconclusive } from './outcome.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/** The place that an endpoint names, or why nothing can be known of it. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*. */
export async function placeAt(context: ProbeContext, text: string): Promise<Vantage | Outcome> {
  const endpoint = parseEndpoint(text, context.plan);
  if (!isVantage(endpoint)) return inconclusive(`${text} is no host, container or network namespace of the lab`);
  const vantage = await resolveVantage(context, endpoint);
  return isVantageProblem(vantage) ? inconclusive(vantage.reason) : vantage;
}
