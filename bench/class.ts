import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClassView } from '../src/classroom/api.js';
import { Client, tryClass } from '../test/lab/class-client.js';
import { loadClass } from '../src/classroom/class-file.js';
import { rehearse } from '../src/classroom/rehearse.js';
import { timed, type Bench, type BenchContext, type Result } from './measure.js';

const exercise = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'class', 'engines.yaml');

async function rehearsed(students: number, context: BenchContext): Promise<Result[]> {
  const base = mkdtempSync(join(tmpdir(), 'netrig-bench-class-'));
  try {
    writeFileSync(join(base, 'roster.csv'), 'id,name\na,A\n');
    writeFileSync(join(base, 'class.yaml'), `class: bench\nroster: roster.csv\nexercises: [{ file: ${exercise} }]\n`);
    const {
      students: all,
      memory,
      cpu,
    } = await rehearse(loadClass(join(base, 'class.yaml')), 'engines', {
      students,
      signal: context.signal,
      warn: (text) => context.note(text),
      progress: (text) => context.note(text),
    });
    for (const { student, problem } of all) if (problem !== null) context.note(`${student}: ${problem}`);
    const figure = (title: string, unit: 'ms' | 'MB' | '', values: number[], atMost: number | null): Result => ({
      kind: 'figure',
      title,
      unit,
      values,
      atMost,
    });
    return [
      figure(
        `students of ${students} who did not get all points`,
        '',
        [all.filter(({ problem }) => problem !== null).length],
        0,
      ),
      figure('memory of an idle lab of two hosts with engines, its holder in it', 'MB', [memory.each / 2 ** 20], 120),
      figure('processors that idle labs and the class take, of one', '', [cpu.idle], 0.05),
      figure(
        'from wanting a lab to having it',
        'ms',
        all.map(({ startMs }) => startMs),
        null,
      ),
      figure(
        'from handing in to ten verdicts, all students within ten seconds',
        'ms',
        all.map(({ judgeMs }) => judgeMs),
        2000,
      ),
    ];
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

const three = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'class', 'forward.yaml');

/** ms from the button to the lab, for as many students one after another. */
async function starts(students: number, reserve: number, context: BenchContext): Promise<number[]> {
  const names = Array.from({ length: students }, (_, index) => `student-${index + 1}`);
  const tried = tryClass(
    names,
    `limits: { labs: ${students + reserve}, starting: 1, reserve: ${reserve} }`,
    `exercises: [{ file: ${three} }]`,
  );
  try {
    const { url } = await tried.start();
    const codes = tried.codes();
    const teacher = new Client(url);
    await teacher.join(codes.get('teacher-1')!);
    const values: number[] = [];
    for (const name of names) {
      context.signal.throwIfAborted();
      const client = new Client(url);
      await client.join(codes.get(name)!);
      const ready = async (): Promise<boolean> =>
        (await teacher.call<ClassView>('GET', '/api/teacher')).labs.reserve >= reserve;
      while (values.length + reserve <= students && !(await ready()))
        await delay(200, undefined, { signal: context.signal });
      values.push(await timed(() => client.lab()));
    }
    return values;
  } finally {
    await tried.run('stop');
    tried.remove();
  }
}

async function measured(students: number, begun: number, context: BenchContext): Promise<Result[]> {
  const figure = (title: string, values: number[], atMost: number): Result => ({
    kind: 'figure',
    title,
    unit: 'ms',
    values,
    atMost,
  });
  return [
    figure('a lab of three light hosts, from the reserve', await starts(begun, 1, context), 3000),
    figure('the same without a reserve', await starts(begun, 0, context), 10_000),
    ...(await rehearsed(students, context)),
  ];
}

export const classBench: Bench = {
  name: 'class',
  what: 'a class of 30 students, two hosts with engines each: booted, solved, judged and graded at once',
  onlyNamed: true,
  run: (context) => (context.quick ? measured(4, 2, context) : measured(30, 6, context)),
};
