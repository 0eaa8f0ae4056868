import { canonicalAddress } from '../model/cidr.js';

/** An answer to one of a stream of echo requests. */
export interface Answer {
  sequence: number;
  /** ms since 1970, by the clock of the source. */
  arrivedAt: number;
  /** ms from its request. */
  rtt: number;
}

/** A time without answers. */
export interface Gap {
  /** ms since 1970 of the answer before it. */
  after: number;
  /** ms from the time when the next answer was due to when one came. */
  lasted: number;
  /** ms of that at least: less what the sender, and not the network, was late. */
  atLeast: number;
}

/**
 * iputils' ping with -D prints `[1795863033.150606] 64 bytes from 10.1.1.2: icmp_seq=93 ttl=64 time=0.046 ms`. From 2024 on, a line may
 * end in ` (DUP!)`; such a line is no answer to a request that had none.
 */
const answerLine =
  /^\[(\d+\.\d+)\] \d+ bytes from ([0-9a-f.:]+)(?:%\S+)?: icmp_seq=(\d+) ttl=\d+ time=(\d+(?:\.\d+)?) ms$/;

/** Reads one line of `LC_ALL=C ping -n -D`; `null` for one that is no answer of that address. */
export function readAnswer(line: string, address: string): Answer | null {
  const match = answerLine.exec(line);
  if (!match || canonicalAddress(match[2]!) !== canonicalAddress(address)) return null;
  return { sequence: Number(match[3]), arrivedAt: Number(match[1]) * 1000, rtt: Number(match[4]) };
}

/**
 * The times without answers in a stream of one request each `intervalMs`, the longest first. What counts is when answers arrive:
 * requests that were held back and answered late, all at once, filled no gap. A sender that was late itself is told by the send times
 * that the answers state.
 */
export function gapsIn(answers: readonly Answer[], intervalMs: number): Gap[] {
  const inOrder = [...answers].sort((a, b) => a.arrivedAt - b.arrivedAt);
  const gaps = inOrder.slice(1).flatMap((next, at): Gap[] => {
    const last = inOrder[at]!;
    const lasted = next.arrivedAt - last.arrivedAt - intervalMs;
    // Less than one request more is no gap: nobody promises answers in equal steps.
    if (lasted < intervalMs) return [];
    const sentApart = next.arrivedAt - next.rtt - (last.arrivedAt - last.rtt);
    const late = Math.max(0, sentApart - (next.sequence - last.sequence) * intervalMs);
    return [{ after: last.arrivedAt, lasted, atLeast: Math.max(0, lasted - late) }];
  });
  return gaps.sort((a, b) => b.lasted - a.lasted);
}
