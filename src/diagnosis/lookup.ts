import ipaddr from 'ipaddr.js';
import type { PolicyRule, Route, Space } from './world.js';

function bits(address: string): number[] {
  return ipaddr.parse(address).toByteArray();
}

/** Whether `address` is in the subnet `of/length`; addresses of the other family never are. */
export function inSubnet(address: string, of: string, length: number): boolean {
  if (!ipaddr.isValid(address) || !ipaddr.isValid(of)) return false;
  const [a, b] = [bits(address), bits(of)];
  if (a.length !== b.length) return false;
  const whole = length >> 3;
  for (let at = 0; at < whole; at += 1) if (a[at] !== b[at]) return false;
  const rest = length & 7;
  return rest === 0 || a[whole]! >> (8 - rest) === b[whole]! >> (8 - rest);
}

export interface Question {
  to: string;
  from: string | null;
  /** The interface by which it came; `null`: made here. */
  iif: string | null;
  /** The packet's mark, where it is known. */
  mark?: number | undefined;
}

export type Found =
  | { found: 'route'; route: Route; rule: PolicyRule; refuses: boolean }
  | { found: 'rule'; rule: PolicyRule }
  | { found: 'nothing' };

function ruleMatches(rule: PolicyRule, question: Question): boolean {
  const src = rule.src === 'all' || (question.from !== null && inSubnet(question.from, rule.src, rule.srcLen));
  const dst = rule.dst === 'all' || inSubnet(question.to, rule.dst, rule.dstLen);
  const iif = rule.iif === null || rule.iif === (question.iif ?? 'lo');
  // A rule that asks for a mark is taken not to match where the packet's is not known.
  const marked = rule.mark === null || (question.mark !== undefined && (question.mark & rule.mask) >>> 0 === rule.mark);
  const matches = src && dst && iif && marked && rule.oif === null;
  return rule.not ? !matches : matches;
}

function bestIn(routes: readonly Route[], table: string, to: string): Route | null {
  const fits = routes.filter((route) => route.table === table && !route.dead && inSubnet(to, route.dst, route.prefix));
  fits.sort((a, b) => b.prefix - a.prefix || a.metric - b.metric);
  return fits[0] ?? null;
}

const refusals: readonly string[] = ['blackhole', 'unreachable', 'prohibit'];

/** What the namespace's routing policy answers (ip-rule(8): rules by priority, in each table the longest prefix). */
export function lookup(space: Space, question: Question): Found {
  const family = question.to.includes(':') ? 6 : 4;
  for (const rule of space.policy[family]) {
    if (!ruleMatches(rule, question)) continue;
    if (rule.action !== null && refusals.includes(rule.action)) return { found: 'rule', rule };
    if (rule.table === null) continue;
    const route = bestIn(space.routes[family], rule.table, question.to);
    if (!route || route.type === 'throw') continue;
    if (rule.suppress !== null && route.prefix <= rule.suppress) continue;
    return { found: 'route', route, rule, refuses: refusals.includes(route.type) };
  }
  return { found: 'nothing' };
}

/** Whether a namespace takes packets to the address for its own: one of its addresses, or any of the loopback's subnet. */
export function isOwn(space: Space, address: string): boolean {
  if (space.links.some((link) => link.addresses.some((own) => own.address === address))) return true;
  const found = lookup(space, { to: address, from: null, iif: null });
  return found.found === 'route' && found.route.type === 'local';
}
