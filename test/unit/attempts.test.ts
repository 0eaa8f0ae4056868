import { expect } from 'chai';
import type { Outcome } from '../../src/model/verdict.js';
import { attemptsOf } from '../../src/run/attempts.js';
import { fakeClock } from '../fakes/clock.js';

const never = new AbortController().signal;
const pass: Outcome = { verdict: 'pass', reason: 'It is so.' };
const fail: Outcome = { verdict: 'fail', cause: 'timeout', reason: 'No answer.' };
const unknown: Outcome = { verdict: 'inconclusive', reason: 'The source is not there.' };
const broken: Outcome = { verdict: 'error', reason: 'The lab broke.' };

/** Gives the outcomes one after the other, then the last one for ever. */
function script(...outcomes: Outcome[]): { attempt: () => Promise<Outcome>; made: () => number } {
  let made = 0;
  return {
    attempt: () => {
      made += 1;
      return Promise.resolve(outcomes[Math.min(made, outcomes.length) - 1]!);
    },
    made: () => made,
  };
}

describe('Attempts at a check', () => {
  it('makes exactly one where no time is given, whatever comes of it', async () => {
    const { attempt, made } = script(fail, pass);
    const timed = await attemptsOf(attempt, { withinMs: null, holdsForMs: null, timeoutMs: 1000 }, never);
    expect(timed.outcome).to.deep.equal(fail);
    expect([timed.attempts, made()]).to.deep.equal([1, 1]);
  });

  it('within: tries again after fail and inconclusive, and records when it became true', async () => {
    const { attempt } = script(unknown, fail, pass);
    const timed = await attemptsOf(attempt, { withinMs: 5000, holdsForMs: null, timeoutMs: 1000 }, never);
    expect(timed.outcome.verdict).to.equal('pass');
    expect(timed.attempts).to.equal(3);
    expect(timed.outcome.measures?.map((one) => one.name)).to.deep.equal(['became true']);
    expect(timed.outcome.reason).to.contain('at attempt 3');
  });

  it('within: the last thing seen is the verdict, with its cause and the count of attempts', async () => {
    const { attempt } = script(unknown, fail);
    const timed = await attemptsOf(attempt, { withinMs: 200, holdsForMs: null, timeoutMs: 1000 }, never);
    expect(timed.outcome).to.include({ verdict: 'fail', cause: 'timeout' });
    expect(timed.attempts).to.be.greaterThan(1);
    expect(timed.outcome.reason).to.contain(`Tried ${timed.attempts} times`);
  });

  it('within: an error is not tried again', async () => {
    const { attempt, made } = script(broken, pass);
    const timed = await attemptsOf(attempt, { withinMs: 5000, holdsForMs: null, timeoutMs: 1000 }, never);
    expect(timed.outcome.verdict).to.equal('error');
    expect(made()).to.equal(1);
  });

  it('holds-for: the first attempt that is no pass ends it', async () => {
    const { attempt } = script(pass, pass, fail, pass);
    const timed = await attemptsOf(attempt, { withinMs: null, holdsForMs: 60_000, timeoutMs: 1000 }, never);
    expect(timed.outcome).to.include({ verdict: 'fail', cause: 'timeout' });
    expect(timed.attempts).to.equal(3);
  });

  it('holds-for: passes only after the time is over', async () => {
    const { attempt } = script(pass);
    const timed = await attemptsOf(attempt, { withinMs: null, holdsForMs: 300, timeoutMs: 1000 }, never);
    expect(timed.outcome.verdict).to.equal('pass');
    expect(timed.durationMs).to.be.at.least(299);
    expect(timed.attempts).to.be.greaterThan(1);
  });

  it('holds-for: the time that the first attempt took does not count', async () => {
    const clock = fakeClock();
    let made = 0;
    const slow = (): Promise<Outcome> => {
      clock.advance(3000);
      return Promise.resolve((made += 1) === 1 ? pass : fail);
    };
    const timed = await attemptsOf(slow, { withinMs: null, holdsForMs: 2000, timeoutMs: 15_000 }, never, clock);
    expect(timed.outcome.verdict).to.equal('fail');
    expect(timed.outcome.reason).to.match(/It had held for 0\.0 ms of 2\.0 s/);
  });

  it('holds-for: what never held is said to have held for 0 s, what held to have held until it was last seen', async () => {
    const clock = fakeClock();
    const slowly = (outcome: Outcome) => () => {
      clock.advance(5000);
      return Promise.resolve(outcome);
    };
    const timing = { withinMs: null, holdsForMs: 1000, timeoutMs: 15_000 };
    const none = await attemptsOf(slowly(fail), timing, never, clock);
    expect(none.outcome.reason).to.equal('No answer. It never held: 0 s of 1.0 s.');
    let made = 0;
    const some = await attemptsOf(
      () => slowly((made += 1) < 3 ? pass : fail)(),
      { ...timing, holdsForMs: 60_000 },
      never,
      clock,
    );
    expect(some.outcome.reason).to.equal('No answer. It had held for 5.5 s of 1 min 00 s.');
  });

  it('within: what becomes true when its time is over fails, with what was seen before', async () => {
    const clock = fakeClock();
    const late = await attemptsOf(
      () => {
        clock.advance(2500);
        return Promise.resolve(pass);
      },
      { withinMs: 1000, holdsForMs: null, timeoutMs: 15_000 },
      never,
      clock,
    );
    expect(late.outcome).to.include({ verdict: 'fail', cause: 'timeout', actual: 'true after 2.5 s' });
    let made = 0;
    const second = await attemptsOf(
      () => {
        made += 1;
        clock.advance(made === 1 ? 900 : 1500);
        return Promise.resolve<Outcome>(
          made === 1 ? { verdict: 'fail', cause: 'refused', reason: 'Nobody listens.' } : pass,
        );
      },
      { withinMs: 1000, holdsForMs: null, timeoutMs: 15_000 },
      never,
      clock,
    );
    expect(second.outcome).to.include({ verdict: 'fail', cause: 'refused' });
    expect(second.outcome.reason).to.contain('Nobody listens. It was so only after');
  });

  it('within: a pass of an attempt that its own end cut short proves nothing', async () => {
    const clock = fakeClock();
    const timed = await attemptsOf(
      (givenMs, report) => {
        clock.advance(givenMs);
        report.cut();
        return Promise.resolve({ verdict: 'pass', cause: 'timeout', reason: 'No answer came, as expected.' });
      },
      { withinMs: 1000, holdsForMs: null, timeoutMs: 15_000 },
      never,
      clock,
    );
    expect(timed.outcome.verdict).to.equal('inconclusive');
    expect(timed.outcome.reason).to.contain('No attempt had the time that it needed');
  });

  it('within and holds-for: becomes true first, then stays so', async () => {
    const { attempt } = script(fail, pass, pass, fail);
    const timed = await attemptsOf(attempt, { withinMs: 5000, holdsForMs: 60_000, timeoutMs: 1000 }, never);
    expect(timed.outcome.verdict).to.equal('fail');
    expect(timed.attempts).to.equal(4);
  });

  it('an abort during holds-for is an error, never a pass', async () => {
    const abort = new AbortController();
    let made = 0;
    const attempt = (): Promise<Outcome> => {
      made += 1;
      if (made === 2) abort.abort();
      return Promise.resolve(pass);
    };
    const timed = await attemptsOf(attempt, { withinMs: null, holdsForMs: 60_000, timeoutMs: 1000 }, abort.signal);
    expect(timed.outcome.verdict).to.equal('error');
  });
});
