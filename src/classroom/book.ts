import type { ClassEvent, ClassEventBody } from './events.js';
import type { ClassRecord } from './record.js';
import { applyEvent, stateOf, type ClassState } from './state.js';

/** The record of a class with the state that it adds up to: what is not in the record did not happen. */
export interface ClassBook {
  readonly state: ClassState;
  /**
   * Writes an event down and takes it into the state, at once. What it returns resolves when the disk has it, and rejects with
   * NETRIG_CLASS_RECORD where it cannot be written: then it did not happen. Nobody has to wait for it.
   */
  append(event: ClassEventBody): Promise<void>;
  /** Called after each event. */
  onEvent(listener: (event: ClassEvent) => void): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** What was done, or a promise that rejects with why it could not be, which nobody has to look at. */
function attempt<T>(what: () => T): T | Promise<never> {
  try {
    return what();
  } catch (error) {
    const failed = Promise.reject<never>(error);
    failed.catch(() => undefined);
    return failed;
  }
}

export function openBook(record: ClassRecord): ClassBook {
  const state = stateOf(record.before);
  const listeners: ((event: ClassEvent) => void)[] = [];
  return {
    state,
    append(body) {
      const added = attempt(() => record.append(body));
      if (added instanceof Promise) return added;
      const { event, kept } = added;
      applyEvent(state, event);
      for (const listener of listeners) listener(event);
      return kept;
    },
    onEvent: (listener) => void listeners.push(listener),
    flush: () => record.flush(),
    close: () => record.close(),
  };
}
