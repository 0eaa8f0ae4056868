import { expect } from 'chai';
import { arpCheck } from '../../src/checks/arp.js';
import type { Outcome } from '../../src/model/verdict.js';
import { fakeLab } from '../fakes/lab.js';
import type { FakeOptions, Row } from '../fakes/lab.js';
import { arpingText } from '../fakes/sayings.js';

interface Case {
  title: string;
  lab?: Partial<FakeOptions>;
  said?: readonly Row[];
  spec?: object;
  is: Outcome['verdict'];
  cause?: string;
  reason?: RegExp;
}

const hosts = { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } }, c: { on: { lan: '10.0.0.3' } } };
const B = '10.0.0.2';
const silent = (about?: string): Row => ({
  tool: 'arping',
  ...(about === undefined ? {} : { about }),
  says: ({ argv }) => ({ stdout: arpingText(argv.at(-1)!, 'eth0', []), exitCode: 1 }),
});
const down: Row = {
  tool: 'ip',
  about: 'link',
  says: JSON.stringify([{ ifname: 'eth0', flags: ['BROADCAST', 'UP'] }]),
};

const cases: Case[] = [
  { title: 'one answers, as it must', is: 'pass' },
  {
    title: 'two have the address',
    said: [{ tool: 'arping', about: B, says: arpingText(B, 'eth0', ['02:00:00:00:00:02', '02:00:00:00:00:03']) }],
    is: 'fail',
    cause: 'wrong-value',
    reason: /02:00:00:00:00:02 and 02:00:00:00:00:03 answer/,
  },
  {
    title: 'one answers twice',
    said: [{ tool: 'arping', about: B, says: arpingText(B, 'eth0', ['02:00:00:00:00:02', '02:00:00:00:00:02']) }],
    is: 'pass',
  },
  { title: 'nobody answers, and one must', said: [silent(B)], is: 'fail', cause: 'no-answer' },
  { title: 'nobody answers for it, nor for anybody', said: [silent()], is: 'inconclusive' },
  { title: 'nobody answers, as it must', said: [silent(B)], spec: { expect: { absent: true } }, is: 'pass' },
  {
    title: 'nobody must, and nobody answers for anybody',
    said: [silent()],
    spec: { expect: { absent: true } },
    is: 'inconclusive',
  },
  { title: 'nobody must, and somebody does', spec: { expect: { absent: true } }, is: 'fail', cause: 'present' },
  {
    title: 'nobody else is there to show that anybody could answer',
    lab: { hosts: { a: hosts.a } },
    spec: { expect: { absent: true } },
    is: 'inconclusive',
    reason: /name an address with control/,
  },
  { title: 'the interface has no carrier', said: [down], is: 'inconclusive', reason: /down or has no carrier/ },
  { title: 'there is no such interface', spec: { interface: 'eth9' }, is: 'inconclusive', reason: /no interface eth9/ },
  {
    title: 'the output was cut',
    said: [{ tool: 'arping', about: B, says: arpingText(B, 'eth0', ['02:00:00:00:00:02']).slice(0, 80) }],
    is: 'inconclusive',
  },
  {
    title: 'the time was over',
    said: [{ tool: 'arping', says: { timedOut: true } }],
    spec: { expect: { absent: true } },
    is: 'inconclusive',
  },
  {
    title: 'there is no arping',
    said: [{ tool: 'arping', says: { exitCode: 127, stderr: 'arping: not found' } }],
    is: 'inconclusive',
  },
  {
    title: 'a reply for another address',
    said: [{ tool: 'arping', about: B, says: arpingText('10.0.0.9', 'eth0', ['02:00:00:00:00:09']) }],
    is: 'fail',
    cause: 'no-answer',
  },
];

describe('kind arp, by what the tools said', () => {
  for (const { title, lab, said, spec, is, cause, reason } of cases) {
    it(`${title} → ${is}${cause === undefined ? '' : `, ${cause}`}`, async () => {
      const fake = fakeLab({ hosts, ...lab, said: said ?? [] });
      const outcome = await fake.check(arpCheck, { from: 'a', interface: 'eth0', address: B, ...spec });
      expect(outcome.verdict, outcome.reason).to.equal(is);
      if (cause !== undefined) expect(outcome.cause).to.equal(cause);
      if (reason) expect(outcome.reason).to.match(reason);
    });
  }

  it('listens for no longer than its attempt lasts, with time for a control of silence', async () => {
    const listened = async (leftMs: number): Promise<number[]> => {
      const fake = fakeLab({ hosts, said: [silent(B)], timeLeftMs: () => leftMs });
      await fake.check(arpCheck, { from: 'a', interface: 'eth0', address: B });
      return fake.asked.flatMap(({ tool, limitMs }) => (tool === 'arping' ? [limitMs ?? Infinity] : []));
    };
    expect(await listened(30_000)).to.deep.equal([2000, 1000]);
    const [short = 0, ...others] = await listened(1000);
    expect(others).to.have.length(1);
    expect(short).to.be.within(300, 850);
  });
});
