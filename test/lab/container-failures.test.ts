import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { labDirectory, listRecords, readRecord } from '../../src/lab/store.js';
import { noteEndpoint } from '../../src/providers/container/used-engines.js';
import { containerProvider } from '../../src/providers/container/provider.js';
import { startContainerHolder, startEngine, type TestEngine } from './container-engine.js';
import { endOf, hostPlan, labPlan, machineState, missing, onHost, rejectsWith } from './local-labs.js';

const title = `the container provider when things go wrong${missing ? ` (needs ${missing})` : ''}`;
const cli = fileURLToPath(new URL('../../program/cli/main.js', import.meta.url));
const providerUrl = new URL('../../src/providers/container/provider.js', import.meta.url).href;

/** What `preflight` says in a process of its own, with that engine. */
function preflight(dockerHost: string | null, before: string[] = []): { code: string; message: string; hint: string } {
  const code = `
    const { containerProvider } = await import(${JSON.stringify(providerUrl)});
    await containerProvider.preflight(${JSON.stringify(labPlan('bare', [hostPlan('a', 11, ['net1'])]))}).then(
      () => console.log(JSON.stringify({ code: 'none' })),
      ({ code, message, hint }) => console.log(JSON.stringify({ code, message, hint })));`;
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: '/nonexistent' };
  if (dockerHost === null) delete env['DOCKER_HOST'];
  else env['DOCKER_HOST'] = dockerHost;
  const [program, ...args] = [...before, process.execPath, '--input-type=module', '-e', code];
  const { stdout, stderr } = spawnSync(program!, args, { encoding: 'utf8', env });
  return JSON.parse(stdout || JSON.stringify({ code: stderr, message: '', hint: '' })) as {
    code: string;
    message: string;
    hint: string;
  };
}

