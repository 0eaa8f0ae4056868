import { expect } from 'chai';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeQuality, githubAnnotations, jobSummary, tellGithub } from '../../src/report/ci.js';
import { reduceRun, type RunModel } from '../../src/report/model.js';
import {
  buildRun,
  failed,
  itemEnd,
  overlayRun,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
} from '../fixtures/runs/builder.js';

function run(outcomes: Parameters<typeof itemEnd>[2][], error?: { code: string; message: string }): RunModel {
  const items = outcomes.map((_, at) => planned(`c${String(at + 1).padStart(3, '0')}`, `check ${at + 1}, 100%`));
  const record = buildRun().add(runStart).add(scenarioStart('lan', items));
  items.forEach((item, at) => record.add(itemEnd('lan', item.id, outcomes[at]!)));
  return reduceRun(record.add(scenarioEnd('lan', error)).add(runEnd()).events);
}

const checkout = '/home/student/labs';

describe('report: CI systems', () => {
  it('GitHub gets an annotation at the line of the check, with what would end a command written otherwise', () => {
    const model = run([passed, failed('timeout', 'no reply,\n::error::within 2 s: 50%')]);
    expect(githubAnnotations(model, checkout)).to.deep.equal([
      '::error file=scenarios/lan.yaml,line=12,col=5,title=lan › check 2%2C 100%25::fail: timeout: no reply,%0A::error::within 2 s: 50%25',
    ]);
  });

  it('GitHub gets ten errors at most, a broken lab first', () => {
    const lines = githubAnnotations(
      run(
        Array.from({ length: 15 }, () => failed('timeout', 'x')),
        { code: 'NETRIG_LAB_GONE', message: 'node1 is gone' },
      ),
      checkout,
    );
    expect(lines).to.have.length(10);
    expect(lines[0]).to.equal('::error file=scenarios/lan.yaml,title=lan::NETRIG_LAB_GONE: node1 is gone');
  });

  it('a run that passed has no annotations', () => {
    expect(githubAnnotations(run([passed]), checkout)).to.deep.equal([]);
    expect(codeQuality(run([passed]), checkout)).to.deep.equal([]);
  });

  it('the job’s summary is appended in a step of GitHub Actions, and nowhere else', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'netrig-ci-'));
    const file = join(dir, 'summary');
    const printed: string[] = [];
    const model = run([failed('timeout', 'x')]);
    expect(await tellGithub(model, { GITHUB_STEP_SUMMARY: file }, (line) => printed.push(line))).to.deep.equal([]);
    expect(printed).to.deep.equal([]);
    for (let i = 0; i < 2; i += 1)
      await tellGithub(
        model,
        { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: checkout, GITHUB_STEP_SUMMARY: file },
        (line) => printed.push(line),
      );
    expect(printed).to.have.length(2);
    expect(readFileSync(file, 'utf8').match(/1 failed/g)).to.have.length.of.at.least(2);
    expect(
      await tellGithub(
        model,
        { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: join(dir, 'no', 'such') },
        () => undefined,
      ),
    ).to.match(/could not be written/);
    rmSync(dir, { recursive: true });
  });

  it('a summary that is too large for GitHub is cut at a line, and says so', () => {
    const model = reduceRun(overlayRun().events);
    const whole = jobSummary(model);
    const cut = jobSummary(model, 600);
    expect(Buffer.byteLength(cut)).to.be.at.most(600);
    expect(cut).to.match(/Cut here/);
    expect(whole.startsWith(cut.slice(0, cut.indexOf('\n\n*Cut')))).to.equal(true);
    expect(whole).not.to.match(/Cut here/);
  });

  it('GitLab gets path, line and a fingerprint that stays the same when lines move', () => {
    const [issue] = codeQuality(run([failed('timeout', 'x')]), checkout) as [Record<string, unknown>];
    expect(issue).to.deep.include({
      check_name: 'netrig.ping',
      severity: 'major',
      description: 'check 1, 100%: fail: timeout: x',
      location: { path: 'scenarios/lan.yaml', lines: { begin: 11 } },
    });
    const [later] = codeQuality(run([failed('timeout', 'y')]), checkout) as [Record<string, unknown>];
    const [other] = codeQuality(run([failed('refused', 'x')]), checkout) as [Record<string, unknown>];
    expect(later['fingerprint']).to.equal(issue['fingerprint']);
    expect(other['fingerprint']).not.to.equal(issue['fingerprint']);
  });
});
