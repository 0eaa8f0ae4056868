import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { exerciseOf, isShown } from '../../src/exercise/exercise.js';
import { atStart, whenSolved } from '../../src/exercise/views.js';
import { loadScenarioText, type LoadOptions } from '../../src/scenario/load.js';
import { lab, lines } from './scenario-fixtures.js';

function read(text: string, options: LoadOptions = {}, file = '/labs/lab.yaml') {
  const { scenarios, diagnostics } = loadScenarioText(text, file, options);
  return { scenario: scenarios[0], mistakes: lines(diagnostics) };
}

function sound(text: string, options: LoadOptions = {}) {
  const { scenario, mistakes } = read(text, options);
  expect(mistakes).to.deep.equal([]);
  return scenario!;
}

const ping = 'ping: { from: node1, to: node2 }';
const staged = lab(
  `  - { step: begin, on: node1, run: "true" }
  - { step: first answer, role: solution, stage: look, on: node1, run: "true" }
  - { step: second trouble, stage: mend, on: node1, run: "true" }
  - { step: second answer, role: solution, stage: mend, on: node1, run: "true" }
  - { check: it is seen, stage: look, points: 2, hint: look closer, ${ping} }
  - { check: it is mended, stage: mend, points: 3, shown: never, hint: { timeout: who drops it, no-route: add one }, ping: { from: node2, to: node1 } }
  - { check: nothing else is broken, guard: true, points: 1, ping: { from: node1, to: node1 } }
  - { check: for information, ping: { from: node2, to: node2 } }`,
  'exercise: { text: Mend it., time: 45m, stages: { look: Look, mend: { title: Mend, text: Do. } } }\n',
);

const titles = (scenario: { items: readonly { kind: string; title: string }[] }, kind: string): string[] =>
  scenario.items.filter((item) => item.kind === kind).map((item) => item.title);

