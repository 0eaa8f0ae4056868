import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { neutralise } from '../report/terminal-text.js';
import {
  gradeClass,
  gradescopeResults,
  longCsv,
  othersCsv,
  wideCsv,
  type Graded,
  type GradingOptions,
} from './grades.js';
import { writeCsv } from './csv.js';
import { makeDirectorySync } from '../model/directory.js';

function escaped(text: string): string {
  return neutralise(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function fileName(text: string): string {
  return text.replace(/[^A-Za-z0-9._@+-]+/g, '_');
}

/** What is kept from students stays so: this page may go to them. The teacher's files name it. */
function taskRows({ best }: Graded): string {
  return (best?.tasks ?? [])
    .map(({ title, verdict, points, of, guard, shown, told }) => {
      const worth = guard ? 'guard' : `of ${of}`;
      const seen = shown ? told : '';
      const named = shown ? title : `A ${guard ? 'guard' : 'task'} that is not shown`;
      return `<tr><td>${escaped(named)}</td><td>${escaped(verdict)}</td><td>${points ?? 'undecided'}</td><td>${worth}</td><td>${escaped(seen)}</td></tr>`;
    })
    .join('\n');
}

/** Whose values they are is for the teacher's files alone: this page may go to the student. */
function othersNote({ others }: Graded): string {
  if (others.length === 0) return '';
  const found = others.map(({ value, parameter }) => `${value} (${parameter})`).join(', ');
  return `<p>Values turned up in this work that were drawn for other students: ${escaped(found)}. They take no points; a teacher looks at them.</p>`;
}

function section(graded: Graded, title: string): string {
  const { best, handIns, of } = graded;
  if (!best) return `<h2>${escaped(title)}</h2><p>Nothing was handed in.</p>`;
  const undecided = best.undecided.length > 0 ? ` ${best.undecided.length} of its tasks wait for a person’s word.` : '';
  return `<h2>${escaped(title)}</h2>
<p>${best.points} of ${of} points.${best.sum === '' ? '' : ` ${escaped(best.sum)}`} Handed in ${handIns} ${handIns === 1 ? 'time' : 'times'}; what counts is the best, that of ${escaped(best.at)}${best.late ? ', which was late' : ''}.${undecided}</p>
${othersNote(graded)}<table><thead><tr><th>Task</th><th>Verdict</th><th>Points</th><th></th><th>Seen</th></tr></thead><tbody>
${taskRows(graded)}
</tbody></table>`;
}

/** One student's grades, for print or mail: a page without a script. */
export function studentPage(
  student: { id: string; name: string },
  graded: readonly Graded[],
  titles: ReadonlyMap<string, string>,
): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(student.name)}</title>
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #888;text-align:left;padding:.3rem .6rem;vertical-align:top}:root{color-scheme:light dark}</style>
</head><body><h1>${escaped(student.name)} (${escaped(student.id)})</h1>
${graded.map((one) => section(one, titles.get(one.exercise) ?? one.exercise)).join('\n')}
</body></html>
`;
}

/** Verdicts that are none, for a person to decide on. */
function undecidedCsv(options: GradingOptions): string {
  const names = new Map(options.students.map(({ id, name }) => [id, name]));
  const rows = gradeClass(options).flatMap(({ person, exercise, doubts }) =>
    doubts.map(({ handIn: { at }, task: { task, title, verdict, reason } }) => [
      person,
      names.get(person) ?? '',
      exercise,
      task,
      title,
      verdict,
      reason,
      at,
    ]),
  );
  return writeCsv([['id', 'name', 'exercise', 'task', 'title', 'verdict', 'seen', 'handed in'], ...rows]);
}

/**
 * Writes all grades of a class into a directory: `wide.csv`, `long.csv`, `undecided.csv`, `others.csv`, `students/ID.html`, and
 * `gradescope/EXERCISE/ID/results.json`.
 */
export function writeGrades(directory: string, options: GradingOptions): void {
  makeDirectorySync(join(directory, 'students'), 0o700);
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text, { mode: 0o600 });
  write('wide.csv', wideCsv(options));
  write('long.csv', longCsv(options));
  write('undecided.csv', undecidedCsv(options));
  write('others.csv', othersCsv(options));
  const graded = gradeClass(options);
  const titles = new Map(options.exercises.map(({ settings, of }) => [settings.id, of(options.students[0]!.id).title]));
  for (const student of options.students) {
    const own = graded.filter(({ person }) => person === student.id);
    write(join('students', `${fileName(student.id)}.html`), studentPage(student, own, titles));
    for (const one of own) {
      const { of } = options.exercises.find(({ settings }) => settings.id === one.exercise)!;
      const folder = join('gradescope', one.exercise, fileName(student.id));
      makeDirectorySync(join(directory, folder), 0o700);
      write(join(folder, 'results.json'), `${JSON.stringify(gradescopeResults(one, of(student.id)), null, 2)}\n`);
    }
  }
}
