import type {
  Audience,
  HandInView,
  RoundView,
  StudentRow,
  TaskState,
  TaskVerdict,
  TaskView,
} from '../classroom/api.js';

/** How a verdict is told: a sign and a word, so that colour is never the only one. */
const verdictWords: Readonly<Record<TaskVerdict, { sign: string; word: string }>> = {
  open: { sign: '○', word: 'not tried yet' },
  pass: { sign: '✓', word: 'done' },
  fail: { sign: '✗', word: 'not yet' },
  inconclusive: { sign: '?', word: 'could not be judged' },
  error: { sign: '!', word: 'could not be judged: the lab broke' },
  skipped: { sign: '–', word: 'not looked at' },
};

/** As `verdictWords`; what must stay so is not something to get done, and what came with the lab nobody did. */
export function verdictWord(verdict: TaskVerdict, guard: boolean, given = false): { sign: string; word: string } {
  if (given) return { sign: '–', word: 'came with the lab, no points' };
  if (guard && verdict === 'fail') return { sign: verdictWords.fail.sign, word: 'broken' };
  if (guard && verdict === 'pass') return { sign: verdictWords.pass.sign, word: 'holds' };
  return verdictWords[verdict];
}

/** Since when a verdict stands, by the clock of whoever reads it; empty where nothing was looked at yet. */
export function sinceWords(since: string | null): string {
  if (since === null) return '';
  const at = new Date(since);
  return `since ${[at.getHours(), at.getMinutes(), at.getSeconds()].map((value) => String(value).padStart(2, '0')).join(':')}`;
}

/** What was handed in, and what of it counts: one rule for a student's page, a teacher's table and the grades. */
export function handInWords({ times, judging, counts, of }: HandInView): string {
  const waits = judging ? ' The last one is being judged.' : '';
  if (counts === null)
    return judging ? 'Handed in; it is being judged.' : 'Handed in, and it could not be judged: a teacher looks at it.';
  const { nth, late, points, sum, undecided } = counts;
  const which = times === 1 ? 'Handed in' : `Counts: the best of ${times} hand-ins (number ${nth})`;
  const open =
    undecided === 0
      ? ''
      : ` ${count(undecided, 'task')} of it could not be judged: a teacher looks at ${undecided === 1 ? 'it' : 'them'}.`;
  return `${which}${late ? ', late' : ''}: ${points} of ${count(of, 'point')}.${sum === '' ? '' : ` ${sum}`}${open}${waits}`;
}

/** What a round of checks came to, by its tasks; `null` where it was about none that are known here. */
export function roundWords(
  round: Pick<RoundView, 'kind' | 'tasks'>,
  tasks: readonly Pick<TaskView, 'id' | 'title' | 'guard'>[],
  states: readonly Pick<TaskState, 'id' | 'verdict'>[],
): string | null {
  const seen = tasks
    .filter(({ id }) => round.tasks.includes(id))
    .map(({ id, title, guard }) => {
      const verdict = states.find((one) => one.id === id)?.verdict ?? 'open';
      return { title, verdict, word: verdictWord(verdict, guard).word };
    });
  const [only] = seen;
  if (only === undefined) return null;
  const begin = round.kind === 'hand-in' ? 'What you gave in is judged' : 'Checked';
  if (seen.length === 1) return `${begin}: “${only.title}” – ${only.word}.`;
  const rest = seen.filter(({ verdict }) => verdict !== 'pass');
  if (rest.length === 0) return `${begin}: all ${seen.length} are as they should be.`;
  const words = [...new Set(rest.map(({ word }) => word))];
  const named = words.map((word) => {
    const those = rest.filter((one) => one.word === word).map(({ title }) => `“${title}”`);
    return `${word}: ${those.join(', ')}`;
  });
  return `${begin}: ${seen.length - rest.length} of ${seen.length} are as they should be; ${named.join('; ')}.`;
}

