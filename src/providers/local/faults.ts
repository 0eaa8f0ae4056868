import { messageOf, NetrigError } from '../../errors.js';
import type { Fault, HostFault, WireFault } from '../../model/fault.js';
import { faultText, isHostFault } from '../../model/fault.js';
import type { ProcessIdentity } from '../../lab/process.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import type { LabFaults, PlantedFault } from '../provider.js';
import { findProgram, runCommand } from '../shared/command.js';
import { kernelProbes, probeScript, readProbes } from '../shared/kernel-probes.js';
import { canFreeze, freezeHost, type HostGroups, thawHost } from './cgroups.js';
import { killByName } from './host-processes.js';
import {
  goneLines,
  lossTable,
  noFaults,
  queueChanges,
  wireFaultLines,
  wireState,
  type WireState,
} from './wire-faults.js';

/** Starts and ends hosts of a lab; only where this process holds it. */
export interface HostPower {
  /** Resolves once nothing of the host is left but its disk. Rejects with NETRIG_FAULT. */
  off(host: string): Promise<void>;
  /** What was written to the disk of a host that is off is gone: it starts as its image has it. */
  wipe(host: string): void;
  /** Resolves once the host answers SSH. Rejects with NETRIG_FAULT, or the reason of `signal`. */
  on(host: string, signal: AbortSignal): Promise<void>;
  /** What a host that runs is made of. */
  running(host: string): { pid1: ProcessIdentity; groups: HostGroups };
}

export interface FaultSite {
  plan: LabPlan;
  /** The process that holds the namespace of the segments. */
  segments: ProcessIdentity;
  /** The root of a host image of the lab: it has the nft that the machine need not have. */
  image: string;
  isOff(host: string): boolean;
  /** `null`: another process holds the lab. */
  power: HostPower | null;
}

const commandMs = 20_000;
const freezeMs = 10_000;

/** Tried once a process, in a network namespace that ends with it. */
const tried = new Map<string, Promise<string | null>>();

/** Why a capability of the kernel is missing; `null`: it is there. */
function kernelLacks(name: 'kernel:netem' | 'kernel:tbf'): Promise<string | null> {
  const before = tried.get(name);
  if (before) return before;
  const probes = kernelProbes.filter((probe) => probe.name === 'kernel:veth' || probe.name === name);
  const now = runCommand(['unshare', '--net', 'sh', '-c', probeScript(probes)], { timeoutMs: commandMs }).then(
    ({ stdout, stderr }) => {
      const answer = readProbes(stdout, stderr).find((one) => one.name === name);
      return answer?.have === true ? null : `\`${name}\` is missing (${answer?.seen ?? 'not tried'})`;
    },
  );
  tried.set(name, now);
  return now;
}

const needed = { delay: 'netem', jitter: 'netem', corrupt: 'netem', duplicate: 'netem', rate: 'tbf' } as const;

/** Why a fault cannot be had in a lab; `null`: it can. */
async function lacks(site: FaultSite, fault: Fault): Promise<string | null> {
  if (!isHostFault(fault))
    return fault.kind in needed ? kernelLacks(`kernel:${needed[fault.kind as keyof typeof needed]}`) : null;
  if (fault.kind === 'clock') return 'all hosts share the machine’s clock';
  if (site.power === null)
    return fault.kind === 'poweroff'
      ? 'a host of a lab that another process holds (`--keep-on-fail`, `netrig up`) cannot be started again'
      : 'the processes of a lab that another process holds (`--keep-on-fail`, `netrig up`) are not in its hands';
  const off = site.isOff(fault.host);
  return fault.kind === 'pause' && !off && !canFreeze(site.power.running(fault.host).groups)
    ? `${fault.host} is in no control group that can be frozen`
    : null;
}

