import { formatDuration } from '../../model/duration.js';
import type { Path } from '../diagnostic.js';
import type { Report } from './mistakes.js';

/**
 * The most that one file may hold. Larger than any lab that one machine can run, and small enough that every pass is over
 * in the time a reader waits.
 */
export const limits = {
  combinations: 64,
  matrixNames: 16,
  variables: 1000,
  parameters: 50,
  hosts: 1000,
  segments: 1000,
  items: 5000,
  networksOfHost: 500,
  containersOfHost: 500,
  portsOfHost: 2000,
  durationMs: 3_600_000,
} as const;

export function checkDuration(report: Report, path: Path, ms: number | undefined): void {
  if (ms !== undefined && ms > limits.durationMs)
    report(path, `${formatDuration(ms)} is longer than an hour, the longest that anything may take`);
}

/** Whether there are few enough; says so where there are not. */
export function withinLimit(report: Report, path: Path, what: string, count: number, limit: number): boolean {
  if (count <= limit) return true;
  report(path, `${count} ${what}: a file holds at most ${limit}`, 'key');
  return false;
}
