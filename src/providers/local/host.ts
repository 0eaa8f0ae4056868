import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { messageOf, NetrigError } from '../../errors.js';
import type { HostImage } from '../../images/host-image.js';
import type { OutsideFiles } from '../../images/outside-files.js';
import { orderKey } from '../../images/made-to-order.js';
import { ownRootWords } from '../../lab/own-root.js';
import type { Ledger } from '../../lab/ledger.js';
import { identify, type ProcessIdentity, signalProcess, waitUntilGone } from '../../lab/process.js';
import { consoleLog } from '../../lab/store.js';
import type { HostPlan } from '../../plan/lab-plan.js';
import type { LabKeys } from '../../ssh/keys.js';
import { bootActions, bootEnvironment, type BootPlan, restartActions } from './boot-actions.js';
import {
  type CgroupLayout,
  delegateGroups,
  type HostGroups,
  hostGroups,
  killTasks,
  type LabGroups,
  makeHostGroups,
  removeCgroups,
  thaw,
  viewFor,
} from './cgroups.js';
import { findProgram } from '../shared/command.js';
import {
  type ConsoleLog,
  copyToConsole,
  journalOf,
  type KernelLogReader,
  openConsoleLog,
  readToItsEnd,
  readKernelLog,
} from './console.js';
import type { IdRange } from './id-ranges.js';
import { type HostLimits, requireLimits, setLimits } from './limits.js';
import { textInImage } from './own-files.js';
import { ownFilesArchive } from '../shared/own-files.js';
import type { HostIsolation } from './isolation.js';
import { machineCalls } from './machine-calls.js';
import { type SegmentSpace } from './segments.js';
import { addressLines } from '../shared/address-lines.js';
import { type HostAccess, waitForSshd } from './transport.js';
import { startUplink, uplinkLines } from '../shared/uplink.js';

/** What all hosts of one lab have in common. */
export interface LabSite {
  id: string;
  /** The lab's own directory: \`root/\` and the console logs. */
  directory: string;
  keys: LabKeys;
  ledger: Ledger;
  layout: CgroupLayout;
  groups: LabGroups;
  segments: SegmentSpace;
  isolation: HostIsolation;
  limits: (host: HostPlan) => HostLimits;
  /** The ids of each host of the plan, in its order; empty where hosts are not isolated. */
  ids: readonly IdRange[];
  /** By `orderKey` of the hosts that stand on it. */
  images: ReadonlyMap<string, HostImage>;
  /** Per image, likewise: layers of its warmed engine that are bound instead of copied. */
  boundLayers: ReadonlyMap<string, readonly string[]>;
  /** By host image: what its hosts get of the machine where they have a way to the outside. */
  outside: ReadonlyMap<string, OutsideFiles>;
}

export interface BootedHost {
  access: HostAccess;
  /** The process whose end is the host's. */
  guard: ProcessIdentity;
  /** What its way to the outside is made of. */
  uplink: ProcessIdentity[];
  groups: HostGroups;
  /** Ends the copying of its console, with what is still unread. */
  closeConsole(): void;
  /** A stream to the host's sshd that has said its banner and nothing else. */
  first: Duplex;
}

/** What is left of a host that was powered off: open files that keep its mounts, with all that was written to its disk. */
export interface KeptDisk {
  mount: number;
  root: number;
  /** Of an isolated host. */
  users: number | null;
  close(): void;
}

