import { randomInt } from 'node:crypto';
import type { Cause, Diagnosis } from '../model/verdict.js';
import { familyOf } from '../model/cidr.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { encodeQuery } from '../probes/dns-message.js';
import { explain } from './explain.js';
import { buildCase } from './follow.js';
import { observe } from './observe.js';
import { holdersOf } from './world.js';
import type { EngineContainer, World } from './world.js';

/** A name that did not resolve. */
export interface NameRequest {
  source: Vantage;
  /** The name that was asked for. */
  name: string;
  /** The name server that was asked; `null`: the place has none. */
  server: string | null;
  port?: number;
  /** The server said something, if only that there is no such name. */
  replied: boolean;
  cause: Cause;
}

/** Where the engine's embedded name server listens in every container's namespace. */
const embedded = '127.0.0.11';

function told(world: World, sentence: string, rest: Partial<Diagnosis> = {}): Diagnosis {
  const nothing = { rootCause: null, way: [], back: [], evidence: [], mend: null };
  return { ...nothing, unlooked: world.unlooked, ...rest, sentence };
}

const bare = (name: string): string => name.replace(/\.$/, '').toLowerCase();

function called(container: EngineContainer, name: string): EngineContainer['networks'] {
  const own = bare(container.name) === name;
  return container.networks.filter(({ aliases }) => own || aliases.some((alias) => bare(alias) === name));
}

/** Who has the name, as the engines of the lab know it, for a container that asked its embedded server in vain. */
function explainUnknown(world: World, request: NameRequest): Diagnosis | null {
  const { source, name } = request;
  const wanted = bare(name);
  const asker = source.container;
  if (!asker) return null;
  const mine = asker.networks.map((network) => network.name);
  const known = [...world.engines].flatMap(([host, { containers }]) => containers.map((one) => ({ host, one })));
  const owner =
    known.find(
      ({ host, one }) => host === source.endpoint.host && (bare(one.name) === wanted || called(one, wanted).length > 0),
    ) ?? known.find(({ one }) => bare(one.name) === wanted || called(one, wanted).length > 0);
  if (!owner) {
    const near = known.find(({ one }) => wanted.startsWith(`${bare(one.name)}.`));
    return near
      ? told(world, `nobody is called ${name}; ${near.host} has ${near.one.name}`, {
          rootCause: 'name-not-here',
          mend: `ask for ${near.one.name}`,
        })
      : null;
  }
  const { host, one } = owner;
  if (one.status !== 'running' && one.status !== 'paused')
    return told(
      world,
      `${one.name} on ${host} is not running (${one.status}), and the engine gives names of running containers only`,
      {
        rootCause: 'container-not-running',
        mend: `docker start ${one.name}, on ${host}`,
      },
    );
  const theirs = one.networks.map((network) => network.name);
  const shared = one.networks.filter((network) => mine.includes(network.name) && host === source.endpoint.host);
  if (shared.length > 0 && mine.every((network) => network === 'bridge'))
    return told(
      world,
      `${source.label} and ${one.name} are on the default bridge only, where the engine gives no names`,
      {
        rootCause: 'name-not-here',
        mend: 'put both on a network of their own: docker network create NAME',
      },
    );
  if (shared.length > 0) return null;
  return told(
    world,
    `${name} is a name on ${theirs.length === 0 ? 'no network' : `network ${theirs.join(', ')}`} of ${host}; ${source.label} is on ${mine.join(', ') || 'none'}`,
    {
      rootCause: 'name-not-here',
      evidence: [`The engine of ${host} lists ${one.name} on ${theirs.join(', ') || 'no network'}.`],
      mend: `docker network connect ${mine[0] ?? 'NETWORK'} ${one.name}, on ${host}`,
    },
  );
}

/** The question did not come back: it is followed as any packet is. */
function explainLost(world: World, request: NameRequest, found: Diagnosis | null): Diagnosis | null {
  const { source, server } = request;
  if (server !== null && server !== embedded && holdersOf(world, server).length === 0 && world.unlooked.length === 0)
    return told(world, `the name server ${server} that ${source.label} asks is nobody in the lab`, {
      rootCause: 'resolver-wrong',
      mend: `the right nameserver line in the resolv.conf of ${source.label}`,
    });
  if (!found || found.sentence === '') return null;
  return {
    ...found,
    rootCause: found.rootCause ?? 'resolver-unreachable',
    sentence: `the question to ${server ?? '?'}: ${found.sentence}`,
  };
}

/** Why a name did not resolve: who has it, or where the question for it is lost. */
export async function explainName(context: ProbeContext, request: NameRequest): Promise<Diagnosis | null> {
  const { source, name, server, replied } = request;
  if (server === null) {
    const sentence = `${source.label} has no name server: its resolv.conf names none`;
    const mend = `a nameserver line in the resolv.conf of ${source.label}`;
    return { sentence, rootCause: 'resolver-wrong', way: [], back: [], evidence: [], mend, unlooked: [] };
  }
  const family = familyOf(server) === 6 ? 6 : 4;
  const payload = encodeQuery(randomInt(0x10000), name, 'A');
  if (!payload) return null;
  const observation = await observe(context, {
    source,
    target: { address: server, family, label: server, how: '', owner: null },
    proto: 'udp',
    port: request.port ?? 53,
    payload,
    cause: request.cause,
    answeredBy: null,
    path: null,
  });
  // The engine's server passes on what it does not know, and is silent when nobody answers that.
  const unknown = server === embedded ? explainUnknown(observation.world, request) : null;
  if (unknown || replied) return unknown;
  const seen = buildCase(observation, source, context.plan);
  return explainLost(observation.world, request, seen ? explain(seen) : null);
}
