import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isNetrigError, messageOf, NetrigError } from '../../errors.js';
import {
  isAlive,
  ownIdentity,
  ownPidSpace,
  type ProcessIdentity,
  signalProcess,
  waitUntilGone,
} from '../../lab/process.js';
import { keepLog } from '../../lab/store.js';
import { connect } from '../../ssh/connection.js';
import { generateLabKeys, type LabKeys } from '../../ssh/keys.js';
import { quoteArg } from '../../ssh/quote.js';
import type { HostConnection, SshTarget } from '../../ssh/ssh.js';
import { lastLines } from '../shared/last-lines.js';
import { type Backend, memoryOfMachine } from './backend.js';
import {
  makeVagrantHome,
  requireVagrant,
  runVagrant,
  vagrant,
  type VagrantCommand,
  vagrantEnvironment,
  wordsOf,
} from './command.js';
import { prepareScript } from './guest.js';
import { endLibvirtd, enterArguments, type PrivateLibvirtd, startLibvirtd } from './libvirtd.js';
import { parseSshConfig, type MachineLogin, type VagrantMessage } from './machine-readable.js';
import { makePool, poolOf, poolVolume } from './pool.js';
import { boxesOf, ownOf, type Boxes, type BoxOptions, type FoundBox } from './boxes.js';
import { machinesDirectory, type MachinesRecord, writeMachinesRecord } from './machines-record.js';
import { findMachineProcess, type MachineAccess, openTransport } from './transport.js';
import { plugUplink } from './uplink.js';
import { type LabShape, managementNetwork, type VagrantPlan, vagrantPlan } from './vagrant-plan.js';
import { makeDirectorySync } from '../../model/directory.js';

/**
 * Machines that are up, for labs of one shape: one lab at a time, each from the snapshot that was taken when they were new.
 * They end with this process at the latest.
 */
export interface Machines {
  id: string;
  directory: string;
  shape: LabShape;
  plan: VagrantPlan;
  backend: Backend;
  keys: LabKeys;
  /** In the order of the shape's hosts. */
  access: MachineAccess[];
  /** Whether the box of each is netrig's own. */
  ownBoxes: boolean[];
  libvirtd: PrivateLibvirtd | null;
  /** What the ways to the outside are made of, by the machine's place in the shape. */
  uplinks: Map<number, ProcessIdentity[]>;
  /** Whether a lab has used them since they were as in the snapshot. */
  used: boolean;
}

/** What machines may take to boot at least, ms, whatever a plan says: an emulated processor has no pace to rely on. */
export const leastBootMs = { kvm: 180_000, qemu: 600_000 } as const;
const commandMs = { kvm: 120_000, qemu: 300_000 } as const;
const sshReadyMs = 60_000;
const pollMs = 500;
const uplinkEndMs = 10_000;
const snapshotName = 'netrig';

/** What `vagrant` needs to know of machines: where to run, and whose. */
function commandFor(machines: Pick<Machines, 'directory' | 'libvirtd'>): Pick<VagrantCommand, 'enter' | 'plan'> {
  const { directory, libvirtd } = machines;
  return {
    ...(libvirtd ? { enter: enterArguments(libvirtd, directory) } : {}),
    plan: { file: join(directory, 'plan.json'), dotfile: join(directory, 'vagrant') },
  };
}

export interface BringOptions extends BoxOptions {
  /** Names of the hosts, for messages; in the order of the shape. */
  hostNames: readonly string[];
  /** For all machines together, ms. */
  bootTimeoutMs: number;
  booting(index: number): void;
  booted(index: number): void;
}

const milestones: readonly [RegExp, string][] = [
  [/Starting domain|Booting VM/, 'its virtual machine starts'],
  [/Waiting for domain to get an IP/, 'its kernel boots'],
  [/Waiting for machine to boot/, 'it has an address; waiting for SSH'],
];

/** Machines that this process has; the end of the process is the end of them. */
const held = new Set<Machines>();
let endsWithProcess = false;

