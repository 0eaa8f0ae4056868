import { messageOf, NetrigError } from '../errors.js';
import { faultText, type Fault } from '../model/fault.js';
import { formatDuration } from '../model/duration.js';
import type { Outcome } from '../model/verdict.js';
import type { LabFaults, RunningLab } from '../providers/provider.js';
import type { LabSession } from '../session/session.js';
import type { FaultOrder, LabBreaker } from '../steps/kind.js';
import { realClock, type Clock } from './clock.js';

export interface FaultKeeperOptions {
  /** `null` before the lab is up. */
  lab(): RunningLab | null;
  session(): LabSession | null;
  /** Makes a host that was started again the scenario’s host. */
  provision(session: LabSession, host: string, signal: AbortSignal): Promise<void>;
  log(level: 'info' | 'error', text: string): void;
  /** Of the run: a host that is being started is no longer waited for. */
  signal: AbortSignal;
  clock?: Clock;
}

/** The faults that steps of one scenario put in: each is taken out again, by a step, when its time is over, or at the end. */
export interface FaultKeeper extends LabBreaker {
  /**
   * Takes out all that is still in. Hosts that are off are started only where somebody is to use them. Never rejects: what could
   * not be healed is logged.
   */
  end(options: { startHosts: boolean }): Promise<void>;
}

interface Kept {
  order: FaultOrder;
  /** Aborted when it is to be healed sooner than its time. */
  over: AbortController;
  heal(signal: AbortSignal): Promise<void>;
  /** Ends when the fault has ended by itself. */
  byItself: Promise<void>;
}

type Begun = Kept['heal'];

/** A link that goes down and up, half of `everyMs` each, until it is told to stop. */
async function flap(
  faults: LabFaults,
  fault: Fault,
  everyMs: number,
  { stop, signal, clock }: { stop: AbortSignal; signal: AbortSignal; clock: Clock },
): Promise<void> {
  while (!stop.aborted) {
    const planted = await faults.plant(fault);
    try {
      await clock.sleep(everyMs / 2, stop);
    } finally {
      await planted.heal(signal);
    }
    if (!stop.aborted) await clock.sleep(everyMs / 2, stop);
  }
}

/** Puts a fault in; what is answered takes it out again, with all that belongs to that. */
async function begin(
  faults: LabFaults,
  { fault, everyMs }: FaultOrder,
  stop: AbortSignal,
  options: FaultKeeperOptions,
): Promise<Begun> {
  const { signal, clock = realClock } = options;
  if (everyMs !== null) {
    const flapping = flap(faults, fault, everyMs, { stop, signal, clock });
    flapping.catch(() => undefined);
    return () => flapping;
  }
  const planted = await faults.plant(fault);
  return async (until) => {
    await planted.heal(until);
    const session = options.session();
    if (fault.kind === 'poweroff' && session) await options.provision(session, fault.host, until);
  };
}

export function faultKeeper(options: FaultKeeperOptions): FaultKeeper {
  const { log, clock = realClock } = options;
  const kept: Kept[] = [];

  async function takeOut(one: Kept, signal: AbortSignal): Promise<void> {
    one.over.abort();
    await one.byItself;
    if (!kept.includes(one)) return;
    await one.heal(signal);
    kept.splice(kept.indexOf(one), 1);
  }

  /** Heals it once its time is over; what goes wrong then is said, and tried again at the end. */
  async function endByItself(one: Kept, forMs: number): Promise<void> {
    await clock.sleep(forMs, one.over.signal);
    if (one.over.signal.aborted) return;
    one.over.abort();
    try {
      await one.heal(options.signal);
      kept.splice(kept.indexOf(one), 1);
      log('info', `After ${formatDuration(forMs)}, healed: ${faultText(one.order.fault)}.`);
    } catch (error) {
      log('error', messageOf(error));
    }
  }

  async function putIn(order: FaultOrder): Promise<Kept | Outcome> {
    const lab = options.lab();
    if (!lab) throw new NetrigError('NETRIG_INTERNAL', 'A fault was asked for before its lab was up.');
    const { fault, forMs } = order;
    if (!lab.faults) {
      const reason = `The ${lab.record.provider} provider cannot break things from outside its hosts (${fault.kind}).`;
      return { verdict: 'skipped', reason };
    }
    const lacks = await lab.faults.lacks(fault);
    if (lacks !== null) return { verdict: 'skipped', reason: `The fault cannot be had here: ${lacks}.` };
    if (fault.kind === 'kill') {
      await lab.faults.plant(fault);
      return { verdict: 'pass', reason: `Done: ${faultText(fault)}.` };
    }
    const over = new AbortController();
    const one: Kept = {
      order,
      over,
      heal: await begin(lab.faults, order, over.signal, options),
      byItself: Promise.resolve(),
    };
    kept.push(one);
    if (forMs !== null) one.byItself = endByItself(one, forMs);
    return one;
  }

  async function plant(order: FaultOrder): Promise<Outcome> {
    const one = await putIn(order);
    if ('verdict' in one) return one;
    const until = order.forMs === null ? 'until it is healed' : `for ${formatDuration(order.forMs)}`;
    return { verdict: 'pass', reason: `From now on, ${until}: ${faultText(order.fault)}.` };
  }

  async function plantForAWhile(fault: Fault, everyMs: number | null): ReturnType<LabBreaker['plantForAWhile']> {
    const one = await putIn({ name: null, fault, forMs: null, everyMs });
    // What is over at once leaves nothing to heal.
    if ('verdict' in one) return one.verdict === 'pass' ? { heal: async () => undefined } : one;
    return { heal: () => takeOut(one, options.signal) };
  }

  async function heal(name: string | null, signal: AbortSignal): Promise<Outcome> {
    const chosen = kept.filter((one) => name === null || one.order.name === name);
    if (chosen.length === 0) {
      const reason = name === null ? 'No fault is in any more.' : `The fault "${name}" is not in any more.`;
      return { verdict: 'pass', reason };
    }
    for (const one of [...chosen].reverse()) await takeOut(one, signal);
    const what = chosen.map(({ order }) => faultText(order.fault)).join('; ');
    return { verdict: 'pass', reason: `Healed: ${what}.` };
  }

  async function end({ startHosts }: { startHosts: boolean }): Promise<void> {
    for (const one of [...kept].reverse()) {
      one.over.abort();
      await one.byItself;
      if (one.order.fault.kind === 'poweroff' && !startHosts) continue;
      await takeOut(one, options.signal).catch((error: unknown) => log('error', messageOf(error)));
    }
  }

  return { plant, plantForAWhile, heal, end, planted: () => kept.map(({ order }) => order) };
}
