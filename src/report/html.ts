import { formatDuration } from '../model/duration.js';
import { exitStatus, verdicts, type Attachment } from '../model/verdict.js';
import { evidenceOf } from './evidence.js';
import { writeWhole, type ReportFormat } from './format.js';
import { badge, esc, escLine, hash } from './markup.js';
import { cellText, columnText, differenceText, matrixGrids } from './matrix.js';
import {
  findings,
  isWarning,
  saidBefore,
  tellerOf,
  type AttemptResult,
  type ItemResult,
  type RunModel,
  type RunProblem,
  type ScenarioResult,
  type TimedTranscript,
  type Totals,
} from './model.js';
import { textHtml } from './text-html.js';
import { pageScript } from './page-script.js';
import { pageStyle } from './page-style.js';
import { neutralise, oneLine } from './terminal-text.js';
import { escapeMarkup, topologySvg } from './topology-svg.js';
import { wayMarks } from './way.js';
import {
  placeText,
  cutMiddle,
  exitText,
  fileOf,
  formatBytes,
  headline,
  measureValue,
  placeOf,
  runVerdict,
  totalsLine,
  verdictSign,
  verdictWord,
  isolationText,
  outsideHosts,
  signOf,
  verdictText,
} from './wording.js';

/** Characters of one stream of one command that the page holds; `run.jsonl` has all that was kept. */
const streamLimit = 16_000;
/** Characters of transcripts that the page holds in all: beyond it, commands that went with a pass lose their output first. */
const pageBudget = 12_000_000;

/** From so many items on, rows that are not in view are not laid out. */
const manyItems = 150;

/** Totals as one stacked bar. */
function totalsBar(totals: Totals): string {
  const all = Math.max(1, totals.planned);
  let x = 0;
  const rects = verdicts.map((verdict) => {
    const width = (totals[verdict] / all) * 100;
    const rect =
      width > 0 ? `<rect class="${verdict}" x="${x.toFixed(3)}" y="0" width="${width.toFixed(3)}" height="10"/>` : '';
    x += width;
    return rect;
  });
  return `<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${rects.join('')}</svg>`;
}

function attachmentLinks(artifacts: readonly Attachment[]): string {
  if (artifacts.length === 0) return '';
  const links = artifacts.map(({ title, file, mime }) => {
    const href = `./${file.split('/').map(encodeURIComponent).join('/')}`;
    return `<a href="${escapeMarkup(href)}" type="${escLine(mime)}">${escLine(title)}</a>`;
  });
  return `<dt>files</dt><dd>${links.join(', ')}</dd>`;
}

/** What a cell of a grid says at its first sign: reached or not. Other cells stay plain. */
function cellClass(cell: string): string {
  if (/^(✓|ok\b|pass\b|yes\b)/i.test(cell)) return ' class="good"';
  return /^(✗|x\b|fail|no\b|timeout|refused|[a-z]+-unreachable|no-route|prohibited)/i.test(cell) ? ' class="bad"' : '';
}

