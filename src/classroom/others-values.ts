import { commonText, type Exercise } from '../exercise/exercise.js';
import { othersValuesIn, type OthersValue, type ParameterValues } from '../scenario/parameters.js';
import type { ClassExercise } from './class-file.js';
import type { ClassState, Work } from './state.js';

/** A value that was drawn for another student, and turned up in somebody's work: a sign of copying, and no proof of it. */
export interface FoundValue extends OthersValue {
  at: string;
  /** Where it was met: `typed at server`, `seen by "client gets the page"`. */
  where: string;
  /** The line, or what the check saw. */
  text: string;
}

/** An exercise of a class, as far as its values matter here. */
export interface DrawnExercise {
  settings: Pick<ClassExercise, 'id'>;
  of(person: string): Exercise;
  /** Values of all students; left out, or empty: all have the same. */
  drawn?: ReadonlyMap<string, ParameterValues>;
}

export function isSameValue(one: OthersValue, other: OthersValue): boolean {
  return one.student === other.student && one.parameter === other.parameter && one.value === other.value;
}

/** Kept of one work, at most. */
export const mostFound = 30;
const mostText = 200;

const finders = new WeakMap<Exercise, (text: string) => OthersValue[]>();

/** Values of others in a text of that person. */
export function othersIn({ of, drawn }: DrawnExercise, person: string, text: string): OthersValue[] {
  if (!drawn || drawn.size === 0) return [];
  const exercise = of(person);
  let finder = finders.get(exercise);
  if (!finder) {
    finder = othersValuesIn(person, drawn, commonText(exercise));
    finders.set(exercise, finder);
  }
  return finder(text);
}

/** `8123, the port of bob, typed at server: …`. */
export function othersSentence({ value, parameter, student, where, text }: FoundValue): string {
  return `${value}, the ${parameter} of ${student}, ${where}: ${text}`;
}

export function cutText(text: string): string {
  return text.length > mostText ? `${text.slice(0, mostText)}…` : text;
}

/** What the checks of hand-ins saw of others' values. */
function seenByChecks(state: ClassState, work: Work, given: DrawnExercise): FoundValue[] {
  if (!given.drawn || given.drawn.size === 0) return [];
  const { checks } = given.of(work.person);
  return work.handIns.flatMap((id) => {
    const round = state.rounds.get(id);
    return Object.entries(round?.results ?? {}).flatMap(([task, { actual, reason }]) => {
      const text = `${reason} ${actual ?? ''}`;
      const title = checks.find((check) => check.id === task)?.title ?? task;
      return othersIn(given, work.person, text).map((value) => ({
        ...value,
        at: round!.at,
        where: `seen by "${title}"`,
        text: cutText(reason),
      }));
    });
  });
}

/** All that turned up in one work, each value once: as typed, where it was typed, else as a check of a hand-in saw it. */
export function othersValuesOf(state: ClassState, work: Work, given: DrawnExercise): FoundValue[] {
  const found: FoundValue[] = [];
  for (const one of [...work.others, ...seenByChecks(state, work, given)])
    if (!found.some((other) => isSameValue(one, other))) found.push(one);
  return found.slice(0, mostFound);
}
