import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { boundRepeats } from '../classroom/repeats.js';
import { typedAhead, type TerminalFromServer, type TerminalToServer, type TicketRequest } from '../classroom/api.js';
import { openSocket, pathOf, pauseBefore, Refusal } from './server.js';

export interface ShellEvents {
  /** What a person should know of the connection; `null`: all is well. */
  notice(words: string | null): void;
  mode(mode: 'type' | 'look'): void;
}

/** Bytes shown between two acknowledgements; the server stops at four times as many. */
const ackBytes = 32_768;
/** What is typed goes out in frames of at most so many bytes: the server ends a socket for a larger one. */
const frameBytes = 16_384;
/** Full reset of xterm’s control sequences: in its place among what is still to be drawn, as `reset()` would not be. */
const fullReset = '\u001bc';
/** The number of a frame's first byte stands before its bytes. */
const numberBytes = 8;

/** Ctrl-C, Ctrl-Z and Ctrl-Backslash. */
const interrupts: ReadonlySet<number> = new Set([0x03, 0x1a, 0x1c]);

const colours = { background: '#12161c', foreground: '#e4e9f0', cursor: '#e4e9f0', selectionBackground: '#3b4a60' };

/**
 * One shell on a host of the lab, shown by xterm. Survives a cut network, a reload and a restart of the server: bytes have
 * numbers, what is missing comes again, and nothing comes twice.
 */
export class Shell {
  readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private socket: WebSocket | null = null;
  private shell: string | null = null;
  /** The number of the next byte that is to be shown. */
  private next = 0;
  private acknowledged = 0;
  private attempt = 0;
  private timer = 0;
  private closed = false;
  private looking = false;
  private ready = false;
  private exited = false;
  private readonly waiting: string[] = [];
  /** A paste that the host has no room for yet. */
  private untyped: Uint8Array<ArrayBuffer>[] = [];
  /** Bytes that this socket typed, and those that are taken. */
  private sent = 0;
  private taken = 0;
  private watcher: ResizeObserver | null = null;
  /** Set while the terminal takes the size that the server told. */
  private sizing = false;

  constructor(
    private readonly request: Extract<TicketRequest, { for: 'terminal' }>,
    private readonly events: ShellEvents,
  ) {
    this.terminal = new Terminal({
      cursorBlink: true,
      fontSize: 14,
      // Less, and the lowest row of pixels is cut off: underscores are in it.
      lineHeight: 1.15,
      fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      theme: colours,
      scrollback: 5_000,
      screenReaderMode: true,
      minimumContrastRatio: 4.5,
    });
    this.terminal.loadAddon(this.fit);
    boundRepeats(this.terminal);
    // A lab's programs may neither write into the clipboard nor name the window.
    this.terminal.parser.registerOscHandler(52, () => true);
    for (const title of [0, 1, 2]) this.terminal.parser.registerOscHandler(title, () => true);
    this.terminal.onData((typed) => this.typed(new TextEncoder().encode(typed)));
    this.terminal.onBinary((typed) => this.typed(Uint8Array.from(typed, (sign) => sign.charCodeAt(0))));
    this.terminal.onResize(({ cols, rows }) => {
      if (!this.sizing) this.tell({ type: 'size', cols, rows });
    });
  }

  show(element: HTMLElement): void {
    this.terminal.open(element);
    this.watcher = new ResizeObserver(() => this.fitted());
    this.watcher.observe(element);
    this.fitted();
    void this.connect();
  }

  /** Types a line, as if a person had: at once, or once the shell is there. */
  typeWhenReady(line: string): void {
    this.terminal.focus();
    if (this.ready) this.typed(new TextEncoder().encode(`${line.replaceAll('\n', '\r')}\r`));
    else this.waiting.push(line);
  }

  /** A new shell where the one before was left; else nothing. */
  goOn(): void {
    if (!this.exited) return;
    this.exited = false;
    void this.connect();
  }

  end(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.watcher?.disconnect();
    this.socket?.close();
    this.terminal.dispose();
  }

  /** Who types has a terminal as large as its place on the page; who looks on, one as large as the other’s. */
  private fitted(): void {
    if (this.looking) return;
    const element = this.terminal.element?.parentElement;
    if (element && element.clientWidth > 0 && element.clientHeight > 0) this.fit.fit();
  }