(missing ? describe.skip : describe)(title, function () {
  this.timeout(180_000);
  let state: string;
  let engine: TestEngine;
  let untouched: ReturnType<typeof machineState>;
  const oldState = process.env['XDG_STATE_HOME'];
  const containerLabs = (): string[] =>
    listRecords()
      .filter((record) => record.provider === 'container')
      .map((record) => record.id);

  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
    engine = await startEngine('hybrid');
    untouched = machineState();
  });

  after(async () => {
    await engine?.end();
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true });
  });

  it('says that there is no engine, that nobody listens, that it is not allowed, and how to mend it', () => {
    const none = preflight('unix:///nonexistent/docker.sock');
    expect(none.code).to.equal('NETRIG_ENGINE_UNREACHABLE');
    expect(none.message)
      .to.contain('unix:///nonexistent/docker.sock (DOCKER_HOST)')
      .and.to.match(/No answer from the Docker engine at unix:\S+ \(DOCKER_HOST\)/i);
    expect(none.hint).to.contain('DOCKER_HOST');
    const refused = preflight('tcp://127.0.0.1:9');
    expect(refused.message).to.contain('nothing listens there');
    const forbidden = preflight(engine.uri, ['setpriv', '--reuid', '65534', '--clear-groups', '--inh-caps', '-all']);
    expect(forbidden.code, forbidden.message).to.equal('NETRIG_ENGINE_UNREACHABLE');
    expect(forbidden.message).to.contain('permission denied');
    expect(forbidden.hint).to.contain('group `docker`');
    const strange = preflight('ssh://somewhere');
    expect(strange.code).to.equal('NETRIG_USAGE');
  });

  it('refuses an image whose systemd needs cgroup version 2 where the engine has version 1', async () => {
    const plan = labPlan('newer', [hostPlan('a', 11, ['net1'], { init: 'systemd', image: 'debian-sid' })]);
    const error = await rejectsWith('NETRIG_CAPABILITY', containerProvider.preflight(plan));
    expect(error.message).to.contain('cgroup version 2');
    await containerProvider.preflight(labPlan('light', [hostPlan('a', 11, ['net1'], { image: 'debian-sid' })]));
  });

  it('asks no engine and says nothing where it was never used', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    const socket = join(elsewhere, 'engine.sock');
    let asked = 0;
    const listener = createServer((connection) => {
      asked += 1;
      connection.destroy();
    }).listen(socket);
    await once(listener, 'listening');
    const oldEngine = process.env['DOCKER_HOST'];
    process.env['DOCKER_HOST'] = `unix://${socket}`;
    process.env['XDG_STATE_HOME'] = elsewhere;
    try {
      expect(await containerProvider.sweep()).to.deep.equal({ removed: [], left: [] });
      expect(asked).to.equal(0);
      // An engine that labs were on is asked: the one that counts here, too.
      noteEndpoint(`unix://${socket}`);
      await containerProvider.sweep();
      expect(asked).to.be.greaterThan(0);
    } finally {
      if (oldEngine === undefined) delete process.env['DOCKER_HOST'];
      else process.env['DOCKER_HOST'] = oldEngine;
      listener.close();
      process.env['XDG_STATE_HOME'] = state;
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('two labs at once with the same addresses; kill -9 of one holder, two sweeps at once: that one is gone, the other is not touched', async () => {
    const plan = (slug: string) =>
      labPlan(slug, [hostPlan('a', 11, ['net1'], { init: 'systemd', engine: true }), hostPlan('b', 12, ['net1'])]);
    const doomed = await startContainerHolder(plan('doomed'));
    const other = await startContainerHolder(plan('other'));
    try {
      const record = readRecord(doomed.id);
      expect(await engine.left(doomed.id)).to.have.length(4);
      await endOf(doomed.child, 'SIGKILL');
      await rejectsWith('NETRIG_LAB_GONE', containerProvider.attach(record));
      const [first, second] = await Promise.all([containerProvider.sweep(), containerProvider.sweep()]);
      expect([...first.left, ...second.left]).to.deep.equal([]);
      expect([...first.removed, ...second.removed].map((one) => one.lab))
        .to.include(doomed.id)
        .and.not.to.include(other.id);
      expect(await engine.left(doomed.id)).to.deep.equal([]);
      expect(containerLabs()).to.deep.equal([other.id]);

      const attached = await containerProvider.attach(readRecord(other.id));
      expect((await onHost(attached, 'b', 'ping -c 1 -W 2 10.20.1.11')).exitCode).to.equal(0);
      const exit = once(other.child, 'exit');
      await containerProvider.destroy(readRecord(other.id));
      expect((await exit)[0]).to.equal(0);
      expect(await engine.left()).to.deep.equal([]);
      expect(machineState()).to.deep.equal(untouched);
    } finally {
      await endOf(doomed.child, 'SIGKILL');
      await endOf(other.child, 'SIGTERM');
    }
  });

  it('finds the lab of a dead holder whose record is lost', async () => {
    const holder = await startContainerHolder(labPlan('lost', [hostPlan('a', 11, ['net1'])]));
    rmSync(labDirectory(holder.id), { recursive: true });
    expect((await containerProvider.sweep()).removed).to.deep.equal([]);
    await endOf(holder.child, 'SIGKILL');
    const report = await containerProvider.sweep();
    expect(report.removed.find((one) => one.lab === holder.id)?.what).to.have.length(2);
    expect(await engine.left()).to.deep.equal([]);
  });

  it('an engine that is stopped in the middle gives errors with the cause, soon; when it is back, nothing stays behind', async () => {
    const directory = join(state, 'stopped');
    mkdirSync(directory);
    const file = join(directory, 'stopped.yaml');
    writeFileSync(
      file,
      [
        'scenario: stopped',
        'title: The engine goes while the lab is in use',
        'hosts: { a: { image: debian-12, init: light }, b: { image: debian-12, init: light } }',
        'segments: { lan: { subnet: 10.20.1.0/24, hosts: { a: 10.20.1.11, b: 10.20.1.12 } } }',
        'steps:',
        '  - check: a reaches b',
        '    ping: { from: a, to: b }',
        '  - step: Time for the engine to go',
        '    on: a',
        '    run: sleep 600',
        '  - check: a reaches b still',
        '    ping: { from: a, to: b }',
        '',
      ].join('\n'),
    );
    const reports = join(directory, 'reports');
    const run = spawn(
      process.execPath,
      [cli, 'run', file, '--provider', 'container', '--no-allure-report', '--reports', reports],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    const onOutput = (bytes: Buffer): void => void (output += bytes.toString());
    run.stdout.on('data', onOutput);
    run.stderr.on('data', onOutput);
    const exit = once(run, 'exit') as Promise<[number | null]>;
    while (!output.includes('a reaches b') && run.exitCode === null)
      await Promise.race([once(run.stdout, 'data'), exit]);
    const stop = await onHost(engine.lab, 'engine', 'systemctl stop docker.socket docker.service');
    expect(stop.exitCode, stop.stderr).to.equal(0);
    const [code] = await exit;
    expect(code, output).to.equal(3);
    const [directoryName] = readdirSync(reports).filter((name) => /^\d/.test(name));
    const results = readFileSync(join(reports, directoryName!, 'run.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map(
        (line) => JSON.parse(line) as { type: string; item?: string; outcome?: { verdict: string; reason?: string } },
      )
      .filter((event) => event.type === 'item:end');
    expect(results.map((event) => event.outcome?.verdict)).to.deep.equal(['pass', 'error', 'skipped']);
    expect(results[1]?.outcome?.reason)
      .to.match(/NETRIG_SSH_LOST/)
      .and.to.match(/its container (ended with status|can't be asked after: .*Docker engine)/);
    expect(output)
      .to.contain('NETRIG_CLEANUP')
      .and.to.match(/No answer from the Docker engine at unix:\S+ \(DOCKER_HOST\)/i);
    expect(containerLabs()).to.have.length(1);
    const early = await containerProvider.sweep();
    expect(early.left.map((one) => one.why).join()).to.contain('No answer from the Docker engine');

    const start = await onHost(
      engine.lab,
      'engine',
      'systemctl reset-failed; systemctl start docker.socket && docker ps',
    );
    expect(start.exitCode, start.stderr).to.equal(0);
    const late = await containerProvider.sweep();
    expect(late.left).to.deep.equal([]);
    expect(await engine.left()).to.deep.equal([]);
    expect(containerLabs()).to.deep.equal([]);
    expect(machineState()).to.deep.equal(untouched);
  });
});
