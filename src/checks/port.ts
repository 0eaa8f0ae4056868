import { z } from 'zod';
import { zDuration, zEndpoint, zPort, zTarget } from '../language/fields.js';
import { connectSighting, sendConnect } from '../probes/connect-send.js';
import { claims } from '../judging/claims.js';
import { zAddressOn, zControl, zFails } from '../judging/expectation.js';
import { defineCheck, looksOnly } from './kind.js';
import { probeEndpoints } from './probe-endpoints.js';
import type { ProbeContext } from '../places/context.js';
import { describeMatcher, match, zMatcher } from '../judging/match.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { neighbourSilent } from '../facts/path.js';
import type { ResolvedTarget } from '../probes/target.js';
import type { Vantage } from '../places/vantage.js';
import { quoteArgv } from '../ssh/quote.js';
import { attemptBetween } from '../reaching/attempt.js';
import type { Attempt, Sent } from '../reaching/attempt.js';
import type { Outcome } from '../model/verdict.js';
import type { ConnectResult } from '../probes/connect-send.js';
import { watchPublished, withContainer } from '../reaching/published-port.js';
import type { GotIt } from '../reaching/published-port.js';

const zAnswer = claims({
  receive: zMatcher
    .optional()
    .describe(
      'What the answer must be; of a TCP service its first bytes. Over UDP silence is a failure with it; without it, silence can’t be told from a service that does not answer.',
    ),
  behind: z
    .literal('open')
    .optional()
    .describe(
      'At a TCP port that a container publishes: the container itself must accept, too, and the connection come in there. docker-proxy accepts for one that does not, the kernel for one that is paused, and a rule may lead elsewhere.',
    ),
});

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the connection is opened.'),
    to: zTarget.describe('Where it goes. A port published by a container is probed at its host: `to: node1`.'),
    port: zPort,
    proto: z.enum(['tcp', 'udp']).default('tcp').describe('`tcp` by default.'),
    'from-port': zPort
      .optional()
      .describe(
        'The source port; any, by default. What is tracked of earlier packets from it (translations, states) goes on being true for it.',
      ),
    'address-on': zAddressOn.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('IP version for endpoints and names; 4 by default.'),
    wait: zDuration.default(2000).describe('Time to wait for an answer; 2 s by default.'),
    send: z
      .string()
      .max(1400)
      .optional()
      .describe(
        'The text that the datagram holds, or that is sent over the connection; empty by default. Over TCP something must come back then.',
      ),
    expect: z
      .union([z.literal('open'), zAnswer, zFails])
      .default('open')
      .describe(
        '`open`, more than that, or `fails` with the causes that will do. A refusal is an answer: for `refused` it need not be shown that a service is there; the report names the ports that are listened on, so that a mistyped one is seen. It must be the target’s own: a reset that a firewall on the way sends with its address is a `wrong-answer`. `netrig validate` gives a hint where nothing else in the file speaks of the port.',
      ),
    control: zControl.optional(),
  })
  .transform(({ 'address-on': via, 'from-port': fromPort, expect, ...rest }) => {
    const answer = typeof expect === 'object' && !('fails' in expect) ? expect : {};
    return {
      ...rest,
      via,
      fromPort,
      receive: answer.receive,
      behind: answer.behind,
      expect: typeof expect === 'object' && 'fails' in expect ? expect : ('open' as const),
    };
  })
  .refine((spec) => spec.behind === undefined || spec.proto === 'tcp', {
    path: ['expect', 'behind'],
    message: 'is for `proto: tcp`',
  });
type PortSpec = z.output<typeof schema>;

