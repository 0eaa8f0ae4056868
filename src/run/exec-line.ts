import { quoteArg } from '../ssh/quote.js';

/** `netrig exec client -- ping -c 2 10.2.0.20`, or with a shell where the command needs one; `lab`: the id of the one that is meant. */
export function execLine(on: string, command: string, lab: string | null = null): string {
  // Words that a shell takes as they stand, or quoted ones; anything else means something to the shell of the place.
  const plain = /^(?:[A-Za-z0-9_./:@%+,= -]|'[^']*')+$/.test(command) && !/^\S*=/.test(command);
  return `netrig exec ${lab === null ? '' : `--lab ${lab} `}${on} -- ${plain ? command : `sh -c ${quoteArg(command)}`}`;
}