function hold(machines: Machines): void {
  held.add(machines);
  if (endsWithProcess) return;
  endsWithProcess = true;
  process.on('exit', () => {
    for (const one of held) {
      if (one.libvirtd) {
        for (const { pid } of [one.libvirtd.init, one.libvirtd.guard]) {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It is gone.
          }
        }
      } else {
        const { plan } = commandFor(one);
        const result = spawnSync('vagrant', ['destroy', '--force', '--parallel'], {
          env: vagrantEnvironment(plan),
          stdio: 'ignore',
          timeout: 60_000,
        });
        // What is left on disk tells the next sweep what to finish.
        if (result.status !== 0) continue;
      }
      rmSync(one.directory, { recursive: true, force: true, maxRetries: 3 });
    }
  });
}

/** A coded error with the end of the machine's console; all of it is kept. */
function bootError(machines: Machines, index: number, host: string, why: string, cause?: unknown): NetrigError {
  const file = machines.plan.machines[index]?.console ?? '';
  const last = lastLines(file);
  let kept: string;
  try {
    kept = keepLog(machines.id, host, readFileSync(file, 'utf8'));
  } catch (error) {
    kept = `(the console could not be kept: ${messageOf(error)})`;
  }
  return new NetrigError(
    'NETRIG_HOST_BOOT',
    `${host} did not boot: ${why}. ${last === '' ? 'Its console is empty.' : `The end of its console:\n${last}`}`,
    { hint: `The whole console is in ${kept}.`, ...(cause === undefined ? {} : { cause }) },
  );
}

/** Runs a script on a machine as root. Rejects with `failed` and the script's own words. */
async function runOn(
  target: SshTarget,
  script: string,
  wanted: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const connection = await connectSlowly(target, signal);
  try {
    const result = await connection.exec(script, { timeoutMs, signal });
    if (result.exitCode === 0 && result.stdout.trimEnd().endsWith(wanted)) return;
    const why = result.timedOut
      ? `it took longer than ${timeoutMs / 1000} s`
      : result.stderr.trim() || `exit status ${result.exitCode}`;
    throw new NetrigError('NETRIG_HOST_BOOT', `${target.host} could not be made ready: ${why}`);
  } finally {
    await connection.end();
  }
}

/**
 * Connects to a machine that is up, or was put back to its snapshot a moment ago: for some seconds its card may not answer,
 * and an emulated processor takes a while for a handshake.
 */
export async function connectSlowly(target: SshTarget, signal: AbortSignal): Promise<HostConnection> {
  const deadline = performance.now() + sshReadyMs;
  for (;;) {
    try {
      return await connect(target, { signal, readyTimeoutMs: sshReadyMs });
    } catch (error) {
      const early = isNetrigError(error, 'NETRIG_SSH_CONNECT') || isNetrigError(error, 'NETRIG_SSH_SILENT');
      if (signal.aborted || !early || performance.now() > deadline) throw error;
      await pause(pollMs);
    }
  }
}

export function machineTarget(machines: Machines, index: number, host: string): SshTarget {
  const access = machines.access[index];
  if (!access) throw new NetrigError('NETRIG_INTERNAL', `${host} has no machine.`);
  return {
    host,
    username: 'root',
    privateKey: machines.keys.privateKey,
    hostKey: machines.keys.hostPublicKey,
    open: (signal) => openTransport(access, signal),
  };
}

/**
 * Brings machines of a shape up, all at once, prepares them and takes the snapshot that labs begin from.
 * Rejects with NETRIG_BOX_MISSING, NETRIG_HOST_BOOT, NETRIG_VAGRANT, NETRIG_VAGRANT_PROVIDER, NETRIG_INTERRUPTED and what
 * building a box throws; nothing is left of them then.
 */
