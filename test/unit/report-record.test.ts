import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ErrorCode } from '../../src/errors.js';
import type { RunEvent } from '../../src/model/events.js';
import { htmlPage } from '../../src/report/html.js';
import { reduceRun } from '../../src/report/model.js';
import { loadRun, writeReports } from '../../src/report/reports.js';
import { createRunDir } from '../../src/report/run-dir.js';
import { truncate, wrap } from '../../src/report/terminal-text.js';
import { openEventLog } from '../../src/run/event-log.js';
import { eventOf } from '../../src/run/event-shape.js';
import { maskedSign, maskOf } from '../../src/run/mask.js';
import {
  buildRun,
  command,
  hostileRun,
  itemEnd,
  overlayRun,
  passed,
  planned,
  runEnd,
  runStart,
  scenarioEnd,
  scenarioStart,
} from '../fixtures/runs/builder.js';

const good = [runStart, scenarioStart('a', [planned('c01', 'first')])] as const;

describe('report: what a record may lack', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-record-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('a run that lost events is never green: the record says so itself', () => {
    const run = buildRun().add(good[0]).add(good[1]).add({ type: 'lost', events: 2 });
    const model = reduceRun(
      run
        .add(itemEnd('a', 'c01', passed))
        .add(scenarioEnd('a'))
        .add(runEnd()).events,
    );
    expect(model.totals.pass).to.equal(1);
    expect(model.problems).to.deep.equal([
      {
        code: 'NETRIG_REPORT_WRITE',
        message: '2 events could not be written to the record and are missing from it',
      },
    ]);
    expect(model.exitCode).to.equal(3);
  });

  it('lines that are events by their type alone are refused at the door', async () => {
    const run = buildRun().add(good[0]).add(good[1]);
    run
      .add(itemEnd('a', 'c01', passed))
      .add(scenarioEnd('a'))
      .add(runEnd());
    run.save(dir);
    const forged = [
      { type: 'log', scenario: 'a', level: '</b><h1 id=injected>', text: 'x' },
      { type: 'log', scenario: null, level: '<img src=https://evil/>', text: 'x' },
      {
        type: 'item:end',
        scenario: 'a',
        item: 'c01',
        outcome: { verdict: 'green', reason: '' },
        attempts: 1,
        durationMs: 1,
      },
      { type: 'item:end', scenario: 'a', item: 'c01', outcome: null, attempts: 1, durationMs: 1 },
      { type: 'phase', scenario: 'a', phase: 'boot', state: 'start', text: 3 },
      { type: 'scenario:start', scenario: 'b' },
      { type: '__proto__' },
      { type: 'log', scenario: null, level: 'info', text: 'x', t: 'yesterday' },
    ];
    for (const body of forged)
      appendFileSync(
        join(dir, 'run.jsonl'),
        `${JSON.stringify({ v: 1, t: '2026-01-01T00:00:00.000Z', pid: 1, ...body })}\n`,
      );
    const model = await loadRun(dir);
    expect(model.problems.map((problem) => problem.message)).to.deep.equal([
      `${forged.length} line(s) of the record are torn and were left out`,
    ]);
    expect(model.exitCode).to.equal(3);
    expect(model.logs).to.deep.equal([]);
  });

  it('takes every event of the runs that the other tests use, with fields of later versions', () => {
    for (const run of [overlayRun(), hostileRun()])
      for (const event of run.events) {
        expect(eventOf(event), event.type).to.equal(event);
        const later = { ...event, later: 'field' };
        expect(eventOf(later)).to.equal(later);
      }
  });

  it('a page made from unchecked events has no markup of theirs either', () => {
    const run = buildRun().add(good[0]).add(good[1]);
    const forged = (scenario: string | null, level: string): RunEvent =>
      ({ v: 1, t: '2026-01-01T00:00:00.000Z', pid: 1, type: 'log', scenario, level, text: 'x' }) as unknown as RunEvent;
    const page = htmlPage(
      reduceRun([...run.events, forged('a', '</b><h1 id=injected>'), forged(null, '<img src=https://evil/>')]),
    );
    expect(page).to.not.include('<h1 id=injected>');
    expect(page).to.not.include('<img');
  });

  it('is its owner’s alone, with all that is made of it', async () => {
    const made = await createRunDir(dir);
    const log = openEventLog(made.dir);
    for (const { v: _v, t: _t, pid: _pid, ...event } of overlayRun().events) log.emit(event);
    log.close();
    const { files } = await writeReports(made.dir, {
      formats: ['results', 'junit', 'html', 'summary', 'code-quality'],
    });
    expect(files).to.have.length(5);
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect(mode(made.dir)).to.equal('700');
    for (const file of ['run.jsonl', ...files]) expect(mode(join(made.dir, file)), file).to.equal('600');
  });
});