function tableHtml(table: readonly (readonly string[])[]): string {
  const [head = [], ...body] = table;
  const header = head.map((cell) => `<th scope="col">${escLine(cell)}</th>`).join('');
  const rows = body.map(
    (row) =>
      `<tr>${row.map((cell, index) => (index === 0 ? `<th scope="row">${escLine(cell)}</th>` : `<td${cellClass(cell)}>${escLine(cell)}</td>`)).join('')}</tr>`,
  );
  // A grid of short cells is read by position; a list with sentences in it is read from the left.
  const list = table.some((row) => row.slice(1).some((cell) => cell.length > 16));
  return `<div class="scroll" tabindex="0" role="region" aria-label="table"><table class="grid${list ? ' list' : ''}"><thead><tr>${header}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function gantt(item: ItemResult, attempt: AttemptResult): string {
  const span = Math.max(1, attempt.durationMs);
  if (item.startedAt === null) return '<span></span>';
  const from = Math.max(0, Math.min(99, ((Date.parse(item.startedAt) - Date.parse(attempt.startedAt)) / span) * 100));
  const width = Math.max(1, Math.min(100 - from, (item.durationMs / span) * 100));
  return `<svg class="gantt" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect x="${from.toFixed(2)}" y="0" width="${width.toFixed(2)}" height="6"/></svg>`;
}

function itemHtml(
  model: RunModel,
  scenario: ScenarioResult,
  scenarioIndex: number,
  attempt: AttemptResult,
  item: ItemResult,
  anchor: string,
): string {
  const { outcome } = item;
  const { verdict } = outcome;
  const loud = verdict !== 'pass';
  const marks = [
    `<span class="tag">${escLine(item.type)}</span>`,
    outcome.cause ? badge(verdict, outcome.cause) : '',
    item.flaky ? '<span class="tag">flaky</span>' : '',
    isWarning(item) ? badge('inconclusive', 'warning') : '',
    item.last ? '<span class="tag">finally</span>' : '',
    item.tries > 1 ? `<span class="tag">${item.tries} tries</span>` : '',
    ...item.covers.map((cover) => `<span class="tag">${escLine(cover)}</span>`),
  ].filter((mark) => mark !== '');
  const facts = [
    `<dt>what</dt><dd>${escLine(item.detail)}</dd>`,
    `<dt>seen</dt><dd>${esc(outcome.reason)}</dd>`,
    outcome.expected === undefined ? '' : `<dt>expected</dt><dd>${esc(outcome.expected)}</dd>`,
    outcome.actual === undefined ? '' : `<dt>actual</dt><dd>${esc(outcome.actual)}</dd>`,
    ...evidenceFacts(item, attempt.stays),
    outcome.measures && outcome.measures.length > 0
      ? `<dt>measured</dt><dd>${outcome.measures.map((m) => `${escLine(m.name)} <b>${escLine(measureValue(m))}</b>`).join(', ')}</dd>`
      : '',
    outcome.controls && outcome.controls.length > 0
      ? `<dt>controls</dt><dd><ul class="controls">${outcome.controls
          .map(
            (c) =>
              `<li class="${c.held ? 'pass' : 'fail'}"><span class="sign">${c.held ? '✓' : '✗'}</span><span class="sr">${c.held ? 'held' : 'failed'}: </span>${escLine(c.title)}: ${escLine(c.seen)}</li>`,
          )
          .join('')}</ul></dd>`
      : '',
    wayFact(scenario, item, anchor),
    attachmentLinks(item.artifacts),
    item.concluded ? '<dt>note</dt><dd>concluded from how the run ended; the record holds no result</dd>' : '',
    `<dt>place</dt><dd><code>${escLine(placeOf(model, scenario, item))}</code> · ${escLine(item.id)}</dd>`,
  ].join('');
  return (
    `<li id="${anchor}" class="${verdict} ${item.kind}" data-verdict="${verdict}" data-kind="${item.kind}"><details class="item"><summary>` +
    `<span class="sign" aria-hidden="true">${signOf(item)}</span>` +
    `<span class="what"><span class="sr">${verdictText(item)}: </span><span class="title">${escLine(item.title)}</span> ${marks.join(' ')}${loud ? `<span class="why">${escLine(outcome.reason)}</span>` : ''}</span>` +
    `${gantt(item, attempt)}<span class="took">${item.tries > 0 || item.durationMs > 0 ? formatDuration(item.durationMs) : ''}</span></summary>` +
    `<div class="more">${item.text === undefined ? '' : textHtml(item.text)}<dl>${facts}</dl>${outcome.table ? tableHtml(outcome.table) : ''}` +
    `${rawCommands(item, scenarioIndex)}</div></details></li>`
  );
}

/** The lab with the way of the packet marked in it, where that leads over more than one host. */
function wayFact(scenario: ScenarioResult, item: ItemResult, anchor: string): string {
  const { diagnosis } = item.outcome;
  const marks = diagnosis ? wayMarks(diagnosis) : null;
  if (!marks) return '';
  return `<dt>way</dt><dd><figure class="scroll" tabindex="0" aria-label="The way of the packet">${topologySvg(scenario.topology, [], `${anchor}-way`, marks)}</figure></dd>`;
}

/** What shows it, and what to type again; of a pass nobody asks. */
function evidenceFacts(item: ItemResult, stays: string | null): string[] {
  if (item.outcome.verdict === 'pass' || item.outcome.verdict === 'skipped') return [];
  const { sentences, outputs, again } = evidenceOf(item, stays);
  return [
    sentences.length === 0
      ? ''
      : `<dt>shown by</dt><dd><ul>${sentences.map((one) => `<li>${escLine(one)}</li>`).join('')}</ul></dd>`,
    ...outputs.map(({ title, lines }) => `<dt>output</dt><dd><pre>${esc([title, ...lines].join('\n'))}</pre></dd>`),
    again === null ? '' : `<dt>again</dt><dd><code>${escLine(again)}</code></dd>`,
  ];
}

/** Every command with all that was kept of its output: scripts and JSON of netrig's own too, so behind a fold. */
function rawCommands(item: ItemResult, scenarioIndex: number): string {
  const count = item.transcripts.length;
  if (count === 0) return '';
  return (
    `<details class="sub raw"><summary>All commands and their output (${count})</summary>` +
    `<div class="tx" data-scenario="${scenarioIndex}" data-item="${escLine(item.id)}"><p class="dim">shown with scripts on, and in run.jsonl</p></div></details>`
  );
}

const phaseOrder = ['image', 'boot', 'provision', 'steps', 'checks', 'teardown'] as const;

/** Where the time of an attempt went, as one stacked bar. Phases of single hosts lie within those of the lab. */
function timeBar(attempt: AttemptResult): string {
  const spent = new Map<(typeof phaseOrder)[number], number>();
  for (const name of ['image', 'boot', 'provision', 'teardown'] as const) {
    const phases = attempt.phases.filter((p) => p.phase === name);
    const whole = phases.filter((p) => p.host === null);
    const ms =
      whole.length > 0
        ? whole.reduce((sum, p) => sum + (p.durationMs ?? 0), 0)
        : Math.max(0, ...phases.map((p) => Date.parse(p.startedAt) + (p.durationMs ?? 0))) -
          Math.min(...phases.map((p) => Date.parse(p.startedAt)), Infinity);
    if (ms > 0 && Number.isFinite(ms)) spent.set(name, ms);
  }
  for (const [name, kind] of [
    ['steps', 'step'],
    ['checks', 'check'],
  ] as const) {
    const ms = attempt.items.filter((item) => item.kind === kind).reduce((sum, item) => sum + item.durationMs, 0);
    if (ms > 0) spent.set(name, ms);
  }
  const total = [...spent.values()].reduce((sum, ms) => sum + ms, 0);
  if (total === 0) return '';
  let x = 0;
  const rects: string[] = [];
  const legend: string[] = [];
  for (const name of phaseOrder) {
    const ms = spent.get(name);
    if (ms === undefined) continue;
    const width = (ms / total) * 100;
    rects.push(`<rect class="p-${name}" x="${x.toFixed(3)}" y="0" width="${width.toFixed(3)}" height="14"/>`);
    legend.push(
      `<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="p-${name}" width="10" height="10" rx="2"/></svg>${name} ${formatDuration(ms)}</li>`,
    );
    x += width;
  }
  return `<h3>Where the time went</h3><svg class="time" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">${rects.join('')}</svg><ul class="legend">${legend.join('')}</ul>`;
}

