import { randomUUID } from 'node:crypto';
import { messageOf } from '../errors.js';
import type { StepItem } from '../scenario/scenario.js';
import { cutText, isSameValue, mostFound, othersIn } from './others-values.js';
import { resetHost } from './host-reset.js';
import { lookBeforeJump } from './jump.js';
import { performOn } from './rounds.js';
import { exerciseFor, givenExercise, mustNotBeJudged, type Room } from './room.js';
import { Refusal } from './problem.js';
import { workKey, workOf } from './state.js';
import { isOpen, takenUntil, minuteWords } from './timing.js';
import { nextHint, shownChecks, tasksOfRound } from './views.js';
import { stepsOf, stepsToRun } from './work-view.js';

/** Hand-ins of one exercise: each is a round of all its checks. */
const mostHandIns = 50;

/** @throws Refusal where the exercise is not open to that person now. */
function mustBeOpen(room: Room, person: string, id: string): void {
  const { settings } = givenExercise(room, id);
  if (room.book.state.persons.get(person)?.role === 'teacher') return;
  if (!isOpen(settings, Date.now())) throw new Refusal('not-now', `It opens at ${minuteWords(settings.opens!)}.`);
  const { timeMs } = exerciseFor(room, id, person);
  const until = takenUntil(room.book.state, workOf(room.book.state, person, id), settings, timeMs);
  if (until !== null && Date.now() > until)
    throw new Refusal('not-now', `It closed at ${minuteWords(until)}. Ask your teacher for more time.`);
}

/** One host of a student's own lab is made anew. @throws Refusal */
export async function resetOwnHost(room: Room, person: string, id: string, host: string): Promise<void> {
  mustBeOpen(room, person, id);
  await resetHost(room, person, id, host);
}

/** A lab is wanted: the first, or a new one from the beginning or a stage on. */
export async function wantLab(
  room: Room,
  person: string,
  id: string,
  stage: string | null,
  anew: boolean,
): Promise<void> {
  mustBeOpen(room, person, id);
  const exercise = exerciseFor(room, id, person);
  if (stage !== null && !exercise.stages.some(({ name }) => name === stage))
    throw new Refusal('not-valid', `The exercise has no stage "${stage}".`);
  const work = workOf(room.book.state, person, id);
  if (work.wanted !== null) {
    if (work.wanted.stage === stage) return;
    throw new Refusal('not-now', 'A lab is on its way already.');
  }
  if (work.lab !== null && !anew) return;
  mustNotBeJudged(room, person, id);
  if (stage !== null) {
    await lookBeforeJump(room, person, id, stage);
    // Meanwhile another lab may have been asked for, or something been handed in.
    if (workOf(room.book.state, person, id).wanted !== null) return;
    mustNotBeJudged(room, person, id);
  }
  await room.book.append({ type: 'lab:wanted', person, exercise: id, stage });
}

/** No lab is wanted any more; the one that is there is taken away. */
export async function leaveLab(room: Room, person: string, id: string): Promise<void> {
  mustNotBeJudged(room, person, id);
  const work = workOf(room.book.state, person, id);
  if (work.wanted) await room.book.append({ type: 'lab:unwanted', person, exercise: id });
  if (work.lab !== null) await room.pool.end(work.lab, 'its student ended it', { asked: true });
}

/** Asks for a round of checks; one that waits already is not doubled. */
export async function askRound(
  room: Room,
  person: string,
  id: string,
  kind: 'try' | 'hand-in',
  only?: readonly string[],
): Promise<void> {
  mustBeOpen(room, person, id);
  const exercise = exerciseFor(room, id, person);
  const work = workOf(room.book.state, person, id);
  if (work.lab === null) throw new Refusal('not-now', 'There is no lab to look at; start one.');
  const mine = [...room.book.state.waiting].filter((one) => one.person === person && one.exercise === id);
  if (mine.some((one) => one.kind === kind)) return;
  if (kind === 'hand-in' && work.handIns.length >= mostHandIns)
    throw new Refusal('too-many', `You handed in ${mostHandIns} times; the best of them counts.`);
  const possible = new Set(
    kind === 'hand-in'
      ? tasksOfRound(exercise, kind)
      : shownChecks(exercise, work.handIns.length > 0).map((check) => check.id),
  );
  const unknown = only?.find((task) => !possible.has(task));
  if (unknown !== undefined) throw new Refusal('not-found', 'There is no such task in this exercise.');
  const tasks = only && only.length > 0 ? [...new Set(only)] : [...possible];
  if (tasks.length === 0) throw new Refusal('not-now', 'There is nothing to try in this exercise; hand it in.');
  await room.book.append({ type: 'round:asked', round: randomUUID(), person, exercise: id, kind, tasks });
}

