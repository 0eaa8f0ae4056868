import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import type { Control, Outcome } from '../model/verdict.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { failed, findings } from '../judging/finding.js';
import type { Finding } from '../judging/finding.js';
import { nativeRules, nftRuleWords, rulesThatMay } from '../facts/nft-rules.js';
import { parseTable, plainAddress, ruleFields, type Rule, type Table } from '../facts/iptables-rules.js';
import { overlaps, parseCidr } from '../model/cidr.js';
import { noneWillDo } from '../judging/entries.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims, zCount } from '../judging/claims.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import type { Vantage } from '../places/vantage.js';

export type RuleSelector = Partial<Record<keyof typeof ruleFields | 'raw', Matcher>>;

const tableNames = ['filter', 'nat', 'mangle', 'raw', 'security'] as const;

export const zRuleSelector = z
  .strictObject({
    ...(Object.fromEntries(
      Object.entries(ruleFields).map(([name, { about }]) => [name, zMatcher.optional().describe(about)]),
    ) as unknown as Record<keyof typeof ruleFields, z.ZodOptional<z.ZodType<Matcher>>>),
    raw: zMatcher.optional().describe('The whole rule as iptables-save prints it: -A FORWARD -i docker0 -j ACCEPT.'),
  })
  .refine((fields) => Object.keys(fields).length > 0, 'must name at least one part of a rule')
  .meta({
    id: 'RuleSelector',
    description:
      'Parts of a rule, by the long names of iptables’ options. A value that a rule negates begins with "! ": out: "! docker0".',
  });

/** Where rules are looked for; shared with the kind `counter`. */
export const rulePlace = {
  on: zEndpoint.describe('Whose rules: a host, or the network namespace of a container or of a name.'),
  family: z
    .union([z.literal(4), z.literal(6)])
    .default(4)
    .describe('4: iptables. 6: ip6tables.'),
  table: z.enum(tableNames).default('filter').describe('The table.'),
  chain: z.string().min(1).max(64).optional().describe('The chain; all of the table where left out.'),
};

const zSpec = z
  .strictObject({
    ...rulePlace,
    table: z
      .enum([...tableNames, 'any'])
      .default('filter')
      .describe('The table; any: a rule is looked for in all of them.'),
    rule: zRuleSelector
      .optional()
      .describe(
        'The rule, by its parts; at least one such rule must be there. Without it, the check is about the chain.',
      ),
    expect: claims({
      absent: z
        .literal(true)
        .optional()
        .describe(
          'There is no such rule (or, without rule, no such chain). Inconclusive where another rule does the same for more (one of several ports, a larger subnet), or rules of nftables, which iptables does not list, may do the same.',
        ),
      count: zCount
        .optional()
        .describe('How many such rules there are (or, without rule, how many rules the chain has).'),
      before: zRuleSelector
        .optional()
        .describe('Every such rule stands before the first rule of its chain that is like this.'),
      position: zMatcher.optional().describe('Number of the first such rule in its chain, from 1.'),
      policy: zMatcher.optional().describe('Policy of the chain: ACCEPT or DROP.'),
    }).default({}),
  })
  .check((check) => {
    const { rule, chain, expect, table } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if (rule === undefined && chain === undefined) wrong([], 'must have at least one of the keys chain and rule');
    if (table === 'any' && chain !== undefined) wrong(['chain'], 'is one of a table: name the table');
    if (table === 'any' && expect.before !== undefined) wrong(['expect', 'before'], 'is an order in a table: name it');
    if (expect.absent && Object.keys(expect).length > 1)
      wrong(['expect'], 'what is absent has no count, order or policy');
    if (expect.before !== undefined && rule === undefined)
      wrong(['expect', 'before'], 'needs a rule that is to stand before it');
    if (expect.position !== undefined && (rule === undefined || chain === undefined))
      wrong(['expect', 'position'], 'is that of a rule in a chain: name both');
    if (expect.policy !== undefined && chain === undefined) wrong(['expect', 'policy'], 'belongs to a chain: name it');
  });
type Spec = z.output<typeof zSpec>;

export function describeRule(selector: RuleSelector): string {
  return Object.entries(selector)
    .map(([name, matcher]) => `${name} ${describeMatcher(matcher)}`)
    .join(', ');
}

