import { closeSync, constants, openSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { NetrigError, type ErrorCode } from '../errors.js';
import { asCoded } from '../model/refused-write.js';

/** Where a process takes orders of others of its user: a Unix socket in a directory that is that user's alone. */
export interface OrderPlace {
  directory: string;
  socket: string;
}

type OrderAnswer = { ok: true; answer?: unknown } | { ok: false; code: ErrorCode; message: string; hint: string };

/** An order is a line; nobody sends a longer one, bytes. */
const mostBytes = 64 * 1024;

/**
 * The socket's path by way of an open directory (proc(5), /proc/self/fd): sun_path of unix(7) has 108 bytes, and the directory may
 * have a longer path.
 */
function openPlace({ directory, socket }: OrderPlace): { path: string; close(): void } {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${fd}/${socket}`, close: () => closeSync(fd) };
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

async function answer<Order>(socket: Socket, carryOut: (order: Order) => Promise<unknown>): Promise<void> {
  const reply = (words: OrderAnswer): void => void socket.end(`${JSON.stringify(words)}\n`);
  try {
    reply({ ok: true, answer: await carryOut(JSON.parse(await lineOf(socket)) as Order) });
  } catch (error) {
    const known = asCoded(error) ?? new NetrigError('NETRIG_INTERNAL', String(error));
    reply({ ok: false, code: known.code, message: known.message, hint: known.hint });
  }
}

/**
 * Carries out what others ask, until this process ends or `close` is called. No socket of that name may be there.
 *
 * @param failed Nobody can ask: the socket cannot be made.
 */
export function takeOrdersAt<Order>(
  place: OrderPlace,
  carryOut: (order: Order) => Promise<unknown>,
  failed: (error: Error) => void = () => undefined,
): { close(): void } {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    void answer(socket, carryOut);
  });
  server.on('error', failed);
  // Open until the server is closed: Node removes the socket then, by the path that it was given.
  const { path, close } = openPlace(place);
  server.listen(path);
  server.unref();
  server.once('close', close);
  return { close: () => void server.close() };
}

/**
 * Has the process at that place do something, and waits for its answer.
 *
 * @throws what went wrong there, as NetrigError; an error of another kind when nobody answers; the reason of `signal`.
 */
export async function orderAt<Order, Answer>(place: OrderPlace, order: Order, signal: AbortSignal): Promise<Answer> {
  signal.throwIfAborted();
  const { path, close } = openPlace(place);
  const socket = connect(path);
  // connect(2) has been called by now: Node does so before it returns.
  close();
  const giveUp = (): void => void socket.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    socket.write(`${JSON.stringify(order)}\n`);
    const words = JSON.parse(await lineOf(socket)) as OrderAnswer;
    if (!words.ok) throw new NetrigError(words.code, words.message, words.hint === '' ? {} : { hint: words.hint });
    return words.answer as Answer;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
    socket.destroy();
  }
}
