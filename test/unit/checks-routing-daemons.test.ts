import { expect } from 'chai';
import { bgpCheck } from '../../src/checks/bgp.js';
import type { CheckKind } from '../../src/checks/kind.js';
import { ospfCheck } from '../../src/checks/ospf.js';
import { kindTable } from '../fakes/kind-table.js';
import type { Row, Said } from '../fakes/lab.js';
import { areWellMade } from './well-made-kinds.js';

const hosts = {
  a: { on: { lan: '10.0.0.1' }, containers: { frr: { on: { bridge: '172.17.0.2/16' } } } },
  b: { on: { lan: '10.0.0.2' }, added: { lo: ['10.255.0.2/32'] } },
};
const says = (about: string, said: Said, at = 'a'): Row => ({ at, tool: 'vtysh', about, says: said });
const stopped = (daemon: string): Said => ({ exitCode: 1, stderr: `${daemon} is not running\n` });

const ospfNeighbours = 'show ip ospf neighbor json';
const ospfRoutes = 'show ip ospf route json';
/** As ospfd 10.3 lists a neighbour on a broadcast segment. */
const adjacency = (nbrState: string, address = '10.0.0.2', device = 'eth0'): object => ({
  nbrState,
  nbrPriority: 1,
  ifaceAddress: address,
  ifaceName: `${device}:10.0.0.1`,
});
const neighbours = (list: Record<string, object[]>): Row => says(ospfNeighbours, JSON.stringify({ neighbors: list }));

