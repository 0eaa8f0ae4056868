import { on, within } from './fault.js';
import type { Fault } from './fault.js';

const onWire: Fault['check'] = ['port', { from: 'server1/one', to: 'server2/two', port: 80 }];
const inTwo = (bad: string, good: string): ReturnType<typeof on> =>
  on('server2', `${within('two')} ${bad}`, `${within('two')} ${good}`);

export const more: Fault[] = [
  {
    name: 'the sender’s parent interface is down',
    ...on('server1', 'ip link set eth0 down', 'ip link set eth0 up; sleep 0.3'),
    check: onWire,
    root: ['link-down', 'no-carrier'],
    says: /eth0 of server1(?:\/one)? (?:is down|has no carrier)/,
  },
  {
    name: 'the container’s interface is down',
    ...inTwo('ip link set eth0 down', 'ip link set eth0 up'),
    check: onWire,
    root: ['link-down', 'no-carrier'],
    says: /eth0 of server2\/two is down/,
  },
  {
    name: 'the container has another address',
    ...inTwo(
      'sh -c "ip addr add 172.16.10.201/24 dev eth0; ip addr del 172.16.10.101/24 dev eth0"',
      'sh -c "ip addr flush dev eth0; ip addr add 172.16.10.101/24 dev eth0; ip route add default via 172.16.10.1"',
    ),
    check: onWire,
    root: 'address-missing',
    says: /172\.16\.10\.101/,
  },
  {
    name: 'the container with the address has stopped',
    ...on('server2', 'docker stop -t 0 two', 'docker start two; sleep 0.5'),
    check: ['port', { from: 'server1/one', to: '172.16.10.101', port: 80 }],
    root: ['container-not-running', 'address-missing'],
    says: /two on server2 is not running/,
  },
  {
    name: 'another host on the wire has the container’s address',
    ...on('router', 'ip addr add 172.16.10.101/24 dev eth0', 'ip addr del 172.16.10.101/24 dev eth0'),
    plant: {
      router: 'ip addr add 172.16.10.101/24 dev eth0; ping -c1 -W1 -I 172.16.10.101 172.16.10.70 >/dev/null || true',
      server2: `${within('two')} sysctl -w net.ipv4.conf.eth0.arp_ignore=8`,
      server1: `${within('one')} ip neigh flush all`,
    },
    mend: {
      router: 'ip addr del 172.16.10.101/24 dev eth0',
      server2: `${within('two')} sysctl -w net.ipv4.conf.eth0.arp_ignore=0`,
      server1: `${within('one')} ip neigh flush all`,
    },
    check: onWire,
    root: 'address-twice',
    says: /(?:router|server2\/two) and (?:router|server2\/two) both have 172\.16\.10\.101|router has the address 172\.16\.10\.101/,
  },
  {
    name: 'the container has a static entry that is nobody’s',
    ...on(
      'server1',
      `${within('one')} ip neigh replace 172.16.10.101 lladdr 02:00:00:00:00:94 dev eth0 nud permanent`,
      `${within('one')} ip neigh del 172.16.10.101 dev eth0`,
    ),
    check: onWire,
    root: 'neighbour-wrong',
    says: /server1\/one sends .*02:00:00:00:00:94/,
  },
];
