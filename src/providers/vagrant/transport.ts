import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { identify, isAlive, type ProcessIdentity } from '../../lab/process.js';
import { machineEnvironment } from '../shared/command.js';

/** How a machine is reached, and what it is on this one. */
export interface MachineAccess {
  address: string;
  port: number;
  /** The hypervisor's process; `null` where it was not found, so that nobody can tell when it ends. */
  process: ProcessIdentity | null;
  /** PID 1 of the namespaces that the machine's way in is in; `null` where it is in this process's own. */
  inside: ProcessIdentity | null;
}

const connectSeconds = 10;

/** What a machine is named in the command line of its hypervisor: `-name guest=NAME,…` of QEMU, `--comment NAME` of VirtualBox. */
function runsMachine(argv: readonly string[], name: string): boolean {
  return argv.some(
    (word, index) =>
      (argv[index - 1] === '-name' && word.split(',').includes(`guest=${name}`)) ||
      (argv[index - 1] === '--comment' && word === name),
  );
}

/** The process of a hypervisor on this machine that runs the machine of that name. */
export function findMachineProcess(name: string): ProcessIdentity | null {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (runsMachine(argv, name)) return identify(Number(pid));
    } catch {
      // It ended while we looked.
    }
  }
  return null;
}

/** Why a machine is not there any more; `null` while it is, as far as can be told. */
export function whyGone(access: MachineAccess): string | null {
  if (access.inside && !isAlive(access.inside)) return 'the libvirtd that held its virtual machine has ended';
  if (access.process && !isAlive(access.process)) return 'its virtual machine has ended';
  return null;
}

/** A fresh byte stream to the machine's sshd. Rejects when the machine is gone or nothing listens. */
export async function openTransport(access: MachineAccess, signal: AbortSignal): Promise<Duplex> {
  const gone = whyGone(access);
  if (gone !== null) throw new Error(gone);
  const stream = access.inside
    ? await enterAndConnect(access, access.inside, signal)
    : await connectHere(access, signal);
  return stream;
}

async function connectHere({ address, port }: MachineAccess, signal: AbortSignal): Promise<Duplex> {
  const socket = connect({ host: address, port, noDelay: true });
  try {
    await once(socket, 'connect', { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

/** What socat says at its second level of words when both sides stand. */
const connected = /starting data transfer loop/;

async function enterAndConnect(
  { address, port }: MachineAccess,
  inside: ProcessIdentity,
  signal: AbortSignal,
): Promise<Duplex> {
  const where = `TCP:${address}:${port},nodelay,connect-timeout=${connectSeconds}`;
  // Descriptor 3 is a socket in both directions, where 0 and 1 would be two pipes.
  const child = spawn('nsenter', ['--target', String(inside.pid), '--net', '--', 'socat', '-d', '-d', 'FD:3', where], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
    env: machineEnvironment,
  });
  const stream = child.stdio[3] as Duplex;
  let words = '';
  stream.on('error', () => undefined);
  stream.once('close', () => child.kill('SIGKILL'));
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => {
        const error = words.split('\n').findLast((line) => / E /.test(line)) ?? 'socat ended without a word';
        reject(new Error(error.replace(/^.*socat\[\d+\] E /, '')));
      });
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        words = (words + text).slice(-2000);
        if (connected.test(words)) resolve();
      });
    });
  } catch (error) {
    stream.destroy();
    throw error;
  }
  return stream;
}
