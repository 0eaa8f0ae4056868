import { z } from 'zod';
import { canonicalAddress } from '../model/cidr.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { askIp } from './answer.js';

const zLink = z.object({
  ifname: z.string(),
  flags: z.array(z.string()).default([]),
  addr_info: z
    .array(
      z.object({
        family: z.string().optional(),
        local: z.string().optional(),
        prefixlen: z.number().optional(),
        scope: z.string().optional(),
        broadcast: z.string().optional(),
        // IPv6 duplicate address detection (RFC 4862): not usable yet, or never.
        tentative: z.boolean().optional(),
        dadfailed: z.boolean().optional(),
      }),
    )
    .default([]),
});

export interface OwnAddress {
  interface: string;
  address: string;
  prefix: number;
  family: 4 | 6;
  scope: string;
  /** IPv4, where there is one. */
  broadcast: string | null;
}

/** All addresses that the vantage's interfaces carry and may use; or why that cannot be told. */
export async function addressesOf(
  context: ProbeContext,
  vantage: Vantage,
): Promise<{ interfaces: string[]; addresses: OwnAddress[] } | { unknown: string }> {
  const answer = await askIp(context, vantage, ['addr'], zLink);
  if ('unknown' in answer) return answer;
  if ('refusal' in answer) return { unknown: `ip would not list the addresses of ${vantage.label}: ${answer.refusal}` };
  // Every network namespace has its loopback: a list without it is no list of interfaces.
  if (!answer.items.some((link) => link.flags.includes('LOOPBACK')))
    return { unknown: `the interfaces of ${vantage.label} were listed without a loopback interface` };
  const addresses = answer.items.flatMap((link) =>
    link.addr_info.flatMap((info): OwnAddress[] => {
      if (
        info.local === undefined ||
        info.prefixlen === undefined ||
        info.tentative === true ||
        info.dadfailed === true
      )
        return [];
      if (info.family !== 'inet' && info.family !== 'inet6') return [];
      return [
        {
          interface: link.ifname,
          address: canonicalAddress(info.local),
          prefix: info.prefixlen,
          family: info.family === 'inet' ? 4 : 6,
          scope: info.scope ?? 'global',
          broadcast: info.broadcast ?? null,
        },
      ];
    }),
  );
  return { interfaces: answer.items.map((link) => link.ifname), addresses };
}
