import type { WebSocket } from 'ws';
import type { LiveMessage } from './api.js';
import { classView } from './class-view.js';
import type { Room } from './room.js';
import { touched } from './state.js';
import { sessionView, workView } from './work-view.js';

/** Live state to all pages: what changed, whole, and not oftener than anybody can look. */
export interface Hub {
  join(socket: WebSocket, person: string): void;
  /** Something changed that no event tells. */
  changed(person: string | null, exercise: string | null): void;
  /** @param over The class has ended, not only its server. */
  close(over: boolean): void;
}

/** Between two messages of a page, ms: changes that come together are told together. */
const studentMs = 150;
const teacherMs = 500;
/** A teacher’s table is told anew this often, ms, so that what counts up in it is right. */
const tableMs = 10_000;
/** A page that takes nothing gets nothing new until it has taken this, bytes. */
const mostBuffered = 1024 * 1024;

interface Page {
  socket: WebSocket;
  person: string;
  teacher: boolean;
  /** Exercises to tell of; `null` for the whole of them. */
  dirty: Set<string> | null;
  timer: NodeJS.Timeout | null;
  told: number;
}

export function createHub(room: Room): Hub {
  const pages = new Set<Page>();

  const send = (page: Page, message: LiveMessage): void => {
    if (page.socket.readyState === page.socket.OPEN) page.socket.send(JSON.stringify(message));
  };

  const tell = (page: Page): void => {
    page.timer = null;
    if (page.socket.bufferedAmount > mostBuffered) return later(page);
    page.told = performance.now();
    const { dirty } = page;
    page.dirty = new Set();
    if (page.teacher) return send(page, { type: 'class', class: classView(room, page.person) });
    if (dirty === null) {
      const person = room.book.state.persons.get(page.person);
      if (person) send(page, { type: 'session', session: sessionView(room, person) });
    }
    const begun = [...room.book.state.works.values()].filter(({ person }) => person === page.person);
    const exercises = dirty === null ? begun.map(({ exercise }) => exercise) : [...dirty];
    for (const exercise of exercises) send(page, { type: 'work', work: workView(room, page.person, exercise) });
  };

  const later = (page: Page): void => {
    if (page.timer) return;
    const pause = page.teacher ? teacherMs : studentMs;
    page.timer = setTimeout(() => tell(page), Math.max(20, page.told + pause - performance.now()));
  };

  const mark = (page: Page, exercise: string | null): void => {
    if (exercise === null) page.dirty = null;
    else page.dirty?.add(exercise);
    later(page);
  };

  const changed = (person: string | null, exercise: string | null): void => {
    for (const page of pages) {
      if (page.teacher) mark(page, null);
      else if (person === null || person === page.person) mark(page, exercise);
    }
  };

  room.book.onEvent((event) => {
    if (pages.size === 0) return;
    const works = touched(room.book.state, event);
    if (works === 'all') changed(null, null);
    else for (const { person, exercise } of works) changed(person, exercise);
  });
  room.onChange(changed);
  const timer = setInterval(() => {
    for (const page of pages) if (page.teacher) later(page);
  }, tableMs).unref();

  return {
    join(socket, person) {
      const teacher = room.book.state.persons.get(person)?.role === 'teacher';
      const page: Page = { socket, person, teacher, dirty: null, timer: null, told: -Infinity };
      pages.add(page);
      socket.on('message', () => socket.close(1008));
      socket.on('close', () => {
        pages.delete(page);
        if (page.timer) clearTimeout(page.timer);
      });
      if (teacher) {
        const self = room.book.state.persons.get(person);
        if (self) send(page, { type: 'session', session: sessionView(room, self) });
      }
      tell(page);
    },
    changed,
    close(over) {
      clearInterval(timer);
      for (const page of pages) send(page, { type: 'bye', over });
    },
  };
}