describe('report: a check that was tried thousands of times', () => {
  it('keeps the output of its first and its last commands, and the names of all', () => {
    const run = buildRun().add(good[0]).add(good[1]);
    for (let n = 0; n < 100; n += 1)
      run.add(command('a', 'c01', { command: `try ${n}`, stdout: `${n} `.repeat(100_000) }));
    run
      .add(itemEnd('a', 'c01', passed))
      .add(scenarioEnd('a'))
      .add(runEnd());
    const { transcripts } = reduceRun(run.events).scenarios[0]!.last.items[0]!;
    expect(transcripts.map((one) => one.command)).to.deep.equal(Array.from({ length: 100 }, (_, n) => `try ${n}`));
    const withOutput = transcripts.flatMap((one, n) => (one.stdout === '' ? [] : [n]));
    expect(withOutput[0]).to.equal(0);
    expect(withOutput.slice(1)).to.deep.equal(
      Array.from({ length: withOutput.length - 1 }, (_, n) => 100 - withOutput.length + 1 + n),
    );
    expect(transcripts.reduce((sum, one) => sum + one.stdout.length, 0)).to.be.at.most(8_000_000);
    expect(transcripts[1]!.stdoutBytes).to.be.greaterThan(0);
  });
});

describe('report: exit status of a lab that could not come up', () => {
  const table: { code: ErrorCode; exit: number }[] = [
    { code: 'NETRIG_INVENTORY', exit: 2 },
    { code: 'NETRIG_BOX_MISSING', exit: 2 },
    { code: 'NETRIG_USAGE', exit: 2 },
    { code: 'NETRIG_SEGMENT', exit: 3 },
    { code: 'NETRIG_INTERNAL', exit: 3 },
  ];
  const broken = (scenario: string, code: string) => [
    scenarioStart(scenario, [planned('c01', 'first')]),
    itemEnd(scenario, 'c01', { verdict: 'error', reason: `does not fit (${code})` }, 0, 0),
    scenarioEnd(scenario, { code, message: 'does not fit' }),
  ];
  const exitOf = (...events: ReturnType<typeof broken>): number => {
    const run = buildRun().add(runStart);
    for (const event of events) run.add(event);
    return reduceRun(run.add(runEnd()).events).exitCode;
  };
  for (const { code, exit } of table) it(`${code}: ${exit}`, () => expect(exitOf(...broken('a', code))).to.equal(exit));

  it('a misuse of one lab does not hide what broke in another', () => {
    expect(exitOf(...broken('a', 'NETRIG_INVENTORY'), ...broken('b', 'NETRIG_SEGMENT'))).to.equal(3);
    const unexplained = [
      scenarioStart('b', [planned('c01', 'first')]),
      itemEnd('b', 'c01', { verdict: 'error', reason: 'lost' }),
      scenarioEnd('b'),
    ];
    expect(exitOf(...broken('a', 'NETRIG_INVENTORY'), ...unexplained)).to.equal(3);
  });
});

