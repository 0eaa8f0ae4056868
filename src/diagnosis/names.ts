import { randomInt } from 'node:crypto';
import type { Cause, Diagnosis } from '../model/verdict.js';
import { familyOf } from '../model/cidr.js';
import type { ProbeContext } from '../places/context.js';
import { isVantageProblem, readNameFiles, resolveVantage, type Vantage } from '../places/vantage.js';
import { readResolvConf } from '../facts/name-files.js';
import { encodeQuery } from '../probes/dns-message.js';
import { askServers } from '../probes/resolver.js';
import { explain, explainAnother } from './explain.js';
import { buildCase, hopsOf } from './follow.js';
import type { Case } from './follow.js';
import { isOwn } from './lookup.js';
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
  /** It is the question over TCP that was lost, since the answer does not fit into a datagram. */
  stream?: true;
}

/** What only a name server says. */
const verdictsOfServers: readonly Cause[] = ['nxdomain', 'no-answer', 'servfail', 'dns-refused'];

/** A container on a host. */
interface Placed {
  host: string;
  one: EngineContainer;
}

/** What a server says that does not answer the question itself (RFC 1035, 4.1.1). */
const saidBy: Partial<Record<Cause, string>> = {
  servfail: 'fails to answer (SERVFAIL)',
  'dns-refused': 'refuses to answer (REFUSED)',
};

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

/** The container with the name, first of those on the asker's own host; and all that the engines of the lab have. */
function ownerOf(world: World, { source, name }: NameRequest): { owner: Placed | undefined; known: Placed[] } {
  const wanted = bare(name);
  const known = [...world.engines].flatMap(([host, { containers }]) => containers.map((one) => ({ host, one })));
  const named = known.filter(({ one }) => bare(one.name) === wanted || called(one, wanted).length > 0);
  return { owner: named.find(({ host }) => host === source.endpoint.host) ?? named[0], known };
}

