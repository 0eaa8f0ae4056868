import { NetrigError } from '../errors.js';
import type { EmitEvent } from '../model/events.js';
import type { LabRecord } from '../providers/provider.js';
import { providerNamed } from '../providers/registry.js';
import { createScenarioRun } from '../run/scenario-run.js';
import { toldOf } from '../scenario/handed-out.js';
import type { Scenario } from '../scenario/scenario.js';

/** The scenario that a lab was brought up from, as its file has it now. @throws NETRIG_USAGE. */
export function scenarioOf(record: LabRecord, scenarios: readonly Scenario[]): Scenario {
  const found = scenarios.find((one) => one.id === record.title);
  if (found) return found;
  throw new NetrigError('NETRIG_USAGE', `${record.scenarioFile ?? ''} has no scenario "${record.title}" any more.`, {
    hint: 'Take the lab down and up again.',
  });
}

/** The file that a lab was brought up from. @throws NETRIG_USAGE where there is none. */
export function scenarioFileOf(record: LabRecord): string {
  if (record.scenarioFile) return record.scenarioFile;
  throw new NetrigError(
    'NETRIG_USAGE',
    `The lab ${record.id} was not brought up from a scenario file, so it has no checks.`,
  );
}

export interface CheckOptions {
  emit: EmitEvent;
  /** Directory of the run, for the record and for files of checks. */
  runDir: string;
  signal: AbortSignal;
  /** Only checks whose title (`scenario: title check title`) matches. */
  only: RegExp | null;
}

/** Makes the checks of a lab that is up, as it is now; it stays up. @throws NETRIG_LAB_GONE. */
export async function checkLab(record: LabRecord, scenario: Scenario, options: CheckOptions): Promise<void> {
  const { emit, runDir, signal, only } = options;
  const provider = providerNamed(record.provider);
  const existing = await provider.attach(record);
  const run = createScenarioRun(scenario, { provider, emit, runDir, signal, existing, tell: toldOf(scenario) });
  for (const item of run.items) {
    if (item.kind === 'step' || only === null || only.test(`${scenario.id}: ${scenario.title} ${item.title}`))
      await run.perform(item.id);
  }
  await run.finish();
}
