import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSurelyDead, ownIdentity, ownPidSpace } from './process.js';

const namePattern = /^netrig-[a-z]+-([0-9a-f]{8})-(\d+)-(\d+)-(\d+)-[A-Za-z0-9]{6}$/;

/** The beginning of a boot's id is enough to tell boots apart, and paths of sockets must be short (unix(7)). */
const shortBoot = (bootId: string): string => bootId.slice(0, 8);

/** A fresh directory for this process, whose name says whose it is: what a killed process left is found by that. */
export function temporaryDirectory(purpose: string): string {
  const { bootId, pidNamespace } = ownPidSpace();
  const { pid, startTime } = ownIdentity();
  return mkdtempSync(join(tmpdir(), `netrig-${purpose}-${shortBoot(bootId)}-${pidNamespace}-${pid}-${startTime}-`));
}

/** Removes the temporary directories of this user's dead processes. Answers how many. */
export function sweepTemporary(directory = tmpdir()): number {
  let removed = 0;
  const { bootId } = ownPidSpace();
  for (const name of readdirSync(directory)) {
    const [, boot, pidNamespace = '', pid, startTime] = namePattern.exec(name) ?? [];
    if (boot === undefined) continue;
    const path = join(directory, name);
    const of = lstatSync(path, { throwIfNoEntry: false });
    // Anybody may make a file of that name here.
    if (!of?.isDirectory() || of.uid !== process.getuid?.()) continue;
    const space = { bootId: boot === shortBoot(bootId) ? bootId : boot, pidNamespace };
    if (!isSurelyDead({ pid: Number(pid), startTime: Number(startTime) }, space)) continue;
    rmSync(path, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}
