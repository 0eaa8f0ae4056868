import type { RootCause } from '../../src/model/verdict.js';

/** Commands by the host that they run on. */
export type Commands = Record<string, string>;

/** A fault that is planted in a lab that works, and what netrig must say of it. */
export interface Fault {
  /** Which of `labs` it is planted in. */
  lab: string;
  name: string;
  plant: Commands;
  mend: Commands;
  /** A check that passes before the fault and after it is mended, and fails in between. */
  check: [kind: string, spec: Record<string, unknown>];
  root: RootCause | RootCause[];
  /** What must stand in the sentence: the very thing. */
  says: RegExp;
  /** What would be false. */
  never?: RegExp;
  /** In the short selection that runs with the lab tests. */
  fast?: true;
}

export const labs: Record<string, string> = {
  routed: `
scenario: faults-routed
title: A client and a server behind routers
hosts:
  client: { init: light, image: debian-12, routes: [{ to: default, via: 10.1.0.1 }] }
  r1: { init: light, image: debian-12, sysctls: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 } }
  r2: { init: light, image: debian-12, sysctls: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 } }
  bystander: { init: light, image: debian-12 }
  server: { init: light, image: debian-12, routes: [{ to: default, via: 10.2.0.2 }] }
segments:
  left: { subnet: 10.1.0.0/24, hosts: { client: 10.1.0.10, r1: 10.1.0.1, bystander: 10.1.0.30 } }
  middle: { subnet: 10.9.0.0/24, hosts: { r1: 10.9.0.1, r2: 10.9.0.2 } }
  right: { subnet: 10.2.0.0/24, hosts: { r2: 10.2.0.2, server: 10.2.0.20 } }
steps:
  - step: Routes between the routers, and IPv6 on all of it
    on: r1
    run: |
      ip route add 10.2.0.0/24 via 10.9.0.2
      ip -6 addr add fd01::1/64 dev eth0 nodad
      ip -6 addr add fd09::1/64 dev eth1 nodad
      ip -6 route add fd02::/64 via fd09::2
  - on: r2
    run: |
      ip route add 10.1.0.0/24 via 10.9.0.1
      ip -6 addr add fd09::2/64 dev eth0 nodad
      ip -6 addr add fd02::2/64 dev eth1 nodad
      ip -6 route add fd01::/64 via fd09::1
  - on: client
    run: |
      ip -6 addr add fd01::10/64 dev eth0 nodad
      ip -6 route add default via fd01::1
  - on: server
    run: |
      ip -6 addr add fd02::20/64 dev eth0 nodad
      ip -6 route add default via fd02::2
  - step: Services
    on: server
    write: /usr/local/bin/service
    mode: "0755"
    content: |
      #!/bin/sh
      # service OPTIONS: in place of the one that runs, answer on port 80.
      for p in $(ss -Hlntp "sport = :80" | grep -o 'pid=[0-9]*' | cut -d= -f2); do kill $p; done
      [ "$1" = none ] || setsid socat "$1,fork,reuseaddr" 'SYSTEM:while read l && [ "\${#l}" -gt 1 ]; do :; done; printf "HTTP/1.1 200 OK\\r\\nContent-Length\\x3a 2\\r\\n\\r\\nok"' >/dev/null 2>&1 &
      sleep 0.4
  - on: server
    run: service TCP6-LISTEN:80,ipv6only=0
  - on: server
    start: socat UDP4-LISTEN:5353,fork,reuseaddr EXEC:cat
  - check: healthy
    ping: { from: client, to: server }
`,
  docker: `
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
`,
  bridged: `
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
`,
  swarm: `
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
`,
  macvlan: `
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
`,
};

const ping = { from: 'client', to: 'server' };
const toWeb: Fault['check'] = ['port', { from: 'client', to: 'server', port: 80 }];
const published: Fault['check'] = ['port', { from: 'client', to: 'server', port: 8080 }];

