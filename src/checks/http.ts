import { z } from 'zod';
import { familyOf, isAddress } from '../model/cidr.js';
import type { Measure } from '../model/verdict.js';
import { oneOrMany, zDuration, zEndpoint, zPort, zTarget } from '../language/fields.js';
import { quoteArgv } from '../ssh/quote.js';
import { connectCommand, connectProgram } from './connect-probe.js';
import { connectSighting, readConnect } from './connect-send.js';
import { networkControls, ownerSide, resolverControl, stackAlive } from './control.js';
import { isVantage, parseEndpoint } from './endpoint.js';
import { judge, zControl, zFails } from './expectation.js';
import type { Sighting } from './expectation.js';
import { defineCheck } from './kind.js';
import type { EndpointUse, ProbeContext } from './kind.js';
import { absent, describeMatcher, match, zMatcher } from './match.js';
import type { Matcher } from './match.js';
import { fail, inconclusive } from './outcome.js';
import { firstBrokenHop, neighbourSilent, pathParts, readPath } from './path.js';
import type { PathEvidence } from './path.js';
import { resolveProbe } from './probe-ends.js';
import { runScript, whyUnfinished } from './script.js';
import type { ResolvedTarget } from './target.js';
import { inside } from './vantage.js';
import type { Vantage } from './vantage.js';

const zUrl = z
  .string()
  .refine((text) => readUrl(text) !== null, { message: 'must be an http or https URL such as http://web:8080/, without user and password' })
  .describe('An http or https URL. A lab host’s name in it means that host; any other name is resolved from inside the source.');

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the request is sent from.'),
    url: zUrl.optional(),
    to: zTarget.optional().describe('In place of `url`: the endpoint, address or name to ask.'),
    port: zPort.optional().describe('With `to`; 80 by default, 443 with `tls`.'),
    path: z.string().startsWith('/').optional().describe('With `to`; `/` by default.'),
    tls: z.boolean().optional().describe('With `to`: https in place of http.'),
    via: z.string().min(1).optional().describe('The segment (of a host) or network (of a container) to take the target’s address from.'),
    method: z.string().regex(/^[A-Z]+$/, 'must be a method in capitals, such as GET').default('GET').describe('`GET` by default.'),
    headers: z.record(z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/), z.string().regex(/^[^\r\n]*$/)).default({}).describe('Request headers.'),
    host: z.string().regex(/^[^\s/]+$/).optional().describe('The Host header, where it differs from the URL’s.'),
    body: z.string().optional().describe('The request’s body.'),
    insecure: z.boolean().default(false).describe('https: take any certificate.'),
    wait: zDuration.default(5000).describe('Time for the whole exchange; 5 s by default.'),
    expect: z
      .union([
        zFails,
        z.strictObject({
          status: oneOrMany(z.int().min(100).max(599)).optional().describe('The status, or those that will do; any of 200 to 299 by default.'),
          body: zMatcher.optional().describe('Plain text: the body contains it. Otherwise operators, or `one-of: [text]` for the whole body.'),
          header: z.record(z.string(), zMatcher).optional().describe('Response headers, by name in any case.'),
        }),
      ])
      .default({})
      .describe('What the response must be, or `fails` with the causes that will do.'),
    control: zControl.optional(),
  })
  .refine((spec) => (spec.url === undefined) !== (spec.to === undefined), { message: 'name either `url` or `to`' })
  .refine((spec) => spec.url === undefined || (spec.port === undefined && spec.path === undefined && spec.tls === undefined), { message: '`port`, `path` and `tls` go with `to`; a `url` has them in itself' });
type HttpSpec = z.output<typeof schema>;

interface Address {
  tls: boolean;
  host: string;
  port: number;
  /** Path and query. */
  path: string;
}

function readUrl(text: string): Address | null {
  // The URL parser takes 1 for 0.0.0.1 and forgives spaces: only what people mean by a URL is let through.
  if (!/^https?:\/\/[A-Za-z0-9._[\]:-]+(?:[/?][\x21-\x7e]*)?$/.test(text)) return null;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const tls = url.protocol === 'https:';
  return { tls, host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (tls ? 443 : 80) : Number(url.port), path: `${url.pathname}${url.search}` };
}

