/**
 * What pages and server say to each other: a JSON API, one socket for live state, one socket a terminal. Types alone, so that
 * code for browsers and for Node can both read it. A class and `netrig play` speak the same: a guided lab is a class of one
 * person (`role: 'solo'`) with one exercise, no dates and no points.
 *
 * ## How a page gets in
 * A link is `/join#CODE` (80 bits; a fragment stays in the browser). The page sends it to `POST /api/join`, which sets a cookie
 * (HttpOnly, SameSite=Strict) and is answered with a `SessionView`. Without a valid cookie every other call is 401.
 *
 * ## Pages
 * Built pages lie in `dist/src/pages/`: `/` is `index.html` (student, solo), `/teacher` is `teacher.html`, `/join` is
 * `join.html`; scripts, styles and whatever else they need lie in its `assets/` and come as `/assets/…`. The policy of content
 * is `default-src 'none'`, with scripts, styles, fonts, images and sockets of the server itself (styles inline, too: a terminal
 * sets some), and no inline script.
 *
 * ## Requests
 * All bodies and answers are JSON. What changes something is POST with `content-type: application/json` and the header
 * `x-netrig: 1` (a form of another site can send neither). An answer that is not 2xx is an `ApiProblem`.
 *
 * ## Sockets
 * `POST /api/ticket` gives a ticket for one socket: it holds for 30 s, once. It goes into the list of subprotocols:
 * `new WebSocket(url, ['netrig.1', 'ticket.' + ticket])`. Where it is not good, the upgrade is refused (401); with another
 * Origin than the server's own 403.
 *
 * Texts that come from a lab or a person (`Untrusted`) may hold anything: set them as text, never as HTML. Only fields named
 * `html` are HTML, made by the server from the author's Markdown without raw HTML in it.
 */
import type { Cause, Hop, Verdict } from '../model/verdict.js';

export const apiVersion = 1;
export const socketProtocol = 'netrig.1';
export const ticketPrefix = 'ticket.';
/** What a page may have typed beyond what it was told is taken, bytes. The server ends the socket at twice as much. */
export const typedAhead = 64 * 1024;
/** What a teacher gives or takes back at once, minutes: ten days. */
export const mostMinutes = 14_400;

/** Text that may hold anything that a student, a host or a program wrote; control characters are taken away by the server. */
export type Untrusted = string;
/** ISO 8601, UTC. Compare with `now` of the same answer, not with the browser's clock. */
export type Instant = string;

/** Every route: method and path; `:exercise` is `ExerciseSummary.id`, `:person` is `PersonView.id`. */
export const routes = {
  join: '/api/join',
  leave: '/api/leave',
  session: '/api/session',
  exercise: '/api/exercises/:exercise',
  work: '/api/exercises/:exercise/work',
  lab: '/api/exercises/:exercise/lab',
  check: '/api/exercises/:exercise/check',
  handIn: '/api/exercises/:exercise/hand-in',
  hint: '/api/exercises/:exercise/hint',
  help: '/api/exercises/:exercise/help',
  typing: '/api/exercises/:exercise/typing',
  step: '/api/exercises/:exercise/step',
  stepTyped: '/api/exercises/:exercise/step-typed',
  trace: '/api/exercises/:exercise/trace',
  ticket: '/api/ticket',
  live: '/api/live',
  terminal: '/api/terminal',
  teacher: '/api/teacher',
  message: '/api/teacher/message',
  moreTime: '/api/teacher/time',
  resetFor: '/api/teacher/reset',
  endFor: '/api/teacher/end',
  askToType: '/api/teacher/typing',
  helped: '/api/teacher/helped',
  newLink: '/api/teacher/link',
  decide: '/api/teacher/decide',
  grades: '/api/teacher/grades',
  gradesWide: '/api/teacher/grades/wide.csv',
  gradesLong: '/api/teacher/grades/long.csv',
} as const;

/** What goes wrong, for every route. `code` is for programs, `message` for people: complete, with what to do. */
export interface ApiProblem {
  code: 'not-in' | 'not-allowed' | 'not-found' | 'not-now' | 'not-valid' | 'too-many' | 'other-origin' | 'failed';
  message: string;
  /** For `too-many`: when to try again, s. */
  retryAfter?: number;
}

