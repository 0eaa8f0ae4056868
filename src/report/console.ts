import { formatDuration } from '../model/duration.js';
import type { RunEvent } from '../model/events.js';
import { createLiveArea, liveScenario, type LiveArea, type LiveScenario } from './live-area.js';
import { isWarning, type RunModel } from './model.js';
import { styleOf, type Style } from './paint.js';
import { endLines, type ReportFiles } from './run-lines.js';
import { displayWidth, neutralise, oneLine, truncate, wrap } from './terminal-text.js';
import { judgedText, signOf, verdictSign, verdictText } from './wording.js';

export { wantsColour } from './paint.js';

export interface ConsoleOptions {
  stream: { write(text: string): unknown; isTTY?: boolean; columns?: number };
  /** Decides on colour: NO_COLOR (no-color.org) before FORCE_COLOR before what the stream is. */
  env?: NodeJS.ProcessEnv;
  /** The clock, ms since the epoch; for tests. */
  now?: () => number;
  /** Only what went wrong, and the end. */
  quiet?: boolean;
}

export interface ConsoleReporter {
  onEvent(event: RunEvent): void;
  /** A line of other origin (a warning of netrig's own) without garbling the live part. */
  print(line: string): void;
  /** Takes the live part away and prints the end of the run. */
  finish(model: RunModel, reports?: ReportFiles): void;
  /** Takes the live part away without a word; for a run that ends by an exception. */
  stop(): void;
}

/** Columns of an error while a run is under way. */
const shortWidth = 72;

type EventOf<Type extends RunEvent['type']> = Extract<RunEvent, { type: Type }>;

/** Items skipped one after the other for one reason: told of in one line, when something else comes. */
interface SkippedRow {
  reason: string;
  titles: string[];
  t: string;
}

/** All that the reporter knows while a run is under way. */
interface Telling {
  style: Style;
  area: LiveArea;
  scenarios: Map<string, LiveScenario>;
  skipped: Map<string, SkippedRow>;
  /** The scenario whose heading stands above what is printed. */
  heading: string | null;
  live: boolean;
  quiet: boolean;
}

/**
 * Tells a run on a terminal as it happens: one line a finished step or check, and below them, on a TTY, a status line for
 * each scenario under way. Elsewhere plain lines with the time, and not one cursor sequence.
 */
export function createConsoleReporter(options: ConsoleOptions): ConsoleReporter {
  const { stream } = options;
  const env = options.env ?? process.env;
  const live = stream.isTTY === true && env['TERM'] !== 'dumb';
  const style = styleOf(stream, env);
  const scenarios = new Map<string, LiveScenario>();
  const area = createLiveArea({ stream, style, scenarios, live, now: options.now ?? Date.now });
  const telling: Telling = {
    style,
    area,
    scenarios,
    skipped: new Map(),
    heading: null,
    live,
    quiet: options.quiet ?? false,
  };
  let stopped = false;
  const stop = (): void => {
    if (!stopped) for (const id of telling.skipped.keys()) tellSkipped(telling, id);
    stopped = true;
    area.stop();
  };
  return {
    onEvent(event) {
      if (!stopped) tellEvent(telling, event);
    },
    print(line) {
      area.print([displayWidth(line) > 0 ? neutralise(line) : '']);
    },
    finish(model, reports) {
      stop();
      stream.write(`${endLines(model, style, reports).join('\n')}\n`);
    },
    stop,
  };
}

function tellEvent(telling: Telling, event: RunEvent): void {
  const { scenarios, style, quiet } = telling;
  switch (event.type) {
    case 'scenario:start':
      tellStart(telling, event);
      break;
    case 'phase':
      if (event.state === 'start') tellPhaseStart(telling, event);
      else tellPhaseEnd(telling, event);
      break;
    case 'item:start':
      scenarios.get(event.scenario)?.running.set(event.item, Date.parse(event.t));
      break;
    case 'item:end':
      tellItem(telling, event);
      break;
    case 'log': {
      if (quiet && event.level === 'info') break;
      const marks = { error: style.colour.red('error: '), warn: style.colour.yellow('warning: '), info: '' };
      const line = `${marks[event.level] ?? ''}${oneLine(event.text)}`;
      if (event.scenario === null) say(telling, event.t, [line]);
      else sayOf(telling, event.t, event.scenario, [line]);
      break;
    }
    case 'scenario:end': {
      const { error } = event;
      const told = error && scenarios.get(event.scenario)?.errors.some((reason) => reason.includes(error.message));
      // Before those that were skipped because of it.
      if (error && !told)
        sayBelow(telling, event.t, event.scenario, [
          style.colour.red(inShort(`${error.code}: ${error.message}`, style)),
        ]);
      tellSkipped(telling, event.scenario);
      scenarios.delete(event.scenario);
      telling.area.print([]);
      telling.area.refresh();
      break;
    }
    default:
      break;
  }
}

/** On one line, as far as it goes: the end of the run says all of it. */
function inShort(text: string, { cut }: Style): string {
  return truncate(oneLine(text), Math.min(shortWidth, cut.columns() - 6));
}

/** Lines with the time where there is no terminal. */
function say({ area, live, style }: Telling, t: string, lines: readonly string[]): void {
  const stamp = live ? '' : `${style.colour.dim(t.slice(11, 19))} `;
  area.print(lines.map((line) => `${stamp}${line}`));
}

/** Lines of a scenario: below its heading when it is alone, with its name in front when several run at once. */
function sayOf(telling: Telling, t: string, id: string, lines: readonly string[]): void {
  tellSkipped(telling, id);
  sayBelow(telling, t, id, lines);
}

