import { z } from 'zod';
import { probeCauses } from '../model/verdict.js';
import type { Cause, Control, Outcome } from '../model/verdict.js';
import { zDuration, zEndpoint, zPort } from '../language/fields.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { defineCheck, looksOnly } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { zAddressOn } from '../judging/expectation.js';
import { fail, inconclusive, withDiagnosis } from '../judging/outcome.js';
import { addressOfOwner, isTargetProblem, plannedOwnerOf, readOwner } from '../probes/target.js';
import type { Owner, ResolvedTarget, TargetOptions } from '../probes/target.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { notOfTheWay } from '../judging/control.js';
import { explain, judgeSent } from '../reaching/attempt.js';
import type { Prober, Sent } from '../reaching/attempt.js';
import { sweep } from '../reaching/sweep.js';
import type { Swept, SweepShape } from '../reaching/sweep.js';

const groupName = /^[A-Za-z][A-Za-z0-9_-]*$/;
const rulePattern = /^([A-Za-z][A-Za-z0-9_-]*) *(<?->) *([A-Za-z][A-Za-z0-9_-]*)$/;

const schema = z
  .strictObject({
    groups: z
      .record(
        z.string().regex(groupName, 'a group name of letters, digits, dashes and underscores'),
        z.array(zEndpoint).min(1),
      )
      .describe(
        'Groups of hosts, containers or network namespaces, by name. Members of one group may reach each other.',
      ),
    by: z
      .union([z.literal('ping'), z.strictObject({ tcp: zPort })])
      .default('ping')
      .describe('What is sent: `ping`, or `{ tcp: PORT }` for connection attempts.'),
    'address-on': zAddressOn.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .default(4)
      .describe('IP version; 4 by default.'),
    wait: zDuration
      .default(500)
      .describe('Time to wait for each answer; 500 ms by default. What gets none is asked twice more.'),
    expect: z
      .strictObject({
        allow: z
          .array(z.string().regex(rulePattern, 'a rule such as "web -> db" or "web <-> db"'))
          .default([])
          .describe('Who may reach whom besides: `web -> db`, or `web <-> db` for both ways. Everybody else must not.'),
      })
      .default({ allow: [] })
      .describe('Who may reach whom besides the members of one group; nobody where left out.'),
  })
  .transform(({ 'address-on': via, expect, ...rest }) => ({ ...rest, via, allow: expect.allow }))
  .check((check) => {
    const { groups, allow } = check.value;
    const members = Object.values(groups).flat();
    const twice = members.find((member, at) => members.indexOf(member) !== at);
    if (twice !== undefined)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['groups'],
        continue: true,
        message: `${twice} must be in one group only`,
      });
    if (members.length < 2)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['groups'],
        continue: true,
        message: 'must have at least two members in all',
      });
    allow.forEach((rule, at) => {
      const [, from, , to] = rulePattern.exec(rule) ?? [];
      for (const name of [from, to]) {
        if (name !== undefined && !Object.hasOwn(groups, name))
          check.issues.push({
            code: 'custom',
            input: rule,
            path: ['expect', 'allow', at],
            continue: true,
            message: `there is no group ${name}; there are ${Object.keys(groups).join(', ')}`,
          });
      }
    });
  });
type ReachSpec = z.output<typeof schema>;

/**
 * net.ipv4.neigh.default.gc_thresh3 as the kernel sets it (arp(7)). The table is one for all network namespaces of a machine,
 * and only the first of them sees the sysctl, so that a lab host cannot ask.
 */
const neighbourTableSize = 1024;
interface Member {
  name: string;
  group: string;
  vantage: Vantage;
}

function mayReach(spec: ReachSpec, from: Member, to: Member): boolean {
  if (from.group === to.group) return true;
  return spec.allow.some((rule) => {
    const [, a, arrow, b] = rulePattern.exec(rule)!;
    return (a === from.group && b === to.group) || (arrow === '<->' && a === to.group && b === from.group);
  });
}

function listed(texts: readonly string[], most = 6): string {
  return texts.length <= most
    ? texts.join('; ')
    : `${texts.slice(0, most).join('; ')}; and ${texts.length - most} more`;
}

