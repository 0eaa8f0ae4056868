import type { CheckItem, Scenario, ScenarioItem, StepItem } from '../scenario/scenario.js';
import type { Exercise } from './exercise.js';

/** Tasks looked at, at one moment of a lab on which the solution is done stage by stage: all, or those that `part` has. */
export interface Round {
  /** `the start`, `the solution of stage look`. */
  after: string;
  /** Stages whose solution has been done: their tasks are done, those of the others are not. */
  solved: readonly string[];
  /** Whether all of the solution has been done. */
  whole: boolean;
  /** In the midst of a stage, after one of its steps: only tasks of later stages are looked at. */
  part: boolean;
  /** By a task's id, that of its copy in this round. */
  ids: ReadonlyMap<string, string>;
}

/**
 * What a task may take to become true that was looked at before it was, ms: an address that nobody had is looked for again a
 * second apart, three times (mcast_solicit and retrans_time_ms of ip-sysctl), and until then every packet to it is lost.
 */
const settlingMs = 10_000;

/**
 * One lab on which the tasks are looked at before, between and after the stages of the solution: as students do, who try and
 * try again. Those of later stages are looked at in the midst of a stage, too, after each step of its solution: what is a task’s
 * claim only once the stage is done may be true by chance while it is half done.
 */
export function stageByStage(exercise: Exercise): { scenario: Scenario; rounds: Round[] } {
  const { scenario, stages, checks } = exercise;
  const graded = new Set(checks.map((check) => check.id));
  const steps = scenario.items.filter((item): item is StepItem => item.kind === 'step' && !item.last);
  const last = scenario.items.filter((item) => item.kind === 'step' && item.last);
  const items: ScenarioItem[] = [];
  const rounds: Round[] = [];
  const look = (
    after: string,
    solved: readonly string[],
    whole: boolean,
    only: ReadonlySet<string> | null = null,
  ): void => {
    const ids = new Map<string, string>();
    for (const item of scenario.items) {
      if (item.kind !== 'check' || !graded.has(item.id) || only?.has(item.id) === false) continue;
      const done = whole || solved.includes(item.grading?.stage ?? '');
      const copy: CheckItem = {
        ...item,
        id: `${item.id}-${rounds.length}`,
        title: `${item.title} (after ${after})`,
        withinMs: done ? Math.max(item.withinMs ?? 0, settlingMs) : item.withinMs,
      };
      ids.set(item.id, copy.id);
      items.push(copy);
    }
    rounds.push({ after, solved, whole, part: only !== null, ids });
  };
  const take = (wanted: (step: StepItem) => boolean): number => {
    const taken = steps.filter(wanted);
    items.push(...taken);
    return taken.length;
  };

  const names: (string | null)[] = stages.length === 0 ? [null] : stages.map(({ name }) => name);
  take((step) => step.role !== 'solution' && (step.stage ?? null) === null);
  names.forEach((name, index) => {
    const solved = names.slice(0, index).filter((one) => one !== null);
    const prepared = name === null ? 0 : take((step) => step.role !== 'solution' && step.stage === name);
    // Where nothing is prepared for the stage, the look after the one before is the look at its start.
    if (index === 0 || prepared > 0) look(index === 0 ? 'the start' : `the start of stage ${name}`, solved, false);
    const solution = steps.filter((step) => step.role === 'solution' && (name === null || step.stage === name));
    const later = new Set(
      checks.filter((check) => !check.guard && names.indexOf(check.stage) > index).map((check) => check.id),
    );
    solution.forEach((step, nth) => {
      items.push(step);
      if (name !== null && later.size > 0 && nth < solution.length - 1)
        look(`the step “${step.title}” of stage ${name}, which is not done yet`, solved, false, later);
    });
    const done = name === null ? [] : [...solved, name];
    look(name === null ? 'the solution' : `the solution of stage ${name}`, done, index === names.length - 1);
  });
  return { scenario: { ...scenario, items: [...items, ...last] }, rounds };
}
