import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { CheckRequest, ClassView, ExerciseView, SessionView, WorkView } from '../classroom/api.js';
import { ask, followLive, pathOf, Refusal, send } from './server.js';

/** What a page knows. Everything in it came from the server; nothing is guessed ahead of its answer. */
export interface PageState {
  session: SessionView | null;
  /** By exercise. */
  work: Readonly<Record<string, WorkView>>;
  class: ClassView | null;
  connected: boolean;
  /** The class has ended: what is shown is how it was then. */
  over: boolean;
  /** `true`: this person is not in (any more). */
  out: boolean;
  /** The last thing that did not go as asked, for people. */
  problem: string | null;
  /** The last thing that was done as asked, or came about, for people; `at`: so that the same words twice are news twice. */
  done: { words: string; at: number } | null;
}

export interface Page extends PageState {
  /** Takes in what a call answered, unless the live socket was quicker. */
  take(work: WorkView): void;
  /**
   * Does what a person asked for, and tells of it when it goes wrong.
   *
   * @param as What it is, told before what went wrong; and what is told when it is done.
   */
  doing(what: Promise<unknown>, as?: { what?: string; done?: string }): void;
  /** Tells what came about. */
  tell(words: string): void;
  /** Has one task looked at. */
  checkOf(work: WorkView, task: string): () => void;
  forget(): void;
}

const nothing: PageState = {
  session: null,
  work: {},
  class: null,
  connected: false,
  over: false,
  out: false,
  problem: null,
  done: null,
};

function newer(state: PageState, work: WorkView): PageState {
  const known = state.work[work.exercise];
  return known !== undefined && known.version > work.version
    ? state
    : { ...state, work: { ...state.work, [work.exercise]: work } };
}

export function usePage(): Page {
  const [state, setState] = useState(nothing);
  useEffect(
    () =>
      followLive({
        connected: (connected) => setState((was) => ({ ...was, connected })),
        over: () => setState((was) => ({ ...was, connected: false, over: true })),
        out: () => setState((was) => ({ ...was, out: true })),
        message: (message) => {
          if (message.type === 'session') setState((was) => ({ ...was, session: message.session }));
          else if (message.type === 'work') setState((was) => newer(was, message.work));
          else if (message.type === 'class') setState((was) => ({ ...was, class: message.class }));
        },
      }),
    [],
  );
  const take = useCallback((work: WorkView) => setState((was) => newer(was, work)), []);
  const tell = useCallback((words: string) => setState((was) => ({ ...was, done: { words, at: Date.now() } })), []);
  const doing = useCallback((what: Promise<unknown>, as: { what?: string; done?: string } = {}) => {
    what.then(
      () =>
        setState((was) => ({
          ...was,
          problem: null,
          // What was done before is no news any more.
          done: as.done === undefined ? null : { words: as.done, at: Date.now() },
        })),
      (error: unknown) => {
        if (error instanceof Refusal && error.problem.code === 'not-in')
          return setState((was) => ({ ...was, out: true }));
        const why = error instanceof Error ? error.message : String(error);
        setState((was) => ({ ...was, problem: as.what === undefined ? why : `${as.what}: ${why}`, done: null }));
      },
    );
  }, []);
  const checkOf = useCallback(
    (work: WorkView, task: string) => () => {
      const request: CheckRequest = { tasks: [task] };
      doing(send<WorkView>(pathOf('check', { exercise: work.exercise }), request).then(take));
    },
    [doing, take],
  );
  const forget = useCallback(() => setState((was) => ({ ...was, problem: null, done: null })), []);
  return { ...state, take, doing, tell, checkOf, forget };
}

/** An exercise with its texts and tasks, and its work where there is none from the socket yet. */
export function useExercise(page: Page, id: string | null): ExerciseView | null {
  const [view, setView] = useState<ExerciseView | null>(null);
  const { take, doing } = page;
  useEffect(() => {
    setView(null);
    if (id === null) return;
    let current = true;
    doing(
      ask<ExerciseView>(pathOf('exercise', { exercise: id })).then((answer) => {
        if (current) setView(answer);
      }),
    );
    doing(ask<WorkView>(pathOf('work', { exercise: id })).then(take));
    return () => {
      current = false;
    };
  }, [id, take, doing]);
  return view;
}

/** The server's time, ms since 1970, each second; the browser's own clock may be wrong by hours. */
export function useServerTime(now: string | undefined): number {
  const offset = useRef(0);
  const [time, setTime] = useState(() => Date.now());
  useEffect(() => {
    if (now !== undefined) offset.current = Date.parse(now) - Date.now();
    const tick = (): void => setTime(Date.now() + offset.current);
    tick();
    const timer = window.setInterval(tick, 1000);
    return () => window.clearInterval(timer);
  }, [now]);
  return time;
}