kindTable(ospfCheck, {
  hosts,
  said: [
    neighbours({ '10.255.0.2': [adjacency('Full/DR')] }),
    says(
      ospfRoutes,
      JSON.stringify({
        '10.0.0.0/24': {
          routeType: 'N',
          cost: 10,
          area: '0.0.0.0',
          nexthops: [{ ip: ' ', directlyAttachedTo: 'eth0' }],
        },
        '10.9.0.0/24': {
          routeType: 'N IA',
          cost: 20,
          area: '0.0.0.0',
          nexthops: [
            { ip: '10.0.0.2', via: 'eth0' },
            { ip: '10.0.1.2', via: 'eth1' },
          ],
        },
        '10.255.0.9': { routeType: 'R ', cost: 10, area: '0.0.0.0', nexthops: [{ ip: '10.0.0.2', via: 'eth0' }] },
      }),
    ),
  ],
  cases: [
    { title: 'a neighbour by its router id', spec: { on: 'a', neighbour: '10.255.0.2' }, is: 'pass' },
    {
      title: 'by its address, in its role',
      spec: { on: 'a', neighbour: '10.0.0.2', interface: 'eth0', expect: { state: 'Full', role: 'DR', count: 1 } },
      is: 'pass',
    },
    { title: 'as a host of the lab', spec: { on: 'a', neighbour: 'b' }, is: 'pass' },
    {
      title: 'as an older ospfd puts it',
      spec: { on: 'a', neighbour: 'b' },
      said: [neighbours({ '10.255.0.2': [{ state: 'Full/Backup', address: '10.0.0.2', ifaceName: 'eth0:10.0.0.1' }] })],
      is: 'pass',
      reason: /Full, Backup/,
    },
    {
      title: 'one that has not exchanged its database',
      spec: { on: 'a', neighbour: 'b' },
      said: [neighbours({ '10.255.0.2': [adjacency('ExStart/DR')] })],
      is: 'fail wrong-value',
      reason: /state is "ExStart", expected "Full"/,
    },
    {
      title: 'one of two that is not up',
      spec: { on: 'a' },
      said: [
        neighbours({ '10.255.0.2': [adjacency('Full/DR')], '10.255.0.3': [adjacency('Init/DROther', '10.0.0.3')] }),
      ],
      is: 'fail wrong-value',
      reason: /10\.255\.0\.3.*state is "Init"/,
    },
    {
      title: 'others that only know each other',
      spec: { on: 'a', neighbour: '10.255.0.3', expect: { state: '2-Way', role: 'DROther' } },
      said: [neighbours({ '10.255.0.3': [adjacency('2-Way/DROther', '10.0.0.3')] })],
      is: 'pass',
    },
    { title: 'none on another interface', spec: { on: 'a', interface: 'eth1' }, is: 'fail absent' },
    { title: 'one that is not there', spec: { on: 'a', neighbour: '10.255.0.9' }, is: 'fail absent' },
    {
      title: 'one that must not be there',
      spec: { on: 'a', neighbour: 'b', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'none, as expected',
      spec: { on: 'a', neighbour: 'b', expect: { absent: true } },
      said: [neighbours({})],
      is: 'pass',
    },
    { title: 'not as many', spec: { on: 'a', expect: { count: 2 } }, is: 'fail wrong-value' },
    {
      title: 'a route by one of its next hops',
      spec: {
        on: 'a',
        route: '10.9.0.0/24',
        expect: { via: '10.0.1.2', dev: 'eth1', cost: 20, type: 'N IA', count: 2 },
      },
      is: 'pass',
    },
    {
      title: 'a segment of its own',
      spec: { on: 'a', route: '10.0.0.0/24', expect: { via: { absent: true }, dev: 'eth0' } },
      is: 'pass',
    },
    {
      title: 'another next hop',
      spec: { on: 'a', route: '10.9.0.0/24', expect: { via: '10.0.0.9' } },
      is: 'fail wrong-value',
    },
    { title: 'a route that was not learned', spec: { on: 'a', route: '10.8.0.0/24' }, is: 'fail absent' },
    {
      title: 'none, as expected, among others',
      spec: { on: 'a', route: '10.8.0.0/24', expect: { absent: true } },
      is: 'pass',
    },
    {
      title: 'a daemon that does not run',
      spec: { on: 'a', neighbour: 'b' },
      said: [says(ospfNeighbours, stopped('ospfd'))],
      is: 'fail absent',
      reason: /ospfd does not run on a/,
    },
    {
      title: 'a daemon that does not run shows no absence',
      spec: { on: 'a', neighbour: 'b', expect: { absent: true } },
      said: [says(ospfNeighbours, stopped('ospfd'))],
      is: 'inconclusive',
    },
    {
      title: 'a daemon that does not run shows no absence by the count, either',
      spec: { on: 'a', neighbour: 'b', expect: { count: 0 } },
      said: [says(ospfNeighbours, stopped('ospfd'))],
      is: 'inconclusive',
    },
    {
      title: 'no OSPF configured',
      spec: { on: 'a', neighbour: 'b', expect: { absent: true } },
      said: [says(ospfNeighbours, '{\n}\n')],
      is: 'inconclusive',
    },
    {
      title: 'a stuck daemon',
      spec: { on: 'a', neighbour: 'b' },
      said: [says(ospfNeighbours, { timedOut: true })],
      is: 'inconclusive',
    },
    {
      title: 'no FRR',
      spec: { on: 'b', neighbour: 'a' },
      said: [says(ospfNeighbours, { exitCode: 127, stderr: 'bash: vtysh: command not found\n' }, 'b')],
      is: 'inconclusive',
      reason: /no usable vtysh/,
    },
    {
      title: 'words in place of facts',
      spec: { on: 'a', neighbour: 'b' },
      said: [says(ospfNeighbours, '% OSPF is very unhappy\n')],
      is: 'inconclusive',
    },
    {
      title: 'facts without a state',
      spec: { on: 'a', neighbour: 'b' },
      said: [neighbours({ '10.255.0.2': [{ ifaceAddress: '10.0.0.2', ifaceName: 'eth0:10.0.0.1' }] })],
      is: 'inconclusive',
    },
  ],
});

const bgpSummary = 'show bgp ipv4 unicast summary json';
const bgpTable = 'show bgp ipv4 unicast json';
const peer = (state: string, pfxRcd: number, remoteAs = 65_002): object => ({ remoteAs, state, pfxRcd, pfxSnt: 2 });
const path = (ases: string, via: string, best: boolean): object => ({
  valid: true,
  ...(best ? { bestpath: true } : {}),
  path: ases,
  peerId: via,
  origin: 'IGP',
  metric: 0,
  weight: 0,
  nexthops: [{ ip: via, afi: 'ipv4', used: true }],
});
const table = (routes: Record<string, object[]>): Row => says(bgpTable, JSON.stringify({ localAS: 65_001, routes }));

kindTable(bgpCheck, {
  hosts,
  said: [
    says(bgpSummary, JSON.stringify({ as: 65_001, peers: { '10.0.0.2': peer('Established', 3) } })),
    table({
      '10.9.0.0/24': [path('65003 65002', '10.0.1.3', false), path('65002', '10.0.0.2', true)],
      '10.7.0.0/24': [path('65002', '10.0.0.2', false)],
      '10.255.0.1/32': [
        { bestpath: true, path: '', peerId: '(unspec)', weight: 32_768, nexthops: [{ ip: '0.0.0.0' }] },
      ],
    }),
  ],
  cases: [
    { title: 'a session', spec: { on: 'a', neighbour: 'b' }, is: 'pass' },
    {
      title: 'with the neighbour and the prefixes expected',
      spec: { on: 'a', neighbour: '10.0.0.2', expect: { as: 65_002, received: 3, sent: { 'at-least': 1 } } },
      is: 'pass',
    },
    { title: 'another AS', spec: { on: 'a', neighbour: 'b', expect: { as: 65_009 } }, is: 'fail wrong-value' },
    {
      title: 'a session that does not come up',
      spec: { on: 'a', neighbour: 'b' },
      said: [says(bgpSummary, JSON.stringify({ peers: { '10.0.0.2': peer('Active', 0) } }))],
      is: 'fail wrong-value',
      reason: /state is "Active", expected "Established"/,
    },
    {
      title: 'one that must not come up',
      spec: { on: 'a', neighbour: 'b', expect: { state: { not: 'Established' } } },
      is: 'fail wrong-value',
    },
    { title: 'a neighbour that is not configured', spec: { on: 'a', neighbour: '10.0.0.9' }, is: 'fail absent' },
    { title: 'as many as expected', spec: { on: 'a', expect: { count: 1 } }, is: 'pass' },
    {
      title: 'no neighbours for IPv6',
      spec: { on: 'a', family: 6 },
      said: [says('show bgp ipv6 unicast summary json', '{\n}\n')],
      is: 'fail absent',
    },
    {
      title: 'the best of two paths',
      spec: {
        on: 'a',
        route: '10.9.0.0/24',
        expect: { via: ['10.0.0.2'], path: [65_002], from: '10.0.0.2', count: 2 },
      },
      is: 'pass',
    },
    {
      title: 'the other one is not the way',
      spec: { on: 'a', route: '10.9.0.0/24', expect: { path: [65_003, 65_002] } },
      is: 'fail wrong-value',
      reason: /path is/,
    },
    {
      title: 'a prefix of its own',
      spec: { on: 'a', route: '10.255.0.1/32', expect: { path: [], from: { absent: true }, weight: 32_768 } },
      is: 'pass',
    },
    { title: 'a prefix with no path in use', spec: { on: 'a', route: '10.7.0.0/24' }, is: 'fail absent' },
    { title: 'a prefix that was not learned', spec: { on: 'a', route: '10.8.0.0/24' }, is: 'fail absent' },
    { title: 'none, as expected', spec: { on: 'a', route: '10.8.0.0/24', expect: { absent: true } }, is: 'pass' },
    {
      title: 'one that must not be learned',
      spec: { on: 'a', route: '10.9.0.0/24', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'the same IPv6 prefix in other words',
      spec: { on: 'a', route: 'fd00:0::/32' },
      said: [
        says('show bgp ipv6 unicast json', JSON.stringify({ routes: { 'fd00::/32': [path('', 'fe80::2', true)] } })),
      ],
      is: 'pass',
    },
    {
      title: 'an FRR in a container',
      spec: { on: 'a/frr', neighbour: '10.0.0.2' },
      said: [
        {
          at: 'a',
          tool: 'docker',
          about: bgpSummary,
          says: JSON.stringify({ peers: { '10.0.0.2': peer('Established', 1) } }),
        },
      ],
      is: 'pass',
    },
    {
      title: 'a daemon that does not run',
      spec: { on: 'a', neighbour: 'b' },
      said: [says(bgpSummary, stopped('bgpd'))],
      is: 'fail absent',
    },
    {
      title: 'no BGP configured shows no absence',
      spec: { on: 'a', route: '10.8.0.0/24', expect: { absent: true } },
      said: [says(bgpTable, '{ "warning": "Default BGP instance not found" }')],
      is: 'inconclusive',
      reason: /Default BGP instance not found/,
    },
    {
      title: 'an answer in another form',
      spec: { on: 'a', neighbour: 'b' },
      said: [says(bgpSummary, '{ "peers": { "10.0.0.2": { "state": 6 } } }')],
      is: 'inconclusive',
    },
    {
      title: 'a neighbour that could not be asked for its addresses',
      spec: { on: 'a', neighbour: 'b' },
      said: [{ at: 'b', tool: 'ip', says: { timedOut: true } }],
      is: 'inconclusive',
    },
  ],
});

describe('kinds of check about routing daemons', () => {
  areWellMade([ospfCheck, bgpCheck] as CheckKind<never>[]);

  const mistakes: [CheckKind<never>, unknown, RegExp][] = [
    [ospfCheck as never, { on: 'r1', route: '10.0.0.0/24', neighbour: 'r2' }, /neighbours or about a route/],
    [ospfCheck as never, { on: 'r1', route: '10.0.0.0/24', expect: { state: 'Full' } }, /is about neighbours/],
    [ospfCheck as never, { on: 'r1', neighbour: 'r2', expect: { cost: 10 } }, /is about a route/],
    [ospfCheck as never, { on: 'r1', neighbour: 'r2', expect: { absent: true, state: 'Full' } }, /has no properties/],
    [bgpCheck as never, { on: 'r1', route: '10.0.0.0/24', family: 4 }, /neighbours or about a route/],
    [bgpCheck as never, { on: 'r1', expect: { received: { 'at-least': 0 } } }, /cannot fail/],
    [bgpCheck as never, { on: 'r1', neighbour: 'no such thing' }, /a router id, or a host of the lab/],
    [bgpCheck as never, { on: 'r1', expect: {} }, /says nothing/],
  ];
  for (const [kind, spec, message] of mistakes)
    it(`${kind.name} refuses ${JSON.stringify(spec)}`, () => {
      const parsed = kind.schema.safeParse(spec);
      expect(JSON.stringify(parsed.error?.issues)).to.match(message);
    });
});
