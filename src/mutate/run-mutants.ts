import { setMaxListeners } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import { loadScenarioText } from '../scenario/load.js';
import type { Scenario, ScenarioItem } from '../scenario/scenario.js';
import { mutationsOf } from './generate.js';
import { doInJobs } from './jobs.js';
import { isRed, judge, verdictOf } from './judge.js';
import type { Mutation } from './mutation.js';
import { likeliestFirst, shuffled, type Entry } from './order.js';
import { openDirectory, runOnce, type RunOnceOptions } from './run-once.js';
import { countFates, type MutantResult, type MutateResult, type Subject, type SubjectResult } from './subject.js';
import { makeDirectory } from '../model/directory.js';

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

/** Where a run's files lie: a folder a scenario, a folder a run. */
function folderOf(scenario: string, run: string): string {
  return join(scenario.replace(/[^A-Za-z0-9._-]+/g, '-'), run);
}

const isRedCheck: RunOnceOptions['stopAt'] = (item, { verdict }) => item.kind === 'check' && isRed(verdict);

/** Items by the entry of the file that they stand for: one with `for:` makes several. */
export function itemsByEntry(items: readonly ScenarioItem[]): ScenarioItem[][] {
  const entries: ScenarioItem[][] = [];
  let place = '';
  for (const item of items) {
    const own = `${item.source.line}:${item.source.column}`;
    if (own === place) entries.at(-1)!.push(item);
    else entries.push([item]);
    place = own;
  }
  return entries;
}

function wordsOf(item: ScenarioItem): string {
  return `${item.kind === 'check' ? item.title : ''} ${JSON.stringify(item.spec)} ${item.kind === 'step' ? item.on.join(' ') : ''}`;
}

function entriesOf(scenario: Scenario): Entry[] {
  return itemsByEntry(scenario.items).map((items) => ({
    kind: items[0]!.kind,
    text: items.map(wordsOf).join(' '),
  }));
}

/** A scenario in work: its original first, then its mutants, several at once. */
class Work {
  readonly result: SubjectResult;
  state: 'new' | 'original' | 'mutants' = 'new';
  inFlight = 0;
  chosen = 0;
  #queue: Mutation[] = [];
  /** By the id of a mutation: when its turn is. */
  readonly #turns = new Map<string, number>();

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
    if (this.state !== 'mutants' || this.#queue.length === 0) return false;
    if (options.limit !== null && this.chosen >= options.limit) return false;
    return (
      options.untilNoticed === null || countFates(this.result.mutants).noticed + this.inFlight < options.untilNoticed
    );
  }

  /** All that the scenario offers, in the order in which it is to be tried. */
  enqueue(mutations: readonly Mutation[]): void {
    this.result.possible = mutations.length;
    this.#queue = [...mutations];
    mutations.forEach((mutation, turn) => this.#turns.set(mutation.id, turn));
  }

  dequeue(): Mutation {
    this.chosen += 1;
    return this.#queue.shift()!;
  }

  settle(result: MutantResult): void {
    this.result.mutants.push(result);
    this.result.mutants.sort((a, b) => this.#turns.get(a.id)! - this.#turns.get(b.id)!);
  }
}

/** Runs the scenario as it is; where it passes, its mutations are there to be tried. */
async function runOriginal(work: Work, base: string, options: MutateOptions): Promise<void> {
  const { scenario, text } = work.subject;
  const dir = join(base, folderOf(scenario.id, 'original'));
  await makeDirectory(dir);
  const ran = await runOnce(scenario, dir, { ...options, stopAt: null });
  if (options.signal.aborted) return;
  work.result.original = verdictOf(ran);
  if (work.result.original.verdict === 'pass') {
    const skipped = new Set(
      itemsByEntry(scenario.items).flatMap((items, index) =>
        items.every(({ id }) => ran.outcomes.get(id)?.verdict === 'skipped') ? [index] : [],
      ),
    );
    // A step that is not for this engine or image does nothing here, altered or not.
    const all = mutationsOf(text).filter((mutation) => mutation.step === null || !skipped.has(mutation.step));
    work.enqueue(options.sample === null ? likeliestFirst(all, entriesOf(scenario)) : shuffled(all, options.sample));
  }
  work.state = 'mutants';
  options.onOriginal?.(work.result);
}

/** The scenario that a mutation makes of `original`, with its text, or why it makes none. `file`: its name. Starts nothing. */
export function mutantOf(
  mutation: Mutation,
  original: Scenario,
  file: string,
): { scenario: Scenario; text: string } | { refused: string } {
  let text: string;
  try {
    text = mutation.text();
  } catch (error) {
    return { refused: messageOf(error) };
  }
  const loaded = loadScenarioText(text, file, {
    matrix: Object.fromEntries(Object.entries(original.matrix).map(([name, value]) => [name, [value]])),
    ...(original.exercise ? { parameters: original.exercise.values } : {}),
  });
  const mistake = loaded.diagnostics[0];
  if (mistake) return { refused: mistake.message };
  const scenario = loaded.scenarios.find((one) => one.id === original.id) ?? loaded.scenarios[0];
  return scenario ? { scenario, text } : { refused: 'no scenario is left of it' };
}

async function runMutant(work: Work, mutation: Mutation, base: string, options: MutateOptions): Promise<void> {
  const { scenario } = work.subject;
  const settle = (result: MutantResult): void => {
    work.settle(result);
    options.onMutant?.(work.result, result);
  };
  const dir = join(base, folderOf(scenario.id, mutation.id));
  // By its own name, so that what it takes from its folder (shared files, texts, files to copy) is found.
  const mutant = mutantOf(mutation, scenario, scenario.file);
  if ('refused' in mutant) {
    // Nothing was run: it does not count against the limit.
    work.chosen -= 1;
    const { text: _, ...what } = mutation;
    return settle({ ...what, fate: 'refused', noticedBy: [], reason: mutant.refused, durationMs: 0 });
  }
  await makeDirectory(dir);
  await writeFile(join(dir, 'scenario.yaml'), mutant.text);
  const ran = await runOnce(mutant.scenario, dir, { ...options, stopAt: options.bail ? isRedCheck : null });
  if (options.keep === null) await rm(dir, { recursive: true, force: true });
  if (!options.signal.aborted) settle(judge(mutation, ran, scenario));
}

/** The next run that is wanted of any scenario, begun; `null`: none now. */
function nextRun(works: readonly Work[], base: string, options: MutateOptions): (() => Promise<void>) | null {
  const work = works.find((one) => one.wants(options));
  if (!work) return null;
  work.inFlight += 1;
  const mutation = work.state === 'new' ? null : work.dequeue();
  if (mutation === null) work.state = 'original';
  return async () => {
    try {
      await (mutation === null ? runOriginal(work, base, options) : runMutant(work, mutation, base, options));
    } finally {
      work.inFlight -= 1;
    }
  };
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
  const { base, close } = await openDirectory(options.keep, 'mutate');
  const works = subjects.map((subject) => new Work(subject));
  try {
    await doInJobs(options.jobs, () => nextRun(works, base, options), options.signal);
  } finally {
    close();
  }
  return {
    subjects: works.map((work) => work.result),
    untilNoticed: options.untilNoticed,
    durationMs: performance.now() - begin,
    interrupted: options.signal.aborted,
  };
}