function labTables(scenario: ScenarioResult): string {
  const { topology, last } = scenario;
  const hosts = topology.hosts
    .map((h) => {
      const engine = last.engines.find((e) => e.host === h.name);
      const addresses = h.interfaces
        .map((i) => `${escLine(i.name)} <code>${escLine(i.address || 'no address')}</code> on ${escLine(i.segment)}`)
        .join('<br>');
      return `<tr><th scope="row">${escLine(h.name)}</th><td>${escLine(h.image)}</td><td>${escLine(engine?.version ?? '')}</td><td>${addresses}</td></tr>`;
    })
    .join('');
  const containers = last.engines
    .flatMap((e) =>
      e.containers.map(
        (c) =>
          `<tr><th scope="row">${escLine(e.host)}/${escLine(c.name)}</th><td>${escLine(c.image)}</td><td>${escLine(c.state)}</td><td>${c.networks.map((n) => `${escLine(n.name)} <code>${escLine(n.address)}</code>`).join('<br>')}</td><td>${c.ports.map((p) => `<code>${escLine(p)}</code>`).join('<br>')}</td></tr>`,
      ),
    )
    .join('');
  const networks = last.engines
    .flatMap((e) =>
      e.networks.map(
        (n) =>
          `<tr><th scope="row">${escLine(e.host)}</th><td>${escLine(n.name)}</td><td>${escLine(n.driver)}</td><td>${escLine(n.scope)}</td><td><code>${escLine(n.subnet)}</code></td></tr>`,
      ),
    )
    .join('');
  const table = (caption: string, head: string[], rows: string): string =>
    rows === ''
      ? ''
      : `<h3>${caption}</h3><div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><thead><tr>${head.map((h) => `<th scope="col">${h}</th>`).join('')}</tr></thead><tbody>${rows}</tbody></table></div>`;
  return (
    `<details class="sub"><summary>The lab as tables</summary>${table('Hosts', ['host', 'image', 'engine', 'interfaces'], hosts)}` +
    `${table('Containers', ['container', 'image', 'state', 'networks', 'ports'], containers)}${table('Networks of the engines', ['host', 'network', 'driver', 'scope', 'subnet'], networks)}</details>`
  );
}

