import { canonicalAddress, familyOf } from '../model/cidr.js';
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

/** A host's interfaces with addresses of the family, in the plan's order. */
function hostAddresses(plan: LabPlan, name: string, family: 4 | 6): { segment: string; address: string }[] {
  const host = plan.hosts.find((candidate) => candidate.name === name);
  return (host?.interfaces ?? []).flatMap(({ segment, address }) => {
    const bare = address?.split('/')[0];
    return bare !== undefined && familyOf(bare) === family ? [{ segment, address: bare }] : [];
  });
}

/** The address of a host of the plan as a source on another host sees it, or a sentence why there is none. */
export function hostAddress(
  plan: LabPlan,
  source: string,
  host: string,
  options: TargetOptions,
): { address: string; how: string } | string {
  const family = options.family ?? 4;
  const all = hostAddresses(plan, host, family);
  if (options.via !== undefined) {
    const chosen = all.find(({ segment }) => segment === options.via);
    return chosen
      ? { address: chosen.address, how: `its address on segment ${options.via}` }
      : `${host} has no IPv${family} address on segment ${options.via}`;
  }
  if (all.length === 0) return `${host} has no IPv${family} address`;
  const near = new Set(
    plan.hosts.find((candidate) => candidate.name === source)?.interfaces.map(({ segment }) => segment),
  );
  const shared = all.filter(({ segment }) => near.has(segment));
  const chosen = shared[0] ?? all[0]!;
  const among = shared.length > 0 ? shared : all;
  const choice = among.length > 1 ? `; the first of ${among.length}, \`via\` picks another` : '';
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
  const choice = among.length > 1 ? `; the first of ${among.length}, \`via\` picks another` : '';
  return { address: chosen.address, how: `its address on network ${chosen.network.name}${choice}` };
}

/** The first address with global or host-reachable scope inside a namespace that no plan and no engine describes. */
async function namespaceAddress(
  context: ProbeContext,
  vantage: Vantage,
  options: TargetOptions,
): Promise<{ address: string; how: string } | string> {
  const family = options.family ?? 4;
  const argv = ['ip', '-j', family === 4 ? '-4' : '-6', 'addr', 'show', 'scope', 'global'];
  const result = await vantage.host.exec(vantage.enter(argv), {
    timeoutMs: Math.min(10_000, context.timeLeftMs()),
    signal: context.signal,
  });
  if (result.exitCode !== 0) return `the addresses of ${vantage.label} could not be read: ${result.stderr.trim()}`;
  const links = JSON.parse(result.stdout || '[]') as {
    ifname?: string;
    addr_info?: { local?: string; family?: string }[];
  }[];
  const all = links.flatMap((link) =>
    (link.addr_info ?? []).flatMap(({ local }) =>
      local !== undefined && link.ifname !== undefined ? [{ link: link.ifname, address: local }] : [],
    ),
  );
  const chosen = options.via === undefined ? all[0] : all.find(({ link }) => link === options.via);
  if (!chosen)
    return `${vantage.label} has no IPv${family} address${options.via === undefined ? '' : ` on ${options.via}`}`;
  const choice =
    options.via === undefined && all.length > 1 ? `; the first of ${all.length}, \`via\` picks another interface` : '';
  return { address: chosen.address, how: `its address on ${chosen.link}${choice}` };
}

/** An engine that shares the network namespace of another container (or of its host) states no address for it. */
async function borrowedAddress(
  context: ProbeContext,
  source: Vantage,
  owner: Vantage,
  options: TargetOptions,
): Promise<{ address: string; how: string } | string> {
  const facts = owner.container!;
  if (facts.networkMode === 'host')
    return hostAddress(context.plan, source.endpoint.host, owner.endpoint.host, options);
  return namespaceAddress(context, owner, options);
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
  const problem = (
    cause: Cause | null,
    reason: string,
    resolution: TargetProblem['resolution'] = null,
  ): TargetProblem => ({ problem: 'target', cause, resolution, reason });
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
    if (resolution.saw === 'nothing') return problem(null, resolution.text);
    if (resolution.saw === 'failure')
      return problem(nameCause(resolution.cause), `${label} does not resolve at ${source.label}: ${resolution.text}`, {
        server: resolution.server,
        replied: resolution.replied,
      });
    const address = resolution.addresses[0];
    if (address === undefined)
      return problem('no-answer', `${label} has no IPv${family} address at ${source.label}`, {
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
    return problem(absent ? 'absent' : null, owner.reason);
  }
  const found =
    target.kind === 'host'
      ? hostAddress(context.plan, source.endpoint.host, target.host, options)
      : target.kind === 'netns'
        ? await namespaceAddress(context, owner, options)
        : owner.container!.networks.some((network) => addressOn(network, family) !== null) || options.via !== undefined
          ? containerAddress(owner.container!, source, options)
          : await borrowedAddress(context, source, owner, options);
  if (typeof found === 'string') return problem('absent', found);
  return {
    address: canonicalAddress(found.address),
    family,
    label: `${label} (${found.address})`,
    how: found.how,
    owner,
  };
}

interface ListedContainer {
  Names?: string[];
  NetworkSettings?: { Networks?: Record<string, { IPAddress?: string; GlobalIPv6Address?: string }> };
}

/**
 * Looks for whoever owns an address: hosts of the plan first, then the containers that the engines list. An address that more
 * than one container has (every engine starts at 172.17.0.2) belongs to the one on the source's own host; `null` when that
 * does not settle it, or when nobody in the lab has it.
 */
export async function findOwner(context: ProbeContext, source: Vantage, address: string): Promise<Vantage | null> {
  const wanted = canonicalAddress(address);
  for (const host of context.plan.hosts) {
    if (
      host.interfaces.some((nic) => nic.address !== null && canonicalAddress(nic.address.split('/')[0]!) === wanted)
    ) {
      const owner = await resolveVantage(context, { kind: 'host', host: host.name });
      return isVantageProblem(owner) ? null : owner;
    }
  }
  const engines = context.plan.hosts.filter((host) => host.engine);
  const found = await Promise.all(
    engines.map(async ({ name }): Promise<VantageEndpoint[]> => {
      const result = await context
        .host(name)
        .exec(
          [
            'curl',
            '-sS',
            '--noproxy',
            '*',
            '--max-time',
            '10',
            '--unix-socket',
            '/var/run/docker.sock',
            'http://docker/containers/json',
          ],
          {
            timeoutMs: Math.min(15_000, context.timeLeftMs()),
            signal: context.signal,
            keepBytes: 4 << 20,
          },
        );
      if (result.exitCode !== 0) return [];
      let listed: unknown;
      try {
        listed = JSON.parse(result.stdout);
      } catch {
        return [];
      }
      if (!Array.isArray(listed)) return [];
      return (listed as ListedContainer[]).flatMap((container) => {
        const addresses = Object.values(container.NetworkSettings?.Networks ?? {}).flatMap((network) => [
          network.IPAddress,
          network.GlobalIPv6Address,
        ]);
        const owns = addresses.some((own) => own !== undefined && own !== '' && canonicalAddress(own) === wanted);
        const own = container.Names?.find((containerName) => containerName.lastIndexOf('/') === 0)?.slice(1);
        return owns && own !== undefined ? [{ kind: 'container' as const, host: name, container: own }] : [];
      });
    }),
  );
  const all = found.flat();
  const near = all.filter((endpoint) => endpoint.host === source.endpoint.host);
  const chosen = near.length === 1 ? near[0] : all.length === 1 ? all[0] : undefined;
  if (!chosen) return null;
  const owner = await resolveVantage(context, chosen);
  return isVantageProblem(owner) ? null : owner;
}
