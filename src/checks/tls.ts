import { z } from 'zod';
import { quoteArgv } from '../ssh/quote.js';
import { formatDuration } from '../model/duration.js';
import { isAddress } from '../model/cidr.js';
import { dnsNamePattern } from '../language/endpoint.js';
import { zDuration, zEndpoint, zPort, zTarget } from '../language/fields.js';
import { shown } from '../language/wording.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { connectSighting } from '../probes/connect-send.js';
import type { ResolvedTarget } from '../probes/target.js';
import { shakeHands, startTlsArgv, startTlsPorts } from '../probes/tls-handshake.js';
import type { StartTls, TlsExchange, TlsSession } from '../probes/tls-handshake.js';
import { claims } from '../judging/claims.js';
import { zAddressOn, zControl, zFails } from '../judging/expectation.js';
import type { Sighting } from '../judging/expectation.js';
import { failed, findings } from '../judging/finding.js';
import { zMatcher } from '../judging/match.js';
import { pass } from '../judging/outcome.js';
import { attemptBetween } from '../reaching/attempt.js';
import type { Attempt, Prober, Sent } from '../reaching/attempt.js';
import { defineCheck, looksOnly } from './kind.js';
import { probeEndpoints } from './probe-endpoints.js';

const zCertificate = claims({
  name: z
    .boolean()
    .optional()
    .describe('Whether the certificate is for the name that is asked for (RFC 6125); true where left out.'),
  valid: z
    .boolean()
    .optional()
    .describe('Whether the source’s clock is between the certificate’s dates; true where left out.'),
  'valid-for': zDuration.optional().describe('It is valid for at least this long yet.'),
  chain: zMatcher
    .optional()
    .describe(
      'What the source’s OpenSSL says of the chain: trusted, self-signed, unknown-issuer, or `error N` by its number; trusted where left out. Revocation is not looked at.',
    ),
  subject: zMatcher.optional().describe('Subject: lines such as `CN=www.example.org`.'),
  issuer: zMatcher.optional().describe('Issuer: lines such as `CN=Our CA`.'),
  names: zMatcher.optional().describe('Subject alternative names, a list such as `[DNS:www.example.org]`.'),
  sent: zMatcher
    .optional()
    .describe('How many certificates the server sends: its own, and those between it and a root.'),
});

