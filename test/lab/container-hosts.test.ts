import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { listRecords, readRecord } from '../../src/lab/store.js';
import { requireHostImageRow } from '../../src/images/recipe.js';
import { engineInfo } from '../../src/providers/container/engine.js';
import { engineReference } from '../../src/providers/container/image.js';
import { buildFromRegistry } from '../../src/providers/container/image-build.js';
import { containerProvider } from '../../src/providers/container/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { attackProgram, linesOf } from './attacks.js';
import { providerNamed } from '../../src/providers/registry.js';
import { savedImage } from './container-registry.js';
import { startEngine, type TestEngine } from './container-engine.js';
import { hostPlan, labPlan, machineState, missing, onHost, rejectsWith, upOptions } from './local-labs.js';
import { itKeepsTheContract } from './provider-contract.js';

interface Link {
  ifname: string;
  address: string;
  mtu: number;
  operstate: string;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

const title = `hosts of the container provider${missing ? ` (needs ${missing})` : ''}`;

(missing ? describe.skip : describe)(title, function () {
  this.timeout(180_000);
  let state: string;
  let engine: TestEngine;
  let lab: RunningLab;
  let untouched: ReturnType<typeof machineState>;
  const options = upOptions();
  const oldState = process.env['XDG_STATE_HOME'];

  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
    engine = await startEngine('v2');
    untouched = machineState();
    const plan = labPlan('hosts', [
      hostPlan('left', 11, ['net1'], { init: 'systemd', engine: true, containerImages: ['busybox'] }),
      hostPlan('middle', 12, ['net1', 'net2'], { init: 'systemd', engine: true, containerImages: ['busybox'] }),
      hostPlan('right-with-a-long-name', 13, ['net2']),
    ]);
    plan.segments[1]!.mtu = 1400;
    lab = await containerProvider.up(plan, options);
  });

