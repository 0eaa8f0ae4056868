import { holdersOf, surveyAddresses } from '../facts/holders.js';
import { gotNothing, readReceived } from '../facts/received.js';
import type { ProbeShape } from '../facts/received.js';
import type { ProbeContext } from '../places/context.js';
import { formatEndpoint } from '../places/endpoint.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { plannedOwner } from '../probes/target.js';
import type { ResolvedTarget } from '../probes/target.js';
import type { Answerer } from './identity.js';

/** To be called once an answer has come, before anything else is sent: whether it can have been the target's. */
export type OwnAnswer = () => Promise<Answerer>;

const meant: Answerer = { is: 'target' };

/** Who is to answer at the target's address; `null` where the lab does not say. */
async function ownerOf(context: ProbeContext, { owner, address }: ResolvedTarget): Promise<Vantage | null> {
  if (owner) return owner;
  const host = plannedOwner(context.plan, address);
  if (host === null) return null;
  const place = await resolveVantage(context, { kind: 'host', host });
  return isVantageProblem(place) ? null : place;
}

/** Who answered in the owner's place, as far as the lab's addresses say. */
async function another(
  context: ProbeContext,
  source: Vantage,
  { owner: named, address }: ResolvedTarget,
  owner: Vantage,
  why: string,
): Promise<Answerer> {
  const survey = await surveyAddresses(context);
  const others = [
    ...new Set(
      holdersOf(survey, address)
        .map(({ endpoint }) => formatEndpoint(endpoint))
        .filter((label) => label !== owner.label),
    ),
  ];
  // An address that was written down is whoever's has it by now: of several routers, of servers that share it.
  const unread = survey.unread.filter((host) => host !== owner.host.name);
  if (named === null && (others.length > 0 || unread.length > 0)) return meant;
  const who =
    others.length > 0 ? `: ${others.join(' and ')} ${others.length > 1 ? 'have' : 'has'} that address, too` : '';
  return {
    is: 'other',
    text: `what answers ${source.label} at ${address} is not ${owner.label}, which ${why}${who}`,
    follow: true,
  };
}

/**
 * Watches, from beside the target, whether anything of a probe that is about to be sent comes in there: an answer to what the
 * target never got is another's. Costs a command before the probe, and one once it was answered. A target that nobody can ask
 * is believed. Never rejects.
 */
export async function watchTarget(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  proto: ProbeShape['proto'],
): Promise<OwnAnswer> {
  const owner = await ownerOf(context, target);
  if (!owner) return () => Promise.resolve(meant);
  const off = context
    .planted?.()
    .some(({ kind, ...fault }) => kind === 'poweroff' && 'host' in fault && fault.host === owner.host.name);
  if (off === true) return () => another(context, source, target, owner, 'is powered off');
  const before = await readReceived(context, owner);
  return async () => {
    const after = before === null ? null : await readReceived(context, owner);
    if (before === null || after === null) return meant;
    if (!gotNothing(before, after, { proto, family: target.family })) return meant;
    return another(context, source, target, owner, 'got nothing of the probe');
  };
}
