import type { Verdict } from '../model/verdict.js';
import type { ClassEvent, JudgedTask, RoundKind } from './events.js';
import { takeTasks, type KnownTask } from './tasks.js';
import { isSameValue, mostFound, type FoundValue } from './others-values.js';

export interface PersonState {
  id: string;
  name: string;
  role: 'student' | 'teacher' | 'solo';
  /** Hash of the code that lets them in; `null`: none was given out. */
  code: string | null;
  joined: boolean;
}

export interface TaskProgress {
  verdict: Verdict;
  /** Since when it has this verdict. */
  since: string;
  /** Rounds that judged it because the person asked. */
  tries: number;
  last: JudgedTask;
}

export interface Round {
  id: string;
  person: string;
  exercise: string;
  kind: RoundKind;
  tasks: string[];
  /** Minutes more that the person had when it was asked for: time that is taken back later makes nothing late. */
  moreMinutes: number;
  at: string;
  state: 'waiting' | 'judged' | 'broken';
  results: Record<string, JudgedTask>;
  /** A teacher's word on tasks of a hand-in that could not be judged. */
  decided: Record<string, { credit: boolean; why: string; by: string }>;
  message: string | null;
}

/** One person at one exercise. */
export interface Work {
  person: string;
  exercise: string;
  /** When the first lab was wanted. */
  startedAt: string | null;
  /** A lab is wanted, from that stage on; `null`: none is. */
  wanted: { stage: string | null; n: number } | null;
  /** Key of the lab that they have. */
  lab: string | null;
  /** The stage whose set-up their lab has; `null`: the first one's, or there are none. */
  stage: string | null;
  /** Why there is no lab, where one was wanted. */
  failed: string | null;
  /** It did not come up; else it was there and ended. */
  brokeMaking: boolean;
  tasks: Record<string, TaskProgress>;
  /** By task, at which stages the labs began on which it ever passed; `null`: at the very beginning. */
  passedFrom: Record<string, (string | null)[]>;
  hints: Record<string, string[]>;
  help: { since: string; note: string; n: number } | null;
  moreMinutes: number;
  /** Ids of rounds, the oldest first. */
  handIns: string[];
  /** When it was begun, or something turned green last. */
  progressAt: string | null;
  steps: Record<string, { ok: boolean; output: string }>;
  /** Hosts in whose terminals a step was typed since it was run last. */
  typed: Record<string, string[]>;
  /** Values of other students in lines that were typed. */
  others: FoundValue[];
  /** The host that is being made anew; `null`: none is. */
  resetting: string | null;
  /** What became of the last one, where it is not as it was. */
  resetFailed: { host: string; message: string } | null;
}

export interface LabState {
  key: string;
  exercise: string;
  /** Whose values it is made with; `null`: anybody's. */
  person: string | null;
  stage: string | null;
  /** netrig's id; `null` until it is up. */
  lab: string | null;
  state: 'making' | 'up' | 'ended' | 'failed';
  at: string;
}

export interface TypingRequest {
  id: string;
  teacher: string;
  person: string;
  exercise: string;
  place: string;
  state: 'asked' | 'allowed' | 'refused';
}

/** All that is known of a class: a reduction of its record. */
export interface ClassState {
  persons: Map<string, PersonState>;
  /** Hash of the token → person and when it was opened. */
  sessions: Map<string, { person: string; at: string }>;
  works: Map<string, Work>;
  rounds: Map<string, Round>;
  /** Rounds that are not judged yet, in the order in which they were asked for. */
  waiting: Set<Round>;
  labs: Map<string, LabState>;
  typing: Map<string, TypingRequest>;
  messages: { id: string; at: string; from: string; to: 'all' | string[]; text: string }[];
  /** Minutes that everybody got, by exercise. */
  moreForAll: Map<string, number>;
  /** By exercise: the tasks that it has, and those that it had once. */
  tasks: Map<string, KnownTask[]>;
  /** Exercises of whose tasks the record had nothing but their places when they were first written down. */
  byPlace: Set<string>;
  /** Number of the last event. */
  n: number;
}

export function emptyState(): ClassState {
  return {
    persons: new Map(),
    sessions: new Map(),
    works: new Map(),
    rounds: new Map(),
    waiting: new Set(),
    labs: new Map(),
    typing: new Map(),
    messages: [],
    moreForAll: new Map(),
    tasks: new Map(),
    byPlace: new Set(),
    n: 0,
  };
}

export function workKey(person: string, exercise: string): string {
  return `${person}\n${exercise}`;
}

function newWork(person: string, exercise: string): Work {
  return {
    person,
    exercise,
    startedAt: null,
    wanted: null,
    lab: null,
    stage: null,
    failed: null,
    brokeMaking: false,
    tasks: {},
    passedFrom: {},
    hints: {},
    help: null,
    moreMinutes: 0,
    handIns: [],
    progressAt: null,
    steps: {},
    typed: {},
    others: [],
    resetting: null,
    resetFailed: null,
  };
}

