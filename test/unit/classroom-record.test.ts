import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openBook } from '../../src/classroom/book.js';
import { enter, personOf } from '../../src/classroom/persons.js';
import { hashOf, normalCode } from '../../src/classroom/secrets.js';
import { openRecord } from '../../src/classroom/record.js';
import { workOf } from '../../src/classroom/state.js';

describe('The record of a class', () => {
  let base: string;
  let file: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'ntrr-'));
    file = join(base, 'record.jsonl');
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const wanted = (person: string) => ({ type: 'lab:wanted', person, exercise: 'x', stage: null }) as const;

  it('has the same state after it was opened again, wherever a kill cut its last line', async () => {
    const first = openBook(openRecord(file));
    await first.append({ type: 'person:known', person: 'ada', name: 'Ada', role: 'student' });
    await first.append(wanted('ada'));
    await first.close();
    const whole = readFileSync(file);
    const torn = JSON.stringify({ v: 1, n: 3, t: 'now', ...wanted('bob') });
    for (let cut = 0; cut <= torn.length; cut += 7) {
      writeFileSync(file, whole);
      appendFileSync(file, torn.slice(0, cut));
      const again = openBook(openRecord(file));
      expect(again.state.n).to.equal(2);
      expect(workOf(again.state, 'ada', 'x').wanted).to.deep.equal({ stage: null, n: 2 });
      await again.append({ type: 'lab:unwanted', person: 'ada', exercise: 'x' });
      await again.close();
      const third = openBook(openRecord(file));
      expect(third.state.n).to.equal(3);
      expect(workOf(third.state, 'ada', 'x').wanted).to.equal(null);
      await third.close();
    }
  });

  it('ends sessions of who gets a new code, and of nobody else', async () => {
    const book = openBook(openRecord(file));
    const join = async (person: string): Promise<string> => {
      await book.append({ type: 'person:known', person, name: person, role: 'student' });
      await book.append({ type: 'person:code', person, code: hashOf(normalCode(`CODE-${person}`)) });
      return (await enter(book, `CODE-${person}`))!.token;
    };
    const [ada, bob] = [await join('ada'), await join('bob')];
    expect([personOf(book, ada)?.id, personOf(book, bob)?.id]).to.deep.equal(['ada', 'bob']);
    await book.append({ type: 'person:code', person: 'ada', code: hashOf(normalCode('ANOTHER')) });
    expect([personOf(book, ada)?.id, personOf(book, bob)?.id]).to.deep.equal([undefined, 'bob']);
    expect(await enter(book, 'CODE-ada')).to.equal(null);
    expect((await enter(book, 'ANOTHER'))?.person.id).to.equal('ada');
    await book.close();
  });

  it('has what it promised before the promise is kept, and in order', async () => {
    const record = openRecord(file);
    const kept: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const { event, kept: done } = record.append(wanted('ada'));
        await done;
        const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
        expect(lines.length).to.be.at.least(event.n);
        kept.push(event.n);
      }),
    );
    expect(kept).to.have.length(50);
    await record.close();
  });

  it('refuses a line that was changed, or is missing, by its number', async () => {
    const record = openRecord(file);
    for (const person of ['ada', 'bob', 'eve']) record.append(wanted(person));
    await record.close();
    const lines = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, [lines[0], lines[2], ''].join('\n'));
    expect(() => openRecord(file)).to.throw(/record\.jsonl:2: /);
    writeFileSync(file, `${lines[0]}\n{"v":1\n`);
    expect(() => openRecord(file)).to.throw(/record\.jsonl:2: /);
  });

  it('takes back a line of which the disk took a part, and goes on once there is room again', async () => {
    let room = false;
    const record = openRecord(file, (fd, bytes) => {
      writeSync(fd, bytes, 0, room ? bytes.length : 10);
      if (!room) throw new Error('ENOSPC: no space left on device, write');
    });
    const book = openBook(record);
    const told: string[] = [];
    book.onEvent((event) => told.push(event.type));
    const kept = (person: string): Promise<string> =>
      book.append(wanted(person)).then(
        () => 'kept',
        (error: Error) => error.message,
      );
    expect(await kept('ada')).to.match(/record\.jsonl cannot be written: ENOSPC/);
    // Whoever does not wait for it is not ended by it.
    void book.append(wanted('ada'));
    expect(book.state.works.size).to.equal(0);
    expect(told).to.deep.equal([]);
    room = true;
    expect(await kept('bob')).to.equal('kept');
    await book.close();
    const again = openRecord(file);
    expect(again.before.map((event) => event.type === 'lab:wanted' && event.person)).to.deep.equal(['bob']);
    expect(told).to.deep.equal(['lab:wanted']);
    await again.close();
  });

  it('tells a person apart who begins anew: what was seen of the lab before is gone, hand-ins stay', async () => {
    const book = openBook(openRecord(file));
    void book.append(wanted('ada'));
    void book.append({ type: 'lab:making', key: 'k1', exercise: 'x', person: 'ada', stage: null });
    void book.append({ type: 'lab:made', key: 'k1', lab: 'x-1' });
    void book.append({ type: 'lab:given', key: 'k1', person: 'ada' });
    void book.append({
      type: 'round:asked',
      round: 'r1',
      person: 'ada',
      exercise: 'x',
      kind: 'hand-in',
      tasks: ['c1'],
    });
    void book.append({
      type: 'round:judged',
      round: 'r1',
      results: { c1: { verdict: 'pass', reason: 'ok', durationMs: 1 } },
    });
    expect(workOf(book.state, 'ada', 'x').tasks['c1']).to.include({ verdict: 'pass', tries: 1 });
    void book.append(wanted('ada'));
    void book.append({ type: 'lab:ended', key: 'k1', why: 'anew' });
    expect(workOf(book.state, 'ada', 'x')).to.include({ lab: null, failed: null });
    void book.append({ type: 'lab:making', key: 'k2', exercise: 'x', person: 'ada', stage: null });
    void book.append({ type: 'lab:made', key: 'k2', lab: 'x-2' });
    void book.append({ type: 'lab:given', key: 'k2', person: 'ada' });
    const work = workOf(book.state, 'ada', 'x');
    expect(work.tasks).to.deep.equal({});
    expect(work.handIns).to.deep.equal(['r1']);
    expect(book.state.waiting.size).to.equal(0);
    await book.close();
  });
});
