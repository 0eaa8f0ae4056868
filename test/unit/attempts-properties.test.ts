import { expect } from 'chai';
import fc from 'fast-check';
import type { Outcome, Verdict } from '../../src/model/verdict.js';
import { attemptsOf, type Timing } from '../../src/run/attempts.js';
import { fakeClock } from '../fakes/clock.js';

const signal = new AbortController().signal;

/** One attempt as a kind may make it: how long it would take, what it sees, and whether it keeps to its time. */
interface Plan {
  needMs: number;
  verdict: Verdict;
  /** `true`: it is ended when its time is over, and says so. `false`: it overruns. */
  obeys: boolean;
}

interface Seen {
  beganAt: number;
  endedAt: number;
  givenMs: number;
  outcome: Outcome;
  cut: boolean;
}

async function play(plans: readonly Plan[], timing: Timing) {
  const clock = fakeClock();
  const seen: Seen[] = [];
  const timed = await attemptsOf(
    (givenMs, report) => {
      const plan = plans[Math.min(seen.length, plans.length - 1)]!;
      const beganAt = clock.now();
      const cut = plan.obeys && plan.needMs > givenMs;
      clock.advance(cut ? givenMs : plan.needMs);
      if (cut) report.cut();
      const verdict = cut ? 'inconclusive' : plan.verdict;
      const outcome: Outcome = {
        verdict,
        ...(verdict === 'fail' ? { cause: 'refused' as const } : {}),
        reason: `attempt ${seen.length + 1}.`,
      };
      seen.push({ beganAt, endedAt: clock.now(), givenMs, outcome, cut });
      return Promise.resolve(outcome);
    },
    timing,
    signal,
    clock,
  );
  return { timed, seen };
}

const aPlan = fc.record({
  // Never 0: an attempt that takes no time at all would be made for ever.
  needMs: fc.integer({ min: 1, max: 12_000 }),
  verdict: fc.constantFrom<Verdict>('pass', 'fail', 'inconclusive'),
  obeys: fc.boolean(),
});
const plans = fc.array(aPlan, { minLength: 1, maxLength: 30 });
const obedient = plans.map((list) => list.map((one) => ({ ...one, obeys: true })));
const withinMs = fc.integer({ min: 50, max: 20_000 });
const timeoutMs = fc.integer({ min: 50, max: 15_000 });

describe('Attempts, whatever a kind does with its time', () => {
  it('within: what passes has passed in time', () =>
    fc.assert(
      fc.asyncProperty(plans, withinMs, timeoutMs, async (list, within, timeout) => {
        const { timed, seen } = await play(list, { withinMs: within, holdsForMs: null, timeoutMs: timeout });
        const inTime = seen.filter((one) => one.outcome.verdict === 'pass' && one.endedAt <= within);
        expect(timed.outcome.verdict === 'pass').to.equal(inTime.length > 0);
      }),
    ));

  it('within: no attempt begins after the end, none is given more than is left, and nothing goes on once it is true', () =>
    fc.assert(
      fc.asyncProperty(plans, withinMs, timeoutMs, async (list, within, timeout) => {
        const { timed, seen } = await play(list, { withinMs: within, holdsForMs: null, timeoutMs: timeout });
        expect(timed.attempts).to.equal(seen.length);
        for (const one of seen) {
          expect(one.beganAt).to.be.below(within);
          expect(one.givenMs).to.be.at.most(Math.min(timeout, within - one.beganAt));
        }
        expect(seen.slice(0, -1).filter((one) => one.outcome.verdict === 'pass')).to.deep.equal([]);
      }),
    ));

  it('within: where attempts keep to their time, the whole does', () =>
    fc.assert(
      fc.asyncProperty(obedient, withinMs, timeoutMs, async (list, within, timeout) => {
        const { timed } = await play(list, { withinMs: within, holdsForMs: null, timeoutMs: timeout });
        expect(timed.durationMs).to.be.at.most(within);
      }),
    ));

  it('within: an attempt that was cut short is never the verdict while one had its full time', () =>
    fc.assert(
      fc.asyncProperty(obedient, withinMs, timeoutMs, async (list, within, timeout) => {
        const { timed, seen } = await play(list, { withinMs: within, holdsForMs: null, timeoutMs: timeout });
        if (timed.outcome.verdict === 'pass') return;
        const shown = seen.findIndex((_, index) => timed.outcome.reason.startsWith(`attempt ${index + 1}.`));
        const isFull = (one: Seen): boolean =>
          one.givenMs >= timeout || (!one.cut && one.endedAt - one.beganAt < one.givenMs / 2);
        const isCut = (one: Seen): boolean => one.cut && one.givenMs < timeout;
        if (seen.some(isFull)) expect(isCut(seen[shown]!)).to.equal(false);
        if (seen.every(isCut)) expect(timed.outcome.reason).to.contain('No attempt had the time that it needed');
      }),
    ));

  it('within: what becomes true and stays so is seen, if two attempts fit in what is left then', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 19_000 }),
        fc.integer({ min: 1, max: 70 }),
        withinMs,
        async (at, need, within) => {
          fc.pre(at + 150 <= within);
          const clock = fakeClock();
          const timed = await attemptsOf(
            () => {
              const isTrue = clock.now() >= at;
              clock.advance(need);
              return Promise.resolve(
                isTrue ? { verdict: 'pass', reason: 'y' } : { verdict: 'fail', cause: 'absent', reason: 'n' },
              );
            },
            { withinMs: within, holdsForMs: null, timeoutMs: 15_000 },
            signal,
            clock,
          );
          expect(timed.outcome.verdict).to.equal('pass');
        },
      ),
    ));

  it('holds-for: passes only if every attempt did, the last at the end of the time or later', () =>
    fc.assert(
      fc.asyncProperty(plans, withinMs, timeoutMs, async (list, holdsFor, timeout) => {
        const { timed, seen } = await play(list, { withinMs: null, holdsForMs: holdsFor, timeoutMs: timeout });
        const allPassed = seen.every((one) => one.outcome.verdict === 'pass');
        expect(timed.outcome.verdict === 'pass').to.equal(allPassed);
        if (allPassed) expect(timed.durationMs).to.be.at.least(holdsFor);
      }),
    ));
});
