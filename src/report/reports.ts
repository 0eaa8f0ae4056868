import { join } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { eventLogName, readEvents } from '../run/event-log.js';
import { allureReportFormat, allureResultsFormat } from './allure.js';
import { codeQualityFormat } from './ci.js';
import type { ReportFormat } from './format.js';
import { htmlFormat } from './html.js';
import { junitFormat } from './junit.js';
import { createRunReducer, type RunModel } from './model.js';
import { resultsFormat } from './results-json.js';
import { summaryFormat } from './summary.js';

/** All formats, in the order in which they are made: quick ones first; `allure-report` needs what `allure` wrote. */
const formats: readonly ReportFormat[] = [
  resultsFormat,
  junitFormat,
  codeQualityFormat,
  summaryFormat,
  htmlFormat,
  allureResultsFormat,
  allureReportFormat,
];

/**
 * The formats that are made of every run, all of them quick: in CI, which has readers for them, Allure's results, too. Its
 * page takes a Java program half a minute and is made where it is asked for.
 */
export function defaultFormats(env: NodeJS.ProcessEnv = process.env): readonly string[] {
  const inCI = ![undefined, '', '0', 'false'].includes(env['CI']);
  return formats
    .map((format) => format.name)
    .filter((name) => name !== allureReportFormat.name && (inCI || name !== allureResultsFormat.name));
}

export interface WrittenReports {
  model: RunModel;
  /** Relative to the run's directory. */
  files: string[];
  /** Sentences for the user. */
  notes: string[];
  /** Formats that could not be written. One that fails does not stop the others. */
  failures: { format: string; error: NetrigError }[];
}

/**
 * The model of the run recorded in `dir/run.jsonl`.
 *
 * @throws NETRIG_RUN_UNKNOWN when there is no record.
 */
export async function loadRun(dir: string): Promise<RunModel> {
  const reducer = createRunReducer();
  let tornLines = 0;
  for await (const event of readEvents(join(dir, eventLogName), () => void (tornLines += 1))) reducer.add(event);
  return reducer.result({ tornLines });
}

/**
 * Makes the reports of the run recorded in `dir`, from its record alone; may be repeated at any time.
 *
 * @param options.formats Names from `formats`; default: all of them.
 * @param options.signal Ends a child process that makes a report.
 * @throws NETRIG_RUN_UNKNOWN when there is no record, NETRIG_USAGE for an unknown format.
 */
export async function writeReports(
  dir: string,
  options: { formats?: readonly string[]; signal?: AbortSignal } = {},
): Promise<WrittenReports> {
  const named = options.formats ?? formats.map((format) => format.name);
  const names = named.includes(allureReportFormat.name) ? [...named, allureResultsFormat.name] : named;
  for (const name of names) {
    if (!formats.some((format) => format.name === name)) {
      throw new NetrigError(
        'NETRIG_USAGE',
        `There is no report format ${JSON.stringify(name)}; there are: ${formats.map((f) => f.name).join(', ')}`,
      );
    }
  }
  const model = await loadRun(dir);
  const all: WrittenReports = { model, files: [], notes: [], failures: [] };
  for (const format of formats) {
    if (!names.includes(format.name)) continue;
    try {
      const written = await format.write(model, dir, options.signal);
      all.files.push(...written.files);
      all.notes.push(...written.notes);
    } catch (error) {
      all.failures.push({
        format: format.name,
        error: new NetrigError(
          'NETRIG_REPORT_WRITE',
          `The report ${format.name} could not be written: ${messageOf(error)}`,
          { cause: error },
        ),
      });
    }
  }
  return all;
}
