import { messageOf, NetrigError } from '../errors.js';
import type { EmitEvent } from '../model/events.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { DeadPart, RunningLab } from '../providers/provider.js';
import type { Scenario } from '../scenario/scenario.js';
import { provision } from '../session/provision.js';
import { openSession, type LabSession } from '../session/session.js';
import { coded } from './course.js';
import type { ScenarioRunOptions } from './scenario-run.js';

/** How often it is looked whether all that a lab is made of still lives, ms. */
const watchMs = 500;

/** The lab of one scenario's run: how it comes to be, whether it still is, and its end. */
export interface ScenarioLab {
  /** Brings it up, once. Never rejects: `stopped` says why there is none. */
  ready(): Promise<void>;
  /** `null`: nobody has asked for it yet. */
  readonly starting: Promise<void> | null;
  readonly running: RunningLab | null;
  readonly session: LabSession | null;
  /** Why nothing more can be run, `null` while all is well. */
  readonly stopped: string | null;
  readonly error: NetrigError | null;
  /** Aborted when something that the lab is made of has died. */
  readonly gone: AbortSignal;
  stop(reason: string): void;
  /** Whether what the lab is made of still lives: looks now, and stops the run with an error that names what does not. */
  look(): NetrigError | null;
  /** A step ends this host on purpose: its death is no fault of the lab from now on. */
  expectGone(host: string): void;
  /** Ends the session; the lab stays. */
  leave(): Promise<void>;
  /** Takes it down. Never rejects: `error` says what is left. */
  takeDown(): Promise<void>;
}

export interface ScenarioLabOptions {
  scenario: Scenario;
  plan: LabPlan;
  options: ScenarioRunOptions;
}

/** Why the scenario's `requires:` cannot be had here, `null` where it can. */
async function missingCapability(
  scenario: Scenario,
  { provider, signal, emit }: ScenarioRunOptions,
): Promise<string | null> {
  if (scenario.requires.length === 0) return null;
  const progress = (text: string): void => emit({ type: 'log', scenario: scenario.id, level: 'info', text });
  const capabilities = await provider.capabilities({ signal, progress });
  const known = new Map<string, (typeof capabilities)[number]>(capabilities.map((one) => [one.name, one]));
  for (const name of scenario.requires) {
    const capability = known.get(name);
    if (!capability) return `needs ${name}, which the ${provider.name} provider does not know`;
    if (!capability.have) return `needs ${name}, which this machine does not have: ${capability.seen}`;
  }
  return null;
}

async function makeLab({ scenario, plan, options }: ScenarioLabOptions): Promise<RunningLab> {
  const { provider, signal, emit, checkOnly, isolation } = options;
  await provider.preflight(plan);
  if (options.up) return options.up(provider, plan);
  return provider.up(plan, {
    signal,
    emit,
    scenario: scenario.id,
    ...(isolation ? { isolation } : {}),
    ...(checkOnly ? { readOnly: true } : {}),
  });
}

async function provisionAll(
  session: LabSession,
  scenario: string,
  emit: EmitEvent,
  signal: AbortSignal,
): Promise<void> {
  const begin = performance.now();
  const phase = { type: 'phase', scenario, phase: 'provision' } as const;
  emit({ ...phase, state: 'start', text: 'Provisioning over SSH' });
  await provision(session, signal);
  emit({ ...phase, state: 'end', text: 'Provisioned over SSH', durationMs: performance.now() - begin });
}

function deathOf(dead: readonly DeadPart[]): NetrigError {
  const names = dead.map((one) => one.what).join(', ');
  return new NetrigError('NETRIG_LAB_DIED', `Of the lab itself this died: ${names}.`);
}

export function scenarioLab(given: ScenarioLabOptions): ScenarioLab {
  const { scenario, options } = given;
  const open = options.openSession ?? openSession;
  const gone = new AbortController();
  const mayBeGone = new Set<string>();
  let starting: Promise<void> | null = null;
  let running: RunningLab | null = null;
  let session: LabSession | null = null;
  let stopped: string | null = null;
  let error: NetrigError | null = null;
  let timer: NodeJS.Timeout | undefined;

  const look = (): NetrigError | null => {
    if (!running?.died || gone.signal.aborted) return gone.signal.aborted ? error : null;
    const dead = running.died().filter(({ host }) => host === null || !mayBeGone.has(host));
    if (dead.length === 0) return null;
    error ??= deathOf(dead);
    stopped ??= `the lab broke (${error.code})`;
    gone.abort(error);
    return error;
  };

  async function bringUp(): Promise<void> {
    if (!options.existing) stopped = await missingCapability(scenario, options);
    if (stopped !== null) return;
    running = options.existing ?? (await makeLab(given));
    session = open(running);
    timer = setInterval(look, watchMs).unref();
    if (options.existing || options.checkOnly) return;
    await provisionAll(session, scenario.id, options.emit, options.signal);
  }

  const leave = async (): Promise<void> => {
    clearInterval(timer);
    await session?.close();
  };

  return {
    ready() {
      starting ??= bringUp().catch((reason: unknown) => {
        error = look() ?? coded(reason);
        stopped = options.signal.aborted ? 'the run was interrupted' : `the lab did not come up (${error.code})`;
      });
      return starting;
    },
    get starting() {
      return starting;
    },
    get running() {
      return running;
    },
    get session() {
      return session;
    },
    get stopped() {
      return stopped;
    },
    get error() {
      return error;
    },
    gone: gone.signal,
    stop: (reason) => void (stopped ??= reason),
    look,
    expectGone: (host) => void mayBeGone.add(host),
    leave,
    async takeDown() {
      try {
        await running?.down();
      } catch (reason) {
        // The scenario ends with one error: another one would go untold.
        if (error) options.emit({ type: 'log', scenario: scenario.id, level: 'error', text: messageOf(reason) });
        error ??= coded(reason, 'NETRIG_CLEANUP');
      }
    },
  };
}
