import { NetrigError } from '../errors.js';
import type { EmitEvent } from '../model/events.js';
import { toldAs, type FeedbackLevel } from '../model/feedback.js';
import type { SavedValue } from '../model/saved.js';
import type { Outcome } from '../model/verdict.js';
import type { LabPlan } from '../plan/lab-plan.js';
import { provisionHost } from '../session/provision.js';
import { faultKeeper } from './faults.js';
import { planLab } from '../plan/plan.js';
import type { IsolationWish, Provider, RunningLab } from '../providers/provider.js';
import type { Scenario, ScenarioItem, StepItem } from '../scenario/scenario.js';
import type { LabSession } from '../session/session.js';
import type { Timed } from './attempts.js';
import { labBroken, labErrorText, log, skipped, type Course } from './course.js';
import { keepEvidence } from './evidence.js';
import { performItem } from './perform.js';
import { maskBytesOf, maskOf } from './mask.js';
import { itemsOf, plannedScenario } from './planned-items.js';
import { scenarioLab } from './scenario-lab.js';

export interface ScenarioRunOptions {
  provider: Provider;
  emit: EmitEvent;
  /** Directory of the run; files of checks go below it. */
  runDir: string;
  signal: AbortSignal;
  /** 1 for the first time that the scenario is run in this run. */
  attempt?: number;
  /** How a lab comes to be; default: the provider makes it, in this process. */
  up?: (provider: Provider, plan: LabPlan) => Promise<RunningLab>;
  /** Leaves the lab up when something was not as expected. */
  keepOnFail?: boolean;
  /** How the provider is to keep hosts from the machine; default `auto`. */
  isolation?: IsolationWish;
  /** Steps whose failure stops nothing: an answer that somebody gives is judged by the checks alone. Default: none. */
  mayFail?: (item: StepItem) => boolean;
  /** Whoever reads of the run may know no more of its checks than that; default: all. */
  tell?: FeedbackLevel | null;
  /** Why items that were never asked for were not run; default: not selected. */
  notAskedFor?: string;
  /** Nothing is provisioned, steps are not applied, and checks that may change something are left out. */
  checkOnly?: boolean;
  /** Called after each value that a step saved, with all of them: for labs that stay, whose checks may come later. */
  onSaved?: (lab: RunningLab, values: Record<string, SavedValue>) => void;
  /** A lab that is up already, its steps done: only checks are run, and it stays. */
  existing?: RunningLab;
  /** With `existing`: the steps of the scenario are further ones, and are done. */
  furtherSteps?: boolean;
  /** Versions of the lab's engines by host, of runs before on the same lab: to ask an engine may start one that was stopped. */
  engineVersions?: Map<string, Promise<string>>;
  /** Instead of SSH to the lab's hosts, for tests. */
  openSession?: (lab: RunningLab) => LabSession;
  /** Why the machine has no time for the lab just now; default: what the kernel says. */
  starvation?: () => string | null;
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
  /** The error of the lab, in whole sentences, that ended the scenario; `null` for none. */
  broke(): string | null;
  /** The lab, once it is up: for callers that keep it. */
  lab(): RunningLab | null;
  /** The connections to its hosts, once it is up. */
  session(): LabSession | null;
}

/** Whether an outcome leaves the run as good as it was: a check that is a warning may fail. */
export function isAsExpected(item: ScenarioItem, { verdict }: Outcome): boolean {
  if (verdict === 'pass' || verdict === 'skipped') return true;
  return item.kind === 'check' && item.level === 'warning' && verdict !== 'error';
}

function settle(course: Course, item: ScenarioItem, { outcome: seen, attempts, durationMs }: Timed): Outcome {
  const { tell } = course.options;
  const outcome = course.mask(tell && item.kind === 'check' ? toldAs(seen, tell) : seen);
  course.outcomes.set(item.id, outcome);
  course.emit({ type: 'item:end', scenario: course.scenario.id, item: item.id, outcome, attempts, durationMs });
  return outcome;
}

function settleUntried(course: Course, item: ScenarioItem, outcome: Outcome): Outcome {
  return settle(course, item, { outcome, attempts: 0, durationMs: 0, shown: 0 });
}

function stepsAreDone({ existing, furtherSteps }: ScenarioRunOptions): boolean {
  return existing !== undefined && furtherSteps !== true;
}

