import path from 'node:path';
import { NetrigError } from '../errors.js';
import { exerciseOf, type Exercise } from '../exercise/exercise.js';
import { loadOrPrint } from './load-or-print.js';

/** The exercise of a file, with the example's values. @throws NETRIG_USAGE where it is none. */
export async function exerciseIn(file: string): Promise<Exercise> {
  const [loaded] = await loadOrPrint([path.resolve(file)]);
  const exercise = loaded?.scenarios[0] ? exerciseOf(loaded.scenarios[0]) : null;
  if (exercise) return exercise;
  throw new NetrigError('NETRIG_USAGE', `${file} is no exercise: it has no \`exercise:\`.`, {
    hint: 'docs/teaching.md says how to make an exercise of a scenario.',
  });
}
