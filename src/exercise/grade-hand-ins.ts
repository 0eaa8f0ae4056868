import { setMaxListeners } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { doInJobs } from '../mutate/jobs.js';
import { openDirectory, runOnce, type RunOnceOptions } from '../mutate/run-once.js';
import type { Scenario } from '../scenario/scenario.js';
import { othersValuesIn, type OthersValue, type ParameterValues } from '../scenario/parameters.js';
import { grade, type Grade } from './grade.js';
import { commonText, type Exercise } from './exercise.js';
import type { HandIn } from './hand-ins.js';
import { brokenOf, seenOf } from './judge-labs.js';
import { makeDirectory } from '../model/directory.js';

/** What one hand-in came to. */
export interface GradedHandIn {
  handIn: HandIn;
  exercise: Exercise;
  /** `null`: it could not be graded, and `problems` says why. */
  grade: Grade | null;
  /** Why it could not be graded: of the hand-in, or what broke of the lab. */
  problems: string[];
  /** Steps of the student that failed, with what was seen. */
  failed: string[];
  /** Values of other students in it. */
  others: OthersValue[];
  durationMs: number;
}

export interface GradeOptions extends Omit<RunOnceOptions, 'stopAt' | 'mayFail'> {
  jobs: number;
  keep: string | null;
  of(student: string): Exercise;
  /** Values of all students; empty where all have the same. */
  drawn: ReadonlyMap<string, ParameterValues>;
  onGraded?: (graded: GradedHandIn) => void;
}

/** The exercise with the answer of a student in place of its own solution. */
export function withAnswer(scenario: Scenario, handIn: HandIn): Scenario {
  const { items } = scenario;
  return {
    ...scenario,
    items: [
      ...items.filter((item) => item.kind === 'step' && !item.last && item.role !== 'solution'),
      ...handIn.steps,
      ...items.filter((item) => item.kind === 'check'),
      ...items.filter((item) => item.kind === 'step' && item.last),
    ],
  };
}

async function gradeOne(handIn: HandIn, dir: string, options: GradeOptions): Promise<GradedHandIn> {
  const exercise = options.of(handIn.student);
  const graded: GradedHandIn = {
    handIn,
    exercise,
    grade: null,
    problems: [...handIn.problems],
    failed: [],
    others: othersValuesIn(handIn.student, options.drawn, commonText(exercise))(handIn.text),
    durationMs: 0,
  };
  if (graded.problems.length > 0) return graded;
  await makeDirectory(dir);
  const own = new Set(handIn.steps.map(({ id }) => id));
  const ran = await runOnce(withAnswer(exercise.scenario, handIn), dir, {
    ...options,
    stopAt: null,
    mayFail: ({ id }) => own.has(id),
  });
  if (options.keep === null) await rm(dir, { recursive: true, force: true });
  graded.durationMs = ran.durationMs;
  const setUp = ran.items.find(
    (item) =>
      item.kind === 'step' &&
      !item.last &&
      !own.has(item.id) &&
      !['pass', 'skipped'].includes(ran.outcomes.get(item.id)?.verdict ?? 'skipped'),
  );
  const broken =
    brokenOf(ran) ?? (setUp ? `the set-up: ${setUp.title}: ${ran.outcomes.get(setUp.id)?.reason ?? 'not done'}` : null);
  if (broken !== null) graded.problems.push(`the lab broke: ${broken}`);
  else graded.grade = grade(exercise, seenOf(exercise, ran));
  for (const item of ran.items) {
    const outcome = ran.outcomes.get(item.id);
    if (own.has(item.id) && outcome && outcome.verdict !== 'pass')
      graded.failed.push(`${item.title}: ${outcome.reason}`);
  }
  return graded;
}

/**
 * Grades hand-ins, each on hosts of its own that are gone afterwards. A step of the student that fails stops nothing: the
 * checks judge what is there.
 *
 * @throws NETRIG_REPORT_WRITE when the directory of the records cannot be made.
 */
export async function gradeHandIns(handIns: readonly HandIn[], options: GradeOptions): Promise<GradedHandIn[]> {
  setMaxListeners(0, options.signal);
  const { base, close } = await openDirectory(options.keep, 'grade');
  const waiting = [...handIns.entries()];
  const graded: (GradedHandIn | undefined)[] = handIns.map(() => undefined);
  try {
    await doInJobs(
      options.jobs,
      () => {
        const next = waiting.shift();
        if (!next) return null;
        const [index, handIn] = next;
        return async () => {
          const one = await gradeOne(handIn, join(base, String(index + 1).padStart(3, '0')), options);
          if (options.signal.aborted) return;
          graded[index] = one;
          options.onGraded?.(one);
        };
      },
      options.signal,
    );
  } finally {
    close();
  }
  return graded.filter((one) => one !== undefined);
}