/** Addresses and negations have several spellings: those of a matcher are brought to the one that rules are read in. */
function plainMatcher(matcher: Matcher): Matcher {
  if (typeof matcher === 'string') return plainAddress(matcher.replace(/^!\s*/, '! '));
  if (Array.isArray(matcher)) return matcher.map(plainMatcher);
  if (typeof matcher !== 'object' || matcher === null) return matcher;
  const { not, 'one-of': oneOf } = matcher;
  return {
    ...matcher,
    ...(not === undefined ? {} : { not: plainMatcher(not) }),
    ...(oneOf === undefined ? {} : { 'one-of': oneOf.map(plainMatcher) }),
  };
}

const spelled: readonly string[] = [
  'source',
  'destination',
  'in',
  'out',
  'protocol',
  'sport',
  'dport',
] satisfies (keyof RuleSelector)[];

export function isRule(selector: RuleSelector, rule: Rule): boolean {
  return Object.entries(selector).every(
    ([name, matcher]) =>
      match(
        spelled.includes(name) ? plainMatcher(matcher) : matcher,
        name === 'raw' ? rule.raw : (rule.values[name] ?? absent),
      ).ok,
  );
}

function subnetOf(address: string): ReturnType<typeof parseCidr> {
  return parseCidr(address.includes('/') ? address : `${address}/${address.includes(':') ? 128 : 32}`);
}

/** How a rule's value, which is not the one that was asked for, may be true of that and of more. A negated one is not. */
const wider: Partial<Record<keyof RuleSelector, (asked: string, value: string) => boolean>> = {
  source: inSubnet,
  destination: inSubnet,
  sport: amongPorts,
  dport: amongPorts,
  in: likeInterface,
  out: likeInterface,
};

function inSubnet(asked: string, value: string): boolean {
  const [inner, outer] = [subnetOf(asked), subnetOf(value)];
  return (
    inner !== null &&
    outer !== null &&
    inner.family === outer.family &&
    outer.prefix <= inner.prefix &&
    overlaps(inner, outer)
  );
}

/** `80`, `22,80,443`, `8000:9000`, `22,8000:`; a range without an end goes to the end. */
function amongPorts(asked: string, value: string): boolean {
  const port = Number(asked);
  return value.split(',').some((part) => {
    const [, low, range, high] = /^(\d*)(:?)(\d*)$/.exec(part) ?? [];
    if (low === undefined) return false;
    return range === '' ? low !== '' && Number(low) === port : port >= Number(low) && port <= Number(high || 65_535);
  });
}

function likeInterface(asked: string, value: string): boolean {
  return value.endsWith('+') && asked.startsWith(value.slice(0, -1));
}

/** Whether a rule that is not like the selector does the same for what it names and for more: one of several ports, a larger subnet. */
export function covers(selector: RuleSelector, rule: Rule): boolean {
  return Object.entries(selector).every(([name, matcher]) => {
    if (isRule({ [name]: matcher }, rule)) return true;
    const asked = text(matcher);
    const value = rule.values[name];
    if (asked === undefined || asked.startsWith('!') || value === undefined) return false;
    return wider[name as keyof RuleSelector]?.(asked, value) ?? false;
  });
}

/** What iptables may print of one table. */
const tableBytes = 4 << 20;

/**
 * A table with its counters, or why nothing can be known. Rejects only with NETRIG_SSH_*.
 *
 * The program is the host's `iptables-save`, of the variant that its `iptables` is too, which is what engines call: nft on
 * Debian since 10. Rules of the other variant are in force beside these, so a host that has some can't be judged by one of the two.
 */
