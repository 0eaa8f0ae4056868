import { setMaxListeners } from 'node:events';
import { exitStatus } from '../model/verdict.js';

export interface Interrupt {
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** Stops listening. */
  dispose(): void;
}

/**
 * The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) ends gracefully: commands are stopped, labs are taken down, reports are written. A second one
 * ends the process at once; hosts die with the process that holds them, and the next run sweeps up what else is left.
 *
 * @param onFirst called with the signal's name, for a word to the user.
 */
export function onInterrupt(onFirst: (signal: string) => void): Interrupt {
  const controller = new AbortController();
  // Every host and command of a lab listens to it: many are no leak.
  setMaxListeners(0, controller.signal);
  const listener = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitStatus.interrupted);
    controller.abort();
    onFirst(name);
  };
  // From a parent process that passes its own first signal on; a terminal may have sent one to both.
  const passedOn = (): void => {
    if (!controller.signal.aborted) listener('SIGUSR2');
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  process.on('SIGHUP', listener);
  process.on('SIGUSR2', passedOn);
  return {
    signal: controller.signal,
    dispose: () => {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
      process.off('SIGHUP', listener);
      process.off('SIGUSR2', passedOn);
    },
  };
}
