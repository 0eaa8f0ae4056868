import { harmless, more } from './docker-more.js';
import type { Family, Fault } from './fault.js';

const lab = `
scenario: faults-docker
title: A client before a Docker host behind a router
hosts:
  r1: { engine: false, init: light, image: debian-12, sysctls: { net.ipv4.ip_forward: 1 } }
  client: { init: light, image: debian-12, routes: [{ to: 10.2.0.0/24, via: 10.1.0.1 }] }
  server:
    image: debian-12
    routes: [{ to: 10.1.0.0/24, via: 10.2.0.1 }]
    docker:
      networks: { appnet: { ipam: { config: [{ subnet: 172.30.0.0/24 }] } }, other: { ipam: { config: [{ subnet: 172.31.0.0/24 }] } } }
      containers:
        web1: { image: web, ports: ["8080:80"] }
        app1: { image: busybox, networks: [appnet], command: ["sleep", "86400"] }
        app2: { image: busybox, networks: [appnet], command: ["sleep", "86400"] }
        far: { image: busybox, networks: [other], command: ["sleep", "86400"] }
segments:
  left: { subnet: 10.1.0.0/24, hosts: { r1: 10.1.0.1, client: 10.1.0.10 } }
  right: { subnet: 10.2.0.0/24, hosts: { r1: 10.2.0.1, server: 10.2.0.20 } }
steps:
  - check: healthy
    ping: { from: client, to: server }
`;

const published: Fault['check'] = ['port', { from: 'client', to: 'server', port: 8080 }];

