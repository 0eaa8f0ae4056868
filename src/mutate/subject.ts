import type { Cause, Verdict } from '../model/verdict.js';
import type { Scenario } from '../scenario/scenario.js';
import type { Mutation } from './mutation.js';

/**
 * What became of a mutation. `noticed`: a check went red. `stopped`: a step failed, or the lab did not come up, before any
 * check did, so that none could tell. `survived`: all was as before. `refused`: the file is no valid scenario any more.
 */
export const fates = ['noticed', 'stopped', 'survived', 'refused'] as const;
export type Fate = (typeof fates)[number];

/** A check that went red because of a mutation. */
export interface Witness {
  title: string;
  /** Line of the check in the original file. */
  line: number;
  verdict: Verdict;
  cause: Cause | null;
  reason: string;
}

export interface MutantResult extends Omit<Mutation, 'text'> {
  fate: Fate;
  /** Checks that went red, in their order; with `--bail` only the first. */
  noticedBy: Witness[];
  /** What ended the run, for `stopped`; the first mistake, for `refused`; else empty. */
  reason: string;
  durationMs: number;
}

/** A scenario under test, with what its mutants came to. */
export interface SubjectResult {
  scenario: string;
  title: string;
  /** Relative to the working directory where it lies below. */
  file: string;
  /** How the scenario itself came out. Only one that passes is mutated. */
  original: { verdict: Verdict; reason: string; durationMs: number; checks: number };
  /** Mutations that the scenario offers. */
  possible: number;
  /** In the order in which they were chosen. */
  mutants: MutantResult[];
}

export interface MutateResult {
  subjects: SubjectResult[];
  /** Mutants that must be noticed in each scenario; `null`: no survivor may be left. */
  untilNoticed: number | null;
  durationMs: number;
  interrupted: boolean;
}

export interface Subject {
  scenario: Scenario;
  /** The text of its file. */
  text: string;
  /** As shown to people. */
  file: string;
}

export function countFates(mutants: readonly MutantResult[]): Record<Fate, number> {
  const counts = Object.fromEntries(fates.map((fate) => [fate, 0])) as Record<Fate, number>;
  for (const mutant of mutants) counts[mutant.fate] += 1;
  return counts;
}

/** Survivors for which nobody has given a reason. */
export function unexplained(mutants: readonly MutantResult[]): MutantResult[] {
  return mutants.filter((mutant) => mutant.fate === 'survived' && mutant.accepted === null);
}

/** What keeps a scenario from being in order, one sentence; `null`: nothing. A scenario that is skipped here is in order. */
export function shortfall(subject: SubjectResult, untilNoticed: number | null): string | null {
  const { verdict, reason } = subject.original;
  if (verdict === 'skipped') return null;
  if (verdict !== 'pass') return `the scenario itself does not pass: ${reason}`;
  const { noticed } = countFates(subject.mutants);
  if (untilNoticed !== null)
    return noticed >= untilNoticed ? null : `${noticed} of ${untilNoticed} mutations were noticed by a check`;
  const { length } = unexplained(subject.mutants);
  return length === 0 ? null : `${length} ${length === 1 ? 'mutation' : 'mutations'} nobody noticed`;
}
