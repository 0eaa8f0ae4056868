import { expect } from 'chai';
import { codeQuality, githubAnnotations } from '../../src/report/ci.js';
import { createRunReducer } from '../../src/report/model.js';
import { textHtml } from '../../src/report/text-html.js';
import { headline, totalsLine } from '../../src/report/wording.js';
import { buildRun, planned, runEnd, runStart, scenarioStart } from '../fixtures/runs/builder.js';

function modelOf(level: 'warning' | undefined, verdict: 'fail' | 'inconclusive' | 'error') {
  const run = buildRun();
  run.add(runStart);
  run.add(
    scenarioStart('lab', [
      planned('c01', 'it holds'),
      planned('c02', 'it does not', level === undefined ? {} : { level }),
    ]),
  );
  const outcomes = [{ verdict: 'pass', reason: 'So it is.' } as const, { verdict, reason: 'It is not.' } as const];
  outcomes.forEach((outcome, at) =>
    run.wait(5).add({ type: 'item:end', scenario: 'lab', item: `c0${at + 1}`, outcome, attempts: 1, durationMs: 5 }),
  );
  run.add({ type: 'scenario:end', scenario: 'lab', durationMs: 20 });
  run.add(runEnd());
  const reducer = createRunReducer();
  for (const event of run.events) reducer.add(event);
  return reducer.result();
}

describe('A check that is a warning', () => {
  for (const verdict of ['fail', 'inconclusive'] as const)
    it(`leaves the run green where it comes to ${verdict}, and is said`, () => {
      const model = modelOf('warning', verdict);
      expect(model.exitCode).to.equal(0);
      expect(model.scenarios[0]!.verdict).to.equal('pass');
      expect(model.totals).to.deep.include({ planned: 2, reported: 2, pass: 1, [verdict]: 0, warned: 1 });
      expect(totalsLine(model.totals)).to.match(/, 0 skipped, 1 warning$/);
      expect(headline(model)).to.equal('1 check passed, 1 warning');
      expect(githubAnnotations(model, '/home/student/labs').join('\n')).to.match(/^::warning file=.*It is not\.$/);
      expect(codeQuality(model, '/home/student/labs')[0]).to.deep.include({ severity: 'info' });
      expect(modelOf(undefined, verdict).exitCode).to.equal(1);
    });

  it('does not hide that netrig or the lab broke', () => {
    expect(modelOf('warning', 'error').exitCode).to.equal(3);
  });
});

describe('Text of a scenario on the page', () => {
  it('is Markdown, without HTML of its own, dangerous links, or anything that is loaded', () => {
    expect(textHtml('*Why* `so`')).to.equal('<div class="text"><p><em>Why</em> <code>so</code></p>\n</div>');
    const hostile = textHtml(
      '<script>x</script> [a](javascript:alert(1)) ![i](http://203.0.113.1/x.png) [ok](https://example.org)',
    );
    expect(hostile).to.not.match(/<script|<img|href="javascript/);
    expect(hostile).to.include('<a href="https://example.org" rel="noopener noreferrer">ok</a>');
  });
});
