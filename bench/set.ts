import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exitStatus } from '../src/model/verdict.js';
import { compareRuns } from '../src/report/compare.js';
import { baseName } from '../src/report/matrix.js';
import type { RunModel } from '../src/report/model.js';
import { loadRun } from '../src/report/reports.js';
import { netrigProgram, projectDirectory } from './bare.js';
import { makeDirectory } from './leftovers.js';
import { comparison, takeTurns, timed, type Bench, type BenchContext } from './measure.js';
import { runWhole } from './metered.js';

const image = 'debian-12';
const setMs = 900_000;
/** What takes seconds and needs no overlay: the part of the set that people run again and again. */
const quickTags = 'bridge,modes,options,dns,access,ports,p2p';
const slowest = 10;

async function runSet(args: readonly string[], reports: string, context: BenchContext): Promise<RunModel> {
  const run = await runWhole(
    [
      process.execPath,
      netrigProgram,
      'run',
      join(projectDirectory, 'scenarios'),
      '--matrix',
      `image=${image}`,
      '--no-allure-report',
      '--reports',
      reports,
      ...args,
    ],
    { signal: context.signal, timeoutMs: setMs },
  );
  if (run.exitCode !== exitStatus.passed)
    throw new Error(
      `a run of the set ended with ${run.exitCode}; its end:\n${run.stdout.slice(-2000)}${run.stderr.slice(-1000)}`,
    );
  return loadRun(join(reports, 'latest'));
}

async function withReports<T>(work: (reports: string) => Promise<T>): Promise<T> {
  const reports = await makeDirectory();
  try {
    return await work(reports);
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
}

/** The whole set of labs on one engine, with two jobs and with one. */
export const jobsBench: Bench = {
  name: 'jobs',
  what: `all of scenarios/ on ${image} with two jobs, against one; names the ten slowest (several minutes)`,
  onlyNamed: true,
  run: (context) =>
    withReports(async (reports) => {
      let last: RunModel | null = null;
      const once = (jobs: number) => () =>
        timed(async () => void (last = await runSet(['--jobs', String(jobs)], reports, context)));
      const pairs = await takeTurns(context.quick ? 1 : 2, context, { netrig: once(2), other: once(1) });
      const scenarios = last!.scenarios.toSorted((a, b) => b.last.durationMs - a.last.durationMs).slice(0, slowest);
      context.note(
        `the slowest of ${last!.scenarios.length}: ${scenarios.map(({ id, last: attempt }) => `${baseName(id)} ${(attempt.durationMs / 1000).toFixed(1)} s`).join(', ')}`,
      );
      return [comparison('whole set, two jobs', 'one job', 's', pairs, (ms) => ms / 1000, 1 / 1.6)];
    }),
};

/** Whether repeated runs give the same verdicts. */
export const repeatsBench: Bench = {
  name: 'repeats',
  what: `ten runs of the quick part of scenarios/ on ${image}: how many verdicts are not the same in all (several minutes)`,
  onlyNamed: true,
  run: (context) =>
    withReports(async (reports) => {
      const rounds = context.quick ? 3 : 10;
      for (let round = 0; round < rounds; round += 1)
        await runSet(['--jobs', '2', '--tag', quickTags], reports, context);
      const ids = (await readdir(reports)).filter((name) => name !== 'latest').sort();
      const compared = compareRuns(
        await Promise.all(ids.map(async (id) => ({ id, model: await loadRun(join(reports, id)) }))),
      );
      for (const { scenario, title, cells } of compared.items)
        context.note(`${scenario} › ${title}: ${cells.map((cell) => cell?.verdict ?? 'not there').join(', ')}`);
      context.note(
        `${ids.length} runs of ${compared.scenarios.length} scenarios: ${compared.agreed} steps and checks the same in all`,
      );
      return [
        {
          kind: 'figure',
          title: `steps and checks that differ between ${rounds} runs`,
          unit: '',
          values: [compared.items.length],
          atMost: 0,
        },
      ];
    }),
};
