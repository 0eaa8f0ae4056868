import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import { sshProvider } from '../../src/providers/ssh/provider.js';
import { savedImage } from './container-registry.js';
import { giveMachines, sudoPassword, type GivenMachines } from './given-machines.js';
import { hostPlan, labPlan, missing, onHost, rejectsWith, upOptions } from './local-labs.js';
import { latestOutcomes, netrig, workDirectory } from './netrig-command.js';
import { itKeepsTheContract } from './provider-contract.js';

const scenario = (steps: string): string => `
scenario: given
title: On machines that exist
hosts: { left: { image: debian-12 }, right: { image: debian-12, engine: false, sysctls: { net.ipv4.conf.all.arp_notify: 1 } } }
segments: { lan: { subnet: 10.77.0.0/24, hosts: { left: 10.77.0.11, right: 10.77.0.12 } } }
steps:
${steps}`;

/** What of a machine a lab could have changed. */
const stateScript = `(ip -o address; ip -o link; ip route) | grep -Ev 'docker0|inet6'; cat /etc/hosts; cat /proc/sys/net/ipv4/conf/all/arp_notify; ls -A /var/lib/netrig 2>&1; docker ps -aq; docker network ls --format '{{.Name}}'; docker images -q | sort`;

(missing ? describe.skip : describe)(
  `the ssh provider, on machines that exist${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(120_000);
    let given: GivenMachines;
    let state: string;
    const old = { ...process.env };
    const wired = { one: 'host: left, segments: { lan: ens4 }', two: 'host: right, segments: { lan: ens4 }' };

    before(async () => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      process.env['XDG_STATE_HOME'] = state;
      process.env['NETRIG_TEST_SUDO'] = sudoPassword;
      given = await giveMachines();
    });

    after(async () => {
      await given?.remove();
      for (const name of ['XDG_STATE_HOME', 'NETRIG_TEST_SUDO', 'NETRIG_INVENTORY', 'NETRIG_YES']) {
        if (old[name] === undefined) delete process.env[name];
        else process.env[name] = old[name];
      }
      rmSync(state, { recursive: true });
    });

    /** Records of labs, but for that of the machines themselves. */
    function recordsLeft(): string[] {
      return readdirSync(join(state, 'netrig', 'labs')).filter((name) => name !== given.lab.id);
    }

    /** The state of both machines. */
    async function machinesNow(): Promise<string[][]> {
      return Promise.all(['one', 'two'].map(async (host) => (await given.on(host, stateScript)).split('\n')));
    }

    async function run(
      yaml: string,
      args: string[],
    ): Promise<{ status: number | null; output: string; outcomes: ReturnType<typeof latestOutcomes> }> {
      const { dir, remove } = workDirectory({ 'one.yaml': yaml });
      try {
        const end = await netrig(['run', 'one.yaml', '--no-allure-report', '--provider', 'ssh', ...args], { cwd: dir })
          .ended;
        let outcomes: ReturnType<typeof latestOutcomes> = [];
        try {
          outcomes = latestOutcomes(dir);
        } catch {
          // It ended before there was a record.
        }
        return { status: end.status, output: end.stdout + end.stderr, outcomes };
      } finally {
        remove();
      }
    }

    const labSteps = `
  - step: A container with a published port
    on: left
    run: docker run -d --name web --stop-signal KILL -p 8080:80 web
  - check: The other machine reaches it by the host's name
    http: { from: right, url: "http://left:8080/", expect: { status: 200 } }
    within: 20s
  - check: By the scenario's own name of the interface
    address: { on: left, interface: eth0, expect: { is: 10.77.0.11 } }
  - check: The sysctl is set
    command: { on: right, run: "cat /proc/sys/net/ipv4/conf/all/arp_notify", expect: { stdout: "1" } }
`;

    it('runs a scenario over the machines’ own interfaces, through a jump host, by sudo with and without password, and takes all back', async () => {
      const before = await machinesNow();
      const inventory = given.inventory(given.machines({ one: `${wired.one}, dedicated: true`, two: wired.two }));
      const { status, output, outcomes } = await run(scenario(labSteps), ['--inventory', inventory, '--yes']);
      expect(
        outcomes.map(({ verdict }) => verdict),
        output,
      ).to.deep.equal(['pass', 'pass', 'pass', 'pass']);
      expect(status).to.equal(0);
      expect(await machinesNow()).to.deep.equal(before);
      expect(recordsLeft()).to.deep.equal([]);
    });

    it('loads container images into engines that have none of that name, and takes them back', async () => {
      const before = await machinesNow();
      const image = await savedImage('any:1', 'loaded');
      const { dir, remove } = workDirectory({
        'one.yaml':
          scenario(`
  - check: The container is what the image says
    command: { on: left/web1, run: cat /etc/said, expect: { stdout: loaded } }
`).replace(
            'left: { image: debian-12 }',
            'left: { image: debian-12, docker: { containers: { web1: { image: saved } } } }',
          ) + 'images: { saved: { archive: ./saved.tar } }\n',
      });
      copyFileSync(image.file, join(dir, 'saved.tar'));
      const inventory = given.inventory(given.machines({ one: `${wired.one}, dedicated: true`, two: wired.two }));
      const args = ['run', 'one.yaml', '--no-allure-report', '--provider', 'ssh', '--inventory', inventory, '--yes'];
      const end = await netrig(args, { cwd: dir }).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(0);
      expect(end.stdout).to.contain('left: loading the container image saved:latest');
      expect(await machinesNow()).to.deep.equal(before);
      image.remove();
      remove();
    });

    it('runs a scenario that comes with netrig, unchanged, as every provider does', async () => {
      const inventory = given.inventory(given.machines({ one: 'host: docker, dedicated: true' }));
      const { dir, remove } = workDirectory();
      const file = join(import.meta.dirname, '..', '..', '..', 'scenarios', 'p2p', 's0-point-to-point.yaml');
      const end = await netrig(
        [
          'run',
          file,
          '--matrix',
          'image=debian-12',
          '--no-allure-report',
          '--provider',
          'ssh',
          '--inventory',
          inventory,
          '--yes',
        ],
        { cwd: dir },
      ).ended;
      expect(end.status, end.stdout + end.stderr).to.equal(0);
      expect(latestOutcomes(dir).filter(({ verdict }) => verdict === 'pass')).to.have.length.above(20);
      expect(await given.on('one', 'docker ps -aq')).to.equal('');
      remove();
    });

    it('builds a segment as VXLAN between the machines', async () => {
      const before = await machinesNow();
      const inventory = given.inventory(
        `${given.machines({ one: 'host: left, dedicated: true', two: 'host: right' })}segments: { lan: { vxlan: 4242 } }\n`,
      );
      const steps = `${labSteps}  - check: It is a VXLAN link\n    link: { on: left, interface: eth0, expect: { kind: vxlan, vni: 4242 } }\n`;
      const { status, output } = await run(scenario(steps), ['--inventory', inventory, '--yes']);
      expect(status, output).to.equal(0);
      expect(await machinesNow()).to.deep.equal(before);
    });

    it('says what steps left on an engine that is not for labs alone, and leaves it', async () => {
      const inventory = given.inventory(given.machines(wired));
      const { status, output } = await run(
        scenario(
          '  - step: A network\n    on: left\n    run: docker network create stays\n  - check: It is there\n    docker: { on: left, network: stays, expect: { Name: stays } }\n',
        ),
        ['--inventory', inventory, '--yes'],
      );
      expect(status, output).to.equal(0);
      expect(output).to.match(/one: what the steps made on its engine stays: network stays/);
      expect(await given.on('one', 'docker network rm stays')).to.equal('stays\n');
    });

    it('changes nothing before somebody agreed', async () => {
      const before = await machinesNow();
      const { status, output } = await run(scenario(labSteps), ['--inventory', given.inventory(given.machines(wired))]);
      expect(status, output).to.equal(2);
      expect(output)
        .to.contain('would be changed')
        .and.to.contain('admin@10.20.2.11:22 via gate')
        .and.to.contain('--yes');
      expect(await machinesNow()).to.deep.equal(before);
    });

    it('only looks with --check-only: no steps, no provisioning, no commands', async () => {
      const before = await machinesNow();
      const steps = `  - step: Would change it\n    on: left\n    run: touch /root/changed\n  - check: One reaches the other over the wire that there is\n    ping: { from: left, to: 10.20.3.12 }\n  - check: A command\n    command: { on: left, run: touch /root/changed, expect: { exit: 0 } }\n`;
      const { status, output, outcomes } = await run(scenario(steps), [
        '--inventory',
        given.inventory(given.machines(wired)),
        '--check-only',
      ]);
      expect(
        outcomes.map(({ verdict }) => verdict),
        output,
      ).to.deep.equal(['skipped', 'pass', 'skipped']);
      expect(status).to.equal(0);
      expect(await given.on('one', 'ls /root')).not.to.contain('changed');
      expect(await machinesNow()).to.deep.equal(before);
    });

    it('says with --check-only how far a packet came and what could not be looked at, and changes nothing for it', async () => {
      const drop = '-p icmp --icmp-type echo-request -j DROP';
      await given.on('two', `iptables -I INPUT ${drop}`);
      const before = await machinesNow();
      try {
        const steps = '  - check: One reaches the other\n    ping: { from: left, to: 10.20.3.12 }\n';
        const { status, output, outcomes } = await run(scenario(steps), [
          '--inventory',
          given.inventory(given.machines(wired)),
          '--check-only',
        ]);
        expect(status, output).to.equal(1);
        expect(outcomes.map(({ verdict }) => verdict)).to.deep.equal(['fail']);
        expect(output).to.match(/it came to right by ens4, and was not seen any further/);
        expect(output).to.match(/not looked at: rules of nftables: nothing may be added to a host for a trace of them/);
        expect(await machinesNow()).to.deep.equal(before);
      } finally {
        await given.on('two', `iptables -D INPUT ${drop}`);
      }
    });

    describe('packages of a host', () => {
      const wanting = scenario(`
  - step: Both are there, with the one that came along
    on: left
    run: netrig-probe && dpkg -s netrig-along >/dev/null
  - check: They reach each other
    ping: { from: left, to: right }
`).replace('left: { image: debian-12 }', 'left: { image: debian-12, packages: [netrig-probe, coreutils] }');
      const installed = (): Promise<string> => given.on('one', 'dpkg-query -W');

      before(() =>
        given.on(
          'one',
          [
            'mkdir -p /root/repo/probe/DEBIAN /root/repo/probe/usr/bin /root/repo/along/DEBIAN && cd /root/repo',
            "printf 'Package: netrig-probe\\nVersion: 1\\nArchitecture: all\\nMaintainer: n <n@n>\\nDepends: netrig-along\\nDescription: x\\n' >probe/DEBIAN/control",
            "printf 'Package: netrig-along\\nVersion: 1\\nArchitecture: all\\nMaintainer: n <n@n>\\nDescription: x\\n' >along/DEBIAN/control",
            "printf '#!/bin/sh\\necho here\\n' >probe/usr/bin/netrig-probe && chmod 755 probe/usr/bin/netrig-probe",
            'for name in probe along; do dpkg-deb --build $name $name.deb >/dev/null && { cat $name/DEBIAN/control; echo "Filename: ./$name.deb"; echo "Size: $(stat -c %s $name.deb)"; echo "SHA256: $(sha256sum $name.deb | cut -d" " -f1)"; echo; } >>Packages || exit 1; done',
            "echo 'deb [trusted=yes] file:/root/repo ./' >/etc/apt/sources.list",
          ].join(' && '),
        ),
      );
      after(() => given.on('one', 'rm -rf /root/repo /etc/apt/sources.list /var/lib/apt/lists/*'));

      it('are installed by apt, and purged at the end with what came along', async () => {
        const inventory = given.inventory(given.machines({ one: wired.one, two: wired.two }));
        const before = [await installed(), ...(await machinesNow())];
        const { status, output } = await run(wanting, ['--inventory', inventory, '--yes']);
        expect(status, output).to.equal(0);
        expect(output).to.contain('one: packages coreutils netrig-probe');
        expect([await installed(), ...(await machinesNow())]).to.deep.equal(before);
      });

      it('that no source of the machine has are an error with apt’s words, and all is as it was', async () => {
        const inventory = given.inventory(given.machines({ one: wired.one, two: wired.two }));
        const before = [await installed(), ...(await machinesNow())];
        const wrong = wanting.replace('netrig-probe, coreutils', 'netrig-none');
        const { status, output } = await run(wrong, ['--inventory', inventory, '--yes']);
        expect(status, output).to.equal(3);
        expect(output).to.match(/one: installing packages failed: .*Unable to locate package netrig-none/);
        expect([await installed(), ...(await machinesNow())]).to.deep.equal(before);
      });

      it('are named as missing with --check-only, and nothing is installed', async () => {
        const inventory = given.inventory(given.machines({ one: wired.one, two: wired.two }));
        const before = await installed();
        const { output } = await run(wanting, ['--inventory', inventory, '--check-only']);
        expect(output).to.match(/NETRIG_INVENTORY: .*it lacks the package netrig-probe/);
        expect(output).not.to.contain('lacks the package coreutils');
        expect(await installed()).to.equal(before);
      });
    });

    describe('keeps the contract', () => {
      const contractPlan = (): LabPlan =>
        labPlan('contract', [
          hostPlan('left', 11, ['net5'], {
            image: 'debian-12',
            init: 'systemd',
            engine: true,
            containerImages: ['busybox'],
          }),
          hostPlan('right', 12, ['net5'], { image: 'debian-12', init: 'systemd' }),
        ]);

      before(() => {
        process.env['NETRIG_INVENTORY'] = given.inventory(
          given.machines({ one: 'host: left, segments: { net5: ens4 }', two: 'host: right, segments: { net5: ens4 }' }),
        );
        process.env['NETRIG_YES'] = '1';
      });

      after(() => {
        delete process.env['NETRIG_INVENTORY'];
        delete process.env['NETRIG_YES'];
      });

      itKeepsTheContract(() => ({
        provider: sshProvider,
        image: 'debian-12',
        killHost: null,
        plan: contractPlan(),
        plannedMacs: false,
        plannedNames: false,
        bootTimeoutMs: 60_000,
        async leftovers(id) {
          const records = readdirSync(join(state, 'netrig', 'labs')).filter((name) => name.startsWith(id));
          const owners = await Promise.all(
            ['one', 'two'].map(
              async (host) =>
                `${host}: ${(await given.on(host, 'cat /var/lib/netrig/lab/owner 2>/dev/null || true')).trim()}`,
            ),
          );
          return [...records, ...owners.filter((line) => line.includes(id))];
        },
      }));
    });

    describe('when something is not as it should be', () => {
      async function refused(
        yaml: string,
        args: string[] = ['--yes'],
      ): Promise<{ status: number | null; output: string }> {
        const before = await machinesNow();
        const { status, output } = await run(scenario(labSteps), ['--inventory', given.inventory(yaml), ...args]);
        expect(await machinesNow(), output).to.deep.equal(before);
        return { status, output };
      }

      it('a host key that is not known: 3, and the file that must know it', async () => {
        writeFileSync(
          join(given.dir, 'other_hosts'),
          readFileSync(join(given.dir, 'known_hosts'), 'utf8').replace(/^10\.20\.2\.11 .*\n/m, ''),
        );
        const { status, output } = await refused(
          given.machines(wired).replace(/(one: .*)known-hosts: known_hosts/, '$1known-hosts: other_hosts'),
        );
        expect(status, output).to.equal(3);
        expect(output).to.contain('NETRIG_SSH_HOST_KEY').and.to.contain('other_hosts');
      });

      it('another host key than the known one: 3', async () => {
        const lines = readFileSync(join(given.dir, 'known_hosts'), 'utf8').split('\n');
        // gate shows the same kind of key, but not this one.
        const wrong = lines.map((line) =>
          line.startsWith('10.20.1.2 ') ? line.replace(/.{12}$/, 'AAAAAAAAAAAA') : line,
        );
        writeFileSync(join(given.dir, 'wrong_hosts'), wrong.join('\n'));
        const { status, output } = await refused(
          given.machines(wired).replaceAll('known-hosts: known_hosts', 'known-hosts: wrong_hosts'),
        );
        expect(status, output).to.equal(3);
      });

      it('sudo with a wrong password: 3, and what to do', async () => {
        process.env['NETRIG_TEST_SUDO'] = 'wrong';
        const { status, output } = await refused(given.machines(wired)).finally(
          () => (process.env['NETRIG_TEST_SUDO'] = sudoPassword),
        );
        expect(status, output).to.equal(3);
        expect(output).to.contain('does not make careful root');
      });

      it('an interface that is not there: 2, with both machines as they were', async () => {
        const missingOne = await refused(given.machines({ ...wired, one: 'host: left, segments: { lan: ens9 }' }));
        expect(missingOne.status, missingOne.output).to.equal(2);
        expect(missingOne.output).to.contain('there is no interface ens9');
      });

      it('mistakes in the inventory: 2, each with its line and column', async () => {
        const { status, output } = await refused(
          'machines:\n  one: { adress: 10.20.2.11, user: admin }\n  two: { address: 10.20.2.12, jump: nobody }\n',
        );
        expect(status, output).to.equal(2);
        expect(output)
          .to.match(/inventory-\d+\.yaml:2:\d+/)
          .and.to.contain('unknown key "adress"')
          .and.to.contain('address');
      });

      it('a host without a machine: 2', async () => {
        const { status, output } = await refused(given.machines({ one: wired.one }));
        expect(status, output).to.equal(2);
        expect(output).to.contain('no machine stands for the host right');
      });

      it('a machine that is in use by another lab: 3, and its lab is left alone', async () => {
        process.env['NETRIG_INVENTORY'] = given.inventory(given.machines(wired));
        process.env['NETRIG_YES'] = '1';
        const plan = labPlan('first', [hostPlan('left', 11, [], { image: 'debian-12' })]);
        const lab = await sshProvider.up(plan, upOptions());
        try {
          const { status, output } = await run(scenario(labSteps), [
            '--inventory',
            process.env['NETRIG_INVENTORY'],
            '--yes',
          ]);
          expect(status, output).to.equal(3);
          expect(output).to.contain(`in use by the lab ${lab.id}`);
          expect((await onHost(lab, 'left', 'echo still here')).stdout).to.equal('still here\n');
        } finally {
          await lab.down();
          delete process.env['NETRIG_INVENTORY'];
          delete process.env['NETRIG_YES'];
        }
      });

      it('a connection cut in the middle: error, what could not be undone is named, and gc --inventory finishes it', async () => {
        const before = await machinesNow();
        const inventory = given.inventory(given.machines({ one: `${wired.one}, dedicated: true`, two: wired.two }));
        const cut = `  - step: The way to it is lost\n    on: right\n    run: (ip link set ens3 down) & sleep 60\n    timeout: 50s\n  - check: Never known\n    ping: { from: left, to: right }\n`;
        const { status, output, outcomes } = await run(scenario(cut), ['--inventory', inventory, '--yes']);
        expect(
          outcomes.map(({ verdict }) => verdict),
          output,
        ).to.deep.equal(['error', 'skipped']);
        expect(status).to.equal(3);
        expect(output)
          .to.match(/two: all that the lab made there/)
          .and.to.contain('netrig gc --inventory');
        expect(await given.on('two', 'ip link set ens3 up; cat /var/lib/netrig/lab/owner')).to.match(/^given-/);

        // Without the inventory nothing is asked of the machines, and it is said what to do.
        const blind = await netrig(['gc'], { cwd: given.dir }).ended;
        expect(blind.status, blind.stdout + blind.stderr).to.equal(3);
        expect(blind.stderr).to.contain('netrig gc --inventory');
        const swept = await netrig(['gc', '--inventory', inventory], { cwd: given.dir }).ended;
        expect(swept.status, swept.stdout + swept.stderr).to.equal(0);
        expect(await machinesNow()).to.deep.equal(before);
        expect(recordsLeft()).to.deep.equal([]);
      });

      it('needs an inventory, and says so', async () => {
        await rejectsWith('NETRIG_USAGE', sshProvider.preflight(labPlan('none', [hostPlan('left', 11, ['net1'])])));
      });
    });
  },
);
