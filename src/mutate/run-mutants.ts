import { setMaxListeners } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join, resolve } from 'node:path';
import { temporaryDirectory } from '../lab/temporary.js';
import { messageOf, NetrigError } from '../errors.js';
import type { Outcome, Verdict } from '../model/verdict.js';
import { wishFor } from '../providers/isolation-wish.js';
import { providerNamed } from '../providers/registry.js';
import { worstVerdict } from '../report/model.js';
import { createRunDir } from '../report/run-dir.js';
import { openEventLog } from '../run/event-log.js';
import { createScenarioRun } from '../run/scenario-run.js';
import { loadScenarioText } from '../scenario/load.js';
import type { Scenario, ScenarioItem } from '../scenario/scenario.js';
import { mutationsOf } from './generate.js';
import type { Mutation } from './mutation.js';
import { likeliestFirst, shuffled, type Entry } from './order.js';
import {
  countFates,
  type MutantResult,
  type MutateResult,
  type Subject,
  type SubjectResult,
  type Witness,
} from './subject.js';

export interface MutateOptions {
  /** Over what the scenarios ask for; default: as the file says, else `local`. */
  provider: string | null;
  /** Runs at once, over all scenarios. */
  jobs: number;
  /** Mutants of a scenario that are run at most; `null`: all. */
  limit: number | null;
  /** A scenario is done with once so many of its mutants were noticed by a check; `null`: never before the last. */
  untilNoticed: number | null;
  /** A seed: mutations are taken by chance instead of the likeliest first. `null`: the likeliest first. */
  sample: string | null;
  /** A mutant's run ends at the first check that goes red. */
  bail: boolean;
  /** Directory below which the mutated files and the record of each run are kept, in a folder of their own; `null`: nothing is kept. */
  keep: string | null;
  /** Netrig's version and arguments, for the records. */
  version: string;
  argv: readonly string[];
  signal: AbortSignal;
  /** What became of an original. */
  onOriginal?: (subject: SubjectResult) => void;
  onMutant?: (subject: SubjectResult, mutant: MutantResult) => void;
}

/** One scenario run from beginning to end. */
interface Ran {
  items: readonly ScenarioItem[];
  outcomes: Map<string, Outcome>;
  durationMs: number;
}

function isRed(verdict: Verdict): boolean {
  return verdict === 'fail' || verdict === 'inconclusive';
}

/** Where a run's files lie: a folder a scenario, a folder a run. */
function folderOf(scenario: string, run: string): string {
  return join(scenario.replace(/[^A-Za-z0-9._-]+/g, '-'), run);
}

/** `from`: the file of the original, by which it is known whether it may be somebody else's. */
async function runOnce(
  scenario: Scenario,
  dir: string,
  bail: boolean,
  from: string,
  options: MutateOptions,
): Promise<Ran> {
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
    isolation: wishFor('auto', from),
    ...(bail ? { notAskedFor: 'the run stopped at the first check that did not pass (--bail)' } : {}),
  });
  const outcomes = new Map<string, Outcome>();
  try {
    for (const item of run.items) {
      const outcome = await run.perform(item.id);
      outcomes.set(item.id, outcome);
      if (bail && item.kind === 'check' && isRed(outcome.verdict)) break;
    }
  } finally {
    await run.finish();
    log.emit({ type: 'run:end', durationMs: performance.now() - begin, interrupted: options.signal.aborted });
    log.close();
  }
  return { items: run.items, outcomes, durationMs: performance.now() - begin };
}

/** What an original came to, with the first thing that was not as expected. */
function verdictOf(ran: Ran): { verdict: Verdict; reason: string; durationMs: number; checks: number } {
  const checks = ran.items.filter((item) => item.kind === 'check');
  const passed = checks.filter((item) => ran.outcomes.get(item.id)?.verdict === 'pass').length;
  const worst = worstVerdict([...ran.outcomes.values()].map((outcome) => outcome.verdict));
  // Steps alone prove nothing.
  const verdict = worst === 'pass' && passed === 0 ? 'skipped' : worst;
  const item = ran.items.find((one) => ran.outcomes.get(one.id)?.verdict === verdict);
  const reason =
    verdict === 'pass' || !item
      ? ''
      : verdict === 'skipped'
        ? ran.outcomes.get(item.id)!.reason
        : `${item.title} (line ${item.source.line}): ${ran.outcomes.get(item.id)!.reason}`;
  return { verdict, reason, durationMs: ran.durationMs, checks: passed };
}

