import {
  accessSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as yieldToOthers, setTimeout as pause } from 'node:timers/promises';
import { outerIds } from '../../lab/outer-users.js';
import { isAlive, ownPidNamespace, type ProcessIdentity } from '../../lab/process.js';

/** One mounted version 1 hierarchy. */
export interface Hierarchy {
  mountPoint: string;
  /** What a mount of the same hierarchy asks for: `cpu,cpuacct`, `none,name=systemd`. */
  options: string;
  /** The directory of this process's own group. */
  own: string;
}

/** How this machine has its control groups mounted. */
export interface CgroupLayout {
  /** `hybrid`: version 1 hierarchies, systemd's among them. `none`: neither that nor version 2; systemd can't run as a host. */
  kind: 'hybrid' | 'v2' | 'none';
  hierarchies: Hierarchy[];
  /** Where version 2 is mounted: at the top on a `v2` machine, mostly beside the others on a `hybrid` one; and this process's own group of it. */
  unified: { mountPoint: string; own: string; delegated?: boolean } | null;
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

/** Controllers that limit what a host may use. */
export const limitControllers = ['memory', 'pids', 'cpu'] as const;
export type LimitController = (typeof limitControllers)[number];

/** Mount points in mountinfo have blanks and backslashes as octal escapes (proc_pid_mountinfo(5)). */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** This process's group in each hierarchy, by its controllers as /proc/self/cgroup has them; version 2 by `''` (cgroups(7)). */
function ownGroups(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
      return match ? [[match[1]!, match[2]!] as const] : [];
    }),
  );
}

/** Where a group is, below the mount point of its hierarchy, of which `root` is what is mounted there. */
function directoryOf(group: string | undefined, mountPoint: string, root: string): string {
  const inside = `${group ?? ''}/`;
  // A group outside of this process's cgroup namespace (cgroup_namespaces(7)).
  if (inside.startsWith('/../')) return mountPoint;
  const top = root === '/' ? '/' : `${root}/`;
  return inside.startsWith(top) ? join(mountPoint, inside.slice(top.length)).replace(/\/$/, '') : mountPoint;
}

/** Reads the layout from the texts of /proc/self/mountinfo and /proc/self/cgroup. */
export function parseLayout(mountinfo: string, cgroup = ''): CgroupLayout {
  const groups = ownGroups(cgroup);
  const hierarchies: Hierarchy[] = [];
  let unified: CgroupLayout['unified'] = null;
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const [, , , root = '/', mountPoint = ''] = (before ?? '').split(' ').map(unescape);
    const [type, , superOptions] = (after ?? '').split(' ');
    if (!mountPoint.startsWith('/sys/fs/cgroup')) continue;
    if (type === 'cgroup2') unified ??= { mountPoint, own: directoryOf(groups.get(''), mountPoint, root) };
    if (type !== 'cgroup') continue;
    const words = (superOptions ?? '').split(',');
    const name = words.find((word) => word.startsWith('name='));
    const own = words.filter((word) => controllers.has(word));
    const options = [...(name ? ['none', name] : []), ...own].join(',');
    if (!options || hierarchies.some((one) => one.options === options)) continue;
    const wanted = (name ? [name] : own).toSorted().join(',');
    const group = [...groups].find(([key]) => key.split(',').toSorted().join(',') === wanted)?.[1];
    hierarchies.push({ mountPoint, options, own: directoryOf(group, mountPoint, root) });
  }
  const kind =
    unified?.mountPoint === '/sys/fs/cgroup'
      ? 'v2'
      : hierarchies.some((one) => one.options === 'none,name=systemd')
        ? 'hybrid'
        : 'none';
  return { kind, hierarchies, unified };
}

/** The group below a delegated one in which netrig's own commands are, where it runs without root. */
export const commandsGroup = 'netrig-commands';

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether groups can be made in a cgroup2 group and processes be moved there: it was given to this user. */
export function isDelegated(group: string): boolean {
  return ['.', 'cgroup.procs', 'cgroup.subtree_control'].every((name) => isWritable(join(group, name)));
}

/**
 * What of a layout netrig can use without root: the delegated group of version 2 that it is in, if it is one. Version 1 cannot
 * be delegated to users.
 */
