import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { RunningLab } from '../../src/providers/provider.js';
import { idsDirectory } from '../../src/providers/local/id-ranges.js';
import { accessOf } from '../../src/providers/local/leftovers.js';
import { imagesDirectory } from '../../src/images/cache-directory.js';
import { tryOverlay } from '../../src/providers/local/isolation.js';
import { createLocalProvider, localProvider } from '../../src/providers/local/provider.js';
import { openTransport } from '../../src/providers/local/transport.js';
import { attackProgram, exhaustProgram, linesOf } from './attacks.js';
import { endOf, hostPlan, labPlan, machineState, made, missing, onHost, startHolder, upOptions } from './local-labs.js';

const MiB = 1024 ** 2;
const isolation = missing
  ? null
  : ((await localProvider.capabilities()).find((one) => one.name === 'isolation') ?? null);
const lacks = missing ?? (process.arch !== 'x64' ? 'x86-64' : isolation?.have ? null : `isolation: ${isolation?.seen}`);

/** The ranges of ids that a process has. */
function rangesOf(pid: number): string[] {
  return readdirSync(idsDirectory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes(`.${pid}.`))
    .map((path) => path.split('/')[0]!);
}

/** The machine's own disk: what the root directory is on. */
function disk(): { numbers: string; type: string } {
  const { dev } = statSync('/', { bigint: true });
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((one) => one.split(' ')[4] === '/')!;
  // makedev(3), as glibc spreads it.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return { numbers: `${major} ${minor}`, type: line.split(' - ')[1]!.split(' ')[0]! };
}

