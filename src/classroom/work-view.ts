import type { Exercise } from '../exercise/exercise.js';
import { topologyOf } from '../run/planned-items.js';
import { planLab } from '../plan/plan.js';
import { textHtml } from '../report/text-html.js';
import { toldOf } from '../scenario/handed-out.js';
import type { StepItem } from '../scenario/scenario.js';
import type {
  ExerciseSummary,
  ExerciseView,
  HelpView,
  LabView,
  RoundView,
  SessionView,
  StepState,
  StepView,
  TaskState,
  TaskView,
  WorkView,
} from './api.js';
import { wasGiven } from './grades.js';
import { exerciseFor, givenExercise, type Room } from './room.js';
import type { PersonState, Work } from './state.js';
import { workKey, workOf } from './state.js';
import { closesAt, isOpen, takenUntil } from './timing.js';
import { handInView, harmless, roundView, shownChecks, taskState, taskView } from './views.js';

const instant = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export function summaryOf(room: Room, id: string, person: string): ExerciseSummary {
  const { settings } = givenExercise(room, id);
  const exercise = exerciseFor(room, id, person);
  const work = workOf(room.book.state, person, id);
  const until = takenUntil(room.book.state, work, settings, exercise.timeMs);
  const last = work.handIns.at(-1);
  return {
    id,
    title: exercise.title,
    points: room.solo ? null : exercise.points,
    opensAt: instant(settings.opens),
    closesAt: instant(closesAt(room.book.state, work, settings, exercise.timeMs)),
    open: isOpen(settings, Date.now()) && (until === null || Date.now() <= until),
    handedInAt: last === undefined ? null : (room.book.state.rounds.get(last)?.at ?? null),
  };
}

export function sessionView(room: Room, person: PersonState): SessionView {
  return {
    api: 1,
    role: person.role,
    person: { id: person.id, name: harmless(person.name) },
    title: room.title,
    exercises: [...room.exercises.keys()].map((id) => summaryOf(room, id, person.id)),
    now: new Date().toISOString(),
  };
}

/** Steps that a person runs or types: without those that tidy up, and without the set-up of an exercise, which the lab has. */
export function stepsOf(exercise: Exercise): StepItem[] {
  return exercise.scenario.items.filter(
    (item): item is StepItem => item.kind === 'step' && !item.last && item.role !== 'setup',
  );
}

function stepView(room: Room, step: StepItem): StepView {
  const command = step.late?.shown(step.type.describe(step.spec)) ?? step.type.describe(step.spec);
  // A value that an earlier step saves is not known before.
  const typed = step.late === null ? (step.type.typed?.(step.spec) ?? null) : null;
  return {
    id: step.id,
    title: step.title,
    html: step.text === '' ? '' : textHtml(step.text),
    stage: step.stage ?? null,
    commands: step.on.map((on) => ({ on, command: typed ?? command, typed: typed !== null })),
    claims: room.claims(step.covers),
  };
}

/** What a check looks at, in one line: for one person alone, who may know it. */
function detailOf(exercise: Exercise, id: string): string | null {
  const item = exercise.scenario.items.find((one) => one.id === id);
  return item ? (item.late?.shown(item.type.describe(item.spec)) ?? item.type.describe(item.spec)) : null;
}

function coversOf(exercise: Exercise, id: string): readonly string[] {
  return exercise.scenario.items.find((one) => one.id === id)?.covers ?? [];
}

function tasksFor(room: Room, exercise: Exercise, work: Work): TaskView[] {
  return shownChecks(exercise, work.handIns.length > 0).map((check) => {
    const view = taskView(check);
    if (!room.solo) return view;
    return {
      ...view,
      points: null,
      detail: detailOf(exercise, check.id),
      claims: room.claims(coversOf(exercise, check.id)),
    };
  });
}