/** `student` and `teacher` of a class; `solo`: one person with a guided lab, who sees and may do everything in it. */
export type Role = 'student' | 'teacher' | 'solo';

export interface PersonView {
  id: string;
  name: Untrusted;
}

/** POST join. */
export interface JoinRequest {
  code: string;
}

/** POST join, GET session. */
export interface SessionView {
  api: typeof apiVersion;
  role: Role;
  person: PersonView;
  /** Title of the class; of the scenario for `solo`. */
  title: string;
  exercises: ExerciseSummary[];
  now: Instant;
}

export interface ExerciseSummary {
  id: string;
  title: string;
  /** Points that can be had; `null` where nothing is graded (`solo`). */
  points: number | null;
  opensAt: Instant | null;
  /** For this person, with more time that was given; `null`: none. */
  closesAt: Instant | null;
  open: boolean;
  handedInAt: Instant | null;
}

// ---- one exercise: what does not change while one works at it

/** GET exercise. A teacher adds `?person=ID` to see it, and GET work, as that student does. */
export interface ExerciseView {
  exercise: ExerciseSummary;
  /** The exercise's text, with the person's own values in it. */
  html: string;
  stages: StageView[];
  /** Tasks that this person may know of, in the order of the file. Hidden ones are not among them. */
  tasks: TaskView[];
  /** Steps to run by a click: `solo` only, else empty. */
  steps: StepView[];
  topology: TopologyView;
  /** What `PointOfStart` may name, besides the beginning. */
  checkpoints: { stage: string; title: string }[];
  /** What this person may do here. */
  may: {
    /** Ask for a check at any time. */
    try: boolean;
    handIn: boolean;
    steps: boolean;
    trace: boolean;
    help: boolean;
    /** Begin one host again, alone. */
    resetHost: boolean;
  };
}

export interface StageView {
  id: string;
  title: string;
  html: string;
  tasks: string[];
  steps: string[];
}

export interface TaskView {
  id: string;
  title: string;
  /** One line: what is looked at, as far as the author shows it. */
  detail: string | null;
  html: string;
  stage: string | null;
  /** `null` where it is not graded. */
  points: number | null;
  /** True from the start: it must stay so. */
  guard: boolean;
  /** Hints are there to be asked for, so many. */
  hints: number;
  /** `solo`: claims of a tutorial beside what holds. */
  claims: ClaimView[];
}

/** A sentence of a tutorial, and what is true. */
export interface ClaimView {
  id: string;
  claim: string;
  holds: string | null;
  /** Where the claim stands. */
  source: string | null;
}

export interface StepView {
  id: string;
  title: string;
  html: string;
  stage: string | null;
  /** A host each; `typed`: it is what one would type there, else what the step does, in words. */
  commands: { on: string; command: string; typed: boolean }[];
  claims: ClaimView[];
}

/** Hosts and segments as planned; containers come with `WorkView.containers`. */
export interface TopologyView {
  hosts: { name: string; image: string; interfaces: { name: string; segment: string; address: string }[] }[];
  segments: { name: string; subnet: string; mtu?: number }[];
}

// ---- one exercise: what changes

/** GET work; POST lab, check, hand-in, hint, help, typing, step; and `work` of the live socket. */
export interface WorkView {
  exercise: string;
  now: Instant;
  /** Counts up with every change: of two, the one with the larger number is the newer. */
  version: number;
  lab: LabView;
  /** Places with a terminal: hosts first, then containers as `host/container`. */
  terminals: string[];
  containers: ContainerView[];
  tasks: TaskState[];
  /** Of `solo`. */
  steps: StepState[];
  /** A round of checks that waits or runs; `null`: none. */
  round: RoundView | null;
  startedAt: Instant | null;
  closesAt: Instant | null;
  /** Until when handing in is taken after that, and what it is multiplied by; `null`: not at all. */
  late: { until: Instant; factor: number } | null;
  handedIn: HandInView | null;
  help: HelpView | null;
  /** A teacher asks to type in a terminal of this lab, or may. */
  typing: TypingView[];
  /** Who looks on just now, a place each. */
  lookers: { place: string; name: Untrusted }[];
  messages: MessageView[];
}

