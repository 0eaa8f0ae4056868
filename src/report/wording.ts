import { relative, sep } from 'node:path';
import { formatDuration } from '../model/duration.js';
import type { Transcript } from '../model/events.js';
import type { Measure, Outcome, Verdict } from '../model/verdict.js';
import { brokenLabs, isWarning } from './run-model.js';
import type { ItemResult, RunModel, ScenarioResult, Totals } from './model.js';

/** A sign a verdict, so that nothing depends on colour. */
export const verdictSign: Record<Verdict, string> = {
  pass: '✓',
  fail: '✗',
  inconclusive: '?',
  error: '!',
  skipped: '-',
};

/** A verdict as an adjective for counts: "3 inconclusive". */
export const verdictWord: Record<Verdict, string> = {
  pass: 'passed',
  fail: 'failed',
  inconclusive: 'inconclusive',
  error: 'errors',
  skipped: 'skipped',
};

/** `1 warning`, `2 warnings`. */
export function countOf(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

/** `, 2 warnings`, or nothing. */
function warnings({ warned = 0 }: Totals): string {
  return warned === 0 ? '' : `, ${countOf(warned, 'warning')}`;
}

/** The sign of an item; a check that is a warning has one of its own. */
export function signOf(item: Pick<ItemResult, 'level' | 'outcome'>): string {
  return isWarning(item) ? '⚠' : verdictSign[item.outcome.verdict];
}

/** `fail`, `warning (fail)`. */
export function verdictText(item: Pick<ItemResult, 'level' | 'outcome'>): string {
  return isWarning(item) ? `warning (${item.outcome.verdict})` : item.outcome.verdict;
}

/** `22 planned, 22 reported: 20 passed, 1 failed, 0 inconclusive, 0 errors, 1 skipped`: no figure is ever left out. */
export function totalsLine(totals: Totals): string {
  const errors = totals.error === 1 ? '1 error' : `${totals.error} errors`;
  return (
    `${totals.planned} planned, ${totals.reported} reported: ${totals.pass} passed, ${totals.fail} failed, ` +
    `${totals.inconclusive} inconclusive, ${errors}, ${totals.skipped} skipped${warnings(totals)}`
  );
}

/** The scenario's file as seen from the directory in which the run was started, where it lies below it. */
export function fileOf(model: Pick<RunModel, 'cwd'>, scenario: Pick<ScenarioResult, 'file'>): string {
  if (model.cwd === '') return scenario.file;
  const path = relative(model.cwd, scenario.file);
  return path === '' || path.startsWith(`..${sep}`) ? scenario.file : path;
}

/** `scenarios/overlay/consul.yaml:41`, as editors and CI systems link it. */
export function placeOf(
  model: Pick<RunModel, 'cwd'>,
  scenario: Pick<ScenarioResult, 'file'>,
  item: Pick<ItemResult, 'line' | 'file'>,
): string {
  return `${item.file ?? fileOf(model, scenario)}:${item.line}`;
}

/** `timeout: no reply within 2 s`: the cause, where there is one, before the reason. */
export function causeAndReason(item: ItemResult): string {
  const { cause, reason } = item.outcome;
  return cause ? `${cause}: ${reason}` : reason;
}

/** Where a command ran: on a host, by the host's own programs, or beside it. */
export function placeText({ host, beside }: Pick<Transcript, 'host' | 'beside'>): string {
  return beside ? `beside ${host}` : host;
}

/** `exit 1, 2.0 s`. */
export function exitText(transcript: Transcript): string {
  const how = transcript.timedOut
    ? 'timed out'
    : transcript.signal
      ? `ended by ${transcript.signal}`
      : transcript.exitCode === null
        ? 'no exit status'
        : `exit ${transcript.exitCode}`;
  return `${how}, ${formatDuration(transcript.durationMs)}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** `rtt 0.41 ms`. */
export function formatMeasure(measure: Measure): string {
  return `${measure.name} ${measureValue(measure)}`;
}

/** What the check is about and was measured, whatever the verdict: `longest gap 3.01 s`; empty where nothing of that kind was. */
export function judgedText({ measures = [] }: Pick<Outcome, 'measures'>): string {
  return measures
    .filter(({ judged }) => judged)
    .map(formatMeasure)
    .join(', ');
}

export function measureValue({ value, unit }: Measure): string {
  if (unit === 'ms') return value < 10 ? `${Number(value.toFixed(2))} ms` : formatDuration(value);
  if (unit === 'bytes') return `${value} B`;
  if (unit === 'percent') return `${Number(value.toFixed(1))} %`;
  return String(value);
}

/** One sentence that says how the run went, for headings. */
export function headline(model: RunModel): string {
  const { totals, checks } = model;
  const labs = brokenLabs(model).length;
  const bad = [
    totals.fail > 0 ? `${totals.fail} failed` : '',
    totals.error > 0 ? (totals.error === 1 ? '1 error' : `${totals.error} errors`) : '',
    totals.inconclusive > 0 ? `${totals.inconclusive} inconclusive` : '',
    labs > 0 ? (labs === 1 ? '1 lab broke' : `${labs} labs broke`) : '',
  ].filter((part) => part !== '');
  if (model.state === 'interrupted') return `Interrupted${bad.length > 0 ? `: ${bad.join(', ')}` : ''}`;
  if (bad.length > 0) return bad.join(', ').replace(/^\w/, (letter) => letter.toUpperCase());
  const problem = model.problems.find((p) => p.code !== 'NETRIG_NOTHING_RAN');
  if (problem) return 'The run broke';
  if (checks.pass === 0) return 'Nothing ran';
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
  return `${checks.pass === checks.planned && checks.pass > 1 ? 'All ' : ''}${checks.pass} ${checks.pass === 1 ? 'check' : 'checks'} passed${skipped}${warnings(totals)}`;
}

/** The verdict that stands for the whole run, for colours and badges. */
export function runVerdict(model: RunModel): Verdict {
  if (model.totals.error > 0 || model.exitCode === 3 || model.exitCode === 2) return 'error';
  if (model.totals.fail > 0) return 'fail';
  if (model.totals.inconclusive > 0 || model.state === 'interrupted') return 'inconclusive';
  return model.checks.pass > 0 ? 'pass' : 'skipped';
}

/** Output cut in its middle to about `limit` characters, saying how much is not shown. */
export function cutMiddle(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const head = Math.ceil(limit / 2);
  const tail = limit - head;
  return `${text.slice(0, head)}\n… ${text.length - head - tail} characters not shown here …\n${text.slice(text.length - tail)}`;
}

/**
 * A name an item, unique in its scenario and the same in every run, which is what CI systems tell histories by: the title,
 * with the item's id only where titles repeat (ids shift when a step is inserted).
 */
export function uniqueNames(items: readonly Pick<ItemResult, 'id' | 'title'>[]): Map<string, string> {
  const seen = new Map<string, number>();
  for (const { title } of items) seen.set(title, (seen.get(title) ?? 0) + 1);
  return new Map(
    items.map(({ id, title }) => [id, seen.get(title) === 1 && title !== '' ? title : `${title} [${id}]`.trim()]),
  );
}

/** Every isolation that the labs of a run had, the worse first. */
export function isolations(model: RunModel): ('users' | 'none')[] {
  const seen = new Set(model.scenarios.map((scenario) => scenario.last.isolation));
  return (['none', 'users'] as const).filter((mode) => seen.has(mode));
}

/** The hosts of a lab that had a way to the outside. */
export function outsideHosts({ topology }: Pick<ScenarioResult, 'topology'>): string[] {
  return topology.hosts.flatMap((host) => (host.outside ? [host.name] : []));
}

/** What a lab's isolation means. */
export function isolationText(mode: 'users' | 'none'): string {
  return mode === 'users'
    ? 'users: root in a lab host was an unprivileged user of the machine'
    : 'none: root in a lab host was root of the machine';
}
