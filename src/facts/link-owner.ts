import type { ProbeContext } from '../places/context.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import { listLinks } from './links.js';

/** The hardware addresses of a place's interfaces, in lower case; loopback has none. Or why they cannot be told. */
export async function hardwareAddressesOf(
  context: ProbeContext,
  text: string,
): Promise<string[] | { unknown: string }> {
  const endpoint = parseEndpoint(text, context.plan);
  if (!isVantage(endpoint)) return { unknown: `${text} is no host, container or network namespace of the lab` };
  const place = await resolveVantage(context, endpoint);
  if (isVantageProblem(place)) return { unknown: place.reason };
  const links = await listLinks(context, place);
  if ('unknown' in links) return links;
  return links.flatMap((link) =>
    link.flags.includes('LOOPBACK') || typeof link.address !== 'string' ? [] : [link.address.toLowerCase()],
  );
}
