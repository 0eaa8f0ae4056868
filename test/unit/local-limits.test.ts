import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatSize, parseSize, type ResourceLimits } from '../../src/model/size.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';
import { parseLayout, unifiedBase } from '../../src/providers/local/cgroups.js';
import {
  checkLimits,
  hostLimits,
  requireLimits,
  setLimits,
  watchAll,
  watchLimits,
} from '../../src/providers/local/limits.js';
import { checkRoom, needOf } from '../../src/providers/local/preflight.js';
import { roomOf } from '../../src/providers/local/room.js';
import { hostPlan, labPlan } from '../lab/local-labs.js';

const MiB = 1024 ** 2;
const GiB = 1024 * MiB;
const nothing: ResourceLimits = { memory: null, pids: null, cpus: null, disk: null };

function plan(count: number, more: Partial<HostPlan> = {}, lab: Partial<LabPlan> = {}): LabPlan {
  return labPlan(
    'limits',
    Array.from({ length: count }, (_, index) => hostPlan(`h${index}`, index + 1, ['net1'], more)),
    lab,
  );
}

function code(work: () => void): string {
  try {
    work();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return 'nothing';
}

describe('sizes', () => {
  it('are counted in powers of 1024, and written so that people can read them', () => {
    for (const [text, bytes] of [
      ['400M', 400 * MiB],
      ['1.5 GB', 1.5 * GiB],
      ['512MiB', 512 * MiB],
      ['64k', 65_536],
      ['100B', 100],
    ] as const)
      expect(parseSize(text), text).to.equal(bytes);
    for (const text of ['', '400', 'M', '-1M', '1X', '0M', '99999999999999T'])
      expect(parseSize(text), text).to.equal(null);
    expect(formatSize(400 * MiB)).to.equal('400 MB');
    expect(formatSize(1.5 * GiB)).to.equal('1.5 GB');
    expect(formatSize(12)).to.equal('12 bytes');
  });
});

describe('the limits of a host', () => {
  const limits = (count: number, asked?: Partial<ResourceLimits>, memory = 10 * GiB) => {
    const lab = plan(count, asked ? { limits: { ...nothing, ...asked } } : {});
    return hostLimits(lab, lab.hosts[0]!, memory);
  };

  it('are its part of the lab’s memory, 1 GiB at least, and never more than the lab has', () => {
    expect(limits(2).memory).to.equal(4 * GiB);
    expect(limits(24).memory).to.equal(GiB);
    expect(limits(24, {}, GiB).memory).to.equal(Math.floor(0.8 * GiB));
    expect(limits(2)).to.include({ pids: 4096, cpus: null });
  });

  it('leave memory beside a full disk, so that what fills it gets ENOSPC', () => {
    expect(limits(2).disk).to.equal(2 * GiB);
    expect(limits(24, { memory: 400 * MiB }).disk).to.equal(200 * MiB);
    expect(limits(24, { disk: 2 * GiB })).to.include({ disk: 2 * GiB, memory: 4 * GiB });
  });

  it('that nobody can live with are refused', () => {
    const check = (asked: Partial<ResourceLimits>): string =>
      code(() => checkLimits(plan(1, { init: 'systemd', engine: true, limits: { ...nothing, ...asked } }), 10 * GiB));
    expect(check({ memory: 10 * MiB })).to.match(/^NETRIG_LIMIT: h0 may use 10 MB of memory, .* 96 MB/);
    expect(check({ memory: 200 * MiB, disk: 200 * MiB })).to.match(
      /^NETRIG_LIMIT: The disk of h0, 200 MB, does not fit/,
    );
    expect(check({ memory: 200 * MiB })).to.equal('nothing');
  });
});

describe('limits in a cgroup', () => {
  let directory: string;
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'netrig-limits-'))));
  afterEach(() => rmSync(directory, { recursive: true }));
  const file = (name: string): string => readFileSync(join(directory, name), 'utf8');

  it('are set in the files of either version', () => {
    const all = { memory: 400 * MiB, pids: 300, cpus: 0.5 };
    const of = (version: 1 | 2) => ({
      memory: { path: directory, version },
      pids: { path: directory, version },
      cpu: { path: directory, version },
    });
    expect(setLimits(of(1), all)).to.deep.equal([]);
    expect(file('memory.limit_in_bytes')).to.equal(String(400 * MiB));
    expect(file('cpu.cfs_quota_us')).to.equal('50000');
    writeFileSync(join(directory, 'memory.swap.max'), '');
    expect(setLimits(of(2), all)).to.deep.equal([]);
    expect(file('memory.max')).to.equal(String(400 * MiB));
    expect(file('memory.swap.max')).to.equal('0');
    expect(file('cpu.max')).to.equal('50000 100000');
    expect(file('pids.max')).to.equal('300');
  });

  it('that cannot be had are an error for whoever asked for them', () => {
    const missing = setLimits({}, { memory: 1, pids: 1, cpus: null });
    expect(missing).to.deep.equal(['memory', 'pids']);
    expect(code(() => requireLimits('h0', undefined, missing))).to.equal('nothing');
    expect(code(() => requireLimits('h0', { ...nothing, cpus: 1 }, missing))).to.equal('nothing');
    expect(code(() => requireLimits('h0', { ...nothing, pids: 64 }, missing))).to.match(
      /^NETRIG_LIMIT: .*pids.* of h0/,
    );
  });

  it('that were met are named, once each time', () => {
    const limited = {
      memory: { path: directory, version: 2 as const },
      pids: { path: directory, version: 1 as const },
    };
    const set = (kills: number, peak: number): void => {
      writeFileSync(
        join(directory, 'memory.events.local'),
        `low 0\nhigh 0\nmax ${kills * 7}\noom ${kills}\noom_kill 9\n`,
      );
      writeFileSync(join(directory, 'pids.peak'), `${peak}\n`);
    };
    set(3, 10);
    const watch = watchLimits(limited, { memory: 400 * MiB, pids: 300 }, null);
    expect(watch.met()).to.deep.equal([]);
    set(4, 299);
    expect(watch.met()).to.deep.equal(['reached its memory limit of 400 MB, and the kernel ended processes of it']);
    expect(watch.met()).to.deep.equal([]);
    set(5, 300);
    expect(watch.met()).to.deep.equal([
      'reached its memory limit of 400 MB, and the kernel ended processes of it',
      'reached its limit of 300 processes',
    ]);
    expect(watch.met()).to.deep.equal([]);
  });

  it('are told with the host that met them, the lab’s own without', () => {
    const watch = watchAll();
    const met = ['reached its limit of 300 processes'];
    watch.add('web', { met: () => met.splice(0) });
    watch.add(null, { met: () => ['reached its memory limit of 1 GB'] });
    expect(watch.limitsMet()).to.deep.equal([
      { host: 'web', text: 'web reached its limit of 300 processes' },
      { host: null, text: 'the lab reached its memory limit of 1 GB' },
    ]);
    expect(watch.limitsMet()).to.have.length(1);
  });
});

