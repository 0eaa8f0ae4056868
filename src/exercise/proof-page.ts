import { formatDuration } from '../model/duration.js';
import type { Believed } from './believed.js';
import type { Flaw, Proof, ProofLine } from './proof.js';
import { isProven } from './proof.js';

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}

/** One line for each lab, line and flaw of a proof, and one that says what it came to; without colours. */
export function labLine(proof: Proof, { title, seen, durationMs }: Proof['labs'][number]): string {
  const passed = seen.filter(({ verdict }) => verdict === 'pass').length;
  return `${proof.exercise}  ${title}: ${passed} of ${count(seen.length, 'graded check')} pass (${formatDuration(durationMs)})`;
}

export function lineLine(proof: Proof, { line, what, fate, by }: ProofLine): string {
  return `${fate}  ${proof.exercise}:${line}  ${what}${by === '' ? '' : ` — ${by}`}`;
}

export function flawLine(proof: Proof, { name, line, sentence, mend }: Flaw): string {
  return `${name}  ${proof.file}${line === null ? '' : `:${line}`}  ${sentence}. To mend: ${mend}.`;
}

export function believedLine(proof: Pick<Proof, 'file'>, { line, title, of, instead }: Believed): string {
  return `takes a host's word  ${proof.file}:${line}  "${title}" believes ${of}, which root of that host can bend. Besides: ${instead}.`;
}

export function proofLine(proof: Proof): string {
  const { exercise, broken, flaws, lines, tasks, points, whole, shared, durationMs } = proof;
  const time = formatDuration(durationMs);
  if (broken !== null) return `${exercise}  not known: ${broken}`;
  if (!isProven(proof)) return `${exercise}  ${count(flaws.length, 'flaw')} (${time})`;
  const tried = whole
    ? `, ${count(lines.filter(({ fate }) => fate === 'noticed' || fate === 'needed').length, 'line')} of the solution missed when gone`
    : ', its lines not tried';
  const untried = shared === 0 ? '' : `, those of ${count(shared, 'step')} in shared files not tried`;
  return `${exercise}  proven: ${count(tasks, 'task')} for ${count(points, 'point')}${tried}${untried} (${time})`;
}
