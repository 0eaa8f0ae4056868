/**
 * Control sequences that a terminal carries out again and again: their number is a lab's word, and xterm counts it down from as much
 * as 2147483647, for minutes, in which it draws nothing else. No program that means what it says asks for more than a screen's worth.
 */

/** ICH, IL, DL, DCH, SU, SD, ECH, CBT, CHT (ECMA-48, 8.3), and REP, which repeats the sign before it. */
const finals = ['@', 'L', 'M', 'P', 'S', 'T', 'X', 'Z', 'I', 'b'] as const;

/** What a terminal of xterm.js and its headless kin have alike. */
interface ParsedTerminal {
  readonly rows: number;
  readonly cols: number;
  readonly parser: {
    registerCsiHandler(id: { final: string }, callback: (params: (number | number[])[]) => boolean): unknown;
  };
}

/** From now on the terminal passes over sequences that ask for more repeats than it has cells in a row, or rows; `b`: than cells. */
export function boundRepeats(terminal: ParsedTerminal): void {
  for (const final of finals)
    terminal.parser.registerCsiHandler({ final }, ([first]) => {
      const { rows, cols } = terminal;
      return typeof first === 'number' && first > (final === 'b' ? rows * cols : Math.max(rows, cols));
    });
}