export async function readTable(
  context: ProbeContext,
  vantage: Vantage,
  family: 4 | 6,
  name: string,
): Promise<Table | Outcome> {
  const program = family === 4 ? 'iptables-save' : 'ip6tables-save';
  const result = await vantage.host.exec(vantage.enter([program, '-c', '-t', name]), {
    timeoutMs: Math.min(context.timeLeftMs(), 15_000),
    signal: context.signal,
    keepBytes: tableBytes,
  });
  const why = whyNoAnswer(program, result);
  if (why !== null) return inconclusive(`${program} gave no answer in ${vantage.label}: ${why}`);
  if (result.exitCode !== 0)
    return inconclusive(
      `the rules of ${vantage.label} could not be read: ${lastLine(result.stderr) || `exit status ${result.exitCode}`}`,
    );
  if (result.stdoutBytes > tableBytes)
    return inconclusive(`${program} in ${vantage.label} printed ${result.stdoutBytes} bytes, more than is read`);
  const other = /^# Warning: (ip6?tables-legacy) tables present/m.exec(`${result.stderr}\n${result.stdout}`)?.[1];
  if (other !== undefined) {
    const legacy = await vantage.host.exec(vantage.enter([`${other}-save`, '-t', name]), {
      timeoutMs: Math.min(context.timeLeftMs(), 15_000),
      signal: context.signal,
      keepBytes: tableBytes,
    });
    // An empty table of the other variant does nothing: a mere look at it is enough to make it.
    const empty =
      legacy.exitCode === 0 &&
      legacy.stdout.split('\n').every((line) => /^(?:|#.*|\*\w+|COMMIT|:\w+ ACCEPT .*)$/.test(line.trimEnd()));
    if (!empty)
      return inconclusive(
        `${vantage.label} has rules of ${other} in the table ${name} besides those that ${program} lists: what holds there cannot be told from these alone`,
      );
  }
  return (
    parseTable(name, result.stdout) ??
    inconclusive(
      `${program} in ${vantage.label} printed something that is not known: ${lastLine(result.stdout.replaceAll(/^(?:# Completed.*|COMMIT)$/gm, ''))}`,
    )
  );
}

const tableOf = (name: Spec['table']): string => (name === 'any' ? 'all tables' : `table ${name}`);

function placeOf(spec: Pick<Spec, 'table' | 'chain' | 'family'>): string {
  return `${spec.chain === undefined ? '' : `chain ${spec.chain} of `}${tableOf(spec.table)}${spec.family === 6 ? ' (IPv6)' : ''}`;
}

/** Rules of the chain (or with the selector's target), for a reader who wonders why none fits. */
export function nearRules(table: Table, chain: string | undefined): string {
  const near = table.rules.filter((rule) => chain === undefined || rule.chain === chain);
  return near.length === 0
    ? 'no rules'
    : near
        .slice(0, 30)
        .map((rule) => rule.raw)
        .join('\n') + (near.length > 30 ? `\n… ${near.length - 30} more` : '');
}

/** A chain, or a rule in a table that was read, with what a report says of it. */
interface Look {
  spec: Spec;
  table: Table;
  where: string;
  label: string;
  control: Control;
}

function withRules(outcome: Outcome, wrong: readonly Finding[], table: Table, chain: string | undefined): Outcome {
  return {
    ...outcome,
    actual: `${wrong.map((one) => `${one.name}: ${one.actual}`).join('\n')}\n${nearRules(table, chain)}`,
  };
}

function judgeChain({ spec, table, where, label, control }: Look): Outcome {
  const { chain } = spec;
  const { absent: none, count, policy } = spec.expect;
  const there = table.chains.has(chain!);
  if (none)
    return there
      ? fail('present', `${where} is there, which must not be`, {
          expected: 'absent',
          actual: nearRules(table, chain),
        })
      : pass(`${label} has no ${placeOf(spec)}`, { controls: [control] });
  if (!there)
    return fail('absent', `${label} has no ${placeOf(spec)}`, {
      expected: chain!,
      actual: [...table.chains.keys()].join(', '),
    });
  const rules = table.rules.filter((rule) => rule.chain === chain).length;
  const own = table.chains.get(chain!)?.policy ?? absent;
  const wrong = findings({ count, policy }, { count: rules, policy: own });
  return wrong.length > 0
    ? withRules(failed(where, wrong), wrong, table, chain)
    : pass(`${where} has ${rules} rules${own === absent ? '' : `, policy ${own}`}`);
}

/** Every one of the rules stands before the first of its chain that is like `before`; `null` where that is so. */
function judgeOrder(
  { table, where }: Look,
  found: readonly Rule[],
  wanted: string,
  before: RuleSelector,
): Outcome | null {
  for (const rule of found) {
    const chain = table.rules.filter((one) => one.chain === rule.chain);
    const other = chain.findIndex((one) => isRule(before, one));
    if (other < 0)
      return fail('absent', `${where} has no rule with ${describeRule(before)}, before which ${rule.raw} could stand`, {
        expected: describeRule(before),
        actual: nearRules(table, rule.chain),
      });
    if (chain.indexOf(rule) > other)
      return fail('wrong-value', `in ${where}, ${rule.raw} stands after ${chain[other]!.raw}`, {
        expected: `${wanted} before ${describeRule(before)}`,
        actual: chain.map((one) => one.raw).join('\n'),
      });
  }
  return null;
}

function judgeRule(look: Look, selector: RuleSelector): Outcome {
  const { spec, table, where, label, control } = look;
  const { chain } = spec;
  const { absent: none, count, before, position, policy } = spec.expect;
  // Of a chain that is not there, a rule's absence would be true of anything.
  if (chain !== undefined && !table.chains.has(chain))
    return fail('absent', `${label} has no ${placeOf(spec)}`, {
      expected: `chain ${chain}`,
      actual: `chains ${[...table.chains.keys()].join(', ')}`,
    });
  const scope = table.rules.filter((rule) => chain === undefined || rule.chain === chain);
  const found = scope.filter((rule) => isRule(selector, rule));
  const wanted = describeRule(selector);
  const seen = found.map((rule) => rule.raw).join('; ');
  if (none)
    return found.length > 0
      ? fail('present', `${where} has a rule that must not be there: ${seen}`, {
          expected: `none with ${wanted}`,
          actual: seen,
        })
      : pass(`${where} has no rule with ${wanted}`, { controls: [control] });
  if (found.length === 0 && count === undefined)
    return fail('absent', `${where} has no rule with ${wanted}`, { expected: wanted, actual: nearRules(table, chain) });
  const place = scope.findIndex((rule) => rule === found[0]);
  const wrong = findings(
    { count, position, policy },
    {
      count: found.length,
      position: place < 0 ? absent : place + 1,
      policy: (chain === undefined ? undefined : table.chains.get(chain)?.policy) ?? absent,
    },
  );
  if (wrong.length > 0)
    return withRules(
      failed(`${where}, rules with ${wanted}${seen === '' ? '' : ` (${seen})`}`, wrong),
      wrong,
      table,
      chain,
    );
  const order = before === undefined ? null : judgeOrder(look, found, wanted, before);
  return order ?? pass(`${where} has ${seen === '' ? `no rule with ${wanted}` : seen}`);
}

/** All tables as one, their rules preceded by the name of theirs. */
async function readAllTables(context: ProbeContext, vantage: Vantage, family: 4 | 6): Promise<Table | Outcome> {
  const all: Table = { name: 'any', chains: new Map(), rules: [] };
  for (const name of tableNames) {
    const table = await readTable(context, vantage, family, name);
    if ('verdict' in table) return table;
    for (const [chain, of] of table.chains) all.chains.set(`${name} ${chain}`, of);
    all.rules.push(...table.rules.map((rule) => ({ ...rule, raw: `-t ${name} ${rule.raw}` })));
  }
  return all;
}

/** What a target of iptables is to nftables; a rule without one is looked for among those that stop a packet. */
const verdictsOf: Record<string, readonly string[]> = {
  DROP: ['drop'],
  REJECT: ['reject'],
  DNAT: ['dnat'],
  REDIRECT: ['redirect'],
  SNAT: ['snat'],
  MASQUERADE: ['masquerade'],
};

const text = (matcher: Matcher | undefined): string | undefined =>
  typeof matcher === 'string' || typeof matcher === 'number' ? String(matcher) : undefined;

/**
 * Why a rule of iptables that is not there proves nothing: rules of nftables, which iptables does not list, may do the same there.
 * `null` where there are none, or the host has no nftables. Rejects only with NETRIG_SSH_*.
 */
async function doneByNftables(spec: Spec, context: ProbeContext, vantage: Vantage): Promise<string | null> {
  const { rule, chain, family } = spec;
  const hook = chain?.toLowerCase();
  const hooks = ['input', 'forward', 'output', 'prerouting', 'postrouting'];
  const jump = text(rule?.jump);
  const verdicts = rule?.jump === undefined ? ['drop', 'reject'] : (verdictsOf[jump ?? ''] ?? []);
  if (!rule || verdicts.length === 0 || (hook !== undefined && !hooks.includes(hook))) return null;
  const listed = await vantage.host.exec(vantage.enter(['nft', '-j', 'list', 'ruleset']), {
    timeoutMs: Math.min(context.timeLeftMs(), 15_000),
    signal: context.signal,
    keepBytes: tableBytes,
  });
  const rules = listed.exitCode === 0 ? nativeRules(listed.stdout) : null;
  const plain = (value: string | undefined): string | undefined => (value?.startsWith('!') ? undefined : value);
  const found = rulesThatMay(rules ?? [], verdicts, {
    family,
    ...(hook === undefined ? {} : { hooks: [hook] }),
    protocol: plain(text(rule.protocol)),
    sport: plain(text(rule.sport)),
    dport: plain(text(rule.dport)),
    source: plain(text(rule.source)),
    destination: plain(text(rule.destination)),
  });
  return found.length === 0 ? null : found.slice(0, 3).map(nftRuleWords).join('; ');
}

/** A rule that is not there as it was asked for proves nothing where another one does the same for more. */
function doneForMore(rule: RuleSelector, { reason }: Outcome, like: readonly Rule[]): Outcome {
  const seen = like.map(({ raw }) => raw).join('; ');
  return inconclusive(
    `${reason}, but one that does the same for more: ${seen}. Name it as it stands, or see by a \`port\` or \`ping\` what is let through`,
    {
      expected: `none with ${describeRule(rule)}`,
      actual: seen,
      controls: [{ title: 'no rule does the same for more', held: false, seen }],
    },
  );
}

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const vantage = await placeAt(context, spec.on);
  if ('verdict' in vantage) return vantage;
  const table =
    spec.table === 'any'
      ? await readAllTables(context, vantage, spec.family)
      : await readTable(context, vantage, spec.family, spec.table);
  if ('verdict' in table) return table;
  const look: Look = {
    spec,
    table,
    where: `${placeOf(spec)} of ${vantage.label}`,
    label: vantage.label,
    control: {
      title: `the rules of ${vantage.label} can be read`,
      held: true,
      seen: `${table.rules.length} rules in ${table.chains.size} chains of ${tableOf(spec.table)}`,
    },
  };
  if (spec.rule === undefined) return judgeChain(look);
  const judged = judgeRule(look, spec.rule);
  const { rule } = spec;
  if (judged.verdict === 'pass' && noneWillDo(spec.expect)) {
    const like = table.rules.filter(
      (one) => (spec.chain === undefined || one.chain === spec.chain) && covers(rule, one),
    );
    if (!like.some((one) => isRule(rule, one)) && like.length > 0) return doneForMore(rule, judged, like);
  }
  const native =
    judged.verdict === 'pass' && noneWillDo(spec.expect) ? await doneByNftables(spec, context, vantage) : null;
  return native === null
    ? judged
    : inconclusive(
        `${judged.reason}, but nftables has rules of its own that may do the same, which iptables does not list: ${native}`,
        {
          expected: `none with ${describeRule(spec.rule)}`,
          actual: native,
          controls: [
            {
              title: `no rule of nftables does in its place what must not be done`,
              held: false,
              seen: native,
            },
          ],
        },
      );
}

export const iptablesCheck = defineCheck<Spec>({
  name: 'iptables',
  summary:
    'A rule of iptables is there or not, how often, at which place, before which other one; a chain is there, with its policy.',
  example: `- check: containers' packets leave with the host's address
  iptables:
    on: node1
    table: nat
    chain: POSTROUTING
    rule: { source: 172.17.0.0/16, out: "! docker0", jump: MASQUERADE }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: (spec) => {
    const { absent: none, count, before, position, policy } = spec.expect;
    const parts = [
      count === undefined
        ? ''
        : spec.rule === undefined
          ? `rules: ${describeMatcher(count)}`
          : `${describeMatcher(count)} times`,
      position === undefined ? '' : `at position ${describeMatcher(position)}`,
      before === undefined ? '' : `before ${describeRule(before)}`,
      policy === undefined ? '' : `policy ${describeMatcher(policy)}`,
    ].filter((part) => part !== '');
    const what = spec.rule === undefined ? placeOf(spec) : `a rule ${describeRule(spec.rule)} in ${placeOf(spec)}`;
    return `${spec.on} has ${none ? `no ${what.replace(/^a /, '')}` : what}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
  },
  run,
});
