import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compare } from '../../src/cli/commands/compare.js';
import { shownOf } from '../../src/cli/commands/doctor.js';
import { latestRuns } from '../../src/cli/commands/report.js';
import { joined, table, text } from '../../src/cli/terminal.js';
import { isNetrigError, type NetrigError } from '../../src/errors.js';
import { argvIn, placeNamed, refuseWithoutEngine, statusOf } from '../../src/labs/exec.js';
import { chooseScenario } from '../../src/labs/up.js';
import { defaultFormats } from '../../src/report/reports.js';
import { planLab } from '../../src/plan/plan.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import type { Scenario } from '../../src/scenario/scenario.js';
import { openSession } from '../../src/session/session.js';
import { execResult, fakeConnection } from '../fakes/connection.js';
import { fakeLab } from '../fakes/provider.js';
import { overlayRun } from '../fixtures/runs/builder.js';
import { sourceFiles } from './source-files.js';

const root = join(import.meta.dirname, '..', '..', '..');

const oneHost = `scenario: one
title: One host
hosts: { a: { image: debian-12, init: light } }
steps:
  - check: a is there
    ping: { from: a, to: a }
`;

describe('The command line', function () {
  this.timeout(60_000);
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'netrig-cli-'));
    writeFileSync(join(dir, 'one.yaml'), oneHost);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** The built program with pipes for its streams, read slowly, as another program would. */
  function netrig(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, [join(root, 'dist', 'program', 'cli', 'main.js'), ...args], {
      cwd: dir,
      env: { ...process.env, NO_COLOR: '1', XDG_STATE_HOME: join(dir, 'state') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.stderr.pause();
    setTimeout(() => child.stderr.resume(), 500);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status) => resolve({ status, stdout, stderr }));
    });
  }

  it('says all of what is wrong into a pipe, however much it is and however slowly it is read', async () => {
    const steps = Array.from({ length: 300 }, (_, n) => `  - check: number ${n}\n    pink: { from: a }\n`).join('');
    const files = ['m0.yaml', 'm1.yaml', 'm2.yaml'];
    for (const file of files) writeFileSync(join(dir, file), oneHost.replace(/steps:[^]*/, `steps:\n${steps}`));
    const { status, stderr } = await netrig('validate', ...files);
    expect(status).to.equal(2);
    expect(stderr.length).to.be.greaterThan(70_000);
    expect(stderr).to.match(/\n\d+ mistakes in 3 of 3 files\n$/);
  });

  it('goes on where its reader is gone, and its status says how it went', () => {
    writeFileSync(join(dir, 'bad.yaml'), oneHost.replace('ping', 'pink'));
    const program = join(root, 'dist', 'program', 'cli', 'main.js');
    const status = (command: string): { status: number | null; stderr: string } =>
      spawnSync('bash', ['-c', `set -o pipefail; ${command}`, 'bash', process.execPath, program], {
        cwd: dir,
        env: { ...process.env, XDG_STATE_HOME: join(dir, 'state') },
        encoding: 'utf8',
      });
    expect(status('{ sleep 0.5; "$@" validate bad.yaml; } 2>&1 | true').status).to.equal(2);
    expect(status('{ sleep 0.5; "$@" validate one.yaml; } 2>&1 | true').status).to.equal(0);
    const full = status('"$@" validate one.yaml >/dev/full');
    expect(full.stderr).to.match(
      /^netrig: Standard output could not be written: no space is left there\. \(NETRIG_WRITE\)\n/,
    );
    expect(full.status).to.equal(3);
  });

  for (const [args, status, words] of [
    [['run', 'one.yaml', '--reporter', 'nope'], 2, /Mocha knows no reporter "nope".*\(NETRIG_USAGE\)\n.*spec/],
    [
      ['run', 'one.yaml', '--reports', '/proc/x/y'],
      3,
      /No directory for the run.*\/proc\/x\/y.*\(NETRIG_REPORT_WRITE\)/,
    ],
    [['init', '/proc/x'], 2, /\/proc\/x.* cannot be made: .*\(NETRIG_USAGE\)/],
    [['init', '/proc/x/y.yaml'], 2, /\/proc\/x cannot be made: .*\(NETRIG_USAGE\)/],
    [['down', ''], 2, /argument 'labs' is empty\. \(NETRIG_USAGE\)\n.*netrig down --help/],
    [['run', 'one.yaml', ''], 2, /argument 'paths' is empty\. \(NETRIG_USAGE\)/],
    [['up', ''], 2, /argument 'file' is empty\. \(NETRIG_USAGE\)/],
    [
      ['exec', '-l', '', 'a', '--', 'true'],
      2,
      /'-l, --lab <id>' argument '' is invalid\. It takes a value that is not empty/,
    ],
    [['validate', '\u001b]0;title\u0007\u001b[2Jx\u202ey'], 2, /There is no file or directory x<U\+202E>y\./],
  ] as [string[], number, RegExp][]) {
    it(`netrig ${JSON.stringify(args.join(' ')).slice(1, -1)}: status ${status}, with what and how to mend`, async () => {
      const ended = await netrig(...args);
      expect(ended.stderr).to.match(words);
      expect(ended.stderr).to.not.match(
        /netrig itself is broken|[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/,
      );
      expect(ended.status).to.equal(status);
      expect(existsSync(join(dir, 'reports')), 'a run that never began leaves nothing').to.equal(false);
    });
  }
});

