import { expect } from 'chai';
import { readFping } from '../../src/probes/fping-output.js';
import { reachCheck } from '../../src/checks/reach.js';
import type { Fault } from '../../src/model/fault.js';
import type { ProbeHost } from '../../src/places/context.js';
import { fakeLab } from '../fakes/lab.js';
import type { Row } from '../fakes/lab.js';
import { fpingSilent } from '../fakes/sayings.js';

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

describe('what a reach check shows of pairs that are not reached', () => {
  const silent = ['10.0.0.1', '10.0.0.2'].map((about, at) => ({
    at: at === 0 ? 'b' : 'a',
    tool: 'fping',
    about,
    says: fpingSilent(about),
  }));
  const hosts = { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } };
  const spec = reachCheck.schema.parse({ groups: { x: ['a'], y: ['b'] } });

  it('is what a step broke, where that is all that is known, and nothing of the other side', async () => {
    const { context } = fakeLab({ hosts, said: silent });
    const planted = (): Fault[] => [{ kind: 'poweroff', host: 'b' }];
    const { verdict, controls } = await reachCheck.run(spec, { ...context, planted });
    expect(verdict).to.equal('pass');
    expect(controls!.map(({ title }) => title)).to.deep.equal([
      'what keeps a from b (10.0.0.2) is known',
      'what keeps b from a (10.0.0.1) is known',
    ]);
    expect(controls!.every(({ held, seen }) => held && seen.includes('a step broke it on purpose'))).to.equal(true);
  });

  it('is the other side and the way, where both were shown', async () => {
    const { verdict, controls } = await fakeLab({ hosts, said: silent }).check(reachCheck, {
      groups: { x: ['a'], y: ['b'] },
    });
    expect(verdict).to.equal('pass');
    expect(controls).to.deep.equal([
      {
        title: 'where nothing got through, the other side is there and the way carries packets',
        held: true,
        seen: '2 of 2 pairs',
      },
    ]);
  });
});

describe('the addresses that a reach check probes', () => {
  const three = { a: '10.0.0.1', b: '10.0.0.2', c: '10.0.0.3' };
  const hosts = Object.fromEntries(Object.entries(three).map(([name, address]) => [name, { on: { lan: address } }]));
  const spec = reachCheck.schema.parse({ groups: { all: ['a', 'b', 'c'] } });

  /** A lab in which some hosts have other addresses than the plan says; runs the check, and counts its commands. */
  async function reach(has: Record<string, string>, said: readonly Row[] = []) {
    const lab = fakeLab({ hosts, said });
    for (const [name, address] of Object.entries(has))
      for (const link of lab.world.places.find(({ label }) => label === name)!.links.values())
        link.addresses = [`${address}/24`];
    const commands: string[] = [];
    const host = (name: string): ProbeHost => {
      const real = lab.context.host(name);
      return { ...real, exec: (...given) => (commands.push(name), real.exec(...given)) };
    };
    const outcome = await reachCheck.run(spec, { ...lab.context, host });
    const probed = (at: string): (string | null)[] =>
      lab.asked.filter((one) => one.tool === 'fping' && one.at === at).map(({ address }) => address);
    return { outcome, commands, probed };
  }

  it('are those of the plan, by one command a host, where the hosts have them', async () => {
    const { outcome, commands } = await reach({});
    expect(outcome).to.include({ verdict: 'pass', reason: 'All 6 pairs are as they must be.' });
    expect(commands.sort()).to.deep.equal(['a', 'b', 'c']);
  });

  it('are those that the hosts have, where they are others', async () => {
    const { outcome, probed } = await reach({ b: '10.0.0.22' });
    expect(outcome).to.include({ verdict: 'pass' });
    expect(probed('a').slice(0, 3)).to.have.members(Object.values(three));
    expect(probed('a').slice(3)).to.deep.equal(['10.0.0.22']);
  });

  it('are each of the host that has it now, where two have changed theirs', async () => {
    const silent: Row = { at: 'a', tool: 'fping', about: '10.0.0.3', says: fpingSilent('10.0.0.3') };
    const { outcome } = await reach({ b: '10.0.0.3', c: '10.0.0.2' }, [silent]);
    expect(outcome).to.include({ verdict: 'fail', cause: 'timeout' });
    expect(outcome.reason).to.equal('1 of 6 pairs are not as they must be: a → b: timeout.');
    expect(outcome.table).to.deep.equal([
      ['from \\ to', 'a', 'b', 'c'],
      ['a', '·', '✗ timeout', '✓'],
      ['b', '✓', '·', '✓'],
      ['c', '✓', '✓', '·'],
    ]);
  });

  it('are asked for by themselves where the command that probes does not tell them', async () => {
    const mute: Row = { at: 'b', tool: 'ip', about: 'addr', when: ({ part }) => part !== null, says: '' };
    const { outcome, commands } = await reach({ b: '10.0.0.22' }, [mute]);
    expect(outcome).to.include({ verdict: 'pass' });
    expect(commands.filter((name) => name === 'b')).to.have.length(3);
  });
});
