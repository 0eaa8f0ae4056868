import { all, nft, on } from './fault.js';
import type { Change, Fault } from './fault.js';

const onBridge: Fault['check'] = ['ping', { from: 'a/netns:one', to: '10.6.0.2' }];
const throughTunnel: Fault['check'] = ['ping', { from: 'a/netns:far', to: '10.7.0.2' }];

const forgetful: Change = on('a', 'ip -n one neigh flush all; ip -n two neigh flush all', 'true');
const port = (words: string, back: string): Change =>
  all(forgetful, on('a', `bridge link set dev vtwo ${words}`, `bridge link set dev vtwo ${back}`));
export const more: Fault[] = [
  {
    name: 'a port is in another VLAN',
    ...on(
      'a',
      'ip link set br0 type bridge vlan_filtering 1 && bridge vlan del dev vtwo vid 1; bridge vlan add dev vtwo vid 20 pvid untagged',
      'bridge vlan del dev vtwo vid 20; bridge vlan add dev vtwo vid 1 pvid untagged; ip link set br0 type bridge vlan_filtering 0',
    ),
    needs: 'VLAN filtering of bridges',
    check: onBridge,
    root: 'vlan-mismatch',
    says: /vone is in VLAN 1, vtwo in 20/,
  },
  {
    name: 'a port is in no VLAN',
    ...on(
      'a',
      'ip link set br0 type bridge vlan_filtering 1 && bridge vlan del dev vone vid 1',
      'bridge vlan add dev vone vid 1 pvid untagged; ip link set br0 type bridge vlan_filtering 0',
    ),
    needs: 'VLAN filtering of bridges',
    check: onBridge,
    root: 'vlan-mismatch',
    says: /vone is in VLAN none/,
  },
  {
    name: 'a port is disabled',
    ...port('state 0', 'state 3'),
    check: onBridge,
    root: 'port-not-forwarding',
    says: /port vtwo of bridge br0 on a does not forward: its state is disabled/,
  },
  {
    name: 'no broadcasts go to a port',
    ...port('bcast_flood off', 'bcast_flood on'),
    check: onBridge,
    root: 'port-not-forwarding',
    says: /port vtwo of bridge br0 on a .*broadcast/,
  },
  {
    name: 'two ports are isolated',
    ...on(
      'a',
      'bridge link set dev vone isolated on; bridge link set dev vtwo isolated on',
      'bridge link set dev vone isolated off; bridge link set dev vtwo isolated off',
    ),
    check: onBridge,
    root: 'port-not-forwarding',
    says: /vone and vtwo of bridge br0 on a are isolated/,
  },
  {
    name: 'a veth is in another bridge',
    ...on(
      'a',
      'ip link add br1 type bridge; ip link set br1 up; ip link set vtwo master br1',
      'ip link set vtwo master br0; ip link del br1; sleep 0.2',
    ),
    check: onBridge,
    root: 'not-a-bridge-port',
    says: /vtwo of a.*no port of bridge br0 but of br1/,
  },
  {
    name: 'the interface is in another namespace',
    ...on(
      'a',
      'ip netns add three; ip -n two link set eth0 netns three',
      'ip -n three link set eth0 netns two; ip netns del three; ip -n two link set eth0 up; ip -n two addr add 10.6.0.2/24 dev eth0; sleep 0.2',
    ),
    check: onBridge,
    root: ['address-missing', 'link-down', 'no-carrier'],
    says: /10\.6\.0\.2|netns:three/,
  },
  {
    name: 'both namespaces have one MAC address',
    ...on(
      'a',
      'ip -n two link show eth0 | grep -o "ether [^ ]*" | cut -d" " -f2 >/run/mac; ip -n two link set eth0 address $(ip -n one link show eth0 | grep -o "ether [^ ]*" | cut -d" " -f2); ip -n one neigh flush all',
      'ip -n two link set eth0 address $(cat /run/mac); ip -n one neigh flush all; sleep 0.2',
    ),
    check: onBridge,
    root: 'mac-twice',
    says: /same MAC address/,
  },
  {
    name: 'a third has the address, too',
    ...on(
      'a',
      'ip netns add third; ip link add vthird type veth peer name eth0 netns third; ip link set vthird master br0 up; ip -n third link set eth0 up; ip -n third addr add 10.6.0.2/24 dev eth0; ip -n one neigh flush all; ip netns exec two sysctl -qw net.ipv4.conf.eth0.arp_ignore=8; ip netns exec third sysctl -qw net.ipv4.icmp_echo_ignore_all=1',
      'ip netns del third; ip netns exec two sysctl -qw net.ipv4.conf.eth0.arp_ignore=0; ip -n one neigh flush all',
    ),
    check: onBridge,
    root: 'address-twice',
    says: /a\/netns:two and a\/netns:third both have 10\.6\.0\.2|a\/netns:third and a\/netns:two both have 10\.6\.0\.2/,
  },
  {
    name: 'ebtables drops ARP',
    ...all(forgetful, on('a', 'ebtables-nft -A FORWARD -p ARP -j DROP', 'ebtables-nft -F FORWARD')),
    check: onBridge,
    root: 'filtered',
    says: /a drops .*chain FORWARD \(bridge filter\)/,
  },
  {
    name: 'ebtables drops by an address',
    ...on('a', 'ebtables-nft -A FORWARD -p IPv4 --ip-dst 10.6.0.2 -j DROP', 'ebtables-nft -F FORWARD'),
    check: onBridge,
    root: 'filtered',
    says: /a drops it: rule 1 of chain FORWARD \(bridge filter\)/,
  },
  {
    name: 'a namespace drops by nftables',
    ...on(
      'a',
      'ip netns exec two nft add table inet wall; ip netns exec two nft "add chain inet wall in { type filter hook input priority 0; }"; ip netns exec two nft add rule inet wall in icmp type echo-request drop',
      'ip netns exec two nft delete table inet wall',
    ),
    check: onBridge,
    root: 'filtered',
    says: /a\/netns:two drops it: rule 1 of chain in \(inet wall\)/,
  },
  {
    name: 'a namespace has a prefix of its own',
    ...on(
      'a',
      'ip -n two addr del 10.6.0.2/24 dev eth0; ip -n two addr add 10.6.0.2/32 dev eth0',
      'ip -n two addr del 10.6.0.2/32 dev eth0; ip -n two addr add 10.6.0.2/24 dev eth0',
    ),
    check: onBridge,
    root: 'no-way-back',
    says: /a\/netns:two gets it, but has no route back to 10\.6\.0\.1/,
  },
  {
    name: 'the tunnel’s end is no port of its bridge',
    ...on('b', 'ip link set vx0 nomaster', 'ip link set vx0 master brx; sleep 0.2'),
    check: throughTunnel,
    root: 'not-a-bridge-port',
    says: /vx0 of b.*no port of/,
  },
  {
    name: 'the tunnel’s end is down',
    ...on('b', 'ip link set vx0 down', 'ip link set vx0 up; sleep 0.2'),
    check: throughTunnel,
    root: 'link-down',
    says: /vx0 of b.*is down/,
  },
  {
    name: 'the bridge behind the tunnel is down',
    ...on('b', 'ip link set brx down', 'ip link set brx up; sleep 0.2'),
    check: throughTunnel,
    root: 'link-down',
    says: /brx of b is down/,
  },
  {
    name: 'the veth behind the tunnel is no port',
    ...on('b', 'ip link set vfar nomaster', 'ip link set vfar master brx; sleep 0.2'),
    check: throughTunnel,
    root: 'not-a-bridge-port',
    says: /vfar of b.*no port of/,
  },
  {
    name: 'the tunnel takes smaller frames than are sent',
    ...on('a', 'ip link set vx0 mtu 1200', 'ip link set vx0 mtu 1450'),
    check: ['ping', { from: 'a/netns:far', to: '10.7.0.2', size: 1300 }],
    root: 'mtu',
    says: /vx0 of a takes at most 1200/,
  },
  {
    name: 'the tunnel has no end at b',
    ...on(
      'b',
      'ip link del vx0',
      'ip link add vx0 type vxlan id 42 dstport 4789 local 10.5.0.2 dev eth0; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.5.0.1; ip link set vx0 master brx up; sleep 0.2',
    ),
    check: throughTunnel,
    root: 'tunnel-mismatch',
    says: /b gets .*VNI 42.*no VXLAN interface/,
  },
  {
    name: 'the wire below the tunnel is filtered by nftables',
    ...nft('a', 'inet', 'output priority 0', ['udp dport 4789 drop']),
    check: throughTunnel,
    root: 'filtered',
    says: /a drops .*rule 1 of chain onward \(inet wall\), `udp dport 4789 drop`/,
  },
  {
    name: 'the wire below the tunnel is down at the far end',
    ...on('b', 'ip link set eth0 down', 'ip link set eth0 up; sleep 0.3'),
    check: throughTunnel,
    root: 'link-down',
    says: /eth0 of b is down/,
  },
  {
    name: 'the host below the tunnel has another address',
    ...on(
      'b',
      'ip addr del 10.5.0.2/24 dev eth0; ip addr add 10.5.0.3/24 dev eth0',
      'ip addr del 10.5.0.3/24 dev eth0; ip addr add 10.5.0.2/24 dev eth0; sleep 0.2',
    ),
    check: throughTunnel,
    root: ['tunnel-mismatch', 'address-missing'],
    says: /10\.5\.0\.2\b/,
  },
];