describe('The way to the terminal', () => {
  it('makes values harmless and keeps words and paint', () => {
    const evil = '\u001b]0;PWNED\u0007\u001b[2J\u001b[31mboo\u202e';
    expect(text`\u001b[1m${evil}\u001b[0m ${3}\n${text`<${evil}>`}`.text).to.equal(
      '\u001b[1mboo<U+202E>\u001b[0m 3\n<boo<U+202E>>',
    );
    expect(joined(['a\u0008', text`b`], '\n').text).to.equal('a␈\nb');
  });

  it('sets tables by what is seen of their cells', () => {
    const made = table(
      ['A', 'B'],
      [
        ['字字', 'x'],
        ['\u001b[2Jy\nz', 'w'],
      ],
    );
    expect(made.text.replace(/\u001b\[\d+m/g, '')).to.equal('A     B\n字字  x\ny z   w');
  });

  it('is the only one: no command writes to a stream by itself', () => {
    const found = sourceFiles(join(root, 'src'))
      .filter(({ path }) => /\/src\/(?:cli|labs|report|scenario|providers|session|run)\//.test(path))
      .filter(({ path }) => !path.endsWith('cli/terminal.ts'))
      .flatMap(({ path, text: source }) =>
        [...source.matchAll(/\b(?:process\.(?:stdout|stderr)|process\[\w+\])\.write\(|console\.(?:log|error)\(/g)].map(
          ([call]) => `${path.replace(/^.*\/src\//, '')}: ${call}`,
        ),
      );
    // The record's own warning, where nobody gave it another way.
    expect(found).to.deep.equal(['run/event-log.ts: process.stderr.write(']);
  });
});

describe('netrig compare --last', () => {
  it('takes the two latest runs, the older one first, and nothing that is no run', async () => {
    const reports = mkdtempSync(join(tmpdir(), 'netrig-last-'));
    try {
      for (const name of [
        '20261104T101112.345Z-aaaa',
        '20261105T101112.345Z-0000',
        '20261103T101112.345Z-ffff',
        'notes',
      ])
        overlayRun().save(join(reports, name));
      mkdirSync(join(reports, '20261106T101112.345Z-empty'));
      expect(await latestRuns(reports, 2)).to.deep.equal(['20261104T101112.345Z-aaaa', '20261105T101112.345Z-0000']);
      expect(await latestRuns(join(reports, 'nowhere'), 2)).to.deep.equal([]);
      expect(await compare([], { reports, last: true })).to.equal(0);
      const misused: unknown = await compare(['x'], { reports, last: true }).catch((error: unknown) => error);
      expect(isNetrigError(misused, 'NETRIG_USAGE')).to.equal(true);
    } finally {
      rmSync(reports, { recursive: true, force: true });
    }
  });
});

describe('Wrong usage', () => {
  const main = join(root, 'dist/program/cli/main.js');
  for (const [words, told, next] of [
    [['run', '--nope'], "unknown option '--nope'", 'netrig run --help'],
    [['nope'], "unknown command 'nope'", 'netrig --help'],
    [['exec'], "missing required argument 'endpoint'", 'netrig exec --help'],
    [['run', '-t', ''], "option '-t, --tag <tags>' argument '' is invalid", 'netrig run --help'],
    [['run', '-t', ' ,'], 'It takes at least one word', 'netrig run --help'],
    [['run', '--reports', ''], "option '--reports <dir>' argument '' is invalid", 'netrig run --help'],
    [['class', 'start', '--nope'], "unknown option '--nope'", 'netrig class start --help'],
  ] as const)
    it(`has a code and a next step: ${['netrig', ...words].join(' ')}`, () => {
      const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...words], { encoding: 'utf8' });
      expect(status).to.equal(2);
      expect(stderr).to.contain(told).and.contain('(NETRIG_USAGE)').and.contain(`\`${next}\``);
      expect(stdout).to.equal('');
    });
});

describe('netrig exec', () => {
  const ended = { exitCode: null, timedOut: false, aborted: false };
  for (const [what, result, status] of [
    ['ended by itself', { ...ended, exitCode: 7 }, 7],
    ['killed', { ...ended, signal: 'KILL' }, 137],
    ['terminated', { ...ended, signal: 'TERM' }, 143],
    ['ended by a signal that this machine has no number for', { ...ended, signal: 'FOO' }, 128],
    ['out of time', { ...ended, timedOut: true }, 124],
    ['interrupted', { ...ended, aborted: true }, 130],
  ] as const)
    it(`a command that was ${what}: ${status}`, () => expect(statusOf(result)).to.equal(status));

  const lab = planLab(
    loadScenarioText(
      `scenario: places
title: Places
hosts: { a: { init: light }, server: { init: light } }
segments: { lan: { subnet: 10.0.0.0/24, hosts: [a, server] } }
steps:
  - check: a reaches the server
    ping: { from: a, to: server }
`,
      '/labs/places.yaml',
    ).scenarios[0]!,
  );

  it('names the hosts that there are, the one that was meant first', async () => {
    expect(() => placeNamed('sevrer/web', lab)).to.throw(
      'The lab has no host "sevrer"; did you mean "server"? It has server, a.',
    );
    expect(() => placeNamed('nobody', lab)).to.throw('The lab has no host "nobody"; it has a, server.');
    expect(() => placeNamed('Server', lab))
      .to.throw()
      .with.property('hint')
      .that.includes('The hosts are server, a.');
    const running = fakeLab(lab);
    const { code, message } = await openSession(running)
      .connection('serer')
      .then(
        () => expect.fail('there is no such host'),
        (error: NetrigError) => error,
      );
    expect([code, message]).to.deep.equal([
      'NETRIG_HOST_UNKNOWN',
      'The lab fake has no host "serer"; did you mean "server"? It has server, a.',
    ]);
  });

  it('says of a host without an engine that it has none', async () => {
    const web = placeNamed('a/web', lab);
    const host = fakeConnection(() => Promise.resolve(execResult({ exitCode: 1 })));
    const error = await refuseWithoutEngine(web, lab, host).then(
      () => expect.fail('it has no containers'),
      (reason: NetrigError) => reason,
    );
    expect(error.message).to.equal('a has no engine, and so no containers.');
    expect(host.asked.map(({ command }) => command)).to.deep.equal([['test', '-S', '/var/run/docker.sock']]);
    // One that steps brought; a host alone; a host that has one from the start.
    await refuseWithoutEngine(web, lab, fakeConnection());
    await refuseWithoutEngine(placeNamed('a', lab), lab, host);
    await refuseWithoutEngine(web, { hosts: lab.hosts.map((one) => ({ ...one, engine: true })) }, host);
  });

  it('goes into hosts, containers and namespaces, with every word as it is', () => {
    const words = ['echo', '$(id)', "it's"];
    expect(argvIn(placeNamed('a', lab), words, { stdin: false })).to.deep.equal(words);
    expect(argvIn(placeNamed('a/web', lab), words, { stdin: true })).to.deep.equal([
      'docker',
      'exec',
      '-i',
      'web',
      ...words,
    ]);
    const [sh, dashC, script, name, ...rest] = argvIn(placeNamed('a/netns:blue', lab), words, { stdin: false });
    expect([sh, dashC, name, rest]).to.deep.equal(['sh', '-c', 'blue', words]);
    expect(script).to.include('ip netns exec "$0" "$@"');
    for (const bad of ['', '/', 'a/', 'a/netns:', 'a b', '-a'])
      expect(() => placeNamed(bad, lab), bad)
        .to.throw()
        .that.satisfies((error: unknown) => isNetrigError(error, 'NETRIG_USAGE'));
  });
});

describe('Which scenario of a file', () => {
  const two = [{ id: 'x[a=1]' }, { id: 'x[a=2]' }] as Scenario[];
  it('is never guessed among several', () => {
    expect(() => chooseScenario(two, 'x.yaml', undefined)).to.throw(/x\.yaml makes 2 scenarios/);
    expect(() => chooseScenario(two, 'x.yaml', 'y')).to.throw(/has no scenario "y"/);
    expect(chooseScenario(two, 'x.yaml', 'x[a=2]')).to.equal(two[1]);
    expect(chooseScenario(two.slice(1), 'x.yaml', undefined)).to.equal(two[1]);
  });
});

describe('netrig doctor', () => {
  const lacking = {
    provider: 'container',
    capabilities: [
      { name: 'kernel:veth', have: false, seen: 'not tried' },
      { name: 'engine', have: false, seen: 'none', mend: 'start it' },
      { name: 'kernel:bridge', have: false, seen: 'not tried' },
    ],
  };
  it('says of a provider that is not here the one thing that it lacks, unless it was asked for', () => {
    expect(shownOf(lacking, false)).to.deep.equal({ shown: [lacking.capabilities[1]], left: 2 });
    expect(shownOf(lacking, true)).to.deep.equal({ shown: lacking.capabilities, left: 0 });
    const whole = { provider: 'local', capabilities: [{ name: 'kernel:ipvlan', have: false, seen: 'tried' }] };
    expect(shownOf(whole, false)).to.deep.equal({ shown: whole.capabilities, left: 0 });
  });
});

describe('Reports of every run', () => {
  it('have no Allure page, which takes half a minute, and Allure’s results in CI only', () => {
    const quick = ['results', 'junit', 'code-quality', 'summary', 'html'];
    expect(defaultFormats({})).to.deep.equal(quick);
    expect(defaultFormats({ CI: 'false' })).to.deep.equal(quick);
    expect(defaultFormats({ CI: 'true' })).to.deep.equal([...quick, 'allure']);
  });
  it('are told of in the help as they are', () => {
    expect(readFileSync(join(root, 'docs', 'cli.md'), 'utf8'))
      .to.include('`--allure`')
      .and.not.include('--no-allure');
  });
});
