import { expect } from 'chai';
import { createConsoleReporter, wantsColour } from '../../src/report/console.js';
import { reduceRun } from '../../src/report/model.js';
import { junitXml } from '../../src/report/junit.js';
import { summaryMarkdown } from '../../src/report/summary.js';
import { displayWidth, lastLines, neutralise, truncate, wrap } from '../../src/report/terminal-text.js';
import {
  hostileRun,
  itemEnd,
  itemStart,
  largeRun,
  overlayRun,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  buildRun,
  scenarioStart,
  type RunBuilder,
} from '../fixtures/runs/builder.js';

function tell(
  run: RunBuilder,
  options: { tty?: boolean; env?: NodeJS.ProcessEnv; columns?: number; quiet?: boolean } = {},
): string {
  let text = '';
  let clock = 0;
  const reporter = createConsoleReporter({
    stream: { write: (chunk) => void (text += chunk), isTTY: options.tty ?? false, columns: options.columns ?? 80 },
    env: options.env ?? {},
    now: () => clock,
    quiet: options.quiet ?? false,
  });
  for (const event of run.events) {
    clock = Date.parse(event.t);
    reporter.onEvent(event);
  }
  reporter.finish(reduceRun(run.events), { dir: 'reports/r1', files: ['index.html'], notes: [] });
  return text;
}

