import { expect } from 'chai';
import {
  forwardingLines,
  type ForwardingRow,
  type Tunnel,
  type TunnelFault,
  tunnelsOf,
  tunnelState,
} from '../../src/providers/container/tunnel-faults.js';
import { hostPlan, labPlan } from '../lab/local-labs.js';

const plan = labPlan('faults', [
  hostPlan('a', 11, ['net1', 'net2']),
  hostPlan('b', 12, ['net1']),
  hostPlan('c', 13, ['net1', 'net2']),
]);
const ends = {
  of: new Map([
    ['a', '198.18.0.2'],
    ['b', '198.18.0.3'],
    ['c', '198.18.0.4'],
  ]),
  nobody: '198.18.0.1',
};
const [a1] = tunnelsOf(plan) as [Tunnel];
const macOf = (host: string): string => plan.hosts.find(({ name }) => name === host)!.interfaces[0]!.mac;
const unknown = '00:00:00:00:00:00';
const usual: ForwardingRow[] = [
  { mac: unknown, dst: '198.18.0.3' },
  { mac: unknown, dst: '198.18.0.4' },
  { mac: macOf('b'), dst: '198.18.0.3' },
  { mac: '02:aa:00:00:00:01', dst: '198.18.0.3' },
];
const silence = (...hosts: string[]): TunnelFault => ({ kind: 'cut', segment: 'net1', hosts, as: 'silence' });
const partition = (...groups: string[][]): TunnelFault => ({ kind: 'partition', segment: 'net1', groups });
const seen = (host: string, ...faults: TunnelFault[]) => {
  const tunnel = tunnelsOf(plan).find((one) => one.host === host && one.segment === 'net1')!;
  const { carrier, blocked } = tunnelState(plan, tunnel, faults);
  return { carrier, blocked: [...blocked].join(' ') };
};

describe('Faults on the wire between containers', () => {
  it('make of each tunnel whom it does not hear, and whether it has a carrier', () => {
    expect(seen('a')).to.deep.equal({ carrier: true, blocked: '' });
    expect(seen('a', silence('b'))).to.deep.equal({ carrier: true, blocked: 'b' });
    expect(seen('b', silence('b'))).to.deep.equal({ carrier: true, blocked: 'a c' });
    expect(seen('a', partition(['a', 'b']))).to.deep.equal({ carrier: true, blocked: 'c' });
    expect(seen('c', partition(['a', 'b']), silence('b'))).to.deep.equal({ carrier: true, blocked: 'a b' });
    const pulled: TunnelFault = { kind: 'cut', segment: 'net1', hosts: ['b'], as: 'carrier' };
    expect(seen('b', pulled)).to.deep.equal({ carrier: false, blocked: '' });
    expect(seen('a', pulled)).to.deep.equal({ carrier: true, blocked: '' });
  });

  it('touch no other segment', () => {
    const other = tunnelsOf(plan).find((one) => one.host === 'a' && one.segment === 'net2')!;
    expect([...tunnelState(plan, other, [silence('a')]).blocked]).to.deep.equal([]);
  });

  it('lead what is known of a blocked host to nobody, and back when it is healed', () => {
    const sunk = new Map<string, string>();
    const state = tunnelState(plan, a1, [silence('b')]);
    expect(forwardingLines(plan, a1, usual, state, ends, sunk)).to.deep.equal([
      `fdb del ${unknown} dev eth0 dst 198.18.0.3`,
      `fdb replace ${macOf('b')} dev eth0 dst 198.18.0.1`,
      'fdb replace 02:aa:00:00:00:01 dev eth0 dst 198.18.0.1',
    ]);
    const cut: ForwardingRow[] = [
      { mac: unknown, dst: '198.18.0.4' },
      { mac: macOf('b'), dst: '198.18.0.1' },
      { mac: '02:aa:00:00:00:01', dst: '198.18.0.1' },
    ];
    expect(forwardingLines(plan, a1, cut, state, ends, sunk), 'nothing is left to do').to.deep.equal([]);
    expect(forwardingLines(plan, a1, cut, tunnelState(plan, a1, []), ends, sunk)).to.deep.equal([
      `fdb del ${macOf('b')} dev eth0 dst 198.18.0.1`,
      'fdb del 02:aa:00:00:00:01 dev eth0 dst 198.18.0.1',
      `fdb append ${unknown} dev eth0 dst 198.18.0.3`,
    ]);
    expect(sunk.size).to.equal(0);
  });

  it('leave a host blocked that another fault still blocks', () => {
    const sunk = new Map([[macOf('b'), 'b']]);
    const cut: ForwardingRow[] = [
      { mac: unknown, dst: '198.18.0.4' },
      { mac: macOf('b'), dst: '198.18.0.1' },
    ];
    const state = tunnelState(plan, a1, [partition(['a', 'c'])]);
    expect(forwardingLines(plan, a1, cut, state, ends, sunk)).to.deep.equal([]);
    expect([...sunk]).to.deep.equal([[macOf('b'), 'b']]);
  });
});
