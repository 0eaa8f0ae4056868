import { requireUplinkProgram } from '../shared/uplink.js';
import { readFileSync } from 'node:fs';
import { NetrigError } from '../../errors.js';
import { findHostImageRow } from '../../images/host-image.js';
import { outerIds } from '../../lab/outer-users.js';
import type { HostPlan, LabPlan } from '../../plan/lab-plan.js';
import { findProgram, runCommand } from '../shared/command.js';
import { vagrant, vagrantMissing } from './command.js';
import { tryKvm } from './kvm.js';
import { answers } from './libvirtd.js';
import { parseBoxes, parsePlugins } from './machine-readable.js';

/** What machines are made with. */
export interface Backend {
  provider: 'libvirt' | 'virtualbox';
  /** Whether processors are real (KVM, VirtualBox) or emulated by QEMU, which takes some ten times as long. */
  driver: 'kvm' | 'qemu';
  /** A libvirtd of netrig's own, for want of one that answers. */
  ownLibvirtd: boolean;
  /** What was seen of processors. */
  processor: string;
  /** How it was found, one sentence. */
  seen: string;
}

const pluginName = 'vagrant-libvirt';
const libvirtSockets = ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'];
const questionMs = 60_000;

/** Names of the environment's variables that decide. */
const providerVariable = 'NETRIG_VAGRANT_PROVIDER';
const boxVariable = 'NETRIG_VAGRANT_BOX';
const memoryVariable = 'NETRIG_VAGRANT_MEMORY';

const usualMemoryMiB = 640;
const leastMemoryMiB = 256;

/** MiB that each machine gets. Throws NETRIG_USAGE. */
export function memoryOfMachine(environment: NodeJS.ProcessEnv = process.env): number {
  const text = environment[memoryVariable];
  if (!text) return usualMemoryMiB;
  const memory = Number(text);
  if (Number.isInteger(memory) && memory >= leastMemoryMiB) return memory;
  throw new NetrigError(
    'NETRIG_USAGE',
    `${memoryVariable} is ${JSON.stringify(text)}; it must be a number of MiB, ${leastMemoryMiB} at least.`,
  );
}

/**
 * The box that was asked for instead of netrig's own: `NAME` for all host images, or `IMAGE=NAME,IMAGE=NAME`. `null` where
 * none was. Throws NETRIG_USAGE.
 */
export function givenBox(image: string, environment: NodeJS.ProcessEnv = process.env): string | null {
  const text = environment[boxVariable];
  if (!text) return null;
  let forAll: string | null = null;
  let found: string | null = null;
  for (const part of text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')) {
    const [first = '', second, ...more] = part.split('=');
    if (more.length > 0 || first === '' || second === '')
      throw new NetrigError(
        'NETRIG_USAGE',
        `${boxVariable} has ${JSON.stringify(part)}; it must be NAME, or IMAGE=NAME.`,
      );
    if (second === undefined) forAll = first;
    else if (!findHostImageRow(first))
      throw new NetrigError(
        'NETRIG_USAGE',
        `${boxVariable} names the host image ${JSON.stringify(first)}, which there is not.`,
      );
    else if (first === image) found = second;
  }
  return found ?? forAll;
}

async function virtualBoxVersion(): Promise<{ version: string } | { why: string }> {
  if (findProgram('VBoxManage') === null) return { why: 'VBoxManage is not on the path' };
  const result = await runCommand(['VBoxManage', '--version'], { timeoutMs: 10_000 });
  const version = /^(\d+\.\d+\S*)$/m.exec(result.stdout)?.[1];
  // Without its kernel module it writes a warning first, and its version all the same.
  if (
    result.exitCode !== 0 ||
    version === undefined ||
    /kernel module is not loaded|vboxdrv/i.test(result.stdout + result.stderr)
  ) {
    return { why: `VBoxManage --version says: ${(result.stderr || result.stdout).trim().split('\n')[0] ?? 'nothing'}` };
  }
  return { version };
}

