import { useState } from 'preact/hooks';
import type { HelpRequest, TypingAnswer, WorkView } from '../../classroom/api.js';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';
import { timeWords } from '../words.js';

/** Asks a teacher for help, by one button. */
export function Help({ page, work }: { page: Page; work: WorkView }) {
  const [note, setNote] = useState('');
  const ask = (wanted: boolean): void => {
    const request: HelpRequest = { wanted, ...(wanted && note !== '' ? { note } : {}) };
    page.doing(
      send<WorkView>(pathOf('help', { exercise: work.exercise }), request).then((answer) => page.take(answer)),
      { done: wanted ? 'Your teacher sees that you ask for help.' : 'Your call for help is taken back.' },
    );
  };
  if (work.help !== null)
    return (
      <p class="row help" role="status">
        You asked for help{work.help.before > 0 ? `; ${work.help.before} asked before you` : '; you are next'}.
        <button type="button" onClick={() => ask(false)}>
          I need none any more
        </button>
      </p>
    );
  return (
    <p class="row help">
      <label>
        <span class="sr">What you need help with</span>
        <input
          value={note}
          maxLength={500}
          placeholder="what is it about?"
          onInput={(e) => setNote(e.currentTarget.value)}
        />
      </label>
      <button type="button" onClick={() => ask(true)}>
        Ask for help
      </button>
    </p>
  );
}

/** What comes from a teacher: messages, looking on, the wish to type. */
export function FromTeacher({ page, work }: { page: Page; work: WorkView }) {
  const answer = (request: string, allow: boolean): void => {
    const body: TypingAnswer = { request, allow };
    page.doing(send<WorkView>(pathOf('typing', { exercise: work.exercise }), body).then((now) => page.take(now)));
  };
  return (
    <div class="from-teacher" role="status">
      {work.messages.slice(-3).map(({ id, from, text }) => (
        <p key={id}>
          <b>{from}:</b> {text}
        </p>
      ))}
      {work.lookers.map(({ place, name }) => (
        <p key={place + name}>
          {name} looks on at {place}.
        </p>
      ))}
      {work.typing.map(({ request, place, name, state }) => (
        <p key={request} class="row">
          {state === 'asked' ? `${name} would like to type at ${place}.` : `${name} may type at ${place}.`}
          {state === 'asked' && (
            <button type="button" onClick={() => answer(request, true)}>
              Yes, go ahead
            </button>
          )}
          <button type="button" onClick={() => answer(request, false)}>
            {state === 'asked' ? 'No' : 'Stop that'}
          </button>
        </p>
      ))}
    </div>
  );
}

export function Timer({
  closesAt,
  late = null,
  time,
}: {
  closesAt: string | null;
  late?: { until: string; factor: number } | null;
  time: number;
}) {
  if (closesAt === null) return null;
  const left = Date.parse(closesAt) - time;
  return (
    <span class={left < 300_000 ? 'timer soon' : 'timer'} role="timer" aria-live="off">
      {timeWords(closesAt, late, time)}
    </span>
  );
}
