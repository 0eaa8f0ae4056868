import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import type { RunEventBody } from '../../src/model/events.js';
import type { Outcome } from '../../src/model/verdict.js';
import { coverageLine, coverageOf, type Coverage, type CoverageInput } from '../../src/report/coverage.js';
import { reduceRun, type RunModel } from '../../src/report/model.js';
import { isCatalogueFile, readCatalogue, readUncovered } from '../../src/scenario/catalogue.js';
import { expandCovers } from '../../src/scenario/covers.js';
import { findScenarioFiles } from '../../src/scenario/load.js';
import {
  buildRun,
  failed,
  itemEnd,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
} from '../fixtures/runs/builder.js';
import { lines } from './scenario-fixtures.js';

const skipped = (reason: string): Outcome => ({ verdict: 'skipped', reason });
const titles = ['first', 'second', 'third'];

function engine(scenario: string, version: string): RunEventBody {
  return { type: 'engine', scenario, state: { host: 'h', version, networks: [], containers: [] } };
}

/** A run of `lab` with three checks, once for each version. */
function run(outcomes: Record<string, Outcome[]>, from?: string): RunModel {
  const builder = buildRun(from).add(runStart);
  for (const [version, list] of Object.entries(outcomes)) {
    const id = `lab[image=${version}]`;
    const items = titles.map((title, index) => planned(`c0${index + 1}`, title, { covers: ['S0-01'] }));
    builder.add(
      scenarioStart(id, items, {
        matrix: { image: version },
        topology: { hosts: [{ name: 'h', image: version, init: 'systemd', interfaces: [] }], segments: [] },
      }),
    );
    list.forEach((outcome, index) => builder.add(itemEnd(id, items[index]!.id, outcome)));
    builder.add(engine(id, `${version}+dfsg1`)).add(scenarioEnd(id));
  }
  return reduceRun(builder.add(runEnd()).events);
}

function check(title: string, ...covers: string[]) {
  return { scenario: 'lab', file: '/labs/scenarios/lab.yaml', line: 7, title, covers };
}

const checks = [check('first', 'S0-01', 'S0-02'), check('second', 'S0-02'), check('third', 'S0-03')];

function cover(runs: RunModel[], more: Partial<CoverageInput> = {}): Coverage {
  return coverageOf({
    ids: ['S0-01', 'S0-02', 'S0-03', 'S0-04', 'S0-05', 'S0-06'],
    checks,
    claims: new Map([['S0-05', ['lab']]]),
    uncovered: new Map([['S0-04', 'a lost picture']]),
    runs,
    ...more,
  });
}

describe('report: coverage of the catalogue', () => {
  const both = run({
    '20.10.24': [passed, passed, skipped('needs kernel:8021q')],
    '20.10.5': [passed, failed('timeout', 'no reply'), skipped('needs kernel:8021q')],
  });

  it('gives each item its state, its checks and the worst verdict on each engine', () => {
    const { engines, items } = cover([both]);
    expect(engines).to.deep.equal(['20.10.5', '20.10.24']);
    expect(items.map(({ id, state, verdicts, reason }) => ({ id, state, verdicts, reason }))).to.deep.equal([
      { id: 'S0-01', state: 'settled', verdicts: { '20.10.5': 'pass', '20.10.24': 'pass' }, reason: '' },
      { id: 'S0-02', state: 'settled', verdicts: { '20.10.5': 'fail', '20.10.24': 'pass' }, reason: '' },
      { id: 'S0-03', state: 'undecided', verdicts: { '20.10.5': 'skipped', '20.10.24': 'skipped' }, reason: '' },
      { id: 'S0-04', state: 'uncovered', verdicts: {}, reason: 'a lost picture' },
      { id: 'S0-05', state: 'missing', verdicts: {}, reason: 'lab claims it, but none of its checks does' },
      { id: 'S0-06', state: 'missing', verdicts: {}, reason: 'no check covers it, and no reason is stated' },
    ]);
    expect(items[1]!.checks.map(({ title, verdicts, reason }) => ({ title, verdicts, reason }))).to.deep.equal([
      { title: 'first', verdicts: { '20.10.5': 'pass', '20.10.24': 'pass' }, reason: '' },
      { title: 'second', verdicts: { '20.10.5': 'fail', '20.10.24': 'pass' }, reason: 'no reply' },
    ]);
    expect(coverageLine(items)).to.equal(
      '2 of 6 items settled by a check that can fail, 1 not covered with a reason, 1 with a check that these runs did not decide, 2 without a row',
    );
  });

  it('does not take an inconclusive check, an error or a check of another run for a settled item', () => {
    const { items } = cover([
      run({ '28.5.2': [{ verdict: 'inconclusive', reason: 'no ping' }, { verdict: 'error', reason: 'lost' }, passed] }),
    ]);
    expect(items.map((item) => item.state).slice(0, 3)).to.deep.equal(['undecided', 'undecided', 'settled']);
    expect(items[1]!.verdicts).to.deep.equal({ '28.5.2': 'error' });
    const none = cover([run({})]);
    expect(none.items[0]).to.deep.include({ state: 'undecided', verdicts: {} });
    expect(none.items[0]!.checks[0]!.reason).to.equal('not in these runs');
  });

  it('lets a later run stand for an earlier one, whatever the order in which they are named', () => {
    const early = run({ '28.5.2': [failed('timeout', 'no reply'), passed, passed] }, '2026-01-01T00:00:00.000Z');
    const late = run(
      {
        '28.5.2': [passed, skipped('not selected for this run'), skipped('not selected for this run')],
        '26.1.5': [passed, passed, passed],
      },
      '2026-02-01T00:00:00.000Z',
    );
    for (const order of [
      [early, late],
      [late, early],
    ]) {
      expect(
        cover(order)
          .items.slice(0, 3)
          .map((item) => item.verdicts),
      ).to.deep.equal(Array.from({ length: 3 }, () => ({ '26.1.5': 'pass', '28.5.2': 'pass' })));
    }
  });

  it('does not keep an old pass of a scenario that has since gone wrong', () => {
    const early = run({ '28.5.2': [passed, passed, passed] }, '2026-01-01T00:00:00.000Z');
    const late = run(
      { '28.5.2': [failed('timeout', 'no reply'), skipped('the step did not succeed'), passed] },
      '2026-02-01T00:00:00.000Z',
    );
    expect(cover([early, late]).items[1]!.verdicts).to.deep.equal({ '28.5.2': 'fail' });
    expect(cover([early, late]).items[1]!.checks[1]!.verdicts).to.deep.equal({ '28.5.2': 'skipped' });
  });

  it('names covering checks of the run that the files no longer have', () => {
    expect(cover([both], { checks: checks.slice(1) }).outdated).to.deep.equal([{ scenario: 'lab', title: 'first' }]);
    expect(cover([both]).outdated).to.deep.equal([]);
  });
});

