import type { Ran } from '../mutate/judge.js';
import type { Outcome } from '../model/verdict.js';
import type { Exercise, GradedCheck } from './exercise.js';
import { hintFor } from './grade.js';
import type { Flaw, FlawName, ProofLab } from './proof.js';
import type { Round } from './rounds.js';

/** What was seen of the tasks on a lab, by the task's id. */
export type Seen = ReadonlyMap<string, Outcome>;

/** Why nothing is known of a lab: netrig or the lab broke; `null` where something is. */
export function brokenOf(ran: Ran): string | null {
  for (const item of ran.items) {
    const outcome = ran.outcomes.get(item.id);
    if (item.kind === 'step' && outcome?.verdict === 'error') return `${item.title}: ${outcome.reason}`;
  }
  const all = [...ran.outcomes.values()];
  if (all.some(({ verdict }) => ['pass', 'fail', 'inconclusive'].includes(verdict))) return null;
  return ran.broke ?? all.find(({ verdict }) => verdict === 'error')?.reason ?? all[0]?.reason ?? 'nothing ran';
}

/** Steps that failed: whatever comes after them was not looked at. */
export function failedSteps(ran: Ran, where: string): Flaw[] {
  return ran.items.flatMap((item) => {
    const outcome = ran.outcomes.get(item.id);
    if (item.kind !== 'step' || (outcome?.verdict !== 'fail' && outcome?.verdict !== 'inconclusive')) return [];
    return [
      {
        name: 'step-fails' as const,
        line: item.source.line,
        sentence: `${where}, the step "${item.title}" fails: ${outcome.reason}`,
        mend: 'try it with `netrig run`, which does set-up and solution',
      },
    ];
  });
}

export function seenOf(exercise: Exercise, ran: Ran, idOf: (id: string) => string | undefined = (id) => id): Seen {
  const seen = new Map<string, Outcome>();
  for (const { id } of exercise.checks) {
    const outcome = ran.outcomes.get(idOf(id) ?? '');
    if (outcome) seen.set(id, outcome);
  }
  return seen;
}

export function labSeen(exercise: Exercise, seen: Seen): ProofLab['seen'] {
  return exercise.checks.flatMap((check) => {
    const outcome = seen.get(check.id);
    if (!outcome) return [];
    const { title, line } = check;
    return [{ title, line, verdict: outcome.verdict, reason: outcome.reason, hint: hintFor(check, outcome) }];
  });
}

function flaw(name: FlawName, check: GradedCheck, sentence: string, mend: string): Flaw {
  return { name, line: check.line, sentence: `"${check.title}" ${sentence}`, mend };
}

const reasonOf = (outcome: Outcome): string => outcome.reason.replace(/[.]$/, '');

/** A lab on which nothing was done but the set-up: no task is done, and all guards hold. */
export function startFlaws(exercise: Exercise, seen: Seen): Flaw[] {
  return exercise.checks.flatMap((check) => {
    const outcome = seen.get(check.id);
    if (outcome === undefined) return [];
    if (check.guard)
      return outcome.verdict === 'pass'
        ? []
        : [
            flaw(
              'guard-broken-at-start',
              check,
              `does not hold at the start: ${reasonOf(outcome)}`,
              'a guard is true before the student does anything: without `guard` it is a task',
            ),
          ];
    return notDone(check, outcome, 'at the start', 'passes-at-start');
  });
}

/** A task that must not be done yet. */
function notDone(check: GradedCheck, outcome: Outcome, when: string, name: FlawName): Flaw[] {
  if (outcome.verdict === 'pass')
    return [
      flaw(
        name,
        check,
        `passes ${when} already: ${reasonOf(outcome)}`,
        'let the set-up break what it looks at, make it a `guard`, or take its points',
      ),
    ];
  if (outcome.verdict === 'fail') return [];
  return [
    flaw(
      'unknown-at-start',
      check,
      `is ${outcome.verdict} ${when}, where it should fail: ${reasonOf(outcome)}`,
      'what cannot be judged is put before the teacher for every student who has not come so far: look at something that is there from the start',
    ),
  ];
}

/** A lab on which all of the solution was done. */
export function solvedFlaws(exercise: Exercise, seen: Seen): Flaw[] {
  return exercise.checks.flatMap((check) => {
    const outcome = seen.get(check.id);
    if (outcome === undefined || outcome.verdict === 'pass') return [];
    return [
      check.guard
        ? flaw(
            'guard-broken-by-solution',
            check,
            `does not hold once the solution is done: ${reasonOf(outcome)}`,
            'mend the solution: it loses these points itself',
          )
        : flaw(
            'never-passes',
            check,
            `is ${outcome.verdict} once the solution is done: ${reasonOf(outcome)}`,
            'mend the solution, or ask for less',
          ),
    ];
  });
}

/**
 * A second lab, with other values, on which the tasks were looked at between the stages. What the first labs showed already is
 * not told again: `known` are the flaws of those.
 */
export function roundFlaws(
  exercise: Exercise,
  rounds: readonly Round[],
  seenIn: (round: Round) => Seen,
  known: readonly Flaw[],
): Flaw[] {
  const told = new Set(known.map((one) => `${one.name} ${one.line}`));
  const flaws: Flaw[] = [];
  const add = (found: readonly Flaw[]): void => {
    for (const one of found) {
      const key = `${one.name} ${one.line}`;
      if (!told.has(key)) flaws.push(one);
      told.add(key);
    }
  };
  for (const round of rounds) {
    const seen = seenIn(round);
    for (const check of exercise.checks) {
      const outcome = seen.get(check.id);
      if (outcome !== undefined) add(roundFlawsOf(check, outcome, round, told));
    }
  }
  return flaws;
}

function roundFlawsOf(check: GradedCheck, outcome: Outcome, round: Round, told: ReadonlySet<string>): Flaw[] {
  const passes = outcome.verdict === 'pass';
  if (round.whole) {
    if (passes || told.has(`never-passes ${check.line}`) || told.has(`guard-broken-by-solution ${check.line}`))
      return [];
    return [
      flaw(
        'works-once',
        check,
        `passed on one lab and is ${outcome.verdict} on a second one, with other values and with the tasks tried before: ${reasonOf(outcome)}`,
        'the solution may hold a value of one student, or depend on chance, on time, or on nobody having looked before',
      ),
    ];
  }
  // Between the stages a guard may be down for as long as work is going on.
  if (check.guard) return [];
  if (check.stage !== null && round.solved.includes(check.stage))
    return passes || !round.after.startsWith('the solution')
      ? []
      : [
          flaw(
            'stage-not-solved',
            check,
            `is ${outcome.verdict} after ${round.after}: ${reasonOf(outcome)}`,
            'it belongs to a later stage, or part of the solution belongs to an earlier one',
          ),
        ];
  // In the midst of a stage it need not be known yet what a later one asks for: that it passes is what takes its worth.
  if (round.part && !passes) return [];
  if (round.part)
    return [
      flaw(
        'passes-early',
        check,
        `passes already after ${round.after}: ${reasonOf(outcome)}`,
        'let it look at something that its own stage alone makes, or let the solution of the stage before have no such moment',
      ),
    ];
  const start = round.solved.length === 0;
  if (told.has(`passes-at-start ${check.line}`) || told.has(`unknown-at-start ${check.line}`)) return [];
  return notDone(check, outcome, `after ${round.after}`, start ? 'passes-at-start' : 'passes-early');
}
