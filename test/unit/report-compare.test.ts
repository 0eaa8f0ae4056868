import { expect } from 'chai';
import type { Outcome } from '../../src/model/verdict.js';
import { conditionReason } from '../../src/run/condition.js';
import { compareRuns, type Comparison } from '../../src/report/compare.js';
import {
  comparisonHeadline,
  comparisonHtml,
  comparisonMarkdown,
  comparisonText,
} from '../../src/report/compare-pages.js';
import { reduceRun, type RunModel } from '../../src/report/model.js';
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

interface Ran {
  provider?: string;
  matrix?: Record<string, string>;
  /** Title → outcome and how long it took, ms. */
  items: Record<string, [Outcome, number?]>;
  error?: { code: string; message: string };
}

/** A run of scenarios by their ids. */
function run(scenarios: Record<string, Ran>): RunModel {
  const record = buildRun().add(runStart);
  for (const [id, { provider = 'local', matrix = {}, items, error }] of Object.entries(scenarios)) {
    const titles = Object.keys(items);
    record.add(
      scenarioStart(
        id,
        titles.map((title, at) => planned(`c0${at + 1}`, title)),
        { provider, matrix },
      ),
    );
    if (!error)
      titles.forEach((title, at) => record.add(itemEnd(id, `c0${at + 1}`, items[title]![0], items[title]![1])));
    record.add(scenarioEnd(id, error));
  }
  return reduceRun(record.add(runEnd()).events);
}

function compared(...models: RunModel[]): Comparison {
  return compareRuns(models.map((model, at) => ({ id: `r${at + 1}`, model })));
}

function found(comparison: Comparison): string[] {
  return comparison.items.map(({ scenario, title, change }) => `${change}: ${scenario} › ${title}`);
}

const skipped = (reason: string): Outcome => ({ verdict: 'skipped', reason });
const timeout = failed('timeout', 'no reply within 2 s');

