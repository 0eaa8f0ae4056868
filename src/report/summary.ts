import { formatDuration } from '../model/duration.js';
import { writeWhole, type ReportFormat } from './format.js';
import { findings, type RunModel } from './model.js';
import { oneLine } from './terminal-text.js';
import { causeAndReason, cutMiddle, headline, placeOf, runVerdict, totalsLine } from './wording.js';
import type { Verdict } from '../model/verdict.js';

const emblem: Record<Verdict, string> = { pass: '✅', fail: '❌', inconclusive: '❔', error: '💥', skipped: '⏭️' };

/** Findings named in full; job pages cut long summaries (GitHub at 1 MiB). */
const shown = 50;

/** Text as Markdown shows it literally, inside a table cell too. */
function plain(text: string): string {
  return oneLine(text).replace(/[\\`*_{}[\]<>#|~&!]/g, (sign) => (sign === '<' ? '&lt;' : sign === '&' ? '&amp;' : `\\${sign}`));
}

/** Text as a Markdown code span: the fence is longer than any run of backticks inside (CommonMark 6.1). */
function code(text: string): string {
  const content = oneLine(text).replace(/\|/g, '\\|');
  const longest = Math.max(0, ...[...content.matchAll(/`+/g)].map((m) => m[0].length));
  const fence = '`'.repeat(longest + 1);
  const pad = content.startsWith('`') || content.endsWith('`') ? ' ' : '';
  return `${fence}${pad}${content}${pad}${fence}`;
}

/** A short Markdown page for the summary of a CI job. */
export function summaryMarkdown(model: RunModel): string {
  const lines = [`## ${emblem[runVerdict(model)]} ${headline(model)}`, '', `${totalsLine(model.totals)} · ${formatDuration(model.durationMs)}`, ''];
  for (const problem of model.problems) lines.push(`> **${problem.code}** ${plain(problem.message)}`, '');
  if (model.scenarios.length > 0) {
    lines.push('| | scenario | passed | failed | inconclusive | errors | skipped | time |', '|---|---|--:|--:|--:|--:|--:|--:|');
    for (const { id, title, verdict, last, flaky } of model.scenarios) {
      const t = last.totals;
      lines.push(
        `| ${emblem[verdict]} | ${code(id)} ${plain(title)}${flaky ? ' *(flaky)*' : ''} | ${t.pass} | ${t.fail} | ${t.inconclusive} | ${t.error} | ${t.skipped} | ${formatDuration(last.durationMs)} |`,
      );
    }
    lines.push('');
  }
  const bad = findings(model);
  if (bad.length > 0) {
    lines.push('### To look at', '');
    for (const { scenario, item } of bad.slice(0, shown)) {
      lines.push(`- **${item.outcome.verdict}** ${plain(item.title)} — ${plain(cutMiddle(causeAndReason(item), 500))}`, `  ${code(placeOf(model, scenario, item))}`);
    }
    if (bad.length > shown) lines.push(`- and ${bad.length - shown} more`);
    lines.push('');
  }
  if (model.skipReasons.length > 0) {
    lines.push('### Skipped', '');
    for (const { reason, count } of model.skipReasons.slice(0, shown)) lines.push(`- ${count}: ${plain(reason)}`);
    lines.push('');
  }
  return lines.join('\n');
}

export const summaryFormat: ReportFormat = {
  name: 'summary',
  summary: 'summary.md: a short page for the summary of a CI job',
  async write(model, dir) {
    await writeWhole(dir, 'summary.md', summaryMarkdown(model));
    return { files: ['summary.md'], notes: [] };
  },
};