function anchorOf(scenarioIndex: number, itemIndex: number): string {
  return `i${scenarioIndex}-${itemIndex}`;
}

/** Where the words of a lab's error stand already: a link to the item that has them. */
function seeTeller(attempt: AttemptResult, scenarioIndex: number): string | null {
  const teller = tellerOf(attempt);
  if (!teller) return null;
  return `see <a href="#${anchorOf(scenarioIndex, attempt.items.indexOf(teller))}">${escLine(teller.title)}</a>`;
}

/** Where the words of a lab's error stand in full. */
function seeLabError(model: RunModel, { id, last }: ScenarioResult, scenarioIndex: number): string {
  const error = last.error!;
  const above = model.problems.some(
    ({ code, message }) => code === error.code && message === `${id}: ${error.message}`,
  );
  return seeTeller(last, scenarioIndex) ?? (above ? 'see <a href="#problems">above</a>' : esc(error.message));
}

function problemHtml(model: RunModel, { code, message, told }: RunProblem): string {
  const index = model.scenarios.findIndex(({ id }) => id === told?.scenario);
  const see = index === -1 ? null : seeTeller(model.scenarios[index]!.last, index);
  const words = see === null ? esc(message) : `${escLine(told!.scenario)}: ${see}`;
  return `<li><b class="mono">${escLine(code)}</b> ${words}</li>`;
}

function scenarioHtml(model: RunModel, scenario: ScenarioResult, index: number): string {
  const { last } = scenario;
  const outside = outsideHosts(scenario);
  const svg = topologySvg(scenario.topology, last.engines, `topology-${index}`);
  const about = [
    `<code>${escLine(fileOf(model, scenario))}</code>`,
    escLine(scenario.id),
    `provider ${escLine(scenario.provider)}`,
    last.isolation === null ? '' : `isolation ${escLine(isolationText(last.isolation))}`,
    outside.length === 0 ? '' : `a way to the outside: ${escLine(outside.join(', '))}`,
    ...Object.entries(scenario.matrix).map(
      ([key, value]) => `<span class="tag">${escLine(key)} = ${escLine(value)}</span>`,
    ),
    ...scenario.tags.map((tag) => `<span class="tag">${escLine(tag)}</span>`),
    scenario.covers.length > 0 ? `covers ${escLine(scenario.covers.join(', '))}` : '',
  ].filter((part) => part !== '');
  const items = last.items.map((item, itemIndex) =>
    itemHtml(model, scenario, index, last, item, anchorOf(index, itemIndex)),
  );
  const earlier = scenario.earlier
    .map((attempt) => {
      const bad = attempt.items.filter((item) => item.outcome.verdict !== 'pass' && item.outcome.verdict !== 'skipped');
      const list = bad
        .map(
          (item) =>
            `<li class="${item.outcome.verdict}"><span class="sign">${verdictSign[item.outcome.verdict]}</span> ${escLine(item.title)}: ${escLine(item.outcome.reason)}</li>`,
        )
        .join('');
      return `<details class="sub"><summary>Attempt ${attempt.attempt}: ${badge(attempt.verdict)} ${totalsLine(attempt.totals)}, ${formatDuration(attempt.durationMs)}</summary>${attempt.error ? `<p>${escLine(attempt.error.code)}: ${esc(attempt.error.message)}</p>` : ''}<ul class="controls">${list}</ul></details>`;
    })
    .join('');
  const logs = last.logs
    .map(
      (line) =>
        `<li><span class="dim mono">${escLine(line.t.slice(11, 19))}</span> ${line.level === 'info' ? '' : `<b>${escLine(line.level)}</b> `}${esc(line.text)}</li>`,
    )
    .join('');
  const extra = [
    last.transcripts.length > 0
      ? `<details class="sub"><summary>Commands outside of steps and checks (${last.transcripts.length})</summary><div class="tx" data-scenario="${index}" data-item="-"></div></details>`
      : '',
    logs === '' ? '' : `<details class="sub"><summary>Log (${last.logs.length})</summary><ul>${logs}</ul></details>`,
    last.artifacts.length > 0 ? `<dl class="about">${attachmentLinks(last.artifacts)}</dl>` : '',
    earlier,
  ].join('');
  return (
    `<section class="card scenario ${scenario.verdict}" id="s${index}" aria-labelledby="s${index}-h"><header><h2 id="s${index}-h">${badge(scenario.verdict)}${escLine(scenario.title || scenario.id)}</h2><span class="took">${formatDuration(last.durationMs)}</span></header>` +
    `<p class="about">${about.join(' <span aria-hidden="true">·</span> ')}</p>` +
    `${scenario.description === '' ? '' : `<p class="description">${esc(scenario.description)}</p>`}${scenario.text === '' ? '' : textHtml(scenario.text)}` +
    `${last.error ? `<p class="why"><b>${escLine(last.error.code)}</b> ${seeLabError(model, scenario, index)}</p>` : ''}` +
    `${svg === '' ? '' : `<figure class="scroll" tabindex="0" aria-label="Drawing of the lab">${svg}</figure>${labTables(scenario)}`}` +
    `${timeBar(last)}<h3>Steps and checks${scenario.flaky ? ' · flaky' : ''}</h3>` +
    `${model.scenarios.length > 1 ? `<p class="dim">${totalsLine(last.totals)}</p>` : ''}<ol class="items${last.items.length > manyItems ? ' many' : ''}">${items.join('')}</ol><p class="empty" hidden>Nothing here fits the filter.</p>${extra}</section>`
  );
}