/** Who has the name, as the engines of the lab know it, for a container that asked its embedded server in vain. */
function explainUnknown(world: World, request: NameRequest): Diagnosis | null {
  const { source, name } = request;
  const wanted = bare(name);
  const asker = source.container;
  if (!asker) return null;
  const mine = asker.networks.map((network) => network.name);
  const { owner, known } = ownerOf(world, request);
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

/** A container that asks another server than its engine's, which knows the name on a network of the container. */
function notEmbedded(world: World, request: NameRequest): Diagnosis | null {
  const { source, name, server } = request;
  const asker = source.container;
  if (!asker || server === embedded) return null;
  const mine = asker.networks.map((network) => network.name).filter((network) => network !== 'bridge');
  const known = world.engines.get(source.endpoint.host)?.containers ?? [];
  const owner = known.find(
    (one) =>
      one.status === 'running' &&
      (called(one, bare(name)).length > 0 || bare(one.name) === bare(name)) &&
      one.networks.some((network) => mine.includes(network.name)),
  );
  if (!owner) return null;
  return told(
    world,
    `${source.label} asks ${server ?? '?'}, not the engine’s server ${embedded}, which knows ${name}`,
    {
      rootCause: 'resolver-wrong',
      evidence: [`The engine of ${source.endpoint.host} has ${owner.name} on a network of ${source.label}.`],
      mend: `nameserver ${embedded} in the resolv.conf of ${source.label}: make the container anew, without --dns`,
    },
  );
}

/** Where processes of the lab listen for questions, but for the one that was asked. At most four. */
function otherServers(world: World, request: NameRequest): { label: string; address: string }[] {
  const found = world.spaces.flatMap((space) => {
    const own = space.listeners.filter(({ proto, port }) => proto === 'udp' && port === 53);
    const bound = own.map(({ address }) => address).filter((address) => familyOf(address) !== 0);
    const all = own.some(({ address }) => ['*', '0.0.0.0', '::'].includes(address))
      ? space.links.flatMap(({ addresses }) => addresses.filter(({ scope }) => scope === 'global'))
      : [];
    return [...bound, ...all.map(({ address }) => address)].map((address) => ({ label: space.label, address }));
  });
  const usable = found.filter(
    ({ address }) =>
      address !== request.server && !/^(?:127\.|0\.0\.0\.0$|::1?$)/.test(address) && !address.startsWith('fe80'),
  );
  const six = request.server?.includes(':') === true;
  const like = (address: string): number => (address.includes(':') === six ? 0 : 1);
  return usable.sort((a, b) => like(a.address) - like(b.address)).slice(0, 4);
}

/** Whether another name server of the lab knows what the one that was asked did not say. */
async function knownElsewhere(
  context: ProbeContext,
  world: World,
  request: NameRequest,
  spoke: boolean,
): Promise<Diagnosis | null> {
  const { source, name, server } = request;
  const others = otherServers(world, request);
  if (others.length === 0 || request.port !== undefined) return null;
  const questions = others.map(({ address }) => ({
    server: address,
    name: name.replace(/\.$/, ''),
    type: 'A' as const,
  }));
  const answers = await askServers(context, source, questions, { waitMs: 500, tries: 1 });
  const at = answers.findIndex(({ saw }) => saw === 'answer');
  const knows = others[at];
  if (!knows) return null;
  const holder = holdersOf(world, server ?? '')[0]?.space.label;
  const said = saidBy[request.cause] ?? `does not know ${name}`;
  const asked =
    holder === undefined
      ? `${server ?? '?'}, which nobody has`
      : `${holder} (${server ?? '?'}), which ${spoke ? said : 'is no name server'}`;
  return told(world, `${source.label} asks ${asked}; ${knows.label} (${knows.address}) knows ${name}`, {
    rootCause: 'resolver-wrong',
    evidence: [`${knows.address} answered ${source.label} for ${name}.`],
    mend: `nameserver ${knows.address} in the resolv.conf of ${source.label}`,
  });
}

/** Hosts whose resolv.conf is read for a domain, at most. */
const readHosts = 8;

/** Domains by which other hosts of the lab complete short names, and those of names that its name servers know. */
async function domainsOfLab({ context, source, name }: { context: ProbeContext } & NameRequest): Promise<string[]> {
  const { plan } = context;
  const start = `${bare(name)}.`;
  const recorded = plan.hosts
    .flatMap(({ records = [] }) => records.map((record) => bare(record.name)))
    .flatMap((known) => (known.startsWith(start) ? [known.slice(start.length)] : []));
  const others = plan.hosts.filter((host) => host.name !== source.endpoint.host).slice(0, readHosts);
  const read = await Promise.all(
    others.map(async ({ name: host }) => {
      const place = await resolveVantage(context, { kind: 'host', host });
      if (isVantageProblem(place)) return [];
      return readResolvConf((await readNameFiles(context, place)).resolvConf).search;
    }),
  ).catch((): string[][] => []);
  return [...recorded, ...read.flat().map(bare)];
}

/** A short name that the server which was asked knows by a domain which the place does not complete it by. */
async function otherDomain(context: ProbeContext, world: World, request: NameRequest): Promise<Diagnosis | null> {
  const { source, name, server } = request;
  if (name.includes('.') || server === null || request.port !== undefined) return null;
  const { search } = readResolvConf((await readNameFiles(context, source)).resolvConf);
  const own = search.map(bare);
  const domains = [...new Set(await domainsOfLab({ context, ...request }))].filter((one) => !own.includes(one));
  const asked = domains.slice(0, 4).map((domain) => ({ server, name: `${name}.${domain}`, type: 'A' as const }));
  if (asked.length === 0) return null;
  const answers = await askServers(context, source, asked, { waitMs: 500, tries: 1 });
  const at = answers.findIndex(({ saw }) => saw === 'answer');
  if (at < 0) return null;
  const full = asked[at]!.name;
  const by = own.length === 0 ? 'no domain: its resolv.conf has no `search`' : own.join(', ');
  return told(world, `${source.label} completes short names by ${by}; ${server} knows ${full}`, {
    rootCause: 'resolver-wrong',
    evidence: [`${server} answered ${source.label} for ${full}.`],
    mend: `search ${domains[at]!} in the resolv.conf of ${source.label}, or ask for ${full}`,
  });
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
  const own = world.spaces.find(({ label }) => label === source.label);
  const led = own && [...own.nft.rules.values()].some(({ chain }) => chain.startsWith('DOCKER_'));
  if (server === embedded && found.rootCause === 'nobody-listens' && led === false)
    return {
      ...found,
      rootCause: 'resolver-unreachable',
      sentence: `the question to ${embedded} is not led to the engine: the rules of table nat that do so are gone in ${source.label}`,
      mend: `docker restart ${source.container?.name ?? 'CONTAINER'}, on ${source.endpoint.host}`,
    };
  const asker = source.container;
  if (server === embedded && asker && found.rootCause === null && !ownerOf(world, request).owner)
    return {
      ...found,
      sentence: `no container is called ${request.name}, and whom the engine’s server ${embedded} asks in turn for a name that it does not know gives no answer`,
      mend: `the name of a container on ${asker.networks.map((network) => network.name).join(', ') || 'a network'}, or a name server that answers, in the resolv.conf of ${source.endpoint.host}`,
    };
  // Whose service got the question is reached, whatever it made of it.
  const end = found.way.at(-1);
  const reached =
    end !== undefined &&
    holdersOf(world, server ?? '').some(
      ({ space }) =>
        space.label === end.place &&
        space.listeners.some(
          (one) => one.proto === (request.stream ? 'tcp' : 'udp') && one.port === (request.port ?? 53),
        ),
    );
  return {
    ...found,
    rootCause: found.rootCause ?? (reached ? null : 'resolver-unreachable'),
    sentence: `the question to ${server ?? '?'}${request.stream ? ' over TCP' : ''}: ${found.sentence}`,
  };
}

/** The question was translated on its way, and came to somebody else than the server that was asked. */
function ledElsewhere(c: Case, server: string): Diagnosis | null {
  const end = c.forward.findLast(({ way }) => way === 'in');
  const owner = holdersOf(c.world, server)[0]?.space;
  if (!end || !owner || end.space === owner || end.packet.dst === server || !isOwn(end.space, end.packet.dst))
    return null;
  const by = c.forward.find(({ packet }) => packet.dst === end.packet.dst)!.space;
  return told(
    c.world,
    `${end.space.label} (${end.packet.dst}) answers, not ${owner.label} (${server}): ${by.label} translates the question`,
    {
      rootCause: 'answer-from-another',
      way: hopsOf(c.forward, 'sent'),
      back: hopsOf(c.reply, 'answered'),
      mend: `mend the rule on ${by.label} that translates to ${end.packet.dst}`,
    },
  );
}

/** Whether no process listens for questions at an address of the lab. */
function listensNowhere(world: World, address: string): boolean {
  return holdersOf(world, address).every(
    ({ space }) => !space.listeners.some(({ proto, port }) => proto === 'udp' && port === 53),
  );
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
    port: request.port ?? 53,
    ...(request.stream ? { proto: 'tcp' } : { proto: 'udp', payload }),
    cause: request.cause,
    answeredBy: null,
    path: null,
  });
  // The engine's server passes on what it does not know, and is silent when nobody answers that.
  const { world } = observation;
  const seen = buildCase(observation, source, context.plan);
  const unknown = server === embedded ? explainUnknown(world, request) : notEmbedded(world, request);
  if (unknown) return unknown;
  // A host that says that nobody listens there is no name server that spoke.
  const spoke = replied && verdictsOfServers.includes(request.cause);
  const led = seen && server !== embedded ? ledElsewhere(seen, server) : null;
  if (spoke && led) return led;
  if (request.cause === 'wrong-answer') return led ?? (seen ? explainAnother(seen) : null);
  if (server !== embedded && (spoke || (!request.stream && listensNowhere(world, server)))) {
    const better = await knownElsewhere(context, world, request, spoke);
    if (better) return better;
  }
  if (server !== embedded && spoke) {
    const completed = await otherDomain(context, world, request);
    if (completed) return completed;
  }
  if (spoke) return null;
  return explainLost(world, request, seen ? explain(seen) : null);
}
