import { added, all, on, rule, sysctl } from './fault.js';
import type { Fault } from './fault.js';
import { byPing, toWeb } from './routed-checks.js';

const backOver = (via: string): ReturnType<typeof on> =>
  on('server', `ip route add 10.1.0.0/24 via ${via}`, `ip route del 10.1.0.0/24 via ${via}`);

export const routing: Fault[] = [
  {
    name: 'a router’s route leads back to the sender, which is no router',
    ...on('r1', 'ip route replace 10.2.0.0/24 via 10.1.0.10', 'ip route replace 10.2.0.0/24 via 10.9.0.2'),
    check: byPing,
    root: 'wrong-route',
    says: /r1's route to 10\.2\.0\.0\/24 leads to client, which is no router/,
    never: /forward/,
  },
  {
    name: 'a router’s way back leads to the server itself',
    ...on('r2', 'ip route replace 10.1.0.0/24 via 10.2.0.20', 'ip route replace 10.1.0.0/24 via 10.9.0.1'),
    check: byPing,
    root: 'wrong-route',
    says: /r2's route to 10\.1\.0\.0\/24 leads to server, which is no router/,
    never: /forward/,
  },
  {
    name: 'a router’s route leads to a bystander, which is no router',
    ...all(
      on('r1', 'ip route replace 10.2.0.0/24 via 10.1.0.30', 'ip route replace 10.2.0.0/24 via 10.9.0.2'),
      // A redirect of the router's stays where it was believed.
      on('client', ':', 'ip route flush cache'),
    ),
    check: toWeb,
    root: 'wrong-route',
    says: /r1's route to 10\.2\.0\.0\/24 leads to bystander, which is no router/,
    never: /forward/,
  },
  {
    name: 'a redirect is believed still, although the router’s own route is right again',
    plant: { r1: 'ip route replace 10.2.0.0/24 via 10.1.0.30' },
    then: { client: 'ping -c 3 -i 0.2 -W 1 10.2.0.20 || :', r1: 'ip route replace 10.2.0.0/24 via 10.9.0.2' },
    mend: { client: 'ip route flush cache' },
    check: toWeb,
    root: 'wrong-route',
    says: /client sends .* to bystander \(10\.1\.0\.30\), as an ICMP redirect told it/,
    never: /forward|route of client to default leads/,
  },
  {
    name: 'a redirect leads to a router that refuses',
    ...all(
      on('r1', 'ip route replace 10.2.0.0/24 via 10.1.0.40', 'ip route replace 10.2.0.0/24 via 10.9.0.2'),
      on('client', 'ping -c 2 -i 0.2 -W 1 10.2.0.20 || :', 'ip route flush cache'),
      sysctl('side', 'net.ipv4.ip_forward', 1, 0),
      added('side', 'route', 'blackhole 10.2.0.20/32'),
    ),
    check: toWeb,
    root: 'route-refuses',
    says: /side has the route blackhole 10\.2\.0\.20/,
    never: /redirect/,
  },
  {
    name: 'two routers send it to each other',
    ...added('r2', 'route', '10.2.0.20/32 via 10.9.0.1'),
    check: byPing,
    root: 'routing-loop',
    says: /r1 and r2 send it to each other/,
  },
  {
    name: 'the sender’s packets may take one hop only',
    ...sysctl('client', 'net.ipv4.ip_default_ttl', 2, 64),
    check: toWeb,
    root: 'ttl-too-small',
    says: /r2 .*TTL/,
  },
  {
    name: 'a router sets the TTL to 1',
    ...rule('r1', '-t mangle PREROUTING -d 10.2.0.20 -j TTL --ttl-set 1'),
    check: byPing,
    root: 'ttl-too-small',
    says: /r1 .*TTL/,
  },
  {
    name: 'the answer goes over a host that does not forward',
    ...backOver('10.2.0.40'),
    check: byPing,
    root: ['forwarding-off', 'asymmetric-way-back'],
    says: /side .*ip_forward is 0/,
  },
  {
    name: 'the answer goes over a router that has not seen the question',
    ...all(
      on('client', 'ip route add 10.2.0.0/24 via 10.1.0.40', 'ip route del 10.2.0.0/24 via 10.1.0.40'),
      sysctl('side', 'net.ipv4.ip_forward', 1, 0),
      rule('r1', 'FORWARD -m conntrack --ctstate INVALID -j DROP'),
    ),
    check: toWeb,
    root: 'asymmetric-way-back',
    says: /answer.*r1.*ctstate INVALID/,
  },
  {
    name: 'the server’s way back leads to nobody',
    ...backOver('10.2.0.99'),
    check: byPing,
    root: 'wrong-route',
    says: /server .*10\.2\.0\.99, which nobody has/,
  },
  {
    name: 'the server takes the client for a neighbour',
    ...on('server', 'ip route add 10.1.0.0/24 dev eth0', 'ip route del 10.1.0.0/24 dev eth0'),
    check: toWeb,
    root: 'wrong-route',
    says: /server takes 10\.1\.0\.10 for a neighbour on eth0/,
  },
  {
    name: 'a policy rule of the server refuses the answer',
    ...all(
      added('server', 'route', 'unreachable default table 78'),
      added('server', 'rule', 'from 10.2.0.20 lookup 78 priority 90'),
    ),
    check: byPing,
    root: 'policy-rule',
    says: /server .*rule 90: from 10\.2\.0\.20 lookup 78/,
  },
  {
    name: 'a mark leads into a table with a blackhole',
    ...all(
      added('r1', 'route', 'blackhole default table 77'),
      added('r1', 'rule', 'fwmark 7 lookup 77 priority 91'),
      rule('r1', '-t mangle PREROUTING -p tcp --dport 80 -j MARK --set-mark 7'),
    ),
    check: toWeb,
    root: 'policy-rule',
    says: /r1 .*rule 91: fwmark 0x7 lookup 77/,
  },
  {
    name: 'a policy rule leads to a gateway that nobody is',
    ...all(
      added('r1', 'route', 'default via 10.9.0.77 table 77'),
      added('r1', 'rule', 'from 10.1.0.10 lookup 77 priority 92'),
    ),
    check: byPing,
    root: ['wrong-route', 'policy-rule'],
    says: /r1 .*10\.9\.0\.77, which nobody has/,
  },
  {
    name: 'of two next hops, one is nobody',
    ...on(
      'r1',
      'ip route replace 10.2.0.0/24 nexthop via 10.9.0.2 weight 1 nexthop via 10.9.0.77 weight 250',
      'ip route replace 10.2.0.0/24 via 10.9.0.2',
    ),
    check: byPing,
    root: 'wrong-route',
    says: /r1 .*10\.9\.0\.77, which nobody has/,
  },
  {
    name: 'a more exact route leads the wrong way',
    ...added('r2', 'route', '10.2.0.20/32 dev eth0'),
    check: byPing,
    root: 'wrong-route',
    says: /r2 takes 10\.2\.0\.20 for a neighbour on eth0/,
  },
  {
    name: 'the client sends from an address that nobody can answer',
    ...on(
      'client',
      'ip addr add 10.77.0.1/32 dev lo; ip route replace default via 10.1.0.1 src 10.77.0.1',
      'ip route replace default via 10.1.0.1; ip addr del 10.77.0.1/32 dev lo',
    ),
    check: byPing,
    root: 'no-way-back',
    says: /no route back to 10\.77\.0\.1/,
  },
  {
    name: 'an unreachable route on the second router',
    ...added('r2', 'route', 'unreachable 10.2.0.20/32'),
    check: toWeb,
    root: 'route-refuses',
    says: /r2 .*unreachable 10\.2\.0\.20/,
  },
  {
    name: 'a prohibit route for the answer',
    ...added('r2', 'route', 'prohibit 10.1.0.10/32'),
    check: byPing,
    root: 'route-refuses',
    says: /r2 .*prohibit 10\.1\.0\.10.*answer/,
  },
  {
    name: 'a router throws its route away',
    ...on(
      'r1',
      'ip route del 10.2.0.0/24; ip route add throw 10.2.0.0/24',
      'ip route del throw 10.2.0.0/24; ip route add 10.2.0.0/24 via 10.9.0.2',
    ),
    check: byPing,
    root: 'no-route',
    says: /r1 has no route to 10\.2\.0\.20/,
  },
  {
    name: 'the way back is forwarded by nobody',
    ...sysctl('r2', 'net.ipv4.conf.eth1.forwarding', 0, 1),
    check: byPing,
    root: 'forwarding-off',
    says: /r2 got the answer on eth1 and does not forward/,
  },
];
