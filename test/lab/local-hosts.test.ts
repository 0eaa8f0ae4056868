import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ensureHostImage } from '../../src/images/store.js';
import type { LedgerEntry } from '../../src/lab/ledger.js';
import { labDirectory, listRecords, readRecord } from '../../src/lab/store.js';
import { createLocalProvider, localProvider } from '../../src/providers/local/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import {
  expectNothingLeft,
  hostPlan,
  labPlan,
  machineState,
  made,
  missing,
  onHost,
  rejectsWith,
  upOptions,
} from './local-labs.js';

interface Link {
  ifname: string;
  address: string;
  mtu: number;
  operstate: string;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

const title = `hosts of the local provider${missing ? ` (needs ${missing})` : ''}`;

(missing ? describe.skip : describe)(title, () => {
  let state: string;
  let lab: RunningLab;
  let entries: LedgerEntry[];
  let untouched: ReturnType<typeof machineState>;
  const options = upOptions();
  const oldState = process.env['XDG_STATE_HOME'];

  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
    untouched = machineState();
    const plan = labPlan('hosts', [
      hostPlan('left', 11, ['net1'], { init: 'systemd' }),
      hostPlan('middle', 12, ['net1', 'net2'], { init: 'systemd', engine: true, containerImages: ['busybox'] }),
      hostPlan('right-with-a-long-name', 13, ['net2']),
    ]);
    plan.segments[1]!.mtu = 1400;
    lab = await localProvider.up(plan, options);
    entries = made(lab.id);
  });

