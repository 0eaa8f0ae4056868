import { z } from 'zod';
import { zCidr, zDockerName, zEndpoint } from '../language/fields.js';
import { canonicalAddress, contains, isAddress, networkAddress, parseCidr } from '../model/cidr.js';
import type { Cidr } from '../model/cidr.js';
import type { Outcome } from '../model/verdict.js';
import { addressesOf } from '../facts/addresses.js';
import type { OwnAddress } from '../facts/addresses.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { claims } from '../judging/claims.js';
import { defineCheck, looksOnly } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { absent as absentValue, describeMatcher, match, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { addressOn, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const zSpec = z
  .strictObject({
    on: z
      .union([zEndpoint, z.array(zEndpoint).min(2)])
      .describe('Whose addresses: a host, a container or a network namespace; for `distinct` a list of them.'),
    interface: z.string().min(1).optional().describe('Only addresses of this interface.'),
    'address-on': zDockerName.optional().describe('For containers: only the address on this network of the engine.'),
    expect: claims({
      is: zMatcher
        .optional()
        .describe(
          'The address, with its prefix length (10.0.0.2/24) or without; or a matcher on the address without it, that one of the addresses must meet.',
        ),
      in: zCidr
        .optional()
        .describe(
          'A subnet that the address must lie in. Without it, distinct takes the subnet that the prefix lengths say.',
        ),
      distinct: z
        .literal(true)
        .optional()
        .describe('Each of those in `on` has an address of its own, all in one subnet.'),
      broadcast: zMatcher
        .optional()
        .describe('The broadcast address that goes with it; { absent: true } for an address without one.'),
      absent: z.literal(true).optional().describe('There is no such address.'),
    }).default({}),
  })
  .transform(({ on, 'address-on': via, interface: name, expect: { distinct, ...claim } }) => ({
    ...claim,
    // An optional key that is not there must not be there.
    ...(name === undefined ? {} : { interface: name }),
    ...(via === undefined ? {} : { via }),
    ...((Array.isArray(on) ? { distinct: on } : { of: on }) as { of?: string; distinct?: string[] }),
    compared: distinct === true,
  }))
  .check((check) => {
    const spec = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: spec, path, continue: true, message });
    if (spec.distinct !== undefined) {
      if (!spec.compared) return wrong(['on'], 'is a list for distinct only');
      if (new Set(spec.distinct).size < spec.distinct.length) wrong(['on'], 'names an endpoint twice');
      if (spec.interface !== undefined) wrong(['interface'], 'does not go with distinct');
      for (const key of ['is', 'broadcast', 'absent'] as const)
        if (spec[key] !== undefined) wrong(['expect', key], 'does not go with distinct');
      return;
    }
    if (spec.compared) return wrong(['expect', 'distinct'], 'compares several: `on` is a list for it');
    if (spec.is === undefined && spec.in === undefined && spec.interface === undefined && spec.via === undefined)
      wrong([], 'must say which address: interface, address-on, or is or in below expect');
    if (holdsNot(spec.is)) wrong(['expect', 'is'], 'not would be met by any other address: use absent: true');
  });
interface Spec {
  of?: string;
  distinct?: string[];
  interface?: string;
  via?: string;
  is?: Matcher;
  in?: string;
  broadcast?: Matcher;
  absent?: true;
}
type One = Spec & { of: string };
type Distinct = Spec & { distinct: string[] };

function isDistinct(spec: Spec): spec is Distinct {
  return spec.distinct !== undefined;
}

function holdsNot(matcher: Matcher | undefined): boolean {
  return typeof matcher === 'object' && matcher !== null && !Array.isArray(matcher) && matcher.not !== undefined;
}

/** Those that tell something first: every link has a link-local address, every namespace its loopback. */
function show(list: readonly OwnAddress[], broadcasts = false): string {
  const telling = list.filter((one) => one.scope === 'global');
  const shown = telling.length > 0 ? telling : list;
  const rest = list.length - shown.length;
  if (shown.length === 0) return 'no address';
  const broadcast = (one: OwnAddress): string => (broadcasts ? ` (broadcast ${one.broadcast ?? 'none'})` : '');
  return `${shown.map((one) => `${one.address}/${one.prefix}${broadcast(one)} on ${one.interface}`).join(', ')}${rest === 0 ? '' : ` (and ${rest} of loopback and link-local)`}`;
}

