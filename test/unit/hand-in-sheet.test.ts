import { expect } from 'chai';
import { handInResults, handInsLong, handInsWide, openQuestions } from '../../src/classroom/hand-in-sheet.js';
import { readCsv } from '../../src/classroom/csv.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { grade } from '../../src/exercise/grade.js';
import { gradeHandIns, type GradedHandIn } from '../../src/exercise/grade-hand-ins.js';
import type { HandIn } from '../../src/exercise/hand-ins.js';
import type { Outcome } from '../../src/model/verdict.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const exercise = exerciseOf(
  loadScenarioText(
    lab(
      `  - { check: one, points: 2, hint: look closer, ping: { from: node1, to: node2 } }
  - { check: two, points: 3, shown: never, ping: { from: node2, to: node1 } }
  - { check: guard, points: 4, guard: true, ping: { from: node1, to: node1 } }`,
      'exercise: { text: Mend it. }\n',
    ),
    '/labs/lab.yaml',
  ).scenarios[0]!,
)!;

const handIn = (student: string, problems: string[] = [], text = ''): HandIn => ({
  student,
  source: student,
  steps: [],
  text,
  problems,
});

function graded(student: string, verdicts: Outcome['verdict'][], more: Partial<GradedHandIn> = {}): GradedHandIn {
  const outcomes = new Map(
    verdicts.map((verdict, index) => [`c0${index + 1}`, { verdict, reason: '=so, it was' } satisfies Outcome]),
  );
  return {
    handIn: handIn(student),
    exercise,
    grade: grade(exercise, outcomes),
    problems: [],
    failed: [],
    others: [],
    durationMs: 1,
    ...more,
  };
}

const rows = (csv: string): string[][] => readCsv(csv).map(({ cells }) => cells);

describe('the sheet of hand-ins', () => {
  const whole = graded('ann', ['pass', 'pass', 'pass']);
  const part = graded('bob', ['fail', 'pass', 'fail'], { failed: ['solution.sh on node1: exit 1'] });
  const open = graded('eve', ['pass', 'inconclusive', 'pass']);
  const unread: GradedHandIn = { ...graded('joe', []), grade: null, problems: ['line 1: no scenario'] };

  it('has a row for each student, with what a person has to look at', () => {
    expect(rows(handInsWide([whole, part, open, unread]))).to.deep.equal([
      ['id', 'handed in', 'points', 'of', 'least', 'most', 'undecided', 'to look at'],
      ['ann', 'ann', '5', '5', '5', '5', '0', ''],
      ['bob', 'bob', '0', '5', '0', '0', '0', 'a step failed, solution.sh on node1: exit 1'],
      ['eve', 'eve', '2', '5', '2', '5', '1', 'two: inconclusive, =so, it was'],
      ['joe', 'joe', '', '5', '', '', '', 'line 1: no scenario'],
    ]);
  });

  it('has a row for each task, in which nothing is a formula', () => {
    const all = rows(handInsLong([part, open]));
    expect(all[1]).to.deep.equal(['bob', 'lab', 'c01', 'one', 'fail', '0', '2', "'=so, it was", 'look closer']);
    expect(all[3]!.slice(3, 7)).to.deep.equal(['guard', 'fail', '-4', '0']);
    // What is not known has no points, and not 0.
    expect(all[5]!.slice(3, 7)).to.deep.equal(['two', 'inconclusive', '', '3']);
  });

  it('says no step failed where everything was done all the same', () => {
    expect(openQuestions(graded('ann', ['pass', 'pass', 'pass'], { failed: ['one of three'] }))).to.deep.equal([]);
  });

  it('is what Gradescope reads, with hidden tasks hidden', () => {
    const result = handInResults(open) as { score: number; tests: { visibility: string; status?: string }[] };
    expect(result.score).to.equal(2);
    expect(result.tests.map(({ visibility, status }) => [visibility, status])).to.deep.equal([
      ['visible', 'passed'],
      ['hidden', undefined],
      ['visible', 'passed'],
    ]);
    expect(handInResults(unread)).to.include({ score: 0, output: 'It could not be graded: line 1: no scenario' });
  });

  it('has a row for who handed nothing in, without points', () => {
    const last = rows(handInsWide([whole], [{ student: 'zoe', of: 5 }])).at(-1);
    expect(last).to.deep.equal(['zoe', '', '', '5', '', '', '', 'nothing was handed in']);
  });

  it('tells students on Gradescope no more than the exercise says, and teachers all', () => {
    const sentence = 'node1 has no route to node2';
    const diagnosis = { sentence, mend: 'add one', rootCause: null, way: [], back: [], evidence: [], unlooked: [] };
    const outcome: Outcome = { verdict: 'fail', reason: `no answer; ${sentence}`, diagnosis };
    const outputs = (feedback: 'verdict' | 'seen' | 'way'): string[] => {
      const told = { ...exercise, feedback };
      const failed = grade(told, new Map(['c01', 'c02', 'c03'].map((id) => [id, outcome])));
      const { tests } = handInResults({ ...graded('bob', []), exercise: told, grade: failed }) as {
        tests: { output: string }[];
      };
      return tests.map(({ output }) => output);
    };
    const all = `no answer; ${sentence}`;
    // The second is hidden: only teachers read it.
    expect(outputs('verdict')).to.deep.equal(['It is not so.', all, 'It is not so.']);
    expect(outputs('seen')).to.deep.equal(['no answer', all, 'no answer']);
    expect(outputs('way')).to.deep.equal([all, all, all]);
  });

  it('names whose values an answer carries', async () => {
    const drawn = new Map([
      ['ann', { port: 8111 }],
      ['bob', { port: 8222 }],
    ]);
    const told = await gradeHandIns([handIn('ann', ['not to be run here'], 'nc -l 8222')], {
      of: () => exercise,
      drawn,
      provider: null,
      jobs: 1,
      keep: null,
      version: '0',
      argv: [],
      signal: new AbortController().signal,
    });
    expect(openQuestions(told[0]!)).to.deep.equal(['not to be run here', 'it carries 8222, the port of bob']);
  });
});
