import { setTimeout as pause } from 'node:timers/promises';
import { publishedAt } from '../facts/published.js';
import type { Published } from '../facts/published.js';
import { acceptedNothing, readReceived } from '../facts/received.js';
import { fail, inconclusive } from '../judging/outcome.js';
import type { Cause, Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { sendConnect } from '../probes/connect-send.js';
import { plannedOwner } from '../probes/target.js';
import type { ResolvedTarget } from '../probes/target.js';

/** To be called once a connection stands: whether the container that publishes the port can have accepted it. */
export type GotIt = () => Promise<boolean>;

/** The host whose engine may publish a port at the target; `null` where it has none. `from`: the name of the source's host. */
function publisherOf(context: ProbeContext, { owner, address }: ResolvedTarget, from: string): string | null {
  const planned =
    owner === null
      ? // A host's own loopback, which only docker-proxy serves.
        (plannedOwner(context.plan, address) ?? (address.startsWith('127.') || address === '::1' ? from : null))
      : owner.endpoint.kind === 'host'
        ? owner.host.name
        : null;
  return context.plan.hosts.some(({ name, engine }) => name === planned && engine) ? planned : null;
}

/** How long docker-proxy may take to pass on what it has accepted, ms, and how often it is looked whether it has. */
const passingOnMs = 1000;
const lookMs = 50;

/**
 * Watches what comes in at the container that publishes the port, from before a connection is made: the kernel's translation, or
 * docker-proxy, brings it some; a rule of somebody's may bring it to another one. `null` where nobody publishes it, or the
 * container can't be watched. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*.
 */
export async function watchPublished(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  port: number,
): Promise<GotIt | null> {
  const host = publisherOf(context, target, source.host.name);
  const published = host === null ? null : await publishedAt(context, host, target.address, port, 'tcp');
  if (host === null || published === null) return null;
  const container = await resolveVantage(context, { kind: 'container', host, container: published.container });
  if (isVantageProblem(container)) return null;
  const before = await readReceived(context, container);
  if (before === null) return null;
  return async () => {
    const until = Date.now() + Math.min(passingOnMs, context.timeLeftMs() / 2);
    for (;;) {
      const after = await readReceived(context, container);
      if (after === null || !acceptedNothing(before, after)) return true;
      if (Date.now() >= until) return false;
      await pause(lookMs, undefined, { signal: context.signal }).catch(() => undefined);
    }
  };
}

/** What of a check of a port matters for the container behind it. */
export interface Behind {
  from: string;
  to: string;
  port: number;
  /** How long to wait for the container, ms. */
  wait: number;
  /** The container must accept, too. */
  behind?: 'open' | undefined;
  target: ResolvedTarget;
  gotIt: GotIt | null;
}

/**
 * Who accepts at a port that a container publishes, where it may be somebody else than the container. `outcome`: of the connection,
 * which passed. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*.
 */
export async function withContainer(context: ProbeContext, asked: Behind, outcome: Outcome): Promise<Outcome> {
  const host = publisherOf(context, asked.target, asked.from.split('/')[0]!);
  const published = host === null ? null : await publishedAt(context, host, asked.target.address, asked.port, 'tcp');
  if (host === null || published === null)
    return asked.behind === undefined
      ? outcome
      : inconclusive(`${outcome.reason}, but no container is known to publish the port ${asked.port} of ${asked.to}`);
  const { container, state, port } = published;
  const behind = `the container ${container} behind it`;
  const not = (cause: Cause, text: string): Outcome =>
    asked.behind === undefined
      ? { ...outcome, reason: `${outcome.reason}; ${text}` }
      : fail(cause, `${outcome.reason}, but ${text}`, {
          expected: `${container} accepts at port ${port}`,
          actual: cause,
        });
  if (state === 'paused') return not('no-answer', `${behind} is paused: the connection is accepted in its place`);
  // Before anything else is sent there: what comes in then is no part of the probe.
  const got = (await asked.gotIt?.()) ?? true;
  const own = await acceptsItself(context, host, published, asked.wait);
  if (own === 'refused')
    return not('refused', `accepted by docker-proxy of ${host}: ${behind} refuses at its port ${port}`);
  if (!got)
    return not('wrong-answer', `nothing of it came in at ${host}/${container}: somebody else accepts in its place`);
  if (own === 'open' || asked.behind === undefined) return outcome;
  return inconclusive(
    own === 'no-address'
      ? `${outcome.reason}, but ${behind} has no address`
      : `${outcome.reason}, but whether ${behind} accepts at its port ${port} could not be seen`,
  );
}

/** What the container itself says to a connection from its host. */
async function acceptsItself(
  context: ProbeContext,
  name: string,
  { container, address, port }: Published,
  waitMs: number,
): Promise<'open' | 'refused' | 'unseen' | 'no-address'> {
  if (address === null) return 'no-address';
  const host = await resolveVantage(context, { kind: 'host', host: name });
  if (isVantageProblem(host)) return 'unseen';
  const target: ResolvedTarget = { address, family: 4, label: container, how: 'its own', owner: null };
  const { sighting } = await sendConnect(context, host, target, { proto: 'tcp', port, waitMs });
  if (sighting?.saw === 'open') return 'open';
  return sighting?.saw === 'error' && sighting.errno === 'ECONNREFUSED' ? 'refused' : 'unseen';
}
