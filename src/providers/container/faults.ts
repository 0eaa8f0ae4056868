import type Docker from 'dockerode';
import { messageOf, NetrigError } from '../../errors.js';
import { faultText, type Fault } from '../../model/fault.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { quoteArg } from '../../ssh/quote.js';
import type { LabFaults, PlantedFault } from '../provider.js';
import { toolsPlace } from '../shared/tools-place.js';
import { ask, changeMs, type EngineEndpoint } from './engine.js';
import { execIn } from './host.js';
import { ownPrograms } from './own-programs.js';
import type { SegmentNetworks } from './segments.js';
import {
  forwardingLines,
  type ForwardingRow,
  type Tunnel,
  type TunnelFault,
  tunnelsOf,
  tunnelState,
} from './tunnel-faults.js';

/**
 * Faults of hosts as containers, as far as an engine can do them from wherever it is: what the tunnels pass on, set in the host's
 * own network namespace, where its root could see and undo it; processes, by the engine's freezer.
 */
export interface ContainerFaultSite {
  plan: LabPlan;
  endpoint: EngineEndpoint;
  engine: Docker;
  networks: SegmentNetworks;
  /** The id of a host's container. */
  container(host: string): string;
  /** Whether netrig's programs are in a place of their own there. */
  hasTools(host: string): boolean;
}

const isTunnelFault = (fault: Fault): fault is TunnelFault => fault.kind === 'cut' || fault.kind === 'partition';

/** An address that no container has: the first of the network is the engine's for a gateway, which there is none of. */
function nobodyIn(ends: ReadonlyMap<string, string>): string {
  const [any = '198.18.0.2'] = ends.values();
  return any.replace(/\.\d+$/, '.1');
}

/** A static busybox in the host's container, also where its root file system is somebody's. */
const busyboxOf = (site: ContainerFaultSite, host: string): string =>
  `${site.hasTools(host) ? toolsPlace : ''}/bin/busybox`;

async function must(site: ContainerFaultSite, host: string, script: string): Promise<string> {
  const argv = [busyboxOf(site, host), 'sh', '-c', `${ownPrograms}\n${script}`];
  const result = await execIn(site.endpoint, site.engine, site.container(host), argv, changeMs);
  if (result.exitCode === 0) return result.stdout;
  throw new Error(`${host}: ${result.stderr.trim().split('\n')[0] || `exit status ${result.exitCode}`}`);
}

/** What is led to nobody, by host and interface. */
type Sunk = Map<string, Map<string, string>>;

/** Makes one tunnel what the faults make of it. */
async function leadTunnel(
  site: ContainerFaultSite,
  tunnel: Tunnel,
  faults: readonly TunnelFault[],
  sunk: Sunk,
): Promise<void> {
  const { host, device, segment } = tunnel;
  const network = site.networks.get(segment);
  if (!network) throw new Error(`${segment} is no network of the engine`);
  const state = tunnelState(site.plan, tunnel, faults);
  const key = `${host} ${device}`;
  const own = sunk.get(key) ?? new Map<string, string>();
  sunk.set(key, own);
  const rows = JSON.parse(
    await must(site, host, `$at/sbin/bridge -json fdb show dev ${quoteArg(device)}`),
  ) as ForwardingRow[];
  const ends = { of: network.ends, nobody: nobodyIn(network.ends) };
  const before = new Map(own);
  const lines = forwardingLines(site.plan, tunnel, rows, state, ends, own);
  try {
    await must(
      site,
      host,
      [
        'set -e',
        `$at/bin/ip link set dev ${quoteArg(device)} protodown ${state.carrier ? 'off' : 'on'}`,
        settled(device, state.carrier),
        ...(lines.length > 0 ? ["$at/sbin/bridge -batch - <<'END'", ...lines, 'END'] : []),
      ].join('\n'),
    );
  } catch (error) {
    sunk.set(key, before);
    throw error;
  }
}

/**
 * Shell text that waits until the kernel has carried a change of the carrier out, which it does up to a second later (its
 * linkwatch): until then packets get through. A device that its host has set down comes up by that host alone.
 */
function settled(device: string, carrier: boolean): string {
  const [off, on] = carrier ? ['false', 'true'] : ['true', 'false'];
  return `tries=0
until case "$($at/bin/ip -br link show dev ${quoteArg(device)})" in *' DOWN '*,UP*) ${off} ;; *' DOWN '*) : ;; *) ${on} ;; esac; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo 'the state of ${device} does not follow' >&2; exit 1; }
  sleep 0.05
done`;
}

