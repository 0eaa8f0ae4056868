import { err } from './colours.js';
import { isNetrigError, messageOf } from '../errors.js';
import { exitStatus } from '../model/verdict.js';

/** Prints an error as people want it (what, code, how to mend) and gives the exit status that goes with it. */
export function printError(error: unknown): number {
  if (isNetrigError(error)) {
    process.stderr.write(`${err.red('netrig:')} ${error.message} ${err.dim(`(${error.code})`)}\n`);
    if (error.hint) process.stderr.write(`        ${error.hint}\n`);
    return error.exit;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  process.stderr.write(
    `${err.red('netrig:')} netrig itself is broken, please report this: ${stack} ${err.dim('(NETRIG_INTERNAL)')}\n`,
  );
  return exitStatus.lab;
}