  after(async () => {
    await lab?.down();
    await engine?.end();
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true });
  });

  it('have container images from elsewhere', async () => {
    const image = await savedImage('any:1', 'loaded');
    const wantedImages = [
      { name: 'saved:1', source: { from: 'archive' as const, file: image.file }, at: 'lab.yaml:1:1' },
    ];
    const host = { ...hostPlan('only', 11, ['net1'], { init: 'systemd', engine: true }), wantedImages };
    const own = await providerNamed('container').up(labPlan('images', [host]), upOptions());
    try {
      const said = await onHost(own, 'only', 'docker run --rm --network none saved:1 cat /etc/said');
      expect(said.stdout + said.stderr).to.equal('loaded\n');
    } finally {
      await own.down();
      image.remove();
    }
  });

  it('say their name, each in its own network namespace, with the names, addresses, MACs and MTUs of the plan, and no other interface', async () => {
    const seen = new Set<string>();
    for (const host of lab.plan.hosts) {
      const result = await onHost(lab, host.name, 'hostname && readlink /proc/self/ns/net && ip -j address');
      const [name, netns, json] = result.stdout.trim().split('\n');
      expect(name).to.equal(host.name);
      seen.add(netns ?? '');
      const links = JSON.parse(json ?? '') as Link[];
      const own = links.filter((link) => link.ifname !== 'lo' && link.ifname !== 'docker0');
      expect(own.map((link) => link.ifname)).to.have.members(host.interfaces.map((nic) => nic.name));
      for (const nic of host.interfaces) {
        const link = own.find((one) => one.ifname === nic.name);
        expect(link?.operstate, nic.name).to.equal('UP');
        expect(link?.address).to.equal(nic.mac);
        expect(link?.mtu).to.equal(nic.segment === 'net2' ? 1400 : 1500);
        expect(
          link?.addr_info.filter((one) => one.scope === 'global').map((one) => `${one.local}/${one.prefixlen}`),
        ).to.deep.equal([nic.address]);
      }
    }
    expect(seen.size).to.equal(3);
  });

  it('reach each other over a shared segment and not over different ones, up to the whole MTU', async () => {
    expect((await onHost(lab, 'left', 'ping -c 1 -W 2 -M do -s 1472 10.20.1.12')).exitCode).to.equal(0);
    expect((await onHost(lab, 'left', 'ping -c 1 -W 2 -M do -s 1473 10.20.1.12')).exitCode).not.to.equal(0);
    expect((await onHost(lab, 'right-with-a-long-name', 'ping -c 1 -W 2 10.20.2.12')).exitCode).to.equal(0);
    const apart = await onHost(lab, 'left', 'ping -c 1 -W 2 10.20.2.13');
    expect(apart.exitCode).to.equal(2);
    expect(apart.stderr).to.match(/unreachable/i);
  });

  it("see nothing of the engine's machine on a segment, whose rules and addresses are those of docker0 too", async () => {
    const bridge = (await engine.docker.getNetwork('bridge').inspect()) as { IPAM: { Config: { Subnet: string }[] } };
    // 172.17.0.0/16, where nobody chose another one; the bridge has the first address.
    const network = bridge.IPAM.Config[0]!.Subnet.replace(/\.0\/\d+$/, '');
    const [first, own] = [`${network}.1`, `${network}.99`];
    // The engine masquerades what comes from that subnet, and has that address: neither is to be met here.
    await onHost(lab, 'left', `ip address add ${own}/32 dev lo`);
    await onHost(lab, 'middle', `ip route add ${own} via 10.20.1.11`);
    expect((await onHost(lab, 'left', `ping -c 1 -W 2 -I ${own} 10.20.1.12`)).exitCode).to.equal(0);
    expect(
      (
        await onHost(
          lab,
          'left',
          `ip route add ${first} dev eth0; arping -c 2 -w 2 -I eth0 ${first}; r=$?; ip route del ${first} dev eth0; exit $r`,
        )
      ).exitCode,
    ).to.equal(1);
    await onHost(lab, 'left', `ip address del ${own}/32 dev lo`);
  });

  it("have nothing of the engine's in them: no rules, no resolver, no names", async () => {
    const rules = await onHost(
      lab,
      'right-with-a-long-name',
      'nft list ruleset; cat /etc/resolv.conf; grep -v -e localhost -e "^#" /etc/hosts',
    );
    expect(rules.stdout.trim()).to.equal('127.0.1.1 right-with-a-long-name');
  });

  it('have systemd, or nothing but a PID 1 that reaps', async () => {
    const running = await onHost(lab, 'left', 'systemctl is-system-running --wait; systemctl --failed --no-legend');
    expect(running.stdout.trim()).to.equal('running');
    const light = await onHost(
      lab,
      'right-with-a-long-name',
      "cat /proc/1/comm; sh -c 'sleep 0.05 & sleep 0.05 &'; sleep 0.3; grep -c '^State:.*zombie' /proc/[0-9]*/status | grep -v ':0' || echo none",
    );
    expect(light.stdout.trim().split('\n')).to.deep.equal(['sleep', 'none']);
  });

  it('have an engine with its images, whose macvlan networks span the segment', async () => {
    const create = 'docker network create -d macvlan --subnet 10.20.1.0/24 -o parent=eth0 lan';
    const run = (address: string): string =>
      `${create} && docker run -d --name box --network lan --ip ${address} busybox sleep 600`;
    const started = await Promise.all([
      onHost(lab, 'left', run('10.20.1.101')),
      onHost(lab, 'middle', run('10.20.1.102')),
    ]);
    expect(
      started.map((one) => one.exitCode),
      started[0]!.stderr + started[1]!.stderr,
    ).to.deep.equal([0, 0]);
    const ping = await onHost(lab, 'left', 'docker exec box ping -c 1 -W 3 10.20.1.102');
    expect(ping.exitCode, ping.stdout + ping.stderr).to.equal(0);
    expect((await onHost(lab, 'left', "docker info --format '{{.Driver}}'")).stdout.trim()).to.equal('overlay2');
  });

  it("cannot write to the machine's sysctls or sysfs, but to those of their network", async () => {
    const result = await onHost(
      lab,
      'left',
      'echo 4 >/proc/sys/kernel/printk; echo 1 >/sys/kernel/mm/ksm/run; echo 1 >/proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net/eth0/mtu',
    );
    expect(result.stderr).to.contain('/proc/sys/kernel/printk: Read-only file system');
    expect(result.stdout.trim().split('\n')).to.deep.equal(['1', '/sys/class/net/eth0/mtu']);
    expect(machineState()).to.deep.equal(untouched);
  });

  it("are kept from the machine's disks, modules, clock and memory, and from what has no namespace", async () => {
    const opening = ['disk of the machine: its device', 'memory of the machine: read', 'memory of the machine: kcore'];
    const asking = ['ports of the machine', 'a module', 'clock: set', 'file systems of the machine, by inode'];
    const { dev } = statSync('/', { bigint: true });
    const [major, minor] = [(dev >> 8n) & 0xfffn, dev & 0xffn];
    const program = attackProgram([...opening, ...asking]);
    const result = await onHost(lab, 'left', `DISK='${major} ${minor}' perl - <<'ATTACK'\n${program}\nATTACK`);
    const lines = linesOf(result.stdout);
    const refused = [...lines].flatMap(([name, seen]) => (seen.startsWith('refused: ') ? [name] : []));
    expect(refused, result.stdout + result.stderr).to.include.members([
      ...opening,
      ...asking,
      ...['kernel log: read', 'kernel log: its device', 'perf: the whole machine', 'vsock', 'io_uring'],
      ...['another network namespace, by its handle', 'system calls of 32 bits'],
    ]);
    // What is left, as docs/container.md says: the list can say so.
    expect(lines.get('sysctl fs.file-max')).to.match(/^reached: /);
    expect(machineState()).to.deep.equal(untouched);
  });

  it('publish no port, and run on an engine that refuses privileged containers', async () => {
    const containers = await engine.docker.listContainers({ filters: { label: [`netrig.lab=${lab.id}`] } });
    expect(containers).to.have.length(3);
    for (const container of containers) {
      expect(container.Ports, container.Names.join()).to.deep.equal([]);
      const { HostConfig } = await engine.docker.getContainer(container.Id).inspect();
      expect(HostConfig.Privileged).to.equal(false);
    }
    const sysResource = 1n << 24n;
    const bounding = BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
    if ((bounding & sysResource) !== 0n) return;
    const image = containers[0]!.Image;
    const privileged = await engine.docker.createContainer({
      Image: image,
      Entrypoint: ['/bin/true'],
      HostConfig: { Privileged: true },
    });
    const refused = await privileged.start().then(
      () => 'started',
      (error: unknown) => String(error),
    );
    await privileged.remove({ force: true, v: true });
    expect(refused).not.to.equal('started');
  });

  it('have the one host key that is pinned, and a console', async () => {
    const own = await onHost(
      lab,
      'left',
      "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub; ls /etc/ssh/ssh_host_*_key",
    );
    expect(own.stdout.trim().split('\n')).to.deep.equal([lab.target('left').hostKey, '/etc/ssh/ssh_host_ed25519_key']);
    expect(await lab.console('left')).to.match(/systemd/i);
  });

  it('are reached through the record, by whoever reads it', async () => {
    const record = readRecord(lab.id);
    expect(record.state).to.equal('up');
    const attached = await containerProvider.attach(record);
    expect((await onHost(attached, 'right-with-a-long-name', 'hostname')).stdout.trim()).to.equal(
      'right-with-a-long-name',
    );
  });

  it('carry much over their one way in, both ways', async () => {
    const sum = await onHost(lab, 'left', 'head -c 8000000 /dev/zero | tr "\\0" x');
    expect(sum.stdoutBytes).to.equal(8_000_000);
  });

  it('are left alone by a sweep', async () => {
    const report = await containerProvider.sweep();
    expect([...report.removed, ...report.left]).to.deep.equal([]);
    expect((await onHost(lab, 'left', 'true')).exitCode).to.equal(0);
  });

  it('say when they ended, and why', async () => {
    const [container] = await engine.docker.listContainers({
      filters: { label: [`netrig.lab=${lab.id}`, 'netrig.host=right-with-a-long-name'] },
    });
    await engine.docker.getContainer(container!.Id).kill({ signal: 'KILL' });
    const error = await rejectsWith('NETRIG_SSH_CONNECT', onHost(lab, 'right-with-a-long-name', 'true'));
    expect(error.message, error.message).to.contain('its container ended with status 137');
    const gone = await rejectsWith('NETRIG_LAB_GONE', containerProvider.attach({ ...lab.record, id: `${lab.id}x` }));
    expect(gone.message).to.contain('the container of right-with-a-long-name ended with status 137');
  });

  it('go without a trace, and going twice is no error', async () => {
    expect(await engine.left(lab.id)).to.have.length(7);
    await lab.down();
    await lab.down();
    expect(await engine.left()).to.deep.equal([]);
    expect(listRecords().map((record) => record.provider)).to.deep.equal(['local']);
    expect(machineState()).to.deep.equal(untouched);
    await rejectsWith('NETRIG_LAB_GONE', containerProvider.attach(lab.record));
    const phases = options.events.flatMap((event) =>
      event.type === 'phase' ? [`${event.phase} ${event.state} ${event.host ?? ''}`.trim()] : [],
    );
    expect(phases.filter((phase) => phase.startsWith('boot end'))).to.have.length(3);
    expect(phases.slice(-2)).to.deep.equal(['teardown start', 'teardown end']);
  });

  it('are called off while they boot, with nothing left', async () => {
    const abort = new AbortController();
    const aborted = upOptions(abort.signal);
    const emit: typeof aborted.emit = (event) => {
      aborted.emit(event);
      if (event.type === 'phase' && event.phase === 'boot' && event.state === 'start')
        setTimeout(() => abort.abort(), 100);
    };
    const plan = labPlan('aborted', [
      hostPlan('a', 11, ['net1'], { init: 'systemd' }),
      hostPlan('b', 12, ['net1'], { init: 'systemd' }),
    ]);
    await rejectsWith('NETRIG_INTERRUPTED', containerProvider.up(plan, { ...aborted, emit }));
    expect(await engine.left()).to.deep.equal([]);
    expect(listRecords().map((record) => record.provider)).to.deep.equal(['local']);
  });

  it('that do not answer within their deadline are tried twice, and leave nothing but their console', async () => {
    const late = upOptions();
    const error = await rejectsWith(
      'NETRIG_HOST_BOOT',
      containerProvider.up(
        labPlan('late', [hostPlan('slow', 11, ['net1'], { init: 'systemd' })], { bootTimeoutMs: 60 }),
        late,
      ),
    );
    expect(error.message).to.contain('slow did not boot, twice: it did not answer SSH within 60 ms');
    expect(
      late.events.filter(
        (event) => event.type === 'log' && event.level === 'warn' && event.text.includes('trying once more'),
      ),
    ).to.have.length(1);
    expect(await engine.left()).to.deep.equal([]);
  });

  it('are refused before anything is made where the engine can have no such host', async () => {
    const twice = hostPlan('twice', 11, ['net1', 'net1']);
    const error = await rejectsWith('NETRIG_CAPABILITY', containerProvider.up(labPlan('twice', [twice]), upOptions()));
    expect(error.message).to.contain('two interfaces on the segment net1');
  });

  it("stand on an image that the engine built on a registry's Debian, where the cache is of no use", async () => {
    // The registry's image by its name, made of what is here: its packages are installed already, and no mirror is named in it.
    const row = requireHostImageRow('debian-11');
    const reference = engineReference(row);
    await engine.docker.getImage(reference).tag({ repo: 'debian', tag: row.suite });
    const [endpoint, signal] = [{ uri: engine.uri, from: 'the test' }, new AbortController().signal];
    const told: string[] = [];
    await buildFromRegistry(row, 'netrig/test:built', {
      endpoint,
      engine: engine.docker,
      info: await engineInfo(endpoint, engine.docker),
      signal,
      progress: (line) => void told.push(line),
    });
    expect(told.join()).to.contain('building on debian:bullseye');
    await engine.docker.getImage(reference).remove();
    await engine.docker.getImage('netrig/test:built').tag({ repo: 'netrig/debian-11', tag: reference.split(':')[1]! });
    const built = await containerProvider.up(
      labPlan('built', [hostPlan('a', 11, ['net1'], { init: 'systemd', engine: true })]),
      upOptions(),
    );
    try {
      const running = await onHost(
        built,
        'a',
        'systemctl is-system-running --wait; docker run --rm --network none busybox sh -c "ls /bin | grep -c ."; docker run --rm --network none consul version; docker images -q web',
      );
      const lines = running.stdout.trim().split('\n');
      const [health, applets, consul] = lines;
      expect(health, running.stdout + running.stderr).to.equal('running');
      expect(Number(applets)).to.be.greaterThan(100);
      expect(consul).to.match(/^Consul v?1\.8/);
      expect(lines.at(-1)).to.match(/^[0-9a-f]{12}$/);
      expect(
        (await onHost(built, 'a', 'docker run --rm --network none --add-host here:127.0.0.1 busybox ping -c 1 here'))
          .exitCode,
      ).to.equal(0);
    } finally {
      await built.down();
    }
    expect(await engine.left()).to.deep.equal([]);
  });

  it("can do what the engine's kernel can, as the local provider says of it", async () => {
    const capabilities = new Map((await containerProvider.capabilities()).map((one) => [one.name, one]));
    expect(capabilities.get('engine')?.have).to.equal(true);
    expect(capabilities.get('cgroup2')?.have).to.equal(true);
    for (const name of ['kernel:veth', 'kernel:bridge', 'kernel:vxlan', 'kernel:macvlan'] as const)
      expect(capabilities.get(name)?.have, capabilities.get(name)?.seen).to.equal(true);
    expect(await engine.left()).to.deep.equal([]);
  });

  // In this file, for Testcontainers knows one engine a process.
  describe('keep the contract', () => {
    itKeepsTheContract(() => ({
      provider: containerProvider,
      image: 'debian-12',
      plannedMacs: true,
      plannedNames: true,
      bootTimeoutMs: 60_000,
      async killHost(held, host) {
        const [container] = await engine.docker.listContainers({
          filters: { label: [`netrig.lab=${held.id}`, `netrig.host=${host}`] },
        });
        await engine.docker.getContainer(container!.Id).kill({ signal: 'KILL' });
      },
      leftovers: async (id) => [
        ...(await engine.left(id)),
        ...listRecords().flatMap((record) => (record.id === id ? [`record ${id}`] : [])),
      ],
    }));
  });
});
