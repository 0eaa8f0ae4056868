import { all, nothing, on, policy, removed, rule, within } from './fault.js';
import type { Change, Fault, Harmless } from './fault.js';

const published: Fault['check'] = ['port', { from: 'client', to: 'server', port: 8080 }];
const outward: Fault['check'] = ['ping', { from: 'server/app1', to: 'client' }];
const between: Fault['check'] = ['ping', { from: 'server/app1', to: 'server/app2' }];
const byName: Fault['check'] = ['dns', { from: 'server/app1', name: 'app2' }];

const bridgeOf = (network: string): string => `$(docker network inspect ${network} --format "br-{{slice .Id 0 12}}")`;

/** A container is made anew with other words, and then as it was. */
const remade = (name: string, bad: string, good: string): Change =>
  on(
    'server',
    `docker rm -f ${name} >/dev/null; docker run -d --name ${name} ${bad} >/dev/null; sleep 0.5`,
    `docker rm -f ${name} >/dev/null; docker run -d --name ${name} ${good} >/dev/null; sleep 0.5`,
  );
const web1 = (bad: string): Change => remade('web1', bad, '-p 8080:80 --stop-signal KILL web');
const app2 = (bad: string): Change => remade('app2', bad, '--network appnet busybox sleep 86400');
const inApp1 = (bad: string, good: string): Change =>
  on('server', `${within('app1')} ${bad}`, `${within('app1')} ${good}`);
/** The resolv.conf of a container, which the engine wrote, for the time. */
const asks = (server: string): Change =>
  on(
    'server',
    `f=$(docker inspect -f "{{.ResolvConfPath}}" app1); cp $f /run/resolv.was; echo "nameserver ${server}" >$f`,
    'cat /run/resolv.was >$(docker inspect -f "{{.ResolvConfPath}}" app1)',
  );

