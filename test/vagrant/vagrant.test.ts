import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import { ensurePackageLayer } from '../../src/images/package-layer.js';
import { ensureHostImage } from '../../src/images/store.js';
import { isAlive } from '../../src/lab/process.js';
import { listRecords } from '../../src/lab/store.js';
import type { Capability } from '../../src/providers/provider.js';
import { findBackend } from '../../src/providers/vagrant/backend.js';
import { makeVagrantHome, vagrantDirectory, vagrantEnvironment } from '../../src/providers/vagrant/command.js';
import { endLibvirtd, enterArguments, startLibvirtd } from '../../src/providers/vagrant/libvirtd.js';
import type { VagrantLabAccess } from '../../src/providers/vagrant/leftovers.js';
import { bringMachines } from '../../src/providers/vagrant/machines.js';
import { machinesDirectory, readMachinesRecord } from '../../src/providers/vagrant/machines-record.js';
import { endIdleMachines, vagrantProvider } from '../../src/providers/vagrant/provider.js';
import { shapeOf, vagrantPlan } from '../../src/providers/vagrant/vagrant-plan.js';
import { hostPlan, labPlan, machineState } from '../lab/local-labs.js';
import { start } from '../lab/netrig-command.js';
import { inOwnNetwork } from '../lab/own-network.js';
import { itKeepsTheContract } from '../lab/provider-contract.js';

const here = fileURLToPath(new URL('../../../test/vagrant/', import.meta.url));
const projectRoot = fileURLToPath(new URL('../../../', import.meta.url));
const cli = fileURLToPath(new URL('../../program/cli/main.js', import.meta.url));
const providerUrl = new URL('../../src/providers/vagrant/provider.js', import.meta.url).href;

const quietly = { signal: new AbortController().signal, progress: (): void => undefined };

/** A minute where processors are real, some where they are emulated and shared. */
const bootMs = 600_000;

let state: string;
const oldState = process.env['XDG_STATE_HOME'];

function machineSets(): string[] {
  return existsSync(machinesDirectory()) ? readdirSync(machinesDirectory()) : [];
}

