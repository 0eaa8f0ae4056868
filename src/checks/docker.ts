import { z } from 'zod';
import { zDockerName, zName, oneOrMany } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { engineGet, engineObjects } from '../facts/engine.js';
import type { EngineObject } from '../facts/engine.js';
import { matchFields, valueAt, zFields, zJsonPath } from '../judging/json-path.js';
import { defineCheck, looksOnly } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, showValue, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';

const zSpec = z
  .strictObject({
    on: oneOrMany(zName).describe('The host or hosts whose engine is asked.'),
    container: zDockerName.optional().describe('A container.'),
    network: zDockerName.optional().describe('A network.'),
    volume: zDockerName.optional().describe('A volume.'),
    image: z.string().min(1).optional().describe('An image.'),
    info: z.literal(true).optional().describe('The engine itself, by the fields of docker info.'),
    expect: z
      .object({
        same: z.array(zJsonPath).min(1).optional().describe('Fields that have the same value on all hosts.'),
        absent: z.literal(true).optional().describe('The engine has no such object.'),
      })
      .catchall(zMatcher)
      .optional()
      .describe('Fields of docker inspect (of docker info for `info`), by their paths.'),
  })
  .check((check) => {
    const { expect } = check.value;
    if (expect !== undefined && Object.keys(expect).length === 0)
      check.issues.push({
        code: 'custom',
        input: expect,
        path: ['expect'],
        continue: true,
        message: 'says nothing: name what is expected, or leave it out for what is expected without it',
      });
    const { same: _same, absent: _absent, ...fields } = expect ?? {};
    if (Object.keys(fields).length === 0) return;
    for (const issue of zFields.safeParse(fields).error?.issues ?? [])
      check.issues.push({
        code: 'custom',
        input: fields,
        path: ['expect', ...issue.path],
        continue: true,
        message: issue.message,
      });
  })
  .transform(({ info, expect, ...rest }) => {
    const { same, absent: gone, ...fields } = expect ?? {};
    const claimed = Object.keys(fields).length === 0 ? undefined : (fields as Record<string, Matcher>);
    return {
      ...rest,
      info: info === true ? (claimed ?? {}) : undefined,
      expect: info === true ? undefined : claimed,
      same,
      absent: gone,
    };
  })
  .check((check) => {
    const spec = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: spec, path, continue: true, message });
    const asked = [...engineObjects, 'info' as const].filter((key) => spec[key] !== undefined);
    if (asked.length !== 1)
      wrong(
        [],
        `must have exactly one of the keys ${[...engineObjects, 'info'].join(', ')}${asked.length === 0 ? '' : `, not ${asked.join(' and ')}`}`,
      );
    if (new Set(spec.on).size < spec.on.length) wrong(['on'], 'names a host twice');
    if (spec.info !== undefined && Object.keys(spec.info).length === 0 && spec.same === undefined)
      wrong(['info'], 'needs what is expected of it: fields of docker info, below expect');
    if (spec.absent && (spec.expect !== undefined || spec.same !== undefined || spec.info !== undefined))
      wrong(['expect', 'absent'], 'an object that is absent has no fields');
    if (spec.same !== undefined && spec.on.length < 2)
      wrong(['expect', 'same'], 'compares hosts: name more than one in on');
  });
type Spec = z.output<typeof zSpec>;

function objectOf(spec: Spec): { kind: EngineObject | 'info'; name: string } {
  for (const kind of engineObjects) {
    const name = spec[kind];
    if (name !== undefined) return { kind, name };
  }
  return { kind: 'info', name: '' };
}

const titleOf = (spec: Spec): string => {
  const { kind, name } = objectOf(spec);
  return kind === 'info' ? 'the engine' : `the ${kind} ${name}`;
};

