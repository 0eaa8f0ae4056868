import { expect } from 'chai';
import { planLab } from '../../src/plan/plan.js';
import { addressLines } from '../../src/providers/shared/address-lines.js';
import { topologyOf } from '../../src/run/planned-items.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lines } from './scenario-fixtures.js';
import { testKinds } from './scenario-kinds.js';

function read(segment: string, hosts = '{ node1: , node2: }') {
  return loadScenarioText(
    `scenario: lab\ntitle: A lab\nhosts: ${hosts}\nsegments:\n  lan: ${segment}\nsteps:\n  - { on: node1, run: ip link }\n`,
    '/labs/lab.yaml',
    { kinds: testKinds },
  );
}

describe('Segments with an IPv4 and an IPv6 subnet', () => {
  it('give each host of a list an address of both families', () => {
    const { scenarios, diagnostics } = read('{ subnet: [10.0.0.0/24, fd00:10::/64], hosts: [node1, node2] }');
    expect(lines(diagnostics)).to.deep.equal([]);
    const plan = planLab(scenarios[0]!);
    expect(plan.segments[0]).to.deep.include({ subnet: '10.0.0.0/24', further: ['fd00:10::/64'] });
    expect(plan.hosts[1]!.interfaces[0]).to.deep.include({ address: '10.0.0.2/24', further: ['fd00:10::2/64'] });
    expect(addressLines(plan.hosts[1]!)).to.include.members([
      'address add 10.0.0.2/24 brd + dev eth0',
      'address add fd00:10::2/64 nodad dev eth0',
    ]);
    const topology = topologyOf(plan);
    expect(topology.segments[0]!.subnet).to.equal('10.0.0.0/24, fd00:10::/64');
    expect(topology.hosts[1]!.interfaces[0]!.address).to.equal('10.0.0.2/24, fd00:10::2/64');
  });

  it('take one or two addresses of a host, and routes of both families', () => {
    const { scenarios, diagnostics } = read(
      '{ subnet: [10.0.0.0/24, fd00:10::/64], hosts: { node1: [10.0.0.11, fd00:10::b], node2: fd00:10::c } }',
      '{ node1: { routes: [{ to: fd00:20::/64, via: fd00:10::c }, { to: 10.9.0.0/16, via: 10.0.0.12 }] }, node2: }',
    );
    expect(lines(diagnostics)).to.deep.equal([]);
    const plan = planLab(scenarios[0]!);
    expect(plan.hosts.map((host) => host.interfaces[0]!.address)).to.deep.equal(['10.0.0.11/24', 'fd00:10::c/64']);
  });

  const wrong: [string, string, string][] = [
    [
      'two subnets of one family',
      '{ subnet: [10.0.0.0/24, 10.0.1.0/24], hosts: [node1] }',
      '5:32 10.0.1.0/24 is IPv4 as 10.0.0.0/24 is: a segment has one subnet of each family at most',
    ],
    [
      'an address of neither subnet',
      '{ subnet: [10.0.0.0/24, fd00:10::/64], hosts: { node1: [10.0.0.1, fd00:11::1] } }',
      '5:74 fd00:11::1 is not in the subnet 10.0.0.0/24 or fd00:10::/64 of the segment',
    ],
    [
      'two addresses of one family',
      '{ subnet: [10.0.0.0/24, fd00:10::/64], hosts: { node1: [10.0.0.1, 10.0.0.2] } }',
      '5:74 node1 has an IPv4 address on this segment already',
    ],
    [
      'an address that another host has',
      '{ subnet: [10.0.0.0/24, fd00:10::/64], hosts: { node1: fd00:10::1, node2: [10.0.0.1, "fd00:10:0::1"] } }',
      '5:93 fd00:10:0::1 belongs to node1 already',
    ],
    [
      'an MTU that IPv6 does not take',
      '{ subnet: [10.0.0.0/24, fd00:10::/64], mtu: 1000, hosts: [node1] }',
      '5:52 IPv6 needs an MTU of at least 1280 (RFC 8200), got 1000',
    ],
    [
      'a subnet that is none',
      '{ subnet: [10.0.0.0/24, fd00:10::1/64], hosts: [node1] }',
      '5:32 fd00:10::1/64 is an address inside a subnet: the subnet is fd00:10::/64',
    ],
  ];
  for (const [what, segment, message] of wrong)
    it(`refuse ${what}`, () => expect(lines(read(segment).diagnostics)).to.deep.equal([message]));
});
