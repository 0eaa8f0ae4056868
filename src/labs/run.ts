import { onEvent } from '../mocha/register.js';
import { runMocha } from '../mocha/run-mocha.js';
import { beginRun, type OwnedRun } from '../mocha/whole-run.js';
import type { RunEvent } from '../model/events.js';
import { loadRun, type WrittenReports } from '../report/reports.js';
import { eventLogName, followEvents } from '../run/event-log.js';
import type { RunSettings } from '../run/run-settings.js';
import type { LoadedScenario } from '../scenario/load.js';

export interface RunOptions {
  /** Scenario files, validated. */
  files: readonly LoadedScenario[];
  /** Files at once. */
  jobs: number;
  /** Directory that holds the runs. */
  reports: string;
  /** As typed, for the record. */
  argv: string[];
  settings: Partial<RunSettings>;
  /** Only items whose title (`scenario: title check title`) matches; `null`: all. */
  grep: string | null;
  /** A Mocha reporter's name; `null`: events tell. */
  reporter: string | null;
  /** How often a scenario that did not pass is run again, on fresh hosts. */
  retries: number;
  /** Aborted: what runs is ended, labs are taken down, reports are made. */
  signal: AbortSignal;
  /** Takes every event as it happens; `null`: nobody looks. */
  onEvent: ((event: RunEvent) => void) | null;
}

export interface FinishedRun extends WrittenReports {
  /** The run's directory, absolute. */
  dir: string;
}

/**
 * Runs scenario files, each in a process of its own where there are several at once, and makes the reports.
 *
 * @throws NETRIG_REPORT_WRITE when the run's directory cannot be made; verdicts and what broke are in the model.
 */
export async function runScenarios(options: RunOptions): Promise<FinishedRun> {
  const owned = await beginRun({ argv: options.argv, reports: options.reports, settings: options.settings });
  const stopListening = listen(owned, options);
  let failures: number;
  try {
    owned.plan(
      options.files.flatMap((one) => one.scenarios),
      options.grep,
    );
    failures = await runAttempts(owned, options);
  } finally {
    await stopListening();
  }
  const written = await owned.end({ interrupted: options.signal.aborted, failures });
  return { ...written, dir: owned.dir };
}

/** Tells events to `onEvent`, until the returned function is called: then after the last one. */
function listen(owned: OwnedRun, { onEvent: tell, jobs, files }: RunOptions): () => Promise<void> {
  if (tell === null) return async () => undefined;
  if (jobs > 1 && files.length > 1) {
    const following = new AbortController();
    const followed = followEvents(`${owned.dir}/${eventLogName}`, tell, following.signal);
    return async () => {
      following.abort();
      await followed.catch(() => undefined);
    };
  }
  const stop = onEvent((event) => tell({ v: 1, t: new Date().toISOString(), pid: process.pid, ...event }));
  return async () => void stop();
}

/** Resolves to how many tests failed of the last time that the files were run. */
async function runAttempts(owned: OwnedRun, options: RunOptions): Promise<number> {
  const { files, jobs, grep, reporter, signal } = options;
  let again = files.map((one) => one.file);
  let failures = 0;
  for (let attempt = 1; again.length > 0; attempt += 1) {
    failures = await runMocha({ files: again, jobs, bail: options.settings.bail ?? false, grep, reporter, signal });
    if (signal.aborted || attempt > options.retries) break;
    const ids = await notPassed(owned.dir);
    owned.set({ attempt: attempt + 1, scenarios: ids });
    again = files.filter((one) => one.scenarios.some((scenario) => ids.includes(scenario.id))).map((one) => one.file);
  }
  return failures;
}

/** Ids of the scenarios whose last attempt did not pass. */
async function notPassed(dir: string): Promise<string[]> {
  const model = await loadRun(dir);
  return model.scenarios
    .filter((scenario) => !['pass', 'skipped'].includes(scenario.verdict))
    .map((scenario) => scenario.id);
}
