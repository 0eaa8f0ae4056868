import type { Cause, Control, Diagnosis, Measure, Verdict } from '../model/verdict.js';
import { writeWhole, type ReportFormat } from './format.js';
import { outsideHosts } from './wording.js';
import { isWarning } from './run-model.js';
import type { AttemptResult, ItemResult, RunModel, Totals } from './model.js';

/**
 * The shape of `results.json`, for programs. Stable: within one `schema` value fields are only added. Times are ISO 8601,
 * durations milliseconds. Output of commands is not in it (see `run.jsonl`).
 */
export interface ResultsJson {
  schema: 'netrig-results/1';
  netrig: string;
  node: string;
  kernel: string;
  argv: string[];
  startedAt: string | null;
  durationMs: number;
  state: RunModel['state'];
  exitCode: number;
  totals: Totals;
  checks: Totals;
  flaky: number;
  skipReasons: { reason: string; count: number }[];
  problems: { code: string; message: string }[];
  scenarios: ResultsScenario[];
}

export interface ResultsScenario extends ResultsAttempt {
  id: string;
  file: string;
  title: string;
  /** Markdown; `''` for none. */
  text: string;
  tags: string[];
  covers: string[];
  matrix: Record<string, string>;
  provider: string;
  /** Hosts that had a way to the outside. */
  outside: string[];
  flaky: boolean;
  engines: { host: string; version: string }[];
  /** Attempts before the one that counts. */
  earlierAttempts: ResultsAttempt[];
}

export interface ResultsAttempt {
  attempt: number;
  verdict: Verdict;
  startedAt: string;
  durationMs: number;
  totals: Totals;
  error: { code: string; message: string } | null;
  /** How its hosts were kept from the machine; `null` where the provider’s hosts have no part in it, or none came up. */
  isolation: 'users' | 'none' | null;
  phases: { phase: string; host: string | null; durationMs: number | null }[];
  items: ResultsItem[];
}

export interface ResultsItem {
  /** The shared file in which `line` counts; absent: the scenario’s own. */
  file?: string;
  level?: 'warning';
  /** Of `level: warning`: whether it did not hold. */
  warning?: boolean;
  /** Markdown. */
  text?: string;
  finally?: true;
  id: string;
  kind: 'step' | 'check';
  type: string;
  title: string;
  detail: string;
  line: number;
  covers: string[];
  verdict: Verdict;
  cause?: Cause;
  reason: string;
  expected?: string;
  actual?: string;
  /** Why the network did what it did: the way of the packet, the root cause, evidence, how to mend it. */
  diagnosis?: Diagnosis;
  tries: number;
  flaky: boolean;
  startedAt: string | null;
  durationMs: number;
  controls: Control[];
  measures: Measure[];
  table?: string[][];
  attachments: { title: string; file: string; mime: string }[];
  commands: {
    host: string;
    command: string;
    exitCode: number | null;
    signal?: string;
    timedOut: boolean;
    durationMs: number;
  }[];
}

function itemJson(item: ItemResult): ResultsItem {
  const { outcome } = item;
  return {
    id: item.id,
    kind: item.kind,
    type: item.type,
    title: item.title,
    detail: item.detail,
    line: item.line,
    ...(item.file === undefined ? {} : { file: item.file }),
    ...(item.level === undefined ? {} : { level: item.level, warning: isWarning(item) }),
    ...(item.text === undefined ? {} : { text: item.text }),
    ...(item.last === undefined ? {} : { finally: true }),
    covers: item.covers,
    verdict: outcome.verdict,
    ...(outcome.cause === undefined ? {} : { cause: outcome.cause }),
    reason: outcome.reason,
    ...(outcome.expected === undefined ? {} : { expected: outcome.expected }),
    ...(outcome.actual === undefined ? {} : { actual: outcome.actual }),
    ...(outcome.diagnosis === undefined ? {} : { diagnosis: outcome.diagnosis }),
    tries: item.tries,
    flaky: item.flaky,
    startedAt: item.startedAt,
    durationMs: item.durationMs,
    controls: outcome.controls ?? [],
    measures: outcome.measures ?? [],
    ...(outcome.output === undefined ? {} : { output: outcome.output }),
    ...(outcome.table === undefined ? {} : { table: outcome.table }),
    attachments: item.artifacts,
    commands: item.transcripts.map((t) => ({
      host: t.host,
      command: t.command,
      exitCode: t.exitCode,
      ...(t.signal === undefined ? {} : { signal: t.signal }),
      timedOut: t.timedOut ?? false,
      durationMs: t.durationMs,
    })),
  };
}

function attemptJson(attempt: AttemptResult): ResultsAttempt {
  return {
    attempt: attempt.attempt,
    verdict: attempt.verdict,
    startedAt: attempt.startedAt,
    durationMs: attempt.durationMs,
    totals: attempt.totals,
    error: attempt.error,
    isolation: attempt.isolation,
    phases: attempt.phases.map(({ phase, host, durationMs }) => ({ phase, host, durationMs })),
    items: attempt.items.map(itemJson),
  };
}

export function resultsJson(model: RunModel): ResultsJson {
  return {
    schema: 'netrig-results/1',
    netrig: model.netrig,
    node: model.node,
    kernel: model.kernel,
    argv: model.argv,
    startedAt: model.startedAt,
    durationMs: model.durationMs,
    state: model.state,
    exitCode: model.exitCode,
    totals: model.totals,
    checks: model.checks,
    flaky: model.flaky,
    skipReasons: model.skipReasons,
    problems: model.problems,
    scenarios: model.scenarios.map((scenario) => ({
      id: scenario.id,
      file: scenario.file,
      title: scenario.title,
      text: scenario.text,
      tags: scenario.tags,
      covers: scenario.covers,
      matrix: scenario.matrix,
      provider: scenario.provider,
      outside: outsideHosts(scenario),
      flaky: scenario.flaky,
      engines: scenario.last.engines.map(({ host, version }) => ({ host, version })),
      ...attemptJson(scenario.last),
      earlierAttempts: scenario.earlier.map(attemptJson),
    })),
  };
}

export const resultsFormat: ReportFormat = {
  name: 'results',
  summary: 'results.json: verdicts, causes, times and measures for programs',
  async write(model, dir) {
    await writeWhole(dir, 'results.json', `${JSON.stringify(resultsJson(model), null, 2)}\n`);
    return { files: ['results.json'], notes: [] };
  },
};
