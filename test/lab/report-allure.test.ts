import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { findJava } from '../../src/report/allure.js';
import { writeReports } from '../../src/report/reports.js';
import { overlayRun } from '../fixtures/runs/builder.js';

describe('report: allure-report', function () {
  this.timeout(120_000);
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-allure-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('is one page that holds the tests and no tracker (needs Java: apt-get install default-jre-headless)', async function () {
    if ((await findJava()) === null) this.skip();
    overlayRun().save(dir);
    const written = await writeReports(dir, { formats: ['allure', 'allure-report'] });
    expect(written.failures).to.deep.equal([]);
    expect(written.notes).to.deep.equal([]);
    expect(written.files).to.deep.equal(['allure-results/', 'allure-report/index.html']);
    const page = readFileSync(join(dir, 'allure-report', 'index.html'), 'utf8');
    expect(page).to.not.match(/googletagmanager|google-analytics/);
    // The data lie in the page base64-coded, one piece a file.
    const pieces = [...page.matchAll(/d\('([^']+)','([A-Za-z0-9+/=]*)'\)/g)].map(
      ([, name, data]) => [name, Buffer.from(data ?? '', 'base64').toString('utf8')] as const,
    );
    const suites = pieces.find(([name]) => name === 'data/suites.json')?.[1] ?? '';
    expect(suites).to.include('overlay-consul').and.include('ov_net1 and ov_net2 are apart');
    const summary = JSON.parse(pieces.find(([name]) => name === 'widgets/summary.json')?.[1] ?? '{}') as {
      statistic?: Record<string, number>;
    };
    expect(summary.statistic).to.include({ failed: 2, broken: 2, skipped: 1, passed: 10, total: 15 });
  });

  it('without Java says in one line how to get it', async () => {
    overlayRun().save(dir);
    const { PATH: path, JAVA_HOME: home } = process.env;
    process.env['PATH'] = dir;
    delete process.env['JAVA_HOME'];
    try {
      const written = await writeReports(dir, { formats: ['allure', 'allure-report'] });
      expect(written.failures).to.deep.equal([]);
      expect(written.files).to.deep.equal(['allure-results/']);
      expect(written.notes).to.have.length(1);
      expect(written.notes[0]).to.include('apt-get install default-jre-headless');
      expect(existsSync(join(dir, 'allure-report'))).to.equal(false);
    } finally {
      process.env['PATH'] = path;
      if (home !== undefined) process.env['JAVA_HOME'] = home;
    }
  });
});
