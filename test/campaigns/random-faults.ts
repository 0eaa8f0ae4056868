import YAML from 'yaml';

/**
 * Labs in which faults are put in at random, one a round, with what must be true while each is in and once it is healed. What is to be
 * expected is worked out here, from the wires of the lab alone, and not by netrig's own code.
 */

/** Whose numbers follow from a seed alone. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32, by Tommy Ettinger (public domain).
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface FaultLab {
  /** Everything above `steps`, and the steps that make the network. */
  text: string;
  /** Hosts on each segment. */
  wires: Record<string, string[]>;
  /** Hosts that pass packets on from one segment to another. */
  routers: string[];
  /** Hosts that may lose their power. */
  mayLosePower: string[];
  /** Pairs that are asked, by host, with the place on it to probe from and to. */
  pairs: { hosts: [string, string]; from: string; to: string }[];
  /** How long the network may take to settle, after a fault and after it is healed. */
  settles: { broken: string; healed: string };
  /** A step that is taken once a host has its power back; it stands in `on`. */
  afterPower?: { run: string };
  /** What else must be true once all is healed. */
  whole: object[];
}

interface Broken {
  spec: Record<string, unknown>;
  /** Whether a host's link to a segment carries anything, and to which part of it. */
  part(host: string, segment: string): string | null;
  off: string | null;
}

