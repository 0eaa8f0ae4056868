import { NetrigError } from '../../errors.js';
import type { RunEventBody } from '../../model/events.js';
import { exitStatus } from '../../model/verdict.js';
import { beginRun } from '../../mocha/whole-run.js';
import { providerNamed } from '../../providers/registry.js';
import { createConsoleReporter } from '../../report/console.js';
import { openEventLog } from '../../run/event-log.js';
import { onInterrupt } from '../../run/interrupt.js';
import { createScenarioRun } from '../../run/scenario-run.js';
import { loadOrPrint } from '../load-or-print.js';
import { pickLab } from '../pick-lab.js';
import { readFile } from 'node:fs/promises';

/** `netrig check`: the checks of a lab that is up, as it is now. */
export async function check(flags: { lab?: string; grep?: string; json?: boolean; reports: string }): Promise<number> {
  const record = await pickLab(flags.lab);
  if (!record.scenarioFile)
    throw new NetrigError(
      'NETRIG_USAGE',
      `The lab ${record.id} was not brought up from a scenario file, so it has no checks.`,
    );
  const [loaded] = await loadOrPrint([record.scenarioFile]);
  const scenario = loaded!.scenarios.find((one) => one.id === record.title);
  if (!scenario)
    throw new NetrigError('NETRIG_USAGE', `${record.scenarioFile} has no scenario "${record.title}" any more.`, {
      hint: 'Take the lab down and up again.',
    });
  const provider = providerNamed(record.provider);
  const existing = await provider.attach(record);

  const owned = await beginRun({ argv: process.argv.slice(2), reports: flags.reports });
  const log = openEventLog(owned.dir);
  const reporter = createConsoleReporter({ stream: process.stdout });
  const emit = (event: RunEventBody): void => {
    log.emit(event);
    if (!flags.json) reporter.onEvent({ v: 1, t: new Date().toISOString(), pid: process.pid, ...event });
  };
  const interrupt = onInterrupt(() => process.stderr.write('netrig: interrupted; the lab stays\n'));
  const run = createScenarioRun(scenario, { provider, emit, runDir: owned.dir, signal: interrupt.signal, existing });
  const wanted = flags.grep === undefined ? null : new RegExp(flags.grep);
  for (const item of run.items) {
    if (item.kind === 'step') await run.perform(item.id);
    else if (!wanted || wanted.test(`${scenario.id}: ${scenario.title} ${item.title}`)) await run.perform(item.id);
  }
  await run.finish();
  log.close();
  const { model, files, notes } = await owned.end({ interrupted: interrupt.signal.aborted });
  interrupt.dispose();
  if (flags.json) process.stdout.write(await readFile(`${owned.dir}/results.json`, 'utf8'));
  else reporter.finish(model, { dir: owned.dir, files, notes });
  return interrupt.signal.aborted ? exitStatus.interrupted : model.exitCode;
}
