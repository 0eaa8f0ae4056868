import type { Exercise } from '../exercise/exercise.js';
import type { ClaimView } from './api.js';
import type { ClassBook } from './book.js';
import type { GivenExercise } from './exercises.js';
import type { LabPool } from './labs.js';
import type { Places } from './places.js';
import { Refusal } from './problem.js';
import type { Rounds } from './rounds.js';
import type { PersonState } from './state.js';
import type { Terminals } from './terminals.js';

/** What a class consists of while it runs; actions and views are functions of it. */
export interface Room {
  title: string;
  /** One person alone, who sees and may do everything. */
  solo: boolean;
  /** One host of a lab can be made anew, alone. */
  resetsHosts: boolean;
  /** Aborts when this process stops working at the class. */
  ending: AbortSignal;
  /** What a tutorial says of what a step or check covers, and what holds. */
  claims(covers: readonly string[]): ClaimView[];
  book: ClassBook;
  pool: LabPool;
  rounds: Rounds;
  places: Places;
  terminals: Terminals;
  exercises: ReadonlyMap<string, GivenExercise>;
  students: readonly { id: string; name: string }[];
  /** Persons whose page is open, with how many sockets. */
  online: Map<string, number>;
  /** Who looks at which terminal just now. */
  looking: Set<Look>;
  /** Steps that run just now: work and step. */
  stepping: Map<string, string>;
  /** Where recordings of terminals go. */
  casts: string;
  /** A line was typed in a terminal of theirs. */
  typed(person: string, exercise: string): void;
  warn(text: string): void;
  /** Something changed that no event tells. `null`: anybody's. */
  changed(person: string | null, exercise: string | null): void;
  onChange(listener: (person: string | null, exercise: string | null) => void): void;
}

export interface Look {
  /** Who looks, and at whose lab. */
  person: string;
  whose: string;
  exercise: string;
  place: string;
}

/** @throws Refusal where the class has no such exercise. */
export function givenExercise(room: Room, id: string): GivenExercise {
  const given = room.exercises.get(id);
  if (given) return given;
  throw new Refusal('not-found', 'There is no such exercise in this class.');
}

export function exerciseFor(room: Room, id: string, person: string): Exercise {
  return givenExercise(room, id).of(person);
}

/** @throws Refusal where the class has no such student. */
export function studentOf(room: Room, id: string): PersonState {
  const person = room.book.state.persons.get(id);
  if (person && person.role !== 'teacher' && room.students.some((one) => one.id === id)) return person;
  throw new Refusal('not-found', 'There is no such student in this class.');
}

/** @throws Refusal where a hand-in waits to be judged on the lab that they have: without it nothing can be known of the hand-in. */
export function mustNotBeJudged(room: Room, person: string, exercise: string): void {
  const waits = [...room.book.state.waiting].some(
    (one) => one.person === person && one.exercise === exercise && one.kind === 'hand-in',
  );
  if (waits) throw new Refusal('not-now', 'What was handed in is being judged on this lab; wait for it.');
}
