import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Client, Refused, tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { root, type Started } from './netrig-command.js';

const forward = readFileSync(join(root, 'test/fixtures/class/forward.yaml'), 'utf8');
const limits = 'limits: { labs: 4, starting: 2, reserve: 0 }';

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Refused) return error.problem.code;
    return (error as Error).message;
  }
  return 'nothing was refused';
}

(missing ? describe.skip : describe)(`A class${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(180_000);
  let tried: TriedClass;
  let running: Started & { url: string };
  let ada: Client;
  let bob: Client;
  let teacher: Client;

  // Its own, which is edited while the class goes on.
  const folder = mkdtempSync(join(tmpdir(), 'ntre-'));
  const file = join(folder, 'forward.yaml');

  before(async () => {
    writeFileSync(file, forward);
    tried = tryClass(['ada', 'bob', 'eve'], limits, `exercises: [{ file: ${file}, feedback: seen }]`);
    running = await tried.start();
    const codes = tried.codes();
    [ada, bob, teacher] = [new Client(running.url), new Client(running.url), new Client(running.url)];
    await ada.join(codes.get('ada')!);
    await bob.join(codes.get('bob')!.toLowerCase().replaceAll('-', ' '));
    expect((await teacher.join(codes.get('teacher-1')!)).role).to.equal('teacher');
  });

  after(async () => {
    const { status, stderr } = await tried.run('stop');
    expect(status, stderr).to.equal(0);
    tried.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives a lab, judges it as it is, and hands it in for points', async () => {
    await ada.lab();
    const red = await ada.judged('check');
    const [forward] = red.tasks;
    expect(forward).to.include({ id: 'c03', verdict: 'fail', tries: 1 });
    expect(forward!.feedback!.hintHtml).to.equal(null);
    const hinted = await ada.act('hint', { task: 'c03' });
    expect(hinted.tasks[0]!.feedback!.hintHtml).to.match(/router/);

    const view = await ada.view();
    const word = /word of the day is (\w+)/.exec(view.html)![1]!;
    const router = await ada.terminal('router');
    router.type('sysctl -w net.ipv4.ip_forward=1\r');
    await router.saw(/ip_forward = 1/);
    // Nobody asked: it turns green by itself.
    await ada.until('a task that turned green', ({ tasks }) => tasks[0]!.verdict === 'pass', 40_000);
    const left = await ada.terminal('left');
    left.type(`echo ${word} >/root/word; echo done-$((6*7))\r`);
    await left.saw(/done-42/);
    const handed = await ada.judged('hand-in');
    expect(handed.handedIn!.of).to.equal(6);
    expect(handed.handedIn!.counts).to.include({ points: 6, undecided: 0, late: false });
    await Promise.all([router.close(), left.close()]);
  });

  it('keeps hidden checks from students, and shows them to the teacher', async () => {
    const view = await ada.view();
    expect(view.tasks.map(({ id }) => id)).to.deep.equal(['c03', 'c05', 'c07']);
    expect(JSON.stringify([view, await ada.work()])).not.to.match(/secretly/);
    const table = await teacher.call<{ exercises: { tasks: { title: string; hidden: boolean }[] }[] }>(
      'GET',
      '/api/teacher',
    );
    expect(table.exercises[0]!.tasks.find(({ title }) => /secretly/.test(title))!.hidden).to.equal(true);
    expect(await refusal(ada.act('check', { tasks: ['c06'] }))).to.equal('not-found');
  });

  it('keeps students apart', async () => {
    expect(await refusal(bob.call('GET', '/api/exercises/forward/work?person=ada'))).to.equal('not-allowed');
    expect(await refusal(bob.call('GET', '/api/teacher'))).to.equal('not-allowed');
    const foreign = { for: 'terminal', exercise: 'forward', place: 'left', mode: 'look', person: 'ada' } as const;
    expect(await refusal(bob.ticket(foreign))).to.equal('not-allowed');
    const ticket = await ada.ticket({ for: 'terminal', exercise: 'forward', place: 'left', mode: 'type' });
    expect(await refusal(bob.socket('/api/terminal', ticket))).to.equal('status 401');
    // Used up by that, for its owner, too.
    expect(await refusal(ada.socket('/api/terminal', ticket))).to.equal('status 401');
    const live = await ada.ticket({ for: 'live' });
    expect(await refusal(ada.socket('/api/terminal', live))).to.equal('status 401');
  });

  it('refuses sockets and changes of other origins, and names that are not its own', async () => {
    const ticket = await ada.ticket({ for: 'live' });
    expect(await refusal(ada.socket('/api/live', ticket, { origin: 'http://evil.example' }))).to.equal('status 403');
    expect(
      await refusal(
        ada.call('POST', '/api/exercises/forward/help', { wanted: true }, { origin: 'http://evil.example' }),
      ),
    ).to.equal('other-origin');
    expect(
      await refusal(ada.call('POST', '/api/exercises/forward/help', { wanted: true }, { 'x-netrig': '' })),
    ).to.equal('other-origin');
  });

  it('lets a teacher look on, and type only after the student said yes', async () => {
    const student = await ada.terminal('left');
    const looking = await teacher.terminal('left', { person: 'ada', mode: 'look' });
    student.type('echo from-ada-$((2+2))\r');
    await looking.saw(/from-ada-4/);
    looking.type('echo no-$((1+1))\r');
    const typed = { for: 'terminal', exercise: 'forward', place: 'left', mode: 'type', person: 'ada' } as const;
    expect(await refusal(teacher.ticket(typed))).to.equal('not-allowed');
    await teacher.call('POST', '/api/teacher/typing', { person: 'ada', exercise: 'forward', place: 'left' });
    const asked = await ada.until('the question', ({ typing }) => typing.length === 1);
    expect(asked.lookers).to.deep.equal([{ place: 'left', name: 'Teacher' }]);
    await ada.act('typing', { request: asked.typing[0]!.request, allow: true });
    const helping = await teacher.terminal('left', { person: 'ada', mode: 'type' });
    helping.type('echo yes-$((3+3))\r');
    await student.saw(/yes-6/);
    expect(student.text).not.to.match(/no-2/);
    await ada.act('typing', { request: asked.typing[0]!.request, allow: false });
    helping.type('echo late-$((4+4))\r');
    student.type('echo end-$((5+5))\r');
    await student.saw(/end-10/);
    expect(student.text).not.to.match(/late-8/);
    await Promise.all([student.close(), looking.close(), helping.close()]);
  });

  it('goes on after kill -9 with labs and shells as they were', async () => {
    const before = await ada.terminal('router');
    before.type('echo mark-$((7*6)); word=kept\r');
    await before.saw(/mark-42/);
    const shell = before.shell;
    running.child.kill('SIGKILL');
    await running.ended;
    running = await tried.start();
    for (const client of [ada, bob, teacher]) Object.assign(client, { url: running.url });
    const work = await ada.work();
    expect(work.lab.state).to.equal('up');
    expect(work.handedIn!.counts).to.include({ points: 6 });
    const after = await ada.terminal('router', { query: `from=${before.next!}&shell=${shell}` });
    after.type('echo $word-still\r');
    await after.saw(/kept-still/);
    expect(after.shell).to.equal(shell);
    expect(after.told.some(({ type }) => type === 'screen')).to.equal(false);
    expect(after.gaps).to.equal(0);
    await after.close();
  });

  it('knows its tasks after their file was edited, and gives a new one to nobody', async () => {
    const before = await ada.work();
    running.child.kill('SIGKILL');
    await running.ended;
    const more = '  - { step: something more, on: left, run: "true" }\n';
    const added = '  - { check: a task that is new, points: 2, stage: check, command: { on: left, run: "true" } }\n';
    writeFileSync(file, forward.replace('steps:\n', `steps:\n${more}${added}`));
    running = await tried.start();
    for (const client of [ada, bob, teacher]) Object.assign(client, { url: running.url });
    expect(running.output()).to.match(/the task “a task that is new” was not there in 1 of 1 hand-in;/);
    const { tasks } = await ada.view();
    const work = await ada.work();
    const titles = new Map(tasks.map(({ id, title }) => [id, title]));
    expect(titles.get('c05')).to.equal('left reaches right');
    const verdicts = Object.fromEntries(work.tasks.map(({ id, verdict }) => [titles.get(id), verdict]));
    expect(verdicts).to.include({ 'a task that is new': 'open', 'left reaches right': 'pass' });
    expect(before.tasks[0]).to.include({ id: 'c03', verdict: 'pass' });
    expect(work.handedIn!.counts).to.include({ points: 6, undecided: 1 });
    // The file of before gives the grades of before.
    writeFileSync(file, forward);
  });

  it('tells the teacher of those who ask for help, and students of messages and more time', async () => {
    const live = await bob.live();
    await bob.act('help', { wanted: true, note: 'stuck' });
    const table = await teacher.call<{
      students: { person: { id: string }; work: { help: { note: string } | null }[] }[];
    }>('GET', '/api/teacher');
    expect(table.students.find(({ person }) => person.id === 'bob')!.work[0]!.help!.note).to.equal('stuck');
    await teacher.call('POST', '/api/teacher/message', { to: ['bob'], text: 'coming' });
    await bob.until('the message', ({ messages }) => messages.some(({ text }) => text === 'coming'));
    expect((await ada.work()).messages).to.deep.equal([]);
    await teacher.call('POST', '/api/teacher/helped', { person: 'bob', exercise: 'forward' });
    expect((await bob.work()).help).to.equal(null);
    live.socket.close();
    expect(live.messages[0]!.type).to.equal('session');
  });

  it('writes grades that say what was handed in', async () => {
    const { status, stderr } = await tried.run('regrade', '-o', join(tried.directory, 'again'));
    expect(status, stderr).to.equal(0);
    const wide = readFileSync(join(tried.directory, 'again', 'wide.csv'), 'utf8').split('\r\n');
    expect(wide[0]).to.equal('id,name,forward,total,undecided,values of others');
    expect(wide[1]).to.equal('ada,Student ada,6,6,0,');
    expect(wide[2]).to.equal('bob,Student bob,,0,0,');
    expect(existsSync(join(tried.directory, 'again', 'gradescope', 'forward', 'ada', 'results.json'))).to.equal(true);
  });
});

(missing ? describe.skip : describe)(`A class that ends${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(120_000);

  it('hands in for who has not, in time, and takes nothing afterwards', async () => {
    const closes = new Date(Date.now() + 25_000).toISOString();
    const file = join(root, 'test/fixtures/class/forward.yaml');
    const tried = tryClass(['ada'], limits, `exercises: [{ file: ${file}, closes: "${closes.replace(/\.\d+/, '')}" }]`);
    try {
      const { url } = await tried.start();
      const ada = new Client(url);
      await ada.join(tried.codes().get('ada')!);
      await ada.lab();
      const router = await ada.terminal('router');
      router.type('sysctl -w net.ipv4.ip_forward=1\r');
      await router.saw(/ip_forward = 1/);
      await router.close();
      const handed = await ada.until(
        'the hand-in',
        ({ handedIn }) => handedIn !== null && handedIn.counts !== null,
        60_000,
      );
      expect(handed.handedIn!.counts).to.include({ points: 4, late: false });
      await ada.until('the end', ({ now, closesAt }) => closesAt !== null && now > closesAt);
      expect(await refusal(ada.act('hand-in'))).to.equal('not-now');
      expect(await refusal(ada.act('lab', { do: 'reset' }))).to.equal('not-now');
    } finally {
      await tried.run('stop');
      tried.remove();
    }
  });
});
