import { contains, familyOf, parseCidr } from '../model/cidr.js';
import { parseRule } from './iptables-rules.js';
import { runScript } from '../places/script.js';
import type { ProbeContext } from '../places/context.js';
import { inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { quoteArgv } from '../ssh/quote.js';

/** A rule that drops or rejects what it matches, with how often it did. */
interface DropRule {
  /** As `iptables-save` lists it, with its table. */
  text: string;
  packets: number;
}

/** Words of a rule that choose packets by something else than their addresses. */
const selectors = ['in', 'out', 'protocol', 'sport', 'dport', 'state', 'src-type', 'dst-type'] as const;

function covers(value: string | undefined, address: string): boolean {
  if (value === undefined || familyOf(address) === 0) return true;
  const negated = value.startsWith('! ');
  const text = negated ? value.slice(2) : value;
  const subnet = parseCidr(text.includes('/') ? text : `${text}/${familyOf(address) === 4 ? 32 : 128}`);
  return subnet === null || contains(subnet, address) !== negated;
}

/** Rules of `iptables-save -c` that drop or reject by some choice of theirs and may match a packet to `address` from one of `from`. */
function dropRules(text: string, address: string, from: readonly string[]): DropRule[] {
  let table = '';
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const rule = parseRule(line);
    if (!rule || !/ -j (?:DROP|REJECT)(?: |$)/.test(rule.raw)) return [];
    const { source, destination } = rule.values;
    const chooses =
      source !== undefined || destination !== undefined || selectors.some((name) => rule.values[name] !== undefined);
    // A rule that drops all is as good as a router that forwards nothing.
    if (!chooses || !covers(destination, address) || !from.some((one) => covers(source, one))) return [];
    return [{ text: `“${rule.raw}” (table ${table})`, packets: rule.packets }];
  });
}

async function readDropRules(
  context: ProbeContext,
  place: Vantage,
  address: string,
  from: readonly string[],
): Promise<DropRule[] | null> {
  const program = familyOf(address) === 6 ? 'ip6tables-save' : 'iptables-save';
  const { parts } = await runScript(
    place.host,
    [{ name: 'rules', shell: quoteArgv([program, '-c']), errors: 'apart' }],
    {
      timeoutMs: context.timeLeftMs(),
      signal: context.signal,
      keepBytes: 4 << 20,
      wrap: (shell) => inside(place, shell),
    },
  );
  const rules = parts.get('rules');
  return rules?.exitCode === 0 ? dropRules(rules.output, address, from) : null;
}

/**
 * The rules of a place that dropped or rejected something while `send` ran, of those that choose what they drop and may match a
 * packet to `address` from one of `from`. `null` where its rules can't be read. Rejects only with NETRIG_SSH_*.
 */
export async function rulesThatDropped(
  context: ProbeContext,
  place: Vantage,
  address: string,
  from: readonly string[],
  send: () => Promise<unknown>,
): Promise<string[] | null> {
  const before = await readDropRules(context, place, address, from);
  if (before === null || before.length === 0) return before === null ? null : [];
  await send();
  const after = (await readDropRules(context, place, address, from)) ?? [];
  return after
    .filter(({ text, packets }) => (before.find((rule) => rule.text === text)?.packets ?? packets) < packets)
    .map(({ text }) => text);
}
