import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readLedger } from '../lab/ledger.js';
import { labDirectory, readRecord } from '../lab/store.js';

/** What something takes of the machine. */
export interface Use {
  /** Bytes. */
  memory: number;
  /** Processor time since it began, ms. */
  cpuMs: number;
}

const nothing: Use = { memory: 0, cpuMs: 0 };

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Clock ticks of proc_pid_stat(5) are USER_HZ, which is 100 on every architecture of Linux but alpha. */
const msPerTick = 10;

/** A process of this user: its share of memory, as smaps_rollup of proc_pid_smaps(5) has it (Pss), and its processor time. */
export function useOfProcess(pid: number): Use {
  const stat = textOf(`/proc/${pid}/stat`);
  const memory = /^Pss:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/smaps_rollup`) ?? '')?.[1];
  if (stat === null) return nothing;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { memory: Number(memory ?? 0) * 1024, cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick };
}

/** The first of a lab’s cgroups that knows it: version 1 has memory and processors in different hierarchies. */
function first(paths: readonly string[], files: readonly [name: string, read: (text: string) => number][]): number {
  for (const path of paths)
    for (const [name, read] of files) {
      const value = read(textOf(join(path, name)) ?? '');
      if (Number.isFinite(value) && value > 0) return value;
    }
  return 0;
}

const whole = (text: string): number => (/^\d+\s*$/.test(text) ? Number(text) : NaN);
const usec = (text: string): number => Number(/^usage_usec (\d+)$/m.exec(text)?.[1] ?? NaN);

/** A lab of the local provider, with the process that holds it: the kernel’s own account of its cgroups, files in memory too. */
export function useOfLab(lab: string): Use {
  const paths = readLedger(labDirectory(lab)).flatMap((entry) => (entry.kind === 'cgroup' ? [entry.path] : []));
  const holder = useOfProcess(readRecord(lab).holder.pid);
  const memory = first(paths, [
    ['memory.current', whole],
    ['memory.usage_in_bytes', whole],
  ]);
  const cpuMs = first(paths, [
    ['cpuacct.usage', (text) => whole(text) / 1e6],
    ['cpu.stat', (text) => usec(text) / 1000],
  ]);
  return { memory: memory + holder.memory, cpuMs: cpuMs + holder.cpuMs };
}

export function sumOf(uses: readonly Use[]): Use {
  return uses.reduce((sum, one) => ({ memory: sum.memory + one.memory, cpuMs: sum.cpuMs + one.cpuMs }), nothing);
}
