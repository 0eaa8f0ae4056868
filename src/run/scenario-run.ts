import { setMaxListeners } from 'node:events';
import semver from 'semver';
import type { ProbeContext, ProbeHost } from '../places/context.js';
import { isRepeatable } from '../checks/kind.js';
import { isNetrigError, messageOf, NetrigError } from '../errors.js';
import { diagnose, forgetDiagnoses } from '../diagnosis/diagnose.js';
import { withDiagnosis } from '../judging/outcome.js';
import { provision } from '../session/provision.js';
import { openSession, type LabSession, type RecordTranscript } from '../session/session.js';
import { formatDuration } from '../model/duration.js';
import type { EmitEvent } from '../model/events.js';
import type { SavedValue } from '../model/saved.js';
import type { Outcome } from '../model/verdict.js';
import { planLab } from '../plan/plan.js';
import type { IsolationWish, Provider, RunningLab } from '../providers/provider.js';
import { parseVantage } from '../language/endpoint.js';
import type { CheckItem, Scenario, ScenarioItem, StepItem } from '../scenario/scenario.js';
import { lookScript, readLook } from '../steps/background.js';
import { defaultStepTimeoutMs, type BackgroundProcess } from '../steps/kind.js';
import { attemptsOf, type Attempt, type Timed } from './attempts.js';
import { conditionReason } from './condition.js';
import { readEngineState } from './engine-state.js';
import { itemsOf, plannedItem, topologyOf } from './planned-items.js';

/** Time for one attempt of a check whose kind names none, ms. */
const defaultCheckTimeoutMs = 15_000;
/** What a step or attempt may take beyond its own time before its commands are ended from here, ms. */
const overrunMs = 5000;
/** Time for finding out why a check failed, ms. */
const diagnosisMs = 10_000;
/** What a step of `finally` may take once the run was interrupted, ms. */
const lastStepsAfterInterruptMs = 10_000;
/** How much of a background process's log is kept, bytes. */
const keptLogBytes = 256 * 1024;

export interface ScenarioRunOptions {
  provider: Provider;
  emit: EmitEvent;
  /** Directory of the run; files of checks go below it. */
  runDir: string;
  signal: AbortSignal;
  /** 1 for the first time that the scenario is run in this run. */
  attempt?: number;
  /** How a lab comes to be; default: the provider makes it, in this process. */
  up?: (provider: Provider, plan: ReturnType<typeof planLab>) => Promise<RunningLab>;
  /** Leaves the lab up when something was not as expected. */
  keepOnFail?: boolean;
  /** How the provider is to keep hosts from the machine; default `auto`. */
  isolation?: IsolationWish;
  /** Why items that were never asked for were not run; default: not selected. */
  notAskedFor?: string;
  /** Nothing is provisioned, steps are not applied, and checks that may change something are left out. */
  checkOnly?: boolean;
  /** Called after each value that a step saved, with all of them: for labs that stay, whose checks may come later. */
  onSaved?: (lab: RunningLab, values: Record<string, SavedValue>) => void;
  /** A lab that is up already, its steps done: only checks are run, and it stays. */
  existing?: RunningLab;
}

/** One scenario on its way: items are asked for in any order, and what an item needs happens before it. */
export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly items: readonly ScenarioItem[];
  /** Runs the item, after all steps that stand before it. Never rejects; asked again, it gives the same outcome. */
  perform(id: string): Promise<Outcome>;
  /** All steps, no checks. Resolves to what stopped it, or `null`. */
  applySteps(): Promise<NetrigError | null>;
  /** Ends the session and leaves the lab up. */
  leave(): Promise<void>;
  /** Keeps what is worth keeping, takes the lab down, reports what was never asked for. Safe to call twice. */
  finish(): Promise<void>;
  /** The lab, once it is up: for callers that keep it. */
  lab(): RunningLab | null;
  /** The connections to its hosts, once it is up. */
  session(): LabSession | null;
}

function skipped(reason: string): Outcome {
  return { verdict: 'skipped', reason };
}

function broken(error: unknown): Outcome {
  const code = isNetrigError(error) ? error.code : 'NETRIG_INTERNAL';
  const stack = isNetrigError(error) || !(error instanceof Error) ? '' : ` ${error.stack ?? ''}`;
  return { verdict: 'error', reason: `${messageOf(error)} (${code})${stack}` };
}

