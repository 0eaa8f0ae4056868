import { faultStep } from './fault.js';
import { healStep } from './heal.js';
import type { StepKind } from './kind.js';
import { copyStep } from './copy.js';
import { runStep } from './run.js';
import { startStep } from './start.js';
import { writeStep } from './write.js';

/** Every kind of step that a scenario file may hold, in the order of the reference page. */
export const stepKinds: readonly StepKind[] = [
  runStep,
  startStep,
  writeStep,
  copyStep,
  faultStep,
  healStep,
] as unknown as readonly StepKind[];
