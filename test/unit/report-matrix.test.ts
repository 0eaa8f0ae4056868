import { expect } from 'chai';
import type { PlannedItem, RunEventBody } from '../../src/model/events.js';
import type { Outcome } from '../../src/model/verdict.js';
import { conditionReason, isConditionReason } from '../../src/run/condition.js';
import { createConsoleReporter } from '../../src/report/console.js';
import { compareVersions, engineVersions, noEngine, shortVersion } from '../../src/report/engine-version.js';
import { htmlPage } from '../../src/report/html.js';
import { cellText, columnText, differenceText, matrixGrids } from '../../src/report/matrix.js';
import { reduceRun, type RunModel } from '../../src/report/model.js';
import { summaryMarkdown } from '../../src/report/summary.js';
import {
  buildRun,
  failed,
  hostileRun,
  itemEnd,
  overlayRun,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
  type RunBuilder,
} from '../fixtures/runs/builder.js';

const engines: Record<string, string> = {
  'debian-11': '20.10.5+dfsg1',
  'debian-12': '20.10.24+dfsg1',
  'debian-13': '26.1.5+dfsg1',
  'debian-sid': '28.5.2+dfsg4',
};

function topology(image: string, init = 'systemd') {
  return { hosts: [{ name: 'h', image, init, interfaces: [] }], segments: [] };
}

function stated(scenario: string, version: string): RunEventBody {
  return { type: 'engine', scenario, state: { host: 'h', version, networks: [], containers: [] } };
}

/** One scenario with one value of the matrix; outcomes by item id. */
function ran(
  run: RunBuilder,
  name: string,
  matrix: Record<string, string>,
  items: PlannedItem[],
  outcomes: Record<string, Outcome>,
): void {
  const id = `${name}[${Object.entries(matrix)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')}]`;
  const image = matrix['image'] ?? 'debian-12';
  run.add(scenarioStart(id, items, { matrix, topology: topology(image) }));
  for (const item of items) run.add(itemEnd(id, item.id, outcomes[item.id] ?? passed));
  run.add(stated(id, engines[image] ?? '')).add(scenarioEnd(id));
}

const items = [
  planned('s01', 'a container'),
  planned('c02', 'the MAC address is made from the address'),
  planned('c03', 'the MAC address is random'),
  planned('c04', 'the ping gets through'),
];
const notFor = (wanted: string, here: string): Outcome => ({
  verdict: 'skipped',
  reason: conditionReason('engine', wanted, here),
});

function fourEngines(): RunModel {
  const run = buildRun().add(runStart);
  // In another order than the columns shall have.
  for (const image of ['debian-sid', 'debian-13', 'debian-11', 'debian-12']) {
    const is28 = image === 'debian-sid';
    const mac: Record<string, Outcome> = is28
      ? { c02: notFor('<28', '28.5.2+dfsg4') }
      : { c03: notFor('>=28', engines[image]!) };
    ran(
      run,
      'macs',
      { image },
      items,
      image === 'debian-13' ? { ...mac, c04: failed('timeout', 'no reply within 2 s') } : mac,
    );
  }
  ran(run, 'same', { image: 'debian-12' }, [planned('c01', 'x')], {});
  run
    .add(scenarioStart('fixed', [planned('c01', 'an old engine')], { topology: topology('debian-11') }))
    .add(itemEnd('fixed', 'c01', passed))
    .add(stated('fixed', engines['debian-11']!))
    .add(scenarioEnd('fixed'));
  run
    .add(scenarioStart('wires', [planned('c01', 'no engine here')], { topology: topology('debian-12', 'light') }))
    .add(itemEnd('wires', 'c01', passed))
    .add(scenarioEnd('wires'));
  return reduceRun(run.add(runEnd()).events);
}

function printed(model: RunModel): string {
  let text = '';
  createConsoleReporter({ stream: { write: (chunk) => void (text += chunk), columns: 120 }, env: {} }).finish(model);
  return text;
}

