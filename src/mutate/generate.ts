import { acceptedReasons } from './accepted.js';
import { hostDrafts, segmentDrafts, variableDrafts } from './declarations.js';
import { ScenarioSource, type Draft } from './draft.js';
import type { Mutation } from './mutation.js';
import { stepDrafts, stepNodes } from './steps.js';

/**
 * Every single change of a scenario's configuration that is worth a run, in the order of the file. Checks, titles, waits and
 * conditions are never touched: they configure nothing. Pure.
 *
 * @param source The scenario file; one that is no valid scenario gives nothing useful.
 */
export function mutationsOf(source: string): Mutation[] {
  const read = new ScenarioSource(source);
  const drafts = [...hostDrafts(read), ...segmentDrafts(read), ...stepDrafts(read), ...variableDrafts(read)];
  const reasons = acceptedReasons(read.text);
  const stepLines = stepNodes(read).map((node) => read.placeOf(node).line);
  const reasonOf = ({ line, step }: Draft): string | undefined =>
    reasons.get(line) ?? (step === null ? undefined : reasons.get(stepLines[step] ?? 0));
  return inFileOrder(drafts).map((draft, index) => ({
    id: `m${String(index + 1).padStart(3, '0')}`,
    ...draft,
    accepted: reasonOf(draft) ?? null,
  }));
}

/** Each change once, in the order of lines; on one line, as they were found. */
export function inFileOrder(drafts: readonly Draft[]): Draft[] {
  const seen = new Map<string, Draft>();
  for (const draft of drafts) {
    const key = `${draft.path.join('\0')}\0${draft.line}:${draft.column}\0${draft.what}`;
    if (!seen.has(key)) seen.set(key, draft);
  }
  return [...seen.values()].sort((a, b) => a.line - b.line);
}