async function libvirt(): Promise<Backend | { why: string; mend: string }> {
  const { stdout } = await vagrant(['plugin', 'list'], { doing: 'list its plugins', timeoutMs: questionMs });
  if (!parsePlugins(stdout).includes(pluginName))
    return {
      why: `Vagrant has no plugin ${pluginName}`,
      mend: `apt-get install vagrant-libvirt, or vagrant plugin install ${pluginName}`,
    };
  const kvm = await tryKvm();
  const driver = kvm.usable ? 'kvm' : 'qemu';
  const processor = `${driver === 'kvm' ? 'KVM' : 'emulated processors'}: ${kvm.seen}`;
  for (const path of libvirtSockets) {
    if (await answers(path))
      return {
        provider: 'libvirt',
        driver,
        ownLibvirtd: false,
        processor,
        seen: `Vagrant with libvirt; libvirtd answers at ${path}.`,
      };
  }
  if (process.getuid?.() !== 0 || outerIds() !== null)
    return {
      why: 'no libvirtd answers, and only root can start one in namespaces of its own',
      mend: 'start libvirtd and be in the group libvirt, or run as root',
    };
  const needed = {
    libvirtd: 'libvirt-daemon',
    'qemu-system-x86_64': 'qemu-system-x86',
    dnsmasq: 'dnsmasq-base',
    socat: 'socat',
    unshare: 'util-linux',
    setpriv: 'util-linux',
    nsenter: 'util-linux',
    ip: 'iproute2',
  };
  const missing = Object.entries(needed).filter(([program]) => findProgram(program) === null);
  if (missing.length > 0) {
    return {
      why: `no libvirtd answers, and for one of netrig's own ${missing.map(([program]) => program).join(', ')} is missing`,
      mend: `apt-get install ${[...new Set(missing.map(([, name]) => name))].join(' ')}`,
    };
  }
  return {
    provider: 'libvirt',
    driver,
    ownLibvirtd: true,
    processor,
    seen: 'Vagrant with libvirt; no libvirtd answers, so netrig starts one in namespaces of its own.',
  };
}

async function search(environment: NodeJS.ProcessEnv): Promise<Backend> {
  if (findProgram('vagrant') === null) throw vagrantMissing();
  const wanted = environment[providerVariable] || environment['VAGRANT_DEFAULT_PROVIDER'] || null;
  if (wanted !== null && wanted !== 'libvirt' && wanted !== 'virtualbox') {
    throw new NetrigError(
      'NETRIG_VAGRANT_PROVIDER',
      `Vagrant's provider ${JSON.stringify(wanted)} was asked for; netrig can use libvirt and virtualbox.`,
      { hint: `Set ${providerVariable} to one of them, or to nothing.` },
    );
  }
  const reasons: string[] = [];
  const mends: string[] = [];
  if (wanted !== 'virtualbox') {
    const found = await libvirt();
    if ('provider' in found) return found;
    reasons.push(`libvirt: ${found.why}`);
    mends.push(found.mend);
  }
  if (wanted !== 'libvirt') {
    const found = await virtualBoxVersion();
    if ('version' in found)
      return {
        provider: 'virtualbox',
        driver: 'kvm',
        ownLibvirtd: false,
        processor: 'VirtualBox has its own way to them',
        seen: `Vagrant with VirtualBox ${found.version}.`,
      };
    reasons.push(`VirtualBox: ${found.why}`);
  }
  throw new NetrigError(
    'NETRIG_VAGRANT_PROVIDER',
    `Vagrant has no hypervisor here that netrig can use. ${reasons.join('; ')}.`,
    mends.length > 0 ? { hint: `For libvirt: ${mends.join('; ')}.` } : {},
  );
}

let known: Promise<Backend> | undefined;

/**
 * What machines are made with here: NETRIG_VAGRANT_PROVIDER or VAGRANT_DEFAULT_PROVIDER decides, else libvirt comes before
 * VirtualBox. Asked once a process. Throws NETRIG_TOOL_MISSING and NETRIG_VAGRANT_PROVIDER.
 */
export function findBackend(): Promise<Backend> {
  known ??= search(process.env).catch((error: unknown) => {
    known = undefined;
    throw error;
  });
  return known;
}

/** KiB that programs can have without swapping; `null` where the system does not say. */
function availableKiB(): number | null {
  try {
    return (
      Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? Number.NaN) || null
    );
  } catch {
    return null;
  }
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** Slots of a virtual PC for network cards, less Vagrant's own: VirtualBox has eight. */
const mostInterfaces = 7;

