import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { findScenarioFiles, loadScenarioFileSync, loadScenarioText } from '../../src/scenario/load.js';
import type { CheckItem, StepItem } from '../../src/scenario/scenario.js';
import { lab, lines } from './scenario-fixtures.js';
import { testKinds } from './scenario-kinds.js';

function read(text: string) {
  return loadScenarioText(text, '/labs/lab.yaml', { kinds: testKinds });
}

function one(text: string) {
  const { scenarios, diagnostics } = read(text);
  expect(lines(diagnostics)).to.deep.equal([]);
  return scenarios[0]!;
}

const ping = '  - check: they meet\n    ping: { from: node1, to: node2 }';

describe('scenario: what is shared by files', () => {
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
  function load(name = 'lab.yaml') {
    const loaded = loadScenarioFileSync(path.join(folder, name), { kinds: testKinds });
    const placed = loaded.diagnostics.map(
      (mistake) => `${path.basename(mistake.file)}:${mistake.line}:${mistake.column} ${mistake.message}`,
    );
    return { ...loaded, placed };
  }

  const base = `shared: Two hosts
vars: { size: 100, count: 2 }
hosts:
  node1: { image: debian-11, sysctls: { net.ipv4.ip_forward: 1 } }
  node2:
segments: { lan: { subnet: 10.0.0.0/24, hosts: [node1, node2] } }
steps:
  - on: node1
    run: ip link
finally:
  - on: node1
    run: last of all
`;

  it('takes in hosts, segments, variables and steps; what the file says wins, key by key', () => {
    put({
      'parts/base.yaml': base,
      'lab.yaml': `scenario: lab
title: A lab
extends: parts/base.yaml
vars: { count: 5 }
hosts: { node1: { image: debian-13 }, node3: }
steps:
  - check: they meet
    ping: { from: node1, to: node2, count: "\${count}", size: "\${size}" }
finally:
  - on: node3
    run: first of the last
`,
    });
    const { scenarios, placed } = load();
    expect(placed).to.deep.equal([]);
    const [scenario] = scenarios;
    expect(scenario!.hosts.map(({ name, image, sysctls }) => ({ name, image, sysctls }))).to.deep.equal([
      { name: 'node1', image: 'debian-13', sysctls: { 'net.ipv4.ip_forward': '1' } },
      { name: 'node2', image: 'debian-12', sysctls: {} },
      { name: 'node3', image: 'debian-12', sysctls: {} },
    ]);
    expect(scenario!.items.map(({ id, kind, title }) => [id, kind, title])).to.deep.equal([
      ['s01', 'step', 'ip link'],
      ['c02', 'check', 'they meet'],
      ['s03', 'step', 'first of the last'],
      ['s04', 'step', 'last of all'],
    ]);
    expect((scenario!.items[1] as CheckItem).spec).to.deep.include({ count: 5, size: 100 });
    expect(scenario!.items.map((item) => item.kind === 'step' && item.last)).to.deep.equal([false, false, true, true]);
    expect(scenario!.items[0]!.source).to.deep.include({ line: 8, column: 5 });
    expect(path.basename(scenario!.items[0]!.source.file!)).to.equal('base.yaml');
    expect(scenario!.items[1]!.source.file).to.equal(undefined);
  });

  it('points a mistake into the file where it stands', () => {
    put({
      'base.yaml': base.replace('ip_forward: 1', 'ip_forward: 1, foo: 2').replace('on: node1', 'on: node9'),
      'lab.yaml': `scenario: lab\ntitle: A lab\nextends: base.yaml\nhosts: { node1: { inti: light } }\nsteps:\n${ping}\n`,
    });
    expect(load().placed).to.deep.equal([
      'base.yaml:4:65 a host owns its `net.…` sysctls only, got "foo"',
      'base.yaml:8:9 no host "node9" in this scenario; did you mean "node1"?',
      'lab.yaml:4:19 unknown key "inti"; did you mean "init"?',
    ]);
  });

  it('refuses circles with their places, and a file that is reached twice is taken once', () => {
    put({
      'lab.yaml': `scenario: lab\ntitle: A lab\nextends: [a.yaml, b.yaml]\nsteps:\n${ping}\n`,
      'a.yaml': 'shared: a\nextends: base.yaml\n',
      'b.yaml': 'shared: b\nextends: base.yaml\n',
      'base.yaml': base,
      'circle.yaml': `scenario: circle\ntitle: A lab\nextends: c.yaml\nsteps:\n${ping}\n`,
      'c.yaml': 'shared: c\nextends: d.yaml\n',
      'd.yaml': 'shared: d\nextends: c.yaml\n',
    });
    expect(load().scenarios[0]!.items.map(({ title }) => title)).to.deep.equal(['ip link', 'they meet', 'last of all']);
    const circle = load('circle.yaml');
    expect(circle.placed).to.have.length(1);
    expect(circle.placed[0]).to.match(
      /^d\.yaml:2:10 files extend each other in a circle: .*c\.yaml → .*d\.yaml → .*c\.yaml$/,
    );
  });

  it('reads nothing outside the scenario’s folder, by no path and by no link', () => {
    put({ 'in/lab.yaml': `scenario: lab\ntitle: A lab\nextends: ../base.yaml\nsteps:\n${ping}\n`, 'base.yaml': base });
    put({ 'in/link.yaml': `scenario: lab\ntitle: A lab\nextends: inner.yaml\nsteps:\n${ping}\n` });
    put({ 'in/abs.yaml': `scenario: lab\ntitle: A lab\nextends: /etc/passwd\nsteps:\n${ping}\n` });
    symlinkSync(path.join(folder, 'base.yaml'), path.join(folder, 'in/inner.yaml'));
    expect(load('in/lab.yaml').placed).to.deep.equal([
      'lab.yaml:3:10 ../base.yaml lies outside the scenario’s folder: a shared file lies in it or below',
    ]);
    expect(load('in/link.yaml').placed).to.deep.equal([
      'link.yaml:3:10 inner.yaml lies outside the scenario’s folder: a shared file lies in it or below',
    ]);
    expect(load('in/abs.yaml').placed).to.deep.equal([
      'abs.yaml:3:10 the path is relative to this file’s folder, got "/etc/passwd"',
    ]);
  });

  it('says of every other file why it cannot be taken in', () => {
    put({
      'lab.yaml': `scenario: lab\ntitle: A lab\nextends: [no.yaml, other.yaml, odd.yaml, bad.yaml]\nsteps:\n${ping}\n`,
      'other.yaml': 'scenario: other\ntitle: Other\n',
      'odd.yaml': 'shared: odd\nchecks: []\n',
      'bad.yaml': 'shared: [\n',
    });
    const { placed } = load();
    expect(placed.some((text) => /^lab\.yaml:3:11 there is no file .*no\.yaml$/.test(text))).to.equal(true);
    expect(placed).to.include.members([
      'odd.yaml:2:1 a shared file has no key "checks"; known here: shared, extends, hosts, segments, vars, secrets, requires, images, steps, finally',
    ]);
    expect(placed.join('\n'))
      .to.include('other.yaml:1:1 this is a scenario, and a scenario extends shared files only')
      .and.to.match(/bad\.yaml:\d:\d+ a `\[` is not closed|bad\.yaml:\d/);
  });

  it('is no scenario: left out of a folder, refused by name', async () => {
    put({ 'lab.yaml': lab(ping), 'base.yaml': base });
    expect((await findScenarioFiles([folder])).map((file) => path.basename(file))).to.deep.equal(['lab.yaml']);
    expect(load('base.yaml').placed).to.deep.equal([
      'base.yaml:1:1 this file holds parts for scenarios and is none itself: name a scenario that extends it',
    ]);
  });
});

