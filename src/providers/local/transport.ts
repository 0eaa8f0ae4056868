import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, type ProcessIdentity } from '../../lab/process.js';
import { speaksSsh } from '../shared/speaks-ssh.js';
import type { Isolation } from './boot-actions.js';
import { holdFile } from './host-file.js';
import { serveArgv } from '../shared/brought-tools.js';
import { enterCommand } from './enter.js';

/** How a host is reached: its PID 1 as the machine knows it, and whether something in it listens. */
export interface HostAccess {
  init: 'systemd' | 'light';
  pid1: ProcessIdentity;
  isolation: Isolation;
  /** Cgroups that what enters the host joins. */
  entered: string[];
  /** The root of its image, for the helper beside it. Left out by records of older versions. */
  image?: string;
  /** Its root file system is not netrig's: its sshd is of the tools that it was given. */
  tools?: true;
  /** A step powered it off: that nothing of it lives is as it should be. */
  off?: true;
}

/** Where the image's socket unit listens; owned by root, mode 0600. */
const sshSocket = '/run/netrig-ssh.sock';
const retryMs = 25;

/** What sshd of a light host gets to run in: none of the machine's environment. */
const lightEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

const lightArgv = ['/bin/sh', '-c', 'exec /usr/sbin/sshd -i -e <&3 >&3 2>>/var/log/sshd.log 3>&-'];

/** Rejects when the host is gone or nothing listens in it yet. */
async function connectSocket(access: HostAccess, signal: AbortSignal): Promise<Duplex> {
  const file = holdFile(access.pid1, sshSocket, (stats) => stats.isSocket());
  try {
    // Connecting to a unix socket succeeds or fails at once: there is nothing to abort before it has.
    const socket = connect({ path: file.path });
    await once(socket, 'connect');
    if (signal.aborted) socket.destroy();
    signal.throwIfAborted();
    return socket;
  } finally {
    file.close();
  }
}

/** One sshd for one connection, inside the host; it ends when the stream does. */
async function spawnSshd(access: HostAccess, signal: AbortSignal): Promise<Duplex> {
  // Descriptor 3 is a socket in both directions, where 0 and 1 would be two pipes.
  const [program, ...words] = enterCommand(access, access.tools ? serveArgv : lightArgv);
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: lightEnvironment,
    detached: true,
  });
  await once(child, 'spawn', { signal });
  const stream = child.stdio[3] as Duplex;
  signal.throwIfAborted();
  if (!isAlive(access.pid1)) {
    stream.destroy();
    throw new Error('its PID 1 is gone');
  }
  return stream;
}

/** A fresh byte stream to the host's sshd. Rejects when the host is gone. */
export async function openTransport(access: HostAccess, signal: AbortSignal): Promise<Duplex> {
  if (!isAlive(access.pid1)) throw new Error('its PID 1 is gone');
  return access.init === 'systemd' && !access.tools ? connectSocket(access, signal) : spawnSshd(access, signal);
}

/**
 * Waits until the host's sshd has said its first line, which its banner shows, and answers that very stream with the line
 * put back, so that the first connection is not lost for the question. `served`: a stream that an sshd of the host serves already.
 * Rejects when `signal` aborts or the host ends.
 */
export async function waitForSshd(
  access: HostAccess,
  signal: AbortSignal,
  served: Duplex | null = null,
): Promise<Duplex> {
  for (let given = served; ; given = null) {
    signal.throwIfAborted();
    const stream = given ?? (await openTransport(access, signal).catch(() => null));
    if (stream) {
      if (await speaksSsh(stream, signal)) return stream;
      stream.destroy();
    }
    if (!isAlive(access.pid1)) throw new Error('its PID 1 ended');
    await pause(retryMs, undefined, { signal });
  }
}
