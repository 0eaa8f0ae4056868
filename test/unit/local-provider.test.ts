import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';
import {
  cgroupName,
  hostGroups,
  isCgroupOf,
  labGroups,
  parseLayout,
  viewFor,
} from '../../src/providers/local/cgroups.js';
import { neighbourWarning } from '../../src/providers/local/preflight.js';
import { bridgeLines, bridgeName, portName, wireLines } from '../../src/providers/local/segments.js';
import { addressLines } from '../../src/providers/shared/address-lines.js';
import { providerNamed, providers } from '../../src/providers/registry.js';

const hybrid = parseLayout(
  [
    '26 20 0:24 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755',
    '27 26 0:25 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate',
    '28 26 0:26 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd',
    '31 26 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct',
    '32 26 0:30 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory',
    '99 20 0:30 / /somewhere/else rw,nosuid - cgroup cgroup rw,memory',
    '',
  ].join('\n'),
  '5:memory:/runner\n4:cpuacct,cpu:/\n1:name=systemd:/\n0::/system.slice/runner.service\n',
);
const pure = parseLayout(
  '35 25 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n',
);
const bare = parseLayout('25 1 0:23 / /sys rw - sysfs sysfs rw\n');

function host(name: string, nics: { segment: string; address: string | null }[]): HostPlan {
  const interfaces = nics.map((nic, index) => ({ name: `eth${index}`, mac: `02:00:00:00:00:0${index}`, ...nic }));
  return {
    name,
    image: 'debian-11',
    init: 'light',
    engine: false,
    containerImages: [],
    interfaces,
    routes: [],
    sysctls: {},
  };
}

