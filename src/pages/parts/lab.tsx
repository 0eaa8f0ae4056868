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
      return 'The lab is up.';
    case 'failed':
      return `The lab did not come up: ${lab.message}`;
  }
}

/** Starts the lab, and takes it back to where something began. */
export function LabBar({ page, view, work }: { page: Page; view: ExerciseView; work: WorkView }) {
  const ask = (request: LabRequest, question?: string): void => {
    if (question !== undefined && !window.confirm(question)) return;
    page.doing(send<WorkView>(pathOf('lab', { exercise: work.exercise }), request).then((answer) => page.take(answer)));
  };
  const { state } = work.lab;
  const lose = 'What was configured in the lab since then is lost. Terminals are closed. Go on?';
  return (
    <div class="lab row">
      <span role="status">{labWords(work.lab)}</span>
      {(state === 'none' || state === 'failed') && (
        <button type="button" class="main" onClick={() => ask({ do: 'start' })}>
          Start the lab
        </button>
      )}
      {state === 'up' && (
        <>
          <button type="button" onClick={() => ask({ do: 'reset' }, lose)}>
            Begin again
          </button>
          {view.checkpoints.map(({ stage, title }) => (
            <button type="button" key={stage} onClick={() => ask({ do: 'reset', stage }, lose)}>
              Go to the start of {title}
            </button>
          ))}
        </>
      )}
    </div>
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