/** Processes of hypervisors whose console goes into this test's own state directory: others' machines are not its concern. */
function hypervisors(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      if (!/^\d+$/.test(pid) || !/guest=netrig-[0-9a-f]{6}-m/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')))
        return false;
      return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${state}/`));
    } catch {
      return false;
    }
  });
}

async function until(what: string, met: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!met()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

before(() => {
  state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
  process.env['XDG_STATE_HOME'] = state;
});

after(async function () {
  this.timeout(60_000);
  await endIdleMachines();
  if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
  else process.env['XDG_STATE_HOME'] = oldState;
  rmSync(state, { recursive: true, force: true });
});

describe('the Vagrantfile', () => {
  type Call = [string[], ...unknown[]];
  let calls: Call[];
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-vagrantfile-'));
    const plan = vagrantPlan(
      shapeOf(
        labPlan('boxes', [
          hostPlan('left', 11, ['net1', 'net2'], { image: 'debian-12' }),
          hostPlan('right', 12, ['net2'], { image: 'debian-12' }),
        ]),
      ),
      {
        directory,
        prefix: 'netrig-abc-',
        bootTimeoutMs: 90_000,
        memoryMiB: 640,
        boxes: new Map([['debian-12', { box: 'somebody/debian12' }]]),
        libvirt: { uri: 'qemu:///system', driver: 'qemu', poolName: 'netrig', poolPath: '/pool' },
      },
    );
    writeFileSync(join(directory, 'plan.json'), JSON.stringify(plan));
    const ran = spawnSync('ruby', [join(here, 'vagrantfile.rb'), join(vagrantDirectory(), 'Vagrantfile')], {
      encoding: 'utf8',
      env: { ...process.env, NETRIG_VAGRANT_PLAN: join(directory, 'plan.json') },
    });
    expect(ran.status, ran.stderr).to.equal(0);
    calls = JSON.parse(ran.stdout) as Call[];
  });

  after(() => rmSync(directory, { recursive: true }));

  const asked = (...path: string[]): unknown[][] =>
    calls.filter(([at]) => JSON.stringify(at) === JSON.stringify(path)).map(([, ...rest]) => rest);

  it('asks VirtualBox for isolated networks whose cards hand on every frame, and a serial line into a file', () => {
    const machine = ['vm', 'define', 'netrig-abc-m1'];
    const [first, second] = asked(...machine, 'vm', 'network') as [string, Record<string, unknown>][];
    expect(first?.[0]).to.equal('private_network');
    expect(first?.[1]).to.include({ virtualbox__intnet: 'netrig-abc-s1', auto_config: false, nic_type: 'virtio' });
    expect(first?.[1]['mac']).to.match(/^525400[0-9a-f]{6}$/);
    expect(second?.[1]).to.include({ virtualbox__intnet: 'netrig-abc-s2' });
    const box = [...machine, 'vm', 'provider', 'virtualbox'];
    expect(asked(...box, 'name')).to.deep.equal([['netrig-abc-m1']]);
    expect(asked(...box, 'memory')).to.deep.equal([[640]]);
    expect(asked(...box, 'gui')).to.deep.equal([[false]]);
    const customized = asked(...box, 'customize').map(([words]) =>
      (words as unknown[]).slice(0, 1).concat((words as unknown[]).slice(2)),
    );
    expect(customized).to.deep.equal([
      ['modifyvm', '--nicpromisc2', 'allow-all'],
      ['modifyvm', '--nicpromisc3', 'allow-all'],
      ['modifyvm', '--uartmode1', 'file', join(directory, 'm1.console'), '--uart1', '0x3F8', '4'],
    ]);
    expect(asked('vm', 'define', 'netrig-abc-m2', 'vm', 'provider', 'virtualbox', 'customize')).to.have.length(2);
  });

  it('asks libvirt for the same, emulated where there is no KVM', () => {
    const machine = ['vm', 'define', 'netrig-abc-m2'];
    expect(asked(...machine, 'vm', 'box')).to.deep.equal([['somebody/debian12']]);
    expect(asked(...machine, 'vm', 'network')[0]?.[1]).to.include({
      libvirt__network_name: 'netrig-abc-s2',
      libvirt__forward_mode: 'veryisolated',
      libvirt__dhcp_enabled: false,
    });
    const libvirt = [...machine, 'vm', 'provider', 'libvirt'];
    expect(asked(...libvirt, 'driver')).to.deep.equal([['qemu']]);
    expect(asked(...libvirt, 'cpu_model')).to.deep.equal([['qemu64']]);
    expect(asked(...libvirt, 'storage_pool_path')).to.deep.equal([['/pool']]);
    expect(asked('ssh', 'insert_key')).to.deep.equal([[false]]);
    expect(asked('ssh', 'username'), 'boxes of others say themselves').to.deep.equal([]);
    expect(asked('vm', 'boot_timeout')).to.deep.equal([[90]]);
  });

  it('is one that Vagrant takes', () => {
    const env = vagrantEnvironment({ file: join(directory, 'plan.json'), dotfile: join(directory, 'vagrant') });
    makeVagrantHome(directory);
    const ran = spawnSync('vagrant', ['validate', '--ignore-provider'], { encoding: 'utf8', env });
    expect(ran.status, ran.stdout + ran.stderr).to.equal(0);
  });
});

describe('what is missing is named', function () {
  this.timeout(60_000);
  let programs: string;

  before(() => {
    programs = mkdtempSync(join(tmpdir(), 'netrig-programs-'));
  });
  after(() => rmSync(programs, { recursive: true }));

  /** A directory of programs that say what is given, and nothing else on the path but Node. */
  function only(name: string, scripts: Record<string, string>): string {
    const directory = join(programs, name);
    mkdirSync(directory);
    for (const [program, script] of Object.entries(scripts)) {
      writeFileSync(join(directory, program), `#!/bin/sh\n${script}\n`);
      chmodSync(join(directory, program), 0o755);
    }
    return directory;
  }

  /** What comes of an expression with `vagrantProvider` in a process of its own. */
  function asked(
    expression: string,
    env: NodeJS.ProcessEnv,
  ): { code: string; message: string; hint: string; result?: Capability[] } {
    const code = `
      const { vagrantProvider } = await import(${JSON.stringify(providerUrl)});
      await ${expression}.then(
        (result) => console.log(JSON.stringify({ code: 'none', message: '', hint: '', result })),
        ({ code, message, hint }) => console.log(JSON.stringify({ code, message, hint })));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      env: { HOME: '/nonexistent', ...env },
    });
    return JSON.parse(stdout || JSON.stringify({ code: stderr, message: '', hint: '' })) as ReturnType<typeof asked>;
  }

  const preflight = (env: NodeJS.ProcessEnv): ReturnType<typeof asked> =>
    asked(
      `vagrantProvider.preflight(${JSON.stringify(labPlan('bare', [hostPlan('a', 11, ['net1'], { image: 'debian-12' })]))})`,
      env,
    );

  it('Vagrant itself', () => {
    const said = preflight({ PATH: only('none', {}) });
    expect(said.code, said.message).to.equal('NETRIG_TOOL_MISSING');
    expect(said.hint).to.contain('apt-get install vagrant');
  });

  it('its plugin, and VirtualBox beside it', () => {
    const said = preflight({
      PATH: `${only('no-plugin', { vagrant: 'echo "1,,ui,info,No plugins installed."' })}:/usr/bin:/bin`,
    });
    expect(said.code, said.message).to.equal('NETRIG_VAGRANT_PROVIDER');
    expect(said.message).to.contain('no plugin vagrant-libvirt').and.to.contain('VBoxManage is not on the path');
    expect(said.hint).to.contain('vagrant-libvirt');
  });

  it('a VirtualBox that does not work', () => {
    const broken = only('broken', {
      vagrant: 'exit 0',
      VBoxManage: 'echo "WARNING: The vboxdrv kernel module is not loaded."; echo 7.0.8r1',
    });
    const said = preflight({ PATH: `${broken}:/usr/bin:/bin`, NETRIG_VAGRANT_PROVIDER: 'virtualbox' });
    expect(said.code).to.equal('NETRIG_VAGRANT_PROVIDER');
    expect(said.message).to.contain('vboxdrv');
  });

  it('a box for VirtualBox', () => {
    const good = only('good', { vagrant: 'exit 0', VBoxManage: 'echo 7.0.8r156879' });
    const env = { PATH: `${good}:/usr/bin:/bin`, NETRIG_VAGRANT_PROVIDER: 'virtualbox' };
    const said = preflight(env);
    expect(said.code).to.equal('NETRIG_BOX_MISSING');
    expect(said.hint).to.contain('NETRIG_VAGRANT_BOX');
    expect(preflight({ ...env, NETRIG_VAGRANT_BOX: 'somebody/debian12' }).code).to.equal('none');
  });

  it('is no ground to skip a scenario that asks for a feature of the kernel, and is told to who only looks', () => {
    const env = { PATH: join(programs, 'none') };
    expect(asked('vagrantProvider.capabilities()', env).code).to.equal('NETRIG_TOOL_MISSING');
    const { result } = asked('vagrantProvider.capabilities({ onlyLook: true })', env);
    expect(result?.find((one) => one.name === 'vagrant')?.have).to.equal(false);
    expect(result?.find((one) => one.name === 'kernel:8021q')?.seen).to.contain('Not tried');
  });

  it('a box, to who only looks: none is built, and nothing is booted', () => {
    const cache = join(programs, 'cache');
    mkdirSync(cache);
    const { code, message, result } = asked('vagrantProvider.capabilities({ onlyLook: true })', {
      ...process.env,
      XDG_CACHE_HOME: cache,
    });
    expect(code, message).to.equal('none');
    expect(result?.find((one) => one.name === 'hypervisor')?.have, JSON.stringify(result)).to.equal(true);
    expect(result?.find((one) => one.name === 'kernel:8021q'))
      .to.include({ have: false })
      .and.to.have.property('seen')
      .that.contains('no box yet');
    expect(readdirSync(cache)).to.deep.equal([]);
    expect(machineSets()).to.deep.equal([]);
  });

  it('a provider that netrig does not know, and memory', () => {
    const vagrant = only('vagrant', { vagrant: 'exit 0' });
    expect(preflight({ PATH: `${vagrant}:/usr/bin:/bin`, VAGRANT_DEFAULT_PROVIDER: 'hyperv' }).message).to.contain(
      '"hyperv"',
    );
    const fat = preflight({ ...process.env, NETRIG_VAGRANT_MEMORY: '100000000' });
    expect(fat.code, fat.message).to.equal('NETRIG_CAPABILITY');
    expect(fat.message).to.contain('100000000 MiB');
  });

  it('a box that was named', async () => {
    process.env['NETRIG_VAGRANT_BOX'] = 'nobody/nothing';
    try {
      const error: unknown = await vagrantProvider
        .up(labPlan('bare', [hostPlan('a', 11, ['net1'], { image: 'debian-12' })]), {
          signal: new AbortController().signal,
          emit: () => undefined,
          scenario: 'test',
        })
        .then(
          () => null,
          (reason: unknown) => reason,
        );
      expect(isNetrigError(error, 'NETRIG_BOX_MISSING'), String(error)).to.equal(true);
      expect(String(error)).to.contain('nobody/nothing');
    } finally {
      delete process.env['NETRIG_VAGRANT_BOX'];
    }
    expect(machineSets()).to.deep.equal([]);
  });
});

describe('labs on virtual machines', function () {
  this.timeout(bootMs);
  let untouched: ReturnType<typeof machineState>;
  const index = join(process.env['VAGRANT_HOME'] ?? join(homedir(), '.vagrant.d'), 'data', 'machine-index', 'index');

  before(() => {
    untouched = machineState();
  });

  after('none of them is in the user’s books of Vagrant', () => {
    expect(existsSync(index) ? readFileSync(index, 'utf8') : '').not.to.contain(state);
  });

  afterEach(() => {
    expect(machineState().links, 'links of this machine').to.equal(untouched.links);
    expect(machineState().mounts, 'mounts of this machine').to.equal(untouched.mounts);
  });

  it('have a kernel with what this machine’s may lack: VLANs, Open vSwitch, ipvlan, dummy', async () => {
    const capabilities = await vagrantProvider.capabilities();
    const have = capabilities.filter((one) => one.have).map((one) => one.name);
    expect(have, JSON.stringify(capabilities.filter((one) => !one.have))).to.include.members([
      'vagrant',
      'hypervisor',
      'kernel:8021q',
      'kernel:openvswitch',
      'kernel:macvlan',
      'kernel:vxlan',
      'kernel:ipvlan',
      'kernel:dummy',
      'kernel:ip_vs',
      'kernel:esp',
    ]);
    expect(machineSets(), 'the machine that was asked').to.deep.equal([]);
  });

  it('share machines, each from the snapshot; and one that is killed gives errors, not failures', async function () {
    // Three labs; the first boots.
    this.timeout(2 * bootMs);
    const reports = join(state, 'reports');
    const files = [
      join(projectRoot, 'scenarios/macvlan/s3-vlans.yaml'),
      join(projectRoot, 'scenarios/ovs/kernel-datapath.yaml'),
      join(here, 'scenarios/killed.yaml'),
    ];
    const begun = start(
      process.execPath,
      [cli, 'run', ...files, '--provider', 'vagrant', '--no-allure-report', '--reports', reports],
      { cwd: state },
    );
    // The step has begun once the check before it is told.
    await begun.saw(/They reach each other/);
    const record = listRecords().find((one) => one.provider === 'vagrant');
    const victim = (record?.access as VagrantLabAccess).hosts['server2']?.process;
    expect(victim && isAlive(victim)).to.equal(true);
    process.kill(victim!.pid, 'SIGKILL');
    const ended = await begun.ended;
    expect(ended.status, ended.stdout + ended.stderr).to.equal(3);
    const run = readdirSync(reports).find((name) => /^\d{8}T/.test(name))!;
    const results = JSON.parse(readFileSync(join(reports, run, 'results.json'), 'utf8')) as {
      scenarios: { id: string; verdict: string; items: { title: string; verdict: string; reason?: string }[] }[];
    };
    const verdicts = Object.fromEntries(results.scenarios.map((one) => [one.id, one.verdict]));
    expect(verdicts, ended.stdout).to.deep.equal({
      's3-vlans': 'pass',
      'ovs-kernel-datapath': 'pass',
      'vagrant-killed': 'error',
    });
    const killed = results.scenarios.find((one) => one.id === 'vagrant-killed')!;
    expect(
      killed.items.map((one) => one.verdict),
      JSON.stringify(killed.items),
    ).to.deep.equal(['pass', 'pass', 'error', 'skipped']);
    expect(JSON.stringify(killed.items[2])).to.contain('virtual machine has ended');
    const events = readFileSync(join(reports, run, 'run.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { t: string; type: string; transcript?: { command: string; stdout: string } });
    const dated = events.find((event) => event.transcript?.command.includes('date +%s'));
    expect(
      Math.abs(Date.parse(dated!.t) / 1000 - Number(dated!.transcript!.stdout)),
      'seconds that the clock of the restored machine is off',
    ).to.be.lessThan(5);
    expect(
      ended.stdout.match(/the machines are back at their snapshot/g),
      'restored for the second lab and the third',
    ).to.have.length(2);
    expect(hypervisors()).to.deep.equal([]);
    expect(machineSets()).to.deep.equal([]);
    expect(listRecords()).to.deep.equal([]);
  });

  it('have packages, files and a way to the outside that others lack; frames that are late or come twice, and clocks that go wrong, until it is healed', async function () {
    // Two labs; the first boots.
    this.timeout(2 * bootMs);
    // Where these machines are run there is no mirror.
    await ensurePackageLayer(await ensureHostImage('debian-12', quietly), ['tree'], quietly);
    const directory = mkdtempSync(join(state, 'own-'));
    const files = [join(here, 'scenarios/own.yaml'), join(here, 'scenarios/faults.yaml')];
    const args = ['run', ...files, '--provider', 'vagrant', '--no-allure-report', '--reports', 'reports'];
    const run = await inOwnNetwork(directory, args);
    expect(run.stdout + run.stderr).to.contain('does not do that (poweroff)');
    expect(run.stdout).to.contain('0 failed, 0 inconclusive, 0 errors, 1 skipped');
    expect(run.stdout.match(/the machines are back at their snapshot/g)).to.have.length(1);
    for (const path of ['/direct', '/by-name']) expect(run.asked, path).to.contain(`outside ${path}\n`);
    expect(run.asked).not.to.match(/loopback|management|sealed/);
    expect(listRecords()).to.deep.equal([]);
    expect(hypervisors()).to.deep.equal([]);
  });

  it('go with a holder that was killed, and the next sweep takes what it left on disk', async () => {
    const plan = labPlan('held', [hostPlan('a', 11, ['net1'], { image: 'debian-12', init: 'systemd' })]);
    const holder = start(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `
      const { vagrantProvider } = await import(${JSON.stringify(providerUrl)});
      await vagrantProvider.up(${JSON.stringify(plan)}, { signal: new AbortController().signal, emit: (event) => console.log(event.text), scenario: 'held' });`,
      ],
      { cwd: state },
    );
    await holder.saw(/its kernel boots/);
    const [set] = machineSets();
    const record = readMachinesRecord(join(machinesDirectory(), set!));
    expect(hypervisors()).to.have.length(1);
    expect((await vagrantProvider.sweep()).removed, 'a sweep while it lives').to.deep.equal([]);
    holder.child.kill('SIGKILL');
    await holder.ended;
    await until('its machines end', () => hypervisors().length === 0 && !isAlive(record!.libvirtd!.guard), 10_000);
    const { removed, left } = await vagrantProvider.sweep();
    expect(left).to.deep.equal([]);
    expect(removed).to.deep.equal([{ lab: `machines-${set}`, what: [`the virtual machines ${set}`] }]);
    expect(machineSets()).to.deep.equal([]);
  });

  it('are destroyed by the next sweep where the libvirtd is not netrig’s and stays when netrig is killed', async () => {
    // One in namespaces of the test's stands for that of a machine: netrig is run where it answers.
    const directory = mkdtempSync(join(state, 'given-'));
    const libvirtd = await startLibvirtd(directory, new AbortController().signal);
    const [enter, ...args] = enterArguments(libvirtd, state);
    const inside = (script: string): string => {
      const { stdout, stderr } = spawnSync(enter, [...args, 'sh', '-c', script], {
        encoding: 'utf8',
        env: { ...process.env, NO_COLOR: '1' },
      });
      return stdout + stderr;
    };
    const list = (): string =>
      inside('virsh -c qemu:///system list --all --name; virsh -c qemu:///system net-list --all --name').trim();
    try {
      writeFileSync(
        join(state, 'held.yaml'),
        'scenario: held\ntitle: Held\nhosts:\n  a: { init: light }\nsegments:\n  lan: { subnet: 10.9.1.0/24, hosts: { a: 10.9.1.1 } }\nsteps:\n  - check: It answers\n    ping: { from: a, to: 10.9.1.1 }\n',
      );
      const begun = start(
        enter,
        [
          ...args,
          'sh',
          '-c',
          `"${process.execPath}" "${cli}" run held.yaml --provider vagrant --no-allure-report --reports reports-held & echo $! >held.pid; wait`,
        ],
        { cwd: state },
      );
      await begun.saw(/its kernel boots/);
      expect(list())
        .to.match(/netrig-[0-9a-f]{6}-m1/)
        .and.to.match(/netrig-[0-9a-f]{6}-s1/);
      const way = /netrig-[0-9a-f]{6}-way/.exec(list())?.[0];
      expect(inside(`virsh -c qemu:///system net-dumpxml ${way}`), 'the network of Vagrant’s own card')
        .to.contain('<dhcp>')
        .and.not.to.contain('<forward');
      inside('kill -9 $(cat held.pid)');
      await until('the killed process is noticed', () => inside('kill -0 $(cat held.pid) 2>&1') !== '', 10_000);
      expect(list(), 'the machine is still there').to.match(/netrig-[0-9a-f]{6}-m1/);
      expect(inside(`"${process.execPath}" "${cli}" gc`)).to.match(
        /machines-[0-9a-f]{6}: removed the virtual machines/,
      );
      expect(list()).to.equal('');
      expect(machineSets()).to.deep.equal([]);
      await begun.ended;
    } finally {
      await endLibvirtd(libvirtd);
    }
  });

  it('that do not boot in time are told of with the end of their console, and go', async () => {
    const plan = labPlan('slow', [hostPlan('slow', 11, ['net1'], { image: 'debian-12' })]);
    const quiet = (): void => undefined;
    const error: unknown = await bringMachines(shapeOf(plan), await findBackend(), {
      signal: new AbortController().signal,
      hostNames: ['slow'],
      bootTimeoutMs: 8_000,
      progress: quiet,
      booting: quiet,
      booted: quiet,
      image: quiet,
    }).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(isNetrigError(error, 'NETRIG_HOST_BOOT'), String(error)).to.equal(true);
    expect(String(error))
      .to.match(/slow did not boot: it did not answer SSH within 8 s/)
      .and.to.match(/console/);
    expect(hypervisors()).to.deep.equal([]);
    expect(machineSets()).to.deep.equal([]);
  });
});

describe('the vagrant provider keeps the contract', () => {
  itKeepsTheContract(() => ({
    provider: vagrantProvider,
    image: 'debian-12',
    plannedMacs: true,
    plannedNames: true,
    bootTimeoutMs: bootMs,
    killHost: async (lab, host) => {
      const victim = (lab.record.access as VagrantLabAccess).hosts[host]?.process;
      if (!victim) throw new Error(`the hypervisor's process of ${host} is not known`);
      process.kill(victim.pid, 'SIGKILL');
      await until(`${host} is gone`, () => !isAlive(victim), 10_000);
    },
    leftovers: async (id) => [
      ...listRecords()
        .filter((record) => record.id.startsWith(id))
        .map((record) => record.id),
      ...machineSets(),
      ...hypervisors(),
    ],
  }));
});
