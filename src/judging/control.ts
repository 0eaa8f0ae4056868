import type { Cause, Control } from '../model/verdict.js';
import { connectCommand, connectProgram, readConnectOutput } from '../probes/connect-probe.js';
import { formatEndpoint, isVantage, parseEndpoint } from '../places/endpoint.js';
import type { ControlSpec, Sighting } from './expectation.js';
import type { ProbeContext } from '../places/context.js';
import type { PathEvidence } from '../facts/path.js';
import { askServers } from '../probes/resolver.js';
import { findOwner, isTargetProblem, resolveTarget } from '../probes/target.js';
import type { ResolvedTarget } from '../probes/target.js';
import { inside, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/** A probe of the kind that is being controlled, sent from anywhere to anywhere. */
export type SendProbe = (from: Vantage, to: ResolvedTarget) => Promise<Sighting>;

export interface ControlRequest {
  context: ProbeContext;
  source: Vantage;
  target: ResolvedTarget;
  /** What the probe failed with. */
  cause: Cause;
  /** Somebody other than the sender's own kernel said so (an ICMP message, a RST): their address. */
  answeredBy: string | null;
  path: PathEvidence | null;
  author: ControlSpec | null;
  send: SendProbe;
  /** Shows that the source can send this kind of probe at all. */
  sourceAlive: () => Promise<Control>;
}

function fromSighting(title: string, sighting: Sighting): Control {
  return { title, held: sighting.saw === 'success', seen: sighting.text };
}

/** The link that the probe left by carries packets; `null` where there was no such link (no route). */
function linkControl(source: Vantage, path: PathEvidence | null): Control | null {
  if (!path?.link) return null;
  const { name, up, carrier } = path.link;
  return {
    title: `${source.label}'s link ${name} carries packets`,
    held: up && carrier,
    seen: up ? (carrier ? 'it is up' : 'it has no carrier') : 'it is down',
  };
}

async function authorControl(request: ControlRequest, author: ControlSpec): Promise<Control> {
  const { context, target, send } = request;
  const title = `${author.from} reaches ${author.to ?? target.label}`;
  const endpoint = parseEndpoint(author.from, context.plan);
  if (!isVantage(endpoint)) return { title, held: false, seen: `${author.from} is no place a probe can start from` };
  const from = await resolveVantage(context, endpoint);
  if (isVantageProblem(from)) return { title, held: false, seen: from.reason };
  if (author.to === undefined) return fromSighting(title, await send(from, target));
  const to = await resolveTarget(context, from, parseEndpoint(author.to, context.plan), { family: target.family });
  if (isTargetProblem(to)) return { title, held: false, seen: to.reason };
  return fromSighting(title, await send(from, to));
}

async function targetAlive(request: ControlRequest): Promise<Control> {
  const { context, source, target, send } = request;
  const owner = target.owner ?? (await findOwner(context, source, target.address));
  if (!owner) {
    return {
      title: `the owner of ${target.address} answers itself`,
      held: false,
      seen: 'no host and no single container of the lab is known to own it; name a `control` that reaches it',
    };
  }
  return fromSighting(`${owner.label} answers itself at ${target.address}`, await send(owner, target));
}

/**
 * The controls of a negative: the source is alive and its link carries packets; the target is up and answers somebody: the
 * author's control where there is one, else itself, from its own namespace, at the very address.
 *
 * The target needs none where its state can't matter: the sender's own kernel has no route, or a third party (or the target
 * itself) answered with an ICMP message or a RST.
 */
export async function networkControls(request: ControlRequest): Promise<Control[]> {
  const { source, target, cause, answeredBy, author } = request;
  const link = linkControl(source, request.path);
  const [alive, reached] = await Promise.all([
    request.sourceAlive(),
    author
      ? authorControl(request, author)
      : cause === 'no-route'
        ? Promise.resolve(null)
        : answeredBy !== null && cause !== 'host-unreachable'
          ? Promise.resolve<Control>({
              title: `the way to ${target.address} was answered for`,
              held: true,
              seen: `${answeredBy} answered: ${cause}`,
            })
          : targetAlive(request),
  ]);
  return [alive, ...(link ? [link] : []), ...(reached ? [reached] : [])];
}

/** For TCP and UDP: the source's own stack answers a connection attempt to its own loopback, whatever it answers. */
export async function stackAlive(context: ProbeContext, source: Vantage): Promise<Control> {
  const title = `${source.label} can open connections (to itself)`;
  const result = await source.host.exec(
    inside(source, connectCommand({ proto: 'tcp', waitMs: 1000, targets: [{ address: '127.0.0.1', port: 1 }] })),
    {
      stdin: connectProgram,
      timeoutMs: 10_000,
      signal: context.signal,
    },
  );
  const sighting = readConnectOutput(result.stdout, 1)?.[0];
  if (!sighting)
    return { title, held: false, seen: result.stderr.trim().split('\n').at(-1) || `exit status ${result.exitCode}` };
  const held = sighting.saw === 'open' || (sighting.saw === 'error' && sighting.errno === 'ECONNREFUSED');
  return { title, held, seen: held ? 'its own stack answered' : sighting.saw === 'error' ? sighting.errno : 'silence' };
}

/**
 * The control of a name that did not resolve. A server that replied is alive by that. A silent one must answer a question it
 * can answer by itself: the engine's embedded server (127.0.0.11) the container's own name, any other server one for its own
 * address, asked for from its own namespace.
 */
export async function resolverControl(
  context: ProbeContext,
  source: Vantage,
  server: string | null,
  replied: boolean,
  port?: number,
): Promise<Control> {
  if (server === null)
    return {
      title: `${source.label} was asked`,
      held: true,
      seen: 'it has no name server, which its resolv.conf says',
    };
  const title = `name server ${server}${port === undefined ? '' : ` (port ${port})`} is alive`;
  if (replied) return { title, held: true, seen: 'it replied to the very question' };
  const own = source.container?.id.slice(0, 12);
  if (server === '127.0.0.11' && own !== undefined) {
    const [answer] = await askServers(context, source, [{ server, port, name: source.container!.name, type: 'A' }], {
      waitMs: 2000,
      tries: 1,
    });
    return {
      title,
      held: answer?.saw === 'answer',
      seen:
        answer?.saw === 'answer'
          ? `it resolves ${answer.name}, the container's own name`
          : (answer?.text ?? 'no answer'),
    };
  }
  const owner = await findOwner(context, source, server);
  if (!owner)
    return { title, held: false, seen: 'no host and no single container of the lab is known to own its address' };
  const [answer] = await askServers(context, owner, [{ server, port, name: 'localhost', type: 'A' }], {
    waitMs: 2000,
    tries: 1,
  });
  const alive = answer?.saw === 'answer' || (answer?.saw === 'failure' && answer.replied);
  return {
    title: `${title}, asked from ${formatEndpoint(owner.endpoint)} itself`,
    held: alive,
    seen: alive ? 'it replies there' : (answer?.text ?? 'no answer'),
  };
}
