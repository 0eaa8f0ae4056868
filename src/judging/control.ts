import { z } from 'zod';
import { canonicalAddress } from '../model/cidr.js';
import type { Cause, Control, Diagnosis } from '../model/verdict.js';
import { listensAt, readListeners } from '../facts/listeners.js';
import { runScript } from '../places/script.js';
import { quoteArgv } from '../ssh/quote.js';
import { pathControl } from './same-path.js';
import type { Service } from './same-path.js';
import { connectCommand, connectProgram, readConnectOutput } from '../probes/connect-probe.js';
import { keptApart } from '../places/kept-apart.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import type { ControlSpec, Sighting } from './expectation.js';
import type { ProbeContext } from '../places/context.js';
import { pathParts, readPath } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import { findOwner, isTargetProblem, plannedOwner, resolveTarget } from '../probes/target.js';
import type { ResolvedTarget } from '../probes/target.js';
import { beside, inside, isVantageProblem, resolveVantage } from '../places/vantage.js';
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
  /** What the probe is to those who carry it. */
  service?: Service;
  /** The target must answer itself also where it, or somebody for it, refused. */
  needsTarget?: boolean;
  /** Sends the probe once more and follows it: where it was lost, and why. */
  followed?: () => Promise<Diagnosis | null>;
  /** What a reader can do where no control is found; by default, name one. */
  hint?: string;
  /** One of many pairs that are judged together. */
  many?: boolean;
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
  const control = (sighting: Sighting, differs: string | null): Control => {
    const made = fromSighting(title, sighting);
    return made.held && differs !== null ? { ...made, seen: `${made.seen}; ${differs}` } : made;
  };
  const elsewhere =
    from.label === request.source.label
      ? null
      : `it starts at ${from.label}, not at ${request.source.label}: it shows that ${(author.to ?? target.label) === target.label ? 'the target is up' : 'the control’s own target is up'}, and nothing of the way from ${request.source.label}`;
  if (author.to === undefined) return control(await send(from, target), elsewhere);
  const to = await resolveTarget(context, from, parseEndpoint(author.to, context.plan), { family: target.family });
  if (isTargetProblem(to)) return { title, held: false, seen: to.reason };
  return control(await send(from, to), elsewhere ?? (await otherFirstHop(request, from, to)));
}

/** The author's control leaves the source by another way than the probe did; `null` where it takes the same first hop, or that is not known. */
async function otherFirstHop(
  { context, path, target }: ControlRequest,
  from: Vantage,
  to: ResolvedTarget,
): Promise<string | null> {
  const probed = path?.route;
  if (!probed || !('dev' in probed) || to.address === target.address) return null;
  const place = beside(from);
  const { parts } = await runScript(place.host, pathParts(to.address), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    wrap: (shell) => inside(place, shell),
  });
  const own = readPath(parts, to.address)?.route;
  if (!own || !('dev' in own)) return null;
  const hop = ({ dev, gateway }: { dev: string; gateway: string | null }): string =>
    gateway === null ? dev : `${dev} and ${gateway}`;
  if (own.dev === probed.dev && (own.gateway === null || probed.gateway === null || own.gateway === probed.gateway))
    return null;
  return `it leaves ${from.label} by ${hop(own)}, the probe by ${hop(probed)}: of the way that the probe took it shows nothing`;
}

/** What the owner's own kernel says of the target: a link that is up has its address, and the port is listened on. */
interface OwnWord {
  has: string;
  loopback: 'up' | 'down';
}

/** `null`: the target is not there, or its kernel could not be asked. */
async function ownWord(request: ControlRequest, owner: Vantage, service: Service): Promise<OwnWord | null> {
  const { context, target } = request;
  const option = service.proto === 'udp' ? '-u' : '-t';
  const place = beside(owner);
  const { parts } = await runScript(
    place.host,
    [
      { name: 'links', shell: quoteArgv(['ip', '-j', 'addr', 'show']), errors: 'apart' },
      { name: 'listen', shell: quoteArgv(['ss', '-H', '-l', '-n', option]), errors: 'apart' },
    ],
    { timeoutMs: context.timeLeftMs(), signal: context.signal, wrap: (shell) => inside(place, shell) },
  );
  const links = zOwnLinks.safeParse(parseJson(parts.get('links')?.output ?? ''));
  if (!links.success) return null;
  const loopback = links.data.find(({ ifname }) => ifname === 'lo')?.flags.includes('UP') === false ? 'down' : 'up';
  const link = links.data.find(({ addr_info }) =>
    addr_info.some(({ local }) => local !== undefined && canonicalAddress(local) === target.address),
  );
  if (!link || !link.flags.includes('UP') || !link.flags.includes('LOWER_UP')) return null;
  const has = `it has ${target.address} on ${link.ifname}, which is up`;
  if (service.proto === 'icmp') return { has, loopback };
  const listeners = readListeners(parts.get('listen')?.output ?? '');
  if (!listensAt(listeners, target.address, service.port!)) return null;
  return { has: `${has}; port ${service.port} is listened on`, loopback };
}

