import { isAscii } from 'node:buffer';

/**
 * Where a terminal stands in what it reads, by the states of ECMA-48 parsers: in the midst of an escape sequence (`escape`, or
 * `designation` behind its intermediate signs), of a control sequence, or of a string for the terminal itself.
 */
type State = 'ground' | 'escape' | 'designation' | 'control' | 'osc' | 'dcs' | 'string';

const bel = 0x07;
const esc = 0x1b;
/** CAN and SUB end any sequence, as ST does. */
const ends: ReadonlySet<number> = new Set([0x18, 0x1a, 0x9c]);
/** What begins a sequence: C1 controls, and the sign behind ESC that stands for each. */
const begins: ReadonlyMap<number, State> = new Map([
  [0x90, 'dcs'],
  [0x98, 'string'],
  [0x9b, 'control'],
  [0x9d, 'osc'],
  [0x9e, 'string'],
  [0x9f, 'string'],
]);
/** What a terminal that knows nothing of it has to read to be in that state; what the rest then says is of no effect. */
const reopening: Readonly<Record<State, string>> = {
  ground: '',
  escape: '\u001b',
  designation: '\u001b(',
  control: '\u001b[',
  osc: '\u001b]9999;',
  dcs: '\u001bPz',
  string: '\u001bX',
};

const strings: ReadonlySet<State> = new Set(['osc', 'dcs', 'string']);

function isC1(code: number): boolean {
  return code >= 0x80 && code < 0xa0;
}

/** Bytes that follow the first of a sign in UTF-8; 0 for a byte that begins none. */
function followers(byte: number): number {
  if (byte >= 0xf0 && byte <= 0xf4) return 3;
  if (byte >= 0xe0 && byte < 0xf0) return 2;
  return byte >= 0xc2 && byte < 0xe0 ? 1 : 0;
}

/** Follows an output, and knows how many bytes at its end are of a sign or of a sequence that is not whole yet. */
export class Unfinished {
  private state: State = 'ground';
  /** Of the sign that is being read: bytes that are missing, and what it is so far. */
  private missing = 0;
  private code = 0;
  private length = 0;

  get bytes(): number {
    return this.length;
  }

  /** What has to stand before the rest where its beginning is not to be had. */
  get reopened(): string {
    return reopening[this.state];
  }

  take(bytes: Uint8Array): void {
    // A flood is of that kind mostly, and is not looked at sign by sign.
    if (this.state === 'ground' && this.missing === 0 && isAscii(bytes) && !bytes.includes(esc)) {
      this.length = 0;
      return;
    }
    for (const byte of bytes) {
      // Most of what programs write.
      if (this.state === 'ground' && this.missing === 0 && byte < 0x80 && byte !== esc) this.length = 0;
      else this.takeByte(byte);
    }
  }

  private takeByte(byte: number): void {
    if (this.missing > 0 && (byte & 0xc0) === 0x80) {
      this.length += 1;
      this.code = (this.code << 6) | (byte & 0x3f);
      this.missing -= 1;
      if (this.missing === 0) this.sign(this.code);
      return;
    }
    // A sign that was begun and is not gone on with is none.
    if (this.missing > 0 && this.state === 'ground') this.length = 0;
    this.length += 1;
    this.missing = followers(byte);
    this.code = byte & (0x3f >> this.missing);
    if (this.missing > 0) return;
    if (byte < 0x80) this.sign(byte);
    else if (this.state === 'ground') this.length = 0;
  }

  private sign(code: number): void {
    this.state = this.after(code);
    if (this.state === 'ground') this.length = 0;
  }

  private after(code: number): State {
    if (code === esc) return 'escape';
    if (ends.has(code)) return 'ground';
    if (isC1(code)) return begins.get(code) ?? 'ground';
    const { state } = this;
    if (state === 'osc' && code === bel) return 'ground';
    if (state === 'ground' || strings.has(state)) return state;
    // C0 controls within a sequence are obeyed, and it goes on.
    if (code < 0x20 || code === 0x7f) return state;
    if (code > 0x7f) return 'ground';
    if (state === 'control') return code < 0x40 ? 'control' : 'ground';
    if (code < 0x30) return 'designation';
    return state === 'escape' ? (begins.get(code + 0x40) ?? 'ground') : 'ground';
  }
}
