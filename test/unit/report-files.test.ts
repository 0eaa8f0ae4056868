import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { parse } from 'junit2json';
import { htmlPage } from '../../src/report/html.js';
import { junitXml } from '../../src/report/junit.js';
import { reduceRun } from '../../src/report/model.js';
import { writeReports } from '../../src/report/reports.js';
import { resultsJson } from '../../src/report/results-json.js';
import { summaryMarkdown } from '../../src/report/summary.js';
import type { Outcome } from '../../src/model/verdict.js';
import { topologySvg } from '../../src/report/topology-svg.js';
import {
  buildRun,
  command,
  failed,
  hostileRun,
  itemEnd,
  itemStart,
  largeRun,
  overlayRun,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
  wideRun,
} from '../fixtures/runs/builder.js';

const quick = ['results', 'junit', 'code-quality', 'summary', 'html', 'allure'];

interface AllureResult {
  name: string;
  historyId: string;
  status: string;
  start: number;
  stop: number;
  statusDetails: { message: string; trace?: string; flaky?: boolean };
  labels: { name: string; value: string }[];
  steps: { name: string; status: string; start: number; stop: number; attachments: { source: string }[] }[];
  attachments: { name: string; source: string }[];
}

function allureResults(dir: string): AllureResult[] {
  const results = join(dir, 'allure-results');
  return readdirSync(results)
    .filter((name) => name.endsWith('-result.json'))
    .map((name) => JSON.parse(readFileSync(join(results, name), 'utf8')) as AllureResult)
    .sort((a, b) => a.start - b.start);
}

