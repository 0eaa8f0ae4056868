import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import type { Cause, Outcome } from '../model/verdict.js';
import { httpGet } from '../facts/answer.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { matchFields, zFields } from '../judging/json-path.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims, zCount, zList, zText } from '../judging/claims.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, showValue, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/** States of a member as `/v1/agent/members` numbers them (serf's MemberStatus). */
const memberStates = { alive: 1, leaving: 2, left: 3, failed: 4 } as const;
type MemberState = keyof typeof memberStates;

/** Whether no key at all with a prefix is as expected. */
function emptyWillDo({ count, keys }: { count?: Matcher | undefined; keys?: Matcher | undefined }): boolean {
  if (count === undefined && keys === undefined) return false;
  return (count === undefined || match(count, 0).ok) && (keys === undefined || match(keys, []).ok);
}

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('Where Consul’s HTTP API is asked from: a host, a container or a network namespace.'),
    api: z
      .string()
      .regex(/^https?:\/\/[^\s/]+$/, 'must be a URL without path, such as http://127.0.0.1:8500')
      .default('http://127.0.0.1:8500')
      .describe('Where the API listens, seen from there.'),
    status: z
      .enum(Object.keys(memberStates) as [MemberState, ...MemberState[]])
      .optional()
      .describe('Members in this state are looked at; `alive` where left out.'),
    kv: z
      .strictObject({
        key: z.string().min(1).optional().describe('One key.'),
        prefix: z
          .string()
          .min(1)
          .optional()
          .describe('All keys that begin so; the entry of a folder itself does not count.'),
      })
      .refine(
        ({ key, prefix }) => (key === undefined) !== (prefix === undefined),
        'must have exactly one of key and prefix',
      )
      .optional()
      .describe('What stands in the key-value store.'),
    service: z.string().min(1).optional().describe('Name of a service of the catalogue.'),
    expect: claims({
      leader: zMatcher
        .optional()
        .describe(
          'true: the servers have a leader. false: they have none. Else: its address and port, 10.10.10.11:8300.',
        ),
      members: claims({
        count: zCount.optional().describe('How many there are.'),
        names: z.array(z.string().min(1)).optional().describe('Their names: all of them, in any order.'),
      })
        .optional()
        .describe('What the agent knows of the cluster’s members.'),
      value: zText.optional().describe('kv with key: its value, as text.'),
      json: zFields.optional().describe('kv with key: fields of the JSON document that is its value.'),
      count: zCount.optional().describe('kv with prefix: how many keys.'),
      keys: zList.optional().describe('kv with prefix: the list of keys.'),
      absent: z.literal(true).optional().describe('kv: there is none.'),
      passing: zCount
        .optional()
        .describe('service: how many of its instances pass all their checks; at least one where left out.'),
    }).default({}),
  })
  .check((check) => {
    const { kv, service, status, expect } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    const claimed = (...names: (keyof typeof expect)[]) => names.filter((name) => expect[name] !== undefined);
    for (const name of claimed('value', 'json'))
      if (kv?.key === undefined) wrong(['expect', name], 'goes with a key of kv');
    for (const name of claimed('count', 'keys'))
      if (kv?.prefix === undefined) wrong(['expect', name], 'goes with a prefix of kv');
    if (expect.absent && kv === undefined) wrong(['expect', 'absent'], 'goes with kv');
    if (expect.absent && claimed('value', 'json', 'count', 'keys').length > 0)
      wrong(['expect', 'absent'], 'what does not exist has no value');
    if (expect.passing !== undefined && service === undefined) wrong(['expect', 'passing'], 'goes with service');
    if (status !== undefined && expect.members === undefined) wrong(['status'], 'goes with members below expect');
    if (kv === undefined && service === undefined && claimed('leader', 'members').length === 0)
      wrong([], 'must ask for something: kv, service, or leader or members below expect');
  })
  .transform(({ on, api, status, kv, service, expect }) => ({
    on,
    api,
    leader: expect.leader,
    members: expect.members === undefined ? undefined : { ...expect.members, status: status ?? 'alive' },
    kv:
      kv === undefined
        ? undefined
        : {
            ...kv,
            // No key at all, by whichever word.
            exists: expect.absent !== true && !emptyWillDo(expect),
            absent: expect.absent === true,
            value: expect.value,
            json: expect.json,
            count: expect.count,
            keys: expect.keys,
          },
    health: service === undefined ? undefined : { service, passing: expect.passing ?? { 'at-least': 1 } },
  }));
