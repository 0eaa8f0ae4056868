import { useState } from 'preact/hooks';
import type {
  Audience,
  ClassView,
  DecideRequest,
  MessageRequest,
  MoreTimeRequest,
  NewLinkRequest,
  NewLinkView,
  UndecidedView,
} from '../../classroom/api.js';
import { mostMinutes, routes } from '../../classroom/api.js';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';
import { audienceWords, count, timeGivenWords } from '../words.js';

type Exercise = ClassView['exercises'][number];

function audienceOf(form: FormData): Audience {
  const to = String(form.get('to') ?? 'all');
  return to === 'all' ? 'all' : [to];
}

function StudentOptions({ view }: { view: ClassView }) {
  return view.students.map(({ person }) => (
    <option key={person.id} value={person.id}>
      {person.name}
    </option>
  ));
}

function ToWhom({ view }: { view: ClassView }) {
  return (
    <label>
      for{' '}
      <select name="to">
        <option value="all">all</option>
        <StudentOptions view={view} />
      </select>
    </label>
  );
}

/** Tasks that many try and few get done: the exercise may be what is wrong. */
export function Totals({ view, exercise }: { view: ClassView; exercise: Exercise }) {
  const works = view.students.flatMap(({ work }) => work.filter((one) => one.exercise === exercise.id));
  const hard = exercise.tasks
    .map((task) => {
      const states = works.map((work) => work.tasks[task.id]).filter((state) => state !== undefined);
      const tried = states.filter(({ tries }) => tries > 0);
      const failed = tried.filter(({ verdict }) => verdict !== 'pass');
      const broken = states.filter(({ verdict }) => verdict === 'inconclusive' || verdict === 'error');
      return { task, tried: tried.length, failed: failed.length, broken: broken.length };
    })
    .filter(({ tried, failed, broken }) => broken > 0 || (tried >= 3 && failed * 2 > tried));
  if (hard.length === 0) return null;
  return (
    <section class="card problems fail" aria-label="Tasks that may be at fault themselves">
      <h2>Worth a look</h2>
      <ul>
        {hard.map(({ task, tried, failed, broken }) => (
          <li key={task.id}>
            {task.title}: {`${failed} of ${count(tried, 'student')} who tried did not get it done`}
            {broken > 0 && `; for ${broken} it could not be judged`}.
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Why, and the word, for one hand-in or for all that are about the same thing. */
function Word({ page, ids, what, all }: { page: Page; ids: string[]; what: string; all: string }) {
  const decide = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement, event.submitter as HTMLElement | null);
    const request: DecideRequest = {
      id: ids,
      credit: form.get('credit') === 'yes',
      why: String(form.get('why') ?? ''),
    };
    const word = request.credit ? 'Credited' : 'Not credited';
    page.doing(send(pathOf('decide'), request), { what, done: `${word}: ${what}.` });
  };
  return (
    <form class="row" onSubmit={decide}>
      <label>
        why <input name="why" required maxLength={500} />
      </label>
      <button type="submit" name="credit" value="yes">
        {`Credit it${all}`}
      </button>
      <button type="submit" name="credit" value="no">
        {`Do not${all}`}
      </button>
    </form>
  );
}

function Decide({ page, one }: { page: Page; one: UndecidedView }) {
  return (
    <li>
      <b>{one.person.name}</b>, {one.title}
      {one.of > 1 && ` (hand-in ${one.nth} of ${one.of})`}: {one.reason}
      <Word page={page} ids={[one.id]} what={`${one.title}, ${one.person.name}`} all="" />
    </li>
  );
}

/** The same doubt in several hand-ins: one word for all, or one for each. */
function DecideAll({ page, alike }: { page: Page; alike: UndecidedView[] }) {
  const { title, reason } = alike[0]!;
  const number = count(alike.length, 'hand-in');
  const names = [...new Set(alike.map(({ person }) => person.name))].join(', ');
  return (
    <li>
      <b>{title}</b>, {number}: {reason}
      <p>{names}</p>
      <Word page={page} ids={alike.map(({ id }) => id)} what={`${title}, ${number}`} all={`, all ${alike.length}`} />
      <details>
        <summary>One by one</summary>
        <ul>
          {alike.map((one) => (
            <Decide key={one.id} page={page} one={one} />
          ))}
        </ul>
      </details>
    </li>
  );
}

/** What netrig could not judge: a person decides, and says why. What is the same for several is decided once. */
export function Undecided({ page, view }: { page: Page; view: ClassView }) {
  if (view.undecided.length === 0) return null;
  const byAbout = new Map<string, UndecidedView[]>();
  for (const one of view.undecided) byAbout.set(one.about, [...(byAbout.get(one.about) ?? []), one]);
  return (
    <section class="card problems inconclusive" aria-label="To be decided by you">
      <h2>{`To be decided by you: ${view.undecided.length}`}</h2>
      <ul>
        {[...byAbout].map(([about, alike]) =>
          alike.length === 1 ? (
            <Decide key={about} page={page} one={alike[0]!} />
          ) : (
            <DecideAll key={about} page={page} alike={alike} />
          ),
        )}
      </ul>
    </section>
  );
}

export function Message({ page, view }: { page: Page; view: ClassView }) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const form = new FormData(element);
    const request: MessageRequest = { to: audienceOf(form), text: String(form.get('text')) };
    const whom = audienceWords(request.to, view.students);
    page.doing(
      send(pathOf('message'), request).then(() => element.reset()),
      { what: `Message to ${whom}, not sent`, done: `Message sent to ${whom}.` },
    );
  };
  return (
    <form class="row" onSubmit={submit}>
      <label>
        Message <input name="text" required maxLength={2000} size={40} />
      </label>
      <ToWhom view={view} />
      <button type="submit">Send</button>
    </form>
  );
}

export function MoreTime({ page, view, exercise }: { page: Page; view: ClassView; exercise: Exercise }) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const minutes = Number(form.get('minutes'));
    const request: MoreTimeRequest = { to: audienceOf(form), exercise: exercise.id, minutes };
    const whom = audienceWords(request.to, view.students);
    page.doing(send(pathOf('moreTime'), request), {
      what: `Time for ${whom}, not given`,
      done: timeGivenWords(whom, minutes, exercise.title),
    });
  };
  return (
    <form class="row" onSubmit={submit}>
      <label>
        More time, minutes (below 0: less){' '}
        <input name="minutes" type="number" min={-mostMinutes} max={mostMinutes} step={1} defaultValue="10" required />
      </label>
      <ToWhom view={view} />
      <button type="submit">Give</button>
    </form>
  );
}

