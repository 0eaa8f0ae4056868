import { z } from 'zod';
import { overlaps, parseCidr } from '../model/cidr.js';

/** What `nft -j list ruleset` says of one rule (libnftables-json(5)). */
interface NftRule {
  family: string;
  table: string;
  chain: string;
  handle: number;
  /** Hook of its base chain; `null` for a chain that others jump to. */
  hook: string | null;
  expr: readonly Record<string, unknown>[];
}

const zEntry = z.looseObject({
  chain: z
    .looseObject({ family: z.string(), table: z.string(), name: z.string(), hook: z.string().optional() })
    .optional(),
  rule: z
    .looseObject({
      family: z.string(),
      table: z.string(),
      chain: z.string(),
      handle: z.number(),
      expr: z.array(z.record(z.string(), z.unknown())).default([]),
    })
    .optional(),
});
const zRuleset = z.object({ nftables: z.array(zEntry) });

/** Tables in which iptables and ip6tables keep their rules, which they list themselves. */
const ofIptables = /^ip6? (?:filter|nat|mangle|raw|security)$/;

/** Rules that iptables does not list; `null` where the text is no ruleset. */
export function nativeRules(text: string): NftRule[] | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const read = zRuleset.safeParse(json);
  if (!read.success) return null;
  const hooks = new Map(
    read.data.nftables.flatMap(({ chain }) =>
      chain ? [[`${chain.family} ${chain.table} ${chain.name}`, chain.hook ?? null] as const] : [],
    ),
  );
  return read.data.nftables.flatMap(({ rule }) => {
    if (!rule || ofIptables.test(`${rule.family} ${rule.table}`)) return [];
    return [{ ...rule, hook: hooks.get(`${rule.family} ${rule.table} ${rule.chain}`) ?? null }];
  });
}

/** Packets that a rule is asked about; what is left out is any. */
export interface Packets {
  family: 4 | 6;
  /** Hooks of which one is met; any where left out. */
  hooks?: readonly string[];
  protocol?: string | undefined;
  sport?: string | undefined;
  dport?: string | undefined;
  source?: string | undefined;
  destination?: string | undefined;
}

const zMatch = z.object({
  op: z.string(),
  left: z.object({
    payload: z.object({ protocol: z.string(), field: z.string() }).optional(),
    meta: z.object({ key: z.string() }).optional(),
  }),
  right: z.unknown(),
});

const subnetText = (value: unknown): string | null => {
  if (typeof value === 'string') return value;
  const prefix = z.object({ prefix: z.object({ addr: z.string(), len: z.number() }) }).safeParse(value);
  return prefix.success ? `${prefix.data.prefix.addr}/${prefix.data.prefix.len}` : null;
};

function overlap(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) =>
    parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`),
  );
  if (!a || !b) return true;
  return overlaps(a, b);
}

/** Whether one expression of a rule keeps all of these packets out of it. What is not recognised keeps none out. */
function excludes(expression: Record<string, unknown>, packets: Packets): boolean {
  const match = zMatch.safeParse(expression.match);
  if (!match.success || match.data.op !== '==') return false;
  const { left, right } = match.data;
  const { protocol, field } = left.payload ?? { protocol: null, field: null };
  if (left.meta?.key === 'l4proto')
    return typeof right === 'string' && packets.protocol !== undefined && right !== packets.protocol;
  if (protocol === 'tcp' || protocol === 'udp') {
    if (packets.protocol !== undefined && packets.protocol !== protocol) return true;
    const asked = field === 'dport' ? packets.dport : field === 'sport' ? packets.sport : undefined;
    return asked !== undefined && typeof right === 'number' && /^\d+$/.test(asked) && Number(asked) !== right;
  }
  if (protocol !== 'ip' && protocol !== 'ip6') return false;
  if ((protocol === 'ip6') !== (packets.family === 6)) return true;
  if (field === 'protocol' || field === 'nexthdr')
    return typeof right === 'string' && packets.protocol !== undefined && right !== packets.protocol;
  const address = field === 'saddr' ? packets.source : field === 'daddr' ? packets.destination : undefined;
  const own = subnetText(right);
  return address !== undefined && own !== null && !overlap(address, own);
}

/** Rules that do one of `verdicts` (`drop`, `reject`, `dnat`, …) and may meet some of these packets. */
export function rulesThatMay(rules: readonly NftRule[], verdicts: readonly string[], packets: Packets): NftRule[] {
  const families = packets.family === 6 ? ['ip6', 'inet'] : ['ip', 'inet'];
  return rules.filter(
    ({ family, hook, expr }) =>
      families.includes(family) &&
      (hook === null || packets.hooks === undefined || packets.hooks.includes(hook)) &&
      expr.some((one) => verdicts.some((verdict) => verdict in one)) &&
      !expr.some((one) => excludes(one, packets)),
  );
}

/** `chain forward of table inet f (handle 3)` */
export function nftRuleWords({ family, table, chain, handle }: NftRule): string {
  return `chain ${chain} of table ${family} ${table} (handle ${handle})`;
}