export const more: Fault[] = [
  {
    name: 'a network of the engine has addresses of the client’s segment, and no container',
    ...on('server', 'docker network create --subnet 10.1.0.0/28 clash', 'docker network rm clash'),
    check: published,
    root: 'wrong-route',
    says: /server takes 10\.1\.0\.10 for a neighbour on br-\w+ \(network clash of the engine, where it has 10\.1\.0\.1\/28\), but client has it/,
  },
  {
    name: 'a network of the engine has addresses of the client’s segment, and a container on it',
    ...on(
      'server',
      'docker network create --subnet 10.1.0.0/28 clash; docker run -d --name clashing --network clash busybox sleep 86400; sleep 0.3',
      'docker rm -f clashing; docker network rm clash',
    ),
    check: published,
    root: 'wrong-route',
    says: /server takes 10\.1\.0\.10 for a neighbour on br-\w+ \(network clash of the engine, where it has 10\.1\.0\.1\/28\), but client has it/,
  },
  {
    name: 'the port is published at the loopback only',
    ...web1('-p 127.0.0.1:8080:80 web'),
    check: published,
    root: 'listens-elsewhere',
    says: /docker-proxy of server listens on 127\.0\.0\.1 port 8080 only/,
  },
  {
    name: 'another port is published',
    ...web1('-p 8081:80 web'),
    check: published,
    root: 'nobody-listens',
    says: /on server, nobody listens on tcp port 8080.*8081/,
  },
  {
    name: 'the wrong port of the container is published',
    ...web1('-p 8080:8000 web'),
    check: ['http', { from: 'client', url: 'http://10.2.0.20:8080/' }],
    root: 'nobody-listens',
    says: /server\/web1 .*8000.*nobody listens/,
  },
  {
    name: 'nothing is published',
    ...web1('web'),
    check: published,
    root: 'nobody-listens',
    says: /on server, nobody listens on tcp port 8080/,
  },
  {
    name: 'the service in the container listens on the loopback',
    ...web1(
      '-p 8080:80 busybox sleep 86400; nsenter -t $(docker inspect -f "{{.State.Pid}}" web1) -n setsid socat TCP-LISTEN:80,bind=127.0.0.1,fork EXEC:cat >/dev/null 2>&1 </dev/null &',
    ),
    check: published,
    root: 'listens-elsewhere',
    says: /socat of server\/web1 listens on 127\.0\.0\.1 port 80 only/,
  },
  {
    name: 'the container was made and never started',
    ...on(
      'server',
      'docker rm -f web1 >/dev/null; docker create --name web1 -p 8080:80 web',
      'docker rm -f web1 >/dev/null; docker run -d --name web1 -p 8080:80 --stop-signal KILL web; sleep 0.5',
    ),
    check: published,
    root: 'container-not-running',
    says: /web1 on server is not running \(created\)/,
  },
  {
    name: 'the publishing container ends and is started again, over and over',
    ...web1('--restart always -p 8080:80 busybox false'),
    then: { server: 'sleep 3' },
    check: published,
    root: 'container-not-running',
    says: /web1 on server is not running \(restarting\): it ends each time/,
  },
  {
    name: 'another process of the host has the port, so that the container did not start',
    ...on(
      'server',
      'docker rm -f web1 >/dev/null; setsid socat TCP-LISTEN:8080,bind=127.0.0.1,fork EXEC:cat >/dev/null 2>&1 </dev/null & sleep 0.3; docker run -d --name web1 -p 8080:80 web || true',
      'kill $(ss -Hlntp sport = :8080 | grep -o "socat\\",pid=[0-9]*" | grep -o "[0-9]*$"); docker rm -f web1 >/dev/null; docker run -d --name web1 -p 8080:80 --stop-signal KILL web; sleep 0.5',
    ),
    check: published,
    root: ['container-not-running', 'listens-elsewhere'],
    says: /web1 on server is not running \(created\): the engine could not start it: .*8080: bind: address already in use|socat of server listens on 127\.0\.0\.1 port 8080 only/,
  },
  {
    name: 'the engine is not running',
    ...on(
      'server',
      'systemctl stop docker.socket docker',
      'systemctl start docker; docker start web1 app1 app2 far; sleep 0.5',
    ),
    check: published,
    root: 'container-not-running',
    says: /the engine of server is not running, so web1, which publishes 8080/,
  },
  {
    name: 'the containers of a network may not speak to each other',
    ...all(
      on('server', 'docker network create -o com.docker.network.bridge.enable_icc=false closed', 'true'),
      remade('app1', '--network closed busybox sleep 86400', '--network appnet busybox sleep 86400'),
      app2('--network closed busybox sleep 86400'),
      on('server', 'true', 'docker network rm closed'),
    ),
    check: between,
    root: 'filtered',
    says: /server drops it: .*network closed apart.*icc/,
  },
  {
    name: 'the network is internal',
    ...all(
      on('server', 'docker network create --internal inside', 'true'),
      remade('app1', '--network inside busybox sleep 86400', '--network appnet busybox sleep 86400'),
      on('server', 'true', 'docker network rm inside'),
    ),
    check: outward,
    root: ['no-route', 'filtered'],
    says: /network inside is internal/,
  },
  {
    name: 'the other container is on another network',
    ...app2('--network other busybox sleep 86400'),
    check: between,
    root: 'filtered',
    says: /server drops it: .*DOCKER-ISOLATION/,
  },
  {
    name: 'FORWARD has lost the rules of the engine',
    ...on(
      'server',
      'iptables-save >/run/rules; iptables -P FORWARD DROP; iptables -F FORWARD',
      'iptables-restore </run/rules',
    ),
    check: outward,
    root: 'filtered',
    says: /server drops it: no rule of chain FORWARD/,
  },
  {
    name: 'the container’s gateway is nobody',
    ...inApp1('ip route replace default via 172.30.0.99', 'ip route replace default via 172.30.0.1'),
    check: outward,
    root: 'wrong-route',
    says: /server\/app1 .*172\.30\.0\.99, which nobody has/,
  },
  {
    name: 'the bridge has lost its address',
    ...removed('server', 'addr', `172.30.0.1/24 dev ${bridgeOf('appnet')}`),
    check: outward,
    root: 'no-way-back',
    says: /server .*no route back to 172\.30\.0\./,
  },
  {
    name: 'the bridge does not forward',
    ...on(
      'server',
      `sysctl -w net.ipv4.conf.${bridgeOf('appnet')}.forwarding=0`,
      `sysctl -w net.ipv4.conf.${bridgeOf('appnet')}.forwarding=1`,
    ),
    check: outward,
    root: 'forwarding-off',
    says: /server .*br-\w+\.forwarding is 0/,
  },
  {
    name: 'the veth of a container is down on the host',
    ...on(
      'server',
      'ip link set $(ip -j link show master docker0 | tr , "\\n" | grep -m1 ifname | cut -d\\" -f4) down',
      'ip link set $(ip -j link show master docker0 | tr , "\\n" | grep -m1 ifname | cut -d\\" -f4) up',
    ),
    check: ['http', { from: 'client', url: 'http://10.2.0.20:8080/', wait: '1s' }],
    root: 'link-down',
    says: /veth\w+ of server is down/,
  },
  {
    name: 'a static entry of the host for a container is nobody’s',
    ...on(
      'server',
      'ip neigh replace 172.17.0.2 lladdr 02:00:00:00:00:95 dev docker0 nud permanent',
      'ip neigh del 172.17.0.2 dev docker0',
    ),
    check: ['http', { from: 'client', url: 'http://10.2.0.20:8080/', wait: '1s' }],
    root: 'neighbour-wrong',
    says: /server sends .*02:00:00:00:00:95, which it has for 172\.17\.0\.2/,
  },
  {
    name: 'the host filters what its containers send',
    ...policy('server', 'FORWARD'),
    plant: { server: 'iptables -I FORWARD -s 172.30.0.0/24 -j DROP' },
    mend: { server: 'iptables -D FORWARD -s 172.30.0.0/24 -j DROP' },
    check: outward,
    root: 'filtered',
    says: /server drops it: rule 1 of chain FORWARD \(filter\), `-s 172\.30\.0\.0\/24 -j DROP`/,
  },
  {
    name: 'a rule in the container drops answers',
    ...on('server', `${within('app1')} iptables -A INPUT -p icmp -j DROP`, `${within('app1')} iptables -F INPUT`),
    check: outward,
    root: 'filtered',
    says: /server\/app1 drops the answer: rule 1 of chain INPUT/,
  },
  {
    name: 'the router drops what was translated',
    ...rule('r1', 'FORWARD -s 10.2.0.20 -p icmp -j DROP'),
    check: outward,
    root: 'filtered',
    says: /r1 drops it: rule 1 of chain FORWARD/,
  },
  {
    name: 'the embedded name server’s rules are gone',
    ...on(
      'server',
      `${within('app1')} sh -c "iptables-save >/run/app1.rules; iptables -t nat -F"`,
      `${within('app1')} sh -c "iptables-restore </run/app1.rules"`,
    ),
    check: byName,
    root: 'resolver-unreachable',
    says: /question to 127\.0\.0\.11/,
  },
  {
    name: 'a container asks a name server that is nobody',
    ...asks('10.2.0.77'),
    check: byName,
    root: 'resolver-wrong',
    says: /app1 asks 10\.2\.0\.77, not the engine/,
  },
  {
    name: 'a container asks a host that is no name server',
    ...asks('10.1.0.10'),
    check: byName,
    root: ['resolver-wrong', 'resolver-unreachable'],
    says: /app1 asks 10\.1\.0\.10.*not the engine/,
  },
  {
    name: 'a container has no name server',
    ...on(
      'server',
      'f=$(docker inspect -f "{{.ResolvConfPath}}" app1); cp $f /run/resolv.was; : >$f',
      'cat /run/resolv.was >$(docker inspect -f "{{.ResolvConfPath}}" app1)',
    ),
    check: byName,
    root: 'resolver-wrong',
    says: /app1/,
  },
];