function checkHost(host: HostPlan): void {
  if (!namePattern.test(host.name))
    throw new NetrigError('NETRIG_USAGE', `"${host.name}" can't be the name of a host.`, {
      hint: 'Use letters, digits, - and _.',
    });
  const interfaces = host.interfaces.length + (host.outside ? 1 : 0);
  if (interfaces > mostInterfaces) {
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `${host.name} has ${interfaces} interfaces${host.outside ? ' with its way to the outside' : ''}; a virtual machine has room for ${mostInterfaces} beside Vagrant's own.`,
      { hint: 'Use the local provider for this scenario.' },
    );
  }
}

/** Throws NETRIG_BOX_MISSING where images for which no box was named can't have one of netrig's own. */
export function requireBoxes(own: readonly string[], backend: Backend): void {
  if (backend.provider !== 'virtualbox' || own.length === 0) return;
  throw new NetrigError(
    'NETRIG_BOX_MISSING',
    `The boxes that netrig builds are for libvirt; for VirtualBox ${own.join(', ')} needs a box that exists.`,
    { hint: `Name one in ${boxVariable}: \`${own[0]}=NAME\`. docs/vagrant.md says what it must have.` },
  );
}

/** Throws NETRIG_CAPABILITY where a plan wants a host of somebody's root file system. */
function refuseRoots(plan: LabPlan): void {
  const host = plan.hosts.find(({ root }) => root);
  if (!host) return;
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `${host.root!.place}: ${host.name} is to be made of ${host.image}; a virtual machine boots a disk, and a root file system has neither kernel nor boot loader.`,
    {
      hint: `Run the scenario with \`--provider local\`, or make a box of that system, give the host an image of netrig's, and name the box in ${boxVariable}.`,
    },
  );
}

/** Throws NETRIG_CAPABILITY and NETRIG_TOOL_MISSING where a plan wants hosts with a way to the outside, and machines can't have it. */
function requireUplink(plan: LabPlan, backend: Backend): void {
  const host = plan.hosts.find(({ outside }) => outside);
  if (!host) return;
  if (!backend.ownLibvirtd)
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `${host.name} has \`outside: true\`, which machines get from netrig's own libvirtd only: ${backend.seen}`,
      {
        hint: 'Run the scenario with `--provider local`, or where no libvirtd runs; `outside: false` leaves it out.',
      },
    );
  requireUplinkProgram(plan);
}

/** Throws NETRIG_CAPABILITY where a host with packages is to stand on a box that is not netrig's. */
function requireOwnBoxes(plan: LabPlan): void {
  const host = plan.hosts.find(({ packages = [], image }) => packages.length > 0 && givenBox(image) !== null);
  if (!host) return;
  throw new NetrigError(
    'NETRIG_CAPABILITY',
    `${host.name} wants the packages ${host.packages!.join(' ')}, and its box ${givenBox(host.image)} is not netrig's: nobody knows which release and versions they would meet there.`,
    { hint: 'Leave NETRIG_VAGRANT_BOX empty for that image, or take a box that has them and leave `packages` out.' },
  );
}

/** See `Provider.preflight`; throws what `findBackend` does, too. */
export async function vagrantPreflight(plan: LabPlan): Promise<Backend> {
  requireOwnBoxes(plan);
  refuseRoots(plan);
  plan.hosts.forEach(checkHost);
  const memory = memoryOfMachine();
  const backend = await findBackend();
  requireUplink(plan, backend);
  const own = [...new Set(plan.hosts.map((host) => host.image))].filter((image) => givenBox(image) === null);
  requireBoxes(own, backend);
  const available = availableKiB();
  const needed = memory * plan.hosts.length;
  if (available !== null && available / 1024 < needed) {
    throw new NetrigError(
      'NETRIG_CAPABILITY',
      `${plan.hosts.length} virtual machines of ${memory} MiB each need ${needed} MiB of memory; this machine has ${Math.floor(available / 1024)} MiB left.`,
      { hint: `Take other labs down, or give each machine less by ${memoryVariable}.` },
    );
  }
  return backend;
}

/** Whether Vagrant has a box of that name for that provider. */
export async function hasBox(name: string, provider: Backend['provider'], version?: string): Promise<boolean> {
  const { stdout } = await vagrant(['box', 'list'], { doing: 'list its boxes', timeoutMs: questionMs });
  return parseBoxes(stdout).some(
    (box) => box.name === name && box.provider === provider && (version === undefined || box.version === version),
  );
}
