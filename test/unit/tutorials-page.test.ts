import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import type { Outcome } from '../../src/model/verdict.js';
import { coverageOf, type Coverage } from '../../src/report/coverage.js';
import { reduceRun } from '../../src/report/model.js';
import { loadCatalogue, readCatalogue } from '../../src/scenario/catalogue.js';
import type { Catalogue } from '../../src/scenario/covers.js';
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
import { root } from './scenario-fixtures.js';

interface Claim {
  id: string;
  status: string[];
}
interface Page {
  statusWord: Record<string, string>;
  tutorialsOf(catalogue: Catalogue): { tutorials: { sections: { claims: Claim[] }[] }[]; problems: string[] };
  tutorialsMarkdown(page: {
    tutorials: unknown;
    coverage: Coverage;
    source: string;
    link(file: string, line: number): string;
  }): string;
}

const { statusWord, tutorialsMarkdown, tutorialsOf } = (await import(
  pathToFileURL(join(root, 'scripts', 'tutorials-page.mjs')).href
)) as Page;
const skipped = (reason: string): Outcome => ({ verdict: 'skipped', reason });

const file = join(root, 'scenarios', 'items.yaml');

describe('What the labs’ own catalogue claims', () => {
  it('is said of every item once, and what is not simply so says what is', () => {
    const loaded = loadCatalogue(dirname(file))!;
    expect(loaded.diagnostics).to.deep.equal([]);
    const { tutorials, problems } = tutorialsOf(loaded.catalogue);
    expect(problems).to.deep.equal([]);
    const claims = tutorials.flatMap((tutorial) => tutorial.sections.flatMap((section) => section.claims));
    expect(claims.map((claim) => claim.id)).to.deep.equal([...loaded.catalogue.items.keys()]);
    expect(claims).to.have.length(428 + 31);
    for (const status of Object.keys(statusWord))
      expect(claims.filter((claim) => claim.status.includes(status)).length, status).to.be.greaterThan(10);
  });

  it('is refused where something is amiss', () => {
    const whole = readFileSync(file, 'utf8');
    const seen = (from: string | RegExp, to: string): string[] => {
      const text = whole.replace(from, to);
      expect(text).to.not.equal(whole);
      return tutorialsOf(readCatalogue(text, 'items.yaml').catalogue).problems;
    };
    expect(seen(/, truth: That is the network's own address[^}]*/, ' ')).to.deep.equal([
      'S0-07 is wrong: say by `truth` what is so',
    ]);
    expect(seen(', status: old, holds: true,', ', status: old,')).to.deep.equal([
      'S0-01 is old: say by `holds` for which engines it is true',
    ]);
    expect(seen('holds: "<28"', 'holds: "below 28"')).to.deep.equal([
      'S0-14: expected a range of engine versions such as "<28", got "below 28"',
    ]);
    expect(seen('status: wrong', 'status: wrnog')).to.deep.equal(['S0-07 has an unknown status wrnog']);
    expect(seen('status: wrong', 'stauts: wrong')).to.deep.equal(['S0-07 has an unknown key stauts']);
  });
});

describe('The page about the tutorials', () => {
  const { catalogue } = loadCatalogue(dirname(file))!;
  const { tutorials } = tutorialsOf(catalogue);
  const check = (title: string, ...covers: string[]) => ({
    scenario: 'lab',
    file: '/labs/scenarios/lab.yaml',
    line: 7,
    title,
    covers,
  });
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
      builder
        .add({ type: 'engine', scenario: id, state: { host: 'h', version, networks: [], containers: [] } })
        .add(scenarioEnd(id));
    }
    return reduceRun(builder.add(runEnd()).events);
  })();
  const coverage = coverageOf({
    ids: [...catalogue.items.keys()],
    checks: covering,
    claims: new Map(),
    uncovered: new Map([['S1-03', 'a misprint | of a command']]),
    runs: [model],
  });
  const page = tutorialsMarkdown({
    tutorials,
    coverage,
    source: 'One run.',
    link: (named, line) => `../${named.split('/').at(-1)}#L${line}`,
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
    expect(rows.map((row) => row.split(' | ')[0]!.slice(2))).to.deep.equal([...catalogue.items.keys()]);
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
