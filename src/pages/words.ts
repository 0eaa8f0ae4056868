import type { StudentRow, TaskVerdict } from '../classroom/api.js';

/** How a verdict is told: a sign and a word, so that colour is never the only one. */
const verdictWords: Readonly<Record<TaskVerdict, { sign: string; word: string }>> = {
  open: { sign: '○', word: 'not tried yet' },
  pass: { sign: '✓', word: 'done' },
  fail: { sign: '✗', word: 'not yet' },
  inconclusive: { sign: '?', word: 'could not be judged' },
  error: { sign: '!', word: 'could not be judged: the lab broke' },
  skipped: { sign: '–', word: 'not looked at' },
};

/** As `verdictWords`; what must stay so is not something to get done. */
export function verdictWord(verdict: TaskVerdict, guard: boolean): { sign: string; word: string } {
  if (guard && verdict === 'fail') return { sign: verdictWords.fail.sign, word: 'broken' };
  if (guard && verdict === 'pass') return { sign: verdictWords.pass.sign, word: 'holds' };
  return verdictWords[verdict];
}

/** Shorter than that, nobody is stuck, ms. */
const shortMs = 120_000;

/** How a student stands at an exercise: what they ask for beside what they did. */
export function standing(
  row: Pick<StudentRow, 'joined' | 'online'>,
  work: Pick<StudentRow['work'][number], 'help' | 'handedIn' | 'lab' | 'stuckMs'> | undefined,
): string {
  if (work === undefined) return row.joined ? 'not begun' : 'not joined';
  const told = [
    ...(work.handedIn === null ? [] : [work.handedIn.late ? 'handed in, late' : 'handed in']),
    ...(work.help === null ? [] : ['asks for help']),
  ];
  if (told.length > 0) return told.join('; ');
  if (work.lab === 'queued' || work.lab === 'starting' || work.lab === 'failed') return `lab ${work.lab}`;
  if (work.stuckMs !== null && work.stuckMs >= shortMs) return `stuck for ${span(work.stuckMs)}`;
  return row.online ? 'at work' : 'away';
}

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
