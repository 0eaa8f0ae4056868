import { expect } from 'chai';
import { exerciseOf, type Exercise } from '../../src/exercise/exercise.js';
import { brokenOf, failedSteps, roundFlaws, solvedFlaws, startFlaws } from '../../src/exercise/judge-labs.js';
import { missingLines } from '../../src/exercise/prove.js';
import { stageByStage, type Round } from '../../src/exercise/rounds.js';
import { staticFlaws } from '../../src/exercise/static-flaws.js';
import { flawMeanings, type Flaw } from '../../src/exercise/proof.js';
import type { Outcome, Verdict } from '../../src/model/verdict.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { page } from '../pages.js';
import { lab, lines } from './scenario-fixtures.js';

function read(text: string): { exercise: Exercise; text: string } {
  const { scenarios, diagnostics } = loadScenarioText(text, '/labs/lab.yaml');
  expect(lines(diagnostics)).to.deep.equal([]);
  return { exercise: exerciseOf(scenarios[0]!)!, text };
}

const names = (flaws: readonly Flaw[]): string[] =>
  flaws.map(({ name, line }) => `${name}${line === null ? '' : `:${line}`}`);
const simple = 'exercise: { text: Mend it. }\n';
const answer = '  - { step: answer, role: solution, on: node1, run: "true" }\n';
const task = '  - { check: task, points: 2, ping: { from: node1, to: node2 } }';
const guard = '  - { check: guard, points: 1, guard: true, ping: { from: node2, to: node1 } }';

describe('what the file of an exercise shows by itself', () => {
  const flaws = (steps: string, top = simple): string[] => {
    const { exercise, text } = read(lab(steps, top));
    return names(staticFlaws(exercise, text));
  };
  const stages = 'exercise: { text: Mend it., stages: { look: Look, mend: Mend } }\n';

  it('nothing, where it is sound', () => {
    expect(flaws(answer + task)).to.deep.equal([]);
  });
  it('no-points: no task, guards alone, or nothing to earn', () => {
    expect(flaws(`${answer}  - { check: task, ping: { from: node1, to: node2 } }`)).to.deep.equal(['no-points']);
    expect(flaws(answer + guard)).to.deep.equal(['no-points']);
    expect(flaws(answer + task.replace('points: 2', 'points: 0'))).to.deep.equal(['no-points']);
  });
  it('no-solution: of the whole, or of a stage', () => {
    expect(flaws(task)).to.deep.equal(['no-solution']);
    expect(
      flaws(
        `${answer.replace('role', 'stage: look, role')}${task.replace('points', 'stage: look, points')}
  - { check: other, stage: mend, points: 1, ping: { from: node2, to: node1 } }`,
        stages,
      ),
    ).to.deep.equal(['no-solution']);
  });
  it('empty-stage', () => {
    expect(
      flaws(
        `${answer.replace('role', 'stage: look, role')}${answer.replace('role', 'stage: mend, role')}${task.replace('points', 'stage: look, points')}`,
        stages,
      ),
    ).to.deep.equal(['empty-stage']);
  });
  it('values-do-not-fit: an address that another host has', () => {
    const top = `${simple}parameters: { a: { address: 10.0.0.0/29 } }\n`;
    const steps = `${answer}${task.replace('to: node2', 'to: "${a}"')}`;
    const taken = (except: string): string =>
      lab(steps, top.replace('/29', `/29${except}`)).replace(
        'hosts: [node1, node2]',
        'hosts: { node1: "${a}", node2: 10.0.0.2 }',
      );
    const check = (text: string): string[] => {
      const { exercise } = read(text);
      return names(staticFlaws(exercise, text));
    };
    expect(check(taken('')).map((one) => one.replace(/:.*/, ''))).to.deep.equal(['values-do-not-fit']);
    expect(check(taken(', except: 10.0.0.2'))).to.deep.equal([]);
  });
});

