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
import { tutorialsMarkdown } from '../../src/report/tutorials.js';
import {
  claimStatuses,
  isCatalogueFile,
  loadTutorials,
  readTutorials,
  readUncovered,
} from '../../src/scenario/catalogue.js';
import { catalogueIds } from '../../src/scenario/covers.js';
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
import { lines, root } from './scenario-fixtures.js';

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

describe('The list of items that no check covers', () => {
  const read = (text: string) =>
    readUncovered(text, 'uncovered.yaml', (id) => (id === 'S0-05' ? 'scenarios/lab.yaml:7' : null));

  it('gives reasons to items and ranges of them', () => {
    const { reasons, diagnostics } = read('S1-03: a misprint\nS0-01..S0-03: >\n  an\n  advertisement\nF3: x\n');
    expect(diagnostics).to.deep.equal([]);
    expect([...reasons]).to.deep.equal([
      ['S1-03', 'a misprint'],
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
      '2:1 the catalogue has no S0-75: its section goes from S0-01 to S0-74',
    ],
    [
      'a key that is no id',
      'S01: y\n',
      '1:1 expected a catalogue item such as S4-25, or a range such as S4-25..S4-48, got "S01"',
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
      '1:1 expected a map of catalogue items to reasons, such as `S1-03: a misprint of a command`, got a list',
    ],
    ['no YAML', 'S0-01: [x\n', '1:10 a `[` is not closed: `]` is missing, or the lines inside are indented too little'],
  ];
  for (const [what, text, expected] of mistakes) {
    it(`is refused for ${what}, with the place`, () => {
      expect(lines(read(text).diagnostics)[0]).to.equal(expected);
    });
  }
});

describe('What the items claim', () => {
  const file = join(root, 'scenarios', 'items.yaml');

  it('is said of every item once, and what is not simply so says what is', () => {
    const loaded = loadTutorials(dirname(file))!;
    expect(lines(loaded.diagnostics)).to.deep.equal([]);
    const claims = loaded.tutorials.flatMap((tutorial) => tutorial.sections.flatMap((section) => section.claims));
    expect(claims.map((claim) => claim.id)).to.deep.equal([...catalogueIds().values()].flat());
    expect(claims).to.have.length(428 + 31);
    for (const status of claimStatuses)
      expect(claims.filter((claim) => claim.status.includes(status)).length, status).to.be.greaterThan(10);
  });

  it('is refused with the place where something is amiss', () => {
    const whole = readFileSync(file, 'utf8');
    const seen = (from: string | RegExp, to: string): string[] => {
      const text = whole.replace(from, to);
      expect(text).to.not.equal(whole);
      return lines(readTutorials(text, 'items.yaml').diagnostics).map((line) => line.replace(/^\d+:\d+ /, ''));
    };
    expect(seen('S0-03: ', 'S0-75: ')).to.deep.equal(['S0-03 is missing', 'S0-75 is no item of S0']);
    expect(seen(/, truth: That is the network's own address[^}]*/, ' ')).to.deep.equal([
      'S0-07 is wrong: say by `truth` what is so',
    ]);
    expect(seen(', status: old, holds: true,', ', status: old,')).to.deep.equal([
      'S0-01 is old: say by `holds` for which engines it is true',
    ]);
    expect(seen('holds: "<28"', 'holds: "below 28"')).to.deep.equal([
      'expected a range of engine versions such as "<28", got "below 28"',
    ]);
    expect(seen('status: wrong', 'status: wrnog').join()).to.include('wrong');
    expect(
      lines(
        readTutorials(`${whole}S9:\n  title: x\n  sections: [{ title: y, items: {} }]\n`, 'items.yaml').diagnostics,
      )[0],
    ).to.match(/the catalogue has no section S9/);
  });
});

describe('report: the page about the tutorials', () => {
  const { tutorials } = readTutorials(readFileSync(join(root, 'scenarios', 'items.yaml'), 'utf8'), 'items.yaml');
  const versions = ['20.10.5', '28.5.2'];
  const covering = [
    check('is derived', 'S1-13'),
    check('is false', 'S0-07'),
    check('is so', 'S0-03'),
    check('broke', 'S0-04'),
    check('not here', 'S3-74'),
  ];
  const model = (() => {
    const builder = buildRun().add(runStart);
    for (const version of versions) {
      const id = `lab[image=${version}]`;
      const items = covering.map((one, index) => planned(`c0${index + 1}`, one.title, { covers: [...one.covers] }));
      builder.add(scenarioStart(id, items, { matrix: { image: version } }));
      const outcomes = [passed, passed, passed, failed('timeout', 'no reply'), skipped('needs kernel:8021q')];
      outcomes.forEach((outcome, index) => builder.add(itemEnd(id, items[index]!.id, outcome)));
      builder.add(engine(id, version)).add(scenarioEnd(id));
    }
    return reduceRun(builder.add(runEnd()).events);
  })();
  const coverage = coverageOf({
    ids: [...catalogueIds().values()].flat(),
    checks: covering,
    claims: new Map(),
    uncovered: new Map([['S1-03', 'a misprint | of a command']]),
    runs: [model],
  });
  const page = tutorialsMarkdown({
    tutorials,
    coverage,
    source: 'One run.',
    link: (file, line) => `../${file.split('/').at(-1)}#L${line}`,
  });
  const rowOf = (id: string): string[] =>
    page
      .split('\n')
      .find((line) => line.startsWith(`| ${id} |`))!
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim());

  it('has a row for every item, all rows of a table as wide as its head', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| item'));
    expect(rows.map((row) => row.split(' | ')[0]!.slice(2))).to.deep.equal([...catalogueIds().values()].flat());
    for (const row of rows) expect(row.split(/(?<!\\)\|/), row).to.have.length(7);
  });

  it('counts what a lab settles of the claims that are wrong, outdated or misprinted', () => {
    expect(page).to.match(/^- Settled by a lab are 1 of \d+ wrong, 1 of \d+ outdated, 0 of \d+ misprinted claims\.$/m);
    expect(page).to.include(
      '- 4 of 428 items settled by a check that can fail, 1 not covered with a reason, 1 with a check that these runs did not decide, 422 without a row.',
    );
  });

  it('says of each engine whether the claim holds, which is not whether the check passed', () => {
    expect(rowOf('S0-03').slice(2)).to.deep.equal(['✓', '✓', '*Lab:* [is so](../lab.yaml#L7)']);
    expect(rowOf('S0-07').slice(2, 4)).to.deep.equal(['✗', '✗']);
    expect(rowOf('S0-07')[1]).to.match(/\(wrong\)$/);
    expect(rowOf('S0-07')[4]).to.match(/^That is the network's own address.*\. \*Lab:\* \[is false\]/);
    expect(rowOf('S1-13').slice(2, 4)).to.deep.equal(['✓', '✗']);
  });

  it('claims nothing where a check did not come out, was skipped, or is not there', () => {
    expect(rowOf('S0-04').slice(2, 4)).to.deep.equal(['?', '?']);
    expect(rowOf('S3-74').slice(2, 4)).to.deep.equal(['–', '–']);
    expect(rowOf('S3-74')[4]).to.match(/\*Not decided: needs kernel:8021q\*$/);
    expect(rowOf('S1-03'))
      .to.deep.include('–')
      .and.to.satisfy((cells: string[]) => cells[4]!.endsWith('*No lab: a misprint \\| of a command*'));
    expect(rowOf('S4-63')[4]).to.equal('*No lab.*');
  });
});

describe('netrig coverage', () => {
  let dir: string;
  const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.js');
  const scenario = `scenario: lab
title: A lab
hosts: { a: { init: light }, b: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [a, b] } }
steps:
  - check: first
    ping: { from: a, to: b }
    covers: [S0-01..S0-74, S1-01..S1-77, S2-01..S2-134, S3-01..S3-79, S4-01..S4-63, F1..F31]
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
    write('scenarios/items.yaml', readFileSync(join(root, 'scenarios', 'items.yaml'), 'utf8'));
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
      '427 of 428 items settled by a check that can fail, 0 not covered with a reason, 1 without a row\n31 of 31 faults settled',
    );
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
    expect(json.schema).to.equal('netrig-coverage/1');
    expect(json.totals).to.deep.equal({
      items: { items: 428, settled: 427, undecided: 0, uncovered: 1, missing: 0 },
      faults: { items: 31, settled: 31, undecided: 0, uncovered: 0, missing: 0 },
    });
    expect(json.items[0]).to.deep.include({ id: 'S0-01', state: 'settled' });
    expect(json.items[0]!.checks[0]).to.include({ file: 'scenarios/lab.yaml', line: 6 });
  });

  it('writes the page about the tutorials', () => {
    const ended = netrig('--tutorials', 'tutorials.md');
    expect(ended.stdout).to.match(/without a row\n.*\ntutorials\.md\n$/);
    expect(readFileSync(join(dir, 'tutorials.md'), 'utf8')).to.match(
      /^\| S0-03 \| docker0 can be set down \| ✓ \| \*Lab:\* \[first\]\(scenarios\/lab\.yaml#L6\) \|$/m,
    );
    rmSync(join(dir, 'scenarios/items.yaml'));
    expect(netrig('--tutorials', 'tutorials.md').status).to.equal(2);
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