/**
 * Why a target that is there need not answer itself: it has no loopback interface to answer by, or a rule of its own, which the
 * probe met there, drops it whoever sends it. `null` where neither is shown.
 */
async function whyMute({ loopback }: OwnWord, { followed }: ControlRequest, owner: Vantage): Promise<string | null> {
  if (loopback === 'down') return 'its loopback interface is down';
  const found = (await followed?.()) ?? null;
  const lost = found === null ? undefined : [...found.way, ...found.back].find(({ state }) => state === 'broken');
  // Lost anywhere else, or for any other reason, it shows nothing of the target.
  return found?.rootCause === 'filtered' && lost?.place === owner.label ? found.sentence : null;
}

const zOwnLinks = z.array(
  z.looseObject({
    ifname: z.string(),
    flags: z.array(z.string()),
    addr_info: z.array(z.looseObject({ local: z.string().optional() })).default([]),
  }),
);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The target is up and answers a probe of this kind from its own namespace, at the very address. */
async function targetAlive(request: ControlRequest, owner: Vantage): Promise<Control> {
  const { target, send, service } = request;
  const title = `${owner.label} answers itself at ${target.address}`;
  const sighting = await send(owner, target);
  if (sighting.saw === 'success' || !service) return fromSighting(title, sighting);
  const word = await ownWord(request, owner, service);
  const mute = word === null ? null : await whyMute(word, request, owner);
  return word === null || mute === null
    ? fromSighting(title, sighting)
    : { title: `${owner.label} is there at ${target.address}`, held: true, seen: `${word.has}; ${mute}` };
}

