import type { FeedbackLevel } from '../model/feedback.js';
import { planLab } from '../plan/plan.js';
import type { CheckShown } from '../scenario/exercise-schema.js';
import { defaultFeedback } from '../scenario/handed-out.js';
import type { CheckItem, ExerciseStage, Scenario } from '../scenario/scenario.js';
import type { ParameterDeclarations, ParameterValues } from '../scenario/parameters.js';

export type Stage = ExerciseStage;
/** What is drawn for each student. */
export type Parameters = ParameterDeclarations;
export type { ParameterValues };

/** A task: a check that is worth something. */
export interface GradedCheck {
  /** As in the scenario: `c07`. */
  id: string;
  title: string;
  /** Markdown; `''` for none. */
  text: string;
  points: number;
  /** True from the start; costs its points where it is broken, and earns none. */
  guard: boolean;
  /** Name of its stage; `null`: the exercise has no stages, or it is of all. */
  stage: string | null;
  shown: CheckShown;
  /** By cause or root cause, with `otherwise` for the rest. */
  hints: Partial<Record<string, string>>;
  /** Line in the file. */
  line: number;
}

/** A scenario as an exercise, with the values of one student. */
export interface Exercise {
  /** The scenario's id. */
  id: string;
  title: string;
  /** What the student is to do, in Markdown. */
  text: string;
  /** ms; `null`: no limit. */
  timeMs: number | null;
  /** What students are told of a task that did not pass, where their class says nothing else. */
  feedback: FeedbackLevel;
  stages: readonly Stage[];
  checks: readonly GradedCheck[];
  /** What all tasks together are worth; guards earn nothing. */
  points: number;
  parameters: Parameters;
  values: ParameterValues;
  scenario: Scenario;
}

function gradedCheck(item: CheckItem): GradedCheck[] {
  const { grading } = item;
  if (grading === undefined || grading.points === null) return [];
  return [
    {
      id: item.id,
      title: item.title,
      text: item.text,
      points: grading.points,
      guard: grading.guard,
      stage: grading.stage,
      shown: grading.shown,
      hints: grading.hints,
      line: item.source.line,
    },
  ];
}

/** The scenario as an exercise; `null` where its file says nothing of one. */
export function exerciseOf(scenario: Scenario): Exercise | null {
  const { exercise } = scenario;
  if (exercise === undefined) return null;
  const checks = scenario.items.flatMap((item) => (item.kind === 'check' ? gradedCheck(item) : []));
  return {
    id: scenario.id,
    title: scenario.title,
    text: exercise.text,
    timeMs: exercise.timeMs,
    feedback: exercise.feedback ?? defaultFeedback,
    stages: exercise.stages,
    checks,
    points: checks.reduce((sum, check) => sum + (check.guard ? 0 : check.points), 0),
    parameters: exercise.declared,
    values: exercise.values,
    scenario,
  };
}

/**
 * What a student has in front of them without asking anybody: text, tasks, steps and the addresses of the lab. A value that stands
 * in it is no sign of having copied.
 */
export function commonText({ text, scenario }: Exercise): string {
  const items = scenario.items.map(({ title, text: words, spec }) => [title, words, spec]);
  return [text, JSON.stringify(items), JSON.stringify(planLab(scenario))].join('\n');
}

/** Whether a student may see a check, its verdict and its hint. */
export function isShown({ shown }: Pick<GradedCheck, 'shown'>, handedIn: boolean): boolean {
  return shown === 'always' || (shown === 'after-hand-in' && handedIn);
}
