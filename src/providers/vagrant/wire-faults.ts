import { messageOf, NetrigError } from '../../errors.js';
import { faultText, type WireFault } from '../../model/fault.js';
import type { LabPlan } from '../../plan/lab-plan.js';
import { noFaults, wireState, type WireState } from '../local/wire-faults.js';
import { bridgeLine, portName } from '../local/segments.js';
import type { PlantedFault } from '../provider.js';
import { runCommand } from '../shared/command.js';
import { enterArguments } from './libvirtd.js';
import type { Machines } from './machines.js';
import { endOfCard, type Link } from './uplink.js';

/**
 * Cables of virtual machines, where netrig's own libvirtd has them: its end of a card is a port of the segment's bridge, which can
 * be taken off it or put on another; and the hypervisor can tell the guest that its card has no carrier. As on the local provider,
 * the state follows from the faults that are in.
 */

const commandMs = 30_000;

export type CableFault = Extract<WireFault, { kind: 'cut' | 'partition' }>;

/** One card of a machine. */
interface Card {
  /** What the local provider would call its port: by it the state of faults knows it. */
  port: string;
  machine: string;
  mac: string;
  /** libvirt's end of it, and the bridge that it is on while nothing is wrong. */
  end: string;
  bridge: string;
}

export interface Cables {
  /** Makes the cables what these faults make of them. Rejects with an Error that has the words of what failed; then they are as before. */
  set(faults: readonly CableFault[]): Promise<void>;
}

/** The lines for `ip -batch` that lead the ends of cards from one state to another, and the cards whose carrier changes. */
export function cableChanges(
  cards: readonly Card[],
  from: WireState,
  to: WireState,
): { lines: string[]; carriers: { card: Card; up: boolean }[] } {
  const lines = [...to.bridges].flatMap(([name, segment]) =>
    from.bridges.has(name) ? [] : [bridgeLine(name, segment)],
  );
  const carriers: { card: Card; up: boolean }[] = [];
  for (const card of cards) {
    const [before, after] = [from.ports.get(card.port), to.ports.get(card.port)];
    if (!before && !after) continue;
    // What is no bridge of a part is what the local provider would call the segment's own.
    const own = after === undefined || (after.master !== null && !to.bridges.has(after.master));
    const master = own ? card.bridge : after.master;
    lines.push(`link set dev ${card.end} ${master === null ? 'nomaster' : `master ${master}`}`);
    const [wasUp, isUp] = [before?.up ?? true, after?.up ?? true];
    if (wasUp !== isUp) carriers.push({ card, up: isUp });
  }
  for (const name of from.bridges.keys()) if (!to.bridges.has(name)) lines.push(`link delete dev ${name}`);
  return { lines, carriers };
}

/** The cables of a lab's machines; `null` where they are not in netrig's hands. */
export function cablesOf(plan: LabPlan, machines: Machines): Cables | null {
  const { libvirtd, directory } = machines;
  if (!libvirtd) return null;
  let state = noFaults;
  let cards: Promise<Card[]> | undefined;

  async function run(argv: readonly string[], stdin = ''): Promise<string> {
    const [program, ...words] = enterArguments(libvirtd!, directory);
    const result = await runCommand([program, ...words, ...argv], { stdin, timeoutMs: commandMs });
    if (result.exitCode === 0) return result.stdout;
    throw new Error(result.stderr.trim().split('\n')[0] || `${argv[0]} ended with ${result.exitCode}`);
  }

  /** Asked before the first fault, when each end is on its bridge. */
  async function findCards(): Promise<Card[]> {
    const links = JSON.parse(await run(['ip', '-json', 'link', 'show'])) as Link[];
    return plan.hosts.flatMap((host, index) =>
      host.interfaces.map((nic, card): Card => {
        const machine = machines.plan.machines[index]!;
        const { mac } = machine.interfaces[card]!;
        const end = endOfCard(links, mac);
        if (!end?.master) throw new Error(`the card of ${host.name} on ${nic.segment} is on no bridge`);
        const port = portName(index, host.name, nic.name);
        return { port, machine: machine.name, mac, end: end.ifname, bridge: end.master };
      }),
    );
  }

  async function change(
    { lines, carriers }: ReturnType<typeof cableChanges>,
    options: readonly string[] = [],
  ): Promise<void> {
    if (lines.length > 0) await run(['ip', ...options, '-batch', '-'], `${lines.join('\n')}\n`);
    for (const { card, up } of carriers)
      await run([
        ...['virsh', '--connect', 'qemu:///system', '--quiet', 'domif-setlink'],
        ...[card.machine, card.mac, up ? 'up' : 'down'],
      ]);
  }

  return {
    async set(faults) {
      const to = wireState(plan, faults);
      cards ??= findCards();
      cards.catch(() => (cards = undefined));
      const all = await cards;
      try {
        await change(cableChanges(all, state, to));
      } catch (error) {
        await change(cableChanges(all, to, state), ['-force']).catch(() => undefined);
        throw error;
      }
      state = to;
    },
  };
}

/** Puts cable faults in and takes them out again, one at a time: each begins where the one before ended. */
export function cableFaults(cables: Cables): (fault: CableFault) => Promise<PlantedFault> {
  let faults: readonly CableFault[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  const change = (next: () => readonly CableFault[], failed: string): Promise<void> => {
    const result = turn.then(async () => {
      const wanted = next();
      if (wanted === faults) return;
      await cables.set(wanted).catch((error: unknown) => {
        throw new NetrigError('NETRIG_FAULT', `${failed}: ${messageOf(error)}.`, { cause: error });
      });
      faults = wanted;
    });
    turn = result.catch(() => undefined);
    return result;
  };
  return async (fault) => {
    const what = faultText(fault);
    await change(() => [...faults, fault], `The fault "${what}" could not be put in`);
    const rest = (): readonly CableFault[] => (faults.includes(fault) ? faults.filter((one) => one !== fault) : faults);
    return { heal: () => change(rest, `The fault "${what}" could not be healed`) };
  };
}