describe('report: secrets', () => {
  const secret = 'it\'s "hush", 50%';

  it('are masked in every text, however they are spelled there', () => {
    const mask = maskOf([secret, 'line one\nline two', 'abc']);
    const spelled = [
      secret,
      `'it'\\''s "hush", 50%'`,
      JSON.stringify(secret),
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64'),
      'line two',
    ];
    for (const text of spelled) {
      const { reason } = mask({ reason: `before ${text} after` });
      expect(reason).to.match(new RegExp(`^before "?${maskedSign}"? after$`));
    }
    expect(mask({ a: ['abc'] }), 'too short to be masked').to.deep.equal({ a: ['abc'] });
  });

  it('never cost an event its shape, even where one is a word of the record', () => {
    const mask = maskOf(['pass', 'item:end', 'c01', 'first']);
    const [event] = buildRun().add(itemEnd('a', 'c01', { verdict: 'pass', reason: 'the first pass' })).events;
    const masked = mask(event!);
    expect(eventOf(masked)).to.equal(masked);
    expect(masked).to.deep.include({
      type: 'item:end',
      item: 'c01',
      outcome: { verdict: 'pass', reason: `the ${maskedSign} ${maskedSign}` },
    });
  });

  it('do not get into the record nor into any report', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'netrig-secrets-'));
    try {
      const log = openEventLog(dir);
      log.hide(['hunter2-hunter2']);
      for (const event of [
        ...good,
        command('a', 'c01', {
          command: 'login -p hunter2-hunter2',
          stdout: 'hunter2-hunter2\n',
          stderr: 'hunter2-hunter2',
        }),
        itemEnd('a', 'c01', {
          verdict: 'fail',
          cause: 'wrong-value',
          reason: 'it says hunter2-hunter2',
          actual: 'hunter2-hunter2',
        }),
        scenarioEnd('a'),
        runEnd(),
      ])
        log.emit(event);
      expect(log.close()).to.equal(null);
      const { files, failures } = await writeReports(dir, {
        formats: ['results', 'junit', 'code-quality', 'summary', 'html'],
      });
      expect(failures).to.deep.equal([]);
      for (const file of ['run.jsonl', ...files])
        expect(readFileSync(join(dir, file), 'utf8'), file).to.not.include('hunter2');
      expect(readFileSync(join(dir, 'run.jsonl'), 'utf8')).to.include(maskedSign);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('report: long lines on a terminal', () => {
  /** The longest text that was taken apart by graphemes meanwhile: that is what costs time. */
  function longestSegmented(during: () => void): number {
    const { segment } = Intl.Segmenter.prototype;
    let longest = 0;
    Intl.Segmenter.prototype.segment = function count(text: string) {
      longest = Math.max(longest, text.length);
      return segment.call(this, text);
    };
    try {
      during();
    } finally {
      Intl.Segmenter.prototype.segment = segment;
    }
    return longest;
  }

  for (const [what, sign] of [
    ['wide signs', '字'],
    ['pairs of surrogates', '🦭'],
    ['plain signs after one that is not', 'x'],
  ] as const) {
    it(`are cut before they are taken apart: ${what}`, () => {
      const text = `é${sign.repeat(200_000)}`;
      let cut = '';
      let lines: string[] = [];
      expect(longestSegmented(() => (cut = truncate(text, 80)))).to.be.lessThan(5000);
      expect(cut).to.match(/^é.+…$/u);
      expect(!/[\ud800-\udbff](?![\udc00-\udfff])/.test(cut)).to.equal(true);
      expect(longestSegmented(() => (lines = wrap(text, 80)))).to.be.lessThan(10_000);
      expect(lines).to.have.length(60);
      expect(lines.at(-1)).to.match(/…$/);
    });
  }

  it('keep all of a text that fits', () => {
    const words = Array.from({ length: 300 }, (_, index) => `word${index}`).join(' ');
    expect(wrap(words, 80).join(' ')).to.equal(words);
  });
});

describe('report: the disk is full for a while', () => {
  it('what could not be written is an event once there is room again', () => {
    const dir = mkdtempSync(join(tmpdir(), 'netrig-full-'));
    try {
      const log = openEventLog(dir, { warn: () => undefined });
      log.emit(runStart);
      // A value that JSON cannot hold stands for a write that fails: both are errors of the same append.
      log.emit({ type: 'log', scenario: null, level: 'info', text: 1n as unknown as string });
      log.emit(runEnd());
      expect(log.close()?.code).to.equal('NETRIG_REPORT_WRITE');
      const types = readFileSync(join(dir, 'run.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as RunEvent).type);
      expect(types).to.deep.equal(['run:start', 'lost', 'run:end']);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('also where nothing is written after it but the end of the record', () => {
    const dir = mkdtempSync(join(tmpdir(), 'netrig-full-'));
    try {
      const log = openEventLog(dir, { warn: () => undefined });
      log.emit({ type: 'log', scenario: null, level: 'info', text: 1n as unknown as string });
      log.close();
      expect(readFileSync(join(dir, 'run.jsonl'), 'utf8')).to.match(/"type":"lost","events":1/);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
