import type { Scenario, ScenarioItem } from '../scenario/scenario.js';

/** Number of a stage from 0; -1 for what comes before the first. */
function stageIndex(scenario: Scenario, stage: string | null | undefined): number {
  return stage === null || stage === undefined
    ? -1
    : (scenario.exercise?.stages ?? []).findIndex(({ name }) => name === stage);
}

/** The scenario with some of its steps, all of them before the checks; last steps stay last. Ids are kept. */
function withSteps(scenario: Scenario, wanted: (item: ScenarioItem & { kind: 'step' }) => boolean): Scenario {
  const { items } = scenario;
  return {
    ...scenario,
    items: [
      ...items.filter((item) => item.kind === 'step' && !item.last && wanted(item)),
      ...items.filter((item) => item.kind === 'check'),
      ...items.filter((item) => item.kind === 'step' && item.last),
    ],
  };
}

/**
 * The lab as a student finds it at the start of a stage: set-up up to and with the stage's own, and the solutions of the stages
 * before. Without a stage, the first one.
 */
export function atStart(scenario: Scenario, stage: string | null = null): Scenario {
  const here = stage === null ? 0 : stageIndex(scenario, stage);
  return withSteps(scenario, (step) => {
    const at = stageIndex(scenario, step.stage);
    return step.role === 'solution' ? at >= 0 && at < here : at <= here;
  });
}

/** The lab once the author's solution is done, up to and with a stage; without a stage, all of it. */
export function whenSolved(scenario: Scenario, stage: string | null = null): Scenario {
  const here = stage === null ? Infinity : stageIndex(scenario, stage);
  return withSteps(scenario, (step) => stageIndex(scenario, step.stage) <= here);
}
