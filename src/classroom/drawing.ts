import type { Terminal } from '@xterm/headless';
import type { TerminalSize } from '../ssh/ssh.js';
import { endOf, piecesOf, whatCounts, type Piece } from './flood.js';
import { Unfinished } from './unfinished-sequence.js';

/** Between two times that something is drawn, ms: what comes meanwhile is drawn together. */
const drawMs = 25;
/** Longest beginning of a sequence that is kept back, bytes: only pictures and what is no sequence at all are longer. */
const mostHeld = 16 * 1024;

/** Where a screen stands in its output. */
export interface Drawn {
  /** Number of the first byte that has no effect on the screen yet. */
  at: number;
  /** What has to be read before that byte; `''` but within a sequence that is longer than what is kept back. */
  reopened: string;
}

/**
 * The screen of a terminal, drawn at a cost that does not grow with a flood of lines. Of a sign or a sequence that is not whole
 * yet nothing is drawn: who is shown the screen gets it from its first byte on.
 */
export interface Drawing {
  add(bytes: Buffer): void;
  /** Calls back when all that was added before is drawn, and nothing that comes later. */
  after(then: (drawn: Drawn) => void): void;
  /** From now on it has that size; what was added before is drawn in the one before. */
  resize(size: TerminalSize): void;
  /** Draws nothing more before `release`. */
  hold(): void;
  /**
   * Goes on. Of what came before only the end is drawn, where all of it would take long, as if what was to be called back after it
   * had been asked for now.
   */
  release(): void;
  /** Bytes that are not drawn yet. */
  readonly undrawn: number;
  end(): void;
}

/** What is drawn at once after a program was interrupted, in costs of `Piece`: a screen, and what is above it. */
const allCost = 60_000;
const endCost = 30_000;

/** One thing after another is done to the screen. */
type Job =
  | { kind: 'piece'; piece: Piece; /** Of the output, with what does not count. */ bytes: number }
  | { kind: 'after'; drawn: Drawn; then: (drawn: Drawn) => void }
  | { kind: 'size'; size: TerminalSize };

const nothing = Buffer.alloc(0);
const costOf = (jobs: readonly Job[]): number =>
  jobs.reduce((sum, job) => sum + (job.kind === 'piece' ? job.piece.cost : 0), 0);

/** @param onDrawn Something was drawn. */
export function createDrawing(screen: Terminal, scrollback: number, onDrawn: () => void): Drawing {
  return new ScreenDrawing(screen, scrollback, onDrawn);
}

class ScreenDrawing implements Drawing {
  undrawn = 0;
  private readonly rest = new Unfinished();
  private parts: Buffer[] = [];
  private added = 0;
  private timer: NodeJS.Timeout | null = null;
  private jobs: Job[] = [];
  private busy = false;
  private held = false;

  constructor(
    private readonly screen: Terminal,
    private readonly scrollback: number,
    private readonly onDrawn: () => void,
  ) {}

  private get unfinished(): number {
    return this.rest.bytes > mostHeld ? 0 : this.rest.bytes;
  }

  add(bytes: Buffer): void {
    this.rest.take(bytes);
    this.parts.push(bytes);
    this.added += bytes.length;
    this.undrawn += bytes.length;
    if (!this.held) this.timer ??= setTimeout(() => this.draw(), drawMs);
  }

  /** What is whole becomes jobs. */
  private draw(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const all = Buffer.concat(this.parts);
    const bytes = all.subarray(0, all.length - this.unfinished);
    this.parts = bytes.length === all.length ? [] : [all.subarray(bytes.length)];
    const { cols, rows } = this.screen;
    this.push(bytes.length, piecesOf(whatCounts(bytes, this.scrollback + rows), cols * rows));
    this.next();
  }

  private push(bytes: number, pieces: readonly Piece[]): void {
    pieces.forEach((piece, at) =>
      this.jobs.push({ kind: 'piece', piece, bytes: at === pieces.length - 1 ? bytes : 0 }),
    );
  }

  /** Between two jobs xterm lets others have their turn; what is with it is drawn, whatever happens. */
  private next(): void {
    if (this.busy || this.held) return;
    const job = this.jobs.shift();
    if (!job) return;
    this.busy = true;
    this.screen.write(job.kind === 'piece' ? job.piece.bytes : nothing, () => {
      this.busy = false;
      this.done(job);
      this.next();
    });
  }

  private done(job: Job): void {
    if (job.kind === 'size') this.screen.resize(job.size.cols, job.size.rows);
    else if (job.kind === 'after') job.then(job.drawn);
    else {
      this.undrawn -= job.bytes;
      if (job.bytes > 0) this.onDrawn();
    }
  }

  private get whole(): Drawn {
    const { unfinished, added, rest } = this;
    return { at: added - unfinished, reopened: unfinished === rest.bytes ? '' : rest.reopened };
  }

  after(then: (drawn: Drawn) => void): void {
    this.draw();
    this.jobs.push({ kind: 'after', drawn: this.whole, then });
    this.next();
  }

  resize(size: TerminalSize): void {
    this.draw();
    this.jobs.push({ kind: 'size', size });
    this.next();
  }

  hold(): void {
    this.held = true;
  }

  release(): void {
    this.draw();
    if (costOf(this.jobs) > allCost) this.shorten();
    this.held = false;
    this.next();
  }

  private shorten(): void {
    const { jobs, whole } = this;
    const pieces = jobs.flatMap((job) => (job.kind === 'piece' ? [job] : []));
    this.jobs = jobs.filter(({ kind }) => kind === 'size');
    this.push(
      pieces.reduce((sum, { bytes }) => sum + bytes, 0),
      endOf(
        pieces.map(({ piece }) => piece),
        endCost,
      ),
    );
    for (const job of jobs) if (job.kind === 'after') this.jobs.push({ ...job, drawn: whole });
  }

  end(): void {
    if (this.timer) clearTimeout(this.timer);
  }
}
