import { on } from './fault.js';
import type { Change, Family, Fault } from './fault.js';

const lab = `
scenario: faults-ovs
title: Namespaces of two hosts on bridges of Open vSwitch, which forward in user space and are joined by a wire
hosts:
  s1: { image: debian-12, engine: false }
  s2: { image: debian-12, engine: false }
segments:
  lan: { subnet: 10.5.0.0/24, hosts: { s1: 10.5.0.1, s2: 10.5.0.2 } }
  trunk: { subnet: 10.8.0.0/24, hosts: { s1: 10.8.0.1, s2: 10.8.0.2 } }
steps:
  - step: A bridge on both hosts, with the interface of the trunk
    on: [s1, s2]
    run: |
      systemctl start openvswitch-switch
      ip addr flush dev eth1
      ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 eth1
  - step: Namespaces in VLAN 10
    on: s1
    run: |
      for n in one two; do
        ip netns add $n; ip link add p$n type veth peer name eth0 netns $n; ip link set p$n up
        ip -n $n link set lo up; ip -n $n link set eth0 up; ovs-vsctl add-port br0 p$n tag=10
      done
      ip -n one addr add 10.6.0.1/24 dev eth0; ip -n two addr add 10.6.0.2/24 dev eth0
  - on: s2
    run: |
      ip netns add far; ip link add pfar type veth peer name eth0 netns far; ip link set pfar up
      ip -n far link set lo up; ip -n far link set eth0 up; ovs-vsctl add-port br0 pfar tag=10; ip -n far addr add 10.6.0.3/24 dev eth0
  - check: healthy
    ping: { from: s1/netns:one, to: 10.6.0.3 }
    within: 10s
`;

const near: Fault['check'] = ['ping', { from: 's1/netns:one', to: '10.6.0.2' }];
const far: Fault['check'] = ['ping', { from: 's1/netns:one', to: '10.6.0.3' }];
const vsctl = (host: string, bad: string, good: string): Change =>
  on(host, `ip -n one neigh flush all 2>/dev/null; ovs-vsctl ${bad}`, `ovs-vsctl ${good}; sleep 0.3`);

const faults: Fault[] = [
  {
    name: 'two ports are in different VLANs',
    ...vsctl('s1', 'set port ptwo tag=20', 'set port ptwo tag=10'),
    check: near,
    root: 'vlan-mismatch',
    says: /pone is in VLAN 10, ptwo in VLAN 20/,
  },
  {
    name: 'a namespace’s interface is no port of the bridge',
    ...vsctl('s1', 'del-port br0 ptwo', 'add-port br0 ptwo tag=10'),
    check: near,
    root: 'not-a-bridge-port',
    says: /ptwo of s1.*no port of bridge br0/,
  },
  {
    name: 'a namespace’s interface is in another bridge',
    ...vsctl(
      's1',
      'del-port br0 ptwo -- add-br br1 -- set bridge br1 datapath_type=netdev -- add-port br1 ptwo tag=10',
      'del-port br1 ptwo -- del-br br1 -- add-port br0 ptwo tag=10',
    ),
    check: near,
    root: 'not-a-bridge-port',
    says: /ptwo of s1.*no port of bridge br0 but of br1/,
  },
  {
    name: 'a flow drops',
    ...on(
      's1',
      'ovs-ofctl add-flow br0 priority=100,icmp,actions=drop',
      'ovs-ofctl --strict del-flows br0 priority=100,icmp',
    ),
    check: near,
    root: 'filtered',
    says: /s1 drops it: the flow `priority=100,icmp actions=drop` of bridge br0/,
  },
  {
    name: 'a flow on the far switch drops',
    ...on(
      's2',
      'ovs-ofctl add-flow br0 priority=100,icmp,actions=drop',
      'ovs-ofctl --strict del-flows br0 priority=100,icmp',
    ),
    check: far,
    root: 'filtered',
    says: /s2 drops it: the flow `priority=100,icmp actions=drop` of bridge br0/,
  },
  {
    name: 'the switch has no flows, and is not to do without',
    ...on(
      's1',
      'ovs-vsctl set-fail-mode br0 secure; ovs-ofctl del-flows br0',
      'ovs-vsctl del-fail-mode br0; ovs-ofctl add-flow br0 priority=0,actions=normal; sleep 0.3',
    ),
    check: near,
    root: 'filtered',
    says: /s1 .*bridge br0 has no flow/,
  },
  {
    name: 'the trunk does not carry the VLAN',
    ...vsctl('s1', 'set port eth1 trunks=30', 'clear port eth1 trunks'),
    check: far,
    root: 'vlan-mismatch',
    says: /pone is in VLAN 10, eth1 in VLANs 30 only/,
  },
  {
    name: 'the far namespace is in another VLAN',
    ...vsctl('s2', 'set port pfar tag=20', 'set port pfar tag=10'),
    check: far,
    root: 'vlan-mismatch',
    says: /pone of s1 is in VLAN 10, pfar of s2 in VLAN 20/,
  },
  {
    name: 'the switch does not run',
    ...on(
      's1',
      'ip -n one neigh flush all; kill $(cat /run/openvswitch/ovs-vswitchd.pid); sleep 0.3',
      'systemctl restart ovs-vswitchd openvswitch-switch; sleep 1',
    ),
    check: near,
    root: ['port-not-forwarding', 'link-down'],
    says: /Open vSwitch of s1 (?:is|does) not run/,
  },
  {
    name: 'a port is down',
    ...on('s1', 'ip link set ptwo down', 'ip link set ptwo up; sleep 0.3'),
    check: near,
    root: ['link-down', 'no-carrier'],
    says: /ptwo of s1 is down/,
  },
];

export const ovs: Family = { name: 'ovs', lab, needs: ['kernel:tun'], faults };
