import { expect } from 'chai';
import { addressCheck } from '../../src/checks/address.js';
import { captureCheck, growsTruer, isLike, judgePackets } from '../../src/checks/capture.js';
import { readDropped } from '../../src/probes/packet-capture.js';
import { commandCheck } from '../../src/checks/command.js';
import { consulCheck } from '../../src/checks/consul.js';
import { dockerCheck } from '../../src/checks/docker.js';
import type { CheckKind } from '../../src/checks/kind.js';
import { linkCheck, propertyOf } from '../../src/checks/link.js';
import { absent } from '../../src/judging/match.js';
import type { Frame, Packet } from '../../src/probes/pcap.js';
import { routeCheck } from '../../src/checks/route.js';
import { areWellMade } from './well-made-kinds.js';

const kinds = [
  commandCheck,
  addressCheck,
  linkCheck,
  routeCheck,
  dockerCheck,
  captureCheck,
  consulCheck,
] as CheckKind<never>[];

describe('kinds of check about the state of hosts', () => {
  areWellMade(kinds);

  const mistakes: [CheckKind<never>, unknown, RegExp][] = [
    [addressCheck as CheckKind<never>, { on: 'node1' }, /must say which address/],
    [
      addressCheck as CheckKind<never>,
      { on: ['node1', 'node2'], expect: { in: '10.0.0.0/8' } },
      /is a list for distinct only/,
    ],
    [
      addressCheck as CheckKind<never>,
      { on: ['node1/aa', 'node1/aa'], expect: { distinct: true } },
      /names an endpoint twice/,
    ],
    [addressCheck as CheckKind<never>, { on: 'node1', expect: { is: { not: '10.0.0.1' } } }, /use absent: true/],
    [linkCheck as CheckKind<never>, { on: 'node1' }, /interface or select/],
    [
      linkCheck as CheckKind<never>,
      { on: 'node1', interface: 'eth0', expect: { absent: true, mtu: 1500 } },
      /has no properties/,
    ],
    [
      linkCheck as CheckKind<never>,
      { on: 'node1/aa', interface: 'eth0', expect: { peer: { on: 'node2' } } },
      /must be on the same host/,
    ],
    [routeCheck as CheckKind<never>, { on: 'node1', to: 'nowhere' }, /default, a subnet such as/],
    [
      dockerCheck as CheckKind<never>,
      { on: 'node1' },
      /exactly one of the keys container, network, image, volume, info/,
    ],
    [dockerCheck as CheckKind<never>, { on: 'node1', network: 'net1', container: 'web' }, /not container and network/],
    [dockerCheck as CheckKind<never>, { on: 'node1', network: 'net1', expect: { same: ['Id'] } }, /name more than one/],
    [
      dockerCheck as CheckKind<never>,
      { on: 'node1', network: 'net1', expect: { a: 1, absent: true } },
      /has no fields/,
    ],
    [dockerCheck as CheckKind<never>, { on: 'node1', network: 'net1', expect: { 'a..b': 1 } }, /a key was expected/],
    [captureCheck as CheckKind<never>, { on: 'node1', interface: 'eth0' }, /exactly one of the keys during and listen/],
    [captureCheck as CheckKind<never>, { on: 'node1', listen: '1s' }, /exactly one of the keys interface and segment/],
    [
      captureCheck as CheckKind<never>,
      { on: 'node1', interface: 'eth0', listen: '1s', expect: { absent: true, packets: 1 } },
      /does not go with/,
    ],
    [captureCheck as CheckKind<never>, { on: 'node1', interface: 'eth0', during: {} }, /exactly one check/],
    [consulCheck as CheckKind<never>, { on: 'node1' }, /must ask for something/],
    [consulCheck as CheckKind<never>, { on: 'node1', kv: { key: 'a', prefix: 'b' } }, /exactly one of key and prefix/],
    [
      consulCheck as CheckKind<never>,
      { on: 'node1', kv: { key: 'a' }, expect: { absent: true, value: 'b' } },
      /has no value/,
    ],
    [consulCheck as CheckKind<never>, { on: 'node1', api: 'http://127.0.0.1:8500/v1' }, /URL without path/],
  ];
  for (const [kind, body, message] of mistakes) {
    it(`${kind.name} refuses ${JSON.stringify(body)}`, () => {
      const { error } = (kind as CheckKind).schema.safeParse(body);
      expect(JSON.stringify(error?.issues)).to.match(message);
    });
  }
});