function addressOf(spec: HttpSpec): Address {
  if (spec.url !== undefined) return readUrl(spec.url)!;
  const tls = spec.tls ?? false;
  return { tls, host: spec.to!, port: spec.port ?? (tls ? 443 : 80), path: spec.path ?? '/' };
}

/** What curl says of a transfer (`-w '%{json}'`, curl 7.70 and newer; 7.74 in Debian 11). */
const zTransfer = z.object({ http_code: z.number(), size_header: z.number(), time_total: z.number(), time_connect: z.number() });

export interface HttpResponse {
  status: number;
  /** Names in small letters; values of a repeated header are joined by a comma (RFC 9110 5.3). */
  headers: Map<string, string>;
  body: string;
  totalMs: number;
}

/** Takes apart what `curl -i -w 'MARK%{json}'` printed; `null` when it is not that. Interim (1xx) header blocks are passed over. */
export function readCurl(output: string, mark: string): HttpResponse | null {
  const at = output.lastIndexOf(mark);
  if (at < 0) return null;
  let raw: unknown;
  try {
    raw = JSON.parse(output.slice(at + mark.length));
  } catch {
    return null;
  }
  const transfer = zTransfer.safeParse(raw);
  if (!transfer.success) return null;
  let rest = output.slice(0, at);
  const headers = new Map<string, string>();
  let status = 0;
  while (/^HTTP\/[0-9.]+ \d{3}/.test(rest)) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const [first, ...lines] = rest.slice(0, end).split('\r\n');
    status = Number(/^HTTP\/[0-9.]+ (\d{3})/.exec(first!)![1]);
    rest = rest.slice(end + 4);
    if (status < 200) continue;
    for (const line of lines) {
      const colon = line.indexOf(':');
      if (colon <= 0) continue;
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      const before = headers.get(name);
      headers.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    break;
  }
  return status === transfer.data.http_code ? { status, headers, body: rest, totalMs: transfer.data.time_total * 1000 } : null;
}

interface HttpResult {
  sighting: Sighting;
  response: HttpResponse | null;
  path: PathEvidence | null;
  answeredBy: string | null;
}

const tlsExits = new Set([35, 51, 53, 54, 58, 59, 60, 66, 77, 80, 82, 83, 90, 91, 98]);

/** The `curl` whose result `send` reads. The name is pinned to the address that was found, so that curl resolves nothing itself. */
function curlArgv(spec: HttpSpec, url: Address, target: ResolvedTarget, mark: string): string[] {
  const bracketed = (text: string): string => (familyOf(text) === 6 ? `[${text}]` : text);
  // An endpoint such as node1/web is no name for a URL: its address stands there instead.
  const name = isAddress(url.host) || url.host.includes('/') ? bracketed(target.address) : url.host;
  return [
    'curl', '-q', '-sS', '-i', '-g', '--http1.1', '--noproxy', '*', '--path-as-is', '--max-time', String(spec.wait / 1000),
    ...(spec.method === 'HEAD' ? ['--head'] : ['-X', spec.method]),
    ...(isAddress(name.replace(/^\[|\]$/g, '')) ? [] : ['--resolve', `${name}:${url.port}:${bracketed(target.address)}`]),
    ...(spec.insecure ? ['-k'] : []),
    ...(spec.host === undefined ? [] : ['-H', `Host: ${spec.host}`]),
    ...Object.entries(spec.headers).flatMap(([header, value]) => ['-H', value === '' ? `${header};` : `${header}: ${value}`]),
    ...(spec.body === undefined ? [] : ['--data-raw', spec.body]),
    '-w', `${mark}%{json}`,
    `${url.tls ? 'https' : 'http'}://${name}:${url.port}${url.path}`,
  ];
}

const keepBytes = 4 << 20;

