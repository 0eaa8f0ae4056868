import { setTimeout as delay } from 'node:timers/promises';

/** Where time comes from, so that tests need none of it. */
export interface Clock {
  /** ms since some moment that stays the same. */
  now(): number;
  /** Resolves after `ms`, or when `signal` is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const realClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal }).catch(() => undefined);
  },
};
