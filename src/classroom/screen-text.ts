import type { SerializeAddon } from '@xterm/addon-serialize';
import type { Terminal } from '@xterm/headless';

/** How signs look: of the cells of a screen, and of what is written next. */
interface Look {
  isFgRGB(): boolean | number;
  isBgRGB(): boolean | number;
  isFgPalette(): boolean | number;
  isBgPalette(): boolean | number;
  getFgColor(): number;
  getBgColor(): number;
  isBold(): number;
  isDim(): number;
  isItalic(): number;
  /** Its flags, among them what SGR 4 sets: a link is underlined, too, as long as it lasts. */
  fg: number;
  isBlink(): number;
  isInverse(): number;
  isInvisible(): number;
  isStrikethrough(): number;
  isOverline(): number;
}

/** What is drawn in place of a sign; `undefined`: the sign itself. */
type Charset = Readonly<Record<string, string>> | undefined;

interface InnerBuffer {
  scrollTop: number;
  scrollBottom: number;
  ybase: number;
  savedX: number;
  /** Counted from the first line that is kept. */
  savedY: number;
  savedCurAttrData: Look;
  savedCharset: Charset;
  tabs: Readonly<Record<number, boolean>>;
}

/** What of a terminal its public face does not tell, nor the add-on that writes it down; it looks there itself. */
interface Inner {
  _core: {
    buffers: { normal: InnerBuffer; alt: InnerBuffer };
    coreService: {
      isCursorHidden: boolean;
      decPrivateModes: { cursorStyle?: 'block' | 'underline' | 'bar'; cursorBlink?: boolean };
    };
    coreMouseService: { activeEncoding: string };
    /** `charset` is the one that signs are drawn by: DECRC sets it alone. */
    _charsetService: { charset: Charset; glevel: number; _charsets: readonly Charset[] };
    _inputHandler: { _curAttrData: Look };
  };
}

const esc = '\u001b';
/** As the add-on begins the other screen: with the cursor saved, which is written here by itself. */
const addonsOther = `${esc}[?1049h${esc}[H`;
const toOther = `${esc}[m${esc}[?1047h`;
const fromOther = `${esc}[?1047l`;
const save = `${esc}7`;

const underlined = 0x1000_0000;
const styles: readonly (readonly [Exclude<keyof Look, 'fg'>, number])[] = [
  ['isBold', 1],
  ['isDim', 2],
  ['isItalic', 3],
  ['isBlink', 5],
  ['isInverse', 7],
  ['isInvisible', 8],
  ['isStrikethrough', 9],
  ['isOverline', 53],
];

function colour(base: 38 | 48, rgb: boolean, palette: boolean, value: number): number[] {
  if (rgb) return [base, 2, (value >> 16) & 255, (value >> 8) & 255, value & 255];
  return palette ? [base, 5, value] : [];
}

/** SGR of ECMA-48, from no style on. */
function look(one: Look): string {
  const codes = [
    0,
    ...styles.filter(([is]) => one[is]()).map(([, code]) => code),
    ...(one.fg & underlined ? [4] : []),
    ...colour(38, Boolean(one.isFgRGB()), Boolean(one.isFgPalette()), one.getFgColor()),
    ...colour(48, Boolean(one.isBgRGB()), Boolean(one.isBgPalette()), one.getBgColor()),
  ];
  return `${esc}[${codes.join(';')}m`;
}

/** The last byte of the sequence that chooses a set: lines, British, or plain. National ones are nobody's any more. */
function nameOf(set: Charset): string {
  if (set?.['q'] === '─') return '0';
  return set?.['#'] === '£' ? 'A' : 'B';
}

/** SCS and locking shifts. */
function charsets({ glevel, _charsets }: Pick<Inner['_core']['_charsetService'], 'glevel' | '_charsets'>): string {
  const chosen = ['(', ')', '*', '+']
    .map((set, at) => ({ set, name: nameOf(_charsets[at]) }))
    .filter(({ name }) => name !== 'B');
  return [...chosen.map(({ set, name }) => esc + set + name), ['', '\u000e', `${esc}n`, `${esc}o`][glevel]].join('');
}

/** The sets, where DECRC left another one in force than the one that is chosen: by DECRC again, where that one is still saved. */
function restoredCharset({ charset, glevel, _charsets }: Inner['_core']['_charsetService'], saved: Charset): string {
  if (nameOf(charset) === nameOf(saved)) return `${charsets({ glevel, _charsets })}${esc}8`;
  return charsets({ glevel, _charsets: Object.assign([..._charsets], { [glevel]: charset }) });
}

