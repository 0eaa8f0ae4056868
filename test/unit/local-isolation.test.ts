import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { identify, ownIdentity } from '../../src/lab/process.js';
import { wishFor } from '../../src/providers/isolation-wish.js';
import { bootActions, bootEnvironment, type BootPlan, restartActions } from '../../src/providers/local/boot-actions.js';
import { openConsoleLog } from '../../src/providers/local/console.js';
import { holdFile } from '../../src/providers/local/host-file.js';
import {
  giveBack,
  idsPerHost,
  parseSubordinate,
  possibleRanges,
  sweepRanges,
  takeRanges,
  unusedSpan,
} from '../../src/providers/local/id-ranges.js';
import { chooseIsolation } from '../../src/providers/local/isolation.js';
import { type BpfInstruction, filterArguments, filterProgram } from '../../src/providers/local/seccomp.js';
import { rejectsWith } from '../lab/local-labs.js';

/** What a filter answers to a system call: the machine of classic BPF, as far as the filter uses it. */
function answerOf(program: readonly BpfInstruction[], call: { audit: number; number: number; first?: number }): string {
  const data = new Map([
    [0, call.number],
    [4, call.audit],
    [16, call.first ?? 0],
  ]);
  let value = 0;
  for (let at = 0; ; at += 1) {
    const [code, jumpTrue, jumpFalse, constant] = program[at]!;
    if (code === 0x20) value = data.get(constant)!;
    else if (code === 0x15) at += value === constant ? jumpTrue : jumpFalse;
    else if (code === 0x35) at += value >= constant ? jumpTrue : jumpFalse;
    else if (code === 0x06) return constant === 0x7fff0000 ? 'allowed' : `errno ${constant & 0xffff}`;
    else throw new Error(`no such instruction: ${code}`);
  }
}

describe('the system call filter of an isolated host', () => {
  const x64 = filterProgram('x64')!;
  const audit = 0xc000003e;

  it('refuses AF_VSOCK, io_uring, 32-bit and x32 calls, and nothing else', () => {
    expect(answerOf(x64, { audit, number: 41, first: 40 })).to.equal('errno 97');
    expect(answerOf(x64, { audit, number: 425 })).to.equal('errno 38');
    expect(answerOf(x64, { audit: 0x40000003, number: 359, first: 40 })).to.equal('errno 38');
    expect(answerOf(x64, { audit, number: 0x40000000 + 41, first: 40 })).to.equal('errno 38');
    for (const number of [0, 1, 41, 59, 317, 435])
      expect(answerOf(x64, { audit, number, first: 2 }), String(number)).to.equal('allowed');
    // 40 as the first argument of another call than socket(2).
    expect(answerOf(x64, { audit, number: 3, first: 40 })).to.equal('allowed');
  });

  it('knows the numbers of 64-bit ARM, and says of others that it does not', () => {
    const arm = filterProgram('arm64')!;
    expect(answerOf(arm, { audit: 0xc00000b7, number: 198, first: 40 })).to.equal('errno 97');
    expect(answerOf(arm, { audit: 0xc00000b7, number: 41, first: 40 })).to.equal('allowed');
    expect(answerOf(arm, { audit: 0x40000028, number: 281, first: 40 })).to.equal('errno 38');
    expect(filterProgram('mips')).to.equal(null);
    expect(filterArguments('x64')![1]).to.have.length(x64.length * 16);
  });
});

describe('the ids of a host', () => {
  let directory: string;
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'netrig-ids-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('are of the part that nobody uses, or of the lines for netrig, less what is given to others', () => {
    const all = possibleRanges([], []);
    expect(all).to.have.length(unusedSpan.count / idsPerHost);
    const given = parseSubordinate(`# comment\nsomebody:${unusedSpan.first + 10}:${idsPerHost}\nbroken:x:1\n`);
    expect(possibleRanges(given, [])).to.deep.equal(all.slice(2));
    const own = parseSubordinate('netrig:3000000:131072\n');
    expect(possibleRanges(own, own)).to.deep.equal([3_000_000, 3_065_536]);
    expect(possibleRanges(own, [])).to.deep.equal(all);
  });

  it('are taken once, and given back', async () => {
    const [one, other] = await Promise.all([takeRanges(3, directory), takeRanges(3, directory)]);
    expect(new Set([...one, ...other].map((range) => range.first)).size).to.equal(6);
    giveBack(one);
    expect(readdirSync(directory).sort()).to.deep.equal(other.map((range) => String(range.first)).sort());
    giveBack(other);
    giveBack(other);
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('of dead processes, of this boot or another, are swept; those of live ones and of other pid namespaces stay', async () => {
    const [mine] = await takeRanges(1, directory);
    const name = readdirSync(mine!.lock!)[0]!;
    const [boot, space, pid, startTime] = name.split('.');
    const lock = (first: number, owner: string): void => {
      mkdirSync(join(directory, String(first)));
      writeFileSync(join(directory, String(first), owner), '');
    };
    lock(1, `${boot}.${space}.${pid}.${Number(startTime) + 1}`);
    lock(2, `00000000-0000-0000-0000-000000000000.${space}.${pid}.${startTime}`);
    lock(3, `${boot}.4.2.1`);
    // Killed between making a lock and putting it in its place.
    mkdirSync(join(directory, `.4.${boot}.${space}.${pid}.1`));
    expect(sweepRanges(directory)).to.equal(2);
    expect(readdirSync(directory)).to.have.members(['3', String(mine!.first)]);
    giveBack([mine!]);
  });

  it('say so when there are not enough', async () => {
    const error = await rejectsWith('NETRIG_CAPABILITY', takeRanges(5000, directory));
    expect(error.message).to.contain('5000 hosts need 5000 ranges');
    expect(readdirSync(directory)).to.deep.equal([]);
  });
});

