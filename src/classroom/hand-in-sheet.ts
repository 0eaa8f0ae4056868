import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isShown } from '../exercise/exercise.js';
import { sumSentence, toldReason, type CheckGrade } from '../exercise/grade.js';
import type { GradedHandIn as GradedFiles } from '../exercise/grade-hand-ins.js';
import type { FeedbackLevel } from '../model/feedback.js';
import { writeCsv } from './csv.js';
import { gradescopeResults, type Graded } from './grades.js';
import { makeDirectorySync } from '../model/directory.js';

/** What a person has to look at before the sheet is final, one sentence each; empty: nothing. */
export function openQuestions({ problems, grade, failed, others }: GradedFiles): string[] {
  return [
    ...problems,
    ...(grade?.undecided ?? []).map(
      ({ check, verdict, reason }) => `${check.title}: ${verdict ?? 'not judged'}, ${reason}`,
    ),
    ...others.map(({ student, parameter, value }) => `it carries ${value}, the ${parameter} of ${student}`),
    // A step that failed is no question where everything was done all the same.
    ...(grade && grade.points < grade.of ? failed.map((one) => `a step failed, ${one}`) : []),
  ];
}

/** Somebody of the roster who handed nothing in. */
export interface WithoutAnswer {
  student: string;
  of: number;
}

/** One row a student. Who handed nothing in has no points, and not 0: that is the teacher’s to say. */
export function handInsWide(graded: readonly GradedFiles[], without: readonly WithoutAnswer[] = []): string {
  const rows = graded.map((one) => [
    one.handIn.student,
    one.handIn.source,
    one.grade?.points ?? null,
    one.exercise.points,
    one.grade?.least ?? null,
    one.grade?.most ?? null,
    one.grade ? one.grade.undecided.length : null,
    openQuestions(one).join('; '),
  ]);
  const nothing = without.map(({ student, of }) => [student, '', null, of, null, null, null, 'nothing was handed in']);
  return writeCsv([
    ['id', 'handed in', 'points', 'of', 'least', 'most', 'undecided', 'to look at'],
    ...rows,
    ...nothing,
  ]);
}

/** One row a task. */
export function handInsLong(graded: readonly GradedFiles[]): string {
  const rows = graded.flatMap(({ handIn, exercise, grade }) =>
    (grade?.checks ?? []).map(({ check, verdict, points, reason, hint }) => [
      handIn.student,
      exercise.id,
      check.id,
      check.title,
      verdict ?? 'open',
      points,
      check.guard ? 0 : check.points,
      reason,
      hint ?? '',
    ]),
  );
  return writeCsv([['id', 'exercise', 'task', 'title', 'verdict', 'points', 'of', 'seen', 'hint'], ...rows]);
}

function gradedTask(one: CheckGrade, level: FeedbackLevel): NonNullable<Graded['best']>['tasks'][number] {
  const { check, verdict, points, reason } = one;
  return {
    task: check.id,
    title: check.title,
    verdict: verdict ?? 'open',
    points,
    of: check.guard ? 0 : check.points,
    guard: check.guard,
    shown: isShown(check, true),
    reason,
    told: toldReason(one, level),
  };
}

/** `results.json` of Gradescope's autograder for one hand-in. */
export function handInResults({ handIn, exercise, grade, problems }: GradedFiles): object {
  const graded: Graded = {
    person: handIn.student,
    exercise: exercise.id,
    best: grade && {
      round: '',
      at: '',
      late: false,
      judged: true,
      points: grade.points,
      most: grade.most,
      of: grade.of,
      sum: sumSentence(grade.checks),
      undecided: grade.undecided.map(({ check }) => check.id),
      tasks: grade.checks.map((one) => gradedTask(one, exercise.feedback)),
      gone: [],
    },
    handIns: 1,
    of: exercise.points,
    doubts: [],
    others: [],
  };
  const results = gradescopeResults(graded, exercise);
  return grade ? results : { ...results, output: `It could not be graded: ${problems.join('; ')}` };
}

/** Writes the sheet of a folder of hand-ins: `wide.csv`, `long.csv`, and `gradescope/STUDENT/results.json`. */
export function writeSheet(
  directory: string,
  graded: readonly GradedFiles[],
  without: readonly WithoutAnswer[] = [],
): void {
  const write = (file: string, text: string): void => {
    makeDirectorySync(join(directory, file, '..'), 0o700);
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  };
  write('wide.csv', handInsWide(graded, without));
  write('long.csv', handInsLong(graded));
  for (const one of graded)
    write(
      join('gradescope', one.handIn.student.replace(/[^A-Za-z0-9._@+-]+/g, '_'), 'results.json'),
      `${JSON.stringify(handInResults(one), null, 2)}\n`,
    );
}
