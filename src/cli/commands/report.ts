import { existsSync } from 'node:fs';
import { access, readdir, readFile, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { NetrigError } from '../../errors.js';
import { exitStatus } from '../../model/verdict.js';
import { defaultFormats, writeReports } from '../../report/reports.js';
import { eventLogName } from '../../run/event-log.js';
import { print, printJsonText, tell } from '../terminal.js';
import { printError } from '../print-error.js';

/** The directory of a run: by its id below the reports' directory, by its own path, or the latest. @throws NETRIG_USAGE. */
export async function runDirectory(run: string | undefined, reports: string): Promise<string> {
  const candidates = run === undefined ? [join(reports, 'latest')] : [join(reports, run), run];
  for (const dir of candidates) {
    try {
      await access(join(dir, eventLogName));
      return await realpath(dir);
    } catch {
      // The next candidate.
    }
  }
  throw new NetrigError(
    'NETRIG_USAGE',
    run === undefined
      ? `There is no run in ${reports}.`
      : `No run "${run}" in ${reports}, and ${run} is no run's directory either.`,
  );
}

/** The names of the latest runs in the reports' directory, the oldest of them first. Names begin with the time (UTC). */
export async function latestRuns(reports: string, count: number): Promise<string[]> {
  const names = await readdir(reports).catch(() => []);
  const runs = names.filter((name) => /^\d{8}T\d{6}/.test(name) && existsSync(join(reports, name, eventLogName)));
  return runs.sort().slice(-count);
}

/** `netrig report`: ends with the exit status of the run that is reported. */
export async function report(
  run: string | undefined,
  flags: { reports: string; format: string[]; json?: boolean },
): Promise<number> {
  const dir = await runDirectory(run, flags.reports);
  const { model, files, notes, failures } = await writeReports(dir, {
    formats: flags.format.length > 0 ? flags.format : defaultFormats(),
  });
  for (const note of notes) tell`${note}`;
  for (const { error } of failures) printError(error);
  if (flags.json) printJsonText(await readFile(join(dir, 'results.json'), 'utf8'));
  else for (const file of files) print`${relative(process.cwd(), join(dir, file))}`;
  return failures.length > 0 ? exitStatus.lab : model.exitCode;
}