/** What does not change while a person works at an exercise. */
export function exerciseView(room: Room, id: string, person: string): ExerciseView {
  const exercise = exerciseFor(room, id, person);
  const work = workOf(room.book.state, person, id);
  const tasks = tasksFor(room, exercise, work);
  const steps = room.solo ? stepsOf(exercise).map((step) => stepView(room, step)) : [];
  return {
    exercise: summaryOf(room, id, person),
    html: textHtml(exercise.text),
    stages: exercise.stages.map(({ name, title, text }) => ({
      id: name,
      title,
      html: text === '' ? '' : textHtml(text),
      tasks: tasks.filter(({ stage }) => stage === name).map((task) => task.id),
      steps: steps.filter(({ stage }) => stage === name).map((step) => step.id),
    })),
    tasks,
    steps,
    topology: topologyOf(planLab(exercise.scenario)),
    checkpoints: exercise.stages.map(({ name, title }) => ({ stage: name, title })),
    may: {
      try: true,
      handIn: !room.solo,
      steps: room.solo,
      trace: mayTrace(room, exercise),
      help: !room.solo,
      resetHost: room.resetsHosts,
    },
  };
}

/** Why there is no lab, or no whole one: in a class the teacher’s to know, for it may name set-up that is kept from students. */
const teacherSees = 'your teacher sees why. Try again, or ask for help.';
const noRoom =
  'it waits, for the disk of the machine is full. It goes on by itself once there is room; tell your teacher.';

function labView(room: Room, work: Work): LabView {
  if (work.wanted && room.pool.stalled()) return { state: 'starting', what: noRoom };
  if (work.wanted) {
    const what = room.pool.progress(work);
    if (what !== null) return { state: 'starting', what };
    const place = room.pool.place(work);
    return place ? { state: 'queued', ...place } : { state: 'starting', what: 'about to be booted' };
  }
  const lab = work.lab === null ? undefined : room.book.state.labs.get(work.lab);
  if (lab?.state === 'up') {
    const { resetting, resetFailed } = work;
    const why = room.solo ? (resetFailed?.message ?? '') : teacherSees;
    const failed = resetFailed && { host: resetFailed.host, message: harmless(why) };
    return { state: 'up', since: lab.at, resetting, resetFailed: failed };
  }
  if (work.failed === null) return { state: 'none' };
  return {
    state: 'failed',
    was: !work.brokeMaking,
    message: room.solo || !work.brokeMaking ? harmless(work.failed) : teacherSees,
  };
}

function currentRound(room: Room, work: Work, shown: readonly string[]): RoundView | null {
  const round = [...room.book.state.waiting].find(
    (one) => one.person === work.person && one.exercise === work.exercise,
  );
  return round ? roundView(round, room.rounds.standing(round), shown) : null;
}

export function helpView(room: Room, work: Work): HelpView | null {
  if (!work.help) return null;
  const { n, since, note } = work.help;
  const before = [...room.book.state.works.values()].filter(({ help }) => help !== null && help.n < n).length;
  return { since, note: harmless(note), before };
}

/** What became of a step: what was typed after it was run is the newer. */
export function stepStanding(
  { id, on }: Pick<StepItem, 'id' | 'on'>,
  work: Work,
): Exclude<StepState['state'], 'running'> {
  const typed = work.typed[id] ?? [];
  if (on.length > 0 && on.every((host) => typed.includes(host))) return 'typed';
  const done = work.steps[id];
  return done === undefined ? 'open' : done.ok ? 'done' : 'failed';
}

/**
 * Steps that are to be run, each with the hosts where.
 *
 * @param upTo Those before it as well, and of all only what was neither run nor typed. Without it, the step alone, whatever became
 * of it.
 */
export function stepsToRun(exercise: Exercise, work: Work, step: string, upTo: boolean): StepItem[] {
  const steps = stepsOf(exercise);
  if (!upTo) return steps.filter(({ id }) => id === step);
  return steps
    .slice(0, steps.findIndex(({ id }) => id === step) + 1)
    .filter((one) => !['done', 'typed'].includes(stepStanding(one, work)))
    .map((one) => ({ ...one, on: one.on.filter((host) => !work.typed[one.id]?.includes(host)) }));
}

