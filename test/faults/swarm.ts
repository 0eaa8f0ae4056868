import { more } from './swarm-more.js';
import type { Family, Fault } from './fault.js';

const lab = `
scenario: faults-swarm
title: An overlay network of a swarm of two
hosts:
  node1: { image: debian-12 }
  node2: { image: debian-12 }
segments:
  lan: { subnet: 192.168.10.0/24, hosts: { node1: 192.168.10.128, node2: 192.168.10.129 } }
steps:
  - step: A swarm
    on: node1
    run: docker swarm init --advertise-addr 192.168.10.128 >/dev/null && docker swarm join-token -q worker >/run/token
  - on: node1
    start: socat TCP-LISTEN:9000,fork,reuseaddr OPEN:/run/token,rdonly
    until: { tcp: "127.0.0.1:9000" }
  - on: node2
    run: docker swarm join --token "$(socat -u TCP:node1:9000 -)" node1:2377
  - on: node1
    run: docker network create -d overlay --attachable ov && docker run -dit --name one --network ov busybox
  - on: node2
    run: docker run -dit --name two --network ov busybox
  - check: healthy
    ping: { from: node1/one, to: node2/two, address-on: ov }
    within: 20s
`;

const overlay: Fault['check'] = ['ping', { from: 'node1/one', to: 'node2/two', 'address-on': 'ov' }];

const faults: Fault[] = [
  {
    name: 'a firewall drops the overlay’s packets',
    plant: { node2: 'iptables -I INPUT -p udp --dport 4789 -j DROP' },
    mend: { node2: 'iptables -D INPUT -p udp --dport 4789 -j DROP' },
    check: overlay,
    root: 'filtered',
    says: /node2 drops .*`-p udp --dport 4789 -j DROP`/,
  },
  {
    name: 'the sender drops the overlay’s packets',
    plant: { node1: 'iptables -I OUTPUT -p udp --dport 4789 -j DROP' },
    mend: { node1: 'iptables -D OUTPUT -p udp --dport 4789 -j DROP' },
    check: overlay,
    root: 'filtered',
    says: /node1 drops .*`-p udp --dport 4789 -j DROP`/,
  },
  {
    name: 'a container’s interface in the overlay is down',
    plant: { node2: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" two) -n ip link set eth0 down' },
    mend: { node2: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" two) -n ip link set eth0 up' },
    check: overlay,
    root: ['link-down', 'no-carrier'],
    says: /eth0 of node2\/two is down/,
  },
];

export const swarm: Family = { name: 'swarm', lab, faults: [...faults, ...more] };