describe('properties of a link', () => {
  const vlan = {
    ifname: 'eth0.10',
    link: 'eth0',
    linkinfo: { info_kind: 'vlan', info_data: { protocol: '802.1Q', id: 10 } },
  };
  it('reads those of its own type only', () => {
    expect(propertyOf(vlan, 'vlan')).to.equal(10);
    expect(propertyOf(vlan, 'vni')).to.equal(absent);
    expect(propertyOf(vlan, 'parent')).to.equal('eth0');
    expect(propertyOf({ ifname: 'lo' }, 'kind')).to.equal(absent);
  });
});

describe('verdict over captured packets', () => {
  const frame = (fields: Partial<Frame>): Frame => ({
    vlans: [],
    ethertype: 'ipv4',
    src: '10.0.0.1',
    dst: '10.0.0.2',
    proto: 'udp',
    sport: 5,
    dport: 4789,
    vni: 7,
    inner: { vlans: [], src: '172.16.0.1', dst: '172.16.0.2', proto: 'icmp', icmpType: 8 },
    ...fields,
  });
  const packet = (fields: Partial<Frame> = {}): Packet => ({
    timeMs: 0,
    capturedBytes: 0,
    wireBytes: 0,
    data: Buffer.alloc(0),
    frame: frame(fields),
  });
  const like = (fields: object) => ({ frame: {}, text: 'those', ...fields });
  const ready = { packets: { 'at-least': 1 }, some: null, each: null, none: null };

  it('compares outer fields, the VNI and inner fields', () => {
    expect(isLike(like({ frame: { dport: 4789 }, vni: 7, inner: { 'icmp-type': 8 } }), frame({}))).to.equal(true);
    expect(isLike(like({ vni: 8 }), frame({}))).to.equal(false);
    expect(isLike(like({ vni: { not: 8 } }), frame({ vni: undefined }))).to.equal(false);
    expect(isLike(like({ inner: { proto: 'icmp' } }), frame({ inner: undefined }))).to.equal(false);
    expect(isLike(like({ frame: { vlan: { absent: true } } }), frame({}))).to.equal(true);
  });

  it('is met by enough packets, and lets one stranger break "each" for certain', () => {
    expect(judgePackets(ready, [packet()])).to.include({ met: true });
    expect(judgePackets(ready, [])).to.include({ met: false, certain: false, cause: 'absent' });
    expect(judgePackets({ ...ready, packets: { 'at-least': 3 } }, [packet()])).to.include({
      met: false,
      certain: false,
      cause: 'wrong-value',
    });
    expect(judgePackets({ ...ready, each: like({ vni: 7 }) }, [packet(), packet({ vni: 9 })])).to.include({
      met: false,
      certain: true,
      cause: 'wrong-value',
    });
    expect(judgePackets({ ...ready, each: like({ vni: 7 }) }, [])).to.include({ met: false, cause: 'absent' });
    expect(judgePackets({ ...ready, packets: 0, each: like({ vni: 7 }) }, [])).to.include({ met: false });
    expect(judgePackets({ ...ready, none: true }, [packet()])).to.include({
      met: false,
      certain: true,
      cause: 'present',
    });
    expect(judgePackets({ ...ready, none: like({ vni: 9 }) }, [packet()])).to.include({ met: true });
  });

  it('needs no last packet only where more packets could not change the answer', () => {
    expect(growsTruer({})).to.equal(true);
    expect(growsTruer({ packets: { 'at-least': 5 } })).to.equal(true);
    for (const expected of [
      { packets: { 'at-least': 0 } },
      { packets: 5 },
      { packets: { 'at-most': 5 } },
      { packets: { 'at-least': 1, 'at-most': 5 } },
      { none: true as const },
      { each: { vni: 1 } },
    ])
      expect(growsTruer(expected)).to.equal(false);
  });

  it('reads how many packets were missed, strictly', () => {
    expect(readDropped('3 packets captured\n3 packets received by filter\n0 packets dropped by kernel\n')).to.equal(0);
    expect(readDropped('1 packet dropped by kernel')).to.equal(1);
    expect(readDropped('3 packets captured')).to.equal(null);
  });
});
