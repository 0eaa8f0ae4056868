import { randomInt } from 'node:crypto';
import type { ProbeCause } from '../model/verdict.js';
import { causeOfError, connectCommand, connectProgram, describeError, readConnectOutput } from './connect-probe.js';
import type { ConnectSighting } from './connect-probe.js';
import { decodeReply, encodeQuery, recordTypes } from './dns-message.js';
import type { DnsRecord, RecordType } from './dns-message.js';
import type { ProbeContext } from '../places/context.js';
import { readHostsFile, readResolvConf, searchCandidates } from '../facts/name-files.js';
import { searchInOrder } from './name-search.js';
import { beside, inside, readNameFiles } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';

/** What one name server said to one question, or what happened instead. */
export type ServerAnswer =
  | { saw: 'answer'; server: string; name: string; records: DnsRecord[] }
  | {
      saw: 'failure';
      server: string;
      name: string;
      cause: ProbeCause;
      text: string;
      /** The server said so, or its host that nobody listens there: either proves that it is alive. */
      replied: boolean;
      /** The question was lost that was asked over TCP, since the answer does not fit into a datagram. */
      stream?: true;
    }
  /** `cut`: the answer does not fit into a datagram, so that the question is to be asked over TCP. */
  | { saw: 'nothing'; server: string; name: string; text: string; cut?: true };

const dnsPort = 53;

export interface Question {
  server: string;
  /** UDP port of the server; 53 where left out. */
  port?: number;
  name: string;
  type: RecordType;
}

export interface AskOptions {
  /** ms that a question waits for its answer, resends included. */
  waitMs: number;
  tries: number;
}

/** The cause that an answer without the wanted records stands for. */
function failureOf(rcode: string): ProbeCause | null {
  return ({ NXDOMAIN: 'nxdomain', SERVFAIL: 'servfail', REFUSED: 'dns-refused' } as const)[rcode as 'NXDOMAIN'] ?? null;
}

/** Judges one datagram (or its absence) as the answer to a question. */
export function readAnswer(question: Question, id: number, sighting: ConnectSighting): ServerAnswer {
  const { server, name } = question;
  const asked = question.port === undefined || question.port === dnsPort ? server : `${server}, port ${question.port},`;
  const failure = (cause: ProbeCause, text: string, replied: boolean): ServerAnswer => ({
    saw: 'failure',
    server,
    name,
    cause,
    text,
    replied,
  });
  const nothing = (text: string): ServerAnswer => ({ saw: 'nothing', server, name, text });
  if (sighting.saw === 'silent')
    return failure('timeout', `${asked} did not answer the question for ${name} (${question.type})`, false);
  // What comes from elsewhere no resolver takes for an answer.
  if (sighting.saw === 'other')
    return failure(
      'timeout',
      `${asked} did not answer the question for ${name} (${question.type}); ${sighting.from} port ${sighting.port} did in its place`,
      false,
    );
  if (sighting.saw === 'open' || sighting.saw === 'mute' || sighting.saw === 'closed')
    return nothing(`${asked} gave no datagram`);
  if (sighting.saw === 'error') {
    const cause = causeOfError(sighting, server.includes(':') ? 6 : 4);
    const text = `${asked} could not be asked for ${name}: ${describeError(sighting)}`;
    return cause === null ? nothing(text) : failure(cause, text, cause === 'refused');
  }
  const reply = decodeReply(sighting.data);
  if (!reply || reply.id !== id)
    return nothing(`${asked} sent a datagram that is no answer to the question for ${name}`);
  if (
    reply.question &&
    (reply.question.name.toLowerCase() !== name.toLowerCase() || reply.question.type !== recordTypes[question.type])
  ) {
    return nothing(`${asked} answered another question than the one for ${name}`);
  }
  if (reply.truncated)
    return { ...nothing(`${asked} answered for ${name} with more than a datagram holds`), cut: true } as ServerAnswer;
  const cause = failureOf(reply.rcode);
  if (cause !== null) return failure(cause, `${asked} answered ${reply.rcode} for ${name} (${question.type})`, true);
  if (reply.rcode !== 'NOERROR') return nothing(`${asked} answered ${reply.rcode} for ${name}`);
  if (!reply.answers.some((record) => record.type === question.type))
    return failure(
      'no-answer',
      `${asked} answered NOERROR for ${name}, without a record of type ${question.type}`,
      true,
    );
  return { saw: 'answer', server, name, records: reply.answers };
}

