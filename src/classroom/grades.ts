import { withoutOwnPaths } from './own-paths.js';
import { grade, sumSentence, toldReason } from '../exercise/grade.js';
import { isShown, type Exercise, type GradedCheck } from '../exercise/exercise.js';
import type { Outcome } from '../model/verdict.js';
import type { ClassExercise } from './class-file.js';
import { othersSentence, othersValuesOf, type DrawnExercise, type FoundValue } from './others-values.js';
import { outcomeOf } from './rounds.js';
import type { ClassState, Round, Work } from './state.js';
import { moreMinutesOf, workOf } from './state.js';
import { goneTitle } from './tasks.js';
import { closesAt } from './timing.js';
import { writeCsv } from './csv.js';

export interface GradedTask {
  task: string;
  title: string;
  /** `pass`, `fail`, …; `credited` and `refused`: a teacher's word; `given`: the lab came with it; `open`: never judged. */
  verdict: string;
  /** `null`: not known yet. */
  points: number | null;
  of: number;
  guard: boolean;
  /** Whether students may see it once they have handed in. */
  shown: boolean;
  reason: string;
  /** The same as far as its student may know it; `''` where it passed. */
  told: string;
}

/** One hand-in, graded. */
export interface GradedHandIn {
  round: string;
  at: string;
  late: boolean;
  /** Whether its checks were made; `false`: they wait, or could not be made. */
  judged: boolean;
  /** Certain points, with the factor of late hand-ins. */
  points: number;
  /** What they become at the most once all that is undecided is decided. */
  most: number;
  of: number;
  /** How `points` came about, where guards took something off; `''`: they are those of the tasks. */
  sum: string;
  /** Tasks that a person has to decide on. */
  undecided: string[];
  tasks: GradedTask[];
  /** What was judged then, and is no task of the exercise any more: it counts for nothing. */
  gone: { title: string; verdict: string; reason: string }[];
}

/** A task of a hand-in that a person has to decide on, since the grade may hang on it. */
export interface Doubt {
  handIn: GradedHandIn;
  /** The how manieth hand-in it is, from 1. */
  nth: number;
  task: GradedTask;
  /** What it is about, whoever handed in: those alike have one answer. */
  about: string;
}

export interface Graded {
  person: string;
  exercise: string;
  /** The one that counts: the best, of several alike the first; `null`: nothing was handed in. */
  best: GradedHandIn | null;
  handIns: number;
  of: number;
  doubts: Doubt[];
  /** Values of other students that turned up in the work: named, and never counted. */
  others: FoundValue[];
}

/**
 * Whether a task that passed was only ever seen to pass on labs that began at a later stage: there the solution of its stage had been
 * run for the student.
 */
export function wasGiven(
  { stages }: Exercise,
  { id, guard, stage }: GradedCheck,
  work: Pick<Work, 'passedFrom'>,
): boolean {
  const at = stages.findIndex(({ name }) => name === stage);
  const from = work.passedFrom[id] ?? [];
  if (guard || at === -1 || from.length === 0) return false;
  return from.every((begun) => stages.findIndex(({ name }) => name === begun) > at);
}

/**
 * Tasks of stages before one that a lab may begin at, which give no points once it does: they are not done by the student, as far as
 * was seen, and may be, on the lab that is up now.
 *
 * @param begun The stage at which that lab began; `null`: the first.
 */
export function notSeenBefore(
  { stages, checks }: Pick<Exercise, 'stages' | 'checks'>,
  { passedFrom }: Pick<Work, 'passedFrom'>,
  begun: string | null,
  to: string,
): string[] {
  const place = (stage: string | null): number => stages.findIndex(({ name }) => name === stage);
  return checks
    .filter(({ id, guard, stage }) => {
      const at = place(stage);
      if (guard || at === -1 || at >= place(to) || place(begun) > at) return false;
      return !(passedFrom[id] ?? []).some((from) => place(from) <= at);
    })
    .map(({ id }) => id);
}

const given: Outcome = {
  verdict: 'fail',
  reason: 'the lab began at a later stage, with the solution of this one: it gives no points',
};

function round2(points: number): number {
  return Math.round(points * 100) / 100;
}

type GradingSettings = Pick<ClassExercise, 'id' | 'closes' | 'late'> & Partial<Pick<ClassExercise, 'feedback'>>;

const notThere = 'the exercise did not have this task when it was handed in';

