import { expect } from 'chai';
import { readFping } from '../../src/probes/fping-output.js';
import { reachCheck } from '../../src/checks/reach.js';

describe('the output of fping', () => {
  const targets = ['10.0.0.1', '10.0.0.10'];
  it('is read by whole addresses', () => {
    expect([...readFping('10.0.0.10 is alive (0.05 ms)\n10.0.0.1 is unreachable\n', targets)!]).to.deep.equal([
      ['10.0.0.10', { saw: 'reply', ms: 0.05 }],
      ['10.0.0.1', { saw: 'silence' }],
    ]);
  });
  it('has causes where somebody said why', () => {
    const seen = readFping(
      'ICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to 10.0.0.1\n10.0.0.10 is alive (0.05 ms)\n10.0.0.1 is unreachable\n',
      targets,
    )!;
    expect(seen.get('10.0.0.1')).to.include({ saw: 'error', cause: 'host-unreachable' });
  });
  it('is not guessed at when a target is missing, is there twice, was not asked, or a line is new', () => {
    for (const text of [
      '',
      '10.0.0.1 is alive (0.05 ms)\n',
      '10.0.0.1 is alive\n10.0.0.1 is alive\n10.0.0.10 is alive\n',
      '10.0.0.1 is alive\n10.0.0.2 is alive\n',
      '10.0.0.1 is alive\n10.0.0.10 is sleepy\n',
      'fping: not found',
    ])
      expect(readFping(text, targets), JSON.stringify(text)).to.equal(null);
  });
});

describe('the shape of a reach check', () => {
  const takes = (spec: object): boolean => reachCheck.schema.safeParse(spec).success;
  it('takes rules over its own groups only, and every member once', () => {
    const groups = { web: ['node1/w1'], db: ['node1/db'] };
    expect(takes({ groups, expect: { allow: ['web -> db'] }, by: { tcp: 80 } })).to.equal(true);
    for (const wrong of [
      { groups, expect: { allow: ['web -> cache'] } },
      { groups, expect: { allow: ['web => db'] } },
      { groups: { web: ['node1'] } },
      { groups: { web: ['node1'], db: ['node1'] } },
      { groups: { web: [] } },
      { groups, by: 'udp' },
    ])
      expect(takes(wrong), JSON.stringify(wrong)).to.equal(false);
  });
});
