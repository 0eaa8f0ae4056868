import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NetrigError } from '../errors.js';
import type { EmitEvent } from '../model/events.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { providerNamed } from '../providers/registry.js';
import type { IsolationWish, RunningLab } from '../providers/provider.js';
import type { HoldOrder, HoldReport } from './holder.js';
import { readRecord } from '../lab/store.js';

/**
 * A holder waits for days, one a lab: these keep its memory small. It compiles and collects garbage in its one thread, and new
 * objects have 1 MiB instead of 16.
 */
const lean = ['--single-threaded', '--max-semi-space-size=1'];
const holderFile = fileURLToPath(new URL('../holder/holder.js', import.meta.url));

/**
 * Brings a lab up in a process of its own, so that it stays when this one ends.
 *
 * @throws what the provider throws; NETRIG_INTERRUPTED after `signal`, with the lab taken down.
 */
export async function upDetached(
  provider: string,
  plan: LabPlan,
  options: {
    signal: AbortSignal;
    emit: EmitEvent;
    scenario: string;
    scenarioFile: string | null;
    isolation: IsolationWish;
  },
): Promise<RunningLab> {
  const child = spawn(process.execPath, [...lean, holderFile], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const onAbort = (): void => void child.kill('SIGTERM');
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const id = await new Promise<string>((resolve, reject) => {
      child.on('message', (message) => {
        const report = message as HoldReport;
        if (report.type === 'event') options.emit(report.event);
        else if (report.type === 'up') resolve(report.id);
        else reject(new NetrigError(report.code, report.message, report.hint ? { hint: report.hint } : {}));
      });
      child.on('error', (error) =>
        reject(
          new NetrigError('NETRIG_INTERNAL', `The process that holds the lab could not be started: ${error.message}`),
        ),
      );
      child.on('exit', (code, signal) =>
        reject(
          options.signal.aborted
            ? new NetrigError('NETRIG_INTERRUPTED', 'Interrupted while the lab came up.')
            : new NetrigError(
                'NETRIG_INTERNAL',
                `The process that holds the lab ended (${signal ?? code}) before the lab was up.`,
              ),
        ),
      );
      const order: HoldOrder = {
        provider,
        plan,
        scenario: options.scenario,
        scenarioFile: options.scenarioFile,
        isolation: options.isolation,
      };
      child.send(order);
    });
    const record = readRecord(id);
    if (!record) throw new NetrigError('NETRIG_LAB_GONE', `The lab ${id} went away right after it came up.`);
    return await providerNamed(provider).attach(record);
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}
