import { isNetrigError } from '../src/errors.js';
import type { LabPlan } from '../src/plan/lab-plan.js';
import { localProvider } from '../src/providers/local/provider.js';
import type { IsolationWish, RunningLab } from '../src/providers/provider.js';
import { type BenchContext, Unavailable } from './measure.js';

/** A lab of the plan, by the local provider; throws `Unavailable` where the machine can't carry it. */
export async function bringUp(
  plan: LabPlan,
  context: BenchContext,
  isolation: IsolationWish = 'auto',
): Promise<RunningLab> {
  try {
    await localProvider.preflight(plan);
  } catch (error) {
    if (isNetrigError(error)) throw new Unavailable(`${error.message} ${error.hint}`);
    throw error;
  }
  return localProvider.up(plan, { signal: context.signal, emit: () => undefined, scenario: 'bench', isolation });
}

/** Brings a lab up, hands it on, and takes it down, whatever happens. */
export async function withLab<T>(
  plan: LabPlan,
  context: BenchContext,
  work: (lab: RunningLab) => Promise<T>,
): Promise<T> {
  const lab = await bringUp(plan, context);
  try {
    return await work(lab);
  } finally {
    await lab.down();
  }
}