/** Why an item is left out whatever the lab is like, `null` where it is not. */
function leftOut({ options }: Course, item: ScenarioItem): string | null {
  if (item.kind === 'step' && stepsAreDone(options)) return 'the lab is up already, with its steps done';
  if (!options.checkOnly) return null;
  if (item.kind === 'step') return 'steps are not applied with --check-only';
  const change = item.type.mayChange(item.spec);
  return change === null ? null : `${change}, so it is not run with --check-only`;
}

async function performNow(course: Course, item: ScenarioItem): Promise<Outcome> {
  course.emit({ type: 'item:start', scenario: course.scenario.id, item: item.id });
  const timed = await performItem(course, item);
  const { verdict } = timed.outcome;
  const last = item.kind === 'step' && item.last;
  const goesOn = item.kind === 'step' && verdict !== 'error' && course.options.mayFail?.(item) === true;
  if (item.kind === 'step' && !last && !goesOn && verdict !== 'pass' && verdict !== 'skipped')
    course.lab.stop(`the step "${item.title}" (line ${item.source.line}) did not succeed`);
  // What follows is about a lab in which it was done.
  if (item.kind === 'step' && !last && !goesOn && verdict === 'skipped' && timed.attempts > 0)
    course.lab.stop(`the step "${item.title}" (line ${item.source.line}) cannot be taken here`);
  return settle(course, item, timed);
}

/** After Ctrl-C nobody waits for hosts that go at once anyway. */
async function healFaults({ lab, faults, signal }: Course): Promise<void> {
  await faults.end({ startHosts: !signal.aborted && !lab.gone.aborted });
}

/** A step of `finally`: it runs whatever happened, as long as there is a lab on which something may be left. */
async function performLast(course: Course, item: StepItem): Promise<Outcome> {
  const { lab } = course;
  const skip = (reason: string): Outcome => settleUntried(course, item, skipped(lab.stopped ?? reason));
  if (lab.starting === null) return skip('nothing was done before it');
  await lab.starting;
  // The first of them: it and all that follow find the lab whole.
  if (!course.items.some((one) => one.kind === 'step' && one.last && course.outcomes.has(one.id)))
    await healFaults(course);
  return lab.session === null || lab.gone.aborted ? skip('the lab did not come up') : performNow(course, item);
}

/** What an item needs first: the lab, and the steps that stand before it. */
async function prepareFor(course: Course, item: ScenarioItem): Promise<Outcome | null> {
  const { lab, options, items, outcomes, signal } = course;
  const firstItem = lab.starting === null;
  await lab.ready();
  const death = lab.look();
  // A lab that was up and is no more; one that never came up is an error of the scenario, and nothing of its items was tried.
  if (death !== null && firstItem && options.existing && !signal.aborted) return labBroken(death);
  if (lab.stopped === null && !stepsAreDone(options) && !options.checkOnly) {
    for (const before of items.slice(0, items.indexOf(item)))
      if (before.kind === 'step' && !before.last && !outcomes.has(before.id)) await performOne(course, before);
  }
  return lab.stopped === null ? null : skipped(lab.stopped);
}

async function performOne(course: Course, item: ScenarioItem): Promise<Outcome> {
  const known = course.outcomes.get(item.id);
  if (known) return known;
  const { lab, signal } = course;
  const reason = leftOut(course, item);
  if (reason !== null) return settleUntried(course, item, skipped(reason));
  if (signal.aborted) lab.stop('the run was interrupted');
  if (item.kind === 'step' && item.last) return performLast(course, item);
  const hindered = lab.stopped === null ? await prepareFor(course, item) : skipped(lab.stopped);
  return hindered === null ? performNow(course, item) : settleUntried(course, item, hindered);
}

/** All that was never asked for gets its outcome; the steps of `finally` run even where a selection left them out. */
async function settleTheRest(course: Course): Promise<void> {
  const { items, outcomes, lab, options, signal } = course;
  for (const item of items)
    if (item.kind === 'step' && item.last && !outcomes.has(item.id)) await performOne(course, item);
  const reason = signal.aborted
    ? 'the run was interrupted'
    : (lab.stopped ?? options.notAskedFor ?? 'not selected for this run');
  for (const item of items) if (!outcomes.has(item.id)) settleUntried(course, item, skipped(reason));
}

