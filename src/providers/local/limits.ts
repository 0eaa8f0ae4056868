import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetrigError } from '../../errors.js';
import type { ProcessIdentity } from '../../lab/process.js';
import { formatSize, type ResourceLimits } from '../../model/size.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import type { LimitMet } from '../provider.js';
import type { LimitController, Limited } from './cgroups.js';

/** A host's limits with the defaults in them. */
export interface HostLimits {
  memory: number;
  pids: number;
  cpus: number | null;
  disk: number;
}

const MiB = 1024 ** 2;

/** What a lab may take of the machine's memory, where nobody says. The rest is the machine's own, and that of netrig. */
const labShare = 0.8;
/** A host gets this much at least where the lab has it: most hosts of a lab use little, and one may use more. */
const leastMemory = 1024 * MiB;
/** As many processes as a busy engine has; systemd lets one unit have 15 % of it (DefaultTasksMax). */
const defaultPids = 4096;
/** Memory that a root file system leaves to processes when it is full, at least. */
const besideDisk = 0.5;

export function labMemory(plan: Pick<LabPlan, 'limits'>, machineMemory: number): number {
  return plan.limits?.memory ?? Math.floor(machineMemory * labShare);
}

/**
 * The limits of one host of a plan: what is asked for, else the lab's memory divided by its hosts, but 1 GiB where the lab has
 * that much. The root file system lies in memory, so it is the smaller: a host whose disk is full gets ENOSPC, where one
 * whose memory is would be killed.
 */
export function hostLimits(plan: LabPlan, host: HostPlan, machineMemory: number): HostLimits {
  const lab = labMemory(plan, machineMemory);
  const asked = host.limits;
  const share = Math.min(lab, Math.max(leastMemory, Math.floor(lab / Math.max(1, plan.hosts.length))));
  const memory = asked?.memory ?? Math.min(lab, Math.max(share, Math.floor((asked?.disk ?? 0) / besideDisk)));
  return {
    memory,
    pids: asked?.pids ?? defaultPids,
    cpus: asked?.cpus ?? null,
    disk: asked?.disk ?? Math.floor(memory * besideDisk),
  };
}

/** Memory that a host takes to boot and answer, measured, with its engine started once. */
export function leastMemoryOf(host: Pick<HostPlan, 'init' | 'engine'>): number {
  if (host.init === 'light') return 12 * MiB;
  return host.engine ? 96 * MiB : 32 * MiB;
}

/** Throws NETRIG_LIMIT for limits that no host can live with. */
export function checkLimits(plan: LabPlan, machineMemory: number): void {
  for (const host of plan.hosts) {
    const { memory, disk } = hostLimits(plan, host, machineMemory);
    const least = leastMemoryOf(host);
    if (memory < least)
      throw new NetrigError(
        'NETRIG_LIMIT',
        `${host.name} may use ${formatSize(memory)} of memory, and such a host takes ${formatSize(least)} before it does anything.`,
        { hint: 'Raise `limits: { memory }`, of the host or of the lab.' },
      );
    if (disk >= memory)
      throw new NetrigError(
        'NETRIG_LIMIT',
        `The disk of ${host.name}, ${formatSize(disk)}, does not fit into its memory, ${formatSize(memory)}: a host's files lie in memory.`,
        { hint: 'Raise `limits: { memory }` or lower `limits: { disk }`.' },
      );
  }
}

const period = 100_000;

/** Files and values that set one limit, by cgroup version. The last are set where they exist only. */
function settings(
  controller: LimitController,
  version: 1 | 2,
  limits: { memory: number | null; pids: number | null; cpus: number | null },
): [file: string, value: string][] {
  const { memory, pids, cpus } = limits;
  switch (controller) {
    case 'memory':
      if (memory === null) return [];
      // Swap would be memory that nobody counts.
      return version === 1
        ? [['memory.limit_in_bytes', String(memory)]]
        : [
            ['memory.max', String(memory)],
            ['memory.swap.max', '0'],
          ];
    case 'pids':
      return pids === null ? [] : [['pids.max', String(pids)]];
    case 'cpu':
      if (cpus === null) return [];
      return version === 1
        ? [
            ['cpu.cfs_period_us', String(period)],
            ['cpu.cfs_quota_us', String(Math.round(cpus * period))],
          ]
        : [['cpu.max', `${Math.round(cpus * period)} ${period}`]];
  }
}

/**
 * Sets limits. Answers the controllers that can't be had for one of them: the machine does not mount them, or netrig's own group
 * does not hand them on.
 */
