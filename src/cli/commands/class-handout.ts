import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { drawExercises } from '../../classroom/class.js';
import { loadClass } from '../../classroom/class-file.js';
import { NetrigError } from '../../errors.js';
import type { Exercise } from '../../exercise/exercise.js';
import { handoutOf, type Handout } from '../../exercise/handout.js';
import type { FeedbackLevel } from '../../model/feedback.js';
import { exitStatus } from '../../model/verdict.js';
import type { ParameterValues } from '../../scenario/parameters.js';
import type { ClassHandoutFlags } from '../flags.js';
import { exerciseIn } from '../exercise-in.js';
import { print } from '../terminal.js';
import { makeDirectorySync } from '../../model/directory.js';

/** Whose handout it is; `folder`: below the directory of all. */
interface Recipient {
  folder: string;
  exercise: Exercise;
  feedback: FeedbackLevel;
  values: ParameterValues | null;
}

/** Everybody gets the same, or each student of a class what was drawn for them. */
async function recipientsOf(file: string, classFile: string | undefined): Promise<Recipient[]> {
  const example = await exerciseIn(file);
  if (classFile === undefined) return [{ folder: '.', exercise: example, feedback: example.feedback, values: null }];
  const found = loadClass(classFile);
  const exercises = drawExercises(found);
  const given = exercises.find(({ settings }) => settings.file === path.resolve(file));
  if (!given)
    throw new NetrigError('NETRIG_USAGE', `The class has no exercise ${file}.`, {
      hint: `It has ${exercises.map(({ settings }) => settings.file).join(', ')}.`,
    });
  return found.students.map(({ id }) => {
    const exercise = given.of(id);
    const feedback = given.settings.feedback ?? exercise.feedback;
    return { folder: id.replace(/[^A-Za-z0-9._@+-]+/g, '_'), exercise, feedback, values: exercise.values };
  });
}

function write(directory: string, name: string, folder: string, { scenario, readme, files }: Handout): void {
  makeDirectorySync(directory);
  writeFileSync(path.join(directory, name), scenario);
  writeFileSync(path.join(directory, 'README.md'), readme);
  for (const { from, to } of files) cpSync(from, path.join(directory, to), { recursive: true, dereference: true });
  print`${path.join(folder, name)}`;
}

/** `netrig class handout`: into a directory that is not there yet, or is empty. */
export async function handout(file: string, directory: string, flags: ClassHandoutFlags): Promise<number> {
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw new NetrigError('NETRIG_USAGE', `${directory} is not empty.`, {
      hint: 'Name a directory that is not there yet: what was handed out before stays as it is.',
    });
  const absolute = path.resolve(file);
  const recipients = await recipientsOf(file, flags.class);
  const text = readFileSync(absolute, 'utf8');
  // All of them before the first is written.
  const handouts = recipients.map(({ folder, exercise, feedback, values }) => ({
    folder,
    made: handoutOf({ text, file: absolute, exercise, feedback, values }),
  }));
  for (const { folder, made } of handouts)
    write(path.resolve(directory, folder), path.basename(file), path.join(directory, folder), made);
  return exitStatus.passed;
}
