import type { Outcome, Verdict } from '../model/verdict.js';
import { worstVerdict } from '../report/model.js';
import type { Scenario, ScenarioItem } from '../scenario/scenario.js';
import type { Mutation } from './mutation.js';
import type { MutantResult, SubjectResult, Witness } from './subject.js';

/** One scenario run from beginning to end. */
export interface Ran {
  items: readonly ScenarioItem[];
  outcomes: Map<string, Outcome>;
  /** Why its lab did not come up, died or could not be taken down; `null`: none of it. */
  broke: string | null;
  durationMs: number;
}

export function isRed(verdict: Verdict): boolean {
  return verdict === 'fail' || verdict === 'inconclusive';
}

/** What an original came to, with the first thing that was not as expected. */
export function verdictOf(ran: Ran): SubjectResult['original'] {
  const checks = ran.items.filter((item) => item.kind === 'check');
  const passed = checks.filter((item) => ran.outcomes.get(item.id)?.verdict === 'pass').length;
  const worst = worstVerdict([...ran.outcomes.values()].map((outcome) => outcome.verdict));
  if (ran.broke !== null && worst === 'skipped')
    return { verdict: 'error', reason: ran.broke, durationMs: ran.durationMs, checks: passed };
  // Steps alone prove nothing.
  const verdict = worst === 'pass' && passed === 0 ? 'skipped' : worst;
  const item = ran.items.find((one) => ran.outcomes.get(one.id)?.verdict === verdict);
  const reason =
    verdict === 'pass' || !item
      ? ''
      : verdict === 'skipped'
        ? ran.outcomes.get(item.id)!.reason
        : `${item.title} (line ${item.source.line}): ${ran.outcomes.get(item.id)!.reason}`;
  return { verdict, reason, durationMs: ran.durationMs, checks: passed };
}

/** What became of a mutant whose run came to `ran`. */
export function judge(mutation: Mutation, ran: Ran, original: Scenario): MutantResult {
  const { text: _, ...what } = mutation;
  // Checks are never removed: the nth of the mutant is the nth of the original.
  const originals = original.items.filter((item) => item.kind === 'check');
  const noticedBy: Witness[] = [];
  let stopped: string | null = null;
  let nth = 0;
  for (const item of ran.items) {
    const outcome = ran.outcomes.get(item.id);
    if (item.kind === 'check') {
      const same = originals[nth++];
      if (outcome && isRed(outcome.verdict))
        noticedBy.push({
          title: item.title,
          line: same?.source.line ?? item.source.line,
          verdict: outcome.verdict,
          cause: outcome.cause ?? null,
          reason: outcome.reason,
        });
      if (outcome?.verdict === 'error') stopped ??= `${item.title}: ${outcome.reason}`;
    } else if (outcome && outcome.verdict !== 'pass' && outcome.verdict !== 'skipped')
      stopped ??= `${item.title}: ${outcome.reason}`;
  }
  // A lab that does not come up, or cannot be had (a capability), leaves everything skipped.
  if (noticedBy.length === 0 && ![...ran.outcomes.values()].some((outcome) => outcome.verdict === 'pass'))
    stopped ??= ran.broke ?? [...ran.outcomes.values()][0]?.reason ?? 'nothing ran';
  const fate = noticedBy.length > 0 ? 'noticed' : stopped !== null ? 'stopped' : 'survived';
  return { ...what, fate, noticedBy, reason: fate === 'stopped' ? (stopped ?? '') : '', durationMs: ran.durationMs };
}
