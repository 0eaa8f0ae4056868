import pc from 'picocolors';
import type { Verdict } from '../model/verdict.js';

export type Colours = ReturnType<typeof pc.createColors>;

/** Whether to colour, as https://no-color.org and https://force-color.org have it. */
export function wantsColour(env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  const force = env['FORCE_COLOR'];
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return isTTY && env['TERM'] !== 'dumb';
}

/** How a terminal shows things: colours, and how wide a line may be. */
export interface Style {
  colour: Colours;
  verdict: Record<Verdict | 'warning', (text: string) => string>;
  /** Columns for text below an item; without a terminal, as good as endless. */
  width(): number;
  /** Cuts a line to the terminal's width; without one, to what a log can bear. */
  cut: { columns(): number; isTTY: boolean };
}

export function styleOf(stream: { isTTY?: boolean; columns?: number }, env: NodeJS.ProcessEnv): Style {
  const isTTY = stream.isTTY === true;
  const colour = pc.createColors(wantsColour(env, isTTY));
  const columns = (): number => Math.max(40, stream.columns ?? 100);
  return {
    colour,
    verdict: {
      pass: colour.green,
      fail: colour.red,
      inconclusive: colour.yellow,
      error: colour.magenta,
      skipped: colour.dim,
      warning: colour.yellow,
    },
    width: () => (isTTY ? columns() : 10_000) - 6,
    cut: { columns: () => (isTTY ? columns() : 2000), isTTY },
  };
}
