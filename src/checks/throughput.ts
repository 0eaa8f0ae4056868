import { z } from 'zod';
import { zDuration, zEndpoint, zPort } from '../language/fields.js';
import type { Measure, Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { resolveProbe } from '../probes/probe-ends.js';
import { transfer, withServer } from '../probes/throughput.js';
import type { DataPath } from '../probes/throughput.js';
import { zAddressOn } from '../judging/expectation.js';
import { zCount } from '../judging/claims.js';
import { describeMatcher, match } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck } from './kind.js';

const ends = {
  from: zEndpoint.describe('Where the data is sent from.'),
  to: zEndpoint.describe('Where it is sent to: a host, a container or a network namespace.'),
  'address-on': zAddressOn.optional(),
};

const zSpec = z.strictObject({
  ...ends,
  'compared-to': z
    .strictObject(ends)
    .describe(
      'The path that it is compared with. How fast a lab is depends on the machine; how one path compares with another does not.',
    ),
  time: zDuration.default(1000).describe('Of one transfer, in whole seconds; 1 s by default.'),
  rounds: z
    .int()
    .min(1)
    .max(20)
    .default(3)
    .describe('How often both paths are measured, in turn; the median of each counts. 3 by default.'),
  port: zPort.default(5201).describe('TCP port at which iperf3 serves meanwhile; 5201 by default.'),
  expect: z
    .strictObject({
      ratio: zCount.describe('The throughput of the path, divided by that of the one it is compared with.'),
    })
    .describe('How fast the path is: `ratio: { at-most: 0.5 }`, no more than half as fast as the other.'),
});
type Spec = z.output<typeof zSpec>;
type Ends = Pick<Spec, 'from' | 'to' | 'address-on'>;

async function pathOf(context: ProbeContext, spec: Ends): Promise<DataPath | Outcome> {
  const server = await placeAt(context, spec.to);
  if ('verdict' in server) return server;
  const from = parseEndpoint(spec.from, context.plan);
  if (!isVantage(from)) return inconclusive(`${spec.from} is no place to send from`);
  const found = await resolveProbe(context, from, parseEndpoint(spec.to, context.plan), { via: spec['address-on'] });
  if (found.state === 'found') return { source: found.source, target: found.target, server };
  return inconclusive(found.state === 'unresolved' ? found.failure.reason : found.reason);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const mbits = (bits: number): string => `${(bits / 1e6).toPrecision(3)} Mbit/s`;

/** Both paths in turn, so that what else the machine does falls on both alike. */
async function measure(
  spec: Spec,
  context: ProbeContext,
  paths: readonly DataPath[],
): Promise<number[] | { unknown: string }> {
  const request = { port: spec.port, seconds: Math.max(1, Math.round(spec.time / 1000)) };
  const seen: number[][] = paths.map(() => []);
  for (let round = 0; round < spec.rounds; round += 1)
    for (const [at, path] of paths.entries()) {
      const bits = await withServer(context, path, spec.port, () => transfer(context, path, request));
      if (typeof bits !== 'number') return bits;
      seen[at]!.push(bits);
    }
  return seen.map(median);
}

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const paths: DataPath[] = [];
  for (const one of [spec, spec['compared-to']]) {
    const path = await pathOf(context, one);
    if ('verdict' in path) return path;
    paths.push(path);
  }
  const medians = await measure(spec, context, paths);
  if (!Array.isArray(medians)) return inconclusive(medians.unknown);
  const [own = 0, other = 0] = medians;
  if (own === 0 || other === 0) return inconclusive('nothing came in at all over one of the paths');
  const ratio = Math.round((own / other) * 1000) / 1000;
  const seen = `${spec.from} sends ${mbits(own)} to ${spec.to}, ${spec['compared-to'].from} ${mbits(other)} to ${spec['compared-to'].to}: ${ratio} times as much`;
  const measures: Measure[] = [
    { name: 'throughput ratio', value: Math.round(ratio * 1000) / 10, unit: 'percent', judged: true },
  ];
  const { ok, expected } = match(spec.expect.ratio, ratio);
  return ok ? pass(seen, { measures }) : fail('wrong-value', seen, { expected, actual: String(ratio), measures });
}

export const throughputCheck = defineCheck<Spec>({
  name: 'throughput',
  summary:
    'How fast TCP is over one path, compared with another one: iperf3, which the hosts must have (`packages: [iperf3]`), over both in turn.',
  example: `- check: the line to the branch is limited, the one to the office is not
  throughput:
    from: client
    to: branch
    compared-to: { from: client, to: office }
    expect: { ratio: { at-most: 0.5 } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: () => 'measuring the throughput fills both paths with traffic',
  repeatable: () => true,
  timeoutMs: 60_000,
  endpoints: ({ from, to, 'compared-to': other }) => [
    { endpoint: from, path: ['from'], role: 'vantage' },
    { endpoint: to, path: ['to'], role: 'vantage' },
    { endpoint: other.from, path: ['compared-to', 'from'], role: 'vantage' },
    { endpoint: other.to, path: ['compared-to', 'to'], role: 'vantage' },
  ],
  describe: ({ from, to, 'compared-to': other, expect }) =>
    `${from} sends to ${to}, compared with ${other.from} to ${other.to}: ratio ${describeMatcher(expect.ratio)}`,
  run,
});