describe('scenario: keys of its author', () => {
  it('are taken at the top, as a home for anchors, and nowhere else', () => {
    const scenario = one(lab(`  - on: node1\n    run: ip link\n    <<: *slow`, 'x-slow: &slow { timeout: 90s }\n'));
    expect(scenario.items[0]!.timeoutMs).to.equal(90_000);
    expect(lines(read(lab('  - on: node1\n    run: ip link\n    x-note: 1')).diagnostics)[0]).to.include(
      'unknown key "x-note"',
    );
  });
});

describe('scenario: cases', () => {
  const table = `  - for: [{ host: node1, port: 80 }, { host: node2, port: 81 }]
    check: \${host} serves \${port}
    port: { from: node1, to: "\${host}", port: "\${port}" }`;

  it('are one item each, with values of their own type', () => {
    const { items } = one(lab(table));
    expect(items.map((item) => [item.id, item.title, (item as CheckItem).spec])).to.deep.equal([
      ['c01', 'node1 serves 80', { from: 'node1', to: 'node1', port: 80, protocol: 'tcp' }],
      ['c02', 'node2 serves 81', { from: 'node1', to: 'node2', port: 81, protocol: 'tcp' }],
    ]);
  });

  it('reach the shell as variables do, and steps of `finally`', () => {
    const scenario = one(
      `${lab(ping)}finally:\n  - for: [{ dev: eth0 }, { dev: eth1 }]\n    on: node1\n    run: ip link show \${dev} \${HOME}\n`,
    );
    expect(scenario.items.slice(1).map((item) => (item as StepItem).spec)).to.deep.equal([
      { run: 'ip link show eth0 ${HOME}' },
      { run: 'ip link show eth1 ${HOME}' },
    ]);
  });

  const wrong: [string, string, string][] = [
    [
      'titles that are alike',
      table.replace('${host} serves ${port}', 'it serves'),
      '8:12 two cases of this check have the title "it serves"',
    ],
    ['a list of words', table.replace(/\[.*\]/, '[node1, node2]'), '7:11 expected a map, got "node1"'],
    ['no case', table.replace(/\[.*\]/, '[]'), '7:10 the list is empty: name at least one case'],
    [
      'a case with another name',
      table.replace('host: node2', 'hots: node2'),
      '7:38 this case has no "host", which the first one has',
    ],
    [
      'a number that is read otherwise',
      table.replace('port: 80 ', 'port: 8.10 '),
      '7:32 8.10 is read as the number 8.1: put it in quotes',
    ],
    [
      'a variable that is there',
      table.replaceAll('port: 8', 'size: 8'),
      '7:26 `size` is a variable of the file already',
    ],
    ['a name that no case has', table.replace('"${port}"', '"${prot}"'), '9:47 no variable `${prot}` is declared'],
  ];
  for (const [what, text, message] of wrong)
    it(`refuses ${what}, with its place`, () => {
      const found = lines(read(lab(text, 'vars: { size: 3 }\n')).diagnostics);
      expect(found.join('\n')).to.include(message);
    });
});