/** What a terminal shows in the end: the few sequences that the reporter uses, played. */
function screen(text: string, columns = 80): string[] {
  const rows: string[] = [''];
  let row = 0;
  for (const [, control, up, plain] of text.matchAll(/(\u001b\[(?:(\d+)A|J|[\d;]*m)|\r|\n)|([^\u001b\r\n]+)/g)) {
    if (plain !== undefined) rows[row] = (rows[row] ?? '') + plain;
    else if (control === '\n') rows[++row] ??= '';
    else if (up !== undefined) row -= Number(up);
    else if (control === '\r') rows[row] = '';
    else if (control === '\u001b[J') rows.length = row + 1;
    if (row < 0) throw new Error('the cursor left the screen');
    if (plain !== undefined && /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(plain))
      expect(displayWidth(rows[row] ?? '')).to.be.lessThan(columns);
  }
  return rows;
}

describe('report: the console', () => {
  it('writes plain lines with the time, and no control sequence, where there is no terminal', () => {
    const text = tell(overlayRun());
    expect(text).to.not.match(/[\u0000-\u0008\u000b-\u001f\u007f]/);
    expect(text).to.include('10:11:15   ✓ A Consul server on node1  1.6 s\n');
    expect(text).to.include('15 planned, 15 reported: 10 passed, 2 failed, 1 inconclusive, 1 error, 1 skipped');
    expect(text).to.include('1 skipped: kernel:ipvlan is missing on this machine');
    expect(text).to.include('Reports: reports/r1');
  });

  it('tells of each finding its cause, reason, controls, place and the last output', () => {
    const text = tell(overlayRun());
    for (const part of [
      'overlay-consul › ov_net1 and ov_net2 are apart',
      'scenarios/overlay/consul.yaml:18',
      'fail, present: node2/outsider got 3 of 3 replies',
      'expected: no reply (timeout or host-unreachable)',
      'control held: node1/test answers node2/test1: 1 of 1 reply',
      'control failed: node1/test is running: exited (137)',
      '3 packets transmitted, 3 received, 0% packet loss',
      'node1 $ docker inspect test  (timed out, 5.0 s)',
    ]) {
      expect(text).to.include(part);
    }
  });

  it('leaves on a terminal the same lines and no rest of the live part', () => {
    const rows = screen(tell(overlayRun(), { tty: true }));
    expect(rows.filter((row) => /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(row))).to.deep.equal([]);
    expect(rows).to.include('  ✓ A Consul server on node1  1.6 s');
    const titles = overlayRun().events.flatMap((e) =>
      e.type === 'scenario:start' ? e.planned.map((p) => p.title) : [],
    );
    for (const title of titles)
      expect(
        rows.filter((row) => new RegExp(`^ {2}[✓✗?!-] ${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`).test(row)),
      ).to.have.length(1);
  });

  it('does not garble scenarios that run at once', () => {
    const rows = screen(tell(largeRun(60, 10), { tty: true }));
    for (let n = 1; n <= 10; n += 1) {
      const id = `bulk-${String(n).padStart(2, '0')}`;
      expect(rows.filter((row) => row.startsWith(`${id} │ ✓`))).to.have.length(6);
    }
  });

  it('shows boot progress, and never a status line wider than the terminal', () => {
    let text = '';
    const run = buildRun().add(runStart);
    const hosts = ['a', 'b', 'c'].map((name) => ({ name, image: 'debian-12', init: 'light', interfaces: [] }));
    run.add(scenarioStart('字'.repeat(60), [planned('c01', '界'.repeat(90))], { topology: { hosts, segments: [] } }));
    run.add({ type: 'phase', scenario: '字'.repeat(60), phase: 'boot', state: 'start', text: 'booting' });
    for (const { name } of hosts)
      run.add({ type: 'phase', scenario: '字'.repeat(60), phase: 'boot', state: 'start', host: name, text: name });
    run.add({
      type: 'phase',
      scenario: '字'.repeat(60),
      phase: 'boot',
      state: 'end',
      host: 'a',
      text: 'a',
      durationMs: 5,
    });
    run.add({ type: 'log', scenario: null, level: 'info', text: 'x' });
    run.add(itemStart('字'.repeat(60), 'c01')).add({ type: 'log', scenario: null, level: 'info', text: 'y' });
    const reporter = createConsoleReporter({
      stream: { write: (chunk) => void (text += chunk), isTTY: true, columns: 60 },
      env: {},
      now: () => Date.parse('2026-11-04T10:11:13.000Z'),
    });
    for (const event of run.events) reporter.onEvent(event);
    reporter.stop();
    expect(text).to.match(/booting 1\/3 hosts/);
    screen(text, 60);
  });

  const measuring = (): RunBuilder => {
    const gap = { name: 'longest gap', value: 3012, unit: 'ms' as const, judged: true as const };
    const lost = { name: 'lost', value: 60, unit: 'count' as const };
    return buildRun()
      .add(runStart)
      .add(scenarioStart('cable', [planned('c01', 'A pulled cable costs little'), planned('c02', 'They meet')]))
      .add(itemEnd('cable', 'c01', { verdict: 'pass', reason: 'b did not answer a', measures: [gap, lost] }, 5400))
      .add(itemEnd('cable', 'c02', { verdict: 'pass', reason: 'b answered a', measures: [lost] }, 40))
      .add(scenarioEnd('cable'))
      .add(runEnd());
  };

  it('says what was measured beside a pass, where a check is about a figure', () => {
    expect(tell(measuring())).to.match(
      /✓ A pulled cable costs little: longest gap 3\.0 s {2}5\.4 s\n.*✓ They meet {2}40 ms\n/,
    );
    const model = reduceRun(measuring().events);
    expect(summaryMarkdown(model)).to.match(
      /### Measured\n\n- `cable` A pulled cable costs little: longest gap 3\.0 s\n$/,
    );
    expect(junitXml(model)).to.match(/<system-out>[^]*b did not answer a\nlongest gap 3\.0 s, lost 60/);
    expect(summaryMarkdown(reduceRun(overlayRun().events))).not.to.include('Measured');
  });

  it('neutralises what a lab host or a scenario writes', () => {
    for (const tty of [true, false]) {
      const text = tell(hostileRun(), { tty });
      const left = text.replace(/\u001b\[(?:\d+A|J|[\d;]*m)|\r\u001b\[J|[\r\n]/g, '');
      expect(left).to.not.match(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
      expect(text).to.not.include('owned');
    }
  });

  it('keeps quiet about what passed when asked to', () => {
    const text = tell(overlayRun(), { quiet: true });
    expect(text).to.not.include('✓ A Consul server');
    expect(text).to.include('✗ ov_net1 and ov_net2 are apart');
    expect(text).to.include('15 planned, 15 reported');
  });

  it('colours as NO_COLOR, FORCE_COLOR and the stream say', () => {
    expect(wantsColour({}, true)).to.equal(true);
    expect(wantsColour({}, false)).to.equal(false);
    expect(wantsColour({ NO_COLOR: '1' }, true)).to.equal(false);
    expect(wantsColour({ NO_COLOR: '1', FORCE_COLOR: '1' }, true)).to.equal(false);
    expect(wantsColour({ NO_COLOR: '' }, true)).to.equal(true);
    expect(wantsColour({ FORCE_COLOR: '1' }, false)).to.equal(true);
    expect(wantsColour({ FORCE_COLOR: '0' }, true)).to.equal(false);
    expect(wantsColour({ TERM: 'dumb' }, true)).to.equal(false);
    expect(tell(overlayRun(), { tty: true, env: { NO_COLOR: '1' } })).to.not.match(/\u001b\[\d+m/);
    expect(tell(overlayRun(), { env: { FORCE_COLOR: '1' } })).to.match(/\u001b\[31m/);
  });
});

describe('report: text for terminals', () => {
  it('makes control characters visible or drops them', () => {
    expect(neutralise('a\u001b[1;31mb\u001b[0m\u0008\u001bXc\u0007\r\nd\u0000\te')).to.equal('ab␈␛Xc␇\nd␀\te');
    expect(neutralise('\u001b]0;title\u0007x\u001b]8;;http://a/\u001b\\y\u009b2J\u001b(B\u001b[')).to.equal('xy␛[');
    expect(neutralise('x\u202ey')).to.equal('x<U+202E>y');
    expect(neutralise('a\rb')).to.equal('a␍b');
  });

  it('measures, cuts and wraps by columns', () => {
    expect(displayWidth('ab字é')).to.equal(5);
    expect(displayWidth('e\u0301')).to.equal(1);
    expect(truncate('字字字', 5)).to.equal('字字…');
    expect(truncate('short', 5)).to.equal('short');
    expect(wrap('one two three four', 10)).to.deep.equal(['one two', 'three four']);
    expect(wrap(`${'x'.repeat(25)} y`, 10)).to.deep.equal(['x'.repeat(10), 'x'.repeat(10), 'xxxxx y']);
  });

  it('takes the last lines that hold something', () => {
    expect(lastLines('10%\r50%\r100%\ndone\n\n', 2)).to.deep.equal(['100%', 'done']);
  });
});

describe('report/terminal-text: lastLines', () => {
  it('shows text as it is, and says of anything else that it is no text', () => {
    expect(lastLines('one\n\ntwo\rthree\n', 2)).to.deep.equal(['two', 'three']);
    expect(lastLines('\u00d4\u00c3\u00b2\u00a1\0\u0002\0', 6)).to.deep.equal(['(output that is no text)']);
    expect(lastLines('\ufffd\ufffd\ufffd\ufffdabc', 6)).to.deep.equal(['(output that is no text)']);
    expect(lastLines('a name with one \ufffd in a long line of otherwise plain text', 6)).to.have.length(1);
    expect(lastLines('', 6)).to.deep.equal([]);
  });
});
