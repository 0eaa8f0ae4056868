import type { Socket } from 'node:net';
import type { TerminalSize } from '../ssh/ssh.js';

/** What the class process and the keeper of its terminals say to each other: a JSON text a line over a Unix socket. Bytes are base64. */
export type ToKeeper =
  /** Answered by `opened` or `failed`; the shell of that place, or a new one. */
  | { op: 'open'; n: number; lab: string; place: string; size: TerminalSize; cast: string | null; title: string }
  | { op: 'watch'; sub: number; shell: string; from: number | null }
  | { op: 'ack'; sub: number; at: number }
  | { op: 'stop'; sub: number }
  /** Answered by `taken`, once the host has it or never will. */
  | { op: 'input'; n: number; shell: string; data: string }
  | { op: 'resize'; shell: string; size: TerminalSize }
  /** On the recordings of all terminals of the lab. */
  | { op: 'mark'; lab: string; label: string }
  /** The lab goes away. */
  | { op: 'forget'; lab: string }
  | { op: 'quit' };

export type FromKeeper =
  | { op: 'opened'; n: number; shell: string; size: TerminalSize }
  | { op: 'failed'; n: number; message: string }
  | { op: 'taken'; n: number }
  | { op: 'output'; sub: number; at: number; data: string }
  | { op: 'screen'; sub: number; at: number; size: TerminalSize; data: string }
  | { op: 'size'; sub: number; size: TerminalSize }
  | { op: 'ended'; sub: number; status: number | null };

/** The file beside the keeper's socket that says which process it is, for when it answers no more. */
export const keeperNote = (socketPath: string): string => `${socketPath}.process`;

/** Longer than any message: a screen with all that was above it. */
const mostLine = 64 * 1024 * 1024;

/** Calls back with each message of a socket; a line that is none ends it. */
export function onMessages<Message>(socket: Socket, take: (message: Message) => void): void {
  let parts: Buffer[] = [];
  let length = 0;
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString('utf8');
      parts = [];
      length = 0;
      rest = rest.subarray(end + 1);
      let message: Message;
      try {
        message = JSON.parse(line) as Message;
      } catch {
        socket.destroy();
        return;
      }
      take(message);
    }
    if (rest.length === 0) return;
    parts.push(rest);
    length += rest.length;
    if (length > mostLine) socket.destroy();
  });
}

export function say(socket: Socket, message: ToKeeper | FromKeeper): void {
  if (!socket.destroyed && socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}
