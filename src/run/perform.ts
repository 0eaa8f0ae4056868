import { isRepeatable } from '../checks/kind.js';
import { withFaults } from '../diagnosis/broken-by-steps.js';
import { diagnose, forgetDiagnoses, outOfTime, type DiagnosisRequest } from '../diagnosis/diagnose.js';
import { isNetrigError, messageOf } from '../errors.js';
import { withDiagnosis } from '../judging/outcome.js';
import { formatDuration } from '../model/duration.js';
import type { Transcript } from '../model/events.js';
import type { Diagnosis, Outcome } from '../model/verdict.js';
import type { ProbeContext } from '../places/context.js';
import type { LimitMet } from '../providers/provider.js';
import type { CheckItem, ScenarioItem, StepItem } from '../scenario/scenario.js';
import { defaultStepTimeoutMs } from '../steps/kind.js';
import { attemptsOf, more, type Attempt, type Timed, type Timing } from './attempts.js';
import {
  broken,
  contextFor,
  labBroken,
  log,
  plantedFaults,
  recorder,
  skipped,
  starvation,
  type Course,
} from './course.js';
import { excluded } from './when.js';

/** Time for one attempt of a check whose kind names none, ms. */
const defaultCheckTimeoutMs = 15_000;
/** Time for finding out why a check failed, ms. */
const diagnosisMs = 10_000;
/** What a step of `finally` may take once the run was interrupted, ms. */
const lastStepsAfterInterruptMs = 10_000;
/** How much longer things may take on a machine that has no time. */
const starvedFactor = 3;
/** Of how many attempts the commands are held back until it is known which one is the verdict. */
const heldAttempts = 8;

/** One step or check, from its conditions to its outcome. Never rejects. */
export async function performItem(course: Course, item: ScenarioItem): Promise<Timed> {
  const begin = performance.now();
  const last = item.kind === 'step' && item.last;
  let timed: Timed;
  try {
    const reason = await excluded(course, item);
    if (reason !== null) return { outcome: skipped(reason), attempts: 0, durationMs: 0, shown: 0 };
    timed = await performWithSaved(course, item);
  } catch (error) {
    timed = { outcome: broken(error), attempts: 1, durationMs: performance.now() - begin, shown: 1 };
  }
  const met = course.lab.running?.limitsMet?.() ?? [];
  if (timed.outcome.verdict !== 'pass') timed = { ...timed, outcome: last ? timed.outcome : blamed(course, timed) };
  return met.length === 0 ? timed : { ...timed, outcome: limited(timed.outcome, met) };
}

/** Where a limit was reached meanwhile, nothing that was seen is the network's doing: not what failed, nor what held. */
function limited(outcome: Outcome, met: readonly LimitMet[]): Outcome {
  const what = met.map((one) => one.text).join('; ');
  return {
    ...outcome,
    verdict: 'error',
    reason: `${what}. Meanwhile it came to ${outcome.verdict}: ${outcome.reason}`,
  };
}

/** The item with the values that earlier steps saved; an outcome where one is missing or does not fit. */
function withSaved<Item extends ScenarioItem>({ saved, options }: Course, item: Item): Item | Outcome {
  if (item.late === null) return item;
  const missing = item.late.names.filter((name) => !saved.has(name));
  if (missing.length > 0) {
    const names = missing.map((name) => `\`${name}\``).join(', ');
    const reason = `No step saved a value as ${names}: the one that does was left out. Give this item the same \`when\`.`;
    return options.existing || options.checkOnly ? skipped(reason) : { verdict: 'error', reason };
  }
  const resolved = item.late.resolve(saved);
  return 'message' in resolved ? { verdict: 'error', reason: resolved.message } : { ...item, spec: resolved.spec };
}

async function performWithSaved(course: Course, item: ScenarioItem): Promise<Timed> {
  const ready = withSaved(course, item);
  if ('verdict' in ready) return { outcome: ready, attempts: 0, durationMs: 0, shown: 0 };
  return ready.kind === 'step' ? takeStep(course, ready) : runCheck(course, ready);
}

