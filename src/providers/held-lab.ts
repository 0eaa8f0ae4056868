import type { Duplex } from 'node:stream';
import { messageOf, NetrigError } from '../errors.js';
import {
  bootId,
  ownIdentity,
  ownPidNamespace,
  ownPidSpace,
  type PidSpace,
  signalProcess,
  waitUntilGone,
} from '../lab/process.js';
import { createRecord, removeRecord, updateRecord } from '../lab/store.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { LabFaults, LabRecord, RunningLab, UpOptions } from './provider.js';

/** The life of a lab in the process that holds it, which is the same for every provider. */

/** sshd drops a connection without a login after its LoginGraceTime, 30 s in the images; ours is dropped before. */
const greetedMs = 20_000;
/** How long a killed process may take to be gone. */
const killedMs = 5_000;

/** Labs that this process holds, so that `destroy` of one of them does not signal the process itself. */
const held = new Map<string, RunningLab>();

/** The lab of that record, where this process holds it. */
export function heldLab(record: LabRecord): RunningLab | undefined {
  return held.get(record.id);
}

/** Throws NETRIG_INTERRUPTED. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted)
    throw new NetrigError('NETRIG_INTERRUPTED', 'Interrupted while the lab was coming up.', { cause: signal.reason });
}

/** What a record says of one host. Throws NETRIG_HOST_UNKNOWN. */
export function accessTo<T>(record: LabRecord, hosts: Readonly<Record<string, T>>, host: string): T {
  const access = Object.hasOwn(hosts, host) ? hosts[host] : undefined;
  if (access === undefined)
    throw new NetrigError(
      'NETRIG_HOST_UNKNOWN',
      `The lab ${record.id} has no host "${host}"; it has ${Object.keys(hosts).join(', ')}.`,
    );
  return access;
}

/** The record of a lab that this process begins to bring up. */
export function newRecord(
  id: string,
  provider: string,
  plan: LabPlan,
  access: unknown,
  options: { detached?: boolean; scenarioFile?: string },
): LabRecord {
  return {
    id,
    title: plan.title,
    provider,
    holder: ownIdentity(),
    space: ownPidSpace(),
    createdAt: new Date().toISOString(),
    state: 'starting',
    detached: options.detached ?? false,
    plan,
    ...(options.scenarioFile === undefined ? {} : { scenarioFile: options.scenarioFile }),
    access,
  };
}

export interface LabParts extends Pick<
  RunningLab,
  'target' | 'beside' | 'console' | 'died' | 'limitsMet' | 'hasFiles' | 'resetHost'
> {
  /** What can be broken on purpose in it, once it is up. */
  faults?(): LabFaults | undefined;
  /** Makes the hosts, given the directory of the lab's record; what it finds out it writes into `record.access`. */
  bring(directory: string): Promise<void>;
  /** Takes away what was made, as far as it came. Rejects with NETRIG_CLEANUP: the record stays then, and it may be tried again. */
  takeAway(): Promise<void>;
  /** Of the teardown's events: what is done, and what has been done. */
  wording?: { going?: string; gone?(): string };
}

/**
 * Brings a lab up: its record is on disk before the first thing is made, and goes after the last. What fails or is
 * interrupted on the way is taken away again.
 *
 * Rejects with what `bring` threw, or with NETRIG_INTERRUPTED. What of a failed lab could not be taken away is a warning, for
 * the next sweep names it too.
 */
export async function holdLab(record: LabRecord, options: UpOptions, parts: LabParts): Promise<RunningLab> {
  const { emit, scenario, signal } = options;
  const { id } = record;
  let recorded = false;

  async function takeDown(): Promise<void> {
    const begin = performance.now();
    if (record.state === 'up') {
      record.state = 'stopping';
      try {
        updateRecord(record);
      } catch {
        // Somebody removed the record; the lab is to go all the same.
      }
    }
    emit({
      type: 'phase',
      scenario,
      phase: 'teardown',
      state: 'start',
      text: parts.wording?.going ?? 'Taking the lab down',
    });
    let text = `The lab ${id} is not wholly down`;
    try {
      await parts.takeAway();
      // A record that could not be made may be another lab's.
      if (recorded) await removeRecord(id);
      held.delete(id);
      text = parts.wording?.gone?.() ?? `The lab ${id} is down`;
    } finally {
      emit({ type: 'phase', scenario, phase: 'teardown', state: 'end', text, durationMs: performance.now() - begin });
    }
  }

  let going: Promise<void> | undefined;
  const lab: RunningLab = {
    id,
    plan: record.plan,
    record,
    target: (host) => parts.target(host),
    ...(parts.beside ? { beside: (host: string) => parts.beside!(host) } : {}),
    ...(parts.hasFiles ? { hasFiles: true } : {}),
    console: (host) => parts.console(host),
    // What is being taken down dies on purpose.
    ...(parts.died ? { died: () => (going === undefined ? parts.died!() : []) } : {}),
    ...(parts.limitsMet ? { limitsMet: () => (going === undefined ? parts.limitsMet!() : []) } : {}),
    ...(parts.resetHost ? { resetHost: (host: string, signal: AbortSignal) => parts.resetHost!(host, signal) } : {}),
    get faults() {
      return parts.faults?.();
    },
    down: () => {
      going ??= takeDown().catch((error: unknown) => {
        // What is left may go at the next try.
        going = undefined;
        throw error;
      });
      return going;
    },
  };
  try {
    const directory = createRecord(record);
    recorded = true;
    held.set(id, lab);
    await parts.bring(directory);
    throwIfInterrupted(signal);
    record.state = 'up';
    updateRecord(record);
    return lab;
  } catch (error) {
    // A leftover is named by the next sweep; what went wrong first is what the caller must know.
    await lab
      .down()
      .catch((second: unknown) => emit({ type: 'log', scenario, level: 'warn', text: messageOf(second) }));
    throwIfInterrupted(signal);
    throw error;
  }
}

