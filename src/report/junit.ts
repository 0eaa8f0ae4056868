import { createRequire } from 'node:module';
import type { Builder, TestCase, TestSuite } from 'junit-report-builder';
import { writeWhole, type ReportFormat } from './format.js';
import { evidenceOf, isReadable } from './evidence.js';
import { isWarning, tellerOf, type ItemResult, type RunModel, type ScenarioResult } from './model.js';
import { neutralise } from './terminal-text.js';
import {
  causeAndReason,
  countOf,
  cutMiddle,
  exitText,
  fileOf,
  formatMeasure,
  placeOf,
  uniqueNames,
  outsideHosts,
} from './wording.js';

/**
 * Loaded when it is needed: a run would wait for its modules before it begins. The package's CommonJS build and its type file
 * disagree about the default export; `require` gives what is really there.
 */
const junit = (): Builder => createRequire(import.meta.url)('junit-report-builder') as Builder;

/** Characters of output kept a command: CI systems hold the whole file in memory. */
const outputLimit = 4000;
/** Characters of output kept a test case. */
const caseLimit = 16_000;

/** Text without what XML 1.0 forbids (section 2.2): control characters are made visible, lone surrogates and non-characters dropped. */
function xmlText(text: string): string {
  return neutralise(text).replace(/[\p{Surrogate}\ufffe\uffff]/gu, '\ufffd');
}

/**
 * Text for a CDATA section. The writer takes apart only the first end of one that a text holds: output of a lab could end the
 * section and go on as XML.
 */
function cdataText(text: string): string {
  return xmlText(text).replaceAll(']]>', ']]&gt;');
}

/**
 * junit-report-builder writes `<skipped/>` without a message, and a skip without its reason is worth nothing. So the
 * element is added to the built case, and the case counts itself as skipped.
 */
function skipWithReason(testCase: TestCase, reason: string): void {
  const build = testCase.build.bind(testCase);
  testCase.build = (parent) => {
    const element = build(parent);
    element.element('skipped', { message: reason });
    return element;
  };
  testCase.getSkippedCount = () => 1;
}

/** The sentence, expected and actual, the shortest evidence, what to type again. The record and the page have the rest. */
function details(model: RunModel, scenario: ScenarioResult, item: ItemResult): string {
  const { outcome } = item;
  const { sentences, outputs, again } = evidenceOf(item, scenario.last.stays);
  return [
    causeAndReason(item),
    ...(outcome.expected === undefined ? [] : [`expected: ${outcome.expected}`]),
    ...(outcome.actual === undefined ? [] : [`actual:   ${outcome.actual}`]),
    ...sentences.map((sentence) => `- ${sentence}`),
    ...(outcome.controls ?? []).map(
      (control) => `control ${control.held ? 'held' : 'FAILED'}: ${control.title}: ${control.seen}`,
    ),
    ...outputs.map(({ title, lines }) =>
      cutMiddle([title, ...lines.map((line) => `  ${line}`)].join('\n'), outputLimit),
    ),
    ...(again === null ? [] : [`again: ${again}`]),
    `at ${placeOf(model, scenario, item)}`,
  ].join('\n');
}

/** Commands that a person reads; netrig's own scripts and their JSON are in the record. */
function transcriptText(item: ItemResult): string {
  const readable = item.transcripts.filter(isReadable);
  const text = readable
    .map((t) => {
      const parts = [`[${t.host}] $ ${t.command}   (${exitText(t)})`];
      if (t.stdout !== '') parts.push(cutMiddle(t.stdout.trimEnd(), outputLimit));
      if (t.stderr !== '') parts.push(`stderr: ${cutMiddle(t.stderr.trimEnd(), outputLimit)}`);
      return parts.join('\n');
    })
    .join('\n\n');
  const left = item.transcripts.length - readable.length;
  const note = left > 0 ? `${countOf(left, 'probe script')} with output in index.html and run.jsonl` : '';
  return [cutMiddle(text, caseLimit), note].filter((part) => part !== '').join('\n\n');
}

