import { fork } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import type { RunEvent } from '../../src/model/events.js';
import { createRunDir } from '../../src/report/run-dir.js';
import { loadRun } from '../../src/report/reports.js';
import { followEvents, openEventLog, readEvents, type BrokenLine } from '../../src/run/event-log.js';
import { overlayRun, runEnd, runStart } from '../fixtures/runs/builder.js';

async function all(file: string): Promise<{ events: RunEvent[]; broken: BrokenLine[] }> {
  const events: RunEvent[] = [];
  const broken: BrokenLine[] = [];
  for await (const event of readEvents(file, (line) => broken.push(line))) events.push(event);
  return { events, broken };
}

describe('report: the record of a run', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-log-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('writes an event a line with version, time and pid, and reads it back', async () => {
    const log = openEventLog(join(dir, 'new', 'run'));
    log.emit(runStart);
    log.emit({ type: 'log', scenario: null, level: 'info', text: 'zwei\nZeilen ünd 字' });
    expect(log.close()).to.equal(null);
    const { events, broken } = await all(join(dir, 'new', 'run', 'run.jsonl'));
    expect(broken).to.deep.equal([]);
    expect(events.map((e) => e.type)).to.deep.equal(['run:start', 'log']);
    expect(events[1]).to.include({ v: 1, pid: process.pid, text: 'zwei\nZeilen ünd 字' });
    expect(Date.parse(events[0]?.t ?? '')).to.be.closeTo(Date.now(), 10_000);
  });

  it('keeps lines of several processes whole', async function () {
    this.timeout(20_000);
    const writer = join(dir, 'writer.mjs');
    const module = new URL('../../src/run/event-log.js', import.meta.url).href;
    writeFileSync(
      writer,
      `import { openEventLog } from ${JSON.stringify(module)};
       const log = openEventLog(process.argv[2]);
       for (let i = 0; i < 200; i += 1) log.emit({ type: 'log', scenario: null, level: 'info', text: i + ' ' + 'x'.repeat(20000) });
       process.exitCode = log.close() ? 1 : 0;`,
    );
    const children = [1, 2, 3].map(() => fork(writer, [dir], { stdio: 'ignore' }));
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as number));
    expect(codes).to.deep.equal([0, 0, 0]);
    const { events, broken } = await all(join(dir, 'run.jsonl'));
    expect(broken).to.deep.equal([]);
    expect(events).to.have.length(600);
    for (const child of children) {
      const own = events.filter((e) => e.pid === child.pid).map((e) => (e.type === 'log' ? parseInt(e.text, 10) : -1));
      expect(own).to.deep.equal(Array.from({ length: 200 }, (_, i) => i));
    }
  });

  it('warns once when the disk is full, never throws, and close says so', function () {
    if (!existsSync('/dev/full')) this.skip();
    symlinkSync('/dev/full', join(dir, 'run.jsonl'));
    const warnings: string[] = [];
    const log = openEventLog(dir, { warn: (text) => warnings.push(text) });
    for (let i = 0; i < 3; i += 1) log.emit(runStart);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.match(/run\.jsonl cannot be written: .*no space left/i);
    expect(log.lost).to.equal(3);
    const failure = log.close();
    expect(isNetrigError(failure, 'NETRIG_REPORT_WRITE')).to.equal(true);
    expect(failure?.exit).to.equal(3);
    log.emit(runStart);
    expect(log.lost).to.equal(4);
  });

  it('a warning that cannot be given does not throw either', function () {
    if (!existsSync('/dev/full')) this.skip();
    symlinkSync('/dev/full', join(dir, 'run.jsonl'));
    const log = openEventLog(dir, {
      warn: () => {
        throw new Error('stderr is gone');
      },
    });
    log.emit(runStart);
    expect(log.close()).to.not.equal(null);
  });

  it('refuses a place where no file can be', () => {
    writeFileSync(join(dir, 'plain'), '');
    expect(() => openEventLog(join(dir, 'plain', 'run')))
      .to.throw()
      .with.property('code', 'NETRIG_REPORT_WRITE');
  });

  it('leaves out a torn last line, and the model says so', async () => {
    overlayRun().save(dir, '{"v":1,"t":"2026-11-04T10:11:30.000Z","pid":100,"type":"item:e');
    const { events, broken } = await all(join(dir, 'run.jsonl'));
    expect(events).to.have.length(overlayRun().events.length);
    expect(broken.map(({ torn, line }) => ({ torn, line }))).to.deep.equal([{ torn: true, line: events.length + 1 }]);
    const model = await loadRun(dir);
    expect(model.problems.map((p) => p.message).join()).to.include('1 line(s) of the record are torn');
  });

  it('takes a last line that only lacks its newline', async () => {
    const { events } = overlayRun();
    writeFileSync(join(dir, 'run.jsonl'), events.map((e) => JSON.stringify(e)).join('\n'));
    expect((await all(join(dir, 'run.jsonl'))).events).to.deep.equal(events);
  });

  it('skips lines that are no event and says which', async () => {
    const good = JSON.stringify(overlayRun().events[0]);
    const lines = [
      good,
      'null',
      '[]',
      '{"v":2,"t":"x","pid":1,"type":"log"}',
      '{"v":1,"t":"x","pid":1,"type":"surprise"}',
      Buffer.from([0xff, 0xfe]).toString('latin1'),
      good,
    ];
    writeFileSync(join(dir, 'run.jsonl'), `${lines.join('\n')}\n`);
    const { events, broken } = await all(join(dir, 'run.jsonl'));
    expect(events).to.have.length(2);
    expect(broken.map((b) => b.line)).to.deep.equal([2, 3, 4, 5, 6]);
    expect(broken.some((b) => b.torn)).to.equal(false);
  });

  it('says which record is missing', async () => {
    let caught: unknown;
    try {
      await all(join(dir, 'run.jsonl'));
    } catch (error) {
      caught = error;
    }
    expect(isNetrigError(caught, 'NETRIG_RUN_UNKNOWN')).to.equal(true);
  });

  it('follows a record that appears later and grows in pieces, each event once and in order', async function () {
    this.timeout(10_000);
    const file = join(dir, 'run.jsonl');
    const stop = new AbortController();
    const texts: string[] = [];
    const following = followEvents(
      file,
      (event) => {
        if (event.type === 'log') texts.push(event.text);
      },
      stop.signal,
    );
    const line = (text: string): Buffer =>
      Buffer.from(
        `${JSON.stringify({ v: 1, t: '2026-01-01T00:00:00.000Z', pid: 1, type: 'log', scenario: null, level: 'info', text })}\n`,
      );
    const until = async (count: number): Promise<void> => {
      const deadline = Date.now() + 5000;
      while (texts.length < count) {
        if (Date.now() > deadline) throw new Error(`only ${texts.length} of ${count} events came within 5 s`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    writeFileSync(file, line('one'));
    await until(1);
    const two = line('zwei ü');
    const cut = two.indexOf(0xc3) + 1;
    appendFileSync(file, two.subarray(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(texts).to.deep.equal(['one']);
    appendFileSync(file, two.subarray(cut));
    await until(2);
    appendFileSync(file, Buffer.concat([line('three'), line('x'.repeat(200_000))]));
    stop.abort();
    await following;
    expect(texts.map((t) => t.slice(0, 6))).to.deep.equal(['one', 'zwei ü', 'three', 'xxxxxx']);
  });

  it('names run directories so that they sort by time, and points latest to the last one', async () => {
    const base = join(dir, 'reports');
    const first = await createRunDir(base, new Date('2026-11-04T10:11:12.345Z'));
    const second = await createRunDir(base, new Date('2026-11-04T10:11:12.346Z'));
    expect(first.id).to.match(/^20261104T101112\.345Z-[0-9a-f]{4}$/);
    expect([second.id, first.id].sort()).to.deep.equal([first.id, second.id]);
    expect(readlinkSync(join(base, 'latest'))).to.equal(second.id);
    expect(second.latest).to.equal(join(base, 'latest'));
  });

  it('twenty runs at once leave one whole link and nothing else', async () => {
    const base = join(dir, 'reports');
    const runs = await Promise.all(Array.from({ length: 20 }, () => createRunDir(base)));
    expect(new Set(runs.map((r) => r.id)).size).to.equal(20);
    expect(runs.map((r) => r.id)).to.include(readlinkSync(join(base, 'latest')));
    expect(readdirSync(base).filter((name) => name.startsWith('.'))).to.deep.equal([]);
    const log = openEventLog(join(base, 'latest'));
    log.emit(runEnd());
    log.close();
    expect(readFileSync(join(base, 'latest', 'run.jsonl'), 'utf8')).to.include('run:end');
  });

  it('leaves a real directory called latest alone', async () => {
    mkdirSync(join(dir, 'latest'));
    writeFileSync(join(dir, 'latest', 'keep'), '');
    const run = await createRunDir(dir);
    expect(run.latest).to.equal(null);
    expect(existsSync(join(dir, 'latest', 'keep'))).to.equal(true);
    expect(readdirSync(dir).filter((name) => name.startsWith('.'))).to.deep.equal([]);
  });
});
