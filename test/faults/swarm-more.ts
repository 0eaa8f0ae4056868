import { on, rule, within } from './fault.js';
import type { Fault } from './fault.js';

const overlay: Fault['check'] = ['ping', { from: 'node1/one', to: 'node2/two', 'address-on': 'ov' }];
const byName: Fault['check'] = ['dns', { from: 'node1/one', name: 'two' }];

export const more: Fault[] = [
  {
    name: 'the container has left the overlay',
    ...on('node2', 'docker network disconnect ov two; sleep 4', 'docker network connect ov two; sleep 1'),
    check: byName,
    root: 'name-not-here',
    says: /two .*node2.*one is on ov/,
  },
  {
    name: 'the container with the name has stopped',
    ...on('node2', 'docker stop -t 0 two', 'docker start two; sleep 1'),
    check: byName,
    root: 'container-not-running',
    says: /two on node2 is not running/,
  },
  {
    name: 'the wire between the nodes is down',
    ...on('node2', 'ip link set eth0 down', 'ip link set eth0 up; sleep 0.5'),
    check: overlay,
    root: ['link-down', 'no-carrier'],
    says: /eth0 of node2 is down/,
  },
  {
    name: 'the container drops in its own namespace',
    ...on('node2', `${within('two')} iptables -A INPUT -p icmp -j DROP`, `${within('two')} iptables -F INPUT`),
    check: overlay,
    root: 'filtered',
    says: /node2\/two drops it: rule 1 of chain INPUT/,
  },
  {
    name: 'the sender drops answers of the overlay',
    ...rule('node1', 'INPUT -p udp --dport 4789 -j DROP'),
    check: overlay,
    root: 'filtered',
    says: /node1 drops .*`-p udp --dport 4789 -j DROP`/,
  },
  {
    name: 'the container answers no pings',
    ...on(
      'node2',
      `${within('two')} sysctl -w net.ipv4.icmp_echo_ignore_all=1`,
      `${within('two')} sysctl -w net.ipv4.icmp_echo_ignore_all=0`,
    ),
    check: overlay,
    root: 'sysctl-refuses',
    says: /node2\/two .*icmp_echo_ignore_all is 1/,
  },
];