const faults: Fault[] = [
  {
    name: 'DOCKER-USER drops',
    plant: { server: 'iptables -I DOCKER-USER -p tcp --dport 80 -j DROP' },
    mend: { server: 'iptables -D DOCKER-USER -p tcp --dport 80 -j DROP' },
    check: published,
    root: 'filtered',
    says: /server drops it: rule 1 of chain DOCKER-USER \(filter\), `-p tcp --dport 80 -j DROP`/,
    fast: true,
  },
  {
    name: 'DOCKER-USER drops what containers send out',
    plant: { server: 'iptables -I DOCKER-USER -o eth0 -j DROP' },
    mend: { server: 'iptables -D DOCKER-USER -o eth0 -j DROP' },
    check: ['ping', { from: 'server/app1', to: 'client' }],
    root: 'filtered',
    says: /server drops it: rule 1 of chain DOCKER-USER/,
    never: /no route back/,
  },
  {
    name: 'the publishing container has stopped',
    plant: { server: 'docker stop -t 0 web1' },
    mend: { server: 'docker start web1; sleep 0.5' },
    check: published,
    root: 'container-not-running',
    says: /web1 on server is not running/,
    fast: true,
  },
  {
    name: 'the publishing container is paused',
    plant: { server: 'docker pause web1' },
    mend: { server: 'docker unpause web1' },
    check: ['http', { from: 'client', url: 'http://10.2.0.20:8080/', wait: '1s' }],
    root: 'container-not-running',
    says: /web1 on server is paused/,
  },
  {
    name: 'no masquerading for a network',
    plant: {
      server:
        'iptables -t nat -D POSTROUTING -s 172.30.0.0/24 ! -o $(ip -j addr | tr "{" "\\n" | grep -m1 172.30.0.1 >/dev/null; docker network inspect appnet --format "br-{{slice .Id 0 12}}") -j MASQUERADE',
    },
    mend: {
      server:
        'iptables -t nat -A POSTROUTING -s 172.30.0.0/24 ! -o $(docker network inspect appnet --format "br-{{slice .Id 0 12}}") -j MASQUERADE',
    },
    check: ['ping', { from: 'server/app1', to: 'client' }],
    root: 'nat-missing',
    says: /server .*172\.30\.0\..*client/,
    fast: true,
  },
  {
    name: 'the DNAT rule of a published port is gone, and the proxy with it',
    plant: {
      server:
        'iptables -t nat -D DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80; iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80',
    },
    mend: {
      server:
        'iptables -t nat -D DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80; iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80',
    },
    check: published,
    root: 'nat-wrong',
    says: /172\.17\.0\.9, which nobody has/,
  },
  {
    name: 'the DNAT rule leads to a wrong port',
    plant: {
      server:
        'iptables -t nat -I DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:81; iptables -I FORWARD -j ACCEPT',
    },
    mend: {
      server:
        'iptables -t nat -D DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:81; iptables -D FORWARD -j ACCEPT',
    },
    check: published,
    root: ['nat-wrong', 'nobody-listens'],
    says: /web1 .*81.*nobody listens/,
  },
  {
    name: 'a container’s veth is out of its bridge',
    plant: {
      server:
        'ip link set $(ip -j link show master $(docker network inspect appnet --format "br-{{slice .Id 0 12}}") | tr , "\\n" | grep -m1 ifname | cut -d\\" -f4) nomaster',
    },
    mend: {
      server:
        'for i in $(ls /sys/class/net | grep ^veth); do [ -e /sys/class/net/$i/master ] || ip link set $i master $(docker network inspect appnet --format "br-{{slice .Id 0 12}}"); done',
    },
    check: ['ping', { from: 'server/app1', to: 'server/app2' }],
    root: 'not-a-bridge-port',
    says: /veth\w+ of server.*no port of/,
  },
  {
    name: 'a name of another network',
    plant: { server: 'docker network disconnect appnet app2; docker network connect other app2' },
    mend: { server: 'docker network disconnect other app2; docker network connect appnet app2' },
    check: ['dns', { from: 'server/app1', name: 'app2' }],
    root: 'name-not-here',
    says: /app2 is a name on network other of server; server\/app1 is on appnet/,
    fast: true,
  },
  {
    name: 'the container with the name has stopped',
    plant: { server: 'docker stop -t 0 app2' },
    mend: { server: 'docker start app2' },
    check: ['ping', { from: 'server/app1', to: 'app2' }],
    root: 'container-not-running',
    says: /app2 on server is not running/,
  },
  {
    name: 'a container’s interface is down',
    plant: { server: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" app2) -n ip link set eth0 down' },
    mend: {
      server:
        'nsenter -t $(docker inspect -f "{{.State.Pid}}" app2) -n sh -c "ip link set eth0 up; ip route add default via 172.30.0.1"',
    },
    check: ['ping', { from: 'server/app1', to: 'server/app2' }],
    root: ['link-down', 'no-carrier'],
    says: /eth0 of server\/app2 is down/,
  },
  {
    name: 'the bridge of a network is down',
    plant: { server: 'ip link set $(docker network inspect appnet --format "br-{{slice .Id 0 12}}") down' },
    mend: { server: 'ip link set $(docker network inspect appnet --format "br-{{slice .Id 0 12}}") up; sleep 0.2' },
    check: ['ping', { from: 'server/app1', to: 'server/app2' }],
    root: 'link-down',
    says: /br-\w+ of server is down/,
  },
  {
    name: 'a container without a default route',
    plant: { server: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" app1) -n ip route del default' },
    mend: { server: 'nsenter -t $(docker inspect -f "{{.State.Pid}}" app1) -n ip route add default via 172.30.0.1' },
    check: ['ping', { from: 'server/app1', to: 'client' }],
    root: 'no-route',
    says: /server\/app1 has no route to 10\.1\.0\.10/,
  },
  {
    name: 'the engine’s host does not forward',
    plant: { server: 'sysctl -w net.ipv4.ip_forward=0' },
    mend: { server: 'sysctl -w net.ipv4.ip_forward=1' },
    check: ['ping', { from: 'server/app1', to: 'client' }],
    root: 'forwarding-off',
    says: /server .*net\.ipv4\.ip_forward is 0/,
  },
  {
    name: 'a bridge port’s forwarding entry is wrong',
    plant: {
      server:
        'bridge fdb add $(docker inspect -f "{{.NetworkSettings.Networks.appnet.MacAddress}}" app2) dev $(ip -j link show master docker0 | tr , "\\n" | grep -m1 ifname | cut -d\\" -f4) master static; b=$(docker network inspect appnet --format "br-{{slice .Id 0 12}}"); bridge link set dev $(ip -j link show master $b | tr , "\\n" | grep -m1 ifname | cut -d\\" -f4) isolated on; for p in $(ip -j link show master $b | tr , "\\n" | grep ifname | cut -d\\" -f4); do bridge link set dev $p isolated on; done',
    },
    mend: {
      server:
        'b=$(docker network inspect appnet --format "br-{{slice .Id 0 12}}"); for p in $(ip -j link show master $b | tr , "\\n" | grep ifname | cut -d\\" -f4); do bridge link set dev $p isolated off; done',
    },
    check: ['ping', { from: 'server/app1', to: 'server/app2' }],
    root: 'port-not-forwarding',
    says: /isolated from each other/,
  },
];

export const docker: Family = { name: 'docker', lab, faults: [...faults, ...more], harmless };