/** Hosts whose processes the engine has frozen. */
function pausedHosts(site: ContainerFaultSite) {
  const paused = new Set<string>();
  const change = async (host: string, what: 'pause' | 'unpause'): Promise<void> => {
    const container = site.engine.getContainer(site.container(host));
    await ask(site.endpoint, `${what} ${host}`, changeMs, container[what]() as Promise<unknown>);
  };
  return {
    has: (host: string): boolean => paused.has(host),
    async plant(host: string): Promise<PlantedFault> {
      if (paused.has(host)) throw new NetrigError('NETRIG_FAULT', `${host} is paused already.`);
      // Said before it is done: whoever looks meanwhile must not wait for an answer.
      paused.add(host);
      await change(host, 'pause').catch((error: unknown) => {
        paused.delete(host);
        throw new NetrigError('NETRIG_FAULT', `${host} could not be paused: ${messageOf(error)}`, { cause: error });
      });
      return {
        heal: async () => {
          if (!paused.has(host)) return;
          await change(host, 'unpause');
          paused.delete(host);
        },
      };
    },
  };
}

/** Ends the processes of a command name, also those of the host's own containers. The host's PID 1 is not hit by a signal from within. */
async function kill(site: ContainerFaultSite, host: string, process: string): Promise<PlantedFault> {
  const argv = [busyboxOf(site, host), 'killall', '-KILL', process];
  const { exitCode } = await execIn(site.endpoint, site.engine, site.container(host), argv, changeMs);
  if (exitCode !== 0) throw new NetrigError('NETRIG_FAULT', `No process on ${host} has the command name ${process}.`);
  return { heal: async () => undefined };
}

/** The faults of a lab of containers. */
export function containerFaults(site: ContainerFaultSite): LabFaults {
  let wires: readonly TunnelFault[] = [];
  const sunk: Sunk = new Map();
  const pauses = pausedHosts(site);
  // One change at a time: each begins where the one before ended.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };

  /** A host that stands still takes no change: it gets it when it goes on. */
  const reachable = (segment: string): Tunnel[] =>
    tunnelsOf(site.plan).filter((tunnel) => tunnel.segment === segment && !pauses.has(tunnel.host));

  async function lead(segment: string, next: readonly TunnelFault[], what: string): Promise<void> {
    const change = (faults: readonly TunnelFault[]): Promise<PromiseSettledResult<void>[]> =>
      Promise.allSettled(reachable(segment).map((tunnel) => leadTunnel(site, tunnel, faults, sunk)));
    const failed = (await change(next)).find((one) => one.status === 'rejected');
    if (failed) {
      await change(wires);
      throw new NetrigError('NETRIG_FAULT', `${what}: ${messageOf(failed.reason)}.`);
    }
    wires = next;
  }

  async function plantWire(fault: TunnelFault): Promise<PlantedFault> {
    const what = faultText(fault);
    const still = fault.kind === 'cut' && fault.as === 'carrier' ? fault.hosts.find(pauses.has) : undefined;
    if (still !== undefined)
      throw new NetrigError(
        'NETRIG_FAULT',
        `The fault "${what}" could not be put in: ${still} is paused, and the engine changes nothing of what stands still.`,
        { hint: 'Cut it off first, or `as: silence`.' },
      );
    await inTurn(() => lead(fault.segment, [...wires, fault], `The fault "${what}" could not be put in`));
    return {
      heal: () =>
        inTurn(async () => {
          const rest = wires.filter((one) => one !== fault);
          if (rest.length < wires.length) await lead(fault.segment, rest, `The fault "${what}" could not be healed`);
        }),
    };
  }

  /** What changed on the wires while it stood still is made up for. */
  async function plantPause(host: string): Promise<PlantedFault> {
    const planted = await inTurn(() => pauses.plant(host));
    return {
      heal: (signal) =>
        inTurn(async () => {
          if (!pauses.has(host)) return;
          await planted.heal(signal);
          for (const tunnel of tunnelsOf(site.plan))
            if (tunnel.host === host) await leadTunnel(site, tunnel, wires, sunk);
        }),
    };
  }

  async function lacks(fault: Fault): Promise<string | null> {
    if (fault.kind === 'pause' || fault.kind === 'kill' || fault.kind === 'partition') return null;
    if (fault.kind !== 'cut') return `the container provider does not do that (${fault.kind})`;
    if (fault.as === 'silence') return null;
    // Where one is without a carrier already, it can be done.
    const tunnel = wires.some((one) => one.kind === 'cut' && one.as === 'carrier') ? null : reachable(fault.segment)[0];
    if (!tunnel) return null;
    return must(site, tunnel.host, `$at/bin/ip link set dev ${quoteArg(tunnel.device)} protodown off`).then(
      () => null,
      (error: unknown) =>
        `the kernel of the engine takes no carrier from a tunnel (tried: ${messageOf(error)}); \`as: silence\` can be had`,
    );
  }

  return {
    isOff: () => false,
    isPaused: pauses.has,
    lacks,
    plant: async (fault) => {
      if (isTunnelFault(fault)) return plantWire(fault);
      if (fault.kind === 'pause') return plantPause(fault.host);
      if (fault.kind === 'kill') return kill(site, fault.host, fault.process);
      throw new NetrigError('NETRIG_INTERNAL', `The container provider does not do ${fault.kind}.`);
    },
  };
}