describe('a file of a host, held', () => {
  let directory: string;
  const isSocket = (stats: { isSocket(): boolean }): boolean => stats.isSocket();
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'netrig-held-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('is reached by a handle, part by part', async () => {
    const server = createServer().listen(join(directory, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const file = holdFile(ownIdentity(), join(directory, 'socket'), isSocket);
    expect(existsSync(file.path)).to.equal(true);
    file.close();
    expect(existsSync(file.path)).to.equal(false);
    await new Promise((resolve) => server.close(resolve));
  });

  it('is not reached over a link, in no part of its path, nor taken for another kind of file', () => {
    mkdirSync(join(directory, 'real'));
    writeFileSync(join(directory, 'real', 'file'), 'secret');
    symlinkSync(join(directory, 'real'), join(directory, 'run'));
    symlinkSync(join(directory, 'real', 'file'), join(directory, 'link'));
    const anything = (): boolean => true;
    const before = readdirSync('/proc/self/fd').length;
    expect(() => holdFile(ownIdentity(), join(directory, 'run', 'file'), anything)).to.throw(/ENOTDIR/);
    // The link itself is held, which is no file, socket or pipe.
    expect(() => holdFile(ownIdentity(), join(directory, 'link'), (stats) => !stats.isSymbolicLink())).to.throw(
      /something else/,
    );
    expect(() => holdFile(ownIdentity(), join(directory, 'real', 'file'), isSocket)).to.throw(/something else/);
    expect(() => holdFile({ pid: process.pid, startTime: 1 }, join(directory, 'real', 'file'), anything)).to.throw(
      /gone/,
    );
    expect(readdirSync('/proc/self/fd').length, 'handles').to.equal(before);
  });
});

describe('the console log of a host', () => {
  it('takes so much, says that it is full, and no more', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-console-'));
    const file = join(directory, 'log');
    const log = openConsoleLog(file, 10);
    expect(log.append('12345')).to.equal(true);
    expect(log.append('6789012345')).to.equal(false);
    expect(log.append('more')).to.equal(false);
    log.close();
    log.close();
    expect(log.append('late')).to.equal(false);
    expect(readFileSync(file, 'utf8')).to.match(/^1234567890\n\(netrig keeps the first 10 bytes/);
    rmSync(directory, { recursive: true });
  });
});

describe('the isolation of a lab', () => {
  const works = async (): Promise<{ works: true; overlay: 'host' }> => ({ works: true, overlay: 'host' });
  const broken = async (): Promise<{ works: false; why: string }> => ({ works: false, why: 'no user namespaces' });
  const roots = ['/cache/images/debian-12-0/root'];

  it('is what the machine can do, what is asked for, or an error', async () => {
    expect((await chooseIsolation('auto', roots, works)).isolation).to.deep.equal({ mode: 'users', overlay: 'host' });
    expect((await chooseIsolation('users', roots, works)).isolation.mode).to.equal('users');
    expect((await chooseIsolation('none', roots, works)).isolation.mode).to.equal('none');
    expect(await chooseIsolation('auto', roots, broken)).to.deep.equal({
      isolation: { mode: 'none' },
      why: 'no user namespaces',
    });
    const error = await rejectsWith('NETRIG_ISOLATION', chooseIsolation('users', roots, broken));
    expect(error.message).to.contain('no user namespaces');
    expect(error.hint).to.contain('--isolation none');
  });

  it('is not given up for a scenario from outside the working directory, unless somebody says so', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-wish-'));
    mkdirSync(join(directory, 'work'));
    writeFileSync(join(directory, 'work', 'own.yaml'), '');
    writeFileSync(join(directory, 'foreign.yaml'), '');
    symlinkSync(join(directory, 'foreign.yaml'), join(directory, 'work', 'link.yaml'));
    const wish = (file: string, word: 'auto' | 'none' = 'auto'): string =>
      wishFor(word, join(directory, file), join(directory, 'work'));
    expect(wish('work/own.yaml')).to.equal('auto');
    expect(wish('foreign.yaml')).to.equal('users');
    expect(wish('work/link.yaml')).to.equal('users');
    expect(wish('foreign.yaml', 'none')).to.equal('none');
    rmSync(directory, { recursive: true });
  });
});

