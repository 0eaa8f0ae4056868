import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CheckRequest, ExerciseView, RoundView, TraceView, WorkView } from '../../classroom/api.js';
import { Html } from '../parts/html.js';
import { LabBar, Round } from '../parts/lab.js';
import { News } from '../parts/news.js';
import { FromTeacher, Help, Timer } from '../parts/people.js';
import { Step, type StepProps } from '../parts/step.js';
import { Task } from '../parts/task.js';
import { Terminals, type Wanted } from '../parts/terminals.js';
import { Topology } from '../parts/topology.js';
import { Trace } from '../parts/trace.js';
import { pathOf, send } from '../server.js';
import { useExercise, usePage, useServerTime, type Page } from '../state.js';
import { connectionWords, handInWords, progressWords, roundWords } from '../words.js';

interface WorkPlace {
  page: Page;
  view: ExerciseView;
  work: WorkView;
}

function HandIn({ page, view, work }: WorkPlace) {
  const post = (route: 'check' | 'handIn', body: CheckRequest = {}): void =>
    page.doing(send<WorkView>(pathOf(route, { exercise: work.exercise }), body).then((answer) => page.take(answer)));
  const hand = (): void => {
    if (window.confirm('Handed in is what the lab is now. Go on?')) post('handIn');
  };
  const { handedIn } = work;
  return (
    <div class="row">
      {view.may.try && (
        <button
          type="button"
          class="main"
          disabled={work.lab.state !== 'up' || work.round !== null}
          onClick={() => post('check')}
        >
          Check all tasks
        </button>
      )}
      {view.may.handIn && (
        <button type="button" disabled={work.lab.state !== 'up' || work.round !== null} onClick={hand}>
          Hand in
        </button>
      )}
      <Round work={work} />
      {handedIn !== null && <p role="status">{handInWords(handedIn)}</p>}
    </div>
  );
}

function TaskList({ page, view, work, only }: WorkPlace & { only: (id: string) => boolean }) {
  const tasks = view.tasks.filter(({ id }) => only(id));
  if (tasks.length === 0) return null;
  return (
    <>
      <h3>
        {tasks.every(({ guard }) => guard) ? 'Must stay as it is' : 'Tasks'}{' '}
        <span class="dim">{progressWords(tasks, work.tasks)}</span>
      </h3>
      <ul class="tasks">
        {tasks.map((task) => (
          <Task
            key={task.id}
            task={task}
            state={work.tasks.find(({ id }) => id === task.id)}
            page={page}
            work={work}
            check={view.may.try ? page.checkOf(work, task.id) : null}
          />
        ))}
      </ul>
    </>
  );
}

/** Steps and tasks of a guided lab in the order of its file: their ids count through. */
function Course({ page, view, work, stage, typeIn }: WorkPlace & Pick<StepProps, 'typeIn'> & { stage: string | null }) {
  const at = (id: string): number => Number(id.slice(1));
  const rows = [
    ...view.steps.filter((one) => one.stage === stage).map((step) => ({ at: at(step.id), step, task: null })),
    ...view.tasks.filter((one) => one.stage === stage).map((task) => ({ at: at(task.id), step: null, task })),
  ].sort((one, other) => one.at - other.at);
  if (rows.length === 0) return null;
  return (
    <ol class="steps tasks">
      {rows.map(({ step, task }) =>
        step === null ? (
          <Task
            key={task.id}
            task={task}
            state={work.tasks.find(({ id }) => id === task.id)}
            page={page}
            work={work}
            check={page.checkOf(work, task.id)}
          />
        ) : (
          <Step
            key={step.id}
            step={step}
            state={work.steps.find(({ id }) => id === step.id)}
            page={page}
            work={work}
            typeIn={typeIn}
          />
        ),
      )}
    </ol>
  );
}

function Lab({ page, view, work, wanted }: WorkPlace & { wanted: Wanted | null }) {
  const [trace, setTrace] = useState<TraceView | null>(null);
  return (
    <section class="lab-side" aria-label="Lab">
      <Topology topology={view.topology} work={work} trace={trace} />
      {view.may.trace && <Trace page={page} work={work} trace={trace} seen={setTrace} />}
      <h3>Terminals</h3>
      <Terminals work={work} wanted={wanted} />
    </section>
  );
}

