/**
 * The process that holds a lab which outlives the command that made it: `netrig up`, `--keep-on-fail`.
 *
 * Its parent hands it the plan over IPC, gets the events of the boot, then lets go. From then on it only waits for SIGTERM
 * (`netrig down`), takes the lab down and ends. Killed, its hosts die with it.
 */
import { setMaxListeners } from 'node:events';
import { messageOf, type ErrorCode } from '../errors.js';
import { asCoded } from '../model/refused-write.js';
import type { RunEventBody } from '../model/events.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { takeOrders } from '../lab/holder-orders.js';
import type { IsolationWish, Provider, RunningLab } from '../providers/provider.js';

/** From the parent. */
export interface HoldOrder {
  provider: string;
  plan: LabPlan;
  /** The scenario id for events. */
  scenario: string;
  scenarioFile: string | null;
  isolation: IsolationWish;
}

/** To the parent. */
export type HoldReport =
  | { type: 'event'; event: RunEventBody }
  | { type: 'up'; id: string }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string };

function tell(report: HoldReport): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send!(report, () => resolve());
  });
}

/** Of the local provider alone without the others, whose programs would stay in the memory of every holder. */
async function providerOf(name: string): Promise<Provider> {
  if (name === 'local') return (await import('../providers/local/provider.js')).localProvider;
  return (await import('../providers/registry.js')).providerNamed(name);
}

async function hold(order: HoldOrder): Promise<void> {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  let lab: RunningLab | null = null;
  let ending = false as boolean;
  /** What is being done on somebody's order. */
  let ordered: Promise<unknown> = Promise.resolve();

  async function end(): Promise<void> {
    if (ending) return;
    ending = true;
    abort.abort();
    // Still booting: `up` takes away what it made, and ends the process below.
    if (!lab) return;
    try {
      // It was told to stop by the signal.
      await ordered.catch(() => undefined);
      await lab.down();
      process.exitCode = 0;
    } catch (error) {
      process.stderr.write(`${new Date().toISOString()} ${messageOf(error)}\n`);
      process.exitCode = 3;
    }
    // Whatever still listens must not keep a process alive that holds nothing.
    process.exit();
  }

  // The terminal's Ctrl-C is for the command in front; this process has a session of its own.
  process.on('SIGTERM', () => void end());
  process.on('SIGINT', () => void end());
  // A terminal that is closed is none of its business either.
  process.on('SIGHUP', () => undefined);
  const early = (): void => void end();
  process.on('disconnect', early);

  try {
    const provider = await providerOf(order.provider);
    lab = await provider.up(order.plan, {
      signal: abort.signal,
      emit: (event) => void tell({ type: 'event', event }),
      scenario: order.scenario,
      detached: true,
      isolation: order.isolation,
      ...(order.scenarioFile ? { scenarioFile: order.scenarioFile } : {}),
    });
  } catch (error) {
    const known = asCoded(error);
    if (known) await tell({ type: 'failed', code: known.code, message: known.message, hint: known.hint });
    else await tell({ type: 'failed', code: 'NETRIG_INTERNAL', message: messageOf(error), hint: '' });
    process.exit(3);
  }
  // The order to end came while the last host was answering: `end` had no lab to take down yet.
  if (ending) {
    await lab.down();
    process.exit();
  }
  process.off('disconnect', early);
  const held = lab;
  if (held.resetHost)
    takeOrders(held.id, ({ host }) => {
      const work = ordered.catch(() => undefined).then(() => held.resetHost!(host, abort.signal));
      ordered = work;
      return work;
    });
  await tell({ type: 'up', id: lab.id });
  if (process.connected) process.disconnect();
  // Nothing else to do: a timer keeps the process, and with it the lab, alive.
  setInterval(() => undefined, 2 ** 30);
}

process.once('message', (order) => void hold(order as HoldOrder));