/** How far a list of tasks is: what must stay so is nothing to get done, and is told apart. */
export function progressWords(
  tasks: readonly Pick<TaskView, 'id' | 'guard'>[],
  states: readonly (Pick<TaskState, 'id' | 'verdict'> & Partial<Pick<TaskState, 'given'>>)[],
): string {
  const verdict = (id: string): TaskVerdict => states.find((one) => one.id === id)?.verdict ?? 'open';
  const given = (id: string): boolean => states.find((one) => one.id === id)?.given === true;
  const todo = tasks.filter(({ guard }) => !guard);
  const done = todo.filter(({ id }) => verdict(id) === 'pass' && !given(id)).length;
  const broken = tasks.filter(({ id, guard }) => guard && verdict(id) === 'fail').length;
  return [
    ...(todo.length > 0 ? [`${done} of ${todo.length} done`] : []),
    ...(broken > 0 ? [`${broken} that must stay so ${broken === 1 ? 'is' : 'are'} broken`] : []),
  ].join(', ');
}

/** Shorter than that, nobody is stuck, ms. */
const shortMs = 120_000;

/** How a student stands at an exercise: what they ask for beside what they did. */
export function standing(
  row: Pick<StudentRow, 'joined' | 'online'>,
  work: Pick<StudentRow['work'][number], 'begun' | 'help' | 'handedIn' | 'lab' | 'stuckMs'> | undefined,
): string {
  if (work === undefined || !work.begun) return row.joined ? 'not begun' : 'not joined';
  const told = [
    ...(work.handedIn === null ? [] : [work.handedIn.counts?.late ? 'handed in, late' : 'handed in']),
    ...(work.help === null ? [] : ['asks for help']),
  ];
  if (told.length > 0) return told.join('; ');
  if (work.lab === 'queued' || work.lab === 'starting' || work.lab === 'failed') return `lab ${work.lab}`;
  if (work.stuckMs !== null && work.stuckMs >= shortMs) return `stuck for ${span(work.stuckMs)}`;
  return row.online ? 'at work' : 'away';
}

/** `1:04:09`, `4:09`, `0:09`. */
function clock(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** `just now`, `4 min`, `2 h 10 min`. */
function span(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return 'just now';
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** To whom something goes: `all 3 students`, or a name. */
export function audienceWords(to: Audience, students: readonly Pick<StudentRow, 'person'>[]): string {
  if (to === 'all') return students.length === 1 ? 'the one student' : `all ${students.length} students`;
  return to.map((id) => students.find(({ person }) => person.id === id)?.person.name ?? id).join(', ');
}

/** What was done to somebody's time. */
export function timeGivenWords(whom: string, minutes: number, title: string): string {
  return `${count(Math.abs(minutes), 'minute')} ${minutes < 0 ? 'less' : 'more'} for ${whom}: ${title}.`;
}

/** What a page says of its connection; empty where all is well. */
export function connectionWords({ connected, over }: { connected: boolean; over: boolean }): string {
  if (over) return 'The class has ended.';
  return connected ? '' : 'Not connected: tried again …';
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** How much time there is, and where it is up, whether handing in is taken all the same, until when and for how much. */
export function timeWords(closesAt: string, late: { until: string; factor: number } | null, now: number): string {
  const left = Date.parse(closesAt) - now;
  if (left > 0) return `${clock(left)} left`;
  if (late === null || now > Date.parse(late.until)) return 'time is up: nothing is taken any more';
  const until = new Date(late.until);
  const day = until.toDateString() === new Date(now).toDateString() ? '' : `${until.toLocaleDateString()}, `;
  const at = [until.getHours(), until.getMinutes()].map((value) => String(value).padStart(2, '0')).join(':');
  const worth = `${Number((late.factor * 100).toFixed(2))} % of its points`;
  return `time is up; handing in is possible until ${day}${at} and counts ${worth}`;
}
