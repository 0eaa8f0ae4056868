import { all, nothing, on, policy, rule } from './fault.js';
import type { Change, Family, Fault, Harmless } from './fault.js';

const lab = `
scenario: faults-named
title: A client, two name servers behind a router, and one more that knows nothing
hosts:
  client: { init: light, image: debian-12, routes: [{ to: 10.2.0.0/24, via: 10.1.0.1 }] }
  r1: { init: light, image: debian-12, sysctls: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 } }
  ns: { init: light, image: debian-12, routes: [{ to: 10.1.0.0/24, via: 10.2.0.1 }] }
  empty: { init: light, image: debian-12, routes: [{ to: 10.1.0.0/24, via: 10.2.0.1 }] }
segments:
  left: { subnet: 10.1.0.0/24, hosts: { client: 10.1.0.10, r1: 10.1.0.1 } }
  right: { subnet: 10.2.0.0/24, hosts: { r1: 10.2.0.1, ns: 10.2.0.53, empty: 10.2.0.54 } }
steps:
  - step: A name server
    on: [ns, empty]
    write: /usr/local/bin/answers
    mode: "0755"
    content: |
      #!/usr/bin/perl
      # answers ADDRESS NAME=IPV4…: answers questions for A records of these names, and says of others that they do not exist.
      use strict; use Socket qw(:DEFAULT inet_pton);
      my ($at, %known) = (shift, map { split /=/ } @ARGV);
      my $six = $at =~ /:/;
      socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
      bind($s, $six ? pack_sockaddr_in6(53, inet_pton(AF_INET6, $at)) : sockaddr_in(53, inet_aton($at))) or die "$!";
      while (defined(my $who = recv($s, my $m, 1500, 0))) {
        my ($at, @labels) = (12);
        while (my $n = ord substr $m, $at, 1) { push @labels, substr $m, $at + 1, $n; $at += $n + 1 }
        my $asked = substr $m, 12, $at + 5 - 12;
        my $is = $known{join '.', @labels};
        send($s, substr($m, 0, 2) . pack('nnnnn', $is ? 0x8580 : 0x8583, 1, $is ? 1 : 0, 0, 0) . $asked . ($is ? pack('nnnNn', 0xc00c, 1, 1, 60, 4) . inet_aton($is) : ''), 0, $who);
      }
  - on: ns
    run: |
      ip -6 addr add fd02::53/64 dev eth0 nodad; ip -6 route add default via fd02::1
      setsid answers 0.0.0.0 web.lab=10.2.0.80 >/dev/null 2>&1 </dev/null &
      setsid answers fd02::53 web.lab=10.2.0.80 >/dev/null 2>&1 </dev/null &
      sleep 0.3
  - on: empty
    run: echo search lab >/etc/resolv.conf; setsid answers 10.2.0.54 >/dev/null 2>&1 </dev/null & sleep 0.3
  - on: r1
    run: ip -6 addr add fd01::1/64 dev eth0 nodad; ip -6 addr add fd02::1/64 dev eth1 nodad
  - on: client
    run: |
      ip -6 addr add fd01::10/64 dev eth0 nodad; ip -6 route add default via fd01::1
      printf 'search lab\\nnameserver 10.2.0.53\\n' >/etc/resolv.conf
  - check: healthy
    dns: { from: client, name: web.lab }
`;

const byName: Fault['check'] = ['dns', { from: 'client', name: 'web.lab', wait: '500ms' }];
const resolvConf = (...lines: string[]): string =>
  `printf '%s\\n' ${lines.map((one) => `'${one}'`).join(' ')} >/etc/resolv.conf`;
const usual = resolvConf('search lab', 'nameserver 10.2.0.53');
const asks = (server: string): Change => on('client', resolvConf('search lab', `nameserver ${server}`), usual);
/** A signal to the server that answers over IPv4. */
const signal = (name: string): string =>
  `kill -${name} $(ss -Hlnup "src 0.0.0.0:53" | grep -o "pid=[0-9]*" | cut -d= -f2)`;

