import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { withAnswer } from '../../src/exercise/grade-hand-ins.js';
import { handoutOf } from '../../src/exercise/handout.js';
import { readHandIns, type HandIn } from '../../src/exercise/hand-ins.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab, lines, root } from './scenario-fixtures.js';

function exerciseFrom(text: string) {
  const { scenarios, diagnostics } = loadScenarioText(text, '/labs/lab.yaml');
  expect(lines(diagnostics)).to.deep.equal([]);
  return exerciseOf(scenarios[0]!)!;
}

const exercise = exerciseFrom(
  lab(
    `  - { step: trouble, on: node1, run: "true" }
  - { step: the author’s answer, role: solution, on: node1, run: "true" }
  - { check: they meet, points: 1, ping: { from: node1, to: node2 } }`,
    'exercise: { text: Mend it. }\n',
  ),
);

/** A student's file, whose set-up and checks are of no account. */
const answer = (steps: string): string =>
  lab(`${steps}\n  - { check: mine, points: 100, ping: { from: node1, to: node1 } }`, 'exercise: { text: Mine. }\n');

describe('hand-ins in a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netrig-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function put(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), text);
    }
  }
  const read = (): HandIn[] => readHandIns(folder, { of: () => exercise, timeoutMs: 1000 });
  const problems = (): string =>
    read()
      .flatMap((one) => one.problems)
      .join('\n');

  it('are a script a host, a scenario in a folder, or a scenario alone', () => {
    put({
      'ann/node1/solution.sh': 'ip link',
      'ann/node2/solution.sh': 'ip route',
      'ann/notes.txt': 'mine',
      'bob/anything.yaml': answer('  - { step: what bob does, role: solution, on: node2, run: "true" }'),
      'eve.yaml': answer('  - { step: what eve does, role: solution, on: node1, run: "true" }'),
      'readme.txt': 'of the teacher',
    });
    const all = read();
    expect(
      all.map(({ student, steps, problems: wrong }) => [
        student,
        steps.map(({ title, on }) => `${title} @${on.join()}`),
        wrong,
      ]),
    ).to.deep.equal([
      ['ann', ['solution.sh on node1 @node1', 'solution.sh on node2 @node2'], []],
      ['bob', ['what bob does @node2'], []],
      ['eve', ['what eve does @node1'], []],
    ]);
    expect(all[0]!.text).to.equal('ip link\nip route\n');
  });

  it('are scripts with line ends of Windows, too', () => {
    put({ 'ann/node1/solution.sh': '\ufeffip route add default via 10.0.0.1\r\necho done\r\n' });
    const [step] = read()[0]!.steps;
    expect((step!.spec as { stdin: string }).stdin).to.equal('ip route add default via 10.0.0.1\necho done\n');
  });

  it('take the place of the solution, and of nothing else', () => {
    put({
      'bob.yaml': answer(
        '  - { step: set-up of bob, on: node1, run: "false" }\n  - { step: what bob does, role: solution, on: node2, run: "true" }',
      ),
    });
    const scenario = withAnswer(exercise.scenario, read()[0]!);
    expect(scenario.items.map(({ title }) => title)).to.deep.equal(['trouble', 'what bob does', 'they meet']);
    expect(new Set(scenario.items.map(({ id }) => id)).size).to.equal(3);
    expect(scenario.hosts).to.equal(exercise.scenario.hosts);
  });

  describe('by the words of the handout: its own file, with the changes as steps behind its own', () => {
    const words = /```yaml\n( {2}- role: solution\n[^`]*)```/;
    const handedIn = (text: string, file: string): { problems: string[]; titles: string[] } => {
      const given = exerciseOf(loadScenarioText(text, file).scenarios[0]!)!;
      const { scenario, readme } = handoutOf({ text, file, exercise: given, values: null });
      put({ 'lou/library.yaml': scenario + words.exec(readme)![1]! });
      const [one] = readHandIns(folder, { of: () => given, timeoutMs: 1000 });
      return { problems: one!.problems, titles: one!.steps.map(({ on }) => on.join()) };
    };

    it('are looked for nothing beside them that the exercise names: files of hosts, and of its set-up', () => {
      const beside = mkdtempSync(path.join(tmpdir(), 'netrig-test-'));
      try {
        const file = path.join(beside, 'library.yaml');
        const text = lab(
          `  - { on: node2, copy: ./page.html, to: /srv/page.html }
  - { step: the author’s answer, role: solution, on: node1, run: "true" }
  - { check: they meet, points: 1, ping: { from: node1, to: node2 } }`,
          'exercise: { text: Mend it. }\n',
        ).replace('node1: ,', 'node1: { files: { ./conf/own.conf: /etc/own.conf } },');
        mkdirSync(path.join(beside, 'conf'));
        for (const name of ['library.yaml', 'page.html', 'conf/own.conf'])
          writeFileSync(path.join(beside, name), name === 'library.yaml' ? text : 'own\n');
        expect(handedIn(text, file)).to.deep.equal({ problems: [], titles: ['node1'] });
      } finally {
        rmSync(beside, { recursive: true, force: true });
      }
    });

    for (const name of readdirSync(path.join(root, 'scenarios/exercises')).filter((one) => one.endsWith('.yaml')))
      it(`are read, of ${name}`, () => {
        const file = path.join(root, 'scenarios/exercises', name);
        const { problems: wrong, titles } = handedIn(readFileSync(file, 'utf8'), file);
        expect(wrong).to.deep.equal([]);
        expect(titles).to.have.length(1);
      });
  });

  for (const [what, files, problem] of [
    ['nothing in the folder of a student', { 'ann/notes.txt': '' }, /neither a scenario file nor HOST\/solution\.sh/],
    ['two answers of one', { 'ann/a.yaml': answer(''), 'ann/node1/solution.sh': '' }, /more than one answer/],
    ['two files of one name', { 'ann.yaml': 'a', 'ann/node1/solution.sh': '' }, /two of this student/],
    ['a host that there is not', { 'ann/gate/solution.sh': '' }, /no host gate; it has node1, node2/],
    [
      'a host in other letters',
      { 'ann/Node2/solution.sh': '' },
      /no host Node2; did you mean "node2"\? It has node2, node1/,
    ],
    ['a script of no host, where there are two', { 'ann/solution.sh': '' }, /solution\.sh of which host/],
    ['a file with mistakes', { 'ann.yaml': 'scenario: ann' }, /line 1: "title" is missing/],
    [
      'a file without an answer',
      { 'ann.yaml': answer('  - { on: node1, run: "true" }') },
      /no step with `role: solution`/,
    ],
    [
      'files of the teacher taken onto a host',
      { 'ann/a.yaml': answer('  - { role: solution, on: node1, copy: a.yaml, to: /root/ }') },
      /steps of run, start, write, and this one is of copy/,
    ],
    [
      'what somebody else handed in, shared',
      { 'ann.yaml': answer('').replace('title:', 'extends: ../bob/a.yaml\ntitle:'), 'bob/a.yaml': 'shared: mine' },
      /lies outside the scenario’s folder/,
    ],
  ] as const)
    it(`cannot be graded and say so: ${what}`, () => {
      put(files as Record<string, string>);
      expect(problems()).to.match(problem);
    });

  it('are no links, which lead anywhere', () => {
    put({ 'ann/node1/solution.sh': 'true' });
    mkdirSync(path.join(folder, 'bob', 'node1'), { recursive: true });
    symlinkSync(path.join(folder, 'ann'), path.join(folder, 'eve'));
    symlinkSync(path.join(folder, 'ann/node1/solution.sh'), path.join(folder, 'bob/node1/solution.sh'));
    expect(read().map(({ student, steps }) => [student, steps.length])).to.deep.equal([
      ['ann', 1],
      ['bob', 0],
    ]);
  });

  it('see no secret of the environment in which they are graded', () => {
    put({
      'ann.yaml': answer('  - { role: solution, on: node1, run: "echo ${s}" }').replace(
        'title:',
        'secrets: { s: { env: PATH } }\ntitle:',
      ),
    });
    const [handIn] = read();
    expect(handIn!.problems).to.deep.equal([]);
    expect(JSON.stringify(handIn!.steps[0]!.spec)).not.to.contain('/bin');
  });

  it('are somewhere', () => {
    expect(() => read()).to.throw(/holds no hand-in/);
    expect(() => readHandIns(path.join(folder, 'none'), { of: () => exercise, timeoutMs: 1 })).to.throw(
      /cannot be read/,
    );
  });
});
