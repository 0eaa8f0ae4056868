import type { ClaimView, Feedback, HintRequest, TaskState, TaskView, WorkView } from '../../classroom/api.js';
import { wayLine } from '../../report/way.js';
import { useEffect, useRef } from 'preact/hooks';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';
import { count, sinceWords, verdictWord } from '../words.js';
import { Html } from './html.js';

function Told({ name, value }: { name: string; value: string | null }) {
  return value === null ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Why a task did not pass: as much as the author lets be known. */
function FeedbackView({ feedback, opened }: { feedback: Feedback; opened: { html: string }[] }) {
  const { reason, expected, seen, way, diagnosis, hintHtml } = feedback;
  return (
    <div class="feedback">
      {reason !== null && <p>{reason}</p>}
      <dl>
        <Told name="Expected" value={expected} />
        <Told name="Seen" value={seen} />
        <Told name="Why" value={diagnosis?.sentence ?? null} />
        <Told name="To mend it" value={diagnosis?.mend ?? null} />
        {way !== null && way.length > 0 && <Told name="The packet’s way" value={wayLine({ way, back: [] })} />}
      </dl>
      {hintHtml !== null && !opened.some(({ html }) => html === hintHtml) && (
        <div class="hint">
          <b>Hint</b> <Html html={hintHtml} />
        </div>
      )}
    </div>
  );
}

/** What a tutorial says, and what is true, side by side. */
export function Claims({ claims }: { claims: ClaimView[] }) {
  if (claims.length === 0) return null;
  return (
    <details class="claims">
      <summary>{count(claims.length, 'claim of the tutorial', 'claims of the tutorial')}, and what holds</summary>
      <dl>
        {claims.map(({ id, claim, holds, source }) => (
          <div key={id}>
            <dt>
              {claim} <small class="dim">{[id, source].filter(Boolean).join(', ')}</small>
            </dt>
            <dd>{holds ?? 'It holds as it is said.'}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** Hints that were opened; one that was just asked for is brought into view, and each that comes is read out. */
function Hints({ opened, asked }: { opened: { html: string }[]; asked: { current: boolean } }) {
  const last = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!asked.current || !last.current) return;
    asked.current = false;
    last.current.scrollIntoView({ block: 'nearest' });
  }, [opened.length]);
  return (
    <div aria-live="polite">
      {opened.map(({ html }, at) => (
        <div class="hint" key={at} ref={at === opened.length - 1 ? last : null}>
          <b>Hint {at + 1}</b> <Html html={html} />
        </div>
      ))}
    </div>
  );
}

/** The way to the next hint, or why there is none now. */
function NextHint({ task, state, open }: { task: TaskView; state: TaskState | undefined; open(): void }) {
  if (task.hints === 0 || state === undefined || state.verdict === 'pass' || state.nextHint === 'none') return null;
  if (state.nextHint === 'later')
    return (
      <span class="dim">
        {state.verdict === 'open'
          ? 'Hints are for what is seen: check it first.'
          : 'No further hint for what was seen last.'}
      </span>
    );
  return (
    <button type="button" onClick={open}>
      {state.hintsOpened.length === 0 ? 'A hint' : 'One more hint'} <span class="sr">for “{task.title}”</span>
    </button>
  );
}

export interface TaskProps {
  task: TaskView;
  state: TaskState | undefined;
  page: Page;
  work: WorkView;
  /** Has it looked at; `null` where that is not to be had for one task. */
  check: (() => void) | null;
}

export function Task({ task, state, page, work, check }: TaskProps) {
  const verdict = state?.verdict ?? 'open';
  const { sign, word } = verdictWord(verdict, task.guard, state?.given);
  const opened = state?.hintsOpened ?? [];
  const asked = work.round?.tasks.includes(task.id) ? work.round : null;
  const hintAsked = useRef(false);
  const openHint = (): void => {
    const request: HintRequest = { task: task.id };
    hintAsked.current = true;
    page.doing(
      send<WorkView>(pathOf('hint', { exercise: work.exercise }), request).then((answer) => page.take(answer)),
    );
  };
  return (
    <li class={`task ${verdict}`} id={`task-${task.id}`}>
      <h4>
        <span class="sign" aria-hidden="true">
          {sign}
        </span>{' '}
        {task.title} <span class="badge">{word}</span>{' '}
        {state !== undefined && state.since !== null && <small class="dim">{sinceWords(state.since)}</small>}
        {asked !== null && (
          <span class="badge checking">{asked.before > 0 ? 'waits to be checked' : 'being checked'} …</span>
        )}
        {task.points !== null && (
          <span class="tag">
            {task.guard ? `costs ${count(task.points, 'point')} where broken` : count(task.points, 'point')}
          </span>
        )}
        {task.guard && task.points === null && <span class="tag">must stay so</span>}
      </h4>
      {task.detail !== null && <p class="dim">{task.detail}</p>}
      {task.html !== '' && <Html html={task.html} />}
      {state?.measured && <p class="measured">Measured: {state.measured}</p>}
      {state?.feedback && <FeedbackView feedback={state.feedback} opened={opened} />}
      <Hints opened={opened} asked={hintAsked} />
      {check !== null && (
        <button type="button" disabled={work.lab.state !== 'up' || work.round !== null} onClick={check}>
          Check <span class="sr">“{task.title}”</span>
        </button>
      )}{' '}
      <NextHint task={task} state={state} open={openHint} />
      <Claims claims={task.claims} />
    </li>
  );
}
