/**
 * `mocha --require netrig/register --extension yaml --recursive scenarios`: lets stock Mocha run scenario files, in serial
 * and in parallel mode, with any reporter.
 *
 * Mocha loads this module in the process that runs the files (each worker in parallel mode); the global fixtures run once,
 * in the main process.
 */
import Module from 'node:module';
import { upDetached } from '../holder/detached.js';
import type { RunEventBody } from '../model/events.js';
import { wishFor } from '../providers/isolation-wish.js';
import { planLab } from '../plan/plan.js';
import { openEventLog, type EventLog } from '../run/event-log.js';
import { onInterrupt } from '../run/interrupt.js';
import { sharedSettings } from '../run/run-settings.js';
import { isCatalogueFile } from '../scenario/catalogue.js';
import { defineBrokenFile, defineScenarioFile } from './scenario-suite.js';
import { beginRun, type OwnedRun } from './whole-run.js';

/** Other code of this process that wants to see events as they are written (the console of `netrig run`). */
const listeners = new Set<(event: RunEventBody) => void>();
export function onEvent(listener: (event: RunEventBody) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let owned: OwnedRun | null = null;
let log: { dir: string; log: EventLog } | null = null;

function emit(event: RunEventBody): void {
  const settings = sharedSettings();
  if (!settings) throw new Error('netrig/register: an event came before the run began');
  if (log?.dir !== settings.runDir) {
    log?.log.close();
    log = { dir: settings.runDir, log: openEventLog(settings.runDir) };
  }
  log.log.emit(event);
  for (const listener of listeners) listener(event);
}

const interrupt = onInterrupt(() => undefined);

function load(_module: unknown, file: string): void {
  // Mocha hands over every file with the extension.
  if (isCatalogueFile(file)) return;
  try {
    define(file);
  } catch (error) {
    // Before a run begins, Mocha tells. Within one the other files go on, and this one is an error of the run.
    if (!sharedSettings()) throw error;
    defineBrokenFile(file, error, emit);
  }
}

function define(file: string): void {
  defineScenarioFile(file, {
    settings: sharedSettings,
    emit,
    signal: interrupt.signal,
    upDetached: (scenario) => (provider) =>
      upDetached(provider.name, planLab(scenario), {
        signal: interrupt.signal,
        emit,
        scenario: scenario.id,
        scenarioFile: scenario.file,
        isolation: wishFor(sharedSettings()?.isolation ?? 'auto', scenario.file),
      }),
  });
}

// The hook that Mocha's own loader falls back to for extensions that `import` does not know.
const extensions = (Module as unknown as { _extensions: Record<string, typeof load> })._extensions;
extensions['.yaml'] = load;
extensions['.yml'] = load;

export async function mochaGlobalSetup(): Promise<void> {
  if (sharedSettings()) return;
  owned = await beginRun({ argv: process.argv.slice(2) });
}

export async function mochaGlobalTeardown(): Promise<void> {
  if (!owned) return;
  log?.log.close();
  log = null;
  const { dir } = owned;
  const { model, notes } = await owned.end({ interrupted: interrupt.signal.aborted });
  owned = null;
  if (model.exitCode !== 0 && !process.exitCode) process.exitCode = model.exitCode;
  for (const note of notes) process.stdout.write(`netrig: ${note}\n`);
  process.stdout.write(`netrig: reports in ${dir}\n`);
}
