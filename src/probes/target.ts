import { faultText } from '../model/fault.js';
import { z } from 'zod';
import { canonicalAddress, familyOf } from '../model/cidr.js';
import { askIp, readItems } from '../facts/answer.js';
import { holdersOf, surveyAddresses } from '../facts/holders.js';
import type { Cause, ProbeCause } from '../model/verdict.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { formatEndpoint } from '../places/endpoint.js';
import type { Endpoint, VantageEndpoint } from '../places/endpoint.js';
import type { ProbeContext } from '../places/context.js';
import { resolveName } from './resolver.js';
import { addressOn, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { ContainerFacts, Vantage } from '../places/vantage.js';

/** An address to send a probe to, and what is known about who owns it. */
export interface ResolvedTarget {
  address: string;
  family: 4 | 6;
  /** As the scenario writes it, with the address where that says more: `node1/test (10.0.1.2)`. */
  label: string;
  /** How the address was found, as a clause: "its address on network ov_net1". */
  how: string;
  /** Where the address lives, for controls and diagnosis; `null` when netrig was not told (`findOwner` looks for it). */
  owner: Vantage | null;
}

/** Why there is no address to probe. */
export interface TargetProblem {
  problem: 'target';
  /** What a positive expectation fails with; `null` where nothing can be said (the engine did not answer). */
  cause: Cause | null;
  /** Set where a name did not resolve: a failure that an expectation may ask for. Which server said so, if any did. */
  resolution: { server: string | null; replied: boolean } | null;
  reason: string;
}

export interface TargetOptions {
  /** A segment (for hosts) or a network (for containers) to take the address from. */
  via?: string | undefined;
  /** Default 4, or the family of a literal address. */
  family?: 4 | 6 | undefined;
}

export function isTargetProblem(value: object): value is TargetProblem {
  return 'problem' in value && value.problem === 'target';
}

/** One address that a place has, by what its own kernel says. */
export interface OwnAddress {
  device: string;
  address: string;
}

/** What a place says of its own addresses, or why it could not be asked. */
export type OwnAddresses = OwnAddress[] | { unknown: string };

const zAddresses = z.looseObject({
  ifname: z.string().optional(),
  addr_info: z.array(z.looseObject({ local: z.string().optional(), scope: z.string().optional() })).default([]),
});

/** All addresses of global scope of a place, in the order of its interfaces. Rejects only with NETRIG_SSH_*. */
export async function ownAddresses(context: ProbeContext, place: Vantage): Promise<OwnAddresses> {
  const off = whyOff(context, place);
  if (off !== null) return { unknown: off };
  const answer = await askIp(context, place, ['addr', 'show', 'scope', 'global'], zAddresses);
  if ('unknown' in answer) return answer;
  if ('refusal' in answer) return { unknown: `the addresses of ${place.label} could not be read: ${answer.refusal}` };
  return addressesOf(answer.items);
}

/** The same of a list that something else asked the place for; `null` where it is not one of addresses. */
export function ownAddressesIn(place: Vantage, list: readonly unknown[]): OwnAddress[] | null {
  const items = readItems(place, list, zAddresses);
  return items.success ? addressesOf(items.data) : null;
}

function addressesOf(items: readonly z.output<typeof zAddresses>[]): OwnAddress[] {
  return items.flatMap(({ ifname, addr_info }) =>
    addr_info.flatMap(({ local }) =>
      local === undefined || ifname === undefined ? [] : [{ device: ifname, address: canonicalAddress(local) }],
    ),
  );
}

/** What a step did to the place's host, so that nobody there can be asked; `null` where it runs. */
function whyOff(context: ProbeContext, place: Vantage): string | null {
  const off = context
    .planted?.()
    .find((fault) => (fault.kind === 'poweroff' || fault.kind === 'pause') && fault.host === place.host.name);
  return off === undefined ? null : faultText(off);
}

/** An address with the words for how it was found; a sentence where there is none. */
type Found = { address: string; how: string } | string;

/** Interfaces that an engine made for its own networks: an address there is nobody's idea of "the host's address". */
const enginesOwn = /^(?:docker0|docker_gwbridge|br-[0-9a-f]{12})$/;

/**
 * The address of a host of the plan as a source on another host sees it, or a sentence why there is none. `own`: what the host
 * says it has, which counts: steps add addresses, and move them to bridges. An address of the plan that the host has lost is
 * still the answer where it has no other, so that the probe of it says what has become of it.
 */
export function hostAddress(
  plan: LabPlan,
  own: OwnAddresses,
  source: string,
  host: string,
  options: TargetOptions,
): Found {
  const family = options.family ?? 4;
  const interfaces = plan.hosts.find((one) => one.name === host)?.interfaces ?? [];
  const held = 'unknown' in own ? null : own.filter(({ address }) => familyOf(address) === family);
  const near = new Set(plan.hosts.find((one) => one.name === source)?.interfaces.map(({ segment }) => segment));
  const all = interfaces.flatMap(({ name, segment, address }) => {
    const planned = address === null ? null : canonicalAddress(address.split('/')[0]!);
    const usual = planned !== null && familyOf(planned) === family ? planned : null;
    if (held === null) return usual === null ? [] : [{ segment, address: usual }];
    const has = usual !== null && held.some((one) => one.address === usual);
    const other = held.find(({ device }) => device === name)?.address;
    const chosen = has ? usual : (other ?? usual);
    return chosen === null || chosen === undefined ? [] : [{ segment, address: chosen }];
  });
  if (options.via !== undefined) {
    const chosen = all.find(({ segment }) => segment === options.via);
    return chosen
      ? { address: chosen.address, how: `its address on segment ${options.via}` }
      : `${host} has no IPv${family} address on segment ${options.via}`;
  }
  if (all.length === 0) {
    const other = held?.find(({ device }) => !enginesOwn.test(device));
    if (other) return { address: other.address, how: `its address on ${other.device}` };
    const engines = held?.map(({ device }) => device) ?? [];
    return engines.length === 0
      ? `${host} has no IPv${family} address`
      : `${host} has no IPv${family} address but those that its engine gave it (${engines.join(', ')})`;
  }
  const shared = all.filter(({ segment }) => near.has(segment));
  const chosen = shared[0] ?? all[0]!;
  const among = shared.length > 0 ? shared : all;
  const choice = among.length > 1 ? `; the first of ${among.length}, \`address-on\` picks another` : '';
  return { address: chosen.address, how: `its address on segment ${chosen.segment}${choice}` };
}

/** A container's address as a source sees it: on a network both are on, else on its first network. */
export function containerAddress(
  facts: ContainerFacts,
  source: Vantage,
  options: TargetOptions,
): { address: string; how: string } | string {
  const family = options.family ?? 4;
  const all = facts.networks.flatMap((network) => {
    const address = addressOn(network, family);
    return address === null ? [] : [{ network, address }];
  });
  if (options.via !== undefined) {
    const chosen = all.find(({ network }) => network.name === options.via);
    return chosen
      ? { address: chosen.address, how: `its address on network ${options.via}` }
      : `${facts.name} has no IPv${family} address on network ${options.via}`;
  }
  if (all.length === 0) return `${facts.name} has no IPv${family} address`;
  const near = new Set(source.container?.networks.map(({ id }) => id));
  const shared = all.filter(({ network }) => near.has(network.id));
  const among = shared.length > 0 ? shared : all;
  const chosen = among[0]!;
  const choice = among.length > 1 ? `; the first of ${among.length}, \`address-on\` picks another` : '';
  return { address: chosen.address, how: `its address on network ${chosen.network.name}${choice}` };
}

/** The address of a namespace that no plan and no engine describes: the first of its family, or that on the interface `via`. */
function namespaceAddress(own: OwnAddress[], label: string, options: TargetOptions): Found {
  const family = options.family ?? 4;
  const all = own.filter(({ address }) => familyOf(address) === family);
  const chosen = options.via === undefined ? all[0] : all.find(({ device }) => device === options.via);
  if (!chosen) return `${label} has no IPv${family} address${options.via === undefined ? '' : ` on ${options.via}`}`;
  const choice =
    options.via === undefined && all.length > 1
      ? `; the first of ${all.length}, \`address-on\` picks another interface`
      : '';
  return { address: chosen.address, how: `its address on ${chosen.device}${choice}` };
}

/** Whether the engine states the container's addresses; one that borrows another's namespace has none of its own there. */
function engineStates(facts: ContainerFacts, options: TargetOptions): boolean {
  return (
    options.via !== undefined || facts.networks.some((network) => addressOn(network, options.family ?? 4) !== null)
  );
}

/** A place that exists, with what is known of its addresses: enough to say which of them any source means. */
export interface Owner {
  place: Vantage;
  own: OwnAddresses | null;
}

/** Asks a place for its addresses, where it is the one to ask. Rejects only with NETRIG_SSH_*. */
export async function readOwner(context: ProbeContext, place: Vantage, options: TargetOptions): Promise<Owner> {
  if (place.container && engineStates(place.container, options)) return { place, own: null };
  return { place, own: await ownAddresses(context, place) };
}

/**
 * A place that has the addresses its plan gives it, until it was asked; `null` where no plan says, or it need not be asked.
 * What is sent on that assumption counts only where `readOwner` leads to the same address.
 */
export function plannedOwnerOf(context: ProbeContext, place: Vantage, options: TargetOptions): Owner | null {
  const asked = !place.container || !engineStates(place.container, options);
  if (!asked || !usesPlan(context.plan, place) || whyOff(context, place) !== null) return null;
  return { place, own: { unknown: 'it was not asked' } };
}

const usesHost = ({ endpoint, container }: Vantage): boolean =>
  endpoint.kind === 'host' || container?.networkMode === 'host';

/** Whether the place has a host's addresses, and the plan gives that host some. */
function usesPlan(plan: LabPlan, place: Vantage): boolean {
  const host = place.endpoint.host;
  return (
    usesHost(place) && plan.hosts.some(({ name, interfaces }) => name === host && interfaces.some((one) => one.address))
  );
}

/** The address of `owner` that `source` means. */
export function addressOfOwner(
  plan: LabPlan,
  { place, own }: Owner,
  source: Vantage,
  options: TargetOptions,
): ResolvedTarget | TargetProblem {
  const facts = place.container;
  const host = place.endpoint.host;
  // What a host could not say of itself the plan does.
  if (own !== null && 'unknown' in own && !usesPlan(plan, place)) return targetProblem(null, own.unknown);
  const found: Found =
    own === null
      ? containerAddress(facts!, source, options)
      : usesHost(place)
        ? hostAddress(plan, own, source.endpoint.host, host, options)
        : namespaceAddress(own as OwnAddress[], place.label, options);
  if (typeof found === 'string') return targetProblem('absent', found);
  const address = canonicalAddress(found.address);
  return {
    address,
    family: familyOf(address) as 4 | 6,
    label: `${place.label} (${found.address})`,
    how: found.how,
    owner: place,
  };
}

function targetProblem(
  cause: Cause | null,
  reason: string,
  resolution: TargetProblem['resolution'] = null,
): TargetProblem {
  return { problem: 'target', cause, resolution, reason };
}

/**
 * The cause that a probe fails with whose target's name did not resolve. What a server said stays; what kept the server from
 * saying anything (silence, no route to it) is `unknown-host`, so that it can't be taken for a fate of the probe itself.
 */
function nameCause(cause: ProbeCause): ProbeCause {
  return cause === 'nxdomain' || cause === 'servfail' || cause === 'dns-refused' || cause === 'no-answer'
    ? cause
    : 'unknown-host';
}

/**
 * Finds the address to probe. Endpoints are looked up where they live; names are resolved from inside the source. Rejects only
 * with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*.
 */
export async function resolveTarget(
  context: ProbeContext,
  source: Vantage,
  target: Endpoint,
  options: TargetOptions = {},
): Promise<ResolvedTarget | TargetProblem> {
  const label = formatEndpoint(target);
  if (target.kind === 'address') {
    return {
      address: canonicalAddress(target.address),
      family: familyOf(target.address) as 4 | 6,
      label,
      how: 'as given',
      owner: null,
    };
  }
  const family = options.family ?? 4;
  if (target.kind === 'name') {
    const resolution = await resolveName(context, source, target.name, { type: family === 4 ? 'A' : 'AAAA' });
    if (resolution.saw === 'nothing') return targetProblem(null, resolution.text);
    if (resolution.saw === 'failure')
      return targetProblem(
        nameCause(resolution.cause),
        `${label} does not resolve at ${source.label}: ${resolution.text}`,
        {
          server: resolution.server,
          replied: resolution.replied,
        },
      );
    const address = resolution.addresses[0];
    if (address === undefined)
      return targetProblem('no-answer', `${label} has no IPv${family} address at ${source.label}`, {
        server: resolution.by,
        replied: true,
      });
    const more = resolution.addresses.length > 1 ? `; the first of ${resolution.addresses.length} answers` : '';
    return {
      address: canonicalAddress(address),
      family,
      label: `${label} (${address})`,
      how: `resolved by ${resolution.by}${more}`,
      owner: null,
    };
  }
  const owner = await resolveVantage(context, target);
  if (isVantageProblem(owner)) {
    const absent =
      owner.problem === 'no-such-container' || owner.problem === 'not-running' || owner.problem === 'no-such-netns';
    return targetProblem(absent ? 'absent' : null, owner.reason);
  }
  return addressOfOwner(context.plan, await readOwner(context, owner, options), source, options);
}

/** The one host that the plan gives an address to. */
export function plannedOwner(plan: LabPlan, address: string): string | null {
  const wanted = canonicalAddress(address);
  const planned = plan.hosts.filter((host) =>
    host.interfaces.some((nic) => nic.address !== null && canonicalAddress(nic.address.split('/')[0]!) === wanted),
  );
  return planned.length === 1 ? planned[0]!.name : null;
}

/**
 * Looks for whoever owns an address: hosts of the plan by what was planned, then everybody in the lab by what they say of
 * themselves (hosts, named network namespaces, containers). An address that more than one has (every engine starts at
 * 172.17.0.2) belongs to the one on the source's own host; `null` when that does not settle it, or when nobody in the lab has
 * it. Rejects only with NETRIG_SSH_*.
 */
export async function findOwner(context: ProbeContext, source: Vantage, address: string): Promise<Vantage | null> {
  const wanted = canonicalAddress(address);
  const planned = plannedOwner(context.plan, wanted);
  const known = planned === null ? null : { kind: 'host' as const, host: planned };
  const endpoint = known ?? (await heldBy(context, source, wanted));
  if (!endpoint) return null;
  const owner = await resolveVantage(context, endpoint);
  return isVantageProblem(owner) ? null : owner;
}

async function heldBy(context: ProbeContext, source: Vantage, address: string): Promise<VantageEndpoint | null> {
  const all = holdersOf(await surveyAddresses(context), address);
  const near = all.filter(({ endpoint }) => endpoint.host === source.endpoint.host);
  const chosen = near.length === 1 ? near[0] : all.length === 1 ? all[0] : undefined;
  return chosen?.endpoint ?? null;
}