/** Runs a program in the namespace of the segments. Answers why it failed, `null` when it did not. */
async function inSegments(site: FaultSite, argv: readonly string[], stdin: string): Promise<string | null> {
  const enter = ['nsenter', `--net=/proc/${site.segments.pid}/ns/net`] as const;
  const result = await runCommand([...enter, ...argv], { stdin, timeoutMs: commandMs });
  return result.exitCode === 0 ? null : result.stderr.trim() || `exit status ${result.exitCode}`;
}

async function changeWires(site: FaultSite, lines: readonly string[], force = false): Promise<string | null> {
  if (lines.length === 0) return null;
  return inSegments(site, ['ip', ...(force ? ['-force'] : []), '-batch', '-'], `${lines.join('\n')}\n`);
}

const changeTable = (site: FaultSite, state: WireState): Promise<string | null> =>
  inSegments(site, [findProgram('chroot') ?? 'chroot', site.image, '/usr/sbin/nft', '-f', '-'], lossTable(state));

async function changeQueues(site: FaultSite, lines: readonly string[], force = false): Promise<string | null> {
  if (lines.length === 0) return null;
  return inSegments(site, ['tc', ...(force ? ['-force'] : []), '-batch', '-'], `${lines.join('\n')}\n`);
}

/** Hosts whose processes stand still. */
function pausedHosts() {
  const paused = new Map<string, HostGroups>();

  async function plant(host: string, power: HostPower): Promise<PlantedFault> {
    if (paused.has(host)) throw new NetrigError('NETRIG_FAULT', `${host} is paused already.`);
    const { groups } = power.running(host);
    // Said before it is done: whoever looks meanwhile must not wait for an answer.
    paused.set(host, groups);
    if (!(await freezeHost(groups, freezeMs))) {
      paused.delete(host);
      throw new NetrigError('NETRIG_FAULT', `${host} could not be paused: not all of its processes stand still.`);
    }
    return {
      heal: async () => {
        // A host that lost its power meanwhile has other groups by now, which nobody paused.
        if (paused.get(host) !== groups) return;
        thawHost(groups);
        paused.delete(host);
      },
    };
  }

  return {
    plant,
    has: (host: string): boolean => paused.has(host),
    /** It lost its power: what starts again runs. */
    forget: (host: string): void => void paused.delete(host),
  };
}

async function plantKill({ host, process }: Extract<Fault, { kind: 'kill' }>, power: HostPower): Promise<PlantedFault> {
  const { pid1, groups } = power.running(host);
  if ((await killByName(pid1, groups, process)) === 0)
    throw new NetrigError('NETRIG_FAULT', `No process on ${host} has the command name ${process}.`);
  return { heal: async () => undefined };
}

export interface LocalFaults extends LabFaults {
  /** Makes a host anew, whatever state it is in; faults on its wires stay. Rejects with NETRIG_FAULT, or the reason of `signal`. */
  reset(host: string, signal: AbortSignal): Promise<void>;
}

type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** One change at a time: each begins where the one before ended. */
function oneAtATime(): InTurn {
  let queue: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };
}