const numbered = (part: string, count: number): string =>
  Array.from({ length: count }, (_, index) => `    ${part}${String(index + 1).padStart(2, '0')}: item\n`).join('');
const small = readCatalogue(
  `S0:\n  title: First\n  items:\n${numbered('S0-', 12)}F:\n  title: Faults\n  sections:\n  - title: All\n    items: { F1: x, F2: { says: y, truth: z }, F3: x }\nREQ:\n  title: Ours\n  items: { REQ-b: x, REQ-a: x, REQ-c: x }\n`,
  'items.yaml',
);

describe('The catalogue', () => {
  const { catalogue } = small;

  it('has parts with items, in sections or at once, in the order of the file', () => {
    expect(small.diagnostics).to.deep.equal([]);
    expect(catalogue.parts.map(({ id, title }) => [id, title])).to.deep.equal([
      ['S0', 'First'],
      ['F', 'Faults'],
      ['REQ', 'Ours'],
    ]);
    expect([...catalogue.items.keys()].slice(11)).to.deep.equal(['S0-12', 'F1', 'F2', 'F3', 'REQ-b', 'REQ-a', 'REQ-c']);
    expect(catalogue.parts[1]!.sections[0]!.items[1]).to.deep.equal({
      id: 'F2',
      says: 'y',
      more: { says: 'y', truth: 'z' },
    });
  });

  const expansions: [string, string, string[] | string, string[] | string][] = [
    ['one item', 'F2', ['F2'], ['F2']],
    ['a range', 'S0-09..S0-11', ['S0-09', 'S0-10', 'S0-11'], ['S0-09', 'S0-10', 'S0-11']],
    [
      'a range of items without numbers',
      'REQ-b..REQ-a',
      ['REQ-b', 'REQ-a'],
      'the range REQ-b..REQ-a counts nothing: both ends have the same beginning and a number at the end',
    ],
    [
      'an item that it does not have',
      'S0-13',
      'items.yaml has no item S0-13: its part goes from S0-01 to S0-12',
      ['S0-13'],
    ],
    [
      'a reversed range',
      'F3..F1',
      'the range F3..F1 is reversed: write F1..F3',
      'the range F3..F1 is reversed: write F1..F3',
    ],
    [
      'a range across parts',
      'S0-01..F1',
      'the range S0-01..F1 goes from one part of the catalogue into another: write one range for each',
      'the range S0-01..F1 counts nothing: both ends have the same beginning and a number at the end',
    ],
    [
      'no id',
      'a b',
      'expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got "a b"',
      'expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got "a b"',
    ],
    [
      'a range without an end',
      'F1..',
      'expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got "F1.."',
      'expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got "F1.."',
    ],
    [
      'more than a range stands for',
      'T1..T9999',
      'items.yaml has no item T1; did you mean "F1"?',
      'the range T1..T9999 stands for more than 1000 items',
    ],
  ];
  for (const [what, text, withCatalogue, without] of expansions) {
    it(`expands ${what}, with a catalogue and without one`, () => {
      const shown = (one: ReturnType<typeof expandCovers>): string[] | string => ('ids' in one ? one.ids : one.message);
      expect(shown(expandCovers(text, catalogue))).to.deep.equal(withCatalogue);
      expect(shown(expandCovers(text, null))).to.deep.equal(without);
    });
  }

  const mistakes: [string, string, RegExp][] = [
    [
      'an item twice',
      'A: { title: x, items: { A1: x } }\nB: { title: y, items: { A1: y } }\n',
      /^2:\d+ A1 stands here a second time$/,
    ],
    ['an id with a blank', 'A: { title: x, items: { "A 1": x } }\n', /^1:\d+ expected an id such as REQ-7/],
    ['a part without a title', 'A: { items: { A1: x } }\n', /"title" is missing/],
    ['an item without words', 'A: { title: x, items: { A1: { truth: z } } }\n', /"says" is missing/],
    ['no map', '- A\n', /^1:1 expected a map of the catalogue’s parts, each with `title` and `items`, got a list$/],
  ];
  for (const [what, text, expected] of mistakes) {
    it(`is refused for ${what}, with the place`, () => {
      expect(lines(readCatalogue(text, 'items.yaml').diagnostics)[0]).to.match(expected);
    });
  }
});

