import { useState } from 'preact/hooks';
import type { TraceRequest, TraceView, WorkView } from '../../classroom/api.js';
import { wayLine } from '../../report/way.js';
import { pathOf, send } from '../server.js';
import type { Page } from '../state.js';

export interface TraceProps {
  page: Page;
  work: WorkView;
  trace: TraceView | null;
  seen(trace: TraceView | null): void;
}

/** Follows one packet through the lab. */
export function Trace({ page, work, trace, seen }: TraceProps) {
  const [busy, setBusy] = useState(false);
  const follow = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const word = (name: string): string => String(form.get(name) ?? '').trim();
    const port = Number(word('port'));
    const request: TraceRequest = {
      from: word('from'),
      to: word('to'),
      ...(word('port') === '' ? {} : word('by') === 'udp' ? { udp: port } : { tcp: port }),
    };
    setBusy(true);
    // Whatever becomes of this one, the answer to the one before is none to it.
    seen(null);
    page.doing(
      send<TraceView>(pathOf('trace', { exercise: work.exercise }), request)
        .then(seen)
        .finally(() => setBusy(false)),
    );
  };
  const ways = trace === null ? [] : [wayLine({ way: trace.way, back: [] }), wayLine({ way: [], back: trace.back })];
  return (
    <form class="trace" onSubmit={follow}>
      <h3>The way of a packet</h3>
      <div class="row">
        <label>
          from{' '}
          <select name="from" required>
            {work.terminals.map((place) => (
              <option key={place}>{place}</option>
            ))}
          </select>
        </label>
        <label>
          to <input name="to" required placeholder="a host, container, name or address" autocomplete="off" />
        </label>
        <label>
          by{' '}
          <select name="by">
            <option value="tcp">TCP</option>
            <option value="udp">UDP</option>
          </select>
        </label>
        <label>
          port{' '}
          <input name="port" inputMode="numeric" pattern="[0-9]{1,5}" size={5} placeholder="ping" autocomplete="off" />
        </label>
        <button type="submit" disabled={busy || work.lab.state !== 'up'}>
          {busy ? 'Following …' : 'Follow'}
        </button>
      </div>
      <div role="status">
        {trace !== null && (
          <p class={trace.answered ? 'pass' : 'fail'}>
            <span class="sign" aria-hidden="true">
              {trace.answered ? '✓' : '✗'}
            </span>{' '}
            {trace.sentence}
            {trace.mend !== null && <> To mend it: {trace.mend}</>}
          </p>
        )}
        {ways
          .filter((line) => line !== '')
          .map((line) => (
            <p class="mono way" key={line}>
              {line}
            </p>
          ))}
      </div>
    </form>
  );
}