export async function openHint(room: Room, person: string, id: string, task: string): Promise<void> {
  const work = workOf(room.book.state, person, id);
  const check = shownChecks(exerciseFor(room, id, person), work.handIns.length > 0).find((one) => one.id === task);
  if (!check) throw new Refusal('not-found', 'There is no such task in this exercise.');
  const text = nextHint(check, work);
  if (text === null)
    throw new Refusal(
      'not-now',
      'There is no further hint for what was seen last. Try the task first, or ask for help.',
    );
  await room.book.append({ type: 'hint:opened', person, exercise: id, task, text });
}

export async function askHelp(room: Room, person: string, id: string, wanted: boolean, note: string): Promise<void> {
  givenExercise(room, id);
  const { help } = workOf(room.book.state, person, id);
  if (wanted) await room.book.append({ type: 'help:asked', person, exercise: id, note: note.slice(0, 500) });
  else if (help) await room.book.append({ type: 'help:ended', person, exercise: id, by: person });
}

export async function answerTyping(room: Room, person: string, request: string, allow: boolean): Promise<void> {
  const known = room.book.state.typing.get(request);
  if (!known || known.person !== person) throw new Refusal('not-found', 'Nobody asked that.');
  await room.book.append({ type: 'typing:answered', request, allow });
}

/** Takes down values of other students in a line that was typed; each once. */
export function noteTyped(room: Room, person: string, id: string, place: string, line: string): void {
  const { others } = workOf(room.book.state, person, id);
  if (others.length >= mostFound) return;
  const values = othersIn(givenExercise(room, id), person, line).filter(
    (value) => !others.some((one) => isSameValue(one, value)),
  );
  if (values.length === 0) return;
  void room.book.append({ type: 'others:typed', person, exercise: id, place, line: cutText(line), values });
}

/** Longest output of a step that is kept. */
const mostOutput = 4000;

/** Runs a step, or with `upTo` all up to it that were neither run nor typed: for one person alone. */
export async function runStep(room: Room, person: string, id: string, step: string, upTo: boolean): Promise<void> {
  if (!room.solo) throw new Refusal('not-allowed', 'Steps are yours to type here.');
  const exercise = exerciseFor(room, id, person);
  const work = workOf(room.book.state, person, id);
  if (work.lab === null) throw new Refusal('not-now', 'There is no lab; start one.');
  if (work.resetting !== null) throw new Refusal('not-now', `${work.resetting} is being begun again; wait for it.`);
  const key = workKey(person, id);
  if (room.stepping.has(key)) throw new Refusal('not-now', 'A step is being run.');
  const steps = stepsOf(exercise);
  if (!steps.some((one) => one.id === step)) throw new Refusal('not-found', 'There is no such step.');
  const wanted = stepsToRun(exercise, work, step, upTo);
  if (wanted.length === 0)
    throw new Refusal('not-now', 'All steps up to here were run or typed; “Run this step” runs one of them again.');
  room.stepping.set(key, wanted[0]!.id);
  room.changed(person, id);
  void doSteps(room, person, id, wanted, work.lab).finally(() => {
    room.stepping.delete(key);
    room.changed(person, id);
  });
}

/** Takes down that a step's command was put into the terminal of a host: for one person alone. */
export async function stepTyped(room: Room, person: string, id: string, step: string, on: string): Promise<void> {
  if (!room.solo) throw new Refusal('not-allowed', 'Steps are yours to type here.');
  const known = stepsOf(exerciseFor(room, id, person)).find((one) => one.id === step);
  if (!known?.on.includes(on)) throw new Refusal('not-found', 'There is no such step on that host.');
  if (workOf(room.book.state, person, id).lab === null) throw new Refusal('not-now', 'There is no lab; start one.');
  await room.book.append({ type: 'step:typed', person, exercise: id, step, on });
}

async function doSteps(room: Room, person: string, id: string, steps: readonly StepItem[], lab: string): Promise<void> {
  const given = exerciseFor(room, id, person);
  for (const { id: step, on } of steps) {
    const items = given.scenario.items.map((item) =>
      item.kind === 'step' && item.id === step ? { ...item, on } : item,
    );
    const exercise = { ...given, scenario: { ...given.scenario, items } };
    room.stepping.set(workKey(person, id), step);
    room.changed(person, id);
    let ok = false;
    let output = '';
    try {
      const running = await room.pool.running(lab);
      const outcomes = await performOn(running, exercise, (item) => item.id === step, {
        directory: room.casts,
        signal: new AbortController().signal,
        session: await room.places.session(lab),
      });
      const outcome = outcomes.get(step)?.outcome;
      ok = outcome?.verdict === 'pass';
      output = [outcome?.reason ?? '', ...(outcome?.output ?? []).map(({ title, text }) => `${title}\n${text}`)].join(
        '\n',
      );
    } catch (error) {
      output = messageOf(error);
    }
    await room.book.append({ type: 'step:run', person, exercise: id, step, ok, output: output.slice(0, mostOutput) });
    if (!ok) return;
  }
}
