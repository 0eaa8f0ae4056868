import { createHash } from 'node:crypto';
import type { Exercise } from '../exercise/exercise.js';
import type { ClassState, Round, Work } from './state.js';

/**
 * What a task is. Its id is its place in the file, and moves when the file is edited; what was judged is found again by its title and
 * by what its check looks at.
 */
export interface KnownTask {
  /** As in the exercise just now: `c07`; of a task that the exercise has no more, `gone-1`. */
  id: string;
  title: string;
  stage: string | null;
  /** A digest of its check; `''`: nothing was written down of it. */
  what: string;
}

/** Tasks of an exercise as a class keeps them, with the values of the example, which are the same for everybody. */
export interface TasksOfExercise {
  settings: { id: string };
  example: Exercise;
}

/** What JSON has no word for. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' || value instanceof RegExp ? String(value) : value;
}

export function knownTasks({ checks, scenario }: Exercise): KnownTask[] {
  const items = new Map(scenario.items.map((item) => [item.id, item]));
  return checks.map(({ id, title, stage }) => {
    const item = items.get(id);
    const what = createHash('sha256')
      .update(JSON.stringify([item?.type.name ?? null, item?.spec ?? null], plain))
      .digest('base64url')
      .slice(0, 16);
    return { id, title, stage, what };
  });
}

const isGone = ({ id }: KnownTask): boolean => id.startsWith('gone-');

type Key = (task: KnownTask) => string | null;
const keyOf = (...parts: (string | null)[]): string => JSON.stringify(parts);

/** By what a task is found again, the surest first. */
const ways: readonly Key[] = [
  ({ title, stage, what }) => (what === '' ? null : keyOf(title, stage, what)),
  ({ title, what }) => (what === '' ? null : keyOf(title, what)),
  ({ title, stage, what }) => (what === '' ? null : keyOf(title, stage)),
  ({ title, what }) => (what === '' ? null : keyOf(title)),
  ({ what }) => (what === '' ? null : keyOf(what)),
];

function byKey(tasks: readonly KnownTask[], key: Key): Map<string, KnownTask[]> {
  const found = new Map<string, KnownTask[]>();
  for (const task of tasks) {
    const at = key(task);
    if (at !== null) found.set(at, [...(found.get(at) ?? []), task]);
  }
  return found;
}

/** Whether a task with that title has another check now, which was another task's: titles, or checks, were exchanged. */
function exchanged(one: KnownTask, other: KnownTask, before: readonly KnownTask[], now: readonly KnownTask[]): boolean {
  if (one.what === other.what) return one.title !== other.title && now.some(({ title }) => title === one.title);
  return before.some(({ what }) => what === other.what) || now.some(({ what }) => what === one.what);
}

/** Tasks of before with those of now that have the same key, as many on both sides. */
function pairsBy(key: Key, before: readonly KnownTask[], now: readonly KnownTask[]): [KnownTask, KnownTask][] {
  const open = byKey(now, key);
  return [...byKey(before, key)].flatMap(([at, old]) => {
    const found = open.get(at) ?? [];
    return found.length === old.length ? old.map((one, nth): [KnownTask, KnownTask] => [one, found[nth]!]) : [];
  });
}

/**
 * Which task is which after an exercise was edited: ids of before, with those of now. A task that cannot be told from another one is
 * not found again, so that nobody is credited with what another task saw.
 */
export function matchTasks(before: readonly KnownTask[], now: readonly KnownTask[]): Map<string, string> {
  const matched = new Map<string, string>();
  const taken = new Set<string>();
  // What the exercise had last comes before what it had once.
  for (const era of [before.filter((task) => !isGone(task)), before.filter(isGone)])
    for (const [step, key] of ways.entries()) {
      const pairs = pairsBy(
        key,
        era.filter(({ id }) => !matched.has(id)),
        now.filter(({ id }) => !taken.has(id)),
      );
      // Several with the same title, stage and check are the same task, in their order; with less in common, only one is sure.
      const sure = pairs.filter(
        ([one]) => step === 0 || pairs.filter(([other]) => key(other) === key(one)).length === 1,
      );
      for (const [one, other] of sure.filter((pair) => !exchanged(...pair, era, now))) {
        matched.set(one.id, other.id);
        taken.add(other.id);
      }
    }
  return matched;
}

/** Ids under which something stands in the record, and nothing about what they were. */
function mentioned(works: readonly Work[], rounds: readonly Round[]): Set<string> {
  return new Set([
    ...works.flatMap(({ tasks, hints }) => [...Object.keys(tasks), ...Object.keys(hints)]),
    ...rounds.flatMap(({ tasks, results, decided }) => [...tasks, ...Object.keys(results), ...Object.keys(decided)]),
  ]);
}