/** One step or check as a case of its scenario's suite. */
function addCase(
  suite: TestSuite,
  model: RunModel,
  scenario: ScenarioResult,
  item: ItemResult,
  { className, name }: { className: string; name: string },
): void {
  const { outcome } = item;
  const testCase = suite
    .testCase()
    .className(className)
    .name(xmlText(name))
    .file(xmlText(fileOf(model, scenario)))
    .time(item.durationMs / 1000);
  if (item.flaky) testCase.property('flaky', 'true');
  for (const measure of outcome.measures ?? [])
    testCase.property(`measure.${xmlText(measure.name)}`, `${measure.value} ${measure.unit}`);
  for (const artifact of item.artifacts) testCase.property('attachment', xmlText(artifact.file));
  const message = xmlText(causeAndReason(item));
  const content = cdataText(details(model, scenario, item));
  // JUnit knows no warnings: a case that CI systems show, and that fails nothing.
  if (isWarning(item)) skipWithReason(testCase, `warning: ${message}`);
  else if (outcome.verdict === 'fail')
    testCase.failure(message, outcome.cause ? `fail.${outcome.cause}` : 'fail').stacktrace(content);
  else if (outcome.verdict === 'inconclusive')
    testCase.failure(`inconclusive: ${message}`, 'inconclusive').stacktrace(content);
  else if (outcome.verdict === 'error') testCase.error(message, 'error', content);
  else if (outcome.verdict === 'skipped') skipWithReason(testCase, message);
  const output = [
    outcome.verdict === 'pass'
      ? causeAndReason(item)
      : isWarning(item)
        ? `warning: ${details(model, scenario, item)}`
        : '',
    (outcome.measures ?? []).map(formatMeasure).join(', '),
    transcriptText(item),
    ...item.artifacts.map((artifact) => `[[ATTACHMENT|${artifact.file}]]`),
  ].filter((part) => part !== '');
  if (output.length > 0) testCase.standardOutput(cdataText(output.join('\n')));
}

/**
 * The run as JUnit XML, in the dialect that Jenkins, GitLab and GitHub actions read: one suite a scenario, one case an item.
 * `fail` and `inconclusive` are `<failure>` (type `fail.CAUSE`, `inconclusive`), `error` is `<error>`, `skipped` has its
 * reason. A lab that broke is a case of its own, so that a suite can't look whole without its items.
 */
export function junitXml(model: RunModel): string {
  const builder = junit()
    .newBuilder()
    .name(xmlText(`netrig ${model.netrig}`.trim()));
  for (const scenario of model.scenarios) {
    const { last } = scenario;
    const suite = builder
      .testSuite()
      .name(xmlText(scenario.id))
      .timestamp(new Date(last.startedAt))
      .time(last.durationMs / 1000)
      .property('file', xmlText(fileOf(model, scenario)))
      .property('title', xmlText(scenario.title))
      .property('provider', xmlText(scenario.provider));
    if (last.isolation !== null) suite.property('isolation', last.isolation);
    if (outsideHosts(scenario).length > 0) suite.property('outside', xmlText(outsideHosts(scenario).join(' ')));
    if (scenario.covers.length > 0) suite.property('covers', xmlText(scenario.covers.join(' ')));
    for (const [name, value] of Object.entries(scenario.matrix))
      suite.property(`matrix.${xmlText(name)}`, xmlText(value));
    for (const engine of last.engines) suite.property(`engine.${xmlText(engine.host)}`, xmlText(engine.version));
    const className = `netrig.${xmlText(scenario.id).replace(/\./g, '_')}`;
    const names = uniqueNames(last.items);
    for (const item of last.items)
      addCase(suite, model, scenario, item, { className, name: names.get(item.id) ?? item.title });
    if (last.error) {
      const teller = tellerOf(last);
      const message = teller ? `see the case "${names.get(teller.id) ?? teller.title}"` : last.error.message;
      suite
        .testCase()
        .className(className)
        .name('lab')
        .time(0)
        .error(xmlText(`${last.error.code}: ${message}`), xmlText(last.error.code), cdataText(message));
    }
  }
  const whole = model.problems.filter(
    (problem) => !model.scenarios.some((scenario) => scenario.last.error?.code === problem.code),
  );
  if (whole.length > 0) {
    const suite = builder.testSuite().name('run').time(0);
    whole.forEach((problem, index) => {
      const testCase = suite
        .testCase()
        .className('netrig.run')
        .name(`${index + 1} ${problem.code}`)
        .time(0);
      testCase.error(xmlText(`${problem.code}: ${problem.message}`), problem.code, cdataText(problem.message));
    });
  }
  return builder.build();
}

export const junitFormat: ReportFormat = {
  name: 'junit',
  summary: 'junit.xml: for CI systems',
  async write(model, dir) {
    await writeWhole(dir, 'junit.xml', junitXml(model));
    return { files: ['junit.xml'], notes: [] };
  },
};