/** Tells what a round that this person asked for came to, and brings its task into view where it was one alone. */
function useRoundNews({ page, view, work }: WorkPlace): void {
  const before = useRef<RoundView | null>(null);
  const { round } = work;
  useEffect(() => {
    const over = before.current;
    before.current = round;
    if (over === null || over.kind === 'watch' || over.id === round?.id) return;
    const words = roundWords(over, view.tasks, work.tasks);
    if (words !== null) page.tell(words);
    if (over.tasks.length === 1) document.getElementById(`task-${over.tasks[0]}`)?.scrollIntoView({ block: 'nearest' });
  }, [round?.id]);
}

function Work({ page, view, work }: WorkPlace) {
  useRoundNews({ page, view, work });
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const typeIn = (place: string, command: string): void => setWanted({ place, command });
  const staged = new Set(view.stages.flatMap(({ tasks }) => tasks));
  const solo = view.may.steps;
  const parts = { page, view, work };
  return (
    <div class="work">
      <section class="lab-head" aria-label="Lab and help">
        <LabBar page={page} view={view} work={work} />
        {view.may.help && <Help page={page} work={work} />}
        <FromTeacher page={page} work={work} />
      </section>
      <section class="text-side" aria-label="Text and tasks">
        <Html html={view.html} />
        {solo && <Course {...parts} stage={null} typeIn={typeIn} />}
        {view.stages.map((stage) => (
          <section key={stage.id} class="stage">
            <h2>{stage.title}</h2>
            <Html html={stage.html} />
            {solo ? (
              <Course {...parts} stage={stage.id} typeIn={typeIn} />
            ) : (
              <TaskList {...parts} only={(id) => stage.tasks.includes(id)} />
            )}
          </section>
        ))}
        {!solo && <TaskList {...parts} only={(id) => !staged.has(id)} />}
        <HandIn {...parts} />
      </section>
      <Lab {...parts} wanted={wanted} />
    </div>
  );
}

function StudentPage() {
  const page = usePage();
  const [chosen, setChosen] = useState<string | null>(null);
  const { session } = page;
  const id = chosen ?? session?.exercises.find(({ open }) => open)?.id ?? session?.exercises[0]?.id ?? null;
  const view = useExercise(page, id);
  const work = id === null ? undefined : page.work[id];
  const time = useServerTime(work?.now ?? session?.now);
  if (page.out)
    return (
      <main class="alone">
        <h1>You are not in</h1>
        <p>Open the link that you were given.</p>
        <p>
          <a href="/join">Type a code instead</a>
        </p>
      </main>
    );
  if (session === null)
    return (
      <main class="alone" aria-busy="true">
        Loading …
      </main>
    );
  return (
    <>
      <header class="top">
        <h1>{session.role === 'solo' ? session.title : (view?.exercise.title ?? session.title)}</h1>
        {session.exercises.length > 1 && (
          <label>
            Exercise{' '}
            <select value={id ?? ''} onChange={(event) => setChosen(event.currentTarget.value)}>
              {session.exercises.map((one) => (
                <option key={one.id} value={one.id} disabled={!one.open}>
                  {one.title}
                  {one.open ? '' : ' (closed)'}
                </option>
              ))}
            </select>
          </label>
        )}
        <Timer closesAt={page.over ? null : (work?.closesAt ?? null)} late={work?.late ?? null} time={time} />
        <span class="person">{session.role === 'solo' ? '' : session.person.name}</span>
        <span role="status" class={page.connected ? 'connection' : 'connection cut'}>
          {connectionWords(page)}
        </span>
      </header>
      <News page={page} />
      <main>
        {view === null || work === undefined ? (
          <p aria-busy="true">Loading …</p>
        ) : (
          <Work key={work.exercise} page={page} view={view} work={work} />
        )}
      </main>
    </>
  );
}

render(<StudentPage />, document.getElementById('page')!);
