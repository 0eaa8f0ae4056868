import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { messageOf } from '../errors.js';
import type { TerminalSize } from '../ssh/ssh.js';
import { typedAhead, type TerminalFromServer } from './api.js';
import type { Look, Room } from './room.js';
import { workOf } from './state.js';
import { mayType } from './teacher.js';
import { noteTyped } from './student.js';
import type { Watching } from './shell.js';
import { TypedLines } from './typed-lines.js';
import { harmless } from './views.js';

export interface TerminalTicket {
  for: 'terminal';
  /** Who asked for it, and whose lab it is. */
  person: string;
  whose: string;
  exercise: string;
  place: string;
  mode: 'type' | 'look';
  /** Key of the lab: the ticket is not good for the next one. */
  lab: string;
}

/** What may be typed, bytes a second, with a burst of four times that: nobody types or pastes more. */
const typedPerSecond = 64 * 1024;
const burst = 4 * typedPerSecond;
/** What may be on its way to the host, bytes: a page stops at `typedAhead` of it, and who does not is no page. */
const mostTyped = 2 * typedAhead;
/** A page is told what was taken whenever that is so much more, bytes. */
const tellBytes = typedAhead / 4;

const smallest: TerminalSize = { cols: 20, rows: 5 };
const largest: TerminalSize = { cols: 500, rows: 200 };

function within(value: unknown, least: number, most: number, otherwise: number): number {
  const number = Number(value);
  return Number.isInteger(number) ? Math.min(most, Math.max(least, number)) : otherwise;
}

function sizeFrom(given: { cols?: unknown; rows?: unknown }, otherwise: TerminalSize): TerminalSize {
  return {
    cols: within(given.cols, smallest.cols, largest.cols, otherwise.cols),
    rows: within(given.rows, smallest.rows, largest.rows, otherwise.rows),
  };
}

/** What a page says beside what is typed; `null`: that is no JSON. Whatever else the JSON is, there is nothing said in it. */
export function messageIn(data: Buffer): { type?: unknown; at?: unknown; cols?: unknown; rows?: unknown } | null {
  try {
    const said: unknown = JSON.parse(data.toString('utf8'));
    return typeof said === 'object' && said !== null ? said : {};
  } catch {
    return null;
  }
}

/** How long what comes now has to wait, ms, so that no more than `typedPerSecond` gets through. */
function createThrottle(): (bytes: number) => number {
  let left = burst;
  let last = performance.now();
  return (bytes) => {
    const now = performance.now();
    left = Math.min(burst, left + ((now - last) / 1000) * typedPerSecond) - bytes;
    last = now;
    return left >= 0 ? 0 : (-left / typedPerSecond) * 1000;
  };
}

function castOf(room: Room, { whose, exercise, place, lab }: TerminalTicket): string {
  const safe = (text: string): string => text.replace(/[^A-Za-z0-9._-]+/g, '_');
  const time = new Date().toISOString().replace(/[:.]/g, '-');
  return join(room.casts, `${safe(whose)}-${safe(exercise)}-${safe(place)}-${lab}-${time}.cast`);
}

/** Joins a page to the terminal that its ticket is for. */
export function joinShell(
  room: Room,
  socket: WebSocket,
  ticket: TerminalTicket,
  query: Record<string, string | undefined>,
): void {
  const terminal = new PageTerminal(room, socket, ticket);
  void terminal.begin(query).catch((error: unknown) => {
    terminal.say({ type: 'ended', why: 'lost', message: harmless(messageOf(error)) });
    socket.close(1000);
  });
}

/** The class has ended: its labs and terminals go away. */
export function sayOver(socket: WebSocket): void {
  const message: TerminalFromServer = { type: 'ended', why: 'gone', message: 'The class has ended.' };
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
}

class PageTerminal {
  private shell: string | null = null;
  /** Typed before the shell was there. */
  private early: Buffer[] = [];
  private readonly lines = new TypedLines();
  private watching: Watching | null = null;
  private readonly look: Look;
  private readonly typedWait = createThrottle();
  private readonly toldWait = createThrottle();
  /** Bytes that were typed and are not taken yet, and that were taken in all; as the page was told it. */
  private owed = 0;
  private taken = 0;
  private toldTaken = 0;

  constructor(
    private readonly room: Room,
    private readonly socket: WebSocket,
    private readonly ticket: TerminalTicket,
  ) {
    const { person, whose, exercise, place } = ticket;
    this.look = { person, whose, exercise, place };
  }

  private get foreign(): boolean {
    return this.ticket.person !== this.ticket.whose;
  }

  /** Whether what is typed is taken: asked for each time, since a student may take the word back. */
  private get typing(): boolean {
    const { mode, person, whose, exercise, place } = this.ticket;
    return mode === 'type' && (!this.foreign || mayType(this.room, person, whose, exercise, place));
  }

