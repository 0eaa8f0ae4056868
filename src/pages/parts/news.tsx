import type { Page } from '../state.js';

/** What became of what was asked for: in sight wherever the page is scrolled to, and read out. */
export function News({ page }: { page: Page }) {
  const { problem, done } = page;
  return (
    <div class="news">
      {problem !== null && (
        <div class="problem" role="alert">
          {problem}{' '}
          <button type="button" onClick={page.forget}>
            Close
          </button>
        </div>
      )}
      {/* There before its words are: what comes with its words is not read out by all. */}
      <div class={done === null ? '' : 'done'} role="status">
        {done !== null && <span key={done.at}>{done.words} </span>}
        {done !== null && (
          <button type="button" onClick={page.forget}>
            Close
          </button>
        )}
      </div>
    </div>
  );
}
