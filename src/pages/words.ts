import type { TaskVerdict } from '../classroom/api.js';

/** How a verdict is told: a sign and a word, so that colour is never the only one. */
export const verdictWords: Readonly<Record<TaskVerdict, { sign: string; word: string }>> = {
  open: { sign: '○', word: 'not tried yet' },
  pass: { sign: '✓', word: 'done' },
  fail: { sign: '✗', word: 'not yet' },
  inconclusive: { sign: '?', word: 'could not be judged' },
  error: { sign: '!', word: 'could not be judged: the lab broke' },
  skipped: { sign: '–', word: 'not looked at' },
};

/** `1:04:09`, `4:09`, `0:09`. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** `just now`, `4 min`, `2 h 10 min`. */
export function span(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return 'just now';
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
