import { z } from 'zod';
import { quoteArgv } from '../ssh/quote.js';
import type { Measure, Outcome } from '../model/verdict.js';
import { zDuration, zEndpoint, zTarget } from '../language/fields.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { connectSighting } from '../probes/connect-send.js';
import { exchangeHttp, keptResponseBytes, portOf } from '../probes/http-exchange.js';
import type { HttpExchange, HttpRequest, HttpResponse } from '../probes/http-exchange.js';
import type { ResolvedTarget } from '../probes/target.js';
import { claims, zText } from '../judging/claims.js';
import { zAddressOn, zControl, zFails } from '../judging/expectation.js';
import type { Sighting } from '../judging/expectation.js';
import { absent, describeMatcher, match, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive } from '../judging/outcome.js';
import { attemptBetween, judgeSent } from '../reaching/attempt.js';
import type { Attempt, Prober, Sent } from '../reaching/attempt.js';
import { defineCheck } from './kind.js';
import { probeEndpoints } from './probe-endpoints.js';

const zStatus = z.int().min(100).max(599);

const zResponse = claims({
  status: z
    .union([zStatus.transform((one) => [one]), z.array(zStatus).min(1)])
    .optional()
    .describe('The status code, or those any of which will do; any 2xx where left out.'),
  body: zText.optional().describe('What the body must be, as text; its last line end does not count.'),
  headers: z.record(z.string().min(1), zMatcher).optional().describe('Response headers by name, in any case.'),
});

const schema = z
  .strictObject({
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
    'address-on': zAddressOn.optional(),
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
  })
  .transform(({ 'address-on': via, ...rest }) => ({ ...rest, via }));
type HttpSpec = z.output<typeof schema>;

type Wanted = z.output<typeof zResponse>;

/** RFC 9110, 9.2.1: the methods that are safe by definition. */
const isSafe = (method: string): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(method);

function requestOf(spec: HttpSpec): HttpRequest {
  const { url, method, headers = {}, send, insecure, wait } = spec;
  return { url, method, headers, send, insecure, waitMs: wait };
}

/** The request by which a control asks the server whether it answers: any answer will do, and it must change nothing. */
function harmless(request: HttpRequest): HttpRequest {
  return isSafe(request.method) ? request : { ...request, method: 'HEAD', send: undefined };
}

interface HttpSent extends Sent {
  exchange: HttpExchange;
}

/** What the exchange shows of reaching the server. */
function sightingOf(spec: HttpSpec, exchange: HttpExchange, source: Vantage, target: ResolvedTarget): Sighting {
  switch (exchange.saw) {
    case 'nothing':
      return exchange;
    case 'response':
      return whole(spec, source, exchange.response);
    case 'no-connection':
      return connectSighting(
        exchange.connect,
        `${target.label} port ${portOf(spec.url)}`,
        source.label,
        target.address,
      );
    case 'broken':
      // An answer that began is an answer: who expects that none comes in time has got one.
      return {
        saw: 'failure',
        cause: exchange.cause,
        text: exchange.text,
        answered: exchange.status !== null && exchange.cause === 'timeout',
      };
  }
}

function whole({ url, expect }: HttpSpec, source: Vantage, response: HttpResponse): Sighting {
  const body = 'fails' in expect || expect.body === undefined ? '' : ', and the body is as it must be';
  return {
    saw: 'success',
    text: `${url} answers ${source.label} with ${response.status}${body}`,
    measures: timeOf(response),
  };
}

function timeOf(response: HttpResponse): Measure[] {
  return [{ name: 'response', value: Math.round(response.totalMs * 10) / 10, unit: 'ms' }];
}

async function sendHttp(
  spec: HttpSpec,
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
): Promise<HttpSent> {
  const exchange = await exchangeHttp(context, source, target, requestOf(spec));
  const sighting = sightingOf(spec, exchange, source, target);
  const { path } = exchange;
  if (exchange.saw === 'no-connection') return { sighting, path, answeredBy: exchange.connect.answeredBy, exchange };
  // Past the connection, only the peer can be the one who failed the exchange.
  const peer = exchange.saw === 'response' || (exchange.saw === 'broken' && exchange.cause !== 'timeout');
  const connectedFrom = exchange.saw === 'broken' ? exchange.fromPort : undefined;
  return { sighting, path, answeredBy: peer ? target.address : null, connectedFrom, exchange };
}

function proberOf(spec: HttpSpec, context: ProbeContext): Prober {
  const { expect, url } = spec;
  const status = 'fails' in expect ? undefined : expect.status;
  return {
    fails: 'fails' in expect ? expect.fails : null,
    success: () => `${url} answers with ${describeStatus(status)}`,
    service: { proto: 'tcp', port: portOf(url) },
    send: (source, target) => sendHttp(spec, context, source, target),
    waitMs: spec.wait,
    control: async (source, target) =>
      sightingOf(spec, await exchangeHttp(context, source, target, harmless(requestOf(spec))), source, target),
    author: spec.control ?? null,
    again: (_, { address }) => quoteArgv(curlLine(spec, address)),
  };
}

