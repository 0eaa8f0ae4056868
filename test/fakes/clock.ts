import type { Clock } from '../../src/run/clock.js';

export interface FakeClock extends Clock {
  /** Lets time pass. */
  advance(ms: number): void;
}

/** Time that passes only when somebody sleeps or says so. */
export function fakeClock(): FakeClock {
  let now = 0;
  return {
    now: () => now,
    advance: (ms) => void (now += ms),
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
  };
}
