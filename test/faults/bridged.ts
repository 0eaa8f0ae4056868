import { more } from './bridged-more.js';
import type { Family, Fault } from './fault.js';

const lab = `
scenario: faults-bridged
title: Namespaces on bridges by hand, and a VXLAN tunnel between two hosts
hosts:
  a: { init: light, image: debian-12 }
  b: { init: light, image: debian-12 }
segments:
  wire: { subnet: 10.5.0.0/24, hosts: { a: 10.5.0.1, b: 10.5.0.2 } }
steps:
  - step: A bridge and two namespaces on a
    on: a
    run: |
      ip link add br0 type bridge && ip link set br0 up
      for n in one two; do
        ip netns add $n; ip link add v$n type veth peer name eth0 netns $n
        ip link set v$n master br0 up; ip -n $n link set lo up; ip -n $n link set eth0 up
      done
      ip -n one addr add 10.6.0.1/24 dev eth0; ip -n two addr add 10.6.0.2/24 dev eth0
  - step: A VXLAN tunnel, with a namespace behind a bridge at both ends
    on: a
    run: |
      ip link add vx0 type vxlan id 42 dstport 4789 local 10.5.0.1 dev eth0 && ip link add brx type bridge
      bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.2
      ip link set vx0 master brx up; ip link set brx up
      ip netns add far; ip link add vfar type veth peer name eth0 netns far; ip link set vfar master brx up
      ip -n far link set lo up; ip -n far link set eth0 up; ip -n far addr add 10.7.0.1/24 dev eth0
  - on: b
    run: |
      ip link add vx0 type vxlan id 42 dstport 4789 local 10.5.0.2 dev eth0 && ip link add brx type bridge
      bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.1
      ip link set vx0 master brx up; ip link set brx up
      ip netns add far; ip link add vfar type veth peer name eth0 netns far; ip link set vfar master brx up
      ip -n far link set lo up; ip -n far link set eth0 up; ip -n far addr add 10.7.0.2/24 dev eth0
  - check: healthy
    ping: { from: a, to: b }
`;

const onBridge: Fault['check'] = ['ping', { from: 'a/netns:one', to: '10.6.0.2' }];
const throughTunnel: Fault['check'] = ['ping', { from: 'a/netns:far', to: '10.7.0.2' }];

