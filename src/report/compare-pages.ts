import { formatDuration } from '../model/duration.js';
import type { Verdict } from '../model/verdict.js';
import {
  changes,
  timeThreshold,
  type Change,
  type ComparedItem,
  type ComparedScenario,
  type ComparedTime,
  type Comparison,
} from './compare.js';
import { badge, escLine, hash } from './markup.js';
import { code, plain } from './markdown.js';
import { pageStyle } from './page-style.js';
import { oneLine } from './terminal-text.js';
import { cutMiddle, verdictSign } from './wording.js';

const headings: Record<Change, string> = {
  regressed: 'Regressed: passed in the first run or is new, and does not pass',
  undecided: 'No longer decided: passed in the first run, and is skipped now',
  gone: 'Gone: was in the first run only',
  new: 'New: was not in the first run',
  mended: 'Mended: did not pass in the first run, and does now',
  other: 'Otherwise different',
};

/** Reasons longer than this are cut in their middle; the runs' own pages have them whole. */
const reasonLimit = 300;

function runLine(run: Comparison['runs'][number]): string {
  const facts = [
    run.id,
    run.startedAt ? `${run.startedAt.slice(0, 19).replace('T', ' ')} UTC` : '',
    `provider ${run.providers.join(', ') || 'none'}`,
    run.engines.length > 0 ? `engines ${run.engines.join(', ')}` : 'no engine',
    formatDuration(run.durationMs),
  ];
  return `${facts.filter((fact) => fact !== '').join(' · ')}${run.state === 'complete' ? '' : ` · ${run.state}`}`;
}

/** One sentence that says how the comparison came out. */
export function comparisonHeadline(comparison: Comparison): string {
  const { regressions, items, agreed } = comparison;
  const differ = items.length - items.filter((item) => item.change === 'regressed').length;
  const parts = [
    regressions === 0 ? 'no regression' : regressions === 1 ? '1 regression' : `${regressions} regressions`,
    `${agreed} ${agreed === 1 ? 'step or check' : 'steps and checks'} the same in all ${comparison.runs.length} runs`,
    ...(differ > 0 ? [`${differ} otherwise different`] : []),
    ...(comparison.slower.length > 0 ? [`${comparison.slower.length} slower`] : []),
    ...(comparison.faster.length > 0 ? [`${comparison.faster.length} faster`] : []),
  ];
  return parts.join(', ').replace(/^\w/, (letter) => letter.toUpperCase());
}

function scenarioCell(cell: ComparedScenario['cells'][number]): string {
  if (cell === null) return '';
  return `${verdictSign[cell.verdict]} ${cell.passed}/${cell.planned}${cell.skipped > 0 ? ` -${cell.skipped}` : ''} ${formatDuration(cell.durationMs)}`;
}

/** `local pass; vagrant fail: timeout: no reply within 2 s`. */
function itemText(item: ComparedItem, labels: readonly string[]): string {
  return item.cells
    .map((cell, column) => {
      if (cell === null) return `${labels[column]} not there`;
      return `${labels[column]} ${cell.verdict}${cell.reason === '' ? '' : `: ${oneLine(cutMiddle(cell.reason, reasonLimit))}`}`;
    })
    .join('; ');
}

function timeText(time: ComparedTime, labels: readonly string[]): string {
  const each = time.durationsMs.map(
    (ms, column) => `${labels[column]} ${ms === null ? 'not passed' : formatDuration(ms)}`,
  );
  return `${each.join(', ')} (${time.factor >= 1 ? `${time.factor.toFixed(1)} times as long` : `${(1 / time.factor).toFixed(1)} times as fast`})`;
}

function title(item: { scenario: string; title: string }): string {
  return `${item.scenario} › ${item.title}`;
}

/** Steps and checks of one scenario of which the same is to be said: all those of a lab that one provider skips, say. */
interface Alike {
  title: string;
  items: ComparedItem[];
}

