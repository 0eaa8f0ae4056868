import type { SerializeAddon } from '@xterm/addon-serialize';
import type { Terminal } from '@xterm/headless';

/** What of a terminal its public face does not tell, nor the add-on that writes it down; it looks there itself. */
interface Inner {
  _core?: {
    buffer?: { scrollTop: number; scrollBottom: number };
    coreService?: { isCursorHidden: boolean };
    coreMouseService?: { activeEncoding: string };
  };
}

/** DECSET numbers of what a mouse is told with; the default has none. */
const mouseEncodings: Readonly<Record<string, string>> = { SGR: '1006', SGR_PIXELS: '1016' };

/** DECSTBM takes the cursor to the first column of the first row: it is put back. */
function margins(screen: Terminal, inner: Inner): string {
  const { scrollTop, scrollBottom } = inner._core?.buffer ?? { scrollTop: 0, scrollBottom: screen.rows - 1 };
  const { cursorX, cursorY } = screen.buffer.active;
  const { originMode } = screen.modes;
  const whole = scrollTop === 0 && scrollBottom === screen.rows - 1;
  if (whole && !originMode) return '';
  const row = cursorY + 1 - (originMode ? scrollTop : 0);
  const column = Math.min(cursorX, screen.cols - 1) + 1;
  return `${whole ? '' : `\u001b[${scrollTop + 1};${scrollBottom + 1}r`}\u001b[${row};${column}H`;
}

/**
 * A text that draws the screen on a terminal that was reset, with so many lines above it: what follows in the output then has the
 * same effect there as here.
 */
export function screenText(screen: Terminal, serializer: SerializeAddon, above: number): string {
  const inner = screen as unknown as Inner;
  const encoding = mouseEncodings[inner._core?.coreMouseService?.activeEncoding ?? ''];
  return [
    serializer.serialize({ scrollback: above }),
    margins(screen, inner),
    encoding === undefined ? '' : `\u001b[?${encoding}h`,
    inner._core?.coreService?.isCursorHidden === true ? '\u001b[?25l' : '',
  ].join('');
}
