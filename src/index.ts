/** The TypeScript API of netrig: bring labs up and make checks from a program or a test. */
export { Lab, type LabHost, type LabOptions, type LabPlace } from './api/lab.js';
export { errorCatalogue, isNetrigError, NetrigError, type ErrorCode } from './errors.js';
export {
  causes,
  exitStatus,
  verdicts,
  type Attachment,
  type Cause,
  type Control,
  type Measure,
  type Outcome,
  type ProbeCause,
  type Verdict,
} from './model/verdict.js';
export type { ExecOptions, ExecResult } from './ssh/ssh.js';
export type { RunEvent, RunEventBody } from './model/events.js';
