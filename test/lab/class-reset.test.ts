import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { ClassView, WorkView } from '../../src/classroom/api.js';
import { Client, Refused, tryClass, type TriedClass } from './class-client.js';
import { missing } from './local-labs.js';
import { root, type Started } from './netrig-command.js';

const file = join(root, 'test/fixtures/class/forward.yaml');
const limits = 'limits: { labs: 2, starting: 1, reserve: 0 }';

(missing ? describe.skip : describe)(
  `A student’s lab while it is up, and one host of it begun again${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(240_000);
    let tried: TriedClass;
    let running: Started & { url: string };
    let ada: Client;
    let teacher: Client;

    async function type(place: string, line: string): Promise<string> {
      const terminal = await ada.terminal(place);
      terminal.type(`${line}; echo typed-$((40+2))\r`);
      await terminal.saw(/typed-42/);
      await terminal.close();
      return terminal.shell;
    }
    const verdicts = ({ tasks }: WorkView): string[] => tasks.map(({ verdict }) => verdict);
    const resetting = ({ lab }: WorkView): string | null => (lab.state === 'up' ? lab.resetting : null);
    async function begunAgain(): Promise<WorkView> {
      const work = await ada.until('the end of the reset', (now) => resetting(now) === null);
      expect(work.lab).to.deep.include({ state: 'up', resetFailed: null });
      return work;
    }
    const refused = async (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        (error: unknown) => (error instanceof Refused ? error.problem.code : String(error)),
      );

    before(async () => {
      tried = tryClass(['ada'], limits, `exercises: [{ file: ${file} }]`);
      running = await tried.start();
      const codes = tried.codes();
      [ada, teacher] = [new Client(running.url), new Client(running.url)];
      await ada.join(codes.get('ada')!);
      await teacher.join(codes.get('teacher-1')!);
      await ada.lab();
    });

    after(async () => {
      const { status, stderr } = await tried.run('stop');
      expect(status, stderr).to.equal(0);
      tried.remove();
    });

    it('is told why a task fails as it is now, not as it was found before', async () => {
      const reason = async (): Promise<string> => {
        await ada.judged('check');
        const table = await teacher.call<ClassView>('GET', '/api/teacher');
        return table.students[0]!.work[0]!.tasks['c03']!.reason ?? '';
      };
      expect(await reason()).to.contain('ip_forward is 0');
      await type('router', 'sysctl -w net.ipv4.ip_forward=1');
      await type('right', 'ip route del 10.1.0.0/24');
      expect(await reason())
        .to.contain('no route')
        .and.not.contain('ip_forward is 0');
      await type('right', 'ip route add 10.1.0.0/24 via 10.2.0.1');
      await type('router', 'sysctl -w net.ipv4.ip_forward=0');
    });

    it('is as the set-up made it; what was done on it is gone, and the others are as they were', async () => {
      const { html } = await ada.view();
      const before = await type('left', `echo ${/day is (\w+)/.exec(html)![1]!} >/root/word`);
      await type('router', 'sysctl -w net.ipv4.ip_forward=1; touch /root/mine');
      expect(verdicts(await ada.judged('check'))).to.deep.equal(['pass', 'pass', 'pass']);

      const asked = await ada.act('lab', { do: 'reset', host: 'router' });
      expect(resetting(asked)).to.equal('router');
      expect(await refused(ada.act('lab', { do: 'reset', host: 'left' }))).to.equal('not-now');
      const work = await begunAgain();
      expect(verdicts(work)).to.deep.equal(['open', 'open', 'open']);

      // Forwarding is off again by its set-up; its links are there, as the guard sees.
      expect(verdicts(await ada.judged('check'))).to.deep.equal(['fail', 'pass', 'pass']);
      expect(await type('left', 'true'), 'the shell of another host').to.equal(before);
      const terminal = await ada.terminal('router');
      terminal.type('ls /root/mine; cat /proc/sys/net/ipv4/ip_forward; echo looked-$((40+2))\r');
      await terminal.saw(/looked-42/);
      expect(terminal.text)
        .to.match(/No such file/)
        .and.match(/^0\r$/m);
      await terminal.close();
    });

    it('is a teacher’s to begin again, too; nobody’s host that there is not', async () => {
      expect(await refused(ada.act('lab', { do: 'reset', host: 'elsewhere' }))).to.equal('not-found');
      expect(await refused(ada.act('lab', { do: 'start', host: 'left' }))).to.equal('not-valid');
      const table = await teacher.call<ClassView>('GET', '/api/teacher');
      expect(table.exercises[0]!.hosts).to.deep.equal(['left', 'router', 'right']);
      await teacher.call('POST', '/api/teacher/reset', { person: 'ada', exercise: 'forward', host: 'left' });
      await begunAgain();
      // The word was in a file of left.
      expect(verdicts(await ada.judged('check'))).to.deep.equal(['fail', 'fail', 'pass']);
    });

    it('is waited for by what is handed in meanwhile', async () => {
      await type('router', 'sysctl -w net.ipv4.ip_forward=1');
      await ada.act('lab', { do: 'reset', host: 'router' });
      const handed = await ada.judged('hand-in');
      expect(resetting(handed)).to.equal(null);
      // The guard holds: the router was there again when it was looked at.
      expect(handed.tasks.find(({ id }) => id === 'c07')!.verdict).to.equal('pass');
      expect(verdicts(handed)[0]).to.equal('fail');
    });

    it('goes with its lab where that is begun again meanwhile, and no word of it is said', async () => {
      for (const ms of [0, 50, 150]) {
        await ada.act('lab', { do: 'reset', host: 'router' });
        await delay(ms);
        expect((await ada.act('lab', { do: 'reset' })).lab.state).to.equal('queued');
        const work = await ada.until('the new lab', ({ lab }) => lab.state === 'up');
        expect(work.lab).to.deep.include({ resetting: null, resetFailed: null });
        await delay(1000);
      }
      expect(running.output()).not.to.match(/abort|router of ada/i);
    });

    it('comes back, too, where the class was killed meanwhile', async () => {
      await ada.act('lab', { do: 'reset', host: 'right' });
      await delay(300);
      running.child.kill('SIGKILL');
      await running.ended;
      running = await tried.start();
      for (const client of [ada, teacher]) Object.assign(client, { url: running.url });
      await begunAgain();
      await type('router', 'sysctl -w net.ipv4.ip_forward=1');
      expect(verdicts(await ada.judged('check'))[0]).to.equal('pass');
    });
  },
);