/** What most of them failed with. */
function commonCause(causes: readonly Cause[]): Cause {
  const counts = new Map<Cause, number>();
  for (const cause of causes) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

async function findMembers(context: ProbeContext, spec: ReachSpec): Promise<Member[] | string[]> {
  const problems: string[] = [];
  const members = await Promise.all(
    Object.entries(spec.groups).flatMap(([group, names]) =>
      names.map(async (name): Promise<Member | null> => {
        const endpoint = parseEndpoint(name, context.plan);
        if (!isVantage(endpoint)) {
          problems.push(`${name} is no place a probe can start from`);
          return null;
        }
        const vantage = await resolveVantage(context, endpoint);
        if (!isVantageProblem(vantage)) return { name, group, vantage };
        problems.push(vantage.reason);
        return null;
      }),
    ),
  );
  return problems.length > 0 ? problems : members.filter((member) => member !== null);
}

/** An ordered pair of members, and the address at which the one means the other. */
interface Pair {
  from: Member;
  to: Member;
  target: ResolvedTarget;
}

const optionsOf = ({ via, family }: ReachSpec): TargetOptions => ({ via, family });

/** The pairs, or the verdict where a member has no address: it can be neither reached nor cut off. */
function findPairs(
  context: ProbeContext,
  spec: ReachSpec,
  members: readonly Member[],
  owners: readonly Owner[],
): { pairs: Pair[] } | Outcome {
  const options = optionsOf(spec);
  const pairs: Pair[] = [];
  let unknown: Outcome | null = null;
  for (const from of members) {
    for (const [at, to] of members.entries()) {
      if (from === to) continue;
      const target = addressOfOwner(context.plan, owners[at]!, from.vantage, options);
      if (isTargetProblem(target)) {
        const reason = `${to.name} has no address to probe from ${from.name}: ${target.reason}`;
        // What must be reached and has no address is not reached, as every other kind says of it.
        if (target.cause !== null && mayReach(spec, from, to)) return fail(target.cause, reason);
        unknown ??= inconclusive(reason);
        continue;
      }
      pairs.push({ from, to, target });
    }
  }
  return unknown ?? { pairs };
}

type SentBy = Map<string, Sent>;

const sentKey = (source: Vantage, { address }: ResolvedTarget): string => `${source.label} ${address}`;

/**
 * Every pair's probe, and every member's own at the addresses at which others mean it, but for those that were sent: `sent` is
 * added to. Answers what those of the members that `asks` names say of their own addresses.
 */
async function sendAll(
  context: ProbeContext,
  shape: SweepShape,
  members: readonly Member[],
  pairs: readonly Pair[],
  sent: SentBy,
  asks: ReadonlySet<Member> = new Set(),
): Promise<Map<Member, Swept['own']>> {
  const jobs = members.flatMap((member) => {
    const source = member.vantage;
    const all = pairs.filter(({ from, to }) => from === member || to === member).map(({ target }) => target);
    const targets = [...new Map(all.map((target) => [target.address, target])).values()].filter(
      (target) => !sent.has(sentKey(source, target)),
    );
    return targets.length === 0 ? [] : [{ member, source, targets, asked: asks.has(member) }];
  });
  const swept = await sweep(context, shape, jobs);
  jobs.forEach(({ source, targets }, at) =>
    targets.forEach((target, one) => sent.set(sentKey(source, target), swept[at]!.sent[one]!)),
  );
  return new Map(jobs.map(({ member }, at) => [member, swept[at]!.own]));
}

/** Forgets what was sent to addresses that turned out to be somebody else's, or that somebody else turned out to have. */
function forgetMoved(sent: SentBy, assumed: readonly Pair[], found: readonly Pair[]): void {
  const moved = found.flatMap(({ target }, at) => {
    const before = assumed[at]!.target;
    return before.address === target.address ? [] : [before, target];
  });
  for (const { from } of found) for (const target of moved) sent.delete(sentKey(from.vantage, target));
}

/**
 * The pairs, and what was sent. Probes go to the addresses of the plan at once, and each host is asked in the same command which
 * addresses it has: a command costs more than many probes. Where it has another one, that is probed after it, and only that counts.
 */
async function probePairs(
  context: ProbeContext,
  spec: ReachSpec,
  members: readonly Member[],
): Promise<{ pairs: Pair[]; sent: SentBy } | Outcome> {
  const options = optionsOf(spec);
  const sent: SentBy = new Map();
  const planned = new Map(members.map((member) => [member, plannedOwnerOf(context, member.vantage, options)]));
  const asks = new Set(members.filter((member) => planned.get(member) !== null));
  const read = async (member: Member): Promise<Owner> => readOwner(context, member.vantage, options);
  const first = await Promise.all(members.map(async (member) => planned.get(member) ?? read(member)));
  const assumed = findPairs(context, spec, members, first);
  const own =
    'pairs' in assumed
      ? await sendAll(context, shapeOf(spec), members, assumed.pairs, sent, asks)
      : new Map<Member, null>();
  const owners = await Promise.all(
    members.map(async (member, at) => {
      if (!asks.has(member)) return first[at]!;
      const said = own.get(member) ?? null;
      return said === null ? read(member) : { place: member.vantage, own: said };
    }),
  );
  const found = findPairs(context, spec, members, owners);
  if ('verdict' in found) return found;
  if ('pairs' in assumed) forgetMoved(sent, assumed.pairs, found.pairs);
  await sendAll(context, shapeOf(spec), members, found.pairs, sent);
  return { pairs: found.pairs, sent };
}

interface PairVerdict extends Pair {
  may: boolean;
  sent: Sent;
  outcome: Outcome;
}

/** Every pair by what was seen of it: as any other connectivity check between the two would be judged. */
async function judgePairs(
  context: ProbeContext,
  spec: ReachSpec,
  pairs: readonly Pair[],
  sent: ReadonlyMap<string, Sent>,
): Promise<PairVerdict[]> {
  const verdicts: PairVerdict[] = [];
  // A few at a time: controls of negatives are probes, too.
  const queue = [...pairs.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [at, pair] = next;
      const seen = sent.get(sentKey(pair.from.vantage, pair.target))!;
      const may = mayReach(spec, pair.from, pair.to);
      const prober = proberOf(context, spec, may, sent);
      const ends = { source: pair.from.vantage, target: pair.target };
      verdicts[at] = { ...pair, may, sent: seen, outcome: await judgeSent(context, prober, ends, seen) };
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return verdicts;
}

function shapeOf({ by, family, wait }: ReachSpec): SweepShape {
  return { by, family, waitMs: wait };
}

function proberOf(context: ProbeContext, spec: ReachSpec, may: boolean, sent: ReadonlyMap<string, Sent>): Prober {
  const send = async (source: Vantage, target: ResolvedTarget): Promise<Sent> =>
    (await sweep(context, shapeOf(spec), [{ source, targets: [target] }]))[0]!.sent[0]!;
  return {
    fails: may ? null : probeCauses,
    success: (to) => `${to} is reached`,
    service: spec.by === 'ping' ? { proto: 'icmp', port: null } : { proto: 'tcp', port: spec.by.tcp },
    send,
    // What a member came to at its own address is known already.
    control: async (source, target) =>
      (source.label === target.owner?.label
        ? (sent.get(sentKey(source, target)) ?? (await send(source, target)))
        : await send(source, target)
      ).sighting,
    author: null,
    hint: `check that pair by kind ${spec.by === 'ping' ? 'ping' : 'port'}, with a \`control\` that goes the same way`,
    needsTarget: true,
    waitMs: spec.wait,
    diagnosed: 'never',
  };
}

function cellOf({ may, outcome }: PairVerdict): string {
  if (outcome.verdict === 'pass') return may ? '✓' : `✓ no (${outcome.cause})`;
  if (outcome.verdict === 'fail') return outcome.cause === 'present' ? '✗ reached' : `✗ ${outcome.cause}`;
  return outcome.controls ? '? no control' : '? unknown';
}

function tableOf(members: readonly Member[], verdicts: readonly PairVerdict[]): string[][] {
  return [
    ['from \\ to', ...members.map(({ name }) => name)],
    ...members.map((from) => [
      from.name,
      ...members.map((to) => (from === to ? '·' : cellOf(verdicts.find((one) => one.from === from && one.to === to)!))),
    ]),
  ];
}

/** The controls of all negatives as one, or those that did not hold, each once. */
function controlsOf(verdicts: readonly PairVerdict[]): Control[] {
  const all = verdicts.filter(({ may }) => !may);
  if (all.length === 0) return [];
  const broken = all.flatMap(({ outcome }) => (outcome.controls ?? []).filter(({ held }) => !held));
  if (broken.length > 0) return [...new Map(broken.map((one) => [one.title, one])).values()];
  const controlled = all.filter(({ outcome }) => outcome.controls !== undefined);
  const others = controlled.filter(({ outcome }) => !outcome.controls!.some(notOfTheWay));
  const known = controlled.flatMap(({ outcome }) => outcome.controls!.filter(notOfTheWay));
  return [
    ...(others.length === 0
      ? []
      : [
          {
            title: 'where nothing got through, the other side is there and the way carries packets',
            held: true,
            seen: `${others.length} of ${controlled.length} pairs`,
          },
        ]),
    // Of these pairs nothing was shown of the other side: they say what was.
    ...new Map(known.map((one) => [`${one.title}: ${one.seen}`, one])).values(),
  ];
}

function pairText({ from, to, outcome }: PairVerdict): string {
  const pair = `${from.name} → ${to.name}`;
  if (outcome.cause === 'present') return `${pair}: reached, and must not be`;
  return outcome.cause === 'wrong-answer' ? `${pair}: ${outcome.reason}` : `${pair}: ${outcome.cause}`;
}

function slowestMs(verdicts: readonly PairVerdict[]): number {
  return Math.max(
    0,
    ...verdicts.flatMap(({ sent }) =>
      sent.sighting.saw === 'nothing' ? [] : (sent.sighting.measures ?? []).map(({ value }) => value),
    ),
  );
}

async function run(spec: ReachSpec, context: ProbeContext): Promise<Outcome> {
  const found = await findMembers(context, spec);
  if (typeof found[0] === 'string') return inconclusive(`Not every member is there: ${listed(found as string[])}.`);
  const members = found as Member[];
  const probed = await probePairs(context, spec, members);
  if ('verdict' in probed) return probed;
  const { pairs, sent } = probed;
  const verdicts = await judgePairs(context, spec, pairs, sent);
  const negatives = verdicts.some(({ may }) => !may);
  const controls = controlsOf(verdicts);
  const shared = {
    table: tableOf(members, verdicts),
    ...(controls.length > 0 ? { controls } : {}),
    measures: [
      { name: 'pairs', value: pairs.length, unit: 'count' as const },
      { name: 'slowest answer', value: slowestMs(verdicts), unit: 'ms' as const },
    ],
    expected: negatives ? 'every allowed pair reached, every other one not' : 'every pair reached',
  };
  const wrong = verdicts.filter(({ outcome }) => outcome.verdict === 'fail');
  if (
    wrong.length > 0 &&
    pairs.length > 0.8 * neighbourTableSize &&
    wrong.every(({ outcome }) => outcome.cause === 'timeout' || outcome.cause === 'host-unreachable')
  ) {
    return inconclusive(
      `${wrong.length} of ${pairs.length} pairs gave no answer, but so many pairs need ${pairs.length} entries of the machine's neighbour table, which holds ${neighbourTableSize} for all its network namespaces unless net.ipv4.neigh.default.gc_thresh3 was raised: the losses may be the machine's own.`,
      shared,
    );
  }
  if (wrong.length > 0) return failedPairs(context, spec, wrong, pairs.length, shared);
  const unknown = verdicts.filter(({ outcome }) => outcome.verdict !== 'pass');
  if (unknown.length > 0) {
    const texts = unknown.map(({ from, to, outcome }) => `${from.name} → ${to.name}: ${outcome.reason}`);
    return inconclusive(`${unknown.length} of ${pairs.length} pairs could not be known: ${listed(texts)}.`, shared);
  }
  return { verdict: 'pass', reason: `All ${pairs.length} pairs are as they must be.`, ...shared };
}

async function failedPairs(
  context: ProbeContext,
  spec: ReachSpec,
  wrong: readonly PairVerdict[],
  pairs: number,
  shared: Partial<Outcome>,
): Promise<Outcome> {
  // Leaks first: what gets through and must not weighs more.
  const sorted = [...wrong].sort(
    (a, b) => Number(b.outcome.cause === 'present') - Number(a.outcome.cause === 'present'),
  );
  const texts = sorted.map(pairText);
  const failed: Outcome = {
    verdict: 'fail',
    cause: commonCause(sorted.map(({ outcome }) => outcome.cause!)),
    reason: `${texts.length} of ${pairs} pairs are not as they must be: ${listed(texts)}.`,
    actual: listed(texts, 20),
    ...shared,
  };
  const first = sorted[0]!;
  const ends = { source: first.from.vantage, target: first.target };
  const prober = proberOf(context, spec, first.may, new Map());
  return withDiagnosis(failed, await explain(context, prober, ends, first.sent, first.outcome.cause!));
}

/** Kind `reach`: who reaches whom among groups, every pair both ways, in one pass a host. */
export const reachCheck = defineCheck<ReachSpec>({
  name: 'reach',
  summary:
    'Every member of groups is probed from every other, both ways, in one pass a host: pairs that are allowed must be reached, all others must not. Who answered is told by the sender’s route and neighbour table alone: where a router may translate, `ping` and `port` ask the target’s own counters, too.',
  example:
    '- check: the web servers reach the database, and nobody else does\n  reach:\n    groups: { web: [node1/web1, node2/web2], db: [node1/db], guest: [node2/guest] }\n    by: { tcp: 5432 }\n    expect: { allow: [web -> db] }',
  schema: schema as z.ZodType<ReachSpec>,
  mayChange: looksOnly,
  timeoutMs: 60_000,
  endpoints: (spec): EndpointUse[] =>
    Object.entries(spec.groups).flatMap(([group, names]) =>
      names.map((endpoint, at) => ({ endpoint, path: ['groups', group, at], role: 'vantage' as const })),
    ),
  describe(spec) {
    const groups = Object.entries(spec.groups).map(([name, members]) => `${name} (${members.length})`);
    return `${groups.join(', ')} by ${spec.by === 'ping' ? 'ping' : `TCP ${spec.by.tcp}`}${spec.allow.length > 0 ? `, allowed ${spec.allow.join(', ')}` : ''}`;
  },
  run,
});