function judge(mutation: Mutation, ran: Ran, original: Scenario): MutantResult {
  const { text: _, ...what } = mutation;
  // Checks are never removed: the nth of the mutant is the nth of the original.
  const originals = original.items.filter((item) => item.kind === 'check');
  const noticedBy: Witness[] = [];
  let stopped: string | null = null;
  let nth = 0;
  for (const item of ran.items) {
    const outcome = ran.outcomes.get(item.id);
    if (item.kind === 'check') {
      const same = originals[nth++];
      if (outcome && isRed(outcome.verdict))
        noticedBy.push({
          title: item.title,
          line: same?.source.line ?? item.source.line,
          verdict: outcome.verdict,
          cause: outcome.cause ?? null,
          reason: outcome.reason,
        });
      if (outcome?.verdict === 'error') stopped ??= `${item.title}: ${outcome.reason}`;
    } else if (outcome && outcome.verdict !== 'pass' && outcome.verdict !== 'skipped')
      stopped ??= `${item.title}: ${outcome.reason}`;
  }
  // A lab that cannot be had (a capability) leaves everything skipped.
  if (noticedBy.length === 0 && ![...ran.outcomes.values()].some((outcome) => outcome.verdict === 'pass'))
    stopped ??= [...ran.outcomes.values()][0]?.reason ?? 'nothing ran';
  const fate = noticedBy.length > 0 ? 'noticed' : stopped !== null ? 'stopped' : 'survived';
  return { ...what, fate, noticedBy, reason: fate === 'stopped' ? (stopped ?? '') : '', durationMs: ran.durationMs };
}

function entriesOf(scenario: Scenario): Entry[] {
  return scenario.items.map((item) => ({
    kind: item.kind,
    text: `${item.kind === 'check' ? item.title : ''} ${JSON.stringify(item.spec)} ${item.kind === 'step' ? item.on.join(' ') : ''}`,
  }));
}

/** A scenario in work: its original first, then its mutants, several at once. */
class Work {
  readonly result: SubjectResult;
  state: 'new' | 'original' | 'mutants' = 'new';
  queue: Mutation[] = [];
  inFlight = 0;
  chosen = 0;

  constructor(readonly subject: Subject) {
    const { scenario, file } = subject;
    this.result = {
      scenario: scenario.id,
      title: scenario.title,
      file,
      original: { verdict: 'skipped', reason: 'not run', durationMs: 0, checks: 0 },
      possible: 0,
      mutants: [],
    };
  }

  /** Whether another mutant is wanted now: those under way may well be noticed. */
  wants(options: MutateOptions): boolean {
    if (this.state === 'new') return true;
    if (this.state !== 'mutants' || this.queue.length === 0) return false;
    if (options.limit !== null && this.chosen >= options.limit) return false;
    return (
      options.untilNoticed === null || countFates(this.result.mutants).noticed + this.inFlight < options.untilNoticed
    );
  }
}

/**
 * Runs each scenario, and each of its mutants on fresh hosts, `jobs` at once. What is written lies in a directory of its own
 * that is removed at the end, also after an abort; the labs of an abort are taken down first.
 *
 * @throws NETRIG_REPORT_WRITE when the directory of the runs cannot be made; what the provider throws before anything is up
 * is the reason of the scenario's verdict.
 */
