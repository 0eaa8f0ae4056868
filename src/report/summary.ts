import { formatDuration } from '../model/duration.js';
import { writeWhole, type ReportFormat } from './format.js';
import { code, plain } from './markdown.js';
import { cellText, columnText, differenceText, matrixGrids } from './matrix.js';
import { findings, type RunModel } from './model.js';
import {
  causeAndReason,
  cutMiddle,
  headline,
  isolations,
  isolationText,
  judgedText,
  outsideHosts,
  placeOf,
  runVerdict,
  totalsLine,
} from './wording.js';
import type { Verdict } from '../model/verdict.js';

const emblem: Record<Verdict, string> = { pass: '✅', fail: '❌', inconclusive: '❔', error: '💥', skipped: '⏭️' };

/** Findings named in full; job pages cut long summaries (GitHub at 1 MiB). */
const shown = 50;

/** A short Markdown page for the summary of a CI job. */
export function summaryMarkdown(model: RunModel): string {
  const lines = [
    `## ${emblem[runVerdict(model)]} ${headline(model)}`,
    '',
    `${totalsLine(model.totals)} · ${formatDuration(model.durationMs)}`,
    '',
  ];
  for (const mode of isolations(model)) lines.push(`Isolation ${isolationText(mode)}.`, '');
  for (const scenario of model.scenarios) {
    const outside = outsideHosts(scenario);
    if (outside.length > 0) lines.push(`A way to the outside in ${plain(scenario.id)}: ${outside.join(', ')}.`, '');
  }
  for (const { code: known, message, told } of model.problems)
    lines.push(`> **${known}** ${plain(told ? `${told.scenario}: see below` : message)}`, '');
  if (model.scenarios.length > 0) {
    lines.push(
      '| | scenario | passed | failed | inconclusive | errors | skipped | time |',
      '|---|---|--:|--:|--:|--:|--:|--:|',
    );
    for (const { id, title, verdict, last, flaky } of model.scenarios) {
      const t = last.totals;
      lines.push(
        `| ${emblem[verdict]} | ${code(id)} ${plain(title)}${flaky ? ' *(flaky)*' : ''} | ${t.pass} | ${t.fail} | ${t.inconclusive} | ${t.error} | ${t.skipped} | ${formatDuration(last.durationMs)} |`,
      );
    }
    lines.push('');
  }
  for (const { key, columns, rows, differences } of matrixGrids(model)) {
    lines.push(
      `### By ${plain(key)}`,
      '',
      `| scenario | ${columns.map((column) => plain(columnText(column))).join(' | ')} |`,
      `|---|${columns.map(() => '---|').join('')}`,
    );
    for (const { name, cells } of rows)
      lines.push(
        `| ${code(name)} | ${cells.map((cell) => (cell ? `${emblem[cell.verdict]} ${plain(cellText(cell).slice(2))}` : '')).join(' | ')} |`,
      );
    lines.push('', 'Checks passed of those planned; -n: skipped.', '');
    if (differences.length === 0) continue;
    lines.push(`What is not the same for every ${plain(key)} (findings, not failures):`, '');
    for (const difference of differences.slice(0, shown))
      lines.push(
        `- ${code(difference.scenario)} ${plain(difference.check)}: ${plain(cutMiddle(differenceText(difference), 500))}`,
      );
    if (differences.length > shown) lines.push(`- and ${differences.length - shown} more`);
    lines.push('');
  }
  const bad = findings(model);
  if (bad.length > 0) {
    lines.push('### To look at', '');
    for (const { scenario, item } of bad.slice(0, shown)) {
      lines.push(
        `- **${item.outcome.verdict}** ${plain(item.title)} — ${plain(cutMiddle(causeAndReason(item), 500))}`,
        `  ${code(placeOf(model, scenario, item))}`,
      );
    }
    if (bad.length > shown) lines.push(`- and ${bad.length - shown} more`);
    lines.push('');
  }
  lines.push(...measuredLines(model));
  if (model.skipReasons.length > 0) {
    lines.push('### Skipped', '');
    for (const { reason, count } of model.skipReasons.slice(0, shown)) lines.push(`- ${count}: ${plain(reason)}`);
    lines.push('');
  }
  return lines.join('\n');
}

/** Figures of checks that passed: of others, the finding says them. */
function measuredLines(model: RunModel): string[] {
  const measured = model.scenarios.flatMap((scenario) =>
    scenario.last.items.flatMap((item) => {
      const text = item.outcome.verdict === 'pass' ? judgedText(item.outcome) : '';
      return text === '' ? [] : [`- ${code(scenario.id)} ${plain(item.title)}: ${plain(text)}`];
    }),
  );
  if (measured.length === 0) return [];
  const more = measured.length - shown;
  return ['### Measured', '', ...measured.slice(0, shown), ...(more > 0 ? [`- and ${more} more`] : []), ''];
}

export const summaryFormat: ReportFormat = {
  name: 'summary',
  summary: 'summary.md: a short page for the summary of a CI job',
  async write(model, dir) {
    await writeWhole(dir, 'summary.md', summaryMarkdown(model));
    return { files: ['summary.md'], notes: [] };
  },
};