describe('report: versions of engines', () => {
  it('are short and in the order of their numbers', () => {
    expect(['28.5.2+dfsg4', '20.10.5+dfsg1', '29.0.0~rc2', '27.1', 'master'].map(shortVersion)).to.deep.equal([
      '28.5.2',
      '20.10.5',
      '29.0.0',
      '27.1',
      'master',
    ]);
    expect([noEngine, '28.5.2', '20.10.24', '20.10.5', '26.1.5'].sort(compareVersions)).to.deep.equal([
      '20.10.5',
      '20.10.24',
      '26.1.5',
      '28.5.2',
      noEngine,
    ]);
  });

  it('of a lab whose engine is down at its end are those of its image elsewhere', () => {
    const run = buildRun().add(runStart);
    for (const [id, image, version] of [
      ['a', 'debian-11', '20.10.5+dfsg1'],
      ['down', 'debian-11', ''],
      ['unknown', 'debian-13', ''],
    ] as const) {
      run.add(scenarioStart(id, [planned('c01', 'x')], { topology: topology(image) }));
      if (version !== '') run.add(stated(id, version));
      run.add(scenarioEnd(id));
    }
    const model = reduceRun(run.add(runEnd()).events);
    const versions = engineVersions([model]);
    expect(model.scenarios.map((scenario) => versions(scenario))).to.deep.equal([['20.10.5'], ['20.10.5'], [noEngine]]);
  });
});