describe('report: files', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-report-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('writes every format from the record alone, and nothing half-written stays', async () => {
    overlayRun().save(dir);
    const written = await writeReports(dir, { formats: quick });
    expect(written.failures).to.deep.equal([]);
    expect(written.files).to.deep.equal([
      'results.json',
      'junit.xml',
      'code-quality.json',
      'summary.md',
      'index.html',
      'allure-results/',
    ]);
    expect(readdirSync(dir).sort()).to.deep.equal([
      'allure-results',
      'code-quality.json',
      'index.html',
      'junit.xml',
      'results.json',
      'run.jsonl',
      'summary.md',
    ]);
    const again = readFileSync(join(dir, 'index.html'), 'utf8');
    await writeReports(dir, { formats: ['html'] });
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).to.equal(again);
  });

  it('one format that cannot be written does not stop the others', async () => {
    overlayRun().save(dir);
    mkdirSync(join(dir, 'junit.xml', 'in the way'), { recursive: true });
    const written = await writeReports(dir, { formats: quick });
    expect(written.failures.map((f) => [f.format, f.error.code])).to.deep.equal([['junit', 'NETRIG_REPORT_WRITE']]);
    expect(written.files).to.include('index.html');
    expect(readdirSync(dir).filter((name) => name.startsWith('.'))).to.deep.equal([]);
  });

  it('refuses an unknown format and a directory without a record', async () => {
    const code = async (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => 'no error',
        (error: { code?: string }) => error.code,
      );
    overlayRun().save(dir);
    expect(await code(writeReports(dir, { formats: ['pdf'] }))).to.equal('NETRIG_USAGE');
    expect(await code(writeReports(join(dir, 'none')))).to.equal('NETRIG_RUN_UNKNOWN');
  });

  it('results.json has the documented shape', () => {
    const results = resultsJson(reduceRun(overlayRun().events));
    expect(results).to.include({ schema: 'netrig-results/1', exitCode: 3, state: 'complete' });
    expect(results.totals).to.deep.equal({
      planned: 15,
      reported: 15,
      pass: 10,
      fail: 2,
      inconclusive: 1,
      error: 1,
      skipped: 1,
    });
    const item = results.scenarios[0]?.items.find((i) => i.id === 'c08');
    expect(item).to.include({ verdict: 'fail', cause: 'present', line: 18, type: 'ping', tries: 1, durationMs: 2100 });
    expect(item?.controls).to.have.length(2);
    expect(item?.commands[0]).to.deep.equal({
      host: 'node2',
      command: 'nsenter -t 901 -n ping -n -c 3 -W 2 10.0.1.2',
      exitCode: 0,
      timedOut: false,
      durationMs: 2050,
    });
    expect(results.scenarios[0]?.engines).to.deep.equal([
      { host: 'node1', version: '20.10.5+dfsg1' },
      { host: 'node2', version: '20.10.5+dfsg1' },
    ]);
  });

  it('junit.xml is read back by a JUnit parser with the same verdicts', async () => {
    const model = reduceRun(overlayRun().events);
    const xml = junitXml(model);
    expect(XMLValidator.validate(xml)).to.equal(true);
    const suites = await parse(xml);
    if (!suites || !('testsuite' in suites)) throw new Error('no <testsuites> was read');
    const suite = suites.testsuite?.[0];
    expect(suite).to.include({ name: 'overlay-consul', tests: 15, failures: 3, errors: 1, skipped: 1, time: 13.9 });
    const cases = suite?.testcase ?? [];
    const by = (name: string): (typeof cases)[number] | undefined => cases.find((c) => c.name === name);
    expect(by('ov_net1 and ov_net2 are apart')?.failure?.[0]).to.include({
      type: 'fail.present',
      message: 'present: node2/outsider got 3 of 3 replies from node1/test, though the networks must be apart',
    });
    expect(by('ov_net1 and ov_net2 are apart')?.failure?.[0]?.inner)
      .to.include('control held: node1/test answers node2/test1: 1 of 1 reply')
      .and.include('at scenarios/overlay/consul.yaml:18');
    expect(by('MTU of the overlay is 1450')?.failure?.[0]).to.include({ type: 'inconclusive' });
    expect(by('MTU of the overlay is 1450')?.failure?.[0]?.message).to.match(/^inconclusive: /);
    expect(by('After a restart of node2’s engine the ping works again')?.error?.[0]?.message).to.match(
      /^NETRIG_SSH_LOST/,
    );
    expect(by('IPvlan on the segment')?.skipped).to.deep.equal([
      { message: 'kernel:ipvlan is missing on this machine' },
    ]);
    expect(by('client gets the published page')?.['system-out']?.[0]).to.include(
      '[client] $ curl -sS http://10.10.10.11:8080/   (exit 0, 12 ms)\nit works',
    );
    expect(cases.reduce((sum, c) => sum + (c.time ?? 0), 0)).to.be.closeTo(12.3, 0.1);
  });

  it('junit.xml names every case once, also where titles repeat, and says what befell the lab', async () => {
    const run = buildRun()
      .add(runStart)
      .add(scenarioStart('a', [planned('c01', 'same'), planned('c02', 'same'), planned('c03', 'other')]));
    run
      .add(itemEnd('a', 'c01', passed))
      .add(scenarioEnd('a', { code: 'NETRIG_SSH_LOST', message: 'node1 is gone' }))
      .add(runEnd());
    const xml = junitXml(reduceRun(run.events));
    const suites = await parse(xml);
    if (!suites || !('testsuite' in suites)) throw new Error('no <testsuites> was read');
    const names = suites.testsuite?.flatMap((s) => s.testcase?.map((c) => `${c.classname}/${c.name}`) ?? []) ?? [];
    expect(names).to.deep.equal(['netrig.a/same [c01]', 'netrig.a/same [c02]', 'netrig.a/other', 'netrig.a/lab']);
    expect(suites.testsuite?.[0]).to.include({ tests: 4, errors: 1, skipped: 2 });
  });

  it('junit.xml stays well-formed whatever a lab writes', async () => {
    const model = reduceRun(hostileRun().events);
    const xml = junitXml(model);
    expect(XMLValidator.validate(xml)).to.equal(true);
    expect(xml).to.not.match(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
    const suites = await parse(xml);
    if (!suites || !('testsuite' in suites)) throw new Error('no <testsuites> was read');
    expect(suites.testsuite?.[0]?.testcase?.[1]?.name).to.equal(`]]> & "quotes" 'single' | \`tick\` \ufffd \ufffd`);
  });

  it('junit.xml has no case that output of a lab wrote', async () => {
    const forged =
      ']]> a first end ]]></failure></testcase><testcase classname="netrig.f" name="forged"/><testcase name="z"><failure><![CDATA[';
    const run = buildRun()
      .add(runStart)
      .add(scenarioStart('a', [planned('c01', 'one')]));
    run.add(itemEnd('a', 'c01', failed('wrong-value', forged, { expected: 'x', actual: forged })));
    const xml = junitXml(reduceRun(run.add(scenarioEnd('a')).add(runEnd()).events));
    expect(XMLValidator.validate(xml)).to.equal(true);
    const suites = await parse(xml);
    if (!suites || !('testsuite' in suites)) throw new Error('no <testsuites> was read');
    expect(suites.testsuite?.[0]?.testcase?.map(({ name }) => name)).to.deep.equal(['one']);
  });

  it('junit.xml has no case that output of a lab wrote, whatever the verdict, nor by the words of a lab that broke', async () => {
    const forged = ']]> one end, another ]]><testcase name="forged"/>';
    const outcomes: Outcome[] = [
      { verdict: 'pass', reason: forged },
      failed('wrong-value', forged),
      { verdict: 'fail', cause: 'timeout', reason: forged, level: 'warning' } as Outcome,
      { verdict: 'inconclusive', reason: forged },
      { verdict: 'error', reason: forged },
      { verdict: 'skipped', reason: forged },
    ];
    const items = outcomes.map((_, index) => planned(`c0${index + 1}`, `one of ${index + 1}`));
    const run = buildRun().add(runStart).add(scenarioStart('a', items));
    outcomes.forEach((outcome, index) => {
      const id = items[index]!.id;
      run.add(command('a', id, { command: `echo '${forged}'`, stdout: forged, stderr: forged }));
      run.add(itemEnd('a', id, outcome));
    });
    run.add(scenarioEnd('a', { code: 'NETRIG_LAB_DIED', message: forged })).add(runEnd());
    const xml = junitXml(reduceRun(run.events));
    expect(XMLValidator.validate(xml)).to.equal(true);
    const suites = await parse(xml);
    if (!suites || !('testsuite' in suites)) throw new Error('no <testsuites> was read');
    const names = suites.testsuite?.[0]?.testcase?.map(({ name }) => name);
    expect(names).to.deep.equal([...items.map(({ title }) => title), 'lab']);
    const markup = xml.replace(/<!\[CDATA\[[^]*?\]\]>|="[^"]*"/g, '');
    expect(markup).to.not.contain(']]>');
    expect(markup.match(/<testcase\b/g)).to.have.length(items.length + 1);
  });

  it('allure-results have statuses, causes, times, labels, steps and attachments', async () => {
    overlayRun().save(dir);
    mkdirSync(join(dir, 'artifacts'));
    writeFileSync(join(dir, 'artifacts', 'c10 lan.pcap'), 'not really a capture');
    await writeReports(dir, { formats: ['allure'] });
    const results = allureResults(dir);
    expect(results).to.have.length(15);
    const by = (name: string): AllureResult => results.find((r) => r.name === name) as AllureResult;
    expect(results.map((r) => r.status).sort()).to.deep.equal([
      'broken',
      'broken',
      'failed',
      'failed',
      ...Array<string>(10).fill('passed'),
      'skipped',
    ]);
    const apart = by('ov_net1 and ov_net2 are apart');
    expect(apart.statusDetails.message).to.match(/^present: /);
    expect(apart.stop - apart.start).to.equal(2100);
    expect(apart.start).to.equal(
      Date.parse(reduceRun(overlayRun().events).scenarios[0]?.last.items.find((i) => i.id === 'c08')?.startedAt ?? ''),
    );
    expect(apart.labels)
      .to.deep.include({ name: 'suite', value: 'overlay-consul' })
      .and.deep.include({ name: 'cause', value: 'present' });
    expect(apart.steps.map((s) => s.name)).to.deep.equal([
      'node2: nsenter -t 901 -n ping -n -c 3 -W 2 10.0.1.2',
      'control: node2/outsider pings its own gateway: 1 of 1 reply',
      'control: node1/test answers node2/test1: 1 of 1 reply',
    ]);
    expect((apart.steps[0]?.stop ?? 0) - (apart.steps[0]?.start ?? 0)).to.equal(2050);
    const transcript = readFileSync(join(dir, 'allure-results', apart.steps[0]?.attachments[0]?.source ?? ''), 'utf8');
    expect(transcript).to.include('3 packets transmitted, 3 received');
    expect(by('MTU of the overlay is 1450').statusDetails.message).to.match(/^inconclusive: /);
    const capture = by('The traffic is VXLAN on UDP 4789').attachments.find((a) => a.name !== 'table');
    expect(capture?.name).to.equal('capture on lan');
    expect(readFileSync(join(dir, 'allure-results', capture?.source ?? ''), 'utf8')).to.equal('not really a capture');
    expect(readFileSync(join(dir, 'allure-results', 'environment.properties'), 'utf8')).to.include('kernel=6.18.0');
    const containers = readdirSync(join(dir, 'allure-results')).filter((name) => name.endsWith('-container.json'));
    expect(containers.map((name) => readFileSync(join(dir, 'allure-results', name), 'utf8')).join()).to.include(
      'boot: 3 hosts are up',
    );
  });

  it('allure takes earlier attempts as retries of the same test', async () => {
    const run = buildRun().add(runStart);
    for (const outcome of [failed('timeout', 'no reply'), passed]) {
      run
        .add(scenarioStart('a', [planned('c01', 'x')]))
        .add(itemStart('a', 'c01'))
        .wait(50)
        .add(itemEnd('a', 'c01', outcome))
        .add(scenarioEnd('a'));
    }
    run.add(runEnd()).save(dir);
    await writeReports(dir, { formats: ['allure'] });
    const results = allureResults(dir);
    expect(results.map((r) => r.status)).to.deep.equal(['failed', 'passed']);
    expect(results[0]?.historyId).to.equal(results[1]?.historyId);
    expect(results[1]?.statusDetails.flaky).to.equal(true);
  });

  it('an attachment outside of the run’s directory is not copied', async () => {
    const secret = join(dir, 'secret');
    writeFileSync(secret, 'secret');
    const runDir = join(dir, 'run');
    const attachments = [{ title: 'x', file: '../secret', mime: 'text/plain' }];
    buildRun()
      .add(runStart)
      .add(scenarioStart('a', [planned('c01', 'x')]))
      .add(itemEnd('a', 'c01', { ...passed, attachments }))
      .add(scenarioEnd('a'))
      .add(runEnd())
      .save(runDir);
    const written = await writeReports(runDir, { formats: ['allure'] });
    expect(written.failures).to.deep.equal([]);
    expect(allureResults(runDir)[0]?.attachments).to.deep.equal([]);
  });

  it('summary.md names findings and skip reasons, and nothing in it becomes markup', () => {
    const text = summaryMarkdown(reduceRun(overlayRun().events));
    expect(text).to.match(/^## 💥 2 failed, 1 error, 1 inconclusive\n/);
    expect(text)
      .to.include('15 planned, 15 reported')
      .and.include('- 1: kernel:ipvlan is missing')
      .and.include('`scenarios/overlay/consul.yaml:18`');
    const hostile = summaryMarkdown(reduceRun(hostileRun().events));
    // Outside of code spans no angle bracket may be left.
    expect(hostile.replace(/(`+)[^`].*?\1/g, '')).to.not.match(/<(?!U)/);
  });

  it('index.html says each verdict without scripts and carries a policy against anything foreign', () => {
    const page = htmlPage(reduceRun(overlayRun().events));
    expect(page).to.match(
      /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-/,
    );
    expect(page).to.not.match(/(?:src|href)="(?:https?:)?\/\//);
    expect(page).to.not.match(/ style="| on[a-z]+="/);
    expect(page.match(/<li id="i0-\d+" class="(?:pass|fail|inconclusive|error|skipped) /g)).to.have.length(15);
  });

  it('index.html of a hostile lab has no element that netrig did not write', () => {
    const page = htmlPage(reduceRun(hostileRun().events));
    expect(page.match(/<script/g)).to.have.length(2);
    expect(page).to.not.include('<img').and.not.include('<b>bold').and.not.include('onload=alert(1)>"');
  });

  it('index.html of thousands of items stays within its budget', () => {
    const model = reduceRun(largeRun(2000, 4).events);
    for (const item of model.scenarios.flatMap((s) => s.last.items))
      for (const t of item.transcripts) t.stdout = 'x'.repeat(15_000);
    const page = htmlPage(model);
    expect(page.length).to.be.lessThan(16_000_000);
    expect(page).to.include('left out of this page for its size');
  });

  it('draws all hosts, segments, addresses, containers and spanning networks', () => {
    const scenario = reduceRun(overlayRun().events).scenarios[0];
    if (!scenario) throw new Error('the fixture has no scenario');
    const svg = topologySvg(scenario.topology, scenario.last.engines, 't');
    expect(XMLValidator.validate(svg)).to.equal(true);
    for (const text of [
      'node1',
      'node2',
      'client',
      'lan',
      '10.10.10.0/24',
      '192.0.2.0/24 · MTU 1400',
      '10.10.10.11/24',
      'eth1',
      'outsider',
      'ov_net2 10.0.2.2',
      'overlay 10.0.1.0/24',
    ])
      expect(svg).to.include(`>${text}<`);
    expect(svg.match(/class="bus n\d overlay"/g)).to.have.length(2);
    expect(svg).to.not.include('docker_gwbridge');
    expect(topologySvg({ hosts: [], segments: [] }, [], 't')).to.equal('');
  });

  for (const [hosts, segments, containers] of [
    [2, 1, 0],
    [8, 2, 3],
    [24, 1, 0],
    [24, 3, 1],
    [24, 4, 8],
  ] as const) {
    it(`draws ${hosts} hosts on ${segments} segments with ${containers} containers each: no box over another, none outside`, () => {
      const scenario = reduceRun(wideRun(hosts, segments, containers).events).scenarios[0];
      if (!scenario) throw new Error('the fixture has no scenario');
      const svg = topologySvg(scenario.topology, scenario.last.engines, 't');
      const [, width = 0, height = 0] = (/width="(\d+)" height="(\d+)"/.exec(svg) ?? []).map(Number);
      const parsed = new XMLParser({ ignoreAttributes: false }).parse(svg) as {
        svg: { g: { '@_class': string; rect: Record<string, string> | Record<string, string>[] }[] };
      };
      const boxes = parsed.svg.g
        .filter((g) => g['@_class'] === 'host')
        .map((g) => (Array.isArray(g.rect) ? g.rect[0] : g.rect) ?? {})
        .map((r) => ({ x: Number(r['@_x']), y: Number(r['@_y']), w: Number(r['@_width']), h: Number(r['@_height']) }));
      expect(boxes).to.have.length(hosts);
      for (const [i, a] of boxes.entries()) {
        expect(a.x + a.w).to.be.at.most(width);
        expect(a.y + a.h).to.be.at.most(height);
        for (const b of boxes.slice(i + 1))
          expect(
            a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y,
            'boxes overlap',
          ).to.equal(true);
      }
      expect(width).to.be.lessThan(1300);
    });
  }
});