/** A lab that another process holds. */
export function attachedLab(
  record: LabRecord,
  parts: Pick<RunningLab, 'target' | 'beside' | 'console' | 'down' | 'died' | 'hasFiles' | 'resetHost'> & {
    faults?: () => LabFaults | undefined;
  },
): RunningLab {
  const { faults, ...rest } = parts;
  return { id: record.id, plan: record.plan, record, faults: faults?.(), ...rest };
}

export interface EndHolderOptions {
  /** Where the holder's pid means something; where it is left out, this process's own space is taken for it. */
  space?: PidSpace;
  /** Whether one that does not end is killed; not where only the holder itself can take away what it made. */
  mayKill?: boolean;
}

/**
 * Has the process that holds the lab take it down, where that is not this one and it lives, and waits `withinMs` for its end.
 * Throws NETRIG_CLEANUP when it does not end, or is a process of another pid namespace.
 */
export async function endHolder(
  record: LabRecord,
  withinMs: number,
  { space, mayKill = true }: EndHolderOptions = {},
): Promise<void> {
  if (space !== undefined) {
    // No process of another boot is left.
    if (space.bootId !== bootId()) return;
    if (space.pidNamespace !== ownPidNamespace()) {
      throw new NetrigError('NETRIG_CLEANUP', `The lab ${record.id} is held by a process of another pid namespace.`, {
        hint: 'Run `netrig down` where the lab was started.',
      });
    }
  }
  const self = ownIdentity();
  if (record.holder.pid === self.pid && record.holder.startTime === self.startTime) return;
  if (!signalProcess(record.holder, 'SIGTERM')) return;
  // One that is stopped hears nothing before it goes on.
  signalProcess(record.holder, 'SIGCONT');
  let left = await waitUntilGone([record.holder], withinMs);
  if (mayKill) {
    for (const one of left) signalProcess(one, 'SIGKILL');
    left = await waitUntilGone(left, killedMs);
  }
  if (left.length > 0)
    throw new NetrigError(
      'NETRIG_CLEANUP',
      `The holder of the lab ${record.id}, process ${record.holder.pid}, does not end.`,
    );
}

/** NETRIG_CLEANUP, with what is left of a lab. */
export function leftOf(id: string, left: readonly { what: string; why: string }[]): NetrigError {
  return new NetrigError(
    'NETRIG_CLEANUP',
    `The lab ${id} could not be taken away as a whole; left: ${left.map((one) => `${one.what} (${one.why})`).join(', ')}.`,
  );
}

/** Streams on which a host's sshd said its banner when it booted: the first login takes them, and need not connect again. */
export interface GreetedStreams {
  keep(host: string, stream: Duplex): void;
  /** The stream of that host, where there is one that still works; it is the caller's from then on. */
  take(host: string): Duplex | undefined;
  close(): void;
}

/**
 * @param byOthers The lab is held for others, each of whom connects by themselves: a stream that nobody takes would only keep an sshd of
 * its host busy, and wake the host once it is dropped.
 */
export function greetedStreams(byOthers = false): GreetedStreams {
  const streams = new Map<string, Duplex>();
  return {
    keep(host, stream) {
      if (byOthers) return void stream.destroy();
      streams.set(host, stream);
      const forget = (): void => {
        if (streams.get(host) !== stream) return;
        streams.delete(host);
        stream.destroy();
      };
      stream.once('close', forget);
      setTimeout(forget, greetedMs).unref();
    },
    take(host) {
      const stream = streams.get(host);
      streams.delete(host);
      return stream && !stream.destroyed && stream.readable ? stream : undefined;
    },
    close() {
      for (const stream of streams.values()) stream.destroy();
      streams.clear();
    },
  };
}
