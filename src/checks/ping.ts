import { z } from 'zod';
import type { Cause, Measure, ProbeCause } from '../model/verdict.js';
import { zDuration, zEndpoint, zTarget } from '../language/fields.js';
import { quoteArgv } from '../ssh/quote.js';
import { zAddressOn, zControl, zFails } from '../judging/expectation.js';
import { defineCheck, looksOnly } from './kind.js';
import { probeEndpoints } from './probe-endpoints.js';
import type { ProbeContext } from '../places/context.js';
import { firstBrokenHop, neighbourSilent, pathParts, readPath } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import { attemptBetween } from '../reaching/attempt.js';
import type { Sent } from '../reaching/attempt.js';
import { readPing } from '../probes/ping-output.js';
import type { PingReport } from '../probes/ping-output.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { ResolvedTarget } from '../probes/target.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

const zEnough = z.strictObject({
  'min-received': z.int().min(1).describe('Replies that are enough; without it, each request needs one.'),
});

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the echo requests are sent from.'),
    to: zTarget.describe('Where they go. A name is resolved from inside the source.'),
    'address-on': zAddressOn.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('IP version for endpoints and names; 4 by default.'),
    count: z.int().min(1).max(100).default(2).describe('Echo requests to send.'),
    interval: zDuration.default(50).describe('Time between two of them; 50 ms by default.'),
    wait: zDuration.default(1000).describe('Time to wait for an answer; 1 s by default.'),
    size: z.int().min(0).max(65_507).optional().describe('Bytes of payload; the IPv4 packet is 28 bytes longer.'),
    df: z.boolean().default(false).describe('Forbid fragmentation: with `size`, this finds the MTU of a path.'),
    expect: z
      .union([z.literal('reply'), zEnough, zFails])
      .default('reply')
      .describe('`reply`, how many replies are enough, or `fails` with the causes that will do.'),
    control: zControl.optional(),
  })
  .transform(({ 'address-on': via, expect, ...rest }) => ({
    ...rest,
    via,
    expect: typeof expect === 'object' && 'fails' in expect ? expect : ('reply' as const),
    'min-received': typeof expect === 'object' && 'min-received' in expect ? expect['min-received'] : undefined,
  }))
  .check((check) => {
    const { count, 'min-received': least } = check.value;
    const issue = (message: string): void =>
      void check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['expect', 'min-received'],
        continue: true,
        message,
      });
    if (least === undefined) return;
    if (least > count) issue(`needs more replies than requests are sent: count is ${count}`);
  });
type PingSpec = z.output<typeof schema>;

type Shape = Pick<PingSpec, 'count' | 'interval' | 'wait' | 'size' | 'df' | 'min-received'>;

/** One plain echo request: for controls, where neither size nor loss matters. */
const plain: Shape = { count: 1, interval: 50, wait: 1000, df: false, size: undefined, 'min-received': undefined };

function pingArgv(address: string, shape: Shape): string[] {
  const seconds = (ms: number): string => String(Math.max(1, Math.round(ms)) / 1000);
  return [
    'ping',
    '-n',
    '-c',
    String(shape.count),
    '-i',
    seconds(shape.interval),
    '-W',
    seconds(shape.wait),
    ...(shape.size === undefined ? [] : ['-s', String(shape.size)]),
    ...(shape.df ? ['-M', 'do'] : []),
    address,
  ];
}

function measuresOf(report: PingReport): Measure[] {
  const loss: Measure[] =
    report.transmitted > 0
      ? [{ name: 'loss', value: (100 * (report.transmitted - report.received)) / report.transmitted, unit: 'percent' }]
      : [];
  if (report.rtts.length === 0) return loss;
  const mean = report.rtts.reduce((sum, ms) => sum + ms, 0) / report.rtts.length;
  return [
    { name: 'rtt min', value: Math.min(...report.rtts), unit: 'ms' },
    { name: 'rtt mean', value: Math.round(mean * 1000) / 1000, unit: 'ms' },
    ...loss,
  ];
}

