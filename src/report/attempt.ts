import { isDeepStrictEqual } from 'node:util';
import { errorCatalogue, type ErrorCode } from '../errors.js';
import type { EngineState, PlannedItem, RunEvent } from '../model/events.js';
import { exitStatus, type Attachment, type Outcome } from '../model/verdict.js';
import {
  isGraverOrEqual,
  countedVerdict,
  isWarning,
  worstVerdict,
  type AttemptResult,
  type CodedProblem,
  type ItemResult,
  type LogLine,
  type PhaseResult,
  type RunState,
  type TimedTranscript,
  type Totals,
} from './run-model.js';

type EventOf<Type extends RunEvent['type']> = Extract<RunEvent, { type: Type }>;

/** What the record has of one attempt at a scenario, as its events come in. */
export interface OpenAttempt {
  start: EventOf<'scenario:start'>;
  /** The run had planned it, and nobody began it. */
  neverBegan: boolean;
  /** Items that were planned otherwise than they were begun, or not begun at all: the file was changed in between. */
  changed: Set<string>;
  ends: Map<string, EventOf<'item:end'>>;
  starts: Map<string, string>;
  transcripts: Map<string | null, TimedTranscript[]>;
  artifacts: Map<string | null, Attachment[]>;
  phases: PhaseResult[];
  engines: Map<string, EngineState>;
  isolation: AttemptResult['isolation'];
  logs: LogLine[];
  end: EventOf<'scenario:end'> | null;
  lastSeen: string;
}

export function openAttempt(start: EventOf<'scenario:start'>): OpenAttempt {
  return {
    start,
    neverBegan: false,
    changed: new Set(),
    ends: new Map(),
    starts: new Map(),
    transcripts: new Map(),
    artifacts: new Map(),
    phases: [],
    engines: new Map(),
    isolation: null,
    logs: [],
    end: null,
    lastSeen: start.t,
  };
}

/** A scenario that was planned, and of which nothing more was heard. */
export function neverBegun({ type: _, ...plan }: EventOf<'scenario:plan'>): OpenAttempt {
  return { ...openAttempt({ ...plan, type: 'scenario:start', attempt: 1 }), neverBegan: true };
}

/** Holds an attempt to what the run had planned: an item that was not begun as planned is reported as that, not left out. */
export function holdToPlan(attempt: OpenAttempt, { planned }: EventOf<'scenario:plan'>): void {
  const begun = new Map(attempt.start.planned.map((item) => [item.id, item]));
  for (const item of planned) if (!isDeepStrictEqual(item, begun.get(item.id))) attempt.changed.add(item.id);
  if (attempt.changed.size === 0) return;
  const ids = new Set(planned.map((item) => item.id));
  const more = attempt.start.planned.filter((item) => !ids.has(item.id));
  attempt.start = { ...attempt.start, planned: [...planned, ...more] };
}

export function noTotals(): Totals {
  return { planned: 0, reported: 0, pass: 0, fail: 0, inconclusive: 0, error: 0, skipped: 0 };
}

export function count(totals: Totals, item: ItemResult): void {
  totals.planned += 1;
  totals.reported += 1;
  if (isWarning(item)) totals.warned = (totals.warned ?? 0) + 1;
  else totals[item.outcome.verdict] += 1;
}

/** Exit status that a code stands for; an unknown code is the lab's fault, not the network's. */
export function exitOf(code: string): number {
  return Object.hasOwn(errorCatalogue, code) ? errorCatalogue[code as ErrorCode].exit : exitStatus.lab;
}

