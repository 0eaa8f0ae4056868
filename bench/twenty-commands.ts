/**
 * The side of netrig in the bench `commands`, as a process of its own: reads a scenario file, takes its steps on a lab that
 * is up, with the record of events and all, and ends. Arguments: the scenario file, the lab's id, a directory for the run.
 * Prints the milliseconds from the start of the second step to the end of the last one.
 */
import { readRecord } from '../src/lab/store.js';
import { localProvider } from '../src/providers/local/provider.js';
import { openEventLog } from '../src/run/event-log.js';
import { createScenarioRun } from '../src/run/scenario-run.js';
import { formatDiagnostics, loadScenarioFile } from '../src/scenario/load.js';

// Until the end was reached.
process.exitCode = 1;

async function takeSteps(): Promise<void> {
  const [file = '', id = '', runDir = ''] = process.argv.slice(2);
  const { scenarios, diagnostics } = await loadScenarioFile(file);
  const [scenario] = scenarios;
  if (!scenario) throw new Error(formatDiagnostics(diagnostics));
  const log = openEventLog(runDir);
  let from = Number.NaN;
  let to = Number.NaN;
  const run = createScenarioRun(scenario, {
    provider: localProvider,
    emit: (event) => {
      if (event.type === 'item:start' && event.item === 's02') from = performance.now();
      log.emit(event);
      if (event.type === 'item:end') to = performance.now();
    },
    runDir,
    signal: new AbortController().signal,
    up: async () => localProvider.attach(readRecord(id)),
  });
  const stopped = await run.applySteps();
  await run.leave();
  const unwritten = log.close();
  if (stopped ?? unwritten) throw stopped ?? unwritten;
  process.stdout.write(`${to - from}\n`);
  process.exitCode = 0;
}

void takeSteps();