export function delegatedLayout(
  { unified }: CgroupLayout,
  delegated: (group: string) => boolean = isDelegated,
): CgroupLayout {
  const own = unified && basename(unified.own) === commandsGroup ? dirname(unified.own) : unified?.own;
  if (!unified || own === undefined || !delegated(own)) return { kind: 'none', hierarchies: [], unified: null };
  return { kind: 'v2', hierarchies: [], unified: { mountPoint: unified.mountPoint, own, delegated: true } };
}

export function cgroupLayout(): CgroupLayout {
  const layout = parseLayout(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  return outerIds() === null ? layout : delegatedLayout(layout);
}

/** What a host sees whose image asks for `wanted`; `null` where this machine can't give it. Version 1 can't be had on a `v2` machine, and the images that ask for it run there too. */
export function viewFor(layout: CgroupLayout, wanted: CgroupView): CgroupView | null {
  if (layout.kind === 'v2') return 'v2';
  if (wanted === 'v2') return layout.unified === null ? null : 'v2';
  return layout.kind === 'hybrid' ? 'hybrid' : null;
}

/**
 * The directory name of a lab's cgroups. It names the holder, so that anybody can tell an orphan from the cgroup of a lab
 * that is up, whosever it is.
 */
export function cgroupName(holder: ProcessIdentity, lab: string): string {
  return `netrig-${ownPidNamespace()}-${holder.pid}-${holder.startTime}-${lab}`;
}

const namePattern = /^netrig-(\d+)-(\d+)-(\d+)-(.+)$/;

/**
 * Where the labs of this process go in version 2: below the nearest of its own groups, from its own up, that has a limit, so
 * that it holds for labs too; at the top where none has, for there the most controllers are to be had.
 */
export function unifiedBase(unified: { mountPoint: string; own: string; delegated?: boolean }): string {
  // A user's labs are where the user may make groups.
  if (unified.delegated === true) return unified.own;
  for (let at = unified.own; at.length > unified.mountPoint.length; at = join(at, '..')) {
    for (const file of ['memory.max', 'pids.max', 'cpu.max']) {
      try {
        if (!readFileSync(join(at, file), 'utf8').startsWith('max')) return at;
      } catch {
        // Without that controller there is no limit either.
      }
    }
  }
  return unified.mountPoint;
}

/** The directories of a lab, one a hierarchy, each below this process's own group so that its limits hold for labs, too. */
export interface LabGroups {
  /** Version 1, with the names of the controllers. */
  v1: { path: string; controllers: string[] }[];
  unified: string | null;
  /** All of them. */
  all: string[];
  /** Where the lab's limits are set. */
  limited: Limited;
}

/** Where each controller's limit is set. */
export type Limited = Partial<Record<LimitController, { path: string; version: 1 | 2 }>>;

export function labGroups(layout: CgroupLayout, name: string): LabGroups {
  const v1 = layout.hierarchies.map(({ options, own, mountPoint }) => ({
    path: join(existsSync(own) ? own : mountPoint, name),
    controllers: options.split(','),
  }));
  const unified = layout.unified === null ? null : join(unifiedBase(layout.unified), name);
  const limited: Limited = {};
  for (const controller of limitControllers) {
    const own = v1.find((one) => one.controllers.includes(controller));
    if (own) limited[controller] = { path: own.path, version: 1 };
    else if (unified !== null) limited[controller] = { path: unified, version: 2 };
  }
  return { v1, unified, all: [...v1.map((one) => one.path), ...(unified === null ? [] : [unified])], limited };
}

/** The cgroups of one host. */
export interface HostGroups {
  /** One a hierarchy, below the lab's. Whatever else the host has is below these. */
  top: string[];
  /** What the host begins in, and sees as the top of its own. */
  joined: string[];
  /** What netrig's own programs join when they enter the host: it counts for the host's limits. */
  entered: string[];
  /** Where the host's limits are set. The directory of a lab above has files of the same names. */
  limited: Limited;
}

/**
 * `view`: what the host sees; `null` for a light one, which sees none and is in those that limit it. In version 2 the limits
 * stand one level above what the host sees, because a group with groups of its own that have controllers takes no processes:
 * what enters has a place beside it.
 */
export function hostGroups(lab: LabGroups, view: CgroupView | null, host: string): HostGroups {
  const limits = (names: readonly string[]): LimitController[] =>
    limitControllers.filter((controller) => names.includes(controller));
  const limiting = lab.v1.filter((one) => limits(one.controllers).length > 0);
  // By the freezer a host is paused from outside.
  const used = lab.v1.filter((one) => limiting.includes(one) || one.controllers.includes('freezer'));
  const v1 = view === 'hybrid' ? lab.v1 : used;
  const groups: HostGroups = { top: [], joined: [], entered: [], limited: {} };
  for (const one of v1) {
    const path = join(one.path, host);
    groups.top.push(path);
    groups.joined.push(path);
    groups.entered.push(path);
    for (const controller of limits(one.controllers)) groups.limited[controller] = { path, version: 1 };
  }
  if (lab.unified !== null && (view !== null || limiting.length === 0)) {
    const path = join(lab.unified, host);
    groups.top.push(path);
    groups.joined.push(join(path, 'host'));
    groups.entered.push(join(path, 'entered'));
    for (const controller of limitControllers) groups.limited[controller] ??= { path, version: 2 };
  }
  return groups;
}

/** Makes a group and those above it up to the lab's. */
function makeCgroup(directory: string): void {
  mkdirSync(directory, { recursive: true });
  // In version 1 a new cpuset has neither processors nor memory nodes, and nothing can join it before it does.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = join(directory, file);
    if (existsSync(own) && existsSync(join(directory, 'tasks')))
      writeFileSync(own, readFileSync(join(directory, '..', file)));
  }
}

