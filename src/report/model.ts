import { errorCatalogue } from '../errors.js';
import type { RunEvent } from '../model/events.js';
import { exitStatus } from '../model/verdict.js';
import {
  addToAttempt,
  closeAttempt,
  count,
  exitOf,
  holdToPlan,
  msBetween,
  neverBegun,
  noTotals,
  openAttempt,
  push,
  type OpenAttempt,
  type RunEnding,
} from './attempt.js';
import {
  tellerOf,
  type CodedProblem,
  type LogLine,
  type RunModel,
  type RunProblem,
  type RunState,
  type ScenarioResult,
  type Totals,
} from './run-model.js';

export * from './run-model.js';

export interface RunReducer {
  add(event: RunEvent): void;
  /** What the events so far come to. May be called more than once. */
  result(options?: { tornLines?: number }): RunModel;
}

/** All that the events so far said. */
interface Seen {
  start: Extract<RunEvent, { type: 'run:start' }> | null;
  end: Extract<RunEvent, { type: 'run:end' }> | null;
  first: string | null;
  last: string | null;
  /** What the run said before it began that it would do. */
  plans: Map<string, Extract<RunEvent, { type: 'scenario:plan' }>>;
  attempts: Map<string, OpenAttempt[]>;
  /** Events of a scenario that came before its `scenario:start` (an image that had to be built first). */
  early: Map<string, RunEvent[]>;
  logs: LogLine[];
  oddities: CodedProblem[];
  /** Events that the record says it lost. */
  lost: number;
}

/**
 * Turns the events of a run into what reports show. Pure: the same events give the same model.
 *
 * Planned equals reported by construction: each planned item has exactly one outcome in the model. One that the record
 * holds no end of is `skipped` when the run says why it was not reached (a failed step, a lab error, an interruption) and
 * `error` when it does not (its process died, or the record is torn).
 */
export function createRunReducer(): RunReducer {
  const seen: Seen = {
    start: null,
    end: null,
    first: null,
    last: null,
    plans: new Map(),
    attempts: new Map(),
    early: new Map(),
    logs: [],
    oddities: [],
    lost: 0,
  };
  return {
    add: (event) => addEvent(seen, event),
    result: (options = {}) => modelOf(seen, options.tornLines ?? 0),
  };
}

/** The model of a finished list of events; see `createRunReducer`. */
export function reduceRun(events: Iterable<RunEvent>, options: { tornLines?: number } = {}): RunModel {
  const reducer = createRunReducer();
  for (const event of events) reducer.add(event);
  return reducer.result(options);
}

function addEvent(seen: Seen, event: RunEvent): void {
  seen.first ??= event.t;
  seen.last = event.t;
  switch (event.type) {
    case 'run:start':
      seen.start ??= event;
      return;
    case 'run:end':
      seen.end = event;
      return;
    case 'scenario:plan':
      seen.plans.set(event.scenario, event);
      return;
    case 'lost':
      seen.lost += event.events;
      return;
    case 'log':
      if (event.scenario === null) seen.logs.push({ t: event.t, level: event.level, text: event.text });
      else addToScenario(seen, event.scenario, event);
      return;
    case 'scenario:start': {
      const attempt = openAttempt(event);
      const plan = seen.plans.get(event.scenario);
      if (plan) holdToPlan(attempt, plan);
      push(seen.attempts, event.scenario, attempt);
      const waiting = seen.early.get(event.scenario) ?? [];
      seen.early.delete(event.scenario);
      for (const earlier of waiting) addToScenario(seen, event.scenario, earlier);
      return;
    }
    default:
      addToScenario(seen, event.scenario, event);
  }
}

function addToScenario(seen: Seen, scenario: string, event: RunEvent): void {
  const open = seen.attempts.get(scenario)?.at(-1);
  if (open) addToAttempt(open, event, (problem) => seen.oddities.push(problem));
  else push(seen.early, scenario, event);
}

