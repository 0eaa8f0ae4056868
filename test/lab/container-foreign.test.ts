import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { findMirror } from '../../src/images/mirror.js';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { ensureHostImage } from '../../src/images/store.js';
import { tarOf } from '../../src/ssh/tar.js';
import type { TreeEntry } from '../../src/ssh/tree.js';
import { startEngine, type TestEngine } from './container-engine.js';
import { missing } from './local-labs.js';
import { type Ended, latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const signal = new AbortController().signal;

const file = (path: string, text: string | Buffer, mode = 0o644): TreeEntry => ({
  kind: 'file',
  path,
  mode,
  content: Buffer.from(text),
});

/** A tree of busybox alone, as an archive. */
async function busyboxTree(): Promise<Buffer> {
  const { root } = await ensureHostImage('debian-12', { signal, progress: () => undefined });
  const entries: TreeEntry[] = [
    { kind: 'directory', path: '/bin', mode: 0o755 },
    file('/bin/busybox', readFileSync(join(root, 'bin', 'busybox')), 0o755),
    ...['sh', 'cat', 'ls', 'test', 'echo'].map((name): TreeEntry => ({
      kind: 'link',
      path: `/bin/${name}`,
      target: 'busybox',
    })),
    file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nguest:x:7:8::/:/bin/sh\n'),
    file('/etc/group', 'root:x:0:\nguests:x:8:\n'),
  ];
  return tarOf([{ entries, owner: { uid: 0, gid: 0 } }]);
}

const scenario = (image: string, more: string, steps: string): string => `scenario: foreign
title: A host of another root file system
hosts:
  own: { image: debian-12, init: light }
  foreign: { image: ${image}, ${more} }
segments: { lan: { subnet: 10.88.0.0/24, hosts: { own: 10.88.0.1, foreign: 10.88.0.2 } } }
steps:
${steps}
  - check: It reaches another host by name
    ping: { from: foreign, to: own }
  - check: It is reached by its name
    ping: { from: own, to: foreign }
  - check: What does not listen refuses
    port: { from: own, to: foreign, port: 4444, expect: { fails: refused } }
  - check: Its addresses are those of the plan
    address: { on: foreign, interface: eth0, expect: { is: 10.88.0.2 } }
`;

const inBusybox = `  - step: What is there is the tree, and what is laid over it is the host's own
    on: foreign
    run: |
      test "$(cat /etc/hostname)" = foreign
      test "$(ls /bin)" = "$(printf 'busybox\\ncat\\necho\\nls\\nsh\\ntest')"
      test "$(id -u)" = 0
      test "$PWD" = /root
      ! echo x >/.netrig/usr/x
      ! test -e /.netrig-boot
      test "$(stat -c "%a %u:%g" /etc/given)" = "640 7:8"
  - step: It has the way to the outside that it was given
    on: foreign
    run: |
      ip address show uplink0 | grep -q 198.18.255.100
      cat /etc/resolv.conf | grep -qx 'nameserver 198.18.255.3'
  - step: Files go there by SFTP
    on: foreign
    copy: ./given
    to: /srv/deep/given
    owner: guest
  - step: They are there
    on: foreign
    run: test "$(cat /srv/deep/given)" = given && test "$(stat -c %u:%g /srv/deep/given)" = 7:8
  - step: A process in the background
    on: foreign
    start: nc -l -p 7000 -e cat
    until: { tcp: 127.0.0.1:7000 }
  - fault: { cut: { segment: lan, hosts: foreign } }
  - check: It can be cut off
    ping: { from: own, to: foreign, expect: { fails: [host-unreachable, timeout] } }
  - heal: all`;

const inDebian = `  - step: It has none of netrig's packages, and its systemd is up
    on: foreign
    run: |
      for name in openssh-server iproute2 iputils-ping; do ! dpkg -s "$name" 2>/dev/null || exit 1; done
      test "$(cat /proc/1/comm)" = systemd
      timeout 60 sh -c 'until systemctl is-system-running | grep -qE "running|degraded"; do sleep 0.2; done'
      test "$(systemctl is-active dbus.socket)" = active
  - step: A service of its own
    on: foreign
    run: systemd-run --unit=own sleep 100 && systemctl is-active own`;

/** A Debian without any of netrig's packages, as a directory; made once for all tries on this machine. */
async function bareDebian(): Promise<string> {
  const made = join(tmpdir(), 'netrig-test-debian');
  if (existsSync(join(made, 'done'))) return join(made, 'tree');
  mkdirSync(made, { recursive: true });
  const { lines, aptOptions } = await findMirror(requireHostImageRow('debian-12'), signal);
  const options = aptOptions.flatMap((option) => ['--aptopt', option]);
  const packages = ['--variant=essential', '--include=systemd,systemd-sysv,dbus'];
  const words = ['--quiet', ...packages, ...options, 'bookworm', join(made, 'tree'), ...lines];
  const { status, stderr } = spawnSync('mmdebstrap', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  writeFileSync(join(made, 'done'), '');
  return join(made, 'tree');
}

(missing ? describe.skip : describe)(
  `Hosts of another root file system as containers${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(300_000);
    let state: string;
    let engine: TestEngine;

    before(async () => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      engine = await startEngine('v2');
    });
    after(async () => {
      await engine?.end();
      rmSync(state, { recursive: true });
    });

    async function run(dir: string): Promise<Ended> {
      const env = { DOCKER_HOST: engine.uri, XDG_STATE_HOME: state };
      return netrig(['run', 'lab.yaml', '--provider', 'container', '--offline'], { cwd: dir, env }).ended;
    }

    async function proves(dir: string): Promise<void> {
      const ended = await run(dir);
      expect(ended.status, ended.stdout + ended.stderr).to.equal(0);
      for (const { verdict, reason } of latestOutcomes(dir)) expect(verdict, reason).to.equal('pass');
      expect(await engine.left()).to.deep.equal([]);
    }

    it('a tree of busybox alone, from an archive, is put into the engine once', async () => {
      const given = 'outside: true, files: { ./given: { to: /etc/given, owner: guest, mode: "0640" } }';
      const { dir, remove } = workDirectory({
        'lab.yaml': scenario('{ root: ./tree.tar }', given, inBusybox),
        given: 'given\n',
      });
      writeFileSync(join(dir, 'tree.tar'), await busyboxTree());
      await proves(dir);
      const second = await run(dir);
      expect(second.status, second.stdout).to.equal(0);
      expect(second.stdout).not.to.contain('into the Docker engine');
      remove();
    });

    it('a Debian without any of netrig’s packages, booted by its own systemd, from a directory', async () => {
      const { dir, remove } = workDirectory({ 'lab.yaml': scenario('{ root: ./tree }', 'init: systemd', inDebian) });
      const { status, stderr } = spawnSync('cp', ['--archive', await bareDebian(), join(dir, 'tree')]);
      expect(status, String(stderr)).to.equal(0);
      await proves(dir);
      remove();
    });

    it('that cannot be used are errors with their place', async () => {
      const text =
        'scenario: foreign\ntitle: t\nhosts:\n  a: { image: { root: ./x }, init: systemd }\nsteps: [ { run: "true" } ]\n';
      const { dir, remove } = workDirectory({ 'lab.yaml': text });
      mkdirSync(join(dir, 'x'));
      const ended = await run(dir);
      expect(ended.stdout + ended.stderr).to.contain('NETRIG_HOST_ROOT');
      expect(ended.stdout + ended.stderr).to.match(/lab\.yaml:4:23: a is to boot systemd, and x has none/);
      expect(await engine.left()).to.deep.equal([]);
      remove();
    });
  },
);