const schema = z
  .strictObject({
    from: zEndpoint.describe('Where the connection is opened.'),
    to: zTarget.describe(
      'The server: a host or container of the lab, an address, or a name that is resolved from inside the source.',
    ),
    port: zPort.optional().describe('443 by default; with `starttls` the port of that protocol.'),
    starttls: z
      .enum(Object.keys(startTlsPorts) as [StartTls, ...StartTls[]], {
        error: (issue) => `expected ${Object.keys(startTlsPorts).join(', ')}, got ${shown(issue.input)}`,
      })
      .optional()
      .describe(
        'The server begins in the clear and goes over to TLS when asked to, as one of this protocol: `smtp`, `imap`, `postgres`, …',
      ),
    name: z
      .string()
      .regex(dnsNamePattern, 'expected a name such as www.example.org')
      .optional()
      .describe(
        'The name that the server is asked for, and that its certificate must have. Default: `to`, where that is a name.',
      ),
    ca: z
      .string()
      .regex(/^\//, 'expected the absolute path of a PEM file on the source’s host')
      .optional()
      .describe('A PEM file on the source’s host with the roots to trust, in place of those that the host trusts.'),
    'address-on': zAddressOn.optional(),
    family: z
      .union([z.literal(4), z.literal(6)])
      .optional()
      .describe('IP version for endpoints and names; 4 by default.'),
    wait: zDuration.default(5000).describe('Time for the handshake; 5 s by default.'),
    expect: z
      .union([zFails, zCertificate])
      .default({})
      .describe(
        'What the certificate must be, or `fails` with the causes that will do; `tls`: a connection, and no TLS over it.',
      ),
    control: zControl.optional(),
  })
  .transform(({ 'address-on': via, ...rest }) => ({
    ...rest,
    port: rest.port ?? (rest.starttls === undefined ? 443 : startTlsPorts[rest.starttls]),
    via,
  }));
type TlsSpec = z.output<typeof schema>;

interface TlsSent extends Sent {
  exchange: TlsExchange;
}

const nameOf = ({ name, to }: TlsSpec): string => name ?? to;

function sightingOf(spec: TlsSpec, exchange: TlsExchange, source: Vantage, target: ResolvedTarget): Sighting {
  const what = `${target.label} port ${spec.port}`;
  switch (exchange.saw) {
    case 'nothing':
      return exchange;
    case 'no-connection':
      return connectSighting(exchange.connect, what, source.label, target.address);
    case 'broken':
      return { saw: 'failure', cause: exchange.cause, text: exchange.text };
    case 'session':
      return { saw: 'success', text: `${what} has a TLS session with ${source.label}` };
  }
}

async function send(spec: TlsSpec, context: ProbeContext, source: Vantage, target: ResolvedTarget): Promise<TlsSent> {
  const name = nameOf(spec);
  const exchange = await shakeHands(context, source, target, {
    port: spec.port,
    startTls: spec.starttls ?? null,
    name: isAddress(name) ? null : name,
    ca: spec.ca ?? null,
    waitMs: spec.wait,
  });
  return {
    sighting: sightingOf(spec, exchange, source, target),
    path: exchange.path,
    answeredBy: exchange.saw === 'no-connection' ? exchange.connect.answeredBy : target.address,
    exchange,
  };
}

/** What a certificate says, as claims are about it. */
function factsOf(spec: TlsSpec, { certificate, chain, sent, now }: TlsSession): Record<string, unknown> {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const name = nameOf(spec);
  const covered = isAddress(name) ? certificate.checkIP(name) : certificate.checkHost(name, { subject: 'default' });
  return {
    name: covered !== undefined,
    valid: now >= from && now <= to,
    'ms left': to - now,
    chain,
    subject: certificate.subject,
    issuer: certificate.issuer,
    names: certificate.subjectAltName?.split(', ') ?? [],
    sent,
  };
}

function judgeSession(spec: TlsSpec, source: Vantage, session: TlsSession): Outcome {
  const expect = 'fails' in spec.expect ? {} : spec.expect;
  const { 'valid-for': left, name = true, valid = true, chain = 'trusted', ...rest } = expect;
  const facts = factsOf(spec, session);
  const { certificate } = session;
  const wrong = findings(
    { name, valid, 'ms left': left === undefined ? undefined : { 'at-least': left }, chain, ...rest },
    facts,
  );
  const subject = `the certificate of ${spec.to} port ${spec.port} (${certificate.subject.replaceAll('\n', ', ')}; from ${certificate.validFrom} to ${certificate.validTo}; ${session.chain}), asked for ${nameOf(spec)} by ${source.label}`;
  return wrong.length === 0
    ? pass(`${subject}: as expected`, {
        measures: [{ name: 'days left', value: Math.round((facts['ms left'] as number) / 86_400_000), unit: 'count' }],
      })
    : failed(subject, wrong, 'tls');
}

function proberOf(spec: TlsSpec, context: ProbeContext): Prober {
  return {
    fails: 'fails' in spec.expect ? spec.expect.fails : null,
    success: () => `a TLS session with ${spec.to} port ${spec.port}`,
    service: { proto: 'tcp', port: spec.port },
    send: (source, target) => send(spec, context, source, target),
    waitMs: spec.wait,
    author: spec.control ?? null,
    again: (_, { address }) =>
      quoteArgv([
        ...['openssl', 's_client', '-connect', `${address.includes(':') ? `[${address}]` : address}:${spec.port}`],
        ...startTlsArgv(spec.starttls ?? null, isAddress(nameOf(spec)) ? null : nameOf(spec)),
        ...(isAddress(nameOf(spec)) ? [] : ['-servername', nameOf(spec)]),
        ...(spec.ca === undefined ? [] : ['-CAfile', spec.ca]),
      ]),
  };
}

export const tlsCheck = defineCheck<TlsSpec>({
  name: 'tls',
  summary: 'A server’s TLS certificate is for its name, valid, and signed by somebody whom the client trusts; or not.',
  example: `- check: the shop's certificate is one that its clients accept, for a month yet
  tls: { from: client, to: shop.example, ca: /etc/our-ca.pem, expect: { valid-for: 720h } }`,
  schema: schema as z.ZodType<TlsSpec>,
  mayChange: looksOnly,
  timeoutMs: 30_000,
  endpoints: probeEndpoints,
  describe(spec) {
    const { expect } = spec;
    const what = `${spec.to} port ${spec.port}`;
    if ('fails' in expect) return `${spec.from} gets no TLS session with ${what}`;
    const left = expect['valid-for'] === undefined ? '' : `, valid for ${formatDuration(expect['valid-for'])} yet`;
    return `${spec.from} is shown a certificate for ${nameOf(spec)} by ${what}${left}`;
  },
  run: (spec, context) =>
    attemptBetween(context, spec, proberOf(spec, context), ({ source, sent }: Attempt) => {
      const { exchange } = sent as TlsSent;
      return exchange.saw === 'session' && !('fails' in spec.expect)
        ? judgeSession(spec, source, exchange.session)
        : null;
    }),
});
