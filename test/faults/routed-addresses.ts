import { all, on } from './fault.js';
import type { Change, Fault } from './fault.js';
import { byPing, toWeb } from './routed-checks.js';

/** A host has its address with another prefix length for the time, and its default route all the same. */
const masked = (host: string, address: string, bad: number, good: number, gateway: string): Change =>
  on(
    host,
    `ip addr add ${address}/${bad} dev eth0; ip addr del ${address}/${good} dev eth0; ip route replace default via ${gateway} onlink dev eth0`,
    `ip addr add ${address}/${good} dev eth0; ip addr del ${address}/${bad} dev eth0; ip route replace default via ${gateway}`,
  );

/** What has to do with addresses and their prefix lengths. */
export const addresses: Fault[] = [
  {
    name: 'the server’s prefix covers the client’s segment',
    ...all(
      masked('server', '10.2.0.20', 8, 24, '10.2.0.2'),
      on('server', 'ip addr add 10.2.0.21/32 dev eth0', 'true'),
      on('server', 'true', 'ip addr replace 10.2.0.21/32 dev eth0'),
    ),
    check: byPing,
    root: 'wrong-route',
    says: /server takes 10\.1\.0\.10 for a neighbour on eth0/,
  },
  {
    name: 'the prefix of a neighbour is too long, and it has no other way',
    ...on(
      'bystander',
      'ip addr add 10.1.0.30/28 dev eth0; ip addr del 10.1.0.30/24 dev eth0',
      'ip addr add 10.1.0.30/24 dev eth0; ip addr del 10.1.0.30/28 dev eth0; ip route replace 10.2.0.21/32 dev eth0',
    ),
    check: ['ping', { from: 'bystander', to: '10.1.0.10' }],
    root: 'no-route',
    says: /bystander has no route to 10\.1\.0\.10.*10\.1\.0\.30\/28.*10\.1\.0\.0\/24/,
  },
  {
    name: 'the prefix of the one who is asked is too long, so that it has no way back',
    ...on(
      'bystander',
      'ip addr add 10.1.0.30/28 dev eth0; ip addr del 10.1.0.30/24 dev eth0',
      'ip addr add 10.1.0.30/24 dev eth0; ip addr del 10.1.0.30/28 dev eth0; ip route replace 10.2.0.21/32 dev eth0',
    ),
    check: ['ping', { from: 'client', to: '10.1.0.30' }],
    root: 'no-way-back',
    says: /bystander .*no route back to 10\.1\.0\.10.*10\.1\.0\.30\/28.*10\.1\.0\.0\/24/,
  },
  {
    name: 'the sender has no address, as if no server had given it one',
    ...on(
      'client',
      'ip addr flush dev eth0 scope global',
      'ip addr add 10.1.0.10/24 dev eth0; ip route replace default via 10.1.0.1; ip -6 addr add fd01::10/64 dev eth0 nodad; ip -6 route replace default via fd01::1',
    ),
    check: byPing,
    root: 'no-route',
    says: /client has no route to 10\.2\.0\.20; eth0 of client has no IPv4 address/,
  },
  {
    name: 'of two default routes, the better one leads to nobody',
    ...on(
      'client',
      'ip route add default via 10.1.0.1 metric 100; ip route replace default via 10.1.0.66 metric 0',
      'ip route replace default via 10.1.0.1 metric 0; ip route del default via 10.1.0.1 metric 100',
    ),
    check: byPing,
    root: 'wrong-route',
    says: /client .*10\.1\.0\.66, which nobody has/,
  },
  {
    name: 'the bystander has the client’s address, too, and is believed',
    plant: {
      bystander: 'ip addr add 10.1.0.10/32 dev eth0',
      client:
        'ip neigh replace 10.1.0.1 lladdr $(ip neigh show 10.1.0.1 dev eth0 | grep -o "lladdr [^ ]*" | cut -d" " -f2) dev eth0 nud permanent; sysctl -qw net.ipv4.conf.eth0.arp_ignore=8',
      r1: 'ip neigh flush to 10.1.0.10',
    },
    mend: {
      bystander: 'ip addr del 10.1.0.10/32 dev eth0',
      client: 'sysctl -qw net.ipv4.conf.eth0.arp_ignore=0; ip neigh del 10.1.0.1 dev eth0',
      r1: 'ip neigh flush to 10.1.0.10',
    },
    check: byPing,
    root: 'address-twice',
    says: /(?:client|bystander) and (?:client|bystander) both have 10\.1\.0\.10/,
  },
  {
    name: 'loose reverse path filtering where no way leads back at all',
    ...on(
      'server',
      'sysctl -w net.ipv4.conf.eth0.rp_filter=2; ip route del default',
      'sysctl -w net.ipv4.conf.eth0.rp_filter=0; ip route add default via 10.2.0.2',
    ),
    check: byPing,
    root: ['rp-filter', 'no-way-back'],
    says: /server .*(?:its own way to 10\.1\.0\.10 is none|no route back to 10\.1\.0\.10)/,
  },
  {
    name: 'the service listens on the other address of its host only',
    ...on('server', 'service TCP-LISTEN:80,bind=10.2.0.21', 'service TCP6-LISTEN:80,ipv6only=0'),
    check: toWeb,
    root: 'listens-elsewhere',
    says: /socat of server listens on 10\.2\.0\.21 port 80 only, not on 10\.2\.0\.20/,
  },
];