describe('exercises in the language', () => {
  it('make tasks of checks with points, in stages', () => {
    const exercise = exerciseOf(sound(staged))!;
    expect(exercise).to.include({ id: 'lab', title: 'A lab', text: 'Mend it.', timeMs: 2_700_000, points: 5 });
    expect(exercise.stages).to.deep.equal([
      { name: 'look', title: 'Look', text: '' },
      { name: 'mend', title: 'Mend', text: 'Do.' },
    ]);
    expect(
      exercise.checks.map(({ id, points, guard, stage, shown }) => [id, points, guard, stage, shown]),
    ).to.deep.equal([
      ['c05', 2, false, 'look', 'always'],
      ['c06', 3, false, 'mend', 'never'],
      ['c07', 1, true, null, 'always'],
    ]);
    expect(exercise.checks.map(({ hints }) => hints)).to.deep.equal([
      { otherwise: 'look closer' },
      { timeout: 'who drops it', 'no-route': 'add one' },
      {},
    ]);
  });

  it('give students the set-up of their stage, and what was solved before it', () => {
    const scenario = sound(staged);
    expect(titles(atStart(scenario), 'step')).to.deep.equal(['begin']);
    expect(titles(atStart(scenario, 'mend'), 'step')).to.deep.equal(['begin', 'first answer', 'second trouble']);
    expect(titles(whenSolved(scenario, 'look'), 'step')).to.deep.equal(['begin', 'first answer']);
    expect(titles(whenSolved(scenario), 'step')).to.have.length(4);
    expect(titles(atStart(scenario), 'check')).to.have.length(4);
  });

  it('do all steps before the checks, wherever these stand, and last steps last', () => {
    const scenario = sound(
      `${lab(
        `  - { check: first in the file, points: 1, ${ping} }
  - { step: answer, role: solution, on: node1, run: "true" }`,
        'exercise: { text: Mend it. }\n',
      )}finally: [{ step: end, on: node1, run: "true" }]\n`,
    );
    expect(whenSolved(scenario).items.map(({ title }) => title)).to.deep.equal(['answer', 'first in the file', 'end']);
    expect(atStart(scenario).items.map(({ title }) => title)).to.deep.equal(['first in the file', 'end']);
  });

  it('hide what is not for students', () => {
    expect(isShown({ shown: 'always' }, false)).to.equal(true);
    expect(isShown({ shown: 'after-hand-in' }, false)).to.equal(false);
    expect(isShown({ shown: 'after-hand-in' }, true)).to.equal(true);
    expect(isShown({ shown: 'never' }, true)).to.equal(false);
  });

  it('are none without `exercise`, whose keys would say nothing', () => {
    expect(exerciseOf(sound(lab(`  - { check: a, ${ping} }`)))).to.equal(null);
    const { mistakes } = read(
      lab(
        `  - { role: solution, on: node1, run: "true" }
  - { check: a, points: 1, ${ping} }`,
        'parameters: { n: { integer: 1..9 } }\n',
      ),
    );
    expect(mistakes.map((one) => one.replace(/: (?:add|every).*/, ''))).to.deep.equal([
      '3:1 `parameters` belongs to an exercise',
      '3:15 `n` is used nowhere',
      '7:7 `role` belongs to an exercise',
      '8:17 `points` belongs to an exercise',
    ]);
  });

  const exercise = 'exercise: { text: Mend it., stages: { look: Look, mend: Mend } }\n';
  for (const [what, steps, mistake] of [
    ['a stage that is none', `  - { check: a, points: 1, stage: lok, ${ping} }`, /no stage "lok"; did you mean/],
    ['a task of no stage', `  - { check: a, points: 1, ${ping} }`, /"stage" is missing: of which stage is this check/],
    [
      'a solution of no stage',
      `  - { role: solution, on: node1, run: "true" }\n  - { check: a, ${ping} }`,
      /"stage" is missing: of which stage is this part of the solution/,
    ],
    [
      'stages out of order',
      `  - { stage: mend, on: node1, run: "true" }\n  - { stage: look, on: node1, run: "true" }\n  - { check: a, ${ping} }`,
      /step of stage look stands after a step of stage mend/,
    ],
    ['a guard without points', `  - { check: a, guard: true, ${ping} }`, /a guard costs points/],
    ['a warning with points', `  - { check: a, stage: look, points: 1, level: warning, ${ping} }`, /is no warning/],
    ['points of a step', `  - { points: 1, on: node1, run: "true" }`, /`points` belongs to checks/],
    ['the role of a check', `  - { check: a, role: setup, ${ping} }`, /`role` belongs to steps/],
    [
      'a hint for no cause',
      `  - { check: a, hint: { timout: b }, ${ping} }`,
      /no cause "timout"; did you mean "timeout"/,
    ],
    [
      'a value of the solution in a check',
      `  - { role: solution, stage: look, on: node1, run: hostname, save: name }\n  - { check: a, stage: look, points: 1, file: { on: node1, path: "/tmp/\${name}" } }`,
      /saved by a step of the solution/,
    ],
  ] as const)
    it(`name ${what}`, () => {
      expect(read(lab(steps, exercise)).mistakes.join('\n')).to.match(mistake);
    });

  it('take values that the set-up saves', () => {
    sound(
      lab(
        `  - { on: node1, run: hostname, save: name }
  - { check: a, points: 1, file: { on: node1, path: "/tmp/\${name}" } }`,
        'exercise: { text: Mend it. }\n',
      ),
    );
  });
});

describe('the text of an exercise', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netrig-test-'));
    mkdirSync(path.join(folder, 'labs'));
    writeFileSync(path.join(folder, 'secret.md'), 'no');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const withFile = (file: string): string =>
    lab(
      `  - { check: a, points: 1, ${ping} }`,
      `parameters: { n: { integer: 5..6 } }\nexercise: { text: { file: ${file} } }\n`,
    );
  const load = (file: string, parameters = { n: 5 }) =>
    read(withFile(file), { parameters }, path.join(folder, 'labs', 'lab.yaml'));

  it('lies beside the scenario, with the values of the student', () => {
    writeFileSync(path.join(folder, 'labs', 'lab.md'), '# Number ${n}\n\nAs `$${n}`.\n');
    expect(load('lab.md', { n: 6 }).scenario!.exercise!.text).to.equal('# Number 6\n\nAs `${n}`.');
  });
  it('is read from nowhere else', () => {
    expect(load('../secret.md').mistakes.join()).to.match(/lies outside the scenario’s folder/);
    expect(load('none.md').mistakes.join()).to.match(/there is no file/);
  });
  it('names no variable that there is not', () => {
    writeFileSync(path.join(folder, 'labs', 'lab.md'), 'Number ${n} of ${m}\n');
    expect(load('lab.md').mistakes.join()).to.match(/lab\.md: no variable `\$\{m\}` is declared/);
  });
});
