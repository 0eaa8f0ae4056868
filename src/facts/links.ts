import { z } from 'zod';
import { askIp } from './answer.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';

const zLink = z.looseObject({
  ifname: z.string(),
  ifindex: z.number(),
  flags: z.array(z.string()),
  link_index: z.number().optional(),
  link_netnsid: z.number().optional(),
  master: z.string().optional(),
  linkinfo: z.looseObject({ info_kind: z.string().optional() }).optional(),
});
export type Link = z.output<typeof zLink>;

/** All links of a place. */
export async function listLinks(context: ProbeContext, vantage: Vantage): Promise<Link[] | { unknown: string }> {
  const answer = await askIp(context, vantage, ['-d', 'link'], zLink);
  if ('unknown' in answer) return answer;
  if ('refusal' in answer) return { unknown: `ip would not list the links of ${vantage.label}: ${answer.refusal}` };
  // Every network namespace has its loopback: a list without it is no list of links, and shows no absence.
  if (!answer.items.some((link) => link.flags.includes('LOOPBACK')))
    return { unknown: `the links of ${vantage.label} were listed without a loopback interface` };
  return answer.items;
}

/**
 * Ports that, by the indexes that both ends of a veth pair state, may be the other ends of links of another namespace. Indexes
 * are counted in every namespace anew: what namespace the kernel means must be asked apart (`namespaceIds`).
 */
export function possibleEnds(ports: readonly Link[], links: readonly Link[]): Link[] {
  return ports.filter(
    (port) =>
      port.link_netnsid !== undefined &&
      port.linkinfo?.info_kind === 'veth' &&
      links.some(
        (link) =>
          link.linkinfo?.info_kind === 'veth' &&
          link.link_netnsid !== undefined &&
          link.ifindex === port.link_index &&
          link.link_index === port.ifindex,
      ),
  );
}
