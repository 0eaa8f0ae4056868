import { NetrigError } from '../../errors.js';
import { atStart } from '../../exercise/views.js';
import { bringUp, chooseScenario } from '../../labs/up.js';
import type { RunEventBody } from '../../model/events.js';
import { exitStatus } from '../../model/verdict.js';
import { offlineVariable } from '../../images/offline.js';
import { isolationWish } from '../../providers/isolation-wish.js';
import { providerNamed } from '../../providers/registry.js';
import { createConsoleReporter } from '../../report/console.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles } from '../../scenario/load.js';
import type { Scenario } from '../../scenario/scenario.js';
import { withoutSteps } from '../../scenario/without-steps.js';
import { agree, shareInventory } from '../consent.js';
import type { UpFlags } from '../flags.js';
import { loadOrPrint } from '../load-or-print.js';
import { err, note, print, tell } from '../terminal.js';

/** @throws NETRIG_USAGE for the set-up of what is no exercise. */
function asWanted(scenario: Scenario, flags: { steps: boolean; unsolved?: boolean }, file: string): Scenario {
  if (!flags.steps) return withoutSteps(scenario);
  if (!flags.unsolved) return scenario;
  if (scenario.exercise) return atStart(scenario);
  throw new NetrigError('NETRIG_USAGE', `${file} is no exercise, so that none of its steps is a solution.`, {
    hint: 'docs/teaching.md says how to make an exercise of a scenario.',
  });
}

/**
 * What a student has to know who works without a page: the text, and where hints are. `null` where the lab comes up solved, or
 * without its set-up. A handout has no solution: its lab is the one to be solved without being asked for.
 */
export function toldOfExercise(
  { exercise, items }: Pick<Scenario, 'exercise' | 'items'>,
  flags: { steps: boolean; unsolved?: boolean },
  file: string,
): { text: string[]; help: string } | null {
  const solved = !flags.unsolved && items.some((item) => item.kind === 'step' && item.role === 'solution');
  if (exercise === undefined || solved || !flags.steps) return null;
  return {
    text: exercise.text.trim().split('\n'),
    help: `netrig check says how far you are. Hints: netrig play ${file} opens them one by one in a browser; they stand in the file as \`hint\`.`,
  };
}

function tellExercise(told: ReturnType<typeof toldOfExercise>): void {
  for (const line of told?.text ?? []) tell`${line}`;
  if (told) tell`${err.dim(told.help)}`;
}

/** `netrig up`: prints the lab's id on standard output, everything else on standard error. */
export async function up(file: string, flags: UpFlags): Promise<number> {
  const [loaded] = await loadOrPrint((await findScenarioFiles([file])).slice(0, 1), {
    provider: flags.provider ?? null,
  });
  const wanted = chooseScenario(loaded!.scenarios, file, flags.scenario);
  const scenario = asWanted(wanted, flags, file);
  if (flags.offline) process.env[offlineVariable] = 'yes';
  shareInventory(flags.inventory);
  const provider = providerNamed(flags.provider ?? scenario.provider ?? 'local');
  await agree(provider, flags.yes ?? false);

  // The same words as those of a run, only on the other stream.
  const reporter = createConsoleReporter({ stream: process.stderr });
  const report = (event: RunEventBody): void =>
    reporter.onEvent({ v: 1, t: new Date().toISOString(), pid: process.pid, ...event });
  const emit = (event: RunEventBody): void => {
    if (event.type !== 'scenario:end') return report(event);
    // What it ends with is thrown, and told once the lab is gone.
    const { error: _, ...rest } = event;
    report(rest);
  };
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
    tellExercise(toldOfExercise(wanted, flags, file));
    tell`${err.dim(`netrig ssh ${scenario.hosts[0]!.name}   netrig check   netrig down ${lab}`)}`;
    return exitStatus.passed;
  } finally {
    reporter.stop();
    interrupt.dispose();
  }
}
