/**
 * What was typed at one terminal and its host did not take yet, bytes: who types more without a look at what was taken is not
 * a person.
 */
const mostWaiting = 256 * 1024;
/** INTR, SUSP and QUIT of termios(3), as terminals have them: the kernel throws away what was typed and written before them. */
const interrupts: ReadonlySet<number> = new Set([0x03, 0x1a, 0x1c]);

/** Whether that is such a key, and not a text in which the sign stands. */
export function interruptsProgram(bytes: Buffer): boolean {
  return bytes.length === 1 && interrupts.has(bytes[0]!);
}

/** What was typed at a terminal, on its way to the program. */
export interface Typing {
  /** @param taken Called once the host has it, or nobody will ever have it. */
  add(bytes: Buffer, taken: () => void): void;
  /** Bytes that wait here. */
  readonly waiting: number;
  end(): void;
}

/** @param write Gives bytes to the host; calls back when it takes more. */
export function createTyping(write: (bytes: Buffer, taken: () => void) => void): Typing {
  const queue: { bytes: Buffer; taken: () => void }[] = [];
  let waiting = 0;
  let busy = false;
  let over = false;

  const drop = (): void => {
    for (const { bytes, taken } of queue.splice(0)) {
      waiting -= bytes.length;
      taken();
    }
  };
  const next = (): void => {
    const one = queue.shift();
    if (!one || over) return;
    busy = true;
    write(one.bytes, () => {
      busy = false;
      waiting -= one.bytes.length;
      one.taken();
      next();
    });
  };
  return {
    add(bytes, taken) {
      if (over) return taken();
      if (interruptsProgram(bytes)) {
        drop();
        // The one that the host has not made room for is before it; no other is.
        return write(bytes, taken);
      }
      if (waiting + bytes.length > mostWaiting) return taken();
      queue.push({ bytes, taken });
      waiting += bytes.length;
      if (!busy) next();
    },
    get waiting() {
      return waiting;
    },
    end() {
      over = true;
      drop();
    },
  };
}
