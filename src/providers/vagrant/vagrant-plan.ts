import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { LabPlan } from '../../plan/lab-plan.js';

/** What `vagrant/Vagrantfile` reads: the machines as Vagrant is to make them. JSON. */
export interface VagrantPlan {
  bootTimeoutSeconds: number;
  /** The user and keys of netrig's own boxes; other boxes say themselves. */
  sshUser?: string;
  sshKeys?: string[];
  machines: VagrantMachine[];
  libvirt: {
    uri: string;
    driver: 'kvm' | 'qemu';
    poolName?: string;
    poolPath?: string;
    managementNetwork?: string;
    managementSubnet?: string;
    managementMode?: string;
  };
}

export interface VagrantMachine {
  /** `netrig-ID-m1`, …, unique on this machine, as Vagrant locks machines by name. Not the host's name, for the machine may be another lab's host next. */
  name: string;
  box: string;
  boxVersion?: string;
  memoryMiB: number;
  cpus: number;
  /** Absolute path of the file that gets what the machine writes to its serial line. */
  console: string;
  interfaces: VagrantInterface[];
}

export interface VagrantInterface {
  /** The isolated network of the segment. */
  network: string;
  /** Vagrant wants one for its books; no interface gets it. */
  bookAddress: string;
  /** The card's own address, by which it is found in the guest; the plan's is set there. */
  mac: string;
  mtu?: number;
}

/** Which machines can serve a lab: labs of the same shape can use the same machines, one after another. */
export interface LabShape {
  hosts: {
    image: string;
    engine: boolean;
    segments: number[];
    /** It has one card more, whose network is its own and has nothing else in it than the way to the outside. */
    outside?: true;
  }[];
  /** Of each segment, only where frames are larger than a bridge takes by itself. */
  mtus: (number | null)[];
}

const usualMtu = 1500;

export function shapeOf(plan: LabPlan): LabShape {
  const number = (segment: string): number => plan.segments.findIndex((one) => one.name === segment);
  return {
    hosts: plan.hosts.map((host) => ({
      image: host.image,
      engine: host.engine,
      segments: host.interfaces.map((nic) => number(nic.segment)),
      ...(host.outside ? { outside: true as const } : {}),
    })),
    mtus: plan.segments.map((segment) => (segment.mtu !== null && segment.mtu > usualMtu ? segment.mtu : null)),
  };
}

export interface MachineSettings {
  directory: string;
  /** Unique on this machine: it begins the names of machines and networks. */
  prefix: string;
  bootTimeoutMs: number;
  memoryMiB: number;
  boxes: ReadonlyMap<string, { box: string; version?: string }>;
  ssh?: { user: string; keys: string[] };
  libvirt: VagrantPlan['libvirt'];
}

/** A locally administered address (the second bit of the first byte), the same for the same place. */
function cardAddress(prefix: string, machine: number, card: number): string {
  const digest = createHash('sha256').update(`${prefix}/${machine}/${card}`).digest();
  return ['52', '54', '00', digest[0], digest[1], digest[2]]
    .map((byte) => (typeof byte === 'number' ? byte.toString(16).padStart(2, '0') : byte))
    .join(':');
}

/**
 * The network of Vagrant's own cards on a libvirtd that was there: isolated (libvirt's own mode of that name), where the one that
 * Vagrant would take leads out. `seed`: any whole number, so that two sets of machines seldom try the same one first; `taken`: the
 * addresses of this machine.
 */
export function managementNetwork(
  prefix: string,
  seed: number,
  taken: readonly string[],
): Required<Pick<VagrantPlan['libvirt'], 'managementNetwork' | 'managementSubnet' | 'managementMode'>> {
  const count = 127;
  const networks = Array.from({ length: count }, (_, at) => `198.19.${128 + ((seed + at) % count)}.`);
  const free = networks.find((network) => !taken.some((address) => address.startsWith(network))) ?? networks[0]!;
  return { managementNetwork: `${prefix}way`, managementSubnet: `${free}0/24`, managementMode: 'none' };
}

/** The machines for labs of one shape. Pure. */
export function vagrantPlan(shape: LabShape, settings: MachineSettings): VagrantPlan {
  const { prefix } = settings;
  return {
    bootTimeoutSeconds: Math.ceil(settings.bootTimeoutMs / 1000),
    ...(settings.ssh ? { sshUser: settings.ssh.user, sshKeys: settings.ssh.keys } : {}),
    machines: shape.hosts.map((host, index): VagrantMachine => {
      const name = `${prefix}m${index + 1}`;
      const box = settings.boxes.get(host.image);
      if (!box) throw new RangeError(`no box for the image ${host.image}`);
      return {
        name,
        box: box.box,
        ...(box.version === undefined ? {} : { boxVersion: box.version }),
        memoryMiB: settings.memoryMiB,
        cpus: 1,
        console: join(settings.directory, `m${index + 1}.console`),
        interfaces: [
          ...host.segments.map((segment, card): VagrantInterface => {
            const mtu = shape.mtus[segment];
            return {
              network: `${prefix}s${segment + 1}`,
              // 198.18.0.0/15 is for measuring devices (RFC 2544): nobody's network has it.
              bookAddress: `198.18.${segment + 1}.${index + 11}`,
              mac: cardAddress(prefix, index, card),
              ...(mtu === null || mtu === undefined ? {} : { mtu }),
            };
          }),
          ...(host.outside
            ? [
                {
                  network: `${prefix}u${index + 1}`,
                  bookAddress: `198.19.${index + 1}.11`,
                  mac: cardAddress(prefix, index, host.segments.length),
                },
              ]
            : []),
        ],
      };
    }),
    libvirt: settings.libvirt,
  };
}
