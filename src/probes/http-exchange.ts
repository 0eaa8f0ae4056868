import { formatDuration } from '../model/duration.js';
import { z } from 'zod';
import type { Cause } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { runScript } from '../places/script.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { pathParts, readPath } from '../facts/path.js';
import type { PathEvidence } from '../facts/path.js';
import type { ConnectSighting, IcmpAnswer } from './connect-probe.js';
import { connectResult } from './connect-send.js';
import type { ConnectResult } from './connect-send.js';
import type { ResolvedTarget } from './target.js';

/** What of a response is kept, in bytes: a body that is longer is not judged. */
export const keptResponseBytes = 16 << 20;

export interface HttpRequest {
  url: string;
  method: string;
  headers: Readonly<Record<string, string>>;
  /** The request's body. */
  send: string | undefined;
  /** https: any certificate will do. */
  insecure: boolean;
  /** For the whole exchange, ms. */
  waitMs: number;
}

export interface HttpResponse {
  status: number;
  /** By names in lower case; several of one name are joined by commas. */
  headers: ReadonlyMap<string, string>;
  /** `null` where not all of it was kept. */
  body: string | null;
  bodyBytes: number;
  totalMs: number;
}

/** What one request came to, with the sender's view of the path right after it. */
export type HttpExchange = HttpSighting & { path: PathEvidence | null };

export type HttpSighting =
  | { saw: 'response'; response: HttpResponse }
  /** There was no connection: what the kernel said of this very attempt, and its view of the path. */
  | { saw: 'no-connection'; connect: ConnectResult }
  /**
   * There was a connection, and no whole response. `status` is that of a response whose body did not come to its end, `fromPort`
   * the source port that the connection had, where curl says it.
   */
  | { saw: 'broken'; cause: Cause; text: string; status: number | null; fromPort?: number }
  | { saw: 'nothing'; text: string };

/**
 * Runs curl and listens to ICMP meanwhile: `perl - FAMILY ADDRESS PORT curl ARG…`, with this program on standard input and the
 * request's body after it. Each message that quotes a segment to that address and
 * port becomes a line `netrig-icmp TYPE CODE SENDER` on standard error. curl says which errno its connect(2) met; which message
 * caused it, only a raw socket tells (Linux turns ICMP codes 1, 9, 10 and 13 into the same EHOSTUNREACH).
 */
const listenProgram = String.raw`
use strict; use Socket qw(:DEFAULT inet_pton inet_ntop); use Fcntl;
my ($family, $address, $port, @curl) = @ARGV;
my $six = $family == 6;
my $domain = $six ? AF_INET6 : AF_INET;
my $to = inet_pton($domain, $address);
my $heard = socket(my $s, $domain, SOCK_RAW, $six ? 58 : 1);
fcntl($s, F_SETFL, fcntl($s, F_GETFL, 0) | O_NONBLOCK) if $heard;
$ENV{LC_ALL} = 'C';
$SIG{PIPE} = 'IGNORE';
open(my $in, '|-', @curl) or exit 127;
{ local $/; my $body = <DATA>; print $in $body if defined $body }
close $in;
my $status = $?;
while ($heard and defined(my $who = recv($s, my $m, 2048, 0))) {
  my $o = $six ? 0 : (ord($m) & 15) * 4;
  my ($type, $code) = unpack('CC', substr($m, $o, 2));
  next unless defined $code and ($six ? $type >= 1 && $type <= 3 : $type == 3 || $type == 11);
  my $q = substr($m, $o + 8);
  my ($next, $dst, $l4) = $six
    ? (unpack('C', substr($q, 6, 1)), substr($q, 24, 16), substr($q, 40))
    : (unpack('C', substr($q, 9, 1)), substr($q, 16, 4), substr($q, (ord($q) & 15) * 4));
  next unless length($l4) >= 4 and $next == 6 and $dst eq $to and (unpack('nn', $l4))[1] == $port;
  my $from = $six ? inet_ntop(AF_INET6, (unpack_sockaddr_in6($who))[1]) : inet_ntop(AF_INET, (unpack_sockaddr_in($who))[1]);
  print STDERR "netrig-icmp $type $code $from\n";
}
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
__END__
`;

