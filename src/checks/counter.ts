import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { zDuration, zInterfaceName } from '../language/fields.js';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import { askIp } from '../facts/answer.js';
import { trafficKinds, zTraffic, type Traffic } from './during.js';
import { failed, findings } from '../judging/finding.js';
import { describeRule, isRule, nearRules, readTable, rulePlace, zRuleSelector } from './iptables.js';
import { claims, zCount } from '../judging/claims.js';
import { defineCheck } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { describeMatcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import type { Vantage } from '../places/vantage.js';

const zSpec = z
  .strictObject({
    ...rulePlace,
    rule: zRuleSelector.optional().describe('Rules whose packets are counted, together, by their parts.'),
    policy: z
      .literal(true)
      .optional()
      .describe('Instead of a rule: packets that came to the end of the chain, so that its policy was applied.'),
    interface: zInterfaceName.optional().describe('Instead of a rule: an interface whose packets are counted.'),
    direction: z.enum(['rx', 'tx']).optional().describe('Of an interface: packets received or sent.'),
    during: zTraffic.describe('The check that runs meanwhile, and must itself pass.'),
    still: zDuration
      .default(200)
      .describe(
        'The counter must stand still for this long before the check begins, else packets of others are counted too; and again after it, so that late ones are not missed.',
      ),
    expect: claims({
      packets: zCount.optional().describe('By how many packets the counter went up.'),
      bytes: zCount.optional().describe('By how many bytes.'),
    }).describe('A rule of the table nat counts the first packet of each connection only.'),
  })
  .check((check) => {
    const { rule, policy, chain, interface: name, direction } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if ([rule, policy, name].filter((one) => one !== undefined).length !== 1)
      wrong([], 'must have exactly one of the keys rule, policy and interface');
    if (policy !== undefined && chain === undefined) wrong(['policy'], 'is that of a chain: name it');
    if ((name === undefined) !== (direction === undefined)) wrong(['direction'], 'goes with interface, which needs it');
    if (name !== undefined && chain !== undefined) wrong(['chain'], 'does not go with interface');
  });
type Spec = z.output<typeof zSpec>;

const zLinkCount = z.looseObject({
  ifname: z.string(),
  stats64: z.looseObject({
    rx: z.looseObject({ packets: z.number(), bytes: z.number() }),
    tx: z.looseObject({ packets: z.number(), bytes: z.number() }),
  }),
});

interface Count {
  packets: number;
  bytes: number;
  /** The rules that were counted: they must be the same ones before and after. */
  of: string;
}

/** For how long a counter may go on counting before it is said never to stand still, ms. */
const restlessMs = 5000;

/**
 * The counter once it has stood still for `still`, or why it never does. What went before (the end of an earlier connection)
 * and what comes late (the end of the probe's own) is thereby on the right side.
 */
async function countAtRest(
  spec: Spec,
  vantage: Vantage,
  context: ProbeContext,
): Promise<Count | { restless: Count } | Outcome> {
  const deadline = performance.now() + Math.min(restlessMs, context.timeLeftMs() - spec.still);
  let last = await countNow(spec, vantage, context);
  while (!('verdict' in last)) {
    // An interruption shows in the answer that comes next.
    await setTimeout(spec.still, undefined, { signal: context.signal }).catch(() => undefined);
    const now = await countNow(spec, vantage, context);
    if ('verdict' in now || (now.of === last.of && now.packets === last.packets)) return now;
    if (performance.now() >= deadline) return { restless: now };
    last = now;
  }
  return last;
}

/** Whether more packets can only make it truer: then those that come late need not be waited for. */
function growsTruer(expect: Spec['expect']): boolean {
  return Object.values(expect).every(
    (matcher) =>
      matcher === undefined ||
      (typeof matcher === 'object' &&
        matcher !== null &&
        !Array.isArray(matcher) &&
        Object.keys(matcher).every((key) => key === 'at-least')),
  );
}

async function countNow(spec: Spec, vantage: Vantage, context: ProbeContext): Promise<Count | Outcome> {
  if (spec.interface !== undefined) {
    const answer = await askIp(context, vantage, ['-s', 'link'], zLinkCount);
    if ('unknown' in answer) return inconclusive(answer.unknown);
    if ('refusal' in answer)
      return inconclusive(`the links of ${vantage.label} could not be listed: ${answer.refusal}`);
    const link = answer.items.find((one) => one.ifname === spec.interface);
    if (!link)
      return fail('absent', `${vantage.label} has no interface ${spec.interface}`, {
        expected: spec.interface,
        actual: answer.items.map((one) => one.ifname).join(', '),
      });
    const { packets, bytes } = link.stats64[spec.direction!];
    return { packets, bytes, of: `${spec.interface} (${spec.direction})` };
  }
  const table = await readTable(context, vantage, spec.family, spec.table);
  if ('verdict' in table) return table;
  if (spec.policy) {
    const chain = table.chains.get(spec.chain!);
    if (chain === undefined)
      return fail('absent', `${vantage.label} has no chain ${spec.chain} in table ${spec.table}`, {
        expected: spec.chain!,
        actual: [...table.chains.keys()].join(', '),
      });
    if (chain.policy === null)
      return fail('absent', `the chain ${spec.chain} of table ${spec.table} of ${vantage.label} has no policy`, {
        expected: 'a policy',
        actual: 'none',
      });
    return { packets: chain.packets, bytes: chain.bytes, of: `the policy ${chain.policy} of chain ${spec.chain}` };
  }
  const rules = table.rules.filter(
    (rule) => (spec.chain === undefined || rule.chain === spec.chain) && isRule(spec.rule!, rule),
  );
  if (rules.length === 0)
    return fail('absent', `${vantage.label} has no rule with ${describeRule(spec.rule!)} in table ${spec.table}`, {
      expected: describeRule(spec.rule!),
      actual: nearRules(table, spec.chain),
    });
  const sum = (field: 'packets' | 'bytes'): number => rules.reduce((total, rule) => total + rule[field], 0);
  return { packets: sum('packets'), bytes: sum('bytes'), of: rules.map((rule) => rule.raw).join('; ') };
}

function trafficOf(traffic: Traffic) {
  return trafficKinds[traffic.name]!;
}

export const counterCheck = defineCheck<Spec>({
  name: 'counter',
  summary:
    'While a probe runs, the counter of a rule, of a chain’s policy or of an interface goes up by as much as expected: which way did the packets take?',
  example: `- check: from outside, the published port is reached by the DNAT rule, not by the proxy
  counter:
    on: node1
    table: nat
    rule: { dport: 8080, jump: DNAT }
    during: { http: { from: client, url: "http://10.0.0.1:8080/", expect: { status: 200 } } }
    expect: { packets: 1 }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: ({ during }) => trafficKinds[during.name]!.mayChange(during.spec),
  timeoutMs: 40_000,
  endpoints: (spec) => [
    { endpoint: spec.on, path: ['on'], role: 'vantage' },
    ...trafficOf(spec.during)
      .endpoints(spec.during.spec)
      .map((use) => ({ ...use, path: ['during', spec.during.name, ...use.path] })),
  ],
  describe: (spec) => {
    const chain = spec.chain === undefined ? '' : `chain ${spec.chain} of `;
    const what = spec.policy
      ? `the policy of ${chain}table ${spec.table}`
      : spec.interface === undefined
        ? `rules with ${describeRule(spec.rule!)} in ${chain}table ${spec.table}`
        : `${spec.interface} (${spec.direction})`;
    const wanted = Object.entries(spec.expect).flatMap(([name, matcher]) =>
      matcher === undefined ? [] : [`${describeMatcher(matcher)} ${name}`],
    );
    return `${what} on ${spec.on} counts ${wanted.join(', ')} while ${trafficOf(spec.during).describe(spec.during.spec)}`;
  },
  async run(spec, context) {
    const vantage = await placeAt(context, spec.on);
    if ('verdict' in vantage) return vantage;
    const before = await countAtRest(spec, vantage, context);
    if ('verdict' in before) return before;
    if ('restless' in before)
      return inconclusive(
        `${before.restless.of} on ${vantage.label} never stood still for ${formatDuration(spec.still)} before the probe: packets of others are counted too`,
      );
    const kind = trafficOf(spec.during);
    const since = (count: Count) => ({ packets: count.packets - before.packets, bytes: count.bytes - before.bytes });
    const counted = async () => {
      const first = await countNow(spec, vantage, context);
      const enough =
        growsTruer(spec.expect) && !('verdict' in first) && findings(spec.expect, since(first)).length === 0;
      return enough || 'verdict' in first ? first : countAtRest(spec, vantage, context);
    };
    let over: ReturnType<typeof counted> | null = null;
    // What the probe's controls send is not what is counted.
    const traffic = await kind.run(spec.during.spec, { ...context, probeOver: () => (over ??= counted()) });
    if (traffic.verdict !== 'pass')
      return {
        ...traffic,
        reason: `the probe during which packets were to be counted did not pass: ${traffic.reason}`,
      };
    const rest = await (over ?? counted());
    if ('verdict' in rest) return rest;
    if ('restless' in rest)
      return inconclusive(
        `${rest.restless.of} on ${vantage.label} never stood still for ${formatDuration(spec.still)} after the probe: packets of others are counted too`,
      );
    const after = rest;
    const what = before.of;
    if (after.of !== before.of || after.packets < before.packets || after.bytes < before.bytes) {
      return inconclusive(
        `the rules on ${vantage.label} changed meanwhile, so what was counted cannot be told: ${before.of} became ${after.of}`,
      );
    }
    const delta = since(after);
    const controls = [
      {
        title: `the counter stands still for ${formatDuration(spec.still)} before the probe`,
        held: true,
        seen: `at ${before.packets} packets`,
      },
      { title: kind.describe(spec.during.spec), held: true, seen: traffic.reason },
    ];
    const measures = [
      { name: 'packets', value: delta.packets, unit: 'count' as const },
      { name: 'bytes', value: delta.bytes, unit: 'bytes' as const },
    ];
    const wrong = findings(spec.expect, delta);
    if (wrong.length > 0)
      return { ...failed(`${what} on ${vantage.label}, during the probe`, wrong), controls, measures };
    return pass(`${what} on ${vantage.label} counted ${delta.packets} packets, ${delta.bytes} bytes`, {
      controls,
      measures,
    });
  },
});