  say(message: TerminalFromServer): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(JSON.stringify(message));
  }

  async begin(query: Record<string, string | undefined>): Promise<void> {
    const { room, socket, ticket } = this;
    const { person, whose, exercise, place, mode } = ticket;
    // Before anything is waited for: what comes meanwhile would be lost.
    socket.on('message', (data: Buffer, binary: boolean) => this.take(data, binary));
    let gone = false;
    room.looking.add(this.look);
    socket.on('close', () => {
      gone = true;
      this.watching?.stop();
      room.looking.delete(this.look);
      if (this.foreign) room.changed(whose, exercise);
    });
    if (this.foreign) {
      await room.book.append({ type: 'terminal:joined', person, whose, exercise, place, mode });
      room.changed(whose, exercise);
    }
    const lab = room.book.state.labs.get(ticket.lab)?.lab;
    if (!lab || workOf(room.book.state, whose, exercise).lab !== ticket.lab)
      return this.end('gone', 'The lab is no more.');
    const size = sizeFrom(query, { cols: 80, rows: 24 });
    const shell = await room.terminals.open({
      lab,
      place,
      size,
      cast: castOf(room, ticket),
      title: `${exercise} ${place}`,
    });
    if (gone) return;
    this.shell = shell.id;
    this.say({ type: 'open', shell: shell.id, ...shell.size, mode: this.typing ? 'type' : 'look' });
    const from = query['shell'] === shell.id && /^\d{1,15}$/.test(query['from'] ?? '') ? Number(query['from']) : null;
    this.watching = this.watch(shell.id, from);
    for (const data of this.early.splice(0)) this.type(data);
    if (this.typing && query['cols'] !== undefined) room.terminals.resize(shell.id, size);
  }

  private watch(shell: string, from: number | null): Watching {
    const { socket } = this;
    return this.room.terminals.watch(shell, from, {
      output: (at, bytes) => {
        if (socket.readyState !== socket.OPEN) return;
        const frame = Buffer.allocUnsafe(8 + bytes.length);
        frame.writeBigUInt64BE(BigInt(at));
        bytes.copy(frame, 8);
        socket.send(frame);
      },
      screen: (at, size, data) => this.say({ type: 'screen', at, ...size, data }),
      size: (size) => this.say({ type: 'size', ...size }),
      ended: (status) => {
        const { whose, exercise, lab } = this.ticket;
        if (workOf(this.room.book.state, whose, exercise).lab !== lab) this.end('gone', 'The lab is no more.');
        else if (status === null) this.end('lost', 'The connection to the host was lost.');
        else this.end('exited', `The shell ended with status ${status}.`);
      },
    });
  }

  private end(why: 'exited' | 'lost' | 'gone', message: string): void {
    this.say({ type: 'ended', why, message });
    this.socket.close(1000);
  }

  private take(data: Buffer, binary: boolean): void {
    if (binary) return this.typed(data);
    this.rest(this.toldWait(data.length));
    const message = messageIn(data);
    if (message === null) return this.socket.close(1007);
    if (message.type === 'ack' && typeof message.at === 'number') this.watching?.ack(message.at);
    else if (message.type === 'size' && this.shell !== null && this.typing)
      this.room.terminals.resize(this.shell, sizeFrom(message, { cols: 80, rows: 24 }));
  }

  /** Stops reading the page for a while. */
  private rest(ms: number): void {
    const { socket } = this;
    if (ms === 0 || socket.isPaused) return;
    socket.pause();
    setTimeout(() => socket.resume(), ms);
  }

  private typed(data: Buffer): void {
    this.owed += data.length;
    if (this.owed > mostTyped) return this.socket.close(1008, 'more was typed than was taken');
    this.type(data);
  }

  /** The host has it; the page may send as much more, in its time. */
  private tookAll(bytes: number): void {
    const wait = this.typedWait(bytes);
    const done = (): void => {
      this.owed -= bytes;
      this.taken += bytes;
      if (this.taken - this.toldTaken < tellBytes) return;
      this.toldTaken = this.taken;
      this.say({ type: 'taken', bytes: this.taken });
    };
    if (wait === 0) done();
    else setTimeout(done, wait);
  }

  private type(data: Buffer): void {
    if (!this.typing) {
      if (this.ticket.mode === 'type') this.say({ type: 'mode', mode: 'look' });
      return this.tookAll(data.length);
    }
    if (this.shell === null) return void this.early.push(data);
    this.room.terminals.input(this.shell, data, () => this.tookAll(data.length));
    const { whose, exercise, place } = this.ticket;
    // What a teacher types is none of the student's.
    if (!this.foreign) for (const line of this.lines.take(data)) noteTyped(this.room, whose, exercise, place, line);
    // A line was sent off: something may have changed.
    if (data.includes(0x0d)) this.room.typed(whose, exercise);
  }
}
