import { setMaxListeners } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isMap } from 'yaml';
import { ScenarioSource } from '../mutate/draft.js';
import { mutationsOf } from '../mutate/generate.js';
import { doInJobs } from '../mutate/jobs.js';
import { isRed, type Ran } from '../mutate/judge.js';
import type { Mutation } from '../mutate/mutation.js';
import { mutantOf } from '../mutate/run-mutants.js';
import { openDirectory, runOnce, type RunOnceOptions } from '../mutate/run-once.js';
import { stepNodes } from '../mutate/steps.js';
import { loadScenarioText } from '../scenario/load.js';
import { drawParameters } from '../scenario/parameters.js';
import type { Scenario } from '../scenario/scenario.js';
import { believedOf } from './believed.js';
import { exerciseOf, type Exercise } from './exercise.js';
import { brokenOf, failedSteps, labSeen, roundFlaws, seenOf, solvedFlaws, startFlaws } from './judge-labs.js';
import type { Proof, ProofLab, ProofLine } from './proof.js';
import { stageByStage } from './rounds.js';
import { staticFlaws } from './static-flaws.js';
import { atStart, whenSolved } from './views.js';
import { makeDirectory } from '../model/directory.js';

/** A file with an exercise, to be proven. */
export interface ProofSubject {
  exercise: Exercise;
  /** The text of its file. */
  text: string;
  /** As shown to people. */
  file: string;
}

export interface ProveOptions extends Omit<RunOnceOptions, 'stopAt'> {
  /** Labs at once, over all exercises. */
  jobs: number;
  /** Whether the solution is tried without each of its lines. */
  lines: boolean;
  /** Directory below which the records of all labs are kept; `null`: nothing is kept. */
  keep: string | null;
  onLab?: (proof: Proof, lab: ProofLab) => void;
  onLine?: (proof: Proof, line: ProofLine) => void;
  onProof?: (proof: Proof) => void;
}

/** Operators that take a line away, and those that take more at once. */
const removingLines = new Set(['remove-command', 'remove-line']);
const removing = new Set([...removingLines, 'remove-step', 'remove-host']);

/** The solution without each of its lines; a step goes as a whole where it has no lines that could go one by one. */
export function missingLines(text: string): Mutation[] {
  const isSolution = stepNodes(new ScenarioSource(text)).map((node) => isMap(node) && node.get('role') === 'solution');
  const all = mutationsOf(text).filter(
    ({ operator, step }) => removing.has(operator) && step !== null && isSolution[step],
  );
  const inLines = new Set(all.filter(({ operator }) => removingLines.has(operator)).map(({ step }) => step));
  return all.filter(({ operator, step }) => operator !== 'remove-step' || !inLines.has(step));
}

/** The same exercise for another student, where it has parameters. */
function forAnother({ exercise, text }: ProofSubject): Exercise {
  const { scenario, parameters } = exercise;
  if (Object.keys(parameters).length === 0) return exercise;
  const students = ['example', 'another example'];
  const values = drawParameters(parameters, { secret: 'example', exercise: scenario.name }, students).get(
    students[1]!,
  )!;
  const { scenarios } = loadScenarioText(text, scenario.file, {
    parameters: values,
    matrix: Object.fromEntries(Object.entries(scenario.matrix).map(([name, value]) => [name, [value]])),
  });
  return exerciseOf(scenarios.find(({ id }) => id === scenario.id) ?? scenario) ?? exercise;
}

/** The proof of one exercise: pieces of work, each with a lab of its own. */
class Work {
  readonly proof: Proof;
  /** When its first lab was begun. */
  private begin: number | null = null;
  private queue: (() => Promise<void>)[];
  private linesQueued = false;
  private inFlight = 0;
  /** Judges the second lab, once the first ones have been: what these showed is not told twice. */
  private judgeAgain: (() => void) | null = null;

