import { messageOf, NetrigError } from '../../errors.js';
import { faultText, isHostFault, type Fault, type WireFault } from '../../model/fault.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { quoteArg } from '../../ssh/quote.js';
import type { HostConnection } from '../../ssh/ssh.js';
import type { LabFaults, PlantedFault } from '../provider.js';
import { queueLines } from '../shared/queue-lines.js';
import { type CableFault, cableFaults, type Cables } from './wire-faults.js';

/**
 * Faults of virtual machines. Cables are cut and segments parted outside of them (wire-faults.ts). What a machine's own kernel can
 * do is done there: what comes in by a card goes through an `ifb` device first, whose queue delays, corrupts, duplicates and slows
 * down; each machine has a clock of its own; processes are killed over SSH. Root of the machine could see and undo that, other
 * than on the local provider.
 */

type Connect = (host: string, signal: AbortSignal) => Promise<HostConnection>;

const commandMs = 60_000;
/** A fault is put in whole, whatever becomes of the run meanwhile; its heal takes it out again. */
const never = new AbortController().signal;

const queued = new Set<string>(['delay', 'jitter', 'corrupt', 'duplicate', 'rate']);
type QueuedFault = Extract<WireFault, { hosts: readonly string[] }>;
const isQueued = (fault: Fault): fault is QueuedFault => queued.has(fault.kind);

const isCable = (fault: Fault): fault is CableFault => fault.kind === 'cut' || fault.kind === 'partition';

/** What ends the processes of a command name, as the kernel knows it: 15 characters of it. Exported for tests. */
export const killScript = (process: string): string =>
  `pkill -KILL -x -- ${quoteArg(literal(process.slice(0, 15)))} || { echo "no process has that command name" >&2; exit 1; }`;

/** As a regular expression for `pkill -x`, which takes no other. */
const literal = (text: string): string => text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');

/** The device behind a card. */
const deviceName = (index: number): string => `netrig-in${index}`;

const modules = 'modprobe -a ifb sch_ingress cls_matchall act_mirred sch_netem sch_tbf 2>/dev/null || true';

/** In a network namespace of its own, which goes with it. */
const trial = `${modules}
exec unshare --net sh -ec ${quoteArg(`ip link add v0 type veth peer name v1
ip link add i0 type ifb
ip link set dev i0 up
tc qdisc add dev i0 root handle 1: netem delay 1ms
tc qdisc add dev i0 parent 1:1 handle 2: tbf rate 1mbit burst 10kb latency 100ms
tc qdisc add dev v0 ingress
tc filter add dev v0 ingress matchall action mirred egress redirect dev i0`)}`;

/** What leads the cards of a host from whatever faults were in to these. Exported for tests. */
export function cardScript(host: HostPlan, faults: readonly WireFault[]): string {
  const lines = ['set -e', modules];
  host.interfaces.forEach((nic, index) => {
    const device = deviceName(index);
    const card = quoteArg(nic.name);
    lines.push(
      `if [ -e /sys/class/net/${device} ]; then tc qdisc delete dev ${card} ingress || true; ip link delete dev ${device}; fi`,
    );
    const here = faults.filter(
      (fault) => isQueued(fault) && fault.segment === nic.segment && fault.hosts.includes(host.name),
    );
    const queue = queueLines(device, here);
    if (queue.length === 0) return;
    lines.push(
      `ip link add name ${device} type ifb`,
      `ip link set dev ${device} up`,
      "tc -batch - <<'END'",
      ...queue,
      'END',
      `tc qdisc add dev ${card} ingress`,
      `tc filter add dev ${card} ingress matchall action mirred egress redirect dev ${device}`,
    );
  });
  return lines.join('\n');
}

/** What sets a clock forward by so many ms, or back. Exported for tests. */
export const clockScript = (byMs: number): string =>
  `date -u -s "@$(awk -v now="$(date +%s.%N)" 'BEGIN { printf "%.3f", now + ${(byMs / 1000).toFixed(3)} }')" >/dev/null`;

