import { expect } from 'chai';
import { floodedAstray, stuckInSwitch } from '../../src/diagnosis/explain-switch.js';
import type { Case, Step } from '../../src/diagnosis/follow.js';
import { readSwitches } from '../../src/diagnosis/switches.js';
import type { Switch, SwitchPort } from '../../src/diagnosis/switches.js';
import type { Link, Space } from '../../src/diagnosis/world.js';

const macs = { a: '02:00:00:00:00:0a', b: '02:00:00:00:00:0b', other: '02:00:00:00:00:0c' };

const link = (name: string, index: number, peerIndex: number, mac: string): Link =>
  ({
    name,
    index,
    peerIndex,
    mac,
    kind: 'veth',
    below: null,
    master: null,
    up: true,
    carrier: true,
    addresses: [],
  }) as unknown as Link;

/** An access port; with `peer` a patch port, which is a trunk. */
const port = (name: string, rest: Partial<SwitchPort> = {}): SwitchPort => ({
  name,
  tag: rest.peer === undefined ? 10 : null,
  trunks: [],
  type: rest.peer === undefined ? '' : 'patch',
  peer: null,
  error: null,
  ...rest,
});

/** Namespaces a and other on bridge br0, b on br1; `patch`: what the two bridges are joined by. */
function host(patch: { out: Partial<SwitchPort>; into: Partial<SwitchPort> } | null, rest: Partial<Switch> = {}) {
  const one: Switch = { name: 'br0', secure: false, running: true, flows: [], ports: [port('va'), port('vo')] };
  const two: Switch = { name: 'br1', secure: false, running: true, flows: [], ports: [port('vb')], ...rest };
  if (patch) {
    one.ports.push(port('p01', { peer: 'p10', ...patch.out }));
    two.ports.push(port('p10', { peer: 'p01', ...patch.into }));
  }
  const spaces = [
    {
      label: 'h',
      host: 'h',
      switches: [one, two],
      links: [link('va', 2, 2, ''), link('vb', 3, 3, ''), link('vo', 4, 4, '')],
    },
    { label: 'h/netns:a', host: 'h', switches: [], links: [link('eth0', 2, 2, macs.a)] },
    { label: 'h/netns:b', host: 'h', switches: [], links: [link('eth0', 3, 3, macs.b)] },
    { label: 'h/netns:o', host: 'h', switches: [], links: [link('eth0', 4, 4, macs.other)] },
  ] as unknown as Space[];
  const c = { world: { spaces, unlooked: [] }, source: spaces[1] } as unknown as Case;
  const at = (way: 'in' | 'out', where: Link): Step =>
    ({ way, space: spaces[0], link: where, packet: { dstMac: macs.b } }) as unknown as Step;
  return { c, space: spaces[0]!, one, at };
}

const joined = { out: {}, into: {} };
/** Why what a sends to b does not leave the switch by which it came in. */
function stuck(...given: Parameters<typeof host>): string | null {
  const { c, space, one } = host(...given);
  return stuckInSwitch(c, space, one, space.links[0]!, macs.b, 'it')?.sentence ?? null;
}

describe('Bridges of Open vSwitch that patch ports join', () => {
  it('are one switch: nothing is wrong with a port of the other bridge', () => {
    expect(stuck(joined)).to.equal(null);
  });

  it('without a patch port, or with one that leads elsewhere, do not reach the other’s ports', () => {
    const apart = 'vb of h, which leads to h/netns:b, is no port of bridge br0 but of br1';
    expect(stuck(null)).to.equal(apart);
    expect(stuck({ out: { peer: 'p11' }, into: {} })).to.equal(apart);
  });

  it('with a patch port that could not be joined are told with its error', () => {
    const { c, space, one } = host({ out: { error: 'No usable peer' }, into: {} });
    const found = stuckInSwitch(c, space, one, space.links[0]!, macs.b, 'it')!;
    expect(found.sentence).to.equal(
      'vb of h, which leads to h/netns:b, is a port of bridge br1, and the patch port p01 of br0 joins it to no other: No usable peer',
    );
    expect(found.rootCause).to.equal('not-a-bridge-port');
  });

  it('keep VLANs apart at either end, and at the patch ports', () => {
    expect(stuck(joined, { ports: [port('vb', { tag: 30 })] })).to.match(/va is in VLAN 10, vb in VLAN 30/);
    expect(stuck({ out: { trunks: [20] }, into: {} })).to.match(/va is in VLAN 10, p01 in VLANs 20 only/);
  });

  it('drop by the flows of either', () => {
    const drop = { text: 'priority=100,icmp actions=drop', drops: true, met: 2 };
    expect(stuck(joined, { flows: [drop] })).to.match(/the flow `priority=100,icmp actions=drop` of bridge br1/);
    expect(stuck(joined, { secure: true })).to.match(/bridge br1 has no flow, and its fail_mode is secure/);
  });

  it('send what they do not know by all ports: one that left by another’s port only is told why', () => {
    const { c, at, space } = host(null);
    const [va, , vo] = space.links;
    expect(floodedAstray(c, [at('in', va!)], at('out', vo!), 'it')?.sentence).to.match(
      /is no port of bridge br0 but of br1/,
    );
    const right = host(joined);
    expect(floodedAstray(right.c, [right.at('in', va!)], right.at('out', right.space.links[1]!), 'it')).to.equal(null);
  });
});

describe('The tables of Open vSwitch', () => {
  const table = (headings: string[], ...data: unknown[][]): string => JSON.stringify({ headings, data });
  it('say to which port a patch port is joined', () => {
    const set = (...items: string[]): unknown => ['set', items.map((one) => ['uuid', one])];
    const text = [
      table(['_uuid', 'name', 'ports', 'controller'], [['uuid', 'b'], 'br0', set('p', 'q'), ['set', []]]),
      table(
        ['_uuid', 'name', 'interfaces'],
        [['uuid', 'p'], 'p01', ['uuid', 'i']],
        [['uuid', 'q'], 'vx0', ['uuid', 'j']],
      ),
      table(
        ['_uuid', 'name', 'type', 'options'],
        [['uuid', 'i'], 'p01', 'patch', ['map', [['peer', 'p10']]]],
        [['uuid', 'j'], 'vx0', 'vxlan', ['map', [['remote_ip', '10.0.0.2']]]],
      ),
      table(['_uuid', 'target']),
    ].join('\n');
    const ports = readSwitches(text, '', '', true).flatMap((one) => one.ports.map(({ name, peer }) => [name, peer]));
    expect(ports).to.deep.equal([
      ['p01', 'p10'],
      ['vx0', null],
    ]);
  });
});
