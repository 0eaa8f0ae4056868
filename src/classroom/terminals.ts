import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { NetrigError } from '../errors.js';
import type { TerminalSize } from '../ssh/ssh.js';
import { signalProcess, type ProcessIdentity } from '../lab/process.js';
import { keeperNote, onMessages, say, type FromKeeper, type ToKeeper } from './keeper-words.js';
import type { Watcher, Watching } from './shell.js';

const keeperFile = fileURLToPath(new URL('../classroom/keeper.js', import.meta.url));
/** Until a keeper that was started listens, ms. */
const startMs = 10_000;
/** sun_path of unix(7) has 108 bytes. */
const longestPath = 107;

const zIdentity = z.object({ pid: z.number().int().positive(), startTime: z.number() });

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
  /** @param taken Called once the host has it, or nobody will ever have it. */
  input(shell: string, bytes: Buffer, taken: () => void): void;
  resize(shell: string, size: TerminalSize): void;
  mark(lab: string, label: string): void;
  forget(lab: string): void;
  /** Ends the keeper with all its shells. */
  quit(): Promise<void>;
  /** Lets go of the keeper; the shells stay. */
  close(): void;
}

/** The keeper that listens at a path, as it wrote itself down; `null` where it did not. */
function keeperAt(path: string): ProcessIdentity | null {
  try {
    return zIdentity.parse(JSON.parse(readFileSync(keeperNote(path), 'utf8')));
  } catch {
    return null;
  }
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
  return new KeptTerminals(path);
}

class KeptTerminals implements Terminals {
  private joined: Promise<Socket> | null = null;
  private live: Socket | null = null;
  private numbers = 0;
  private readonly asked = new Map<number, { resolve: (shell: OpenedShell) => void; reject: (error: Error) => void }>();
  private readonly typed = new Map<number, () => void>();
  private readonly watchers = new Map<number, Watcher>();

  constructor(private readonly path: string) {}

  private lost(): void {
    this.joined = null;
    this.live = null;
    for (const { reject } of this.asked.values())
      reject(new Error('The process that keeps terminals ended; try again.'));
    this.asked.clear();
    const typed = [...this.typed.values()];
    this.typed.clear();
    for (const taken of typed) taken();
    const gone = [...this.watchers.values()];
    this.watchers.clear();
    for (const watcher of gone) watcher.ended(null);
  }

  private take(message: FromKeeper): void {
    switch (message.op) {
      case 'opened':
        this.asked.get(message.n)?.resolve({ id: message.shell, size: message.size });
        this.asked.delete(message.n);
        break;
      case 'failed':
        this.asked.get(message.n)?.reject(new Error(message.message));
        this.asked.delete(message.n);
        break;
      case 'taken': {
        const taken = this.typed.get(message.n);
        this.typed.delete(message.n);
        taken?.();
        break;
      }
      case 'output':
        this.watchers.get(message.sub)?.output(message.at, Buffer.from(message.data, 'base64'));
        break;
      case 'screen':
        this.watchers.get(message.sub)?.screen(message.at, message.size, message.data);
        break;
      case 'size':
        this.watchers.get(message.sub)?.size(message.size);
        break;
      case 'ended': {
        const watcher = this.watchers.get(message.sub);
        this.watchers.delete(message.sub);
        watcher?.ended(message.status);
      }
    }
  }

  private join(): Promise<Socket> {
    this.joined ??= reach(this.path).then((socket) => {
      this.live = socket;
      socket.on('error', () => undefined);
      socket.once('close', () => {
        if (this.live === socket) this.lost();
      });
      onMessages<FromKeeper>(socket, (message) => this.take(message));
      return socket;
    });
    this.joined.catch(() => (this.joined = null));
    return this.joined;
  }

  private tell(message: ToKeeper): void {
    if (this.live) say(this.live, message);
  }

  async open(options: OpenOptions): Promise<OpenedShell> {
    const socket = await this.join();
    const n = (this.numbers += 1);
    return new Promise<OpenedShell>((resolve, reject) => {
      this.asked.set(n, { resolve, reject });
      say(socket, { op: 'open', n, ...options });
    });
  }

  watch(shell: string, from: number | null, watcher: Watcher): Watching {
    const sub = (this.numbers += 1);
    this.watchers.set(sub, watcher);
    this.tell({ op: 'watch', sub, shell, from });
    return {
      ack: (at) => this.tell({ op: 'ack', sub, at }),
      stop: () => {
        this.watchers.delete(sub);
        this.tell({ op: 'stop', sub });
      },
    };
  }

  input(shell: string, bytes: Buffer, taken: () => void): void {
    if (!this.live) return taken();
    const n = (this.numbers += 1);
    this.typed.set(n, taken);
    this.tell({ op: 'input', n, shell, data: bytes.toString('base64') });
  }

  resize(shell: string, size: TerminalSize): void {
    this.tell({ op: 'resize', shell, size });
  }

  mark(lab: string, label: string): void {
    this.tell({ op: 'mark', lab, label });
  }

  forget(lab: string): void {
    this.tell({ op: 'forget', lab });
  }

  async quit(): Promise<void> {
    // One that is being started does not listen yet.
    await this.joined?.catch(() => undefined);
    const socket = this.live ?? (await attempt(this.path));
    if (!socket) return;
    const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    say(socket, { op: 'quit' });
    const ended = await Promise.race([over.then(() => true), delay(5000, false)]);
    socket.destroy();
    // One that hears nothing any more would stay for ever, with its shells.
    const keeper = ended ? null : keeperAt(this.path);
    if (keeper) signalProcess(keeper, 'SIGKILL');
  }

  close(): void {
    const { live } = this;
    if (!live) return;
    // What is told from now on is not for this socket: it says nothing any more.
    this.lost();
    live.destroy();
  }
}
