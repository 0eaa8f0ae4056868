import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAlive, ownIdentity, type ProcessIdentity } from '../../lab/process.js';

/** What every container, network and volume of a lab carries, so that it can be found without any record. */
export const labLabel = 'netrig.lab';
export const hostLabel = 'netrig.host';
export const segmentLabel = 'netrig.segment';
export const holderLabel = 'netrig.holder';
/** On images: the host image that they hold. */
export const imageLabel = 'netrig.host-image';
/** On images that came from a cache: which tree of it they hold. */
export const treeLabel = 'netrig.tree';
/** On images with packages: the versions of what came with them, as JSON. */
export const packagesLabel = 'netrig.packages';

/** Which process holds a lab, on which machine. Kept as a label, for an engine may be shared by machines. */
export interface HolderMark {
  machine: string;
  /** One boot of a kernel; `''` where the system does not tell. */
  boot: string;
  /** The pid namespace in which the pid means something; `''` where the system has none. */
  pids: string;
  pid: number;
  startTime: number;
}

function read(make: () => string): string {
  try {
    return make().trim();
  } catch {
    return '';
  }
}

/** This process, as others will find it named. */
export function ownMark(): HolderMark {
  const { pid, startTime } = ownIdentity();
  return {
    machine: hostname(),
    boot: read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    pids: read(() => readlinkSync('/proc/self/ns/pid')),
    pid,
    startTime,
  };
}

/** Whether that process lives; where there is no /proc, a process of the same pid is taken for it. */
export function lives(identity: ProcessIdentity): boolean {
  if (existsSync('/proc/self/stat')) return isAlive(identity);
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether a lab's holder is dead for sure: never said of another machine's, nor of another pid namespace's while that kernel runs. */
export function isAbandoned(mark: HolderMark, own: HolderMark = ownMark()): boolean {
  if (mark.boot === own.boot && mark.pids === own.pids && mark.machine === own.machine) return !lives(mark);
  // Another boot of this machine: no process of it is left.
  return mark.machine === own.machine && mark.boot !== own.boot && mark.boot !== '' && own.boot !== '';
}

/** The mark in a label; `null` for a text that is none. */
export function parseMark(text: string | undefined): HolderMark | null {
  try {
    const value = JSON.parse(text ?? '') as Partial<HolderMark> | null;
    if (typeof value?.machine !== 'string' || typeof value.boot !== 'string' || typeof value.pids !== 'string')
      return null;
    return Number.isSafeInteger(value.pid) && Number.isSafeInteger(value.startTime) ? (value as HolderMark) : null;
  } catch {
    return null;
  }
}

/** The labels of all that one lab makes. */
export function labLabels(lab: string, mark: HolderMark): Record<string, string> {
  return { [labLabel]: lab, [holderLabel]: JSON.stringify(mark) };
}