export async function mutate(subjects: readonly Subject[], options: MutateOptions): Promise<MutateResult> {
  const begin = performance.now();
  setMaxListeners(0, options.signal);
  let base: string;
  try {
    base = options.keep === null ? temporaryDirectory('mutate') : (await createRunDir(resolve(options.keep))).dir;
  } catch (error) {
    if (error instanceof NetrigError) throw error;
    throw new NetrigError('NETRIG_REPORT_WRITE', `No directory for the mutants can be made: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const removeNow = (): void => rmSync(base, { recursive: true, force: true });
  // The second Ctrl-C ends the process at once.
  if (options.keep === null) process.on('exit', removeNow);

  const works = subjects.map((subject) => new Work(subject));
  const order = new Map<string, number>();

  async function original(work: Work): Promise<void> {
    work.state = 'original';
    const { scenario, text } = work.subject;
    const dir = join(base, folderOf(scenario.id, 'original'));
    await mkdir(dir, { recursive: true });
    const ran = await runOnce(scenario, dir, false, scenario.file, options);
    if (options.signal.aborted) return;
    work.result.original = verdictOf(ran);
    if (work.result.original.verdict === 'pass') {
      const skipped = new Set(
        scenario.items.flatMap((item, index) => (ran.outcomes.get(item.id)?.verdict === 'skipped' ? [index] : [])),
      );
      // A step that is not for this engine or image does nothing here, altered or not.
      const all = mutationsOf(text).filter((mutation) => mutation.step === null || !skipped.has(mutation.step));
      work.result.possible = all.length;
      work.queue = options.sample === null ? likeliestFirst(all, entriesOf(scenario)) : shuffled(all, options.sample);
      work.queue.forEach((mutation, index) => order.set(`${scenario.id}\0${mutation.id}`, index));
    }
    work.state = 'mutants';
    options.onOriginal?.(work.result);
  }

  function settle(work: Work, result: MutantResult): void {
    const { scenario } = work.result;
    work.result.mutants.push(result);
    work.result.mutants.sort((a, b) => order.get(`${scenario}\0${a.id}`)! - order.get(`${scenario}\0${b.id}`)!);
    options.onMutant?.(work.result, result);
  }

  async function mutant(work: Work, mutation: Mutation): Promise<void> {
    const { scenario } = work.subject;
    const dir = join(base, folderOf(scenario.id, mutation.id));
    const { text: make, ...what } = mutation;
    const refused = (reason: string): void => {
      // Nothing was run: it does not count against the limit.
      work.chosen -= 1;
      settle(work, { ...what, fate: 'refused', noticedBy: [], reason, durationMs: 0 });
    };
    let text: string;
    try {
      text = make();
    } catch (error) {
      return refused(messageOf(error));
    }
    const file = join(dir, 'scenario.yaml');
    const loaded = loadScenarioText(text, file, {
      matrix: Object.fromEntries(Object.entries(scenario.matrix).map(([name, value]) => [name, [value]])),
    });
    const mistake = loaded.diagnostics[0];
    if (mistake) return refused(mistake.message);
    const mutated = loaded.scenarios.find((one) => one.id === scenario.id) ?? loaded.scenarios[0];
    if (!mutated) return refused('no scenario is left of it');
    await mkdir(dir, { recursive: true });
    await writeFile(file, text);
    const ran = await runOnce(mutated, dir, options.bail, scenario.file, options);
    if (options.keep === null) await rm(dir, { recursive: true, force: true });
    if (!options.signal.aborted) settle(work, judge(mutation, ran, scenario));
  }

  /** Wakes the jobs that found nothing to do. */
  let wake = new AbortController();
  async function job(): Promise<void> {
    while (!options.signal.aborted) {
      const work = works.find((one) => one.wants(options));
      if (work) {
        work.inFlight += 1;
        try {
          if (work.state === 'new') await original(work);
          else {
            work.chosen += 1;
            await mutant(work, work.queue.shift()!);
          }
        } finally {
          work.inFlight -= 1;
          const before = wake;
          wake = new AbortController();
          before.abort();
        }
        continue;
      }
      // What others have under way may still ask for more.
      if (works.every((one) => one.inFlight === 0)) return;
      const { signal } = wake;
      await new Promise<void>((next) => signal.addEventListener('abort', () => next(), { once: true }));
    }
  }

  try {
    // A job that broke must not take the ground from under the labs of the others.
    const jobs = await Promise.allSettled(Array.from({ length: options.jobs }, job));
    for (const one of jobs) if (one.status === 'rejected') throw one.reason;
  } finally {
    if (options.keep === null) {
      process.off('exit', removeNow);
      removeNow();
    }
  }
  return {
    subjects: works.map((work) => work.result),
    untilNoticed: options.untilNoticed,
    durationMs: performance.now() - begin,
    interrupted: options.signal.aborted,
  };
}