type PageTranscript = [host: string, command: string, how: string, stdout: string, stderr: string];

function streamText(kept: string, bytes: number): string {
  if (kept === '' && bytes === 0) return '';
  const shown = neutralise(cutMiddle(kept.replace(/\s+$/, ''), streamLimit));
  const missing = bytes - Buffer.byteLength(kept);
  return missing > 0 ? `${shown}\n[the command wrote ${formatBytes(bytes)}; the record kept its head and tail]` : shown;
}

/** Transcripts as JSON, one block a scenario, so that only what a reader opens is parsed and drawn. */
function transcriptBlocks(model: RunModel): string {
  let left = pageBudget;
  const row = (t: TimedTranscript): PageTranscript => {
    const out: PageTranscript = [
      oneLine(placeText(t)),
      neutralise(t.command),
      exitText(t),
      streamText(t.stdout, t.stdoutBytes),
      streamText(t.stderr, t.stderrBytes),
    ];
    const size = out[3].length + out[4].length;
    if (size > 0 && size > left) {
      out[3] = '(left out of this page for its size; run.jsonl has it)';
      out[4] = '';
    }
    left -= Math.min(left, size);
    return out;
  };
  const blocks = model.scenarios.map(() => new Map<string, PageTranscript[]>());
  // What went wrong gets its output before what passed.
  for (const passes of [false, true]) {
    model.scenarios.forEach((scenario, index) => {
      for (const item of scenario.last.items) {
        if ((item.outcome.verdict === 'pass') === passes && item.transcripts.length > 0)
          blocks[index]?.set(item.id, item.transcripts.map(row));
      }
      if (passes && scenario.last.transcripts.length > 0) blocks[index]?.set('-', scenario.last.transcripts.map(row));
    });
  }
  return blocks
    .map((block, index) => {
      // `<` could end the script element or begin a comment in it; JSON may spell it as an escape.
      const json = JSON.stringify(Object.fromEntries(block)).replace(/</g, '\\u003c');
      return `<script type="application/json" id="tx-${index}">${json}</script>`;
    })
    .join('\n');
}

function overview(model: RunModel): string {
  if (model.scenarios.length < 2) return '';
  const rows = model.scenarios.map(
    (s, index) =>
      `<tr><td>${badge(s.verdict)}</td><td><a href="#s${index}">${escLine(s.title || s.id)}</a> <span class="dim">${escLine(s.id)}</span>${s.flaky ? ' <span class="tag">flaky</span>' : ''}</td><td>${totalsBar(s.last.totals)}<span class="sr">${totalsLine(s.last.totals)}</span></td><td class="num">${s.last.totals.pass}/${s.last.totals.planned}</td><td class="num">${formatDuration(s.last.durationMs)}</td></tr>`,
  );
  return `<section class="card" aria-labelledby="overview"><h2 id="overview">${model.scenarios.length} scenarios</h2><div class="scroll"><table class="overview"><thead><tr><th scope="col"></th><th scope="col">scenario</th><th scope="col"></th><th scope="col" class="num">passed</th><th scope="col" class="num">time</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></section>`;
}