/** Makes the groups of a lab. In version 2, has those below it have the controllers that limit, as far as they are to be had. */
export function makeLabGroups(lab: LabGroups): void {
  for (const path of lab.all) makeCgroup(path);
  if (lab.unified === null) return;
  enableControllers(join(lab.unified, '..'), limitControllers);
  enableControllers(lab.unified);
}

/** Gives the groups below one controllers: those named, or all that it has. */
function enableControllers(path: string, names: readonly string[] = controllersOf(path)): void {
  for (const name of names) {
    try {
      writeFileSync(join(path, 'cgroup.subtree_control'), `+${name}`);
    } catch {
      // Not to be had here: whoever wants it for a limit finds its file missing.
    }
  }
}

function controllersOf(path: string): string[] {
  return readFileSync(join(path, 'cgroup.controllers'), 'utf8').split(/\s+/).filter(Boolean);
}

/** Makes the groups of a host. Throws what the file system throws. */
export function makeHostGroups(groups: HostGroups): void {
  for (const path of groups.top) makeCgroup(path);
  for (const path of groups.top) if (existsSync(join(path, 'cgroup.controllers'))) enableControllers(path);
  for (const path of [...groups.joined, ...groups.entered]) makeCgroup(path);
}

/**
 * Gives what a host sees to its root: the directory and the files that move tasks (the kernel's list is
 * /sys/kernel/cgroup/delegate), not the limits of this very group, so that the host cannot lift them.
 */
export function delegateGroups(groups: HostGroups, view: CgroupView | null, firstId: number): void {
  if (view === null) return;
  const seen = view === 'v2' ? groups.joined.slice(-1) : groups.joined;
  for (const directory of seen) {
    for (const name of ['.', 'cgroup.procs', 'tasks', 'cgroup.threads', 'cgroup.subtree_control']) {
      const path = join(directory, name);
      if (existsSync(path)) chownSync(path, firstId, firstId);
    }
  }
}

/** Calls `visit` for a cgroup and all below it. One that goes meanwhile is passed over. */
function eachGroup(directory: string, visit: (path: string) => void): void {
  visit(directory);
  for (const name of directoriesIn(directory)) eachGroup(join(directory, name), visit);
}

function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch {
    return [];
  }
}

/**
 * Thaws what is frozen in these groups and below: a paused container's processes. Version 1 lets no signal reach them, not
 * even SIGKILL (cgroup-v1/freezer-subsystem); in version 2 a group's state is its own.
 */
export function thaw(directories: readonly string[]): void {
  for (const directory of directories) {
    eachGroup(directory, (path) => {
      for (const [file, frozen, thawed] of [
        ['freezer.state', 'F', 'THAWED'],
        ['cgroup.freeze', '1', '0'],
      ] as const) {
        try {
          // FREEZING and FROZEN are both to be thawed.
          if (readFileSync(join(path, file), 'utf8').startsWith(frozen)) writeFileSync(join(path, file), thawed);
        } catch {
          // Another version's group, or one that has gone.
        }
      }
    });
  }
}

const freezers = [
  { file: 'cgroup.freeze', on: '1', off: '0', state: 'cgroup.events', frozen: /^frozen 1$/m },
  { file: 'freezer.state', on: 'FROZEN', off: 'THAWED', state: 'freezer.state', frozen: /^FROZEN$/m },
] as const;