/** Equality of what two engines state: the order of keys in a JSON object means nothing. */
function canonical(value: unknown): string {
  if (value === absent) return 'absent';
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

interface Wrong {
  host: string;
  what: string;
  sentence: string;
  expected: string;
  actual: string;
  missing: boolean;
}

function judge(spec: Spec, documents: { host: string; document: unknown }[]): Outcome {
  const fields = spec.info ?? spec.expect ?? {};
  const wrong: Wrong[] = documents.flatMap(({ host, document }) =>
    matchFields(fields, document).flatMap(({ path, ok, ...result }) =>
      ok ? [] : [{ host, what: path, ...result, missing: valueAt(document, path) === absent }],
    ),
  );
  const agreed: string[] = [];
  for (const path of spec.same ?? []) {
    const values = documents.map(({ host, document }) => ({ host, value: valueAt(document, path) }));
    const lacking = values.find(({ value }) => value === absent);
    const actual = values.map(({ host, value }) => `${host}: ${showValue(value)}`).join(', ');
    if (lacking !== undefined)
      wrong.push({
        host: lacking.host,
        what: path,
        sentence: 'is absent, so that it cannot be the same',
        expected: 'the same on all hosts',
        actual,
        missing: true,
      });
    else if (new Set(values.map(({ value }) => canonical(value))).size > 1)
      wrong.push({
        host: 'the hosts',
        what: path,
        sentence: `differs (${actual})`,
        expected: 'the same on all hosts',
        actual,
        missing: false,
      });
    else agreed.push(`${path} is ${showValue(values[0]?.value)} on ${documents.map(({ host }) => host).join(' and ')}`);
  }
  if (wrong.length > 0) {
    return fail(
      wrong.every((one) => one.missing) ? 'absent' : 'wrong-value',
      `${titleOf(spec)}: ${wrong.map((one) => `on ${one.host} ${one.what} ${one.sentence}`).join('; ')}`,
      {
        expected: wrong.map((one) => `${one.host}: ${one.what}: ${one.expected}`).join('\n'),
        actual: wrong.map((one) => `${one.host}: ${one.what}: ${one.actual}`).join('\n'),
      },
    );
  }
  const first = documents[0]?.document;
  const seen = [...agreed, ...Object.keys(fields).map((path) => `${path} is ${showValue(valueAt(first, path))}`)];
  const hosts = documents.map(({ host }) => host).join(' and ');
  return pass(`${titleOf(spec)} on ${hosts}${seen.length === 0 ? ' is there' : `: ${seen.join(', ')}`}`);
}

async function ask(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const { kind, name } = objectOf(spec);
  const answers = await Promise.all(
    spec.on.map(async (host) => ({ host, answer: await engineGet(context, context.host(host), kind, name) })),
  );
  const title = titleOf(spec);
  const unknown = answers.flatMap(({ answer }) => ('unknown' in answer ? [answer.unknown] : []));
  const missing = answers.filter(({ answer }) => 'missing' in answer).map(({ host }) => host);
  const documents = answers.flatMap(({ host, answer }) =>
    'document' in answer ? [{ host, document: answer.document }] : [],
  );
  if (spec.absent) {
    // One that is there settles it, whatever the others would say.
    if (documents.length > 0)
      return fail(
        'present',
        `${title} is on ${documents.map(({ host }) => host).join(' and ')}, where it must not be`,
        { expected: 'absent', actual: 'present' },
      );
    if (unknown.length > 0) return inconclusive(unknown.join('; '));
    return pass(`${title} is not on ${missing.join(' and ')}`, {
      controls: [
        {
          title: `the engine of ${missing.join(' and ')} answers`,
          held: true,
          seen: `it states that it has no such ${kind}`,
        },
      ],
    });
  }
  if (missing.length > 0)
    return fail('absent', `${title} is not on ${missing.join(' and ')}`, { expected: 'present', actual: 'absent' });
  if (unknown.length > 0) return inconclusive(unknown.join('; '));
  return judge(spec, documents);
}

export const dockerCheck = defineCheck<Spec>({
  name: 'docker',
  summary:
    'A container, network, image, volume or the engine itself is as expected, field by field; on several hosts also the same.',
  example: `- check: both engines list the overlay network
  docker:
    on: [node1, node2]
    network: ov_net1
    expect: { same: [Id], Scope: global, Driver: overlay, "IPAM.Config[0].Subnet": { in-subnet: 10.0.0.0/8 } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 30_000,
  endpoints: (spec): EndpointUse[] =>
    spec.on.map((endpoint, i) => ({ endpoint, path: spec.on.length === 1 ? ['on'] : ['on', i], role: 'vantage' })),
  describe: (spec) => {
    const hosts = spec.on.join(' and ');
    if (spec.absent) return `${hosts}: ${titleOf(spec)} is absent`;
    const wanted = [
      ...Object.entries(spec.info ?? spec.expect ?? {}).map(([path, matcher]) => `${path} ${describeMatcher(matcher)}`),
      ...(spec.same === undefined ? [] : [`the same ${spec.same.join(', ')}`]),
    ];
    return `${hosts}: ${titleOf(spec)}${wanted.length === 0 ? ' is there' : ` has ${wanted.join(', ')}`}`;
  },
  run: ask,
});
