import { chmodSync } from 'node:fs';
import { expect } from 'chai';
import { latestOutcomes, leftovers, mainFile, netrig, notRoot, start, workDirectory } from './netrig-command.js';

const header = (name: string, hosts: string): string => `
scenario: ${name}
title: What goes wrong
hosts: ${hosts}
segments: { lan: { subnet: 10.82.0.0/24, hosts: [a, b] } }
steps:
`;
const light = '{ a: { image: debian-12, init: light }, b: { image: debian-12, init: light } }';
const engine = '{ a: { image: debian-12 }, b: { image: debian-12, init: light } }';

async function run(
  yaml: string,
  args: string[] = [],
): Promise<{ status: number | null; output: string; dir: string; remove(): void }> {
  const { dir, remove } = workDirectory({ 'one.yaml': yaml });
  const end = await netrig(['run', 'one.yaml', '--no-allure-report', ...args], { cwd: dir }).ended;
  return { status: end.status, output: end.stdout + end.stderr, dir, remove };
}

describe('What goes wrong, and what netrig says', function () {
  this.timeout(120_000);

  it('an image that does not exist: 2, with the place and those that do', async () => {
    const { status, output, remove } = await run(
      `${header('bad-image', '{ a: { image: debian-99 }, b: }')}  - check: x\n    ping: { from: a, to: b }\n`,
    );
    expect(status, output).to.equal(2);
    expect(output)
      .to.match(/one\.yaml:4:\d+/)
      .and.to.contain('debian-99')
      .and.to.match(/did you mean "debian-1\d"/);
    remove();
  });

  it('an unknown provider: 2', async () => {
    const { status, output, remove } = await run(
      `${header('bad-provider', light)}  - check: x\n    ping: { from: a, to: b }\n`,
      ['--provider', 'cloud'],
    );
    expect(status, output).to.equal(2);
    expect(output).to.contain('"cloud"').and.to.contain('local');
    remove();
  });

  it('no root: 3, and says so before anything is made', async function () {
    const { dir, remove } = workDirectory({
      'one.yaml': `${header('no-root', light)}  - check: x\n    ping: { from: a, to: b }\n`,
    });
    chmodSync(dir, 0o777);
    const wrap = notRoot(mainFile);
    if (!wrap) {
      this.test!.title += ' (skipped: neither another user nor a user namespace can read this checkout)';
      remove();
      this.skip();
    }
    const [program, ...args] = wrap!;
    const end = await start(program!, [...args, process.execPath, mainFile, 'run', 'one.yaml'], {
      cwd: dir,
      env: { HOME: dir, XDG_STATE_HOME: dir },
    }).ended;
    expect(end.status, end.stdout + end.stderr).to.equal(3);
    expect(end.stdout + end.stderr).to.contain('NETRIG_NO_ROOT');
    expect(leftovers('no-root')).to.deep.equal([]);
    remove();
  });

  it('a capability that nobody knows: a mistake of the file, with the one that was meant', async () => {
    const { status, output, remove } = await run(
      `requires: [kernel:vxlann]\n${header('misspelt', light)}  - check: x\n    ping: { from: a, to: b }\n`,
    );
    expect(status, output).to.equal(2);
    expect(output).to.match(/:1:12: no provider knows the capability "kernel:vxlann"; did you mean "kernel:vxlan"/);
    remove();
  });

  it('something this machine cannot do: skipped with the capability named, and not green', async () => {
    // Of another provider's: this one never has it.
    const { status, output, dir, remove } = await run(
      `requires: [machine:no-such-thing]\n${header('not-here', light)}  - check: x\n    ping: { from: a, to: b }\n`,
    );
    expect(
      latestOutcomes(dir).map((one) => one.verdict),
      output,
    ).to.deep.equal(['skipped']);
    expect(latestOutcomes(dir)[0]!.reason).to.contain('machine:no-such-thing');
    expect(status).to.equal(1);
    remove();
  });

  it('an engine option that the engine does not have: the step fails with the engine’s words', async () => {
    const { status, output, dir, remove } = await run(
      `${header('bad-option', engine)}  - on: a\n    run: docker run --network nosuchnet busybox true\n  - check: x\n    ping: { from: a, to: b }\n`,
    );
    expect(status, output).to.equal(1);
    const [step, check] = latestOutcomes(dir);
    expect(step).to.include({ verdict: 'fail', cause: 'exit-status' });
    expect(step!.reason).to.contain('nosuchnet');
    expect(check!.verdict).to.equal('skipped');
    remove();
  });

  it('a container that exits at once: the declared state fails and says how it ended', async () => {
    const { status, output, dir, remove } = await run(
      `${header('exits-at-once', '{ a: { image: debian-12, docker: { containers: { gone: { image: busybox, command: [sh, -c, exit 3] } } } }, b: { image: debian-12, init: light } }')}  - check: x\n    ping: { from: a, to: b }\n`,
    );
    expect(status, output).to.equal(1);
    expect(latestOutcomes(dir)[0]!.reason).to.contain('gone').and.to.contain('exit status 3');
    remove();
  });

  it('a check from a container that is not there is inconclusive, to one that is not there a failure, and never a proof of isolation', async () => {
    const { status, output, dir, remove } = await run(`${header('no-container', engine)}  - step: made and removed
    on: a
    run: docker create --name ghost busybox && docker rm ghost
  - check: from it
    ping: { from: a/ghost, to: b }
  - check: to it
    ping: { from: a, to: a/ghost }
  - check: it cannot be reached, but nothing is proven by that
    ping: { from: a, to: a/ghost, expect: { fails: [timeout, host-unreachable] } }
`);
    expect(status, output).to.equal(1);
    expect(latestOutcomes(dir).map(({ verdict, cause }) => [verdict, cause])).to.deep.equal([
      ['pass', undefined],
      ['inconclusive', undefined],
      ['fail', 'absent'],
      ['inconclusive', undefined],
    ]);
    remove();
  });

  it('sshd that dies under a command: an error, as nobody runs a command twice that may change something; the next check has a new connection', async () => {
    const { status, output, dir, remove } =
      await run(`${header('ssh-dies', light)}  - check: the first time, it kills its own connection
    command:
      on: a
      run: "test -e /tried && exit 0; touch /tried; kill -9 $(ps -o ppid= -p $$)"
  - check: and the next goes on
    ping: { from: a, to: b }
`);
    expect(
      latestOutcomes(dir).map((one) => one.verdict),
      output,
    ).to.deep.equal(['error', 'pass']);
    expect(status).to.equal(3);
    expect(output).to.contain('NETRIG_SSH_LOST');
    remove();
  });

  it('a host that dies in the middle: error verdicts, 3, nothing left', async () => {
    const { status, output, dir, remove } = await run(`${header('host-dies', engine)}  - check: alive
    ping: { from: b, to: a }
  - step: its init is killed
    on: a
    run: systemctl --force --force poweroff; sleep 30
  - check: after it
    ping: { from: a, to: b }
`);
    expect(status, output).to.equal(3);
    const verdicts = latestOutcomes(dir).map((one) => one.verdict);
    expect(verdicts[0]).to.equal('pass');
    expect(verdicts[1]).to.equal('error');
    expect(verdicts[2]).to.equal('skipped');
    expect(leftovers('host-dies')).to.deep.equal([]);
    remove();
  });

  it('hostile names in a scenario never reach a shell', async () => {
    const { dir, remove } = workDirectory({
      'one.yaml': `scenario: "../x; touch /tmp/netrig-hostile"\ntitle: x\nhosts: { "$(id)": }\nsegments: { lan: { subnet: 10.0.0.0/24, hosts: ["$(id)"] } }\nsteps:\n  - check: x\n    ping: { from: "$(id)", to: 10.0.0.1 }\n`,
    });
    const end = await netrig(['run', 'one.yaml'], { cwd: dir }).ended;
    expect(end.status).to.equal(2);
    expect(end.stderr)
      .to.match(/one\.yaml:1:\d+/)
      .and.to.match(/one\.yaml:3:\d+/);
    remove();
  });
});