/** Grades one hand-in from what was recorded of it, with what teachers decided since. */
export function gradeHandIn(
  state: ClassState,
  round: Round,
  exercise: Exercise,
  settings: GradingSettings,
): GradedHandIn {
  const work = workOf(state, round.person, round.exercise);
  const outcomes = new Map(Object.entries(round.results).map(([task, judged]) => [task, outcomeOf(judged)]));
  const gifts = new Set(exercise.checks.filter((one) => wasGiven(exercise, one, work)).map(({ id }) => id));
  for (const task of gifts) if (outcomes.get(task)?.verdict === 'pass') outcomes.set(task, given);
  for (const [task, { credit, why }] of Object.entries(round.decided))
    outcomes.set(task, { verdict: credit ? 'pass' : 'fail', reason: `decided: ${why}` });
  const graded = grade(exercise, outcomes);
  const closes = closesAt(state, work, settings, exercise.timeMs);
  const takenBack = Math.max(0, round.moreMinutes - moreMinutesOf(state, work)) * 60_000;
  const late = closes !== null && Date.parse(round.at) > closes + takenBack;
  const factor = late ? (settings.late?.factor ?? 1) : 1;
  return {
    round: round.id,
    at: round.at,
    late,
    judged: round.state === 'judged',
    points: round2(graded.points * factor),
    most: round2(graded.most * factor),
    of: graded.of,
    sum: sumSentence(graded.checks, factor),
    undecided: round.state !== 'waiting' ? graded.undecided.map(({ check }) => check.id) : [],
    tasks: graded.checks.map((one) => {
      const { check, verdict, points } = one;
      const decided = round.decided[check.id];
      const isGift = outcomes.get(check.id) === given;
      const reason = verdict === null && !round.tasks.includes(check.id) ? notThere : one.reason;
      const level = settings.feedback ?? exercise.feedback;
      return {
        task: check.id,
        title: check.title,
        verdict: decided ? (decided.credit ? 'credited' : 'refused') : isGift ? 'given' : (verdict ?? 'open'),
        points: points === null ? null : round2(points * factor),
        of: check.guard ? 0 : check.points,
        guard: check.guard,
        shown: isShown(check, true),
        reason,
        // A teacher’s word is for its student.
        told: decided || isGift ? one.reason : withoutOwnPaths(toldReason({ ...one, reason }, level)),
      };
    }),
    gone: round.tasks.flatMap((task) => {
      const title = goneTitle(state, round.exercise, task);
      const judged = round.results[task];
      return title === null ? [] : [{ title, verdict: judged?.verdict ?? 'open', reason: judged?.reason ?? '' }];
    }),
  };
}

export interface GradingOptions {
  state: ClassState;
  students: readonly { id: string; name: string }[];
  exercises: readonly (DrawnExercise & { settings: ClassExercise })[];
}

type WorkSeen = Pick<Work, 'tasks' | 'passedFrom'>;

function seenOf(exercise: Exercise, check: GradedCheck, work: WorkSeen): [string, Outcome][] {
  const progress = work.tasks[check.id];
  if (!progress) return [];
  const gift = progress.verdict === 'pass' && wasGiven(exercise, check, work);
  return [[check.id, gift ? given : outcomeOf(progress.last)]];
}

/** The points that tasks are worth as they were seen last; what is known of an open work. */
export function pointsSeen(exercise: Exercise, work: WorkSeen): number {
  return round2(grade(exercise, new Map(exercise.checks.flatMap((check) => seenOf(exercise, check, work)))).points);
}

/** Of several hand-ins the one that counts: the best, of several alike the first. */
export function bestOf(graded: readonly GradedHandIn[]): GradedHandIn | null {
  let best: GradedHandIn | null = null;
  for (const one of graded) if (best === null || one.points > best.points || (one.judged && !best.judged)) best = one;
  return best;
}

/** Every hand-in of one person at one exercise, the oldest first. */
export function gradedHandIns(
  state: ClassState,
  work: Work,
  exercise: Exercise,
  settings: GradingSettings,
): GradedHandIn[] {
  const rounds = work.handIns.flatMap((one) => state.rounds.get(one) ?? []);
  return rounds.map((round) => gradeHandIn(state, round, exercise, settings));
}

/** Points of the hand-in that counts, as in the grades; of an open work, those of its tasks as they were seen last. */
export function pointsNow(state: ClassState, work: Work, exercise: Exercise, settings: GradingSettings): number {
  const best = bestOf(gradedHandIns(state, work, exercise, settings));
  return best?.judged ? best.points : pointsSeen(exercise, work);
}

/**
 * What of a doubt is alike for all: values that were drawn for the one student stand in it by their names, so that a reason with an
 * address of theirs is the same as another one’s.
 */
function aboutOf({ task, verdict, reason }: GradedTask, { id, values }: Exercise): string {
  const named = Object.entries(values)
    .map(([name, value]) => [name, String(value)] as const)
    .sort(([, one], [, other]) => other.length - one.length)
    .reduce((text, [name, value]) => text.replaceAll(value, `\${${name}}`), reason);
  return JSON.stringify([id, task, verdict, named]);
}

/**
 * What a person has to decide: the doubts of the hand-in that counts, and those of every other one that may come to more than that
 * one is sure of.
 */
function doubtsOf(graded: readonly GradedHandIn[], best: GradedHandIn | null, exercise: Exercise): Doubt[] {
  if (best === null) return [];
  return graded.flatMap((handIn, at) =>
    handIn === best || (handIn.judged && handIn.most > best.points)
      ? handIn.undecided.map((id) => {
          const task = handIn.tasks.find((one) => one.task === id)!;
          return { handIn, nth: at + 1, task, about: aboutOf(task, exercise) };
        })
      : [],
  );
}