describe('what labs of an exercise show', () => {
  const { exercise } = read(lab(`${answer}${task}\n${guard}`, simple));
  const seen = (...verdicts: Verdict[]): Map<string, Outcome> =>
    new Map(exercise.checks.map(({ id }, index) => [id, { verdict: verdicts[index]!, reason: 'so it was' }]));

  it('at the start: tasks fail, guards hold', () => {
    expect(startFlaws(exercise, seen('fail', 'pass'))).to.deep.equal([]);
    expect(names(startFlaws(exercise, seen('pass', 'pass')))).to.deep.equal(['passes-at-start:8']);
    expect(names(startFlaws(exercise, seen('inconclusive', 'fail')))).to.deep.equal([
      'unknown-at-start:8',
      'guard-broken-at-start:9',
    ]);
    expect(names(startFlaws(exercise, seen('error', 'inconclusive')))).to.deep.equal([
      'unknown-at-start:8',
      'guard-broken-at-start:9',
    ]);
  });
  it('with the solution: all pass', () => {
    expect(solvedFlaws(exercise, seen('pass', 'pass'))).to.deep.equal([]);
    expect(names(solvedFlaws(exercise, seen('fail', 'fail')))).to.deep.equal([
      'never-passes:8',
      'guard-broken-by-solution:9',
    ]);
    expect(names(solvedFlaws(exercise, seen('inconclusive', 'pass')))).to.deep.equal(['never-passes:8']);
  });
  it('a second time: a task that only the first lab did works once', () => {
    const { rounds } = stageByStage(exercise);
    const [first, last] = [seen('fail', 'pass'), seen('fail', 'pass')];
    const seenIn = (round: Round) => (round.whole ? last : first);
    expect(names(roundFlaws(exercise, rounds, seenIn, []))).to.deep.equal(['works-once:8']);
    const known: Flaw[] = [{ name: 'never-passes', line: 8, sentence: '', mend: '' }];
    expect(roundFlaws(exercise, rounds, seenIn, known)).to.deep.equal([]);
  });
  it('nothing, where a lab broke: neither that it is sound nor that it is not', () => {
    const ran = (outcomes: [string, Outcome][], broke: string | null = null) => ({
      items: exercise.scenario.items,
      outcomes: new Map(outcomes),
      broke,
      durationMs: 1,
    });
    expect(brokenOf(ran([['s01', { verdict: 'error', reason: 'no such host' }]]))).to.equal('answer: no such host');
    expect(brokenOf(ran([['c02', { verdict: 'skipped', reason: 'no kernel module' }]]))).to.equal('no kernel module');
    expect(brokenOf(ran([]))).to.equal('nothing ran');
    const never: Outcome = { verdict: 'skipped', reason: 'the lab did not come up (NETRIG_NO_ROOT)' };
    expect(brokenOf(ran([['s01', never]], 'Not root. (NETRIG_NO_ROOT)'))).to.equal('Not root. (NETRIG_NO_ROOT)');
    expect(brokenOf(ran([['c02', { verdict: 'fail', reason: 'no' }]], 'The bridge br7 is left.'))).to.equal(null);
    expect(brokenOf(ran([['c02', { verdict: 'fail', reason: 'no' }]]))).to.equal(null);
    expect(names(failedSteps(ran([['s01', { verdict: 'fail', reason: 'no' }]]), 'Here'))).to.deep.equal([
      'step-fails:7',
    ]);
  });
});

describe('a stage that is cut in the midst', () => {
  const { exercise } = read(
    lab(
      `  - { step: take down, role: solution, stage: look, on: node1, run: "true" }
  - { step: put up, role: solution, stage: look, on: node1, run: "true" }
  - { step: close, role: solution, stage: mend, on: node1, run: "true" }
  - { step: tidy, role: solution, stage: mend, on: node1, run: "true" }
  - { check: open, stage: look, points: 1, ping: { from: node1, to: node2 } }
  - { check: shut, stage: mend, points: 1, ping: { from: node2, to: node1, expect: { fails: timeout } } }
  - { check: holds, stage: mend, points: 1, guard: true, ping: { from: node1, to: node1 } }`,
      'exercise: { text: Mend it., stages: { look: Look, mend: Mend } }\n',
    ),
  );
  const [open, shut] = exercise.checks.map(({ id }) => id) as [string, string];
  const { scenario, rounds } = stageByStage(exercise);
  const flaws = (amidst: Verdict): string[] =>
    names(
      roundFlaws(
        exercise,
        rounds,
        (round) => {
          const verdict = (task: string): Verdict =>
            round.part ? amidst : round.whole || (task === open && round.solved.includes('look')) ? 'pass' : 'fail';
          return new Map([...round.ids.keys()].map((task) => [task, { verdict: verdict(task), reason: 'so' }]));
        },
        [],
      ),
    );

  it('is looked at after each of its steps but the last, for tasks of later stages alone', () => {
    const amidst = rounds.filter(({ part }) => part);
    expect(amidst.map(({ after, ids }) => [after, ...ids.keys()])).to.deep.equal([
      ['the step “take down” of stage look, which is not done yet', shut],
    ]);
    const order = scenario.items.map(({ id, title }) => (title.startsWith('shut') ? id : title));
    expect(order.indexOf(amidst[0]!.ids.get(shut)!)).to.equal(order.indexOf('take down') + 1);
    expect(order.indexOf('put up')).to.equal(order.indexOf('take down') + 2);
  });

  it('has no task of a later stage done; that one cannot be judged yet is no flaw', () => {
    expect(flaws('pass')).to.deep.equal(['passes-early:12']);
    expect(flaws('fail')).to.deep.equal([]);
    expect(flaws('inconclusive')).to.deep.equal([]);
  });
});

