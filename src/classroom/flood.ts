/**
 * What of a lot of output a terminal has to be given, and in which pieces: whoever draws the screens of a whole class cannot draw all
 * that programs write. Sequences are those of ECMA-48 and of xterm’s "Control Sequences".
 */

/** ESC, SO, SI, what C1 controls begin with in UTF-8, and what ends a sequence within. */
const telling = new Uint8Array(256);
for (const sign of [0x1b, 0x0e, 0x0f, 0xc2, 0x07, 0x18, 0x1a]) telling[sign] = 1;
const esc = 0x1b;
const lineEnd = Buffer.from('\r\n');
/** SGR, EL, CUF and CHA: of no effect beyond their line, but for the style. */
const inLine: ReadonlySet<number> = new Set(Buffer.from('mKCG'));
/** Final bytes whose cost does not grow with the screen: the cursor’s moves, modes, margins, and what asks for an answer. */
const cheap: ReadonlySet<number> = new Set(Buffer.from('mKCGHfABDEFd`aehlrncsuqt'));
/** DECSET and DECRST of the other screen, which is laid out anew, and of the width. */
const otherScreen = /^\?(?:[\d;]*;)?(?:3|47|1047|1049)(?:;|$)/;
/** ST, which ends a string that was begun, and is nothing else. */
const stringEnd = '\u001b\\';
/** RIS and DECSTR. */
const resetAll = '\u001bc';
const resetSome = '\u001b[!p';
/** SGR that begins with no style. */
const takesBack = (parameters: string): boolean => /^0*(?:;|$)/.test(parameters);

/** What a control does: nothing beyond its line; something that is done at once; or something that is done to all of a screen. */
type Reach = 'line' | 'cheap' | 'screen';

/** One control after another of an output. */
class Controls {
  at = 0;
  end = 0;
  reach: Reach = 'cheap';
  /** The last byte of a control sequence (CSI); 0: it is another control. */
  final = 0;

  constructor(private readonly bytes: Buffer) {}

  /** Goes to the first at or behind `from`. */
  find(from: number): boolean {
    const { bytes } = this;
    let at = from;
    while (at < bytes.length && telling[bytes[at]!] === 0) at += 1;
    this.at = at;
    this.final = 0;
    if (at >= bytes.length) return false;
    this.reach = 'cheap';
    this.end = at + 1;
    if (bytes[at] === esc) this.escape();
    return true;
  }

  private escape(): void {
    const { bytes, at } = this;
    let end = at + 1;
    if (bytes[end] !== 0x5b) {
      // Intermediate signs, and the last one. RIS, RI and IND may touch the whole screen.
      while (end < bytes.length && bytes[end]! >= 0x20 && bytes[end]! < 0x30) end += 1;
      this.reach = end === at + 1 ? 'screen' : 'cheap';
      this.end = Math.min(bytes.length, end + 1);
      return;
    }
    end += 1;
    while (end < bytes.length && bytes[end]! >= 0x20 && bytes[end]! < 0x40) end += 1;
    this.end = Math.min(bytes.length, end + 1);
    this.final = bytes[end] ?? 0;
    const first = bytes[at + 2]!;
    if (inLine.has(this.final) && (first < 0x3c || first === this.final)) this.reach = 'line';
    else if (!cheap.has(this.final)) this.reach = 'screen';
    else if ((this.final === 0x68 || this.final === 0x6c) && otherScreen.test(this.parameters)) this.reach = 'screen';
  }

  get parameters(): string {
    return this.bytes.toString('latin1', this.at + 2, this.end - 1);
  }

  get text(): string {
    return this.bytes.toString('latin1', this.at, this.end);
  }
}

/** Styles that differ and of which none takes all others back: of more, nothing is left out. */
const mostStyles = 256;

/** Sets the style as all SGR in it do, one after another; `null` where that is too long to be worth it. */
function stylesIn(bytes: Buffer): string | null {
  const controls = new Controls(bytes);
  const styles = new Set<string>();
  let any = false;
  for (let from = 0; controls.find(from); from = controls.end) {
    any = true;
    if (controls.final !== 0x6d) continue;
    const { text, parameters } = controls;
    if (takesBack(parameters)) styles.clear();
    // What the same one did before, the last of them does again.
    styles.delete(text);
    styles.add(text);
    if (styles.size > mostStyles) return null;
  }
  return any ? stringEnd + [...styles].join('') : '';
}

/** A sequence that began before ends within so many bytes. */
const headBytes = 256;

/** Of a part without controls that reach beyond their lines: what is left out of it, and what stands for that. */
function leftOut(run: Buffer, lines: number): { from: number; to: number; styles: string } | null {
  if (run.length < lines * lineEnd.length) return null;
  const head = run.indexOf(lineEnd, headBytes);
  let to = run.length;
  for (let line = 0; line <= lines; line += 1) {
    to = run.lastIndexOf(lineEnd, to - 1);
    if (head === -1 || to <= head) return null;
  }
  // Behind CR and LF the next sign stands in the first column, whatever was before.
  const from = head + lineEnd.length;
  to += lineEnd.length;
  const styles = stylesIn(run.subarray(from, to));
  return styles === null ? null : { from, to, styles };
}

