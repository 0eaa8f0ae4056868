import type { KnownTask } from './tasks.js';
import type { Cause, Hop, RootCause, Verdict } from '../model/verdict.js';

/** What of an outcome is kept for a class: enough for feedback, and to judge a grade by. */
export interface JudgedTask {
  verdict: Verdict;
  cause?: Cause;
  rootCause?: RootCause;
  reason: string;
  expected?: string;
  actual?: string;
  /** Of a check that is about a figure: `longest gap 3.01 s`. */
  measured?: string;
  /** Why the network did it, and how to mend it. */
  why?: { sentence: string; mend: string | null };
  way?: Hop[];
  durationMs: number;
}

export type RoundKind = 'try' | 'hand-in' | 'watch';

/** `person` and `exercise` are ids; `lab` is netrig's id of a lab. All times are those of the event itself. */
export type ClassEventBody =
  | { type: 'class:started'; class: string; netrig: string; pid: number }
  | { type: 'class:ended' }
  /** From here on, ids of that exercise's tasks mean these: written whenever they are others than before. */
  | { type: 'exercise:tasks'; exercise: string; tasks: KnownTask[] }
  /** A person of the roster, or who came by themselves. */
  | { type: 'person:known'; person: string; name: string; role: 'student' | 'teacher' | 'solo' }
  /** `code` is a hash; the one before it is not good any more. `null`: they are let in no more. */
  | { type: 'person:code'; person: string; code: string | null }
  /** `token` is a hash. */
  | { type: 'session:opened'; person: string; token: string }
  | { type: 'session:closed'; token: string }
  | { type: 'lab:wanted'; person: string; exercise: string; stage: string | null }
  /** `key` stands in the lab's title, so that a lab of which the record knows nothing more can be found. */
  | { type: 'lab:making'; key: string; exercise: string; person: string | null; stage: string | null }
  | { type: 'lab:made'; key: string; lab: string }
  | { type: 'lab:failed'; key: string; message: string }
  /** The lab of that key is that person's. */
  | { type: 'lab:given'; key: string; person: string }
  /** `asked`: whoever had it wanted that. */
  | { type: 'lab:ended'; key: string; why: string; asked?: boolean }
  /** That host of the lab is being made anew. */
  | { type: 'host:resetting'; person: string; exercise: string; key: string; host: string }
  /** It is: `steps` that were done on it are undone. `failed`: why it is not as it was. */
  | {
      type: 'host:reset';
      person: string;
      exercise: string;
      key: string;
      host: string;
      steps: string[];
      failed: string | null;
    }
  /** Nothing is wanted any more. */
  | { type: 'lab:unwanted'; person: string; exercise: string }
  | { type: 'round:asked'; round: string; person: string; exercise: string; kind: RoundKind; tasks: string[] }
  | { type: 'round:judged'; round: string; results: Record<string, JudgedTask> }
  | { type: 'round:broken'; round: string; message: string }
  /** What was seen without anybody's asking, where it is another verdict than before. */
  | { type: 'watched'; person: string; exercise: string; results: Record<string, JudgedTask> }
  /** The set-up of that stage is done on their lab. */
  | { type: 'stage:reached'; person: string; exercise: string; stage: string }
  | { type: 'hint:opened'; person: string; exercise: string; task: string; text: string }
  | { type: 'help:asked'; person: string; exercise: string; note: string }
  | { type: 'help:ended'; person: string; exercise: string; by: string }
  | { type: 'message:sent'; id: string; from: string; to: 'all' | string[]; text: string }
  | { type: 'time:given'; to: 'all' | string[]; exercise: string; minutes: number }
  | { type: 'typing:asked'; request: string; teacher: string; person: string; exercise: string; place: string }
  | { type: 'typing:answered'; request: string; allow: boolean }
  /** A terminal of theirs was looked at, or typed in. */
  | { type: 'terminal:joined'; person: string; whose: string; exercise: string; place: string; mode: 'type' | 'look' }
  /** A line that they typed carries values that were drawn for others. */
  | {
      type: 'others:typed';
      person: string;
      exercise: string;
      place: string;
      line: string;
      values: { student: string; parameter: string; value: string }[];
    }
  | { type: 'step:run'; person: string; exercise: string; step: string; ok: boolean; output: string }
  /** Its command was put into the terminal of that host. */
  | { type: 'step:typed'; person: string; exercise: string; step: string; on: string }
  | { type: 'decided'; round: string; task: string; credit: boolean; why: string; by: string };

/** One line of the record. `n` counts from 1 without a gap; `t` is ISO 8601. */
export type ClassEvent = ClassEventBody & { v: 1; n: number; t: string };
