import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NetrigError } from '../errors.js';
import type { TerminalSize } from '../ssh/ssh.js';
import { onMessages, say, type FromKeeper, type ToKeeper } from './keeper-words.js';
import type { Watcher, Watching } from './shell.js';

const keeperFile = fileURLToPath(new URL('./keeper.js', import.meta.url));
/** Until a keeper that was started listens, ms. */
const startMs = 10_000;
/** sun_path of unix(7) has 108 bytes. */
const longestPath = 107;

export interface OpenedShell {
  id: string;
  size: TerminalSize;
}

export interface OpenOptions {
  lab: string;
  place: string;
  size: TerminalSize;
  /** File that it is recorded to; `null`: it is not. */
  cast: string | null;
  title: string;
}

/** The terminals of a class, which a process of their own keeps. */
export interface Terminals {
  /** The shell of a place: the one that is there, or a new one. @throws what stands in the way. */
  open(options: OpenOptions): Promise<OpenedShell>;
  watch(shell: string, from: number | null, watcher: Watcher): Watching;
  input(shell: string, bytes: Buffer): void;
  resize(shell: string, size: TerminalSize): void;
  mark(lab: string, label: string): void;
  forget(lab: string): void;
  /** Ends the keeper with all its shells. */
  quit(): Promise<void>;
  /** Lets go of the keeper; the shells stay. */
  close(): void;
}

function attempt(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}

async function reach(path: string): Promise<Socket> {
  const there = await attempt(path);
  if (there) return there;
  const child = spawn(process.execPath, [keeperFile, path], { detached: true, cwd: '/', stdio: 'ignore' });
  child.on('error', () => undefined);
  child.unref();
  for (const end = performance.now() + startMs; performance.now() < end;) {
    await delay(30);
    const socket = await attempt(path);
    if (socket) return socket;
  }
  throw new NetrigError('NETRIG_INTERNAL', 'The process that keeps terminals did not start.');
}

/**
 * Terminals that outlive this process. The keeper is started when the first terminal is asked for, and again where it died.
 *
 * @param path Of its Unix socket, in a directory that only this user can read.
 * @throws NETRIG_USAGE where the path is too long for a socket.
 */
export function openTerminals(path: string): Terminals {
  if (Buffer.byteLength(path) > longestPath)
    throw new NetrigError('NETRIG_USAGE', `The path ${path} is too long for a socket.`, {
      hint: 'Point XDG_STATE_HOME to a shorter one.',
    });
  let joined: Promise<Socket> | null = null;
  let live: Socket | null = null;
  let numbers = 0;
  const asked = new Map<number, { resolve: (shell: OpenedShell) => void; reject: (error: Error) => void }>();
  const watchers = new Map<number, Watcher>();

  const lost = (): void => {
    joined = null;
    live = null;
    for (const { reject } of asked.values()) reject(new Error('The process that keeps terminals ended; try again.'));
    asked.clear();
    const gone = [...watchers.values()];
    watchers.clear();
    for (const watcher of gone) watcher.ended(null);
  };

  const take = (message: FromKeeper): void => {
    switch (message.op) {
      case 'opened':
        asked.get(message.n)?.resolve({ id: message.shell, size: message.size });
        asked.delete(message.n);
        break;
      case 'failed':
        asked.get(message.n)?.reject(new Error(message.message));
        asked.delete(message.n);
        break;
      case 'output':
        watchers.get(message.sub)?.output(message.at, Buffer.from(message.data, 'base64'));
        break;
      case 'screen':
        watchers.get(message.sub)?.screen(message.at, message.size, message.data);
        break;
      case 'size':
        watchers.get(message.sub)?.size(message.size);
        break;
      case 'ended': {
        const watcher = watchers.get(message.sub);
        watchers.delete(message.sub);
        watcher?.ended(message.status);
      }
    }
  };

  const join = (): Promise<Socket> => {
    joined ??= reach(path).then((socket) => {
      live = socket;
      socket.on('error', () => undefined);
      socket.once('close', lost);
      onMessages<FromKeeper>(socket, take);
      return socket;
    });
    joined.catch(() => (joined = null));
    return joined;
  };
  const tell = (message: ToKeeper): void => void (live && say(live, message));

  return {
    async open(options) {
      const socket = await join();
      const n = (numbers += 1);
      return new Promise<OpenedShell>((resolve, reject) => {
        asked.set(n, { resolve, reject });
        say(socket, { op: 'open', n, ...options });
      });
    },
    watch(shell, from, watcher) {
      const sub = (numbers += 1);
      watchers.set(sub, watcher);
      tell({ op: 'watch', sub, shell, from });
      return {
        ack: (at) => tell({ op: 'ack', sub, at }),
        stop: () => {
          watchers.delete(sub);
          tell({ op: 'stop', sub });
        },
      };
    },
    input: (shell, bytes) => tell({ op: 'input', shell, data: bytes.toString('base64') }),
    resize: (shell, size) => tell({ op: 'resize', shell, size }),
    mark: (lab, label) => tell({ op: 'mark', lab, label }),
    forget: (lab) => tell({ op: 'forget', lab }),
    async quit() {
      const socket = live ?? (await attempt(path));
      if (!socket) return;
      const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      say(socket, { op: 'quit' });
      await Promise.race([over, delay(5000)]);
      socket.destroy();
    },
    close() {
      live?.destroy();
    },
  };
}
