import { release } from 'node:os';
import { join, resolve } from 'node:path';
import type { EmitEvent, ScenarioPlan } from '../model/events.js';
import { netrigVersion } from '../model/version.js';
import { eventLogName, openEventLog, readEvents } from '../run/event-log.js';
import { plannedScenario } from '../run/planned-items.js';
import { shareSettings, unshareSettings, type RunSettings } from '../run/run-settings.js';
import { createRunDir } from '../report/run-dir.js';
import { defaultFormats, writeReports, type WrittenReports } from '../report/reports.js';
import type { Scenario } from '../scenario/scenario.js';
import { isSelected, titlesOf } from './selection.js';

export interface BeginOptions {
  argv: string[];
  /** Directory that holds the runs; default `reports` in the working directory. */
  reports?: string;
  settings?: Partial<RunSettings>;
}

export interface OwnedRun {
  readonly id: string;
  readonly dir: string;
  /** Changes what later suites of this run see. */
  set(settings: Partial<RunSettings>): void;
  /**
   * Writes into the record what the run will do, before the first process that does it starts: of all this, what then has no
   * record is an error.
   *
   * @param grep Only scenarios of which an item's whole title matches are begun at all; `null`: all.
   */
  plan(scenarios: readonly Scenario[], grep: string | null): void;
  /** Closes the record and makes the reports from it. */
  end(options: EndOptions): Promise<WrittenReports>;
}

export interface EndOptions {
  interrupted: boolean;
  formats?: readonly string[];
  /** Tests that Mocha counted as failed. */
  failures?: number;
}

/** Why planned scenarios were not begun where `--bail` stopped the run. */
const bailed = 'the run stopped at the first check that did not pass (--bail)';

/** What the record says of planned scenarios so far. */
async function begunIn(dir: string): Promise<{ begun: Set<string>; red: boolean }> {
  const begun = new Set<string>();
  let red = false;
  for await (const event of readEvents(join(dir, eventLogName), () => undefined)) {
    if (event.type === 'scenario:start') begun.add(event.scenario);
    if (event.type === 'item:end') red ||= !['pass', 'skipped'].includes(event.outcome.verdict);
    if (event.type === 'scenario:end') red ||= event.error !== undefined;
  }
  return { begun, red };
}

/** A scenario that was left out on purpose: begun and ended, with the reason at each of its items. */
function leaveOut(emit: EmitEvent, plan: ScenarioPlan, reason: string): void {
  const { scenario } = plan;
  emit({ ...plan, type: 'scenario:start', attempt: 1 });
  for (const { id } of plan.planned)
    emit({ type: 'item:end', scenario, item: id, outcome: { verdict: 'skipped', reason }, attempts: 0, durationMs: 0 });
  emit({ type: 'scenario:end', scenario, durationMs: 0 });
}

/** Makes a run's directory, opens its record, and lets all processes of the run know where it is. */
export async function beginRun(options: BeginOptions): Promise<OwnedRun> {
  const { id, dir } = await createRunDir(resolve(options.reports ?? 'reports'));
  const startedAt = performance.now();
  let settings: RunSettings = {
    runDir: dir,
    provider: null,
    isolation: 'auto',
    keepOnFail: false,
    bail: false,
    checkOnly: false,
    attempt: 1,
    scenarios: null,
    tags: [],
    matrix: {},
    ...options.settings,
  };
  shareSettings(settings);
  const log = openEventLog(dir);
  log.emit({
    type: 'run:start',
    netrig: netrigVersion,
    node: process.version,
    kernel: release(),
    argv: options.argv,
    cwd: process.cwd(),
  });
  const plans: ScenarioPlan[] = [];
  return {
    id,
    dir,
    plan(scenarios, grep) {
      const wanted = grep === null ? null : new RegExp(grep);
      for (const scenario of scenarios) {
        if (!isSelected(scenario, settings)) continue;
        if (wanted && !titlesOf(scenario).some((title) => wanted.test(title))) continue;
        const plan = plannedScenario(scenario, settings.provider ?? scenario.provider ?? 'local');
        plans.push(plan);
        log.emit({ type: 'scenario:plan', ...plan });
      }
    },
    set(more) {
      settings = { ...settings, ...more };
      shareSettings(settings);
    },
    async end({ interrupted, formats, failures = 0 }) {
      if (settings.bail && !interrupted) {
        const { begun, red } = await begunIn(dir);
        if (red) for (const plan of plans) if (!begun.has(plan.scenario)) leaveOut(log.emit, plan, bailed);
      }
      log.emit({ type: 'run:end', durationMs: performance.now() - startedAt, interrupted, failures });
      const lost = log.close();
      unshareSettings();
      const written = await writeReports(dir, { formats: formats ?? defaultFormats() });
      if (lost) written.failures.push({ format: eventLogName, error: lost });
      return written;
    },
  };
}
