import { expect } from 'chai';
import { NetrigError } from '../../src/errors.js';
import type { RunEvent, RunEventBody } from '../../src/model/events.js';
import { codeQuality, githubAnnotations } from '../../src/report/ci.js';
import { planLab } from '../../src/plan/plan.js';
import { createConsoleReporter } from '../../src/report/console.js';
import { htmlPage } from '../../src/report/html.js';
import { junitXml } from '../../src/report/junit.js';
import { reduceRun } from '../../src/report/model.js';
import { summaryMarkdown } from '../../src/report/summary.js';
import { fakeLab, fakeProvider } from '../fakes/provider.js';
import { fakeRun, fakeScenario } from '../fakes/scenario.js';
import { failed, runEnd, runStart } from '../fixtures/runs/builder.js';

const text = `
scenario: fake
title: A scenario without a lab
hosts: { a: { init: light }, b: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: { a: 10.0.0.1, b: 10.0.0.2 } } }
steps:
  - step: first
    on: a
    run: "true"
  - check: one
    ping: { from: a, to: b }
  - check: two
    ping: { from: a, to: b }
`;

const cause = 'The container image web:9 cannot be had: the registry has no tag 9';
const broken = (): Promise<never> =>
  Promise.reject(new NetrigError('NETRIG_IMAGE_NOT_FOUND', cause, { hint: 'Name a tag that it has.' }));

function recorded(events: readonly RunEventBody[]): RunEvent[] {
  const t = '2026-11-04T10:11:12.000Z';
  return [runStart, ...events, runEnd()].map((event) => ({ v: 1, t, pid: 7, ...event }));
}

function onConsole(events: readonly RunEvent[], columns = 80): string {
  let written = '';
  const stream = { write: (chunk: string) => (written += chunk), columns };
  const reporter = createConsoleReporter({ stream, env: {} });
  for (const event of events) reporter.onEvent(event);
  reporter.finish(reduceRun(events), { dir: 'reports/r1', files: [], notes: [] });
  return written;
}

/** How often the whole sentence stands there, whatever lines it is broken into. */
const times = (report: string, sentence: string): number =>
  report
    .replace(/<[^>]*>/g, '')
    .replace(/\s+/g, ' ')
    .split(sentence).length - 1;