function sayBelow(telling: Telling, t: string, id: string, lines: readonly string[]): void {
  const { scenarios, live, style } = telling;
  if (scenarios.size > 1 || (!live && telling.heading !== id)) {
    telling.heading = null;
    const name = style.colour.dim(`${oneLine(id)} │`);
    say(
      telling,
      t,
      lines.map((line) => `${name} ${line}`),
    );
    return;
  }
  if (telling.heading !== id) {
    telling.heading = id;
    say(telling, t, [headingOf(id, scenarios.get(id)?.title ?? '', style)]);
  }
  say(
    telling,
    t,
    lines.map((line) => `  ${line}`),
  );
}

function headingOf(id: string, title: string, { colour }: Style): string {
  return `${colour.bold(oneLine(id))}  ${colour.dim(oneLine(title))}`;
}

function tellStart(telling: Telling, event: EventOf<'scenario:start'>): void {
  telling.scenarios.set(event.scenario, liveScenario(event));
  telling.area.refresh();
  if (telling.quiet) return;
  telling.heading = event.scenario;
  const again = event.attempt > 1 ? telling.style.colour.yellow(`  attempt ${event.attempt}`) : '';
  say(telling, event.t, [`${headingOf(event.scenario, event.title, telling.style)}${again}`]);
}

function tellItem(telling: Telling, event: EventOf<'item:end'>): void {
  const scenario = telling.scenarios.get(event.scenario);
  scenario?.running.delete(event.item);
  if (scenario) scenario.done += 1;
  if (event.outcome.verdict === 'error') scenario?.errors.push(event.outcome.reason);
  const planned = scenario?.planned.get(event.item) ?? { title: event.item };
  const { verdict, reason } = event.outcome;
  if (verdict === 'skipped') {
    if (telling.quiet) return;
    const row = telling.skipped.get(event.scenario);
    if (row && row.reason === reason) {
      row.titles.push(planned.title);
      return;
    }
    tellSkipped(telling, event.scenario);
    telling.skipped.set(event.scenario, { reason, titles: [planned.title], t: event.t });
    return;
  }
  if (telling.quiet && verdict === 'pass') return;
  sayOf(telling, event.t, event.scenario, itemLines(planned, event, telling.style));
}

/** `- 29 skipped: because step s03 failed`. */
function tellSkipped(telling: Telling, id: string): void {
  const row = telling.skipped.get(id);
  if (!row) return;
  telling.skipped.delete(id);
  const what = row.titles.length === 1 ? `${oneLine(row.titles[0]!)}  skipped` : `${row.titles.length} skipped`;
  const line = truncate(`${verdictSign.skipped} ${what}: ${oneLine(row.reason)}`, telling.style.cut.columns() - 3);
  sayBelow(telling, row.t, id, [telling.style.colour.dim(line)]);
}

function itemLines(
  planned: { title: string; level?: 'warning' },
  { outcome, durationMs, attempts }: EventOf<'item:end'>,
  style: Style,
): string[] {
  const { colour } = style;
  const time = durationMs >= 1 ? colour.dim(`  ${formatDuration(durationMs)}`) : '';
  const tries = attempts > 1 ? colour.dim(`  (${attempts} tries)`) : '';
  const item = { ...planned, outcome };
  const paint = style.verdict[isWarning(item) ? 'warning' : outcome.verdict];
  // The figure that the check is about; the time behind it is how long the check itself took.
  const measured = outcome.verdict === 'pass' ? oneLine(judgedText(outcome)) : '';
  const title = `${oneLine(planned.title)}${measured === '' ? '' : `: ${measured}`}`;
  const line = `${paint(signOf(item))} ${title}${time}${tries}`;
  if (outcome.verdict === 'pass') return [line];
  const head = `${verdictText(item)}${outcome.cause ? `, ${outcome.cause}` : ''}: `;
  if (outcome.verdict === 'error') return [line, `    ${paint(inShort(`${head}${outcome.reason}`, style))}`];
  return [line, ...wrap(`${head}${oneLine(outcome.reason)}`, style.width()).map((text) => `    ${paint(text)}`)];
}

function tellPhaseStart(telling: Telling, event: EventOf<'phase'>): void {
  const scenario = telling.scenarios.get(event.scenario);
  if (!scenario) return;
  const open = scenario.phases.get(event.phase);
  const phase = open ?? { text: event.text, since: Date.parse(event.t), hosts: new Set(), up: 0, whole: false };
  if (event.host) {
    phase.hosts.add(event.host);
  } else {
    phase.text = event.text;
    phase.whole = true;
  }
  scenario.phases.set(event.phase, phase);
  // Without a live line, a long wait would be silent until it is over.
  if (!telling.live && !open && !telling.quiet)
    sayOf(telling, event.t, event.scenario, [telling.style.colour.dim(`… ${oneLine(event.text)}`)]);
}

function tellPhaseEnd(telling: Telling, event: EventOf<'phase'>): void {
  const scenario = telling.scenarios.get(event.scenario);
  const open = scenario?.phases.get(event.phase);
  let text = event.text;
  let tookMs = event.durationMs;
  if (event.host && open) {
    open.hosts.add(event.host);
    open.up += 1;
    // Where a provider tells of hosts only, the phase is over when the last of them is.
    if (open.whole || open.up < open.hosts.size || open.up < (scenario?.hosts ?? 0)) return;
    text = `${event.phase}: ${open.up} ${open.up === 1 ? 'host' : 'hosts'}`;
    tookMs = Math.max(0, Date.parse(event.t) - open.since);
  }
  scenario?.phases.delete(event.phase);
  if (telling.quiet) return;
  const { colour } = telling.style;
  const took = tookMs === undefined ? '' : colour.dim(`  ${formatDuration(tookMs)}`);
  sayOf(telling, event.t, event.scenario, [`${colour.green(verdictSign.pass)} ${colour.dim(oneLine(text))}${took}`]);
}
