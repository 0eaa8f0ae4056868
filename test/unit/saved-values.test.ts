import { expect } from 'chai';
import { loadScenarioText } from '../../src/scenario/load.js';
import type { Scenario } from '../../src/scenario/scenario.js';
import type { SavedValue } from '../../src/model/saved.js';
import { savedFrom, zSave } from '../../src/steps/save.js';
import { lab, lines } from './scenario-fixtures.js';

function read(steps: string, top = '') {
  return loadScenarioText(lab(steps, top), '/labs/lab.yaml');
}

function one(steps: string): Scenario {
  const { scenarios, diagnostics } = read(steps);
  expect(lines(diagnostics)).to.deep.equal([]);
  return scenarios[0]!;
}

const saving = `  - on: node1
    run: pidof sshd
    save: pid
`;

function resolved(scenario: Scenario, values: Record<string, SavedValue>): unknown {
  const late = scenario.items[1]!.late!;
  const made = late.resolve(new Map(Object.entries(values)));
  return 'spec' in made ? made.spec : made.message;
}

describe('Values of an output', () => {
  const from = (save: unknown, stdout: string): unknown => {
    const saved = savedFrom(zSave.parse(save), stdout);
    return 'values' in saved ? Object.fromEntries(saved.values) : saved.problem;
  };

  it('are its text, a value of its JSON, or what a pattern finds in it', () => {
    expect(from('pid', ' 4711 \n')).to.deep.equal({ pid: '4711' });
    expect(from({ id: { json: '[0].Id' } }, '[{"Id":"abc","N":7}]')).to.deep.equal({ id: 'abc' });
    expect(from({ n: { json: '[0].N' }, id: { json: '[0].Id' } }, '[{"Id":"abc","N":7}]')).to.deep.equal({
      n: 7,
      id: 'abc',
    });
    expect(from({ mac: { matches: 'ether (\\S+)' } }, 'link/ether 02:42:ac:11:00:02 brd')).to.deep.equal({
      mac: '02:42:ac:11:00:02',
    });
    expect(from({ short: { matches: '^.{12}' } }, '0123456789abcdef\n')).to.deep.equal({ short: '0123456789ab' });
  });

  it('that are not there say so', () => {
    expect(from('pid', '\n')).to.equal('`pid` could not be saved: the output is empty');
    expect(from({ id: { json: '[1].Id' } }, '[{"Id":"abc"}]')).to.equal(
      '`id` could not be saved: the output has no [1].Id',
    );
    expect(from({ id: { json: '[0]' } }, '[{"Id":"abc"}]')).to.include('is a map, and a value is a text');
    expect(from({ id: { json: 'a' } }, 'no such network')).to.include(
      'the output is no JSON document: "no such network"',
    );
    expect(from({ id: { matches: 'a(b)' } }, 'xyz')).to.include('nothing in the output matches /a(b)/');
    expect(from('id', 'x'.repeat(40_000))).to.include('it has 40000 characters');
  });
});

