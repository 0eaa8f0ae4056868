import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readdirSync } from 'node:fs';
import { cgroupLayout, removeCgroups } from '../src/providers/local/cgroups.js';

/** Short on purpose: sockets are made below it, and the path of one holds 107 bytes (unix(7)). */
const temporary = '/tmp';
/** What a bench makes carries its process's pid, so that the next one knows what a killed one left. */
const ownName = /^netrig-(?:bench|bare)-(\d+)-/;

/** A fresh directory for a bench; whoever asks removes it. */
export function makeDirectory(): Promise<string> {
  return mkdtemp(join(temporary, `netrig-bench-${process.pid}-`));
}

export function groupName(count: number): string {
  return `netrig-bench-${process.pid}-${count}`;
}

/** Removes the cgroups and directories of benches that were killed. */
export async function sweep(): Promise<void> {
  const { hierarchies, unified } = cgroupLayout();
  const tops = [...hierarchies.map((one) => one.mountPoint), ...(unified === null ? [] : [unified.mountPoint])];
  await removeCgroups(
    tops.flatMap((top) =>
      readdirSync(top)
        .filter(isDead)
        .map((name) => join(top, name)),
    ),
    5000,
  );
  for (const name of (await readdir(temporary)).filter(isDead))
    await rm(join(temporary, name), { recursive: true, force: true });
}

function isDead(name: string): boolean {
  const pid = ownName.exec(name)?.[1];
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch {
    return true;
  }
}
