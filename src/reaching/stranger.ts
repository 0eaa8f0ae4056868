import { pathParts, readPath } from '../facts/path.js';
import { diagnose } from '../diagnosis/diagnose.js';
import type { DiagnosisRequest } from '../diagnosis/diagnose.js';
import { whoAnswers } from '../judging/identity.js';
import type { OwnAnswer } from '../judging/own-answer.js';
import { fail, inconclusive, withDiagnosis } from '../judging/outcome.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import { runScript } from '../places/script.js';
import { beside, inside } from '../places/vantage.js';
import type { Vantage } from '../places/vantage.js';
import type { ResolvedTarget } from '../probes/target.js';

/**
 * For what was answered at the target's address without a `Prober`: the verdict where it was not the target that answered, by
 * the sender's own route and neighbour table and by what came in at the target; `null` where it was. `expected`: what was to come
 * of the target, for reports. `isOwn`: from before it was asked. `asked`: what was, to be followed.
 */
export async function strangerAt(
  context: ProbeContext,
  source: Vantage,
  target: ResolvedTarget,
  expected: string,
  isOwn: OwnAnswer,
  asked: DiagnosisRequest,
): Promise<Outcome | null> {
  const own = await isOwn();
  const from = beside(source);
  const { parts } = await runScript(from.host, pathParts(target.address), {
    timeoutMs: context.timeLeftMs(),
    signal: context.signal,
    wrap: (shell) => inside(from, shell),
  });
  const byPath = await whoAnswers(context, source, target, readPath(parts, target.address));
  const answerer = byPath.is !== 'other' && own.is === 'other' ? own : byPath;
  if (answerer.is === 'target') return null;
  if (answerer.is === 'unclear') return inconclusive(`${target.label} answers ${source.label}; but ${answerer.text}`);
  const told = fail('wrong-answer', answerer.text, { expected, actual: 'answers of another' });
  return answerer.follow ? withDiagnosis(told, await diagnose(context, asked)) : told;
}
