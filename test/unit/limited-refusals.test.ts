import { expect } from 'chai';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import type { Cause } from '../../src/model/verdict.js';
import { sendUnlimited } from '../../src/reaching/limited-refusals.js';
import type { LimitedProbe } from '../../src/reaching/limited-refusals.js';
import type { Sighting } from '../../src/judging/expectation.js';

interface Seen {
  sighting: Sighting;
  answeredBy: string | null;
}

const failure = (cause: Cause, answeredBy: string | null): Seen => ({
  sighting: { saw: 'failure', cause, text: cause },
  answeredBy,
});
const silence = failure('timeout', null);
const unreachable = failure('net-unreachable', '10.0.0.1');

/** A lab, and what its probes meet one after the other. */
function lab(given: { leftMs?: number; probeOver?: () => Promise<unknown> } = {}) {
  const context = {
    plan: {} as LabPlan,
    signal: new AbortController().signal,
    timeLeftMs: () => given.leftMs ?? 15_000,
    ...(given.probeOver ? { probeOver: given.probeOver } : {}),
  };
  const waits: number[] = [];
  const probe = async (meets: Seen[], rest: Partial<LimitedProbe<Seen>> = {}): Promise<[Cause | 'success', number]> => {
    const left = [...meets];
    const sent = await sendUnlimited(
      context,
      {
        ...{ host: 'a', proto: 'icmp', mustFail: true, waitMs: 1000 },
        send: () => Promise.resolve(left.shift()!),
        ...rest,
      },
      (ms) => Promise.resolve(void waits.push(ms)),
    );
    return [sent.sighting.saw === 'failure' ? sent.sighting.cause : 'success', meets.length - left.length];
  };
  return { probe, waits };
}

describe('a probe whose refusal may be held back by the limit of ICMP errors', () => {
  it('is sent again after a quiet time, where it meets silence soon after such an error', async () => {
    const { probe, waits } = lab();
    expect(await probe([unreachable])).to.deep.equal(['net-unreachable', 1]);
    expect(await probe([silence, failure('prohibited', '10.0.0.1')])).to.deep.equal(['prohibited', 2]);
    expect(waits).to.have.length(1);
    // Two errors a packet that a route refuses, one a second.
    expect(waits[0]).to.be.greaterThan(2000);
  });

  it('comes to what the second one meets, also where that is an answer, and to silence where both meet it', async () => {
    const { probe } = lab();
    await probe([unreachable]);
    expect(await probe([silence, { sighting: { saw: 'success', text: '' }, answeredBy: '10.0.0.9' }])).to.deep.equal([
      'success',
      2,
    ]);
    expect(await probe([silence, silence])).to.deep.equal(['timeout', 2]);
    expect(await probe([silence, { sighting: { saw: 'nothing', text: '' }, answeredBy: null }])).to.deep.equal([
      'timeout',
      2,
    ]);
  });

  it('is sent once where nothing shows that an error may be held back', async () => {
    expect(await lab().probe([silence])).to.deep.equal(['timeout', 1]);
    for (const harmless of [failure('host-unreachable', null), failure('refused', '10.0.0.9')]) {
      const { probe } = lab();
      await probe([harmless], { proto: 'tcp' });
      expect(await probe([silence])).to.deep.equal(['timeout', 1]);
    }
    const { probe } = lab();
    await probe([unreachable], { host: 'b' });
    expect(await probe([silence])).to.deep.equal(['timeout', 1]);
  });

  it('that is a refusal over UDP counts as such an error', async () => {
    const { probe } = lab();
    await probe([failure('refused', '10.0.0.9')], { proto: 'udp' });
    expect(await probe([silence, failure('refused', '10.0.0.9')], { proto: 'udp' })).to.deep.equal(['refused', 2]);
  });

  it('is sent once where it must succeed, is counted, or has no time left', async () => {
    const { probe } = lab();
    await probe([unreachable]);
    expect(await probe([silence], { mustFail: false })).to.deep.equal(['timeout', 1]);
    for (const other of [lab({ leftMs: 3000 }), lab({ probeOver: () => Promise.resolve() })]) {
      await other.probe([unreachable]);
      expect(await other.probe([silence])).to.deep.equal(['timeout', 1]);
    }
  });
});