type Spec = z.output<typeof zSpec>;

/** curl's exit statuses that tell what the network did. */
const curlCauses: Record<number, Cause> = { 6: 'unknown-host', 7: 'refused', 28: 'timeout', 56: 'reset' };

type Answer = { status: number; body: string } | { outcome: Outcome };

/**
 * One request. An API that does not answer fails what is expected to be there, with the network's cause; of what is expected to
 * be missing it says nothing.
 */
async function ask(
  spec: Spec,
  context: ProbeContext,
  vantage: Vantage,
  path: string,
  negative: boolean,
): Promise<Answer> {
  const answer = await httpGet(context, vantage, `${spec.api}${path}`);
  if ('status' in answer) return answer;
  const reason = `Consul’s API at ${spec.api} did not answer on ${spec.on}: ${answer.unanswered}`;
  const cause = answer.curlExit === null ? undefined : curlCauses[answer.curlExit];
  // 7 is any failure to connect; only curl's words tell a refusal from the others.
  const certain =
    cause !== undefined &&
    (cause !== 'refused' || /Connection refused|Couldn't connect to server/.test(answer.unanswered));
  return {
    outcome:
      certain && !negative
        ? fail(cause, reason, { expected: 'an answer', actual: answer.unanswered })
        : inconclusive(reason),
  };
}

function parse<T>(schema: z.ZodType<T>, body: string): T | null {
  try {
    return schema.safeParse(JSON.parse(body)).data ?? null;
  } catch {
    return null;
  }
}

const strange = (what: string, status: number, body: string): Outcome =>
  inconclusive(`Consul answered the question for ${what} with HTTP ${status}: ${showValue(body.trim())}`);

async function judgeLeader(spec: Spec, context: ProbeContext, vantage: Vantage, wanted: Matcher): Promise<Outcome> {
  const answer = await ask(spec, context, vantage, '/v1/status/leader', wanted === false);
  if ('outcome' in answer) return answer.outcome;
  const leader = answer.status === 200 ? parse(z.string(), answer.body) : null;
  if (leader === null) {
    // Agents answer so while no server can be asked: there is no leader that they know of.
    // What servers that it does not know have is no matter it can speak of.
    if (answer.status === 500 && /No known Consul servers|No cluster leader/.test(answer.body)) {
      if (wanted === false) return strange('its leader', answer.status, answer.body);
      return fail('absent', `Consul on ${spec.on} knows no leader: ${answer.body.trim()}`, {
        expected: 'a leader',
        actual: answer.body.trim(),
      });
    }
    return strange('its leader', answer.status, answer.body);
  }
  if (leader === '')
    return wanted === false
      ? pass(`Consul on ${spec.on} has no leader`)
      : fail('absent', `Consul on ${spec.on} has no leader`, { expected: 'a leader', actual: 'none' });
  if (wanted === true) return pass(`Consul’s leader is ${leader}`);
  if (wanted === false)
    return fail('present', `Consul on ${spec.on} has the leader ${leader}, and must have none`, {
      expected: 'no leader',
      actual: leader,
    });
  const { ok, sentence, ...rest } = match(wanted, leader);
  return ok ? pass(`Consul’s leader is ${leader}`) : fail('wrong-value', `Consul’s leader ${sentence}`, rest);
}

async function judgeMembers(
  spec: Spec,
  context: ProbeContext,
  vantage: Vantage,
  wanted: NonNullable<Spec['members']>,
): Promise<Outcome> {
  const answer = await ask(spec, context, vantage, '/v1/agent/members', false);
  if ('outcome' in answer) return answer.outcome;
  const members =
    answer.status === 200
      ? parse(z.array(z.object({ Name: z.string(), Addr: z.string(), Status: z.number() })), answer.body)
      : null;
  if (members === null) return strange('its members', answer.status, answer.body);
  const stateName = (status: number): string =>
    (Object.keys(memberStates) as MemberState[]).find((name) => memberStates[name] === status) ?? `in state ${status}`;
  const seen =
    members.map((member) => `${member.Name} (${member.Addr}) ${stateName(member.Status)}`).join(', ') || 'none';
  const names = members
    .filter((member) => member.Status === memberStates[wanted.status])
    .map((member) => member.Name)
    .sort();
  const wrong: string[] = [];
  const expected: string[] = [];
  if (wanted.count !== undefined) {
    const result = match(wanted.count, names.length);
    expected.push(`${result.expected} ${wanted.status}`);
    if (!result.ok) wrong.push(`the number of members ${wanted.status} ${result.sentence}`);
  }
  if (wanted.names !== undefined) {
    expected.push(`${wanted.status}: ${[...wanted.names].sort().join(', ')}`);
    if (JSON.stringify([...wanted.names].sort()) !== JSON.stringify(names))
      wrong.push(
        `members ${wanted.status} are ${names.join(', ') || 'none'}, expected ${[...wanted.names].sort().join(', ')}`,
      );
  }
  return wrong.length === 0
    ? pass(`Consul on ${spec.on} knows the members ${seen}`)
    : fail('wrong-value', `Consul on ${spec.on}: ${wrong.join('; ')} (members: ${seen})`, {
        expected: expected.join('; '),
        actual: seen,
      });
}

const zEntries = z.array(z.object({ Key: z.string(), Value: z.string().nullable() })).min(1);

async function judgeKv(
  spec: Spec,
  context: ProbeContext,
  vantage: Vantage,
  wanted: NonNullable<Spec['kv']>,
): Promise<Outcome> {
  const name = wanted.key ?? wanted.prefix ?? '';
  const what = wanted.key === undefined ? `a key that begins with ${name}` : `the key ${name}`;
  const path = `/v1/kv/${name.split('/').map(encodeURIComponent).join('/')}${wanted.key === undefined ? '?keys' : ''}`;
  const answer = await ask(spec, context, vantage, path, !wanted.exists);
  if ('outcome' in answer) return answer.outcome;
  // The store answers 404 with an empty body; an address that is no Consul's answers with a page.
  const missing = (): Outcome =>
    wanted.exists
      ? fail('absent', `Consul’s store does not hold ${what}`, { expected: what, actual: 'absent' })
      : pass(`Consul’s store does not hold ${what}`, {
          controls: [{ title: `Consul’s store answers on ${spec.on}`, held: true, seen: `HTTP ${answer.status}` }],
        });
  if (answer.status === 404 && answer.body.trim() === '') return missing();
  if (answer.status !== 200) return strange(what, answer.status, answer.body);
  if (wanted.key === undefined) {
    const listed = parse(z.array(z.string()).min(1), answer.body);
    if (listed === null) return strange(what, answer.status, answer.body);
    // The entry of the folder itself, which stays when all below it is gone.
    const keys = listed.filter((key) => key !== name || !key.endsWith('/'));
    if (keys.length === 0) return missing();
    const shown = `${keys.length} (${keys.slice(0, 5).join(', ')}${keys.length > 5 ? ', …' : ''})`;
    if (wanted.absent)
      return fail('present', `Consul’s store holds keys that begin with ${name}: ${shown}`, {
        expected: 'absent',
        actual: keys.join('\n'),
      });
    const checks: [string, Matcher | undefined, unknown][] = [
      ['the number of keys', wanted.count, keys.length],
      ['the list of keys', wanted.keys, keys],
    ];
    return verdictOf(`Consul’s store holds keys that begin with ${name}: ${shown}`, checks);
  }
  const entry = parse(zEntries, answer.body)?.find((one) => one.Key === wanted.key);
  if (entry === undefined) return strange(what, answer.status, answer.body);
  const value = entry.Value === null ? '' : Buffer.from(entry.Value, 'base64').toString('utf8');
  const seen = `Consul’s store holds ${what}: ${showValue(value)}`;
  if (!wanted.exists) return fail('present', seen, { expected: 'absent', actual: value });
  const judged = verdictOf(seen, [['the value', wanted.value, value]]);
  if (judged.verdict !== 'pass' || wanted.json === undefined) return judged;
  let document: unknown;
  try {
    document = JSON.parse(value);
  } catch {
    return fail('wrong-value', `${seen}, which is no JSON document`, { expected: 'a JSON document', actual: value });
  }
  const wrong = matchFields(wanted.json, document).filter((one) => !one.ok);
  if (wrong.length === 0) return judged;
  return fail(
    'wrong-value',
    `${what} of Consul’s store: ${wrong.map((one) => `${one.path} ${one.sentence}`).join('; ')}`,
    {
      expected: wrong.map((one) => `${one.path}: ${one.expected}`).join('\n'),
      actual: wrong.map((one) => `${one.path}: ${one.actual}`).join('\n'),
    },
  );
}

function verdictOf(seen: string, checks: [string, Matcher | undefined, unknown][]): Outcome {
  const wrong = checks.flatMap(([what, matcher, value]) => {
    const result = matcher === undefined ? null : match(matcher, value ?? absent);
    return result === null || result.ok ? [] : [{ what, ...result }];
  });
  if (wrong.length === 0) return pass(seen);
  return fail('wrong-value', `${seen}; ${wrong.map((one) => `${one.what} ${one.sentence}`).join('; ')}`, {
    expected: wrong.map((one) => `${one.what}: ${one.expected}`).join('\n'),
    actual: wrong.map((one) => `${one.what}: ${one.actual}`).join('\n'),
  });
}

async function judgeHealth(
  spec: Spec,
  context: ProbeContext,
  vantage: Vantage,
  wanted: NonNullable<Spec['health']>,
): Promise<Outcome> {
  const answer = await ask(spec, context, vantage, `/v1/health/service/${encodeURIComponent(wanted.service)}`, false);
  if ('outcome' in answer) return answer.outcome;
  const instances =
    answer.status === 200
      ? parse(
          z.array(
            z.object({ Node: z.object({ Node: z.string() }), Checks: z.array(z.object({ Status: z.string() })) }),
          ),
          answer.body,
        )
      : null;
  if (instances === null) return strange(`the service ${wanted.service}`, answer.status, answer.body);
  const seen =
    instances
      .map(
        (one) =>
          `${one.Node.Node} ${one.Checks.every((check) => check.Status === 'passing') ? 'passing' : one.Checks.map((check) => check.Status).join('/')}`,
      )
      .join(', ') || 'no instance';
  const passing = instances.filter((one) => one.Checks.every((check) => check.Status === 'passing')).length;
  const result = match(wanted.passing, passing);
  return result.ok
    ? pass(`the service ${wanted.service}: ${seen}`)
    : fail(
        instances.length === 0 ? 'absent' : 'wrong-value',
        `the number of passing instances of ${wanted.service} ${result.sentence} (${seen})`,
        { expected: result.expected, actual: seen },
      );
}

/** The worst of several outcomes stands for all: a certain failure before what is not known, that before success. */
function together(outcomes: Outcome[]): Outcome {
  const worst = outcomes.find((one) => one.verdict === 'fail') ?? outcomes.find((one) => one.verdict !== 'pass');
  if (worst !== undefined) return worst;
  return {
    ...pass(outcomes.map((one) => one.reason).join('; ')),
    controls: outcomes.flatMap((one) => one.controls ?? []),
  };
}

export const consulCheck = defineCheck<Spec>({
  name: 'consul',
  summary: 'Consul has a leader, the members expected, keys in its store, healthy services: asked from its HTTP API.',
  example: `- check: Consul has a leader and two members
  consul: { on: node1, expect: { leader: true, members: { count: 2 } }, status: alive }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: (spec) => {
    const parts = [
      spec.leader === undefined
        ? ''
        : spec.leader === true
          ? 'a leader'
          : spec.leader === false
            ? 'no leader'
            : `the leader ${describeMatcher(spec.leader)}`,
      spec.members === undefined
        ? ''
        : [
            spec.members.count === undefined
              ? ''
              : `${describeMatcher(spec.members.count)} members ${spec.members.status}`,
            spec.members.names === undefined ? '' : `the members ${spec.members.names.join(', ')}`,
          ]
            .filter((part) => part !== '')
            .join(', '),
      spec.kv === undefined
        ? ''
        : `${spec.kv.absent ? 'no ' : ''}${spec.kv.key === undefined ? `keys that begin with ${spec.kv.prefix}` : `key ${spec.kv.key}`}`,
      spec.health === undefined
        ? ''
        : `${describeMatcher(spec.health.passing)} passing instances of ${spec.health.service}`,
    ].filter((part) => part !== '');
    return `Consul on ${spec.on} has ${parts.join(', ')}`;
  },
  async run(spec, context) {
    const endpoint = parseEndpoint(spec.on, context.plan);
    if (!isVantage(endpoint)) return inconclusive(`${spec.on} is no host, container or network namespace of the lab`);
    const vantage = await resolveVantage(context, endpoint);
    if (isVantageProblem(vantage)) return inconclusive(vantage.reason);
    const outcomes: Outcome[] = [];
    if (spec.leader !== undefined) outcomes.push(await judgeLeader(spec, context, vantage, spec.leader));
    if (spec.members !== undefined) outcomes.push(await judgeMembers(spec, context, vantage, spec.members));
    if (spec.kv !== undefined) outcomes.push(await judgeKv(spec, context, vantage, spec.kv));
    if (spec.health !== undefined) outcomes.push(await judgeHealth(spec, context, vantage, spec.health));
    return together(outcomes);
  },
});
