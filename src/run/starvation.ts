import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';

/** What a machine says of how busy it is. */
export interface MachineState {
  /** /proc/pressure by resource, as the kernel gives it; `null` where it has none (CONFIG_PSI, `psi=1`). */
  pressure: Record<'cpu' | 'memory' | 'io', string | null>;
  /** Processes that run or want to, over the last minute (getloadavg(3)). */
  load: number;
  processors: number;
}

/**
 * From which share of the last 10 s a resource counts as starved, in percent: `some` for the processors (somebody waits
 * for one nearly always), `full` for memory and disks (nobody gets on). See Documentation/accounting/psi.rst.
 */
const limits = {
  cpu: { line: 'some', percent: 90 },
  memory: { line: 'full', percent: 20 },
  io: { line: 'full', percent: 60 },
} as const;
/** Processes for each processor that run or want to: what the figure for processors needs beside it, or stands for it where there is none. */
const loadPerProcessor = 4;

function average(text: string, line: string): number | null {
  const found = new RegExp(`^${line} avg10=(\\d+(?:\\.\\d+)?) `, 'm').exec(text);
  return found ? Number(found[1]) : null;
}

/** Why a machine in that state has no time for what runs on it, `null` where it has. */
export function starvationOf(state: MachineState): string | null {
  let known = false;
  for (const resource of ['memory', 'io', 'cpu'] as const) {
    const text = state.pressure[resource];
    const { line, percent } = limits[resource];
    const share = text === null ? null : average(text, line);
    if (share === null) continue;
    known ||= resource === 'cpu';
    // Three that want two processors keep somebody waiting all the time, and all get on well.
    if (resource === 'cpu' && state.load < loadPerProcessor * state.processors) continue;
    if (share >= percent)
      return `for ${Math.round(share)} % of the last 10 s ${line === 'full' ? 'everything' : 'something'} waited for ${resource}`;
  }
  if (known || state.load < loadPerProcessor * state.processors) return null;
  const processors = state.processors === 1 ? 'one processor' : `${state.processors} processors`;
  return `a load of ${state.load.toFixed(1)} on ${processors}`;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Why this machine has no time for the lab just now, `null` where it has. */
export function machineStarvation(): string | null {
  const pressure = {
    cpu: read('/proc/pressure/cpu'),
    memory: read('/proc/pressure/memory'),
    io: read('/proc/pressure/io'),
  };
  return starvationOf({ pressure, load: loadavg()[0] ?? 0, processors: availableParallelism() });
}