export async function bringMachines(shape: LabShape, backend: Backend, options: BringOptions): Promise<Machines> {
  const { signal, progress } = options;
  const root = machinesDirectory();
  makeDirectorySync(root, 0o700);
  const boxes = await boxesOf(shape, backend, options);
  const { machines, record } = describeMachines(root, shape, backend, boxes, options);
  hold(machines);
  try {
    if (backend.ownLibvirtd) await beginLibvirtd(machines, record, boxes, signal);
    shape.hosts.forEach((_, index) => options.booting(index));
    await upAll(machines, { ...options, timeoutMs: options.bootTimeoutMs });
    machines.access = await accessOf(machines, signal);
    await beginUplinks(machines);
    await Promise.all(
      shape.hosts.map(async (host, index) => {
        await prepare(machines, index, boxes.get(host.image)?.own ?? null, options);
        options.booted(index);
      }),
    );
    progress('taking a snapshot of the machines');
    await eachMachine(machines, (name) =>
      vagrant(['snapshot', 'save', name, snapshotName, '--force'], {
        ...commandFor(machines),
        doing: 'take a snapshot',
        timeoutMs: commandMs[backend.driver],
        signal,
      }),
    );
    return machines;
  } catch (error) {
    await endMachines(machines).catch((second: unknown) => progress(messageOf(second)));
    if (signal.aborted)
      throw new NetrigError('NETRIG_INTERRUPTED', 'Interrupted while the machines were coming up.', {
        cause: signal.reason,
      });
    throw error;
  }
}

/** Addresses of this machine. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

/** Writes the machines down, with the plan that Vagrant reads; none of them is made yet. */
function describeMachines(
  root: string,
  shape: LabShape,
  backend: Backend,
  boxes: Boxes,
  options: BringOptions,
): { machines: Machines; record: MachinesRecord } {
  const id = randomBytes(3).toString('hex');
  const directory = join(root, id);
  mkdirSync(directory, { mode: 0o700 });
  const record: MachinesRecord = {
    id,
    holder: ownIdentity(),
    ...ownPidSpace(),
    provider: backend.provider,
    libvirtd: null,
  };
  writeMachinesRecord(directory, record);
  makeVagrantHome(directory);
  const ownBoxes = ownOf(boxes);
  const plan = vagrantPlan(shape, {
    directory,
    prefix: `netrig-${id}-`,
    bootTimeoutMs: options.bootTimeoutMs,
    memoryMiB: memoryOfMachine(),
    boxes,
    ...(ownBoxes.length > 0 ? { ssh: { user: 'root', keys: ownBoxes.map((box) => box.loginKey) } } : {}),
    libvirt: {
      uri: 'qemu:///system',
      driver: backend.driver,
      // Where Debian's package has its libvirtd, the networks of others may be too: only one of netrig's own has its own pool.
      ...(backend.ownLibvirtd
        ? { poolName: 'netrig', poolPath: poolOf(directory) }
        : managementNetwork(`netrig-${id}-`, Number.parseInt(id, 16), ownAddresses())),
    },
  });
  writeFileSync(join(directory, 'plan.json'), `${JSON.stringify(plan, null, 2)}\n`, { mode: 0o600 });
  const machines: Machines = {
    id,
    directory,
    shape,
    plan,
    backend,
    keys: generateLabKeys(id),
    access: [],
    ownBoxes: shape.hosts.map((host) => (boxes.get(host.image)?.own ?? null) !== null),
    libvirtd: null,
    uplinks: new Map(),
    used: false,
  };
  return { machines, record };
}

/** A libvirtd of the machines' own, with the boxes in its pool. */
async function beginLibvirtd(
  machines: Machines,
  record: MachinesRecord,
  boxes: Boxes,
  signal: AbortSignal,
): Promise<void> {
  const { directory } = machines;
  const pool = poolOf(directory);
  mkdirSync(pool);
  for (const box of ownOf(boxes)) poolVolume(pool, box);
  machines.libvirtd = await startLibvirtd(directory, signal);
  writeMachinesRecord(directory, { ...record, libvirtd: machines.libvirtd });
  await makePool(machines.libvirtd, directory, pool, signal);
}