async function send(spec: HttpSpec, url: Address, context: ProbeContext, source: Vantage, target: ResolvedTarget): Promise<HttpResult> {
  const mark = '\n@@transfer ';
  const shown = `${url.tls ? 'https' : 'http'}://${url.host}:${url.port}${url.path}`;
  const connect = connectCommand({ proto: 'tcp', waitMs: 2000, targets: [{ address: target.address, port: url.port }] });
  const { parts, exec } = await runScript(
    source.host,
    [
      { name: 'curl', shell: `LC_ALL=C ${quoteArgv(curlArgv(spec, url, target, mark.replace('\n', '\\n')))}`, errors: 'apart' },
      ...pathParts(target.address),
      // curl's 7 says only that no connection came about; the connect probe says why.
      { name: 'connect', shell: `[ "$probe" != 7 ] || ${connect}` },
    ],
    { timeoutMs: spec.wait + 15_000, signal: context.signal, stdin: connectProgram, keepBytes, wrap: (shell) => inside(source, shell) },
  );
  const nothing = (text: string): HttpResult => ({ sighting: { saw: 'nothing', text }, response: null, path: null, answeredBy: null });
  const curl = parts.get('curl');
  if (!curl) return nothing(`no request could be sent from ${source.label}: ${whyUnfinished(exec)}`);
  if (curl.exitCode === 127) return nothing(`${source.endpoint.host} has no curl`);
  const path = readPath(parts, target.address);
  const words = /curl: \(\d+\) (.*)/.exec(exec.stderr)?.[1] ?? `curl ended with exit status ${curl.exitCode}`;
  const failure = (sighting: Sighting, answeredBy: string | null): HttpResult => ({ sighting, response: null, path, answeredBy });
  switch (curl.exitCode) {
    case 0: {
      const response = readCurl(curl.output, mark);
      if (!response) return nothing(`curl at ${source.label} printed what is not understood about ${shown}${exec.stdoutBytes > keepBytes ? `: ${exec.stdoutBytes} bytes, more than is kept` : ''}`);
      const measures: Measure[] = [{ name: 'response time', value: Math.round(response.totalMs * 1000) / 1000, unit: 'ms' }, { name: 'body', value: Buffer.byteLength(response.body), unit: 'bytes' }];
      return { sighting: { saw: 'success', text: `${shown} answers ${source.label} with status ${response.status}`, measures }, response, path: null, answeredBy: target.address };
    }
    case 6:
      return failure({ saw: 'failure', cause: 'unknown-host', text: `curl at ${source.label} could not resolve ${url.host}` }, null);
    case 7: {
      const result = readConnect(parts.get('connect'), parts, source, target.address, whyUnfinished(exec));
      if (result.sighting?.saw === 'open') return nothing(`${shown}: curl at ${source.label} got no connection, a second attempt did`);
      return failure(connectSighting(result, `${target.label} port ${url.port}/tcp`, source.label, target.address), result.answeredBy);
    }
    case 28: {
      const broken = firstBrokenHop(path, source.label, target.address);
      const cause = neighbourSilent(path) ? 'host-unreachable' : 'timeout';
      return failure({ saw: 'failure', cause, text: `${shown} does not answer ${source.label}: ${broken ?? words}` }, null);
    }
    case 52:
      return failure({ saw: 'failure', cause: 'no-answer', text: `${shown} took ${source.label}'s request and closed the connection without an answer` }, target.address);
    case 55:
    case 56:
      if (/Connection reset by peer/.test(words)) return failure({ saw: 'failure', cause: 'reset', text: `${shown} reset ${source.label}'s connection` }, target.address);
      return nothing(`${shown}: ${words}`);
    case 1:
      if (/HTTP\/0\.9/.test(words)) return failure({ saw: 'failure', cause: 'wrong-answer', text: `${target.label} port ${url.port} answers, but does not speak HTTP` }, target.address);
      return nothing(`${shown}: ${words}`);
    default:
      if (tlsExits.has(curl.exitCode)) return failure({ saw: 'failure', cause: 'tls', text: `${shown}: ${words}` }, target.address);
      return nothing(`${shown}: ${words}`);
  }
}

/** A plain text asks for a body that contains it. */
function bodyMatcher(body: Matcher): Matcher {
  return typeof body === 'string' ? { contains: body } : body;
}