/** What a refusal is worth: the way there was answered for. With what is listened on there, so that a mistyped port is seen. */
async function answeredFor(request: ControlRequest, answeredBy: string): Promise<Control> {
  const { context, source, target, cause, service } = request;
  const control = { title: `the way to ${target.address} was answered for`, held: true };
  const seen = `${answeredBy} answered: ${cause}`;
  if (cause !== 'refused' || !service || service.proto === 'icmp') return { ...control, seen };
  const owner = target.owner ?? (await findOwner(context, source, target.address));
  if (!owner) return { ...control, seen };
  const place = beside(owner);
  const listed = await place.host.exec(place.enter(['ss', '-H', '-l', '-n', service.proto === 'udp' ? '-u' : '-t']), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  if (listed.exitCode !== 0) return { ...control, seen };
  const ports = [...new Set(readListeners(listed.stdout).map(({ port }) => port))].sort((a, b) => a - b);
  const some = ports.length > 12 ? `${ports.slice(0, 12).join(', ')}, …` : ports.join(', ');
  return {
    ...control,
    seen: `${seen}; ${owner.label} listens on ${ports.length === 0 ? 'no' : ''} ${service.proto} port${ports.length === 1 ? '' : 's'} ${some}`.trimEnd(),
  };
}

/** Controls that stand for what is known of a probe without a look at the target or the way; by what they are called. */
const knownBreak = (source: string, target: string): string => `what keeps ${source} from ${target} is known`;
const askedToSend = (source: string): string => `${source} was asked to send`;

/** Whether a control says nothing of the target and of the way there: a step broke it, or the sender itself refused. */
export function notOfTheWay({ title }: Control): boolean {
  return /^what keeps .* is known$/.test(title) || title.endsWith(askedToSend(''));
}

const zOwnEnds = z.array(
  z.looseObject({ ifname: z.string(), flags: z.array(z.string()), link_index: z.number().optional() }),
);

/**
 * Whether the source itself is dead where its kernel has no route: routes go with the link they lead over. `null` where it has
 * links that carry, or none to anywhere, or they could not be read.
 */
async function deadSource({ context, source }: ControlRequest): Promise<Control | null> {
  const place = beside(source);
  const listed = await place.host.exec(place.enter(['ip', '-j', 'link', 'show']), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  const links = zOwnEnds.safeParse(listed.exitCode === 0 ? parseJson(listed.stdout) : null);
  if (!links.success) return null;
  const carries = ({ flags }: { flags: string[] }): boolean => flags.includes('UP') && !flags.includes('NO-CARRIER');
  const planned = source.endpoint.kind === 'host' ? source.host.plan.interfaces : null;
  const ends = links.data.filter(({ ifname, link_index }) =>
    planned === null
      ? link_index !== undefined
      : planned.some(({ name, device }) => name === ifname || device === ifname),
  );
  const dead = ends.filter((link) => !carries(link));
  // Of a host the plan says which links it is to have; elsewhere one that carries is enough.
  if (dead.length === 0 || (planned === null && dead.length < ends.length)) return null;
  const { ifname, flags } = dead[0]!;
  return {
    title: `${source.label}'s link ${ifname} carries packets`,
    held: false,
    seen: `it ${flags.includes('UP') ? 'has no carrier' : 'is down'}, and routes go with the link they lead over`,
  };
}

/** Steps of the scenario left no way from source to target: that, and nothing else, is why the probe fails. */
function brokenOnPurpose({ context, source, target }: ControlRequest): Control | null {
  const { planted = () => [], plan } = context;
  const to = target.owner?.host.name ?? plannedOwner(plan, target.address);
  const why = to === null ? null : keptApart(plan, planted(), source.host.name, to);
  return why === null
    ? null
    : {
        title: knownBreak(source.label, target.label),
        held: true,
        seen: `${why.length === 1 ? 'a step' : 'steps'} broke it on purpose: ${why.join('; ')}`,
      };
}

/**
 * The controls of a negative: the source's link carries packets; the target is up, answers itself at the very address, and the
 * way from source to target carries packets. An author's control stands in place of the last two.
 *
 * Target and way need none where they can't matter: the sender's own kernel refused to send, or somebody on the way (or the
 * target itself) answered with an ICMP message or a RST.
 */
export async function networkControls(request: ControlRequest): Promise<Control[]> {
  const { context, source, target, cause, answeredBy, author, path } = request;
  const link = linkControl(source, path);
  const links = link ? [link] : [];
  if (author) return [...links, await authorControl(request, author)];
  const apart = answeredBy === target.address ? null : brokenOnPurpose(request);
  if (apart) return [apart];
  const dead = answeredBy === null && cause === 'no-route' && links.length === 0 ? await deadSource(request) : null;
  if (answeredBy === null && (cause === 'no-route' || cause === 'prohibited' || cause === 'too-big'))
    return [
      ...links,
      ...(dead === null ? [] : [dead]),
      { title: askedToSend(source.label), held: true, seen: `its own kernel refused: ${cause}` },
    ];
  if (answeredBy !== null && cause !== 'host-unreachable' && request.needsTarget !== true)
    return [...links, await answeredFor(request, answeredBy)];
  const owner = target.owner ?? (await findOwner(context, source, target.address));
  if (!owner)
    return [
      ...links,
      {
        title: `the owner of ${target.address} answers itself`,
        held: false,
        seen: `nobody in the lab is known to own it; ${request.hint ?? 'name a `control` that reaches it'}`,
      },
    ];
  const alive = await targetAlive(request, owner);
  if (!alive.held) return [...links, alive];
  // A router that says so carried the probe as far as it could be carried.
  if (answeredBy !== null)
    return [...links, alive, { title: 'the way there was answered for', held: true, seen: answeredBy }];
  return [...links, alive, await pathControl({ ...request, service: request.service ?? null }, owner)];
}

/** For TCP and UDP: the source's own stack answers a connection attempt to its own loopback, whatever it answers. */
export async function stackAlive(context: ProbeContext, source: Vantage): Promise<Control> {
  const title = `${source.label} can open connections (to itself)`;
  const from = beside(source);
  const result = await from.host.exec(
    inside(from, connectCommand({ proto: 'tcp', waitMs: 1000, targets: [{ address: '127.0.0.1', port: 1 }] })),
    {
      stdin: connectProgram,
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
    },
  );
  const sighting = readConnectOutput(result.stdout, 1)?.[0];
  if (!sighting)
    return { title, held: false, seen: result.stderr.trim().split('\n').at(-1) || `exit status ${result.exitCode}` };
  // Whatever the kernel says, it said it: a namespace whose loopback interface is down answers ENETUNREACH.
  const held = sighting.saw !== 'silent';
  return { title, held, seen: held ? 'its own stack answered' : 'silence' };
}
