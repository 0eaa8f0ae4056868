import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type {
  AskToTypeRequest,
  ClassView,
  EndForRequest,
  HelpedRequest,
  ResetForRequest,
  StudentRow,
  WorkView,
} from '../../classroom/api.js';
import { ClassTable, type Chosen } from '../parts/class-table.js';
import { Grades, Message, MoreTime, NewLink, Totals, Undecided } from '../parts/class-tools.js';
import { HostAgain, hostLost } from '../parts/lab.js';
import { News } from '../parts/news.js';
import { Terminals } from '../parts/terminals.js';
import { pathOf, send } from '../server.js';
import { usePage, type Page } from '../state.js';
import { connectionWords, count, handInWords, verdictWord } from '../words.js';

type Work = StudentRow['work'][number];

/** As much of a student's work as the terminals need. */
function workOf(work: Work, now: string): WorkView {
  return {
    exercise: work.exercise,
    now,
    version: 0,
    lab: work.lab === 'up' ? { state: 'up', since: '', resetting: null, resetFailed: null } : { state: 'none' },
    terminals: work.places,
    containers: [],
    tasks: [],
    steps: [],
    round: null,
    startedAt: null,
    closesAt: work.closesAt,
    late: null,
    handedIn: work.handedIn,
    help: work.help,
    typing: [],
    lookers: [],
    messages: [],
  };
}

