import { quoteArg } from '../ssh/quote.js';

/** `netrig exec client -- ping -c 2 10.2.0.20`, or with a shell where the command needs one. */
export function execLine(on: string, command: string): string {
  // Words that a shell takes as they stand, or quoted ones; anything else means something to the shell of the place.
  const plain = /^(?:[A-Za-z0-9_./:@%+,= -]|'[^']*')+$/.test(command) && !/^\S*=/.test(command);
  return `netrig exec ${on} -- ${plain ? command : `sh -c ${quoteArg(command)}`}`;
}