/** Kind `http`. The exchange is curl's, from inside the vantage's network namespace, without any proxy. */
export const httpCheck = defineCheck<HttpSpec>({
  name: 'http',
  summary: 'An HTTP request is answered with the status, headers and body asked for, or fails for a named cause.',
  example: '- check: the client gets the page at node1’s address\n  http: { from: client, to: node1, port: 8080, expect: { status: 200, body: hello } }',
  schema: schema as z.ZodType<HttpSpec>,
  timeoutMs: 30_000,
  endpoints(spec) {
    const uses: EndpointUse[] = [{ endpoint: spec.from, path: ['from'], role: 'vantage' }];
    if (spec.to !== undefined) uses.push({ endpoint: spec.to, path: ['to'], role: 'target' });
    if (spec.control) {
      uses.push({ endpoint: spec.control.from, path: ['control', 'from'], role: 'vantage' });
      if (spec.control.to !== undefined) uses.push({ endpoint: spec.control.to, path: ['control', 'to'], role: 'target' });
    }
    return uses;
  },
  describe(spec) {
    const { tls, host, port, path } = addressOf(spec);
    const verb = 'fails' in spec.expect ? 'cannot get' : spec.method === 'GET' ? 'gets' : `sends ${spec.method} to`;
    return `${spec.from} ${verb} ${spec.url ?? `${tls ? 'https' : 'http'}://${host}:${port}${path}`}`;
  },
  async run(spec, context) {
    const fails = 'fails' in spec.expect ? spec.expect.fails : null;
    const from = parseEndpoint(spec.from, context.plan);
    if (!isVantage(from)) return inconclusive(`${spec.from} is no place a probe can start from`);
    const url = addressOf(spec);
    const ends = await resolveProbe(context, from, parseEndpoint(url.host, context.plan), { via: spec.via });
    const success = 'an HTTP response';
    if (ends.state === 'unknown') return inconclusive(ends.reason);
    if (ends.state === 'unresolved') {
      const { source, failure } = ends;
      return judge({
        fails,
        sighting: { saw: 'failure', cause: failure.cause, text: failure.reason },
        success,
        controls: async () => [await stackAlive(context, source), await resolverControl(context, source, failure.server, failure.replied)],
      });
    }
    if (ends.state === 'absent') return fails === null ? fail(ends.cause, ends.reason, { expected: success, actual: ends.cause }) : inconclusive(`${ends.reason}, so nothing could be proven about reaching it`);
    const { source, target } = ends;
    const result = await send(spec, url, context, source, target);
    const { response, sighting } = result;
    if (response && !('fails' in spec.expect)) {
      const { status, body, header } = spec.expect;
      const measures = sighting.saw === 'success' && sighting.measures ? { measures: sighting.measures } : {};
      const text = sighting.text;
      const fits = status ? status.includes(response.status) : response.status >= 200 && response.status <= 299;
      if (!fits) return fail('http-status', `${text}, expected ${status?.join(' or ') ?? '200 to 299'}`, { expected: status?.join(' or ') ?? '200 to 299', actual: String(response.status), ...measures });
      for (const [name, wanted] of Object.entries(header ?? {})) {
        const matched = match(wanted, response.headers.get(name.toLowerCase()) ?? absent);
        if (!matched.ok) return fail('wrong-value', `${text}, but its header ${name} ${matched.sentence}`, { expected: matched.expected, actual: matched.actual, ...measures });
      }
      if (body !== undefined) {
        if (response.body.includes('bytes were cut') && Buffer.byteLength(response.body) >= keepBytes / 2) return inconclusive(`${text}, with a body larger than is kept`);
        const matched = match(bodyMatcher(body), response.body);
        if (!matched.ok) return fail('wrong-value', `${text}, but its body ${matched.sentence}`, { expected: describeMatcher(bodyMatcher(body)), actual: response.body.slice(0, 2000), ...measures });
      }
    }
    return judge({
      fails,
      sighting,
      success,
      controls: (cause) =>
        networkControls({
          context, source, target, cause, answeredBy: result.answeredBy, path: result.path,
          author: spec.control ?? null,
          send: async (a, b) => (await send(spec, url, context, a, b)).sighting,
          sourceAlive: () => stackAlive(context, source),
        }),
      diagnose: (cause) => ownerSide(context, source, target, cause, async (a, b) => (await send(spec, url, context, a, b)).sighting),
    });
  },
});