  constructor(
    private readonly subject: ProofSubject,
    private readonly base: string,
    private readonly options: ProveOptions,
  ) {
    const { exercise, text, file } = subject;
    this.proof = {
      exercise: exercise.id,
      title: exercise.title,
      file,
      points: exercise.points,
      tasks: exercise.checks.filter((check) => !check.guard).length,
      labs: [],
      lines: [],
      flaws: staticFlaws(exercise, text),
      believed: believedOf(exercise),
      broken: null,
      whole: false,
      shared: exercise.scenario.items.filter(
        (item) => item.kind === 'step' && item.role === 'solution' && item.source.file !== undefined,
      ).length,
      durationMs: 0,
    };
    // What the file alone shows is mended first: no lab is worth the time.
    this.queue =
      this.proof.flaws.length > 0 ? [] : [() => this.tryStart(), () => this.trySolution(), () => this.tryAgain()];
  }

  next(): (() => Promise<void>) | null {
    const { proof, options } = this;
    if (this.queue.length === 0 && this.inFlight === 0 && !this.linesQueued) {
      this.linesQueued = true;
      this.judgeAgain?.();
      // Lines are missed by tasks that pass with them.
      if (options.lines && proof.broken === null && proof.flaws.length === 0) {
        proof.whole = true;
        this.queue = missingLines(this.subject.text).map((mutation) => () => this.tryWithout(mutation));
      }
      if (this.queue.length === 0) this.finish();
    }
    const piece = this.queue.shift();
    if (piece === undefined) return null;
    this.inFlight += 1;
    this.begin ??= performance.now();
    return async () => {
      try {
        await piece();
      } finally {
        this.inFlight -= 1;
        if (this.linesQueued && this.inFlight === 0 && this.queue.length === 0) this.finish();
      }
    };
  }

  private finish(): void {
    const { proof, options } = this;
    if (options.signal.aborted) return;
    proof.durationMs = this.begin === null ? 0 : performance.now() - this.begin;
    proof.lines.sort((a, b) => a.line - b.line);
    proof.flaws.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
    options.onProof?.(proof);
  }

  private breakOff(reason: string): void {
    this.proof.broken ??= reason;
    this.queue = [];
  }

  private async run(name: string, scenario: Scenario, stopAt: RunOnceOptions['stopAt'] = null): Promise<Ran | null> {
    const dir = join(this.base, this.subject.exercise.id.replace(/[^A-Za-z0-9._-]+/g, '-'), name);
    await makeDirectory(dir);
    const ran = await runOnce(scenario, dir, { ...this.options, stopAt });
    if (this.options.keep === null) await rm(dir, { recursive: true, force: true });
    return this.options.signal.aborted ? null : ran;
  }

  /** A lab whose tasks are judged; `null` where nothing of it is known. */
  private async lab(name: string, title: string, scenario: Scenario): Promise<Ran | null> {
    const ran = await this.run(name, scenario);
    if (ran === null) return null;
    const broken = brokenOf(ran);
    if (broken !== null) {
      this.breakOff(`${title}: ${broken}`);
      return null;
    }
    const failed = failedSteps(ran, title);
    const told = new Set(this.proof.flaws.map((one) => `${one.name} ${one.line}`));
    this.proof.flaws.push(...failed.filter((one) => !told.has(`${one.name} ${one.line}`)));
    return failed.length > 0 ? null : ran;
  }

  private tell(name: string, title: string, ran: Ran, seen: ProofLab['seen']): void {
    const lab = { name, title, durationMs: ran.durationMs, seen };
    this.proof.labs.push(lab);
    this.options.onLab?.(this.proof, lab);
  }

  private async tryStart(): Promise<void> {
    const { exercise } = this.subject;
    const title = 'With the set-up alone';
    const ran = await this.lab('start', title, atStart(exercise.scenario));
    if (ran === null) return;
    const seen = seenOf(exercise, ran);
    this.proof.flaws.push(...startFlaws(exercise, seen));
    this.tell('start', title, ran, labSeen(exercise, seen));
  }

