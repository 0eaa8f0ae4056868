import { rmSync } from 'node:fs';
import { release } from 'node:os';
import { resolve } from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { temporaryDirectory } from '../lab/temporary.js';
import type { Outcome } from '../model/verdict.js';
import { wishFor } from '../providers/isolation-wish.js';
import { providerNamed } from '../providers/registry.js';
import { createRunDir } from '../report/run-dir.js';
import { openEventLog } from '../run/event-log.js';
import { createScenarioRun } from '../run/scenario-run.js';
import type { IsolationWish } from '../providers/provider.js';
import type { Scenario, ScenarioItem, StepItem } from '../scenario/scenario.js';
import type { Ran } from './judge.js';

export interface RunOnceOptions {
  /** Over what the scenario asks for; default: as the file says, else `local`. */
  provider: string | null;
  /** The run ends after the first item of which this holds; `null`: after the last. */
  stopAt: ((item: ScenarioItem, outcome: Outcome) => boolean) | null;
  /** How hosts are kept from the machine; default: as a file of its place may have them. */
  isolation?: IsolationWish;
  /** Steps whose failure stops nothing. */
  mayFail?: (item: StepItem) => boolean;
  /** Netrig's version and arguments, for the record. */
  version: string;
  argv: readonly string[];
  signal: AbortSignal;
}

/** Runs a scenario on hosts of its own, in this process, and leaves its record in `dir`. Its lab is gone afterwards. */
export async function runOnce(scenario: Scenario, dir: string, options: RunOnceOptions): Promise<Ran> {
  const begin = performance.now();
  const log = openEventLog(dir);
  log.emit({
    type: 'run:start',
    netrig: options.version,
    node: process.version,
    kernel: release(),
    argv: [...options.argv],
    cwd: process.cwd(),
  });
  const run = createScenarioRun(scenario, {
    provider: providerNamed(options.provider ?? scenario.provider ?? 'local'),
    emit: log.emit,
    runDir: dir,
    signal: options.signal,
    isolation: wishFor(options.isolation ?? 'auto', scenario.file),
    ...(options.mayFail ? { mayFail: options.mayFail } : {}),
    ...(options.stopAt === null
      ? {}
      : { notAskedFor: 'the run stopped at the first check that did not pass (--bail)' }),
  });
  const outcomes = new Map<string, Outcome>();
  try {
    for (const item of run.items) {
      const outcome = await run.perform(item.id);
      outcomes.set(item.id, outcome);
      if (options.stopAt?.(item, outcome)) break;
    }
  } finally {
    await run.finish();
    log.emit({ type: 'run:end', durationMs: performance.now() - begin, interrupted: options.signal.aborted });
    log.close();
  }
  return { items: run.items, outcomes, broke: run.broke(), durationMs: performance.now() - begin };
}

/**
 * A directory for the records of many runs; one that is not kept is gone once it is closed, or at the latest when the process
 * ends.
 *
 * @param keep Directory below which it is made, and stays; `null`: it does not.
 * @throws NETRIG_REPORT_WRITE when it cannot be made.
 */
export async function openDirectory(keep: string | null, name: string): Promise<{ base: string; close(): void }> {
  let base: string;
  try {
    base = keep === null ? temporaryDirectory(name) : (await createRunDir(resolve(keep))).dir;
  } catch (error) {
    if (error instanceof NetrigError) throw error;
    throw new NetrigError('NETRIG_REPORT_WRITE', `No directory for the records can be made: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (keep !== null) return { base, close: () => undefined };
  const removeNow = (): void => rmSync(base, { recursive: true, force: true });
  // The second Ctrl-C ends the process at once.
  process.on('exit', removeNow);
  return {
    base,
    close() {
      process.off('exit', removeNow);
      removeNow();
    },
  };
}
