import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, existsSync, openSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { messageOf, NetrigError } from '../../errors.js';
import type { HostImage } from '../../images/host-image.js';
import type { Ledger } from '../../lab/ledger.js';
import { identify, type ProcessIdentity, signalProcess, waitUntilGone } from '../../lab/process.js';
import { consoleLog } from '../../lab/store.js';
import type { HostPlan } from '../../plan/lab-plan.js';
import { enterScript } from './boot-script.js';
import { type CgroupLayout, cgroupDirectories, cgroupName, makeCgroup, removeCgroups, viewFor } from './cgroups.js';
import { findProgram, machineEnvironment } from '../shared/command.js';
import { journalOf, type KernelLogReader, readKernelLog } from './console.js';
import { type SegmentSpace } from './segments.js';
import { addressLines } from '../shared/address-lines.js';
import { type HostAccess, waitForSshd } from './transport.js';

/** What all hosts of one lab have in common. */
export interface LabSite {
  id: string;
  /** The lab's own directory: `boot.sh`, `keys/`, `root/` and the console logs. */
  directory: string;
  holder: ProcessIdentity;
  ledger: Ledger;
  layout: CgroupLayout;
  segments: SegmentSpace;
  images: ReadonlyMap<string, HostImage>;
  /** Per image: layers of its warmed engine that are bound instead of copied. */
  boundLayers: ReadonlyMap<string, readonly string[]>;
}

export interface BootedHost {
  access: HostAccess;
  /** The `unshare` whose end is the host's. */
  guard: ProcessIdentity;
  cgroups: string[];
  kernelLog: KernelLogReader | null;
  /** A stream to the host's sshd that has said its banner and nothing else. */
  first: Duplex;
}

/** One attempt at a host that failed; nothing of it is left. */
export class BootFailure extends Error {}

const teardownMs = 10_000;

/** The image's static busybox. Throws NETRIG_IMAGE_BUILD when it has none. */
export function busyboxOf(image: HostImage): string {
  const path = join(image.root, 'bin', 'busybox');
  if (existsSync(path)) return path;
  throw new NetrigError('NETRIG_IMAGE_BUILD', `The image ${image.name} has no /bin/busybox.`, {
    hint: `Build it again: \`netrig images rm ${image.name}\`, then \`netrig images build ${image.name}\`.`,
  });
}