describe('the room that a machine has', () => {
  const hybrid = parseLayout(
    [
      '32 26 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '33 26 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
    ].join('\n'),
    '5:memory:/ci/job\n4:pids:/ci/job\n',
  );
  const machine: Record<string, string> = {
    '/proc/meminfo': `MemTotal:       ${8 * 1024 * 1024} kB\nMemAvailable:   ${6 * 1024 * 1024} kB\n`,
    '/proc/loadavg': '0.1 0.1 0.1 1/500 4242\n',
    '/proc/sys/kernel/threads-max': '60000\n',
  };
  const room = (files: Record<string, string>) => roomOf(hybrid, (path) => ({ ...machine, ...files })[path] ?? '');

  it('is what is free, caches too', () => {
    expect(room({})).to.deep.equal({ memory: 8 * GiB, freeMemory: 6 * GiB, pids: 60_000, freePids: 59_500 });
    expect(room({ '/sys/fs/cgroup/memory/ci/job/memory.limit_in_bytes': '9223372036854771712\n' }).memory).to.equal(
      8 * GiB,
    );
  });

  it('is no more than the groups around netrig let it have, whichever of them', () => {
    expect(
      room({
        '/sys/fs/cgroup/memory/ci/memory.limit_in_bytes': String(GiB),
        '/sys/fs/cgroup/memory/ci/memory.usage_in_bytes': String(768 * MiB),
        '/sys/fs/cgroup/memory/ci/memory.stat': `inactive_file 5\ntotal_inactive_file ${256 * MiB}\n`,
        '/sys/fs/cgroup/pids/ci/job/pids.max': '100\n',
        '/sys/fs/cgroup/pids/ci/job/pids.current': '40\n',
        '/sys/fs/cgroup/pids/ci/pids.max': 'max\n',
      }),
    ).to.deep.equal({ memory: GiB, freeMemory: 512 * MiB, pids: 100, freePids: 60 });
  });

  it('is less what is kept for other labs: of the machine for all, of a group for those below it', () => {
    const files: Record<string, string> = {
      ...machine,
      '/sys/fs/cgroup/pids/ci/pids.max': '200\n',
      '/sys/fs/cgroup/pids/ci/pids.current': '40\n',
    };
    const kept = (pids: string) => [
      { memory: GiB, pids: 50, groups: { memory: '/sys/fs/cgroup/memory/lab', pids: `/sys/fs/cgroup/pids/${pids}` } },
    ];
    const free = (pids: string) => roomOf(hybrid, (path) => files[path] ?? '', kept(pids));
    expect(free('ci/job/netrig-lab')).to.include({ freeMemory: 5 * GiB, freePids: 110 });
    expect(free('netrig-lab')).to.include({ freeMemory: 5 * GiB, freePids: 160 });
  });

  it('must hold a lab before anything of it starts', () => {
    const lab = plan(24, { init: 'systemd', engine: true });
    expect(needOf(lab, true)).to.deep.equal({ hosts: 24, memory: 24 * 96 * MiB, pids: 24 * 75, ranges: 24 });
    const alone = { memory: 8 * GiB, pids: 60_000 };
    expect(code(() => checkRoom(lab, alone))).to.equal('nothing');
    expect(code(() => checkRoom(lab, { ...alone, memory: GiB }))).to.match(
      /^NETRIG_LIMIT: .*24 hosts need at least 2.3 GB of memory, and netrig may use 1 GB/,
    );
    expect(code(() => checkRoom(lab, { ...alone, pids: 1000 }))).to.match(
      /^NETRIG_LIMIT: .*about 1800 processes, and netrig may have 1000/,
    );
  });
});

describe('the place of labs in cgroup version 2', () => {
  it('is below the nearest group with a limit, so that it holds for them; else at the top', () => {
    const top = mkdtempSync(join(tmpdir(), 'netrig-v2-'));
    const unified = { mountPoint: top, own: join(top, 'ci', 'job') };
    expect(unifiedBase(unified)).to.equal(top);
    const own = { mountPoint: tmpdir(), own: top };
    writeFileSync(join(top, 'memory.max'), 'max\n');
    expect(unifiedBase(own)).to.equal(tmpdir());
    writeFileSync(join(top, 'pids.max'), '100\n');
    expect(unifiedBase(own)).to.equal(top);
    rmSync(top, { recursive: true });
  });
});