export function setLimits(
  limited: Limited,
  limits: { memory: number | null; pids: number | null; cpus: number | null },
): LimitController[] {
  const missing: LimitController[] = [];
  for (const controller of ['memory', 'pids', 'cpu'] as const) {
    const group = limited[controller];
    const wanted = settings(controller, group?.version ?? 2, limits);
    try {
      for (const [file, value] of wanted) {
        if (!group) throw new Error('no such controller');
        if (file === 'memory.swap.max' && !readdirSync(group.path).includes(file)) continue;
        writeFileSync(join(group.path, file), value);
      }
    } catch {
      missing.push(controller);
    }
  }
  return missing;
}

/** The limits that somebody asked for, among those that can't be had. Throws NETRIG_LIMIT naming the first. */
export function requireLimits(
  who: string,
  asked: ResourceLimits | undefined,
  missing: readonly LimitController[],
): void {
  const names = { memory: 'memory', pids: 'pids', cpu: 'cpus' } as const;
  const first = missing.find((controller) => asked && asked[names[controller]] !== null);
  if (!first) return;
  throw new NetrigError(
    'NETRIG_LIMIT',
    `The limit \`${names[first]}\` of ${who} can't be set: netrig has no cgroup with the controller ${first}.`,
    {
      hint: 'On cgroup version 2, run netrig where its group hands controllers on: `systemd-run --scope -p Delegate=yes netrig …`; or leave the limit out.',
    },
  );
}

function numberIn(path: string, key?: string): number {
  try {
    const text = readFileSync(path, 'utf8');
    if (key === undefined) return text.startsWith('max') ? Infinity : Number(text);
    return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * How often something was killed or refused for want of memory. Version 2 counts it where the limit is. Version 1 counts what
 * it kills in the group that is killed, which then goes; so the machine's own count is taken, and that the limit was met is
 * told by the group's count of failures.
 */
function memoryKills({ path, version }: { path: string; version: 1 | 2 }): { met: number; killed: number } {
  if (version === 2) {
    const met = numberIn(join(path, 'memory.events.local'), 'oom');
    return { met, killed: met };
  }
  return { met: numberIn(join(path, 'memory.failcnt')), killed: numberIn('/proc/vmstat', 'oom_kill') };
}

/** Which limits a host, or a lab, has met. */
export interface LimitWatch {
  /** A sentence for each limit met since it was asked last, without the name: `reached its memory limit of 400 MB`. */
  met(): string[];
}

/** Begins to watch limits that have just been set. `pid1` is for the disk, which is the host's root. */
export function watchLimits(
  limited: Limited,
  limits: { memory: number | null; pids: number | null; disk?: number },
  pid1: ProcessIdentity | null,
): LimitWatch {
  let before = limited.memory ? memoryKills(limited.memory) : null;
  let pidsMet = false;
  let diskFull = false;

  function memory(): string[] {
    if (!limited.memory || !before || limits.memory === null) return [];
    const now = memoryKills(limited.memory);
    const met = now.met > before.met && now.killed > before.killed;
    // A failure without a kill was mended by giving caches up; it may still be followed by one.
    if (met) before = now;
    return met
      ? [`reached its memory limit of ${formatSize(limits.memory)}, and the kernel ended processes of it`]
      : [];
  }

  function pids(): string[] {
    if (!limited.pids || limits.pids === null || pidsMet) return [];
    const { path } = limited.pids;
    // Before Linux 6.1 there is no peak, and the moment counts.
    const most = numberIn(join(path, 'pids.peak')) || numberIn(join(path, 'pids.current'));
    pidsMet = most >= limits.pids;
    return pidsMet ? [`reached its limit of ${limits.pids} processes`] : [];
  }

  function disk(): string[] {
    if (pid1 === null || limits.disk === undefined) return [];
    const full = isFull(`/proc/${pid1.pid}/root`);
    const news = full && !diskFull;
    diskFull = full;
    return news ? [`filled its disk of ${formatSize(limits.disk)}`] : [];
  }

  return { met: () => [...memory(), ...pids(), ...disk()] };
}

function isFull(root: string): boolean {
  try {
    // The overlay answers for the tmpfs that takes what is written.
    return statfsSync(root).bavail === 0;
  } catch {
    return false;
  }
}

/** The watches of a lab and its hosts, looked at whenever somebody asks: nothing runs between two questions. A host that was started again has a new one. */
export function watchAll(): { add(host: string | null, watch: LimitWatch): void; limitsMet(): LimitMet[] } {
  const watches = new Map<string | null, LimitWatch>();
  return {
    add: (host, watch) => void watches.set(host, watch),
    limitsMet: () =>
      [...watches].flatMap(([host, watch]) =>
        watch.met().map((what) => ({ host, text: `${host ?? 'the lab'} ${what}` })),
      ),
  };
}