describe('what makes a host', () => {
  const plan: BootPlan = {
    name: 'h1',
    init: 'systemd',
    engine: true,
    image: { root: '/images/one/root', layers: ['/images/layer,a'] },
    users: { firstId: 1_900_000_000, overlay: 'host' },
    joined: ['/sys/fs/cgroup/memory/lab/h1'],
    mount: '/labs/one/root',
    disk: 1 << 30,
    machineId: '0123456789abcdef0123456789abcdef',
    cgroups: { view: 'hybrid', hierarchies: [{ name: 'memory', options: 'memory' }], unified: true },
    dockerData: '/images/one/docker',
  };
  const notIsolated: BootPlan = { ...plan, users: null };
  const foreign: BootPlan = {
    ...plan,
    engine: false,
    image: { ...plan.image, foreign: { tools: '/images/tools', systemd: null } },
  };
  const keys = {
    hostPrivateKey: 'the-host-key\n',
    hostPublicKey: 'the-public-key',
    hostPublicKeyLine: 'ssh-ed25519 the-public-key',
    privateKey: 'the-login-key',
    publicKeyLine: 'ssh-ed25519 the-login-key',
  };

  it('has its shells in the shell’s grammar', () => {
    let shells = 0;
    for (const one of [plan, notIsolated, foreign])
      for (const actions of [bootActions(one), restartActions(one)])
        actions.forEach((word, at) => {
          if (word !== '-c' && word !== '-euc') return;
          const { status, stderr } = spawnSync('sh', ['-n'], { input: actions[at + 1]!, encoding: 'utf8' });
          expect(status, stderr).to.equal(0);
          shells += 1;
        });
    expect(shells).to.be.greaterThan(5);
    expect(identify(process.pid)).not.to.equal(null);
  });

  it('is done by root of the machine before the host’s user namespace is entered, and not after', () => {
    const actions = bootActions(plan);
    const entered = actions.indexOf('root');
    expect(actions.slice(entered - 3, entered)).to.deep.equal(['enter', String(0x10000000), '=']);
    for (const privileged of ['join', 'node', 'bind', 'filter'])
      expect(actions.lastIndexOf(privileged), privileged).to.be.within(0, entered - 1);
    // What is asked for at the end of its parent is so again after the change of ids.
    expect(actions[entered + 1]).to.equal('die');
    expect(bootActions(notIsolated)).not.to.include.members(['users', 'filter']);
    expect(bootActions(notIsolated).join(' ')).to.contain('node 666 1 3 dev/null');
  });

  it('has no key in its arguments, which everybody on the machine can read', () => {
    for (const one of [plan, notIsolated, foreign])
      for (const actions of [bootActions(one), restartActions(one)])
        expect(actions.filter((word) => word.includes('-key'))).to.deep.equal([]);
    expect(bootEnvironment(plan, keys, ['a', 'b'])).to.include({
      NETRIG_HOST_KEY: 'the-host-key\n',
      NETRIG_LOGIN_KEY: 'ssh-ed25519 the-login-key\n',
      NETRIG_DOCKER_DATA: '../data',
      NETRIG_BOUND_LAYERS: 'a b',
    });
  });

  it('is another process for each command only where it must be: its addresses, and the engine’s data', () => {
    const commands = (one: BootPlan): number => bootActions(one).filter((word) => word === 'run').length;
    const bare = { ...plan, engine: false, dockerData: null };
    expect(commands(plan) - commands(bare)).to.equal(2);
    expect(bootActions(bare).filter((word) => word === 'sh')).to.deep.equal([]);
  });

  it('begins the first sshd of a light host itself, the first time and again, once the host has its addresses', () => {
    const light: BootPlan = { ...plan, init: 'light', engine: false, dockerData: null };
    for (const actions of [bootActions(light), restartActions(light)]) {
      expect(actions.indexOf('serve')).to.be.greaterThan(actions.indexOf('addresses'));
      expect(actions.slice(-3)).to.deep.equal(['--', 'sleep', 'infinity']);
    }
    for (const actions of [bootActions(plan), restartActions(plan)]) expect(actions).not.to.include('serve');
  });
});
