import type { Duplex } from 'node:stream';
import { messageOf, NetrigError } from '../../errors.js';
import type { OutsideFiles } from '../../images/outside-files.js';
import { isAlive, ownPidSpace } from '../../lab/process.js';
import { holderAlive, listRecords, newLabId } from '../../lab/store.js';
import { formatDuration } from '../../model/duration.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { putOwnFiles } from '../../ssh/own-files.js';
import type { HostConnection, SshTarget } from '../../ssh/ssh.js';
import { lastLines } from '../shared/last-lines.js';
import { outsideEntries, outsideOf } from '../shared/outside.js';
import { mustTake } from '../shared/put-file.js';
import { accessTo, attachedLab, endHolder, heldLab, holdLab, newRecord, throwIfInterrupted } from '../held-lab.js';
import type { LabRecord, Provider, RunningLab, UpOptions } from '../provider.js';
import { type Backend, vagrantPreflight } from './backend.js';
import { vagrantCapabilities } from './capabilities.js';
import { guestFaults } from './faults.js';
import { configureScript, containerImagesScript } from './guest.js';
import { accessOf, removeLeftovers, sweepVagrant, type VagrantLabAccess } from './leftovers.js';
import {
  type BringOptions,
  bringMachines,
  connectSlowly,
  endMachines,
  leastBootMs,
  type Machines,
  machineTarget,
  restoreMachines,
} from './machines.js';
import { type PackedLayers, packLayers, putPackages, startServices } from './packages.js';
import { openTransport, whyGone } from './transport.js';
import { cablesOf } from './wire-faults.js';
import { type LabShape, shapeOf } from './vagrant-plan.js';

const holderMs = 60_000;
const configureMs = 120_000;
/** How often it is looked whether a host's virtual machine is still there. A killed one sends no end of its connections. */
const watchMs = 500;

/** Machines that no lab has at the moment, for the next one of their shape. One set: others would only take memory. */
let idle: Machines | null = null;

/** Takes away machines that are kept for the next lab of this process, if there are any. */
export async function endIdleMachines(): Promise<void> {
  const machines = idle;
  idle = null;
  if (machines) await endMachines(machines);
}

/** The streams to each host, which are destroyed when its machine ends. */
interface Watch {
  opened(host: string, stream: Duplex): void;
  close(): void;
}

function watchHosts(access: VagrantLabAccess): Watch {
  const streams = new Map<string, Set<Duplex>>();
  const timer = setInterval(() => {
    for (const [host, open] of streams) {
      const machine = access.hosts[host];
      const why = open.size > 0 && machine ? whyGone(machine) : null;
      if (why !== null) for (const stream of open) stream.destroy(new Error(why));
    }
  }, watchMs);
  timer.unref();
  return {
    opened(host, stream) {
      const open = streams.get(host) ?? new Set();
      streams.set(host, open.add(stream));
      stream.once('close', () => open.delete(stream));
    },
    close: () => clearInterval(timer),
  };
}

function targetOf(record: LabRecord, host: string, watch: Watch): SshTarget {
  const { hosts, privateKey, hostKey } = accessOf(record);
  const access = accessTo(record, hosts, host);
  return {
    host,
    username: 'root',
    privateKey,
    hostKey,
    open: async (signal) => {
      const stream = await openTransport(access, signal);
      watch.opened(host, stream);
      return stream;
    },
  };
}

async function consoleOf(record: LabRecord, host: string): Promise<string> {
  const access = accessOf(record).hosts[host];
  if (!access) return '';
  const why = whyGone(access);
  return [lastLines(access.console), why === null ? '' : `(${why})`].filter((text) => text !== '').join('\n');
}

/** Machines for the plan: those kept from the last lab, put back into their snapshot, or new ones. */
async function machinesFor(plan: LabPlan, options: UpOptions): Promise<Machines> {
  const { emit, scenario, signal } = options;
  const log = (text: string): void => emit({ type: 'log', scenario, level: 'info', text });
  const backend = await vagrantPreflight(plan);
  const shape = shapeOf(plan);
  const phases = phasesOf(plan, options);
  const kept = await keptMachines(plan, shape, backend, phases, signal, log);
  if (kept) return kept;
  throwIfInterrupted(signal);
  if (backend.driver === 'qemu')
    log(
      `processors are emulated (${backend.processor.replace(/^emulated processors: /, '')}): a machine takes a minute or so to boot, and has ten for it`,
    );
  return bringMachines(shape, backend, {
    signal,
    hostNames: plan.hosts.map((host) => host.name),
    bootTimeoutMs: Math.max(plan.bootTimeoutMs, leastBootMs[backend.driver]),
    progress: log,
    ...phases,
  });
}