/** The faults on the wires of a lab, as one state. */
function wiresOf(site: FaultSite, inTurn: InTurn) {
  const isThere = (host: string): boolean => !site.isOff(host);
  let wires: readonly WireFault[] = [];
  let state = noFaults;

  async function lead(to: WireState, what: string): Promise<void> {
    const from = state;
    const sameRules = from.rules.join('\n') === to.rules.join('\n');
    const why =
      (await changeWires(site, wireFaultLines(site.plan, from, to, isThere))) ??
      (sameRules ? null : await changeTable(site, to)) ??
      (await changeQueues(site, queueChanges(from, to, isThere)));
    if (why === null) {
      state = to;
      return;
    }
    await changeWires(site, wireFaultLines(site.plan, to, from, isThere), true);
    if (!sameRules) await changeTable(site, from);
    await changeQueues(site, queueChanges(to, from, isThere), true);
    throw new NetrigError('NETRIG_FAULT', `${what}: ${why.split('\n')[0]}.`);
  }

  async function setWires(next: readonly WireFault[], what: string): Promise<void> {
    await lead(wireState(site.plan, next), what);
    wires = next;
  }

  return {
    async plant(fault: WireFault): Promise<PlantedFault> {
      await inTurn(() => setWires([...wires, fault], `The fault "${faultText(fault)}" could not be put in`));
      return {
        heal: () =>
          inTurn(async () => {
            const rest = wires.filter((one) => one !== fault);
            if (rest.length < wires.length) await setWires(rest, `The fault "${faultText(fault)}" could not be healed`);
          }),
      };
    },
    /** A host that was started has new ports: what is in on their wires is put in again. */
    async putInAgain(host: string): Promise<void> {
      const isThis = (name: string): boolean => name === host;
      const lines = wireFaultLines(site.plan, { ...noFaults, bridges: state.bridges }, state, isThis);
      const why = (await changeWires(site, lines)) ?? (await changeQueues(site, queueChanges(noFaults, state, isThis)));
      if (why !== null)
        throw new NetrigError('NETRIG_FAULT', `The faults on the wires of ${host} could not be put in again: ${why}.`);
    },
  };
}

/** The faults of a lab of this provider: those on the wire, and at the power of its hosts. */
export function localFaults(site: FaultSite): LocalFaults {
  const inTurn = oneAtATime();
  const wires = wiresOf(site, inTurn);
  const pauses = pausedHosts();

  async function cutPower(host: string, power: HostPower): Promise<void> {
    // First: a network namespace may outlive the processes of its host for a moment, and would go on answering.
    await changeWires(site, goneLines(site.plan, host), true);
    await power.off(host);
    pauses.forget(host);
  }

  async function startAgain(host: string, power: HostPower, signal: AbortSignal): Promise<void> {
    await power.on(host, signal);
    await wires.putInAgain(host);
  }

  async function plantPowerCut(host: string, power: HostPower): Promise<PlantedFault> {
    await inTurn(() => cutPower(host, power));
    return {
      heal: (signal) =>
        inTurn(async () => {
          if (site.isOff(host)) await startAgain(host, power, signal);
        }),
    };
  }

  async function plantAtHost(fault: HostFault, power: HostPower): Promise<PlantedFault> {
    if (site.isOff(fault.host)) throw new NetrigError('NETRIG_FAULT', `${fault.host} is powered off already.`);
    if (fault.kind === 'poweroff') return plantPowerCut(fault.host, power);
    if (fault.kind === 'pause') return inTurn(() => pauses.plant(fault.host, power));
    if (fault.kind === 'clock') throw new NetrigError('NETRIG_INTERNAL', 'A host has no clock of its own.');
    return plantKill(fault, power);
  }

  return {
    reset: (host, signal) =>
      inTurn(async () => {
        const { power } = site;
        if (power === null) throw new NetrigError('NETRIG_FAULT', 'Another process holds the lab.');
        if (!site.isOff(host)) await cutPower(host, power);
        power.wipe(host);
        await startAgain(host, power, signal);
      }),
    isOff: site.isOff,
    isPaused: pauses.has,
    lacks: (fault) => lacks(site, fault),
    plant: async (fault) => {
      if (!isHostFault(fault)) return wires.plant(fault);
      if (site.power === null) throw new NetrigError('NETRIG_FAULT', 'Another process holds the lab.');
      return plantAtHost(fault, site.power);
    },
  };
}

/** What keeps a host from being started again, as the error of its fault, with the last words of its console. */
export function notStarted(host: string, error: unknown, console: string): NetrigError {
  const last = console === '' ? 'Its console is empty.' : `The end of its console:\n${console}`;
  return new NetrigError(
    'NETRIG_FAULT',
    `${host} was powered off and does not start again: ${messageOf(error)}. ${last}`,
    { cause: error },
  );
}
