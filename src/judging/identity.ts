import { isNetrigError } from '../errors.js';
import { beside } from '../places/vantage.js';
import { canonicalAddress, contains, parseCidr } from '../model/cidr.js';
import { holdersOf, surveyAddresses } from '../facts/holders.js';
import type { Holder } from '../facts/holders.js';
import type { PathEvidence } from '../facts/path.js';
import type { ProbeContext } from '../places/context.js';
import { formatEndpoint } from '../places/endpoint.js';
import type { Vantage } from '../places/vantage.js';
import type { ResolvedTarget } from '../probes/target.js';

/** Whom a probe of an address reaches: the one that is meant, somebody else, or one of several that can't be told apart. */
export type Answerer =
  | { is: 'target' }
  /** `follow`: a packet that is followed to whoever answers says more. */
  | { is: 'other'; text: string; follow?: true }
  | { is: 'unclear'; text: string };

/** `self`: only whether the source asked itself; enough where nothing came back and nothing had to stay away. */
export type Look = 'self' | 'all';

const meant: Answerer = { is: 'target' };

/** The network namespace that a place is in, by its inode; `null` where it can't be read. */
async function namespaceOf(context: ProbeContext, place: Vantage): Promise<string | null> {
  const from = beside(place);
  const result = await from.host.exec(from.enter(['readlink', '/proc/self/ns/net']), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  return result.exitCode === 0 && result.stdout.trim() !== '' ? `${place.host.name} ${result.stdout.trim()}` : null;
}

/** Two names for one network stack: a container of `--network host` and its host, or one that borrows another's. */
async function sameStack(context: ProbeContext, one: Vantage, other: Vantage): Promise<boolean> {
  if (one.label === other.label) return true;
  if (one.host.name !== other.host.name) return false;
  const [a, b] = await Promise.all([namespaceOf(context, one), namespaceOf(context, other)]);
  return a !== null && a === b;
}

/** Networks of a container on which the address is, by the engine's ids. */
function networksWith(place: Vantage, address: string): string[] {
  return (place.container?.networks ?? []).flatMap(({ id, address: v4, address6 }) =>
    v4 === address || address6 === address ? [id] : [],
  );
}

/**
 * Whether two places that have the address could hear each other at it. Containers are told apart by their engines' networks;
 * hosts by their segments, where the address is one of a segment; what else has an address was given it by somebody.
 */
function onOneNetwork(context: ProbeContext, one: Vantage, other: Vantage, address: string): boolean {
  if (one.container && other.container) {
    const theirs = networksWith(other, address);
    return networksWith(one, address).some((id) => theirs.includes(id));
  }
  if (one.host.name === other.host.name) return true;
  return context.plan.segments.some(({ subnet }) => {
    const cidr = parseCidr(subnet);
    return cidr !== null && contains(cidr, address);
  });
}

/** The source has the target's address itself, so that its own kernel took the probe. */
async function answeredByItself(context: ProbeContext, source: Vantage, target: ResolvedTarget): Promise<Answerer> {
  const { owner, address } = target;
  // An address that was written down, or that a name led to, is nobody's but the source's where the source has it.
  if (!owner) return otherHolder(context, source, address);
  if (await sameStack(context, source, owner)) return meant;
  return onOneNetwork(context, source, owner, address)
    ? {
        is: 'other',
        text: `${source.label} has the address ${address} of ${owner.label} itself: it asks itself, and ${owner.label} hears nothing of it`,
      }
    : {
        is: 'unclear',
        text: `${source.label} has the same address ${address} as ${owner.label}, on another network: a reply would prove nothing`,
      };
}

/** Whether a literal address that the source has is somebody else's on the same wire, too. Loopback is everybody's own. */
async function otherHolder(context: ProbeContext, source: Vantage, address: string): Promise<Answerer> {
  if (address.startsWith('127.') || address === '::1') return meant;
  const survey = await surveyAddresses(context, [source.host.name]);
  const twin = holdersOf(survey, address).find(
    ({ endpoint }) => endpoint.kind !== 'container' && formatEndpoint(endpoint) !== source.label,
  );
  if (!twin || source.container) return meant;
  return {
    is: 'other',
    text: `${source.label} has the address ${address} itself, and so has ${formatEndpoint(twin.endpoint)}: it asks itself`,
  };
}

/** Asked once of each place that was found: it is found anew for every attempt. */
const asked = new WeakMap<Vantage, Promise<string[] | null>>();

function macsOf(context: ProbeContext, owner: Vantage): Promise<string[] | null> {
  const before = asked.get(owner) ?? readMacs(context, owner);
  asked.set(owner, before);
  return before;
}

async function readMacs(context: ProbeContext, owner: Vantage): Promise<string[] | null> {
  const place = beside(owner);
  const asking = place.host.exec(place.enter(['ip', '-j', 'link', 'show']), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
  });
  const result = await asking.catch((error: unknown) => {
    // What a host has that a step powered off can't be asked.
    if (isNetrigError(error, 'NETRIG_HOST_OFF')) return null;
    throw error;
  });
  if (result === null) return null;
  if (result.exitCode !== 0) return null;
  const links = JSON.parse(result.stdout === '' ? '[]' : result.stdout) as { address?: string }[];
  return links.flatMap(({ address }) => (address === undefined ? [] : [address.toLowerCase()]));
}

