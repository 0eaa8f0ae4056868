import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import { bootId, isSurelyDead } from '../../lab/process.js';
import { listRecords, removeRecord } from '../../lab/store.js';
import type { LabRecord, SweepReport } from '../provider.js';
import { killCommands } from './command.js';
import { endMachines } from './machines.js';
import { machinesDirectory, type MachinesRecord, readMachinesRecord } from './machines-record.js';
import type { MachineAccess } from './transport.js';

/** What the vagrant provider keeps in `LabRecord.access`. */
export interface VagrantLabAccess {
  /** The machines that the lab has; their directory is below that of all machines. */
  machines: string;
  bootId: string;
  pidNamespace: string;
  privateKey: string;
  hostKey: string;
  hosts: Record<string, MachineAccess & { console: string }>;
}

/** Throws NETRIG_LAB_GONE when the record has none: nothing can be reached by it. */
export function accessOf(record: LabRecord): VagrantLabAccess {
  const access = record.access as Partial<VagrantLabAccess> | null | undefined;
  if (access?.machines && access.bootId && access.hosts) return access as VagrantLabAccess;
  throw new NetrigError('NETRIG_LAB_GONE', `The record of the lab ${record.id} does not say how to reach its hosts.`);
}

/** Ends the machines in a directory whose holder is dead. */
async function removeMachines(directory: string, record: MachinesRecord): Promise<string> {
  if (record.bootId === bootId()) await killCommands(directory);
  // A libvirtd of another boot is gone; its pid may be anybody's.
  const libvirtd = record.libvirtd && record.bootId === bootId() ? record.libvirtd : null;
  if (record.provider === 'libvirt' && libvirtd === null && !readdirSync(directory).includes('vagrant')) {
    await rm(directory, { recursive: true, force: true });
  } else if (record.libvirtd && libvirtd === null) {
    await rm(directory, { recursive: true, force: true });
  } else {
    await endMachines({ id: record.id, directory, libvirtd });
  }
  return `the virtual machines ${record.id}`;
}

/** Finishes what the dead holder of one lab left. */
export async function removeLeftovers(record: LabRecord): Promise<string[]> {
  const directory = join(machinesDirectory(), accessOf(record).machines);
  const machines = readMachinesRecord(directory);
  const removed =
    machines && isSurelyDead(machines.holder, machines) ? [await removeMachines(directory, machines)] : [];
  await removeRecord(record.id);
  return [...removed, 'its record'];
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** See `Provider.sweep`: records of labs, then machines that no lab has. Two looks at directories where there never were any. */
export async function sweepVagrant(): Promise<SweepReport> {
  const report: SweepReport = { removed: [], left: [] };
  await Promise.all(
    listRecords().map(async (record) => {
      if (record.provider !== 'vagrant') return;
      try {
        if (!isSurelyDead(record.holder, accessOf(record))) return;
        report.removed.push({ lab: record.id, what: await removeLeftovers(record) });
      } catch (error) {
        report.left.push({ lab: record.id, what: 'its virtual machines', why: messageOf(error) });
      }
    }),
  );
  const root = machinesDirectory();
  await Promise.all(
    entries(root).map(async (name) => {
      const directory = join(root, name);
      const record = name.startsWith('.') ? null : readMachinesRecord(directory);
      if (!record || !isSurelyDead(record.holder, record)) return;
      try {
        report.removed.push({ lab: `machines-${name}`, what: [await removeMachines(directory, record)] });
      } catch (error) {
        report.left.push({
          lab: `machines-${name}`,
          what: `virtual machines, named in ${directory}`,
          why: messageOf(error),
        });
      }
    }),
  );
  return report;
}