/**
 * A record of an earlier version has ids alone. They are believed where each hand-in has exactly those of the exercise; else nothing
 * is known of them.
 */
function withoutTitles(
  works: readonly Work[],
  rounds: readonly Round[],
  now: readonly KnownTask[],
): Map<string, string> {
  const ids = now.map(({ id }) => id);
  const handIns = rounds.filter(({ kind }) => kind === 'hand-in');
  const same =
    handIns.every(({ tasks }) => tasks.length === ids.length && ids.every((id) => tasks.includes(id))) &&
    [...mentioned(works, rounds)].every((id) => ids.includes(id));
  return new Map(same ? ids.map((id) => [id, id]) : []);
}

function rekeyed<Value>(from: Record<string, Value>, to: ReadonlyMap<string, string>): Record<string, Value> {
  return Object.fromEntries(Object.entries(from).map(([id, value]) => [to.get(id) ?? id, value]));
}

/** Brings what is known of an exercise into line with the tasks that it has now. */
export function takeTasks(state: ClassState, exercise: string, now: readonly KnownTask[]): void {
  const works = [...state.works.values()].filter((one) => one.exercise === exercise);
  const rounds = [...state.rounds.values()].filter((one) => one.exercise === exercise);
  const known = state.tasks.get(exercise);
  const before: KnownTask[] =
    known ?? [...mentioned(works, rounds)].map((id) => ({ id, title: id, stage: null, what: '' }));
  if (known === undefined && before.length > 0) state.byPlace.add(exercise);
  const to = known === undefined ? withoutTitles(works, rounds, now) : matchTasks(known, now);
  const gone: KnownTask[] = [];
  for (const task of before) {
    if (to.has(task.id)) continue;
    const id = `gone-${gone.length + 1}`;
    gone.push({ ...task, id });
    to.set(task.id, id);
  }
  state.tasks.set(exercise, [...now, ...gone]);
  if ([...to].every(([from, id]) => from === id)) return;
  for (const work of works) {
    work.tasks = rekeyed(work.tasks, to);
    work.hints = rekeyed(work.hints, to);
    work.passedFrom = rekeyed(work.passedFrom, to);
    // Steps are known by their places alone.
    work.steps = {};
    work.typed = {};
  }
  for (const round of rounds) {
    round.tasks = round.tasks.map((id) => to.get(id) ?? id);
    round.results = rekeyed(round.results, to);
    round.decided = rekeyed(round.decided, to);
  }
}

/** Whether an exercise has other tasks than the record says last. */
export function hasOtherTasks(state: ClassState, exercise: string, now: readonly KnownTask[]): boolean {
  const before = state.tasks.get(exercise)?.filter((task) => !isGone(task));
  return JSON.stringify(before) !== JSON.stringify(now);
}

/** Title of a task that an exercise had when something was judged, and has no more; `null`: it is no such id. */
export function goneTitle(state: ClassState, exercise: string, id: string): string | null {
  const task = state.tasks.get(exercise)?.find((one) => one.id === id && isGone(one));
  return task?.title ?? null;
}

/** What editing an exercise did to hand-ins that were made before, one sentence each, for its teacher; empty: nothing. */
export function editedSentences(state: ClassState, { settings: { id }, example }: TasksOfExercise): string[] {
  const handIns = [...state.rounds.values()].filter(({ exercise, kind }) => exercise === id && kind === 'hand-in');
  if (handIns.length === 0) return [];
  const among = (task: string): number => handIns.filter(({ tasks }) => tasks.includes(task)).length;
  const of = `of ${handIns.length} ${handIns.length === 1 ? 'hand-in' : 'hand-ins'}`;
  const gone = (state.tasks.get(id) ?? []).filter((task) => isGone(task) && among(task.id) > 0);
  if (gone.some(({ what }) => what === ''))
    return [
      `${id}: the record has no titles of tasks of some hand-ins, and the file was edited since: what was seen then counts for no task, and is undecided. \`netrig class regrade\` with the file as it was then gives their grades`,
    ];
  const lacking = example.checks.filter((check) => among(check.id) < handIns.length);
  return [
    ...gone.map(
      ({ title, id: task }) =>
        `${id}: the task “${title}”, judged in ${among(task)} ${of}, is not in the exercise any more, or cannot be told from another one; what it earned counts no more`,
    ),
    ...lacking.map(
      ({ title, id: task }) =>
        `${id}: the task “${title}” was not there in ${handIns.length - among(task)} ${of}; in these it is undecided`,
    ),
    ...(state.byPlace.has(id)
      ? [
          `${id}: the record has no titles of tasks of some hand-ins; they are taken to be of the tasks in the order of the file`,
        ]
      : []),
  ];
}