const pick = <T>(random: () => number, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;

function someOf(random: () => number, hosts: readonly string[]): string[] {
  const chosen = hosts.filter(() => random() < 0.5);
  return chosen.length === 0 || chosen.length === hosts.length ? [pick(random, hosts)] : chosen;
}

function anyFault(random: () => number, lab: FaultLab): Broken {
  const kinds = ['carrier', 'silence', 'partition', 'loss', ...(lab.mayLosePower.length > 0 ? ['poweroff'] : [])];
  const kind = pick(random, kinds);
  if (kind === 'poweroff') {
    const off = pick(random, lab.mayLosePower);
    return { spec: { poweroff: off }, part: (host, segment) => (host === off ? null : segment), off };
  }
  const segment = pick(random, Object.keys(lab.wires));
  const hosts = someOf(random, lab.wires[segment]!);
  const hit = (host: string, where: string): boolean => where === segment && hosts.includes(host);
  if (kind === 'partition')
    return {
      spec: { partition: { segment, groups: [hosts] } },
      part: (host, where) => (hit(host, where) ? `${where} apart` : where),
      off: null,
    };
  const spec = kind === 'loss' ? { loss: { segment, hosts, percent: 100 } } : { cut: { segment, hosts, as: kind } };
  return { spec, part: (host, where) => (hit(host, where) ? null : where), off: null };
}

/** Whether there is a way from one host to another, by routers only in between. */
function isWay(lab: FaultLab, broken: Broken, from: string, to: string): boolean {
  const reached = new Set([from]);
  for (const host of reached) {
    if (host !== from && !lab.routers.includes(host)) continue;
    for (const [segment, hosts] of Object.entries(lab.wires)) {
      const part = hosts.includes(host) ? broken.part(host, segment) : null;
      if (part === null) continue;
      for (const other of hosts) if (broken.part(other, segment) === part) reached.add(other);
    }
  }
  return reached.has(to);
}

const noWay = ['timeout', 'host-unreachable', 'net-unreachable', 'no-route'];

function roundItems(random: () => number, lab: FaultLab, round: number): object[] {
  const broken = anyFault(random, lab);
  const asked = lab.pairs.filter(({ hosts }) => broken.off === null || !hosts.includes(broken.off));
  return [
    { step: `${round}: something breaks`, fault: broken.spec },
    ...asked.map(({ hosts, from, to }) => {
      const way = isWay(lab, broken, ...hosts);
      return {
        check: `${round}: ${from} ${way ? 'finds a way' : 'has no way'} to ${to}`,
        ping: { from, to, ...(way ? {} : { expect: { fails: noWay } }) },
        within: lab.settles.broken,
      };
    }),
    { step: `${round}: it is healed`, heal: 'all' },
    ...(broken.off !== null && lab.afterPower
      ? [{ step: `${round}: ${broken.off} is looked after`, on: broken.off, ...lab.afterPower, timeout: '90s' }]
      : []),
    ...lab.pairs.map(({ from, to }) => ({
      check: `${round}: ${from} reaches ${to} again`,
      ping: { from, to },
      within: lab.settles.healed,
    })),
    ...lab.whole.map((item) => ({ ...item, check: `${round}: ${(item as { check: string }).check}` })),
  ];
}

/** A scenario of so many rounds. The same seed gives the same rounds. */
export function randomFaults(lab: FaultLab, { rounds, seed }: { rounds: number; seed: number }): string {
  const random = randomOf(seed);
  const items = Array.from({ length: rounds }, (_, at) => roundItems(random, lab, at + 1)).flat();
  const text = YAML.stringify(items, { lineWidth: 0 });
  return `${lab.text}${text.replace(/^/gm, '  ').trimEnd()}\n`;
}

/** Three routers in a triangle, a host behind two of them. */
export const ospfLab: FaultLab = {
  text: `scenario: random-faults-ospf
title: Faults at random in a triangle of OSPF
hosts:
  r1: { packages: [frr], engine: false, sysctls: { net.ipv4.ip_forward: 1 } }
  r2: { packages: [frr], engine: false, sysctls: { net.ipv4.ip_forward: 1 } }
  r3: { packages: [frr], engine: false, sysctls: { net.ipv4.ip_forward: 1 } }
  alice: { init: light, routes: [{ to: default, via: 10.1.0.1 }] }
  bob: { init: light, routes: [{ to: default, via: 10.3.0.1 }] }
segments:
  office1: { subnet: 10.1.0.0/24, hosts: { r1: 10.1.0.1, alice: 10.1.0.10 } }
  office3: { subnet: 10.3.0.0/24, hosts: { r3: 10.3.0.1, bob: 10.3.0.10 } }
  link12: { subnet: 10.0.12.0/24, hosts: { r1: 10.0.12.1, r2: 10.0.12.2 } }
  link13: { subnet: 10.0.13.0/24, hosts: { r1: 10.0.13.1, r3: 10.0.13.3 } }
  link23: { subnet: 10.0.23.0/24, hosts: { r2: 10.0.23.2, r3: 10.0.23.3 } }
steps:
  - on: [r1, r2, r3]
    run: |
      sed -i 's/^ospfd=no/ospfd=yes/' /etc/frr/daemons
      for nic in eth0 eth1 eth2; do
        printf 'interface %s\\n ip ospf hello-interval 1\\n ip ospf dead-interval 3\\n ip ospf network point-to-point\\n' $nic
      done >/etc/frr/frr.conf
      printf 'router ospf\\n ospf router-id %s\\n network 10.0.0.0/8 area 0\\n' "$(ip -4 -o addr show dev eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/')" >>/etc/frr/frr.conf
      systemctl restart frr
  - check: the offices reach each other
    ping: { from: alice, to: bob }
    within: 60s
`,
  wires: {
    office1: ['r1', 'alice'],
    office3: ['r3', 'bob'],
    link12: ['r1', 'r2'],
    link13: ['r1', 'r3'],
    link23: ['r2', 'r3'],
  },
  routers: ['r1', 'r2', 'r3'],
  mayLosePower: ['r1', 'r2', 'r3', 'bob'],
  pairs: [
    { hosts: ['alice', 'bob'], from: 'alice', to: 'bob' },
    { hosts: ['r2', 'bob'], from: 'r2', to: 'bob' },
  ],
  settles: { broken: '30s', healed: '60s' },
  whole: [
    {
      check: 'r1 has both neighbours',
      ospf: { on: 'r1', expect: { count: 2, state: 'Full' } },
      within: '60s',
    },
  ],
};

/** A network of a swarm over three engines. */
export const overlayLab: FaultLab = {
  text: `scenario: random-faults-overlay
title: Faults at random under an overlay network
hosts: { node1: , node2: , node3: }
segments:
  lan: { subnet: 10.9.0.0/24, hosts: { node1: 10.9.0.1, node2: 10.9.0.2, node3: 10.9.0.3 } }
steps:
  - on: node1
    run: docker swarm init --advertise-addr 10.9.0.1 >/dev/null && docker swarm join-token -q worker
    save: token
  - on: [node2, node3]
    run: docker swarm join --token \${token} 10.9.0.1:2377
  - on: node1
    run: docker network create -d overlay --attachable net1
  - on: [node1, node2, node3]
    run: docker run -dit --restart always --name box --network net1 busybox
  - check: the containers reach each other
    reach: { groups: { boxes: [node1/box, node2/box, node3/box] } }
    within: 60s
`,
  wires: { lan: ['node1', 'node2', 'node3'] },
  routers: [],
  mayLosePower: ['node3'],
  // After a power cut the engine tries a container once; where its swarm is not ready by then, the container stays down.
  afterPower: {
    run: 'for try in $(seq 60); do docker start box >/dev/null 2>&1 && exit 0; sleep 1; done; docker start box',
  },
  pairs: [
    { hosts: ['node1', 'node2'], from: 'node1/box', to: 'node2/box' },
    { hosts: ['node2', 'node3'], from: 'node2/box', to: 'node3/box' },
  ],
  settles: { broken: '30s', healed: '60s' },
  whole: [],
};
