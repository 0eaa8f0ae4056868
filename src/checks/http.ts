import { z } from 'zod';
import type { Cause } from '../model/verdict.js';
import { diagnose } from '../diagnosis/diagnose.js';
import { zDuration, zEndpoint, zTarget } from '../language/fields.js';
import { connectSighting, sendConnect } from '../probes/connect-send.js';
import type { ConnectResult } from '../probes/connect-send.js';
import { networkControls, resolverControl, stackAlive } from '../judging/control.js';
import { isVantage, parseEndpoint } from '../places/endpoint.js';
import { judge, zControl, zFails } from '../judging/expectation.js';
import type { Sighting } from '../judging/expectation.js';
import { claims, zText } from '../judging/claims.js';
import { defineCheck } from './kind.js';
import type { EndpointUse } from './kind.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, zMatcher } from '../judging/match.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { resolveProbe } from '../probes/probe-ends.js';
import type { ResolvedTarget } from '../probes/target.js';
import type { Vantage } from '../places/vantage.js';

const zStatus = z.int().min(100).max(599);

const zResponse = claims({
  status: z
    .union([zStatus.transform((one) => [one]), z.array(zStatus).min(1)])
    .optional()
    .describe('The status code, or those any of which will do; any 2xx where left out.'),
  body: zText.optional().describe('What the body must be, as text; its last line end does not count.'),
  headers: z.record(z.string().min(1), zMatcher).optional().describe('Response headers by name, in any case.'),
});

const schema = z.strictObject({
  from: zEndpoint.describe('Where the request is sent from.'),
  url: z
    .url({ protocol: /^https?$/, error: 'expected a URL such as http://10.10.10.11:8080/' })
    .describe(
      'The URL. Its host may be a host of the lab, an address, or a name that is resolved from inside the source.',
    ),
  to: zTarget
    .optional()
    .describe(
      'Connect here instead, and ask for the URL all the same: a container, or one of several servers for a name.',
    ),
  via: z
    .string()
    .min(1)
    .optional()
    .describe('The segment (of a host) or network (of a container) to take the target’s address from.'),
  family: z
    .union([z.literal(4), z.literal(6)])
    .optional()
    .describe('IP version for endpoints and names; 4 by default.'),
  method: z
    .enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
    .default('GET')
    .describe('`GET` by default.'),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/, 'a header name of letters, digits and dashes'), z.string())
    .optional()
    .describe('Request headers.'),
  send: z.string().optional().describe('The request’s body.'),
  insecure: z.boolean().default(false).describe('https: accept any certificate.'),
  wait: zDuration.default(5000).describe('Time for the whole exchange; 5 s by default.'),
  expect: z
    .union([zFails, zResponse])
    .default({})
    .describe('What the response must be, or `fails` with the causes that will do.'),
  control: zControl.optional(),
});
type HttpSpec = z.output<typeof schema>;

interface Response {
  status: number;
  headers: ReadonlyMap<string, string>;
  body: string;
  totalMs: number;
}

interface Exchange {
  response: Response | null;
  sighting: Sighting;
  /** The connection attempt that was made to learn why curl had none. */
  connect: ConnectResult | null;
}

/** curl(1), EXIT CODES: what the peer did, for exchanges whose connection was made. */
const exchangeCauses: Record<number, { cause: Cause; text: string }> = {
  1: { cause: 'wrong-answer', text: 'answers, but not in HTTP' },
  8: { cause: 'wrong-answer', text: 'answers, but not in HTTP' },
  18: { cause: 'wrong-answer', text: 'ended the body before its announced length' },
  28: { cause: 'timeout', text: 'accepts the connection, but does not answer in time' },
  52: { cause: 'no-answer', text: 'closed the connection without an answer' },
  55: { cause: 'reset', text: 'reset the connection' },
  56: { cause: 'reset', text: 'reset the connection' },
  61: { cause: 'wrong-answer', text: 'answers in an encoding that is not known' },
};
const tlsExits = new Set([35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91]);
const couldNotConnect = 7;

const zWritten = z.object({ response_code: z.number(), time_total: z.number(), time_connect: z.number() });

