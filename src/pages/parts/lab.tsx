import type { ExerciseView, LabRequest, LabView, WorkView } from '../../classroom/api.js';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';
import { count } from '../words.js';

function labWords(lab: LabView): string {
  switch (lab.state) {
    case 'none':
      return 'No lab is up.';
    case 'queued':
      return `The machine is full: your place in the queue is ${lab.place} of ${lab.of}. It starts by itself.`;
    case 'starting':
      return `The lab starts: ${lab.what}`;
    case 'up':
      return lab.resetting === null ? 'The lab is up.' : `${lab.resetting} begins again; the other hosts stay up.`;
    case 'failed':
      return `${lab.was ? 'There is no lab any more' : 'The lab did not come up'}: ${lab.message}`;
  }
}

/** Starts the lab, and takes it back to where something began. */
export function LabBar({ page, view, work }: { page: Page; view: ExerciseView; work: WorkView }) {
  const ask = (request: LabRequest, question?: string): void => {
    if (question !== undefined && !window.confirm(question)) return;
    page.doing(send<WorkView>(pathOf('lab', { exercise: work.exercise }), request).then((answer) => page.take(answer)));
  };
  const { state } = work.lab;
  const hosts = view.topology.hosts.map(({ name }) => name);
  const lose = 'What was configured in the lab since then is lost. Terminals are closed. Go on?';
  return (
    <div class="lab row">
      <span role="status">{labWords(work.lab)}</span>
      {(state === 'none' || state === 'failed') && (
        <button type="button" class="main" onClick={() => ask({ do: 'start' })}>
          Start the lab
        </button>
      )}
      {work.lab.state === 'up' && (
        <details class="again">
          <summary>Begin again …</summary>
          <div class="row">
            <button type="button" onClick={() => ask({ do: 'reset' }, lose)}>
              Begin the whole lab again
            </button>
            {view.may.resetHost && hosts.length > 1 && (
              <HostAgain
                hosts={hosts}
                busy={work.lab.resetting !== null}
                begin={(host) => ask({ do: 'reset', host }, hostLost(host, view.may.steps))}
              />
            )}
            {!view.may.steps && (
              <button type="button" onClick={() => ask({ do: 'end' }, endLost)}>
                End the lab
              </button>
            )}
            {view.checkpoints.map(({ stage, title }) => (
              <button type="button" key={stage} onClick={() => ask({ do: 'reset', stage }, lose)}>
                Go to the start of “{title}”
              </button>
            ))}
          </div>
          {view.checkpoints.length > 0 && !view.may.steps && (
            <p class="dim">
              At the start of a stage, all before it is done for you: for tasks of those stages you get points only
              where they had turned green before. What you did is looked at once more before your lab goes.
            </p>
          )}
        </details>
      )}
      {work.lab.state === 'up' && work.lab.resetFailed !== null && (
        <p class="fail" role="alert">
          {work.lab.resetFailed.host} began again, and is not as it was: {work.lab.resetFailed.message} Begin the whole
          lab again.
        </p>
      )}
    </div>
  );
}

const endLost =
  'What was configured in the lab is lost, and its place is free for others. What you handed in stays. Go on?';

/** What is lost with one host, said before it is. */
export function hostLost(host: string, steps: boolean): string {
  const again = steps
    ? 'Steps that were run or typed on it stand as to do again.'
    : 'The exercise sets it up again as it was in the beginning.';
  return `All that was done on ${host} is lost, with its files, containers and terminals. ${again} The other hosts stay as they are: what they learned of ${host} may be out of date. Go on?`;
}

/** Chooses a host and begins it again. */
export function HostAgain({
  hosts,
  busy,
  begin,
}: {
  hosts: readonly string[];
  busy: boolean;
  begin(host: string): void;
}) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    begin(String(new FormData(event.currentTarget as HTMLFormElement).get('host')));
  };
  return (
    <form class="row" onSubmit={submit}>
      <select name="host" aria-label="Host to begin again">
        {hosts.map((host) => (
          <option key={host}>{host}</option>
        ))}
      </select>
      <button type="submit" disabled={busy}>
        Begin this host again
      </button>
    </form>
  );
}

/** A round of checks that waits or runs. */
export function Round({ work }: { work: WorkView }) {
  const { round } = work;
  if (round === null) return <span role="status" />;
  return (
    <span role="status">
      {round.before > 0
        ? `Waits for ${count(round.before, 'other round', 'other rounds')} of checks.`
        : `${round.done} of ${count(round.of, 'task')} looked at …`}
    </span>
  );
}
