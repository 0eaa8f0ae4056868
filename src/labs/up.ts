import { rm } from 'node:fs/promises';
import { temporaryDirectory } from '../lab/temporary.js';
import { NetrigError } from '../errors.js';
import { upDetached } from '../holder/detached.js';
import type { EmitEvent } from '../model/events.js';
import { planLab } from '../plan/plan.js';
import { keepSavedValues } from '../lab/store.js';
import { wishFor } from '../providers/isolation-wish.js';
import type { IsolationWish, Provider } from '../providers/provider.js';
import { createScenarioRun } from '../run/scenario-run.js';
import type { Scenario } from '../scenario/scenario.js';

/**
 * The scenario that is meant among those of a file.
 *
 * @throws NETRIG_USAGE when there is no such, or none was named and there are several.
 */
export function chooseScenario(scenarios: readonly Scenario[], file: string, id: string | undefined): Scenario {
  const found =
    id === undefined ? (scenarios.length === 1 ? scenarios[0] : undefined) : scenarios.find((one) => one.id === id);
  if (found) return found;
  throw new NetrigError(
    'NETRIG_USAGE',
    id === undefined ? `${file} makes ${scenarios.length} scenarios.` : `${file} has no scenario "${id}".`,
    { hint: `Say which one: ${scenarios.map((one) => one.id).join(', ')}.` },
  );
}

export interface UpOptions {
  provider: Provider;
  /** How hosts are kept from this machine, where the provider can keep them. */
  isolation: IsolationWish;
  signal: AbortSignal;
  /** Takes the events of the boot and of the steps. */
  emit: EmitEvent;
}

/**
 * Brings a lab up in a process of its own, takes its steps, and leaves it up. A lab whose steps fail does not stay.
 *
 * @returns The lab's id.
 * @throws NETRIG_STEP_FAILED, NETRIG_INTERRUPTED (with the lab taken down), or what the provider throws.
 */
export async function bringUp(scenario: Scenario, { provider, isolation, signal, emit }: UpOptions): Promise<string> {
  await provider.preflight(planLab(scenario));
  const files = temporaryDirectory('up');
  try {
    // Checks are not part of it, also not as something planned that never came.
    const steps = { ...scenario, items: scenario.items.filter((item) => item.kind === 'step') };
    const run = createScenarioRun(steps, {
      provider,
      emit,
      runDir: files,
      signal,
      onSaved: (lab, values) => keepSavedValues(lab.id, values),
      up: (_provider, plan) =>
        upDetached(provider.name, plan, {
          signal,
          emit,
          scenario: scenario.id,
          scenarioFile: scenario.file,
          isolation: wishFor(isolation, scenario.file),
        }),
    });
    const failed = await run.applySteps();
    const lab = run.lab();
    if (failed === null && lab) {
      await run.leave();
      return lab.id;
    }
    await run.finish();
    if (signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', 'Interrupted; the lab was taken down.');
    throw (
      failed ??
      new NetrigError(
        'NETRIG_CAPABILITY',
        `The lab of ${scenario.id} cannot be brought up here: it needs ${scenario.requires.join(', ')}.`,
      )
    );
  } finally {
    await rm(files, { recursive: true, force: true });
  }
}
