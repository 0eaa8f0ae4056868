import { messageOf } from '../errors.js';
import { asCoded } from '../model/refused-write.js';
import { exitStatus } from '../model/verdict.js';
import { err, tell } from './terminal.js';

/** Prints an error as people want it (what, code, how to mend) and gives the exit status that goes with it. */
export function printError(error: unknown): number {
  const known = asCoded(error);
  if (known) {
    // The code belongs to the sentence, not to the last line of an excerpt below it.
    const [sentence = '', ...below] = known.message.split('\n');
    tell`${err.red('netrig:')} ${sentence} ${err.dim(`(${known.code})`)}`;
    if (below.length > 0) tell`${below.join('\n')}`;
    if (known.hint) tell`        ${known.hint}`;
    return known.exit;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  tell`${err.red('netrig:')} netrig itself is broken, please report this: ${stack} ${err.dim('(NETRIG_INTERNAL)')}`;
  return exitStatus.lab;
}
