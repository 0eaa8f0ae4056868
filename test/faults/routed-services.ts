import { on, sysctl } from './fault.js';
import type { Change, Fault } from './fault.js';
import { byPing6, toWeb, toWeb6 } from './routed-checks.js';

const service = (words: string): Change => on('server', `service ${words}`, 'service TCP6-LISTEN:80,ipv6only=0');

const perl = (program: string): Change =>
  on(
    'server',
    `service none; setsid perl -MSocket -e '${program}' >/dev/null 2>&1 & sleep 0.5`,
    'service TCP6-LISTEN:80,ipv6only=0',
  );

const echoed: Fault['check'] = [
  'port',
  {
    from: 'client',
    'from-port': 40_000,
    to: 'server',
    port: 5353,
    proto: 'udp',
    send: 'hello',
    expect: { receive: { contains: 'hello' } },
  },
];

export const services: Fault[] = [
  {
    name: 'a tracked datagram goes on to where a rule once led it',
    // What is tracked is forgotten (IPCTNL_MSG_CT_DELETE), a datagram is led elsewhere, and then the rule leads to the server.
    plant: {
      r2: `perl -e 'socket(S, 16, 3, 12); send(S, pack("LSSLLCCS", 20, 258, 5, 1, 0, 0, 0, 0), 0)'; iptables -t nat -A PREROUTING -p udp --dport 5353 -j DNAT --to-destination 10.2.0.99`,
      client: 'echo hello | socat -T 1 - UDP:10.2.0.20:5353,sourceport=40000 || true',
    },
    then: { r2: 'iptables -t nat -R PREROUTING 1 -p udp --dport 5353 -j DNAT --to-destination 10.2.0.20' },
    mend: {
      r2: `perl -e 'socket(S, 16, 3, 12); send(S, pack("LSSLLCCS", 20, 258, 5, 1, 0, 0, 0, 0), 0)'; iptables -t nat -F PREROUTING`,
    },
    check: echoed,
    root: 'conntrack-stale',
    says: /r2 goes on translating the connection from port 40000 to 10\.2\.0\.99/,
  },
  {
    name: 'the service is bound to the loopback interface',
    ...service('TCP-LISTEN:80,so-bindtodevice=lo'),
    check: toWeb,
    root: 'listens-elsewhere',
    says: /socat of server listens on port 80 of interface lo only/,
  },
  {
    name: 'the service listens on IPv4 only',
    ...service('TCP4-LISTEN:80'),
    check: toWeb6,
    root: 'listens-elsewhere',
    says: /socat of server listens on 0\.0\.0\.0 port 80 only/,
  },
  {
    name: 'the service listens on UDP',
    ...service('UDP-LISTEN:80'),
    check: toWeb,
    root: 'listens-elsewhere',
    says: /server listens on udp port 80, not on tcp/,
  },
  {
    name: 'the service listens on another port',
    ...service('TCP-LISTEN:8000'),
    check: toWeb,
    root: 'nobody-listens',
    says: /on server, nobody listens on tcp port 80 \(but on .*8000/,
  },
  {
    name: 'the service’s queue is full',
    ...perl(
      'socket(my $l,PF_INET,SOCK_STREAM,0);setsockopt($l,SOL_SOCKET,SO_REUSEADDR,1);bind($l,sockaddr_in(80,INADDR_ANY))or die;listen($l,0);my @c;for(1..2){socket(my $s,PF_INET,SOCK_STREAM,0);connect($s,sockaddr_in(80,inet_aton("127.0.0.1")));push @c,$s}sleep 600',
    ),
    check: toWeb,
    root: 'queue-full',
    says: /perl of server .*port 80.*does not accept/,
  },
  {
    name: 'the service has stopped answering',
    ...on(
      'server',
      'for p in $(ss -Hlntp "sport = :80" | grep -o "pid=[0-9]*" | cut -d= -f2); do kill -STOP $p; done',
      'for p in $(ss -Hlntp "sport = :80" | grep -o "pid=[0-9]*" | cut -d= -f2); do kill -CONT $p; done',
    ),
    check: ['http', { from: 'client', url: 'http://10.2.0.20/', wait: '1s' }],
    root: 'process-stopped',
    says: /socat of server.*stopped/,
  },
  {
    name: 'the server answers no IPv6 pings',
    ...sysctl('server', 'net.ipv6.icmp.echo_ignore_all', 1, 0),
    check: byPing6,
    root: 'sysctl-refuses',
    says: /server .*icmp\.echo_ignore_all is 1/,
  },
];
