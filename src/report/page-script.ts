/**
 * What the HTML report does in the browser: filter, search, transcripts drawn when they are opened, theme. Plain script, no
 * library; it only ever sets text, never markup, so nothing that a lab host wrote can become part of the page.
 */
export const pageScript = `
'use strict';
(() => {
  const root = document.documentElement;
  root.classList.add('js');
  const all = (selector, from) => [...(from || document).querySelectorAll(selector)];
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const parsed = new Map();
  const transcriptsOf = (scenario, item) => {
    if (!parsed.has(scenario)) {
      const source = document.getElementById('tx-' + scenario);
      parsed.set(scenario, source ? JSON.parse(source.textContent) : {});
    }
    return parsed.get(scenario)[item] || [];
  };
  const fill = (details) => {
    const place = details.querySelector(':scope > .more > .tx, :scope > .tx');
    if (!place || place.dataset.done) return;
    place.dataset.done = '1';
    place.textContent = '';
    for (const [host, command, how, out, err] of transcriptsOf(place.dataset.scenario, place.dataset.item)) {
      const box = make('div', 'cmd');
      const head = make('p', 'host');
      const code = make('code', '', '');
      code.append(make('b', '', host), ' $ ' + command);
      head.append(code, make('span', 'dim', how));
      box.append(head);
      if (out) { const pre = make('pre', '', out); pre.tabIndex = 0; box.append(pre); }
      if (err) { const pre = make('pre', 'err', err); pre.tabIndex = 0; pre.setAttribute('aria-label', 'standard error'); box.append(pre); }
      if (!out && !err) box.append(make('pre', 'dim', '(no output)'));
      place.append(box);
    }
  };
  document.addEventListener('toggle', (event) => { if (event.target.open) fill(event.target); }, true);

  const rows = all('.items > li');
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const chips = all('.chip');
  const search = document.getElementById('search');
  const shown = document.getElementById('shown');
  const apply = () => {
    const pressed = new Set(chips.filter((chip) => chip.getAttribute('aria-pressed') === 'true').map((chip) => chip.dataset.filter));
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = pressed.has(row.dataset.verdict) && pressed.has(row.dataset.kind) && words.every((word) => textOf(row).includes(word));
      row.hidden = !fits;
      if (fits) count += 1;
    }
    for (const section of all('.scenario')) {
      const some = all('.items > li', section).some((row) => !row.hidden);
      section.querySelector('.empty').hidden = some;
    }
    shown.textContent = count + ' of ' + rows.length + ' shown';
  };
  for (const chip of chips) {
    chip.addEventListener('click', () => {
      chip.setAttribute('aria-pressed', String(chip.getAttribute('aria-pressed') !== 'true'));
      apply();
    });
  }
  let pending = 0;
  search.addEventListener('input', () => { clearTimeout(pending); pending = setTimeout(apply, 80); });
  search.addEventListener('keydown', (event) => { if (event.key === 'Escape') { search.value = ''; apply(); } });
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
  });
  const toggleAll = document.getElementById('open-all');
  toggleAll.addEventListener('click', () => {
    const open = toggleAll.dataset.open !== 'yes';
    // Thousands of opened transcripts would make the page slow for no reader's good.
    for (const row of rows.filter((r) => !r.hidden).slice(0, open ? 300 : rows.length)) row.firstElementChild.open = open;
    toggleAll.dataset.open = open ? 'yes' : 'no';
    toggleAll.textContent = open ? 'Close all' : 'Open all';
  });
  apply();

  const reveal = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    if (!target) return;
    if (target.hidden) { for (const chip of chips) chip.setAttribute('aria-pressed', 'true'); search.value = ''; apply(); }
    const details = target.querySelector(':scope > details');
    if (details) { details.open = true; target.scrollIntoView(); details.querySelector('summary').focus({ preventScroll: true }); }
  };
  window.addEventListener('hashchange', reveal);
  reveal();

  window.addEventListener('beforeprint', () => {
    for (const row of rows) if (/^(fail|inconclusive|error)$/.test(row.dataset.verdict)) row.firstElementChild.open = true;
  });

  const theme = document.getElementById('theme');
  const store = (value) => { try { localStorage.setItem('netrig-theme', value); } catch { /* file:// may have no storage */ } };
  let saved = null;
  try { saved = localStorage.getItem('netrig-theme'); } catch { /* the same */ }
  if (saved === 'dark' || saved === 'light') root.dataset.theme = saved;
  const dark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
  const name = () => { theme.textContent = dark() ? 'Light colours' : 'Dark colours'; };
  theme.addEventListener('click', () => { root.dataset.theme = dark() ? 'light' : 'dark'; store(root.dataset.theme); name(); });
  name();
})();
`;
