import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupLayout } from './cgroups.js';

/** What this machine has for labs, as far as the groups that netrig itself runs in let it. */
export interface Room {
  /** Bytes of memory that labs may share in: the machine's, or the least limit of netrig's own groups. */
  memory: number;
  /** Bytes of it that are free, or can be freed. */
  freeMemory: number;
  /** Processes and threads that there may be at most, and that can still be made. */
  pids: number;
  freePids: number;
}

/** What other labs have been promised and have not taken yet. */
export interface Kept {
  /** Bytes. */
  memory: number;
  pids: number;
  /** The lab's groups, by controller: what lies below a limit counts for it. */
  groups: { memory?: string; pids?: string };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function number(text: string): number | null {
  return /^\d+\s*$/.test(text) ? Number(text) : null;
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:?\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

/** The groups from a directory up to the mount point of its hierarchy. */
function* upwards(own: string, mountPoint: string): Generator<string> {
  for (let at = own; at.length >= mountPoint.length; at = join(at, '..')) yield at;
}

/** Where the groups of a controller are, and the names of its files there. */
function groupsOf(layout: CgroupLayout, controller: string): { path: string; version: 1 | 2 }[] {
  const v1 = layout.hierarchies.find((one) => one.options.split(',').includes(controller));
  if (v1) return [...upwards(v1.own, v1.mountPoint)].map((path) => ({ path, version: 1 }));
  if (!layout.unified) return [];
  return [...upwards(layout.unified.own, layout.unified.mountPoint)].map((path) => ({ path, version: 2 }));
}

/**
 * Looks at the machine and at netrig's own groups from its own up. Caches count as free: the kernel gives them up first.
 *
 * `files` is where /proc and the groups are, for tests. What is `kept` for others is not free.
 */
export function roomOf(layout: CgroupLayout, files = read, kept: readonly Kept[] = []): Room {
  const below = (controller: 'memory' | 'pids', top: string): number =>
    kept.reduce((sum, one) => sum + ((one.groups[controller] ?? '').startsWith(`${top}/`) ? one[controller] : 0), 0);
  const meminfo = files('/proc/meminfo');
  let memory = field(meminfo, 'MemTotal') * 1024;
  let freeMemory = field(meminfo, 'MemAvailable') * 1024 - kept.reduce((sum, one) => sum + one.memory, 0);
  for (const { path, version } of groupsOf(layout, 'memory')) {
    const limit = number(files(join(path, version === 1 ? 'memory.limit_in_bytes' : 'memory.max')));
    if (limit === null || limit >= memory * 4) continue;
    const used = number(files(join(path, version === 1 ? 'memory.usage_in_bytes' : 'memory.current'))) ?? 0;
    const cache = field(files(join(path, 'memory.stat')), version === 1 ? 'total_inactive_file' : 'inactive_file');
    memory = Math.min(memory, limit);
    freeMemory = Math.min(freeMemory, Math.max(0, limit - used + cache - below('memory', path)));
  }
  const running = Number(/\/(\d+) /.exec(files('/proc/loadavg'))?.[1] ?? 0);
  let pids = number(files('/proc/sys/kernel/threads-max')) ?? Infinity;
  let freePids = Math.max(0, pids - running - kept.reduce((sum, one) => sum + one.pids, 0));
  for (const { path } of groupsOf(layout, 'pids')) {
    const limit = number(files(join(path, 'pids.max')));
    if (limit === null) continue;
    pids = Math.min(pids, limit);
    const used = number(files(join(path, 'pids.current'))) ?? 0;
    freePids = Math.min(freePids, Math.max(0, limit - used - below('pids', path)));
  }
  return { memory, freeMemory, pids, freePids };
}
