import type { FeedbackLevel } from '../model/feedback.js';
import type { Scenario } from './scenario.js';

/** What is told where an author says nothing of it. */
export const defaultFeedback: FeedbackLevel = 'seen';

/** How much may be told of the checks of a file that students were given; `null`: all, for it is an author's. */
export function toldOf({ exercise }: Pick<Scenario, 'exercise'>): FeedbackLevel | null {
  return exercise?.handout ? (exercise.feedback ?? defaultFeedback) : null;
}