/** Plugs the ways to the outside into the networks of the machines that have one. */
async function beginUplinks(machines: Machines): Promise<void> {
  const { shape, plan, directory, libvirtd, uplinks } = machines;
  for (const [index, host] of shape.hosts.entries()) {
    if (!host.outside) continue;
    const name = plan.machines[index]!.name;
    if (!libvirtd) throw new NetrigError('NETRIG_INTERNAL', `${name} has no libvirtd that could give it a way out.`);
    const processes: ProcessIdentity[] = [];
    uplinks.set(index, processes);
    try {
      await plugUplink(
        libvirtd,
        plan.machines[index]!.interfaces.at(-1)!.mac,
        directory,
        `uplink${index + 1}`,
        processes,
      );
    } catch (error) {
      throw new NetrigError('NETRIG_HOST_BOOT', `${name}: ${messageOf(error)}.`, { cause: error });
    }
  }
}

async function accessOf(machines: Machines, signal: AbortSignal): Promise<MachineAccess[]> {
  const logins = await loginsOf(machines, signal);
  return machines.plan.machines.map(({ name }): MachineAccess => {
    const login = logins.get(name);
    if (!login) throw new NetrigError('NETRIG_VAGRANT', `vagrant ssh-config does not name ${name}.`);
    return {
      address: login.host,
      port: login.port,
      process: findMachineProcess(name),
      inside: machines.libvirtd?.init ?? null,
    };
  });
}

/** What a machine needs once before its snapshot: over SSH where the box is netrig's own, else by Vagrant's. */
async function prepare(
  machines: Machines,
  index: number,
  box: FoundBox['own'],
  { signal, hostNames }: BringOptions,
): Promise<void> {
  const name = hostNames[index] ?? `m${index + 1}`;
  const timeoutMs = commandMs[machines.backend.driver];
  const script = prepareScript(machines.keys, { engine: machines.shape.hosts[index]!.engine, ownBox: box !== null });
  if (box) {
    const target: SshTarget = {
      ...machineTarget(machines, index, name),
      privateKey: readFileSync(box.loginKey, 'utf8'),
      hostKey: box.hostKey,
    };
    await runOn(target, script, 'prepared', timeoutMs, signal);
    return;
  }
  const machine = machines.plan.machines[index]!.name;
  await vagrant(['ssh', machine, '--command', `sudo sh -c ${quoteArg(script)}`], {
    ...commandFor(machines),
    doing: `make ${name} ready`,
    timeoutMs,
    signal,
    plain: true,
  });
}