/** Where all tasks of a host can be frozen at once: version 2 first, which lets them be killed all the same. */
function freezerOf(groups: Pick<HostGroups, 'top'>): { path: string; way: (typeof freezers)[number] } | null {
  for (const way of freezers) {
    const path = groups.top.find((one) => existsSync(join(one, way.file)));
    if (path !== undefined) return { path, way };
  }
  return null;
}

export const canFreeze = (groups: Pick<HostGroups, 'top'>): boolean => freezerOf(groups) !== null;

/** Stops all tasks of a host where they are. Answers whether all of them stand still within `timeoutMs`; else all go on. */
export async function freezeHost(groups: Pick<HostGroups, 'top'>, timeoutMs: number): Promise<boolean> {
  const freezer = freezerOf(groups);
  if (freezer === null) return false;
  const { path, way } = freezer;
  writeFileSync(join(path, way.file), way.on);
  const deadline = performance.now() + timeoutMs;
  while (!way.frozen.test(readFileSync(join(path, way.state), 'utf8'))) {
    if (performance.now() > deadline) {
      thawHost(groups);
      return false;
    }
    await pause(10);
  }
  return true;
}

/** They go on; a container that is paused in the host stays so. */
export function thawHost(groups: Pick<HostGroups, 'top'>): void {
  const freezer = freezerOf(groups);
  if (freezer !== null) writeFileSync(join(freezer.path, freezer.way.file), freezer.way.off);
}

/** The tasks in these groups and below. */
export function tasksOf(directories: readonly string[]): Set<number> {
  const found = new Set<number>();
  for (const directory of directories)
    eachGroup(directory, (path) => {
      for (const pid of tasksIn(path)) found.add(pid);
    });
  return found;
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

/**
 * Kills what is left in these groups and below: programs that netrig sent into a host and that were stopped there, which the
 * end of the host's PID 1 does not end because they wait outside of its pid namespace. Answers how many.
 */
export function killTasks(directories: readonly string[]): number {
  const killed = new Set<number>();
  for (const directory of directories) {
    eachGroup(directory, (path) => {
      for (const pid of tasksIn(path)) {
        try {
          process.kill(pid, 'SIGKILL');
          killed.add(pid);
        } catch {
          // It ended meanwhile.
        }
      }
    });
  }
  return killed.size;
}

function tasksIn(group: string): number[] {
  try {
    // 0 stands for one of a pid namespace that is not below ours.
    return readFileSync(join(group, 'cgroup.procs'), 'utf8')
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1);
  } catch {
    return [];
  }
}

/** All cgroups of labs, whoever made them: they lie below the group of the process that holds them. */
function labCgroups(layout: CgroupLayout): { path: string; name: RegExpExecArray }[] {
  const found: { path: string; name: RegExpExecArray }[] = [];
  const search = (directory: string): void => {
    for (const entry of directoriesIn(directory)) {
      const name = namePattern.exec(entry);
      // Nothing of a lab's own is looked into: its hosts may make groups of any name.
      if (name) found.push({ path: join(directory, entry), name });
      else search(join(directory, entry));
    }
  };
  const tops = layout.hierarchies.map((one) => one.mountPoint);
  for (const top of layout.unified === null ? tops : [...tops, layout.unified.mountPoint]) search(top);
  return found;
}

/** Cgroups of labs whose holder is dead, whoever kept the record of them. */
export function orphanCgroups(layout: CgroupLayout): { path: string; lab: string }[] {
  const pidNamespace = ownPidNamespace();
  return labCgroups(layout).flatMap(({ path, name: [, space, pid, startTime, lab] }) =>
    space !== pidNamespace || isAlive({ pid: Number(pid), startTime: Number(startTime) }) || !isWritable(path)
      ? []
      : [{ path, lab: lab ?? '' }],
  );
}

/**
 * Whether a path is that of a cgroup that a lab made: below a mounted hierarchy, with no way out of it, in a directory of the
 * lab's name. A ledger is a file on disk, and what it names is removed.
 */
export function isCgroupOf(layout: CgroupLayout, lab: string, path: string): boolean {
  const tops = [...layout.hierarchies, ...(layout.unified === null ? [] : [layout.unified])];
  return (
    join(path) === path &&
    tops.some((top) => path.startsWith(`${top.mountPoint}/`)) &&
    path.split('/').some((part) => namePattern.exec(part)?.[4] === lab)
  );
}