/** Judges what came over a connection, or did not, where the datagram of the answer was cut. */
function readStreamAnswer(question: Question, id: number, sighting: ConnectSighting): ServerAnswer {
  const { server, name } = question;
  const lost = (cause: ProbeCause, how: string): ServerAnswer => ({
    saw: 'failure',
    server,
    name,
    cause,
    text: `${server} answered for ${name} (${question.type}) with more than a datagram holds, and ${how}`,
    replied: true,
    stream: true,
  });
  if (sighting.saw === 'data')
    return readAnswer(question, id, { saw: 'data', ms: sighting.ms, data: sighting.data.subarray(2) });
  if (sighting.saw === 'silent') return lost('timeout', 'does not answer over TCP');
  if (sighting.saw === 'mute') return lost('timeout', 'accepts a connection over TCP, and says nothing whole over it');
  if (sighting.saw === 'closed') return lost('reset', 'closes the connection over TCP without a whole answer');
  const cause = sighting.saw === 'error' ? causeOfError(sighting, server.includes(':') ? 6 : 4) : null;
  if (cause === null || sighting.saw !== 'error')
    return { saw: 'nothing', server, name, text: `${server} could not be asked for ${name} over TCP` };
  return lost(
    cause,
    cause === 'refused' ? 'refuses connections over TCP' : `cannot be asked over TCP: ${describeError(sighting)}`,
  );
}

interface Prepared {
  question: Question;
  id: number;
  payload: Buffer;
}

/** Sends the questions, all at once; a text: why nothing could be sent. */
async function send(
  context: ProbeContext,
  vantage: Vantage,
  prepared: readonly Prepared[],
  { proto, waitMs, tries }: AskOptions & { proto: 'udp' | 'framed' },
): Promise<ConnectSighting[] | string> {
  const targets = prepared.map(({ question, payload }) => {
    const size = Buffer.alloc(proto === 'framed' ? 2 : 0);
    if (proto === 'framed') size.writeUInt16BE(payload.length);
    return { address: question.server, port: question.port ?? dnsPort, payload: Buffer.concat([size, payload]) };
  });
  const place = beside(vantage);
  const result = await place.host.exec(inside(place, connectCommand({ proto, waitMs, tries, targets })), {
    stdin: connectProgram,
    timeoutMs: waitMs + 10_000,
    signal: context.signal,
    // A message of DNS over TCP has 64 KiB at most, and each byte is printed as two.
    keepBytes: prepared.length * (1 << 18),
  });
  const sightings = result.exitCode === 0 ? readConnectOutput(result.stdout, prepared.length) : null;
  return sightings ?? (result.stderr.trim().split('\n').at(-1) || `exit status ${result.exitCode}`);
}

/**
 * Asks all questions at once from the vantage, in one exec, and those whose answers do not fit into a datagram once more over
 * TCP, as resolvers do (RFC 7766). Answers come in the order of the questions.
 */
export async function askServers(
  context: ProbeContext,
  vantage: Vantage,
  questions: readonly Question[],
  options: AskOptions,
): Promise<ServerAnswer[]> {
  const nothing = (text: string): ServerAnswer[] =>
    questions.map(({ server, name }) => ({ saw: 'nothing', server, name, text }));
  const prepared: Prepared[] = [];
  for (const question of questions) {
    const id = randomInt(1, 65_536);
    const payload = encodeQuery(id, question.name, question.type);
    if (payload === null) return nothing(`${question.name} is no name that DNS can carry`);
    prepared.push({ question, id, payload });
  }
  const sightings = await send(context, vantage, prepared, { ...options, proto: 'udp' });
  if (typeof sightings === 'string') return nothing(`no question could be sent from ${vantage.label}: ${sightings}`);
  const answers = prepared.map(({ question, id }, i) => readAnswer(question, id, sightings[i]!));
  const cut = prepared.filter((_, i) => answers[i]!.saw === 'nothing' && 'cut' in answers[i]!);
  if (cut.length === 0) return answers;
  const over = await send(context, vantage, cut, { ...options, proto: 'framed' });
  if (typeof over === 'string') return answers;
  return answers.map((answer, i) => {
    const at = cut.indexOf(prepared[i]!);
    return at < 0 ? answer : readStreamAnswer(cut[at]!.question, cut[at]!.id, over[at]!);
  });
}