export function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function curlArgv(request: HttpRequest, target: ResolvedTarget): string[] {
  const address = target.family === 6 ? `[${target.address}]` : target.address;
  return [
    // Verbose: the errno of a connection that was not made stands nowhere else.
    ...['curl', '--silent', '--verbose', '--include', '--noproxy', '*', '--max-time', String(request.waitMs / 1000)],
    // Whatever the URL's host is: the connection goes to the address that was resolved from inside the source.
    ...['--connect-to', `::${address}:${portOf(request.url)}`],
    ...(request.method === 'HEAD' ? ['--head'] : ['--request', request.method]),
    ...Object.entries(request.headers).flatMap(([name, value]) => [
      '--header',
      value === '' ? `${name};` : `${name}: ${value}`,
    ]),
    ...(request.send === undefined ? [] : ['--data-binary', '@-']),
    ...(request.insecure ? ['--insecure'] : []),
    ...['--write-out', '%{stderr}%{json}\\n', '--globoff', '--url', request.url],
  ];
}

const zWritten = z.object({
  response_code: z.number(),
  time_total: z.number(),
  time_connect: z.number(),
  num_connects: z.number().optional(),
  ssl_verify_result: z.number().optional(),
  local_port: z.number().optional(),
});

/** glibc's words for what connect(2) can meet, in the locale C (sysdeps/gnu/errlist.h), as curl repeats them. */
const errnoNames: Readonly<Record<string, string>> = {
  'Connection refused': 'ECONNREFUSED',
  'Connection reset by peer': 'ECONNRESET',
  'Connection timed out': 'ETIMEDOUT',
  'Network is unreachable': 'ENETUNREACH',
  'No route to host': 'EHOSTUNREACH',
  'Permission denied': 'EACCES',
  'Operation not permitted': 'EPERM',
  'Invalid argument': 'EINVAL',
  'Message too long': 'EMSGSIZE',
  'Cannot assign requested address': 'EADDRNOTAVAIL',
  'Protocol not available': 'ENOPROTOOPT',
};

/** What curl and the listener wrote to standard error. */
export interface CurlReport {
  totalMs: number;
  /** TCP's handshake was over. */
  connected: boolean;
  /** What OpenSSL made of the certificate (openssl-verify(1), DIAGNOSTICS); 0: nothing to complain of, or not asked. */
  certificate: number;
  /** The source port of the connection, where curl says it. */
  fromPort: number | null;
  /** The errno of the connection attempt; `local`: the kernel refused at once. `null`: there was none, or in words not known. */
  connectError: { where: 'local' | 'remote'; errno: string } | null;
  icmp: IcmpAnswer | null;
}

/** `null`: curl's own account of the exchange is not among it. */
export function readCurlReport(stderr: string): CurlReport | null {
  const lines = stderr.split('\n');
  const account = lines.filter((line) => line.startsWith('{')).at(-1);
  let raw: unknown;
  try {
    raw = JSON.parse(account ?? '');
  } catch {
    return null;
  }
  const written = zWritten.safeParse(raw);
  if (!written.success) return null;
  const first = (pattern: RegExp): string | undefined =>
    lines.flatMap((line) => pattern.exec(line)?.[1] ?? []).map((words) => errnoNames[words] ?? '')[0];
  // connect.c: these two are all that curl says of a socket that did not connect; newer ones add their own address to the second.
  const local = first(/^\* *Immediate connect fail for \S+: (.+)$/);
  const remote = first(/^\* *connect to \S+ port \d+(?: from \S+ port \d+)? failed: (.+)$/);
  const errno = local ?? remote;
  const heard = /^netrig-icmp (\d+) (\d+) ([0-9a-f.:]+)$/m.exec(stderr);
  return {
    totalMs: written.data.time_total * 1000,
    // The time of the connection is 0 in 7.88 until TLS stands, too, and in 8.14 while it is waited for; the count is right in
    // all of 7.74, 7.88, 8.14 and 8.21, and is 0 where nobody took the connection.
    connected: written.data.time_connect > 0 || (written.data.num_connects ?? 0) > 0,
    certificate: written.data.ssl_verify_result ?? 0,
    // Where it is not known, it is 0, or -1 (8.14 and later).
    fromPort: (written.data.local_port ?? 0) > 0 ? written.data.local_port! : null,
    connectError:
      errno === undefined || errno === ''
        ? null
        : // A refusal comes from whoever holds the address, at once or not.
          { where: local !== undefined && errno !== 'ECONNREFUSED' ? 'local' : 'remote', errno },
    icmp: heard === null ? null : { type: Number(heard[1]), code: Number(heard[2]), from: heard[3]! },
  };
}

