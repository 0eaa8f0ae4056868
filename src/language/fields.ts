import semver from 'semver';
import { z } from 'zod';
import { isAddress, parseCidr } from '../model/cidr.js';
import { parseDuration } from '../model/duration.js';
import { probeCauses } from '../model/verdict.js';
import { containerNamePattern, dnsNamePattern, hostNamePattern, vantagePattern } from './endpoint.js';
import { shown, suggestion } from './wording.js';

/**
 * The fields that step and check kinds are made of. Each carries a sentence for its mistakes, a description for the reference
 * page, and an input side that JSON Schema can state.
 */

function asked(what: string) {
  return (issue: { input?: unknown }): string =>
    issue.input === undefined ? `expected ${what}` : `expected ${what}, got ${shown(issue.input)}`;
}

/** `250ms`, `10s`, `1.5m`, `2h`: comes out as milliseconds. */
export const zDuration = z
  .string({ error: asked('a duration such as 10s') })
  .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, { error: asked('a duration such as 10s') })
  .transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== null) return ms;
    context.addIssue({
      code: 'custom',
      message: `a duration must be longer than nothing, got ${shown(text)}`,
      input: text,
    });
    return z.NEVER;
  })
  .meta({
    title: 'duration',
    description: 'A duration: a number with `ms`, `s`, `m` or `h`.',
    examples: ['10s', '250ms', '1.5m'],
  });

/** A subnet or an address with its prefix length. */
export const zCidr = z
  .string({ error: asked('a subnet in CIDR form such as 10.10.10.0/24') })
  .refine((text) => parseCidr(text) !== null, { error: asked('a subnet in CIDR form such as 10.10.10.0/24') })
  .meta({ title: 'subnet', description: 'A subnet in CIDR form.', examples: ['10.10.10.0/24', 'fd00:10::/64'] });

export const zAddress = z
  .string({ error: asked('an IPv4 or IPv6 address such as 10.10.10.11') })
  .refine(isAddress, { error: asked('an IPv4 or IPv6 address such as 10.10.10.11') })
  .meta({
    title: 'address',
    description: 'An IPv4 or IPv6 address, without prefix length.',
    examples: ['10.10.10.11', 'fd00:10::1'],
  });

export const zPort = z
  .int({ error: asked('a port number from 1 to 65535') })
  .min(1, { error: asked('a port number from 1 to 65535') })
  .max(65535, { error: asked('a port number from 1 to 65535') })
  .meta({ title: 'port', description: 'A TCP or UDP port, 1 to 65535.', examples: [80] });

/** A vantage: take it apart with `parseVantage` of `language/endpoint.ts`. */
export const zEndpoint = z
  .string({ error: asked('an endpoint: host, host/container or host/netns:name') })
  .regex(vantagePattern, {
    error: (issue) =>
      /^[a-z0-9-]+\/.$/.test(String(issue.input))
        ? `a container's name has at least two characters, got ${shown(issue.input)}`
        : asked('an endpoint: host, host/container or host/netns:name')(issue),
  })
  .meta({
    title: 'endpoint',
    description:
      'An endpoint: a host (`node1`), a container (`node1/web`) or a named network namespace (`node1/netns:blue`).',
    examples: ['node1', 'node1/web', 'node1/netns:blue'],
  });

/** An endpoint, a literal address, or a name resolved at the source: take it apart with `parseTarget` of `language/endpoint.ts`. */
export const zTarget = z
  .string({ error: asked('an endpoint, an address or a name to resolve') })
  .refine((text) => vantagePattern.test(text) || isAddress(text) || dnsNamePattern.test(text), {
    error: asked('an endpoint, an address or a name to resolve'),
  })
  .meta({
    title: 'target',
    description:
      "An endpoint (its address is looked up), a literal address, or a name that is resolved at the source. A host's name means the host.",
    examples: ['node2', 'node2/web', '10.10.10.12', 'web'],
  });