/** Grades of everybody at everything, in the order of roster and class. */
export function gradeClass({ state, students, exercises }: GradingOptions): Graded[] {
  return students.flatMap(({ id }) =>
    exercises.map((given) => {
      const { settings } = given;
      const exercise = given.of(id);
      const work = workOf(state, id, settings.id);
      const graded = gradedHandIns(state, work, exercise, settings);
      const best = bestOf(graded);
      return {
        person: id,
        exercise: settings.id,
        best,
        handIns: graded.length,
        of: exercise.points,
        doubts: doubtsOf(graded, best, exercise),
        others: othersValuesOf(state, work, given),
      };
    }),
  );
}

/** One row a student, one column an exercise. A sum with something undecided in it says so. */
export function wideCsv(options: GradingOptions): string {
  const graded = gradeClass(options);
  const exercises = options.exercises.map(({ settings }) => settings.id);
  const rows = options.students.map(({ id, name }) => {
    const own = graded.filter(({ person }) => person === id);
    const total = own.reduce((sum, { best }) => sum + (best?.points ?? 0), 0);
    const undecided = own.reduce((sum, { doubts }) => sum + doubts.length, 0);
    const others = own.flatMap((one) => one.others.map((value) => `${one.exercise}: ${othersSentence(value)}`));
    return [id, name, ...own.map(({ best }) => best?.points ?? null), round2(total), undecided, others.join('; ')];
  });
  return writeCsv([['id', 'name', ...exercises, 'total', 'undecided', 'values of others'], ...rows]);
}

/** One row a value of another student that turned up in somebody's work, with where it was met. */
export function othersCsv(options: GradingOptions): string {
  const names = new Map(options.students.map(({ id, name }) => [id, name]));
  const rows = gradeClass(options).flatMap(({ person, exercise, others }) =>
    others.map(({ value, parameter, student, where, text, at }) => [
      person,
      names.get(person) ?? '',
      exercise,
      value,
      parameter,
      student,
      names.get(student) ?? '',
      where,
      text,
      at,
    ]),
  );
  const head = ['id', 'name', 'exercise', 'value', 'parameter', 'drawn for', 'name of these', 'where', 'text', 'at'];
  return writeCsv([head, ...rows]);
}

/** One row a task of the hand-in that counts. */
export function longCsv(options: GradingOptions): string {
  const names = new Map(options.students.map(({ id, name }) => [id, name]));
  const rows = gradeClass(options).flatMap(({ person, exercise, best }) => {
    if (!best) return [];
    const row = (one: Pick<GradedTask, 'title' | 'verdict' | 'reason'> & Partial<GradedTask>) => [
      person,
      names.get(person) ?? '',
      exercise,
      one.task ?? '',
      one.title,
      one.verdict,
      one.points ?? null,
      one.of ?? null,
      best.at,
      best.late ? 'late' : 'in time',
      one.reason,
    ];
    const gone = best.gone.map((one) =>
      row({ ...one, reason: `no task of the exercise any more; then: ${one.reason}` }),
    );
    return [...best.tasks.map(row), ...gone];
  });
  const head = ['id', 'name', 'exercise', 'task', 'title', 'verdict', 'points', 'of', 'handed in', 'time', 'seen'];
  return writeCsv([head, ...rows]);
}

/** `results.json` of Gradescope's autograder for one student at one exercise. Hidden tasks are hidden there, too, and of others no more is
 * told than students may know. */
export function gradescopeResults(graded: Graded, exercise: Exercise): object {
  const shown = new Map(exercise.checks.map(({ id, shown: when }) => [id, when]));
  const visibility = (task: string): string =>
    ({ always: 'visible', 'after-hand-in': 'after_published', never: 'hidden' })[shown.get(task) ?? 'always'];
  const { best } = graded;
  const undecided = (best?.tasks ?? []).filter(({ task }) => best?.undecided.includes(task));
  // Of a guard the word may be that it was broken.
  const falls = undecided.some(({ guard }) => guard) ? 'may rise or fall' : 'will not fall';
  const open =
    undecided.length > 0
      ? `${undecided.length} of the tasks could not be judged and wait for a person’s word; the score ${falls} by them.`
      : '';
  return {
    score: best?.points ?? 0,
    output: best === null ? 'Nothing was handed in.' : [best.sum, open].filter((one) => one !== '').join(' '),
    visibility: 'visible',
    tests: (best?.tasks ?? []).map(({ task, title, points, of, shown: known, reason, told }) => ({
      name: title,
      score: points ?? 0,
      max_score: of,
      status: points === null ? undefined : points >= of ? 'passed' : 'failed',
      // What is hidden there, teachers alone read.
      output: known || told === '' ? told : reason,
      visibility: visibility(task),
    })),
  };
}
