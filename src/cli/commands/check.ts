import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkLab, scenarioFileOf, scenarioOf } from '../../labs/check.js';
import { findLab } from '../../labs/find.js';
import type { RunEventBody } from '../../model/events.js';
import { exitStatus } from '../../model/verdict.js';
import { beginRun } from '../../mocha/whole-run.js';
import { createConsoleReporter } from '../../report/console.js';
import { openEventLog } from '../../run/event-log.js';
import { onInterrupt } from '../../run/interrupt.js';
import { loadOrPrint } from '../load-or-print.js';
import { note, printJsonText } from '../terminal.js';

/** `netrig check`: the checks of a lab that is up, as it is now. */
export async function check(flags: { lab?: string; grep?: string; json?: boolean; reports: string }): Promise<number> {
  const record = findLab(flags.lab);
  const [loaded] = await loadOrPrint([scenarioFileOf(record)], { provider: record.provider });
  const scenario = scenarioOf(record, loaded!.scenarios);
  const owned = await beginRun({ argv: process.argv.slice(2), reports: flags.reports });
  const log = openEventLog(owned.dir);
  const reporter = createConsoleReporter({ stream: process.stdout });
  const emit = (event: RunEventBody): void => {
    log.emit(event);
    if (!flags.json) reporter.onEvent({ v: 1, t: new Date().toISOString(), pid: process.pid, ...event });
  };
  const interrupt = onInterrupt(() => note('interrupted; the lab stays'));
  const only = flags.grep === undefined ? null : new RegExp(flags.grep);
  await checkLab(record, scenario, { emit, runDir: owned.dir, signal: interrupt.signal, only });
  log.close();
  const { model, files, notes } = await owned.end({ interrupted: interrupt.signal.aborted });
  interrupt.dispose();
  if (flags.json) printJsonText(await readFile(join(owned.dir, 'results.json'), 'utf8'));
  else reporter.finish(model, { dir: owned.dir, files, notes });
  return interrupt.signal.aborted ? exitStatus.interrupted : model.exitCode;
}