/** What did not pass is the lab's, or the reader's own doing, where the lab died under it or the run was interrupted. */
function blamed(course: Course, { outcome, durationMs }: Timed): Outcome {
  if (course.signal.aborted) {
    const reason = more(`Interrupted after ${formatDuration(durationMs)}.`, outcome.reason);
    return { verdict: 'error', reason };
  }
  const death = course.lab.look();
  return death === null ? outcome : labBroken(death);
}

/** A step that ran out of time on a machine that has none shows nothing of the lab. */
async function takeStep(course: Course, item: StepItem): Promise<Timed> {
  const begin = performance.now();
  const wanted = item.timeoutMs ?? defaultStepTimeoutMs;
  // A step cannot be taken twice: where there is no time to be had, it gets more of it at once.
  const starvedBefore = starvation(course);
  // What must run whatever happened runs after Ctrl-C, too, but nobody then waits for long.
  const interrupted = item.last && course.signal.aborted;
  const timeoutMs = interrupted
    ? Math.min(wanted, lastStepsAfterInterruptMs)
    : wanted * (starvedBefore === null ? 1 : starvedFactor);
  forgetDiagnoses(course.plan);
  let cut = false;
  const context = contextFor(course, item.id, timeoutMs, {
    cut: () => (cut = true),
    ...(item.last ? { until: new AbortController().signal } : {}),
  });
  const outcome = await item.type
    .run(item.spec, {
      ...context,
      on: item.on,
      folders: item.folders,
      background: course.background,
      breaker: course.faults,
      save: (name, value) => {
        course.saved.set(name, value);
        course.options.onSaved?.(course.lab.running!, Object.fromEntries(course.saved));
      },
      expectGone: course.lab.expectGone,
    })
    .catch(broken);
  const durationMs = performance.now() - begin;
  const done = (found: Outcome): Timed => ({ outcome: found, attempts: 1, durationMs, shown: 1 });
  if (outcome.verdict === 'pass' || !(cut || outcome.cause === 'timeout')) return done(outcome);
  const why = starvation(course) ?? starvedBefore;
  if (why === null) return done(outcome);
  const longer = starvedBefore === null ? '' : `, although it had ${starvedFactor} times its time`;
  const reason = more(outcome.reason, `This machine is starved (${why})${longer}: that says nothing of the lab.`);
  return done({ ...outcome, verdict: 'error', reason });
}

interface AttemptNotes {
  /** What may be asked for a diagnosis, by attempt. */
  laters: Map<number, NonNullable<ProbeContext['later']>>;
  commands: Map<number, Transcript[]>;
  made: number;
  /** Attempts of which something was ended because their time was over. */
  cut: Set<number>;
}

function forgetOldest(notes: AttemptNotes): void {
  const old = notes.made - heldAttempts;
  notes.commands.delete(old);
  notes.laters.delete(old);
}

/** Attempts at a check, each with the commands it ran: those of the first are recorded at once, of the others only the verdict's. */
function attemptAt(course: Course, item: CheckItem, notes: AttemptNotes): Attempt {
  const { lab, signal } = course;
  return async (ms, report) => {
    const number = (notes.made += 1);
    forgetOldest(notes);
    const begin = performance.now();
    const later: NonNullable<ProbeContext['later']> = { request: null };
    notes.laters.set(number, later);
    const held: Transcript[] = [];
    if (number > 1) notes.commands.set(number, held);
    const record = number === 1 ? recorder(course, item.id) : (one: Transcript) => void held.push(one);
    const cut = (): void => {
      notes.cut.add(number);
      report.cut();
    };
    const once = (timeMs: number): Promise<Outcome> =>
      item.type.run(item.spec, contextFor(course, item.id, timeMs, { later, cut, record }));
    try {
      return await once(ms);
    } catch (error) {
      if (isNetrigError(error, 'NETRIG_SSH_SILENT') || isNetrigError(error, 'NETRIG_HOST_OFF')) return broken(error);
      const left = ms - (performance.now() - begin);
      // The way to the probe broke, not the network under test: once more over a new connection.
      const tryAgain = isNetrigError(error, 'NETRIG_SSH_LOST') && left > 0 && isRepeatable(item.type, item.spec);
      if (!tryAgain || signal.aborted || lab.look() !== null) throw error;
      log(course, 'warn', `${messageOf(error)} Trying once more over a new connection.`);
      return once(left);
    }
  };
}

