import { randomBytes } from 'node:crypto';
import serializeAddon from '@xterm/addon-serialize';
import xterm from '@xterm/headless';
import type { RemoteTerminal, TerminalSize } from '../ssh/ssh.js';
import type { Cast } from './cast.js';
import { createDrawing, type Drawing } from './drawing.js';
import { createPaces, type Pace } from './pace.js';
import { boundRepeats } from './repeats.js';
import { screenText } from './screen-text.js';
import { createTyping, interruptsProgram, type Typing } from './typing.js';

/** Output that is kept as bytes for pages that come back; who was away for longer gets the screen. */
const keptBytes = 1024 * 1024;
/** A page gets at most this much beyond what it has on its screen: what is on its way cannot be taken back by Ctrl-C. */
export const windowBytes = 128 * 1024;
const blockBytes = 32 * 1024;
/** Small pieces of output are put together up to so many bytes. */
const roomBytes = 16 * 1024;
/** What may wait to be drawn here. */
const undrawnBytes = 256 * 1024;
/** A page that takes nothing for so long holds nobody up any more, ms. */
const patienceMs = 10_000;
/**
 * Of a program that is interrupted, what was on its way: the window of an SSH channel is 2 MiB, and what sshd and the kernel hold
 * comes behind it.
 */
const mostSkipped = 3 * 1024 * 1024;
/** Nothing comes for so long: what was on its way is through, ms. And no longer than that: the program may go on all the same. */
const throughMs = 25;
const longestSkipMs = 1000;
/** Who reads along reads less than that, bytes a second; of more, so much is on its way that Ctrl-C would be behind it. */
const calmPerSecond = 64 * 1024;
/** Between two changes of size, ms: each lays all lines out anew, and a page may ask for thousands. */
const resizeMs = 500;
/** Between two looks at whether the disk takes more of a recording, ms. */
const diskMs = 50;
/** Lines above the screen; and those that a page gets of them at once when a flood was interrupted: the rest is the flood's. */
const scrollback = 2000;
const linesAfterFlood = 300;

const newPace = createPaces();

/** Who looks at a shell. */
export interface Watcher {
  /** Bytes of the output from number `at` on. */
  output(at: number, bytes: Buffer): void;
  /** The screen as all output before byte `at` made it, as a text that draws it. */
  screen(at: number, size: TerminalSize, data: string): void;
  size(size: TerminalSize): void;
  ended(status: number | null): void;
}

export interface Watching {
  /** Bytes up to this number are on the page's screen. */
  ack(at: number): void;
  stop(): void;
}

/** A program on a terminal of a lab host, with its output numbered from its first byte on. */
export interface Shell {
  readonly id: string;
  readonly size: TerminalSize;
  /** @param from The number of the byte to go on at; `null`: the screen first. */
  watch(watcher: Watcher, from: number | null): Watching;
  /** @param taken Called once the host has it, or nobody will ever have it. */
  input(bytes: Buffer, taken?: () => void): void;
  resize(size: TerminalSize): void;
  mark(label: string): void;
  close(): void;
  /** Bytes that are held for pages. */
  readonly held: number;
}

interface Viewer {
  watcher: Watcher;
  /** Of the next byte to send; `null`: the screen comes first. */
  next: number | null;
  acked: number;
  movedAt: number;
  drawing: boolean;
  /** A screen that was sent and is not on the page yet, by its number: there is no other before it is. */
  unseen: number | null;
}

/** The output as far as it is kept. */
interface Kept {
  blocks: { at: number; bytes: Buffer }[];
  start: number;
  end: number;
  /** What the last block is the beginning of, where there is room for more in it. */
  room: Buffer | null;
}

/** A program may write a byte at a time: each would be a block of its own, many times as large as what is in it. */
function append(kept: Kept, bytes: Buffer): void {
  const last = kept.blocks.at(-1);
  const used = last?.bytes.length ?? 0;
  if (last && kept.room && used + bytes.length <= roomBytes) {
    bytes.copy(kept.room, used);
    last.bytes = kept.room.subarray(0, used + bytes.length);
    return;
  }
  kept.room = bytes.length * 4 <= roomBytes ? Buffer.allocUnsafeSlow(roomBytes) : null;
  if (kept.room) bytes.copy(kept.room);
  kept.blocks.push({ at: kept.end, bytes: kept.room?.subarray(0, bytes.length) ?? bytes });
}

function keep(kept: Kept, bytes: Buffer): void {
  const beyond = Math.max(0, bytes.length - keptBytes);
  kept.end += beyond;
  // What is no more than the end of it is not to hold all of it.
  append(kept, beyond > 0 ? Buffer.from(bytes.subarray(beyond)) : bytes);
  kept.end += bytes.length - beyond;
  while (kept.blocks.length > 1 && kept.end - kept.blocks[1]!.at >= keptBytes) kept.blocks.shift();
  kept.start = kept.blocks[0]!.at;
}

