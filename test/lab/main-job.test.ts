import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { latestEvents, latestOutcomes, leftovers, netrig, root, start, workDirectory } from './netrig-command.js';

const overlay = join(root, 'scenarios', 'overlay', 'consul.yaml');

/** A lab that is up in half a second and says which of several it is. */
const small = (name: string, more = ''): string => `
scenario: ${name}
title: A small lab
hosts:
  a: { image: debian-12, init: light }
  b: { image: debian-12, init: light }
segments:
  lan: { subnet: 10.80.0.0/24, hosts: { a: 10.80.0.1, b: 10.80.0.2 } }
steps:
  - check: a reaches b
    ping: { from: a, to: b }
${more}`;

/** Polls until the condition holds; Mocha's own time limit is the deadline. */
async function becomes(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const endless = `  - step: Something long
    on: a
    run: sleep 600
    timeout: 15m
  - check: never made
    ping: { from: b, to: a }
`;

describe('The main job: from a YAML file to verdicts and reports', function () {
  this.timeout(240_000);

  describe('the overlay lab with Consul', () => {
    const { dir, remove } = workDirectory();
    let stdout = '';
    after(remove);

    it('passes, with every planned item reported', async () => {
      const end = await netrig(['run', overlay], { cwd: dir }).ended;
      stdout = end.stdout;
      expect(end.status, end.stdout + end.stderr).to.equal(0);
      const planned = latestEvents(dir).find((event) => event['type'] === 'scenario:start')!['planned'] as unknown[];
      const outcomes = latestOutcomes(dir);
      expect(outcomes.length).to.equal(planned.length);
      expect(planned.length).to.be.greaterThan(30);
      expect(outcomes.filter((one) => one.verdict !== 'pass')).to.deep.equal([]);
      expect(stdout).to.match(new RegExp(`${planned.length} planned, ${planned.length} reported`));
    });

    it('recorded the time of the way back into the network after the restart', () => {
      const planned = latestEvents(dir).find((event) => event['type'] === 'scenario:start')!['planned'] as {
        id: string;
        title: string;
      }[];
      const back = planned.find((one) => one.title.startsWith('bbox2 is back'))!;
      const end = latestEvents(dir).find(
        (event) => event['type'] === 'item:end' && event['item'] === back.id,
      ) as unknown as { outcome: { measures: { name: string; value: number }[] } };
      expect(end.outcome.measures.find((measure) => measure.name === 'became true')!.value).to.be.greaterThan(0);
    });

    it('wrote the reports, and reports/latest points to them', () => {
      const latest = join(dir, 'reports', 'latest');
      expect(readlinkSync(latest)).to.match(/^[0-9TZ.a-f-]+$/);
      for (const name of ['run.jsonl', 'results.json', 'junit.xml', 'summary.md', 'index.html'])
        expect(statSync(join(latest, name)).size, name).to.be.greaterThan(100);
      expect(readFileSync(join(latest, 'index.html'), 'utf8')).to.contain('10.10.10.11');
    });

    it('left nothing behind', () => {
      expect(leftovers('overlay-consul')).to.deep.equal([]);
    });
  });

  describe('exit statuses and verdicts', () => {
    it('1 when a check fails, with the cause; the next check is still made', async () => {
      const { dir, remove } = workDirectory({
        'one.yaml': small(
          'exit-fail',
          `  - check: nobody listens
    port: { from: a, to: b, port: 81 }
  - check: b reaches a
    ping: { from: b, to: a }
`,
        ),
      });
      const end = await netrig(['run', 'one.yaml'], { cwd: dir }).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(1);
      expect(latestOutcomes(dir).map(({ verdict, cause }) => [verdict, cause])).to.deep.equal([
        ['pass', undefined],
        ['fail', 'refused'],
        ['pass', undefined],
      ]);
      remove();
    });

    it('1 when a step fails; what follows is skipped because of it', async () => {
      const { dir, remove } = workDirectory({
        'one.yaml': small(
          'exit-step',
          `  - step: A step that fails
    on: b
    run: |
      false
      touch /never
  - check: after it
    ping: { from: b, to: a }
`,
        ),
      });
      const end = await netrig(['run', 'one.yaml'], { cwd: dir }).ended;
      expect(end.status).to.equal(1);
      const outcomes = latestOutcomes(dir);
      expect(outcomes.map((one) => one.verdict)).to.deep.equal(['pass', 'fail', 'skipped']);
      expect(outcomes[2]!.reason).to.contain('A step that fails');
      remove();
    });

    it('1 when no probe was sent at all', async () => {
      const { dir, remove } = workDirectory({ 'one.yaml': small('exit-nothing') });
      const end = await netrig(['run', 'one.yaml', '--grep', 'matches nothing'], { cwd: dir }).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(1);
      expect(end.stdout + end.stderr).to.contain('NETRIG_NOTHING_RAN');
      remove();
    });

    it('2 for a scenario with mistakes: all of them, with places, and nothing is started', async () => {
      const { dir, remove } = workDirectory({
        'one.yaml': small('Bad Name', '  - check: x\n    pong: { from: a, to: c }\n'),
      });
      const end = await netrig(['run', 'one.yaml'], { cwd: dir }).ended;
      expect(end.status).to.equal(2);
      expect(end.stderr)
        .to.match(/one\.yaml:2:\d+/)
        .and.to.contain('pong')
        .and.to.contain('ping');
      remove();
    });

    it('a step that is not selected is run all the same when a selected check needs it', async () => {
      const { dir, remove } = workDirectory({
        'one.yaml': small(
          'grep-steps',
          `  - step: A file is made
    on: a
    run: touch /made
  - check: the file is there
    command: { on: a, run: test -e /made }
`,
        ),
      });
      const end = await netrig(['run', 'one.yaml', '--grep', 'the file is there'], { cwd: dir }).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(0);
      expect(
        latestOutcomes(dir)
          .map(({ verdict }) => verdict)
          .sort(),
      ).to.deep.equal(['pass', 'pass', 'skipped']);
      remove();
    });

    it('--retries runs a scenario again on fresh hosts and counts the last time', async () => {
      const { dir, remove } = workDirectory();
      const marker = join(dir, 'second-time');
      const { writeFileSync } = await import('node:fs');
      writeFileSync(
        join(dir, 'one.yaml'),
        small('retries', `  - check: nobody listens\n    port: { from: a, to: b, port: 81 }\n`),
      );
      const end = await netrig(['run', 'one.yaml', '--retries', '1'], { cwd: dir }).ended;
      expect(end.status, marker).to.equal(1);
      expect(
        latestEvents(dir)
          .filter((event) => event['type'] === 'scenario:start')
          .map((event) => event['attempt']),
      ).to.deep.equal([1, 2]);
      remove();
    });

    it('--bail stops at the first check that does not pass', async () => {
      const { dir, remove } = workDirectory({
        'one.yaml': small(
          'bail',
          `  - check: nobody listens\n    port: { from: a, to: b, port: 81 }\n  - check: b reaches a\n    ping: { from: b, to: a }\n`,
        ),
      });
      const end = await netrig(['run', 'one.yaml', '--bail'], { cwd: dir }).ended;
      expect(end.status).to.equal(1);
      const outcomes = latestOutcomes(dir);
      expect(outcomes.map((one) => one.verdict)).to.deep.equal(['pass', 'fail', 'skipped']);
      expect(outcomes[2]!.reason).to.contain('--bail');
      remove();
    });
  });

  describe('stock Mocha', () => {
    for (const mode of [[], ['--parallel']]) {
      it(`runs scenario files with netrig/register ${mode.join(' ')}`, async () => {
        const { dir, remove } = workDirectory({
          'one.yaml': small('mocha-one'),
          'two.yaml': small('mocha-two', '  - check: nobody listens\n    port: { from: a, to: b, port: 81 }\n'),
        });
        const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
        const register = join(root, 'dist', 'src', 'mocha', 'register.js');
        const end = await start(
          process.execPath,
          [mocha, ...mode, '--require', register, '--extension', 'yaml', '--reporter', 'json', 'one.yaml', 'two.yaml'],
          { cwd: dir },
        ).ended;
        expect(end.status, end.stdout + end.stderr).to.not.equal(0);
        const stats = JSON.parse(end.stdout.slice(end.stdout.indexOf('{'), end.stdout.lastIndexOf('}') + 1)) as {
          stats: { passes: number; failures: number };
        };
        expect(stats.stats).to.include({ passes: 2, failures: 1 });
        expect(statSync(join(dir, 'reports', 'latest', 'junit.xml')).size).to.be.greaterThan(100);
        expect(leftovers('mocha-')).to.deep.equal([]);
        remove();
      });
    }
  });

  describe('when it ends early', () => {
    for (const jobs of ['1', '2']) {
      it(`Ctrl-C takes the lab down, reports what was known, and ends with 130 (--jobs ${jobs})`, async () => {
        const { dir, remove } = workDirectory({
          'one.yaml': small(`ctrl-c-${jobs}`, endless),
          'two.yaml': small(`ctrl-c-${jobs}-two`, endless),
        });
        const run = netrig(['run', '--jobs', jobs, ...(jobs === '1' ? ['one.yaml'] : ['one.yaml', 'two.yaml'])], {
          cwd: dir,
        });
        await run.saw(/a reaches b/);
        await becomes(() =>
          latestEvents(dir).some((event) => event['type'] === 'item:start' && event['item'] === 's02'),
        );
        run.child.kill('SIGINT');
        const end = await run.ended;
        expect(end.status, end.stdout + end.stderr).to.equal(130);
        expect(leftovers(`ctrl-c-${jobs}`)).to.deep.equal([]);
        const verdicts = latestOutcomes(dir).map((one) => one.verdict);
        expect(verdicts).to.include('pass').and.to.include('error').and.to.include('skipped');
        expect(statSync(join(dir, 'reports', 'latest', 'index.html')).size).to.be.greaterThan(100);
        remove();
      });
    }

    it('kill -9 leaves nothing that gc does not remove', async () => {
      const { dir, remove } = workDirectory({ 'one.yaml': small('kill-nine', endless) });
      const run = netrig(['run', 'one.yaml'], { cwd: dir });
      await run.saw(/a reaches b/);
      run.child.kill('SIGKILL');
      await run.ended;
      const gc = await netrig(['gc'], { cwd: dir }).ended;
      expect(gc.status, gc.stdout + gc.stderr).to.equal(0);
      expect(leftovers('kill-nine')).to.deep.equal([]);
      remove();
    });

    it('the next run sweeps by itself what a killed one left', async () => {
      const { dir, remove } = workDirectory({ 'one.yaml': small('swept', endless), 'two.yaml': small('sweeper') });
      const run = netrig(['run', 'one.yaml'], { cwd: dir });
      await run.saw(/a reaches b/);
      run.child.kill('SIGKILL');
      await run.ended;
      expect((await netrig(['run', 'two.yaml'], { cwd: dir }).ended).status).to.equal(0);
      expect(leftovers('swept')).to.deep.equal([]);
      remove();
    });

    it('two runs of the same scenario at once do not see each other', async () => {
      const { dir, remove } = workDirectory({ 'one.yaml': small('twins') });
      const both = await Promise.all([
        netrig(['run', 'one.yaml'], { cwd: dir }).ended,
        netrig(['run', 'one.yaml'], { cwd: dir }).ended,
      ]);
      expect(both.map((end) => end.status)).to.deep.equal([0, 0]);
      expect(leftovers('twins')).to.deep.equal([]);
      remove();
    });
  });

  describe('a lab that stays', () => {
    const { dir, remove } = workDirectory({
      'stay.yaml': small('stays', '  - step: A file\n    on: a\n    run: echo kept >/kept\n'),
    });
    let id = '';
    after(async () => {
      await netrig(['down', '--all'], { cwd: dir }).ended;
      remove();
    });

    it('up leaves it up, its steps done, and prints its id', async () => {
      const end = await netrig(['up', 'stay.yaml'], { cwd: dir }).ended;
      expect(end.status, end.stderr).to.equal(0);
      id = end.stdout.trim();
      expect(id).to.match(/^stays-[0-9a-f]{6}$/);
    });

    it('ps lists it', async () => {
      const end = await netrig(['ps', '--json'], { cwd: dir }).ended;
      const labs = JSON.parse(end.stdout) as { id: string; state: string; hosts: { name: string }[] }[];
      expect(labs.find((lab) => lab.id === id)).to.deep.include({ state: 'up' });
    });

    it('exec gives output and exit status as they are', async () => {
      const end = await netrig(
        ['exec', '--lab', id, 'a', '--', 'sh', '-c', 'cat /kept; echo "two  words" >&2; exit 7'],
        { cwd: dir },
      ).ended;
      expect(end).to.deep.include({ status: 7, stdout: 'kept\n', stderr: 'two  words\n' });
    });

    it('check makes its checks and leaves it up', async () => {
      const end = await netrig(['check', '--lab', id], { cwd: dir }).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(0);
      expect(latestOutcomes(dir).filter((one) => one.verdict === 'pass').length).to.equal(1);
    });

    it('down takes all of it away; then it is unknown', async () => {
      expect((await netrig(['down', id], { cwd: dir }).ended).status).to.equal(0);
      expect(leftovers('stays-')).to.deep.equal([]);
      const again = await netrig(['down', id], { cwd: dir }).ended;
      expect(again.status).to.equal(2);
      expect(again.stderr).to.contain('NETRIG_LAB_UNKNOWN');
    });

    it('--keep-on-fail leaves a lab whose check failed, and only that', async () => {
      const kept = workDirectory({
        'one.yaml': small('kept-fails', '  - check: nobody listens\n    port: { from: a, to: b, port: 81 }\n'),
        'two.yaml': small('kept-passes'),
      });
      const end = await netrig(['run', '--keep-on-fail', 'one.yaml', 'two.yaml'], { cwd: kept.dir }).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(1);
      const labs = JSON.parse((await netrig(['ps', '--json'], { cwd: dir }).ended).stdout) as { id: string }[];
      const mine = labs.filter((lab) => lab.id.startsWith('kept-')).map((lab) => lab.id.replace(/-[0-9a-f]{6}$/, ''));
      expect(mine).to.deep.equal(['kept-fails']);
      expect((await netrig(['down', 'kept-fails'], { cwd: dir }).ended).status).to.equal(0);
      expect(leftovers('kept-')).to.deep.equal([]);
      kept.remove();
    });
  });
});