async function runCheck(course: Course, item: CheckItem): Promise<Timed> {
  const timeoutMs = item.timeoutMs ?? item.type.timeoutMs ?? defaultCheckTimeoutMs;
  const timing: Timing = { withinMs: item.withinMs, holdsForMs: item.holdsForMs, timeoutMs };
  const notes: AttemptNotes = { laters: new Map(), commands: new Map(), made: 0, cut: new Set() };
  const attempt = attemptAt(course, item, notes);
  const first = await attemptsOf(attempt, timing, course.signal);
  const timed = await onceMoreWhereStarved(course, item, attempt, timing, first, notes);
  for (const transcript of notes.commands.get(timed.shown) ?? []) recorder(course, item.id)(transcript);
  const request = notes.laters.get(timed.shown)?.request ?? null;
  const { tell = null } = course.options;
  // What nobody is told is not looked for.
  if (tell !== null && tell !== 'way') return timed;
  const { outcome } = timed;
  // What a step broke so that there is no way at all was named at once.
  const known = request === null && outcome.diagnosis !== undefined;
  if (outcome.verdict !== 'fail' || known || course.signal.aborted) return timed;
  const found = request === null ? null : await lookWhy(course, item, request);
  const ends = item.type.endpoints(item.spec);
  const told = withFaults(course.plan, plantedFaults(course), ends, found, outcome.reason);
  return { ...timed, outcome: withDiagnosis(outcome, told) };
}

/** Why it failed, as far as it can be found; `null` where nothing certain can be said of it. Never rejects. */
async function lookWhy(course: Course, item: CheckItem, request: DiagnosisRequest): Promise<Diagnosis | null> {
  const silent = new Set<string>();
  const keep = recorder(course, item.id);
  const record = (one: Transcript): void => {
    if (one.timedOut) silent.add(one.host);
    keep(one);
  };
  const found = await diagnose(contextFor(course, item.id, diagnosisMs, { record }), request);
  return found === null && silent.size > 0 ? outOfTime(course.plan, request, silent) : found;
}

/**
 * A check that timed out while the machine has no time for anybody gets one longer try. What comes of it then: the verdict
 * where the check claims nothing about time, else that it could not be known.
 */
async function onceMoreWhereStarved(
  course: Course,
  item: CheckItem,
  attempt: Attempt,
  timing: Timing,
  first: Timed,
  notes: AttemptNotes,
): Promise<Timed> {
  const { outcome } = first;
  const ranOut = notes.cut.has(first.shown);
  if (outcome.verdict === 'pass' || !(ranOut || outcome.cause === 'timeout') || course.signal.aborted) return first;
  const why = starvation(course);
  if (why === null || course.lab.look() !== null) return first;
  const unknown = (reason: string): Timed => {
    const sentence = `This machine is starved (${why}): that says nothing of the lab.`;
    return { ...first, outcome: { verdict: 'inconclusive', reason: more(reason, sentence) } };
  };
  if (!isRepeatable(item.type, item.spec)) return ranOut ? unknown(outcome.reason) : first;
  log(course, 'warn', `"${item.title}" timed out on a starved machine (${why}); trying once more, with more time.`);
  const longer = { withinMs: null, holdsForMs: null, timeoutMs: timing.timeoutMs * starvedFactor };
  const second = await attemptsOf(attempt, longer, course.signal);
  const durationMs = first.durationMs + second.durationMs;
  const timed = { outcome: second.outcome, attempts: notes.made, durationMs, shown: notes.made };
  if (notes.cut.has(notes.made))
    return { ...unknown(second.outcome.reason), attempts: notes.made, durationMs, shown: notes.made };
  if (timing.withinMs === null && timing.holdsForMs === null) return timed;
  return second.outcome.verdict === 'pass' ? { ...unknown(outcome.reason), attempts: notes.made, durationMs } : first;
}
