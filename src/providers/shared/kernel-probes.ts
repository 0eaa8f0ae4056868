import type { NamedCapability } from '../../model/capability.js';
import type { Capability } from '../provider.js';

interface KernelProbe {
  name: Extract<NamedCapability, `kernel:${string}`>;
  /** Shell commands, run in order in namespaces made for the purpose; the first that fails is what is missing. */
  commands: string[];
  /** What works when they do. */
  works: string;
  mend?: string;
}

const moduleMend = (module: string): string => `Load the kernel module \`${module}\`, or use a kernel that has it.`;

// v0 and v1 are the two ends of a veth pair that the veth probe makes; each probe after it leaves them as they were.
export const kernelProbes: readonly KernelProbe[] = [
  {
    name: 'kernel:overlayfs',
    commands: [
      'mount -t tmpfs tmpfs /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m',
      'mount -t overlay overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m && echo x >/mnt/m/f && [ -s /mnt/u/f ]',
    ],
    works: 'a file written to an overlay on tmpfs is in its upper layer',
    mend: moduleMend('overlay'),
  },
  {
    name: 'kernel:veth',
    commands: ['ip link add v0 type veth peer name v1', 'ip link set v0 up', 'ip link set v1 up'],
    works: 'a veth pair comes up',
    mend: moduleMend('veth'),
  },
  {
    name: 'kernel:netem',
    commands: ['tc qdisc add dev v0 root netem delay 1ms', 'tc qdisc del dev v0 root'],
    works: 'delay, corruption and duplication can be put on a veth (netem)',
    mend: moduleMend('sch_netem'),
  },
  {
    name: 'kernel:tbf',
    commands: ['tc qdisc add dev v0 root tbf rate 1mbit burst 10kb latency 100ms', 'tc qdisc del dev v0 root'],
    works: 'what goes over a veth can be limited to a rate (tbf)',
    mend: moduleMend('sch_tbf'),
  },
  {
    name: 'kernel:bridge',
    commands: ['ip link add b0 type bridge', 'ip link set v1 master b0', 'ip link set b0 up', 'ip link delete b0'],
    works: 'a bridge takes a port',
    mend: moduleMend('bridge'),
  },
  {
    name: 'kernel:vxlan',
    commands: [
      'ip link add x0 type vxlan id 42 dstport 4789 local 127.0.0.1',
      'ip link set x0 up',
      'ip link delete x0',
    ],
    works: 'a VXLAN interface comes up',
    mend: moduleMend('vxlan'),
  },
  {
    name: 'kernel:macvlan',
    commands: ['ip link add m0 link v0 type macvlan mode bridge', 'ip link set m0 up', 'ip link delete m0'],
    works: 'a macvlan interface on a veth comes up',
    mend: moduleMend('macvlan'),
  },
  {
    name: 'kernel:ipvlan',
    commands: ['ip link add i0 link v0 type ipvlan mode l2', 'ip link set i0 up', 'ip link delete i0'],
    works: 'an ipvlan interface on a veth comes up',
    mend: moduleMend('ipvlan'),
  },
  {
    name: 'kernel:8021q',
    commands: ['ip link add v0.10 link v0 type vlan id 10', 'ip link set v0.10 up', 'ip link delete v0.10'],
    works: 'a VLAN interface on a veth comes up',
    mend: moduleMend('8021q'),
  },
  {
    name: 'kernel:dummy',
    commands: ['ip link add d0 type dummy', 'ip link delete d0'],
    works: 'a dummy interface can be made',
    mend: moduleMend('dummy'),
  },
  {
    name: 'kernel:tun',
    commands: [
      // Without root no device can be made; the machine's own may be there.
      'mount -t tmpfs tmpfs /mnt && mkdir /mnt/net',
      'mknod /mnt/net/tun c 10 200 2>/dev/null || { : >/mnt/net/tun && mount -o bind /dev/net/tun /mnt/net/tun; }',
      'mount --rbind /mnt /dev && ip tuntap add dev t0 mode tun && ip tuntap del dev t0 mode tun',
    ],
    works: 'a tun interface can be made',
    mend: moduleMend('tun'),
  },
  {
    name: 'kernel:openvswitch',
    commands: ['genl ctrl get name ovs_datapath >/dev/null'],
    works: 'the kernel has the netlink family of Open vSwitch datapaths',
    mend: moduleMend('openvswitch'),
  },
  {
    name: 'kernel:ip_vs',
    // IPVS has this file in each network namespace; a new one has no service, only the heading.
    commands: ['head -n 1 /proc/net/ip_vs >/dev/null'],
    works: 'IP virtual server answers in a new network namespace',
    mend: moduleMend('ip_vs'),
  },
  {
    name: 'kernel:esp',
    commands: [
      "ip xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 0x100 mode transport aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 64",
    ],
    works: 'an ESP security association with AES-GCM can be made, as encrypted overlay networks need',
    mend: 'Load the kernel modules `esp4` and `gcm`, or use a kernel that has them.',
  },
];

/** One script for all probes, for root in namespaces made for the purpose: a line `NAME have` or `NAME lacks WORDS` each. */
export function probeScript(probes = kernelProbes): string {
  const lines = ['echo "namespaces have"', 'ip link set lo up'];
  for (const probe of probes) {
    lines.push(
      `if seen=$({ ${probe.commands.join(' && ')}; } 2>&1); then echo "${probe.name} have"; else echo "${probe.name} lacks" $seen; fi`,
    );
  }
  return lines.join('\n');
}

/** What the script said, by probe. */
export function saidByProbes(output: string): Map<string, { have: boolean; words: string }> {
  return new Map(
    output.split('\n').flatMap((line) => {
      const match = /^(\S+) (have|lacks)(?: (.*))?$/.exec(line.trimEnd());
      return match?.[1] ? [[match[1], { have: match[2] === 'have', words: match[3] ?? '' }] as const] : [];
    }),
  );
}

/** The capabilities that the output of `probeScript` tells of; `stderr` is for a script that ended early. */
export function readProbes(output: string, stderr = ''): Capability[] {
  const said = saidByProbes(output);
  return kernelProbes.map((probe): Capability => {
    const answer = said.get(probe.name);
    if (answer?.have) return { name: probe.name, have: true, seen: `Tried: ${probe.works}.` };
    const words = answer
      ? answer.words || 'it failed without a word'
      : `the probe did not come that far: ${stderr.trim()}`;
    return {
      name: probe.name,
      have: false,
      seen: `Tried whether ${probe.works}: ${words}`,
      ...(probe.mend ? { mend: probe.mend } : {}),
    };
  });
}
