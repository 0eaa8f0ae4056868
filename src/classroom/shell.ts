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
  /** The number of the next byte. */
  readonly end: number;
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
  first: TerminalSize,
  cast: Cast | null,
  onEnd: (status: number | null) => void,
): Shell {
  const id = randomBytes(9).toString('base64url');
  const kept: Kept = { blocks: [], start: 0, end: 0 };
  const screen = new xterm.Terminal({ ...first, scrollback, allowProposedApi: true });
  const serializer = new serializeAddon.SerializeAddon();
  screen.loadAddon(serializer as unknown as Parameters<typeof screen.loadAddon>[0]);
  const viewers = new Set<Viewer>();
  let size = first;
  let undrawn = 0;
  let pace = unwatchedBytes;
  let ended = false;

  const send = (viewer: Viewer): void => {
    if (viewer.next === null || viewer.next < kept.start) return draw(viewer);
    for (;;) {
      const bytes = bytesFrom(kept, viewer.next, viewer.acked + windowBytes);
      if (bytes === null || bytes.length === 0) return;
      viewer.watcher.output(viewer.next, bytes);
      viewer.next += bytes.length;
    }
  };

  const draw = (viewer: Viewer): void => {
    if (viewer.drawing) return;
    viewer.drawing = true;
    const at = kept.end;
    // What was written before is on the screen when this comes back; what comes later is not.
    screen.write('', () => {
      viewer.drawing = false;
      if (!viewers.has(viewer)) return;
      viewer.next = at;
      viewer.acked = at;
      viewer.watcher.screen(at, size, serializer.serialize());
      send(viewer);
    });
  };

  const slow = (): boolean => {
    const now = performance.now();
    let awake = 0;
    for (const { acked, next, movedAt, drawing } of viewers) {
      if (now - movedAt > patienceMs) continue;
      awake += 1;
      if (!drawing && next !== null && kept.end - acked > windowBytes) return true;
    }
    return awake === 0 && pace <= 0;
  };

  const flow = (): void => {
    if (ended) return;
    if (undrawn > windowBytes || cast?.full() || slow()) remote.output.pause();
    else remote.output.resume();
  };

  const take = (bytes: Buffer): void => {
    keep(kept, bytes);
    pace -= bytes.length;
    undrawn += bytes.length;
    screen.write(bytes, () => {
      undrawn -= bytes.length;
      flow();
    });
    cast?.output(bytes);
    for (const viewer of viewers) send(viewer);
    flow();
  };

  const timer = setInterval(() => {
    pace = unwatchedBytes;
    flow();
  }, paceMs);
  remote.output.on('data', take);
  void remote.done.then((status) => {
    ended = true;
    clearInterval(timer);
    cast?.close();
    screen.write('', () => {
      for (const viewer of viewers) viewer.watcher.ended(status);
      viewers.clear();
      screen.dispose();
      onEnd(status);
    });
  });

  return {
    id,
    get size() {
      return size;
    },
    get end() {
      return kept.end;
    },
    get held() {
      return kept.end - kept.start;
    },
    watch(watcher, from) {
      const known = from !== null && from >= kept.start && from <= kept.end;
      const viewer: Viewer = {
        watcher,
        next: known ? from : null,
        acked: known ? from : kept.end,
        movedAt: performance.now(),
        drawing: false,
      };
      viewers.add(viewer);
      send(viewer);
      flow();
      return {
        ack(at) {
          if (!(at > viewer.acked)) return;
          viewer.acked = Math.min(at, viewer.next ?? viewer.acked);
          viewer.movedAt = performance.now();
          if (!ended) send(viewer);
          flow();
        },
        stop() {
          viewers.delete(viewer);
          flow();
        },
      };
    },
    input(bytes) {
      if (!ended) remote.write(bytes);
    },
    resize(wanted) {
      if (ended || (wanted.cols === size.cols && wanted.rows === size.rows)) return;
      size = wanted;
      remote.resize(size);
      screen.resize(size.cols, size.rows);
      cast?.resize(size);
      for (const { watcher } of viewers) watcher.size(size);
    },
    mark: (label) => cast?.mark(label),
    close: () => remote.close(),
  };
}