  private typed(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.socket?.readyState !== WebSocket.OPEN || this.looking) return;
    // Such a key is to be heard now, and the rest of a paste is not meant any more.
    if (bytes.length === 1 && interrupts.has(bytes[0]!)) {
      this.untyped = [];
      this.sent += 1;
      return this.socket.send(bytes);
    }
    for (let at = 0; at < bytes.length; at += frameBytes) this.untyped.push(bytes.subarray(at, at + frameBytes));
    this.type();
  }

  private type(): void {
    while (this.untyped.length > 0 && this.sent + this.untyped[0]!.length - this.taken <= typedAhead) {
      const bytes = this.untyped.shift()!;
      this.sent += bytes.length;
      this.socket?.send(bytes);
    }
  }

  private tell(message: TerminalToServer): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private async connect(): Promise<void> {
    const query = this.shell === null ? '' : `?from=${this.next}&shell=${encodeURIComponent(this.shell)}`;
    try {
      this.socket = await openSocket(pathOf('terminal') + query, this.request);
    } catch (error) {
      if (error instanceof Refusal && error.status >= 400 && error.status < 500 && error.status !== 429)
        this.events.notice(error.message);
      else this.again('The connection is cut; it is tried again.');
      return;
    }
    const { socket } = this;
    if (this.closed) return socket.close();
    [this.sent, this.taken] = [0, 0];
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') this.told(JSON.parse(data) as TerminalFromServer);
      else this.output(data as ArrayBuffer);
    });
    socket.addEventListener('close', () => {
      if (socket === this.socket) this.again('The connection is cut; it is tried again.');
    });
  }

  private again(words: string): void {
    if (this.closed) return;
    this.events.notice(words);
    this.ready = false;
    this.socket = null;
    this.untyped = [];
    this.timer = window.setTimeout(() => void this.connect(), pauseBefore(this.attempt));
    this.attempt += 1;
  }

  private output(frame: ArrayBuffer): void {
    const first = Number(new DataView(frame).getBigUint64(0));
    const bytes = new Uint8Array(frame, numberBytes);
    const fresh = bytes.subarray(Math.max(0, this.next - first));
    if (fresh.length === 0) return;
    this.next = first + bytes.length;
    const shown = this.next;
    this.terminal.write(fresh, () => this.shown(shown));
  }

  /** In its place among what is still to be drawn. */
  private sized({ cols, rows }: { cols: number; rows: number }): void {
    this.terminal.write('', () => {
      if (this.closed) return;
      this.sizing = true;
      this.terminal.resize(cols, rows);
      this.sizing = false;
    });
  }

  private shown(at: number): void {
    if (at - this.acknowledged < ackBytes) return;
    this.acknowledged = at;
    this.tell({ type: 'ack', at });
  }

  private told(message: TerminalFromServer): void {
    switch (message.type) {
      case 'open':
        this.attempt = 0;
        this.events.notice(null);
        if (message.shell !== this.shell) {
          this.shell = message.shell;
          this.next = 0;
          this.acknowledged = 0;
          this.terminal.write(fullReset);
        }
        this.setMode(message.mode);
        if (this.looking) this.sized(message);
        else {
          this.fitted();
          this.tell({ type: 'size', cols: this.terminal.cols, rows: this.terminal.rows });
        }
        this.ready = true;
        for (const line of this.waiting.splice(0)) this.typeWhenReady(line);
        return;
      case 'screen':
        this.next = message.at;
        this.terminal.write(fullReset);
        // Its lines are as long as the terminal was wide.
        this.sized(message);
        this.terminal.write(message.data, () => {
          this.acknowledged = message.at;
          this.tell({ type: 'ack', at: message.at });
          this.fitted();
        });
        return;
      case 'taken':
        this.taken = message.bytes;
        this.type();
        return;
      case 'size':
        if (this.looking) this.sized(message);
        return;
      case 'mode':
        this.setMode(message.mode);
        return;
      case 'ended':
        this.socket = null;
        // A host that was begun again takes a new shell once it answers.
        if (message.why === 'lost') this.again(message.message);
        else this.over(message);
    }
  }

  private over({ why, message }: Extract<TerminalFromServer, { type: 'ended' }>): void {
    this.exited = why === 'exited';
    this.events.notice(this.exited ? `${message} Choose its name above for a new one.` : message);
  }

  private setMode(mode: 'type' | 'look'): void {
    this.looking = mode === 'look';
    this.terminal.options.disableStdin = this.looking;
    this.events.mode(mode);
  }
}
