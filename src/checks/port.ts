import { z } from 'zod';
import { zDuration, zEndpoint, zPort, zTarget } from '../language/fields.js';
import { diagnose } from '../diagnosis/diagnose.js';
import { connectSighting, sendConnect } from '../probes/connect-send.js';
import { networkControls, resolverControl, stackAlive } from '../judging/control.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { judge, zControl, zFails } from '../judging/expectation.js';
import type { Sighting } from '../judging/expectation.js';
import { defineCheck, looksOnly } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { describeMatcher, match, zMatcher } from '../judging/match.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { neighbourSilent } from '../facts/path.js';
import { resolveProbe } from '../probes/probe-ends.js';
import type { ResolvedTarget } from '../probes/target.js';
import type { Vantage } from '../places/vantage.js';

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the connection is opened.'),
    to: zTarget.describe('Where it goes. A port published by a container is probed at its host: `to: node1`.'),
    port: zPort,
    proto: z.enum(['tcp', 'udp']).default('tcp').describe('`tcp` by default.'),
    via: z
      .string()
      .min(1)
      .optional()
      .describe('The segment (of a host) or network (of a container) to take the target’s address from.'),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('IP version for endpoints and names; 4 by default.'),
    wait: zDuration.default(2000).describe('Time to wait for an answer; 2 s by default.'),
    send: z.string().max(1400).optional().describe('UDP: the text that the datagram holds; empty by default.'),
    receive: zMatcher
      .optional()
      .describe(
        'UDP: what the answer must be. With it, silence is a failure; without it, silence can’t be told from a service that does not answer.',
      ),
    expect: z
      .union([z.literal('open'), zFails])
      .default('open')
      .describe('`open`, or `fails` with the causes that will do.'),
    control: zControl.optional(),
  })
  .refine((spec) => spec.proto === 'udp' || (spec.send === undefined && spec.receive === undefined), {
    message: '`send` and `receive` are for `proto: udp`; what a TCP service says is for the kinds `http` and `command`',
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
  endpoints(spec) {
    const uses: EndpointUse[] = [
      { endpoint: spec.from, path: ['from'], role: 'vantage' },
      { endpoint: spec.to, path: ['to'], role: 'target' },
    ];
    if (spec.control) {
      uses.push({ endpoint: spec.control.from, path: ['control', 'from'], role: 'vantage' });
      if (spec.control.to !== undefined)
        uses.push({ endpoint: spec.control.to, path: ['control', 'to'], role: 'target' });
    }
    return uses;
  },
  describe(spec) {
    return `${spec.from} ${spec.expect === 'open' ? 'reaches' : 'cannot reach'} ${spec.to} port ${spec.port}/${spec.proto}${spec.via === undefined ? '' : ` via ${spec.via}`}`;
  },
  async run(spec, context) {
    const fails = spec.expect === 'open' ? null : spec.expect.fails;
    const from = parseEndpoint(spec.from, context.plan);
    if (!isVantage(from)) return inconclusive(`${spec.from} is no place a probe can start from`);
    const ends = await resolveProbe(context, from, parseEndpoint(spec.to, context.plan), {
      via: spec.via,
      family: spec.family,
    });
    const success = `${spec.to} port ${spec.port}/${spec.proto} is open`;
    if (ends.state === 'unknown') return inconclusive(ends.reason);
    if (ends.state === 'unresolved') {
      const { source, failure } = ends;
      return judge({
        fails,
        sighting: { saw: 'failure', cause: failure.cause, text: failure.reason },
        success,
        controls: async () => [
          await stackAlive(context, source),
          await resolverControl(context, source, failure.server, failure.replied),
        ],
      });
    }
    if (ends.state === 'absent')
      return fails === null
        ? fail(ends.cause, ends.reason, { expected: success, actual: ends.cause })
        : inconclusive(`${ends.reason}, so nothing could be proven about reaching it`);
    const { source, target } = ends;
    const attempt = (a: Vantage, b: ResolvedTarget) => tryPort(spec, context, a, b);
    const { result, sighting } = await attempt(source, target);
    if (spec.proto === 'udp' && fails === null) {
      if (result.sighting?.saw === 'silent' && spec.receive === undefined && !neighbourSilent(result.path)) {
        return inconclusive(
          `${target.label} port ${spec.port}/udp gave no answer to ${source.label}: open, filtered and not answering look alike; name what it must \`receive\``,
        );
      }
      if (result.sighting?.saw === 'data' && spec.receive !== undefined) {
        const text = result.sighting.data.toString('utf8');
        const matched = match(spec.receive, text);
        if (!matched.ok)
          return fail(
            'wrong-answer',
            `${target.label} port ${spec.port}/udp answered, but the answer ${matched.sentence}`,
            { expected: describeMatcher(spec.receive), actual: text.slice(0, 2000) },
          );
      }
    }
    return judge({
      fails,
      sighting,
      success,
      controls: (cause) =>
        networkControls({
          context,
          source,
          target,
          cause,
          answeredBy: result.answeredBy,
          path: result.path,
          author: spec.control ?? null,
          send: async (a, b) => (await attempt(a, b)).sighting,
          sourceAlive: () => stackAlive(context, source),
        }),
      diagnose: (cause) =>
        diagnose(context, {
          source,
          target,
          proto: spec.proto,
          port: spec.port,
          cause,
          answeredBy: result.answeredBy,
          path: result.path,
        }),
    });
  },
});

async function tryPort(
  spec: PortSpec,
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
): Promise<{ result: Awaited<ReturnType<typeof sendConnect>>; sighting: Sighting }> {
  const result = await sendConnect(context, source, target, {
    proto: spec.proto,
    port: spec.port,
    waitMs: spec.wait,
    // A datagram may be lost on the way; two resends, as resolvers and other datagram clients do.
    ...(spec.proto === 'udp' ? { tries: 3, payload: Buffer.from(spec.send ?? '', 'utf8') } : {}),
  });
  return {
    result,
    sighting: connectSighting(result, `${target.label} port ${spec.port}/${spec.proto}`, source.label, target.address),
  };
}
