/** Longest line that is kept, bytes: nobody types a longer one, and a flood fills no memory. */
const mostBytes = 4096;

const interrupt = 0x03;
const backspaces = new Set([0x08, 0x7f]);
const lineEnds = new Set([0x0a, 0x0d]);
const eraseLine = 0x15;
const escape = 0x1b;

/**
 * The lines that a terminal's input amounts to, as far as a shell's line editing is simple: what was erased is gone, cursor keys
 * and the marks around a paste (`ESC [ 200 ~`) are passed over. A line that the shell completed, or took from its history, is
 * not known.
 */
export class TypedLines {
  private bytes: number[] = [];
  /** Inside an escape sequence (ECMA-48): right after ESC, or after `ESC [` until its final byte. */
  private sequence: 'none' | 'begun' | 'control' = 'none';

  /** Takes input in; answers the lines that it ended. */
  take(input: Uint8Array): string[] {
    const lines: string[] = [];
    for (const byte of input) {
      if (this.inSequence(byte)) continue;
      if (lineEnds.has(byte)) {
        lines.push(Buffer.from(this.bytes).toString('utf8'));
        this.bytes = [];
      } else if (byte === eraseLine || byte === interrupt) this.bytes = [];
      else if (backspaces.has(byte)) this.erase();
      else if (byte === escape) this.sequence = 'begun';
      else if (byte >= 0x20 && this.bytes.length < mostBytes) this.bytes.push(byte);
    }
    return lines.filter((line) => line !== '');
  }

  private inSequence(byte: number): boolean {
    if (this.sequence === 'none') return false;
    if (this.sequence === 'begun') this.sequence = byte === 0x5b || byte === 0x4f ? 'control' : 'none';
    // A final byte ends it: @ to ~.
    else if (byte >= 0x40 && byte <= 0x7e) this.sequence = 'none';
    return true;
  }

  /** The last sign, of as many bytes as UTF-8 gave it. */
  private erase(): void {
    while (this.bytes.length > 0) {
      const last = this.bytes.pop()!;
      if ((last & 0xc0) !== 0x80) return;
    }
  }
}
