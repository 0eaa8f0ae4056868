import type { EngineState, PhaseName, PlannedItem, Topology, Transcript } from '../model/events.js';
import { verdicts, type Attachment, type Outcome, type Verdict } from '../model/verdict.js';

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

/** `warned`: checks of `level: warning` that did not hold, which no other figure counts; absent for none. */
export type Totals = Record<Verdict, number> & { planned: number; reported: number; warned?: number };

/** Whether an item is a check that did not hold, and the run is as good as without it. */
export function isWarning(item: Pick<ItemResult, 'level' | 'outcome'>): boolean {
  const { verdict } = item.outcome;
  return item.level === 'warning' && (verdict === 'fail' || verdict === 'inconclusive');
}

/** What an item adds to the verdict of its scenario. */
export function countedVerdict(item: Pick<ItemResult, 'level' | 'outcome'>): Verdict {
  return isWarning(item) ? 'pass' : item.outcome.verdict;
}

export interface CodedProblem {
  code: string;
  message: string;
}

/** Something wrong with the run as a whole. */
export interface RunProblem extends CodedProblem {
  /** The item whose outcome has the same words, so that a report for people need not say them again. */
  told?: { scenario: string; item: string };
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
  /** How its hosts were kept from the machine; `null` where the provider’s hosts have no part in it, or none came up. */
  isolation: 'users' | 'none' | null;
  /** Commands that belong to no item: provisioning, tear-down. */
  transcripts: TimedTranscript[];
  artifacts: Attachment[];
  engines: EngineState[];
  logs: LogLine[];
  error: CodedProblem | null;
  /** The id of its lab, which stays up; `null` where it does not. */
  stays: string | null;
}

export interface ScenarioResult {
  /** The scenario's name with matrix values; unique in the run. */
  id: string;
  file: string;
  title: string;
  description: string;
  /** Markdown; `''` for none. */
  text: string;
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
  problems: RunProblem[];
  logs: LogLine[];
  exitCode: number;
}

/** Items that a reader has to look at, worst first, warnings last, with the scenario they belong to. */
export function findings(model: RunModel): { scenario: ScenarioResult; item: ItemResult }[] {
  const all = model.scenarios.flatMap((scenario) => scenario.last.items.map((item) => ({ scenario, item })));
  const found = verdictsToMend.flatMap((verdict) => all.filter(({ item }) => item.outcome.verdict === verdict));
  return [...found.filter(({ item }) => !isWarning(item)), ...found.filter(({ item }) => isWarning(item))];
}

/** The item under which the lab of an attempt broke: its outcome has the words of the error. */
export function tellerOf({ error, items }: Pick<AttemptResult, 'error' | 'items'>): ItemResult | undefined {
  return error === null
    ? undefined
    : items.find(({ outcome }) => outcome.verdict === 'error' && outcome.reason.includes(error.message));
}

/** Labs with an error that no item has the words of: they did not come up, or could not be taken down. */
export function brokenLabs(model: Pick<RunModel, 'scenarios'>): { scenario: ScenarioResult; error: CodedProblem }[] {
  return model.scenarios.flatMap((scenario) => {
    const { error } = scenario.last;
    if (error === null || error.code === 'NETRIG_INTERRUPTED' || tellerOf(scenario.last) !== undefined) return [];
    return [{ scenario, error }];
  });
}

/** For each finding that only says what an earlier one said already, the place of that one in the list; else `null`. */
export function saidBefore(list: readonly { item: ItemResult }[]): (number | null)[] {
  const first = new Map<string, number>();
  return list.map(({ item: { outcome } }, at) => {
    // What was measured or looked at differs from item to item, also where the sentence does not.
    const only = outcome.verdict === 'error' && outcome.diagnosis === undefined && outcome.expected === undefined;
    if (!only) return null;
    const before = first.get(outcome.reason);
    if (before === undefined) first.set(outcome.reason, at);
    return before ?? null;
  });
}

const verdictsToMend = verdicts.filter(
  (verdict) => verdict === 'fail' || verdict === 'inconclusive' || verdict === 'error',
);

const severity: readonly Verdict[] = ['error', 'fail', 'inconclusive', 'pass', 'skipped'];

/** The verdict that decides for a group: error before fail, inconclusive, pass, skipped. `skipped` for none at all. */
export function worstVerdict(all: Iterable<Verdict>): Verdict {
  let worst = severity.length - 1;
  for (const verdict of all) worst = Math.min(worst, severity.indexOf(verdict));
  return severity[worst] ?? 'skipped';
}

/** The graver of two verdicts. */
export function isGraverOrEqual(one: Verdict, other: Verdict): boolean {
  return severity.indexOf(one) <= severity.indexOf(other);
}