/**
 * What of an output has to be drawn, so that a terminal is afterwards as if all had been. Of a text whose control sequences are of
 * no effect beyond their lines it is the last lines, as many as a terminal keeps, and the first: a sequence that began before may
 * end in it.
 */
export function whatCounts(bytes: Buffer, lines: number): Buffer {
  if (bytes.length < lines * lineEnd.length) return bytes;
  const parts: Buffer[] = [];
  let taken = 0;
  const run = (from: number, to: number): void => {
    const out = leftOut(bytes.subarray(from, to), lines);
    if (!out) return;
    parts.push(bytes.subarray(taken, from + out.from), Buffer.from(out.styles, 'latin1'));
    taken = from + out.to;
  };
  const controls = new Controls(bytes);
  let begun = 0;
  for (let from = 0; controls.find(from); from = controls.end) {
    if (controls.reach === 'line') continue;
    run(begun, controls.at);
    begun = controls.end;
  }
  run(begun, bytes.length);
  return taken === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(taken)]);
}

/** A part of an output, and what it costs to draw it. */
export interface Piece {
  bytes: Buffer;
  /** In what a byte of text costs, which is about a microsecond. */
  cost: number;
}

/** Drawn without a pause. */
const pieceCost = 8000;
/** What is done to all of a screen costs so much more than a byte of text as the screen has cells, divided by this. */
const cellsForByte = 8;

/** Cut so that none of them holds up anybody for long. @param cells Of the screen. */
export function piecesOf(bytes: Buffer, cells: number): Piece[] {
  const pieces: Piece[] = [];
  let [begun, extra] = [0, 0];
  const cut = (to: number): void => {
    if (to > begun) pieces.push({ bytes: bytes.subarray(begun, to), cost: to - begun + extra });
    [begun, extra] = [to, 0];
  };
  const text = (to: number): void => {
    while (to - begun + extra > pieceCost) cut(Math.max(begun + 1, begun + pieceCost - extra));
  };
  const controls = new Controls(bytes);
  for (let from = 0; controls.find(from); from = controls.end) {
    text(controls.at);
    const cost = controls.reach === 'screen' ? cells / cellsForByte : 0;
    if (extra + cost + controls.end - begun > pieceCost) cut(controls.at);
    extra += cost;
  }
  text(bytes.length);
  cut(bytes.length);
  return pieces;
}

/** Of what a part that nobody sees has set and not taken back, the last so many of each kind are kept. */
const mostSettings = 64;

/** Settings of one kind, by what each is about: the one that was made last holds. */
class Settings {
  private readonly texts = new Map<string, string>();

  set(about: string, text: string): void {
    this.texts.delete(about);
    this.texts.set(about, text);
    if (this.texts.size > mostSettings) this.texts.delete(this.texts.keys().next().value!);
  }

  clear(): void {
    this.texts.clear();
  }

  get text(): string {
    return [...this.texts.values()].join('');
  }
}

/** Modes, margins, sets of signs and the style, as they are once all of it was read. */
function settingsOf(pieces: readonly Piece[]): string {
  const [modes, styles] = [new Settings(), new Settings()];
  let reset = '';
  const take = (controls: Controls): void => {
    const { final } = controls;
    const kind = final === 0 ? '' : String.fromCharCode(final);
    // Most of what programs write is none of it.
    if (final !== 0 && !'hlmrp'.includes(kind)) return;
    const { text, parameters } = controls;
    if (text === resetAll || text === resetSome) {
      [modes, styles].forEach((one) => one.clear());
      reset = reset === resetAll ? reset : text;
    } else if (kind === 'h' || kind === 'l') {
      const mark = parameters.startsWith('?') ? '?' : '';
      for (const number of parameters.slice(mark.length).split(';'))
        modes.set(mark + number, `\u001b[${mark}${number}${kind}`);
    } else if (kind === 'm') {
      if (takesBack(parameters)) styles.clear();
      styles.set(text, text);
    } else if (kind === 'r') modes.set(kind, text);
    else if (/^\u001b[()*+]./.test(text)) modes.set(text.slice(0, 2), text);
    else if (text === '\u000e' || text === '\u000f') modes.set('shift', text);
  };
  for (const { bytes } of pieces) {
    const controls = new Controls(bytes);
    for (let from = 0; controls.find(from); from = controls.end) take(controls);
  }
  return stringEnd + reset + modes.text + styles.text;
}

/**
 * Of the output of a program that was interrupted: the last of it for so much, and before that what the rest had set. What that had
 * drawn is left out, as the kernel leaves out what it has of it (termios(3), without NOFLSH).
 *
 * @param cost As of `Piece`.
 */
export function endOf(pieces: readonly Piece[], cost: number): Piece[] {
  let [from, sum] = [pieces.length - 1, 0];
  while (from > 0 && sum + pieces[from]!.cost + pieces[from - 1]!.cost <= cost) sum += pieces[from--]!.cost;
  if (from <= 0) return [...pieces];
  const set = Buffer.from(settingsOf(pieces.slice(0, from)), 'latin1');
  return [{ bytes: set, cost: set.length }, ...pieces.slice(from)];
}