function alike(items: readonly ComparedItem[]): Alike[] {
  const saying = new Map<string, ComparedItem[]>();
  for (const item of items) {
    const key = JSON.stringify([item.scenario, item.cells.map((cell) => cell && [cell.verdict, cell.reason])]);
    saying.set(key, [...(saying.get(key) ?? []), item]);
  }
  return [...saying.values()].map((same) => {
    const [first] = same;
    return {
      items: same,
      title:
        same.length === 1
          ? title(first!)
          : `${first!.scenario} › ${same.length} steps and checks, from “${first!.title}” to “${same.at(-1)!.title}”`,
    };
  });
}

/** Text and Markdown show so many times, the most different ones; the HTML page and the JSON have all. */
const timesShown = 10;

function timesLeftOut(list: readonly ComparedTime[]): string | null {
  return list.length > timesShown ? `… and ${list.length - timesShown} more, which --html and --json show` : null;
}

function groups(comparison: Comparison): { heading: string; change: Change; items: ComparedItem[] }[] {
  return changes
    .map((change) => ({
      change,
      heading: headings[change],
      items: comparison.items.filter((item) => item.change === change),
    }))
    .filter(({ items }) => items.length > 0);
}

const timesNote = `Among checks that passed in both: at least ${timeThreshold.factor} times and ${timeThreshold.ms} ms apart.`;

function times(comparison: Comparison): { heading: string; times: ComparedTime[] }[] {
  return [
    { heading: 'Slower', times: comparison.slower },
    { heading: 'Faster', times: comparison.faster },
  ].filter((one) => one.times.length > 0);
}

/** The comparison as plain text for a terminal. */
export function comparisonText(comparison: Comparison): string {
  const labels = comparison.runs.map((run) => oneLine(run.label));
  const lines = comparison.runs.map((run, column) => `${labels[column]}: ${oneLine(runLine(run))}`);
  const rows = comparison.scenarios.map(({ name, cells }) => [oneLine(name), ...cells.map(scenarioCell)]);
  const table = [['scenario', ...labels], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  lines.push(
    '',
    ...table.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    ),
    '(checks passed / planned, -skipped, time)',
  );
  for (const { heading, items } of groups(comparison)) {
    lines.push('', heading);
    for (const same of alike(items))
      lines.push(`  ${oneLine(same.title)}`, `      ${itemText(same.items[0]!, labels)}`);
  }
  for (const { heading, times: list } of times(comparison)) {
    lines.push('', `${heading}. ${timesNote}`);
    for (const time of list.slice(0, timesShown))
      lines.push(`  ${oneLine(title(time))}`, `      ${timeText(time, labels)}`);
    const rest = timesLeftOut(list);
    if (rest !== null) lines.push(`  ${rest}`);
  }
  lines.push('', comparisonHeadline(comparison));
  return `${lines.join('\n')}\n`;
}

/** The comparison as a Markdown page. */
export function comparisonMarkdown(comparison: Comparison, heading = 'Runs side by side'): string {
  const labels = comparison.runs.map((run) => oneLine(run.label));
  const lines = [
    `# ${plain(heading)}`,
    '',
    'Generated by `netrig compare --markdown` from records of runs. Do not edit.',
    '',
    `${comparisonHeadline(comparison)}.`,
    '',
  ];
  comparison.runs.forEach((run, column) => lines.push(`- **${plain(labels[column]!)}**: ${plain(runLine(run))}`));
  lines.push('', `| scenario | ${labels.map(plain).join(' | ')} |`, `|---|${labels.map(() => '---').join('|')}|`);
  for (const { name, cells } of comparison.scenarios)
    lines.push(`| ${code(name)} | ${cells.map((cell) => plain(scenarioCell(cell))).join(' | ')} |`);
  lines.push('', 'Checks passed of those planned; -n: skipped; time.', '');
  for (const { heading: of, items } of groups(comparison)) {
    lines.push(`## ${plain(of)}`, '');
    for (const same of alike(items)) lines.push(`- ${plain(same.title)}: ${plain(itemText(same.items[0]!, labels))}`);
    lines.push('');
  }
  for (const { heading: of, times: list } of times(comparison)) {
    lines.push(`## ${of}`, '', timesNote, '');
    for (const time of list.slice(0, timesShown))
      lines.push(`- ${plain(title(time))}: ${plain(timeText(time, labels))}`);
    const rest = timesLeftOut(list);
    if (rest !== null) lines.push(`- ${plain(rest)}`);
    lines.push('');
  }
  return lines.join('\n');
}