describe('The list of items that no check covers', () => {
  const read = (text: string) =>
    readUncovered(text, 'uncovered.yaml', small.catalogue, (id) => (id === 'S0-05' ? 'scenarios/lab.yaml:7' : null));

  it('gives reasons to items and ranges of them', () => {
    const { reasons, diagnostics } = read('S0-12: a misprint\nS0-01..S0-03: >\n  an\n  advertisement\nF3: x\n');
    expect(diagnostics).to.deep.equal([]);
    expect([...reasons]).to.deep.equal([
      ['S0-12', 'a misprint'],
      ['S0-01', 'an advertisement'],
      ['S0-02', 'an advertisement'],
      ['S0-03', 'an advertisement'],
      ['F3', 'x'],
    ]);
    expect(read('# none\n')).to.deep.equal({ reasons: new Map(), diagnostics: [] });
  });

  const mistakes: [string, string, string][] = [
    [
      'an id that the catalogue does not have',
      'S0-01: x\nS0-75: y\n',
      '2:1 items.yaml has no item S0-75: its part goes from S0-01 to S0-12',
    ],
    [
      'a key that is no id',
      'S 01: y\n',
      '1:1 expected an item such as REQ-7, or a range such as REQ-7..REQ-12, got "S 01"',
    ],
    [
      'a covered item',
      'S0-04..S0-06: y\n',
      '1:1 S0-05 is covered after all, by the check at scenarios/lab.yaml:7: take it out of this list',
    ],
    [
      'a missing reason',
      'S0-01: x\nS0-02:\n',
      '2:1 S0-02 has no reason: say in one sentence why no check can settle it',
    ],
    ['an empty reason', 'S0-02: "  "\n', '1:8 S0-02 has no reason: say in one sentence why no check can settle it'],
    ['an item twice', 'S0-02: x\nS0-01..S0-02: y\n', '2:1 S0-02 stands in this list a second time'],
    [
      'no map',
      '- S0-01\n',
      '1:1 expected a map of catalogue items to reasons, such as `REQ-7: nobody can see it from outside`, got a list',
    ],
    ['no YAML', 'S0-01: [x\n', '1:10 a `[` is not closed: `]` is missing, or the lines inside are indented too little'],
  ];
  for (const [what, text, expected] of mistakes) {
    it(`is refused for ${what}, with the place`, () => {
      expect(lines(read(text).diagnostics)[0]).to.equal(expected);
    });
  }
});

