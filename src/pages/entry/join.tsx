import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { JoinRequest, SessionView } from '../../classroom/api.js';
import { pathOf, send } from '../server.js';

const fromLink = location.hash.slice(1);

function JoinPage() {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const join = (request: JoinRequest): void => {
    setBusy(true);
    send<SessionView>(pathOf('join'), request).then(
      // The code shall not stay in the history.
      ({ role }) => location.replace(role === 'teacher' ? '/teacher' : '/'),
      (error: unknown) => {
        setBusy(false);
        setProblem(error instanceof Error ? error.message : String(error));
      },
    );
  };
  useEffect(() => {
    if (fromLink === '') return;
    history.replaceState(null, '', '/join');
    join({ code: fromLink });
  }, []);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    join({ code: String(form.get('code')).trim() });
  };
  return (
    <main class="alone">
      <h1>Join</h1>
      <p>Type the code that you were given, or open the link that came with it.</p>
      <form onSubmit={submit}>
        <p>
          <label>
            Code{' '}
            <input
              name="code"
              class="mono"
              placeholder="7K3M-Q2ZD-90AB-XYTR"
              size={22}
              required
              autocomplete="off"
              spellcheck={false}
              defaultValue={fromLink}
            />
          </label>
        </p>
        <button type="submit" class="main" disabled={busy}>
          {busy ? 'Joining …' : 'Join'}
        </button>
      </form>
      <p role="alert" class={problem === null ? '' : 'problem'}>
        {problem ?? ''}
      </p>
    </main>
  );
}

render(<JoinPage />, document.getElementById('page')!);
