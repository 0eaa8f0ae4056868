import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import path from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import { findHostImageRow } from '../../images/host-image.js';
import { sweepFirst } from '../../labs/down.js';
import { formatDuration } from '../../model/duration.js';
import { netrigVersion } from '../../model/version.js';
import { exitStatus } from '../../model/verdict.js';
import { mutationMarkdown, mutationSummary, mutantLine } from '../../mutate/page.js';
import { mutate as runMutants } from '../../mutate/run-mutants.js';
import { countFates, shortfall, type Fate, type MutateResult, type Subject } from '../../mutate/subject.js';
import { providerNamed } from '../../providers/registry.js';
import { shortVersion } from '../../report/engine-version.js';
import { asUmaskSays, writeWhole } from '../../report/format.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles } from '../../scenario/load.js';
import { joined, note, out, print, printJson, text, type Painted, type Shown } from '../terminal.js';
import { labsAtOnce } from '../jobs.js';
import { loadOrPrint } from '../load-or-print.js';
import type { MutateFlags } from '../program.js';

const paint: Record<Fate, (value: Shown) => Painted> = {
  noticed: out.green,
  stopped: out.dim,
  survived: out.red,
  refused: out.dim,
};

/** The scenarios under test: of a matrix, the first combination, or those that were asked for. */
async function subjectsOf(paths: readonly string[], flags: MutateFlags): Promise<Subject[]> {
  const unknownImage = flags.matrix['image']?.find((name) => !findHostImageRow(name));
  if (unknownImage !== undefined)
    throw new NetrigError('NETRIG_IMAGE_UNKNOWN', `There is no host image "${unknownImage}".`);
  const loaded = await loadOrPrint(await findScenarioFiles(paths), { matrix: flags.matrix });
  const subjects = await Promise.all(
    loaded.map(async (one) => {
      const scenarios = Object.keys(flags.matrix).length > 0 ? one.scenarios : one.scenarios.slice(0, 1);
      const text = await readFile(one.file, 'utf8');
      return scenarios.map((scenario): Subject => ({
        scenario,
        text,
        file: path.relative(process.cwd(), one.file).startsWith('..')
          ? one.file
          : path.relative(process.cwd(), one.file),
      }));
    }),
  );
  const all = subjects.flat();
  if (all.length === 0)
    throw new NetrigError(
      'NETRIG_NO_SCENARIO',
      `No scenario has ${Object.entries(flags.matrix)
        .map(([name, values]) => `${name}=${values.join(',')}`)
        .join(' and ')}.`,
    );
  for (const name of new Set(all.map(({ scenario }) => flags.provider ?? scenario.provider ?? 'local'))) {
    if (providerNamed(name).asks)
      throw new NetrigError(
        'NETRIG_USAGE',
        `A mutation needs fresh hosts, and the provider ${name} has machines that exist already.`,
        { hint: 'Use another provider.' },
      );
  }
  return all;
}

function sourceLine(version: string, result: MutateResult): string {
  return `Results of ${new Date().toISOString().slice(0, 10)} with netrig ${version} on kernel ${shortVersion(release())}, ${formatDuration(result.durationMs)}.`;
}

async function writePage(file: string, result: MutateResult, version: string): Promise<void> {
  const page = path.resolve(file);
  const link = (scenario: string, line: number): string =>
    `${path.relative(path.dirname(page), path.resolve(scenario)).split(path.sep).map(encodeURIComponent).join('/')}#L${line}`;
  const content = mutationMarkdown({
    result,
    command: ['netrig', ...process.argv.slice(2)].join(' '),
    source: sourceLine(version, result),
    link,
  });
  await writeWhole(path.dirname(page), path.basename(page), content, asUmaskSays).catch((error: unknown) => {
    throw new NetrigError('NETRIG_REPORT_WRITE', `${file} could not be written: ${messageOf(error)}`, { cause: error });
  });
}

function asJson(result: MutateResult): unknown {
  return {
    schema: 'netrig-mutate/1',
    durationMs: Math.round(result.durationMs),
    interrupted: result.interrupted,
    untilNoticed: result.untilNoticed,
    scenarios: result.subjects.map((subject) => ({
      ...subject,
      totals: countFates(subject.mutants),
      shortfall: shortfall(subject, result.untilNoticed),
    })),
  };
}

/** `netrig mutate`: 1 when a mutation survived without a reason, or fewer were noticed than `--until-noticed` asks for. */
export async function mutate(paths: string[], flags: MutateFlags): Promise<number> {
  const subjects = await subjectsOf(paths, flags);
  await sweepFirst(note);
  const version = netrigVersion;
  const say = (line: Painted): void => void (flags.json ? undefined : print`${line}`);
  const interrupt = onInterrupt(() =>
    note('interrupted: ending what runs and taking labs down; once more ends at once'),
  );
  const result = await runMutants(subjects, {
    provider: flags.provider ?? null,
    jobs: flags.jobs ?? labsAtOnce(flags.provider),
    limit: flags.limit ?? null,
    untilNoticed: flags.untilNoticed ?? null,
    sample: flags.sample ?? null,
    bail: flags.bail ?? false,
    keep: flags.reports ?? null,
    version,
    argv: process.argv.slice(2),
    signal: interrupt.signal,
    onOriginal: ({ scenario, original, possible }) =>
      say(
        original.verdict === 'pass'
          ? text`${out.bold(scenario)}  passes with ${original.checks} ${original.checks === 1 ? 'check' : 'checks'} in ${formatDuration(original.durationMs)}; ${possible} mutations possible`
          : text`${out.bold(scenario)}  ${original.verdict}: ${original.reason}`,
      ),
    onMutant: (subject, mutant) => {
      const line = mutantLine(subject, mutant);
      say(joined([paint[mutant.fate](line.slice(0, mutant.fate.length)), line.slice(mutant.fate.length)]));
    },
  }).finally(() => interrupt.dispose());

  // An unfinished page must not take the place of a whole one.
  if (flags.write !== undefined && !result.interrupted) {
    await writePage(flags.write, result, version);
    note(`wrote ${flags.write}`);
  }
  if (flags.json) printJson(asJson(result));
  else print`\n${mutationSummary(result).trimEnd()}`;
  if (result.interrupted) return exitStatus.interrupted;
  const verdicts = new Set(result.subjects.map((subject) => subject.original.verdict));
  if (verdicts.has('error')) return exitStatus.lab;
  // Where nothing could be mutated at all, nothing is proven.
  if (!verdicts.has('pass')) return exitStatus.failed;
  return result.subjects.some((subject) => shortfall(subject, result.untilNoticed) !== null)
    ? exitStatus.failed
    : exitStatus.passed;
}
