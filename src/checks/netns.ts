import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { defineCheck, looksOnly } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import type { Vantage } from '../places/vantage.js';

const kinds = ['net', 'pid', 'uts', 'ipc', 'mnt', 'user', 'cgroup'] as const;
type NamespaceKind = (typeof kinds)[number];

const zSpec = z
  .strictObject({
    on: z.tuple([zEndpoint, zEndpoint]).describe('Two hosts, containers or named network namespaces of the same host.'),
    namespace: z.enum(kinds).default('net').describe('Which namespace is compared.'),
    expect: z
      .union([z.literal('same'), z.strictObject({ not: z.literal('same').describe('They have one each.') })])
      .describe('`same`: the two share it. `{ not: same }`: they do not.'),
  })
  .transform(({ on: [of, and], namespace, expect }) => ({
    of,
    and,
    namespace,
    expect: expect === 'same' ? ('same' as const) : ('different' as const),
  }))
  .check((check) => {
    const { of, and, namespace } = check.value;
    const wrong = (path: (string | number)[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if (of.split('/')[0] !== and.split('/')[0])
      wrong(['on', 1], 'must be on the same host: namespaces of two hosts are never the same');
    if (of === and) wrong(['on', 1], 'must be another one: anything shares a namespace with itself');
    for (const [at, value] of [
      [0, of],
      [1, and],
    ] as const)
      if (namespace !== 'net' && value.includes('/netns:'))
        wrong(['on', at], 'a named network namespace has no other namespaces');
  });
type Spec = z.output<typeof zSpec>;

/** The namespace's identifier as the kernel states it: `net:[4026531840]`. */
async function namespaceOf(context: ProbeContext, vantage: Vantage, kind: NamespaceKind): Promise<string | Outcome> {
  // A container's first process has the namespaces that its engine gave it; a host's has those of the host.
  const argv =
    kind === 'net'
      ? vantage.enter(['readlink', '/proc/self/ns/net'])
      : ['readlink', `/proc/${vantage.container?.pid ?? 1}/ns/${kind}`];
  const result = await vantage.host.exec(argv, {
    timeoutMs: Math.min(context.timeLeftMs(), 10_000),
    signal: context.signal,
  });
  const why = whyNoAnswer('readlink', result);
  const text = result.stdout.trim();
  if (why !== null || !/^\w+:\[\d+\]$/.test(text))
    return inconclusive(
      `the ${kind} namespace of ${vantage.label} is not known: ${why ?? (lastLine(result.stderr) || text || `exit status ${result.exitCode}`)}`,
    );
  return text;
}

export const netnsCheck = defineCheck<Spec>({
  name: 'netns',
  summary: 'Two of a host’s containers, or a container and the host, share a namespace or do not.',
  example: `- check: a container of network mode host has the host's own network namespace
  netns: { on: [node1, node1/web], expect: same }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 15_000,
  endpoints: (spec) => [
    { endpoint: spec.of, path: ['on', 0], role: 'vantage' },
    { endpoint: spec.and, path: ['on', 1], role: 'vantage' },
  ],
  describe: (spec) =>
    `${spec.of} and ${spec.and} have ${spec.expect === 'same' ? 'the same' : 'different'} ${spec.namespace} namespace${spec.expect === 'same' ? '' : 's'}`,
  async run(spec, context) {
    const places = [await placeAt(context, spec.of), await placeAt(context, spec.and)];
    const found: string[] = [];
    for (const place of places) {
      if ('verdict' in place) return place;
      const namespace = await namespaceOf(context, place, spec.namespace);
      if (typeof namespace !== 'string') return namespace;
      found.push(namespace);
    }
    const same = found[0] === found[1];
    const seen = same
      ? `${spec.of} and ${spec.and} share ${found[0]}`
      : `${spec.of} has ${found[0]}, ${spec.and} ${found[1]}`;
    if (same === (spec.expect === 'same')) return pass(seen);
    return fail('wrong-value', `${seen}; expected ${spec.expect === 'same' ? 'the same one' : 'different ones'}`, {
      expected: spec.expect,
      actual: found.join(', '),
    });
  },
});
