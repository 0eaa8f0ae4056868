import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { resolve } from 'node:path';
import { openEventLog } from '../run/event-log.js';
import { shareSettings, unshareSettings, type RunSettings } from '../run/run-settings.js';
import { createRunDir } from '../report/run-dir.js';
import { defaultFormats, writeReports, type WrittenReports } from '../report/reports.js';

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
  /** Closes the record and makes the reports from it. */
  end(options: { interrupted: boolean; formats?: readonly string[] }): Promise<WrittenReports>;
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
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
    netrig: ownVersion(),
    node: process.version,
    kernel: release(),
    argv: options.argv,
    cwd: process.cwd(),
  });
  return {
    id,
    dir,
    set(more) {
      settings = { ...settings, ...more };
      shareSettings(settings);
    },
    async end({ interrupted, formats }) {
      log.emit({ type: 'run:end', durationMs: performance.now() - startedAt, interrupted });
      log.close();
      unshareSettings();
      return writeReports(dir, { formats: formats ?? defaultFormats() });
    },
  };
}
