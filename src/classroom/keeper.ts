/**
 * The process that keeps the terminals of a class: shells on lab hosts go on in it, with their output numbered, while the class
 * process is restarted or killed. One for a class; it listens on a Unix socket in a directory of its user alone.
 *
 * Called with the path of the socket. Ends by itself once it has had neither a shell nor a client for a while.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { messageOf } from '../errors.js';
import { ownIdentity } from '../lab/process.js';
import { placeNamed, shellCommand } from '../labs/exec.js';
import { findRunningLab } from '../labs/find.js';
import { openSession, type LabSession } from '../session/session.js';
import { openCast } from './cast.js';
import { keeperNote, onMessages, say, type ToKeeper } from './keeper-words.js';
import { holdShell, type Shell, type Watching } from './shell.js';

/** Without a shell and a client, ms. */
const idleMs = 60_000;
/** For the connection to a host, ms. */
const connectMs = 15_000;
/** Terminals of one lab: each is a shell channel of its host's sshd. */
const mostShells = 32;

interface HeldShell {
  lab: string;
  place: string;
  shell: Shell;
}

const sessions = new Map<string, Promise<LabSession>>();
/** By lab and place; a shell that is being opened is in it already, so that two who ask at once get the same. */
const opening = new Map<string, Promise<HeldShell>>();
const shells = new Map<string, HeldShell>();
const clients = new Set<Socket>();
let idleSince = Date.now();

function sessionOf(lab: string): Promise<LabSession> {
  let session = sessions.get(lab);
  if (!session) {
    session = findRunningLab(lab).then((running) => openSession(running));
    sessions.set(lab, session);
    session.catch(() => sessions.delete(lab));
  }
  return session;
}

type Open = Extract<ToKeeper, { op: 'open' }>;

async function begin({ lab, place, size, cast, title }: Open): Promise<HeldShell> {
  if ([...shells.values()].filter((one) => one.lab === lab).length >= mostShells)
    throw new Error(`This lab has ${mostShells} terminals open; close one.`);
  const session = await sessionOf(lab);
  const where = placeNamed(place, session.lab.plan);
  const connection = await session.connection(where.host, AbortSignal.timeout(connectMs));
  const remote = await connection.terminal(size, shellCommand(where));
  const recording = cast === null ? null : openCast(cast, size, title);
  const shell = holdShell(remote, size, recording, () => {
    shells.delete(shell.id);
    opening.delete(`${lab}\n${place}`);
  });
  const held = { lab, place, shell };
  shells.set(shell.id, held);
  return held;
}

function open(order: Open): Promise<HeldShell> {
  const key = `${order.lab}\n${order.place}`;
  let held = opening.get(key);
  if (!held) {
    held = begin(order);
    opening.set(key, held);
    held.catch(() => opening.delete(key));
  }
  return held;
}

async function forget(lab: string): Promise<void> {
  for (const held of shells.values()) if (held.lab === lab) held.shell.close();
  const session = sessions.get(lab);
  sessions.delete(lab);
  await session?.then((one) => one.close()).catch(() => undefined);
}

function watch(socket: Socket, sub: number, shell: Shell, from: number | null): Watching {
  return shell.watch(
    {
      output: (at, bytes) => say(socket, { op: 'output', sub, at, data: bytes.toString('base64') }),
      screen: (at, size, data) => say(socket, { op: 'screen', sub, at, size, data }),
      size: (size) => say(socket, { op: 'size', sub, size }),
      ended: (status) => say(socket, { op: 'ended', sub, status }),
    },
    from,
  );
}

function type(socket: Socket, { n, shell, data }: Extract<ToKeeper, { op: 'input' }>): void {
  const taken = (): void => say(socket, { op: 'taken', n });
  const held = shells.get(shell);
  if (held) held.shell.input(Buffer.from(data, 'base64'), taken);
  else taken();
}

function serve(socket: Socket): void {
  const watchings = new Map<number, Watching>();
  clients.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clients.delete(socket);
    for (const watching of watchings.values()) watching.stop();
    idleSince = Date.now();
  });
  onMessages<ToKeeper>(socket, (message) => {
    switch (message.op) {
      case 'open':
        open(message).then(
          ({ shell }) => say(socket, { op: 'opened', n: message.n, shell: shell.id, size: shell.size }),
          (error: unknown) => say(socket, { op: 'failed', n: message.n, message: messageOf(error) }),
        );
        break;
      case 'watch': {
        const held = shells.get(message.shell);
        if (held) watchings.set(message.sub, watch(socket, message.sub, held.shell, message.from));
        else say(socket, { op: 'ended', sub: message.sub, status: null });
        break;
      }
      case 'ack':
        watchings.get(message.sub)?.ack(message.at);
        break;
      case 'stop':
        watchings.get(message.sub)?.stop();
        watchings.delete(message.sub);
        break;
      case 'input':
        type(socket, message);
        break;
      case 'resize':
        shells.get(message.shell)?.shell.resize(message.size);
        break;
      case 'mark':
        for (const held of shells.values()) if (held.lab === message.lab) held.shell.mark(message.label);
        break;
      case 'forget':
        void forget(message.lab);
        break;
      case 'quit':
        void quit();
    }
  });
}

async function quit(): Promise<void> {
  // Nobody joins what is about to end.
  server.close();
  for (const { shell } of shells.values()) shell.close();
  await Promise.race([
    Promise.all([...sessions.keys()].map(forget)),
    new Promise((resolve) => setTimeout(resolve, 2000)),
  ]);
  process.exit(0);
}

const path = process.argv[2]!;
const server = createServer(serve);
server.on('error', () => process.exit(3));
// Whoever starts it has seen that nobody answers at the path: what lies there is of one that was killed.
rmSync(path, { force: true });
process.umask(0o077);
server.listen(path, () => writeFileSync(keeperNote(path), JSON.stringify(ownIdentity())));
setInterval(() => {
  if (clients.size > 0 || shells.size > 0) idleSince = Date.now();
  else if (Date.now() - idleSince > idleMs) void quit();
}, 5000);
// The terminal that the class was started from is none of its business.
for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => undefined);
process.on('SIGTERM', () => void quit());
