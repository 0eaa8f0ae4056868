import { existsSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { LabelName, Stage, Status, type Label, type Parameter, type StatusDetails } from 'allure-js-commons';
import { FileSystemWriter, ReporterRuntime } from 'allure-js-commons/sdk/reporter';
import type { Verdict } from '../model/verdict.js';
import type { AttemptResult, ItemResult, RunModel, ScenarioResult, TimedTranscript } from './model.js';
import { countedVerdict, isWarning, tellerOf, type CodedProblem } from './run-model.js';
import { neutralise, oneLine } from './terminal-text.js';
import {
  placeText,
  causeAndReason,
  exitText,
  fileOf,
  isolations,
  measureValue,
  placeOf,
  uniqueNames,
} from './wording.js';

/**
 * Allure knows four statuses. `failed` is for what was tested: the network. `broken` is for what tests: so both an error
 * and a probe that could not know are broken, told apart by their messages' first word and by the categories below.
 */
const statusOf: Record<Verdict, Status> = {
  pass: Status.PASSED,
  fail: Status.FAILED,
  inconclusive: Status.BROKEN,
  error: Status.BROKEN,
  skipped: Status.SKIPPED,
};

// `(?s)`: Allure matches the whole message, which may have several lines.
const categories = [
  { name: 'The network does not do what it should', matchedStatuses: [Status.FAILED] },
  {
    name: 'Inconclusive: the probe could not know',
    matchedStatuses: [Status.BROKEN],
    messageRegex: '(?s)inconclusive:.*',
  },
  { name: 'The lab or netrig broke', matchedStatuses: [Status.BROKEN], messageRegex: '(?s)error:.*' },
  { name: 'Skipped', matchedStatuses: [Status.SKIPPED] },
];

function ms(time: string): number {
  return Date.parse(time);
}

function statusDetails(item: ItemResult): StatusDetails & { flaky?: boolean } {
  const { outcome } = item;
  const text = neutralise(causeAndReason(item));
  const warning = isWarning(item) ? 'warning: ' : '';
  const prefix = outcome.verdict === 'inconclusive' || outcome.verdict === 'error' ? `${outcome.verdict}: ` : '';
  const trace = [
    ...(outcome.expected === undefined ? [] : [`expected: ${outcome.expected}`]),
    ...(outcome.actual === undefined ? [] : [`actual:   ${outcome.actual}`]),
    ...(outcome.output ?? []).map(({ title, text }) => `${title}:\n${text}`),
    ...(outcome.controls ?? []).map((c) => `control ${c.held ? 'held' : 'FAILED'}: ${c.title}: ${c.seen}`),
  ];
  return {
    message: warning + prefix + text,
    ...(trace.length > 0 ? { trace: neutralise(trace.join('\n')) } : {}),
    ...(outcome.expected === undefined ? {} : { expected: neutralise(outcome.expected) }),
    ...(outcome.actual === undefined ? {} : { actual: neutralise(outcome.actual) }),
    ...(item.flaky ? { flaky: true } : {}),
  };
}

function commandText(t: TimedTranscript): string {
  const cut = (shown: string, bytes: number): string =>
    Buffer.byteLength(shown) < bytes ? ` (cut: the command wrote ${bytes} bytes)` : '';
  return [
    `$ ${t.command}`,
    `(${exitText(t)})`,
    ...(t.stdout === '' ? [] : ['', `stdout${cut(t.stdout, t.stdoutBytes)}:`, t.stdout.trimEnd()]),
    ...(t.stderr === '' ? [] : ['', `stderr${cut(t.stderr, t.stderrBytes)}:`, t.stderr.trimEnd()]),
    '',
  ].join('\n');
}

function addCommand(runtime: ReporterRuntime, root: string, t: TimedTranscript): void {
  const stop = ms(t.endedAt);
  const step = runtime.startStep(root, null, {
    name: `${placeText(t)}: ${oneLine(t.command)}`,
    start: stop - Math.max(0, t.durationMs),
  });
  if (step === undefined) return;
  runtime.updateStep(step, (s) => {
    // A command that exits with 1 may be just what a check wanted: the item's verdict says, not the command's status.
    s.status = t.timedOut || t.exitCode === null ? Status.BROKEN : Status.PASSED;
    s.parameters = [{ name: 'exit', value: t.exitCode === null ? (t.signal ?? 'none') : String(t.exitCode) }];
  });
  runtime.writeAttachment(root, step, 'transcript', Buffer.from(neutralise(commandText(t))), {
    contentType: 'text/plain',
    fileExtension: 'txt',
  });
  runtime.stopStep(step, { stop });
}

/** The artifact's path, or `null` where it is missing or lies outside of the run's directory. */
function artifactPath(dir: string, file: string): string | null {
  const path = resolve(dir, file);
  return path.startsWith(resolve(dir) + sep) && existsSync(path) ? path : null;
}

/** What the run, the scenario and the attempt are that an item is written for. */
interface Writing {
  runtime: ReporterRuntime;
  /** Allure's name of what the tests and fixtures of one attempt share. */
  scope: string;
  model: RunModel;
  scenario: ScenarioResult;
  attempt: AttemptResult;
  dir: string;
}

function labelsOf({ model, scenario, attempt }: Writing, item: ItemResult): Label[] {
  return [
    { name: LabelName.SUITE, value: scenario.id },
    { name: LabelName.FEATURE, value: scenario.title },
    { name: LabelName.STORY, value: item.type },
    { name: LabelName.PACKAGE, value: fileOf(model, scenario) },
    { name: LabelName.FRAMEWORK, value: 'netrig' },
    { name: LabelName.LANGUAGE, value: 'yaml' },
    { name: LabelName.THREAD, value: String(attempt.pid) },
    { name: LabelName.LAYER, value: item.kind },
    ...[...scenario.tags, ...item.covers].map((value) => ({ name: LabelName.TAG, value })),
    ...(item.outcome.cause ? [{ name: 'cause', value: item.outcome.cause }] : []),
  ].map((label) => ({ name: label.name, value: oneLine(label.value) }));
}

/** `excluded` parameters don't make another test out of the same one in Allure's history. */
function parametersOf({ model, scenario }: Writing, item: ItemResult): Parameter[] {
  const parameters: Parameter[] = [
    ...Object.entries(scenario.matrix).map(([key, value]) => ({ name: key, value })),
    { name: 'place', value: placeOf(model, scenario, item), excluded: true },
    ...(item.tries > 1 ? [{ name: 'tries', value: String(item.tries), excluded: true }] : []),
    ...(item.outcome.measures ?? []).map((m) => ({ name: m.name, value: measureValue(m), excluded: true })),
  ];
  return parameters.map((p) => ({ ...p, name: oneLine(p.name), value: oneLine(p.value) }));
}

function addControls(runtime: ReporterRuntime, root: string, item: ItemResult, at: number): void {
  for (const control of item.outcome.controls ?? []) {
    const step = runtime.startStep(root, null, {
      name: oneLine(`control: ${control.title}: ${control.seen}`),
      start: at,
    });
    if (step === undefined) continue;
    runtime.updateStep(step, (s) => {
      s.status = control.held ? Status.PASSED : Status.BROKEN;
    });
    runtime.stopStep(step, { stop: at });
  }
}

function addAttachments(runtime: ReporterRuntime, root: string, item: ItemResult, dir: string): void {
  if (item.outcome.table) {
    const csv = item.outcome.table
      .map((row) => row.map((cell) => `"${neutralise(cell).replace(/"/g, '""')}"`).join(','))
      .join('\n');
    runtime.writeAttachment(root, null, 'table', Buffer.from(`${csv}\n`), {
      contentType: 'text/csv',
      fileExtension: 'csv',
    });
  }
  for (const artifact of item.artifacts) {
    const path = artifactPath(dir, artifact.file);
    if (path) runtime.writeAttachment(root, null, oneLine(artifact.title), path, { contentType: artifact.mime });
  }
}

/** @param name Unique in its attempt: Allure tells tests apart by it. */
function writeItem(writing: Writing, item: ItemResult, name: string): void {
  const { runtime, scope, model, scenario, attempt, dir } = writing;
  const start = item.startedAt ? ms(item.startedAt) : ms(item.endedAt ?? attempt.endedAt ?? attempt.startedAt);
  const root = runtime.startTest(
    {
      name: oneLine(name),
      fullName: `${scenario.id}: ${name}`,
      titlePath: [...fileOf(model, scenario).split('/'), scenario.id],
      description: neutralise([item.text ?? '', item.detail].filter((text) => text !== '').join('\n\n')),
      start,
      labels: labelsOf(writing, item),
      parameters: parametersOf(writing, item),
    },
    [scope],
  );
  for (const transcript of item.transcripts) addCommand(runtime, root, transcript);
  addControls(runtime, root, item, item.endedAt ? ms(item.endedAt) : start);
  addAttachments(runtime, root, item, dir);
  runtime.updateTest(root, (result) => {
    // Allure knows no warnings: a test that passed, whose message says what did not hold.
    result.status = statusOf[countedVerdict(item)];
    result.statusDetails = statusDetails(item);
    result.stage = Stage.FINISHED;
  });
  runtime.stopTest(root, { stop: item.endedAt ? ms(item.endedAt) : start + item.durationMs });
  runtime.writeTest(root);
}

function writePhase({ runtime, scope }: Writing, phase: AttemptResult['phases'][number]): void {
  const start = ms(phase.startedAt);
  const fixture = runtime.startFixture(scope, phase.phase === 'teardown' ? 'after' : 'before', {
    name: oneLine([phase.phase, phase.host ?? '', phase.text].filter((part) => part !== '').join(': ')),
    start,
  });
  if (fixture === undefined) return;
  runtime.updateFixture(fixture, (f) => {
    f.status = phase.durationMs === null ? Status.BROKEN : Status.PASSED;
    f.stage = Stage.FINISHED;
  });
  runtime.stopFixture(fixture, { stop: start + (phase.durationMs ?? 0) });
}

/** A lab that broke where no item says so: as a test, since the items that were skipped because of it make nothing red. */
function writeBrokenLab({ runtime, scope, model, scenario, attempt }: Writing, error: CodedProblem): void {
  const at = ms(attempt.endedAt ?? attempt.startedAt);
  const root = runtime.startTest(
    {
      name: 'The lab',
      fullName: `${scenario.id}: lab`,
      titlePath: [...fileOf(model, scenario).split('/'), scenario.id],
      start: at,
      labels: [{ name: LabelName.SUITE, value: oneLine(scenario.id) }],
    },
    [scope],
  );
  runtime.updateTest(root, (result) => {
    result.status = statusOf.error;
    result.statusDetails = { message: neutralise(`${error.code}: ${error.message}`) };
    result.stage = Stage.FINISHED;
  });
  runtime.stopTest(root, { stop: at });
  runtime.writeTest(root);
}

/** What belongs to no item: an error of the lab, commands outside of steps and checks. */
function writeOutside({ runtime, scope, attempt }: Writing): void {
  const { error, transcripts } = attempt;
  if (!error && transcripts.length === 0) return;
  const fixture = runtime.startFixture(scope, 'before', {
    name: error ? `the lab broke: ${error.code}` : 'commands outside of steps and checks',
    start: ms(attempt.startedAt),
  });
  if (fixture === undefined) return;
  for (const transcript of transcripts) addCommand(runtime, fixture, transcript);
  runtime.updateFixture(fixture, (f) => {
    f.status = error ? Status.BROKEN : Status.PASSED;
    if (error) f.statusDetails = { message: `error: ${neutralise(error.message)}` };
    f.stage = Stage.FINISHED;
  });
  runtime.stopFixture(fixture, { stop: ms(attempt.endedAt ?? attempt.startedAt) });
}

function writeAttempt(attemptOf: Omit<Writing, 'scope'>): void {
  const { runtime, attempt } = attemptOf;
  const scope = runtime.startScope();
  const writing: Writing = { ...attemptOf, scope };
  const names = uniqueNames(attempt.items);
  for (const item of attempt.items) writeItem(writing, item, names.get(item.id) ?? item.title);
  if (attempt.error && !tellerOf(attempt)) writeBrokenLab(writing, attempt.error);
  for (const phase of attempt.phases) writePhase(writing, phase);
  writeOutside(writing);
  runtime.writeScope(scope);
}

/** Writes into an empty directory what Allure reads: a scenario is a suite, an item a test, a command a step. */
export function writeAllureResults(model: RunModel, dir: string, resultsDir: string): void {
  const engines = new Set(
    model.scenarios.flatMap((s) => s.last.engines.map((e) => e.version)).filter((version) => version !== ''),
  );
  const runtime = new ReporterRuntime({
    writer: new FileSystemWriter({ resultsDir }),
    environmentInfo: {
      netrig: model.netrig,
      node: model.node,
      kernel: model.kernel,
      providers: [...new Set(model.scenarios.map((s) => s.provider))].join(', '),
      isolation: isolations(model).join(', '),
      engines: [...engines].sort().join(', '),
    },
    categories,
  });
  runtime.writeEnvironmentInfo();
  runtime.writeCategoriesDefinitions();
  for (const scenario of model.scenarios) {
    for (const attempt of [...scenario.earlier, scenario.last])
      writeAttempt({ runtime, model, scenario, attempt, dir });
  }
}