describe('report: runs side by side', () => {
  it('agree when every check came to the same', () => {
    const same = { lan: { items: { ping: [passed] as [Outcome], port: [timeout] as [Outcome] } } };
    const comparison = compared(run(same), run(same), run(same));
    expect([comparison.agreed, comparison.items, comparison.regressions]).to.deep.equal([2, [], 0]);
    expect(comparisonHeadline(comparison)).to.equal('No regression, 2 steps and checks the same in all 3 runs');
  });

  it('name what regressed, what is no longer decided, gone, new and mended, gravest first', () => {
    const before = run({ lan: { items: { a: [passed], b: [passed], c: [passed], d: [timeout], e: [timeout] } } });
    const after = run({
      lan: {
        items: {
          a: [timeout],
          b: [skipped('no kernel:8021q')],
          d: [passed],
          e: [{ verdict: 'inconclusive', reason: 'no ping' }],
          f: [passed],
        },
      },
    });
    const comparison = compared(before, after);
    expect(found(comparison)).to.deep.equal([
      'regressed: lan › a',
      'undecided: lan › b',
      'gone: lan › c',
      'new: lan › f',
      'mended: lan › d',
      'other: lan › e',
    ]);
    expect(comparison.regressions).to.equal(1);
    expect(comparisonText(comparison)).to.include('run 1 pass; run 2 fail: timeout: no reply within 2 s');
  });

  it('see what is new and red as a regression, a new lab included, and what is new and green as new', () => {
    const before = run({ lan: { items: { a: [passed] } } });
    const after = run({
      lan: {
        items: {
          a: [passed],
          b: [timeout],
          c: [{ verdict: 'error', reason: 'lost' }],
          d: [passed],
          e: [skipped('no')],
        },
      },
      wan: { items: { a: [timeout] } },
    });
    const comparison = compared(before, after);
    expect(found(comparison)).to.deep.equal([
      'regressed: lan › b',
      'regressed: lan › c',
      'regressed: wan › a',
      'new: lan › d',
      'new: lan › e',
    ]);
    expect(comparison.regressions).to.equal(3);
  });

  it('see a regression of the third run, too', () => {
    const good = run({ lan: { items: { a: [passed] } } });
    expect(compared(good, good, run({ lan: { items: { a: [timeout] } } })).regressions).to.equal(1);
  });

  it('count a lab that broke before anything was checked as a regression', () => {
    const before = run({ lan: { items: { a: [passed] } } });
    const after = run({
      lan: { items: { a: [passed] }, error: { code: 'NETRIG_HOST_BOOT', message: 'node1 did not answer' } },
    });
    const comparison = compared(before, after);
    expect(comparison.scenarios.map(({ name, regressed }) => [name, regressed])).to.deep.equal([['lan', true]]);
    expect(comparison.regressions).to.equal(1);
    expect(compared(after, before).regressions).to.equal(0);
  });

  it('pair the same lab on two engines, and pass over what is meant for one of them', () => {
    const image = (name: string, a: Outcome): RunModel =>
      run({ [`lan[image=${name}]`]: { matrix: { image: name }, items: { a: [a], b: [passed] } } });
    const comparison = compared(
      image('debian-12', passed),
      image('debian-sid', skipped(conditionReason('engine', '<28', '28.5.2'))),
    );
    expect(comparison.scenarios.map(({ name }) => name)).to.deep.equal(['lan']);
    expect(found(comparison)).to.deep.equal(['other: lan › a']);
    expect([comparison.agreed, comparison.regressions]).to.deep.equal([1, 0]);
  });

  it('do not pair values of a matrix that stand beside each other in one run', () => {
    const both = run({
      'lan[image=a]': { matrix: { image: 'a' }, items: { x: [passed] } },
      'lan[image=b]': { matrix: { image: 'b' }, items: { x: [timeout] } },
    });
    const one = run({ 'lan[image=a]': { matrix: { image: 'a' }, items: { x: [passed] } } });
    const comparison = compared(both, one);
    expect(comparison.scenarios.map(({ name }) => name)).to.deep.equal(['lan[image=a]', 'lan[image=b]']);
    expect(comparison.items.map(({ change }) => change)).to.deep.equal(['gone']);
  });

  it('name the columns by provider, where that tells them apart', () => {
    const by = (provider: string): RunModel => run({ lan: { provider, items: { a: [passed] } } });
    expect(compared(by('local'), by('vagrant')).runs.map(({ label }) => label)).to.deep.equal(['local', 'vagrant']);
    expect(compared(by('local'), by('local')).runs.map(({ label }) => label)).to.deep.equal(['run 1', 'run 2']);
  });

  it('list checks as slower and faster only when clearly so', () => {
    const before = run({
      lan: { items: { a: [passed, 100], b: [passed, 2000], c: [passed, 1000], d: [passed, 5], e: [timeout, 10] } },
    });
    const after = run({
      lan: { items: { a: [passed, 900], b: [passed, 500], c: [passed, 1400], d: [passed, 200], e: [timeout, 9000] } },
    });
    const { slower, faster } = compared(before, after);
    expect(slower.map(({ title, factor }) => [title, factor])).to.deep.equal([['a', 9]]);
    expect(faster.map(({ title, factor }) => [title, factor])).to.deep.equal([['b', 0.25]]);
  });

  it('say once what holds for many checks of a scenario, and for one with another reason by itself', () => {
    const lacking = skipped('needs kernel:8021q');
    const local = run({
      lan: { items: { a: [lacking], b: [lacking], c: [lacking], d: [skipped('not today')] } },
      wan: { items: { a: [lacking] } },
    });
    const vagrant = run({
      lan: { items: { a: [passed], b: [passed], c: [passed], d: [passed] } },
      wan: { items: { a: [passed] } },
    });
    const comparison = compared(local, vagrant);
    const together = 'lan › 3 steps and checks, from “a” to “c”';
    expect(
      comparisonText(comparison)
        .split('\n')
        .filter((line) => line.startsWith('  ') && line.includes('›'))
        .map((line) => line.trim()),
    ).to.deep.equal([together, 'lan › d', 'wan › a']);
    expect(comparisonMarkdown(comparison)).to.include(`- ${together}: run 1 skipped: needs kernel:8021q; run 2 pass`);
    expect(comparisonHtml(comparison)).to.include(together).and.to.include('(5)');
    expect(comparison.items).to.have.length(5);
  });

  it('show the ten clearest differences in time as text, and all on the page', () => {
    const checks = (ms: number): Ran => ({
      items: Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`check ${at + 1}`, [passed, ms * (at + 1)]])),
    });
    const comparison = compared(run({ lan: checks(500) }), run({ lan: checks(5000) }));
    expect(comparison.slower).to.have.length(12);
    for (const text of [comparisonText(comparison), comparisonMarkdown(comparison)]) {
      expect(text.match(/times as long/g)).to.have.length(10);
      expect(text).to.include('… and 2 more');
    }
    expect(comparisonHtml(comparison).match(/lan › check/g)).to.have.length(12);
  });

  it('are shown with what came from the lab as text only', () => {
    const evil = '<img src=x onerror=alert(1)>|`\u001b[31m';
    const comparison = compared(
      run({ lan: { items: { [evil]: [passed] } } }),
      run({ lan: { items: { [evil]: [failed('timeout', evil)] } } }),
    );
    expect(comparisonHtml(comparison)).to.include('img src=x').and.not.include('<img');
    expect(comparisonMarkdown(comparison)).not.to.include('<img');
    expect(comparisonText(comparison)).not.to.include('\u001b');
  });
});
