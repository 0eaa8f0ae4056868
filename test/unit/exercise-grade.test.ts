import { expect } from 'chai';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { grade, hintFor } from '../../src/exercise/grade.js';
import type { Outcome, Verdict } from '../../src/model/verdict.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const exercise = exerciseOf(
  loadScenarioText(
    lab(
      `  - { check: one, points: 2, ping: { from: node1, to: node2 } }
  - { check: two, points: 3, ping: { from: node2, to: node1 } }
  - { check: guard, points: 4, guard: true, ping: { from: node1, to: node1 } }
  - { check: free, ping: { from: node2, to: node2 } }`,
      'exercise: { text: Mend it. }\n',
    ),
    '/labs/lab.yaml',
  ).scenarios[0]!,
)!;

function graded(...verdicts: (Verdict | null)[]) {
  const outcomes = new Map<string, Outcome>();
  verdicts.forEach((verdict, index) => {
    if (verdict !== null) outcomes.set(`c0${index + 1}`, { verdict, reason: 'as seen' });
  });
  const { points, of, least, most, undecided } = grade(exercise, outcomes);
  return { points, of, least, most, undecided: undecided.map(({ check }) => check.id) };
}

describe('grades of an exercise', () => {
  it('are the points of what passed, less those of broken guards, never below zero', () => {
    const known = { of: 5, undecided: [] };
    expect(graded('pass', 'pass', 'pass')).to.deep.equal({ ...known, points: 5, least: 5, most: 5 });
    expect(graded('fail', 'pass', 'pass')).to.deep.equal({ ...known, points: 3, least: 3, most: 3 });
    expect(graded('pass', 'pass', 'fail')).to.deep.equal({ ...known, points: 1, least: 1, most: 1 });
    expect(graded('pass', 'fail', 'fail')).to.deep.equal({ ...known, points: 0, least: 0, most: 0 });
    // What is not graded gives and costs nothing.
    expect(graded('fail', 'fail', 'pass', 'pass')).to.deep.equal({ ...known, points: 0, least: 0, most: 0 });
  });

  it('keep apart what is not known: neither earned nor lost', () => {
    for (const verdict of ['inconclusive', 'error', 'skipped', null] as const) {
      expect(graded('pass', verdict, 'pass')).to.deep.equal({
        points: 2,
        of: 5,
        least: 2,
        most: 5,
        undecided: ['c02'],
      });
      expect(graded('pass', 'pass', verdict)).to.deep.equal({
        points: 5,
        of: 5,
        least: 1,
        most: 5,
        undecided: ['c03'],
      });
    }
  });

  it('bring the hint for what was seen: of the root cause, of the cause, of the rest', () => {
    const check = { hints: { 'forwarding-off': 'a', timeout: 'b', otherwise: 'c' } };
    const failed: Outcome = { verdict: 'fail', cause: 'timeout', reason: 'no answer' };
    const diagnosis = { sentence: '', way: [], back: [], evidence: [], mend: null, unlooked: [] };
    expect(hintFor(check, { ...failed, diagnosis: { ...diagnosis, rootCause: 'forwarding-off' } })).to.equal('a');
    expect(hintFor(check, { ...failed, diagnosis: { ...diagnosis, rootCause: 'filtered' } })).to.equal('b');
    expect(hintFor(check, failed)).to.equal('b');
    expect(hintFor(check, { ...failed, cause: 'refused' })).to.equal('c');
    expect(hintFor({ hints: { timeout: 'b' } }, { ...failed, cause: 'refused' })).to.equal(null);
    expect(hintFor(check, { verdict: 'pass', reason: 'well' })).to.equal(null);
    expect(hintFor(check, { verdict: 'inconclusive', reason: 'who knows' })).to.equal(null);
  });
});