/** The comparison as one page that needs nothing but itself. */
export function comparisonHtml(comparison: Comparison): string {
  const labels = comparison.runs.map((run) => oneLine(run.label));
  const verdict: Verdict = comparison.regressions > 0 ? 'fail' : 'pass';
  const head = labels.map((label) => `<th scope="col">${escLine(label)}</th>`).join('');
  const rows = comparison.scenarios.map(({ name, cells }) => {
    const tds = cells.map((cell) =>
      cell
        ? `<td class="${cell.verdict}">${badge(cell.verdict, scenarioCell(cell))}<span class="sr"> ${cell.verdict}</span></td>`
        : '<td></td>',
    );
    return `<tr><th scope="row">${escLine(name)}</th>${tds.join('')}</tr>`;
  });
  const itemCells = (item: ComparedItem): string =>
    item.cells
      .map((cell) =>
        cell
          ? `<td>${badge(cell.verdict)}${cell.reason === '' ? '' : ` <span class="dim">${escLine(cutMiddle(cell.reason, reasonLimit))}</span>`}</td>`
          : '<td><span class="dim">not there</span></td>',
      )
      .join('');
  const table = (caption: string, body: string): string =>
    `<div class="scroll" tabindex="0" role="region" aria-label="${escLine(caption)}"><table><thead><tr><th scope="col">scenario › check</th>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
  const found = groups(comparison).map(({ heading, items }, index) => {
    const body = alike(items)
      .map((same) => `<tr><th scope="row">${escLine(same.title)}</th>${itemCells(same.items[0]!)}</tr>`)
      .join('');
    return `<section class="card" aria-labelledby="g${index}"><h2 id="g${index}">${escLine(heading)} (${items.length})</h2>${table(heading, body)}</section>`;
  });
  const timed = times(comparison).map(({ heading, times: list }, index) => {
    const body = list
      .map(
        (time) =>
          `<tr><th scope="row">${escLine(title(time))}</th>${time.durationsMs.map((ms) => `<td class="num">${ms === null ? '' : formatDuration(ms)}</td>`).join('')}</tr>`,
      )
      .join('');
    return `<section class="card" aria-labelledby="t${index}"><h2 id="t${index}">${heading} (${list.length})</h2><p class="dim">${timesNote}</p>${table(heading, body)}</section>`;
  });
  const facts = comparison.runs
    .map((run, column) => `<div><dt>${escLine(labels[column]!)}</dt><dd>${escLine(runLine(run))}</dd></div>`)
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${hash(pageStyle)}; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="netrig">
<link rel="icon" href="data:,">
<title>${verdictSign[verdict]} ${escLine(comparisonHeadline(comparison))} · netrig</title>
<style>${pageStyle}</style>
</head>
<body>
<a class="skip" href="#main">To the comparison</a>
<header class="top ${verdict}"><div>
<div class="brand"><span><b>netrig</b> runs side by side</span></div>
<h1><span aria-hidden="true">${verdictSign[verdict]}</span> ${escLine(comparisonHeadline(comparison))}</h1>
<dl class="facts">${facts}</dl>
</div></header>
<main id="main">
<section class="card" aria-labelledby="scenarios"><h2 id="scenarios">Scenarios</h2><div class="scroll" tabindex="0" role="region" aria-label="Scenarios"><table class="matrix"><thead><tr><th scope="col">scenario</th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div><p class="dim">Checks passed of those planned; -n: skipped; time.</p></section>
${found.join('\n')}
${timed.join('\n')}
</main>
<footer>Made from the records of the runs by netrig.</footer>
</body>
</html>
`;
}
