import { closeSync, constants, openSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { NetrigError, type ErrorCode } from '../errors.js';
import { asCoded } from '../model/refused-write.js';
import { labDirectory } from './store.js';

/** What others of the same user ask of the process that holds a lab, over a Unix socket in the lab's directory. */
export interface HolderOrder {
  do: 'reset-host';
  host: string;
}

type HolderAnswer = { ok: true } | { ok: false; code: ErrorCode; message: string; hint: string };

const socketName = 'holder.sock';
/** An order is a line; nobody sends a longer one, bytes. */
const mostBytes = 64 * 1024;

/**
 * The socket's path by way of an open directory (proc(5), /proc/self/fd): sun_path of unix(7) has 108 bytes, and the directory of a
 * lab may be longer.
 */
function withSocket<T>(lab: string, use: (path: string) => T): T {
  const directory = openSync(labDirectory(lab), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return use(`/proc/self/fd/${directory}/${socketName}`);
  } finally {
    // bind(2) and connect(2) have been called by now: Node does so before it returns.
    closeSync(directory);
  }
}

/** The first line that comes; rejects when the other end goes first. */
function lineOf(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > mostBytes) socket.destroy(new Error('the line is too long'));
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('it ended the connection')));
  });
}

async function answer(socket: Socket, carryOut: (order: HolderOrder) => Promise<void>): Promise<void> {
  const reply = (words: HolderAnswer): void => void socket.end(`${JSON.stringify(words)}\n`);
  try {
    await carryOut(JSON.parse(await lineOf(socket)) as HolderOrder);
    reply({ ok: true });
  } catch (error) {
    const known = asCoded(error) ?? new NetrigError('NETRIG_INTERNAL', String(error));
    reply({ ok: false, code: known.code, message: known.message, hint: known.hint });
  }
}

/** Carries out what others ask of the process that holds the lab, until that process ends. */
export function takeOrders(lab: string, carryOut: (order: HolderOrder) => Promise<void>): void {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    void answer(socket, carryOut);
  });
  server.on('error', () => undefined);
  withSocket(lab, (path) => server.listen(path));
  server.unref();
}

/**
 * Has the process that holds the lab do something, and waits until it is done.
 *
 * @throws what went wrong there; NETRIG_LAB_GONE when nobody answers; the reason of `signal`.
 */
export async function orderHolder(lab: string, order: HolderOrder, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const socket = withSocket(lab, (path) => connect(path));
  const giveUp = (): void => void socket.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    socket.write(`${JSON.stringify(order)}\n`);
    const words = JSON.parse(await lineOf(socket)) as HolderAnswer;
    if (!words.ok) throw new NetrigError(words.code, words.message, words.hint === '' ? {} : { hint: words.hint });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NetrigError) throw error;
    throw new NetrigError('NETRIG_LAB_GONE', `The process that holds the lab ${lab} does not answer.`, {
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', giveUp);
    socket.destroy();
  }
}