/** Those addresses that the container has on one of its engine's networks: what the engine states, where an interface really carries it. */
function onNetwork(
  vantage: Vantage,
  network: string,
  all: readonly OwnAddress[],
): { addresses: OwnAddress[] } | { wrong: Outcome } {
  if (vantage.container === null)
    return { wrong: inconclusive(`${vantage.label} is no container: address-on names a network of an engine`) };
  const found = vantage.container.networks.find((one) => one.name === network);
  if (found === undefined) {
    const names = vantage.container.networks.map((one) => one.name).join(', ') || 'none';
    return {
      wrong: fail('absent', `${vantage.label} is not on the network ${network}; its networks: ${names}`, {
        expected: `${vantage.label} on ${network}`,
        actual: names,
      }),
    };
  }
  const stated = ([4, 6] as const).flatMap((family) => {
    const address = addressOn(found, family);
    return address === null ? [] : [canonicalAddress(address)];
  });
  const addresses = all.filter((one) => stated.includes(one.address));
  const lost = stated.filter((address) => !addresses.some((one) => one.address === address));
  if (lost.length > 0) {
    return {
      wrong: fail(
        'wrong-value',
        `the engine says that ${vantage.label} has ${lost.join(' and ')} on ${network}, but its interfaces carry ${show(all)}`,
        { expected: lost.join(', '), actual: show(all) },
      ),
    };
  }
  return { addresses };
}

/** Whether `own` is the address meant: with a prefix length that has to agree too, a subnet never equals an address. */
function isMeant(is: Matcher, own: OwnAddress): boolean {
  if (typeof is !== 'string') return match(is, own.address).ok;
  const cidr = parseCidr(is);
  if (cidr !== null) return canonicalAddress(cidr.address) === own.address && cidr.prefix === own.prefix;
  return isAddress(is) && canonicalAddress(is) === own.address;
}

function describeWanted(spec: Spec): string {
  const parts = [
    spec.is === undefined
      ? ''
      : typeof spec.is === 'string'
        ? spec.is
        : `an address that is ${describeMatcher(spec.is)}`,
    spec.in === undefined ? '' : spec.is === undefined ? `an address in ${spec.in}` : `in ${spec.in}`,
  ].filter((part) => part !== '');
  const what = parts.length === 0 ? 'an address' : parts.join(' ');
  const broadcast =
    spec.broadcast === undefined ? '' : ` with the broadcast address ${describeMatcher(spec.broadcast)}`;
  return `${what}${broadcast}${spec.interface === undefined ? '' : ` on ${spec.interface}`}${spec.via === undefined ? '' : ` on the network ${spec.via}`}`;
}

async function find(context: ProbeContext, text: string): Promise<Vantage | Outcome> {
  const endpoint = parseEndpoint(text, context.plan);
  if (!isVantage(endpoint)) return inconclusive(`${text} is no host, container or network namespace of the lab`);
  const vantage = await resolveVantage(context, endpoint);
  return isVantageProblem(vantage) ? inconclusive(vantage.reason) : vantage;
}

async function runOne(spec: One, context: ProbeContext): Promise<Outcome> {
  const vantage = await find(context, spec.of);
  if ('verdict' in vantage) return vantage;
  const listed = await addressesOf(context, vantage);
  if ('unknown' in listed) return inconclusive(listed.unknown);
  const wanted = describeWanted(spec);
  let candidates = listed.addresses;
  if (spec.interface !== undefined) {
    if (!listed.interfaces.includes(spec.interface)) {
      const reason = `${spec.of} has no interface ${spec.interface}; it has ${listed.interfaces.join(', ')}`;
      // "No address on an interface that is not there" would be true of every misspelt name.
      return spec.absent
        ? inconclusive(reason)
        : fail('absent', reason, { expected: wanted, actual: `interfaces ${listed.interfaces.join(', ')}` });
    }
    candidates = candidates.filter((one) => one.interface === spec.interface);
  }
  if (spec.via !== undefined) {
    const narrowed = onNetwork(vantage, spec.via, candidates);
    if ('wrong' in narrowed)
      return spec.absent && narrowed.wrong.verdict === 'fail' ? inconclusive(narrowed.wrong.reason) : narrowed.wrong;
    candidates = narrowed.addresses;
  }
  const subnet = spec.in === undefined ? null : parseCidr(spec.in);
  const met = candidates.filter((one) => {
    if (spec.is !== undefined && !isMeant(spec.is, one)) return false;
    if (subnet !== null && !contains(subnet, one.address)) return false;
    if (spec.broadcast !== undefined && !match(spec.broadcast, one.broadcast ?? absentValue).ok) return false;
    // Every IPv6 interface has a link-local address by itself: it counts only when something asks for it.
    return spec.is !== undefined || subnet !== null || one.scope !== 'link';
  });
  const actual = show(candidates, spec.broadcast !== undefined);
  if (spec.absent) {
    return met.length === 0
      ? pass(`${spec.of} does not have ${wanted}; it has ${show(listed.addresses)}`, {
          controls: [{ title: `the addresses of ${spec.of} can be listed`, held: true, seen: show(listed.addresses) }],
        })
      : fail(
          'present',
          `${spec.of} has ${met.map((one) => `${one.address}/${one.prefix} on ${one.interface}`).join(', ')}, which must not be there`,
          { expected: `not ${wanted}`, actual },
        );
  }
  if (met.length > 0)
    return pass(`${spec.of} has ${met.map((one) => `${one.address}/${one.prefix} on ${one.interface}`).join(', ')}`);
  return fail(
    candidates.length === 0 ? 'absent' : 'wrong-value',
    `${spec.of} does not have ${wanted}; it has ${actual}`,
    { expected: wanted, actual },
  );
}

