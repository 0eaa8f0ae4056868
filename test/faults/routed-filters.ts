import { all, nft, on, policy, rule } from './fault.js';
import type { Fault } from './fault.js';
import { byPing, toWeb } from './routed-checks.js';

const tc = (host: string, side: 'ingress' | 'egress', match: string): ReturnType<typeof on> =>
  on(
    host,
    `tc qdisc add dev eth0 clsact; tc filter add dev eth0 ${side} protocol ip ${match} action drop`,
    'tc qdisc del dev eth0 clsact',
  );

export const filters: Fault[] = [
  {
    name: 'traffic control drops what comes in',
    ...tc('server', 'ingress', 'u32 match ip dport 80 0xffff'),
    needs: 'actions of traffic control',
    check: toWeb,
    root: 'filtered',
    says: /server drops it: .*tc filter.*ingress of eth0/,
  },
  {
    name: 'traffic control drops what goes out',
    ...tc('client', 'egress', 'matchall'),
    needs: 'actions of traffic control',
    check: byPing,
    root: 'filtered',
    says: /client drops it: .*tc filter.*egress of eth0/,
  },
  {
    name: 'traffic control drops the answers',
    ...tc('server', 'egress', 'u32 match ip protocol 1 0xff'),
    needs: 'actions of traffic control',
    check: byPing,
    root: 'filtered',
    says: /server drops the answer: .*tc filter.*egress of eth0/,
  },
  {
    name: 'nftables drops at ingress of an interface',
    ...nft('r2', 'netdev', 'ingress device eth0 priority 0', ['ip protocol icmp drop']),
    check: byPing,
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain onward \(netdev wall\)/,
  },
  {
    name: 'nftables drops before everything else',
    ...nft('r1', 'ip', 'prerouting priority -500', ['tcp dport 80 drop']),
    check: toWeb,
    root: 'filtered',
    says: /r1 drops it: rule 1 of chain onward \(ip wall\)/,
  },
  {
    name: 'nftables drops by a verdict map',
    ...nft('r1', 'inet', 'forward priority 0', ['tcp dport vmap { 22 : accept, 80 : drop }']),
    check: toWeb,
    root: 'filtered',
    says: /r1 drops it: rule 1 of chain onward \(inet wall\)/,
  },
  {
    name: 'nftables drops by a set',
    ...on(
      'server',
      'nft add table ip wall; nft "add set ip wall bad { type ipv4_addr; }"; nft "add element ip wall bad { 10.1.0.10 }"; nft "add chain ip wall in { type filter hook input priority 0; }"; nft add rule ip wall in ip saddr @bad counter drop',
      'nft delete table ip wall',
    ),
    check: byPing,
    root: 'filtered',
    says: /server drops it: rule 1 of chain in \(ip wall\), `ip saddr @bad drop`/,
  },
  {
    name: 'a chain that is jumped to drops',
    ...on(
      'r2',
      'iptables -N GUARD; iptables -A GUARD -p icmp -j DROP; iptables -A FORWARD -j GUARD',
      'iptables -F FORWARD; iptables -F GUARD; iptables -X GUARD',
    ),
    check: byPing,
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain GUARD \(filter\)/,
  },
  {
    name: 'the raw table drops',
    ...rule('server', '-t raw PREROUTING -p tcp --dport 80 -j DROP'),
    check: toWeb,
    root: 'filtered',
    says: /server drops it: rule 1 of chain PREROUTING \(raw\)/,
  },
  {
    name: 'the mangle table drops',
    ...rule('r1', '-t mangle FORWARD -p icmp -j DROP'),
    check: byPing,
    root: 'filtered',
    says: /r1 drops it: rule 1 of chain FORWARD \(mangle\)/,
  },
  {
    name: 'what is not tracked is no answer',
    ...all(
      rule('r1', '-t raw PREROUTING -p icmp -j CT --notrack'),
      on(
        'r1',
        'iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT; iptables -A FORWARD -s 10.1.0.0/24 -j ACCEPT; iptables -P FORWARD DROP',
        'iptables -P FORWARD ACCEPT; iptables -F FORWARD',
      ),
    ),
    check: byPing,
    root: 'filtered',
    says: /r1 drops the answer: no rule of chain FORWARD/,
  },
  {
    name: 'a rule rejects with a word of its own',
    ...rule('r1', 'FORWARD -p tcp --dport 80 -j REJECT --reject-with icmp-host-prohibited'),
    check: toWeb,
    root: 'filtered',
    says: /r1 rejects it: rule 1 of chain FORWARD/,
  },
  {
    name: 'a rule looks into the packet’s length',
    ...rule('r2', 'FORWARD -p icmp -m length --length 84 -j DROP'),
    check: byPing,
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain FORWARD/,
  },
  {
    name: 'the sender’s policy',
    ...policy('client', 'OUTPUT'),
    check: toWeb,
    root: 'filtered',
    says: /client drops it: .*OUTPUT.*policy is DROP/,
  },
  {
    name: 'the server’s policy lets no answer in at the client',
    ...policy('client', 'INPUT'),
    check: toWeb,
    root: 'filtered',
    says: /client drops the answer: .*INPUT.*policy is DROP/,
  },
  {
    name: 'a rule of legacy iptables in the raw table',
    ...rule('r2', '-t raw PREROUTING -p tcp --dport 80 -j DROP', 'iptables-legacy'),
    check: toWeb,
    root: 'filtered',
    says: /r2 drops it: rule 1 of chain PREROUTING \(raw\)/,
  },
  {
    name: 'a service is redirected to where nobody listens',
    ...rule('server', '-t nat PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8081'),
    check: toWeb,
    root: ['nat-wrong', 'nobody-listens'],
    says: /server.*8081/,
  },
  {
    name: 'a router redirects to itself',
    ...rule('r1', '-t nat PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 3128'),
    check: toWeb,
    root: ['nat-wrong', 'nobody-listens'],
    says: /r1.*3128/,
  },
  {
    name: 'a router translates the source to nobody’s address',
    ...rule('r2', '-t nat POSTROUTING -p icmp -o eth1 -j SNAT --to-source 10.2.0.99'),
    check: byPing,
    root: 'nat-wrong',
    says: /r2 translates .*10\.2\.0\.99, which nobody has/,
  },
  {
    name: 'a translation to the loopback',
    ...rule('server', '-t nat PREROUTING -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:80'),
    check: toWeb,
    root: 'nat-wrong',
    says: /server .*127\.0\.0\.1.*route_localnet is 0/,
  },
  {
    name: 'a translation leads to somebody else',
    ...rule('r2', '-t nat PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.2.0.40:80'),
    check: toWeb,
    root: ['nat-wrong', 'nobody-listens'],
    says: /side.*80/,
  },
];