/** Scenarios × values of each matrix key, and what is not the same for all of them. */
function matrixHtml(model: RunModel): string {
  return matrixGrids(model)
    .map(({ key, columns, rows, differences }, index) => {
      const head = columns.map((column) => `<th scope="col">${escLine(columnText(column))}</th>`).join('');
      const body = rows.map(({ name, cells }) => {
        const tds = cells.map((cell) =>
          cell
            ? `<td class="${cell.verdict}"><a class="badge ${cell.verdict}" href="#s${cell.scenarios[0] ?? 0}"><span class="sr">${cell.verdict} </span>${escLine(cellText(cell))}</a></td>`
            : '<td></td>',
        );
        return `<tr><th scope="row">${escLine(name)}</th>${tds.join('')}</tr>`;
      });
      const list = differences.map(
        (difference) =>
          `<li><b>${escLine(difference.scenario)}</b> › ${escLine(difference.check)}: <span class="dim">${escLine(differenceText(difference))}</span></li>`,
      );
      const found =
        list.length === 0
          ? ''
          : `<details class="sub"${list.length <= findingsShown ? ' open' : ''}><summary>${list.length} ${list.length === 1 ? 'check differs' : 'checks differ'} by ${escLine(key)}: findings, not failures</summary><ul class="controls">${list.join('')}</ul></details>`;
      return (
        `<section class="card" aria-labelledby="matrix-${index}"><h2 id="matrix-${index}">By ${escLine(key)}</h2><div class="scroll" tabindex="0" role="region" aria-label="By ${escLine(key)}"><table class="matrix">` +
        `<thead><tr><th scope="col">scenario</th>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div><p class="dim">Checks passed of those planned; -n: skipped.</p>${found}</section>`
      );
    })
    .join('');
}

/** Findings listed at the top; the rest is a filter away. */
const findingsShown = 40;

function findingsHtml(model: RunModel): string {
  const list = findings(model);
  if (list.length === 0) return '';
  const index = new Map(model.scenarios.map((scenario, at) => [scenario, at]));
  const before = saidBefore(list);
  const anchorAt = ({ scenario, item }: (typeof list)[number]): string =>
    anchorOf(index.get(scenario) ?? 0, scenario.last.items.indexOf(item));
  const entries = list.slice(0, findingsShown).map((finding, at) => {
    const { scenario, item } = finding;
    const same = before[at] ?? null;
    const said =
      same === null
        ? escLine(item.outcome.reason)
        : `as in <a href="#${anchorAt(list[same]!)}">${escLine(list[same]!.item.title)}</a>`;
    const where = model.scenarios.length > 1 ? `<span class="dim">${escLine(scenario.id)} › </span>` : '';
    return (
      `<li class="${item.outcome.verdict}">${badge(item.outcome.verdict, item.outcome.cause ? `${item.outcome.verdict}: ${item.outcome.cause}` : item.outcome.verdict)} ${where}` +
      `<a href="#${anchorAt(finding)}">${escLine(item.title)}</a><br>${said}<br><code class="dim">${escLine(placeOf(model, scenario, item))}</code></li>`
    );
  });
  const more =
    list.length > findingsShown ? `<li class="skipped">and ${list.length - findingsShown} more below</li>` : '';
  return `<section class="card" aria-labelledby="findings"><h2 id="findings">To look at</h2><ul class="findings">${entries.join('')}${more}</ul></section>`;
}

function skipsHtml(model: RunModel): string {
  if (model.skipReasons.length === 0) return '';
  const rows = model.skipReasons.map(({ reason, count }) => `<li><b>${count}</b> ${escLine(reason)}</li>`);
  return `<section class="card" aria-labelledby="skips"><h2 id="skips">${model.totals.skipped} skipped, because</h2><ul>${rows.join('')}</ul></section>`;
}

const exitMeaning: Record<number, string> = {
  [exitStatus.passed]: 'passed',
  [exitStatus.failed]: 'failed or inconclusive',
  [exitStatus.usage]: 'usage',
  [exitStatus.lab]: 'lab or netrig broke',
  [exitStatus.interrupted]: 'interrupted',
};