/** On a host, another program in place of what answers at an address. */
const inPlace = (address: string, command: string): string =>
  `kill $(ss -Hlnup "src ${address}:53" | grep -o "pid=[0-9]*" | cut -d= -f2); for i in $(seq 100); do ss -Hlnu "src ${address}:53" | grep -q . || break; sleep 0.02; done; ${command} >/dev/null 2>&1 </dev/null & for i in $(seq 100); do ss -Hlnu "src ${address}:53" | grep -q . && break; sleep 0.02; done`;
/** A server that knows nothing, and says of every name that it fails (rcode 2). */
const fails = `sed s/0x8583/0x8582/ /usr/local/bin/answers >/run/fails; setsid perl /run/fails 10.2.0.54`;

const faults: Fault[] = [
  {
    name: 'a router drops questions',
    ...rule('r1', 'FORWARD -p udp --dport 53 -j DROP'),
    check: byName,
    root: ['filtered', 'resolver-unreachable'],
    says: /the question to 10\.2\.0\.53: r1 drops it: rule 1 of chain FORWARD/,
  },
  {
    name: 'a router drops answers',
    ...rule('r1', 'FORWARD -p udp --sport 53 -j DROP'),
    check: byName,
    root: ['filtered', 'resolver-unreachable'],
    says: /the question to 10\.2\.0\.53: r1 drops the answer: rule 1 of chain FORWARD/,
  },
  {
    name: 'the name server lets no questions in',
    ...policy('ns', 'INPUT'),
    check: byName,
    root: ['filtered', 'resolver-unreachable'],
    says: /ns drops it: .*INPUT/,
  },
  {
    name: 'the name server does not run',
    ...on('ns', signal('KILL'), 'setsid answers 0.0.0.0 web.lab=10.2.0.80 >/dev/null 2>&1 </dev/null & sleep 0.3'),
    check: byName,
    root: ['nobody-listens', 'listens-elsewhere', 'resolver-unreachable'],
    says: /the question to 10\.2\.0\.53: .*ns.*53/,
  },
  {
    name: 'the name server has stopped',
    ...on('ns', signal('STOP'), signal('CONT')),
    check: byName,
    root: ['process-stopped', 'resolver-unreachable'],
    says: /answers of ns.*stopped/,
  },
  {
    name: 'the name server has no way back',
    ...on('ns', 'ip route del 10.1.0.0/24 via 10.2.0.1', 'ip route add 10.1.0.0/24 via 10.2.0.1'),
    check: byName,
    root: ['no-way-back', 'resolver-unreachable'],
    says: /ns gets it, but has no route back to 10\.1\.0\.10/,
  },
  {
    name: 'the client asks a server that knows nothing',
    ...asks('10.2.0.54'),
    check: byName,
    root: 'resolver-wrong',
    says: /client asks empty \(10\.2\.0\.54\), which does not know web\.lab; ns \(10\.2\.0\.53\) knows web\.lab/,
  },
  {
    name: 'the client asks a router that is no name server',
    ...asks('10.1.0.1'),
    check: byName,
    root: 'resolver-wrong',
    says: /client asks r1 \(10\.1\.0\.1\), which is no name server; ns \(10\.2\.0\.53\)/,
  },
  {
    name: 'the client asks a server that fails',
    ...all(
      asks('10.2.0.54'),
      on('empty', `${inPlace('10.2.0.54', fails)}`, `${inPlace('10.2.0.54', 'setsid answers 10.2.0.54')}`),
    ),
    check: byName,
    root: 'resolver-wrong',
    says: /client asks empty \(10\.2\.0\.54\), which fails to answer \(SERVFAIL\); ns \(10\.2\.0\.53\) knows web\.lab/,
  },
  {
    name: 'the client asks nobody',
    ...asks('10.2.0.99'),
    check: byName,
    root: 'resolver-wrong',
    says: /10\.2\.0\.99, which nobody has; ns/,
  },
  {
    name: 'the client has no name server',
    ...on('client', ': >/etc/resolv.conf', usual),
    check: byName,
    root: 'resolver-wrong',
    says: /client has no name server/,
  },
  {
    name: 'a router drops questions over IPv6',
    ...rule('r1', 'FORWARD -p udp --dport 53 -j DROP', 'ip6tables'),
    check: ['dns', { from: 'client', name: 'web.lab', server: 'fd02::53', wait: '500ms' }],
    root: ['filtered', 'resolver-unreachable'],
    says: /the question to fd02::53: r1 drops it/,
  },
  {
    name: 'questions are translated to a server that knows nothing',
    ...rule('r1', '-t nat PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.2.0.54'),
    check: byName,
    root: 'answer-from-another',
    says: /empty \(10\.2\.0\.54\) answers, not ns/,
  },
  {
    name: 'the client completes short names by another domain',
    ...on('client', resolvConf('search lap', 'nameserver 10.2.0.53'), usual),
    check: ['dns', { from: 'client', name: 'web', wait: '500ms' }],
    root: 'resolver-wrong',
    says: /client completes short names by lap; 10\.2\.0\.53 knows web\.lab/,
  },
  {
    name: 'the client has no domain for short names',
    ...on('client', resolvConf('nameserver 10.2.0.53'), usual),
    check: ['dns', { from: 'client', name: 'web', wait: '500ms' }],
    root: 'resolver-wrong',
    says: /client completes short names by no domain.*10\.2\.0\.53 knows web\.lab/,
  },
  {
    name: 'the hosts file says something else',
    ...on(
      'client',
      'cp /etc/hosts /run/hosts.was; echo 10.9.9.9 web.lab >>/etc/hosts',
      'cat /run/hosts.was >/etc/hosts',
    ),
    check: ['dns', { from: 'client', name: 'web.lab', expect: { addresses: '10.2.0.80' } }],
    root: null,
    says: /10\.9\.9\.9.*hosts file/,
  },
];