function environment(site: LabSite, host: HostPlan, image: HostImage): Record<string, string> {
  const { hierarchies, unified } = site.layout;
  return {
    PATH: machineEnvironment['PATH'] ?? '',
    NETRIG_HOST: host.name,
    NETRIG_INIT: host.init,
    NETRIG_ENGINE: host.engine ? 'yes' : 'no',
    NETRIG_SETPRIV: findProgram('setpriv') ?? 'setpriv',
    NETRIG_BUSYBOX: busyboxOf(image),
    NETRIG_BOOT: join(site.directory, 'boot.sh'),
    NETRIG_MOUNT: join(site.directory, 'root'),
    NETRIG_KEYS: join(site.directory, 'keys'),
    NETRIG_IMAGE: image.root,
    NETRIG_SIZE: '50%',
    NETRIG_UNSHARE: `--mount --pid --uts --ipc --net${host.init === 'systemd' ? ' --cgroup' : ''}`,
    NETRIG_CGROUP: viewFor(site.layout, image.cgroup) ?? 'hybrid',
    NETRIG_HIERARCHIES: hierarchies.map((one) => `${basename(one.mountPoint)}=${one.options}`).join(' '),
    NETRIG_UNIFIED: unified === null ? '' : 'yes',
    NETRIG_DOCKER_DATA: host.engine && host.init === 'systemd' ? (image.dockerData ?? '') : '',
    NETRIG_BOUND_LAYERS: (site.boundLayers.get(image.name) ?? []).join(' '),
    NETRIG_MACHINE_ID: randomBytes(16).toString('hex'),
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

/**
 * Makes one host and waits until its sshd answers. Rejects with BootFailure when it does not within `timeoutMs` or dies
 * before; with the reason of `signal` when that aborts; with NETRIG_SEGMENT. In each case nothing of the host is left.
 */
export async function bootHost(
  site: LabSite,
  index: number,
  host: HostPlan,
  options: { again: boolean; timeoutMs: number; signal: AbortSignal },
): Promise<BootedHost> {
  const image = site.images.get(host.image);
  if (!image) throw new NetrigError('NETRIG_INTERNAL', `No image "${host.image}" was made ready for ${host.name}.`);
  const env = environment(site, host, image);
  const processes: ProcessIdentity[] = [];
  const own = (role: string, identity: ProcessIdentity): void => {
    site.ledger.add({ kind: 'process', role, ...identity });
    processes.push(identity);
  };

  // A light host has no use for cgroups: nothing in it manages them, and its processes end with its PID 1.
  const view = host.init === 'systemd' ? viewFor(site.layout, image.cgroup) : null;
  const cgroups =
    view === null ? [] : cgroupDirectories(site.layout, view, cgroupName(site.holder, site.id, host.name));
  const logFile = consoleLog(site.id, host.name);
  let access: HostAccess | null = null;
  let kernelLog: KernelLogReader | null = null;
  const failed = new AbortController();
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const stop = AbortSignal.any([options.signal, deadline, failed.signal]);
  try {
    for (const path of cgroups) {
      if (!options.again) site.ledger.add({ kind: 'cgroup', path });
      makeCgroup(path);
    }
    const log = openSync(logFile, 'a', 0o600);
    // A session of its own: Ctrl-C at the terminal is for netrig, not for the PID 1 of each host.
    const child = spawn(env['NETRIG_BUSYBOX'] ?? '', ['sh', '-c', enterScript, 'netrig-enter', ...cgroups, '--'], {
      env,
      stdio: ['pipe', log, log, 'pipe'],
      detached: true,
    });
    closeSync(log);
    const stdin = child.stdin;
    const pipe = child.stdio[3];
    if (!stdin || !pipe) throw new NetrigError('NETRIG_INTERNAL', 'A host was started without its pipes.');
    stdin.on('error', () => undefined);
    child.on('error', (error) => failed.abort(new BootFailure(error.message)));
    child.on('exit', (code, signal) => {
      failed.abort(
        new BootFailure(
          signal === null ? `its process ended with status ${code}` : `its process was ended by ${signal}`,
        ),
      );
    });
    const guard = child.pid === undefined ? null : identify(child.pid);
    if (!guard) throw new BootFailure('its process could not be started');
    own(host.name, guard);

    const nextLine = lineReader(pipe as Readable);
    const stopped = new Promise<never>((_, reject) =>
      stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true }),
    );
    stopped.catch(() => undefined);
    stop.throwIfAborted();

    const made = /^made (\d+)$/.exec((await Promise.race([nextLine(), stopped])) ?? '');
    const pid1 = made ? identify(Number(made[1])) : null;
    if (!pid1)
      throw await Promise.race([stopped, Promise.resolve(new BootFailure('its namespaces could not be made'))]);
    own(host.name, pid1);
    await Promise.race([site.segments.wire(index, host, pid1.pid, options.again), stopped]);
    stdin.end(`${[...addressLines(host), 'go'].join('\n')}\n`);
    if ((await Promise.race([nextLine(), stopped])) !== 'ready') throw new BootFailure('its boot script ended early');
    access = { init: host.init, pid1 };
    kernelLog = readKernelLog(access, logFile);
    const first = await waitForSshd(access, stop);
    kernelLog?.hide();
    return { access, guard, cgroups, kernelLog, first };
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
    if (deadline.aborted && access) {
      const journal = await journalOf(access);
      if (journal !== '') appendFileSync(logFile, `${journal}\n`);
    }
    for (const one of [...processes].reverse()) signalProcess(one, 'SIGKILL');
    await waitUntilGone(processes, teardownMs);
    kernelLog?.close();
    await removeCgroups(cgroups, teardownMs);
    throw reason;
  }
}