function stepStates(room: Room, exercise: Exercise, work: Work): StepState[] {
  if (!room.solo) return [];
  const running = room.stepping.get(workKey(work.person, work.exercise));
  return stepsOf(exercise).map((step) => {
    const { id } = step;
    const done = work.steps[id];
    const state = running === id ? 'running' : stepStanding(step, work);
    return { id, state, typed: work.typed[id] ?? [], output: done ? harmless(done.output) : null };
  });
}

/** Whether somebody who is alone with it may know all that is found out: of their own file, not of one they were given. */
function tellsAll(room: Room, { scenario }: Exercise): boolean {
  return room.solo && toldOf(scenario) === null;
}

/** Whether a person may send packets and see their way. */
export function mayTrace(room: Room, { scenario }: Exercise): boolean {
  return room.solo && [null, 'way'].includes(toldOf(scenario));
}

function taskStates(room: Room, exercise: Exercise, work: Work): TaskState[] {
  const all = tellsAll(room, exercise);
  const level = all ? 'way' : (givenExercise(room, work.exercise).settings.feedback ?? exercise.feedback);
  return shownChecks(exercise, work.handIns.length > 0).map((check) => {
    const plain = taskState(check, work, level);
    const state = { ...plain, given: plain.verdict === 'pass' && wasGiven(exercise, check, work) };
    const why = work.tasks[check.id]?.last.why;
    if (!all || !state.feedback || !why) return state;
    const diagnosis = { sentence: harmless(why.sentence), mend: why.mend === null ? null : harmless(why.mend) };
    return { ...state, feedback: { ...state.feedback, diagnosis } };
  });
}

/** Places of a lab that have a terminal: hosts, then containers that run. */
export function terminalsOf(room: Room, exercise: Exercise, work: Work): string[] {
  if (work.lab === null) return [];
  const containers = room.places.containers(work.lab).filter(({ state }) => state === 'running');
  return [...exercise.scenario.hosts.map(({ name }) => name), ...containers.map(({ host, name }) => `${host}/${name}`)];
}

/** What changes while a person works at an exercise. */
export function workView(room: Room, person: string, id: string): WorkView {
  const { book } = room;
  const { settings } = givenExercise(room, id);
  const exercise = exerciseFor(room, id, person);
  const work = workOf(book.state, person, id);
  const nameOf = (one: string): string => harmless(book.state.persons.get(one)?.name ?? one);
  const tasks = taskStates(room, exercise, work);
  const closes = closesAt(book.state, work, settings, exercise.timeMs);
  const until = takenUntil(book.state, work, settings, exercise.timeMs);
  return {
    exercise: id,
    now: new Date().toISOString(),
    version: book.state.n,
    lab: labView(room, work),
    terminals: terminalsOf(room, exercise, work),
    containers: work.lab === null ? [] : room.places.containers(work.lab),
    tasks,
    steps: stepStates(room, exercise, work),
    round: currentRound(
      room,
      work,
      tasks.map((task) => task.id),
    ),
    startedAt: work.startedAt,
    closesAt: instant(closes),
    late:
      settings.late !== null && closes !== null && until !== null && until > closes
        ? { until: new Date(until).toISOString(), factor: settings.late.factor }
        : null,
    handedIn: handInView(book.state, work, exercise, settings),
    help: helpView(room, work),
    typing: [...book.state.typing.values()]
      .filter((one) => one.person === person && one.exercise === id && one.state !== 'refused')
      .map(({ id: request, place, teacher, state }) => ({
        request,
        place,
        name: nameOf(teacher),
        state: state === 'allowed' ? 'allowed' : 'asked',
      })),
    lookers: [...room.looking]
      .filter((look) => look.whose === person && look.exercise === id && look.person !== person)
      .map(({ place, person: who }) => ({ place, name: nameOf(who) })),
    messages: book.state.messages
      .filter(({ to }) => to === 'all' || to.includes(person))
      .map(({ id: message, at, from, text }) => ({ id: message, at, from: nameOf(from), text: harmless(text) })),
  };
}