  after(async () => {
    await lab?.down();
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true });
  });

  it('say their name, each in its own network namespace, with the addresses, MACs and MTUs of the plan', async () => {
    const seen: Record<string, unknown> = {};
    for (const host of lab.plan.hosts) {
      const result = await onHost(lab, host.name, 'hostname && readlink /proc/self/ns/net && ip -j address');
      const [name, netns, json] = result.stdout.trim().split('\n');
      expect(name).to.equal(host.name);
      seen[netns ?? ''] = true;
      const links = JSON.parse(json ?? '') as Link[];
      expect(
        links.filter((link) => link.ifname === 'lo').flatMap((link) => link.addr_info.map((one) => one.local)),
      ).to.include('127.0.0.1');
      for (const nic of host.interfaces) {
        const link = links.find((one) => one.ifname === nic.name);
        expect(link?.operstate, nic.name).to.equal('UP');
        expect(link?.address).to.equal(nic.mac);
        expect(link?.mtu).to.equal(nic.segment === 'net2' ? 1400 : 1500);
        expect(
          link?.addr_info.filter((one) => one.scope === 'global').map((one) => `${one.local}/${one.prefixlen}`),
        ).to.deep.equal([nic.address]);
      }
    }
    expect(Object.keys(seen)).to.have.length(3);
  });

  it('reach each other over a shared segment and not over different ones', async () => {
    expect((await onHost(lab, 'left', 'ping -c 1 -W 2 10.20.1.12')).exitCode).to.equal(0);
    expect((await onHost(lab, 'right-with-a-long-name', 'ping -c 1 -W 2 10.20.2.12')).exitCode).to.equal(0);
    // No route at all: the sender's own kernel says so.
    const apart = await onHost(lab, 'left', 'ping -c 1 -W 2 10.20.2.13');
    expect(apart.exitCode).to.equal(2);
    expect(apart.stderr).to.match(/unreachable/i);
  });

  it('carry frames that their own filters would not see: a bridge of the lab calls no iptables', async () => {
    const segments = entries.find((entry) => entry.kind === 'process' && entry.role === 'segments');
    if (segments?.kind !== 'process') throw new Error('the ledger has no process for the segments');
    const inside = ['--net', '--target', String(segments.pid)];
    const bridges = JSON.parse(
      execFileSync('nsenter', [...inside, 'ip', '-j', '-d', 'link', 'show', 'type', 'bridge'], { encoding: 'utf8' }),
    ) as { ifname: string; linkinfo: { info_data: Record<string, number> } }[];
    expect(bridges.map((bridge) => bridge.ifname)).to.have.members(['seg-net1', 'seg-net2']);
    for (const bridge of bridges) {
      expect(bridge.linkinfo.info_data).to.include({ stp_state: 0, mcast_snooping: 0 });
      expect(bridge.linkinfo.info_data['nf_call_iptables'] ?? 0).to.equal(0);
    }
    const values = execFileSync(
      'nsenter',
      [...inside, 'sh', '-c', 'cat /proc/sys/net/bridge/bridge-nf-call-* 2>/dev/null || true'],
      { encoding: 'utf8' },
    );
    expect(values).not.to.match(/1/);
  });

  it('have systemd, or nothing but a PID 1 that reaps', async () => {
    const state = await onHost(lab, 'left', 'systemctl is-system-running --wait; systemctl --failed --no-legend');
    expect(state.stdout.trim()).to.equal('running');
    const light = await onHost(
      lab,
      'right-with-a-long-name',
      "cat /proc/1/comm; sh -c 'sleep 0.05 & sleep 0.05 &'; sleep 0.3; grep -c '^State:.*zombie' /proc/[0-9]*/status | grep -v ':0' || echo none",
    );
    expect(light.stdout.trim().split('\n')).to.deep.equal(['sleep', 'none']);
  });

  it('have an engine with its images where the plan asks for one, and none where it does not', async () => {
    const engine = await onHost(
      lab,
      'middle',
      "docker images --format '{{.Repository}}' && docker run --rm --network none busybox echo from a container",
    );
    expect(engine.stderr + engine.stdout).to.contain('busybox');
    expect(engine.stdout).to.contain('from a container');
    const none = await onHost(lab, 'left', 'systemctl is-enabled docker.socket; docker ps');
    expect(none.stdout.trim()).to.equal('masked');
    expect(none.exitCode).not.to.equal(0);
  });

  it('keep no layer of an image that came with them in memory, have all after the engine began again, and let go of one that is removed', async () => {
    const engine = await onHost(
      lab,
      'middle',
      "du -x -s -k /var/lib/docker && systemctl restart docker && docker run --rm --network none busybox echo another && docker save web | wc -c && docker rmi web >/dev/null && docker images --format '{{.Repository}}'",
    );
    const [size, another, saved, ...rest] = engine.stdout.trim().split('\n');
    expect(Number(size!.split('\t')[0]), engine.stderr).to.be.below(1024);
    expect(another).to.equal('another');
    expect(Number(saved)).to.be.above(1_000_000);
    expect(rest).to.include('busybox');
    expect(rest).not.to.include('web');
  });

  it('have a containerd that does nothing for nobody, and its CRI back by one line', async () => {
    const dump = await onHost(lab, 'middle', 'containerd config dump');
    expect(dump.stdout).to.match(/pause_threshold = (?:0\.000001|1e-06)\b/);
    expect(dump.stdout).to.match(/interval = ['"]1h(?:0m0s)?['"]/);
    const plugins = "ctr plugins ls | awk '/cri *(linux|-)/ { print $1, $2 }'";
    const off = await onHost(lab, 'middle', plugins);
    expect(off.stdout).not.to.contain('io.containerd.grpc.v1 cri');
    const back = 'sed -i /^disabled_plugins/d /etc/containerd/config.toml; systemctl restart containerd docker';
    const on = await onHost(lab, 'middle', `${back}; ${plugins}`);
    expect(on.stdout, on.stderr).to.contain('io.containerd.grpc.v1 cri');
  });

  it("cannot write to the machine's sysctls or sysfs, but to those of their network", async () => {
    const result = await onHost(
      lab,
      'left',
      'echo 4 >/proc/sys/kernel/printk; echo 1 >/sys/kernel/mm/ksm/run; echo 1 >/proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward',
    );
    // By id where hosts are isolated, by a read-only mount where not.
    expect(result.stderr).to.match(/\/proc\/sys\/kernel\/printk: (?:Permission denied|Read-only file system)/);
    expect(result.stdout.trim()).to.equal('1');
    expect(machineState()).to.deep.equal(untouched);
  });

  it('have the one host key that is pinned, and a console', async () => {
    const own = await onHost(
      lab,
      'left',
      "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub; ls /etc/ssh/ssh_host_*_key",
    );
    expect(own.stdout.trim().split('\n')).to.deep.equal([lab.target('left').hostKey, '/etc/ssh/ssh_host_ed25519_key']);
    expect(await lab.console('left')).to.match(/systemd/);
  });

  it('are reached through the record, by whoever reads it', async () => {
    expect(listRecords().map((record) => record.id)).to.deep.equal([lab.id]);
    const record = readRecord(lab.id);
    expect(record.state).to.equal('up');
    expect(statSync(labDirectory(lab.id)).mode & 0o777).to.equal(0o700);
    const attached = await localProvider.attach(record);
    expect((await onHost(attached, 'right-with-a-long-name', 'hostname')).stdout.trim()).to.equal(
      'right-with-a-long-name',
    );
    await rejectsWith(
      'NETRIG_LAB_UNKNOWN',
      Promise.resolve().then(() => readRecord('../etc')),
    );
  });

  it('are left alone by a sweep', async () => {
    const report = await localProvider.sweep();
    expect([...report.removed, ...report.left].filter((one) => one.lab === lab.id)).to.deep.equal([]);
    expect((await onHost(lab, 'left', 'true')).exitCode).to.equal(0);
  });

  it('go without a trace, and going twice is no error', async () => {
    await lab.down();
    await lab.down();
    expectNothingLeft(lab.id, entries, untouched);
    const processes = entries.flatMap((entry) => (entry.kind === 'process' ? [entry.role] : []));
    expect(processes.filter((role) => !role.startsWith('users of '))).to.have.length(7);
    await rejectsWith('NETRIG_LAB_GONE', localProvider.attach(lab.record));
    const phases = options.events.flatMap((event) =>
      event.type === 'phase' ? [`${event.phase} ${event.state} ${event.host ?? ''}`.trim()] : [],
    );
    expect(phases.filter((phase) => phase.startsWith('boot end'))).to.have.length(3);
    expect(phases.slice(-2)).to.deep.equal(['teardown start', 'teardown end']);
  });

  it('run on cgroup version 2 alone when their image asks for it', async () => {
    const provider = createLocalProvider({
      image: async (order, imageOptions) => ({ ...(await ensureHostImage(order.image, imageOptions)), cgroup: 'v2' }),
    });
    const second = await provider.up(
      labPlan('unified', [hostPlan('one', 11, ['net1'], { init: 'systemd', image: 'debian-12' })]),
      upOptions(),
    );
    const ledger = made(second.id);
    try {
      const result = await onHost(second, 'one', 'stat -f -c %T /sys/fs/cgroup; systemctl is-system-running --wait');
      expect(result.stdout.trim().split('\n')).to.deep.equal(['cgroup2fs', 'running']);
    } finally {
      await second.down();
    }
    expectNothingLeft(second.id, ledger, untouched);
  });

  it('boot by two dozen at once when they are light, and all answer', async () => {
    const hosts = Array.from({ length: 24 }, (_, index) => hostPlan(`h${index + 1}`, index + 11, ['net1']));
    const many = await localProvider.up(labPlan('many', hosts), upOptions());
    const ledger = made(many.id);
    expect(ledger.filter((entry) => entry.kind === 'cgroup')).not.to.deep.equal([]);
    try {
      const names = await Promise.all(
        hosts.map(async (host) => (await onHost(many, host.name, 'hostname')).stdout.trim()),
      );
      expect(names).to.deep.equal(hosts.map((host) => host.name));
    } finally {
      await many.down();
    }
    expectNothingLeft(many.id, ledger, untouched);
  });

  it('are refused before anything is made when the machine has no room for them', async () => {
    const hosts = Array.from({ length: 200 }, (_, index) =>
      hostPlan(`h${index}`, index + 1, ['net1'], { init: 'systemd' }),
    );
    const limit = Number(readFileSync('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
    if (limit >= 800)
      hosts.push(
        ...Array.from({ length: limit }, (_, index) => hostPlan(`x${index}`, 1, ['net2'], { init: 'systemd' })),
      );
    const error = await rejectsWith(
      'NETRIG_CAPABILITY',
      localProvider.up(labPlan('crowd', hosts), { ...upOptions(), isolation: 'none' }),
    );
    expect(error.hint).to.match(/sysctl fs\.inotify\.max_user_instances=\d+/);
    expect(listRecords()).to.deep.equal([]);
  });
});
