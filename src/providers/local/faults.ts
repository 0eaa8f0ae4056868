import { messageOf, NetrigError } from '../../errors.js';
import type { WireFault } from '../../model/fault.js';
import { faultText } from '../../model/fault.js';
import type { ProcessIdentity } from '../../lab/process.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import type { LabFaults, PlantedFault } from '../provider.js';
import { findProgram, runCommand } from '../shared/command.js';
import { goneLines, lossTable, noFaults, wireFaultLines, wireState, type WireState } from './wire-faults.js';

/** Starts and ends hosts of a lab; only where this process holds it. */
export interface HostPower {
  /** Resolves once nothing of the host is left but its disk. Rejects with NETRIG_FAULT. */
  off(host: string): Promise<void>;
  /** Resolves once the host answers SSH. Rejects with NETRIG_FAULT, or the reason of `signal`. */
  on(host: string, signal: AbortSignal): Promise<void>;
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

/** The faults of a lab of this provider: those on the wire as one state, and hosts that are off. */
export function localFaults(site: FaultSite): LabFaults {
  const isThere = (host: string): boolean => !site.isOff(host);
  let wires: readonly WireFault[] = [];
  let state = noFaults;
  // One change at a time: each begins where the one before ended.
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };

  async function lead(to: WireState, what: string): Promise<void> {
    const from = state;
    const sameRules = from.rules.join('\n') === to.rules.join('\n');
    const why =
      (await changeWires(site, wireFaultLines(site.plan, from, to, isThere))) ??
      (sameRules ? null : await changeTable(site, to));
    if (why === null) {
      state = to;
      return;
    }
    await changeWires(site, wireFaultLines(site.plan, to, from, isThere), true);
    if (!sameRules) await changeTable(site, from);
    throw new NetrigError('NETRIG_FAULT', `${what}: ${why.split('\n')[0]}.`);
  }

  async function setWires(next: readonly WireFault[], what: string): Promise<void> {
    await lead(wireState(site.plan, next), what);
    wires = next;
  }

  async function plantWire(fault: WireFault): Promise<PlantedFault> {
    await inTurn(() => setWires([...wires, fault], `The fault "${faultText(fault)}" could not be put in`));
    return {
      heal: () =>
        inTurn(async () => {
          const rest = wires.filter((one) => one !== fault);
          if (rest.length < wires.length) await setWires(rest, `The fault "${faultText(fault)}" could not be healed`);
        }),
    };
  }

  /** Its ports are new ones: what is in on their wires is put in again. */
  async function startAgain(host: string, power: HostPower, signal: AbortSignal): Promise<void> {
    await power.on(host, signal);
    const lines = wireFaultLines(site.plan, { ...noFaults, bridges: state.bridges }, state, (name) => name === host);
    const why = await changeWires(site, lines);
    if (why !== null)
      throw new NetrigError('NETRIG_FAULT', `The faults on the wires of ${host} could not be put in again: ${why}.`);
  }

  async function plantPowerCut(host: string, power: HostPower): Promise<PlantedFault> {
    if (site.isOff(host)) throw new NetrigError('NETRIG_FAULT', `${host} is powered off already.`);
    await inTurn(async () => {
      // First: a network namespace may outlive the processes of its host for a moment, and would go on answering.
      await changeWires(site, goneLines(site.plan, host), true);
      await power.off(host);
    });
    return {
      heal: (signal) =>
        inTurn(async () => {
          if (site.isOff(host)) await startAgain(host, power, signal);
        }),
    };
  }

  return {
    isOff: site.isOff,
    lacks: async (fault) =>
      fault.kind === 'poweroff' && site.power === null
        ? 'a host of a lab that another process holds (`--keep-on-fail`, `netrig up`) cannot be started again'
        : null,
    plant: async (fault) => {
      if (fault.kind !== 'poweroff') return plantWire(fault);
      if (site.power === null) throw new NetrigError('NETRIG_FAULT', 'Another process holds the lab.');
      return plantPowerCut(fault.host, site.power);
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
