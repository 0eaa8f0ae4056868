import { more } from './macvlan-more.js';
import type { Family, Fault } from './fault.js';

const lab = `
scenario: faults-macvlan
title: Containers of two hosts on the wire by macvlan, and a router
hosts:
  server1: { image: debian-12 }
  server2: { image: debian-12 }
  router: { init: light, image: debian-12 }
segments:
  wire: { subnet: 172.16.10.0/24, hosts: { server1: 172.16.10.11, server2: 172.16.10.12, router: 172.16.10.1 } }
steps:
  - on: server1
    run: docker network create -d macvlan --subnet 172.16.10.0/24 --gateway 172.16.10.1 --opt parent=eth0 mac && docker run -d --name one --network mac --ip 172.16.10.70 --stop-signal KILL web
  - on: server2
    run: docker network create -d macvlan --subnet 172.16.10.0/24 --gateway 172.16.10.1 --opt parent=eth0 mac && docker run -d --name two --network mac --ip 172.16.10.101 --stop-signal KILL web
  - check: healthy
    ping: { from: server1/one, to: server2/two }
    within: 10s
`;

const onWire: Fault['check'] = ['port', { from: 'server1/one', to: 'server2/two', port: 80 }];

const faults: Fault[] = [
  {
    name: 'the parent interface is down',
    plant: { server2: 'ip link set eth0 down' },
    mend: { server2: 'ip link set eth0 up; sleep 0.3' },
    check: onWire,
    root: ['link-down', 'no-carrier'],
    says: /eth0 of server2(?:\/two)? (?:is down|has no carrier)/,
  },
  {
    name: 'a rule in the container drops',
    plant: {
      server2: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" two) -n iptables -A INPUT -p tcp --dport 80 -j DROP',
    },
    mend: { server2: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" two) -n iptables -F INPUT' },
    check: onWire,
    root: 'filtered',
    says: /server2\/two drops it: rule 1 of chain INPUT/,
  },
  {
    name: 'the gateway of the network does not forward, and the container asks by it',
    plant: {
      server1:
        'nsenter -t $(docker inspect -f "{{.State.Pid}}" one) -n sh -c "ip route del 172.16.10.0/24 dev eth0; ip route add 172.16.10.1 dev eth0; ip route replace 172.16.10.101 via 172.16.10.1"',
    },
    mend: {
      server1:
        'nsenter -t $(docker inspect -f "{{.State.Pid}}" one) -n sh -c "ip route del 172.16.10.101; ip route del 172.16.10.1; ip route add 172.16.10.0/24 dev eth0"',
    },
    check: onWire,
    root: 'forwarding-off',
    says: /router .*ip_forward is 0/,
  },
];

export const macvlan: Family = { name: 'macvlan', lab, faults: [...faults, ...more] };