describe('the cgroup layout of the machine', () => {
  it('is read from mountinfo, with the options that mount each hierarchy again', () => {
    expect(hybrid.kind).to.equal('hybrid');
    expect(hybrid.unified).to.deep.equal({
      mountPoint: '/sys/fs/cgroup/unified',
      own: '/sys/fs/cgroup/unified/system.slice/runner.service',
    });
    expect(hybrid.hierarchies).to.deep.equal([
      { mountPoint: '/sys/fs/cgroup/systemd', options: 'none,name=systemd', own: '/sys/fs/cgroup/systemd' },
      { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', options: 'cpu,cpuacct', own: '/sys/fs/cgroup/cpu,cpuacct' },
      { mountPoint: '/sys/fs/cgroup/memory', options: 'memory', own: '/sys/fs/cgroup/memory/runner' },
    ]);
    expect(pure).to.deep.equal({
      kind: 'v2',
      hierarchies: [],
      unified: { mountPoint: '/sys/fs/cgroup', own: '/sys/fs/cgroup' },
    });
    expect(bare).to.deep.equal({ kind: 'none', hierarchies: [], unified: null });
  });

  it('decides what a host can see', () => {
    expect(viewFor(hybrid, 'hybrid')).to.equal('hybrid');
    expect(viewFor(hybrid, 'v2')).to.equal('v2');
    expect(viewFor(pure, 'hybrid')).to.equal('v2');
    expect(viewFor(bare, 'hybrid')).to.equal(null);
    expect(viewFor(bare, 'v2')).to.equal(null);
    expect(viewFor({ ...hybrid, unified: null }, 'v2')).to.equal(null);
  });

  it('finds its own group below a mount that shows a part of the hierarchy only, as in a container', () => {
    const inside = (root: string, group: string): string | undefined =>
      parseLayout(`32 26 0:30 ${root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n`, `5:memory:${group}\n`)
        .hierarchies[0]?.own;
    expect(inside('/docker/0a', '/docker/0a/job')).to.equal('/sys/fs/cgroup/memory/job');
    expect(inside('/docker/0a', '/docker/0a')).to.equal('/sys/fs/cgroup/memory');
    expect(inside('/docker/0a', '/docker/0ab')).to.equal('/sys/fs/cgroup/memory');
    expect(inside('/', '/../up')).to.equal('/sys/fs/cgroup/memory');
  });

  it('puts a lab below its own groups, under a name that tells whose it is', () => {
    expect(cgroupName({ pid: 12, startTime: 345 }, 'ports-0a1b2c')).to.match(/^netrig-\d+-12-345-ports-0a1b2c$/);
    // Nothing of these is on this machine, and where the own group is not there, the top is taken.
    expect(labGroups(hybrid, 'lab').v1.map((one) => one.path)).to.include('/sys/fs/cgroup/memory/lab');
    expect(labGroups(bare, 'lab').all).to.deep.equal([]);
  });

  it('puts a host into every hierarchy it sees, and into those that limit it', () => {
    const lab = labGroups(hybrid, 'lab');
    expect(hostGroups(lab, 'hybrid', 'x').joined).to.deep.equal([
      '/sys/fs/cgroup/systemd/lab/x',
      '/sys/fs/cgroup/cpu,cpuacct/lab/x',
      '/sys/fs/cgroup/memory/lab/x',
      '/sys/fs/cgroup/unified/lab/x/host',
    ]);
    // One that sees version 2 alone, and one that sees nothing, cannot lift the limits of version 1.
    const limiting = ['/sys/fs/cgroup/cpu,cpuacct/lab/x', '/sys/fs/cgroup/memory/lab/x'];
    expect(hostGroups(lab, 'v2', 'x').joined).to.deep.equal([...limiting, '/sys/fs/cgroup/unified/lab/x/host']);
    expect(hostGroups(lab, null, 'x').joined).to.deep.equal(limiting);
    expect(hostGroups(lab, null, 'x').limited.memory).to.deep.equal({ path: limiting[1], version: 1 });
    const alone = hostGroups(labGroups(pure, 'lab'), 'v2', 'x');
    expect(alone.joined).to.deep.equal(['/sys/fs/cgroup/lab/x/host']);
    expect(alone.entered).to.deep.equal(['/sys/fs/cgroup/lab/x/entered']);
    expect(alone.limited.memory).to.deep.equal({ path: '/sys/fs/cgroup/lab/x', version: 2 });
  });

  it('trusts no path of a ledger that is not a cgroup of that very lab', () => {
    const name = cgroupName({ pid: 12, startTime: 345 }, 'ports-0a1b2c');
    const ours = (path: string): boolean => isCgroupOf(hybrid, 'ports-0a1b2c', path);
    expect(ours(`/sys/fs/cgroup/memory/runner/${name}`)).to.equal(true);
    expect(ours(`/sys/fs/cgroup/memory/runner/${name}/web`)).to.equal(true);
    for (const path of [
      '/sys/fs/cgroup/memory/system.slice',
      '/sys/fs/cgroup/memory',
      `/home/somebody/${name}`,
      `/sys/fs/cgroup/memory/${name}/../system.slice`,
      `/sys/fs/cgroup/memory/${name}x`,
      name,
    ])
      expect(ours(path), path).to.equal(false);
  });
});

describe('the links of a lab', () => {
  const segments = [
    { name: 'lan', subnet: '10.0.0.0/24', mtu: null },
    { name: 'a-rather-long-name', subnet: '10.0.1.0/24', mtu: 9000 },
  ];

  it('have names that fit the kernel, apart from each other, and that begin no comment for ip', () => {
    const names = [
      bridgeName(0, 'lan'),
      bridgeName(1, 'a-rather-long-name'),
      portName(0, 'node1', 'eth0'),
      portName(3, 'a-rather-long-name', 'eth0'),
      portName(4, 'a-rather-long-name-too', 'eth0'),
    ];
    expect(new Set(names).size).to.equal(names.length);
    for (const name of names) {
      expect(name.length, name).to.be.lessThan(16);
      expect(name).not.to.match(/[#/\s]/);
    }
    expect(names[0]).to.equal('seg-lan');
    expect(names[2]).to.equal('node1.eth0');
  });

  it('are bridges without spanning tree or snooping, and veths with the MAC and MTU of the plan', () => {
    expect(bridgeLines(segments)).to.deep.equal([
      'link set dev lo up',
      'link add name seg-lan up type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      'link add name seg+1 mtu 9000 up type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    ]);
    expect(wireLines(0, host('n', [{ segment: 'a-rather-long-name', address: null }]), segments, 77)).to.deep.equal([
      'link add name n.eth0 mtu 9000 master seg+1 up type veth peer name eth0 mtu 9000 address 02:00:00:00:00:00 netns 77',
    ]);
  });

  it('get the addresses of the plan, and are up without one', () => {
    const plan = host('n', [
      { segment: 'lan', address: '10.0.0.2/24' },
      { segment: 'lan', address: 'fd00::2/64' },
      { segment: 'lan', address: null },
    ]);
    expect(addressLines(plan)).to.deep.equal([
      'link set dev lo up',
      'address add 10.0.0.2/24 brd + dev eth0',
      'link set dev eth0 up',
      'address add fd00::2/64 nodad dev eth1',
      'link set dev eth1 up',
      'link set dev eth2 up',
    ]);
  });

  it('to a segment that is not there are a fault of ours', () => {
    expect(() => wireLines(0, host('n', [{ segment: 'nowhere', address: null }]), segments, 1)).to.throw(/nowhere/);
  });
});

describe('the warning about the neighbour table', () => {
  const plan = (count: number): LabPlan => ({
    title: 't',
    slug: 't',
    hosts: Array.from({ length: count }, (_, index) => host(`h${index}`, [{ segment: 'lan', address: null }])),
    segments: [{ name: 'lan', subnet: '10.0.0.0/16', mtu: null }],
    bootTimeoutMs: 1000,
  });

  it('comes when all pairs do not fit, with what makes room', () => {
    // 24 hosts have 552 pairs, 48 have 2256.
    expect(neighbourWarning(plan(24), 1024)).to.equal(null);
    expect(neighbourWarning(plan(48), 1024))
      .to.contain('2256')
      .and.to.contain('gc_thresh3=8192');
    expect(neighbourWarning(plan(48), null)).to.equal(null);
  });
});

describe('the registry of providers', () => {
  it('answers by name, and names those that exist', () => {
    expect(providerNamed('local')).to.equal(providers['local']);
    for (const name of ['nosuch', 'toString', '__proto__']) {
      try {
        providerNamed(name);
        expect.fail(`${name} was found`);
      } catch (error) {
        expect(isNetrigError(error, 'NETRIG_USAGE'), name).to.equal(true);
        expect((error as Error).message).to.contain('local');
      }
    }
  });
});