/** The work of a person at an exercise; a new one where nothing happened yet, which is not part of the state. */
export function workOf(state: ClassState, person: string, exercise: string): Work {
  return state.works.get(workKey(person, exercise)) ?? newWork(person, exercise);
}

function workIn(state: ClassState, person: string, exercise: string): Work {
  const key = workKey(person, exercise);
  let work = state.works.get(key);
  if (!work) state.works.set(key, (work = newWork(person, exercise)));
  return work;
}

type Of<Type extends ClassEvent['type']> = Extract<ClassEvent, { type: Type }>;
type Reducers = { [Type in ClassEvent['type']]: (state: ClassState, event: Of<Type>) => void };

const reducers: Reducers = {
  'class:started': () => undefined,
  'class:ended': () => undefined,
  'exercise:tasks'(state, { exercise, tasks }) {
    takeTasks(state, exercise, tasks);
  },
  'person:known'(state, { person, name, role }) {
    const before = state.persons.get(person);
    state.persons.set(person, { id: person, code: null, joined: false, ...before, name, role });
  },
  'person:code'(state, { person, code }) {
    const known = state.persons.get(person);
    if (known) known.code = code;
    // Who had the former one is let in no more.
    for (const [token, session] of state.sessions) if (session.person === person) state.sessions.delete(token);
  },
  'session:opened'(state, { person, token, t }) {
    state.sessions.set(token, { person, at: t });
    const known = state.persons.get(person);
    if (known) known.joined = true;
  },
  'session:closed'(state, { token }) {
    state.sessions.delete(token);
  },
  'lab:wanted'(state, { person, exercise, stage, n, t }) {
    const work = workIn(state, person, exercise);
    work.startedAt ??= t;
    work.progressAt ??= t;
    work.wanted = { stage, n };
    work.failed = null;
  },
  'lab:unwanted'(state, { person, exercise }) {
    workIn(state, person, exercise).wanted = null;
  },
  'lab:making'(state, { key, exercise, person, stage, t }) {
    state.labs.set(key, { key, exercise, person, stage, lab: null, state: 'making', at: t });
  },
  'lab:made'(state, { key, lab, t }) {
    const made = state.labs.get(key);
    if (made) Object.assign(made, { lab, state: 'up', at: t });
  },
  'lab:failed'(state, { key, message }) {
    const failed = state.labs.get(key);
    if (!failed) return;
    failed.state = 'failed';
    if (failed.person === null) return;
    const work = workIn(state, failed.person, failed.exercise);
    // The one that was wanted was this one, where it was not for the reserve.
    if (work.wanted && work.lab === null) Object.assign(work, { wanted: null, failed: message, brokeMaking: true });
  },
  'lab:given'(state, { key, person, t }) {
    const lab = state.labs.get(key);
    if (!lab) return;
    lab.person = person;
    const work = workIn(state, person, lab.exercise);
    Object.assign(work, { lab: key, stage: lab.stage, wanted: null, failed: null });
    // What was judged before was another lab.
    work.tasks = {};
    work.steps = {};
    work.typed = {};
    work.progressAt = t;
    work.resetting = null;
    work.resetFailed = null;
  },
  'host:resetting'(state, { person, exercise, key, host }) {
    const work = workIn(state, person, exercise);
    if (work.lab === key) Object.assign(work, { resetting: host, resetFailed: null });
  },
  'host:reset'(state, { person, exercise, key, host, steps, failed }) {
    const work = workIn(state, person, exercise);
    if (work.lab !== key) return;
    work.resetting = null;
    work.resetFailed = failed === null ? null : { host, message: failed };
    // What was judged before was another host.
    work.tasks = {};
    for (const step of steps) {
      delete work.steps[step];
      delete work.typed[step];
    }
  },
  'lab:ended'(state, { key, why, asked }) {
    const lab = state.labs.get(key);
    if (!lab) return;
    lab.state = 'ended';
    for (const work of state.works.values())
      if (work.lab === key)
        Object.assign(work, {
          lab: null,
          resetting: null,
          failed: work.wanted || asked ? null : why,
          brokeMaking: false,
        });
  },
  'round:asked'(state, { round, person, exercise, kind, tasks, t }) {
    const asked: Round = {
      id: round,
      person,
      exercise,
      kind,
      tasks,
      moreMinutes: moreMinutesOf(state, workIn(state, person, exercise)),
      at: t,
      state: 'waiting',
      results: {},
      decided: {},
      message: null,
    };
    state.rounds.set(round, asked);
    state.waiting.add(asked);
    if (kind === 'hand-in') workIn(state, person, exercise).handIns.push(round);
  },
  'round:judged'(state, { round, results, t }) {
    const known = state.rounds.get(round);
    if (!known) return;
    Object.assign(known, { state: 'judged', results });
    state.waiting.delete(known);
    takeIn(state, workIn(state, known.person, known.exercise), results, 1, t);
  },
  'round:broken'(state, { round, message }) {
    const known = state.rounds.get(round);
    if (!known) return;
    Object.assign(known, { state: 'broken', message });
    state.waiting.delete(known);
  },
  watched(state, { person, exercise, results, t }) {
    takeIn(state, workIn(state, person, exercise), results, 0, t);
  },
  'stage:reached'(state, { person, exercise, stage }) {
    workIn(state, person, exercise).stage = stage;
  },
  'hint:opened'(state, { person, exercise, task, text }) {
    const { hints } = workIn(state, person, exercise);
    if (!hints[task]?.includes(text)) hints[task] = [...(hints[task] ?? []), text];
  },
  'help:asked'(state, { person, exercise, note, n, t }) {
    const work = workIn(state, person, exercise);
    work.help = { since: work.help?.since ?? t, n: work.help?.n ?? n, note };
  },
  'help:ended'(state, { person, exercise }) {
    workIn(state, person, exercise).help = null;
  },
  'message:sent'(state, { id, from, to, text, t }) {
    state.messages.push({ id, at: t, from, to, text });
  },
  'time:given'(state, { to, exercise, minutes }) {
    if (to === 'all') state.moreForAll.set(exercise, (state.moreForAll.get(exercise) ?? 0) + minutes);
    else for (const person of to) workIn(state, person, exercise).moreMinutes += minutes;
  },
  'typing:asked'(state, { request, teacher, person, exercise, place }) {
    state.typing.set(request, { id: request, teacher, person, exercise, place, state: 'asked' });
  },
  'typing:answered'(state, { request, allow }) {
    const known = state.typing.get(request);
    if (known) known.state = allow ? 'allowed' : 'refused';
  },
  'terminal:joined': () => undefined,
  'others:typed'(state, { person, exercise, place, line, values, t }) {
    const { others } = workIn(state, person, exercise);
    for (const value of values)
      if (others.length < mostFound && !others.some((one) => isSameValue(one, value)))
        others.push({ ...value, at: t, where: `typed at ${place}`, text: line });
  },
  'step:run'(state, { person, exercise, step, ok, output }) {
    const work = workIn(state, person, exercise);
    work.steps[step] = { ok, output };
    delete work.typed[step];
  },
  'step:typed'(state, { person, exercise, step, on }) {
    const { typed } = workIn(state, person, exercise);
    if (!typed[step]?.includes(on)) typed[step] = [...(typed[step] ?? []), on];
  },
  decided(state, { round, task, credit, why, by }) {
    const known = state.rounds.get(round);
    if (known) known.decided[task] = { credit, why, by };
  },
};

