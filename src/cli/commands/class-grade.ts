import path from 'node:path';
import { drawnExercises } from '../../classroom/class.js';
import { loadClass } from '../../classroom/class-file.js';
import { openQuestions, writeSheet } from '../../classroom/hand-in-sheet.js';
import { NetrigError } from '../../errors.js';
import type { Exercise } from '../../exercise/exercise.js';
import { gradeHandIns, type GradedHandIn } from '../../exercise/grade-hand-ins.js';
import { readHandIns } from '../../exercise/hand-ins.js';
import { sweepFirst } from '../../labs/down.js';
import { exitStatus } from '../../model/verdict.js';
import { netrigVersion } from '../../model/version.js';
import { isolationWish } from '../../providers/isolation-wish.js';
import { providerNamed } from '../../providers/registry.js';
import { onInterrupt } from '../../run/interrupt.js';
import type { ParameterValues } from '../../scenario/parameters.js';
import { exerciseIn } from '../exercise-in.js';
import { onePerProcessor } from '../jobs.js';
import type { ClassGradeFlags } from '../program.js';
import { note, out, print, printJson, text } from '../terminal.js';

interface Exercises {
  of(student: string): Exercise;
  drawn: ReadonlyMap<string, ParameterValues>;
}

/** The exercise with each student's values: of a class, those that it drew; else the example's, which all have. */
async function exercisesOf(file: string, classFile: string | undefined): Promise<Exercises> {
  const example = await exerciseIn(file);
  const name = example.scenario.provider ?? 'local';
  if (providerNamed(name).asks)
    throw new NetrigError('NETRIG_USAGE', `Each hand-in needs fresh hosts, and the provider ${name} has none.`, {
      hint: 'Use another provider.',
    });
  if (classFile === undefined) return { of: () => example, drawn: new Map() };
  const found = loadClass(classFile);
  const exercises = drawnExercises(found);
  const given = exercises.find(({ settings }) => settings.file === path.resolve(file));
  if (!given)
    throw new NetrigError('NETRIG_USAGE', `The class has no exercise ${file}.`, {
      hint: `It has ${exercises.map(({ settings }) => settings.file).join(', ')}.`,
    });
  return {
    // What students are told is as their class has it.
    of: (student) => ({ ...given.of(student), feedback: given.settings.feedback ?? given.example.feedback }),
    drawn: new Map(found.students.map(({ id }) => [id, given.of(id).values])),
  };
}

function show(graded: GradedHandIn): void {
  const { handIn, grade, exercise } = graded;
  const questions = openQuestions(graded);
  const points = grade ? `${grade.points} of ${exercise.points}` : 'not graded';
  print`${out.bold(handIn.student)}  ${grade && grade.undecided.length === 0 ? points : out.yellow(points)}`;
  for (const one of questions) print`  ${text`${one}`}`;
}

/** `netrig class grade`: 1 where a hand-in could not be graded, or a task of one not be judged. */
export async function grade(folder: string, file: string, flags: ClassGradeFlags): Promise<number> {
  const { of, drawn } = await exercisesOf(file, flags.class);
  const handIns = readHandIns(folder, {
    of,
    ...(flags.class === undefined ? {} : { knows: (student) => drawn.has(student) }),
    timeoutMs: flags.timeout,
  });
  await sweepFirst(note);
  const interrupt = onInterrupt(() =>
    note('interrupted: ending what runs and taking labs down; once more ends at once'),
  );
  const graded = await gradeHandIns(handIns, {
    of,
    drawn,
    provider: null,
    isolation: isolationWish(flags.isolation),
    jobs: flags.jobs ?? onePerProcessor(),
    keep: flags.reports ?? null,
    version: netrigVersion,
    argv: process.argv.slice(2),
    signal: interrupt.signal,
    onGraded: flags.json ? () => undefined : show,
  }).finally(() => interrupt.dispose());
  if (interrupt.signal.aborted) return exitStatus.interrupted;
  const directory = path.resolve(flags.output);
  const answered = new Set(graded.map(({ handIn }) => handIn.student));
  const without = [...drawn.keys()]
    .filter((student) => !answered.has(student))
    .map((student) => ({ student, of: of(student).points }));
  writeSheet(directory, graded, without);
  if (flags.json)
    printJson({
      schema: 'netrig-hand-ins/1',
      directory,
      handIns: graded.map((one) => ({
        student: one.handIn.student,
        handedIn: one.handIn.source,
        points: one.grade?.points ?? null,
        of: one.exercise.points,
        least: one.grade?.least ?? null,
        most: one.grade?.most ?? null,
        tasks: (one.grade?.checks ?? []).map(({ check, verdict, points, reason }) => ({
          id: check.id,
          title: check.title,
          verdict,
          points,
          reason,
        })),
        toLookAt: openQuestions(one),
      })),
    });
  else print`${directory}`;
  return graded.every((one) => one.grade !== null && one.grade.undecided.length === 0)
    ? exitStatus.passed
    : exitStatus.failed;
}