/** One cause that a probe can meet. */
const zCause = z
  .enum(probeCauses, {
    error: (issue) =>
      issue.input === undefined
        ? 'expected a cause such as timeout'
        : `no cause ${shown(issue.input)}${suggestion(issue.input, probeCauses) || `; causes are ${probeCauses.join(', ')}`}`,
  })
  .meta({
    title: 'cause',
    description: `Why a probe did not succeed: ${probeCauses.map((cause) => `\`${cause}\``).join(', ')}.`,
  });

/** One or several causes; comes out as a list. */
export const zCauses = oneOrMany(zCause).meta({
  title: 'causes',
  description: 'One cause or a list of causes, any of which will do.',
  examples: ['timeout', ['timeout', 'host-unreachable']],
});

/** The name of a host, a segment or a scenario's variable-free identifier. */
export const zName = z
  .string({ error: asked('a name of lower-case letters, digits and dashes that begins with a letter') })
  .regex(hostNamePattern, {
    error: asked('a name of lower-case letters, digits and dashes that begins with a letter (at most 32)'),
  })
  .meta({ title: 'name', description: 'Lower-case letters, digits and dashes, beginning with a letter, at most 32.' });

/** A name as the Docker engine takes it for containers and networks. */
export const zDockerName = z
  .string({ error: asked('a name as the Docker engine takes it') })
  .refine((text) => text.length >= 2, {
    error: (issue) => `the Docker engine wants at least two characters in a name, got ${shown(issue.input)}`,
  })
  .refine((text) => text.length < 2 || containerNamePattern.test(text), {
    error: asked('a name of letters, digits, dots, dashes and underscores, beginning with a letter or digit'),
  })
  .meta({
    title: 'Docker name',
    description: 'A name as the Docker engine takes it: two characters at least, letters, digits, `.`, `-` and `_`.',
  });

export const zSemverRange = z
  .string({ error: asked('a version range such as ">=28"') })
  .refine((text) => text.trim() !== '' && semver.validRange(text) !== null, {
    error: asked('a version range such as ">=28"'),
  })
  .meta({
    title: 'version range',
    description: 'A version range over the engine’s own version.',
    examples: ['>=28', '>=20.10 <23'],
  });

/** Text that may be written as a bare number or boolean (`HTTP_PORT: 80`); comes out as a string. */
export const zText = z
  .union([z.string(), z.number(), z.boolean()], { error: asked('a text, a number or true/false') })
  .transform(String);

/** One value or a list of values; comes out as a list, which holds at least one. */
export function oneOrMany<T extends z.ZodType>(one: T) {
  return z
    .union([one, z.array(one).min(1, { error: 'the list is empty: name at least one' })])
    .transform((value): z.output<T>[] => (Array.isArray(value) ? (value as z.output<T>[]) : [value as z.output<T>]));
}

export const zInterfaceName = z
  .string()
  .regex(/^[^\s/]{1,15}$/, 'must be the name of an interface: 1 to 15 characters without blanks and slashes')
  .meta({ title: 'interface', description: 'Name of a network interface.', examples: ['eth0'] });

/** Debian Policy 5.6.1: lower-case letters, digits, plus, minus, full stops; at least two, the first a letter or digit. */
export const zPackage = z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/, {
  error: (issue) => `expected the name of a Debian package such as frr, got ${shown(issue.input)}`,
});

/** `KEY=value` items or a map, as Compose takes environment, labels and sysctls; comes out as a map. */
export function mapOrAssignments(what: string) {
  const assignment = z
    .string({ error: (issue) => `expected \`${what}=value\`, got ${shown(issue.input)}` })
    .regex(/^[^=\s][^=]*=/, { error: (issue) => `expected \`${what}=value\`, got ${shown(issue.input)}` });
  return z
    .union([z.record(z.string(), zText), z.array(assignment)])
    .transform((value): Record<string, string> =>
      Array.isArray(value)
        ? Object.fromEntries(value.map((item) => [item.slice(0, item.indexOf('=')), item.slice(item.indexOf('=') + 1)]))
        : value,
    );
}
