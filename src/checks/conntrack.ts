import { beside } from '../places/vantage.js';
import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { parseConntrack } from '../facts/conntrack.js';
import type { TrackedConnection, Tuple } from '../facts/conntrack.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { claims, zCount } from '../judging/claims.js';
import { judgeEntries, noneWillDo } from '../judging/entries.js';
import { describeWanted, findings } from '../judging/finding.js';
import { absent, describeMatcher, zMatcher } from '../judging/match.js';
import { inconclusive } from '../judging/outcome.js';
import { placeAt } from '../judging/place.js';
import { defineCheck, looksOnly } from './kind.js';

const tupleFields = {
  src: zMatcher.optional().describe('Source address.'),
  dst: zMatcher.optional().describe('Destination address.'),
  sport: zMatcher.optional().describe('Source port.'),
  dport: zMatcher.optional().describe('Destination port.'),
};

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('Whose connection tracking: that of a host, a container or a network namespace.'),
    protocol: zMatcher.optional().describe('tcp, udp, icmp, icmpv6, …'),
    ...tupleFields,
    expect: claims({
      absent: z.literal(true).optional().describe('No such connection is tracked.'),
      count: zCount.optional().describe('How many such connections there are; at least one where left out.'),
      state: zMatcher.optional().describe('TCP: SYN_SENT, ESTABLISHED, TIME_WAIT, …'),
      replied: z.boolean().optional().describe('Whether a packet of the other direction was seen.'),
      assured: z.boolean().optional().describe('Whether it is kept when the table is full.'),
      mark: zMatcher.optional().describe('Its mark, as a number.'),
      reply: z
        .strictObject(tupleFields)
        .refine((fields) => Object.keys(fields).length > 0, 'must name at least one of src, dst, sport and dport')
        .optional()
        .describe(
          'Addresses and ports of the packets that are waited for in the other direction: after DNAT the source is the real server, after SNAT the destination is the translated client.',
        ),
    })
      .check((check) => {
        if (check.value.absent && Object.keys(check.value).length > 1)
          check.issues.push({
            code: 'custom',
            input: check.value,
            path: ['absent'],
            continue: true,
            message: 'a connection that is absent has no properties',
          });
      })
      .default({})
      .describe('Properties that one of these connections has.'),
  })
  .check((check) => {
    const { on: _on, expect: _expect, ...selector } = check.value;
    if (Object.keys(selector).length === 0)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: [],
        continue: true,
        message: 'must say which connection: protocol, src, dst, sport or dport, of its first packet',
      });
  });
type Spec = z.output<typeof zSpec>;

const table = '/proc/net/nf_conntrack';
const keepBytes = 8 << 20;

async function trackedBy(context: ProbeContext, place: Vantage): Promise<TrackedConnection[] | { unknown: string }> {
  const from = beside(place);
  const result = await from.host.exec(from.enter(['cat', table]), {
    timeoutMs: Math.min(context.timeLeftMs(), 10_000),
    signal: context.signal,
    keepBytes,
  });
  const unknown = (why: string): { unknown: string } => ({
    unknown: `the connections that ${place.label} tracks could not be read: ${why}`,
  });
  const why = whyNoAnswer('cat', result);
  if (why !== null) return unknown(why);
  if (result.exitCode !== 0) return unknown(lastLine(result.stderr) || `exit status ${result.exitCode}`);
  if (result.stdoutBytes > keepBytes) return unknown(`${result.stdoutBytes} bytes are more than is read`);
  return parseConntrack(result.stdout) ?? unknown(`${table} holds a line in a form that is not known`);
}

const valueOr = (value: unknown): unknown => value ?? absent;

const tupleValues = ({ src, dst, sport, dport }: Tuple): Record<string, unknown> => ({
  src,
  dst,
  sport: valueOr(sport),
  dport: valueOr(dport),
});

const showTuple = ({ src, dst, sport, dport }: Tuple): string =>
  `${src}${sport === null ? '' : ` port ${sport}`} → ${dst}${dport === null ? '' : ` port ${dport}`}`;

const show = (one: TrackedConnection): string =>
  `${one.protocol} ${showTuple(one.original)}, reply ${showTuple(one.reply)}${one.state === null ? '' : `, ${one.state}`}${one.replied ? '' : ', no reply seen'}`;

async function run(spec: Spec, context: ProbeContext): Promise<Outcome> {
  const place = await placeAt(context, spec.on);
  if ('verdict' in place) return place;
  const tracked = await trackedBy(context, place);
  if ('unknown' in tracked) return inconclusive(tracked.unknown);
  const { protocol, src, dst, sport, dport, expect } = spec;
  const { absent: none, count, reply = {}, state, replied, assured, mark } = expect;
  // A namespace begins to track when a rule needs it: an empty table shows nothing.
  if (noneWillDo(expect) && tracked.length === 0)
    return inconclusive(`${spec.on} tracks no connection at all: nothing shows that it would have tracked this one`);
  const selector = { protocol, src, dst, sport, dport };
  const inReply = Object.fromEntries(Object.entries(reply).map(([name, matcher]) => [`reply ${name}`, matcher]));
  return judgeEntries({
    what: `tracked connection with ${describeWanted(selector).join(', ')} on ${spec.on}`,
    found: tracked.filter(
      (one) => findings(selector, { protocol: one.protocol, ...tupleValues(one.original) }).length === 0,
    ),
    listed: tracked.length,
    show,
    valuesOf: (one) => ({
      state: valueOr(one.state),
      replied: one.replied,
      assured: one.assured,
      mark: valueOr(one.mark),
      ...Object.fromEntries(Object.entries(tupleValues(one.reply)).map(([name, value]) => [`reply ${name}`, value])),
    }),
    expect: { absent: none, count },
    wanted: { state, replied, assured, mark, ...inReply },
    near: `${tracked.length} others are tracked`,
  });
}

export const conntrackCheck = defineCheck<Spec>({
  name: 'conntrack',
  summary:
    'Connection tracking knows, or does not know, a connection: its state, and what address translation has made of it.',
  example: `- check: the published port was translated to the container's address
  conntrack: { on: node1, protocol: tcp, dport: 8080, expect: { reply: { src: 172.17.0.2, sport: 80 } } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 15_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: ({ on, expect, protocol, src, dst, sport, dport }) => {
    const selector = describeWanted({ protocol, src, dst, sport, dport }).join(', ');
    const { absent: none, count, reply, replied, assured, ...wanted } = expect;
    if (none) return `${on} tracks no connection with ${selector}`;
    const parts = [
      ...describeWanted({ ...wanted, replied, assured }),
      ...(reply === undefined ? [] : [`reply ${describeWanted(reply).join(', ')}`]),
    ];
    return `${on} tracks ${count === undefined ? 'a connection' : `${describeMatcher(count)} connections`} with ${selector}${parts.map((part) => `, ${part}`).join('')}`;
  },
  run,
});