describe('the stages of an exercise, on one lab', () => {
  const staged = (between = '') =>
    read(
      lab(
        `  - { step: begin, on: node1, run: "true" }
  - { step: answer look, role: solution, stage: look, on: node1, run: "true" }
${between}  - { step: answer mend, role: solution, stage: mend, on: node1, run: "true" }
  - { check: one, stage: look, points: 1, ping: { from: node1, to: node2 } }
  - { check: two, stage: mend, points: 1, ping: { from: node2, to: node1 } }`,
        'exercise: { text: Mend it., stages: { look: Look, mend: Mend } }\n',
      ),
    ).exercise;

  it('are looked at before, between and after', () => {
    const { scenario, rounds } = stageByStage(staged());
    expect(scenario.items.map(({ title }) => title)).to.deep.equal([
      'begin',
      'one (after the start)',
      'two (after the start)',
      'answer look',
      'one (after the solution of stage look)',
      'two (after the solution of stage look)',
      'answer mend',
      'one (after the solution of stage mend)',
      'two (after the solution of stage mend)',
    ]);
    expect(rounds.map(({ solved, whole }) => [...solved, whole])).to.deep.equal([
      [false],
      ['look', false],
      ['look', 'mend', true],
    ]);
    expect(new Set(scenario.items.map(({ id }) => id)).size).to.equal(scenario.items.length);
  });
  it('are looked at once more where a stage is set up', () => {
    const { rounds } = stageByStage(staged('  - { step: trouble, stage: mend, on: node1, run: "true" }\n'));
    expect(rounds.map(({ after }) => after)).to.deep.equal([
      'the start',
      'the solution of stage look',
      'the start of stage mend',
      'the solution of stage mend',
    ]);
  });
  it('do what is theirs, neither earlier nor later', () => {
    const exercise = staged();
    const { rounds } = stageByStage(exercise);
    const [one, two] = exercise.checks.map(({ id }) => id) as [string, string];
    const judged = (table: [Verdict, Verdict][]): string[] =>
      names(
        roundFlaws(
          exercise,
          rounds,
          (round) => {
            const [first, second] = table[rounds.indexOf(round)]!;
            return new Map([
              [one, { verdict: first, reason: 'so' }],
              [two, { verdict: second, reason: 'so' }],
            ]);
          },
          [],
        ),
      );
    const [f, p]: Verdict[] = ['fail', 'pass'];
    expect(
      judged([
        [f!, f!],
        [p!, f!],
        [p!, p!],
      ]),
    ).to.deep.equal([]);
    expect(
      judged([
        [f!, f!],
        [p!, p!],
        [p!, p!],
      ]),
    ).to.deep.equal(['passes-early:11']);
    expect(
      judged([
        [f!, f!],
        [f!, f!],
        [p!, p!],
      ]),
    ).to.deep.equal(['stage-not-solved:10']);
    expect(
      judged([
        [f!, p!],
        [p!, p!],
        [p!, p!],
      ]),
    ).to.deep.equal(['passes-at-start:11']);
    expect(
      judged([
        [f!, f!],
        [p!, f!],
        [f!, p!],
      ]),
    ).to.deep.equal(['works-once:10']);
  });
});

describe('the lines of a solution', () => {
  it('are taken out one by one, those of the set-up are not', () => {
    const text = lab(
      `  - { step: begin, on: node1, run: ip link set eth0 mtu 1400 }
  - role: solution
    on: [node1, node2]
    run: |
      ip link set eth0 mtu 1500
      ip addr add 10.0.0.9/32 dev lo
${task}`,
      simple,
    );
    expect(missingLines(text).map(({ what, line }) => `${line} ${what}`)).to.deep.equal([
      '9 leaves node1 out of the step',
      '9 leaves node2 out of the step',
      '11 removes `ip link set eth0 mtu 1500`',
      '12 removes `ip addr add 10.0.0.9/32 dev lo`',
    ]);
  });
});

describe('docs/teaching.md', () => {
  it('names every flaw', () => {
    const rows = page('docs/teaching.md').text.match(/^\| `[a-z-]+` \| .* \|$/gm);
    expect(rows).to.deep.equal(Object.entries(flawMeanings).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`));
  });
});
