import { bgpCheck } from '../../src/checks/bgp.js';
import { ospfCheck } from '../../src/checks/ospf.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-12';
const router = (name: string, number: number) => ({
  ...lanHost(name, number, image, 'light', null),
  packages: ['frr'],
});
const plan = lanPlan('checks-routing', [
  router('node1', 11),
  router('node2', 12),
  lanHost('bare', 13, image, 'light', null),
]);

/** frr.conf of one of the two routers, whose AS is 65000 + N and whose loopback address is 10.255.0.N. */
const settings = (n: number, other: number): string => `interface eth0
 ip ospf hello-interval 1
 ip ospf dead-interval 3
router ospf
 network 10.10.10.0/24 area 0
 network 10.255.0.${n}/32 area 0
router bgp 6500${n}
 no bgp ebgp-requires-policy
 neighbor 10.10.10.1${other} remote-as 6500${other}
 neighbor 10.10.10.1${other} timers 1 3
 neighbor 10.10.10.1${other} timers connect 1
 neighbor 10.10.10.99 remote-as 65009
 address-family ipv4 unicast
  network 10.255.0.${n}/32
`;

describe('checks of routing daemons, on real hosts', function () {
  this.timeout(60_000);
  const { run, passes, fails, cannotKnow } = checkLab(plan, async () => {
    for (const [node, n, other] of [
      ['node1', 1, 2],
      ['node2', 2, 1],
    ] as const) {
      await run(
        node,
        `ip addr add 10.255.0.${n}/32 dev lo
         sed -i 's/^\\(ospfd\\|bgpd\\)=no/\\1=yes/' /etc/frr/daemons
         cat > /etc/frr/frr.conf <<'EOF'\n${settings(n, other)}EOF
         /usr/lib/frr/frrinit.sh start`,
      );
    }
    await run(
      'node1',
      `for i in $(seq 120); do
         vtysh -d ospfd -c 'show ip ospf neighbor json' | grep -q Full &&
         vtysh -d ospfd -c 'show ip ospf route json' | grep -q '"10.255.0.2/32"' &&
         vtysh -d bgpd -c 'show bgp ipv4 unicast json' | grep -q '"10.255.0.2/32"' && exit 0
         sleep 0.2
       done; exit 1`,
    );
  });

  describe('ospf', () => {
    it('passes', async () => {
      await passes(ospfCheck, { on: 'node1', neighbour: 'node2', expect: { state: 'Full', count: 1 } });
      await passes(ospfCheck, { on: 'node1', neighbour: '10.255.0.2', interface: 'eth0' });
      await passes(ospfCheck, {
        on: 'node1',
        route: '10.255.0.2/32',
        expect: { via: '10.10.10.12', dev: 'eth0', cost: 10, type: 'N', area: '0.0.0.0' },
      });
      await passes(ospfCheck, { on: 'node1', neighbour: 'bare', expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('absent', ospfCheck, { on: 'node1', neighbour: 'bare' });
      await fails('present', ospfCheck, { on: 'node1', neighbour: 'node2', expect: { absent: true } });
      await fails('wrong-value', ospfCheck, { on: 'node1', expect: { count: 2 } });
      await fails('absent', ospfCheck, { on: 'node1', route: '10.255.0.9/32' });
    });
    it('cannot know', async () => {
      await cannotKnow(/no usable vtysh/, ospfCheck, { on: 'bare', neighbour: 'node1' });
    });
  });

  describe('bgp', () => {
    it('passes', async () => {
      await passes(bgpCheck, { on: 'node1', neighbour: 'node2', expect: { as: 65_002, received: 1 } });
      await passes(bgpCheck, {
        on: 'node1',
        route: '10.255.0.2/32',
        expect: { via: ['10.10.10.12'], path: [65_002], from: '10.10.10.12', origin: 'IGP' },
      });
      await passes(bgpCheck, { on: 'node1', route: '10.255.0.9/32', expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('wrong-value', bgpCheck, { on: 'node1', neighbour: '10.10.10.99' });
      await fails('absent', bgpCheck, { on: 'node1', neighbour: 'bare' });
      await fails('wrong-value', bgpCheck, { on: 'node1', route: '10.255.0.2/32', expect: { path: [65_003] } });
    });
    it('asks an FRR that was started for a namespace', async () => {
      await run(
        'node1',
        `ip netns add blue
         install -d -o frr -g frr /etc/frr/blue /run/frr/blue
         touch /etc/frr/blue/vtysh.conf
         ip netns exec blue /usr/lib/frr/zebra -d -N blue -A 127.0.0.1
         ip netns exec blue /usr/lib/frr/bgpd -d -N blue -A 127.0.0.1
         for i in $(seq 50); do
           vtysh -N blue -d bgpd -c 'configure terminal' -c 'router bgp 65010' -c 'neighbor 10.10.10.98 remote-as 65008' && exit 0
           sleep 0.2
         done; exit 1`,
      );
      await passes(bgpCheck, {
        on: 'node1/netns:blue',
        neighbour: '10.10.10.98',
        expect: { as: 65_008, state: { not: 'Established' } },
      });
      await fails('absent', bgpCheck, { on: 'node1/netns:blue', neighbour: 'node2' });
    });
    it('cannot know of a daemon that is stopped what it lacks; what must be there is not', async () => {
      await run('node2', '/usr/lib/frr/frrinit.sh stop');
      await cannotKnow(/bgpd does not run on node2/, bgpCheck, {
        on: 'node2',
        route: '10.255.0.9/32',
        expect: { absent: true },
      });
      await fails('absent', ospfCheck, { on: 'node2', neighbour: 'node1' });
    });
  });
});
