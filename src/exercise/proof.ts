import type { Verdict } from '../model/verdict.js';
import type { Believed } from './believed.js';

/** What can be wrong with an exercise, by name: a closed set, as docs/teaching.md has them. */
export const flawMeanings = {
  'no-points': 'all tasks together are worth nothing',
  'no-solution': 'there is no step of the solution, in the exercise or in one of its stages',
  'empty-stage': 'a stage has no task',
  'values-do-not-fit': 'with other values of its parameters the file has mistakes',
  'step-fails': 'a step of the set-up or of the solution fails',
  'passes-at-start': 'a task is done before anything was done for it',
  'unknown-at-start': 'a task cannot be judged before anything was done for it',
  'guard-broken-at-start': 'a guard is broken before anything was done',
  'never-passes': 'a task is not done by the solution',
  'guard-broken-by-solution': 'a guard is broken by the solution',
  'works-once': 'the solution does a task on one lab and not on another one',
  'passes-early': 'a task of a later stage is done by the solution of an earlier one, or by some of its steps',
  'stage-not-solved': 'a task is done by the solution of a later stage only',
  'line-unnoticed': 'the solution does without one of its lines, and no task notices',
} as const;
export type FlawName = keyof typeof flawMeanings;

export interface Flaw {
  name: FlawName;
  /** Line in the file; `null` where it is about all of it. */
  line: number | null;
  /** One sentence, complete in itself: what was seen. */
  sentence: string;
  /** How to mend it. */
  mend: string;
}

/** One lab on which something was shown. */
export interface ProofLab {
  /** `start`, `solution`, `again`: what was done on it. */
  name: string;
  title: string;
  durationMs: number;
  /** Tasks and guards, as they were seen, with the hint that a student would get there. */
  seen: { title: string; line: number; verdict: Verdict; reason: string; hint: string | null }[];
}

/** What the solution without one line came to. */
export interface ProofLine {
  line: number;
  what: string;
  /** `noticed`: a task was not done. `needed`: a later line of the solution failed. `accepted`: the file says why nobody can notice. */
  fate: 'noticed' | 'needed' | 'accepted' | 'unnoticed';
  /** The task that noticed, or what failed, or the reason. */
  by: string;
}

/** What is known of one exercise. Without flaws, and with nothing broken, it is proven. */
export interface Proof {
  /** The scenario's id. */
  exercise: string;
  title: string;
  /** As shown to people. */
  file: string;
  points: number;
  tasks: number;
  labs: ProofLab[];
  lines: ProofLine[];
  flaws: Flaw[];
  /** Graded checks that root of a host could deceive: no flaws, and good to know. */
  believed: Believed[];
  /** What netrig or a lab broke of, so that nothing is known; `null`: nothing did. */
  broken: string | null;
  /** Whether the lines of the solution were tried. */
  whole: boolean;
  /** Steps of the solution that stand in shared files: their lines are not tried. */
  shared: number;
  durationMs: number;
}

export function isProven(proof: Proof): boolean {
  return proof.broken === null && proof.flaws.length === 0;
}