/** What only this kind can say: of a response that is not as it must be, and of a server that broke the exchange off. */
function settle(
  spec: HttpSpec,
  context: ProbeContext,
  prober: Prober,
  { source, target, sent }: Attempt,
): Promise<Outcome | null> {
  const { exchange } = sent as HttpSent;
  if (exchange.saw === 'response' && !('fails' in spec.expect))
    return Promise.resolve(judgeResponse(spec, spec.expect, source, exchange.response));
  // The way is in order where the server itself has spoken: nothing on it explains what was said.
  if (exchange.saw === 'broken' && exchange.cause !== 'timeout')
    return judgeSent(context, { ...prober, diagnosed: 'never' }, { source, target }, sent);
  return Promise.resolve(null);
}

function judgeHeaders(subject: string, wanted: Wanted, response: HttpResponse): Outcome | null {
  for (const [name, matcher] of Object.entries(wanted.headers ?? {})) {
    const value = response.headers.get(name.toLowerCase());
    if (value === undefined) {
      if (match(matcher, absent).ok) continue;
      return fail('wrong-answer', `${subject} without the header ${name}`, {
        expected: `${name}: ${describeMatcher(matcher)}`,
        actual: 'no such header',
      });
    }
    const { ok, sentence } = match(matcher, value);
    if (!ok)
      return fail('wrong-answer', `${subject}, but its header ${name} ${sentence}`, {
        expected: describeMatcher(matcher),
        actual: value,
      });
  }
  return null;
}

function judgeBody(subject: string, wanted: Matcher, response: HttpResponse): Outcome | null {
  if (response.body === null)
    return inconclusive(
      `${subject}, but its body has ${response.bodyBytes} bytes, of which no more than ${keptResponseBytes} are kept: it cannot be judged`,
    );
  const text = response.body.replace(/\r?\n$/, '');
  const { ok, sentence } = match(wanted, text);
  return ok
    ? null
    : fail('wrong-answer', `${subject}, but its body ${sentence}`, {
        expected: describeMatcher(wanted),
        actual: text.slice(0, 2000),
      });
}

function describeStatus(statuses: readonly number[] | undefined): string {
  return statuses === undefined ? 'a 2xx status' : `status ${statuses.join(' or ')}`;
}

/** What is wrong with a whole response; `null` where it is as it must be. */
function judgeResponse(spec: HttpSpec, wanted: Wanted, source: Vantage, response: HttpResponse): Outcome | null {
  const measures = timeOf(response);
  const { status, body } = wanted;
  const subject = `${spec.url} answers ${source.label}`;
  const statusOk =
    status === undefined ? response.status >= 200 && response.status < 300 : status.includes(response.status);
  if (!statusOk)
    return fail('http-status', `${subject} with status ${response.status}`, {
      expected: `${spec.url} answers with ${describeStatus(status)}`,
      actual: `status ${response.status}`,
      measures,
    });
  const wrong =
    judgeHeaders(subject, wanted, response) ?? (body === undefined ? null : judgeBody(subject, body, response));
  return wrong === null ? null : { ...wrong, measures };
}

/** The request as a person would type it; to the very address where the name of the URL is another one's. */
function curlLine(spec: HttpSpec, address: string): string[] {
  const { hostname } = new URL(spec.url);
  const literal = address.includes(':') ? `[${address}]` : address;
  return [
    ...['curl', '-v', '--max-time', '5'],
    ...(spec.method === 'GET' ? [] : ['-X', spec.method]),
    ...(hostname === literal ? [] : ['--connect-to', `::${literal}:`]),
    spec.url,
  ];
}

/** Kind `http`: one request by curl, from the source's network namespace, over a connection to an address resolved there. */
export const httpCheck = defineCheck<HttpSpec>({
  name: 'http',
  summary: 'A web server answers with the status, headers and body asked for, or fails for a named cause.',
  example:
    '- check: the client gets the page of the container\n  http: { from: client, url: "http://10.10.10.11:8080/", expect: { status: 200, body: { contains: web on } } }',
  schema: schema as z.ZodType<HttpSpec>,
  mayChange: (spec) => (isSafe(spec.method) ? null : `an HTTP ${spec.method} may change something`),
  timeoutMs: 30_000,
  endpoints: probeEndpoints,
  describe(spec) {
    const method = spec.method === 'GET' ? '' : `${spec.method} `;
    return `${spec.from} ${'fails' in spec.expect ? 'cannot get' : 'gets'} ${method}${spec.url}${spec.to === undefined ? '' : ` at ${spec.to}`}`;
  },
  run: (spec, context) => {
    const host = new URL(spec.url).hostname.replace(/^\[|\]$/g, '');
    const prober = proberOf(spec, context);
    const { from, via, family } = spec;
    return attemptBetween(context, { from, to: spec.to ?? host, via, family }, prober, (attempt) =>
      settle(spec, context, prober, attempt),
    );
  },
});
