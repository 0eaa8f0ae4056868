import { on, rule } from './fault.js';
import type { Family, Fault } from './fault.js';

const lab = `
scenario: faults-consul
title: An overlay network of two engines that keep it in Consul
hosts:
  node1: { image: debian-11 }
  node2: { image: debian-11 }
segments:
  lan: { subnet: 10.10.10.0/24, hosts: { node1: 10.10.10.11, node2: 10.10.10.12 } }
steps:
  - on: node1
    start: consul agent -server -bootstrap -node node1 -data-dir /opt/consul -bind 10.10.10.11 -hcl 'performance { raft_multiplier = 1 }'
    until: { http: "http://127.0.0.1:8500/v1/status/leader", body: ":8300", within: 30s }
  - on: node2
    start: consul agent -node node2 -data-dir /opt/consul -bind 10.10.10.12 -retry-join 10.10.10.11 -retry-interval 1s
    until: { http: "http://127.0.0.1:8500/v1/status/leader", body: ":8300", within: 30s }
  - on: [node1, node2]
    write: /etc/systemd/system/docker.service.d/cluster.conf
    content: |
      [Service]
      ExecStart=
      ExecStart=/usr/sbin/dockerd -H unix:///var/run/docker.sock --cluster-store=consul://localhost:8500 --cluster-advertise=eth0:2375
  - on: node1
    run: systemctl daemon-reload && systemctl restart docker
  - on: node2
    run: systemctl daemon-reload && systemctl restart docker
  - on: node1
    run: docker network create -d overlay ov && docker run -d --name one --network ov --stop-signal KILL busybox sleep 86400
  - on: node2
    run: |
      for i in $(seq 50); do docker network inspect ov >/dev/null 2>&1 && break; sleep 0.2; done
      docker run -d --name two --network ov --stop-signal KILL busybox sleep 86400
  - check: healthy
    ping: { from: node1/one, to: node2/two, address-on: ov }
    within: 20s
`;

const overlay: Fault['check'] = ['ping', { from: 'node1/one', to: 'node2/two', 'address-on': 'ov' }];

/** A command in the network namespace that an engine keeps for the overlay network. */
const inOverlay = (command: string): string =>
  `nsenter --net=$(ls /run/docker/netns/*-$(docker network inspect ov --format "{{slice .Id 0 10}}")) ${command}`;
const overlayOf = (host: string, bad: string, good: string): ReturnType<typeof on> =>
  on(host, inOverlay(bad), inOverlay(good));

/** All entries of node1's end of the tunnel that lead to one host lead to another one; those of containers that are gone, too. */
const everyEntry = (from: string, to: string): string =>
  `for m in $(${inOverlay('bridge fdb show dev vxlan0')} | grep "dst ${from}" | cut -d" " -f1); do ${inOverlay(`bridge fdb replace $m dev vxlan0 dst ${to}`)}; done`;

