/**
 * Does pieces of work, `count` at once. `next` gives one that is wanted now, or `null`; what is under way may make it want
 * more, so that it is asked again whenever a piece is done, until none is under way.
 *
 * @throws What the first piece that broke threw, once all others have ended: a piece that breaks must not take the ground from
 * under the rest. No piece is begun after an abort.
 */
export async function doInJobs(
  count: number,
  next: () => (() => Promise<void>) | null,
  signal: AbortSignal,
): Promise<void> {
  let underWay = 0;
  /** Wakes the jobs that found nothing to do. */
  let wake = new AbortController();

  async function job(): Promise<void> {
    while (!signal.aborted) {
      const piece = next();
      if (piece) {
        underWay += 1;
        try {
          await piece();
        } finally {
          underWay -= 1;
          const before = wake;
          wake = new AbortController();
          before.abort();
        }
      } else if (underWay === 0) return;
      else {
        const woken = wake.signal;
        await new Promise<void>((done) => woken.addEventListener('abort', () => done(), { once: true }));
      }
    }
  }

  const jobs = await Promise.allSettled(Array.from({ length: count }, job));
  for (const one of jobs) if (one.status === 'rejected') throw one.reason;
}
