import { err } from '../colours.js';
import { NetrigError } from '../../errors.js';
import { upDetached } from '../../holder/detached.js';
import { formatDuration } from '../../model/duration.js';
import type { RunEventBody } from '../../model/events.js';
import { exitStatus } from '../../model/verdict.js';
import { planLab } from '../../plan/plan.js';
import { isolationWish, wishFor } from '../../providers/isolation-wish.js';
import { providerNamed } from '../../providers/registry.js';
import { onInterrupt } from '../../run/interrupt.js';
import { createScenarioRun } from '../../run/scenario-run.js';
import { findScenarioFiles } from '../../scenario/load.js';
import { keepSavedValues } from '../../lab/store.js';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withoutSteps } from '../../scenario/without-steps.js';
import { agree, shareInventory } from '../consent.js';
import { loadOrPrint } from '../load-or-print.js';

/** `netrig up`: prints the lab's id on standard output, everything else on standard error. */
export async function up(
  file: string,
  flags: { provider?: string; inventory?: string; yes?: boolean; scenario?: string; steps: boolean; isolation: string },
): Promise<number> {
  const [scenarioFile] = await findScenarioFiles([file]);
  const [loaded] = await loadOrPrint([scenarioFile!]);
  const scenarios = loaded!.scenarios;
  const wanted =
    flags.scenario === undefined
      ? scenarios.length === 1
        ? scenarios[0]
        : undefined
      : scenarios.find((one) => one.id === flags.scenario);
  if (!wanted) {
    throw new NetrigError(
      'NETRIG_USAGE',
      flags.scenario === undefined
        ? `${file} makes ${scenarios.length} scenarios.`
        : `${file} has no scenario "${flags.scenario}".`,
      { hint: `Say which by --scenario: ${scenarios.map((one) => one.id).join(', ')}.` },
    );
  }
  const scenario = flags.steps ? wanted : withoutSteps(wanted);

  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const titles = new Map(scenario.items.map((item) => [item.id, item.title]));
  const emit = (event: RunEventBody): void => {
    if (event.type === 'phase' && event.state === 'end' && event.phase !== 'teardown')
      say(
        `${err.green('✓')} ${event.text}${event.durationMs === undefined ? '' : err.dim(` ${formatDuration(event.durationMs)}`)}`,
      );
    if (event.type === 'phase' && event.state === 'start' && event.phase === 'image') say(event.text);
    if (event.type === 'log') say(`${event.level}: ${event.text}`);
    if (event.type === 'item:end' && event.outcome.verdict !== 'skipped')
      say(
        `${event.outcome.verdict === 'pass' ? err.green('✓') : err.red('✗')} ${titles.get(event.item) ?? event.item}${event.outcome.verdict === 'pass' ? err.dim(` ${formatDuration(event.durationMs)}`) : `: ${event.outcome.reason}`}`,
      );
  };
  const interrupt = onInterrupt(() => say('netrig: interrupted, taking the lab down'));
  shareInventory(flags.inventory);
  const provider = providerNamed(flags.provider ?? scenario.provider ?? 'local');
  await agree(provider, flags.yes ?? false);
  const files = await mkdtemp(join(tmpdir(), 'netrig-up-'));
  try {
    const lab = await bringUp();
    process.stdout.write(`${lab}\n`);
    say(err.dim(`netrig ssh ${scenario.hosts[0]!.name}   netrig check   netrig down ${lab}`));
    return exitStatus.passed;
  } finally {
    interrupt.dispose();
    await rm(files, { recursive: true, force: true });
  }

  /** The lab's id, once its steps are done. A lab whose steps fail does not stay. */
  async function bringUp(): Promise<string> {
    await provider.preflight(planLab(scenario));
    const run = createScenarioRun(scenario, {
      provider,
      emit,
      runDir: files,
      signal: interrupt.signal,
      onSaved: (lab, values) => keepSavedValues(lab.id, values),
      up: (_provider, plan) =>
        upDetached(provider.name, plan, {
          signal: interrupt.signal,
          emit,
          scenario: scenario.id,
          scenarioFile: scenario.file,
          isolation: wishFor(isolationWish(flags.isolation), scenario.file),
        }),
    });
    const failed = await run.applySteps();
    if (failed) {
      await run.finish();
      if (interrupt.signal.aborted) throw new NetrigError('NETRIG_INTERRUPTED', 'Interrupted; the lab was taken down.');
      throw failed;
    }
    const id = run.lab()!.id;
    await run.leave();
    return id;
  }
}