/** Takes the output of `curl --include` apart: interim (1xx) responses come before the one that counts. `null`: it is no HTTP response. */
export function readResponse(raw: Buffer, totalMs: number): Response | null {
  let rest = raw;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const [first, ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/\d(?:\.\d)? (\d{3})(?: |$)/.exec(first ?? '')?.[1]);
    if (!Number.isInteger(status)) return null;
    rest = rest.subarray(end + 4);
    if (status >= 100 && status < 200 && status !== 101) continue;
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      if (colon <= 0) return null;
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
    }
    return { status, headers, body: rest.toString('utf8'), totalMs };
  }
}

function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}

function curlArgv(spec: HttpSpec, target: ResolvedTarget): string[] {
  const address = target.family === 6 ? `[${target.address}]` : target.address;
  return [
    ...['curl', '--silent', '--include', '--noproxy', '*', '--max-time', String(spec.wait / 1000)],
    // Whatever the URL's host is: the connection goes to the address that was resolved from inside the source.
    ...['--connect-to', `::${address}:${portOf(new URL(spec.url))}`],
    ...(spec.method === 'HEAD' ? ['--head'] : ['--request', spec.method]),
    ...Object.entries(spec.headers ?? {}).flatMap(([name, value]) => [
      '--header',
      value === '' ? `${name};` : `${name}: ${value}`,
    ]),
    ...(spec.send === undefined ? [] : ['--data-binary', '@-']),
    ...(spec.insecure ? ['--insecure'] : []),
    ...['--write-out', '%{stderr}%{json}', '--globoff', '--url', spec.url],
  ];
}

async function exchange(
  spec: HttpSpec,
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
): Promise<Exchange> {
  const what = `${target.label} port ${portOf(new URL(spec.url))}`;
  const result = await source.host.exec(source.enter(curlArgv(spec, target)), {
    timeoutMs: spec.wait + 10_000,
    signal: context.signal,
    ...(spec.send === undefined ? {} : { stdin: spec.send }),
  });
  const nothing = (text: string): Exchange => ({ response: null, sighting: { saw: 'nothing', text }, connect: null });
  if (result.exitCode === 127) return nothing(`${source.host.name} has no curl, which sends the request`);
  if (result.exitCode === null) return nothing(`the request from ${source.label} was cut off before it was over`);
  const written = zWritten.safeParse(parseJson(result.stderr));
  if (!written.success)
    return nothing(
      `curl at ${source.label} said something that is not understood: “${result.stderr.trim().split('\n').at(-1) ?? ''}” (exit status ${result.exitCode})`,
    );
  const failure = (cause: Cause, text: string): Exchange => ({
    response: null,
    sighting: { saw: 'failure', cause, text },
    connect: null,
  });
  if (result.exitCode === 0) {
    const response = readResponse(result.stdoutRaw, written.data.time_total * 1000);
    if (!response) return failure('wrong-answer', `${what} answers ${source.label}, but not in HTTP`);
    return {
      response,
      sighting: { saw: 'success', text: `${spec.url} answers ${source.label} with ${response.status}` },
      connect: null,
    };
  }
  // curl's own exit status does not tell refused from unreachable: a bare connection attempt gives the kernel's errno.
  if (result.exitCode === couldNotConnect || (result.exitCode === 28 && written.data.time_connect === 0)) {
    const connect = await sendConnect(context, source, target, {
      proto: 'tcp',
      port: portOf(new URL(spec.url)),
      waitMs: Math.min(spec.wait, 2000),
    });
    const sighting = connectSighting(connect, what, source.label, target.address);
    if (sighting.saw === 'success')
      return nothing(`${what} took no connection of the request from ${source.label}, but one right after it`);
    return { response: null, sighting, connect };
  }
  if (tlsExits.has(result.exitCode))
    return failure('tls', `no TLS session between ${source.label} and ${what} (curl's exit status ${result.exitCode})`);
  const known = exchangeCauses[result.exitCode];
  return known
    ? failure(known.cause, `${what} ${known.text}`)
    : nothing(
        `curl at ${source.label} ended with exit status ${result.exitCode}, which says nothing about the network`,
      );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.slice(text.indexOf('{')));
  } catch {
    return null;
  }
}

