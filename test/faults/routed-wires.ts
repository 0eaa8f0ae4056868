import { all, on, rule } from './fault.js';
import type { Change, Fault } from './fault.js';
import { byPing, large, toWeb } from './routed-checks.js';

const queue = (host: string, dev: string, words: string): Change =>
  on(host, `tc qdisc add dev ${dev} root ${words}`, `tc qdisc del dev ${dev} root`);

/** Who was told of a small MTU, or took part in it, keeps that for minutes. */
const forgotten: Change = all(
  ...['client', 'server'].map((host) => on(host, 'true', 'ip route flush cache; ip -6 route flush cache')),
);

const mtu = (host: string, dev: string, bytes: number): Change =>
  all(on(host, `ip link set ${dev} mtu ${bytes}`, `ip link set ${dev} mtu 1500`), forgotten);

const big = (size: number, to = 'server'): Fault['check'] => ['ping', { from: 'client', to, size, df: true }];

export const wires: Fault[] = [
  {
    name: 'large requests do not pass a router, which says nothing of it',
    ...all(mtu('r2', 'eth1', 1300), rule('r2', 'OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP')),
    check: ['http', { from: 'client', url: 'http://10.2.0.20/', method: 'PUT', send: 'x'.repeat(3000), wait: '2s' }],
    root: 'mtu',
    says: /large requests of client do not: .*eth1 of r2 takes at most 1300/,
  },
  {
    name: 'large answers do not pass a router, whose word of it is dropped on its way',
    ...all(mtu('r1', 'eth0', 1300), rule('r2', 'FORWARD -p icmp --icmp-type fragmentation-needed -j DROP')),
    check: large,
    root: 'mtu',
    says: /large answers of server do not: a packet has 1500 bytes .*eth0 of r1 takes at most 1300; r2 drops the word of it: rule 1 of chain FORWARD/,
    never: /the way there and back is free/,
  },
  {
    name: 'large answers do not pass a router, which says nothing of it',
    ...all(mtu('r1', 'eth0', 1300), rule('r1', 'OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP')),
    check: large,
    root: 'mtu',
    says: /large answers of server do not: .*eth0 of r1 takes at most 1300; r1 drops the word of it: rule 1 of chain OUTPUT/,
  },
  {
    name: 'a queue loses everything',
    ...queue('r2', 'eth1', 'netem loss 100%'),
    needs: 'netem',
    check: byPing,
    root: 'link-loss',
    says: /r2 loses it .*eth1.*netem/,
  },
  {
    name: 'a queue loses the answers',
    ...queue('server', 'eth0', 'netem loss 100%'),
    needs: 'netem',
    check: toWeb,
    root: 'link-loss',
    says: /server loses the answer .*eth0.*netem/,
  },
  {
    name: 'a queue holds packets for seconds',
    ...queue('r1', 'eth1', 'netem delay 4s'),
    needs: 'netem',
    check: toWeb,
    root: 'link-delay',
    says: /r1 .*eth1.*netem.*4 s/,
  },
  {
    name: 'the receiver takes smaller packets than are sent',
    ...mtu('server', 'eth0', 1300),
    check: big(1400),
    root: 'mtu',
    says: /eth0 of server takes at most 1300/,
  },
  {
    name: 'a small MTU at the far router, by the largest packet',
    ...mtu('r2', 'eth1', 1400),
    check: ['mtu', { from: 'client', to: 'server', expect: 1500 }],
    root: 'mtu',
    says: /eth1 of r2 takes at most 1400/,
  },
  {
    name: 'a route has a small MTU',
    ...all(
      on('client', 'ip route replace default via 10.1.0.1 mtu lock 1200', 'ip route replace default via 10.1.0.1'),
      forgotten,
    ),
    check: big(1400),
    root: 'mtu',
    says: /client .*1200/,
  },
  {
    name: 'an IPv6 packet is too large, and no word of it comes',
    ...all(mtu('r2', 'eth1', 1300), rule('r2', 'OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP', 'ip6tables')),
    check: big(1350, 'fd02::20'),
    root: 'mtu',
    says: /eth1 of r2 takes at most 1300/,
  },
  {
    name: 'an interface behind the first router is down',
    ...on(
      'r1',
      'ip link set eth1 down',
      'ip link set eth1 up; ip route add 10.2.0.0/24 via 10.9.0.2; ip -6 addr add fd09::1/64 dev eth1 nodad; ip -6 route add fd02::/64 via fd09::2',
    ),
    check: byPing,
    root: 'link-down',
    says: /eth1 of r1 is down/,
  },
  {
    name: 'the client’s interface is down',
    ...on(
      'client',
      'ip link set eth0 down',
      'ip link set eth0 up; ip route add default via 10.1.0.1; ip -6 addr add fd01::10/64 dev eth0 nodad; ip -6 route add default via fd01::1',
    ),
    check: toWeb,
    root: 'link-down',
    says: /eth0 of client is down/,
  },
  {
    name: 'the server’s address is gone with its way back',
    ...on(
      'server',
      'ip addr flush dev eth0',
      'ip addr add 10.2.0.20/24 dev eth0; ip route replace default via 10.2.0.2; ip -6 addr add fd02::20/64 dev eth0 nodad; ip -6 route replace default via fd02::2',
    ),
    check: ['ping', { from: 'client', to: '10.2.0.20' }],
    root: 'address-missing',
    says: /server .*does not have the address 10\.2\.0\.20/,
  },
];
