import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { NetrigError } from '../../errors.js';
import { findHostImageRow } from '../../images/host-image.js';
import { sweepFirst } from '../../labs/down.js';
import { runScenarios, type FinishedRun } from '../../labs/run.js';
import { exitStatus } from '../../model/verdict.js';
import { checkReporter } from '../../mocha/run-mocha.js';
import { offlineVariable } from '../../images/offline.js';
import { isolationWish } from '../../providers/isolation-wish.js';
import { providerNamed } from '../../providers/registry.js';
import { tellGithub } from '../../report/ci.js';
import { allureReportFormat } from '../../report/allure.js';
import { createConsoleReporter } from '../../report/console.js';
import { writeReports } from '../../report/reports.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles, type LoadedScenario } from '../../scenario/load.js';
import { agree, shareInventory } from '../consent.js';
import { onePerProcessor } from '../jobs.js';
import { loadOrPrint } from '../load-or-print.js';
import { printError } from '../print-error.js';
import type { RunFlags } from '../program.js';
import { partOf } from '../shard.js';
import { note, print, printJsonText } from '../terminal.js';

/** `netrig run`. */
export async function run(paths: string[], flags: RunFlags): Promise<number> {
  const files = await findScenarioFiles(paths);
  const unknownImage = flags.matrix['image']?.find((name) => !findHostImageRow(name));
  if (unknownImage !== undefined)
    throw new NetrigError('NETRIG_IMAGE_UNKNOWN', `There is no host image "${unknownImage}".`);
  if (flags.reporter !== undefined) await checkReporter(flags.reporter);
  const chosen = chooseFiles(
    await loadOrPrint(files, { matrix: flags.matrix, provider: flags.provider ?? null }, { hints: true }),
    flags,
  );
  if (flags.provider !== undefined) providerNamed(flags.provider);
  shareInventory(flags.inventory);
  const used = providersOf(chosen, flags);
  await mayUse(used, flags);
  await sweepFirst(note);

  if (flags.offline) process.env[offlineVariable] = 'yes';
  const interrupt = onInterrupt(() =>
    note('interrupted: ending what runs and taking labs down; once more ends at once'),
  );
  const reporter = createConsoleReporter({ stream: process.stdout });
  const silent = flags.json === true || flags.reporter !== undefined;
  const finished = await runScenarios({
    files: chosen,
    jobs: flags.jobs ?? (used.some((name) => providerNamed(name).reusesHosts) ? 1 : onePerProcessor()),
    reports: flags.reports,
    argv: process.argv.slice(2),
    settings: {
      provider: flags.provider ?? null,
      isolation: isolationWish(flags.isolation),
      keepOnFail: flags.keepOnFail ?? false,
      bail: flags.bail ?? false,
      checkOnly: flags.checkOnly ?? false,
      tags: flags.tag,
      matrix: flags.matrix,
    },
    grep: flags.grep ?? null,
    reporter: flags.reporter ?? null,
    retries: flags.retries,
    signal: interrupt.signal,
    onEvent: silent ? null : reporter.onEvent,
  });
  // A worker that was killed hard could not clean up after itself.
  if (interrupt.signal.aborted) await sweepFirst(note);

  if (flags.json) printJsonText(await readFile(join(finished.dir, 'results.json'), 'utf8'));
  else if (flags.reporter !== undefined) print`reports: ${relative(process.cwd(), finished.dir)}`;
  else reporter.finish(finished.model, finished);
  const failures = [...finished.failures, ...(await allurePage(finished, flags, interrupt.signal))];
  for (const { error } of failures) printError(error);
  // With --json, standard output is one JSON document and nothing else.
  if (!flags.json)
    for (const line of await tellGithub(finished.model, process.env, (line) => print`${line}`)) note(line);
  const interrupted = interrupt.signal.aborted;
  interrupt.dispose();
  if (interrupted) return exitStatus.interrupted;
  const { exitCode } = finished.model;
  return exitCode === exitStatus.passed && failures.length > 0 ? exitStatus.lab : exitCode;
}

/** The report that takes a program of its own half a minute: after the results have been told, and where it is wanted. */
async function allurePage(
  { dir }: FinishedRun,
  flags: RunFlags,
  signal: AbortSignal,
): Promise<FinishedRun['failures']> {
  if (!flags.allure || !flags.allureReport || signal.aborted) return [];
  note('making the Allure page');
  const { files, notes, failures } = await writeReports(dir, { formats: [allureReportFormat.name], signal });
  for (const line of notes) note(line);
  for (const file of files) note(join(relative(process.cwd(), dir), file));
  return failures;
}

/** The files whose scenarios are asked for by tag, matrix and part. @throws NETRIG_NO_SCENARIO when there is none. */
function chooseFiles(loaded: readonly LoadedScenario[], flags: RunFlags): LoadedScenario[] {
  const tagged = loaded.filter((one) =>
    one.scenarios.some((scenario) => flags.tag.length === 0 || scenario.tags.some((tag) => flags.tag.includes(tag))),
  );
  if (tagged.length === 0) {
    const matrix = Object.entries(flags.matrix).map(([name, values]) => `${name}=${values.join(',')}`);
    const asked = [...(flags.tag.length > 0 ? [`the tag ${flags.tag.join(' or ')}`] : []), ...matrix];
    const known = [...new Set(loaded.flatMap((one) => one.scenarios.flatMap((scenario) => scenario.tags)))].sort();
    throw new NetrigError('NETRIG_NO_SCENARIO', `No scenario has ${asked.join(' and ')}.`, {
      hint:
        known.length > 0 ? `Tags in use: ${known.join(', ')}.` : 'Look at the `tags` and `matrix` of the scenarios.',
    });
  }
  const chosen = flags.shard ? partOf(tagged, flags.shard) : tagged;
  if (chosen.length > 0 || !flags.shard) return chosen;
  const { length } = tagged;
  throw new NetrigError(
    'NETRIG_NO_SCENARIO',
    `Part ${flags.shard.index} of ${flags.shard.of} is empty: there ${length === 1 ? 'is one scenario file' : `are ${length} scenario files`}.`,
    { hint: `Use at most ${length} ${length === 1 ? 'part' : 'parts'}.` },
  );
}

function providersOf(chosen: readonly LoadedScenario[], flags: RunFlags): string[] {
  const names = chosen.flatMap((one) =>
    one.scenarios.map((scenario) => flags.provider ?? scenario.provider ?? 'local'),
  );
  return [...new Set(names)];
}

/** @throws NETRIG_USAGE where --check-only has no machines that exist, or nobody agrees to changing those that do. */
async function mayUse(used: readonly string[], flags: RunFlags): Promise<void> {
  if (!flags.checkOnly) {
    for (const name of used) await agree(providerNamed(name), flags.yes ?? false);
    return;
  }
  const making = used.find((name) => !providerNamed(name).asks);
  if (making !== undefined)
    throw new NetrigError(
      'NETRIG_USAGE',
      `--check-only is for machines that exist already; the provider ${making} makes its own.`,
      { hint: 'Use it with --provider ssh --inventory FILE.' },
    );
}