async function runDistinct(spec: Distinct, context: ProbeContext): Promise<Outcome> {
  const stated = spec.in === undefined ? null : parseCidr(spec.in);
  const found = await Promise.all(
    spec.distinct.map(async (text): Promise<{ text: string; addresses: OwnAddress[] } | Outcome> => {
      const vantage = await find(context, text);
      if ('verdict' in vantage) return vantage;
      const listed = await addressesOf(context, vantage);
      if ('unknown' in listed) return inconclusive(listed.unknown);
      let candidates = listed.addresses.filter((one) => one.scope === 'global');
      if (spec.via !== undefined) {
        const narrowed = onNetwork(vantage, spec.via, candidates);
        if ('wrong' in narrowed) return narrowed.wrong;
        candidates = narrowed.addresses;
      }
      if (stated === null) {
        candidates = candidates.filter((one) => one.family === 4);
        if (candidates.length > 1)
          return inconclusive(`${text} has more than one address (${show(candidates)}): say which by in or via`);
        if (candidates.length === 0)
          return fail(
            'absent',
            `${text} has no IPv4 address${spec.via === undefined ? '' : ` on ${spec.via}`}; it has ${show(listed.addresses)}`,
            { expected: 'an address', actual: show(listed.addresses) },
          );
        return { text, addresses: candidates };
      }
      const inside = candidates.filter((one) => contains(stated, one.address));
      if (inside.length === 0) {
        return fail(
          candidates.length === 0 ? 'absent' : 'wrong-value',
          `${text} has no address in ${spec.in}; it has ${show(listed.addresses)}`,
          { expected: `an address in ${spec.in}`, actual: show(listed.addresses) },
        );
      }
      return { text, addresses: inside };
    }),
  );
  // What cannot be known of one of them outweighs a failure of another only where no failure is certain.
  const outcomes = found.filter((one): one is Outcome => 'verdict' in one);
  const broken = outcomes.find((one) => one.verdict === 'fail') ?? outcomes[0];
  if (broken !== undefined) return broken;
  const owners = found as { text: string; addresses: OwnAddress[] }[];
  const actual = owners.map((owner) => `${owner.text}: ${show(owner.addresses)}`).join('\n');
  const holders = new Map<string, string>();
  for (const owner of owners) {
    for (const { address } of owner.addresses) {
      const other = holders.get(address);
      if (other !== undefined && other !== owner.text)
        return fail('wrong-value', `${other} and ${owner.text} both have ${address}`, {
          expected: 'distinct addresses',
          actual,
        });
      holders.set(address, owner.text);
    }
  }
  let subnet = spec.in;
  if (stated === null) {
    const subnets = new Set(
      owners.flatMap((owner) => owner.addresses.map((one) => `${networkAddress(one satisfies Cidr)}/${one.prefix}`)),
    );
    if (subnets.size > 1)
      return fail('wrong-value', `the addresses lie in different subnets: ${[...subnets].join(', ')}`, {
        expected: 'addresses in one subnet',
        actual,
      });
    subnet = [...subnets][0];
  }
  return pass(
    `${owners.map((owner) => `${owner.text} has ${owner.addresses.map((one) => one.address).join(' and ')}`).join(', ')}: all distinct, all in ${subnet}`,
    { actual },
  );
}

export const addressCheck = defineCheck<Spec>({
  name: 'address',
  summary:
    'An interface carries (or does not carry) an address; several endpoints have distinct addresses in one subnet.',
  example: `- check: both containers have addresses of the overlay's subnet
  address: { on: [node1/test, node2/test1], expect: { distinct: true, in: 10.0.0.0/24 } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec): EndpointUse[] =>
    isDistinct(spec)
      ? spec.distinct.map((endpoint, i): EndpointUse => ({ endpoint, path: ['on', i], role: 'vantage' }))
      : [{ endpoint: (spec as One).of, path: ['on'], role: 'vantage' }],
  describe: (spec) =>
    isDistinct(spec)
      ? `${spec.distinct.join(', ')} have distinct addresses in ${spec.in ?? 'one subnet'}${spec.via === undefined ? '' : ` on the network ${spec.via}`}`
      : `${spec.of} ${spec.absent ? 'does not have' : 'has'} ${describeWanted(spec)}`,
  run: (spec, context) => (isDistinct(spec) ? runDistinct(spec, context) : runOne(spec as One, context)),
});
