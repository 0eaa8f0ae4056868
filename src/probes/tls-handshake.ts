import { X509Certificate } from 'node:crypto';
import type { PathEvidence } from '../facts/path.js';
import { lastLine } from '../facts/answer.js';
import type { ProbeContext } from '../places/context.js';
import type { Vantage } from '../places/vantage.js';
import { sendConnect } from './connect-send.js';
import type { ConnectResult } from './connect-send.js';
import type { ResolvedTarget } from './target.js';

/** Protocols that begin in the clear and go over to TLS when asked to, as s_client(1) of OpenSSL 1.1.1 to 3.6 knows them, with their ports. */
export const startTlsPorts = {
  smtp: 25,
  lmtp: 24,
  imap: 143,
  pop3: 110,
  sieve: 4190,
  ftp: 21,
  nntp: 119,
  ldap: 389,
  irc: 6667,
  mysql: 3306,
  postgres: 5432,
  xmpp: 5222,
  'xmpp-server': 5269,
} as const;
export type StartTls = keyof typeof startTlsPorts;

/** What s_client is told of a protocol that begins in the clear; an XMPP server wants to know for which domain. */
export function startTlsArgv(protocol: StartTls | null, name: string | null): string[] {
  if (protocol === null) return [];
  return ['-starttls', protocol, ...(protocol.startsWith('xmpp') && name !== null ? ['-xmpphost', name] : [])];
}

export interface TlsRequest {
  port: number;
  /** The protocol that begins in the clear; `null`: TLS from the start. */
  startTls: StartTls | null;
  /** Sent as server name indication; `null`: none is sent. */
  name: string | null;
  /** A PEM file of the source, with the certificates that it trusts; `null`: those that its OpenSSL trusts. */
  ca: string | null;
  waitMs: number;
}

/** OpenSSL's verdict on the chain, dates and names apart. */
export type ChainState = 'trusted' | 'self-signed' | 'unknown-issuer' | `error ${number}`;

export interface TlsSession {
  /** The server's own certificate. */
  certificate: X509Certificate;
  /** Certificates that it sent, its own among them. */
  sent: number;
  chain: ChainState;
  /** The source's clock at the time, ms since 1970. */
  now: number;
}

export type TlsExchange = { path: PathEvidence | null } & (
  | { saw: 'session'; session: TlsSession }
  | { saw: 'no-connection'; connect: ConnectResult }
  /** There was a connection, and no TLS session over it. */
  | { saw: 'broken'; cause: 'tls' | 'timeout'; text: string }
  | { saw: 'nothing'; text: string }
);

/** x509_vfy.h: 18 is a self-signed certificate; 19 to 21 and 2 are chains that lead to nobody who is trusted. */
function chainOf(code: number): ChainState {
  if (code === 0) return 'trusted';
  if (code === 18) return 'self-signed';
  return [2, 19, 20, 21].includes(code) ? 'unknown-issuer' : `error ${code}`;
}

/** What `openssl s_client -showcerts` printed; `null`: no certificate, or no verdict on it. */
function readSession(stdout: string, now: number): TlsSession | null {
  const blocks = stdout.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  // The server's own certificate is first of the chain, and is printed once more by itself.
  const sent = new Set(blocks);
  const code = /^ *Verify return code: (\d+) \(/m.exec(stdout)?.[1];
  if (blocks[0] === undefined || code === undefined) return null;
  try {
    return {
      certificate: new X509Certificate(blocks[0]),
      sent: sent.size,
      chain: chainOf(Number(code)),
      now,
    };
  } catch {
    return null;
  }
}

/**
 * A TCP connection, and then a TLS handshake by the source's openssl, whose own files say whom it trusts. Dates are left to
 * whoever judges (`-no_check_time`), so that an expired certificate is told from one of nobody. Rejects only with what `exec` does.
 */
export async function shakeHands(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  { port, startTls, name, ca, waitMs }: TlsRequest,
): Promise<TlsExchange> {
  const connect = await sendConnect(context, source, target, { proto: 'tcp', port, waitMs });
  if (connect.sighting?.saw !== 'open') return { saw: 'no-connection', connect, path: connect.path };
  const address = target.family === 6 ? `[${target.address}]` : target.address;
  const argv = [
    ...['openssl', 's_client', '-connect', `${address}:${port}`, '-showcerts', '-no_check_time'],
    ...startTlsArgv(startTls, name),
    ...(name === null ? ['-noservername'] : ['-servername', name]),
    ...(ca === null ? [] : ['-CAfile', ca]),
  ];
  const what = `${target.label} port ${port}`;
  const { path } = connect;
  const clock = await source.host.exec(['date', '+%s'], { timeoutMs: context.timeLeftMs(), signal: context.signal });
  if (clock.exitCode !== 0 || !/^\d+\n$/.test(clock.stdout))
    return { saw: 'nothing', text: `the clock of ${source.host.name} could not be read`, path };
  const result = await source.host.exec(source.enter(argv), {
    timeoutMs: Math.min(waitMs, context.timeLeftMs()),
    signal: context.signal,
    stdin: '',
  });
  if (result.exitCode === 127) return { saw: 'nothing', text: `${source.host.name} lacks openssl`, path };
  if (result.timedOut)
    return {
      saw: 'broken',
      cause: 'timeout',
      text: `${what} accepts the connection of ${source.label}, and does not finish the TLS handshake in time`,
      path,
    };
  if (result.exitCode === null)
    return { saw: 'nothing', text: `the handshake from ${source.label} was cut off before it was over`, path };
  const session = readSession(result.stdout, Number(clock.stdout) * 1000);
  if (session !== null) return { saw: 'session', session, path };
  if (ca !== null && !result.stdout.includes('CONNECTED('))
    return {
      saw: 'nothing',
      text: `openssl at ${source.label} did not begin, perhaps for the file ${ca}: ${lastLine(result.stderr)}`,
      path,
    };
  return { saw: 'broken', cause: 'tls', text: `no TLS session between ${source.label} and ${what}`, path };
}
