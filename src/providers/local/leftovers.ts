import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import type { LedgerEntry } from '../../lab/ledger.js';
import { readLedger } from '../../lab/ledger.js';
import { bootId, isSurelyDead, type ProcessIdentity, signalProcess, waitUntilGone } from '../../lab/process.js';
import { labDirectory, listRecords, removeRecord, strayDirectories } from '../../lab/store.js';
import type { LabRecord, SweepReport } from '../provider.js';
import type { HostAccess } from './transport.js';
import { cgroupLayout, isCgroupOf, killTasks, orphanCgroups, removeCgroups, thaw } from './cgroups.js';
import { sweepTemporary } from '../../lab/temporary.js';
import { imagesDirectory } from '../../images/cache-directory.js';
import { sweepProbes } from './isolation.js';
import { sweepRanges } from './id-ranges.js';
import { sweepQueue } from './queue.js';

/** What `undo` could not take away. */
export interface Leftover {
  what: string;
  why: string;
}

const processesMs = 15_000;
const cgroupsMs = 10_000;

/**
 * Takes away all that a ledger names. A process is killed only when pid and start time are those written down; it is gone
 * when its whole pid namespace is, for PID 1 of one ends last (pid_namespaces(7)).
 */
export async function undo(entries: readonly LedgerEntry[]): Promise<{ removed: string[]; left: Leftover[] }> {
  const removed: string[] = [];
  const left: Leftover[] = [];
  const processes = entries.flatMap((entry) => (entry.kind === 'process' ? [entry] : []));
  const cgroups = entries.flatMap((entry) => (entry.kind === 'cgroup' ? [entry.path] : []));
  // A paused container keeps its host, for no signal reaches what is frozen.
  thaw(cgroups);
  for (const one of processes) if (signalProcess(one, 'SIGKILL')) removed.push(`process ${one.pid} of ${one.role}`);
  // Before the wait: a stopped one that reaps nobody keeps the whole pid namespace of its host.
  killTasks(cgroups);
  for (const one of await waitUntilGone(processes, processesMs))
    left.push({ what: `process ${one.pid}`, why: `it lives ${processesMs / 1000} s after SIGKILL` });
  const busy = await removeCgroups(cgroups, cgroupsMs);
  for (const one of busy) left.push({ what: `cgroup ${one.path}`, why: one.why });
  if (cgroups.length > busy.length) removed.push(`${cgroups.length - busy.length} cgroups`);
  return { removed, left };
}

/** What the local provider keeps in `LabRecord.access`. */
export interface LocalAccess {
  /** The pid namespace in which the pids of the record mean something. */
  pidNamespace: string;
  bootId: string;
  privateKey: string;
  hostKey: string;
  hosts: Record<string, HostAccess>;
  /** The process that holds the namespace of the segments. Left out by records of older versions. */
  segments?: ProcessIdentity;
}

/** Throws NETRIG_LAB_GONE when the record has none: nothing can be reached by it. */
export function accessOf(record: LabRecord): LocalAccess {
  const access = record.access as Partial<LocalAccess> | null | undefined;
  if (access?.pidNamespace && access.bootId && access.hosts) return access as LocalAccess;
  throw new NetrigError('NETRIG_LAB_GONE', `The record of the lab ${record.id} does not say how to reach its hosts.`);
}

/** Finishes what the dead holder of one lab left. */
export async function removeLeftovers(record: LabRecord): Promise<{ removed: string[]; left: Leftover[] }> {
  const layout = cgroupLayout();
  const written = accessOf(record).bootId === bootId() ? readLedger(labDirectory(record.id)) : [];
  // A path that is no cgroup of this lab was not written by netrig, and is nobody's to remove.
  const entries = written.filter((entry) => entry.kind !== 'cgroup' || isCgroupOf(layout, record.id, entry.path));
  const result = await undo(entries);
  if (result.left.length === 0) {
    await removeRecord(record.id);
    result.removed.push('its record');
  }
  return result;
}

/** See `Provider.sweep`. Two at once do no harm: each takes what is still there. */
export async function sweepLocal(): Promise<SweepReport> {
  const report: SweepReport = { removed: [], left: [] };
  const note = (lab: string, what: string[], left: Leftover[]): void => {
    if (what.length > 0) report.removed.push({ lab, what });
    for (const one of left) report.left.push({ lab, ...one });
  };
  await Promise.all(
    listRecords().map(async (record) => {
      if (record.provider !== 'local') return;
      try {
        if (!isSurelyDead(record.holder, accessOf(record))) return;
        const { removed, left } = await removeLeftovers(record);
        note(record.id, removed, left);
      } catch (error) {
        note(record.id, [], [{ what: `its record, ${labDirectory(record.id)}`, why: messageOf(error) }]);
      }
    }),
  );
  const orphans = orphanCgroups(cgroupLayout());
  killTasks(orphans.map((one) => one.path));
  const busy = await removeCgroups(
    orphans.map((one) => one.path),
    cgroupsMs,
  );
  const labs = new Set(orphans.map((one) => one.lab));
  for (const lab of labs) {
    const left = busy.filter((one) => orphans.some((orphan) => orphan.lab === lab && orphan.path === one.path));
    const count = orphans.filter((one) => one.lab === lab).length - left.length;
    note(
      lab,
      count > 0 ? [`${count} cgroups without a record`] : [],
      left.map((one) => ({ what: `cgroup ${one.path}`, why: one.why })),
    );
  }
  const ranges = sweepRanges();
  if (ranges > 0) note('dead labs', [`${ranges} ranges of user ids`], []);
  sweepQueue();
  sweepProbes(imagesDirectory());
  const temporary = sweepTemporary();
  if (temporary > 0) note('dead processes', [`${temporary} temporary directories`], []);
  for (const path of strayDirectories()) {
    await rm(path, { recursive: true, force: true });
    note(basename(path), ['a directory without a record'], []);
  }
  return report;
}