async function eachMachine(machines: Machines, work: (name: string) => Promise<unknown>): Promise<void> {
  const results = await Promise.allSettled(machines.plan.machines.map(({ name }) => work(name)));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function upAll(machines: Machines, options: BringOptions & { timeoutMs: number }): Promise<void> {
  const { plan, backend } = machines;
  const { hostNames, progress, timeoutMs } = options;
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const hostOf = (machine: string): string =>
    hostNames[plan.machines.findIndex((one) => one.name === machine)] ?? machine;
  const onMessage = (message: VagrantMessage): void => {
    if (message.type !== 'ui') return;
    const words = message.data.at(-1) ?? '';
    const milestone = milestones.find(([pattern]) => pattern.test(words));
    if (milestone && message.target !== '') progress(`${hostOf(message.target)}: ${milestone[1]}`);
  };
  // A machine that ends while Vagrant waits for it would be waited for until the deadline.
  const seen = new Map<string, ProcessIdentity>();
  const watch = setInterval(() => {
    // An interrupted Vagrant takes its machines away itself.
    if (signal.aborted) return;
    for (const { name } of plan.machines) {
      const known = seen.get(name);
      if (known) {
        if (!isAlive(known))
          failed.abort(
            bootError(
              machines,
              plan.machines.findIndex((one) => one.name === name),
              hostOf(name),
              'its virtual machine ended',
            ),
          );
      } else {
        const found = findMachineProcess(name);
        if (found) seen.set(name, found);
      }
    }
    if (machines.libvirtd && !isAlive(machines.libvirtd.init))
      failed.abort(
        new NetrigError('NETRIG_VAGRANT_PROVIDER', "netrig's own libvirtd has ended while machines were booting."),
      );
  }, pollMs);
  try {
    const args = ['up', '--provider', backend.provider, '--no-provision', '--parallel', '--destroy-on-error'];
    const doing = 'bring the machines up';
    const result = await runVagrant(args, { ...commandFor(machines), doing, timeoutMs, signal, onMessage });
    if (result.timedOut) {
      const silent = plan.machines.findIndex(
        (machine) =>
          !result.messages.some((one) => one.target === machine.name && /booted and ready/.test(one.data.at(-1) ?? '')),
      );
      const index = Math.max(0, silent);
      throw bootError(
        machines,
        index,
        hostNames[index] ?? `m${index + 1}`,
        `it did not answer SSH within ${Math.round(timeoutMs / 1000)} s`,
      );
    }
    requireVagrant(result, { doing, timeoutMs });
  } catch (error) {
    if (failed.signal.aborted && !options.signal.aborted) throw failed.signal.reason;
    throw error;
  } finally {
    clearInterval(watch);
  }
}

async function loginsOf(machines: Machines, signal: AbortSignal): Promise<Map<string, MachineLogin>> {
  const result = await vagrant(['ssh-config'], {
    ...commandFor(machines),
    doing: 'say how its machines are reached',
    timeoutMs: commandMs[machines.backend.driver],
    signal,
    plain: true,
  });
  try {
    return parseSshConfig(result.stdout);
  } catch (error) {
    throw new NetrigError('NETRIG_VAGRANT', messageOf(error), { cause: error });
  }
}

/** Puts machines back into the state of their snapshot. They answer when this resolves. */
export async function restoreMachines(machines: Machines, signal: AbortSignal): Promise<void> {
  const timeoutMs = commandMs[machines.backend.driver];
  await eachMachine(machines, (name) =>
    vagrant(['snapshot', 'restore', name, snapshotName, '--no-provision'], {
      ...commandFor(machines),
      doing: 'go back to the snapshot',
      timeoutMs,
      signal,
    }),
  );
  for (const [index, { name }] of machines.plan.machines.entries()) {
    // VirtualBox starts a new process for a restored machine, and libvirt for one that had ended.
    const access = machines.access[index];
    if (access) access.process = await waitForProcess(name, signal);
  }
  machines.used = false;
}

async function waitForProcess(name: string, signal: AbortSignal): Promise<ProcessIdentity | null> {
  for (let tries = 0; tries < 10; tries += 1) {
    signal.throwIfAborted();
    const found = findMachineProcess(name);
    if (found) return found;
    await pause(100);
  }
  return null;
}

/** Ends machines and all that belongs to them. Rejects with NETRIG_CLEANUP naming what is left. */
export async function endMachines(
  machines: Pick<Machines, 'id' | 'directory' | 'libvirtd'> & Partial<Pick<Machines, 'uplinks'>>,
): Promise<void> {
  // They hold the network namespace of the libvirtd.
  const ways = [...(machines.uplinks?.values() ?? [])].flat();
  for (const one of ways) signalProcess(one, 'SIGKILL');
  await waitUntilGone(ways, uplinkEndMs);
  if (machines.libvirtd) {
    const left = await endLibvirtd(machines.libvirtd);
    if (left.length > 0)
      throw new NetrigError(
        'NETRIG_CLEANUP',
        `The libvirtd of the machines ${machines.id} does not end; left: ${left.map((one) => `process ${one.pid}`).join(', ')}.`,
      );
  } else {
    const made = readdirSync(machines.directory).includes('vagrant');
    const result = made
      ? await runVagrant(['destroy', '--force', '--parallel'], {
          ...commandFor(machines),
          doing: 'take the machines away',
          timeoutMs: 120_000,
        })
      : null;
    if (result && result.exitCode !== 0) {
      throw new NetrigError(
        'NETRIG_CLEANUP',
        `Vagrant could not take the machines ${machines.id} away: ${wordsOf(result)}`,
        {
          hint: `Run \`netrig gc\` again when the hypervisor works; what Vagrant knows of them is in ${machines.directory}.`,
        },
      );
    }
  }
  await rm(machines.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  for (const one of held) if (one.directory === machines.directory) held.delete(one);
}