export type LabView =
  | { state: 'none' }
  /** `place` 1: next. `of`: how many wait. */
  | { state: 'queued'; place: number; of: number }
  | { state: 'starting'; what: string }
  /** `resetting`: that host is being begun again. `resetFailed`: the last one is not as it was. */
  | {
      state: 'up';
      since: Instant;
      resetting: string | null;
      resetFailed: { host: string; message: Untrusted } | null;
    }
  /** `was`: it was there, and is no more; else it did not come up. */
  | { state: 'failed'; was: boolean; message: string };

export interface ContainerView {
  host: string;
  name: Untrusted;
  image: Untrusted;
  state: Untrusted;
  networks: { name: Untrusted; address: Untrusted }[];
  ports: Untrusted[];
}

/** `open`: never tried. Others as netrig's verdicts; `inconclusive` and `error`: not the student's doing, and no 0 points. */
export type TaskVerdict = 'open' | Verdict;

export interface TaskState {
  id: string;
  verdict: TaskVerdict;
  /** Since when it has this verdict; `null` while `open`. */
  since: Instant | null;
  /** It passes, and gives no points: the lab began at a later stage, and this one was done for the student. */
  given: boolean;
  /** Rounds in which it was judged because this person asked. */
  tries: number;
  /** What became of it, for those that did not pass, as far as the author lets it be known. */
  feedback: Feedback | null;
  /** Of one that passed and is about a figure, what was measured: `longest gap 3.01 s`. */
  measured: Untrusted | null;
  /** Hints that were opened, the oldest first. */
  hintsOpened: { html: string }[];
  /** Whether there is one more for what was seen last; `later`: there may be once something else is seen. */
  nextHint: 'now' | 'later' | 'none';
}

export interface Feedback {
  /** One sentence, what was seen; `null` where the author keeps it back. */
  reason: Untrusted | null;
  expected: Untrusted | null;
  seen: Untrusted | null;
  cause: Cause | null;
  /** The author's hint for this cause. */
  hintHtml: string | null;
  /** The way of the packet up to where it was stopped, where the author lets it be known. */
  way: Hop[] | null;
  /** Why it was stopped, and how to mend it: `solo`. */
  diagnosis: { sentence: Untrusted; mend: Untrusted | null } | null;
}

export interface StepState {
  id: string;
  /** `typed`: its command was put into the terminal of each of its hosts; what came of it is not known. */
  state: 'open' | 'running' | 'typed' | 'done' | 'failed';
  /** Hosts in whose terminals it was typed since it was run last. */
  typed: string[];
  /** What it wrote, or why it failed: head and tail. */
  output: Untrusted | null;
}

export interface RoundView {
  id: string;
  kind: 'try' | 'hand-in' | 'watch';
  /** Tasks that it is about, as far as this person may know of them. */
  tasks: string[];
  /** Rounds before this one; 0: it runs. */
  before: number;
  done: number;
  of: number;
}

/** What was handed in. Of several hand-ins the best counts, here as in the grades. */
export interface HandInView {
  /** How often it was handed in. */
  times: number;
  /** When it was handed in last. */
  lastAt: Instant;
  /** The last one is not judged yet. */
  judging: boolean;
  /** The one that counts so far; `null`: none was judged yet. */
  counts: {
    /** The how manieth it was, from 1. */
    nth: number;
    at: Instant;
    late: boolean;
    points: number;
    /** How they came about, one sentence, where guards took something off; else `''`. */
    sum: string;
    /** Checks of it that could not be judged: a teacher looks at them. */
    undecided: number;
  } | null;
  of: number;
}

export interface HelpView {
  since: Instant;
  note: Untrusted;
  /** How many asked earlier. */
  before: number;
}

export interface TypingView {
  request: string;
  place: string;
  name: Untrusted;
  state: 'asked' | 'allowed';
}