type Phases = Pick<BringOptions, 'booting' | 'booted' | 'image'>;

/** Says what the machines are at, and how long each phase took. */
function phasesOf(plan: LabPlan, { emit, scenario }: UpOptions): Phases {
  const started = new Map<number | string, number>();
  const since = (what: number | string): number => performance.now() - (started.get(what) ?? 0);
  return {
    booting(index) {
      const host = plan.hosts[index];
      if (!host) return;
      started.set(index, performance.now());
      const text = `${host.name} (${host.image}, virtual machine)`;
      emit({ type: 'phase', scenario, phase: 'boot', state: 'start', host: host.name, text });
    },
    booted(index) {
      const host = plan.hosts[index];
      if (!host) return;
      const text = `${host.name} answers SSH`;
      emit({ type: 'phase', scenario, phase: 'boot', state: 'end', host: host.name, text, durationMs: since(index) });
    },
    image(image, state) {
      const text = `Box ${image}`;
      if (state === 'start') {
        started.set(image, performance.now());
        emit({ type: 'phase', scenario, phase: 'image', state, text });
      } else emit({ type: 'phase', scenario, phase: 'image', state, text, durationMs: since(image) });
    },
  };
}

/** The machines of the last lab at their snapshot, when they are of this shape and alive; else they end, and it is `null`. */
async function keptMachines(
  plan: LabPlan,
  shape: LabShape,
  backend: Backend,
  phases: Phases,
  signal: AbortSignal,
  log: (text: string) => void,
): Promise<Machines | null> {
  const kept = idle;
  idle = null;
  if (!kept) return null;
  const same =
    JSON.stringify(kept.shape) === JSON.stringify(shape) && JSON.stringify(kept.backend) === JSON.stringify(backend);
  if (!same || kept.access.some((access) => whyGone(access) !== null)) {
    await endMachines(kept);
    return null;
  }
  try {
    plan.hosts.forEach((_, index) => phases.booting(index));
    const begin = performance.now();
    await restoreMachines(kept, signal);
    log(`the machines are back at their snapshot, after ${formatDuration(performance.now() - begin)}`);
    plan.hosts.forEach((_, index) => phases.booted(index));
    return kept;
  } catch (error) {
    await endMachines(kept);
    throwIfInterrupted(signal);
    log(`the machines could not be put back (${messageOf(error)}); new ones are made`);
    return null;
  }
}

/** What a lab is made of beside its plan. */
interface LabMakings {
  machines: Machines;
  layers: PackedLayers;
  /** By image: what hosts with a way to the outside get of this machine. */
  outsides: ReadonlyMap<string, OutsideFiles>;
  signal: AbortSignal;
}