  private async trySolution(): Promise<void> {
    const { exercise } = this.subject;
    const title = 'With the solution';
    const ran = await this.lab('solution', title, whenSolved(exercise.scenario));
    if (ran === null) return;
    const seen = seenOf(exercise, ran);
    this.proof.flaws.push(...solvedFlaws(exercise, seen));
    this.tell('solution', title, ran, labSeen(exercise, seen));
  }

  private async tryAgain(): Promise<void> {
    const exercise = forAnother(this.subject);
    const { scenario, rounds } = stageByStage(exercise);
    const title =
      exercise.stages.length > 0
        ? 'Stage by stage, on a second lab'
        : 'Tried before and after the solution, on a second lab';
    const ran = await this.lab('again', title, scenario);
    if (ran === null) return;
    const last = rounds.at(-1)!;
    this.judgeAgain = () =>
      void this.proof.flaws.push(
        ...roundFlaws(exercise, rounds, (round) => seenOf(exercise, ran, (id) => round.ids.get(id)), this.proof.flaws),
      );
    this.tell(
      'again',
      title,
      ran,
      labSeen(
        exercise,
        seenOf(exercise, ran, (id) => last.ids.get(id)),
      ),
    );
  }

  private async tryWithout(mutation: Mutation): Promise<void> {
    const { exercise } = this.subject;
    const tell = (fate: ProofLine['fate'], by: string): void => {
      const line = { line: mutation.line, what: mutation.what, fate, by };
      this.proof.lines.push(line);
      if (fate === 'unnoticed')
        this.proof.flaws.push({
          name: 'line-unnoticed',
          line: mutation.line,
          sentence: `nobody notices what ${mutation.what.replace(/^(removes|leaves)/, 'the solution $1')}`,
          mend: 'add a task that looks at what the line does, or say by `# survives: REASON` at the line why none can',
        });
      this.options.onLine?.(this.proof, line);
    };
    if (mutation.accepted !== null) return tell('accepted', mutation.accepted);
    const mutant = mutantOf(mutation, exercise.scenario, exercise.scenario.file);
    // What is no scenario any more cannot be handed in.
    if ('refused' in mutant) return tell('needed', mutant.refused);
    const graded = (exerciseOf(mutant.scenario)?.checks ?? []).map(({ id }) => id);
    const ran = await this.run(
      mutation.id,
      whenSolved(mutant.scenario),
      (item, { verdict }) => graded.includes(item.id) && isRed(verdict),
    );
    if (ran === null) return;
    const broken = brokenOf(ran);
    if (broken !== null) return this.breakOff(`${mutation.what}: ${broken}`);
    const red = ran.items.find(
      (item) => graded.includes(item.id) && isRed(ran.outcomes.get(item.id)?.verdict ?? 'pass'),
    );
    if (red) return tell('noticed', `${red.title}: ${ran.outcomes.get(red.id)!.reason}`);
    const failed = failedSteps(ran, 'Without it')[0];
    return failed ? tell('needed', failed.sentence) : tell('unnoticed', '');
  }
}

/**
 * Proves exercises, each on labs of its own that are gone afterwards: with the set-up alone no task is done, with the solution
 * all are, also on a second lab with other values and stage by stage, and no line of the solution can be left out unnoticed.
 *
 * @throws NETRIG_REPORT_WRITE when the directory of the records cannot be made.
 */
export async function prove(subjects: readonly ProofSubject[], options: ProveOptions): Promise<Proof[]> {
  setMaxListeners(0, options.signal);
  const { base, close } = await openDirectory(options.keep, 'prove');
  const works = subjects.map((subject) => new Work(subject, base, options));
  try {
    await doInJobs(
      options.jobs,
      () => {
        for (const work of works) {
          const piece = work.next();
          if (piece) return piece;
        }
        return null;
      },
      options.signal,
    );
  } finally {
    close();
  }
  return works.map(({ proof }) => proof);
}