interface ResponseHead {
  status: number;
  headers: Map<string, string>;
  /** Where the body begins. */
  end: number;
}

/** The head of the response that counts: interim (1xx) ones come before it. `null`: there is none, or not all of it. */
function readResponseHead(raw: Buffer): ResponseHead | null {
  let begin = 0;
  for (;;) {
    const end = raw.indexOf('\r\n\r\n', begin);
    if (end < 0) return null;
    const [first, ...lines] = raw.subarray(begin, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/\d(?:\.\d)? (\d{3})(?: |$)/.exec(first ?? '')?.[1]);
    if (!Number.isInteger(status)) return null;
    begin = end + 4;
    if (status >= 100 && status < 200 && status !== 101) continue;
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      if (colon <= 0) return null;
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
    }
    return { status, headers, end: begin };
  }
}

/** A response from what curl printed. `total`: the bytes that it printed, of which `kept` may be the first and the last only. */
export function readResponse(kept: Buffer, total: number, totalMs: number): HttpResponse | null {
  // Of more than is kept, the first half is the beginning: a head that goes beyond it is none that a server sends.
  const whole = kept.length >= total;
  const head = readResponseHead(whole ? kept : kept.subarray(0, Math.floor(kept.length / 2)));
  if (head === null) return null;
  const { status, headers, end } = head;
  return {
    status,
    headers,
    body: whole ? kept.subarray(end).toString('utf8') : null,
    bodyBytes: total - end,
    totalMs,
  };
}

const tlsExits = new Set([35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91]);

/** curl(1), EXIT CODES: what the peer did to an exchange whose connection was made; `then` follows the beginning of a response. */
const exchangeExits: Readonly<Record<number, { cause: Cause; text: string; then?: string }>> = {
  1: { cause: 'wrong-answer', text: 'answers, but not in HTTP' },
  8: { cause: 'wrong-answer', text: 'answers, but not in HTTP' },
  18: { cause: 'wrong-answer', text: 'ends its answer before its announced length', then: 'ends' },
  28: { cause: 'timeout', text: 'accepts the connection, but does not answer in time', then: 'stalls' },
  52: { cause: 'no-answer', text: 'closes the connection without an answer' },
  55: { cause: 'reset', text: 'resets the connection', then: 'resets the connection' },
  56: { cause: 'reset', text: 'resets the connection', then: 'resets the connection' },
  61: { cause: 'wrong-answer', text: 'answers in an encoding that is not known' },
  92: { cause: 'wrong-answer', text: 'breaks off its answer', then: 'breaks off' },
};

/** "4 of 100 bytes" */
function amountOf(response: HttpResponse): string {
  const announced = Number(response.headers.get('content-length') ?? NaN);
  return Number.isInteger(announced) ? `${response.bodyBytes} of ${announced} bytes` : `${response.bodyBytes} bytes`;
}

/** OpenSSL's codes of a certificate that is not accepted (openssl-verify(1)), as what is wrong with it. */
const certificateFlaws: Readonly<Record<number, string>> = {
  9: 'is not valid yet',
  10: 'has expired',
  18: 'is self-signed',
  19: 'ends in a root that is not trusted',
  20: 'is of an issuer that is not trusted',
  21: 'is of an issuer that is not trusted',
};

/** Why there is no TLS; curl ends with 60 (51 before 7.62) where the certificate is not accepted, and with 35 before there is one. */
function whyNoTls(exit: number, certificate: number): string {
  const refused = exit === 60 || exit === 51;
  // curl leaves it at 1 where it holds the name against the certificate, before OpenSSL's verdict is read.
  if (refused && certificate === 1) return ': its certificate is not for the name that was asked for';
  const flaw = refused ? certificateFlaws[certificate] : undefined;
  if (flaw !== undefined) return `: its certificate ${flaw}`;
  return exit === 35 ? ': the handshake failed' : ` (curl's exit status ${exit})`;
}

