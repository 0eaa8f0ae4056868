import { randomUUID } from 'node:crypto';
import type { Audience } from './api.js';
import { resetHost } from './host-reset.js';
import { lookBeforeJump } from './jump.js';
import { Refusal } from './problem.js';
import { exerciseFor, givenExercise, mustNotBeJudged, studentOf, type Room } from './room.js';
import { workOf } from './state.js';
import { terminalsOf } from './work-view.js';

function checkAudience(room: Room, to: Audience): void {
  if (to !== 'all') for (const person of to) studentOf(room, person);
}

export async function sendMessage(room: Room, teacher: string, to: Audience, text: string): Promise<void> {
  checkAudience(room, to);
  await room.book.append({ type: 'message:sent', id: randomUUID(), from: teacher, to, text: text.slice(0, 2000) });
}

export async function giveTime(room: Room, to: Audience, exercise: string, minutes: number): Promise<void> {
  givenExercise(room, exercise);
  checkAudience(room, to);
  await room.book.append({ type: 'time:given', to, exercise, minutes });
}

/** A new lab for a student, or one host of it anew, whatever the dates say. */
export async function resetFor(
  room: Room,
  person: string,
  exercise: string,
  { stage, host }: { stage: string | null; host: string | null },
): Promise<void> {
  studentOf(room, person);
  if (host !== null) return resetHost(room, person, exercise, host);
  const { stages } = exerciseFor(room, exercise, person);
  if (stage !== null && !stages.some(({ name }) => name === stage))
    throw new Refusal('not-valid', `The exercise has no stage "${stage}".`);
  if (workOf(room.book.state, person, exercise).wanted) return;
  mustNotBeJudged(room, person, exercise);
  if (stage !== null) {
    await lookBeforeJump(room, person, exercise, stage);
    if (workOf(room.book.state, person, exercise).wanted) return;
    mustNotBeJudged(room, person, exercise);
  }
  await room.book.append({ type: 'lab:wanted', person, exercise, stage });
}

/** Takes a student's lab down, so that its place is free. */
export async function endFor(room: Room, person: string, exercise: string): Promise<void> {
  studentOf(room, person);
  givenExercise(room, exercise);
  mustNotBeJudged(room, person, exercise);
  const work = workOf(room.book.state, person, exercise);
  if (work.wanted === null && work.lab === null) throw new Refusal('not-now', 'They have no lab that could be ended.');
  if (work.wanted) await room.book.append({ type: 'lab:unwanted', person, exercise });
  if (work.lab !== null) await room.pool.end(work.lab, 'a teacher ended it');
}

export async function askToType(
  room: Room,
  teacher: string,
  person: string,
  exercise: string,
  place: string,
): Promise<void> {
  studentOf(room, person);
  const work = workOf(room.book.state, person, exercise);
  if (!terminalsOf(room, exerciseFor(room, exercise, person), work).includes(place))
    throw new Refusal('not-found', 'Their lab has no such terminal now.');
  const open = [...room.book.state.typing.values()].find(
    (one) =>
      one.teacher === teacher &&
      one.person === person &&
      one.exercise === exercise &&
      one.place === place &&
      one.state !== 'refused',
  );
  if (!open) await room.book.append({ type: 'typing:asked', request: randomUUID(), teacher, person, exercise, place });
}

/** Whether the student said that this teacher may type there. */
export function mayType(room: Room, teacher: string, person: string, exercise: string, place: string): boolean {
  return [...room.book.state.typing.values()].some(
    (one) =>
      one.teacher === teacher &&
      one.person === person &&
      one.exercise === exercise &&
      one.place === place &&
      one.state === 'allowed',
  );
}

export async function endHelp(room: Room, teacher: string, person: string, exercise: string): Promise<void> {
  studentOf(room, person);
  if (workOf(room.book.state, person, exercise).help)
    await room.book.append({ type: 'help:ended', person, exercise, by: teacher });
}

/** What a word is about, in the record. @throws Refusal where there is nothing to decide. */
function openTask(room: Room, id: string): { round: string; task: string } {
  const colon = id.lastIndexOf(':');
  const [roundId, task] = [id.slice(0, colon), id.slice(colon + 1)];
  const round = room.book.state.rounds.get(roundId);
  const judged = round?.results[task]?.verdict;
  if (!round || round.kind !== 'hand-in' || round.state === 'waiting' || !round.tasks.includes(task))
    throw new Refusal('not-found', 'There is nothing of that name to decide.');
  if (judged === 'pass' || judged === 'fail')
    throw new Refusal('not-allowed', 'That task has a verdict; it is not a person’s to change.');
  return { round: roundId, task };
}

/** A person's word on tasks of hand-ins for which no verdict could be had: one for all of them, or for none. */
export async function decide(
  room: Room,
  teacher: string,
  ids: readonly string[],
  credit: boolean,
  why: string,
): Promise<void> {
  const open = [...new Set(ids)].map((id) => openTask(room, id));
  if (why.trim() === '') throw new Refusal('not-valid', 'Say why: the word stands in the record.');
  await Promise.all(
    open.map((one) => room.book.append({ type: 'decided', ...one, credit, why: why.slice(0, 500), by: teacher })),
  );
}
