import { z } from 'zod';
import { addressesOf } from '../model/planned-addresses.js';
import type { Control, Diagnosis } from '../model/verdict.js';
import { contains, familyOf, parseCidr } from '../model/cidr.js';
import { rulesThatDropped } from '../facts/drop-counters.js';
import { holdersOf, surveyAddresses } from '../facts/holders.js';
import type { Survey } from '../facts/holders.js';
import { listLinks } from '../facts/links.js';
import type { Link } from '../facts/links.js';
import { listensAt, readListeners } from '../facts/listeners.js';
import { neighbourSilent } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import type { ProbeContext } from '../places/context.js';
import { runScript } from '../places/script.js';
import type { ScriptPart } from '../places/script.js';
import { beside, inside, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { sawArrive } from '../probes/arrival.js';
import { connectCommand, connectProgram, readConnectOutput } from '../probes/connect-probe.js';
import { readPing } from '../probes/ping-output.js';
import type { ResolvedTarget } from '../probes/target.js';
import { quoteArg, quoteArgv } from '../ssh/quote.js';
import type { ExecResult } from '../ssh/ssh.js';
import type { Sighting } from './expectation.js';
import { isOwnersMac } from './identity.js';
import { brokenWay, noWayBack } from './way-back.js';

/** What goes over the path whose state is asked. */
export interface PathRequest {
  context: ProbeContext;
  source: Vantage;
  target: ResolvedTarget;
  path: PathEvidence | null;
  /** What the probe is to those who carry it; `null` where no one packet is the probe. */
  service: Service | null;
  /** Sends the very probe again. */
  send: (from: Vantage, to: ResolvedTarget) => Promise<Sighting>;
  /** Sends the probe once more and follows it: where it was lost, and why. */
  followed?: () => Promise<Diagnosis | null>;
  /** What a reader can do where nothing shows that the way carries packets; by default, name a control. */
  hint?: string;
  /** One of many pairs: it is followed only where nothing else shows that the way carries packets. */
  many?: boolean;
}

export interface Service {
  proto: 'icmp' | 'tcp' | 'udp';
  /** `null` for ICMP. */
  port: number | null;
}

/** Ports of which any host says at least that nobody listens: ssh, which lab hosts have, and discard. */
const usualPorts = [22, 9];
/** So many ports that somebody listens on are tried at most: a packet filter lets through those that are meant to be used. */
const triedListeners = 30;
const waitMs = 700;

const pingOnce = (address: string): string =>
  `LC_ALL=C ${quoteArgv(['ping', '-n', '-c', '1', '-W', String(waitMs / 1000), address])}`;

/** Whether the output of `pingOnce` holds a reply of the address. */
function replied(output: string | undefined, address: string): boolean {
  const report = output === undefined ? null : readPing(output, address);
  return report !== null && 'received' in report && report.received > 0;
}

/** Ports of the target, other than the probe's own, that may answer where that one is filtered. */
async function otherPorts({ context, target, service }: PathRequest, owner: Vantage): Promise<number[]> {
  const place = beside(owner);
  const listed = await place.host.exec(place.enter(['ss', '-H', '-l', '-n', '-t']), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  const listeners = listed.exitCode === 0 ? readListeners(listed.stdout) : [];
  const open = listeners.map(({ port }) => port).filter((port) => listensAt(listeners, target.address, port));
  const own = service?.proto === 'tcp' ? service.port : null;
  return [...new Set([...usualPorts, ...open.slice(0, triedListeners)])].filter((port) => port !== own);
}

/** Shell text of TCP attempts at other ports of an address; the program comes in `$program`. */
const tryOthers = (address: string, ports: readonly number[]): string =>
  `printf '%s' "$program" | ${connectCommand({ proto: 'tcp', waitMs, targets: ports.map((port) => ({ address, port })) })}`;

/** Which of the other ports the address itself gave any answer on; `null`: none. */
function otherAnswer(output: string | undefined, address: string, ports: readonly number[]): string | null {
  const sightings = output === undefined ? null : readConnectOutput(output, ports.length);
  for (const [at, sighting] of (sightings ?? []).entries()) {
    if (sighting.saw === 'open') return `accepts TCP at port ${ports[at]}`;
    if (sighting.saw === 'error' && sighting.where === 'remote' && sighting.errno === 'ECONNREFUSED')
      if (sighting.icmp === null || sighting.icmp.from === address) return `refuses TCP at port ${ports[at]}`;
  }
  return null;
}

const arpingArgv = (device: string, address: string): string[] => [
  'arping',
  '-c',
  '1',
  '-w',
  '1',
  '-I',
  device,
  address,
];

/** The hardware address of the first reply that iputils' arping printed for the address. */
function arpReply(output: string | undefined, address: string): string | null {
  const match = /^(?:Unicast|Broadcast) reply from (\S+) \[([0-9A-F:]{17})\]/im.exec(output ?? '');
  return match && match[1] === address ? match[2]!.toLowerCase() : null;
}

/**
 * Whether somebody on the way may answer ARP in the target's place, with the target's own hardware address: a VXLAN device that
 * answers for those behind it, as each overlay network of Docker has (ip-link(8): `proxy`), or a bridge port (bridge(8):
 * `neigh_suppress`). Between interfaces of hosts on one segment there is nothing but the segment, and a host has no tunnel to
 * itself.
 */
function mayBeProxied({ source }: PathRequest, owner: Vantage, device: string): boolean {
  if (source.host.name === owner.host.name) return false;
  const onSegment = source.host.plan.interfaces.some((nic) => nic.name === device || nic.device === device);
  return !(source.endpoint.kind === 'host' && onSegment);
}

/** The hardware address with which the target itself answers an ARP request of the source; `null`: it does not. */
async function answersArp(request: PathRequest, owner: Vantage, device: string): Promise<string | null> {
  const { context, source, target } = request;
  const from = beside(source);
  const { address } = target;
  const ask = (): Promise<ExecResult> =>
    from.host.exec(from.enter(arpingArgv(device, address)), {
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
    });
  const mac = arpReply((await ask()).stdout, address);
  if (mac === null || !(await isOwnersMac(context, owner, mac))) return null;
  if (!mayBeProxied(request, owner, device)) return mac;
  const seen = await sawArrive(context, owner, { address, proto: 'arp', port: null, from: senders(request) }, ask);
  return seen !== null && 'from' in seen ? mac : null;
}

/** Anything of the target that the source hears by another probe over the same path. */
async function anyAnswer(request: PathRequest, owner: Vantage): Promise<string | null> {
  const { context, source, target, path } = request;
  const from = beside(source);
  const { address } = target;
  const route = path?.route && 'dev' in path.route ? path.route : null;
  const onLink = route !== null && route.gateway === null && target.family === 4 && !route.local;
  // The neighbour first, by itself: where it answers, no more is sent.
  const mac = onLink ? await answersArp(request, owner, route.dev) : null;
  if (mac !== null) return `${owner.label} answers ARP (${mac})`;
  const ports = await otherPorts(request, owner);
  const parts: ScriptPart[] = [
    { name: 'ping', shell: pingOnce(address), atOnce: true },
    { name: 'tcp', shell: tryOthers(address, ports), atOnce: true },
  ];
  const { parts: said } = await runScript(from.host, parts, {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    prelude: `program=${quoteArg(connectProgram)}\nexport program`,
    wrap: (shell) => inside(from, shell),
  });
  if (replied(said.get('ping')?.output, address)) return `${target.label} answers pings`;
  const other = otherAnswer(said.get('tcp')?.output, address, ports);
  return other === null ? null : `${target.label} ${other}`;
}

/** Addresses that the source's packets may come with: its own, and its host's, which may translate them. */
function senders({ source, path }: PathRequest): string[] {
  const own = path?.route && 'source' in path.route && path.route.source !== null ? [path.route.source] : [];
  const hosts = source.host.plan.interfaces.flatMap((nic) => addressesOf(nic).map((address) => address.split('/')[0]!));
  return [...new Set([...own, ...hosts])];
}

/** The very probe comes in at the target, whose own business it then is not to answer. */
async function arrives(request: PathRequest, owner: Vantage): Promise<{ from: string } | null> {
  const { context, source, target, service } = request;
  if (!service) return null;
  const seen = await sawArrive(
    context,
    owner,
    { address: target.address, proto: service.proto, port: service.port, from: senders(request) },
    () => request.send(source, target),
  );
  return seen !== null && 'from' in seen ? seen : null;
}

/** ms that must be left for the probe to be followed once more. */
const followingMs = 12_000;

/** What following the probe says; `null`: nothing, or there is no time for it. */
async function followOnce({ context, followed }: PathRequest): Promise<Diagnosis | null> {
  return followed && context.timeLeftMs() > followingMs ? await followed() : null;
}

/** Hosts of the lab that lie beyond the source's own wires, other than those named. */
function beyond(survey: Survey, request: PathRequest, besides: readonly string[]): string[] {
  const { context, source, target } = request;
  const near = survey.holders
    .filter(({ endpoint, family }) => endpoint.host === source.host.name && family === target.family)
    .flatMap(({ address, prefix }) => (prefix === null ? [] : [`${address}/${prefix}`]));
  return context.plan.hosts
    .filter(({ name }) => name !== source.host.name && !besides.includes(name))
    .flatMap(({ interfaces }) => interfaces)
    .flatMap(({ address }) => (address === null ? [] : [address.split('/')[0]!]))
    .filter((one) => familyOf(one) === target.family)
    .filter((one) => source.container !== null || !near.some((subnet) => contains(parseCidr(subnet)!, one)))
    .slice(0, 4);
}

const hintOf = ({ hint }: PathRequest): string => hint ?? 'name a `control` that goes the same way';

/** Somebody else whom the source reaches through the same router. */
async function forwardsToOthers(
  request: PathRequest,
  gateway: string,
  candidates: readonly string[],
): Promise<string | null> {
  if (candidates.length === 0) return null;
  const { context, source, target } = request;
  const from = beside(source);
  const family = target.family === 6 ? '-6' : '-4';
  const { parts } = await runScript(
    from.host,
    candidates.flatMap((address, at): ScriptPart[] => [
      { name: `route-${at}`, shell: quoteArgv(['ip', '-j', family, 'route', 'get', address]), atOnce: true },
      { name: `ping-${at}`, shell: pingOnce(address), atOnce: true },
      { name: `tcp-${at}`, shell: tryOthers(address, usualPorts), atOnce: true },
    ]),
    {
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
      prelude: `program=${quoteArg(connectProgram)}\nexport program`,
      wrap: (shell) => inside(from, shell),
    },
  );
  for (const [at, address] of candidates.entries()) {
    if (!parts.get(`route-${at}`)?.output.includes(`"gateway":"${gateway}"`)) continue;
    if (replied(parts.get(`ping-${at}`)?.output, address)) return `${source.label} reaches ${address} through it`;
    if (otherAnswer(parts.get(`tcp-${at}`)?.output, address, usualPorts) !== null)
      return `${source.label} reaches ${address} through it`;
  }
  return null;
}

/** Hosts that are asked at most whether they translate destinations. */
const askedRouters = 12;

/**
 * Whether a host that packets between segments, or of the source's containers, pass has any rule that translates destinations:
 * only then is it worth following a probe for one. A host that says nothing has none.
 */
async function anyTranslates({ context, source }: PathRequest): Promise<boolean> {
  const routers = context.plan.hosts
    .filter(({ name, interfaces }) => interfaces.length > 1 || name === source.host.name)
    .slice(0, askedRouters);
  const options = { timeoutMs: context.timeLeftMs(), signal: context.signal, keepBytes: 4 << 20 };
  const said = await Promise.all(
    routers.map(({ name }) =>
      context
        .host(name)
        .exec(['nft', 'list', 'ruleset'], options)
        .then(
          ({ exitCode, stdout }) => exitCode === 0 && /\b(?:dnat|redirect)\b/i.test(stdout),
          () => false,
        ),
    ),
  );
  return said.includes(true);
}

/** Whether a rule, in the words of iptables or nft, drops some packets and not all. */
function chooses(rule: string): boolean {
  const rest = rule
    .replace(/-j .*$/, '')
    .replace(/-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+)/g, '')
    .replace(/\b(?:log|comment)\b(?: (?:prefix|level|group|flags))?(?: "[^"]*"| \w+)?/g, '')
    .replace(/\bmeta nftrace set \d+|\bcounter(?: packets \d+ bytes \d+)?/g, '')
    .replace(/\b(?:drop|reject\b.*)$/, '');
  return rest.trim() !== '';
}

/** The router in between is a host of the lab: it carries other packets of the source, or a rule of its own drops this one. */
async function routerWorks(request: PathRequest, owner: Vantage): Promise<{ held: boolean; seen: string }> {
  const { context, source, target, path } = request;
  const gateway = path?.route && 'gateway' in path.route ? path.route.gateway : null;
  const no = (seen: string): { held: boolean; seen: string } => ({ held: false, seen });
  const hint = hintOf(request);
  if (gateway === null) return no(`nothing of ${source.label} comes in at ${owner.label}: ${hint}`);
  const survey = await surveyAddresses(context);
  const holders = holdersOf(survey, gateway);
  const holder = holders.find(({ endpoint }) => endpoint.host === source.host.name) ?? holders[0];
  if (!holder) return no(`nobody in the lab is known to own the gateway ${gateway}: ${hint}`);
  const router = await resolveVantage(context, holder.endpoint);
  if (isVantageProblem(router)) return no(router.reason);
  const dropped = await rulesThatDropped(context, router, target.address, senders(request), () =>
    request.send(source, target),
  );
  if (dropped !== null && dropped.length > 0) return { held: true, seen: `${router.label} drops it by ${dropped[0]}` };
  const found = await followOnce(request);
  const lost = found?.way.find(({ state }) => state === 'broken')?.place;
  // A policy, or a rule that drops whatever it meets, is as good as a router that forwards nothing.
  if (found?.rootCause === 'filtered' && lost === router.label && found.rule !== undefined && chooses(found.rule))
    return { held: true, seen: found.sentence };
  const broken = brokenWay(found);
  if (broken !== null) return no(`${broken}: ${hint}`);
  const others = await forwardsToOthers(
    request,
    gateway,
    beyond(survey, request, [owner.host.name, ...(router.label === router.host.name ? [router.label] : [])]),
  );
  if (others === null)
    return no(
      `nothing of ${source.label} comes in at ${owner.label}, and nothing shows that the gateway ${gateway} (${router.label}) carries anything at all: ${hint}`,
    );
  const sighting = await request.send(router, target);
  return sighting.saw === 'success'
    ? { held: true, seen: `${others}, and ${router.label} reaches ${target.label}` }
    : no(`${others}, but ${router.label} does not reach ${target.label} either: ${hint}`);
}

const zAddressedLinks = z.array(z.object({ ifname: z.string(), flags: z.array(z.string()) }));

/** Why the target's own end of the wire can carry nothing, or is not known; `null`: it is up. */
async function endIsUp(context: ProbeContext, owner: Vantage, target: ResolvedTarget): Promise<string | null> {
  const place = beside(owner);
  const family = target.family === 6 ? '-6' : '-4';
  const listed = await place.host.exec(place.enter(['ip', '-j', family, 'addr', 'show', 'to', target.address]), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  const unknown = `whether the link of ${target.address} at ${owner.label} is up could not be read`;
  if (listed.exitCode !== 0) return unknown;
  let links: z.output<typeof zAddressedLinks>;
  try {
    // `ip` leaves an empty object for each link that it does not show.
    const said = JSON.parse(listed.stdout.trim() === '' ? '[]' : listed.stdout) as unknown[];
    links = zAddressedLinks.parse(said.filter((one) => Object.keys(one as object).length > 0));
  } catch {
    return unknown;
  }
  if (links.length === 0) return `${owner.label} has no interface with the address ${target.address}`;
  if (links.some(({ flags }) => flags.includes('UP') && flags.includes('LOWER_UP'))) return null;
  const { ifname, flags } = links[0]!;
  return `${ifname} of ${owner.label} ${flags.includes('UP') ? 'has no carrier' : 'is down'}`;
}

/** Kinds of links whose wire is a tunnel (ip-link(8)). */
const tunnelKinds = [
  'vxlan',
  'geneve',
  'gretap',
  'ip6gretap',
  'gre',
  'ip6gre',
  'ipip',
  'sit',
  'ip6tnl',
  'vti',
  'bareudp',
];

/** The tunnel that a link of the source is, or that is a port of it where it is a bridge; `null`: neither, or it can't be read. */
async function tunnelOf(context: ProbeContext, source: Vantage, device: string): Promise<string | null> {
  const links = await listLinks(context, source);
  if ('unknown' in links) return null;
  const isTunnel = ({ linkinfo }: Link): boolean => tunnelKinds.includes(linkinfo?.info_kind ?? '');
  const found = links.find((link) => isTunnel(link) && (link.ifname === device || link.master === device));
  return found?.ifname ?? null;
}

/** A silent neighbour on the source's own wire: the wire carries if anybody else on it is heard. */
async function wireCarries(request: PathRequest, owner: Vantage): Promise<{ held: boolean; seen: string }> {
  const { context, source, target, path } = request;
  const end = await endIsUp(context, owner, target);
  if (end !== null) return { held: false, seen: end };
  const from = beside(source);
  const route = path?.route && 'dev' in path.route ? path.route : null;
  if (!route || target.family !== 4) return { held: true, seen: 'both ends are up' };
  const segment =
    source.endpoint.kind === 'host'
      ? source.host.plan.interfaces.find(({ name, device }) => name === route.dev || device === route.dev)?.segment
      : undefined;
  const others = context.plan.hosts
    .filter(({ name }) => name !== source.host.name && name !== owner.host.name)
    .flatMap(({ interfaces }) => interfaces)
    .flatMap((one) => (segment !== undefined && one.segment === segment && one.address ? [one.address] : []))
    .map((address) => address.split('/')[0]!)
    .filter((address) => familyOf(address) === 4)
    .slice(0, 3);
  if (others.length === 0) {
    // That both ends of a tunnel are up says nothing of whether they are ends of one tunnel, and of what carries it.
    const tunnel = await tunnelOf(context, source, route.dev);
    return tunnel === null
      ? { held: true, seen: 'both ends are up, and nobody else is known to be on it' }
      : { held: false, seen: `it is the tunnel ${tunnel}, through which nobody is heard: ${hintOf(request)}` };
  }
  const { parts } = await runScript(
    from.host,
    others.map((address, at) => ({
      name: `arp-${at}`,
      shell: quoteArgv(arpingArgv(route.dev, address)),
      atOnce: true,
    })),
    { timeoutMs: context.timeLeftMs(), signal: context.signal, wrap: (shell) => inside(from, shell) },
  );
  const heard = others.find((address, at) => arpReply(parts.get(`arp-${at}`)?.output, address) !== null);
  return heard === undefined
    ? { held: false, seen: `${others.join(' and ')} on ${route.dev} of ${source.label} answer no ARP request either` }
    : { held: true, seen: `${heard} answers on ${route.dev}` };
}

/**
 * That the way from source to target carries packets, shown over the same path: any other answer of the target, the very probe
 * coming in at it (and its answer having a way back), a rule of the router in between that dropped it, or other packets of the source that this router carries while
 * it reaches the target itself. Rejects only with NETRIG_SSH_*.
 */
export async function pathControl(request: PathRequest, owner: Vantage): Promise<Control> {
  const { source, target, path } = request;
  const title = `the way from ${source.label} to ${target.label} carries packets`;
  const route = path?.route && 'dev' in path.route ? path.route : null;
  if (neighbourSilent(path)) {
    if (route !== null && route.gateway !== null)
      return { title, held: false, seen: `the gateway ${route.gateway} does not answer` };
    return { title: `the wire that ${source.label} sends on carries packets`, ...(await wireCarries(request, owner)) };
  }
  const answer = await anyAnswer(request, owner);
  if (answer !== null) {
    // The target's other answers say nothing of a translation that only this probe meets.
    const routed = (route?.gateway ?? null) !== null && request.many !== true;
    const found = routed && (await anyTranslates(request)) ? await followOnce(request) : null;
    return found?.rootCause === 'nat-wrong'
      ? { title, held: false, seen: `${answer}, but ${found.sentence}` }
      : { title, held: true, seen: answer };
  }
  const arrived = await arrives(request, owner);
  if (arrived === null) return { title, ...(await routerWorks(request, owner)) };
  const seen = `the probe comes in at ${owner.label}`;
  const broken =
    (await noWayBack(request.context, owner, target.address, arrived.from)) ?? brokenWay(await followOnce(request));
  return broken === null
    ? { title, held: true, seen }
    : { title, held: false, seen: `${seen}, but ${broken}: ${hintOf(request)}` };
}