const routed: Omit<Fault, 'lab'>[] = [
  {
    name: 'the router does not forward',
    plant: { r1: 'sysctl -w net.ipv4.ip_forward=0' },
    mend: { r1: 'sysctl -w net.ipv4.ip_forward=1' },
    check: ['ping', ping],
    root: 'forwarding-off',
    says: /r1 .*net\.ipv4\.ip_forward is 0/,
    fast: true,
  },
  {
    name: 'one interface of the second router does not forward',
    plant: { r2: 'sysctl -w net.ipv4.conf.eth0.forwarding=0' },
    mend: { r2: 'sysctl -w net.ipv4.conf.eth0.forwarding=1' },
    check: toWeb,
    root: 'forwarding-off',
    says: /r2 .*eth0/,
  },
  {
    name: 'a router drops in FORWARD by iptables',
    plant: { r2: 'iptables -A FORWARD -p tcp --dport 443 -j DROP; iptables -A FORWARD -p tcp --dport 80 -j DROP' },
    mend: { r2: 'iptables -F FORWARD' },
    check: toWeb,
    root: 'filtered',
    says: /r2 drops it: rule 2 of chain FORWARD \(filter\), `-p tcp --dport 80 -j DROP`/,
    fast: true,
  },
  {
    name: 'a router drops by legacy iptables',
    plant: { r1: 'iptables-legacy -A FORWARD -p icmp -j DROP' },
    mend: { r1: 'iptables-legacy -F FORWARD' },
    check: ['ping', ping],
    root: 'filtered',
    says: /r1 drops it: rule 1 of chain FORWARD \(filter\), `-p icmp -j DROP`/,
  },
  {
    name: 'a router drops by the policy of a chain',
    plant: { r1: 'iptables -P FORWARD DROP' },
    mend: { r1: 'iptables -P FORWARD ACCEPT' },
    check: toWeb,
    root: 'filtered',
    says: /r1 drops it: no rule of chain FORWARD \(filter\) accepts it, and its policy is DROP/,
  },
  {
    name: 'a router drops by nftables',
    plant: {
      r2: 'nft add table inet wall; nft "add chain inet wall onward { type filter hook forward priority 0; }"; nft add rule inet wall onward tcp dport 80 drop',
    },
    mend: { r2: 'nft delete table inet wall' },
    check: toWeb,
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain onward \(inet wall\), `tcp dport 80 drop`/,
  },
  {
    name: 'the server drops in INPUT',
    plant: { server: 'iptables -A INPUT -p tcp --dport 80 -j DROP' },
    mend: { server: 'iptables -F INPUT' },
    check: toWeb,
    root: 'filtered',
    says: /server drops it: rule 1 of chain INPUT/,
  },
  {
    name: 'the server rejects',
    plant: { server: 'iptables -A INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset' },
    mend: { server: 'iptables -F INPUT' },
    check: toWeb,
    root: 'filtered',
    says: /server rejects it: rule 1 of chain INPUT/,
    never: /nobody listens/,
  },
  {
    name: 'the server drops its own answers',
    plant: { server: 'iptables -A OUTPUT -p icmp --icmp-type echo-reply -j DROP' },
    mend: { server: 'iptables -F OUTPUT' },
    check: ['ping', ping],
    root: 'filtered',
    says: /server drops the answer: rule 1 of chain OUTPUT/,
  },
  {
    name: 'a router drops the answers',
    plant: { r1: 'iptables -A FORWARD -s 10.2.0.0/24 -j DROP' },
    mend: { r1: 'iptables -F FORWARD' },
    check: ['ping', ping],
    root: 'filtered',
    says: /r1 drops the answer: rule 1 of chain FORWARD/,
    fast: true,
  },
  {
    name: 'the client drops in OUTPUT',
    plant: { client: 'iptables -A OUTPUT -d 10.2.0.20 -j DROP' },
    mend: { client: 'iptables -F OUTPUT' },
    check: ['ping', ping],
    root: 'filtered',
    says: /client drops it: rule 1 of chain OUTPUT/,
  },
  {
    name: 'the client drops answers in INPUT',
    plant: { client: 'iptables -A INPUT -p icmp -j DROP' },
    mend: { client: 'iptables -F INPUT' },
    check: ['ping', ping],
    root: 'filtered',
    says: /client drops the answer: rule 1 of chain INPUT/,
  },
  {
    name: 'the server has no way back',
    plant: { server: 'ip route del default' },
    mend: { server: 'ip route add default via 10.2.0.2' },
    check: ['ping', ping],
    root: 'no-way-back',
    says: /server .*no route back to 10\.1\.0\.10/,
    fast: true,
  },
  {
    name: 'a router has no way back',
    plant: { r2: 'ip route del 10.1.0.0/24' },
    mend: { r2: 'ip route add 10.1.0.0/24 via 10.9.0.1' },
    check: toWeb,
    root: 'no-way-back',
    says: /r2 .*no route back to 10\.1\.0\.10/,
  },
  {
    name: 'a router has no route on',
    plant: { r1: 'ip route del 10.2.0.0/24' },
    mend: { r1: 'ip route add 10.2.0.0/24 via 10.9.0.2' },
    check: ['ping', ping],
    root: 'no-route',
    says: /r1 has no route to 10\.2\.0\.20/,
  },
  {
    name: 'the client has no route',
    plant: { client: 'ip route del default' },
    mend: { client: 'ip route add default via 10.1.0.1' },
    check: toWeb,
    root: 'no-route',
    says: /client has no route to 10\.2\.0\.20/,
  },
  {
    name: 'a blackhole on a router',
    plant: { r2: 'ip route add blackhole 10.2.0.20/32' },
    mend: { r2: 'ip route del blackhole 10.2.0.20/32' },
    check: ['ping', ping],
    root: 'route-refuses',
    says: /r2 .*blackhole 10\.2\.0\.20/,
  },
  {
    name: 'a prohibit route at the client',
    plant: { client: 'ip route add prohibit 10.2.0.0/24' },
    mend: { client: 'ip route del prohibit 10.2.0.0/24' },
    check: ['ping', ping],
    root: 'route-refuses',
    says: /client .*prohibit 10\.2\.0\.0\/24/,
  },
  {
    name: 'the client’s gateway is nobody',
    plant: { client: 'ip route replace default via 10.1.0.9' },
    mend: { client: 'ip route replace default via 10.1.0.1' },
    check: ['ping', ping],
    root: 'wrong-route',
    says: /10\.1\.0\.9, which nobody has/,
    fast: true,
  },
  {
    name: 'the client’s gateway is a host that leads nowhere',
    plant: { client: 'ip route replace default via 10.1.0.30' },
    mend: { client: 'ip route replace default via 10.1.0.1' },
    check: ['ping', ping],
    root: 'wrong-route',
    says: /client .*bystander/,
  },
  {
    name: 'a prefix that covers the far segment',
    plant: {
      client:
        'ip addr add 10.1.0.10/8 dev eth0 && ip addr del 10.1.0.10/24 dev eth0; ip route replace default via 10.1.0.1',
    },
    mend: {
      client:
        'ip addr add 10.1.0.10/24 dev eth0; ip addr del 10.1.0.10/8 dev eth0; ip route replace default via 10.1.0.1',
    },
    check: ['ping', ping],
    root: 'wrong-route',
    says: /client takes 10\.2\.0\.20 for a neighbour on eth0/,
  },
  {
    name: 'a policy rule refuses',
    plant: { r1: 'ip rule add from 10.1.0.10 prohibit priority 100' },
    mend: { r1: 'ip rule del priority 100' },
    check: ['ping', ping],
    root: 'policy-rule',
    says: /r1 .*rule 100: from 10\.1\.0\.10 prohibit/,
  },
  {
    name: 'a policy rule leads into a table with a blackhole',
    plant: { r1: 'ip route add blackhole default table 77; ip rule add to 10.2.0.0/24 lookup 77 priority 101' },
    mend: { r1: 'ip rule del priority 101; ip route flush table 77' },
    check: toWeb,
    root: 'policy-rule',
    says: /r1 .*rule 101: to 10\.2\.0\.0\/24 lookup 77/,
  },
  {
    name: 'a router’s interface is down',
    plant: { r2: 'ip link set eth1 down' },
    mend: { r2: 'ip link set eth1 up; ip -6 addr add fd02::2/64 dev eth1 nodad' },
    check: ['ping', ping],
    root: 'link-down',
    says: /eth1 of r2 is down/,
    fast: true,
  },
  {
    name: 'the server’s interface is down',
    plant: { server: 'ip link set eth0 down' },
    mend: {
      server:
        'ip link set eth0 up; ip route add default via 10.2.0.2; ip -6 addr add fd02::20/64 dev eth0 nodad; ip -6 route add default via fd02::2',
    },
    check: ['ping', ping],
    root: 'link-down',
    says: /eth0 of server is down/,
  },
  {
    name: 'the server has another address',
    plant: {
      server:
        'ip addr del 10.2.0.20/24 dev eth0; ip addr add 10.2.0.30/24 dev eth0; ip route replace default via 10.2.0.2',
    },
    mend: {
      server:
        'ip addr del 10.2.0.30/24 dev eth0; ip addr add 10.2.0.20/24 dev eth0; ip route replace default via 10.2.0.2',
    },
    check: ['ping', { from: 'client', to: '10.2.0.20' }],
    root: 'address-missing',
    says: /server .*does not have the address 10\.2\.0\.20/,
  },
  {
    name: 'a static neighbour entry with nobody’s MAC address',
    plant: { r2: 'ip neigh replace 10.2.0.20 lladdr 02:00:00:00:00:99 dev eth1 nud permanent' },
    mend: { r2: 'ip neigh del 10.2.0.20 dev eth1' },
    check: ['ping', ping],
    root: 'neighbour-wrong',
    says: /r2 .*02:00:00:00:00:99/,
  },
  {
    name: 'the client’s static entry for its gateway is wrong',
    plant: { client: 'ip neigh replace 10.1.0.1 lladdr 02:00:00:00:00:98 dev eth0 nud permanent' },
    mend: { client: 'ip neigh del 10.1.0.1 dev eth0' },
    check: toWeb,
    root: 'neighbour-wrong',
    says: /client .*02:00:00:00:00:98/,
  },
  {
    name: 'the server ignores ARP',
    plant: { server: 'sysctl -w net.ipv4.conf.eth0.arp_ignore=8; ip neigh flush all', r2: 'ip neigh flush all' },
    mend: { server: 'sysctl -w net.ipv4.conf.eth0.arp_ignore=0' },
    check: ['ping', ping],
    root: 'neighbour-silent',
    says: /server .*arp_ignore is 8/,
  },
  {
    name: 'strict reverse path filtering on a router',
    plant: { r2: 'sysctl -w net.ipv4.conf.all.rp_filter=1; ip route replace 10.1.0.0/24 via 10.2.0.20' },
    mend: { r2: 'sysctl -w net.ipv4.conf.all.rp_filter=0; ip route replace 10.1.0.0/24 via 10.9.0.1' },
    check: ['ping', ping],
    root: 'rp-filter',
    says: /r2 drops what comes from 10\.1\.0\.10 by eth0: rp_filter is 1/,
  },
  {
    name: 'strict reverse path filtering on the server',
    plant: {
      server:
        'sysctl -w net.ipv4.conf.eth0.rp_filter=1; ip link add dum0 type veth peer name dum1; ip link set dum0 up; ip link set dum1 up; ip route add 10.1.0.0/24 dev dum0',
    },
    mend: { server: 'sysctl -w net.ipv4.conf.eth0.rp_filter=0; ip link del dum0' },
    check: ['ping', ping],
    root: 'rp-filter',
    says: /server drops what comes from 10\.1\.0\.10 by eth0/,
  },
  {
    name: 'a small MTU on the way',
    plant: { r1: 'ip link set eth1 mtu 1300' },
    mend: { r1: 'ip link set eth1 mtu 1500', client: 'ip route flush cache' },
    check: ['ping', { from: 'client', to: 'server', size: 1400, df: true }],
    root: 'mtu',
    says: /eth1 of r1 takes at most 1300/,
    fast: true,
  },
  {
    name: 'a small MTU on the way, and no word of it',
    plant: { r2: 'ip link set eth1 mtu 1300; iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP' },
    mend: { r2: 'ip link set eth1 mtu 1500; iptables -F OUTPUT' },
    check: ['ping', { from: 'client', to: 'server', size: 1350, df: true }],
    root: 'mtu',
    says: /eth1 of r2 takes at most 1300/,
  },
  {
    name: 'the server answers no pings',
    plant: { server: 'sysctl -w net.ipv4.icmp_echo_ignore_all=1' },
    mend: { server: 'sysctl -w net.ipv4.icmp_echo_ignore_all=0' },
    check: ['ping', ping],
    root: 'sysctl-refuses',
    says: /server .*icmp_echo_ignore_all is 1/,
  },
  {
    name: 'nobody listens',
    plant: { server: 'service none' },
    mend: { server: 'service TCP6-LISTEN:80,ipv6only=0' },
    check: toWeb,
    root: 'nobody-listens',
    says: /on server, nobody listens on tcp port 80/,
  },
  {
    name: 'the service listens on the loopback only',
    plant: { server: 'service TCP-LISTEN:80,bind=127.0.0.1' },
    mend: { server: 'service TCP6-LISTEN:80,ipv6only=0' },
    check: toWeb,
    root: 'listens-elsewhere',
    says: /socat of server listens on 127\.0\.0\.1 port 80 only/,
    fast: true,
  },
  {
    name: 'the service listens on the other family only',
    plant: { server: 'service TCP6-LISTEN:80,ipv6only=1' },
    mend: { server: 'service TCP6-LISTEN:80,ipv6only=0' },
    check: toWeb,
    root: 'listens-elsewhere',
    says: /server listens on \S+ port 80 only/,
  },
  {
    name: 'a lossy queue on a router',
    plant: { r1: 'tc qdisc add dev eth1 root pfifo limit 0' },
    mend: { r1: 'tc qdisc del dev eth1 root' },
    check: ['ping', ping],
    root: 'link-loss',
    says: /r1 loses it .*eth1.*pfifo/,
  },
  {
    name: 'a DNAT rule leads to nobody',
    plant: { r2: 'iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.2.0.77' },
    mend: { r2: 'iptables -t nat -F PREROUTING' },
    check: toWeb,
    root: 'nat-wrong',
    says: /10\.2\.0\.77, which nobody has/,
  },
  {
    name: 'UDP is filtered on a router',
    plant: { r2: 'iptables -A FORWARD -p udp -j DROP' },
    mend: { r2: 'iptables -F FORWARD' },
    check: [
      'port',
      {
        from: 'client',
        to: 'server',
        port: 5353,
        proto: 'udp',
        send: 'hello',
        expect: { receive: { contains: 'hello' } },
      },
    ],
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain FORWARD \(filter\), `-p udp -j DROP`/,
  },
  {
    name: 'IPv6 is not forwarded',
    plant: { r1: 'sysctl -w net.ipv6.conf.all.forwarding=0' },
    mend: { r1: 'sysctl -w net.ipv6.conf.all.forwarding=1' },
    check: ['ping', { from: 'client', to: 'fd02::20' }],
    root: 'forwarding-off',
    says: /r1 .*net\.ipv6\.conf\.all\.forwarding is 0/,
  },
  {
    name: 'IPv6 is dropped on a router',
    plant: { r2: 'ip6tables -A FORWARD -p tcp --dport 80 -j DROP' },
    mend: { r2: 'ip6tables -F FORWARD' },
    check: ['port', { from: 'client', to: 'fd02::20', port: 80 }],
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain FORWARD \(filter\), `-p tcp --dport 80 -j DROP`/,
  },
  {
    name: 'no IPv6 way back',
    plant: { server: 'ip -6 route del default' },
    mend: { server: 'ip -6 route add default via fd02::2' },
    check: ['ping', { from: 'client', to: 'fd02::20' }],
    root: 'no-way-back',
    says: /server .*no route back to fd01::10/,
  },
  {
    name: 'the router has the server’s MAC address',
    plant: { r2: 'ip link set eth1 address $(ip neigh show 10.2.0.20 | grep -o "lladdr [^ ]*" | cut -d" " -f2)' },
    mend: { r2: 'ip link set eth1 address 0a:6e:00:00:00:02', server: 'ip neigh flush all' },
    check: ['ping', { from: 'client', to: 'server' }],
    root: 'mac-twice',
    says: /same MAC address .* on segment right/,
  },
  {
    name: 'nobody has the IPv6 address',
    plant: { server: 'ip -6 addr del fd02::20/64 dev eth0' },
    mend: { server: 'ip -6 addr add fd02::20/64 dev eth0 nodad; ip -6 route replace default via fd02::2' },
    check: ['ping', { from: 'client', to: 'fd02::20' }],
    root: 'address-missing',
    says: /nobody has the address fd02::20|server .*does not have the address fd02::20/,
  },
];

const docker: Omit<Fault, 'lab'>[] = [
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

const onBridge: Fault['check'] = ['ping', { from: 'a/netns:one', to: '10.6.0.2' }];
const throughTunnel: Fault['check'] = ['ping', { from: 'a/netns:far', to: '10.7.0.2' }];

const bridged: Omit<Fault, 'lab'>[] = [
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

const overlay: Fault['check'] = ['ping', { from: 'node1/one', to: 'node2/two', 'address-on': 'ov' }];

const swarm: Omit<Fault, 'lab'>[] = [
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

const onWire: Fault['check'] = ['port', { from: 'server1/one', to: 'server2/two', port: 80 }];

const macvlan: Omit<Fault, 'lab'>[] = [
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

const inLab = (lab: string, all: Omit<Fault, 'lab'>[]): Fault[] => all.map((fault) => ({ lab, ...fault }));

export const faults: Fault[] = [
  ...inLab('routed', routed),
  ...inLab('docker', docker),
  ...inLab('bridged', bridged),
  ...inLab('swarm', swarm),
  ...inLab('macvlan', macvlan),
];