/** The whole page: style, script and data inside; a policy in it forbids anything from outside. */
export function htmlPage(model: RunModel): string {
  const verdict = runVerdict(model);
  const policy = `default-src 'none'; style-src ${hash(pageStyle)}; script-src ${hash(pageScript)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const facts: [string, string][] = [
    ['started', model.startedAt ? `${model.startedAt.slice(0, 19).replace('T', ' ')} UTC` : ''],
    ['took', formatDuration(model.durationMs)],
    ['exit status', `${model.exitCode}${exitMeaning[model.exitCode] ? ` (${exitMeaning[model.exitCode]})` : ''}`],
    ['netrig', model.netrig],
    ['node', model.node],
    ['kernel', model.kernel],
    [
      'engines',
      [...new Set(model.scenarios.flatMap((s) => s.last.engines.map((e) => e.version)))]
        .filter((v) => v !== '')
        .sort()
        .join(', '),
    ],
    ['command', model.argv.join(' ')],
  ];
  const problems =
    model.problems.length === 0
      ? ''
      : `<section class="card problems ${model.exitCode === 130 ? 'inconclusive' : 'error'}" aria-labelledby="problems"><h2 id="problems">The run itself</h2><ul>${model.problems.map((problem) => problemHtml(model, problem)).join('')}</ul></section>`;
  const chips = [
    ...verdicts
      .filter((v) => model.totals[v] > 0)
      .map(
        (v) =>
          `<button type="button" class="chip ${v}" data-filter="${v}" aria-pressed="true">${verdictSign[v]} ${verdictWord[v]}<span class="mono">${model.totals[v]}</span></button>`,
      ),
    ...(
      [
        ['step', model.totals.planned - model.checks.planned],
        ['check', model.checks.planned],
      ] as const
    )
      .filter(([, count]) => count > 0)
      .map(
        ([kind, count]) =>
          `<button type="button" class="chip skipped" data-filter="${kind}" aria-pressed="true">${kind}s<span class="mono">${count}</span></button>`,
      ),
  ].join('');
  const title = `${verdictSign[verdict]} ${headline(model)} · netrig`;
  const logs = model.logs.filter((line) => line.level !== 'info');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="netrig ${escLine(model.netrig)}">
<link rel="icon" href="data:,">
<title>${escLine(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<a class="skip" href="#main">To the results</a>
<header class="top ${verdict}"><div>
<div class="brand"><span><b>netrig</b> run report</span><button type="button" class="theme" id="theme">Colours</button></div>
<h1><span aria-hidden="true">${verdictSign[verdict]}</span> ${escLine(headline(model))}</h1>
<p class="totals">${totalsLine(model.totals)}${model.flaky > 0 ? `, ${model.flaky} flaky` : ''}</p>
${totalsBar(model.totals)}
<dl class="facts">${facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `<div><dt>${name}</dt><dd>${escLine(value)}</dd></div>`)
    .join('')}</dl>
</div></header>
<main id="main">
${problems}${findingsHtml(model)}${matrixHtml(model)}${overview(model)}${skipsHtml(model)}
${logs.length === 0 ? '' : `<section class="card" aria-labelledby="log"><h2 id="log">Warnings</h2><ul>${logs.map((line) => `<li><b>${escLine(line.level)}</b> ${esc(line.text)}</li>`).join('')}</ul></section>`}
<div class="tools" role="search"><input id="search" type="search" placeholder="Search (press / )" aria-label="Search steps and checks" autocomplete="off" spellcheck="false"><div class="chips" role="group" aria-label="Show only">${chips}</div><button type="button" id="open-all">Open all</button><span id="shown" role="status"></span></div>
${model.scenarios.map((scenario, index) => scenarioHtml(model, scenario, index)).join('\n')}
</main>
<footer>Made from run.jsonl by netrig ${escLine(model.netrig)}. Times are those of the machine that ran the labs.</footer>
${transcriptBlocks(model)}
<script>${pageScript}</script>
</body>
</html>
`;
}

export const htmlFormat: ReportFormat = {
  name: 'html',
  summary: 'index.html: one page for people: verdicts, the lab drawn, transcripts',
  async write(model, dir) {
    await writeWhole(dir, 'index.html', htmlPage(model));
    return { files: ['index.html'], notes: [] };
  },
};
