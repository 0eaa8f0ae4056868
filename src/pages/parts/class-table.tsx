import { useEffect, useRef, useState } from 'preact/hooks';
import type { ClassView, StudentRow } from '../../classroom/api.js';
import { count, standing, verdictWord } from '../words.js';

export interface Chosen {
  person: string;
  exercise: string;
}

type Exercise = ClassView['exercises'][number];
type Work = StudentRow['work'][number];

function workAt(row: StudentRow, exercise: string): Work | undefined {
  return row.work.find((one) => one.exercise === exercise);
}

/** Who asks for help comes first, the longest waiting before; then who is stuck longest; then by name. */
function inOrder(students: readonly StudentRow[], exercise: string): StudentRow[] {
  const waits = (row: StudentRow): number => {
    const since = workAt(row, exercise)?.help?.since;
    return since === undefined ? Number.POSITIVE_INFINITY : Date.parse(since);
  };
  const stuck = (row: StudentRow): number => workAt(row, exercise)?.stuckMs ?? -1;
  return [...students].sort(
    (a, b) => Math.sign(waits(a) - waits(b)) || stuck(b) - stuck(a) || a.person.name.localeCompare(b.person.name),
  );
}

function TaskCell({ work, id, guard }: { work: Work | undefined; id: string; guard: boolean }) {
  const task = work?.tasks[id];
  const verdict = task?.verdict ?? 'open';
  const { sign, word } = verdictWord(verdict, guard, task?.given);
  const more = task
    ? [task.tries > 0 && count(task.tries, 'try', 'tries'), task.hints > 0 && count(task.hints, 'hint')]
    : [];
  const words = [word, ...more.filter(Boolean)].join(', ');
  return (
    <td class={`cell ${verdict}`} title={words}>
      <span aria-hidden="true">{sign}</span>
      <span class="sr">{words}</span>
      {task !== undefined && task.hints > 0 && <small aria-hidden="true"> h{task.hints}</small>}
    </td>
  );
}

function OthersTag({ others }: { others: Work['others'] }) {
  const names = [...new Set(others.map(({ student }) => student.name))].join(', ');
  return (
    <span class="tag" title={`Values that were drawn for ${names} turned up; choose the name to see where.`}>
      value of {names}
    </span>
  );
}

export interface ClassTableProps {
  view: ClassView;
  exercise: Exercise;
  chosen: Chosen | null;
  choose(chosen: Chosen): void;
}

/** Whether a table is wider than its place: what is beyond has to be said. */
function useTooWide(): { place: { current: HTMLDivElement | null }; tooWide: boolean } {
  const place = useRef<HTMLDivElement>(null);
  const [tooWide, setTooWide] = useState(false);
  useEffect(() => {
    const [box, table] = [place.current, place.current?.querySelector('table')];
    if (!box || !table) return undefined;
    const watcher = new ResizeObserver(() => setTooWide(table.offsetWidth > box.clientWidth + 1));
    watcher.observe(box);
    watcher.observe(table);
    return () => watcher.disconnect();
  }, []);
  return { place, tooWide };
}

/**
 * A row a student, a column a task: live. Where it fits, it scrolls with the page and its headings stay in sight; where it does
 * not, it scrolls by itself, and says so.
 */
export function ClassTable({ view, exercise, chosen, choose }: ClassTableProps) {
  const { place, tooWide } = useTooWide();
  return (
    <>
      {tooWide && (
        <p class="dim">
          {`The table is wider than the window: scroll it sideways for all ${count(exercise.tasks.length, 'task')}. Names and points stay in sight.`}
        </p>
      )}
      <div
        class={tooWide ? 'class-table wide' : 'class-table'}
        ref={place}
        tabIndex={tooWide ? 0 : -1}
        role="region"
        aria-label="Students and tasks"
      >
        <Table view={view} exercise={exercise} chosen={chosen} choose={choose} />
      </div>
    </>
  );
}

function Table({ view, exercise, chosen, choose }: ClassTableProps) {
  return (
    <table class="class">
      <thead>
        <tr>
          <th scope="col">Student</th>
          <th scope="col">State</th>
          {exercise.tasks.map(({ id, title, guard, hidden }) => (
            <th scope="col" key={id} title={title} class="task-name">
              <span>{title}</span>
              {hidden && <small> (hidden)</small>}
              {guard && <small> (must stay so)</small>}
            </th>
          ))}
          <th scope="col" class="num">
            Points
          </th>
        </tr>
      </thead>
      <tbody>
        {inOrder(view.students, exercise.id).map((row) => {
          const work = workAt(row, exercise.id);
          const { id, name } = row.person;
          return (
            <tr key={id} class={work?.help ? 'asks' : ''}>
              <th scope="row">
                <button
                  type="button"
                  title={name}
                  aria-pressed={chosen?.person === id}
                  onClick={() => choose({ person: id, exercise: exercise.id })}
                >
                  <span>{name}</span>
                </button>
              </th>
              <td>
                {standing(row, work)}
                {work !== undefined && work.others.length > 0 && <OthersTag others={work.others} />}
              </td>
              {exercise.tasks.map((task) => (
                <TaskCell key={task.id} work={work} id={task.id} guard={task.guard} />
              ))}
              <td class="num">{work === undefined ? '–' : `${work.points} / ${work.of}`}</td>
            </tr>
          );
        })}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Done</th>
          <td />
          {exercise.tasks.map(({ id, guard }) => {
            const states = view.students.map((row) => workAt(row, exercise.id)?.tasks[id]);
            const done = states.filter((state) => state?.verdict === 'pass' && !state.given).length;
            return (
              <td
                key={id}
                title={guard ? 'It holds for so many' : 'So many have done it'}
              >{`${done} of ${view.students.length}`}</td>
            );
          })}
          <td />
        </tr>
      </tfoot>
    </table>
  );
}