function keepDisk({ pid1, isolation }: HostAccess): KeptDisk {
  const opened: number[] = [];
  const close = (): void => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  const open = (name: string, flags: number): number => {
    const fd = openSync(`/proc/${pid1.pid}/${name}`, flags);
    opened.push(fd);
    return fd;
  };
  try {
    return {
      mount: open('ns/mnt', constants.O_RDONLY),
      root: open('root', constants.O_RDONLY | constants.O_DIRECTORY),
      users: isolation === 'users' ? open('ns/user', constants.O_RDONLY) : null,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Ends all of a host at once, as a power cut does; its disk stays. Rejects with NETRIG_FAULT when something of it does not end.
 */
export async function powerOff(name: string, booted: BootedHost): Promise<KeptDisk> {
  const { access, guard, groups, uplink } = booted;
  const disk = keepDisk(access);
  try {
    thaw(groups.top);
    const processes = [guard, access.pid1, ...uplink];
    for (const one of processes) signalProcess(one, 'SIGKILL');
    killTasks(groups.top);
    const left = await waitUntilGone(processes, teardownMs);
    if (left.length > 0)
      throw new NetrigError('NETRIG_FAULT', `${name} could not be powered off: process ${left[0]?.pid} does not end.`);
    booted.closeConsole();
    await removeCgroups(groups.top, teardownMs);
    return disk;
  } catch (error) {
    disk.close();
    throw error;
  }
}

/** One attempt at a host that failed; nothing of it is left. */
export class BootFailure extends Error {}

const teardownMs = 10_000;

/** The image's static busybox. Throws NETRIG_IMAGE_BUILD when it has none. */
function busyboxOf(image: HostImage): string {
  const path = join(image.foreign?.tools ?? image.root, 'bin', 'busybox');
  if (existsSync(path)) return path;
  throw new NetrigError('NETRIG_IMAGE_BUILD', `The image ${image.name} has no /bin/busybox.`, {
    hint: `Build it again: \`netrig images rm ${image.name}\`, then \`netrig images build ${image.name}\`.`,
  });
}

/** What the boot of a host needs to know of it. Throws NETRIG_IMAGE_BUILD where its image has no busybox. */
function bootPlan(site: LabSite, index: number, host: HostPlan, image: HostImage, groups: HostGroups): BootPlan {
  busyboxOf(image);
  const { isolation, layout } = site;
  const range = site.ids[index];
  return {
    name: host.name,
    init: host.init,
    engine: host.engine,
    image,
    users: isolation.mode === 'none' || !range ? null : { firstId: range.first, overlay: isolation.overlay },
    joined: groups.joined,
    mount: join(site.directory, 'root'),
    disk: site.limits(host).disk,
    machineId: randomBytes(16).toString('hex'),
    cgroups: {
      view: viewFor(layout, image.cgroup) ?? 'hybrid',
      hierarchies: layout.hierarchies.map((one) => ({ name: basename(one.mountPoint), options: one.options })),
      unified: layout.unified !== null,
    },
    dockerData: host.engine && host.init === 'systemd' ? image.dockerData : null,
  };
}

/** The lines that the boot script writes, one by one; `null` when it ended. */
function lineReader(pipe: Readable): () => Promise<string | null> {
  const lines = pipe.setEncoding('utf8')[Symbol.asyncIterator]();
  let rest = '';
  return async () => {
    for (;;) {
      const end = rest.indexOf('\n');
      if (end >= 0) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        return line;
      }
      const next = await lines.next();
      if (next.done === true) return null;
      rest += String(next.value);
    }
  };
}

/** A host on its way up: what there is of it so far, all of which goes again when it fails. */
interface Attempt {
  processes: ProcessIdentity[];
  groups: HostGroups;
  console: ConsoleLog;
  /** What is copied to the console log. */
  output: Readable | null;
  access: HostAccess | null;
  kernelLog: KernelLogReader | null;
  uplink: ProcessIdentity[];
}

/**
 * Makes one host and waits until its sshd answers. Rejects with BootFailure when it does not within `timeoutMs` or dies
 * before; with the reason of `signal` when that aborts; with NETRIG_SEGMENT. In each case nothing of the host is left.
 *
 * `disk`: of a host that was powered off, which is started again.
 */
export async function bootHost(
  site: LabSite,
  index: number,
  host: HostPlan,
  options: { again: boolean; timeoutMs: number; signal: AbortSignal; disk?: KeptDisk },
): Promise<BootedHost> {
  const image = site.images.get(orderKey(host));
  if (!image) throw new NetrigError('NETRIG_INTERNAL', `No image "${host.image}" was made ready for ${host.name}.`);
  // A light host sees no cgroups: it is in those that limit it.
  const view = host.init === 'systemd' ? viewFor(site.layout, image.cgroup) : null;
  const made: Attempt = {
    processes: [],
    groups: hostGroups(site.groups, view, host.name),
    console: openConsoleLog(consoleLog(site.id, host.name)),
    output: null,
    access: null,
    kernelLog: null,
    uplink: [],
  };
  const failed = new AbortController();
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const stop = AbortSignal.any([options.signal, deadline, failed.signal]);
  try {
    makeHostGroups(made.groups);
    requireLimits(host.name, host.limits, setLimits(made.groups.limited, site.limits(host)));
    const range = site.ids[index];
    if (range) delegateGroups(made.groups, view, range.first);
    return await bringUp(site, index, { host, image, again: options.again, disk: options.disk }, made, {
      failed,
      stop,
    });
  } catch (error) {
    // Told apart before the killing below, which is a cause of its own kind.
    const reason: unknown = options.signal.aborted
      ? options.signal.reason
      : deadline.aborted
        ? new BootFailure(`it did not answer SSH within ${options.timeoutMs} ms`)
        : failed.signal.aborted
          ? failed.signal.reason
          : error instanceof NetrigError || error instanceof BootFailure
            ? error
            : new BootFailure(messageOf(error), { cause: error });
    await undoAttempt(made, deadline.aborted);
    throw reason;
  }
}

function own(site: LabSite, made: Attempt, role: string, identity: ProcessIdentity): void {
  site.ledger.add({ kind: 'process', role, ...identity });
  made.processes.push(identity);
}

async function undoAttempt(made: Attempt, late: boolean): Promise<void> {
  if (late && made.access) {
    const journal = await journalOf(made.access);
    if (journal !== '') made.console.append(`${journal}\n`);
  }
  thaw(made.groups.top);
  for (const one of [...made.processes].reverse()) signalProcess(one, 'SIGKILL');
  killTasks(made.groups.top);
  await waitUntilGone(made.processes, teardownMs);
  made.kernelLog?.close();
  // Its last words are why it failed.
  if (made.output) await readToItsEnd(made.output);
  made.console.close();
  await removeCgroups(made.groups.top, teardownMs);
}

/** The host's own process, from its start to an sshd that answers. */
async function bringUp(
  site: LabSite,
  index: number,
  { host, image, again, disk }: { host: HostPlan; image: HostImage; again: boolean; disk: KeptDisk | undefined },
  made: Attempt,
  { failed, stop }: { failed: AbortController; stop: AbortSignal },
): Promise<BootedHost> {
  // What a host that is started again had is on its disk.
  const textOf = (path: string): string => textInImage(image, path);
  const files = disk ? null : await ownFilesArchive(host, textOf, site.outside.get(host.image));
  const plan = bootPlan(site, index, host, image, made.groups);
  // In the order of `keptDescriptors`.
  const keptFiles = disk ? [disk.mount, disk.root, ...(disk.users === null ? [] : [disk.users])] : [];
  const [perl, ...calls] = machineCalls;
  const actions = disk ? restartActions(plan) : bootActions(plan);
  // A session of its own: Ctrl-C at the terminal is for netrig, not for the PID 1 of each host.
  const [program = '', ...words] = [...ownRootWords(), findProgram(perl) ?? perl, ...calls, ...actions];
  const child = spawn(program, words, {
    env: bootEnvironment(plan, site.keys, site.boundLayers.get(orderKey(host)) ?? []),
    // The fourth, where there is one, is a socket in both directions.
    stdio: ['pipe', 'pipe', 'ignore', 'pipe', host.init === 'light' ? 'pipe' : 'ignore', ...keptFiles],
    detached: true,
  });
  const [stdin, output, , pipe, served] = child.stdio;
  served?.on('error', () => undefined);
  if (!stdin || !output || !pipe) throw new NetrigError('NETRIG_INTERNAL', 'A host was started without its pipes.');
  made.output = output;
  copyToConsole(output, made.console);
  stdin.on('error', () => undefined);
  child.on('error', (error) => failed.abort(new BootFailure(error.message)));
  child.on('exit', (code, signal) => {
    failed.abort(
      new BootFailure(signal === null ? `its process ended with status ${code}` : `its process was ended by ${signal}`),
    );
  });
  const guard = child.pid === undefined ? null : identify(child.pid);
  if (!guard) throw new BootFailure('its process could not be started');
  own(site, made, host.name, guard);

  const nextLine = lineReader(pipe as Readable);
  const stopped = new Promise<never>((_, reject) =>
    stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true }),
  );
  stopped.catch(() => undefined);
  stop.throwIfAborted();

  const said = /^made (\d+)$/.exec((await Promise.race([nextLine(), stopped])) ?? '');
  const pid1 = said ? identify(Number(said[1])) : null;
  if (!pid1) throw await Promise.race([stopped, Promise.resolve(new BootFailure('its namespaces could not be made'))]);
  own(site, made, host.name, pid1);
  await Promise.race([site.segments.wire(index, host, pid1.pid, again), stopped]);
  if (host.outside)
    made.uplink = await Promise.race([
      startUplink(pid1, site.directory, (identity) => own(site, made, `uplink of ${host.name}`, identity)),
      stopped,
    ]);
  const lines = [...addressLines(host), ...(host.outside ? uplinkLines : [])];
  stdin.write(`${[...lines, files ? 'files' : 'go'].join('\n')}\n`);
  stdin.end(files ?? '');
  if ((await Promise.race([nextLine(), stopped])) !== 'ready') throw new BootFailure('its boot script ended early');
  made.access = {
    init: host.init,
    pid1,
    isolation: site.isolation.mode,
    entered: made.groups.entered,
    image: image.foreign?.tools ?? image.root,
    ...(image.foreign ? { tools: true } : {}),
  };
  made.kernelLog = readKernelLog(made.access, made.console);
  const first = await waitForSshd(made.access, stop, served as Duplex | null);
  made.kernelLog?.hide();
  const closeConsole = (): void => {
    made.kernelLog?.close();
    made.console.close();
  };
  return { access: made.access, guard, uplink: made.uplink, groups: made.groups, closeConsole, first };
}
