import type {
  Audience,
  ClassView,
  DecideRequest,
  MessageRequest,
  MoreTimeRequest,
  UndecidedView,
} from '../../classroom/api.js';
import { routes } from '../../classroom/api.js';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';
import { count } from '../words.js';

type Exercise = ClassView['exercises'][number];

function audienceOf(form: FormData): Audience {
  const to = String(form.get('to') ?? 'all');
  return to === 'all' ? 'all' : [to];
}

function ToWhom({ view }: { view: ClassView }) {
  return (
    <label>
      for{' '}
      <select name="to">
        <option value="all">all</option>
        {view.students.map(({ person }) => (
          <option key={person.id} value={person.id}>
            {person.name}
          </option>
        ))}
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

function Decide({ page, one }: { page: Page; one: UndecidedView }) {
  const decide = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement, event.submitter as HTMLElement | null);
    const request: DecideRequest = {
      id: one.id,
      credit: form.get('credit') === 'yes',
      why: String(form.get('why') ?? ''),
    };
    page.doing(send(pathOf('decide'), request));
  };
  return (
    <li>
      <b>{one.person.name}</b>, {one.title}: {one.reason}
      <form class="row" onSubmit={decide}>
        <label>
          why <input name="why" required maxLength={500} />
        </label>
        <button type="submit" name="credit" value="yes">
          Credit it
        </button>
        <button type="submit" name="credit" value="no">
          Do not
        </button>
      </form>
    </li>
  );
}

/** What netrig could not judge: a person decides, and says why. */
export function Undecided({ page, view }: { page: Page; view: ClassView }) {
  if (view.undecided.length === 0) return null;
  return (
    <section class="card problems inconclusive" aria-label="To be decided by you">
      <h2>{`To be decided by you: ${view.undecided.length}`}</h2>
      <ul>
        {view.undecided.map((one) => (
          <Decide key={one.id} page={page} one={one} />
        ))}
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
    page.doing(send(pathOf('message'), request).then(() => element.reset()));
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

export function MoreTime({ page, view, exercise }: { page: Page; view: ClassView; exercise: string }) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const request: MoreTimeRequest = { to: audienceOf(form), exercise, minutes: Number(form.get('minutes')) };
    page.doing(send(pathOf('moreTime'), request));
  };
  return (
    <form class="row" onSubmit={submit}>
      <label>
        More time, minutes <input name="minutes" type="number" min={1} max={1440} defaultValue="10" required />
      </label>
      <ToWhom view={view} />
      <button type="submit">Give</button>
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
