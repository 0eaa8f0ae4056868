import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { benchImage, netrigProgram, projectDirectory } from './bare.js';
import { makeDirectory } from './leftovers.js';
import { type Bench, type BenchContext, comparison, type Figure, type Result, takeTurns } from './measure.js';
import { runWhole } from './metered.js';
import { runTimed } from './plain.js';

const scenarioCount = 100;

interface Memory {
  /** Peak resident set of the largest process, MB. */
  largest: number;
  /** Peak of all processes together, MB: what each has for itself, and once what they share, the program's own file. */
  together: number;
}

function lineOf(file: string, key: string): number {
  try {
    return Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** The process and all below it that run netrig's own program: those of the lab hosts do not. */
function netrigProcesses(top: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The name of the program, in brackets, may have blanks in it (proc_pid_stat(5)).
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const isBelow = (pid: number): boolean => pid === top || (parents.has(pid) && pid > 1 && isBelow(parents.get(pid)!));
  return [...parents.keys()].filter((pid) => {
    try {
      return isBelow(pid) && readlinkSync(`/proc/${pid}/exe`) === process.execPath;
    } catch {
      return false;
    }
  });
}

/** Runs netrig and looks at its memory, again and again. */
async function memoryOf(args: readonly string[], context: BenchContext): Promise<Memory> {
  const seen: Memory = { largest: 0, together: 0 };
  let timer: NodeJS.Timeout | undefined;
  const look = (pid: number): void => {
    const pids = netrigProcesses(pid);
    for (const one of pids) seen.largest = Math.max(seen.largest, lineOf(`/proc/${one}/status`, 'VmHWM') / 1024);
    const own = pids.map((one) => lineOf(`/proc/${one}/status`, 'RssAnon'));
    const shared = pids.map((one) => lineOf(`/proc/${one}/status`, 'RssFile'));
    seen.together = Math.max(seen.together, (own.reduce((sum, kB) => sum + kB, 0) + Math.max(0, ...shared)) / 1024);
  };
  try {
    await runWhole([process.execPath, netrigProgram, ...args], {
      signal: context.signal,
      onStart: (pid) => (timer = setInterval(() => look(pid), 40)),
    });
  } finally {
    clearInterval(timer);
  }
  return seen;
}

function figure(title: string, unit: Figure['unit'], values: number[], atMost: number | null): Figure {
  return { kind: 'figure', title, unit, values, atMost };
}

const smallScenario = (number: number): string => `scenario: small-${number}
title: Two light hosts
hosts: { a: { image: debian-11, init: light }, b: { image: debian-11, init: light } }
segments:
  lan: { subnet: 10.20.${number}.0/24, hosts: { a: 10.20.${number}.1, b: 10.20.${number}.2 } }
steps:
  - check: They reach each other
    ping: { from: a, to: b }
`;

/** What netrig costs before and around its work. */
export const startupBench: Bench = {
  name: 'startup',
  what: '`netrig --help` against `node -e 0`; `netrig validate` on 100 scenarios; memory of `netrig run`',
  async run(context): Promise<Result[]> {
    const options = { signal: context.signal };
    const overlay = join(projectDirectory, 'scenarios', 'overlay', 'consul.yaml');
    const directory = await makeDirectory();
    try {
      const help = await takeTurns(context.quick ? 10 : 30, context, {
        netrig: () => runTimed([process.execPath, netrigProgram, '--help'], options),
        other: () => runTimed([process.execPath, '-e', '0'], options),
      });
      const text = await readFile(overlay, 'utf8');
      for (let number = 1; number <= scenarioCount; number += 1) {
        await writeFile(join(directory, `${number}.yaml`), text.replace(/^scenario: .*$/m, `scenario: copy-${number}`));
      }
      const validate: number[] = [];
      for (let round = 0; round < (context.quick ? 3 : 7); round += 1) {
        validate.push((await runTimed([process.execPath, netrigProgram, 'validate', directory], options)) / 1000);
      }
      await benchImage(context);
      const reports = ['--no-allure-report', '--reports', join(directory, 'reports')];
      const one: Memory[] = [];
      for (let round = 0; round < (context.quick ? 1 : 3); round += 1)
        one.push(await memoryOf(['run', overlay, ...reports], context));
      const files = await Promise.all(
        [1, 2, 3, 4].map(async (number) => {
          const file = join(directory, `small-${number}.yaml`);
          await writeFile(file, smallScenario(number));
          return file;
        }),
      );
      const four = await memoryOf(['run', ...files, ...reports], context);
      return [
        comparison('`netrig --help`', 'node -e 0', 'ms', help, (ms) => ms, 3),
        figure(`\`netrig validate\`, ${scenarioCount} scenarios`, 's', validate, 1),
        figure(
          'memory of the overlay scenario, largest process',
          'MB',
          one.map((memory) => memory.largest),
          200,
        ),
        figure(
          '… all of netrig’s processes',
          'MB',
          one.map((memory) => memory.together),
          200,
        ),
        figure('memory of four files, in parallel, largest process', 'MB', [four.largest], 200),
        figure('… all of netrig’s processes', 'MB', [four.together], null),
      ];
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
