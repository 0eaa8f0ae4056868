import { sysctlPath } from '../model/sysctl.js';
import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { describeWanted, failed, findings } from '../judging/finding.js';
import { defineCheck, looksOnly } from './kind.js';
import { absent, match, zMatcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { beside } from '../places/vantage.js';

const zKey = z
  .string()
  .regex(/^[a-z0-9_]+(?:[./][\w:-]+)+$/i, 'must be the name of a sysctl, such as net.ipv4.ip_forward');

const zSpec = z
  .strictObject({
    on: zEndpoint.describe(
      'A host, or the network namespace of a container or of a name, which has values of its own for what begins with net.',
    ),
    expect: z
      .record(zKey, zMatcher)
      .refine((values) => Object.keys(values).length > 0, 'must name at least one sysctl')
      .describe(
        'Sysctls with the values that they must have. Several numbers in one value are separated by single blanks.',
      ),
  })
  .transform(({ on, expect: values }) => ({ on, values }))
  .check((check) => {
    const { on, values } = check.value;
    for (const key of Object.keys(values)) {
      if (on.includes('/') && !key.startsWith('net'))
        check.issues.push({
          code: 'custom',
          input: check.value,
          path: ['expect', key],
          continue: true,
          message: 'only what begins with net. belongs to a network namespace: ask the host',
        });
    }
  });
type Spec = z.output<typeof zSpec>;

/** Every kernel has it: when it can't be read, that another one is missing shows nothing. */
const witness = '/proc/sys/kernel/ostype';

export const sysctlCheck = defineCheck<Spec>({
  name: 'sysctl',
  summary: 'Kernel parameters of a host or a network namespace have the values expected, or are not there.',
  example: `- check: the engine switched forwarding on
  sysctl: { on: node1, expect: { net.ipv4.ip_forward: 1 } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 15_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: (spec) => `sysctls of ${spec.on}: ${describeWanted(spec.values).join(', ')}`,
  async run(spec, context) {
    const vantage = await placeAt(context, spec.on);
    if ('verdict' in vantage) return vantage;
    const keys = Object.keys(spec.values);
    // Those of a network namespace are as netrig's own tools see them there; others are of namespaces that the helper has none of.
    const from = keys.every((key) => sysctlPath(key).startsWith('/proc/sys/net/')) ? beside(vantage) : vantage;
    // The name of the file before each line tells empty values and missing files apart.
    const result = await from.host.exec(
      from.enter(['env', 'LC_ALL=C', 'grep', '-H', '', witness, ...keys.map(sysctlPath)]),
      { timeoutMs: Math.min(context.timeLeftMs(), 10_000), signal: context.signal },
    );
    const why = whyNoAnswer('grep', result);
    if (why !== null) return inconclusive(`the sysctls of ${vantage.label} could not be read: ${why}`);
    const missing = keys.filter((key) =>
      result.stderr.split('\n').includes(`grep: ${sysctlPath(key)}: No such file or directory`),
    );
    const others = result.stderr
      .split('\n')
      .filter(
        (line) => line !== '' && !missing.some((key) => line === `grep: ${sysctlPath(key)}: No such file or directory`),
      );
    const unreadable =
      others.length > 0 ||
      result.exitCode !== (missing.length > 0 ? 2 : 0) ||
      !result.stdout.split('\n').includes(`${witness}:Linux`);
    if (unreadable)
      return inconclusive(
        `the sysctls of ${vantage.label} could not be read: ${others.at(-1) ?? (lastLine(result.stderr) || `exit status ${result.exitCode}`)}`,
      );
    const unexpected = missing.filter((key) => !match(spec.values[key]!, absent).ok);
    if (unexpected.length > 0)
      return fail('absent', `the kernel of ${vantage.label} has no ${unexpected.join(', ')}`, {
        expected: describeWanted(spec.values).join('\n'),
        actual: `no ${missing.join(', ')}`,
      });
    const values: Record<string, unknown> = Object.fromEntries(
      keys.map((key) => {
        if (missing.includes(key)) return [key, absent];
        const lines = result.stdout.split('\n').filter((line) => line.startsWith(`${sysctlPath(key)}:`));
        return [
          key,
          lines
            .map((line) =>
              line
                .slice(sysctlPath(key).length + 1)
                .trim()
                .replace(/\s+/g, ' '),
            )
            .join('\n'),
        ];
      }),
    );
    const wrong = findings(spec.values, values);
    return wrong.length > 0
      ? failed(vantage.label, wrong)
      : pass(
          `${vantage.label}: ${Object.entries(values)
            .map(([key, value]) => (value === absent ? `no ${key}` : `${key} = ${String(value)}`))
            .join(', ')}`,
        );
  },
});