export interface MessageView {
  id: string;
  at: Instant;
  from: Untrusted;
  text: Untrusted;
}

/** From where a lab begins. */
export interface LabRequest {
  do: 'start' | 'reset' | 'end';
  /** With `reset`: the state at the beginning of that stage. Left out: the very beginning. */
  stage?: string;
  /** With `reset`: this host alone, as it was when the lab began, with the set-up of stages that were reached since. */
  host?: string;
}

/** POST check. Left out: all tasks. A round that waits already is answered, not doubled. */
export interface CheckRequest {
  tasks?: string[];
}

/** POST hint: opens the next hint of a task. */
export interface HintRequest {
  task: string;
}

export interface HelpRequest {
  /** `false` takes it back. */
  wanted: boolean;
  /** At most 500 characters. */
  note?: string;
}

/** POST typing: the student's word on a teacher's request, also to end what was allowed. */
export interface TypingAnswer {
  request: string;
  allow: boolean;
}

/** POST step: `solo`. With `upTo` all up to it are run that were neither run nor typed. */
export interface StepRequest {
  step: string;
  upTo?: boolean;
}

/** POST step-typed: `solo`. The page put its command into the terminal of that host. */
export interface StepTypedRequest {
  step: string;
  on: string;
}

/** POST trace: the way of one packet. */
export interface TraceRequest {
  from: string;
  to: string;
  tcp?: number;
  udp?: number;
  dns?: string;
}

export interface TraceView {
  answered: boolean;
  /** One sentence. */
  sentence: Untrusted;
  way: Hop[];
  back: Hop[];
  mend: Untrusted | null;
}

// ---- sockets

/** POST ticket. */
export type TicketRequest =
  | { for: 'live' }
  /** `person`: whose lab, of a teacher. `look`: what is typed is dropped. A teacher may `type` once the student said yes. */
  | { for: 'terminal'; exercise: string; place: string; mode: 'type' | 'look'; person?: string };

export interface TicketView {
  ticket: string;
  /** From now, s. */
  holdsFor: number;
}

/**
 * GET live, upgraded. The server begins with what holds now (`session`, then `work` of each exercise of a student that was begun;
 * `class` for a teacher), then sends each change, whole. Nothing is to be sent to it.
 */
export type LiveMessage =
  | { type: 'session'; session: SessionView }
  | { type: 'work'; work: WorkView }
  | { type: 'class'; class: ClassView }
  /** The server ends: come again, with a new ticket, after a second; `over`: there is nothing to come to any more. */
  | { type: 'bye'; over: boolean };

/**
 * GET terminal, upgraded; `?cols=C&rows=R` is the size of a new shell. `&from=N&shell=ID` after a break goes on at byte N of the
 * output of that shell.
 *
 * Output has numbers: its bytes are counted from 0 for each shell. A binary frame of the server begins with the number of its
 * first byte (8 bytes, unsigned, big-endian), the bytes follow. A page writes bytes from its own number on, and drops what it
 * has; it never meets a gap, because where the server has no longer all, `screen` comes first and sets the number anew.
 *
 * A binary frame of the page is what was typed; `taken` says how much of it the host has. Text frames are JSON.
 */
export type TerminalFromServer =
  /** First of all. `shell` other than the one asked for: it is a new one, its output begins anew. */
  | { type: 'open'; shell: string; cols: number; rows: number; mode: 'type' | 'look' }
  /** Clear, write `data`, go on at byte `at`. */
  | { type: 'screen'; at: number; cols: number; rows: number; data: Untrusted }
  /** So many of the bytes that this socket typed are taken, in all. */
  | { type: 'taken'; bytes: number }
  /** Somebody else changed the size. */
  | { type: 'size'; cols: number; rows: number }
  /** Whether what is typed here is taken. */
  | { type: 'mode'; mode: 'type' | 'look' }
  /** The shell ended; a new socket begins another. `gone`: the lab is no more. */
  | { type: 'ended'; why: 'exited' | 'lost' | 'gone'; message: string };