/** Addresses among the records, following CNAME records as they come. */
function addressesOf(records: readonly DnsRecord[], family: 4 | 6): string[] {
  return records.filter((record) => record.type === (family === 4 ? 'A' : 'AAAA')).map((record) => record.data);
}

export type Resolution =
  | { saw: 'answer'; addresses: string[]; records: DnsRecord[]; by: string; name: string }
  | { saw: 'failure'; cause: ProbeCause; text: string; server: string | null; replied: boolean; stream?: true }
  | { saw: 'nothing'; text: string };

export interface ResolveOptions {
  type: RecordType;
  /** Ask this server instead of those in the vantage's resolv.conf; its hosts file is then not read. */
  server?: string;
  /** UDP port of `server`; 53 where left out. */
  port?: number;
  /** ms per server; default 2,000. */
  waitMs?: number;
}

/**
 * Resolves a name as the vantage's own resolver would (glibc's order: hosts file, then the servers of resolv.conf one after the
 * other, each name of the search list in turn, `searchInOrder`), with every candidate asked for at once.
 */
export async function resolveName(
  context: ProbeContext,
  vantage: Vantage,
  name: string,
  options: ResolveOptions,
): Promise<Resolution> {
  const { type } = options;
  const family = type === 'AAAA' ? 6 : 4;
  let servers: string[];
  let candidates: string[];
  if (options.server === undefined) {
    const files = await readNameFiles(context, vantage);
    if (type === 'A' || type === 'AAAA') {
      const addresses = readHostsFile(files.hosts, name, family);
      if (addresses.length > 0) return { saw: 'answer', addresses, records: [], by: 'hosts file', name };
    }
    const config = readResolvConf(files.resolvConf);
    if (config.servers.length === 0)
      return {
        saw: 'failure',
        cause: 'unknown-host',
        text: `${vantage.label} has no name server in its resolv.conf, and ${name} is not in its hosts file`,
        server: null,
        replied: false,
      };
    servers = config.servers;
    candidates = type === 'PTR' ? [name] : searchCandidates(name, config);
  } else {
    servers = [options.server];
    candidates = [name.replace(/\.$/, '')];
  }
  const asked = new Map<string, Promise<ServerAnswer[]>>();
  const answersOf = (server: string): Promise<ServerAnswer[]> => {
    const local = server.startsWith('127.') || server === '::1';
    const questions = candidates.map((candidate) => ({
      server,
      name: candidate,
      type,
      ...(options.port === undefined ? {} : { port: options.port }),
    }));
    const answers =
      asked.get(server) ??
      // A datagram on loopback is not lost; elsewhere one resend, as resolvers do.
      askServers(context, vantage, questions, { waitMs: options.waitMs ?? 2000, tries: local ? 1 : 2 });
    asked.set(server, answers);
    return answers;
  };
  const said = await searchInOrder(
    name.replace(/\.$/, ''),
    candidates,
    servers,
    async (server, candidate) => (await answersOf(server))[candidate]!,
  );
  if (!said) return { saw: 'nothing', text: `no server of ${vantage.label} could be asked for ${name}` };
  if (said.saw === 'nothing') return { saw: 'nothing', text: said.text };
  if (said.saw === 'failure')
    return {
      saw: 'failure',
      cause: said.cause,
      text: said.text,
      server: said.server,
      replied: said.replied,
      ...(said.stream ? { stream: true } : {}),
    };
  const { server: by, records } = said;
  return { saw: 'answer', addresses: addressesOf(records, family), records, by, name: said.name };
}
