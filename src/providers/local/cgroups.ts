import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as yieldToOthers, setTimeout as pause } from 'node:timers/promises';
import { isAlive, ownPidNamespace, type ProcessIdentity } from '../../lab/process.js';

/** One mounted version 1 hierarchy. */
export interface Hierarchy {
  mountPoint: string;
  /** What a mount of the same hierarchy asks for: `cpu,cpuacct`, `none,name=systemd`. */
  options: string;
}

/** How this machine has its control groups mounted. */
export interface CgroupLayout {
  /** `hybrid`: version 1 hierarchies, systemd's among them. `none`: neither that nor version 2; systemd can't run as a host. */
  kind: 'hybrid' | 'v2' | 'none';
  hierarchies: Hierarchy[];
  /** Where version 2 is mounted: at the top on a `v2` machine, mostly beside the others on a `hybrid` one. */
  unified: string | null;
}

/** What one host sees at /sys/fs/cgroup. */
export type CgroupView = 'hybrid' | 'v2';

const controllers = new Set([
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'net_cls',
  'net_prio',
  'perf_event',
  'hugetlb',
  'rdma',
  'misc',
  'debug',
]);

/** Mount points in mountinfo have blanks and backslashes as octal escapes (proc_pid_mountinfo(5)). */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Reads the layout from the text of /proc/self/mountinfo. */
export function parseLayout(mountinfo: string): CgroupLayout {
  const hierarchies: Hierarchy[] = [];
  let unified: string | null = null;
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const mountPoint = unescape(before?.split(' ')[4] ?? '');
    const [type, , superOptions] = (after ?? '').split(' ');
    if (!mountPoint.startsWith('/sys/fs/cgroup')) continue;
    if (type === 'cgroup2') unified ??= mountPoint;
    if (type !== 'cgroup') continue;
    const words = (superOptions ?? '').split(',');
    const name = words.find((word) => word.startsWith('name='));
    const options = [...(name ? ['none', name] : []), ...words.filter((word) => controllers.has(word))].join(',');
    if (options && !hierarchies.some((one) => one.options === options)) hierarchies.push({ mountPoint, options });
  }
  const kind =
    unified === '/sys/fs/cgroup'
      ? 'v2'
      : hierarchies.some((one) => one.options === 'none,name=systemd')
        ? 'hybrid'
        : 'none';
  return { kind, hierarchies, unified };
}

export function cgroupLayout(): CgroupLayout {
  return parseLayout(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** What a host sees whose image asks for `wanted`; `null` where this machine can't give it. Version 1 can't be had on a `v2` machine, and the images that ask for it run there too. */
export function viewFor(layout: CgroupLayout, wanted: CgroupView): CgroupView | null {
  if (layout.kind === 'v2') return 'v2';
  if (wanted === 'v2') return layout.unified === null ? null : 'v2';
  return layout.kind === 'hybrid' ? 'hybrid' : null;
}

function roots(layout: CgroupLayout): string[] {
  return [...layout.hierarchies.map((one) => one.mountPoint), ...(layout.unified === null ? [] : [layout.unified])];
}

/**
 * The directory name of a host's cgroups. It names the holder, so that anybody can tell an orphan from the cgroup of a lab
 * that is up, whosever it is.
 */
export function cgroupName(holder: ProcessIdentity, lab: string, host: string): string {
  return `netrig-${ownPidNamespace()}-${holder.pid}-${holder.startTime}-${lab}.${host}`;
}

/** Where a host's cgroups will be: its directories, one a hierarchy, at the top of each, where the most controllers are to be had. */
export function cgroupDirectories(layout: CgroupLayout, view: CgroupView, name: string): string[] {
  const tops = view === 'v2' && layout.unified !== null ? [layout.unified] : roots(layout);
  return tops.map((top) => join(top, name));
}

export function makeCgroup(directory: string): void {
  mkdirSync(directory, { recursive: true });
  // In version 1 a new cpuset has neither processors nor memory nodes, and nothing can join it before it does.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = join(directory, file);
    if (existsSync(own) && existsSync(join(directory, 'tasks')))
      writeFileSync(own, readFileSync(join(directory, '..', file)));
  }
}

function removeTree(directory: string): void {
  let names: string[];
  try {
    names = readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const name of names) removeTree(join(directory, name));
  try {
    rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/**
 * Removes cgroups with all below them. One whose last task is still dying is busy for a moment: tried again until
 * `timeoutMs` are over. Answers what is left, with the reason.
 */
export async function removeCgroups(
  directories: readonly string[],
  timeoutMs: number,
): Promise<{ path: string; why: string }[]> {
  const deadline = performance.now() + timeoutMs;
  let left = directories.map((path) => ({ path, why: '' }));
  for (;;) {
    const still: typeof left = [];
    for (const { path } of left) {
      try {
        removeTree(path);
      } catch (error) {
        still.push({ path, why: (error as NodeJS.ErrnoException).code ?? String(error) });
      }
      await yieldToOthers();
    }
    left = still;
    if (left.length === 0 || performance.now() > deadline) return left;
    await pause(20);
  }
}

/** Cgroups of labs whose holder is dead, whoever kept the record of them. */
export function orphanCgroups(layout: CgroupLayout): { path: string; lab: string }[] {
  const pidNamespace = ownPidNamespace();
  return roots(layout).flatMap((top) => {
    let names: string[];
    try {
      names = readdirSync(top);
    } catch {
      return [];
    }
    return names.flatMap((name) => {
      const match = /^netrig-(\d+)-(\d+)-(\d+)-(.+)\.[^.]+$/.exec(name);
      if (!match || match[1] !== pidNamespace) return [];
      return isAlive({ pid: Number(match[2]), startTime: Number(match[3]) })
        ? []
        : [{ path: join(top, basename(name)), lab: match[4] ?? '' }];
    });
  });
}
