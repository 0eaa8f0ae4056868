import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { NetrigError } from '../../errors.js';
import { findHostImageRow } from '../../images/host-image.js';
import type { RunEventBody } from '../../model/events.js';
import { exitStatus } from '../../model/verdict.js';
import { runMocha } from '../../mocha/run-mocha.js';
import { beginRun } from '../../mocha/whole-run.js';
import { onEvent } from '../../mocha/register.js';
import { isolationWish } from '../../providers/isolation-wish.js';
import { providerNamed } from '../../providers/registry.js';
import { allureReportFormat } from '../../report/allure.js';
import { tellGithub } from '../../report/ci.js';
import { createConsoleReporter } from '../../report/console.js';
import { formats, loadRun } from '../../report/reports.js';
import { eventLogName, followEvents } from '../../run/event-log.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles } from '../../scenario/load.js';
import { agree, shareInventory } from '../consent.js';
import { loadOrPrint } from '../load-or-print.js';
import { printError } from '../print-error.js';
import type { RunFlags } from '../program.js';
import { partOf } from '../shard.js';
import { sweepFirst } from '../sweep-first.js';

/** Files at once, where nobody says: labs keep a processor each busy while they boot. */
const mostDefaultJobs = 4;

/** Ids of the scenarios whose last attempt did not pass. */
async function notPassed(dir: string): Promise<string[]> {
  const model = await loadRun(dir);
  return model.scenarios
    .filter((scenario) => !['pass', 'skipped'].includes(scenario.verdict))
    .map((scenario) => scenario.id);
}

/** `netrig run`. */
export async function run(paths: string[], flags: RunFlags): Promise<number> {
  const files = await findScenarioFiles(paths);
  const unknownImage = flags.matrix['image']?.find((name) => !findHostImageRow(name));
  if (unknownImage !== undefined)
    throw new NetrigError('NETRIG_IMAGE_UNKNOWN', `There is no host image "${unknownImage}".`);
  const loaded = await loadOrPrint(files, { matrix: flags.matrix });
  if (flags.provider !== undefined) providerNamed(flags.provider);
  shareInventory(flags.inventory);
  const tagged = loaded.filter((one) =>
    one.scenarios.some((scenario) => flags.tag.length === 0 || scenario.tags.some((tag) => flags.tag.includes(tag))),
  );
  const chosen = flags.shard ? partOf(tagged, flags.shard) : tagged;
  if (tagged.length === 0) {
    const matrix = Object.entries(flags.matrix).map(([name, values]) => `${name}=${values.join(',')}`);
    const asked = [...(flags.tag.length > 0 ? [`the tag ${flags.tag.join(' or ')}`] : []), ...matrix];
    const known = [...new Set(loaded.flatMap((one) => one.scenarios.flatMap((scenario) => scenario.tags)))].sort();
    throw new NetrigError('NETRIG_NO_SCENARIO', `No scenario has ${asked.join(' and ')}.`, {
      hint:
        known.length > 0 ? `Tags in use: ${known.join(', ')}.` : 'Look at the `tags` and `matrix` of the scenarios.',
    });
  }

  if (chosen.length === 0) {
    throw new NetrigError(
      'NETRIG_NO_SCENARIO',
      `Part ${flags.shard!.index} of ${flags.shard!.of} is empty: there ${tagged.length === 1 ? 'is one scenario file' : `are ${tagged.length} scenario files`}.`,
      { hint: `Use at most ${tagged.length} ${tagged.length === 1 ? 'part' : 'parts'}.` },
    );
  }

  const quiet = flags.json === true || flags.reporter !== undefined;
  const used = [
    ...new Set(
      chosen.flatMap((one) => one.scenarios.map((scenario) => flags.provider ?? scenario.provider ?? 'local')),
    ),
  ];
  if (flags.checkOnly) {
    const making = used.find((name) => !providerNamed(name).asks);
    if (making !== undefined)
      throw new NetrigError(
        'NETRIG_USAGE',
        `--check-only is for machines that exist already; the provider ${making} makes its own.`,
        { hint: 'Use it with --provider ssh --inventory FILE.' },
      );
  } else for (const name of used) await agree(providerNamed(name), flags.yes ?? false);

  const note = (line: string): void => void process.stderr.write(`netrig: ${line}\n`);
  await sweepFirst(note);

  const jobs =
    flags.jobs ??
    (used.some((name) => providerNamed(name).reusesHosts) ? 1 : Math.min(mostDefaultJobs, availableParallelism()));
  const parallel = jobs > 1 && chosen.length > 1;
  const owned = await beginRun({
    argv: process.argv.slice(2),
    reports: flags.reports,
    settings: {
      provider: flags.provider ?? null,
      isolation: isolationWish(flags.isolation),
      keepOnFail: flags.keepOnFail ?? false,
      bail: flags.bail ?? false,
      checkOnly: flags.checkOnly ?? false,
      tags: flags.tag,
      matrix: flags.matrix,
    },
  });
  const interrupt = onInterrupt(() =>
    note('interrupted: ending what runs and taking labs down; once more ends at once'),
  );
  const reporter = createConsoleReporter({ stream: process.stdout });
  const following = new AbortController();
  let followed: Promise<unknown> = Promise.resolve();
  let stopListening = (): void => undefined;
  if (!quiet) {
    if (parallel) followed = followEvents(`${owned.dir}/${eventLogName}`, reporter.onEvent, following.signal);
    else
      stopListening = onEvent((event: RunEventBody) =>
        reporter.onEvent({ v: 1, t: new Date().toISOString(), pid: process.pid, ...event }),
      );
  }

  try {
    let again = chosen.map((one) => one.file);
    for (let attempt = 1; again.length > 0; attempt += 1) {
      await runMocha({
        files: again,
        jobs,
        bail: flags.bail ?? false,
        grep: flags.grep ?? null,
        reporter: flags.reporter ?? null,
        signal: interrupt.signal,
      });
      if (interrupt.signal.aborted || attempt > flags.retries) break;
      const ids = await notPassed(owned.dir);
      owned.set({ attempt: attempt + 1, scenarios: ids });
      again = chosen
        .filter((one) => one.scenarios.some((scenario) => ids.includes(scenario.id)))
        .map((one) => one.file);
    }
  } finally {
    following.abort();
    await followed.catch(() => undefined);
    stopListening();
  }
  const wanted = formats
    .map((format) => format.name)
    .filter((name) => name !== allureReportFormat.name || flags.allureReport);
  const {
    model,
    files: written,
    notes,
    failures,
  } = await owned.end({ interrupted: interrupt.signal.aborted, formats: wanted });
  interrupt.dispose();
  // A worker that was killed hard could not clean up after itself.
  if (interrupt.signal.aborted) await sweepFirst(note);

  if (flags.json) process.stdout.write(await readFile(join(owned.dir, 'results.json'), 'utf8'));
  else if (flags.reporter !== undefined) process.stdout.write(`reports: ${relative(process.cwd(), owned.dir)}\n`);
  else reporter.finish(model, { dir: owned.dir, files: written, notes });
  for (const { error } of failures) printError(error);
  // With --json, standard output is one JSON document and nothing else.
  if (!flags.json)
    for (const line of await tellGithub(model, process.env, (text) => void process.stdout.write(`${text}\n`)))
      note(line);
  if (interrupt.signal.aborted) return exitStatus.interrupted;
  return model.exitCode === exitStatus.passed && failures.length > 0 ? exitStatus.lab : model.exitCode;
}
