/** At most `size` holders at once; who waits is served in order of arrival. */
export interface Slots {
  /** Resolves to the function that gives the slot back, or to `null` when `signal` is aborted before there was one. */
  take(signal: AbortSignal): Promise<(() => void) | null>;
}

export function slots(size: number): Slots {
  let free = size;
  const waiting = new Set<() => void>();

  const slot = () => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      free += 1;
      const next = waiting.values().next();
      if (!next.done) next.value();
    };
  };

  return {
    async take(signal) {
      if (signal.aborted) return null;
      if (free > 0) {
        free -= 1;
        return slot();
      }
      return new Promise((resolve) => {
        const serve = () => {
          free -= 1;
          leave();
          resolve(slot());
        };
        const giveUp = () => {
          leave();
          resolve(null);
        };
        const leave = () => {
          waiting.delete(serve);
          signal.removeEventListener('abort', giveUp);
        };
        waiting.add(serve);
        signal.addEventListener('abort', giveUp);
      });
    },
  };
}