/** Kind `http`: one request by curl, from the source's network namespace, over a connection to an address resolved there. */
export const httpCheck = defineCheck<HttpSpec>({
  name: 'http',
  summary: 'A web server answers with the status, headers and body asked for, or fails for a named cause.',
  example:
    '- check: the client gets the page of the container\n  http: { from: client, url: "http://10.10.10.11:8080/", expect: { status: 200, body: { contains: web on } } }',
  schema: schema as z.ZodType<HttpSpec>,
  // RFC 9110, 9.2.1: the methods that are safe by definition.
  mayChange: (spec) =>
    ['GET', 'HEAD', 'OPTIONS'].includes(spec.method) ? null : `an HTTP ${spec.method} may change something`,
  timeoutMs: 30_000,
  endpoints(spec) {
    const uses: EndpointUse[] = [{ endpoint: spec.from, path: ['from'], role: 'vantage' }];
    if (spec.to !== undefined) uses.push({ endpoint: spec.to, path: ['to'], role: 'target' });
    if (spec.control) {
      uses.push({ endpoint: spec.control.from, path: ['control', 'from'], role: 'vantage' });
      if (spec.control.to !== undefined)
        uses.push({ endpoint: spec.control.to, path: ['control', 'to'], role: 'target' });
    }
    return uses;
  },
  describe(spec) {
    const method = spec.method === 'GET' ? '' : `${spec.method} `;
    return `${spec.from} ${'fails' in spec.expect ? 'cannot get' : 'gets'} ${method}${spec.url}${spec.to === undefined ? '' : ` at ${spec.to}`}`;
  },
  async run(spec, context) {
    const fails = 'fails' in spec.expect ? spec.expect.fails : null;
    const wanted = 'fails' in spec.expect ? null : spec.expect;
    const from = parseEndpoint(spec.from, context.plan);
    if (!isVantage(from)) return inconclusive(`${spec.from} is no place a probe can start from`);
    const host = new URL(spec.url).hostname.replace(/^\[|\]$/g, '');
    const ends = await resolveProbe(context, from, parseEndpoint(spec.to ?? host, context.plan), {
      via: spec.via,
      family: spec.family,
    });
    const statuses = wanted?.status ?? null;
    const success = `${spec.url} answers with ${statuses === null ? 'a 2xx status' : `status ${statuses.join(' or ')}`}`;
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
    const { response, sighting, connect } = await exchange(spec, context, source, target);
    if (response && wanted) {
      const measures = {
        measures: [{ name: 'response', value: Math.round(response.totalMs * 10) / 10, unit: 'ms' as const }],
      };
      const statusOk =
        statuses === null ? response.status >= 200 && response.status < 300 : statuses.includes(response.status);
      if (!statusOk)
        return fail('http-status', `${spec.url} answers ${source.label} with status ${response.status}`, {
          expected: success,
          actual: `status ${response.status}`,
          ...measures,
        });
      for (const [name, matcher] of Object.entries(wanted.headers ?? {})) {
        const value = response.headers.get(name.toLowerCase());
        if (value === undefined) {
          if (match(matcher, absent).ok) continue;
          return fail('wrong-answer', `${spec.url} answers ${source.label} without the header ${name}`, {
            expected: `${name}: ${describeMatcher(matcher)}`,
            actual: 'no such header',
            ...measures,
          });
        }
        const matched = match(matcher, value);
        if (!matched.ok)
          return fail(
            'wrong-answer',
            `${spec.url} answers ${source.label}, but its header ${name} ${matched.sentence}`,
            { expected: describeMatcher(matcher), actual: value, ...measures },
          );
      }
      if (wanted.body !== undefined) {
        const text = response.body.replace(/\r?\n$/, '');
        const matched = match(wanted.body, text);
        if (!matched.ok)
          return fail('wrong-answer', `${spec.url} answers ${source.label}, but its body ${matched.sentence}`, {
            expected: describeMatcher(wanted.body),
            actual: text.slice(0, 2000),
            ...measures,
          });
      }
      return {
        verdict: 'pass',
        reason: `${sighting.text}${wanted.body === undefined ? '' : ', and the body is as it must be'}`,
        ...measures,
      };
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
          // Past the connection, only the peer can be the one who failed the exchange.
          answeredBy: connect ? connect.answeredBy : cause === 'timeout' ? null : target.address,
          path: connect?.path ?? null,
          author: spec.control ?? null,
          send: async (a, b) => (await exchange(spec, context, a, b)).sighting,
          sourceAlive: () => stackAlive(context, source),
        }),
      diagnose: (cause) =>
        connect === null && cause !== 'present' && cause !== 'timeout'
          ? Promise.resolve(null)
          : diagnose(context, {
              source,
              target,
              proto: 'tcp',
              port: portOf(new URL(spec.url)),
              cause,
              answeredBy: connect?.answeredBy ?? null,
              path: connect?.path ?? null,
            }),
    });
  },
});
