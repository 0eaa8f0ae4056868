import type { Outcome } from '../model/verdict.js';
import type { ProbeHost } from '../places/context.js';
import type { ExecResult } from '../ssh/ssh.js';
import type { StepContext } from './kind.js';

/** Does the same on every host of the step at once, and makes one outcome of what came back: the worst, with every host that did not pass. */
export async function onEachHost(context: StepContext, work: (host: ProbeHost) => Promise<Outcome>): Promise<Outcome> {
  const outcomes = await Promise.all(
    context.on.map(async (name) => ({ name, outcome: await work(context.host(name)) })),
  );
  if (outcomes.length === 1) return outcomes[0]!.outcome;
  const bad = outcomes.filter(({ outcome }) => outcome.verdict !== 'pass');
  const attachments = outcomes.flatMap(({ outcome }) => outcome.attachments ?? []);
  const measures = outcomes.flatMap(({ name, outcome }) =>
    (outcome.measures ?? []).map((m) => ({ ...m, name: `${name}: ${m.name}` })),
  );
  if (bad.length === 0)
    return {
      verdict: 'pass',
      reason: `Done on ${outcomes.map(({ name }) => name).join(', ')}.`,
      attachments,
      measures,
    };
  const output = bad.flatMap(({ name, outcome }) =>
    (outcome.output ?? []).map((one) => ({ ...one, title: `${name}: ${one.title}` })),
  );
  const worst = bad.find(({ outcome }) => outcome.verdict === 'error') ?? bad[0]!;
  return {
    ...worst.outcome,
    reason: bad.map(({ name, outcome }) => `${name}: ${outcome.reason}`).join(' '),
    attachments,
    measures,
    ...(output.length > 0 ? { output } : {}),
  };
}

/** Of one line, in characters: the whole of it stands in the record. */
const mostWords = 300;

/** The last line or lines of a text that say something, for one-sentence reasons. */
export function lastWords(text: string, lines = 2): string {
  return (
    text
      .split('\n')
      .map((line) => line.trim())
      // Marks under a mistake (`^~~~`) say nothing by themselves.
      .filter((line) => /[\p{L}\p{N}]/u.test(line))
      .slice(-lines)
      .map((line) => (line.length > mostWords ? `${line.slice(0, mostWords)}…` : line))
      .join(' / ')
  );
}

const speaksOfError =
  /\b(?:error|fatal|failed|cannot|can't|could not|not found|no such|denied|refused|invalid|unable)\b/i;

/**
 * The one line of a text that says most for one sentence: the first that speaks of an error, since tools tell the cause first
 * and go on with what came of it; else the last one.
 */
export function tellingWords(text: string): string {
  const telling = text.split('\n').find((line) => speaksOfError.test(line));
  return lastWords(telling ?? text, 1);
}

/** How a command ended, as the end of a sentence: "exited with 1", "was killed by SIGKILL", "did not end within 5.0 s". */
export function howItEnded(result: ExecResult, limitText: string): string {
  if (result.timedOut) return `did not end within ${limitText}`;
  if (result.aborted) return 'was stopped';
  if (result.signal) return `was killed by SIG${result.signal}`;
  return `exited with ${result.exitCode}`;
}
