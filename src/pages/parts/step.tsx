import type { StepRequest, StepState, StepTypedRequest, StepView, WorkView } from '../../classroom/api.js';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';
import { Html } from './html.js';
import { Claims } from './task.js';

const stateWords: Readonly<Record<StepState['state'], { sign: string; word: string }>> = {
  open: { sign: '○', word: 'to do' },
  running: { sign: '…', word: 'running' },
  typed: { sign: '⌨', word: 'typed' },
  done: { sign: '✓', word: 'done' },
  failed: { sign: '✗', word: 'failed' },
};

export interface StepProps {
  step: StepView;
  state: StepState | undefined;
  page: Page;
  work: WorkView;
  /** Types a command in the terminal of a place. */
  typeIn(place: string, command: string): void;
}

/** A step of the scenario: run by a click, or typed by hand in the terminal of its host. */
export function Step({ step, state, page, work, typeIn }: StepProps) {
  const now = state?.state ?? 'open';
  const { sign, word } = stateWords[now];
  const ready = work.lab.state === 'up' && now !== 'running';
  const run = (upTo: boolean): void => {
    const request: StepRequest = { step: step.id, upTo };
    page.doing(
      send<WorkView>(pathOf('step', { exercise: work.exercise }), request).then((answer) => page.take(answer)),
    );
  };
  const type = (on: string, command: string): void => {
    typeIn(on, command);
    const request: StepTypedRequest = { step: step.id, on };
    page.doing(
      send<WorkView>(pathOf('stepTyped', { exercise: work.exercise }), request).then((answer) => page.take(answer)),
    );
  };
  return (
    <li class={`step ${now === 'done' ? 'pass' : now === 'failed' ? 'fail' : 'open'}`} id={`step-${step.id}`}>
      <h4>
        <span class="sign" aria-hidden="true">
          {sign}
        </span>{' '}
        {step.title} <span class="badge">{word}</span>
      </h4>
      {step.html !== '' && <Html html={step.html} />}
      {step.commands.map(({ on, command, typed }, at) => (
        <div class="command" key={at}>
          <div class="on mono">{on}</div>
          <pre tabIndex={0}>{command}</pre>
          {typed && (
            <div class="row">
              <button type="button" disabled={work.lab.state !== 'up'} onClick={() => type(on, command)}>
                Type it in the terminal <span class="sr">of {on}</span>
              </button>
              <button type="button" onClick={() => void navigator.clipboard?.writeText(command)}>
                Copy
              </button>
              {step.commands.length > 1 && state?.typed.includes(on) && <span class="tag">typed</span>}
            </div>
          )}
        </div>
      ))}
      <div class="row">
        <button type="button" class="main" disabled={!ready} onClick={() => run(false)}>
          Run this step <span class="sr">: {step.title}</span>
        </button>
        <button type="button" disabled={!ready} onClick={() => run(true)}>
          Run all up to here
        </button>
        {now === 'typed' && <span class="dim">“Run all up to here” passes over what was typed.</span>}
      </div>
      {state?.output && (
        <pre class="output" tabIndex={0}>
          {state.output}
        </pre>
      )}
      <Claims claims={step.claims} />
    </li>
  );
}
