import { messageOf } from '../errors.js';
import { asCoded } from '../model/refused-write.js';
import { exitStatus } from '../model/verdict.js';
import { err, tell } from './terminal.js';

/** Prints an error as people want it (what, code, how to mend) and gives the exit status that goes with it. */
export function printError(error: unknown): number {
  const known = asCoded(error);
  if (known) {
    tell`${err.red('netrig:')} ${known.message} ${err.dim(`(${known.code})`)}`;
    if (known.hint) tell`        ${known.hint}`;
    return known.exit;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  tell`${err.red('netrig:')} netrig itself is broken, please report this: ${stack} ${err.dim('(NETRIG_INTERNAL)')}`;
  return exitStatus.lab;
}
