import { createHash } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { messageOf } from '../errors.js';
import type { Verdict } from '../model/verdict.js';
import { writeWhole, type ReportFormat } from './format.js';
import { findings, type ItemResult, type RunModel, type ScenarioResult } from './model.js';
import { summaryMarkdown } from './summary.js';
import { neutralise, oneLine } from './terminal-text.js';
import { brokenLabs, isWarning } from './run-model.js';
import { causeAndReason, cutMiddle, verdictText } from './wording.js';

/** GitHub shows ten errors and ten warnings a step; more are only lines in its log. */
const annotationLimit = 10;
/** Bytes of a step's summary that GitHub takes: 1 MiB; a longer one is refused whole. */
const summaryLimit = 1024 * 1024;
/** Characters of a reason in an annotation. */
const reasonLimit = 2000;

/** The scenario's file as CI systems name files: relative to the checkout. */
function fileIn(checkout: string, scenario: Pick<ScenarioResult, 'file'>): string {
  const path = relative(resolve(checkout), scenario.file);
  return path.startsWith('..') || isAbsolute(path) ? scenario.file : path;
}

function commandData(text: string): string {
  return text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

function commandProperty(text: string): string {
  return commandData(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
}

function annotation(
  level: 'error' | 'warning',
  checkout: string,
  scenario: ScenarioResult,
  item: ItemResult,
  text: string,
): string {
  const properties = {
    file: fileIn(checkout, scenario),
    line: String(item.line),
    col: String(item.column),
    title: `${scenario.id} › ${item.title}`,
  };
  const list = Object.entries(properties).map(([name, value]) => `${name}=${commandProperty(oneLine(value))}`);
  return `::${level} ${list.join(',')}::${commandData(neutralise(text))}`;
}

/**
 * What did not pass, and what passed only when tried again, as workflow commands of GitHub Actions: it shows them at their
 * lines in the scenario file.
 *
 * @param checkout Directory that file names are to be relative to.
 */
export function githubAnnotations(model: RunModel, checkout: string): string[] {
  const errors = findings(model).map(({ scenario, item }) =>
    annotation(
      isWarning(item) ? 'warning' : 'error',
      checkout,
      scenario,
      item,
      `${verdictText(item)}: ${cutMiddle(causeAndReason(item), reasonLimit)}`,
    ),
  );
  const flaky = model.scenarios.flatMap((scenario) =>
    scenario.last.items
      .filter((item) => item.flaky && item.outcome.verdict === 'pass')
      .map((item) => annotation('warning', checkout, scenario, item, 'flaky: another attempt came to another verdict')),
  );
  // Where an item has its words, they stand at that item's line.
  const broken = brokenLabs(model).map(({ scenario, error }) => {
    const place = `file=${commandProperty(oneLine(fileIn(checkout, scenario)))}`;
    const title = `title=${commandProperty(oneLine(scenario.id))}`;
    return `::error ${place},${title}::${commandData(neutralise(`${error.code}: ${error.message}`))}`;
  });
  return [...[...broken, ...errors].slice(0, annotationLimit), ...flaky.slice(0, annotationLimit)];
}

/** The page for a job's summary, cut at a line's end where it would be larger than `limit` bytes. */
export function jobSummary(model: RunModel, limit = summaryLimit): string {
  const page = summaryMarkdown(model);
  if (Buffer.byteLength(page) <= limit) return page;
  const note = '\n\n*Cut here: the rest would not fit into a job’s summary. index.html has all of it.*\n';
  const room = Buffer.from(page).subarray(0, Math.max(0, limit - Buffer.byteLength(note)));
  const end = room.lastIndexOf('\n');
  return room.subarray(0, Math.max(0, end)).toString() + note;
}

/**
 * In a step of GitHub Actions, tells GitHub how the run went: annotations by workflow commands, and the job's summary.
 *
 * @param env The step's environment; nothing is done where it is not one of GitHub Actions.
 * @param print Takes lines for standard output, where GitHub reads workflow commands.
 * @returns Sentences for the user about what could not be told.
 */
export async function tellGithub(
  model: RunModel,
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<string[]> {
  if (env['GITHUB_ACTIONS'] !== 'true') return [];
  for (const line of githubAnnotations(model, env['GITHUB_WORKSPACE'] ?? process.cwd())) print(line);
  const file = env['GITHUB_STEP_SUMMARY'];
  if (!file) return [];
  try {
    await appendFile(file, `${jobSummary(model)}\n`);
    return [];
  } catch (error) {
    return [`the job’s summary could not be written: ${messageOf(error)}`];
  }
}

const severities: Record<Verdict, string> = {
  fail: 'major',
  error: 'critical',
  inconclusive: 'minor',
  pass: 'info',
  skipped: 'info',
};

/** The same finding in two pipelines has the same one, so that GitLab can tell new ones from known ones. */
function fingerprint(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}

/** What did not pass, in the format of GitLab's code quality reports, which merge requests show at the lines of the files. */
export function codeQuality(model: RunModel, checkout: string): object[] {
  const broken = brokenLabs(model).map(({ scenario, error }) => ({
    type: 'issue',
    check_name: 'netrig.lab',
    description: `${error.code}: ${oneLine(cutMiddle(error.message, reasonLimit))}`,
    severity: severities.error,
    fingerprint: fingerprint(scenario.id, 'lab', error.code),
    location: { path: fileIn(checkout, scenario), lines: { begin: 1 } },
  }));
  const found = findings(model).map(({ scenario, item }) => ({
    type: 'issue',
    check_name: `netrig.${item.type}`,
    description: `${oneLine(item.title)}: ${item.outcome.verdict}: ${oneLine(cutMiddle(causeAndReason(item), reasonLimit))}`,
    severity: isWarning(item) ? 'info' : severities[item.outcome.verdict],
    fingerprint: fingerprint(scenario.id, item.kind, item.title, item.outcome.verdict, item.outcome.cause ?? ''),
    location: { path: fileIn(checkout, scenario), lines: { begin: item.line } },
  }));
  return [...broken, ...found];
}

export const codeQualityFormat: ReportFormat = {
  name: 'code-quality',
  summary: 'code-quality.json: what did not pass, for the merge requests of GitLab',
  async write(model, dir) {
    const checkout = process.env['CI_PROJECT_DIR'] ?? model.cwd;
    await writeWhole(dir, 'code-quality.json', `${JSON.stringify(codeQuality(model, checkout), null, 2)}\n`);
    return { files: ['code-quality.json'], notes: [] };
  },
};
