import { randomBytes } from 'node:crypto';
import serializeAddon from '@xterm/addon-serialize';
import xterm from '@xterm/headless';
import type { RemoteTerminal, TerminalSize } from '../ssh/ssh.js';
import type { Cast } from './cast.js';

/** Output that is kept as bytes for pages that come back; who was away for longer gets the screen. */
const keptBytes = 1024 * 1024;
/** A page gets at most this much beyond what it has on its screen. */
const windowBytes = 256 * 1024;
const blockBytes = 32 * 1024;
/** A page that takes nothing for so long holds nobody up any more, ms. */
const patienceMs = 10_000;
/** Output goes on without a page, but not faster than this, bytes each `paceMs`. */
const unwatchedBytes = 64 * 1024;
const paceMs = 250;
/** Lines above the screen. */
const scrollback = 2000;

/** Who looks at a shell. */
export interface Watcher {
  /** Bytes of the output from number `at` on. */
  output(at: number, bytes: Buffer): void;
  /** The screen as it was after byte `at`, as a text that draws it. */
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
  input(bytes: Buffer): void;
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
}

/** The output as far as it is kept. */
interface Kept {
  blocks: { at: number; bytes: Buffer }[];
  start: number;
  end: number;
}

function keep(kept: Kept, bytes: Buffer): void {
  kept.blocks.push({ at: kept.end, bytes });
  kept.end += bytes.length;
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
  private readonly kept: Kept = { blocks: [], start: 0, end: 0 };
  private readonly screen;
  private readonly serializer = new serializeAddon.SerializeAddon();
  private readonly viewers = new Set<Viewer>();
  private readonly timer: NodeJS.Timeout;
  private undrawn = 0;
  private pace = unwatchedBytes;
  private ended = false;

  constructor(
    private readonly remote: RemoteTerminal,
    private current: TerminalSize,
    private readonly cast: Cast | null,
    onEnd: (status: number | null) => void,
  ) {
    this.screen = new xterm.Terminal({ ...current, scrollback, allowProposedApi: true });
    this.screen.loadAddon(this.serializer as unknown as Parameters<typeof this.screen.loadAddon>[0]);
    this.timer = setInterval(() => {
      this.pace = unwatchedBytes;
      this.flow();
    }, paceMs);
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
    if (viewer.next === null || viewer.next < this.kept.start) return this.draw(viewer);
    for (;;) {
      const bytes = bytesFrom(this.kept, viewer.next, viewer.acked + windowBytes);
      if (bytes === null || bytes.length === 0) return;
      viewer.watcher.output(viewer.next, bytes);
      viewer.next += bytes.length;
    }
  }

  private draw(viewer: Viewer): void {
    if (viewer.drawing) return;
    viewer.drawing = true;
    const at = this.kept.end;
    // What was written before is on the screen when this comes back; what comes later is not.
    this.screen.write('', () => {
      viewer.drawing = false;
      if (!this.viewers.has(viewer)) return;
      viewer.next = at;
      viewer.acked = at;
      viewer.watcher.screen(at, this.current, this.serializer.serialize());
      this.send(viewer);
    });
  }

  /** Whether the program has to wait: for somebody who looks, or because nobody does. */
  private slow(): boolean {
    const now = performance.now();
    let awake = 0;
    for (const { acked, next, movedAt, drawing } of this.viewers) {
      if (now - movedAt > patienceMs && this.kept.end > acked) continue;
      awake += 1;
      if (!drawing && next !== null && this.kept.end - acked > windowBytes) return true;
    }
    return awake === 0 && this.pace <= 0;
  }

  private flow(): void {
    if (this.ended) return;
    if (this.undrawn > windowBytes || this.cast?.full() || this.slow()) this.remote.output.pause();
    else this.remote.output.resume();
  }

  private take(bytes: Buffer): void {
    // Who had everything has been waiting for this, not asleep.
    for (const viewer of this.viewers) if (viewer.acked === this.kept.end) viewer.movedAt = performance.now();
    keep(this.kept, bytes);
    this.pace -= bytes.length;
    this.undrawn += bytes.length;
    this.screen.write(bytes, () => {
      this.undrawn -= bytes.length;
      this.flow();
    });
    this.cast?.output(bytes);
    for (const viewer of this.viewers) this.send(viewer);
    this.flow();
  }

  private end(status: number | null, onEnd: (status: number | null) => void): void {
    this.ended = true;
    clearInterval(this.timer);
    this.cast?.close();
    this.screen.write('', () => {
      for (const viewer of this.viewers) viewer.watcher.ended(status);
      this.viewers.clear();
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
    if (!(at > viewer.acked)) return;
    viewer.acked = Math.min(at, viewer.next ?? viewer.acked);
    viewer.movedAt = performance.now();
    if (!this.ended) this.send(viewer);
    this.flow();
  }

  input(bytes: Buffer): void {
    if (!this.ended) this.remote.write(bytes);
  }

  resize(wanted: TerminalSize): void {
    if (this.ended || (wanted.cols === this.current.cols && wanted.rows === this.current.rows)) return;
    this.current = wanted;
    this.remote.resize(wanted);
    this.screen.resize(wanted.cols, wanted.rows);
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