(lacks ? describe.skip : describe)(`Hosts that are isolated${lacks ? ` (needs ${lacks})` : ''}`, function () {
  this.timeout(120_000);
  let state: string;
  let victim: RunningLab;
  let beside: RunningLab;
  const oldState = process.env['XDG_STATE_HOME'];
  const untouched = missing ? null : machineState();

  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
    const limits = { memory: 400 * MiB, pids: 400, cpus: null, disk: 80 * MiB };
    const hosts = (engine: boolean) => [
      hostPlan('a', 11, ['net1'], {
        image: 'debian-12',
        init: 'systemd',
        engine,
        containerImages: ['busybox'],
        limits,
      }),
      hostPlan('b', 12, ['net1'], { image: 'debian-12' }),
    ];
    [victim, beside] = await Promise.all([
      localProvider.up(labPlan('victim', hosts(true)), { ...upOptions(), isolation: 'users' }),
      localProvider.up(labPlan('beside', hosts(false)), { ...upOptions(), isolation: 'users' }),
    ]);
  });

  after(async () => {
    expect(rangesOf(process.pid), 'ranges of ids').to.have.length(4);
    await Promise.all([victim?.down(), beside?.down()]);
    expect(rangesOf(process.pid), 'ranges of ids').to.deep.equal([]);
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true });
    expect(machineState()).to.deep.equal(untouched);
  });

  /** The machine and the lab beside are as they were, and answer. */
  async function unharmed(): Promise<void> {
    expect(beside.limitsMet!(), 'limits of the lab beside').to.deep.equal([]);
    expect(beside.died!(), 'what died of the lab beside').to.deep.equal([]);
    const made =
      'perl -e \'exit(syscall(253) < 0)\' && perl -e \'my ($t, $n, $x) = ("user\\0", "n\\0", "x"); exit(syscall(248, $t, $n, $x, 1, -2) < 0)\'';
    const { exitCode, stderr } = await onHost(beside, 'a', `${made} && ping -c 1 -W 5 10.20.1.12`);
    expect(exitCode, `the lab beside: ${stderr}`).to.equal(0);
    expect(execFileSync('perl', ['-e', 'print syscall(253) < 0 ? "refused" : "had"'], { encoding: 'utf8' })).to.equal(
      'had',
    );
    expect(machineState(), 'the machine').to.deep.equal(untouched);
  }

  /** Does something in the victim while the lab beside it is asked again and again: each time it answers, over SSH and on its wire. */
  async function besideAnswers<T>(work: Promise<T>): Promise<T> {
    let working = true;
    const end = (): void => void (working = false);
    work.then(end, end);
    const seen: (number | null)[] = [];
    do {
      seen.push((await onHost(beside, 'a', 'ping -c 1 -W 5 10.20.1.12')).exitCode);
    } while (working);
    expect(
      seen.filter((code) => code !== 0),
      `of ${seen.length} questions to the lab beside`,
    ).to.deep.equal([]);
    return work;
  }

  it('have root that is nobody on the machine, in ids of its own', async () => {
    const maps = await Promise.all(
      [victim, beside].flatMap((lab) => ['a', 'b'].map((host) => onHost(lab, host, 'cat /proc/self/uid_map'))),
    );
    const firsts = maps.map(({ stdout }) => Number(stdout.trim().split(/\s+/)[1]));
    expect(new Set(firsts).size).to.equal(4);
    for (const first of firsts) expect(first).to.be.greaterThan(0x70000000 - 1);
    const { pid1 } = accessOf(victim.record).hosts['a']!;
    expect(firsts).to.include(lstatSync(`/proc/${pid1.pid}`).uid);
  });

  it('cannot reach the machine: not one attack of the list', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-secret-'));
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'the secret', { mode: 0o600 });
    const server = createServer().listen('\0netrig-attack');
    try {
      const { numbers, type } = disk();
      const words = `SECRET=${secret} DISK='${numbers}' DISK_TYPE=${type}`;
      const { stdout, stderr } = await onHost(
        victim,
        'a',
        `${words} perl - <<'ATTACK'\n${attackProgram('all')}\nATTACK`,
      );
      const lines = linesOf(stdout);
      expect(lines.size, stderr).to.be.greaterThan(35);
      expect([...lines].filter(([, seen]) => !seen.startsWith('refused: '))).to.deep.equal([]);
    } finally {
      server.close();
      rmSync(directory, { recursive: true });
    }
    await unharmed();
  });

  it('are under the filter in whatever netrig sends in, too', async () => {
    for (const host of ['a', 'b']) {
      const { stdout } = await onHost(victim, host, 'grep ^Seccomp: /proc/self/status; cat /proc/self/cgroup');
      expect(stdout, host).to.match(/^Seccomp:\t2$/m);
      if (host === 'b') expect(stdout).to.contain(`${victim.id}/b`);
    }
  });

  it('use up what is theirs, and nobody else’s', async () => {
    const { stdout, stderr } = await besideAnswers(onHost(victim, 'a', `perl - <<'USE'\n${exhaustProgram}\nUSE`));
    const counts = new Map([...linesOf(stdout)].map(([name, text]) => [name, Number.parseInt(text, 10)]));
    expect(stderr).not.to.contain('syntax');
    expect(counts.get('inotify')).to.be.within(1, 128);
    expect(counts.get('keys')).to.be.within(1, 200);
    expect(counts.get('files')).to.be.lessThan(100_000);
    expect(counts.get('sockets')).to.be.lessThan(100_000);
    // Tables of the whole machine: a host can try, and the lab beside it answered all the while.
    expect(counts.get('neighbours')).to.be.greaterThan(0);
    expect(counts.get('connections')).to.be.greaterThan(10_000);
    expect(counts.get('processes')).to.be.within(1, 400);
    expect(victim.limitsMet!().map((one) => one.text)).to.deep.equal(['a reached its limit of 400 processes']);
    await unharmed();
  });

  it('fill their own disk and memory, and are told by name', async () => {
    const full = await besideAnswers(onHost(victim, 'a', 'dd if=/dev/zero of=/big bs=1M count=200'));
    expect(full.stderr).to.contain('No space left on device');
    expect(victim.limitsMet!()).to.deep.equal([{ host: 'a', text: 'a filled its disk of 80 MB' }]);
    await onHost(victim, 'a', 'rm /big');
    const bomb = await besideAnswers(onHost(victim, 'a', `perl -e '$x = "x" x (1 << 30); print length $x'`));
    expect(bomb.stdout).to.equal('');
    expect(victim.limitsMet!()).to.deep.equal([
      { host: 'a', text: 'a reached its memory limit of 400 MB, and the kernel ended processes of it' },
    ]);
    // Every file system that a host can write to lies in its memory.
    await onHost(
      victim,
      'a',
      'for d in /dev/shm /run /dev; do dd if=/dev/zero of=$d/big bs=1M count=300; rm -f $d/big; done',
    );
    await unharmed();
  });

  it('have links planted where netrig looks, and lead it nowhere', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-trap-'));
    chmodSync(directory, 0o755);
    const trap = join(directory, 'socket');
    let caught = 0;
    const server = createServer((socket) => {
      caught += 1;
      socket.destroy();
    }).listen(trap);
    try {
      const access = accessOf(victim.record).hosts['a']!;
      const open = async (): Promise<string> => {
        const stream = await openTransport(access, AbortSignal.timeout(5000));
        stream.destroy();
        return 'open';
      };
      expect(await open()).to.equal('open');
      const plant = `mkdir -p ${directory}; mv /run/netrig-ssh.sock /run/real.sock; ln -s ${trap} /run/netrig-ssh.sock; ln -s ${trap} /dev/kmsg`;
      await onHost(victim, 'a', plant);
      // The control: whoever follows the path comes out of the host.
      expect(statSync(`/proc/${access.pid1.pid}/root/run/netrig-ssh.sock`).ino).to.equal(statSync(trap).ino);
      expect(await open().catch((error: Error) => error.message)).to.contain('something else');
      expect(caught).to.equal(0);
    } finally {
      server.close();
      rmSync(directory, { recursive: true });
    }
    await unharmed();
  });

  it('boot on older kernels, too, where root of the machine mounts their root file system', async () => {
    expect(await tryOverlay(imagesDirectory(), 'root')).to.equal(null);
    const provider = createLocalProvider({ probe: async () => ({ works: true, overlay: 'root' }) });
    const hosts = ['debian-11', 'debian-12', 'debian-13', 'debian-sid'].map((image, index) =>
      hostPlan(`h${index}`, index + 11, ['net1'], {
        image,
        init: 'systemd',
        engine: true,
        containerImages: ['busybox'],
      }),
    );
    const lab = await provider.up(labPlan('older', hosts), { ...upOptions(), isolation: 'users' });
    try {
      for (const { name } of hosts) {
        const work = 'rm -r /etc/apt && mkdir /etc/apt && docker run --rm --network none busybox echo contained';
        const { stdout, stderr } = await onHost(lab, name, `${work}; grep -c userxattr /proc/mounts; mknod /x b 7 0`);
        expect(stdout, `${name}: ${stderr}`).to.equal('contained\n0\n');
        expect(stderr, name).to.match(/mknod: .*Operation not permitted/);
      }
      const { stdout } = await onHost(lab, 'h1', `perl - <<'ATTACK'\n${attackProgram('harmless')}\nATTACK`);
      expect([...linesOf(stdout)].filter(([, seen]) => !seen.startsWith('refused: '))).to.deep.equal([]);
      expect(linesOf(stdout).size).to.be.greaterThan(14);
    } finally {
      await lab.down();
    }
  });

  it('give their ids back after kill -9 of their holder', async () => {
    const plan = labPlan('killed', [hostPlan('a', 11, ['net1'])]);
    const holder = await startHolder(plan);
    const entries = made(holder.id);
    const own = rangesOf(holder.child.pid!);
    expect(own).to.have.length(1);
    await endOf(holder.child, 'SIGKILL');
    await localProvider.sweep();
    expect(readdirSync(idsDirectory)).not.to.include(own[0]);
    expect(entries.filter((entry) => entry.kind === 'cgroup')).not.to.deep.equal([]);
  });
});

