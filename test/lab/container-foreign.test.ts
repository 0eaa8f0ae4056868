import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { tarOf } from '../../src/ssh/tar.js';
import { startEngine, type TestEngine } from './container-engine.js';
import { bareDebian, busyboxTree, foreignScenario, givenFile, inBusybox, inDebian } from './foreign-trees.js';
import { missing } from './local-labs.js';
import { type Ended, latestOutcomes, netrig, workDirectory } from './netrig-command.js';

const steps = `${inBusybox('! test -e /.netrig-boot')}  - step: It has the way to the outside that it was given
    on: foreign
    run: |
      ip address show uplink0 | grep -q 198.18.255.100
      cat /etc/resolv.conf | grep -qx 'nameserver 198.18.255.3'
  - fault: { cut: { segment: lan, hosts: foreign } }
  - check: It can be cut off
    ping: { from: own, to: foreign, expect: { fails: [host-unreachable, timeout] } }
  - heal: all`;

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
      const { dir, remove } = workDirectory({
        'lab.yaml': foreignScenario('{ root: ./tree.tar }', steps, `outside: true, ${givenFile}`),
        given: 'given\n',
      });
      writeFileSync(join(dir, 'tree.tar'), tarOf([{ entries: await busyboxTree(), owner: { uid: 0, gid: 0 } }]));
      await proves(dir);
      const second = await run(dir);
      expect(second.status, second.stdout).to.equal(0);
      expect(second.stdout).not.to.contain('into the Docker engine');
      remove();
    });

    it('a Debian without any of netrig’s packages, booted by its own systemd, from a directory', async () => {
      const { dir, remove } = workDirectory({
        'lab.yaml': foreignScenario('{ root: ./tree }', inDebian, 'init: systemd'),
      });
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