describe('report: the grid of a matrix', () => {
  it('is there only where a scenario ran with more than one value', () => {
    expect(matrixGrids(reduceRun(overlayRun().events))).to.deep.equal([]);
    const one = buildRun().add(runStart);
    ran(one, 'a', { image: 'debian-11' }, items, {});
    ran(one, 'b', { image: 'debian-12' }, items, {});
    const model = reduceRun(one.add(runEnd()).events);
    expect(matrixGrids(model)).to.deep.equal([]);
    for (const text of [printed(model), summaryMarkdown(model), htmlPage(model)])
      expect(text).to.not.match(/by image/i);
  });

  it('has a row a scenario and a column a value, with the version that the engine stated, oldest first', () => {
    const [grid, ...others] = matrixGrids(fourEngines());
    expect(others).to.deep.equal([]);
    expect(grid!.columns.map(columnText)).to.deep.equal([
      'debian-11 (20.10.5)',
      'debian-12 (20.10.24)',
      'debian-13 (26.1.5)',
      'debian-sid (28.5.2)',
    ]);
    expect(grid!.rows.map(({ name, cells }) => [name, ...cells.map(cellText)])).to.deep.equal([
      // A scenario that names its image itself has its place, one without an engine has none.
      ['fixed', '✓ 1/1', '', '', ''],
      ['macs', '✓ 2/3 -1', '✓ 2/3 -1', '✗ 1/3 -1', '✓ 2/3 -1'],
      ['same', '', '✓ 1/1', '', ''],
    ]);
  });

  it('names checks that differ by value, and only those', () => {
    const [grid] = matrixGrids(fourEngines());
    expect(
      grid!.differences.map(
        (difference) => `${difference.scenario} › ${difference.check}: ${differenceText(difference)}`,
      ),
    ).to.deep.equal([
      'macs › the MAC address is made from the address: pass on debian-11 (20.10.5), debian-12 (20.10.24), debian-13 (26.1.5); skipped on debian-sid (28.5.2): only for engine <28',
      'macs › the MAC address is random: skipped on debian-11 (20.10.5), debian-12 (20.10.24), debian-13 (26.1.5): only for engine >=28; pass on debian-sid (28.5.2)',
      'macs › the ping gets through: pass on debian-11 (20.10.5), debian-12 (20.10.24), debian-sid (28.5.2); fail on debian-13 (26.1.5): no reply within 2 s',
    ]);
  });

  it('takes a skip for a difference only where the check itself is for some engines', () => {
    const run = buildRun().add(runStart);
    ran(run, 'a', { image: 'debian-11' }, items, {
      s01: failed('exit-status', 'exit 1'),
      c02: { verdict: 'skipped', reason: 'the step "a container" (line 11) did not succeed' },
    });
    ran(run, 'a', { image: 'debian-12' }, items, {});
    const [grid] = matrixGrids(reduceRun(run.add(runEnd()).events));
    expect(grid!.differences).to.deep.equal([]);
    expect(cellText(grid!.rows[0]!.cells[0]!)).to.equal('✗ 2/3 -1');
    expect(isConditionReason(conditionReason('image', 'debian-11', 'debian-12'))).to.equal(true);
    expect(isConditionReason('needs kernel:8021q, which this machine does not have')).to.equal(false);
  });

  it('compares like with like where a file has two keys', () => {
    const run = buildRun().add(runStart);
    for (const image of ['debian-11', 'debian-12'])
      for (const mtu of ['1400', '1500'])
        ran(run, 'mtus', { image, mtu }, [planned('c01', 'fits')], {
          c01: mtu === '1400' && image === 'debian-12' ? failed('timeout', 'no') : passed,
        });
    const grids = matrixGrids(reduceRun(run.add(runEnd()).events));
    expect(grids.map(({ key, differences }) => [key, differences.map((one) => one.scenario)])).to.deep.equal([
      ['image', ['mtus[mtu=1400]']],
      ['mtu', ['mtus[image=debian-12]']],
    ]);
    expect(grids[0]!.rows.map(({ cells }) => cells.map(cellText))).to.deep.equal([['✓ 2/2', '✗ 1/2']]);
  });

  it('stands in the terminal’s summary, the Markdown summary and the page', () => {
    const model = fourEngines();
    const text = printed(model);
    expect(text).to.include(
      'image  debian-11 (20.10.5)  debian-12 (20.10.24)  debian-13 (26.1.5)  debian-sid (28.5.2)\n',
    );
    expect(text).to.match(/^macs +✓ 2\/3 -1 +✓ 2\/3 -1 +✗ 1\/3 -1 +✓ 2\/3 -1$/m);
    expect(text.indexOf('3 checks differ by image (findings, not failures)')).to.be.greaterThan(
      text.indexOf('planned, '),
    );
    const markdown = summaryMarkdown(model);
    expect(markdown).to.include(
      '| scenario | debian-11 (20.10.5) | debian-12 (20.10.24) | debian-13 (26.1.5) | debian-sid (28.5.2) |',
    );
    expect(markdown).to.include('| `macs` | ✅ 2/3 -1 | ✅ 2/3 -1 | ❌ 1/3 -1 | ✅ 2/3 -1 |');
    const page = htmlPage(model);
    expect(page).to.include('<th scope="col">debian-13 (26.1.5)</th>');
    const macsOnThirteen = model.scenarios.findIndex((scenario) => scenario.id === 'macs[image=debian-13]');
    expect(page).to.include(
      `<a class="badge fail" href="#s${macsOnThirteen}"><span class="sr">fail </span>✗ 1/3 -1</a>`,
    );
    expect(page).to.include('3 checks differ by image');
  });

  it('shows hostile names as text', () => {
    const bad = '<img src=x onerror=alert(1)>\u001b[31m';
    const run = buildRun().add(runStart);
    for (const value of ['a', bad])
      ran(run, 'x', { [bad]: value }, [planned('c01', bad)], { c01: value === 'a' ? passed : failed('timeout', bad) });
    const model = reduceRun(run.add(runEnd()).events);
    expect(matrixGrids(model)[0]!.differences).to.have.length(1);
    expect(htmlPage(model).replace(/<script[\s\S]*?<\/script>/g, '')).to.not.include('<img');
    expect(printed(model)).to.not.include('\u001b');
    expect(matrixGrids(reduceRun(hostileRun().events))).to.deep.equal([]);
  });
});

describe('report: the slowest scenarios', () => {
  const ofMany = (count: number): RunModel => {
    const run = buildRun().add(runStart);
    for (let n = 1; n <= count; n += 1) {
      run
        .add(scenarioStart(`s${n}`, [planned('c01', 'x')]))
        .add(itemEnd(`s${n}`, 'c01', passed))
        .add({ type: 'scenario:end', scenario: `s${n}`, durationMs: n * 1000 });
    }
    return reduceRun(run.add(runEnd()).events);
  };

  it('are named, ten of them, where more than ten ran', () => {
    const text = printed(ofMany(12));
    expect(text).to.include('12 scenarios took 1 min 18 s together, 12.3 s by the clock. The slowest 10:');
    const named = [...text.matchAll(/^ +([\d.]+ s) +(s\d+)$/gm)].map((match) => match[2]);
    expect(named).to.deep.equal(['s12', 's11', 's10', 's9', 's8', 's7', 's6', 's5', 's4', 's3']);
  });

  it('are not named otherwise', () => {
    expect(printed(ofMany(10))).to.not.include('slowest');
  });
});
