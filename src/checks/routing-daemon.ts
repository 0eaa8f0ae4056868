import { z } from 'zod';
import { canonicalAddress, isAddress, networkAddress, parseCidr } from '../model/cidr.js';
import { zAddress, zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { ownAddresses } from '../probes/target.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import type { EndpointUse } from './kind.js';

/** What the kinds about routing daemons share: who is meant by a neighbour, what may be claimed, and what a silent daemon means. */

export const zNeighbour = z
  .union([zAddress, zEndpoint], { error: 'expected an address, a router id, or a host of the lab' })
  .describe(
    'A neighbour: its address, its router id, or a host, container or namespace of the lab, by any of its addresses. Without it, and without `route`: all neighbours.',
  );

export const neighbourUse = (neighbour: string | undefined): EndpointUse[] =>
  neighbour === undefined || isAddress(neighbour)
    ? []
    : [{ endpoint: neighbour, path: ['neighbour'], role: 'vantage' }];

/** The addresses by which a neighbour may be known. Rejects only with NETRIG_HOST_UNKNOWN and NETRIG_SSH_*. */
export async function addressesMeant(
  context: ProbeContext,
  neighbour: string,
): Promise<string[] | { unknown: string }> {
  if (isAddress(neighbour)) return [canonicalAddress(neighbour)];
  const place = await placeAt(context, neighbour);
  if ('verdict' in place) return { unknown: place.reason };
  const own = await ownAddresses(context, place);
  return 'unknown' in own ? own : own.map(({ address }) => address);
}

/** Whether two texts name one prefix: IPv6 has many spellings. */
export function samePrefix(one: string, other: string): boolean {
  const [a, b] = [parseCidr(one), parseCidr(other)];
  return a !== null && b !== null && a.prefix === b.prefix && networkAddress(a) === networkAddress(b);
}

/** A daemon that does not run has certainly not what is expected; that it lacks what must be absent proves nothing. */
export function silence(answer: { silent: string } | { unknown: string }, expected: string | null): Outcome {
  if ('unknown' in answer) return inconclusive(answer.unknown);
  return expected === null
    ? inconclusive(answer.silent)
    : fail('absent', answer.silent, { expected, actual: 'nothing' });
}

type Issue = { code: 'custom'; input: unknown; path: string[]; continue: true; message: string };

/** Claims that are about neighbours where a route is asked for, or about a route where neighbours are. */
export function wrongClaims(
  expect: Readonly<Record<string, unknown>>,
  foreign: readonly string[],
  aboutRoute: boolean,
): Issue[] {
  return foreign
    .filter((name) => expect[name] !== undefined)
    .map((name) => ({
      code: 'custom',
      input: expect[name],
      path: ['expect', name],
      continue: true,
      message: aboutRoute
        ? 'is about neighbours, and the check is about a route'
        : 'is about a route: name it with route',
    }));
}
