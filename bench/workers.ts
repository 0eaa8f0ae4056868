import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exitStatus } from '../src/model/verdict.js';
import { loadRun } from '../src/report/reports.js';
import { benchImage, netrigProgram } from './bare.js';
import { makeDirectory } from './leftovers.js';
import type { Bench, BenchContext } from './measure.js';

const fileCount = 12;
const rounds = 20;
const runMs = 300_000;
/** Latest moment after the first worker is there at which one is killed, ms: past its end, most of the time. */
const latestMs = 2500;

const scenarioText = (name: string): string => `scenario: ${name}
title: One check of twelve files
hosts: { a: { image: debian-11, init: light } }
steps:
  - step: something is done
    on: a
    run: "true"
  - check: it runs
    command: { on: a, run: sleep 0.2 }
`;

/** What is done to a set under way. */
const harms = ['kill a worker', 'kill a worker', 'break a file', 'delete a file', 'change a file'] as const;
type Harm = (typeof harms)[number];

/** Mocha's workers of a run: its children that run workerpool's script. */
function workersOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .split(' ')
        .filter((text) => text.trim() !== '')
        .map(Number)
        .filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('worker')),
    );
  } catch {
    // One ended while it was looked at.
    return [];
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether something of the run was really harmed: a worker that had ended already cannot be killed. */
async function harm(how: Harm, run: ChildProcess, files: readonly string[], reports: string): Promise<boolean> {
  const file = files[Math.floor(Math.random() * files.length)]!;
  if (how !== 'kill a worker') {
    // Between the check of the files, which is over when the run's directory is there, and their being read by a worker.
    while (run.exitCode === null && !(existsSync(reports) && readdirSync(reports).some((name) => /^\d/.test(name))))
      await pause(2);
    if (how === 'delete a file') await unlink(file);
    else if (how === 'break a file') await writeFile(file, 'scenario: [\n');
    else await writeFile(file, scenarioText('s00').replace('it runs', 'something else runs'));
    return true;
  }
  while (run.exitCode === null && workersOf(run.pid!).length === 0) await pause(5);
  await pause(Math.random() * latestMs);
  const workers = workersOf(run.pid!);
  const victim = workers[Math.floor(Math.random() * workers.length)];
  if (victim === undefined) return false;
  try {
    process.kill(victim, 'SIGKILL');
  } catch {
    return false;
  }
  return true;
}

interface Round {
  how: Harm;
  harmed: boolean;
  exitCode: number | null;
  /** Planned items of the whole set that the record does not report on. */
  silent: number;
}

async function oneRound(how: Harm, context: BenchContext): Promise<Round> {
  const directory = await makeDirectory();
  try {
    const files = Array.from({ length: fileCount }, (_, index) => {
      const name = `s${String(index).padStart(2, '0')}`;
      return { name, file: join(directory, `${name}.yaml`) };
    });
    for (const { name, file } of files) await writeFile(file, scenarioText(name));
    const reports = join(directory, 'reports');
    const paths = files.map(({ file }) => file);
    const run = spawn(process.execPath, [netrigProgram, 'run', '-j', '3', '--reports', reports, ...paths], {
      stdio: 'ignore',
      signal: context.signal,
      timeout: runMs,
    });
    const ended = new Promise<number | null>((resolve) => {
      run.on('error', () => resolve(null));
      run.on('close', (code) => resolve(code));
    });
    const harmed = await harm(how, run, paths, reports);
    const exitCode = await ended;
    const model = await loadRun(join(reports, 'latest'));
    const reported = new Set(model.scenarios.map((scenario) => scenario.id));
    const items = model.scenarios.flatMap((scenario) => scenario.last.items).length;
    const silent = files.filter(({ name }) => !reported.has(name)).length * 2 + Math.max(0, 2 * reported.size - items);
    return { how, harmed, exitCode, silent };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Sets of which a worker is killed, or a file broken, deleted or changed, while they run: how many are green. */
export const workersBench: Bench = {
  name: 'workers',
  what: `${rounds} runs of ${fileCount} files of which a worker is killed or a file broken: how many are green (several minutes)`,
  onlyNamed: true,
  async run(context) {
    await benchImage(context);
    const wanted = context.quick ? harms.length : rounds;
    const done: Round[] = [];
    let missed = 0;
    while (done.length < wanted && missed < wanted) {
      const round = await oneRound(harms[done.length % harms.length]!, context);
      context.signal.throwIfAborted();
      if (!round.harmed) missed += 1;
      else done.push(round);
    }
    for (const how of new Set(harms)) {
      const own = done.filter((round) => round.how === how);
      const codes = own.map((round) => round.exitCode ?? 'none').join(', ');
      context.note(`${how}: ${own.length} runs, exit statuses ${codes}`);
    }
    if (missed > 0) context.note(`${missed} more runs were over before anything could be harmed; they do not count`);
    const green = done.filter((round) => round.exitCode === exitStatus.passed).length;
    const silent = done.reduce((sum, round) => sum + round.silent, 0);
    return [
      { kind: 'figure', title: `green of ${done.length} harmed runs`, unit: '', values: [green], atMost: 0 },
      { kind: 'figure', title: 'planned items without a word', unit: '', values: [silent], atMost: 0 },
    ];
  },
};