describe('report: a cause is told once', () => {
  let events: RunEvent[];
  before(async () => {
    const run = fakeRun(fakeScenario(text, {}), { provider: fakeProvider({ preflight: broken }) });
    await run.all();
    events = recorded(run.events);
  });

  it('in whole sentences, with how to mend it, by the scenario, and by none of its items', () => {
    const { last, verdict } = reduceRun(events).scenarios[0]!;
    expect(last.error).to.deep.equal({ code: 'NETRIG_IMAGE_NOT_FOUND', message: `${cause}. Name a tag that it has.` });
    expect(verdict).to.equal('error');
    expect(last.items.map(({ outcome }) => outcome)).to.deep.equal(
      Array(3).fill({ verdict: 'skipped', reason: 'the lab did not come up (NETRIG_IMAGE_NOT_FOUND)' }),
    );
    expect(reduceRun(events).exitCode).to.equal(3);
  });

  it('and the test that Mocha counts as failed is that lab', () => {
    const model = reduceRun(events.map((event) => (event.type === 'run:end' ? { ...event, failures: 1 } : event)));
    expect(model.problems.map(({ code }) => code)).to.deep.equal(['NETRIG_IMAGE_NOT_FOUND']);
  });

  it('on a terminal', () => {
    const told = onConsole(events);
    expect(times(told, cause), told).to.equal(1);
    expect(told).to.match(
      / {2}NETRIG_IMAGE_NOT_FOUND: The container image web:9.*\n.* 3 skipped: the lab did not come up/,
    );
    expect(told).to.include('1 lab broke');
    expect(told.split('\n').filter((line) => line.includes('› first'))).to.deep.equal([]);
  });

  it('in JUnit: in a case of its own', () => {
    const cases = junitXml(reduceRun(events)).split('<testcase ').slice(1);
    const told = cases.filter((one) => one.includes(cause));
    expect(told).to.have.length(1);
    expect(told[0]).to.include('name="lab"').and.to.include('<error');
    expect(cases.filter((one) => one.includes('<skipped'))).to.have.length(3);
  });

  it('on the page: in the list of what is wrong with the run; the scenario refers to it', () => {
    const page = htmlPage(reduceRun(events)).replace(/<script[^]*?<\/script>/g, '');
    expect(times(page, cause)).to.equal(1);
    expect(/id="problems"[^]*?<\/section>/.exec(page)?.[0]).to.include(cause);
    expect(/class="card scenario[^]*?<ol/.exec(page)?.[0])
      .to.include('NETRIG_IMAGE_NOT_FOUND')
      .and.to.include('see <a href="#problems">above</a>');
  });

  it('in a job’s summary, among its annotations, and in the findings of a merge request', () => {
    const model = reduceRun(events);
    expect(times(summaryMarkdown(model), cause)).to.equal(1);
    const told = githubAnnotations(model, '/').filter((one) => one.includes(cause));
    expect(told).to.have.length(1);
    expect(told[0]).to.match(/^::error file=tmp\/fake\.yaml,title=fake::NETRIG_IMAGE_NOT_FOUND: /);
    const found = JSON.stringify(codeQuality(model, '/'));
    expect(times(found, cause)).to.equal(1);
    expect(found).to.include('"netrig.lab"').and.to.include('"critical"');
  });

  it('also where no item has it', async () => {
    const down = (): Promise<never> => Promise.reject(new NetrigError('NETRIG_CLEANUP', 'The bridge br7 is left'));
    const provider = fakeProvider({ up: (plan) => Promise.resolve(fakeLab(plan, { down })) });
    const run = fakeRun(fakeScenario(text, {}), { provider });
    await run.all();
    const told = onConsole(recorded(run.events), 60);
    expect(times(told, 'The bridge br7 is left. Run `netrig gc`; the message names what is left.'), told).to.equal(1);
  });

  it('by the first of the items that one error befell; the others refer to it', async () => {
    const lost = (): never => {
      throw new NetrigError('NETRIG_SSH_CONNECT', 'No SSH connection to a: refused.');
    };
    const run = fakeRun(fakeScenario(text, { checks: { one: lost, two: lost } }));
    await run.all();
    const made = recorded(run.events);
    const end = onConsole(made).split('\n\n').slice(1).join('\n\n');
    expect(times(end, 'No SSH connection to a: refused.'), end).to.equal(1);
    expect(end).to.match(/ {2}2\) fake › two\n.*:12\n {5}error: as in 1\)\n/);
    const findings = /id="findings"[^]*?<\/section>/.exec(htmlPage(reduceRun(made)))?.[0] ?? '';
    expect(times(findings, 'No SSH connection to a: refused.')).to.equal(1);
    expect(findings).to.include('as in <a href="#i0-1">one</a>');
  });

  it('a failure is told with each check: what was seen is its own', async () => {
    const no = () => failed('timeout', 'no reply');
    const run = fakeRun(fakeScenario(text, { checks: { one: no, two: no } }));
    await run.all();
    expect(onConsole(recorded(run.events))).to.not.include('as in');
  });
});

describe('report: what to type again', () => {
  const again = { on: 'a', command: 'ping -c 1 10.0.0.2' };
  const checks = { one: () => failed('timeout', 'no reply', { again }) };
  const hint = 'have the lab up';

  it('needs a lab first where it is gone', async () => {
    const run = fakeRun(fakeScenario(text, { checks }));
    await run.all();
    const told = onConsole(recorded(run.events));
    expect(told).to.include('again:    netrig exec a -- ping -c 1 10.0.0.2').and.to.include(hint);
  });

  it('names the lab where it is still up, and asks for no other', async () => {
    const provider = fakeProvider();
    const existing = fakeLab(planLab(fakeScenario(text, {})));
    const run = fakeRun(fakeScenario(text, { checks }), { provider, existing });
    await run.all();
    const made = recorded(run.events);
    const told = onConsole(made);
    expect(told)
      .to.include(`again:    netrig exec --lab ${existing.id} a -- ping -c 1 10.0.0.2`)
      .and.to.not.include(hint);
    for (const report of [junitXml(reduceRun(made)), htmlPage(reduceRun(made))])
      expect(report).to.include(`netrig exec --lab ${existing.id} a -- ping`);
  });
});
