import { all, nft, on, rule } from './fault.js';
import type { Change, Fault } from './fault.js';
import { byPing, byPing6, toWeb, toWeb6 } from './routed-checks.js';

/** The MAC address of eth0 of a host, as a part of a command; what holds it is written by `told`. */
const fixed = (host: string, address: string, dev: string, mac: string, family = ''): Change =>
  on(
    host,
    `ip ${family} neigh replace ${address} lladdr ${mac} dev ${dev} nud permanent`,
    `ip ${family} neigh del ${address} dev ${dev}`,
  );

const forgotten = (host: string): Change => on(host, 'ip neigh flush all', 'true');

/** The MAC address that a host has in its own table for an address, once it has sent something there. */
const macOf = (address: string): string =>
  `$(ping -c1 -W1 ${address} >/dev/null; ip neigh show ${address} | grep -o "lladdr [^ ]*" | cut -d" " -f2)`;

export const neighbours: Fault[] = [
  {
    name: 'a router no longer answers ARP for an address behind it',
    ...on('r1', 'ip neigh del proxy 10.2.0.21 dev eth0', 'ip neigh add proxy 10.2.0.21 dev eth0'),
    then: { bystander: 'ip neigh flush dev eth0' },
    check: ['ping', { from: 'bystander', to: '10.2.0.21' }],
    root: ['wrong-route', 'neighbour-silent'],
    says: /bystander .*10\.2\.0\.21/,
  },
  {
    name: 'somebody else has the gateway’s address, too',
    plant: {
      client: 'ip neigh flush all',
      bystander:
        'ip neigh flush all; ip addr add 10.1.0.1/24 dev eth0; ping -c1 -W1 -I 10.1.0.1 10.1.0.10 >/dev/null || true',
    },
    mend: { bystander: 'ip addr del 10.1.0.1/24 dev eth0', client: 'ip neigh flush all' },
    check: byPing,
    root: 'address-twice',
    says: /bystander and r1 both have 10\.1\.0\.1|r1 and bystander both have 10\.1\.0\.1/,
  },
  {
    name: 'the last router has the server’s address itself',
    ...on('r2', 'ip addr add 10.2.0.20/32 dev lo', 'ip addr del 10.2.0.20/32 dev lo'),
    check: toWeb,
    root: 'address-twice',
    says: /r2.*(?:has|have).*10\.2\.0\.20/,
  },
  {
    name: 'the sender has the server’s address itself',
    ...on('client', 'ip addr add 10.2.0.20/32 dev lo', 'ip addr del 10.2.0.20/32 dev lo'),
    check: toWeb,
    // The check itself sees that.
    root: null,
    says: /client has the address 10\.2\.0\.20 of server itself/,
  },
  {
    name: 'a static entry for the gateway has another host’s MAC address',
    ...fixed('client', '10.1.0.1', 'eth0', macOf('10.1.0.30')),
    check: byPing,
    root: 'neighbour-wrong',
    says: /client .*bystander, which it has for 10\.1\.0\.1 by a static entry/,
  },
  {
    name: 'a static entry for the server has another host’s MAC address',
    ...fixed('r2', '10.2.0.20', 'eth1', macOf('10.2.0.40')),
    check: byPing,
    root: 'neighbour-wrong',
    says: /r2 .*side, which it has for 10\.2\.0\.20/,
  },
  {
    name: 'the server’s static entry for its gateway is another host’s',
    ...fixed('server', '10.2.0.2', 'eth0', macOf('10.2.0.40')),
    check: toWeb,
    root: 'neighbour-wrong',
    says: /server .*side, which it has for 10\.2\.0\.2/,
  },
  {
    name: 'the server’s static entry for its gateway is nobody’s',
    ...fixed('server', '10.2.0.2', 'eth0', '02:00:00:00:00:97'),
    check: byPing,
    root: 'neighbour-wrong',
    says: /server .*02:00:00:00:00:97/,
  },
  {
    name: 'the server has changed its MAC address',
    plant: {
      r2: `ip neigh replace 10.2.0.20 lladdr ${macOf('10.2.0.20')} dev eth1 nud reachable`,
      server: 'cat /sys/class/net/eth0/address >/run/mac; ip link set eth0 address 02:00:00:00:77:01',
    },
    mend: { server: 'ip link set eth0 address $(cat /run/mac); ping -c1 -W1 10.2.0.2 >/dev/null || true' },
    check: byPing,
    root: 'neighbour-wrong',
    says: /r2 sends .*10\.2\.0\.20.*nobody has/,
  },
  {
    name: 'the server speaks no ARP',
    ...all(forgotten('r2'), on('server', 'ip link set eth0 arp off', 'ip link set eth0 arp on')),
    check: byPing,
    root: 'neighbour-silent',
    says: /server .*(?:NOARP|arp off)/,
  },
  {
    name: 'the server drops ARP by nftables',
    ...all(forgotten('r2'), nft('server', 'arp', 'input priority 0', ['arp operation request drop'])),
    check: byPing,
    root: 'filtered',
    says: /server drops .*rule 1 of chain onward \(arp wall\), `arp operation request drop`/,
  },
  {
    name: 'the server answers no ARP by nftables',
    ...all(forgotten('r2'), nft('server', 'arp', 'output priority 0', ['arp operation reply drop'])),
    check: toWeb,
    root: 'filtered',
    says: /server drops .*rule 1 of chain onward \(arp wall\), `arp operation reply drop`/,
  },
  {
    name: 'the server drops the question for its IPv6 address',
    ...all(
      forgotten('r2'),
      rule('server', 'INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j DROP', 'ip6tables'),
    ),
    check: byPing6,
    root: 'filtered',
    says: /server drops .*rule 1 of chain INPUT/,
  },
  {
    name: 'a static IPv6 entry is nobody’s',
    ...fixed('r2', 'fd02::20', 'eth1', '02:00:00:00:00:96', '-6'),
    check: toWeb6,
    root: 'neighbour-wrong',
    says: /r2 .*02:00:00:00:00:96/,
  },
];