describe('scenario: conditions on variables', () => {
  const text = (when: string): string =>
    lab(`  - on: node1\n    run: ip link\n    when: ${when}`, 'vars: { mode: nat }\n');

  it('carry what is wanted and what is there', () => {
    expect(one(text('{ vars: { mode: [nat, routed] } }')).items[0]!.when).to.deep.equal({
      vars: { mode: { values: ['nat', 'routed'], here: 'nat' } },
    });
  });

  it('that name no variable, or can never hold, are mistakes', () => {
    expect(lines(read(text('{ vars: { mdoe: nat } }')).diagnostics)).to.deep.equal([
      '9:21 no variable "mdoe" is declared in `vars` or `matrix`, and none of this item’s cases has it; did you mean "mode"?',
    ]);
    expect(lines(read(text('{ vars: { mode: routed } }')).diagnostics)).to.deep.equal([
      '9:11 this can never hold here: mode is nat',
    ]);
  });

  it('hold for some of the values of a matrix, and for some of the cases of an item', () => {
    const matrix = read(
      lab(`  - on: node1\n    run: ip link\n    when: { vars: { mode: nat } }`, 'matrix: { mode: [nat, routed] }\n'),
    );
    expect(lines(matrix.diagnostics)).to.deep.equal([]);
    const cases = read(
      lab(
        `  - for: [{ mode: nat }, { mode: routed }]\n    on: node1\n    run: ip link\n    when: { vars: { mode: nat } }`,
      ),
    );
    expect(lines(cases.diagnostics)).to.deep.equal([]);
  });
});

describe('scenario: texts, levels and last steps', () => {
  it('are what they say', () => {
    const scenario = one(
      `${lab(`${ping}\n    level: warning\n    text: "*Why* so"`, 'text: |\n  A lab.\n')}finally:\n  - { on: node1, run: ip link, text: The end }\n`,
    );
    expect(scenario.text).to.equal('A lab.');
    expect(scenario.items[0]).to.deep.include({ level: 'warning', text: '*Why* so' });
    expect(scenario.items[1]).to.deep.include({ id: 's02', last: true, text: 'The end' });
  });

  it('are refused where they have no place', () => {
    const wrong = (text: string): string[] => lines(read(text).diagnostics);
    expect(wrong(lab(`${ping}\n    level: warn`))).to.deep.equal(['8:12 expected error or warning, got "warn"']);
    expect(wrong(`${lab(ping)}finally:\n${ping}\n`)).to.deep.equal([
      '9:5 steps only stand in `finally`: what must be true is checked in `steps`',
    ]);
    expect(wrong(`${lab(ping)}finally: x\n`)).to.deep.equal(['8:10 expected a list of steps, got "x"']);
  });
});
