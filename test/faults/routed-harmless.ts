import { added, all, nft, nothing, on, rule, sysctl } from './fault.js';
import type { Change, Fault, Harmless } from './fault.js';
import { byPing, closed, toWeb } from './routed-checks.js';

const refused = /on server, nobody listens on tcp port 81/;

/** The port is closed, and whatever else is odd in the lab has nothing to do with it. */
const besides = (name: string, change: Change): Harmless => ({
  name: `${name}, while the port is closed`,
  ...change,
  check: closed,
  verdict: 'fail',
  root: 'nobody-listens',
  says: refused,
});

const passes = (name: string, change: Change, check: Fault['check']): Harmless => ({
  name,
  ...change,
  check,
  verdict: 'pass',
  root: null,
});

const own = (name: string, change: Change, check: Fault['check'], says?: RegExp): Harmless => ({
  name,
  ...change,
  check,
  verdict: 'fail',
  root: null,
  ...(says ? { says } : {}),
});

export const harmless: Harmless[] = [
  besides('a router drops another port', rule('r1', 'FORWARD -p tcp --dport 443 -j DROP')),
  besides('a router rejects what another host sends', rule('r2', 'FORWARD -s 10.1.0.30 -j REJECT')),
  besides(
    'a table of nftables counts',
    nft('r1', 'inet', 'forward priority 0', ['counter', 'tcp dport 81 counter accept']),
  ),
  besides(
    'a rule lets a few packets in a second through',
    rule('r2', 'FORWARD -p tcp --dport 81 -m limit --limit 50/s -j ACCEPT'),
  ),
  besides('a router has a blackhole for another network', added('r2', 'route', 'blackhole 10.66.0.0/16')),
  besides('a policy rule refuses another sender', added('r1', 'rule', 'from 10.1.0.30 prohibit priority 93')),
  besides('a router hides who asks', rule('r2', '-t nat POSTROUTING -o eth1 -j MASQUERADE')),
  besides(
    'a host off the way loses all',
    on('side', 'tc qdisc add dev eth1 root pfifo limit 0', 'tc qdisc del dev eth1 root'),
  ),
  besides('reverse path filtering is strict, and both ways are one', sysctl('r2', 'net.ipv4.conf.all.rp_filter', 1, 0)),
  besides(
    'the answer takes another way, which works',
    all(
      on('server', 'ip route add 10.1.0.0/24 via 10.2.0.40', 'ip route del 10.1.0.0/24 via 10.2.0.40'),
      sysctl('side', 'net.ipv4.ip_forward', 1, 0),
    ),
  ),
  besides(
    'another host has the address for itself alone, as real servers behind a balancer have it',
    all(
      sysctl('side', 'net.ipv4.conf.all.arp_ignore', 1, 0),
      on('side', 'ip addr add 10.2.0.20/32 dev lo', 'ip addr del 10.2.0.20/32 dev lo'),
    ),
  ),
  besides(
    'a right entry of the neighbour table is static',
    on(
      'r2',
      'ping -c1 -W1 10.2.0.20 >/dev/null; ip neigh replace 10.2.0.20 lladdr $(ip neigh show 10.2.0.20 dev eth1 | grep -o "lladdr [^ ]*" | cut -d" " -f2) dev eth1 nud permanent',
      'ip neigh del 10.2.0.20 dev eth1',
    ),
  ),
  besides(
    'another service of the server has stopped',
    on('server', 'pkill -STOP -f UDP4-LISTEN:5353', 'pkill -CONT -f UDP4-LISTEN:5353'),
  ),
  {
    name: 'a UDP port that is closed',
    ...nothing,
    check: [
      'port',
      {
        from: 'client',
        to: 'server',
        port: 5354,
        proto: 'udp',
        send: 'hello',
        expect: { receive: { contains: 'hello' } },
      },
    ],
    verdict: 'fail',
    root: 'nobody-listens',
    says: /on server, nobody listens on udp port 5354/,
  },
  own('an answer with another status', nothing, [
    'http',
    { from: 'client', url: 'http://10.2.0.20/', expect: { status: 404 } },
  ]),
  own('an answer with another body', nothing, [
    'http',
    { from: 'client', url: 'http://10.2.0.20/', expect: { body: 'something else' } },
  ]),
  own(
    'a service that takes connections and says nothing',
    on(
      'server',
      'service TCP-LISTEN:80; sed -i s/^body=ok/exec\\ sleep\\ 60/ /usr/local/bin/page',
      'sed -i "s/^exec sleep 60/body=ok/" /usr/local/bin/page; service TCP6-LISTEN:80,ipv6only=0',
    ),
    ['http', { from: 'client', url: 'http://10.2.0.20/', wait: '1s' }],
    /server .*takes the connection, so the way there and back is free/,
  ),
  own(
    'a rule lets a connection begin, and no request through',
    rule('r2', 'FORWARD -p tcp --dport 80 -m length --length 80:65535 -j DROP'),
    ['http', { from: 'client', url: 'http://10.2.0.20/', wait: '1s' }],
    /the connection is taken, and what client sends on it then is lost: \d+ bytes of it are not acknowledged by server/,
  ),
  own(
    'a policy of IPsec blocks, of which no table of rules tells',
    on(
      'r2',
      'ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir fwd action block',
      'ip xfrm policy del src 10.1.0.0/24 dst 10.2.0.0/24 dir fwd',
    ),
    byPing,
    /it came to r2 by eth0, and was not seen any further/,
  ),
  own(
    'a service that takes longer than is waited',
    on(
      'server',
      'sed -i s/^body=ok/sleep\\ 2\\;\\ body=ok/ /usr/local/bin/page',
      'sed -i "s/^sleep 2; body=ok/body=ok/" /usr/local/bin/page',
    ),
    ['http', { from: 'client', url: 'http://10.2.0.20/', wait: '700ms' }],
    /server .*takes the connection/,
  ),
  own(
    'a service that keeps datagrams for itself',
    on(
      'server',
      'setsid socat -u UDP4-RECV:5355 OPEN:/dev/null >/dev/null 2>&1 </dev/null & for i in $(seq 100); do ss -Hlnu sport = :5355 | grep -q . && break; sleep 0.02; done',
      'pkill -f UDP4-RECV:5355',
    ),
    [
      'port',
      {
        from: 'client',
        to: 'server',
        port: 5355,
        proto: 'udp',
        send: 'hello',
        expect: { receive: { contains: 'hello' } },
      },
    ],
    /it came to server, where socat listens on udp port 5355, and socat sent no answer/,
  ),
  own(
    'a port that is open and must not be',
    nothing,
    ['port', { from: 'client', to: 'server', port: 80, expect: { fails: ['refused', 'timeout'] } }],
    /its way was client → r1 → r2 → server/,
  ),
  passes('a router drops pings, and the page is asked for', rule('r1', 'FORWARD -p icmp -j DROP'), toWeb),
  passes('a router drops the page, and pings are sent', rule('r1', 'FORWARD -p tcp --dport 80 -j DROP'), byPing),
  passes('a port that must be closed is closed', nothing, [
    'port',
    { from: 'client', to: 'server', port: 81, expect: { fails: ['refused'] } },
  ]),
  passes(
    'a queue shapes what it sends',
    on('r1', 'tc qdisc add dev eth1 root tbf rate 20mbit burst 32kbit latency 50ms', 'tc qdisc del dev eth1 root'),
    toWeb,
  ),
  passes(
    'a small link, and pings that may be fragmented',
    all(
      on('r1', 'ip link set eth1 mtu 1300', 'ip link set eth1 mtu 1500'),
      on('r2', 'ip link set eth0 mtu 1300', 'ip link set eth0 mtu 1500'),
      ...['client', 'server'].map((host) => on(host, 'true', 'ip route flush cache')),
    ),
    ['ping', { from: 'client', to: 'server', size: 1400, count: 3, expect: { 'min-received': 2 } }],
  ),
  passes(
    'a small link, and large answers whose sender is told so',
    on('r1', 'ip link set eth0 mtu 1300', 'ip link set eth0 mtu 1500'),
    ['http', { from: 'client', url: 'http://10.2.0.20/large', wait: '3s' }],
  ),
];