/** Makes the machines the plan's hosts, all at once. */
async function configure(plan: LabPlan, parts: LabMakings): Promise<void> {
  const { machines, signal } = parts;
  machines.used = true;
  const results = await Promise.allSettled(
    plan.hosts.map(async (host, index) => {
      const connection = await connectSlowly(machineTarget(machines, index, host.name), signal);
      try {
        await configureHost(connection, plan, index, parts);
      } finally {
        await connection.end();
      }
    }),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function configureHost(
  connection: HostConnection,
  plan: LabPlan,
  index: number,
  { machines, layers, outsides, signal }: LabMakings,
): Promise<void> {
  const host = plan.hosts[index]!;
  const mtus = host.interfaces.map((nic) => plan.segments.find((segment) => segment.name === nic.segment)?.mtu ?? null);
  const cards = machines.plan.machines[index]?.interfaces ?? [];
  const result = await connection.exec(configureScript(host, cards, mtus, Date.now()), {
    timeoutMs: configureMs,
    signal,
  });
  if (result.exitCode !== 0 || !result.stdout.trimEnd().endsWith('configured')) {
    throw new NetrigError(
      'NETRIG_SEGMENT',
      `The interfaces of ${host.name} could not be set: ${result.timedOut ? `it took longer than ${configureMs / 1000} s` : result.stderr.trim() || `exit status ${result.exitCode}`}.`,
    );
  }
  if (!machines.ownBoxes[index] && host.engine && host.containerImages.length > 0) {
    const images = await connection.exec(containerImagesScript(host.containerImages), {
      timeoutMs: configureMs,
      signal,
    });
    if (images.exitCode !== 0)
      throw new NetrigError(
        'NETRIG_CAPABILITY',
        `The engine of ${host.name} has no ${host.containerImages.join(', ')}, and they could not be made: ${images.stderr.trim()}.`,
      );
  }
  if (host.outside) await giveOutside(connection, host, outsides.get(host.image), signal);
  const layer = layers.of(host);
  if (layer) await putPackages(connection, layer, signal);
  await putOwnFiles(connection, host.name, host.files ?? []);
  // As on a host that boots with both: a service finds its configuration when it starts.
  if (layer) await startServices(connection, host, signal);
}

/** The machine's package sources, proxies and name server; an engine that runs already learns of the proxies. */
async function giveOutside(
  connection: HostConnection,
  host: HostPlan,
  outside: OutsideFiles | undefined,
  signal: AbortSignal,
): Promise<void> {
  const entries = outsideEntries(host.name, outside);
  await connection.putTree(entries, { uid: 0, gid: 0 });
  if (!host.engine || !entries.some(({ path }) => path.startsWith('/etc/systemd/system/docker.service.d/'))) return;
  const what = 'the proxies of this machine';
  await mustTake(connection, 'systemctl daemon-reload && systemctl restart docker', configureMs, { signal, what });
}

async function bring(
  plan: LabPlan,
  options: UpOptions & { detached?: boolean; scenarioFile?: string },
): Promise<RunningLab> {
  const { signal } = options;
  throwIfInterrupted(signal);
  // What is wrong with packages is told before anything boots.
  const outsides = await outsideOf(plan, options);
  const layers = await packLayers(plan, options);
  const machines = await machinesFor(plan, options).catch(async (error: unknown) => {
    await layers.end();
    throw error;
  });
  const id = newLabId(plan.slug);
  const access: VagrantLabAccess = {
    machines: machines.id,
    ...ownPidSpace(),
    privateKey: machines.keys.privateKey,
    hostKey: machines.keys.hostPublicKey,
    hosts: Object.fromEntries(
      plan.hosts.map((host, index) => [
        host.name,
        { ...machines.access[index]!, console: machines.plan.machines[index]!.console },
      ]),
    ),
  };
  const record = newRecord(id, 'vagrant', plan, access, options);
  const watch = watchHosts(access);
  const faults = guestFaults(
    plan,
    (host, until) => connectSlowly(targetOf(record, host, watch), until),
    cablesOf(plan, machines),
  );
  let configured = false;
  let kept = false;
  return holdLab(record, options, {
    target: (host) => targetOf(record, host, watch),
    console: (host) => consoleOf(record, host),
    faults: () => faults,
    hasFiles: true,
    died: () =>
      plan.hosts.flatMap(({ name }, index) =>
        (machines.uplinks.get(index) ?? []).some((one) => !isAlive(one))
          ? [{ what: `the way to the outside of the host ${name}`, host: name }]
          : [],
      ),
    bring: async () => {
      await configure(plan, { machines, layers, outsides, signal }).finally(() => layers.end());
      throwIfInterrupted(signal);
      configured = true;
    },
    takeAway: async () => {
      watch.close();
      await layers.end();
      // A machine that died is no ground for another lab; nobody would come for those of a detached one.
      kept = configured && !record.detached && idle === null && machines.access.every((one) => whyGone(one) === null);
      if (kept) idle = machines;
      else await endMachines(machines);
    },
    wording: { gone: () => `The lab ${id} is down${kept ? '; its machines wait for the next one' : ''}` },
  });
}

async function attachTo(record: LabRecord): Promise<RunningLab> {
  const own = heldLab(record);
  if (own) return own;
  const access = accessOf(record);
  const gone = record.plan.hosts.flatMap(({ name }) => {
    const host = access.hosts[name];
    const why = host ? whyGone(host) : 'it was never made';
    return why === null ? [] : [`${name}: ${why}`];
  });
  // Machines may serve another lab by now: the record says whether they are this one's.
  if (!listRecords().some((one) => one.id === record.id)) gone.push('it was taken down');
  if (!holderAlive(record) || gone.length > 0)
    throw new NetrigError(
      'NETRIG_LAB_GONE',
      `The lab ${record.id} is not up: ${gone.length > 0 ? gone.join('; ') : 'its holder ended'}.`,
    );
  const watch = watchHosts(access);
  return attachedLab(record, {
    target: (host) => targetOf(record, host, watch),
    console: (host) => consoleOf(record, host),
    hasFiles: true,
    down: () => destroyLab(record),
  });
}

async function destroyLab(record: LabRecord): Promise<void> {
  const own = heldLab(record);
  if (own) return own.down();
  await endHolder(record, holderMs, { space: accessOf(record) });
  await removeLeftovers(record);
}

/** A provider whose hosts are virtual machines that Vagrant makes. */
export const vagrantProvider: Provider = {
  name: 'vagrant',
  reusesHosts: true,
  capabilities: vagrantCapabilities,
  preflight: async (plan) => void (await vagrantPreflight(plan)),
  up: bring,
  attach: attachTo,
  destroy: destroyLab,
  sweep: sweepVagrant,
};
