import { messageOf } from '../errors.js';
import type { Exercise } from '../exercise/exercise.js';
import { performOn } from './rounds.js';
import { exerciseFor, type Room } from './room.js';
import type { Work } from './state.js';
import { workKey, workOf } from './state.js';

/** The stage that the work is at: the one whose set-up is done, else the first; `null`: the exercise has none. */
function stageIndexOf(exercise: Exercise, work: Work): number {
  return work.stage === null ? 0 : exercise.stages.findIndex(({ name }) => name === work.stage);
}

/** Whether all tasks of a stage that are shown hold. */
function isDone(exercise: Exercise, work: Work, stage: string): boolean {
  const tasks = exercise.checks.filter((check) => check.stage === stage && check.shown === 'always' && !check.guard);
  return tasks.length > 0 && tasks.every(({ id }) => work.tasks[id]?.verdict === 'pass');
}

const advancing = new WeakMap<Room, Set<string>>();

/** Does the set-up of the next stages on a person's lab, as far as the tasks of those before hold. */
export async function advanceStage(room: Room, person: string, id: string): Promise<void> {
  const under = advancing.get(room) ?? new Set();
  advancing.set(room, under);
  const key = workKey(person, id);
  if (under.has(key)) return;
  under.add(key);
  try {
    const exercise = exerciseFor(room, id, person);
    for (;;) {
      const work = workOf(room.book.state, person, id);
      const here = exercise.stages[stageIndexOf(exercise, work)];
      const next = exercise.stages[stageIndexOf(exercise, work) + 1];
      if (!here || !next || work.lab === null || !isDone(exercise, work, here.name)) return;
      const { lab } = work;
      const isTheirs = (): boolean => {
        const now = workOf(room.book.state, person, id);
        return now.lab === lab && now.wanted === null && !room.ending.aborted;
      };
      if (!(await setUp(room, exercise, lab, next.name, isTheirs))) return;
      if (!isTheirs()) return;
      await room.book.append({ type: 'stage:reached', person, exercise: id, stage: next.name });
    }
  } finally {
    under.delete(key);
  }
}

/** @param isTheirs Of a lab that goes meanwhile, or is about to, nobody needs to know that its set-up failed. */
async function setUp(
  room: Room,
  exercise: Exercise,
  lab: string,
  stage: string,
  isTheirs: () => boolean,
): Promise<boolean> {
  let problem: string | undefined;
  try {
    const outcomes = await performOn(
      await room.pool.running(lab),
      exercise,
      (item) => item.kind === 'step' && !item.last && item.role !== 'solution' && item.stage === stage,
      { directory: room.casts, signal: room.ending },
    );
    problem = [...outcomes.values()].find(({ outcome }) => outcome.verdict !== 'pass')?.outcome.reason;
  } catch (error) {
    problem = messageOf(error);
  }
  if (problem !== undefined && isTheirs())
    room.warn(`the set-up of stage ${stage} of ${exercise.id} failed: ${problem}`);
  return problem === undefined;
}