/** Kind `port`. TCP by a connection attempt with the kernel's own errno; UDP by a datagram and its answer. */
export const portCheck = defineCheck<PortSpec>({
  name: 'port',
  summary: 'A TCP or UDP port can be reached, or fails for a named cause: refused, timeout, no-route, …',
  example: '- check: the published port answers the client\n  port: { from: client, to: node1, port: 8080 }',
  schema: schema as z.ZodType<PortSpec>,
  mayChange: looksOnly,
  timeoutMs: 30_000,
  endpoints: probeEndpoints,
  describe(spec) {
    return `${spec.from} ${spec.expect === 'open' ? 'reaches' : 'cannot reach'} ${spec.to} port ${spec.port}/${spec.proto}${spec.fromPort === undefined ? '' : ` from port ${spec.fromPort}`}${spec.via === undefined ? '' : ` at its address on ${spec.via}`}`;
  },
  async run(spec, context) {
    let sentTo: ResolvedTarget | null = null;
    let gotIt: GotIt | null = null;
    const outcome = await attemptBetween(
      context,
      spec,
      {
        fails: spec.expect === 'open' ? null : spec.expect.fails,
        success: () => `${spec.to} port ${spec.port}/${spec.proto} is open`,
        service: { proto: spec.proto, port: spec.port },
        send: async (source, target) => {
          sentTo = target;
          gotIt = spec.behind === undefined ? null : await watchPublished(context, source, target, spec.port);
          return sendPort(spec, context, source, target);
        },
        waitMs: spec.wait,
        ...(spec.fromPort === undefined ? {} : { fromPort: spec.fromPort }),
        again: (source, target) => commandAgain(spec, source, target),
        author: spec.control ?? null,
      },
      (attempt) => settle(spec, attempt),
    );
    if (outcome.verdict !== 'pass' || spec.expect !== 'open' || spec.proto !== 'tcp' || sentTo === null) return outcome;
    return withContainer(context, { ...spec, target: sentTo, gotIt }, outcome);
  },
});

/** A connection by hand: bash has one built in; a container has busybox's nc at most. */
function commandAgain(
  { port, proto, wait, fromPort, send = '' }: PortSpec,
  source: Vantage,
  { address }: ResolvedTarget,
): string {
  const seconds = String(Math.ceil(wait / 1000));
  const six = address.includes(':') ? `[${address}]` : address;
  const own = fromPort === undefined ? [] : ['-p', String(fromPort)];
  if (source.endpoint.kind === 'container')
    return proto === 'udp'
      ? `${quoteArgv(['printf', '%s', send])} | ${quoteArgv(['nc', '-u', ...own, '-w', seconds, address, String(port)])}`
      : quoteArgv(['nc', ...own, '-w', seconds, address, String(port)]);
  const bound = fromPort === undefined ? '' : `,sourceport=${fromPort}`;
  if (proto === 'udp')
    return `${quoteArgv(['printf', '%s', send])} | ${quoteArgv(['timeout', seconds, 'socat', '-', `UDP:${six}:${port}${bound}`])}`;
  if (fromPort !== undefined) return quoteArgv(['timeout', seconds, 'socat', '-', `TCP:${six}:${port}${bound}`]);
  return quoteArgv(['timeout', seconds, 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port} && echo open`]);
}

interface PortSent extends Sent {
  result: ConnectResult;
}

async function sendPort(
  spec: PortSpec,
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
): Promise<PortSent> {
  const talks = spec.proto === 'tcp' && (spec.send !== undefined || spec.receive !== undefined);
  const payload = Buffer.from(spec.send ?? '', 'utf8');
  const result = await sendConnect(context, source, target, {
    proto: talks ? 'talk' : spec.proto,
    port: spec.port,
    waitMs: spec.wait,
    ...(spec.fromPort === undefined ? {} : { fromPort: spec.fromPort }),
    // A datagram may be lost on the way; two resends, as resolvers and other datagram clients do.
    ...(spec.proto === 'udp' ? { tries: 3 } : {}),
    ...(spec.proto === 'udp' || talks ? { payload } : {}),
  });
  const what = `${target.label} port ${spec.port}/${spec.proto}`;
  return {
    sighting: connectSighting(result, what, source.label, target.address),
    path: result.path,
    answeredBy: result.answeredBy,
    result,
  };
}

/** What only this kind can say of a positive: silence over UDP, and data that is not what must come back. */
function settle(spec: PortSpec, { source, target, sent }: Attempt): Outcome | null {
  if (spec.expect !== 'open') return null;
  const { sighting, path } = (sent as PortSent).result;
  if (spec.proto === 'udp' && sighting?.saw === 'silent' && spec.receive === undefined && !neighbourSilent(path))
    return inconclusive(
      `${target.label} port ${spec.port}/udp gave no answer to ${source.label}: open, filtered and not answering look alike; name what it must \`receive\``,
    );
  if (sighting?.saw !== 'data' || spec.receive === undefined) return null;
  const text = sighting.data.toString('utf8');
  const matched = match(spec.receive, text);
  if (matched.ok) return null;
  return fail(
    'wrong-answer',
    `${target.label} port ${spec.port}/${spec.proto} answered, but the answer ${matched.sentence}`,
    { expected: describeMatcher(spec.receive), actual: text.slice(0, 2000) },
  );
}
