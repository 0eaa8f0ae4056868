import { errorCatalogue, type ErrorCode } from '../errors.js';
import type { EngineState, PhaseName, PlannedItem, RunEvent, Topology, Transcript } from '../model/events.js';
import { exitStatus, verdicts, type Attachment, type Outcome, type Verdict } from '../model/verdict.js';

/** A transcript with the time at which the command ended (ISO 8601). */
export type TimedTranscript = Transcript & { endedAt: string };

/** One planned step or check, with what it came to. There is one for every planned item, whatever happened to the run. */
export interface ItemResult extends PlannedItem {
  outcome: Outcome;
  /** The outcome was not reported by the run but concluded from how the run ended: never reached, or the process died. */
  concluded: boolean;
  /** How often the item itself was tried within one attempt at the scenario; 0 when it never ran. */
  tries: number;
  durationMs: number;
  startedAt: string | null;
  endedAt: string | null;
  transcripts: TimedTranscript[];
  artifacts: Attachment[];
  /** Another attempt at the scenario gave this item another verdict (skipped does not count). */
  flaky: boolean;
}

export interface PhaseResult {
  phase: PhaseName;
  host: string | null;
  text: string;
  startedAt: string;
  /** `null`: began and never ended. */
  durationMs: number | null;
}

export interface LogLine {
  t: string;
  level: 'info' | 'warn' | 'error';
  text: string;
}

export type Totals = Record<Verdict, number> & { planned: number; reported: number };

export interface CodedProblem {
  code: string;
  message: string;
}

/** One attempt at a scenario. */
export interface AttemptResult {
  /** 1-based. */
  attempt: number;
  pid: number;
  startedAt: string;
  /** `null`: the scenario never said that it ended. */
  endedAt: string | null;
  durationMs: number;
  /** The worst of its items' verdicts (error, fail, inconclusive, pass, skipped), or `error` when the lab broke. */
  verdict: Verdict;
  items: ItemResult[];
  totals: Totals;
  phases: PhaseResult[];
  /** Commands that belong to no item: provisioning, tear-down. */
  transcripts: TimedTranscript[];
  artifacts: Attachment[];
  engines: EngineState[];
  logs: LogLine[];
  error: CodedProblem | null;
}

export interface ScenarioResult {
  /** The scenario's name with matrix values; unique in the run. */
  id: string;
  file: string;
  title: string;
  description: string;
  tags: string[];
  covers: string[];
  matrix: Record<string, string>;
  provider: string;
  topology: Topology;
  /** The attempt that counts: the last one. */
  last: AttemptResult;
  /** Attempts before the last one, oldest first. */
  earlier: AttemptResult[];
  /** Attempts came to different verdicts. */
  flaky: boolean;
  verdict: Verdict;
}

/** `complete`: the run said that it ended. `unfinished`: it was killed, or is still running. */
export type RunState = 'complete' | 'interrupted' | 'unfinished';

export interface RunModel {
  netrig: string;
  node: string;
  kernel: string;
  argv: string[];
  cwd: string;
  startedAt: string | null;
  endedAt: string | null;
  durationMs: number;
  state: RunState;
  scenarios: ScenarioResult[];
  /** Over the last attempts of all scenarios. */
  totals: Totals;
  /** Steps and checks apart, for people who count checks only. */
  checks: Totals;
  /** Skip reasons with how many items have them, most first. */
  skipReasons: { reason: string; count: number }[];
  flaky: number;
  /** What is wrong with the run as a whole: lab errors, a torn record, nothing ran. */
  problems: CodedProblem[];
  logs: LogLine[];
  exitCode: number;
}

interface OpenAttempt {
  start: Extract<RunEvent, { type: 'scenario:start' }>;
  ends: Map<string, Extract<RunEvent, { type: 'item:end' }>>;
  starts: Map<string, string>;
  transcripts: Map<string | null, TimedTranscript[]>;
  artifacts: Map<string | null, Attachment[]>;
  phases: PhaseResult[];
  engines: Map<string, EngineState>;
  logs: LogLine[];
  end: Extract<RunEvent, { type: 'scenario:end' }> | null;
  lastSeen: string;
}

const severity: readonly Verdict[] = ['error', 'fail', 'inconclusive', 'pass', 'skipped'];