/** What may have been copied: a person judges it, no points do. */
function Others({ others }: { others: Work['others'] }) {
  if (others.length === 0) return null;
  return (
    <section class="others inconclusive" aria-label="Values of other students">
      <h3>Values that were drawn for others</h3>
      <p class="dim">A sign of copying, and no proof of it. No points are taken.</p>
      <ul>
        {others.map(({ value, parameter, student, where, text }) => (
          <li key={`${student.id} ${parameter} ${value}`}>
            <b>{value}</b>, the {parameter} of {student.name}, {where}: <code>{text}</code>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What became of each task, with the reasons of those that are red. */
function Tasks({ exercise, work }: { exercise: ClassView['exercises'][number]; work: Work }) {
  return (
    <ul class="tasks">
      {exercise.tasks.map(({ id, title, guard, hidden }) => {
        const state = work.tasks[id];
        const { sign, word } = verdictWord(state?.verdict ?? 'open', guard, state?.given);
        return (
          <li key={id} class={state?.verdict ?? 'open'}>
            <span class="sign" aria-hidden="true">
              {sign}
            </span>{' '}
            {title} <span class="badge">{word}</span> {hidden && <span class="tag">hidden</span>}
            {state !== undefined && state.hints > 0 && <span class="tag">{count(state.hints, 'hint')}</span>}
            {state?.reason && <p>{state.reason}</p>}
          </li>
        );
      })}
    </ul>
  );
}

interface AtWork {
  page: Page;
  row: StudentRow;
  work: Work;
}

/** A call for help, until it is answered. */
function Helped({ page, row: { person }, work: { exercise, help } }: AtWork) {
  if (help === null) return null;
  const helped = (): void => {
    const request: HelpedRequest = { person: person.id, exercise };
    page.doing(send(pathOf('helped'), request), {
      what: `Help for ${person.name}`,
      done: `${person.name} waits for help no more.`,
    });
  };
  return (
    <>
      <span>Asks for help{help.note === '' ? '' : `: ${help.note}`}</span>
      <button type="button" onClick={helped}>
        Helped
      </button>
    </>
  );
}

/** A button a terminal: the student says whether a teacher may type there. */
function AskToType({ page, row: { person }, work: { exercise, places } }: AtWork) {
  const ask = (place: string): void => {
    const request: AskToTypeRequest = { person: person.id, exercise, place };
    page.doing(send(pathOf('askToType'), request), {
      what: `Question to ${person.name}`,
      done: `${person.name} was asked whether you may type at ${place}.`,
    });
  };
  return (
    <>
      {places.map((place) => (
        <button type="button" key={place} onClick={() => ask(place)}>
          Ask to type at {place}
        </button>
      ))}
    </>
  );
}

/** A place that is brought into view whenever it is about something else: below a table of thirty, nobody would see it. */
function useBroughtIntoView(about: string): { current: HTMLElement | null } {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    place.current?.scrollIntoView({ block: 'start' });
    place.current?.focus({ preventScroll: true });
  }, [about]);
  return place;
}

/** One student's work: tasks with reasons, terminals to look at, what a teacher can do. */
function Student({ page, row, work, view, close }: AtWork & { view: ClassView; close(): void }) {
  const [typing, setTyping] = useState<string | null>(null);
  const place = useBroughtIntoView(`${row.person.id} ${work.exercise}`);
  const exercise = view.exercises.find(({ id }) => id === work.exercise);
  const person = row.person.id;
  const again = (what: Pick<ResetForRequest, 'host'>, as: { what: string; done: string }): void => {
    const request: ResetForRequest = { person, exercise: work.exercise, ...what };
    page.doing(send(pathOf('resetFor'), request), as);
  };
  const { name } = row.person;
  const reset = (): void => {
    if (window.confirm(`What ${name} did in the lab is lost. Go on?`))
      again({}, { what: `Reset of the lab of ${name}`, done: `The lab of ${name} begins again.` });
  };
  const resetHost = (host: string): void => {
    if (window.confirm(hostLost(host, false)))
      again({ host }, { what: `Reset of ${host} of ${name}`, done: `${host} in the lab of ${name} begins again.` });
  };
  const end = (): void => {
    const request: EndForRequest = { person, exercise: work.exercise };
    if (window.confirm(`What ${name} did in the lab is lost; what was handed in stays. Its place is free then. Go on?`))
      page.doing(send(pathOf('endFor'), request), {
        what: `End of the lab of ${name}`,
        done: `The lab of ${name} has ended.`,
      });
  };
  return (
    <section class="card" aria-label={`Work of ${row.person.name}`} ref={place} tabIndex={-1}>
      <h2>
        {row.person.name}: {exercise?.title ?? work.exercise}
      </h2>
      <p class="row">
        <span>
          {work.handedIn === null
            ? `${work.points} of ${count(work.of, 'point')} as the lab was seen last; nothing is handed in`
            : handInWords(work.handedIn)}
        </span>
        <button type="button" onClick={close}>
          Back to the table
        </button>
        <Helped page={page} row={row} work={work} />
        <button type="button" onClick={reset}>
          Reset the lab
        </button>
        {['up', 'queued', 'starting'].includes(work.lab) && (
          <button type="button" onClick={end}>
            End the lab
          </button>
        )}
        {work.lab === 'up' && exercise !== undefined && exercise.hosts.length > 1 && (
          <HostAgain hosts={exercise.hosts} busy={work.resetting !== null} begin={resetHost} />
        )}
      </p>
      {work.trouble !== null && <p class="problem">{work.trouble}</p>}
      {exercise !== undefined && <Tasks exercise={exercise} work={work} />}
      <Others others={work.others} />
      <h3>Terminals</h3>
      <div class="row">
        <AskToType page={page} row={row} work={work} />
        <label>
          <input
            type="checkbox"
            checked={typing === person}
            onChange={(event) => setTyping(event.currentTarget.checked ? person : null)}
          />{' '}
          type, where the student said yes
        </label>
      </div>
      <Terminals
        key={`${person}-${typing ?? ''}`}
        work={workOf(work, view.now)}
        wanted={null}
        person={person}
        mode={typing === person ? 'type' : 'look'}
      />
    </section>
  );
}

function Head({ page, view }: { page: Page; view: ClassView }) {
  const { labs } = view;
  const waiting = view.students.flatMap(({ work }) => work).filter(({ help }) => help !== null).length;
  return (
    <header class="top">
      <h1>{view.title}</h1>
      <span>{`${view.students.filter(({ online }) => online).length} of ${count(view.students.length, 'student')} here`}</span>
      <span>{`${labs.up} of ${count(labs.limit, 'lab')} up, ${labs.reserve} in reserve, ${labs.queued} waiting`}</span>
      <span role="status" class="connection cut">
        {labs.stalled ? 'The disk of the machine is full: labs wait until there is room.' : ''}
      </span>
      <span role="status">{waiting > 0 ? `${count(waiting, 'asks', 'ask')} for help` : ''}</span>
      <span role="status" class={page.connected ? 'connection' : 'connection cut'}>
        {connectionWords(page)}
      </span>
    </header>
  );
}

function TeacherPage() {
  const page = usePage();
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [exercise, setExercise] = useState<string | null>(null);
  const view = page.class;
  const close = (): void => {
    document.querySelector<HTMLElement>('table.class [aria-pressed="true"]')?.focus();
    setChosen(null);
  };
  if (page.out)
    return (
      <main class="alone">
        <h1>You are not in</h1>
        <p>
          Open the teacher’s link: <code>netrig class start</code> printed it, and wrote it into <code>links.csv</code>.
        </p>
      </main>
    );
  if (view === null)
    return (
      <main class="alone" aria-busy="true">
        Loading …
      </main>
    );
  const shown = view.exercises.find(({ id }) => id === exercise) ?? view.exercises[0];
  const row = view.students.find(({ person }) => person.id === chosen?.person);
  const work = row?.work.find((one) => one.exercise === chosen?.exercise);
  return (
    <>
      <Head page={page} view={view} />
      <News page={page} />
      <main>
        {view.exercises.length > 1 && (
          <p>
            <label>
              Exercise{' '}
              <select value={shown?.id} onChange={(event) => setExercise(event.currentTarget.value)}>
                {view.exercises.map(({ id, title }) => (
                  <option key={id} value={id}>
                    {title}
                  </option>
                ))}
              </select>
            </label>
          </p>
        )}
        {shown === undefined ? (
          <p>This class has no exercise.</p>
        ) : (
          <>
            <ClassTable view={view} exercise={shown} chosen={chosen} choose={setChosen} />
            <Totals view={view} exercise={shown} />
          </>
        )}
        {row && work && <Student page={page} row={row} work={work} view={view} close={close} />}
        {row && !work && <p>{row.person.name} has not begun this exercise.</p>}
        <Undecided page={page} view={view} />
        <Message page={page} view={view} />
        {shown !== undefined && <MoreTime page={page} view={view} exercise={shown} />}
        <NewLink page={page} view={view} />
        <Grades />
      </main>
    </>
  );
}

render(<TeacherPage />, document.getElementById('page')!);
