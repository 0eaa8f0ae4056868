import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { toldOfExercise } from '../../src/cli/commands/up.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { handoutOf, type Handout } from '../../src/exercise/handout.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { toldOf } from '../../src/scenario/handed-out.js';
import type { ParameterValues } from '../../src/scenario/parameters.js';
import { lab, root } from './scenario-fixtures.js';

function made(text: string, file = '/labs/lab.yaml', values: ParameterValues | null = null): Handout {
  const { scenarios, diagnostics } = loadScenarioText(text, file, values === null ? {} : { parameters: values });
  expect(diagnostics).to.deep.equal([]);
  return handoutOf({ text, file, exercise: exerciseOf(scenarios[0]!)!, values });
}

const steps = `  # It drops everything, and this comment says so.
  - { step: A filter, on: node1, run: "iptables -A INPUT -j DROP" }
  - { step: It goes, role: solution, on: node1, run: "iptables -F \${port}" }
  - { check: node1 answers, points: 3, hint: Look., ping: { from: node2, to: node1 } }
  - { check: secretly, points: 1, shown: never, port: { from: node2, to: node1, port: 4711 } }
  - { check: later, points: 1, shown: after-hand-in, port: { from: node2, to: node1, port: 4712 } }
  - { check: of the author alone, port: { from: node2, to: node1, port: 4713 } }
  - { check: it stays, points: 1, guard: true, ping: { from: node1, to: node1 } }`;
const head = (text: string): string =>
  `description: The filter is what is wrong.\nexercise: { text: ${text} }\nparameters: { port: { port: 8000..8999 } }\n`;

describe('A handout of an exercise', () => {
  it('has set-up, text and shown tasks, and nothing that tells the solution', () => {
    const { scenario, readme } = made(lab(steps, head('"Open ${port}."')));
    for (const secret of ['solution', 'iptables -F', 'secretly', '4711', '4712', '4713', 'what is wrong', 'comment'])
      expect(scenario, secret).not.to.contain(secret);
    const { scenarios, diagnostics } = loadScenarioText(scenario, '/home/ann/lab.yaml');
    expect(diagnostics).to.deep.equal([]);
    expect(scenarios[0]!.items.map(({ title }) => title)).to.deep.equal(['A filter', 'node1 answers', 'it stays']);
    expect(exerciseOf(scenarios[0]!)!.text).to.match(/^Open 8\d\d\d\.$/);
    expect(readme)
      .to.match(/Open 8\d\d\d\./)
      .and.contain('- node1 answers (3)')
      .and.contain('(hosts: node1, node2)');
    expect(readme).to.match(/needs netrig[^]*`npm run quickstart`[^]*`npm install --global \.`[^]*`netrig play/);
    expect(readme).not.to.contain('secretly');
  });

  it('carries the values that were drawn for its student, and no other', () => {
    const { scenario, readme } = made(lab(steps, head('"Open ${port}."')), '/labs/lab.yaml', { port: 8123 });
    const { scenarios, diagnostics } = loadScenarioText(scenario, '/home/ann/lab.yaml');
    expect(diagnostics).to.deep.equal([]);
    expect(exerciseOf(scenarios[0]!)!.text).to.equal('Open 8123.');
    expect(readme).to.contain('Open 8123.');
  });

  it('tells as much of its tasks as the exercise says, or its class', () => {
    const read = (one: Handout) => loadScenarioText(one.scenario, '/home/ann/lab.yaml').scenarios[0]!;
    const text = lab(steps, head('"Open ${port}."'));
    expect(toldOf(read(made(text)))).to.equal('seen');
    expect(toldOf(read(made(text.replace('exercise: {', 'exercise: { feedback: verdict,'))))).to.equal('verdict');
    const { scenarios } = loadScenarioText(text, '/labs/lab.yaml');
    expect(toldOf(scenarios[0]!), 'the author is told all').to.equal(null);
    const exercise = exerciseOf(scenarios[0]!)!;
    const given = handoutOf({ text, file: '/labs/lab.yaml', exercise, values: null, feedback: 'way' });
    expect(toldOf(read(given))).to.equal('way');
  });

  it('leaves out what only the solution had a use for', () => {
    const { scenario } = made(lab(steps, head('Open it.')));
    expect(loadScenarioText(scenario, '/home/ann/lab.yaml').diagnostics).to.deep.equal([]);
    expect(scenario).not.to.contain('parameters');
  });

  it('tells its text where it is brought up, as the exercise does without its solution', () => {
    const text = lab(steps, head('"Open ${port}.\\nAnd no other."'));
    const read = (one: string) => loadScenarioText(one, '/home/ann/lab.yaml').scenarios[0]!;
    const whole = read(text);
    const handedOut = read(made(text).scenario);
    const told = toldOfExercise(handedOut, { steps: true }, 'lab.yaml');
    expect(told!.text[0]).to.match(/^Open 8\d\d\d\.$/);
    expect(told!.text[1]).to.equal('And no other.');
    expect(told!.help).to.contain('netrig play lab.yaml');
    expect(toldOfExercise(whole, { steps: true, unsolved: true }, 'lab.yaml')).to.deep.equal(told);
    // Solved, without its set-up, or no exercise: there is nothing to do on it.
    expect(toldOfExercise(whole, { steps: true }, 'lab.yaml')).to.equal(null);
    expect(toldOfExercise(handedOut, { steps: false }, 'lab.yaml')).to.equal(null);
    expect(toldOfExercise(read(lab('  - { on: node1, run: "true" }')), { steps: true }, 'lab.yaml')).to.equal(null);
  });

  it('is refused where a shown task needs the solution', () => {
    const needs = `  - { step: it, role: solution, on: node1, run: "echo 8080", save: { answer: stdout } }
  - { check: a, points: 1, port: { from: node2, to: node1, port: "\${answer}" } }`;
    const { scenarios } = loadScenarioText(lab(needs, 'exercise: { text: Do it. }\n'), '/labs/lab.yaml');
    // The language refuses it already, or the handout does.
    if (scenarios[0])
      expect(() => made(lab(needs, 'exercise: { text: Do it. }\n'))).to.throw(/cannot be handed out without/);
  });

  for (const name of ['silent-router', 'unreachable-port', 'ospf-no-adjacency', 'wrong-advertise'])
    it(`can be made of ${name}, whose text is in a file of its own`, () => {
      const file = path.join(root, 'scenarios/exercises', `${name}.yaml`);
      const { scenario, readme } = made(readFileSync(file, 'utf8'), file);
      // Where no file lies beside it.
      const { scenarios, diagnostics } = loadScenarioText(scenario, '/home/ann/lab.yaml');
      expect(diagnostics).to.deep.equal([]);
      expect(scenarios[0]!.items.filter((item) => item.kind === 'step' && item.role === 'solution')).to.deep.equal([]);
      expect(readme.length).to.be.greaterThan(300);
    });
});
