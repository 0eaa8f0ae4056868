import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadClass } from '../src/classroom/class-file.js';
import { rehearse } from '../src/classroom/rehearse.js';
import type { Bench, BenchContext, Result } from './measure.js';

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
        'from handing in to ten verdicts, all students at once',
        'ms',
        all.map(({ judgeMs }) => judgeMs),
        null,
      ),
    ];
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

export const classBench: Bench = {
  name: 'class',
  what: 'a class of 30 students, two hosts with engines each: booted, solved, judged and graded at once',
  onlyNamed: true,
  run: (context) => rehearsed(context.quick ? 4 : 30, context),
};