(lacks ? describe.skip : describe)(`Hosts that are not isolated${lacks ? ` (needs ${lacks})` : ''}`, function () {
  this.timeout(120_000);

  it('are reached by the harmless part of the same list: it can say so', async () => {
    const state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    const oldState = process.env['XDG_STATE_HOME'];
    process.env['XDG_STATE_HOME'] = state;
    const plan = labPlan('open', [hostPlan('a', 11, ['net1'], { image: 'debian-12', init: 'systemd' })]);
    const lab = await localProvider.up(plan, { ...upOptions(), isolation: 'none' });
    try {
      const { stdout } = await onHost(lab, 'a', `perl - <<'ATTACK'\n${attackProgram('harmless')}\nATTACK`);
      const reached = [...linesOf(stdout)].flatMap(([name, seen]) => (seen.startsWith('reached: ') ? [name] : []));
      // What one kernel or machine lacks is refused by that, not by netrig; these are on every one.
      expect(reached).to.include.members([
        'loop device',
        'memory of the machine: its device',
        'sysctl fs.file-max',
        'sysctl vm.overcommit_memory',
        'own limit of processes',
        'own limit of memory',
      ]);
      expect(reached.length, stdout).to.be.greaterThan(9);
    } finally {
      await lab.down();
      if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
      else process.env['XDG_STATE_HOME'] = oldState;
      rmSync(state, { recursive: true });
    }
  });
});
