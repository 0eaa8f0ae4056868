import { setMaxListeners } from 'node:events';
import { isNetrigError, messageOf, NetrigError } from '../errors.js';
import { asCoded } from '../model/refused-write.js';
import type { EmitEvent } from '../model/events.js';
import type { SavedValue } from '../model/saved.js';
import type { Fault } from '../model/fault.js';
import type { Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import type { LabPlan } from '../plan/lab-plan.js';
import type { Scenario, ScenarioItem } from '../scenario/scenario.js';
import type { RecordTranscript } from '../session/session.js';
import type { BackgroundProcess } from '../steps/kind.js';
import { more } from './attempts.js';
import type { FaultKeeper } from './faults.js';
import type { ScenarioLab } from './scenario-lab.js';
import type { ScenarioRunOptions } from './scenario-run.js';
import { machineStarvation } from './starvation.js';

/** What a step or attempt may take beyond its own time before its commands are ended from here, ms. */
const overrunMs = 5000;

/** What the phases of one scenario's run share. */
export interface Course {
  readonly scenario: Scenario;
  readonly plan: LabPlan;
  /** Everything that is reported on, in order. */
  readonly items: readonly ScenarioItem[];
  readonly options: ScenarioRunOptions;
  readonly emit: EmitEvent;
  readonly signal: AbortSignal;
  readonly lab: ScenarioLab;
  readonly outcomes: Map<string, Outcome>;
  readonly faults: FaultKeeper;
  readonly background: BackgroundProcess[];
  /** Values that steps saved for later items. */
  readonly saved: Map<string, SavedValue>;
  /** Versions that engines state, by host, asked once. */
  readonly engineVersions: Map<string, Promise<string>>;
  /** Takes the scenario’s secrets out of whatever leaves the run. */
  readonly mask: <Value>(value: Value) => Value;
  readonly maskBytes: (data: Buffer, mime: string) => Buffer;
}

export interface ItemContextOptions {
  later?: ProbeContext['later'];
  /** Instead of the run's own signal. */
  until?: AbortSignal;
  cut?: () => void;
  record?: RecordTranscript;
}

/** Puts the commands of an item, or of the lab as a whole, into the record; not those that say more than may be told. */
export function recorder(course: Course, item: string | null): RecordTranscript {
  const isCheck = course.items.some(({ id, kind }) => id === item && kind === 'check');
  if (isCheck && course.options.tell === 'verdict') return () => undefined;
  return (transcript) => course.emit({ type: 'command', scenario: course.scenario.id, item, transcript });
}

/** What one step, attempt or look at the lab gets to work with for `timeoutMs`. */
export function contextFor(
  course: Course,
  item: string | null,
  timeoutMs: number,
  over: ItemContextOptions = {},
): ProbeContext {
  const { scenario, options, lab } = course;
  if (!lab.session) throw new NetrigError('NETRIG_INTERNAL', 'An item ran before its lab was up.');
  const signals = [over.until ?? course.signal, lab.gone, AbortSignal.timeout(Math.ceil(timeoutMs + overrunMs))];
  const within = AbortSignal.any(signals);
  // Every command of the item listens to it: many are no leak.
  setMaxListeners(0, within);
  const context = lab.session.context({
    signal: within,
    timeoutMs,
    record: over.record ?? recorder(course, item),
    ...(options.checkOnly ? { readOnly: true } : {}),
    ...(over.later ? { later: over.later } : {}),
    ...(over.cut ? { cut: over.cut } : {}),
    files: { runDir: options.runDir, folder: `${scenario.id.replace(/[^A-Za-z0-9._-]+/g, '-')}/${item ?? 'lab'}` },
  });
  const attach: ProbeContext['attach'] = (title, name, mime, data) =>
    context.attach(title, name, mime, course.maskBytes(data, mime));
  return {
    ...context,
    attach,
    planted: () => plantedFaults(course),
    ...(options.checkOnly ? {} : { breaker: course.faults }),
  };
}

/** Faults that steps put in and that are in all the time: one that comes and goes is in the way only now and then. */
export function plantedFaults({ faults }: Course): Fault[] {
  return faults.planted().flatMap(({ fault, everyMs }) => (everyMs === null ? [fault] : []));
}

export function log(course: Course, level: 'info' | 'warn' | 'error', text: string): void {
  course.emit({ type: 'log', scenario: course.scenario.id, level, text });
}

/** Why the machine has no time for the lab just now, `null` where it has. */
export function starvation(course: Course): string | null {
  return (course.options.starvation ?? machineStarvation)();
}

export function skipped(reason: string): Outcome {
  return { verdict: 'skipped', reason };
}

/**
 * What an error of netrig or the lab makes of an item. A host that says nothing leaves open what is true of the network; one that a
 * step powered off is no error: what was to be seen there is not there.
 */
export function broken(error: unknown): Outcome {
  if (isNetrigError(error, 'NETRIG_HOST_OFF')) return { verdict: 'fail', cause: 'absent', reason: messageOf(error) };
  if (isNetrigError(error, 'NETRIG_SSH_SILENT')) return { verdict: 'inconclusive', reason: messageOf(error) };
  const known = asCoded(error);
  if (known) return { verdict: 'error', reason: `${known.message} (${known.code})` };
  const stack = error instanceof Error ? ` ${error.stack ?? ''}` : '';
  return { verdict: 'error', reason: `${messageOf(error)} (NETRIG_INTERNAL)${stack}` };
}

/** An error of the lab in whole sentences: what, and how to mend it. */
export function labErrorText({ message, hint }: NetrigError): string {
  return more(message, hint);
}

/** What an error of the lab as a whole makes of the item under which it came; the scenario ends with the same words. */
export function labBroken(error: NetrigError): Outcome {
  return { verdict: 'error', reason: `${labErrorText(error)} (${error.code})` };
}

/** The error itself where it is coded, else one of that code around it. */
export function coded(error: unknown, code: 'NETRIG_INTERNAL' | 'NETRIG_CLEANUP' = 'NETRIG_INTERNAL'): NetrigError {
  return asCoded(error) ?? new NetrigError(code, messageOf(error), { cause: error });
}