/** The port is closed, or the name is nobody's, whatever else is odd. */
export const harmless: Harmless[] = [
  {
    name: 'a container of another port has ended, while the port is closed',
    ...on('server', 'docker run --name ended -p 8090:80 busybox true', 'docker rm -f ended'),
    check: ['port', { from: 'client', to: 'server', port: 8091 }],
    verdict: 'fail',
    root: 'nobody-listens',
    says: /on server, nobody listens on tcp port 8091/,
  },
  {
    name: 'DOCKER-USER drops another port, while the port is closed',
    ...rule('server', 'DOCKER-USER -p tcp --dport 443 -j DROP'),
    check: ['port', { from: 'client', to: 'server', port: 8091 }],
    verdict: 'fail',
    root: 'nobody-listens',
    says: /on server, nobody listens on tcp port 8091/,
  },
  {
    name: 'a port of a container that nobody listens on',
    ...nothing,
    check: ['port', { from: 'server/app1', to: 'server/app2', port: 81 }],
    verdict: 'fail',
    root: 'nobody-listens',
    says: /on server\/app2, nobody listens on tcp port 81/,
  },
  {
    name: 'a name that no engine has',
    ...nothing,
    check: ['dns', { from: 'server/app1', name: 'app9' }],
    verdict: 'fail',
    root: null,
    says: /no container is called app9/,
  },
  {
    name: 'a page that answers otherwise than is asked for',
    ...nothing,
    check: ['http', { from: 'client', url: 'http://10.2.0.20:8080/', expect: { status: 404 } }],
    verdict: 'fail',
    root: null,
  },
  {
    name: 'networks that are kept apart, as must be',
    ...nothing,
    check: ['ping', { from: 'server/far', to: 'server/app2', expect: { fails: ['timeout'] } }],
    verdict: 'pass',
    root: null,
  },
];