describe('netrig coverage', function () {
  this.timeout(60_000);
  let dir: string;
  const main = join(import.meta.dirname, '..', '..', 'program', 'cli', 'main.js');
  const scenario = `scenario: lab
title: A lab
hosts: { a: { init: light }, b: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }
steps:
  - check: first
    ping: { from: a, to: b }
    covers: [S0-01..S0-03, S1-77, F1]
`;
  const write = (name: string, content: string): void => {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  };
  const netrig = (...args: string[]) =>
    spawnSync(process.execPath, [main, 'coverage', ...args], {
      cwd: dir,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    });

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-coverage-'));
    write('scenarios/lab.yaml', scenario);
    write(
      'scenarios/items.yaml',
      `S0: { title: A text about bridges, items: { S0-01: x, S0-02: x, S0-03: docker0 can be set down } }
S1: { title: A text about the default bridge, items: { S1-77: x, S1-78: Nothing else changes by the flush } }
F: { title: Faults, items: { F1: x } }
`,
    );
    const run = buildRun().add(runStart);
    run
      .add(scenarioStart('lab', [planned('c01', 'first', { covers: ['S0-01'] })]))
      .add(itemEnd('lab', 'c01', passed))
      .add(scenarioEnd('lab'));
    run.add(runEnd()).save(join(dir, 'reports', 'latest'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('ends with 1 while an item has neither a check nor a reason, and names it', () => {
    const ended = netrig();
    expect(ended.stderr).to.equal('');
    expect(ended.stdout).to.include(
      'S1 A text about the default bridge: 1 of 2 items settled by a check that can fail, 0 not covered with a reason, 1 without a row\n',
    );
    expect(ended.stdout).to.match(/^5 of 6 items settled by a check that can fail.*\n$/m);
    expect(ended.stdout).to.match(
      /^S1-78 .*no check covers it, and no reason is stated: Nothing else changes by the flush$/m,
    );
    expect(ended.stdout).to.match(/^S0-03 +✓ +docker0 can be set down\n +✓ +lab › first$/m);
    expect(ended.status).to.equal(1);
  });

  it('ends with 0 once there is a reason, and prints JSON', () => {
    write('scenarios/uncovered.yaml', 'S1-78: nobody can tell\n');
    const ended = netrig('--json');
    expect(ended.status).to.equal(0);
    const json = JSON.parse(ended.stdout) as {
      schema: string;
      totals: unknown;
      items: { id: string; state: string; checks: { file: string; line: number }[] }[];
    };
    expect(json.schema).to.equal('netrig-coverage/2');
    const counts = { undecided: 0, uncovered: 0, missing: 0 };
    expect(json.totals).to.deep.equal({
      ...counts,
      items: 6,
      settled: 5,
      uncovered: 1,
      parts: [
        { id: 'S0', title: 'A text about bridges', ...counts, items: 3, settled: 3 },
        { id: 'S1', title: 'A text about the default bridge', ...counts, items: 2, settled: 1, uncovered: 1 },
        { id: 'F', title: 'Faults', ...counts, items: 1, settled: 1 },
      ],
    });
    expect(json.items[0]).to.deep.include({ id: 'S0-01', state: 'settled' });
    expect(json.items[0]!.checks[0]).to.include({ file: 'scenarios/lab.yaml', line: 6 });
  });

  it('lists what the scenarios cover where there is no catalogue', () => {
    rmSync(join(dir, 'scenarios/items.yaml'));
    write('scenarios/lab.yaml', scenario.replace(/covers: .*/, 'covers: [OURS-1..OURS-3]'));
    write('scenarios/uncovered.yaml', 'OURS-4: nobody can tell\n');
    const ended = netrig();
    expect(ended.stderr).to.equal('');
    expect(ended.stdout).to.include('3 of 4 items settled by a check that can fail, 1 not covered with a reason');
    expect(ended.status).to.equal(0);
  });

  it('refuses a wrong list with file and line, an unknown run, and a directory without a run', () => {
    write('scenarios/uncovered.yaml', 'S1-78: x\nS0-01: y\n');
    const wrong = netrig();
    expect(wrong.status).to.equal(2);
    expect(wrong.stderr).to.match(
      /^scenarios\/uncovered\.yaml:2:1: S0-01 is covered after all, by the check at scenarios\/lab\.yaml:6/,
    );
    rmSync(join(dir, 'scenarios/uncovered.yaml'));
    expect(netrig('nowhere').status).to.equal(2);
    expect(netrig('--reports', 'nowhere').status).to.equal(2);
  });

  it('leaves the two files about the catalogue out of the scenarios, unless they are scenarios', async () => {
    write('scenarios/uncovered.yaml', 'S1-78: x\n');
    expect(await findScenarioFiles([join(dir, 'scenarios')])).to.deep.equal([join(dir, 'scenarios/lab.yaml')]);
    write('scenarios/items.yaml', scenario.replace('scenario: lab', 'scenario: items'));
    expect(isCatalogueFile(join(dir, 'scenarios/items.yaml'))).to.equal(false);
    expect(await findScenarioFiles([join(dir, 'scenarios')])).to.deep.equal([
      join(dir, 'scenarios/items.yaml'),
      join(dir, 'scenarios/lab.yaml'),
    ]);
    expect(parse(readFileSync(join(dir, 'scenarios/items.yaml'), 'utf8'))).to.include({ scenario: 'items' });
  });
});
