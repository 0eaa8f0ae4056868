import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { HostImage } from '../../src/images/host-image.js';
import { ensureHostImage } from '../../src/images/store.js';
import { listRecords, readRecord } from '../../src/lab/store.js';
import { connect } from '../../src/ssh/connection.js';
import { createLocalProvider, localProvider } from '../../src/providers/local/provider.js';
import type { Provider } from '../../src/providers/provider.js';
import {
  cgroupsOf,
  endOf,
  expectNothingLeft,
  hostPlan,
  labPlan,
  machineState,
  made,
  missing,
  onHost,
  rejectsWith,
  startHolder,
  upOptions,
} from './local-labs.js';

const title = `the local provider when things go wrong${missing ? ` (needs ${missing})` : ''}`;
const signal = new AbortController().signal;
/** A deadline that no test lives to see: who waits for it, although the host is dead, is ended by Mocha. */
const longMs = 600_000;

(missing ? describe.skip : describe)(title, () => {
  let state: string;
  let untouched: ReturnType<typeof machineState>;
  const oldState = process.env['XDG_STATE_HOME'];

  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
    untouched = machineState();
  });

  afterEach(() => {
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true });
  });

  /** A provider whose image is a tree with nothing in it but what the boot script runs, and an init of our own. */
  async function withInit(script: string): Promise<Provider> {
    const debian = await ensureHostImage('debian-11', { signal, progress: () => undefined });
    const root = join(state, 'image');
    for (const directory of [
      'bin',
      'sbin',
      'lib/systemd',
      'etc/ssh',
      'root',
      'proc',
      'sys',
      'dev',
      'mnt',
      'run',
      'tmp',
      'etc/systemd/system',
    ])
      mkdirSync(join(root, directory), { recursive: true });
    copyFileSync(join(debian.root, 'bin/busybox'), join(root, 'bin/busybox'));
    const programs = { 'sbin/ip': 'exit 0', 'lib/systemd/systemd': script };
    for (const [path, text] of Object.entries(programs)) {
      writeFileSync(join(root, path), `#!/bin/busybox sh\n${text}\n`);
      chmodSync(join(root, path), 0o755);
    }
    const image: HostImage = { ...debian, root, dockerData: null };
    return createLocalProvider({ image: async () => image });
  }

  async function expectBootFailure(
    provider: Provider,
    bootTimeoutMs: number,
  ): Promise<{ message: string; hint: string }> {
    const options = upOptions();
    const error = await rejectsWith(
      'NETRIG_HOST_BOOT',
      provider.up(labPlan('broken', [hostPlan('bad', 11, ['net1'], { init: 'systemd' })], { bootTimeoutMs }), options),
    );
    expect(listRecords()).to.deep.equal([]);
    expect(cgroupsOf('broken-')).to.deep.equal([]);
    expect(machineState()).to.deep.equal(untouched);
    expect(
      options.events.filter(
        (event) => event.type === 'log' && event.level === 'warn' && event.text.includes('trying once more'),
      ),
    ).to.have.length(1);
    return { message: error.message, hint: error.hint };
  }

  it('says at once that a host ended while it booted, with the end of its console', async () => {
    const { message, hint } = await expectBootFailure(await withInit('echo no disk, no fun; exit 3'), longMs);
    expect(message, message).to.contain('bad did not boot, twice').and.to.contain('no disk, no fun');
    const log = /\/\S+\.console/.exec(hint)?.[0] ?? '';
    expect(readFileSync(log, 'utf8').match(/no disk, no fun/g)).to.have.length(2);
  });

  it('waits for a host that hangs no longer than its deadline, twice', async () => {
    const { message } = await expectBootFailure(
      await withInit('echo "<30>init: thinking" >/dev/kmsg; exec /bin/busybox sleep 1000'),
      1_000,
    );
    expect(message, message).to.contain('did not answer SSH within 1000 ms').and.to.contain('\ninit: thinking');
  });

  it('takes away what it made when it is interrupted while hosts boot', async () => {
    const abort = new AbortController();
    const options = upOptions(abort.signal);
    const seen: string[] = [];
    const emit: typeof options.emit = (event) => {
      options.emit(event);
      if (event.type === 'phase' && event.phase === 'boot' && event.state === 'start') {
        seen.push(event.text);
        setTimeout(() => abort.abort(), 60);
      }
    };
    const plan = labPlan('aborted', [
      hostPlan('a', 11, ['net1'], { init: 'systemd' }),
      hostPlan('b', 12, ['net1'], { init: 'systemd' }),
    ]);
    await rejectsWith('NETRIG_INTERRUPTED', localProvider.up(plan, { ...options, emit }));
    expect(seen).to.have.length(2);
    expect(
      options.events.some((event) => event.type === 'phase' && event.phase === 'boot' && event.state === 'end'),
    ).to.equal(false);
    expect(listRecords()).to.deep.equal([]);
    expect(cgroupsOf('aborted-')).to.deep.equal([]);
    expect(machineState()).to.deep.equal(untouched);
  });

  it('names the interface that could not be made, and leaves nothing', async () => {
    const plan = labPlan('twins', [hostPlan('a', 11, ['net1']), hostPlan('b', 12, ['net1'])]);
    plan.hosts[1]!.interfaces[0]!.mac = 'not-a-mac';
    const error = await rejectsWith('NETRIG_SEGMENT', localProvider.up(plan, upOptions()));
    expect(error.message).to.contain('link add name b.eth0');
    expect(listRecords()).to.deep.equal([]);
    expect(machineState()).to.deep.equal(untouched);
  });

  it('two labs at once with the same addresses; kill -9 of one holder, two sweeps at once: that one is gone, the other is not touched', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    const plan = (slug: string) =>
      labPlan(slug, [hostPlan('a', 11, ['net1'], { init: 'systemd' }), hostPlan('b', 12, ['net1'])]);
    const doomed = await startHolder(plan('doomed'));
    const other = await startHolder(plan('other'), { ...process.env, XDG_STATE_HOME: elsewhere });
    try {
      const entries = made(doomed.id);
      const record = readRecord(doomed.id);
      expect(cgroupsOf(doomed.id)).not.to.deep.equal([]);
      await endOf(doomed.child, 'SIGKILL');
      await rejectsWith('NETRIG_LAB_GONE', localProvider.attach(record));
      const [first, second] = await Promise.all([localProvider.sweep(), localProvider.sweep()]);
      expect(
        [...first.left, ...second.left].filter((one) => one.lab === doomed.id || one.lab === other.id),
      ).to.deep.equal([]);
      expect([...first.removed, ...second.removed].map((one) => one.lab))
        .to.include(doomed.id)
        .and.not.to.include(other.id);
      expectNothingLeft(doomed.id, entries, untouched);

      process.env['XDG_STATE_HOME'] = elsewhere;
      const attached = await localProvider.attach(readRecord(other.id));
      expect((await onHost(attached, 'b', 'ping -c 1 -W 2 10.20.1.11')).exitCode).to.equal(0);
      const others = made(other.id);
      // The holder's own way down, asked for by another process.
      const exit = new Promise((resolve) => other.child.once('exit', (code, signal) => resolve(signal ?? code)));
      await localProvider.destroy(readRecord(other.id));
      expect(await exit).to.equal(0);
      expectNothingLeft(other.id, others, untouched);
    } finally {
      process.env['XDG_STATE_HOME'] = state;
      await endOf(doomed.child, 'SIGKILL');
      await endOf(other.child, 'SIGTERM');
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('finds cgroups of a dead holder whose record is lost', async () => {
    const holder = await startHolder(labPlan('lost', [hostPlan('a', 11, ['net1'], { init: 'systemd' })]));
    const entries = made(holder.id);
    rmSync(join(state, 'netrig', 'labs', holder.id), { recursive: true });
    await endOf(holder.child, 'SIGKILL');
    const report = await localProvider.sweep();
    expect(report.removed.find((one) => one.lab === holder.id)?.what.join()).to.match(/^\d+ cgroups without a record$/);
    expectNothingLeft(holder.id, entries, untouched);
  });

  for (const image of ['debian-12', 'debian-sid']) {
    it(`takes a lab away whose container is paused, on ${image}: by its holder, and after kill -9 of that`, async () => {
      const plan = labPlan('paused', [
        hostPlan('a', 11, ['net1'], { image, init: 'systemd', engine: true, containerImages: ['busybox'] }),
      ]);
      const pause = 'docker run -d --network none --name box busybox sleep 1000 && docker pause box';
      const own = await localProvider.up(plan, upOptions());
      expect((await onHost(own, 'a', pause)).exitCode).to.equal(0);
      const entries = made(own.id);
      await own.down();
      expectNothingLeft(own.id, entries, untouched);

      const holder = await startHolder(plan);
      const attached = await localProvider.attach(readRecord(holder.id));
      expect((await onHost(attached, 'a', pause)).exitCode).to.equal(0);
      const others = made(holder.id);
      await endOf(holder.child, 'SIGKILL');
      const report = await localProvider.sweep();
      expect(report.left.filter((one) => one.lab === holder.id)).to.deep.equal([]);
      expectNothingLeft(holder.id, others, untouched);
    });
  }

  it('takes a lab away whose host stopped all that runs in it', async () => {
    const lab = await localProvider.up(labPlan('frozen', [hostPlan('a', 11, ['net1'])]), upOptions());
    const entries = made(lab.id);
    const connection = await connect(lab.target('a'));
    // The very sshd of this connection stops, too, so nothing answers any more.
    await connection.exec('kill -STOP -1', { timeoutMs: 1000 }).catch(() => undefined);
    await lab.down();
    await connection.end().catch(() => undefined);
    expectNothingLeft(lab.id, entries, untouched);
  });

  it('says of a frozen host that it is silent, to old and new connections alike', async () => {
    const plan = labPlan('frozen', [hostPlan('a', 11, ['net1'], { init: 'systemd' })]);
    const lab = await localProvider.up(plan, upOptions());
    try {
      const files = cgroupsOf(lab.id).flatMap((path) => [
        [join(path, 'a', 'freezer.state'), 'FROZEN'],
        [join(path, 'a', 'cgroup.freeze'), '1'],
      ]);
      const [file, frozen] = files.find(([path]) => existsSync(path!))!;
      writeFileSync(file!, frozen!);
      const error = await rejectsWith('NETRIG_SSH_SILENT', connect(lab.target('a'), { readyTimeoutMs: 500 }));
      expect(error.message).to.contain('no answer within 500 ms');
    } finally {
      await lab.down();
    }
  });

  it('takes a lab away whose holder is stopped', async () => {
    const holder = await startHolder(labPlan('stopped', [hostPlan('a', 11, ['net1'])]));
    const entries = made(holder.id);
    holder.child.kill('SIGSTOP');
    const exit = new Promise((resolve) => holder.child.once('exit', (code, signal) => resolve(signal ?? code)));
    await localProvider.destroy(readRecord(holder.id));
    // By itself, not killed.
    expect(await exit).to.equal(0);
    expectNothingLeft(holder.id, entries, untouched);
  });

  it('names the Debian package of a program that is not there', () => {
    const empty = join(state, 'empty');
    mkdirSync(empty);
    const provider = new URL('../../src/providers/local/provider.js', import.meta.url).href;
    const code = `const { localProvider } = await import(${JSON.stringify(provider)}); await localProvider.preflight(${JSON.stringify(labPlan('bare', []))}).catch((e) => console.log(e.code, e.hint));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      env: { PATH: empty },
    });
    expect(stdout).to.contain('NETRIG_TOOL_MISSING').and.to.contain('apt-get install util-linux');
  });

  it('says what the machine can do by doing it, and changes nothing', async () => {
    const capabilities = await localProvider.capabilities();
    const have = new Map<string, (typeof capabilities)[number]>(capabilities.map((one) => [one.name, one]));
    for (const name of [
      'root',
      'tool:unshare',
      'tool:ip',
      'namespaces',
      'kernel:veth',
      'kernel:bridge',
      'kernel:overlayfs',
      'kernel:8021q',
      'kernel:esp',
      'cgroups',
      'inotify',
      'neighbours',
    ]) {
      expect(have.has(name), name).to.equal(true);
    }
    expect(have.get('kernel:veth')?.have).to.equal(true);
    for (const one of capabilities) if (!one.have) expect(one.mend, one.name).to.be.a('string');
    expect(machineState()).to.deep.equal(untouched);
    expect(existsSync('/mnt/l')).to.equal(false);
  });
});
