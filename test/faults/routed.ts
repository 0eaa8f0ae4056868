import type { Family, Fault } from './fault.js';
import { addresses } from './routed-addresses.js';
import { filters } from './routed-filters.js';
import { harmless } from './routed-harmless.js';
import { overIpv6 } from './routed-ipv6.js';
import { neighbours } from './routed-neighbours.js';
import { routing } from './routed-routing.js';
import { ping, toWeb } from './routed-checks.js';
import { services } from './routed-services.js';
import { wires } from './routed-wires.js';

const lab = `
scenario: faults-routed
title: A client and a server behind routers
hosts:
  client: { init: light, image: debian-12, routes: [{ to: default, via: 10.1.0.1 }] }
  r1: { init: light, image: debian-12, sysctls: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 } }
  r2: { init: light, image: debian-12, sysctls: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 } }
  bystander: { init: light, image: debian-12 }
  side: { init: light, image: debian-12 }
  server: { init: light, image: debian-12, routes: [{ to: default, via: 10.2.0.2 }] }
segments:
  left: { subnet: 10.1.0.0/24, hosts: { client: 10.1.0.10, r1: 10.1.0.1, bystander: 10.1.0.30, side: 10.1.0.40 } }
  middle: { subnet: 10.9.0.0/24, hosts: { r1: 10.9.0.1, r2: 10.9.0.2 } }
  right: { subnet: 10.2.0.0/24, hosts: { r2: 10.2.0.2, server: 10.2.0.20, side: 10.2.0.40 } }
steps:
  - step: Routes between the routers, and IPv6 on all of it
    on: r1
    run: |
      ip route add 10.2.0.0/24 via 10.9.0.2
      ip -6 addr add fd01::1/64 dev eth0 nodad
      ip -6 addr add fd09::1/64 dev eth1 nodad
      ip -6 route add fd02::/64 via fd09::2
      ip neigh add proxy 10.2.0.21 dev eth0
  - on: bystander
    run: ip route add 10.2.0.21/32 dev eth0
  - on: server
    run: ip addr add 10.2.0.21/32 dev eth0
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
    write: /usr/local/bin/page
    mode: "0755"
    content: |
      #!/bin/sh
      read method path rest
      while read l && [ "\${#l}" -gt 1 ]; do :; done
      body=ok
      [ "$path" = /large ] && body=$(head -c 4000 /dev/zero | tr '\\0' x)
      printf 'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s' "\${#body}" "$body"
  - on: server
    write: /usr/local/bin/service
    mode: "0755"
    content: |
      #!/bin/sh
      # service OPTIONS: in place of the one that runs, answer on port 80.
      listens() { ss -Hlntu "sport = :80 or sport = :8000" | grep -q .; }
      for p in $(ss -Hlntup "sport = :80 or sport = :8000" | grep -o 'pid=[0-9]*' | cut -d= -f2); do kill -CONT $p; kill $p; done
      for i in $(seq 200); do listens || break; sleep 0.02; done
      [ "$1" = none ] && exit 0
      setsid socat "$1,fork,reuseaddr" EXEC:/usr/local/bin/page >/dev/null 2>&1 </dev/null &
      for i in $(seq 500); do listens && exit 0; sleep 0.02; done
      exit 1
  - on: server
    run: service TCP6-LISTEN:80,ipv6only=0
  - on: server
    start: socat UDP4-LISTEN:5353,fork,reuseaddr EXEC:cat
  - check: healthy
    ping: { from: client, to: server }
`;

const faults: Fault[] = [
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

export const routed: Family = {
  name: 'routed',
  lab,
  faults: [...faults, ...routing, ...addresses, ...filters, ...neighbours, ...wires, ...services, ...overIpv6],
  harmless,
};