/** Hosts whose engine or image a `when` speaks of: where a step runs, where a check looks from or at. */
function hostsOf(item: ScenarioItem, scenario: Scenario): string[] {
  const known = new Set(scenario.hosts.map((host) => host.name));
  const named =
    item.kind === 'step'
      ? item.on
      : item.type.endpoints(item.spec).map((use) => parseVantage(use.endpoint)?.host ?? '');
  const found = [...new Set(named.filter((name) => known.has(name)))];
  return found.length > 0 ? found : [...known];
}

/** Whether an outcome leaves the run as good as it was: a check that is a warning may fail. */
function isAsExpected(item: ScenarioItem, { verdict }: Outcome): boolean {
  if (verdict === 'pass' || verdict === 'skipped') return true;
  return item.kind === 'check' && item.level === 'warning' && verdict !== 'error';
}

export function createScenarioRun(scenario: Scenario, options: ScenarioRunOptions): ScenarioRun {
  const { emit, signal } = options;
  const plan = planLab(scenario);
  const items = itemsOf(scenario);
  const outcomes = new Map<string, Outcome>();
  const background: BackgroundProcess[] = [];
  /** Values that steps saved for later items. */
  const saved = new Map<string, SavedValue>(Object.entries(options.existing?.record.saved ?? {}));
  const engineVersions = new Map<string, Promise<string>>();
  const startedAt = performance.now();
  let session: LabSession | null = null;
  let running: RunningLab | null = null;
  let starting: Promise<void> | null = null;
  let finishing: Promise<void> | null = null;
  /** Why nothing more can be run. */
  let stopped: string | null = null;
  let labError: NetrigError | null = null;
  /** Tail of the queue: one item at a time, in the order asked for. */
  let queue: Promise<unknown> = Promise.resolve();

  emit({
    type: 'scenario:start',
    scenario: scenario.id,
    attempt: options.attempt ?? 1,
    file: scenario.file,
    title: scenario.title,
    description: scenario.description,
    ...(scenario.text === '' ? {} : { text: scenario.text }),
    tags: scenario.tags,
    covers: scenario.covers,
    matrix: scenario.matrix,
    provider: options.provider.name,
    planned: items.map(plannedItem),
    topology: topologyOf(plan),
  });

  function recorder(item: string | null): RecordTranscript {
    return (transcript) => emit({ type: 'command', scenario: scenario.id, item, transcript });
  }

  function contextFor(
    item: string | null,
    timeoutMs: number,
    over: { later?: ProbeContext['later']; until?: AbortSignal; cut?: () => void } = {},
  ) {
    if (!session) throw new NetrigError('NETRIG_INTERNAL', 'An item ran before its lab was up.');
    const within = AbortSignal.any([over.until ?? signal, AbortSignal.timeout(Math.ceil(timeoutMs + overrunMs))]);
    // Every command of the item listens to it: many are no leak.
    setMaxListeners(0, within);
    return session.context({
      signal: within,
      timeoutMs,
      record: recorder(item),
      ...(over.later ? { later: over.later } : {}),
      ...(over.cut ? { cut: over.cut } : {}),
      files: { runDir: options.runDir, folder: `${scenario.id.replace(/[^A-Za-z0-9._-]+/g, '-')}/${item ?? 'lab'}` },
    });
  }

  async function missingCapability(): Promise<string | null> {
    if (scenario.requires.length === 0) return null;
    const known = new Map(
      (
        await options.provider.capabilities({
          signal,
          progress: (text) => emit({ type: 'log', scenario: scenario.id, level: 'info', text }),
        })
      ).map((capability) => [capability.name, capability]),
    );
    for (const name of scenario.requires) {
      const capability = known.get(name);
      if (!capability) return `needs ${name}, which the ${options.provider.name} provider does not know`;
      if (!capability.have) return `needs ${name}, which this machine does not have: ${capability.seen}`;
    }
    return null;
  }

  async function bringUp(): Promise<void> {
    if (options.existing) {
      running = options.existing;
      session = openSession(running);
      return;
    }
    const missing = await missingCapability();
    if (missing) {
      stopped = missing;
      return;
    }
    await options.provider.preflight(plan);
    const up =
      options.up ??
      ((provider, labPlan) =>
        provider.up(labPlan, {
          signal,
          emit,
          scenario: scenario.id,
          ...(options.isolation ? { isolation: options.isolation } : {}),
          ...(options.checkOnly ? { readOnly: true } : {}),
        }));
    running = await up(options.provider, plan);
    session = openSession(running);
    if (options.checkOnly) return;
    const begin = performance.now();
    emit({ type: 'phase', scenario: scenario.id, phase: 'provision', state: 'start', text: 'Provisioning over SSH' });
    await provision(session, signal);
    emit({
      type: 'phase',
      scenario: scenario.id,
      phase: 'provision',
      state: 'end',
      text: 'Provisioned over SSH',
      durationMs: performance.now() - begin,
    });
  }

  async function ready(): Promise<void> {
    starting ??= bringUp().catch(async (error: unknown) => {
      labError =
        error instanceof NetrigError ? error : new NetrigError('NETRIG_INTERNAL', messageOf(error), { cause: error });
      stopped = signal.aborted ? 'the run was interrupted' : `the lab did not come up: ${messageOf(error)}`;
    });
    await starting;
  }

  function engineVersion(host: ProbeHost): Promise<string> {
    let version = engineVersions.get(host.name);
    if (!version) {
      version = host
        .exec(['docker', 'version', '--format', '{{.Server.Version}}'], { timeoutMs: 30_000 })
        .then((result) => (result.exitCode === 0 ? result.stdout.trim() : ''));
      engineVersions.set(host.name, version);
    }
    return version;
  }

  /** Why the item is not for this lab, or `null`. */
  async function excluded(item: ScenarioItem): Promise<string | null> {
    if (!item.when) return null;
    for (const [name, { values, here }] of Object.entries(item.when.vars ?? {}))
      if (!values.includes(here)) return conditionReason(name, values.join(' or '), here);
    const hosts = hostsOf(item, scenario);
    if (item.when.image) {
      const images = scenario.hosts.filter((host) => hosts.includes(host.name)).map((host) => host.image);
      if (!images.some((image) => item.when?.image?.includes(image)))
        return conditionReason('image', item.when.image.join(' or '), [...new Set(images)].join(', '));
    }
    if (item.when.engine) {
      const context = contextFor(item.id, 30_000);
      const engines = scenario.hosts.filter((host) => host.engine).map((host) => host.name);
      const own = hosts.filter((name) => engines.includes(name));
      // Seen from hosts without an engine (a router, a client), the condition is about the lab's engines.
      const withEngine = own.length > 0 ? own : engines;
      const versions = await Promise.all(
        withEngine.map(async (name) => ({ name, version: await engineVersion(context.host(name)) })),
      );
      const unknown = versions.find(({ version }) => !semver.coerce(version));
      if (unknown)
        throw new NetrigError(
          'NETRIG_CAPABILITY',
          `The engine on ${unknown.name} does not state its version, and the item is for engine ${item.when.engine} only.`,
        );
      if (!versions.some(({ version }) => semver.satisfies(semver.coerce(version)!, item.when!.engine!))) {
        return conditionReason('engine', item.when.engine, versions.map(({ version }) => version).join(', ') || 'none');
      }
    }
    return null;
  }

  async function runStep(item: StepItem): Promise<Timed> {
    const wanted = item.timeoutMs ?? defaultStepTimeoutMs;
    const begin = performance.now();
    // What must run whatever happened runs after Ctrl-C, too, but nobody then waits for long.
    const interrupted = item.last && signal.aborted;
    const timeoutMs = interrupted ? Math.min(wanted, lastStepsAfterInterruptMs) : wanted;
    forgetDiagnoses(plan);
    const context = {
      ...contextFor(item.id, timeoutMs, item.last ? { until: new AbortController().signal } : {}),
      on: item.on,
      background,
      save: (name: string, value: SavedValue) => {
        saved.set(name, value);
        options.onSaved?.(running!, Object.fromEntries(saved));
      },
    };
    const outcome = await item.type.run(item.spec, context);
    return { outcome, attempts: 1, durationMs: performance.now() - begin };
  }

  async function runCheck(item: CheckItem): Promise<Timed> {
    const timeoutMs = item.timeoutMs ?? item.type.timeoutMs ?? defaultCheckTimeoutMs;
    let later: NonNullable<ProbeContext['later']> = { request: null };
    const attempt: Attempt = async (ms, report) => {
      const begin = performance.now();
      later = { request: null };
      try {
        return await item.type.run(item.spec, contextFor(item.id, ms, { later, cut: report.cut }));
      } catch (error) {
        if (isNetrigError(error, 'NETRIG_SSH_SILENT')) return { verdict: 'inconclusive', reason: messageOf(error) };
        const left = ms - (performance.now() - begin);
        // The way to the probe broke, not the network under test: once more over a new connection.
        const tryAgain = isNetrigError(error, 'NETRIG_SSH_LOST') && left > 0 && isRepeatable(item.type, item.spec);
        if (!tryAgain || signal.aborted) throw error;
        emit({
          type: 'log',
          scenario: scenario.id,
          level: 'warn',
          text: `${messageOf(error)} Trying once more over a new connection.`,
        });
        return item.type.run(item.spec, contextFor(item.id, left, { later, cut: report.cut }));
      }
    };
    const timed = await attemptsOf(
      attempt,
      { withinMs: item.withinMs, holdsForMs: item.holdsForMs, timeoutMs },
      signal,
    );
    if (timed.outcome.verdict !== 'fail' || later.request === null || signal.aborted) return timed;
    const found = await diagnose(contextFor(item.id, diagnosisMs), later.request);
    return { ...timed, outcome: withDiagnosis(timed.outcome, found) };
  }

  function settle(item: ScenarioItem, timed: Timed): Outcome {
    outcomes.set(item.id, timed.outcome);
    emit({
      type: 'item:end',
      scenario: scenario.id,
      item: item.id,
      outcome: timed.outcome,
      attempts: timed.attempts,
      durationMs: timed.durationMs,
    });
    return timed.outcome;
  }

  async function performOne(item: ScenarioItem): Promise<Outcome> {
    const known = outcomes.get(item.id);
    if (known) return known;
    const skip = (reason: string): Outcome => settle(item, { outcome: skipped(reason), attempts: 0, durationMs: 0 });
    if (options.existing && item.kind === 'step') return skip('the lab is up already, with its steps done');
    if (options.checkOnly && item.kind === 'step') return skip('steps are not applied with --check-only');
    const change = options.checkOnly && item.kind === 'check' ? item.type.mayChange(item.spec) : null;
    if (change !== null) return skip(`${change}, so it is not run with --check-only`);
    if (signal.aborted) stopped ??= 'the run was interrupted';
    if (item.kind === 'step' && item.last) return performLast(item, skip);
    if (stopped) return skip(stopped);
    const firstItem = starting === null;
    await ready();
    if (stopped) {
      // The first item carries the lab's error; the others say that it is the reason.
      if (firstItem && labError && !signal.aborted)
        return settle(item, { outcome: broken(labError), attempts: 0, durationMs: 0 });
      return skip(stopped);
    }
    if (!options.existing && !options.checkOnly) {
      for (const before of items.slice(0, items.indexOf(item))) {
        if (before.kind === 'step' && !before.last && !outcomes.has(before.id)) await performOne(before);
      }
      if (stopped) return skip(stopped);
    }
    return performNow(item);
  }

  /** A step of `finally`: it runs whatever happened, as long as there is a lab on which something may be left. */
  async function performLast(item: StepItem, skip: (reason: string) => Outcome): Promise<Outcome> {
    if (starting === null) return skip(stopped ?? 'nothing was done before it');
    await starting;
    return session === null ? skip(stopped ?? 'the lab did not come up') : performNow(item);
  }

  /** The item with the values that earlier steps saved; an outcome where one is missing or does not fit. */
  function withSaved<Item extends ScenarioItem>(item: Item): Item | Outcome {
    if (item.late === null) return item;
    const missing = item.late.names.filter((name) => !saved.has(name));
    if (missing.length > 0) {
      const reason = `No step saved a value as ${missing.map((name) => `\`${name}\``).join(', ')}: the one that does was left out. Give this item the same \`when\`.`;
      return options.existing || options.checkOnly ? skipped(reason) : { verdict: 'error', reason };
    }
    const resolved = item.late.resolve(saved);
    return 'message' in resolved ? { verdict: 'error', reason: resolved.message } : { ...item, spec: resolved.spec };
  }

  async function performWithSaved(item: ScenarioItem): Promise<Timed> {
    const ready = withSaved(item);
    if ('verdict' in ready) return { outcome: ready, attempts: 0, durationMs: 0 };
    return ready.kind === 'step' ? runStep(ready) : runCheck(ready);
  }

  async function performNow(item: ScenarioItem): Promise<Outcome> {
    const last = item.kind === 'step' && item.last;
    emit({ type: 'item:start', scenario: scenario.id, item: item.id });
    const begin = performance.now();
    let timed: Timed;
    try {
      const reason = await excluded(item);
      timed = reason === null ? await performWithSaved(item) : { outcome: skipped(reason), attempts: 0, durationMs: 0 };
    } catch (error) {
      timed = { outcome: broken(error), attempts: 1, durationMs: performance.now() - begin };
    }
    if (signal.aborted && timed.outcome.verdict !== 'pass' && !last)
      timed.outcome = {
        verdict: 'error',
        reason: `Interrupted after ${formatDuration(timed.durationMs)}. ${timed.outcome.reason}`,
      };
    if (item.kind === 'step' && !last && timed.outcome.verdict !== 'pass' && timed.outcome.verdict !== 'skipped') {
      stopped = `the step "${item.title}" (line ${item.source.line}) did not succeed`;
    }
    return settle(item, timed);
  }

  function perform(id: string): Promise<Outcome> {
    const item = items.find((one) => one.id === id);
    if (!item) throw new NetrigError('NETRIG_INTERNAL', `The scenario ${scenario.id} has no item ${id}.`);
    const result = queue.then(() => performOne(item));
    queue = result.catch(() => undefined);
    return result;
  }

  /** The output of each process that a `start` step left, and a word about those that ended before their lab did. */
  async function keepLogs(): Promise<void> {
    await Promise.all(
      background.map(async (one, index) => {
        const context = contextFor(null, 10_000);
        // Not through the recorder: nobody asked for this command.
        const connection = await session!.connection(one.host);
        const result = await connection.exec(lookScript(one, keptLogBytes), {
          timeoutMs: 10_000,
        });
        const { ended, log } = readLook(one, result.stdout);
        if (ended !== null) emit({ type: 'log', scenario: scenario.id, level: 'warn', text: ended });
        const attachment = await context.attach(
          `Log of "${one.command.trim()}" on ${one.host}`,
          // Two processes of one host each have a log of their own.
          `${one.host}-${index + 1}.log`,
          'text/plain',
          result.stdoutRaw.subarray(log),
        );
        emit({ type: 'artifact', scenario: scenario.id, item: null, attachment });
      }),
    );
  }

  async function keepEngineStates(): Promise<void> {
    await Promise.all(
      plan.hosts
        .filter((host) => host.engine)
        .map(async (host) => {
          const state = await readEngineState(await session!.connection(host.name));
          if (state) emit({ type: 'engine', scenario: scenario.id, state });
        }),
    );
  }

  /** The steps of `finally` that nobody asked for: they run even where a selection left them out. */
  async function performLastSteps(): Promise<void> {
    for (const item of items) if (item.kind === 'step' && item.last && !outcomes.has(item.id)) await performOne(item);
  }

  async function finishOnce(): Promise<void> {
    await queue;
    await performLastSteps();
    for (const item of items) {
      if (outcomes.has(item.id)) continue;
      const reason = signal.aborted
        ? 'the run was interrupted'
        : (stopped ?? options.notAskedFor ?? 'not selected for this run');
      settle(item, { outcome: skipped(reason), attempts: 0, durationMs: 0 });
    }
    if (session && !signal.aborted) {
      await Promise.all([keepLogs(), keepEngineStates()]).catch((error: unknown) => {
        emit({
          type: 'log',
          scenario: scenario.id,
          level: 'warn',
          text: `Not all logs and engine states could be kept: ${messageOf(error)}`,
        });
      });
    }
    await session?.close();
    const asExpected = items.every((item) => isAsExpected(item, outcomes.get(item.id)!));
    if (running && options.keepOnFail && !asExpected && !signal.aborted) {
      emit({
        type: 'log',
        scenario: scenario.id,
        level: 'warn',
        text: `The lab ${running.id} is kept: look with "netrig ssh ${plan.hosts[0]?.name ?? 'HOST'} --lab ${running.id}", end it with "netrig down ${running.id}".`,
      });
    } else if (running && !options.existing) {
      try {
        await running.down();
      } catch (error) {
        labError ??=
          error instanceof NetrigError ? error : new NetrigError('NETRIG_CLEANUP', messageOf(error), { cause: error });
        emit({ type: 'log', scenario: scenario.id, level: 'error', text: messageOf(error) });
      }
    }
    emit({
      type: 'scenario:end',
      scenario: scenario.id,
      durationMs: performance.now() - startedAt,
      ...(labError && !signal.aborted
        ? { error: { code: labError.code, message: `${labError.message} ${labError.hint}` } }
        : {}),
    });
  }

  async function applySteps(): Promise<NetrigError | null> {
    await ready();
    for (const item of items) {
      if (stopped) break;
      // A lab that stays up has its last steps before it no longer does.
      if (item.kind === 'step' && !item.last) await perform(item.id);
    }
    if (labError) return labError;
    return stopped === null
      ? null
      : new NetrigError('NETRIG_STEP_FAILED', `The lab of ${scenario.id} was taken down: ${stopped}.`);
  }

  async function leave(): Promise<void> {
    await queue;
    await session?.close();
  }

  return {
    scenario,
    items,
    applySteps,
    leave,
    perform,
    finish: () => (finishing ??= finishOnce()),
    lab: () => running,
    session: () => session,
  };
}