const faults: Fault[] = [
  {
    name: 'a firewall drops the overlay’s packets',
    ...rule('node2', 'INPUT -p udp --dport 4789 -j DROP'),
    check: overlay,
    root: 'filtered',
    says: /node2 drops .*`-p udp --dport 4789 -j DROP`/,
  },
  {
    name: 'the sender drops the overlay’s packets',
    ...rule('node1', 'OUTPUT -p udp --dport 4789 -j DROP'),
    check: overlay,
    root: 'filtered',
    says: /node1 drops .*`-p udp --dport 4789 -j DROP`/,
  },
  {
    name: 'the engines do not hear each other, and the peer is new',
    ...on(
      'node2',
      'for c in INPUT OUTPUT; do iptables -I $c -p tcp --dport 7946 -j DROP; iptables -I $c -p udp --dport 7946 -j DROP; done; docker rm -f two; docker run -d --name hold --network ov busybox sleep 86400; docker run -d --name two --network ov --stop-signal KILL busybox sleep 86400; sleep 1',
      'for c in INPUT OUTPUT; do iptables -D $c -p tcp --dport 7946 -j DROP; iptables -D $c -p udp --dport 7946 -j DROP; done; sleep 1; docker rm -f two hold; docker run -d --name two --network ov --stop-signal KILL busybox sleep 86400; sleep 2',
    ),
    check: overlay,
    root: ['filtered', 'tunnel-mismatch'],
    says: /7946/,
  },
  {
    name: 'the peer’s entry in the overlay leads to nobody',
    ...on('node1', everyEntry('10.10.10.12', '10.10.10.99'), everyEntry('10.10.10.99', '10.10.10.12')),
    check: overlay,
    root: 'tunnel-mismatch',
    says: /10\.10\.10\.99, which nobody has/,
  },
  {
    name: 'the end of the tunnel is down',
    ...overlayOf('node2', 'ip link set vxlan0 down', 'ip link set vxlan0 up'),
    check: overlay,
    root: 'link-down',
    says: /vxlan0 of node2.*is down/,
  },
  {
    name: 'the bridge of the overlay is down',
    ...overlayOf('node2', 'ip link set br0 down', 'ip link set br0 up'),
    check: overlay,
    root: 'link-down',
    says: /br0 of node2.*is down/,
  },
  {
    name: 'the tunnel takes smaller packets than are sent',
    ...overlayOf('node1', 'ip link set vxlan0 mtu 1200', 'ip link set vxlan0 mtu 1450'),
    check: ['ping', { from: 'node1/one', to: 'node2/two', 'address-on': 'ov', size: 1300 }],
    root: 'mtu',
    says: /vxlan0 of node1.* takes at most 1200/,
  },
  {
    name: 'the wire below is down',
    ...on('node2', 'ip link set eth0 down', 'ip link set eth0 up; sleep 1'),
    check: overlay,
    root: 'link-down',
    says: /eth0 of node2 is down/,
  },
  {
    name: 'the far container drops',
    ...on(
      'node2',
      'nsenter -t $(docker inspect -f "{{.State.Pid}}" two) -n iptables -A INPUT -p icmp -j DROP',
      'nsenter -t $(docker inspect -f "{{.State.Pid}}" two) -n iptables -F INPUT',
    ),
    check: overlay,
    root: 'filtered',
    says: /node2\/two drops it: rule 1 of chain INPUT/,
  },
];

const listening = (port: number): string =>
  `ss -Hlntp "sport = :${port}" | grep -o "pid=[0-9]*" | head -1 | cut -d= -f2`;
const untilConsul =
  'for i in $(seq 300); do curl -sf http://127.0.0.1:8500/v1/status/leader | grep -q 8300 && break; sleep 0.1; done';

/** The engine of a node says another address of its own to the others; its container with it. */
const advertised = (was: string, is: string): string =>
  `sed -i s/cluster-advertise=${was}:/cluster-advertise=${is}:/ /etc/systemd/system/docker.service.d/cluster.conf; systemctl daemon-reload; systemctl restart docker; for i in $(seq 20); do docker start two && break; sleep 0.5; done; sleep 2`;

faults.push(
  {
    name: 'Consul of a node is gone, and a container of the overlay was to start again',
    ...on(
      'node2',
      `kill -KILL $(${listening(8500)}); docker restart -t 0 two || true`,
      `setsid consul agent -node node2 -data-dir /opt/consul -bind 10.10.10.12 -retry-join 10.10.10.11 -retry-interval 1s >/dev/null 2>&1 </dev/null & ${untilConsul}; for i in $(seq 20); do docker start two && break; sleep 0.5; done; sleep 1`,
    ),
    check: overlay,
    root: null,
    says: /node2\/two is not running: .*the engine could not start it: .*(?:8500|network|store|consul)/i,
  },
  {
    name: 'an engine says a wrong address of its own to the others',
    plant: { node2: `ip addr add 10.99.0.2/32 dev eth0; ${advertised('eth0', '10.99.0.2')}` },
    mend: {
      node2: `${advertised('10.99.0.2', 'eth0')}; ip addr del 10.99.0.2/32 dev eth0`,
      // It keeps what it was told of the other's containers.
      node1: 'systemctl restart docker; docker start one; sleep 2',
    },
    check: overlay,
    root: 'tunnel-mismatch',
    says: /(?:the engine of node2 tells the others the address|remote) 10\.99\.0\.2/,
  },
);

export const consul: Family = { name: 'consul', lab, faults };
