import type { ProbeCause } from '../model/verdict.js';

/** What fping said of one target. */
export type FpingSighting =
  | { saw: 'reply'; ms: number | null }
  | { saw: 'silence' }
  /** `from`: who said so; `null` for the sender's own kernel. */
  | { saw: 'error'; cause: ProbeCause; text: string; from: string | null };

const linePattern = /^(\S+) is (alive|unreachable)(?: \((\d+(?:\.\d+)?) ms\))?$/;
const icmpPattern = /^(ICMP .+?) from (\S+) for ICMP Echo sent to (\S+)$/;
const localPattern = /^(\S+): error while sending ping: (.+)$/;

/** The wording of fping's own table of ICMP unreachable codes (RFC 792, RFC 1812 5.2.7.1). */
function icmpCause(text: string): ProbeCause | null {
  if (/Prohibited|Precedence/i.test(text)) return 'prohibited';
  if (/Fragmentation Needed/i.test(text)) return 'too-big';
  if (/Network (?:Unreachable|Unknown)|Time Exceeded/i.test(text)) return 'net-unreachable';
  if (/Host (?:Unreachable|Unknown|Isolated)/i.test(text)) return 'host-unreachable';
  if (/Port Unreachable|Protocol Unreachable/i.test(text)) return 'port-unreachable';
  return null;
}

/** strerror(3) of what the sender's own kernel answered to sendto(2). */
const localCauses: Record<string, ProbeCause> = {
  'Network is unreachable': 'no-route',
  // A blackhole route (ip-route(8)).
  'Invalid argument': 'no-route',
  'No route to host': 'host-unreachable',
  // A prohibit route, or the sender's own packet filter.
  'Permission denied': 'prohibited',
  'Operation not permitted': 'prohibited',
  'Message too long': 'too-big',
  // The packet fits the route, but not the device below it: a bridge port with a smaller MTU.
  'No buffer space available': 'too-big',
};

/**
 * Reads the merged output of `fping -e` for the targets given. `null` when a target has no line, has two, or a line is not
 * understood: then nothing is known.
 */
export function readFping(output: string, targets: readonly string[]): Map<string, FpingSighting> | null {
  const wanted = new Set(targets);
  const answers = new Map<string, FpingSighting>();
  const errors = new Map<string, { cause: ProbeCause; text: string; from: string | null }>();
  for (const line of output.split('\n')) {
    if (line.trim() === '') continue;
    const answer = linePattern.exec(line);
    if (answer) {
      const target = answer[1]!;
      if (!wanted.has(target) || answers.has(target)) return null;
      answers.set(
        target,
        answer[2] === 'alive'
          ? { saw: 'reply', ms: answer[3] === undefined ? null : Number(answer[3]) }
          : { saw: 'silence' },
      );
      continue;
    }
    const icmp = icmpPattern.exec(line);
    const local = icmp ? null : localPattern.exec(line);
    const target = icmp?.[3] ?? local?.[1];
    const cause = icmp ? icmpCause(icmp[1]!) : local ? (localCauses[local[2]!] ?? null) : null;
    if (target === undefined || cause === null) return null;
    errors.set(target, { cause, text: icmp ? icmp[1]! : local![2]!, from: icmp?.[2] ?? null });
  }
  if (answers.size !== wanted.size) return null;
  for (const [target, error] of errors) {
    // A message that came late for a target that replied after all says nothing.
    if (answers.get(target)?.saw === 'silence') answers.set(target, { saw: 'error', ...error });
  }
  return answers;
}