/** Turns what ping printed into a sighting. Exported for tests. */
export function judgePing(
  report: PingReport,
  ends: { source: string; target: string; address: string },
  minReceived: number | null,
  path: PathEvidence | null,
): Sent {
  const { source, target, address } = ends;
  const needed = minReceived ?? report.transmitted;
  const measures = measuresOf(report);
  if (report.transmitted > 0 && report.received >= needed && report.received > 0) {
    const notes = [
      report.duplicates > 0 ? `${report.duplicates} duplicates came too` : '',
      report.strangers.length > 0 ? `also from ${[...new Set(report.strangers)].join(', ')}` : '',
    ].filter((note) => note !== '');
    const text = `${target} answered ${source}: ${report.received} of ${report.transmitted} replies`;
    return { sighting: { saw: 'success', text: [text, ...notes].join('; '), measures }, path, answeredBy: address };
  }
  const failure = (cause: Cause, text: string, answeredBy: string | null = null): Sent => ({
    sighting: { saw: 'failure', cause, text, measures },
    path,
    answeredBy,
  });
  const error = report.errors[0];
  if (report.received === 0 && error) {
    if (error.from === null)
      return failure(error.cause, `${source} could not send to ${target}: its own kernel says “${error.text}”`);
    // ping shows an unanswered ARP request as an ICMP message from the sender's own address.
    const own = path?.route && 'source' in path.route ? path.route.source : null;
    if (error.from === own)
      return failure(
        error.cause,
        `${target} does not answer ${source}: ${firstBrokenHop(path, source, address) ?? error.text}`,
      );
    return failure(error.cause, `${error.from} answered ${source} for ${target}: ${error.text}`, error.from);
  }
  if (report.received > 0)
    return {
      sighting: {
        saw: 'failure',
        cause: 'timeout',
        text: `${target} answered ${source} only ${report.received} of ${report.transmitted} times, ${needed} are needed`,
        measures,
        answered: true,
      },
      path,
      answeredBy: address,
    };
  if (report.strangers.length > 0)
    return failure('wrong-answer', `replies for ${target} came from ${[...new Set(report.strangers)].join(', ')}`);
  const broken = firstBrokenHop(path, source, address);
  const cause: ProbeCause = neighbourSilent(path) ? 'host-unreachable' : 'timeout';
  return failure(
    cause,
    `${target} does not answer ${source}: ${report.transmitted} sent, none answered${broken === null ? '' : `; ${broken}`}`,
  );
}

async function sendPing(context: ProbeContext, source: Vantage, target: ResolvedTarget, shape: Shape): Promise<Sent> {
  const from = beside(source);
  const { parts, exec } = await runScript(
    from.host,
    [{ name: 'ping', shell: `LC_ALL=C ${quoteArgv(pingArgv(target.address, shape))}` }, ...pathParts(target.address)],
    { timeoutMs: context.timeLeftMs(), signal: context.signal, wrap: (shell) => inside(from, shell) },
  );
  const unknown = (text: string): Sent => ({
    sighting: { saw: 'nothing', text },
    path: null,
    answeredBy: null,
  });
  const ping = parts.get('ping');
  if (!ping) return unknown(`the ping from ${source.label} was not finished: ${whyUnfinished(exec)}`);
  if (ping.exitCode === 127) return unknown(`${source.endpoint.host} has no ping`);
  const report = readPing(ping.output, target.address);
  if ('unread' in report)
    return unknown(`ping at ${source.label} said something that is not understood: “${report.unread}”`);
  return judgePing(
    report,
    { source: source.label, target: target.label, address: target.address },
    shape['min-received'] ?? null,
    readPath(parts, target.address),
  );
}

/** Kind `ping`. See `judgePing` for how a silent probe gets its cause. */
export const pingCheck = defineCheck<PingSpec>({
  name: 'ping',
  summary: 'ICMP echo requests are answered by the very address they were sent to, or fail for a named cause.',
  example: '- check: web on node2 answers app on node1\n  ping: { from: node1/app, to: node2/web }',
  schema: schema as z.ZodType<PingSpec>,
  mayChange: looksOnly,
  timeoutMs: 30_000,
  endpoints: probeEndpoints,
  describe(spec) {
    const size = spec.size === undefined ? '' : ` with ${spec.size} bytes${spec.df ? ', unfragmented' : ''}`;
    return `${spec.from} ${spec.expect === 'reply' ? 'pings' : 'cannot ping'} ${spec.to}${size}${spec.via === undefined ? '' : ` via ${spec.via}`}`;
  },
  async run(spec, context) {
    return attemptBetween(context, spec, {
      fails: spec.expect === 'reply' ? null : spec.expect.fails,
      success: (to) => `a reply from ${to}`,
      service: { proto: 'icmp', port: null },
      ...(spec.size === undefined ? {} : { size: spec.size }),
      df: spec.df,
      send: (source, target) => sendPing(context, source, target, spec),
      waitMs: (spec.count - 1) * spec.interval + spec.wait,
      control: async (source, target) => (await sendPing(context, source, target, plain)).sighting,
      again: (_, { address }) => quoteArgv(pingArgv(address, spec)),
      author: spec.control ?? null,
    });
  },
});