export function msBetween(from: string, to: string): number {
  const ms = Date.parse(to) - Date.parse(from);
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

export function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Takes one event of the scenario into its attempt; what cannot be is told to `odd`. */
export function addToAttempt(attempt: OpenAttempt, event: RunEvent, odd: (problem: CodedProblem) => void): void {
  attempt.lastSeen = event.t;
  switch (event.type) {
    case 'phase':
      addPhase(attempt.phases, event);
      break;
    case 'isolation':
      attempt.isolation = event.mode;
      break;
    case 'item:start':
      if (!attempt.starts.has(event.item)) attempt.starts.set(event.item, event.t);
      break;
    case 'item:end':
      addEnd(attempt, event, odd);
      break;
    case 'command':
      push(attempt.transcripts, event.item, { ...event.transcript, endedAt: event.t });
      forgetOldOutput(attempt.transcripts.get(event.item)!);
      break;
    case 'artifact':
      push(attempt.artifacts, event.item, event.attachment);
      break;
    case 'engine':
      attempt.engines.set(event.state.host, event.state);
      break;
    case 'log':
      attempt.logs.push({ t: event.t, level: event.level, text: event.text });
      break;
    case 'scenario:end':
      attempt.end = event;
      break;
    default:
      break;
  }
}

/** Characters of output that the model keeps of one item: a check that is tried for an hour has thousands of commands. */
const itemOutput = 8_000_000;
const outputSum = new WeakMap<TimedTranscript[], { chars: number; next: number }>();

function outputOf(transcript: TimedTranscript): number {
  return transcript.stdout.length + transcript.stderr.length;
}

/** Keeps the output of the first command and of the last ones; the record has all of it. */
function forgetOldOutput(transcripts: TimedTranscript[]): void {
  const sum = outputSum.get(transcripts) ?? { chars: 0, next: 1 };
  outputSum.set(transcripts, sum);
  sum.chars += outputOf(transcripts.at(-1)!);
  for (; sum.chars > itemOutput && sum.next < transcripts.length - 1; sum.next += 1) {
    const old = transcripts[sum.next]!;
    sum.chars -= outputOf(old);
    transcripts[sum.next] = { ...old, stdout: '', stderr: '' };
  }
}

function addEnd(attempt: OpenAttempt, event: EventOf<'item:end'>, odd: (problem: CodedProblem) => void): void {
  const what = `${event.scenario}: ${event.item}`;
  if (!attempt.start.planned.some((item) => item.id === event.item)) {
    odd({ code: 'NETRIG_INTERNAL', message: `${what} was reported but never planned` });
    return;
  }
  const before = attempt.ends.get(event.item);
  if (before) {
    odd({ code: 'NETRIG_INTERNAL', message: `${what} was reported twice; the worse verdict counts` });
    if (isGraverOrEqual(before.outcome.verdict, event.outcome.verdict)) return;
  }
  attempt.ends.set(event.item, event);
}

function addPhase(phases: PhaseResult[], event: Extract<RunEvent, { type: 'phase' }>): void {
  const host = event.host ?? null;
  const open = phases.find((p) => p.phase === event.phase && p.host === host && p.durationMs === null);
  if (event.state === 'start') {
    // A second start of an open phase is progress within it (a step of an image build), not another phase.
    if (open) open.text = event.text;
    else phases.push({ phase: event.phase, host, text: event.text, startedAt: event.t, durationMs: null });
    return;
  }
  if (open) {
    open.durationMs = event.durationMs ?? msBetween(open.startedAt, event.t);
    if (event.text !== '') open.text = event.text;
    return;
  }
  const durationMs = event.durationMs ?? 0;
  phases.push({
    phase: event.phase,
    host,
    text: event.text,
    startedAt: new Date(Date.parse(event.t) - durationMs).toISOString(),
    durationMs,
  });
}

/** How the run around an attempt ended, which decides what an item without an end in the record came to. */
export interface RunEnding {
  state: RunState;
  /** The run's own process; `null`: it never said that it ended. */
  pid: number | null;
}

interface AttemptEnding extends RunEnding {
  /** A later attempt at the scenario followed. */
  superseded: boolean;
  /** The lab broke, so that its items could not be decided. */
  broken: boolean;
  failedStep: PlannedItem | undefined;
}

/** Why an item has no end in the record. */
function concludedOutcome(open: OpenAttempt, item: PlannedItem, ending: AttemptEnding): Outcome {
  const error = open.end?.error ?? null;
  const began = open.starts.has(item.id);
  if (open.neverBegan && ending.state !== 'interrupted')
    return {
      verdict: 'error',
      reason:
        'planned, but its scenario was never begun: the process that was to run it died, or could not read the file',
    };
  if (error?.code === 'NETRIG_INTERRUPTED' || (open.end === null && ending.state === 'interrupted')) {
    return {
      verdict: 'skipped',
      reason: began
        ? 'the run was interrupted while this was under way'
        : 'the run was interrupted before this was reached',
    };
  }
  if (error && ending.broken) {
    return began
      ? { verdict: 'error', reason: `the lab broke while this was under way: ${error.code}: ${error.message}` }
      : { verdict: 'skipped', reason: `the lab broke before this was reached: ${error.code}` };
  }
  const { failedStep } = ending;
  if (failedStep && !began)
    return { verdict: 'skipped', reason: `because step ${failedStep.id} failed: ${failedStep.title}` };
  if (open.end !== null) return { verdict: 'error', reason: 'netrig ended the scenario without reporting this' };
  const when = began ? 'while this was under way' : 'before this was reached';
  if (!ending.superseded && ending.state === 'unfinished')
    return { verdict: 'error', reason: `the run ended without a word ${when}` };
  const { pid } = open.start;
  const who = pid === ending.pid ? 'netrig' : `the process that ran this scenario (pid ${pid})`;
  return { verdict: 'error', reason: `${who} died ${when}` };
}

function itemResult(open: OpenAttempt, planned: PlannedItem, ending: AttemptEnding): ItemResult {
  const ended = open.ends.get(planned.id);
  const outcome: Outcome = open.changed.has(planned.id)
    ? { verdict: 'error', reason: 'the file was changed after the run had planned this: it was not run as planned' }
    : (ended?.outcome ?? concludedOutcome(open, planned, ending));
  const startedAt =
    open.starts.get(planned.id) ??
    (ended && ended.durationMs > 0 ? new Date(Date.parse(ended.t) - ended.durationMs).toISOString() : null);
  const artifacts = [...(outcome.attachments ?? [])];
  for (const artifact of open.artifacts.get(planned.id) ?? []) {
    if (!artifacts.some((a) => a.file === artifact.file)) artifacts.push(artifact);
  }
  return {
    ...planned,
    outcome,
    concluded: ended === undefined,
    tries: ended?.attempts ?? 0,
    durationMs: ended?.durationMs ?? (startedAt ? msBetween(startedAt, open.lastSeen) : 0),
    startedAt,
    endedAt: ended?.t ?? null,
    transcripts: open.transcripts.get(planned.id) ?? [],
    artifacts,
    flaky: false,
  };
}

/** What an attempt came to, once no more events of it can come. */
export function closeAttempt(open: OpenAttempt, superseded: boolean, run: RunEnding): AttemptResult {
  const { start } = open;
  const error = open.end?.error ?? null;
  const broken = error !== null && exitOf(error.code) !== exitStatus.failed && error.code !== 'NETRIG_INTERRUPTED';
  const failedStep = start.planned.find((item) => {
    const verdict = open.ends.get(item.id)?.outcome.verdict;
    return item.kind === 'step' && verdict !== undefined && verdict !== 'pass' && verdict !== 'skipped';
  });
  const ending = { ...run, superseded, broken, failedStep };
  const items = start.planned.map((planned) => itemResult(open, planned, ending));
  const totals = noTotals();
  for (const item of items) count(totals, item);
  const known = new Set<string | null>(start.planned.map((item) => item.id));
  const died = open.end === null && run.state !== 'interrupted';
  const unsaid = died && items.every((item) => !item.concluded);
  return {
    attempt: start.attempt,
    pid: start.pid,
    startedAt: start.t,
    endedAt: open.end?.t ?? null,
    durationMs: open.end?.durationMs ?? msBetween(start.t, open.lastSeen),
    verdict: broken || died ? 'error' : worstVerdict(items.map(countedVerdict)),
    items,
    totals,
    phases: open.phases,
    isolation: open.isolation,
    transcripts: [...open.transcripts].filter(([id]) => !known.has(id)).flatMap(([, list]) => list),
    artifacts: [...open.artifacts].filter(([id]) => !known.has(id)).flatMap(([, list]) => list),
    engines: [...open.engines.values()],
    logs: open.logs,
    error: error ?? (unsaid ? { code: 'NETRIG_INTERNAL', message: 'the scenario never said that it ended' } : null),
    stays: open.end?.stays ?? null,
  };
}