function modelOf(seen: Seen, tornLines: number): RunModel {
  const { start, end } = seen;
  const state: RunState = end === null ? 'unfinished' : end.interrupted ? 'interrupted' : 'complete';
  const ending: RunEnding = { state, pid: end?.pid ?? null };
  const scenarios = [...seen.attempts, ...neverBegan(seen)].map(([id, attempts]) =>
    scenarioResult(id, attempts, ending),
  );
  const sums = sumsOf(scenarios);
  const problems: RunProblem[] = [
    ...seen.oddities,
    ...labProblems(scenarios),
    ...neverStarted(seen),
    ...recordProblems(seen, state, tornLines),
    ...uncountedFailures(end?.failures ?? 0, sums.totals, scenarios),
  ];
  if (state === 'interrupted' && !problems.some((p) => p.code === 'NETRIG_INTERRUPTED'))
    problems.push({ code: 'NETRIG_INTERRUPTED', message: errorCatalogue.NETRIG_INTERRUPTED.meaning });
  // Steps prove nothing by themselves: only a check that was decided does. Said where nothing else says already why not.
  const explained = problems.length > 0 || sums.totals.fail + sums.totals.inconclusive + sums.totals.error > 0;
  if (sums.checks.planned === sums.checks.skipped && !explained)
    problems.push({ code: 'NETRIG_NOTHING_RAN', message: errorCatalogue.NETRIG_NOTHING_RAN.meaning });
  const from = start?.t ?? seen.first;
  return {
    netrig: start?.netrig ?? '',
    node: start?.node ?? '',
    kernel: start?.kernel ?? '',
    argv: start?.argv ?? [],
    cwd: start?.cwd ?? '',
    startedAt: from,
    endedAt: end?.t ?? seen.last,
    durationMs: end?.durationMs ?? (from !== null && seen.last !== null ? msBetween(from, seen.last) : 0),
    state,
    scenarios,
    ...sums,
    problems,
    logs: seen.logs,
    exitCode: exitCodeOf(state, sums.totals, scenarios, problems),
  };
}

function scenarioResult(id: string, attempts: readonly OpenAttempt[], ending: RunEnding): ScenarioResult {
  const results = attempts.map((attempt, index) => closeAttempt(attempt, index < attempts.length - 1, ending));
  const last = results.at(-1)!;
  const earlier = results.slice(0, -1);
  for (const item of last.items) {
    const verdicts = new Set([
      item.outcome.verdict,
      ...earlier.map((a) => a.items.find((i) => i.id === item.id)?.outcome.verdict ?? 'skipped'),
    ]);
    verdicts.delete('skipped');
    item.flaky = verdicts.size > 1;
  }
  const { file, title, description, text = '', tags, covers, matrix, provider, topology } = attempts.at(-1)!.start;
  return {
    id,
    file,
    title,
    description,
    text,
    tags,
    covers,
    matrix,
    provider,
    topology,
    last,
    earlier,
    flaky: earlier.some((a) => a.verdict !== last.verdict) || last.items.some((item) => item.flaky),
    verdict: last.verdict,
  };
}

function sumsOf(scenarios: readonly ScenarioResult[]): Pick<RunModel, 'totals' | 'checks' | 'skipReasons' | 'flaky'> {
  const totals = noTotals();
  const checks = noTotals();
  const reasons = new Map<string, number>();
  let flaky = 0;
  for (const item of scenarios.flatMap((scenario) => scenario.last.items)) {
    count(totals, item);
    if (item.kind === 'check') count(checks, item);
    if (item.outcome.verdict === 'skipped')
      reasons.set(item.outcome.reason, (reasons.get(item.outcome.reason) ?? 0) + 1);
    if (item.flaky) flaky += 1;
  }
  return {
    totals,
    checks,
    flaky,
    skipReasons: [...reasons].map(([reason, n]) => ({ reason, count: n })).sort((a, b) => b.count - a.count),
  };
}

