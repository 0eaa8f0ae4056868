import { isNetrigError, messageOf } from '../errors.js';
import { exitStatus } from '../model/verdict.js';
import { err, tell } from './terminal.js';

/** Prints an error as people want it (what, code, how to mend) and gives the exit status that goes with it. */
export function printError(error: unknown): number {
  if (isNetrigError(error)) {
    tell`${err.red('netrig:')} ${error.message} ${err.dim(`(${error.code})`)}`;
    if (error.hint) tell`        ${error.hint}`;
    return error.exit;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  tell`${err.red('netrig:')} netrig itself is broken, please report this: ${stack} ${err.dim('(NETRIG_INTERNAL)')}`;
  return exitStatus.lab;
}
