import { canonicalAddress, familyOf } from '../model/cidr.js';
import type { Diagnosis } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { parseEndpoint, isVantage } from '../places/endpoint.js';
import { beside, isVantageProblem, resolveVantage } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import { explain } from './explain.js';
import { droppedTooBig } from './explain-filter.js';
import { buildCase } from './follow.js';
import type { Case, Step } from './follow.js';
import { observe } from './observe.js';

/** A socket of TCP that has a peer. */
export interface Connected {
  /** Bytes that were sent and not acknowledged, or wait to be sent. */
  unacknowledged: number;
  local: { address: string; port: number };
  peer: { address: string; port: number };
}

function endOf(text: string | undefined): { address: string; port: number } | null {
  const match = /^(.+):(\d+)$/.exec(text ?? '');
  if (!match) return null;
  const address = match[1]!
    .replace(/^\[|\]$/g, '')
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '');
  return familyOf(address) === 0 ? null : { address: canonicalAddress(address), port: Number(match[2]) };
}

/** Reads `ss -H -a -n -t`: state, queues, and the two ends in fixed columns (ss(8)). Sockets without a peer are left out. */
export function readConnected(text: string): Connected[] {
  return text.split('\n').flatMap((line) => {
    const [, , queued, own, other] = line.trim().split(/\s+/);
    const [local, peer] = [endOf(own), endOf(other)];
    return local && peer && /^\d+$/.test(queued ?? '') ? [{ unacknowledged: Number(queued), local, peer }] : [];
  });
}

/** One of the two ways of a connection: who sends, and to where. */
interface Direction {
  what: 'requests' | 'answers';
  /** The place that sends, as scenarios write it. */
  from: string;
  /** The other end as the sender's kernel knows it. */
  to: string;
  isOf: (socket: Connected) => boolean;
  steps: readonly Step[];
  /** Bytes of the largest packet that it sends. */
  largest: number;
}

/**
 * The two ways of a connection from that port, which went as the followed SYN did; requests first, for where they are lost no
 * answer is due. The one who answers knows it by that port, unless somebody on the way translated it.
 */
function directionsOf(c: Case, from: number): Direction[] {
  const first = c.forward[0];
  const end = c.forward.findLast(({ way }) => way === 'in');
  const answer = c.reply[0];
  const came = c.reply.findLast(({ way }) => way === 'in');
  if (!first || !end || !answer || !came || answer.space !== end.space) return [];
  const headers = c.address.includes(':') ? 60 : 40;
  const largest = (link: Step['link'], mss: number | undefined): number =>
    Math.min(link.mtu, mss === undefined ? link.mtu : mss + headers);
  const { dport, src } = end.packet;
  return [
    {
      what: 'requests',
      from: c.source.label,
      to: first.packet.dst,
      isOf: ({ local, peer }) =>
        local.port === from && peer.address === first.packet.dst && peer.port === (first.packet.dport ?? dport),
      steps: c.forward,
      largest: largest(first.link, came.packet.mss),
    },
    {
      what: 'answers',
      from: end.space.label,
      to: src,
      isOf: ({ local, peer }) => local.port === dport && peer.address === src && peer.port === from,
      steps: c.reply,
      largest: largest(answer.link, end.packet.mss),
    },
  ];
}

async function placeOf(context: ProbeContext, label: string): Promise<Vantage | null> {
  const endpoint = parseEndpoint(label, context.plan);
  if (!isVantage(endpoint)) return null;
  const place = await resolveVantage(context, endpoint);
  return isVantageProblem(place) ? null : place;
}

/** What a place has sent on a connection without a word that it came. */
async function unacknowledgedBy(context: ProbeContext, place: Vantage, isOf: Direction['isOf']): Promise<number> {
  const from = beside(place);
  const listed = await from.host.exec(from.enter(['ss', '-H', '-a', '-n', '-t']), {
    timeoutMs: Math.min(5000, context.timeLeftMs()),
    signal: context.signal,
  });
  return listed.exitCode === 0 ? (readConnected(listed.stdout).find(isOf)?.unacknowledged ?? 0) : 0;
}

/**
 * Whether a packet as large as the connection's is lost where the small ones passed, and its sender is not told how large it may
 * be (RFC 2923, 2.1: a black hole of path MTU discovery).
 */
async function blackHole(
  context: ProbeContext,
  place: Vantage,
  one: Direction,
  told: Diagnosis,
): Promise<Diagnosis | null> {
  const six = one.to.includes(':');
  const observation = await observe(context, {
    source: place,
    target: { address: one.to, family: six ? 6 : 4, label: one.to, how: '', owner: null },
    proto: 'icmp',
    size: one.largest - (six ? 48 : 28),
    df: true,
    cause: 'timeout',
    answeredBy: null,
    path: null,
  });
  const c = buildCase(observation, place, context.plan);
  if (!c || c.fate.fate === 'answered' || c.forward.length === 0) return null;
  // Who is told sends smaller packets.
  if (c.errors.some(({ space, way }) => space === c.source && way === 'in')) return null;
  const found = explain(c);
  if (found?.rootCause !== 'mtu') return null;
  const silenced = droppedTooBig(c, c.forward[0]!.packet.src);
  const answers = one.what === 'answers';
  return {
    ...found,
    sentence: `small packets pass, and the large ${one.what} of ${place.label} do not: ${found.sentence.replace(/^it /, 'a packet ')}; ${silenced?.sentence ?? `no word of it comes back to ${place.label}`}`,
    way: answers ? told.way : found.way,
    back: answers ? found.way : told.back,
    evidence: [...found.evidence, ...(silenced?.evidence ?? [])],
    mend: [silenced?.mend, found.mend].filter((mend) => mend !== null && mend !== undefined).join('; or ') || null,
  };
}

/**
 * A connection was taken, and no answer came on it: what was sent on it and is not acknowledged says which way loses packets.
 * `null` where nothing waits to be acknowledged: it is the service that says nothing. Rejects only with NETRIG_SSH_*.
 *
 * @param from the source port of that connection: others between the same ends may linger.
 * @param told what is said of it without that.
 */
export async function explainUnacknowledged(
  context: ProbeContext,
  c: Case,
  from: number,
  told: Diagnosis,
): Promise<Diagnosis | null> {
  for (const one of directionsOf(c, from)) {
    const place = await placeOf(context, one.from);
    if (place === null) continue;
    const bytes = await unacknowledgedBy(context, place, one.isOf);
    // The end of a connection counts for one.
    if (bytes <= 1) continue;
    const smallest = Math.min(...one.steps.map(({ link }) => link.mtu));
    const hole = smallest < one.largest && bytes > smallest ? await blackHole(context, place, one, told) : null;
    if (hole) return hole;
    const other = one.what === 'answers' ? c.source.label : (c.reply[0]?.space.label ?? one.to);
    return {
      ...told,
      sentence: `the connection is taken, and what ${place.label} sends on it then is lost: ${bytes} bytes of it are not acknowledged by ${other}`,
      evidence: [
        ...told.evidence,
        `${place.label} has ${bytes} bytes in the queue of its socket that wait to be acknowledged.`,
      ],
    };
  }
  return null;
}
