/** Output of one terminal that is watched, bytes a second once the burst is used up: more than anybody reads. */
const watchedPerSecond = 2 * 1024 * 1024;
const watchedBurst = 1024 * 1024;
/** Output goes on without a page, but slowly. */
const unwatchedPerSecond = 256 * 1024;
const unwatchedBurst = 64 * 1024;
/** All terminals together that write without a pause: the process that draws their screens has others to hear meanwhile. */
const togetherPerSecond = 6 * 1024 * 1024;
/** A terminal that waits is looked at again no sooner, ms. */
const leastWaitMs = 20;

/** How fast a program on a terminal may write. */
export interface Pace {
  took(bytes: number): void;
  /** How long it has to wait before more is read, ms; 0: not at all. */
  waitMs(watched: boolean): number;
  end(): void;
}

/** Paces for terminals that share a process: the more of them write without a pause, the less each may. */
export function createPaces(now: () => number = () => performance.now()): () => Pace {
  const flooding = new Set<Pace>();
  return () => {
    let left = watchedBurst;
    let last = now();
    const pace: Pace = {
      took: (bytes) => void (left -= bytes),
      waitMs(watched) {
        const own = watched ? watchedPerSecond : unwatchedPerSecond;
        const rate = (): number => Math.min(own, togetherPerSecond / Math.max(1, flooding.size));
        const time = now();
        left = Math.min(watched ? watchedBurst : unwatchedBurst, left + ((time - last) / 1000) * rate());
        last = time;
        if (left > 0) {
          // Who has its whole burst again writes no flood.
          if (left >= unwatchedBurst) flooding.delete(pace);
          return 0;
        }
        flooding.add(pace);
        return Math.max(leastWaitMs, (-left / rate()) * 1000);
      },
      end: () => void flooding.delete(pace),
    };
    return pace;
  };
}
