import { expect } from 'chai';
import { latestEvents, latestOutcomes, netrig, workDirectory } from './netrig-command.js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const lab = (name: string, steps: string): string => `
scenario: ${name}
title: Steps
hosts: { a: { image: debian-12, init: light }, b: { image: debian-12, init: light } }
segments: { lan: { subnet: 10.81.0.0/24, hosts: [a, b] } }
steps:
${steps}`;

async function outcomesOf(
  name: string,
  steps: string,
  args: string[] = [],
): Promise<{
  status: number | null;
  outcomes: ReturnType<typeof latestOutcomes>;
  dir: string;
  remove(): void;
  output: string;
}> {
  const { dir, remove } = workDirectory({ 'one.yaml': lab(name, steps) });
  const end = await netrig(['run', 'one.yaml', '--no-allure-report', ...args], { cwd: dir }).ended;
  return { status: end.status, outcomes: latestOutcomes(dir), dir, remove, output: end.stdout + end.stderr };
}

describe('Steps on real hosts', function () {
  this.timeout(120_000);

  it('run: on several hosts, with stdin, stopping at the first line that fails', async () => {
    const { status, outcomes, remove, output } = await outcomesOf(
      'step-run',
      `  - on: [a, b]
    run: cat >/got
    stdin: "from outside"
  - check: it arrived
    command: { on: b, run: cat /got, expect: { stdout: from outside } }
  - on: b
    run: |
      test -e /got
      cat /not-there
      touch /after
`,
    );
    expect(status, output).to.equal(1);
    expect(outcomes.map((one) => one.verdict)).to.deep.equal(['pass', 'pass', 'fail']);
    expect(outcomes[2]!.cause).to.equal('exit-status');
    expect(outcomes[2]!.reason).to.contain('/not-there');
    remove();
  });

  it('run: a step that hangs is ended with all its processes, with cause timeout', async () => {
    const { status, outcomes, remove, output } = await outcomesOf(
      'step-hangs',
      `  - on: a\n    run: sleep 4321 & sleep 4321; wait\n    timeout: 1s\n`,
    );
    expect(status, output).to.equal(1);
    expect(outcomes[0]).to.include({ verdict: 'fail', cause: 'timeout' });
    remove();
  });

  it('run: 50 MB of output and bytes that are no UTF-8 do no harm', async () => {
    const { status, outcomes, dir, remove, output } = await outcomesOf(
      'step-output',
      `  - on: a\n    run: head -c 50000000 /dev/urandom; echo the end\n`,
    );
    expect(status, output).to.equal(1); // no check was made
    expect(outcomes[0]!.verdict).to.equal('pass');
    const command = latestEvents(dir).find(
      (event) =>
        event['type'] === 'command' && (event['transcript'] as { command: string }).command.includes('urandom'),
    )!['transcript'] as { stdout: string; stdoutBytes: number };
    expect(command.stdoutBytes).to.equal(50_000_008);
    expect(command.stdout.length).to.be.lessThan(3_000_000);
    expect(command.stdout).to.match(/the end\n$/);
    remove();
  });

  it('write: content as it stands, with mode and parent directories', async () => {
    const { status, remove, output } = await outcomesOf(
      'step-write',
      `  - on: [a, b]
    write: /etc/new/place/file
    content: |
      $(id) \${HOME} 'quoted' "twice"
    mode: "0600"
  - check: as written
    command: { on: a, run: "stat -c %a /etc/new/place/file; cat /etc/new/place/file", expect: { stdout: "600\\n$(id) $\${HOME} 'quoted' \\"twice\\"" } }
`,
    );
    expect(status, output).to.equal(0);
    remove();
  });

  it('start: ready when it says so; its log is kept with the run', async () => {
    const { status, outcomes, dir, remove, output } = await outcomesOf(
      'step-start',
      `  - on: a
    start: echo warming up; sleep 0.3; echo ready to serve; exec socat TCP-LISTEN:7000,fork,reuseaddr EXEC:cat
    until: { log: ready to serve, tcp: "127.0.0.1:7000", within: 10s }
  - check: it serves b
    port: { from: b, to: a, port: 7000 }
`,
    );
    expect(status, output).to.equal(0);
    expect(outcomes[0]!.reason).to.match(/^Ready after/);
    const artifact = latestEvents(dir).find((event) => event['type'] === 'artifact')!['attachment'] as { file: string };
    expect(readFileSync(join(dir, 'reports', 'latest', artifact.file), 'utf8')).to.equal(
      'warming up\nready to serve\n',
    );
    remove();
  });

  it('start: one that ends before it is ready fails with its last words', async () => {
    const { status, outcomes, remove } = await outcomesOf(
      'step-ends',
      `  - on: a\n    start: echo no such option --bogus >&2; exit 3\n    until: { tcp: "127.0.0.1:7000", within: 30s }\n`,
    );
    expect(status).to.equal(1);
    expect(outcomes[0]).to.include({ verdict: 'fail', cause: 'exit-status' });
    expect(outcomes[0]!.reason).to.contain('--bogus');
    remove();
  });

  it('start: one that never gets ready fails with cause timeout', async () => {
    const { outcomes, remove } = await outcomesOf(
      'step-late',
      `  - on: a\n    start: echo here; exec sleep 600\n    until: { log: never said, within: 1s }\n`,
    );
    expect(outcomes[0]).to.include({ verdict: 'fail', cause: 'timeout' });
    remove();
  });
});

describe('SSH', function () {
  this.timeout(120_000);

  it('is one connection a host and lab, by the word of sshd’s own log', async () => {
    const many = Array.from(
      { length: 20 },
      (_, at) => `  - check: command ${at}\n    command: { on: a, run: "true" }\n`,
    ).join('');
    const { dir, remove } = workDirectory({
      'one.yaml': `
scenario: one-connection
title: One connection
hosts: { a: { image: debian-12 }, b: { image: debian-12, init: light } }
segments: { lan: { subnet: 10.84.0.0/24, hosts: [a, b] } }
steps:
  - on: a
    write: /etc/motd
    content: by SFTP
${many}  - check: sshd accepted one connection
    command: { on: a, run: "journalctl --no-pager -o cat | grep -c 'Accepted publickey for root'", expect: { stdout: "1" } }
`,
    });
    const end = await netrig(['run', 'one.yaml', '--no-allure-report'], { cwd: dir }).ended;
    expect(end.status, end.stdout + end.stderr).to.equal(0);
    remove();
  });
});
