import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * One process for good: a pid may be used again, a pid with its start time may not. `startTime` is in clock ticks since
 * boot, field 22 of /proc/PID/stat (proc_pid_stat(5)).
 */
export interface ProcessIdentity {
  pid: number;
  startTime: number;
}

/** `null` when there is no such process, or only its zombie. */
function startTimeOf(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The name, in parentheses, may hold spaces and parentheses of its own: the last one ends it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  const startTime = Number(fields[19]);
  return Number.isSafeInteger(startTime) ? startTime : null;
}

/** `null` when the process is gone already. */
export function identify(pid: number): ProcessIdentity | null {
  const startTime = startTimeOf(pid);
  return startTime === null ? null : { pid, startTime };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return startTimeOf(identity.pid) === identity.startTime;
}

/** Signals that very process and no other one; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until all of them are gone, `timeoutMs` at most; answers those that are not. */
export async function waitUntilGone(
  identities: readonly ProcessIdentity[],
  timeoutMs: number,
): Promise<ProcessIdentity[]> {
  const deadline = performance.now() + timeoutMs;
  let left = identities.filter(isAlive);
  while (left.length > 0 && performance.now() < deadline) {
    await pause(10);
    left = left.filter(isAlive);
  }
  return left;
}

let own: ProcessIdentity | undefined;

/** This process. */
export function ownIdentity(): ProcessIdentity {
  own ??= identify(process.pid) ?? { pid: process.pid, startTime: 0 };
  return own;
}

/** Where a pid means something: one boot of a kernel, and a pid namespace of it. */
export interface PidSpace {
  bootId: string;
  /** Its inode number. */
  pidNamespace: string;
}

/** The boot of the kernel that runs: no process, namespace or cgroup of another one is left. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** The pid namespace of this process, as its inode number: a pid means nothing in another one. */
export function ownPidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
}

/** That of this process. */
export function ownPidSpace(): PidSpace {
  return { bootId: bootId(), pidNamespace: ownPidNamespace() };
}

/** What is known of a process. `elsewhere`: its pid belongs to another pid namespace, so that nobody here can tell. */
export type Life = 'alive' | 'dead' | 'elsewhere';

/** The one judgement of whether a process that is written down somewhere still lives. */
export function lifeOf(identity: ProcessIdentity, space: PidSpace): Life {
  if (space.bootId !== bootId()) return 'dead';
  if (space.pidNamespace !== ownPidNamespace()) return 'elsewhere';
  return isAlive(identity) ? 'alive' : 'dead';
}

/** Whether a process is dead for sure: not when its pid belongs to a pid namespace that is not ours to judge. */
export function isSurelyDead(identity: ProcessIdentity, space: PidSpace): boolean {
  return lifeOf(identity, space) === 'dead';
}