function labProblems(scenarios: readonly ScenarioResult[]): RunProblem[] {
  return scenarios.flatMap(({ id, last }) => {
    const { error } = last;
    if (error === null || exitOf(error.code) === exitStatus.failed) return [];
    const teller = tellerOf(last);
    const told = teller ? { told: { scenario: id, item: teller.id } } : {};
    return [{ code: error.code, message: `${id}: ${error.message}`, ...told }];
  });
}

/** Planned scenarios of which the record holds no beginning: each counts, with all its items. */
function neverBegan(seen: Seen): [string, OpenAttempt[]][] {
  return [...seen.plans].flatMap(([id, plan]) => {
    if (seen.attempts.has(id)) return [];
    const attempt = neverBegun(plan);
    for (const event of seen.early.get(id) ?? [])
      addToAttempt(attempt, event, (problem) => seen.oddities.push(problem));
    return [[id, [attempt]] as [string, OpenAttempt[]]];
  });
}

/** Mocha counts every test that failed: where no item of the record did, and no lab, something failed that the record does not know. */
function uncountedFailures(failures: number, totals: Totals, scenarios: readonly ScenarioResult[]): CodedProblem[] {
  if (failures === 0 || totals.fail + totals.inconclusive + totals.error > 0) return [];
  if (scenarios.some(({ last }) => last.error !== null)) return [];
  const what = failures === 1 ? '1 failure' : `${failures} failures`;
  return [{ code: 'NETRIG_INTERNAL', message: `Mocha counted ${what} that the record does not show` }];
}

function neverStarted({ early }: Seen): CodedProblem[] {
  return [...early].map(([id, events]) => {
    const ended = events.find((event) => event.type === 'scenario:end');
    if (ended?.type === 'scenario:end' && ended.error)
      return { code: ended.error.code, message: `${id}: ${ended.error.message}` };
    return {
      code: 'NETRIG_INTERNAL',
      message: `${id}: the record has ${events.length} event(s) of a scenario that it never saw start`,
    };
  });
}

/** What the record itself says, or shows, that it lacks. */
function recordProblems(seen: Seen, state: RunState, tornLines: number): CodedProblem[] {
  const problems: CodedProblem[] = [];
  if (seen.lost > 0)
    problems.push({
      code: 'NETRIG_REPORT_WRITE',
      message: `${seen.lost === 1 ? '1 event' : `${seen.lost} events`} could not be written to the record and ${seen.lost === 1 ? 'is' : 'are'} missing from it`,
    });
  if (tornLines > 0)
    problems.push({
      code: 'NETRIG_REPORT_WRITE',
      message: `${tornLines} line(s) of the record are torn and were left out`,
    });
  if (state === 'unfinished')
    problems.push({
      // Where part of the record is missing anyway, so may be its end.
      code: problems.length > 0 || seen.start === null ? 'NETRIG_REPORT_WRITE' : 'NETRIG_INTERNAL',
      message:
        'The record does not say that the run ended: its process was killed, the record could not be written, or it is still running',
    });
  return problems;
}

/** 130 before 3 (lab, provider or netrig broke) before 2 before 1 (failed, inconclusive, nothing ran) before 0. */
function exitCodeOf(
  state: RunState,
  totals: Totals,
  scenarios: readonly ScenarioResult[],
  problems: readonly CodedProblem[],
): number {
  const codes = new Set(problems.map((problem) => exitOf(problem.code)));
  if (state === 'interrupted' || codes.has(exitStatus.interrupted)) return exitStatus.interrupted;
  // Where the lab never came up for what the user gave it (an inventory that does not fit), its items err because of that.
  const misused = scenarios.filter(({ last: { error } }) => error !== null && exitOf(error.code) === exitStatus.usage);
  const explained = misused.reduce((sum, { last }) => sum + last.totals.error, 0);
  if (totals.error > explained || codes.has(exitStatus.lab)) return exitStatus.lab;
  if (codes.has(exitStatus.usage)) return exitStatus.usage;
  if (totals.fail > 0 || totals.inconclusive > 0 || codes.has(exitStatus.failed)) return exitStatus.failed;
  return exitStatus.passed;
}
