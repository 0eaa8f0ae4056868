import { nothing, on, rule } from './fault.js';
import type { Change, Family, Fault, Harmless } from './fault.js';

const lab = `
scenario: faults-leased
title: A server of DHCP, who asks it, and a bystander
hosts:
  client: { init: light, image: debian-12 }
  server: { init: light, image: debian-12 }
  near: { init: light, image: debian-12 }
segments:
  floor: { subnet: 10.3.0.0/24, hosts: { client: 10.3.0.20, server: 10.3.0.5, near: 10.3.0.30 } }
  attic: { subnet: 10.4.0.0/24, hosts: { server: 10.4.0.5 } }
steps:
  - on: server
    write: /usr/local/bin/leases
    mode: "0755"
    content: |
      #!/bin/sh
      # leases INTERFACE FIRST LAST: in place of the server that runs, one with this pool.
      listens() { ss -Hlnu sport = :67 | grep -q .; }
      for p in $(ss -Hlnup sport = :67 | grep -o 'pid=[0-9]*' | cut -d= -f2); do kill -CONT $p; kill $p; done
      for i in $(seq 200); do listens || break; sleep 0.02; done
      [ "$1" = none ] && exit 0
      : >/run/leases
      printf 'interface %s\\nstart %s\\nend %s\\nlease_file /run/leases\\noption subnet 255.255.255.0\\n' "$1" "$2" "$3" >/run/udhcpd.conf
      setsid busybox udhcpd -f -a 100 /run/udhcpd.conf >/dev/null 2>&1 </dev/null &
      for i in $(seq 500); do listens && exit 0; sleep 0.02; done
      exit 1
  - on: server
    run: leases eth0 10.3.0.100 10.3.0.110
  - check: healthy
    dhcp: { from: client, wait: 2s }
    within: 10s
`;

const offered: Fault['check'] = ['dhcp', { from: 'client', wait: '1s' }];
const leases = (words: string): Change => on('server', `leases ${words}`, 'leases eth0 10.3.0.100 10.3.0.110');
const signal = (name: string): string => `kill -${name} $(ss -Hlnup sport = :67 | grep -o "pid=[0-9]*" | cut -d= -f2)`;

const faults: Fault[] = [
  {
    name: 'the server does not run',
    ...leases('none'),
    check: offered,
    root: 'nobody-listens',
    says: /the question came to (?:server, near|near, server), and none of them listens on udp port 67/,
  },
  {
    name: 'the server has stopped',
    ...on('server', signal('STOP'), signal('CONT')),
    check: offered,
    root: 'process-stopped',
    says: /busybox of server, which listens on udp port 67, is stopped/,
  },
  {
    name: 'the server lets no questions in',
    ...rule('server', 'INPUT -p udp --dport 67 -j DROP'),
    check: offered,
    root: 'filtered',
    says: /server drops the question: rule 1 of chain INPUT \(filter\), `-p udp --dport 67 -j DROP`/,
  },
  {
    name: 'the server serves another interface',
    ...leases('eth1 10.4.0.100 10.4.0.110'),
    check: offered,
    root: 'listens-elsewhere',
    says: /server got the question by eth0, and busybox there listens on udp port 67 of interface eth1 only/,
  },
  {
    name: 'the server’s interface is down',
    ...on('server', 'ip link set eth0 down', 'ip link set eth0 up; leases eth0 10.3.0.100 10.3.0.110'),
    check: offered,
    root: 'link-down',
    says: /eth0 of server is down/,
  },
];

const harmless: Harmless[] = [
  {
    name: 'a pool that is used up, of which only the server knows',
    ...leases('eth0 10.3.0.30 10.3.0.30'),
    check: offered,
    verdict: 'fail',
    root: null,
    says: /the question came to server, where busybox listens on udp port 67, and no offer came of it/,
  },
  {
    name: 'a bystander that drops what it is not asked for',
    ...rule('near', 'INPUT -j DROP'),
    check: offered,
    verdict: 'pass',
    root: null,
  },
  {
    name: 'a bystander that drops, while the pool is used up',
    plant: { server: 'leases eth0 10.3.0.30 10.3.0.30', near: 'iptables -I INPUT -p udp -j DROP' },
    mend: { server: 'leases eth0 10.3.0.100 10.3.0.110', near: 'iptables -D INPUT -p udp -j DROP' },
    check: offered,
    verdict: 'fail',
    root: null,
    says: /came to server/,
  },
  {
    name: 'an offer of another address than is asked for',
    ...nothing,
    check: ['dhcp', { from: 'client', wait: '1s', expect: { address: '10.3.0.99' } }],
    verdict: 'fail',
    root: null,
  },
  {
    name: 'nobody who offers, as must be',
    ...leases('none'),
    check: ['dhcp', { from: 'client', wait: '1s', expect: { absent: true } }],
    verdict: 'pass',
    root: null,
  },
];

export const leased: Family = { name: 'leased', lab, faults, harmless };