/** Takes the lab down, or leaves it; the id of one that stays. */
async function endLab(course: Course): Promise<string | null> {
  const { items, outcomes, lab, options, signal, plan } = course;
  const asExpected = lab.error === null && items.every((item) => isAsExpected(item, outcomes.get(item.id)!));
  if (lab.running && options.keepOnFail && !asExpected && !signal.aborted && !lab.gone.aborted) {
    const { id } = lab.running;
    const look = `netrig ssh ${plan.hosts[0]?.name ?? 'HOST'} --lab ${id}`;
    log(course, 'warn', `The lab ${id} is kept: look with "${look}", end it with "netrig down ${id}".`);
    return id;
  }
  if (options.existing) return lab.gone.aborted ? null : options.existing.id;
  await lab.takeDown();
  return null;
}

async function finish(course: Course, startedAt: number): Promise<void> {
  const { lab, signal, scenario } = course;
  await settleTheRest(course);
  await healFaults(course);
  lab.look();
  if (lab.session && !signal.aborted && !lab.gone.aborted) await keepEvidence(course);
  await lab.leave();
  const stays = await endLab(course);
  const { error } = lab;
  course.emit({
    type: 'scenario:end',
    scenario: scenario.id,
    durationMs: performance.now() - startedAt,
    ...(error && !signal.aborted ? { error: { code: error.code, message: labErrorText(error) } } : {}),
    ...(stays === null ? {} : { stays }),
  });
}

async function applySteps(course: Course, perform: (id: string) => Promise<Outcome>): Promise<NetrigError | null> {
  const { lab, items, scenario } = course;
  await lab.ready();
  for (const item of items) {
    if (lab.stopped !== null) break;
    // A lab that stays up has its last steps before it no longer does.
    if (item.kind === 'step' && !item.last) await perform(item.id);
  }
  await healFaults(course);
  if (lab.error) return lab.error;
  return lab.stopped === null
    ? null
    : new NetrigError('NETRIG_STEP_FAILED', `The lab of ${scenario.id} was taken down: ${lab.stopped}.`);
}

/** Says at once all that will be reported on; the lab comes up when the first item is asked for. */
export function createScenarioRun(scenario: Scenario, given: ScenarioRunOptions): ScenarioRun {
  const mask = maskOf(scenario.secrets);
  const emit: EmitEvent = (event) => given.emit(mask(event));
  const options = { ...given, emit };
  const { signal } = options;
  const plan = planLab(scenario);
  const items = itemsOf(scenario);
  const lab = scenarioLab({ scenario, plan, options });
  const course: Course = {
    scenario,
    plan,
    items,
    options,
    emit,
    signal,
    lab,
    faults: faultKeeper({
      lab: () => lab.running,
      session: () => lab.session,
      provision: (session, host, until) =>
        provisionHost(
          session,
          plan.hosts.find((one) => one.name === host)!,
          until,
        ),
      log: (level, text) => emit({ type: 'log', scenario: scenario.id, level, text }),
      signal,
    }),
    outcomes: new Map(),
    background: [],
    saved: new Map(Object.entries(options.existing?.record.saved ?? {})),
    engineVersions: options.engineVersions ?? new Map(),
    mask,
    maskBytes: maskBytesOf(scenario.secrets),
  };
  const startedAt = performance.now();
  let finishing: Promise<void> | null = null;
  /** Tail of the queue: one item at a time, in the order asked for. */
  let queue: Promise<unknown> = Promise.resolve();
  emit({
    type: 'scenario:start',
    attempt: options.attempt ?? 1,
    ...plannedScenario(scenario, options.provider.name),
  });

  function perform(id: string): Promise<Outcome> {
    const item = items.find((one) => one.id === id);
    if (!item) throw new NetrigError('NETRIG_INTERNAL', `The scenario ${scenario.id} has no item ${id}.`);
    const result = queue.then(() => performOne(course, item));
    queue = result.catch(() => undefined);
    return result;
  }

  return {
    scenario,
    items,
    applySteps: () => applySteps(course, perform),
    leave: () => queue.then(() => course.lab.leave()),
    perform,
    finish: () => (finishing ??= queue.then(() => finish(course, startedAt))),
    broke: () => (lab.error === null || signal.aborted ? null : mask(`${labErrorText(lab.error)} (${lab.error.code})`)),
    lab: () => course.lab.running,
    session: () => course.lab.session,
  };
}