/** For who lost a link, or whose link others have: it is shown here once, and stands in the file of links. */
export function NewLink({ page, view }: { page: Page; view: ClassView }) {
  const [made, setMade] = useState<{ name: string; link: string } | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const person = String(new FormData(event.currentTarget as HTMLFormElement).get('person'));
    const name = view.students.find((row) => row.person.id === person)?.person.name ?? person;
    if (
      !window.confirm(
        `The link that ${name} has is good no more, and pages that came in by it are cut off. Lab and work stay. Go on?`,
      )
    )
      return;
    const request: NewLinkRequest = { person };
    page.doing(
      send<NewLinkView>(pathOf('newLink'), request).then(({ code }) =>
        setMade({ name, link: `${location.origin}/join#${code}` }),
      ),
      { what: `New link for ${name}`, done: `${name} has a new link; it stands below.` },
    );
  };
  return (
    <form class="row" onSubmit={submit}>
      <label>
        New link for{' '}
        <select name="person">
          <StudentOptions view={view} />
        </select>
      </label>
      <button type="submit">Make</button>
      {made !== null && (
        <label class="new-link">
          {`Link of ${made.name}, shown once `}
          <input readOnly value={made.link} size={56} onFocus={(event) => event.currentTarget.select()} />
        </label>
      )}
    </form>
  );
}

export function Grades() {
  return (
    <p class="row">
      Grades: <a href={routes.gradesWide}>a row a student (CSV)</a> <a href={routes.gradesLong}>a row a task (CSV)</a>
    </p>
  );
}
