import { checkKinds } from '../checks/registry.js';
import type { CheckKind } from '../checks/kind.js';
import { stepKinds } from '../steps/registry.js';
import type { StepKind } from '../steps/kind.js';

/** The kinds of steps and checks that a scenario may use. */
export interface Kinds {
  steps: readonly StepKind[];
  checks: readonly CheckKind[];
}

export const builtInKinds: Kinds = { steps: stepKinds, checks: checkKinds };