const faults: Fault[] = [
  {
    name: 'a port of a bridge is down',
    plant: { a: 'ip link set vtwo down' },
    mend: { a: 'ip link set vtwo up; sleep 0.2' },
    check: onBridge,
    root: 'link-down',
    says: /vtwo of a is down/,
  },
  {
    name: 'a namespace’s interface is down',
    plant: { a: 'ip -n two link set eth0 down' },
    mend: { a: 'ip -n two link set eth0 up; sleep 0.2' },
    check: onBridge,
    root: 'link-down',
    says: /eth0 of a\/netns:two is down/,
  },
  {
    name: 'a veth is no port of the bridge',
    plant: { a: 'ip link set vtwo nomaster' },
    mend: { a: 'ip link set vtwo master br0; sleep 0.2' },
    check: onBridge,
    root: 'not-a-bridge-port',
    says: /vtwo of a.*no port of bridge br0/,
  },
  {
    name: 'the sender’s veth is no port of the bridge',
    plant: { a: 'ip link set vone nomaster' },
    mend: { a: 'ip link set vone master br0; sleep 0.2' },
    check: onBridge,
    root: 'not-a-bridge-port',
    says: /vone of a.*no port of/,
  },
  {
    name: 'a port is blocked',
    plant: {
      a: 'ip link set br0 type bridge stp_state 1; ip link set vtwo nomaster; ip link set vtwo master br0; sleep 0.2',
    },
    mend: {
      a: 'ip link set br0 type bridge stp_state 0; ip link set vtwo nomaster; ip link set vtwo master br0; sleep 0.2',
    },
    check: onBridge,
    root: 'port-not-forwarding',
    says: /port v(?:one|two) of bridge br0 on a does not forward: its state is/,
  },
  {
    name: 'the bridge is down',
    plant: { a: 'ip link set br0 down' },
    mend: { a: 'ip link set br0 up; sleep 0.2' },
    check: onBridge,
    root: 'link-down',
    says: /bridge br0 of a is down/,
  },
  {
    name: 'the address is missing in the namespace',
    plant: { a: 'ip -n two addr del 10.6.0.2/24 dev eth0; ip -n one neigh flush all' },
    mend: { a: 'ip -n two addr add 10.6.0.2/24 dev eth0' },
    check: onBridge,
    root: 'address-missing',
    says: /10\.6\.0\.2/,
  },
  {
    name: 'a static forwarding entry leads to another port',
    plant: {
      a: 'm=$(ip -n two -o link show eth0 | grep -o "ether [^ ]*" | cut -d" " -f2); bridge fdb replace $m dev vone master sticky static',
    },
    mend: {
      a: 'm=$(ip -n two -o link show eth0 | grep -o "ether [^ ]*" | cut -d" " -f2); bridge fdb del $m dev vone master',
    },
    check: onBridge,
    root: 'neighbour-wrong',
    says: /forwarding database of bridge br0 on a/,
  },
  {
    name: 'a bridge rule of nftables drops',
    plant: {
      a: 'nft add table bridge wall; nft "add chain bridge wall onward { type filter hook forward priority 0; }"; nft add rule bridge wall onward icmp type echo-request drop',
    },
    mend: { a: 'nft delete table bridge wall' },
    check: onBridge,
    root: 'filtered',
    says: /a drops it: rule 1 of chain onward \(bridge wall\)/,
  },
  {
    name: 'the tunnel’s VNI differs',
    plant: {
      b: 'ip link del vx0; ip link add vx0 type vxlan id 43 dstport 4789 local 10.5.0.2 dev eth0; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.1; ip link set vx0 master brx up',
    },
    mend: {
      b: 'ip link del vx0; ip link add vx0 type vxlan id 42 dstport 4789 local 10.5.0.2 dev eth0; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.1; ip link set vx0 master brx up',
    },
    check: throughTunnel,
    root: 'tunnel-mismatch',
    says: /VNI 42.*vx0 has VNI 43/,
  },
  {
    name: 'the tunnel’s port differs',
    plant: {
      b: 'ip link del vx0; ip link add vx0 type vxlan id 42 dstport 8472 local 10.5.0.2 dev eth0; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.1; ip link set vx0 master brx up',
    },
    mend: {
      b: 'ip link del vx0; ip link add vx0 type vxlan id 42 dstport 4789 local 10.5.0.2 dev eth0; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.1; ip link set vx0 master brx up',
    },
    check: throughTunnel,
    root: 'tunnel-mismatch',
    says: /port 4789.*port 8472/,
  },
  {
    name: 'the tunnel has no remote',
    plant: {
      a: 'ip link set vx0 type vxlan nolearning; bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.5.0.2; ip link set vx0 down; ip link set vx0 up; sleep 0.3; for m in $(bridge fdb show dev vx0 | grep dst | cut -d" " -f1); do bridge fdb del $m dev vx0; done; ip -n far neigh flush all',
    },
    mend: { a: 'ip link set vx0 type vxlan learning; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.2' },
    check: throughTunnel,
    root: 'tunnel-mismatch',
    says: /vx0 of a/,
  },
  {
    name: 'the tunnel’s remote is nobody',
    plant: {
      a: 'bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.5.0.2; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.9; ip link set vx0 down; ip link set vx0 up; ip -n far neigh flush all',
    },
    mend: {
      a: 'bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.5.0.9; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.2',
    },
    check: throughTunnel,
    root: 'tunnel-mismatch',
    says: /10\.5\.0\.9/,
  },
  {
    name: 'a firewall drops the tunnel',
    plant: { b: 'iptables -A INPUT -p udp --dport 4789 -j DROP' },
    mend: { b: 'iptables -F INPUT' },
    check: throughTunnel,
    root: 'filtered',
    says: /b drops .*rule 1 of chain INPUT \(filter\), `-p udp --dport 4789 -j DROP`/,
  },
];

export const bridged: Family = { name: 'bridged', lab, faults: [...faults, ...more] };
