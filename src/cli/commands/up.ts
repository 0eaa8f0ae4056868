import { bringUp, chooseScenario } from '../../labs/up.js';
import type { RunEventBody } from '../../model/events.js';
import { exitStatus } from '../../model/verdict.js';
import { offlineVariable } from '../../images/offline.js';
import { isolationWish } from '../../providers/isolation-wish.js';
import { providerNamed } from '../../providers/registry.js';
import { createConsoleReporter } from '../../report/console.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles } from '../../scenario/load.js';
import { withoutSteps } from '../../scenario/without-steps.js';
import { agree, shareInventory } from '../consent.js';
import { loadOrPrint } from '../load-or-print.js';
import { err, note, print, tell } from '../terminal.js';

/** `netrig up`: prints the lab's id on standard output, everything else on standard error. */
export async function up(
  file: string,
  flags: {
    provider?: string;
    inventory?: string;
    yes?: boolean;
    scenario?: string;
    steps: boolean;
    isolation: string;
    offline?: boolean;
  },
): Promise<number> {
  const [loaded] = await loadOrPrint((await findScenarioFiles([file])).slice(0, 1), {
    provider: flags.provider ?? null,
  });
  const wanted = chooseScenario(loaded!.scenarios, file, flags.scenario);
  const scenario = flags.steps ? wanted : withoutSteps(wanted);
  if (flags.offline) process.env[offlineVariable] = 'yes';
  shareInventory(flags.inventory);
  const provider = providerNamed(flags.provider ?? scenario.provider ?? 'local');
  await agree(provider, flags.yes ?? false);

  // The same words as those of a run, only on the other stream.
  const reporter = createConsoleReporter({ stream: process.stderr });
  const emit = (event: RunEventBody): void =>
    reporter.onEvent({ v: 1, t: new Date().toISOString(), pid: process.pid, ...event });
  const interrupt = onInterrupt(() => note('interrupted, taking the lab down'));
  try {
    const lab = await bringUp(scenario, {
      provider,
      isolation: isolationWish(flags.isolation),
      signal: interrupt.signal,
      emit,
    });
    reporter.stop();
    print`${lab}`;
    tell`${err.dim(`netrig ssh ${scenario.hosts[0]!.name}   netrig check   netrig down ${lab}`)}`;
    return exitStatus.passed;
  } finally {
    reporter.stop();
    interrupt.dispose();
  }
}