/** At most one block's worth of bytes from number `from` on, and not beyond `limit`. */
function bytesFrom(kept: Kept, from: number, limit: number): Buffer | null {
  let [low, high] = [0, kept.blocks.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (kept.blocks[middle]!.at <= from) low = middle;
    else high = middle - 1;
  }
  const block = kept.blocks[low];
  if (!block || from >= kept.end || from >= limit) return null;
  const start = from - block.at;
  return block.bytes.subarray(start, Math.min(block.bytes.length, start + blockBytes, start + (limit - from)));
}

/** Holds a terminal: reads it no faster than those who look at it can take, draws its screen, records it. */
export function holdShell(
  remote: RemoteTerminal,
  size: TerminalSize,
  cast: Cast | null,
  onEnd: (status: number | null) => void,
): Shell {
  return new HeldTerminal(remote, size, cast, onEnd);
}

class HeldTerminal implements Shell {
  readonly id = randomBytes(9).toString('base64url');
  private readonly kept: Kept = { blocks: [], start: 0, end: 0, room: null };
  private readonly screen;
  private readonly serializer = new serializeAddon.SerializeAddon();
  private readonly viewers = new Set<Viewer>();
  private readonly pace: Pace = newPace();
  private readonly typing: Typing;
  /** Set while the program is held up, for when it may go on. */
  private timer: NodeJS.Timeout | null = null;
  private readonly drawing: Drawing;
  /** What pages are not shown of a program that was interrupted. */
  private skipping: { left: number; until: number; timer: NodeJS.Timeout } | null = null;
  /** What was written lately beyond what somebody can read, bytes, at the moment `at`. */
  private lately = { bytes: 0, at: 0 };
  private ended = false;
  /** The size that was asked for last, and the time until the next change of it. */
  private wanted: TerminalSize;
  private sizing: NodeJS.Timeout | null = null;

  constructor(
    private readonly remote: RemoteTerminal,
    private current: TerminalSize,
    private readonly cast: Cast | null,
    onEnd: (status: number | null) => void,
  ) {
    this.wanted = current;
    this.screen = new xterm.Terminal({ ...current, scrollback, allowProposedApi: true, logLevel: 'off' });
    boundRepeats(this.screen);
    this.screen.loadAddon(this.serializer as unknown as Parameters<typeof this.screen.loadAddon>[0]);
    this.drawing = createDrawing(this.screen, scrollback, () => this.flow());
    this.typing = createTyping((bytes, taken) => remote.write(bytes, taken));
    remote.output.on('data', (bytes: Buffer) => this.take(bytes));
    void remote.done.then((status) => this.end(status, onEnd));
  }

  get size(): TerminalSize {
    return this.current;
  }

  get held(): number {
    return this.kept.end - this.kept.start;
  }

  private send(viewer: Viewer): void {
    if (this.skipping) return;
    if (viewer.next === null || viewer.next < this.kept.start) return this.draw(viewer);
    for (;;) {
      const bytes = bytesFrom(this.kept, viewer.next, viewer.acked + windowBytes);
      if (bytes === null || bytes.length === 0) return;
      viewer.watcher.output(viewer.next, bytes);
      viewer.next += bytes.length;
    }
  }

  private draw(viewer: Viewer, above = scrollback): void {
    if (viewer.drawing || viewer.unseen !== null) return;
    viewer.drawing = true;
    // What was written before is on the screen when this comes back; what comes later is not.
    this.drawing.after(({ at, reopened }) => {
      viewer.drawing = false;
      if (!this.viewers.has(viewer)) return;
      viewer.next = at;
      viewer.acked = at;
      viewer.unseen = at;
      this.show(viewer.watcher, at, reopened, above);
      this.send(viewer);
    });
  }

  private show(watcher: Watcher, at: number, reopened: string, above: number): void {
    const { cols, rows } = this.screen;
    watcher.screen(at, { cols, rows }, screenText(this.screen, this.serializer, above) + reopened);
  }

  /** How long the program has to wait, ms: for somebody who looks to take more, or because it writes too much. */
  private waitMs(): number {
    const now = performance.now();
    const { end } = this.kept;
    let patience = 0;
    // The quickest of those who look says how fast it goes: who cannot follow is shown the screen when they can.
    for (const { acked, next, movedAt, drawing } of this.viewers) {
      const asleep = end > acked && now - movedAt > patienceMs;
      if (asleep) continue;
      if (drawing || next === null || end - acked <= windowBytes) return this.pace.waitMs(true);
      patience = Math.max(patience, patienceMs - (now - movedAt));
    }
    return patience > 0 ? patience + 1 : this.pace.waitMs(false);
  }

  private flow(): void {
    if (this.ended) return;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const { output } = this.remote;
    if (this.skipping) return void output.resume();
    if (this.drawing.undrawn > undrawnBytes || this.cast?.full()) {
      output.pause();
      this.again(diskMs);
      return;
    }
    const wait = this.waitMs();
    if (wait === 0) return void output.resume();
    output.pause();
    this.again(wait);
  }

  private again(ms: number): void {
    this.timer = setTimeout(() => this.flow(), ms);
  }