describe('Saved values in a scenario', () => {
  it('stand in typed fields, and are parsed as those when they are known', () => {
    const scenario = one(`${saving}  - check: it listens
    port: { from: node1, to: node2, port: "\${pid}" }`);
    expect(resolved(scenario, { pid: '8080' })).to.deep.include({ port: 8080 });
    expect(resolved(scenario, { pid: 'abc' })).to.match(
      /^.*lab\.yaml:10:43: expected a port number from 1 to 65535, got "abc" \(`pid` is "abc"\)$/,
    );
    expect(resolved(scenario, { pid: '70000' })).to.include('expected a port number from 1 to 65535, got 70000');
  });

  it('stand in parts of a text, and in endpoints', () => {
    const scenario = one(`${saving}  - check: it answers
    ping: { from: "node1/netns:ns\${pid}", to: node2 }`);
    expect(resolved(scenario, { pid: 12 })).to.deep.include({ from: 'node1/netns:ns12' });
    expect(resolved(scenario, { pid: 'a b' })).to.include('expected an endpoint');
    const item = scenario.items[1]!;
    expect(item.kind === 'check' && item.late!.shown(item.type.describe(item.spec))).to.include('node1/netns:ns${pid}');
  });

  it('name hosts of the lab only', () => {
    const scenario = one(`${saving}  - check: it answers
    ping: { from: "\${pid}", to: node2 }`);
    expect(resolved(scenario, { pid: 'node1' })).to.deep.include({ from: 'node1' });
    expect(resolved(scenario, { pid: 'node7' })).to.include('no host "node7" in this scenario (`pid` is "node7")');
  });

  it('are variables of a shell, so that nothing in them is a command', () => {
    const scenario = one(`${saving}  - on: node1
    run: kill "\${pid}"`);
    expect(resolved(scenario, { pid: `1; rm -rf / $(reboot) '"\`` })).to.deep.equal({
      run: `pid='1; rm -rf / $(reboot) '\\''"\`'; kill "\${pid}"`,
    });
    expect(resolved(one(`${saving}  - on: node1\n    run: kill $pid`), { pid: 7 })).to.deep.equal({
      run: 'pid=7; kill $pid',
    });
  });

  it('leave alone what a shell sets itself, and every other `${…}` of it', () => {
    expect(one(`${saving}  - on: node1\n    run: pid=3; echo \${pid} \${HOME}`).items[1]!.late).to.equal(null);
    expect(one(`${saving}  - on: node1\n    run: for pid in 1 2; do kill $pid; done`).items[1]!.late).to.equal(null);
    expect(one(`${saving}  - on: node1\n    run: echo $pids`).items[1]!.late).to.equal(null);
  });

  it('go into a file’s content as they are', () => {
    const scenario = one(
      `${saving}  - on: node1\n    write: /etc/pid\n    content: "pid \${pid}, \${other}, $\${pid}\\n"`,
    );
    expect(resolved(scenario, { pid: "it's" })).to.deep.include({ content: "pid it's, ${other}, ${pid}\n" });
  });

  const wrong: [string, string, string][] = [
    [
      'used before it is saved',
      `  - check: x\n    ping: { from: node1, to: "\${pid}" }\n${saving}`,
      'a value that a step saves: it stands after this item, or is this one',
    ],
    [
      'used in a title',
      `${saving}  - check: x \${pid}\n    ping: { from: node1, to: node2 }`,
      '`check` is planned before anything runs',
    ],
    [
      'used in a place that takes one of a few words',
      `${saving}  - check: x\n    port: { from: node1, to: node2, port: 1, proto: "\${pid}" }`,
      'a value that is known at run time only cannot stand here: ',
    ],
    [
      'never saved',
      `${saving}  - check: x\n    ping: { from: node1, to: "\${pidd}" }`,
      'no variable `${pidd}` is declared',
    ],
    [
      'saved from several hosts',
      `  - on: [node1, node2]\n    run: x\n    save: pid`,
      'a value comes from one host, and this step runs on node1, node2',
    ],
    [
      'named as a variable',
      `  - on: node1\n    run: x\n    save: { size: text }`,
      '`size` is a variable of the file already',
    ],
    ['named badly', `  - on: node1\n    run: x\n    save: PATH`, 'expected a name for the value'],
    [
      'with another mistake beside it',
      `${saving}  - check: x\n    port: { from: node1, to: nod3, port: "\${pid}", prt: 1 }`,
      'unknown key "prt"',
    ],
  ];
  for (const [what, steps, message] of wrong)
    it(`refuse one that is ${what}`, () => {
      const { diagnostics } = read(steps, 'vars: { size: 3 }\n');
      expect(lines(diagnostics).join('\n')).to.include(message);
      expect(diagnostics.every(({ line }) => line >= 6)).to.equal(true);
    });

  it('are refused outside of steps and checks', () => {
    const { diagnostics } = loadScenarioText(
      `scenario: lab\ntitle: \${pid}\nhosts: { node1: }\nsteps:\n${saving}`,
      '/labs/lab.yaml',
    );
    expect(lines(diagnostics)).to.deep.equal([
      '2:8 `${pid}` is a value that a step saves: only the steps and checks after it have it',
    ]);
  });
});
