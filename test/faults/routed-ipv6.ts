import { added, on, policy, removed, rule } from './fault.js';
import type { Fault } from './fault.js';
import { byPing6, toWeb6 } from './routed-checks.js';

export const overIpv6: Fault[] = [
  {
    name: 'IPv6 is switched off at the server’s interface',
    ...on(
      'server',
      'sysctl -w net.ipv6.conf.eth0.disable_ipv6=1',
      'sysctl -w net.ipv6.conf.eth0.disable_ipv6=0; ip -6 addr add fd02::20/64 dev eth0 nodad; ip -6 route replace default via fd02::2',
    ),
    check: byPing6,
    root: 'address-missing',
    says: /server.*disable_ipv6 is 1|disable_ipv6 is 1.*server/,
  },
  {
    name: 'IPv6 is switched off at a router’s interface',
    ...on(
      'r2',
      'sysctl -w net.ipv6.conf.eth1.disable_ipv6=1',
      'sysctl -w net.ipv6.conf.eth1.disable_ipv6=0; ip -6 addr add fd02::2/64 dev eth1 nodad',
    ),
    check: toWeb6,
    root: 'no-route',
    says: /r2 has no route to fd02::20.*disable_ipv6 is 1/,
  },
  {
    name: 'duplicate address detection has failed',
    ...on(
      'server',
      'ip -6 addr del fd02::20/64 dev eth0',
      'ip -6 addr del fd02::20/64 dev eth0; ip -6 addr add fd02::20/64 dev eth0 nodad; ip -6 route replace default via fd02::2',
    ),
    plant: {
      side: 'ip -6 addr add fd02::20/64 dev eth1 nodad',
      server:
        'ip -6 addr del fd02::20/64 dev eth0; ip -6 addr add fd02::20/64 dev eth0; for i in $(seq 40); do ip -6 addr show dadfailed | grep -q fd02::20 && break; sleep 0.1; done',
      r2: 'ip neigh flush all',
    },
    mend: {
      side: 'ip -6 addr del fd02::20/64 dev eth1',
      server:
        'ip -6 addr del fd02::20/64 dev eth0; ip -6 addr add fd02::20/64 dev eth0 nodad; ip -6 route replace default via fd02::2',
      r2: 'ip neigh flush all',
    },
    check: toWeb6,
    root: 'address-twice',
    says: /(?:server and side|side and server) both have fd02::20/,
  },
  {
    name: 'a router has no IPv6 route on',
    ...removed('r1', '-6 route', 'fd02::/64 via fd09::2'),
    check: byPing6,
    root: 'no-route',
    says: /r1 has no route to fd02::20/,
  },
  {
    name: 'an IPv6 blackhole',
    ...added('r2', '-6 route', 'blackhole fd02::20/128'),
    check: byPing6,
    root: 'route-refuses',
    says: /r2 .*blackhole fd02::20/,
  },
  {
    name: 'the client’s IPv6 gateway is nobody',
    ...on('client', 'ip -6 route replace default via fd01::9', 'ip -6 route replace default via fd01::1'),
    check: toWeb6,
    root: 'wrong-route',
    says: /fd01::9, which nobody has/,
  },
  {
    name: 'a policy rule for IPv6 refuses',
    ...added('r1', '-6 rule', 'from fd01::10 prohibit priority 93'),
    check: byPing6,
    root: 'policy-rule',
    says: /r1 .*rule 93: from fd01::10 prohibit/,
  },
  {
    name: 'the server rejects over IPv6',
    ...rule('server', 'INPUT -p tcp --dport 80 -j REJECT', 'ip6tables'),
    check: toWeb6,
    root: 'filtered',
    says: /server rejects it: rule 1 of chain INPUT/,
  },
  {
    name: 'the policy of a router for IPv6',
    ...policy('r2', 'FORWARD', 'ip6tables'),
    check: byPing6,
    root: 'filtered',
    says: /r2 drops it: no rule of chain FORWARD/,
  },
];
