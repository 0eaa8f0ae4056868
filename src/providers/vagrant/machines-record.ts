import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ProcessIdentity } from '../../lab/process.js';
import { labsDirectory } from '../../lab/store.js';
import type { Backend } from './backend.js';
import type { PrivateLibvirtd } from './libvirtd.js';

/** What stands on disk of machines, for whoever cleans up after their holder. */
export interface MachinesRecord {
  id: string;
  holder: ProcessIdentity;
  bootId: string;
  pidNamespace: string;
  provider: Backend['provider'];
  /** Once it runs. */
  libvirtd: PrivateLibvirtd | null;
}

/** `machines` beside the labs: one directory for each set of machines. */
export function machinesDirectory(): string {
  return join(dirname(labsDirectory()), 'machines');
}

/** The record in the directory of a set of machines; `null` where there is none, or none that can be read. */
export function readMachinesRecord(directory: string): MachinesRecord | null {
  try {
    const record = JSON.parse(readFileSync(join(directory, 'machines.json'), 'utf8')) as MachinesRecord;
    return Number.isSafeInteger(record.holder?.pid) && typeof record.id === 'string' ? record : null;
  } catch {
    return null;
  }
}

/** Writes the record anew, whole or not at all, readable to its owner only. */
export function writeMachinesRecord(directory: string, record: MachinesRecord): void {
  const file = join(directory, 'machines.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
