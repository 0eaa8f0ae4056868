import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { NewLinkView } from '../../src/classroom/api.js';
import { Client, Refused, tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { netrig, root, type Started } from './netrig-command.js';

const forward = join(root, 'test/fixtures/class/forward.yaml');

(missing ? describe.skip : describe)(`A new link for one person${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(120_000);
  let tried: TriedClass;
  let running: Started & { url: string };
  let bob: Client;
  let teacher: Client;

  async function inBy(code: string): Promise<Client> {
    const client = new Client(running.url);
    await client.join(code);
    return client;
  }
  async function refused(work: Promise<unknown>): Promise<string> {
    try {
      await work;
      return 'nothing was refused';
    } catch (error) {
      if (error instanceof Refused) return error.problem.code;
      throw error;
    }
  }
  const command = (id: string) =>
    netrig(['class', 'link', tried.file, id], {
      cwd: root,
      env: { XDG_STATE_HOME: join(tried.directory, '..', '..', '..') },
    }).ended;
  const codeIn = (stdout: string): string => /^http\S+\/join#(\S+)\n$/.exec(stdout)![1]!;

  before(async () => {
    tried = tryClass(['ada', 'bob'], 'limits: { labs: 1, reserve: 0 }', `exercises: [{ file: ${forward} }]`);
    running = await tried.start();
    bob = await inBy(tried.codes().get('bob')!);
    teacher = await inBy(tried.codes().get('teacher-1')!);
  });

  after(async () => {
    const { status, stderr } = await tried.run('stop');
    expect(status, stderr).to.equal(0);
    tried.remove();
  });

  it('is a teacher’s to give: it cuts off who came in by the former one, and nobody else', async () => {
    const former = tried.codes().get('ada')!;
    const thief = await inBy(former);
    const [hers, his] = [await thief.live(), await bob.live()];
    const unused = await thief.ticket({ for: 'live' });
    const cut = once(hers.socket, 'close');
    const { code } = await teacher.call<NewLinkView>('POST', '/api/teacher/link', { person: 'ada' });
    await cut;
    expect(await refused(thief.work())).to.equal('not-in');
    expect(await thief.socket('/api/live', unused).catch((error: Error) => error.message)).to.equal('status 401');
    expect(await refused(thief.join(former))).to.equal('not-in');
    expect((await (await inBy(code)).work()).exercise).to.equal('forward');
    expect(his.socket.readyState).to.equal(his.socket.OPEN);
    expect((await bob.work()).exercise).to.equal('forward');
    expect(tried.codes().get('ada')).to.equal(code);
    his.socket.terminate();
  });

  it('is no student’s to give, and nobody’s who is not in the class', async () => {
    expect(await refused(bob.call('POST', '/api/teacher/link', { person: 'ada' }))).to.equal('not-allowed');
    for (const person of ['eve', 'teacher-1'])
      expect(await refused(teacher.call('POST', '/api/teacher/link', { person })), person).to.equal('not-found');
  });

  it('is had by the command while the class runs', async () => {
    const { status, stdout, stderr } = await command('ada');
    expect(status, stderr).to.equal(0);
    expect(stdout).to.contain(`${running.url}/join#`);
    await inBy(codeIn(stdout));
    expect((await bob.work()).exercise, 'nobody else is touched').to.equal('forward');
    const nobody = await command('eve');
    expect(nobody.status).to.equal(2);
    expect(nobody.stderr).to.contain('"eve"').and.to.contain('roster');
  });

  it('is had while it does not run, and after a kill; its code is in no record', async () => {
    running.child.kill('SIGKILL');
    await running.ended;
    const { status, stdout, stderr } = await command('ada');
    expect(status, stderr).to.equal(0);
    running = await tried.start();
    const again = await command('teacher-1');
    expect(again.status, again.stderr).to.equal(0);
    for (const out of [stdout, again.stdout]) {
      await inBy(codeIn(out));
      expect(readFileSync(join(tried.directory, 'record.jsonl'), 'utf8')).not.to.contain(codeIn(out));
    }
    const back = new Client(running.url);
    back.cookie = bob.cookie;
    expect((await back.work()).exercise, 'his session outlived all of it').to.equal('forward');
  });
});
