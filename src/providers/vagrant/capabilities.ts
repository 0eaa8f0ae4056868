import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../errors.js';
import { findBox } from '../../images/box.js';
import { connect } from '../../ssh/connection.js';
import type { Capability, CapabilityOptions } from '../provider.js';
import { kernelProbes, readProbes } from '../shared/kernel-probes.js';
import { findProgram } from '../shared/command.js';
import { type Backend, findBackend, givenBox, hasBox, memoryOfMachine, requireBoxes } from './backend.js';
import { guestProbes } from './guest.js';
import { bringMachines, endMachines, leastBootMs, type Machines, machineTarget } from './machines.js';
import { machinesDirectory } from './machines-record.js';
import { makeDirectorySync } from '../../model/directory.js';

const probeMs = 120_000;
const probeImage = 'debian-12';

/** What was found out about a box's kernel is kept: the box's name has the key of its content in it, and its kernel does not change. */
function keptProbes(box: string): string {
  return join(dirname(machinesDirectory()), 'probes', `${box.replace(/[^A-Za-z0-9._-]/g, '-')}.txt`);
}

async function boxNameOf(image: string): Promise<string | null> {
  return givenBox(image) ?? (await findBox(image))?.boxName ?? null;
}

/** Whether a machine of the image can be booted with nothing built or added first. */
async function hasBoxOf(image: string, backend: Backend): Promise<boolean> {
  const given = givenBox(image);
  if (given !== null) return hasBox(given, backend.provider);
  const own = await findBox(image);
  return own !== null && hasBox(own.boxName, backend.provider, own.version);
}

/** Tries on a machine what its kernel can do, and keeps the answer. */
async function probeMachine(machines: Machines, index: number, box: string): Promise<string> {
  const connection = await connect(machineTarget(machines, index, machines.plan.machines[index]?.name ?? ''), {
    readyTimeoutMs: probeMs,
  });
  try {
    const result = await connection.exec(guestProbes(), { timeoutMs: probeMs });
    const file = keptProbes(box);
    makeDirectorySync(dirname(file), 0o700);
    if (/^namespaces have$/m.test(result.stdout)) writeFileSync(file, result.stdout);
    return result.stdout;
  } finally {
    await connection.end();
  }
}

function keptAnswer(box: string | null): string | null {
  if (box === null) return null;
  try {
    return readFileSync(keptProbes(box), 'utf8');
  } catch {
    return null;
  }
}

/** One machine of the image that labs have by default, booted for the purpose. */
async function probeNewMachine(
  backend: Backend,
  { signal, progress = () => undefined }: CapabilityOptions,
): Promise<string> {
  const quiet = (): void => undefined;
  progress(`trying in a virtual machine what the kernel of ${probeImage} can do; this is done once for each box`);
  const machines = await bringMachines(
    { hosts: [{ image: probeImage, engine: false, segments: [] }], mtus: [] },
    backend,
    {
      signal: signal ?? AbortSignal.timeout(60 * 60_000),
      hostNames: ['probe'],
      bootTimeoutMs: leastBootMs[backend.driver],
      progress,
      booting: quiet,
      booted: quiet,
      image: quiet,
    },
  );
  try {
    return await probeMachine(machines, 0, machines.plan.machines[0]?.box ?? '');
  } finally {
    await endMachines(machines);
  }
}

/**
 * See `Provider.capabilities`. What the guests' kernel can do is tried in a machine; the answer for a box is kept, so that it
 * is booted for this once at most. Where there is no box yet, one is built first, as for a lab; with `onlyLook`, it is said that
 * there is none.
 *
 * Rejects with what `findBackend` and `bringMachines` throw, for a machine that did not boot says nothing of its kernel; with
 * `onlyLook` that is among the answers.
 */
export async function vagrantCapabilities(options: CapabilityOptions = {}): Promise<Capability[]> {
  const { onlyLook = false } = options;
  const untried = (why: string): Capability[] =>
    kernelProbes.map((probe) => ({ name: probe.name, have: false, seen: `Not tried: ${why}` }));
  const program = findProgram('vagrant');
  const tool: Capability = {
    name: 'vagrant',
    have: program !== null,
    seen: program === null ? '`vagrant` is not on the path.' : `Vagrant is at ${program}.`,
    ...(program === null
      ? { mend: 'apt-get install vagrant vagrant-libvirt libvirt-daemon-system qemu-system-x86' }
      : {}),
  };
  let backend: Backend;
  try {
    backend = await findBackend();
  } catch (error) {
    if (!onlyLook) throw error;
    const why = messageOf(error);
    const mend = error instanceof Error && 'hint' in error ? String(error.hint) : '';
    return [
      tool,
      { name: 'hypervisor', have: false, seen: why, ...(mend === '' ? {} : { mend }) },
      ...untried('there is no hypervisor.'),
    ];
  }
  const found: Capability[] = [
    tool,
    { name: 'hypervisor', have: true, seen: backend.seen },
    {
      name: 'kvm',
      have: backend.driver === 'kvm',
      seen: `Of processors: ${backend.processor}.`,
      ...(backend.driver === 'kvm'
        ? {}
        : {
            mend: 'Enable virtualisation (inside of a virtual machine, nested virtualisation) and let this user at /dev/kvm; without, all takes about ten times as long.',
          }),
    },
    {
      name: 'snapshots',
      have: true,
      seen: `Labs of one run share machines, each lab from a snapshot; a machine has ${memoryOfMachine()} MiB.`,
    },
  ];
  try {
    requireBoxes(givenBox(probeImage) === null ? [probeImage] : [], backend);
    const kept = keptAnswer(await boxNameOf(probeImage));
    if (kept !== null) return [...found, ...readProbes(kept)];
    if (onlyLook && !(await hasBoxOf(probeImage, backend)))
      return [...found, ...untried('Vagrant has no box yet to try it in; the first lab makes one.')];
    return [...found, ...readProbes(await probeNewMachine(backend, options))];
  } catch (error) {
    if (!onlyLook) throw error;
    return [...found, ...untried(messageOf(error))];
  }
}