/** The verdict that decides for a group: error before fail, inconclusive, pass, skipped. `skipped` for none at all. */
export function worstVerdict(all: Iterable<Verdict>): Verdict {
  let worst = severity.length - 1;
  for (const verdict of all) worst = Math.min(worst, severity.indexOf(verdict));
  return severity[worst] ?? 'skipped';
}

function noTotals(): Totals {
  return { planned: 0, reported: 0, pass: 0, fail: 0, inconclusive: 0, error: 0, skipped: 0 };
}

function count(totals: Totals, item: ItemResult): void {
  totals.planned += 1;
  totals.reported += 1;
  totals[item.outcome.verdict] += 1;
}

/** Exit status that a code stands for; an unknown code is the lab's fault, not the network's. */
function exitOf(code: string): number {
  return code in errorCatalogue ? errorCatalogue[code as ErrorCode].exit : exitStatus.lab;
}

function msBetween(from: string, to: string): number {
  const ms = Date.parse(to) - Date.parse(from);
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

export interface RunReducer {
  add(event: RunEvent): void;
  /** What the events so far come to. May be called more than once. */
  result(options?: { tornLines?: number }): RunModel;
}

/**
 * Turns the events of a run into what reports show. Pure: the same events give the same model.
 *
 * Planned equals reported by construction: each planned item has exactly one outcome in the model. One that the record
 * holds no end of is `skipped` when the run says why it was not reached (a failed step, a lab error, an interruption) and
 * `error` when it does not (its process died, or the record is torn).
 */
export function createRunReducer(): RunReducer {
  let start: Extract<RunEvent, { type: 'run:start' }> | null = null;
  let end: Extract<RunEvent, { type: 'run:end' }> | null = null;
  let firstSeen: string | null = null;
  let lastSeen: string | null = null;
  const attempts = new Map<string, OpenAttempt[]>();
  /** Events of a scenario that came before its `scenario:start` (an image that had to be built first). */
  const early = new Map<string, RunEvent[]>();
  const runLogs: LogLine[] = [];
  const oddities: CodedProblem[] = [];

  const toAttempt = (attempt: OpenAttempt, event: RunEvent): void => {
    attempt.lastSeen = event.t;
    switch (event.type) {
      case 'phase':
        addPhase(attempt.phases, event);
        break;
      case 'item:start':
        if (!attempt.starts.has(event.item)) attempt.starts.set(event.item, event.t);
        break;
      case 'item:end': {
        const known = attempt.start.planned.some((item) => item.id === event.item);
        if (!known) {
          oddities.push({
            code: 'NETRIG_INTERNAL',
            message: `${event.scenario}: ${event.item} was reported but never planned`,
          });
          break;
        }
        const before = attempt.ends.get(event.item);
        if (before) {
          oddities.push({
            code: 'NETRIG_INTERNAL',
            message: `${event.scenario}: ${event.item} was reported twice; the worse verdict counts`,
          });
          if (severity.indexOf(before.outcome.verdict) <= severity.indexOf(event.outcome.verdict)) break;
        }
        attempt.ends.set(event.item, event);
        break;
      }
      case 'command':
        push(attempt.transcripts, event.item, { ...event.transcript, endedAt: event.t });
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
  };

  const add = (event: RunEvent): void => {
    firstSeen ??= event.t;
    lastSeen = event.t;
    switch (event.type) {
      case 'run:start':
        start ??= event;
        return;
      case 'run:end':
        end = event;
        return;
      case 'scenario:start': {
        const attempt: OpenAttempt = {
          start: event,
          ends: new Map(),
          starts: new Map(),
          transcripts: new Map(),
          artifacts: new Map(),
          phases: [],
          engines: new Map(),
          logs: [],
          end: null,
          lastSeen: event.t,
        };
        push(attempts, event.scenario, attempt);
        const waiting = early.get(event.scenario) ?? [];
        early.delete(event.scenario);
        for (const earlier of waiting) toAttempt(attempt, earlier);
        return;
      }
      case 'log':
        if (event.scenario === null) {
          runLogs.push({ t: event.t, level: event.level, text: event.text });
          return;
        }
        break;
      default:
        break;
    }
    const scenario = event.scenario;
    if (scenario === null) return;
    const open = attempts.get(scenario)?.at(-1);
    if (open) toAttempt(open, event);
    else push(early, scenario, event);
  };

  const result = (options: { tornLines?: number } = {}): RunModel => {
    const state: RunState = end === null ? 'unfinished' : end.interrupted ? 'interrupted' : 'complete';
    const problems: CodedProblem[] = [...oddities];
    const scenarios: ScenarioResult[] = [];
    for (const [id, list] of attempts) {
      const results = list.map((attempt, index) =>
        closeAttempt(attempt, index < list.length - 1, state, end?.pid ?? null),
      );
      const last = results.at(-1) as AttemptResult;
      const earlier = results.slice(0, -1);
      for (const item of last.items) {
        const seen = new Set([
          item.outcome.verdict,
          ...earlier.map((a) => a.items.find((i) => i.id === item.id)?.outcome.verdict ?? 'skipped'),
        ]);
        seen.delete('skipped');
        item.flaky = seen.size > 1;
      }
      const { start: s } = list.at(-1) as OpenAttempt;
      scenarios.push({
        id,
        file: s.file,
        title: s.title,
        description: s.description,
        tags: s.tags,
        covers: s.covers,
        matrix: s.matrix,
        provider: s.provider,
        topology: s.topology,
        last,
        earlier,
        flaky: earlier.some((a) => a.verdict !== last.verdict) || last.items.some((item) => item.flaky),
        verdict: last.verdict,
      });
      if (last.error && exitOf(last.error.code) !== exitStatus.failed)
        problems.push({ code: last.error.code, message: `${id}: ${last.error.message}` });
    }
    for (const [id, events] of early) {
      const ended = events.find((event) => event.type === 'scenario:end');
      if (ended?.type === 'scenario:end' && ended.error)
        problems.push({ code: ended.error.code, message: `${id}: ${ended.error.message}` });
      else
        problems.push({
          code: 'NETRIG_INTERNAL',
          message: `${id}: the record has ${events.length} event(s) of a scenario that it never saw start`,
        });
    }

    const totals = noTotals();
    const checks = noTotals();
    const reasons = new Map<string, number>();
    let flaky = 0;
    for (const scenario of scenarios) {
      for (const item of scenario.last.items) {
        count(totals, item);
        if (item.kind === 'check') count(checks, item);
        if (item.outcome.verdict === 'skipped')
          reasons.set(item.outcome.reason, (reasons.get(item.outcome.reason) ?? 0) + 1);
        if (item.flaky) flaky += 1;
      }
    }

    const torn = options.tornLines ?? 0;
    if (torn > 0)
      problems.push({
        code: 'NETRIG_REPORT_WRITE',
        message: `${torn} line(s) of the record are torn and were left out`,
      });
    if (state === 'unfinished') {
      problems.push({
        code: 'NETRIG_INTERNAL',
        message: 'The run never said that it ended: its process was killed, or it is still running',
      });
    }
    if (state === 'interrupted' && !problems.some((p) => p.code === 'NETRIG_INTERRUPTED')) {
      problems.push({ code: 'NETRIG_INTERRUPTED', message: errorCatalogue.NETRIG_INTERRUPTED.meaning });
    }
    // Steps prove nothing by themselves: only a check that was decided does. Said where nothing else says already why not.
    const explained = problems.length > 0 || totals.fail + totals.inconclusive + totals.error > 0;
    if (checks.planned === checks.skipped && !explained) {
      problems.push({ code: 'NETRIG_NOTHING_RAN', message: errorCatalogue.NETRIG_NOTHING_RAN.meaning });
    }

    return {
      netrig: start?.netrig ?? '',
      node: start?.node ?? '',
      kernel: start?.kernel ?? '',
      argv: start?.argv ?? [],
      cwd: start?.cwd ?? '',
      startedAt: start?.t ?? firstSeen,
      endedAt: end?.t ?? lastSeen,
      durationMs:
        end?.durationMs ?? (firstSeen !== null && lastSeen !== null ? msBetween(start?.t ?? firstSeen, lastSeen) : 0),
      state,
      scenarios,
      totals,
      checks,
      skipReasons: [...reasons].map(([reason, n]) => ({ reason, count: n })).sort((a, b) => b.count - a.count),
      flaky,
      problems,
      logs: runLogs,
      exitCode: exitCodeOf(state, totals, problems),
    };
  };

  return { add, result };
}

/** 130 before 3 (lab, provider or netrig broke) before 2 before 1 (failed, inconclusive, nothing ran) before 0. */
function exitCodeOf(state: RunState, totals: Totals, problems: CodedProblem[]): number {
  const codes = new Set(problems.map((problem) => exitOf(problem.code)));
  if (state === 'interrupted' || codes.has(exitStatus.interrupted)) return exitStatus.interrupted;
  if (totals.error > 0 || codes.has(exitStatus.lab)) return exitStatus.lab;
  if (codes.has(exitStatus.usage)) return exitStatus.usage;
  if (totals.fail > 0 || totals.inconclusive > 0 || codes.has(exitStatus.failed)) return exitStatus.failed;
  return exitStatus.passed;
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

function closeAttempt(open: OpenAttempt, superseded: boolean, state: RunState, runPid: number | null): AttemptResult {
  const { start } = open;
  const error = open.end?.error ?? null;
  const broken = error !== null && exitOf(error.code) !== exitStatus.failed && error.code !== 'NETRIG_INTERRUPTED';
  const failedStep = start.planned.find((item) => {
    const verdict = open.ends.get(item.id)?.outcome.verdict;
    return item.kind === 'step' && verdict !== undefined && verdict !== 'pass' && verdict !== 'skipped';
  });

  /** Why an item has no end in the record. */
  const conclude = (item: PlannedItem): Outcome => {
    const began = open.starts.has(item.id);
    if (error?.code === 'NETRIG_INTERRUPTED' || (open.end === null && state === 'interrupted')) {
      return {
        verdict: 'skipped',
        reason: began
          ? 'the run was interrupted while this was under way'
          : 'the run was interrupted before this was reached',
      };
    }
    if (broken) {
      return began
        ? { verdict: 'error', reason: `the lab broke while this was under way: ${error.code}: ${error.message}` }
        : { verdict: 'skipped', reason: `the lab broke before this was reached: ${error.code}` };
    }
    if (failedStep && !began)
      return { verdict: 'skipped', reason: `because step ${failedStep.id} failed: ${failedStep.title}` };
    if (open.end !== null) return { verdict: 'error', reason: 'netrig ended the scenario without reporting this' };
    if (!superseded && state === 'unfinished') {
      return {
        verdict: 'error',
        reason: began
          ? 'the run ended without a word while this was under way'
          : 'the run ended without a word before this was reached',
      };
    }
    const who = start.pid === runPid ? 'netrig' : `the process that ran this scenario (pid ${start.pid})`;
    return {
      verdict: 'error',
      reason: `${who} died ${began ? 'while this was under way' : 'before this was reached'}`,
    };
  };

  const items: ItemResult[] = start.planned.map((planned) => {
    const ended = open.ends.get(planned.id);
    const outcome = ended?.outcome ?? conclude(planned);
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
  });
  const totals = noTotals();
  for (const item of items) count(totals, item);
  const known = new Set<string | null>(start.planned.map((item) => item.id));
  const loose = [...open.transcripts].filter(([id]) => !known.has(id)).flatMap(([, list]) => list);
  const looseArtifacts = [...open.artifacts].filter(([id]) => !known.has(id)).flatMap(([, list]) => list);
  const died = open.end === null && state !== 'interrupted';
  return {
    attempt: start.attempt,
    pid: start.pid,
    startedAt: start.t,
    endedAt: open.end?.t ?? null,
    durationMs: open.end?.durationMs ?? msBetween(start.t, open.lastSeen),
    verdict: broken || died ? 'error' : worstVerdict(items.map((item) => item.outcome.verdict)),
    items,
    totals,
    phases: open.phases,
    transcripts: loose,
    artifacts: looseArtifacts,
    engines: [...open.engines.values()],
    logs: open.logs,
    error:
      error ??
      (died && items.every((item) => !item.concluded)
        ? { code: 'NETRIG_INTERNAL', message: 'the scenario never said that it ended' }
        : null),
  };
}

/** The model of a finished list of events; see `createRunReducer`. */
export function reduceRun(events: Iterable<RunEvent>, options: { tornLines?: number } = {}): RunModel {
  const reducer = createRunReducer();
  for (const event of events) reducer.add(event);
  return reducer.result(options);
}

/** Items that a reader has to look at, worst first, with the scenario they belong to. */
export function findings(model: RunModel): { scenario: ScenarioResult; item: ItemResult }[] {
  const all = model.scenarios.flatMap((scenario) => scenario.last.items.map((item) => ({ scenario, item })));
  return verdictsToMend.flatMap((verdict) => all.filter(({ item }) => item.outcome.verdict === verdict));
}

const verdictsToMend = verdicts.filter(
  (verdict) => verdict === 'fail' || verdict === 'inconclusive' || verdict === 'error',
);
