import { pathParts, readPath } from '../facts/path.js';
import { whoAnswers } from '../judging/identity.js';
import { fail, inconclusive } from '../judging/outcome.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { runScript } from '../places/script.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import type { ResolvedTarget } from '../probes/target.js';

/**
 * For what was answered at the target's address without a `Prober`: the verdict where it was not the target that answered, by
 * the sender's own route and neighbour table; `null` where it was. `expected`: what was to come of the target, for reports.
 */
export async function strangerAt(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  expected: string,
): Promise<Outcome | null> {
  const from = beside(source);
  const { parts } = await runScript(from.host, pathParts(target.address), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    wrap: (shell) => inside(from, shell),
  });
  const answerer = await whoAnswers(context, source, target, readPath(parts, target.address));
  if (answerer.is === 'target') return null;
  if (answerer.is === 'unclear') return inconclusive(`${target.label} answers ${source.label}; but ${answerer.text}`);
  return fail('wrong-answer', answerer.text, { expected, actual: 'answers of another' });
}
