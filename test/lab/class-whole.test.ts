import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ClassView, WorkView } from '../../src/classroom/api.js';
import { readCsv } from '../../src/classroom/csv.js';
import { Client, Refused, tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { root, type Started } from './netrig-command.js';

const file = join(root, 'test/fixtures/class/forward.yaml');
const limits = 'limits: { labs: 12, starting: 3, rounds: 3, reserve: 0 }';
const roster = Array.from({ length: 12 }, (_, index) => `s${String(index + 1).padStart(2, '0')}`);

/**
 * Of the exercise: the way 3, the word 2, a hidden task 1, and a guard that costs 1. What each student does, and what it comes
 * to by hand, stands in the tests.
 */
(missing ? describe.skip : describe)(`A whole class${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(240_000);
  let tried: TriedClass;
  let running: Started & { url: string };
  const clients = new Map<string, Client>();
  let teacher: Client;
  const of = (student: string): Client => clients.get(student)!;

  async function type(student: string, place: string, line: string): Promise<void> {
    const terminal = await of(student).terminal(place);
    terminal.type(`${line}; echo typed-$((40+2))\r`);
    await terminal.saw(/typed-42/);
    await terminal.close();
  }
  const forward = (student: string): Promise<void> => type(student, 'router', 'sysctl -w net.ipv4.ip_forward=1');
  async function word(student: string): Promise<void> {
    const { html } = await of(student).view();
    await type(student, 'left', `echo ${/word of the day is (\w+)/.exec(html)![1]!} >/root/word`);
  }
  async function handIn(student: string): Promise<WorkView> {
    return of(student).judged('hand-in');
  }

  before(async () => {
    tried = tryClass(roster, limits, `exercises: [{ file: ${file} }]`);
    running = await tried.start();
    const codes = tried.codes();
    teacher = new Client(running.url);
    await teacher.join(codes.get('teacher-1')!);
    for (const student of roster) {
      if (student === 's10') continue;
      clients.set(student, new Client(running.url));
      await of(student).join(codes.get(student)!);
    }
    await Promise.all([...clients.values()].map((client) => client.lab()));
  });

  after(async () => {
    const { status, stderr } = await tried.run('stop');
    expect(status, stderr).to.equal(0);
    tried.remove();
  });

  it('gives each student words of their own', async () => {
    const words = await Promise.all([...clients.values()].map(async (client) => (await client.view()).html));
    expect(new Set(words).size).to.equal(11);
  });

  it('judges those who solve, fail, take a hint, break a guard, copy, begin anew', async () => {
    await Promise.all([
      // s01 does all of it: 6.
      (async () => {
        await forward('s01');
        await word('s01');
        const { handedIn } = await handIn('s01');
        expect([handedIn!.counts!.points, handedIn!.of]).to.deep.equal([6, 6]);
      })(),
      // s02 finds the way only; the hidden task looks at the same: 4.
      (async () => {
        await forward('s02');
        await handIn('s02');
      })(),
      // s03 does nothing: 0.
      handIn('s03'),
      // s04 fails, takes a hint, which costs nothing, and does it: 6.
      (async () => {
        const red = await of('s04').judged('check', { tasks: ['c03'] });
        expect(red.tasks[0]).to.include({ verdict: 'fail' });
        const hinted = await of('s04').act('hint', { task: 'c03' });
        expect(hinted.tasks[0]!.hintsOpened).to.have.length(1);
        await forward('s04');
        await word('s04');
        await handIn('s04');
      })(),
      // s05 hands in twice, 4 and then 6: the best counts.
      (async () => {
        await forward('s05');
        expect((await handIn('s05')).handedIn!.counts).to.include({ points: 4 });
        await word('s05');
        await handIn('s05');
      })(),
      // s07 does all, and its router answers no ping any more, which the guard costs: 5.
      (async () => {
        await forward('s07');
        await word('s07');
        await type('s07', 'router', 'sysctl -w net.ipv4.icmp_echo_ignore_all=1');
        await handIn('s07');
      })(),
      // s08 does all, has it checked, then begins anew at the second stage, where the way is there and the word is not: 4.
      (async () => {
        await forward('s08');
        await word('s08');
        await of('s08').judged('check', {});
        await of('s08').act('lab', { do: 'reset', stage: 'check' });
        await of('s08').until('the new lab', ({ lab, tasks }) => lab.state === 'up' && tasks[0]!.verdict === 'open');
        await handIn('s08');
      })(),
      // s11 has the word of s01: 4.
      (async () => {
        const { html } = await of('s01').view();
        await forward('s11');
        await type('s11', 'left', `echo ${/day is (\w+)/.exec(html)![1]!} >/root/word`);
        await handIn('s11');
      })(),
      // s12 does all, and takes the shells away, so that nobody can know about the word: 4, and 2 that a person decides on.
      (async () => {
        await forward('s12');
        await word('s12');
        await type('s12', 'left', 'chmod 000 /bin/sh /bin/bash /bin/dash');
        const handed = await handIn('s12');
        expect(handed.handedIn!.counts!.undecided, JSON.stringify(handed.tasks)).to.be.greaterThan(0);
      })(),
    ]);
    // s06 and s09 have done all, and not handed in.
    for (const student of ['s06', 's09']) {
      await forward(student);
      await word(student);
    }
    await of('s09').act('help', { wanted: true, note: 'I need more time' });
  });

  it('tells the teacher who is where', async () => {
    const table = await teacher.call<ClassView>('GET', '/api/teacher');
    const row = (student: string) => table.students.find(({ person }) => person.id === student)!;
    expect(row('s09').work[0]!.help!.note).to.equal('I need more time');
    expect(row('s04').work[0]!.tasks['c03']).to.include({ verdict: 'pass', tries: 2, hints: 1 });
    expect(row('s10').joined).to.equal(false);
    expect(table.undecided.map(({ person }) => person.id)).to.include('s12');
    // Who wrote down another's word is named with the line; nobody else is.
    const copied = table.students.filter(({ work }) => work[0]!.others.length > 0).map(({ person }) => person.id);
    expect(copied).to.deep.equal(['s11']);
    const [other] = row('s11').work[0]!.others;
    expect(other).to.include({ parameter: 'word', where: 'typed at left' });
    expect(other!.student.id).to.equal('s01');
    expect(other!.text).to.contain(`echo ${other!.value} >/root/word`);
  });

  it('takes hand-ins after the end with the factor, from who was given more time without', async () => {
    running.child.kill('SIGTERM');
    await running.ended;
    const text = readFileSync(tried.file, 'utf8');
    const [closes, until] = [new Date(Date.now() - 1000), new Date(Date.now() + 3_600_000)].map((date) =>
      date.toISOString().replace(/\.\d+/, ''),
    );
    const dated = `{ file: ${file}, closes: "${closes}", late: { until: "${until}", factor: 0.5 } }`;
    writeFileSync(tried.file, text.replace(`{ file: ${file} }`, dated));
    running = await tried.start();
    for (const client of [...clients.values(), teacher]) Object.assign(client, { url: running.url });
    // s06 is late: 3. s09 got an hour more: 6.
    expect((await handIn('s06')).handedIn!.counts).to.include({ late: true, points: 3 });
    await teacher.call('POST', '/api/teacher/time', { to: ['s09'], exercise: 'forward', minutes: 60 });
    await teacher.call('POST', '/api/teacher/helped', { person: 's09', exercise: 'forward' });
    expect((await handIn('s09')).handedIn!.counts).to.include({ late: false, points: 6 });
  });

  it('has a person decide what could not be judged, and nothing else', async () => {
    const { undecided } = await teacher.call<ClassView>('GET', '/api/teacher');
    const mine = undecided.filter(({ person }) => person.id === 's12');
    const sure = mine[0]!.id.replace(/:.*/, '');
    for (const { id } of mine)
      await teacher.call('POST', '/api/teacher/decide', { id, credit: true, why: 'seen on the screen' });
    const [passed] = ['c03', 'c05', 'c06', 'c07'].filter((task) => !mine.some((one) => one.task === task));
    const changed = await teacher
      .call('POST', '/api/teacher/decide', { id: `${sure}:${passed}`, credit: false, why: 'no' })
      .catch((error: unknown) => error);
    expect(changed).to.be.instanceOf(Refused);
  });

  it('comes to the grades that were computed by hand', async () => {
    const out = join(tried.directory, 'by-hand');
    const { status, stderr } = await tried.run('regrade', '-o', out);
    expect(status, stderr).to.equal(0);
    const rows = readCsv(readFileSync(join(out, 'wide.csv'), 'utf8')).slice(1);
    const points = Object.fromEntries(rows.map(({ cells }) => [cells[0]!, cells[2]!]));
    expect(points).to.deep.equal({
      s01: '6',
      s02: '4',
      s03: '0',
      s04: '6',
      s05: '6',
      s06: '3',
      s07: '5',
      s08: '4',
      s09: '6',
      s10: '',
      s11: '4',
      s12: '6',
    });
    const others = Object.fromEntries(rows.map(({ cells }) => [cells[0]!, cells.at(-1)!]));
    expect(others['s11']).to.match(/^forward: \w+, the word of s01, typed at left: echo/);
    expect(Object.values(others).filter((one) => one !== '')).to.have.length(1);
    expect(readFileSync(join(out, 'undecided.csv'), 'utf8').trim().split('\r\n')).to.have.length(1);
    const gradescope = JSON.parse(readFileSync(join(out, 'gradescope', 'forward', 's07', 'results.json'), 'utf8')) as {
      score: number;
    };
    expect(gradescope.score).to.equal(5);
  });
});
