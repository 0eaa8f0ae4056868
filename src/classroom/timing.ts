import type { ClassExercise } from './class-file.js';
import { moreMinutesOf, type ClassState, type Work } from './state.js';

/** Until when a hand-in of that work is in time, ms since the epoch; `null`: for ever. */
export function closesAt(
  state: ClassState,
  work: Work,
  settings: Pick<ClassExercise, 'id' | 'closes'>,
  timeMs: number | null,
): number | null {
  const ends = [
    settings.closes,
    timeMs === null || work.startedAt === null ? null : Date.parse(work.startedAt) + timeMs,
  ].filter((one) => one !== null);
  if (ends.length === 0) return null;
  return Math.min(...ends) + moreMinutesOf(state, work) * 60_000;
}

/** Until when hand-ins are taken at all. More time that was given moves it, too. */
export function takenUntil(
  state: ClassState,
  work: Work,
  settings: Pick<ClassExercise, 'id' | 'closes' | 'late'>,
  timeMs: number | null,
): number | null {
  const closes = closesAt(state, work, settings, timeMs);
  if (closes === null || !settings.late) return closes;
  return Math.max(closes, settings.late.until);
}

/** A moment as students read it: `2026-11-28 14:05 UTC`. */
export function minuteWords(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Why nobody can begin an exercise any more, for whoever starts the class; `null`: they can. */
export function overWords(
  { id, closes, late }: Pick<ClassExercise, 'id' | 'closes' | 'late'>,
  now: number,
): string | null {
  const until = late?.until ?? closes;
  if (until === null || now <= until) return null;
  return `${id} closed at ${new Date(until).toISOString()}: nobody can begin it or hand it in. Change its dates, or give more time on the teacher’s page.`;
}

export function isOpen(settings: Pick<ClassExercise, 'opens'>, now: number): boolean {
  return settings.opens === null || now >= settings.opens;
}