export type TerminalToServer =
  /** Bytes up to this number are on the screen. The server sends at most 128 KiB beyond it: without it, output stops. */
  { type: 'ack'; at: number } | { type: 'size'; cols: number; rows: number };

// ---- the teacher

/** GET teacher; `class` of the live socket. */
export interface ClassView {
  title: string;
  now: Instant;
  version: number;
  exercises: (ExerciseSummary & {
    tasks: { id: string; title: string; points: number; stage: string | null; guard: boolean; hidden: boolean }[];
    /** Hosts that can be begun again, alone; empty: none can. */
    hosts: string[];
  })[];
  students: StudentRow[];
  /** `stalled`: nothing can be written down, for the disk is full; labs go on once there is room. */
  labs: { up: number; starting: number; reserve: number; queued: number; limit: number; stalled: boolean };
  /** Checks whose verdict is no verdict: a person decides. */
  undecided: UndecidedView[];
}

export interface StudentRow {
  person: PersonView;
  joined: boolean;
  /** A page of theirs is open. */
  online: boolean;
  work: {
    exercise: string;
    lab: LabView['state'];
    /** A lab was wanted once, or more than that. */
    begun: boolean;
    /** The host that is being begun again. */
    resetting: string | null;
    /** Why there is no lab although one was wanted, or which host of it is not as it was; `null`: neither. */
    trouble: Untrusted | null;
    /** Terminals that can be looked at. */
    places: string[];
    closesAt: Instant | null;
    handedIn: HandInView | null;
    help: HelpView | null;
    /** Since when nothing turned green while they work, ms; `null`: done, or not begun. */
    stuckMs: number | null;
    points: number;
    of: number;
    /** By id of the task, hidden ones too. */
    tasks: Record<
      string,
      {
        verdict: TaskVerdict;
        given: boolean;
        since: Instant | null;
        tries: number;
        hints: number;
        reason: Untrusted | null;
      }
    >;
    /** Values that were drawn for other students and turned up in this work: a sign of copying. They take no points. */
    others: { value: string; parameter: string; student: PersonView; where: Untrusted; text: Untrusted; at: Instant }[];
  }[];
}

export interface UndecidedView {
  id: string;
  person: PersonView;
  exercise: string;
  task: string;
  title: string;
  at: Instant;
  /** The how manieth hand-in of how many of this student. */
  nth: number;
  of: number;
  reason: Untrusted;
  /** The same for all that are about the same thing, whoever handed in: one word may answer them all. */
  about: Untrusted;
}

/** `'all'`, or ids of persons. */
export type Audience = 'all' | string[];

export interface MessageRequest {
  to: Audience;
  /** At most 2000 characters. */
  text: string;
}
export interface MoreTimeRequest {
  to: Audience;
  exercise: string;
  /** Whole ones, at most `mostMinutes`; below 0 takes time back; not 0. */
  minutes: number;
}
export interface ResetForRequest {
  person: string;
  exercise: string;
  stage?: string;
  /** This host alone. */
  host?: string;
}
/** POST endFor: the student's lab of that exercise is taken down, and its place is free for others. What was handed in stays. */
export interface EndForRequest {
  person: string;
  exercise: string;
}
export interface AskToTypeRequest {
  person: string;
  exercise: string;
  place: string;
}
/** POST newLink: the student's former link is good no more, and their pages are cut off. */
export interface NewLinkRequest {
  person: string;
}
/** The link is `/join#CODE` at the server's address. It is told this once, and stands in the class's file of links. */
export interface NewLinkView {
  code: string;
}
/** POST helped: takes a student's request for help off the list. */
export interface HelpedRequest {
  person: string;
  exercise: string;
}
/** POST decide: a teacher's word where no verdict could be had; for several at once, all of them or none. */
export interface DecideRequest {
  /** `UndecidedView.id`. */
  id: string | string[];
  credit: boolean;
  why: string;
}

/** GET grades. */
export interface GradesView {
  exercises: { id: string; title: string; of: number }[];
  rows: {
    person: PersonView;
    exercises: Record<
      string,
      { points: number; of: number; undecided: number; handedInAt: Instant | null; late: boolean }
    >;
  }[];
}
