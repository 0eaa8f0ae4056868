/**
 * What a machine, an image or an engine can do or lacks: the names that providers find (`netrig doctor`) and that a scenario's
 * `requires` may ask for, each with what is there where it is had.
 */
export const capabilityMeanings = {
  'kernel:overlayfs': 'An overlay file system on tmpfs.',
  'kernel:veth': 'veth pairs.',
  'kernel:netem': 'netem: delay, loss, corruption and duplication on a link.',
  'kernel:tbf': 'tbf: a rate that a link is limited to.',
  'kernel:bridge': 'Bridges.',
  'kernel:vxlan': 'VXLAN interfaces.',
  'kernel:macvlan': 'macvlan interfaces.',
  'kernel:ipvlan': 'ipvlan interfaces.',
  'kernel:8021q': 'VLAN interfaces.',
  'kernel:dummy': 'dummy interfaces.',
  'kernel:tun': 'tun interfaces.',
  'kernel:openvswitch': 'Open vSwitch’s datapath in the kernel.',
  'kernel:ip_vs': 'IPVS, the kernel’s load balancer.',
  'kernel:esp': 'IPsec ESP with AES-GCM, as encrypted overlay networks need.',
  namespaces: 'Namespaces can be made.',
  root: 'netrig is root, or has what it needs without.',
  chroot: 'netrig runs in a chroot that labs can be made in.',
  'subordinate-ids': 'The user has enough subordinate user and group ids.',
  'user-namespaces': 'Users may make user namespaces.',
  'delegated-cgroup2': 'The user’s own part of cgroup2: systemd in hosts, and limits, without root.',
  cgroups: 'cgroups can be made.',
  cgroup2: 'cgroup2 is there, which images with systemd 257 or later need.',
  isolation: 'Root in a host is an unprivileged user of the machine.',
  inotify: 'Enough inotify instances are left.',
  neighbours: 'The machine’s neighbour table is large enough for large labs.',
  outside: 'Hosts can have a way to the outside.',
  'tool:unshare': 'The program.',
  'tool:nsenter': 'The program.',
  'tool:setpriv': 'The program.',
  'tool:mount': 'The program.',
  'tool:perl': 'The program.',
  'tool:cp': 'The program.',
  'tool:du': 'The program.',
  'tool:ip': 'The program.',
  'tool:mmdebstrap': 'The program.',
  'tool:newuidmap': 'The program, and `newgidmap`.',
  engine: 'A Docker engine answers.',
  vagrant: 'Vagrant.',
  hypervisor: 'A hypervisor that Vagrant can use.',
  kvm: 'Virtual machines run on KVM, not on emulated processors.',
  snapshots: 'Labs of one run share machines.',
  inventory: 'An inventory of machines was named.',
} as const satisfies Record<string, string>;

export type NamedCapability = keyof typeof capabilityMeanings;
export const namedCapabilities = Object.keys(capabilityMeanings) as NamedCapability[];

/** `machine:NAME`: the machine of that name in the inventory answers. */
export type CapabilityName = NamedCapability | `machine:${string}`;

export function isCapabilityName(text: string): text is CapabilityName {
  return Object.hasOwn(capabilityMeanings, text) || /^machine:[A-Za-z0-9_.-]+$/.test(text);
}