function takeIn(state: ClassState, work: Work, results: Record<string, JudgedTask>, tries: 0 | 1, t: string): void {
  const begun = (work.lab === null ? undefined : state.labs.get(work.lab))?.stage ?? null;
  for (const [task, last] of Object.entries(results)) {
    const before = work.tasks[task];
    const same = before?.verdict === last.verdict;
    work.tasks[task] = {
      verdict: last.verdict,
      since: same ? before.since : t,
      tries: (before?.tries ?? 0) + tries,
      last,
    };
    if (last.verdict === 'pass') work.passedFrom[task] = [...new Set([...(work.passedFrom[task] ?? []), begun])];
    if (last.verdict === 'pass' && !same) work.progressAt = t;
  }
}

/** What a person got beyond the time of an exercise, alone and with everybody, minutes. */
export function moreMinutesOf({ moreForAll }: ClassState, { exercise, moreMinutes }: Work): number {
  return moreMinutes + (moreForAll.get(exercise) ?? 0);
}

/** Takes one event into the state. Events of types that a newer netrig writes are passed over. */
export function applyEvent(state: ClassState, event: ClassEvent): void {
  const reduce = reducers[event.type] as ((state: ClassState, event: ClassEvent) => void) | undefined;
  reduce?.(state, event);
  state.n = event.n;
}

export function stateOf(events: Iterable<ClassEvent>): ClassState {
  const state = emptyState();
  for (const event of events) applyEvent(state, event);
  return state;
}

/** Works that an event changes, as `person` and `exercise`; `all`: any may be. */
export function touched(state: ClassState, event: ClassEvent): 'all' | { person: string; exercise: string | null }[] {
  switch (event.type) {
    case 'exercise:tasks':
      return 'all';
    case 'message:sent':
    case 'time:given':
      return event.to === 'all' ? 'all' : event.to.map((person) => ({ person, exercise: null }));
    case 'round:judged':
    case 'round:broken':
    case 'decided': {
      const round = state.rounds.get(event.round);
      return round ? [{ person: round.person, exercise: round.exercise }] : [];
    }
    // The queue moves for everybody.
    case 'lab:wanted':
    case 'lab:unwanted':
    case 'lab:making':
    case 'lab:made':
    case 'lab:failed':
    case 'lab:given':
    case 'lab:ended':
    case 'round:asked':
    case 'help:asked':
    case 'help:ended':
      return 'all';
    case 'typing:answered': {
      const request = state.typing.get(event.request);
      return request ? [{ person: request.person, exercise: request.exercise }] : [];
    }
    default:
      return 'person' in event ? [{ person: event.person, exercise: 'exercise' in event ? event.exercise : null }] : [];
  }
}
