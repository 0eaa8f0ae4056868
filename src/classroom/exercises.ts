import { readFileSync } from 'node:fs';
import { messageOf, NetrigError } from '../errors.js';
import { exerciseOf, type Exercise } from '../exercise/exercise.js';
import { formatDiagnostics, loadScenarioText, type LoadedScenario } from '../scenario/load.js';
import { drawParameters, type ParameterValues } from '../scenario/parameters.js';
import type { ClassExercise } from './class-file.js';

/** An exercise of a class: its file is read once, so that nobody's changes when it is edited while the class runs. */
export interface GivenExercise {
  settings: ClassExercise;
  /** With the values of the example. */
  example: Exercise;
  /** Whether each student has other values. */
  personal: boolean;
  /** With the values of a person. */
  of(person: string): Exercise;
  /** Values of all students, by their ids; empty where it is not personal. */
  drawn: ReadonlyMap<string, ParameterValues>;
}

/** Values are drawn under the id of the scenario, so that the same file of another class has others by its secret alone. */
export function loadExercise(settings: ClassExercise, students: readonly string[], secret: string): GivenExercise {
  const text = textOf(settings.file);
  const read = (parameters?: ParameterValues): Exercise =>
    exerciseIn(
      loadScenarioText(text, settings.file, { catalogue: null, ...(parameters ? { parameters } : {}) }),
      settings.file,
    );
  const example = read();
  const personal = Object.keys(example.parameters).length > 0;
  const drawn = personal
    ? drawParameters(example.parameters, { secret, exercise: example.id }, students)
    : new Map<string, ParameterValues>();
  const made = new Map<string, Exercise>();
  return {
    settings,
    example,
    personal,
    drawn,
    of(person) {
      if (!personal) return example;
      let own = made.get(person);
      if (!own) {
        own = read(drawn.get(person) ?? example.values);
        made.set(person, own);
      }
      return own;
    },
  };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new NetrigError('NETRIG_CLASS_FILE', `The exercise ${file} cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** @throws NETRIG_CLASS_FILE for a file with mistakes, several scenarios, or none that is an exercise. */
function exerciseIn({ scenarios, diagnostics }: LoadedScenario, file: string): Exercise {
  if (diagnostics.length > 0)
    throw new NetrigError(
      'NETRIG_CLASS_FILE',
      `The exercise ${file} has mistakes.\n${formatDiagnostics(diagnostics, { color: false })}`,
    );
  const [only, another] = scenarios;
  if (!only || another)
    throw new NetrigError('NETRIG_CLASS_FILE', `${file} makes ${scenarios.length} scenarios; an exercise is one.`, {
      hint: 'Leave `matrix` out.',
    });
  const exercise = exerciseOf(only);
  if (exercise) return exercise;
  throw new NetrigError('NETRIG_CLASS_FILE', `${file} is no exercise.`, {
    hint: 'Add `exercise:` with a text for the student, and `points` to its checks; docs/teaching.md says how.',
  });
}