function tabStops({ tabs }: InnerBuffer, cols: number): string {
  const stops = Array.from({ length: cols }, (_, column) => column).filter((column) => tabs[column]);
  if (stops.every((column) => column % 8 === 0) && stops.length === Math.ceil(cols / 8)) return '';
  return `${esc}[3g${stops.map((column) => `${esc}[${column + 1}G${esc}H`).join('')}`;
}

/** DECSC, where a terminal that was reset has another cursor saved. */
function savedCursor({ savedX, savedY, ybase, savedCurAttrData, savedCharset }: InnerBuffer): string {
  const row = Math.max(0, savedY - ybase);
  const style = look(savedCurAttrData);
  const set = nameOf(savedCharset);
  if (savedX === 0 && row === 0 && style === `${esc}[0m` && set === 'B') return '';
  const back = set === 'B' ? '' : `${esc}(B`;
  return `${esc}[${row + 1};${savedX + 1}H${style}${set === 'B' ? '' : `${esc}(${set}`}${save}${back}${esc}[m`;
}

/** DECSTBM, which takes the cursor to the first column of the first row. */
function margins({ scrollTop, scrollBottom }: InnerBuffer, rows: number): string {
  return scrollTop === 0 && scrollBottom === rows - 1 ? '' : `${esc}[${scrollTop + 1};${scrollBottom + 1}r`;
}

/** Where the next sign goes. One beyond the last column is in the next row only once it comes. */
function cursor(screen: Terminal, { scrollTop }: InnerBuffer): string {
  const { active } = screen.buffer;
  const { cursorX, cursorY } = active;
  const row = cursorY + 1 - (screen.modes.originMode ? scrollTop : 0);
  const at = (column: number): string => `${esc}[${row};${column + 1}H`;
  if (cursorX < screen.cols) return at(cursorX);
  const line = active.getLine(active.baseY + cursorY);
  const wide = line?.getCell(screen.cols - 1)?.getWidth() === 0;
  const column = screen.cols - (wide ? 2 : 1);
  const cell = line?.getCell(column);
  return cell ? at(column) + look(cell as unknown as Look) + (cell.getChars() || ' ') : at(column);
}

const mouseTracking: Readonly<Record<string, string>> = { x10: '9', vt200: '1000', drag: '1002', any: '1003' };
/** DECSET numbers of what a mouse is told with; the default has none. */
const mouseEncodings: Readonly<Record<string, string>> = { SGR: '1006', SGR_PIXELS: '1016' };
const cursorStyles = { block: 1, underline: 3, bar: 5 };

/** What keys, mouse and cursor are told by programs; nothing of it is about where signs go. */
function inputModes({ modes }: Terminal, { coreService, coreMouseService }: Inner['_core']): string {
  const { cursorStyle, cursorBlink } = coreService.decPrivateModes;
  const numbers = [
    modes.applicationCursorKeysMode && '1',
    modes.applicationKeypadMode && '66',
    modes.bracketedPasteMode && '2004',
    modes.reverseWraparoundMode && '45',
    modes.sendFocusMode && '1004',
    mouseTracking[modes.mouseTrackingMode],
    mouseEncodings[coreMouseService.activeEncoding],
  ];
  return [
    ...numbers.map((number) => (number ? `${esc}[?${number}h` : '')),
    cursorStyle === undefined ? '' : `${esc}[${cursorStyles[cursorStyle] + (cursorBlink ? 0 : 1)} q`,
    coreService.isCursorHidden ? `${esc}[?25l` : '',
  ].join('');
}

/**
 * A text that draws the screen on a terminal that was reset, with so many lines above it: what follows in the output then has the
 * same effect there as here, also where a program that fills the screen comes back to what it saved.
 */
export function screenText(screen: Terminal, serializer: SerializeAddon, above: number): string {
  const { _core: core } = screen as unknown as Inner;
  const { normal, alt } = core.buffers;
  const { cols, rows } = screen;
  const other = screen.buffer.active.type === 'alternate';
  const first = serializer.serialize({ scrollback: above, excludeModes: true, excludeAltBuffer: true });
  const second = other ? serializer.serialize({ scrollback: above, excludeModes: true }).slice(first.length) : '';
  const othersCursor = savedCursor(alt);
  const active = other ? alt : normal;
  const sets = core._charsetService;
  const asChosen = nameOf(sets.charset) === nameOf(sets._charsets[sets.glevel]);
  const restored = asChosen ? '' : restoredCharset(sets, active.savedCharset);
  const around = [
    !other && othersCursor !== '' ? toOther + othersCursor + fromOther : '',
    tabStops(normal, cols),
    savedCursor(normal),
    margins(normal, rows),
    other ? `${toOther}${esc}[H${second.slice(addonsOther.length)}${tabStops(alt, cols)}${othersCursor}` : '',
    other ? margins(alt, rows) : '',
    screen.modes.originMode ? `${esc}[?6h` : '',
  ].join('');
  return [
    first,
    around,
    // The add-on leaves the cursor where it is, as it is; what came since may have moved it.
    restored,
    around === '' && restored === '' ? '' : cursor(screen, active) + look(core._inputHandler._curAttrData),
    asChosen ? charsets(sets) : '',
    screen.modes.insertMode ? `${esc}[4h` : '',
    screen.modes.wraparoundMode ? '' : `${esc}[?7l`,
    inputModes(screen, core),
  ].join('');
}