/** Hardware addresses that are known to be the owner's without asking it. */
function knownMacs(owner: Vantage): string[] {
  return [
    ...(owner.endpoint.kind === 'host' ? owner.host.plan.interfaces.map(({ mac }) => mac) : []),
    ...(owner.container?.networks ?? []).flatMap(({ mac }) => (mac === null ? [] : [mac])),
  ].map((mac) => mac.toLowerCase());
}

/** Whether a hardware address is one of the owner's. Rejects only with NETRIG_SSH_*. */
export async function isOwnersMac(context: ProbeContext, owner: Vantage, mac: string): Promise<boolean> {
  if (knownMacs(owner).includes(mac)) return true;
  return (await macsOf(context, owner))?.includes(mac) ?? false;
}

/** Addresses that a container has by its engine's word. */
function statedAddresses(place: Vantage): string[] {
  return (place.container?.networks ?? []).flatMap(({ address, address6 }) =>
    [address, address6].flatMap((one) => (one === null ? [] : [canonicalAddress(one)])),
  );
}

const names = (holders: readonly Holder[]): string =>
  [...new Set(holders.map(({ endpoint }) => formatEndpoint(endpoint)))].join(' and ');

/**
 * A container of another host that shares no network with the source: every engine hands out the same addresses, so the source's
 * own host (or the router's) may well have one with that address. Engines up to 27 make a container's hardware address from its
 * IP address, so that it does not tell the two apart.
 */
async function twinOnTheWay(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  gateway: string | null,
): Promise<Answerer> {
  const owner = target.owner;
  if (!owner?.container || owner.host.name === source.host.name) return meant;
  const theirs = new Set(owner.container.networks.map(({ id }) => id));
  if (source.container?.networks.some(({ id }) => theirs.has(id))) return meant;
  const survey = await surveyAddresses(context);
  const others = holdersOf(survey, target.address).filter(({ endpoint }) => formatEndpoint(endpoint) !== owner.label);
  const routers = gateway === null ? [] : holdersOf(survey, gateway).map(({ endpoint }) => endpoint.host);
  const near = others.filter(({ endpoint }) => [source.host.name, ...routers].includes(endpoint.host));
  if (near.length === 0 && !survey.unread.includes(source.host.name)) return meant;
  if (near.length === 0)
    return {
      is: 'unclear',
      text: `${source.host.name} could not be asked whether it has that address, too: which of them answers can't be told`,
    };
  return {
    is: 'unclear',
    text: `${names(near)} has the same address ${target.address} as ${owner.label}, and is nearer to ${source.label}: which of them answers can't be told`,
  };
}

/**
 * Whom a probe from `source` to `target` reached, by the sender's own route and neighbour table. On a wire that both are on the
 * neighbour's hardware address is the owner's, or it is somebody else's, who is then named. Rejects only with NETRIG_SSH_*.
 */
export async function whoAnswers(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  path: PathEvidence | null,
  look: Look = 'all',
): Promise<Answerer> {
  const { owner, address } = target;
  if (owner && statedAddresses(source).includes(address)) return answeredByItself(context, source, target);
  const route = path?.route ?? null;
  if (route !== null && 'refused' in route) return meant;
  if (route?.local === true) return answeredByItself(context, source, target);
  if (look === 'self') return meant;
  if (!path || route === null) return twinOnTheWay(context, source, target, null);
  const { gateway } = route;
  const mac = path.neighbourMac ?? null;
  if (!owner) return meant;
  if (gateway !== null || mac === null) return twinOnTheWay(context, source, target, gateway);
  if (await isOwnersMac(context, owner, mac)) return twinOnTheWay(context, source, target, null);
  const survey = await surveyAddresses(context);
  const withMac = survey.holders.filter((one) => one.mac === mac);
  const impostors = withMac.filter((one) => one.address === address && formatEndpoint(one.endpoint) !== owner.label);
  if (impostors.length > 0)
    return {
      is: 'other',
      text: `to ${source.label}, ${address} is ${names(impostors)} (${mac}), which has that address too, and not ${owner.label}`,
    };
  // Whoever answers for an address without having it passes it on (proxy ARP).
  if (withMac.length > 0 || survey.unread.length > 0) return meant;
  return {
    is: 'unclear',
    text: `${address} is answered by ${mac}, which is no hardware address of ${owner.label}, nor of anybody in the lab that is known`,
  };
}
