import { hintFor } from '../exercise/grade.js';
import { isShown, type Exercise, type GradedCheck } from '../exercise/exercise.js';
import type { TaskVerdict, Feedback, HandInView, RoundView, TaskState, TaskView } from './api.js';
import { withoutWhy, type FeedbackLevel } from '../model/feedback.js';
import type { ClassExercise } from './class-file.js';
import type { JudgedTask } from './events.js';
import { bestOf, gradedHandIns } from './grades.js';
import { outcomeOf } from './rounds.js';
import { withoutOwnPaths } from './own-paths.js';
import type { ClassState, Round, Work } from './state.js';
import { neutralise } from '../report/terminal-text.js';
import { textHtml } from '../report/text-html.js';

/** Longest text of a lab that goes into a page. */
const mostText = 4000;

/** A text of a lab for a page: without control characters, and not longer than anybody reads. */
export function harmless(text: string): string {
  const cut = text.length > mostText ? `${text.slice(0, mostText)}…` : text;
  return neutralise(cut);
}

/** Checks that are shown: graded ones, and with `all` (one person alone) the others, too. */
export function shownChecks(exercise: Exercise, handedIn: boolean): GradedCheck[] {
  return exercise.checks.filter((check) => isShown(check, handedIn));
}

/** Tasks that a round of that kind judges: what is hidden is judged with a hand-in alone. */
export function tasksOfRound(exercise: Exercise, kind: Round['kind']): string[] {
  return exercise.checks.filter((check) => kind === 'hand-in' || check.shown === 'always').map(({ id }) => id);
}

export function taskView(check: GradedCheck): TaskView {
  return {
    id: check.id,
    title: check.title,
    detail: null,
    html: check.text === '' ? '' : textHtml(check.text),
    stage: check.stage,
    points: check.points,
    guard: check.guard,
    hints: new Set(Object.values(check.hints)).size,
    claims: [],
  };
}

/** The verdict as a page has it: what broke is nobody's mistake there. */
function verdictOf(judged: JudgedTask | undefined): TaskVerdict {
  return judged?.verdict ?? 'open';
}

/** What a student is told of a task that did not pass. Of what could not be judged, why. */
function feedbackOf(
  judged: JudgedTask | undefined,
  check: GradedCheck,
  level: FeedbackLevel,
  opened: readonly string[],
): Feedback | null {
  if (!judged || judged.verdict === 'pass') return null;
  const seen = level !== 'verdict' || judged.verdict !== 'fail';
  const hint = hintFor(check, outcomeOf(judged));
  const reason = withoutOwnPaths(judged.reason);
  return {
    reason: seen ? harmless(level === 'way' ? reason : withoutWhy(reason, judged.why?.sentence)) : null,
    expected: seen && judged.expected !== undefined ? harmless(judged.expected) : null,
    seen: seen && judged.actual !== undefined ? harmless(withoutOwnPaths(judged.actual)) : null,
    cause: seen ? (judged.cause ?? null) : null,
    hintHtml: hint !== null && opened.includes(hint) ? textHtml(hint) : null,
    way: level === 'way' ? (judged.way ?? null) : null,
    diagnosis: null,
  };
}

/** The figure of a task that passed, where more than verdicts may be known. */
function measuredOf(judged: JudgedTask | undefined, level: FeedbackLevel): string | null {
  return judged?.verdict === 'pass' && judged.measured !== undefined && level !== 'verdict'
    ? harmless(judged.measured)
    : null;
}

export function taskState(check: GradedCheck, work: Work, level: FeedbackLevel): Omit<TaskState, 'given'> {
  const progress = work.tasks[check.id];
  const opened = work.hints[check.id] ?? [];
  return {
    id: check.id,
    verdict: verdictOf(progress?.last),
    since: progress?.since ?? null,
    tries: progress?.tries ?? 0,
    feedback: feedbackOf(progress?.last, check, level, opened),
    measured: measuredOf(progress?.last, level),
    hintsOpened: opened.map((text) => ({ html: textHtml(text) })),
    nextHint: nextHintOf(check, work),
  };
}

/** The hint that is opened next: the one for what was seen last, else the general one, else any; `null`: all are open. */
export function nextHint(check: GradedCheck, work: Work): string | null {
  const opened = work.hints[check.id] ?? [];
  const last = work.tasks[check.id]?.last;
  const fitting = last ? hintFor(check, outcomeOf(last)) : (check.hints['otherwise'] ?? null);
  if (fitting !== null && !opened.includes(fitting)) return fitting;
  // Hints for other causes would tell what is not seen.
  return null;
}

/** Whether one more is there for what was seen last; `later`: not for that, and there are others. */
function nextHintOf(check: GradedCheck, work: Work): TaskState['nextHint'] {
  if (nextHint(check, work) !== null) return 'now';
  const all = new Set(Object.values(check.hints)).size;
  return (work.hints[check.id] ?? []).length < all ? 'later' : 'none';
}

/** @param shown Tasks that the person may know of: how many hidden ones there are is nobody's business. */
export function roundView(
  round: Round,
  standing: { before: number; done: number },
  shown: readonly string[],
): RoundView {
  const tasks = round.tasks.filter((task) => shown.includes(task));
  return {
    id: round.id,
    kind: round.kind,
    tasks,
    before: standing.before,
    done: Math.min(standing.done, tasks.length),
    of: tasks.length,
  };
}

export function handInView(
  state: ClassState,
  work: Work,
  exercise: Exercise,
  settings: ClassExercise,
): HandInView | null {
  const all = gradedHandIns(state, work, exercise, settings);
  const last = all.at(-1);
  if (!last) return null;
  const best = bestOf(all);
  return {
    times: all.length,
    lastAt: last.at,
    judging: state.rounds.get(last.round)?.state === 'waiting',
    counts: !best?.judged
      ? null
      : {
          nth: all.indexOf(best) + 1,
          at: best.at,
          late: best.late,
          points: best.points,
          sum: harmless(best.sum),
          undecided: best.undecided.length,
        },
    of: exercise.points,
  };
}
