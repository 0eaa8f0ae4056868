import { basename, dirname, resolve } from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import { exitStatus } from '../../model/verdict.js';
import { compareRuns } from '../../report/compare.js';
import { comparisonHtml, comparisonMarkdown, comparisonText } from '../../report/compare-pages.js';
import { asUmaskSays, writeWhole } from '../../report/format.js';
import { loadRun } from '../../report/reports.js';
import { note, print, printJson } from '../terminal.js';
import type { CompareFlags } from '../program.js';
import { latestRuns, runDirectory } from './report.js';

async function write(file: string, content: string): Promise<void> {
  const path = resolve(file);
  await writeWhole(dirname(path), basename(path), content, asUmaskSays).catch((error: unknown) => {
    throw new NetrigError('NETRIG_REPORT_WRITE', `${file} could not be written: ${messageOf(error)}`, { cause: error });
  });
  note(`wrote ${file}`);
}

/** `netrig compare`: ends with 1 when something that passed in the first run, or was not in it, does not pass in another. */
export async function compare(runs: string[], flags: CompareFlags): Promise<number> {
  if (flags.last && runs.length > 0)
    throw new NetrigError('NETRIG_USAGE', '--last names the runs itself: the two latest ones.', {
      hint: 'Name runs, or say --last.',
    });
  const named = flags.last ? await latestRuns(flags.reports, 2) : runs;
  const directories = await Promise.all(named.map((run) => runDirectory(run, flags.reports)));
  if (new Set(directories).size < 2) {
    throw new NetrigError('NETRIG_USAGE', 'A comparison takes two runs or more, each another one.', {
      hint: 'Name runs by their ids or directories: netrig compare RUN RUN; --last takes the two latest ones.',
    });
  }
  const comparison = compareRuns(
    await Promise.all([...new Set(directories)].map(async (dir) => ({ id: basename(dir), model: await loadRun(dir) }))),
  );
  if (comparison.scenarios.every(({ cells }) => cells.filter((cell) => cell !== null).length < 2)) {
    throw new NetrigError('NETRIG_USAGE', 'These runs have no scenario in common: there is nothing to compare.', {
      hint: 'Compare runs of the same scenario files.',
    });
  }
  if (flags.html !== undefined) await write(flags.html, comparisonHtml(comparison));
  if (flags.markdown !== undefined) await write(flags.markdown, comparisonMarkdown(comparison, flags.heading));
  if (flags.json) printJson({ schema: 'netrig-compare/1', ...comparison });
  else print`${comparisonText(comparison).trimEnd()}`;
  return comparison.regressions > 0 ? exitStatus.failed : exitStatus.passed;
}