/** What a name server says, or makes of a question, is not the network's. */
const harmless: Harmless[] = [
  {
    name: 'a name that nobody has',
    ...nothing,
    check: ['dns', { from: 'client', name: 'nobody.lab', wait: '500ms' }],
    verdict: 'fail',
    root: null,
    says: /nobody\.lab/,
  },
  {
    name: 'a name that must not be there, and is not',
    ...nothing,
    check: ['dns', { from: 'client', name: 'nobody.lab', wait: '500ms', expect: { fails: ['nxdomain'] } }],
    verdict: 'pass',
    root: null,
  },
  {
    name: 'a name that must not be there, and is',
    ...nothing,
    check: ['dns', { from: 'client', name: 'web.lab', wait: '500ms', expect: { fails: ['nxdomain'] } }],
    verdict: 'fail',
    root: null,
  },
  {
    name: 'a name with another address than is asked for',
    ...nothing,
    check: ['dns', { from: 'client', name: 'web.lab', wait: '500ms', expect: { addresses: '10.2.0.81' } }],
    verdict: 'fail',
    root: null,
    says: /10\.2\.0\.80/,
  },
  {
    name: 'the one name server of a place fails, and no other knows the name',
    ...all(
      asks('10.2.0.54'),
      on('empty', inPlace('10.2.0.54', fails), inPlace('10.2.0.54', 'setsid answers 10.2.0.54')),
    ),
    check: ['dns', { from: 'client', name: 'nobody.lab', wait: '500ms' }],
    verdict: 'fail',
    root: null,
    says: /SERVFAIL/i,
  },
  {
    name: 'a name server gets the question, and is silent, since whom it asks in turn is gone',
    ...all(
      asks('10.2.0.54'),
      on(
        'empty',
        inPlace('10.2.0.54', 'setsid socat UDP4-LISTEN:53,bind=10.2.0.54,fork,reuseaddr UDP4:10.2.0.99:53'),
        inPlace('10.2.0.54', 'setsid answers 10.2.0.54'),
      ),
      on('ns', signal('STOP'), signal('CONT')),
    ),
    check: byName,
    verdict: 'fail',
    root: null,
    says: /the question to 10\.2\.0\.54: it came to empty, where socat listens on udp port 53, and socat sent no answer/,
  },
];

export const named: Family = { name: 'named', lab, faults, harmless };