/** A connection was made, and curl ended otherwise than with 0. */
function readBroken(
  exit: number,
  report: CurlReport,
  what: string,
  from: string,
  response: HttpResponse | null,
): HttpSighting {
  if (tlsExits.has(exit))
    return {
      saw: 'broken',
      cause: 'tls',
      text: `no TLS session between ${from} and ${what}${whyNoTls(exit, report.certificate)}`,
      status: null,
    };
  const known = exchangeExits[exit];
  if (!known)
    return {
      saw: 'nothing',
      text: `curl at ${from} ended with exit status ${exit}, which says nothing of the network`,
    };
  if (response !== null && known.then !== undefined)
    return {
      saw: 'broken',
      cause: known.cause,
      text: `${what} answers ${from} with ${response.status}, then ${known.then} after ${amountOf(response)}`,
      status: response.status,
    };
  return { saw: 'broken', cause: known.cause, text: `${what} ${known.text} (asked by ${from})`, status: null };
}

/** The errno of the attempt with the message that caused it, as the connect probe says it. */
function connectSightingOf(exit: number, report: CurlReport): ConnectSighting | null {
  const { connectError, icmp } = report;
  if (connectError !== null)
    return { saw: 'error', ...connectError, icmp: connectError.where === 'local' ? null : icmp };
  return exit === 28 ? { saw: 'silent' } : null;
}

/** The sender's view of the path. Only looks. */
async function pathAfter(context: ProbeContext, source: Vantage, address: string): Promise<PathEvidence | null> {
  const from = beside(source);
  const { parts } = await runScript(from.host, pathParts(address), {
    timeoutMs: Math.min(10_000, context.timeLeftMs()),
    signal: context.signal,
    wrap: (shell) => inside(from, shell),
  });
  return readPath(parts, address);
}

async function sendRequest(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  request: HttpRequest,
): Promise<HttpSighting> {
  const what = `${target.label} port ${portOf(request.url)}`;
  const argv = ['perl', '-', String(target.family), target.address, String(portOf(request.url))];
  // Whom TLS trusts is the host's own choice: its certificates are among its files.
  const from = new URL(request.url).protocol === 'https:' ? source : beside(source);
  const result = await from.host.exec(from.enter([...argv, ...curlArgv(request, target)]), {
    timeoutMs: Math.min(request.waitMs + 10_000, context.timeLeftMs()),
    signal: context.signal,
    keepBytes: keptResponseBytes,
    stdin: `${listenProgram}${request.send ?? ''}`,
  });
  const nothing = (text: string): HttpSighting => ({ saw: 'nothing', text });
  const exit = result.exitCode;
  if (exit === 127) return nothing(`${source.host.name} lacks curl, which sends the request, or perl`);
  // It had the whole time of the attempt: what was not over by then is a timeout. (The context knows that it was cut.)
  if (result.timedOut) {
    const text = `${what} had not answered ${source.label} in full after ${formatDuration(result.durationMs)}`;
    return { saw: 'broken', cause: 'timeout', text, status: null };
  }
  if (exit === null) return nothing(`the request from ${source.label} was cut off before it was over`);
  const report = readCurlReport(result.stderr);
  if (report === null)
    return nothing(
      `curl at ${source.label} said something that is not understood: “${result.stderr.trim().split('\n').at(-1) ?? ''}” (exit status ${exit})`,
    );
  const response = readResponse(result.stdoutRaw, result.stdoutBytes, report.totalMs);
  if (exit === 0)
    return response === null
      ? { saw: 'broken', cause: 'wrong-answer', text: `${what} answers ${source.label}, but not in HTTP`, status: null }
      : { saw: 'response', response };
  if (report.connected) {
    const broken = readBroken(exit, report, what, source.label, response);
    return broken.saw === 'broken' && report.fromPort !== null ? { ...broken, fromPort: report.fromPort } : broken;
  }
  const sighting = connectSightingOf(exit, report);
  return sighting === null
    ? nothing(`curl at ${source.label} made no connection to ${what}, and does not say why (exit status ${exit})`)
    : { saw: 'no-connection', connect: connectResult(sighting, null, target.address) };
}

/** One request by curl, from the source's network namespace, over a connection to the target's address. Rejects only with what `exec` rejects with. */
export async function exchangeHttp(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  request: HttpRequest,
): Promise<HttpExchange> {
  const sent = await sendRequest(context, source, target, request);
  if (sent.saw === 'nothing') return { ...sent, path: null };
  const path = await pathAfter(context, source, target.address);
  if (sent.saw !== 'no-connection' || sent.connect.sighting === null) return { ...sent, path };
  return { saw: 'no-connection', connect: connectResult(sent.connect.sighting, path, target.address), path };
}