/** Why a script failed on a host; `null`: it did not. */
async function failureOf(connect: Connect, host: string, script: string, signal = never): Promise<string | null> {
  try {
    const connection = await connect(host, signal);
    try {
      const { exitCode, stderr } = await connection.exec(script, { timeoutMs: commandMs, signal });
      return exitCode === 0 ? null : (stderr.trim().split('\n')[0] ?? '') || `exit status ${exitCode}`;
    } finally {
      await connection.end();
    }
  } catch (error) {
    return messageOf(error);
  }
}

async function plantKill(connect: Connect, { host, process }: Extract<Fault, { kind: 'kill' }>): Promise<PlantedFault> {
  const why = await failureOf(connect, host, killScript(process));
  if (why !== null) throw new NetrigError('NETRIG_FAULT', `${process} on ${host} could not be killed: ${why}.`);
  return { heal: async () => undefined };
}

/** The faults of a lab of virtual machines. `cables`: `null` where they are not in netrig's hands. */
export function guestFaults(plan: LabPlan, connect: Connect, cables: Cables | null = null): LabFaults {
  const plantCable = cables === null ? null : cableFaults(cables);
  let wires: readonly WireFault[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };
  const planOf = (name: string): HostPlan => plan.hosts.find((host) => host.name === name)!;

  async function lead(hosts: readonly string[], next: readonly WireFault[], what: string): Promise<void> {
    const change = (to: readonly WireFault[]) =>
      Promise.all(hosts.map((host) => failureOf(connect, host, cardScript(planOf(host), to))));
    const why = (await change(next)).find((one) => one !== null);
    if (why !== undefined) {
      await change(wires);
      throw new NetrigError('NETRIG_FAULT', `${what}: ${why}.`);
    }
    wires = next;
  }

  async function plantQueued(fault: QueuedFault): Promise<PlantedFault> {
    const what = faultText(fault);
    await inTurn(() => lead(fault.hosts, [...wires, fault], `The fault "${what}" could not be put in`));
    return {
      heal: () =>
        inTurn(async () => {
          const rest = wires.filter((one) => one !== fault);
          if (rest.length < wires.length) await lead(fault.hosts, rest, `The fault "${what}" could not be healed`);
        }),
    };
  }

  async function plantClock(host: string, byMs: number): Promise<PlantedFault> {
    const set = async (ms: number): Promise<void> => {
      const why = await failureOf(connect, host, clockScript(ms));
      if (why !== null) throw new NetrigError('NETRIG_FAULT', `The clock of ${host} could not be set: ${why}.`);
    };
    await inTurn(() => set(byMs));
    let isIn = true;
    return {
      heal: () =>
        inTurn(async () => {
          if (isIn) await set(-byMs);
          isIn = false;
        }),
    };
  }

  async function lacks(fault: Fault): Promise<string | null> {
    if (fault.kind === 'clock' || fault.kind === 'kill') return null;
    if (isCable(fault))
      return cables === null ? 'the cables of machines are in netrig’s hands only with a libvirtd of its own' : null;
    if (!isQueued(fault)) return `the vagrant provider does not do that (${fault.kind})`;
    const said = await Promise.all(
      fault.hosts.map(async (host) => {
        const why = await failureOf(connect, host, trial);
        return why === null ? [] : [`the kernel of ${host} cannot do it (tried: ${why})`];
      }),
    );
    return said.flat()[0] ?? null;
  }

  return {
    isOff: () => false,
    lacks,
    plant: async (fault) => {
      if (isQueued(fault)) return plantQueued(fault);
      if (isCable(fault) && plantCable !== null) return plantCable(fault);
      if (fault.kind === 'kill') return plantKill(connect, fault);
      if (isHostFault(fault) && fault.kind === 'clock') return plantClock(fault.host, fault.byMs);
      throw new NetrigError('NETRIG_INTERNAL', `The vagrant provider does not do ${fault.kind}.`);
    },
  };
}
