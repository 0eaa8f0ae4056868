import { z } from 'zod';
import { isNetrigError } from '../errors.js';
import { canonicalAddress, familyOf } from '../model/cidr.js';
import type { HostPlan } from '../plan/lab-plan.js';
import type { ProbeContext } from '../places/context.js';
import type { VantageEndpoint } from '../places/endpoint.js';
import { runScript } from '../places/script.js';
import type { ScriptPart } from '../places/script.js';
import { runningEngineAnswers } from '../places/engine.js';
import { inEachNamespace } from '../places/vantage.js';
import { quoteArgv } from '../ssh/quote.js';

/** Somebody of the lab who has an address. */
export interface Holder {
  endpoint: VantageEndpoint;
  address: string;
  family: 4 | 6;
  prefix: number | null;
  /** The interface; `null` where the engine states the address. */
  device: string | null;
  /** Lower case; `null` where there is none or the engine states none. */
  mac: string | null;
  /** A container's network, by the engine's id. */
  network: string | null;
}

const zLinks = z.array(
  z.object({
    ifname: z.string().optional(),
    address: z.string().optional(),
    addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.number().optional() })).default([]),
  }),
);

/** Holders in the answer of `ip -j addr`; none where it is no such answer. */
function ofInterfaces(json: string, endpoint: VantageEndpoint): Holder[] {
  const links = zLinks.safeParse(parsed(json));
  return (links.data ?? []).flatMap(({ ifname, address, addr_info }) =>
    addr_info.flatMap(({ local, prefixlen }): Holder[] =>
      local === undefined || ifname === undefined || ifname === 'lo'
        ? []
        : [
            {
              endpoint,
              address: canonicalAddress(local),
              family: familyOf(local) as 4 | 6,
              prefix: prefixlen ?? null,
              device: ifname,
              mac: address?.toLowerCase() ?? null,
              network: null,
            },
          ],
    ),
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json.trim() === '' ? '[]' : json);
  } catch {
    return null;
  }
}

const zListed = z.array(
  z.object({
    Names: z.array(z.string()).nullish(),
    NetworkSettings: z
      .object({
        Networks: z
          .record(
            z.string(),
            z.object({
              NetworkID: z.string().nullish(),
              IPAddress: z.string().nullish(),
              IPPrefixLen: z.number().nullish(),
              GlobalIPv6Address: z.string().nullish(),
              GlobalIPv6PrefixLen: z.number().nullish(),
              MacAddress: z.string().nullish(),
            }),
          )
          .nullish(),
      })
      .nullish(),
  }),
);

function ofEngine(json: string, host: string): Holder[] {
  const listed = zListed.safeParse(parsed(json));
  return (listed.data ?? []).flatMap(({ Names, NetworkSettings }) => {
    // A container's own name has one slash; the others are names of links to it.
    const name = Names?.find((one) => one.lastIndexOf('/') === 0)?.slice(1);
    if (name === undefined) return [];
    return Object.values(NetworkSettings?.Networks ?? {}).flatMap((network) => {
      const of = (address: string | null | undefined, prefix: number | null | undefined): Holder[] =>
        address === undefined || address === null || address === '' || familyOf(address) === 0
          ? []
          : [
              {
                endpoint: { kind: 'container', host, container: name },
                address: canonicalAddress(address),
                family: familyOf(address) as 4 | 6,
                prefix: prefix ?? null,
                device: null,
                mac: network.MacAddress ? network.MacAddress.toLowerCase() : null,
                network: network.NetworkID ?? null,
              },
            ];
      return [
        ...of(network.IPAddress, network.IPPrefixLen),
        ...of(network.GlobalIPv6Address, network.GlobalIPv6PrefixLen),
      ];
    });
  });
}

function ofNamespaces(output: string, host: string): Holder[] {
  const holders: Holder[] = [];
  let name: string | null = null;
  for (const line of output.split('\n')) {
    if (line.startsWith('netns ')) name = line.slice('netns '.length);
    else if (name !== null && line.startsWith('['))
      holders.push(...ofInterfaces(line, { kind: 'netns', host, netns: name }));
  }
  return holders;
}

/** What the hosts, their named network namespaces and their engines say, each of itself. */
export interface Survey {
  holders: Holder[];
  /** Hosts that did not answer, or that a step powered off: who has what there is not known. */
  unread: string[];
}

/**
 * Asks the hosts named (default: all of the lab), at once, who has which address. Loopback interfaces are left out. Rejects
 * only with NETRIG_SSH_*.
 */
export async function surveyAddresses(context: ProbeContext, hosts?: readonly string[]): Promise<Survey> {
  const asked = context.plan.hosts.filter(({ name }) => hosts === undefined || hosts.includes(name));
  const answers = await Promise.all(
    asked.map((plan) =>
      surveyHost(context, plan).catch((error: unknown): Survey => {
        if (isNetrigError(error, 'NETRIG_HOST_OFF')) return { holders: [], unread: [plan.name] };
        throw error;
      }),
    ),
  );
  return { holders: answers.flatMap((one) => one.holders), unread: answers.flatMap((one) => one.unread) };
}

async function surveyHost(context: ProbeContext, { name, engine }: HostPlan): Promise<Survey> {
  const host = context.host(name);
  const show = ['ip', '-j', 'addr', 'show'];
  const ofKernel: ScriptPart[] = [
    { name: 'host', shell: quoteArgv(show), errors: 'apart' },
    { name: 'namespaces', shell: inEachNamespace(show, host.beside !== undefined), errors: 'apart' },
  ];
  const ofEngines: ScriptPart[] = engine
    ? [{ name: 'containers', shell: runningEngineAnswers(['/containers/json']), errors: 'apart' }]
    : [];
  const options = { timeoutMs: context.timeLeftMs(), signal: context.signal, keepBytes: 4 << 20 };
  const scripts = await Promise.all(
    host.beside
      ? [runScript(host.beside, ofKernel, options), ...(engine ? [runScript(host, ofEngines, options)] : [])]
      : [runScript(host, [...ofKernel, ...ofEngines], options)],
  );
  const answers = new Map(scripts.flatMap((script) => [...script.parts]));
  const said = (part: string): string => {
    const result = answers.get(part);
    return result?.exitCode === 0 ? result.output : '';
  };
  if (!answers.has('host')) return { holders: [], unread: [name] };
  return {
    holders: [
      ...ofInterfaces(said('host'), { kind: 'host', host: name }),
      ...ofNamespaces(said('namespaces'), name),
      ...ofEngine(said('containers'), name),
    ],
    unread: [],
  };
}

/** Those that have the address. */
export function holdersOf(survey: Survey, address: string): Holder[] {
  const wanted = canonicalAddress(address);
  return survey.holders.filter((one) => one.address === wanted);
}