  private calmed(): number {
    const now = performance.now();
    const { bytes, at } = this.lately;
    this.lately = { bytes: Math.max(0, bytes - ((now - at) / 1000) * calmPerSecond), at: now };
    return this.lately.bytes;
  }

  /** Whether output is on its way that the page of somebody who interrupts the program would have to wait for. */
  private get behind(): boolean {
    const { output } = this.remote;
    if (output.isPaused() || output.readableLength > blockBytes) return true;
    if (this.drawing.undrawn > blockBytes || this.calmed() > blockBytes) return true;
    return [...this.viewers].some(({ next }) => next !== null && this.kept.end - next > 0);
  }

  /** Pages get nothing until what was on its way is through, and then the screen. */
  private skip(): void {
    const timer = this.skipping?.timer ?? setTimeout(() => this.through(), throughMs);
    const until = this.skipping?.until ?? performance.now() + longestSkipMs;
    this.drawing.hold();
    // What came already is taken in one piece, and is not of what is still on its way.
    this.skipping = { left: Infinity, until, timer };
    this.remote.output.pause().read();
    this.skipping.left = mostSkipped;
    this.flow();
  }

  private skipped(bytes: number): void {
    if (!this.skipping) return this.pace.took(bytes);
    this.skipping.left -= bytes;
    if (this.skipping.left <= 0 || performance.now() > this.skipping.until) this.through();
    else this.skipping.timer.refresh();
  }

  private through(): void {
    if (!this.skipping) return;
    clearTimeout(this.skipping.timer);
    this.skipping = null;
    this.drawing.release();
    for (const viewer of this.viewers) {
      if (viewer.next === this.kept.end) continue;
      viewer.next = null;
      this.draw(viewer, linesAfterFlood);
    }
    this.flow();
  }

  private take(bytes: Buffer): void {
    // Who had everything has been waiting for this, not asleep.
    for (const viewer of this.viewers) if (viewer.acked === this.kept.end) viewer.movedAt = performance.now();
    keep(this.kept, bytes);
    // Of a flood no more is remembered than what a second takes back.
    this.lately.bytes = Math.min(calmPerSecond, this.calmed() + bytes.length);
    this.drawing.add(bytes);
    this.cast?.output(bytes);
    this.skipped(bytes.length);
    for (const viewer of this.viewers) this.send(viewer);
    this.flow();
  }

  private end(status: number | null, onEnd: (status: number | null) => void): void {
    this.ended = true;
    if (this.timer) clearTimeout(this.timer);
    this.pace.end();
    this.typing.end();
    if (this.skipping) {
      clearTimeout(this.skipping.timer);
      this.drawing.release();
    }
    if (this.sizing) clearTimeout(this.sizing);
    this.cast?.close();
    this.drawing.after(() => {
      for (const { watcher, next } of this.viewers) {
        // Who had not everything yet is shown how it ended.
        if (next !== this.kept.end) this.show(watcher, this.kept.end, '', scrollback);
        watcher.ended(status);
      }
      this.viewers.clear();
      this.drawing.end();
      this.screen.dispose();
      onEnd(status);
    });
  }

  watch(watcher: Watcher, from: number | null): Watching {
    const known = from !== null && from >= this.kept.start && from <= this.kept.end;
    const viewer: Viewer = {
      watcher,
      next: known ? from : null,
      acked: known ? from : this.kept.end,
      movedAt: performance.now(),
      drawing: false,
      unseen: null,
    };
    this.viewers.add(viewer);
    this.send(viewer);
    this.flow();
    return {
      ack: (at) => this.ack(viewer, at),
      stop: () => {
        this.viewers.delete(viewer);
        this.flow();
      },
    };
  }

  private ack(viewer: Viewer, at: number): void {
    if (viewer.unseen !== null && at >= viewer.unseen) viewer.unseen = null;
    else if (!(at > viewer.acked)) return;
    viewer.acked = Math.max(viewer.acked, Math.min(at, viewer.next ?? viewer.acked));
    viewer.movedAt = performance.now();
    if (!this.ended) this.send(viewer);
    this.flow();
  }

  input(bytes: Buffer, taken: () => void = () => undefined): void {
    const skips = interruptsProgram(bytes) && !this.ended && this.behind;
    this.typing.add(bytes, taken);
    if (skips) this.skip();
  }

  resize(wanted: TerminalSize): void {
    this.wanted = wanted;
    if (this.ended || this.sizing || (wanted.cols === this.current.cols && wanted.rows === this.current.rows)) return;
    this.sizing = setTimeout(() => {
      this.sizing = null;
      this.resize(this.wanted);
    }, resizeMs);
    this.current = wanted;
    this.remote.resize(wanted);
    this.drawing.resize(wanted);
    this.cast?.resize(wanted);
    for (const { watcher } of this.viewers) watcher.size(wanted);
  }

  mark(label: string): void {
    this.cast?.mark(label);
  }

  close(): void {
    this.remote.close();
  }
}
