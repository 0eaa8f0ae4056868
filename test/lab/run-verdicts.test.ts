import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { latestEvents, latestOutcomes, leftovers, netrig, workDirectory } from './netrig-command.js';

const lab = (name: string, steps: string): string => `
scenario: ${name}
title: A small lab
hosts:
  a: { image: debian-12, init: light }
  b: { image: debian-12, init: light }
segments:
  lan: { subnet: 10.81.0.0/24, hosts: { a: 10.81.0.1, b: 10.81.0.2 } }
steps:
${steps}`;

/** Polls until the condition gives something; Mocha's own time limit is the deadline. */
async function found<T>(look: () => T | null | undefined): Promise<T> {
  for (;;) {
    const value = look();
    if (value !== null && value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The process that the ledger of the lab names for a role: the guard or PID 1 of a host, what holds the segments. */
function ledgerPid(prefix: string, role: string): number {
  const labs = join(process.env['XDG_STATE_HOME'] ?? '/root/.local/state', 'netrig', 'labs');
  const name = readdirSync(labs).find((one) => one.startsWith(`${prefix}-`))!;
  const ledger = readdirSync(join(labs, name)).find((one) => one.startsWith('ledger'))!;
  const entries = readFileSync(join(labs, name, ledger), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { kind: string; role?: string; pid?: number });
  const named = entries.filter((entry) => entry.kind === 'process' && entry.role === role).map((entry) => entry.pid!);
  // What only prepared a host has ended by now.
  return named.find((pid) => existsSync(`/proc/${pid}`))!;
}

describe('What a run makes of a lab, a host or a worker that dies', function () {
  this.timeout(120_000);

  for (const role of ['segments', 'b']) {
    it(`the lab's own machinery (${role}) is killed: error, exit 3, naming it, and nothing stays`, async () => {
      const name = `died-${role}`;
      const { dir, remove } = workDirectory({
        'a.yaml': lab(
          name,
          `  - check: under way
    command: { on: a, run: sleep 60 }
    timeout: 90s
  - check: after it
    ping: { from: a, to: b }
`,
        ),
      });
      const run = netrig(['run', 'a.yaml'], { cwd: dir });
      await run.saw(/Provisioned/);
      // What dies before the first item has begun is an error of the scenario, and no item's.
      await found(() => latestEvents(dir).find(({ type }) => type === 'item:start'));
      process.kill(ledgerPid(name, role), 'SIGKILL');
      const end = await run.ended;
      expect(end.status, end.stdout).to.equal(3);
      expect(end.stdout).to.match(
        role === 'b' ? /died: [^\n]*of the host b/ : /died: the process that holds the segments/,
      );
      expect(latestOutcomes(dir).map((one) => one.verdict)).to.deep.equal(['error', 'skipped']);
      expect(leftovers(name)).to.deep.equal([]);
      remove();
    });
  }

  it('a host whose processes are all stopped is inconclusive, not green by a new connection', async () => {
    const { dir, remove } = workDirectory({
      'a.yaml': lab(
        'frozen',
        `  - step: Freeze it
    on: a
    run: |
      (sleep 0.5; kill -STOP -1) >/dev/null 2>&1 </dev/null &
  - check: a answers
    command: { on: a, run: "sleep 1; hostname" }
    timeout: 2s
`,
      ),
    });
    await netrig(['run', 'a.yaml'], { cwd: dir }).ended;
    const outcomes = latestOutcomes(dir);
    expect(outcomes.map((one) => one.verdict)).to.deep.equal(['pass', 'inconclusive']);
    expect(outcomes[1]!.reason).to.contain('a did not answer within 2.0 s');
    remove();
  });

  it('within: the true cause is reported, not that the last attempt was cut; late is not within', async () => {
    const { dir, remove } = workDirectory({
      'a.yaml': lab(
        'clipped',
        `  - check: wrong for good
    command: { on: a, run: "sleep 0.7; echo wrong", expect: { stdout: right } }
    within: 2s
  - check: a command of 3 s is done within 1 s
    command: { on: a, run: sleep 3 }
    within: 1s
  - step: A file appears after 2.3 s
    on: a
    run: (sleep 2.3; touch /run/x) >/dev/null 2>&1 &
  - check: it is there within 2 s
    command: { on: a, run: "sleep 0.65; test -e /run/x" }
    within: 2s
`,
      ),
    });
    const end = await netrig(['run', 'a.yaml'], { cwd: dir }).ended;
    expect(end.status).to.equal(1);
    const [wrong, late, , absent] = latestOutcomes(dir);
    expect(wrong).to.include({ verdict: 'fail', cause: 'wrong-value' });
    expect(absent).to.include({ verdict: 'fail', cause: 'exit-status' });
    // On a machine that has no time, what ran out of it is not known.
    if (late!.verdict === 'inconclusive') expect(late!.reason).to.contain('This machine is starved');
    else expect(late).to.include({ verdict: 'fail', cause: 'timeout' });
    remove();
  });

  const files = {
    'a.yaml': lab('alive', '  - check: it runs\n    command: { on: a, run: sleep 0.5 }\n'),
    'b.yaml': lab('harmed', '  - check: it runs\n    command: { on: a, run: sleep 0.5 }\n'),
  };

  const changes: [string, (file: string) => void][] = [
    ['broken', (file) => writeFileSync(file, 'scenario: [\n')],
    ['deleted', (file) => unlinkSync(file)],
    ['changed', (file) => writeFileSync(file, files['b.yaml'].replace('it runs', 'something else runs'))],
  ];
  for (const [how, change] of changes) {
    it(`a file is ${how} after it was chosen: what was planned of it is an error, exit 3`, async () => {
      const { dir, remove } = workDirectory(files);
      const run = netrig(['run', '-j', '2', 'a.yaml', 'b.yaml'], { cwd: dir });
      await found(() => {
        try {
          return readdirSync(join(dir, 'reports')).find((name) => /^\d/.test(name));
        } catch {
          return null;
        }
      });
      change(join(dir, 'b.yaml'));
      const end = await run.ended;
      expect(end.status, end.stdout).to.equal(3);
      expect(end.stdout).to.match(/harmed › it runs[\s\S]*error: /);
      remove();
    });
  }

  it('a worker is killed before it said a word: what was planned of its file is an error, exit 3', async () => {
    const { dir, remove } = workDirectory(files);
    const run = netrig(['run', '-j', '2', 'a.yaml', 'b.yaml'], { cwd: dir });
    const workers = await found(() => {
      const children = readFileSync(`/proc/${run.child.pid}/task/${run.child.pid}/children`, 'utf8');
      const pids = children
        .split(' ')
        .filter((text) => text.trim() !== '')
        .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('worker'));
      return pids.length > 0 ? pids.map(Number) : null;
    });
    process.kill(workers[0]!, 'SIGKILL');
    const end = await run.ended;
    expect(end.status, end.stdout).to.equal(3);
    expect(end.stdout).to.contain('2 planned, 2 reported');
    remove();
  });
});
