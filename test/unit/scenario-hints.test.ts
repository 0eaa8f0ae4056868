import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { hintRows } from '../../src/scenario/hints.js';
import { formatDiagnostics, loadScenarioText } from '../../src/scenario/load.js';

const head = `scenario: lab
title: A lab
hosts: { a: { image: debian-12 }, b: { image: debian-12 } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }
`;
const check = '  - check: b is there\n    ping: { from: a, to: b }\n';

const file = join(import.meta.dirname, 'lab.yaml');

function hints(rest: string, start = head): string[] {
  const { hints: found, diagnostics } = loadScenarioText(`${start}${rest}`, file);
  expect(formatDiagnostics(diagnostics)).to.equal('');
  return found.map(({ hint, line, column }) => `${line}:${column} ${hint ?? '?'}`);
}

describe('scenario: hints', () => {
  for (const [what, rest, told] of [
    [
      'a variable that nothing uses',
      `vars: { used: b, idle: 3 }\nsteps:\n${check.replace('to: b', 'to: "${used}"')}`,
      ['5:18 unused-variable'],
    ],
    [
      'a saved value that nothing uses',
      `steps:\n  - run: hostname\n    on: a\n    save: name\n${check}`,
      ['8:11 unused-value'],
    ],
    [
      'one of several saved values',
      `steps:\n  - run: 'echo "{}"'\n    on: a\n    save: { first: { json: a }, second: { json: b } }\n  - run: echo $first\n    on: a\n${check}`,
      ['8:33 unused-value'],
    ],
    [
      'an image that nothing names',
      `images: [postgres:16, busybox]\nsteps:\n  - run: docker run -d busybox\n    on: a\n${check}`,
      ['5:10 unused-image'],
    ],
    [
      'a task of an exercise whose points were forgotten, and of no other check',
      `exercise: { text: Mend it., stages: { one: One } }\nsteps:\n  - check: forgotten\n    stage: one\n    ping: { from: a, to: b }\n  - check: graded\n    stage: one\n    points: 1\n    hint: look\n    ping: { from: a, to: b }\n${check}`,
      ['8:5 no-points'],
    ],
    ['a scenario without a check', 'steps:\n  - run: hostname\n    on: a\n', ['1:1 no-check']],
    [
      'a refusal at a port of which nothing else speaks',
      `steps:\n  - check: closed\n    port: { from: a, to: b, port: 8018, expect: { fails: refused } }\n`,
      ['7:35 port-unheard'],
    ],
    [
      'nothing about the port of a step, a range or a service',
      `steps:
  - run: nc -l -p 8081 &
    on: b
  - run: docker run -p 9000-9009:9000-9009 busybox
    on: b
  - check: closed
    port: { from: a, to: b, port: 8081, expect: { fails: refused } }
  - check: closed too
    port: { from: a, to: b, port: 9005, expect: { fails: [refused, timeout] } }
  - check: no mail
    port: { from: a, to: b, port: 25, expect: { fails: refused } }
  - check: silent
    port: { from: a, to: b, port: 8999, expect: { fails: timeout } }
`,
      [],
    ],
    [
      'nothing about an image that a file on a host may name',
      `images: postgres:16\nsteps:\n  - copy: ./scenario-hints.test.js\n    to: /srv/x\n    on: a\n${check}`,
      [],
    ],
  ] as const)
    it(`tell of ${what}`, () => expect(hints(rest)).to.deep.equal(told));

  it('take a value as used that one of the matrix’s scenarios uses', () => {
    const rest = `matrix: { way: [b, a] }\nsteps:\n  - run: hostname\n    on: a\n    save: name\n  - run: echo $name\n    on: a\n    when: { vars: { way: a } }\n${check.replace('to: b', 'to: "${way}"')}`;
    expect(hints(rest)).to.deep.equal([]);
  });

  it('say nothing of a file with mistakes: its scenarios are not known', () => {
    const { hints: found, diagnostics } = loadScenarioText(`${head}vars: { idle: 3 }\nsteps: [{ nope: 1 }]\n`, file);
    expect(diagnostics).to.have.length(1);
    expect(found).to.deep.equal([]);
  });

  it('have their place, their code and their meaning', () => {
    const { hints: found } = loadScenarioText(`${head}vars: { idle: 3 }\nsteps:\n${check}`, file);
    expect(formatDiagnostics(found)).to.match(
      /lab\.yaml:5:9: hint: `idle` is used nowhere \(vars\.idle\) \[unused-variable\]\n/,
    );
    expect(Object.keys(hintRows)).to.include('unused-variable');
  });
});

describe('netrig validate, where there are hints', function () {
  this.timeout(60_000);
  const main = join(import.meta.dirname, '..', '..', '..', 'dist/src/cli/main.js');
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-hints-'));
    writeFileSync(join(dir, 'lab.yaml'), `${head}vars: { idle: 3 }\nsteps:\n${check}`);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));
  const validate = (...words: string[]) =>
    spawnSync(process.execPath, [main, 'validate', ...words, 'lab.yaml'], { cwd: dir, encoding: 'utf8' });

  it('tells them, and ends with 0; with --strict with 2', () => {
    const plain = validate();
    expect([plain.status, plain.stdout]).to.deep.equal([0, '1 file, 1 scenario, 1 check: all valid, 1 hint\n']);
    expect(plain.stderr).to.include('lab.yaml:5:9: hint: ');
    expect(validate('--strict').status).to.equal(2);
  });

  it('gives them to programs', () => {
    const { status, stdout } = validate('--json');
    expect(status).to.equal(0);
    const { diagnostics, hints: found } = JSON.parse(stdout) as { diagnostics: unknown[]; hints: object[] };
    expect(diagnostics).to.deep.equal([]);
    expect(found).to.have.length(1);
    expect(found[0]).to.include({ file: 'lab.yaml', line: 5, column: 9, hint: 'unused-variable' });
  });
});
