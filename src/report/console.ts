import pc from 'picocolors';
import { formatDuration } from '../model/duration.js';
import type { RunEvent } from '../model/events.js';
import type { Verdict } from '../model/verdict.js';
import { findings, type ItemResult, type RunModel, type ScenarioResult } from './model.js';
import { cellText, columnText, differenceText, matrixGrids } from './matrix.js';
import { displayWidth, lastLines, neutralise, oneLine, truncate, wrap } from './terminal-text.js';
import { exitText, formatMeasure, headline, placeOf, runVerdict, totalsLine, verdictSign } from './wording.js';

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
  finish(model: RunModel, reports?: { dir: string; files: string[]; notes: string[] }): void;
  /** Takes the live part away without a word; for a run that ends by an exception. */
  stop(): void;
}

interface LiveScenario {
  title: string;
  planned: Map<string, { title: string; kind: string; type: string }>;
  done: number;
  /** Items under way, in the order in which they began, with the time of their start. */
  running: Map<string, number>;
  /** Phases under way: `boot` → hosts that are up, hosts in all. */
  phases: Map<
    string,
    {
      text: string;
      since: number;
      hosts: Set<string>;
      up: number;
      /** A phase of the lab, not only of its hosts. */ whole: boolean;
    }
  >;
  hosts: number;
  attempt: number;
}

/** Where more scenarios than that ran, the slowest of them are named, so many. */
const slowestShown = 10;
/** Differences between values of a matrix that the terminal names; the page has all. */
const differencesShown = 40;

/** At most so many scenarios have a status line of their own. */
const statusRows = 6;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Whether to colour, as https://no-color.org and https://force-color.org have it. */
export function wantsColour(env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  const force = env['FORCE_COLOR'];
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return isTTY && env['TERM'] !== 'dumb';
}

/**
 * Tells a run on a terminal as it happens: one line a finished step or check, and below them, on a TTY, a status line for
 * each scenario under way. Elsewhere plain lines with the time, and not one cursor sequence.
 */
export function createConsoleReporter(options: ConsoleOptions): ConsoleReporter {
  const { stream } = options;
  const env = options.env ?? process.env;
  const now = options.now ?? Date.now;
  const live = stream.isTTY === true && env['TERM'] !== 'dumb';
  const colour = pc.createColors(wantsColour(env, stream.isTTY === true));
  const paint: Record<Verdict, (text: string) => string> = {
    pass: colour.green,
    fail: colour.red,
    inconclusive: colour.yellow,
    error: colour.magenta,
    skipped: colour.dim,
  };
  const columns = (): number => Math.max(40, stream.columns ?? 100);
  const scenarios = new Map<string, LiveScenario>();
  let heading: string | null = null;
  let drawn = 0;
  let frame = 0;
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;

  const erase = (): string => {
    if (drawn === 0) return '';
    const up = `\u001b[${drawn}A`;
    drawn = 0;
    return `${up}\r\u001b[J`;
  };

  const statusOf = (id: string, scenario: LiveScenario): string => {
    const parts: string[] = [];
    for (const phase of scenario.phases.values()) {
      const hosts = phase.hosts.size > 0 ? ` ${phase.up}/${Math.max(scenario.hosts, phase.hosts.size)} hosts` : '';
      parts.push(`${phase.text}${hosts} ${formatDuration(Math.max(0, now() - phase.since))}`);
    }
    for (const [item, since] of scenario.running) {
      parts.push(`${scenario.planned.get(item)?.title ?? item} ${formatDuration(Math.max(0, now() - since))}`);
    }
    const what = parts.length > 0 ? parts.join(', ') : scenario.done === 0 ? 'starting' : '';
    const sign = frames[frame % frames.length] ?? '*';
    const name = scenarios.size > 1 ? `${oneLine(id)}  ` : '';
    return truncate(`${sign} ${name}[${scenario.done}/${scenario.planned.size}] ${oneLine(what)}`, columns() - 1);
  };

  const draw = (): string => {
    if (!live || stopped) return '';
    const rows = [...scenarios].slice(0, statusRows).map(([id, scenario]) => colour.cyan(statusOf(id, scenario)));
    if (scenarios.size > statusRows) rows.push(colour.dim(`  and ${scenarios.size - statusRows} more scenarios`));
    drawn = rows.length;
    return rows.map((row) => `${row}\n`).join('');
  };

  const tick = (): void => {
    frame += 1;
    stream.write(erase() + draw());
  };

  const keepTicking = (): void => {
    if (!live || stopped) return;
    if (scenarios.size > 0 && timer === null) {
      timer = setInterval(tick, 120);
      timer.unref();
    } else if (scenarios.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };

  const clock = (t: string): string => colour.dim(t.slice(11, 19));

  /** Prints lines above the live part in one write, so that nothing comes between them. */
  const say = (t: string | null, lines: string[]): void => {
    const stamp = live || t === null ? '' : `${clock(t)} `;
    stream.write(erase() + lines.map((line) => `${stamp}${line}\n`).join('') + draw());
  };

  /** A line of a scenario: below its heading when it is alone, with its name in front when several run at once. */
  const sayOf = (t: string, id: string, lines: string[]): void => {
    if (scenarios.size > 1 || (!live && heading !== id)) {
      heading = null;
      say(
        t,
        lines.map((line) => `${colour.dim(`${oneLine(id)} │`)} ${line}`),
      );
      return;
    }
    if (heading !== id) {
      heading = id;
      say(t, [`${colour.bold(oneLine(id))}  ${colour.dim(oneLine(scenarios.get(id)?.title ?? ''))}`]);
    }
    say(
      t,
      lines.map((line) => `  ${line}`),
    );
  };

  const detailWidth = (): number => (stream.isTTY ? columns() : 10_000) - 6;

  const itemLines = (
    planned: { title: string; kind: string },
    event: Extract<RunEvent, { type: 'item:end' }>,
  ): string[] => {
    const { outcome } = event;
    const time = event.durationMs >= 1 ? colour.dim(`  ${formatDuration(event.durationMs)}`) : '';
    const tries = event.attempts > 1 ? colour.dim(`  (${event.attempts} tries)`) : '';
    const title = oneLine(planned.title);
    // A failed step skips all that follows: a line each is enough, the reasons are counted at the end.
    if (outcome.verdict === 'skipped') {
      const line = `${verdictSign.skipped} ${title}  skipped: ${oneLine(outcome.reason)}`;
      return [colour.dim(stream.isTTY ? truncate(line, columns() - 3) : line)];
    }
    const lines = [`${paint[outcome.verdict](verdictSign[outcome.verdict])} ${title}${time}${tries}`];
    if (outcome.verdict !== 'pass') {
      const head = `${outcome.verdict}${outcome.cause ? `, ${outcome.cause}` : ''}: `;
      for (const line of wrap(`${head}${oneLine(outcome.reason)}`, detailWidth()))
        lines.push(`    ${paint[outcome.verdict](line)}`);
    }
    return lines;
  };

  const onEvent = (event: RunEvent): void => {
    if (stopped) return;
    switch (event.type) {
      case 'scenario:start': {
        scenarios.set(event.scenario, {
          title: event.title,
          planned: new Map(event.planned.map((item) => [item.id, item])),
          done: 0,
          running: new Map(),
          phases: new Map(),
          hosts: event.topology.hosts.length,
          attempt: event.attempt,
        });
        keepTicking();
        if (options.quiet) break;
        const what = `${colour.bold(oneLine(event.scenario))}  ${colour.dim(oneLine(event.title))}${event.attempt > 1 ? colour.yellow(`  attempt ${event.attempt}`) : ''}`;
        heading = event.scenario;
        say(event.t, [what]);
        break;
      }
      case 'phase':
        onPhase(event);
        break;
      case 'item:start':
        scenarios.get(event.scenario)?.running.set(event.item, Date.parse(event.t));
        break;
      case 'item:end': {
        const scenario = scenarios.get(event.scenario);
        scenario?.running.delete(event.item);
        if (scenario) scenario.done += 1;
        const planned = scenario?.planned.get(event.item) ?? { title: event.item, kind: 'check' };
        const bad = event.outcome.verdict !== 'pass' && event.outcome.verdict !== 'skipped';
        if (!options.quiet || bad) sayOf(event.t, event.scenario, itemLines(planned, event));
        break;
      }
      case 'log': {
        const mark =
          event.level === 'error' ? colour.red('error: ') : event.level === 'warn' ? colour.yellow('warning: ') : '';
        if (options.quiet && event.level === 'info') break;
        const line = `${mark}${oneLine(event.text)}`;
        if (event.scenario === null) say(event.t, [line]);
        else sayOf(event.t, event.scenario, [line]);
        break;
      }
      case 'scenario:end':
        if (event.error)
          sayOf(
            event.t,
            event.scenario,
            wrap(`${event.error.code}: ${oneLine(event.error.message)}`, detailWidth()).map(colour.red),
          );
        scenarios.delete(event.scenario);
        stream.write(erase() + draw());
        keepTicking();
        break;
      default:
        break;
    }
  };

  const onPhase = (event: Extract<RunEvent, { type: 'phase' }>): void => {
    const scenario = scenarios.get(event.scenario);
    const open = scenario?.phases.get(event.phase);
    if (event.state === 'start') {
      if (!scenario) return;
      const phase = open ?? {
        text: event.text,
        since: Date.parse(event.t),
        hosts: new Set<string>(),
        up: 0,
        whole: false,
      };
      if (event.host) {
        phase.hosts.add(event.host);
      } else {
        phase.text = event.text;
        phase.whole = true;
      }
      scenario.phases.set(event.phase, phase);
      // Without a live line, a long wait would be silent until it is over.
      if (!live && !open && !options.quiet) sayOf(event.t, event.scenario, [colour.dim(`… ${oneLine(event.text)}`)]);
      return;
    }
    if (event.host && open) {
      open.hosts.add(event.host);
      open.up += 1;
      // Where a provider tells of hosts only, the phase is over when the last of them is.
      if (open.whole || open.up < open.hosts.size || open.up < (scenario?.hosts ?? 0)) return;
      scenario?.phases.delete(event.phase);
      if (!options.quiet) {
        const took = formatDuration(Math.max(0, Date.parse(event.t) - open.since));
        sayOf(event.t, event.scenario, [
          `${colour.green(verdictSign.pass)} ${colour.dim(`${event.phase}: ${open.up} hosts`)}${colour.dim(`  ${took}`)}`,
        ]);
      }
      return;
    }
    scenario?.phases.delete(event.phase);
    if (options.quiet) return;
    const time = event.durationMs === undefined ? '' : colour.dim(`  ${formatDuration(event.durationMs)}`);
    sayOf(event.t, event.scenario, [`${colour.green(verdictSign.pass)} ${colour.dim(oneLine(event.text))}${time}`]);
  };

  const stop = (): void => {
    if (timer !== null) clearInterval(timer);
    timer = null;
    if (!stopped) stream.write(erase());
    stopped = true;
  };

  const findingLines = (model: RunModel, scenario: ScenarioResult, item: ItemResult, number: number): string[] => {
    const { outcome } = item;
    const width = detailWidth();
    const indent = (lines: string[]): string[] => lines.map((line) => `     ${line}`);
    const lines = [`${`${number})`.padStart(4)} ${colour.bold(oneLine(scenario.id))} › ${oneLine(item.title)}`];
    lines.push(...indent([colour.dim(oneLine(placeOf(model, scenario, item)))]));
    const said = wrap(
      `${outcome.verdict}${outcome.cause ? `, ${outcome.cause}` : ''}: ${oneLine(outcome.reason)}`,
      width,
    );
    lines.push(...indent(said.map(paint[outcome.verdict])));
    if (outcome.expected !== undefined) lines.push(...indent(wrap(`expected: ${oneLine(outcome.expected)}`, width)));
    if (outcome.actual !== undefined) lines.push(...indent(wrap(`actual:   ${oneLine(outcome.actual)}`, width)));
    for (const { title, text } of outcome.output ?? []) {
      lines.push(...indent([colour.dim(`${oneLine(title)}:`)]));
      lines.push(...indent(text.split('\n').map((line) => `  ${truncate(oneLine(line), width)}`)));
    }
    for (const control of outcome.controls ?? []) {
      const mark = control.held ? colour.green('control held') : colour.red('control failed');
      lines.push(...indent([`${mark}: ${oneLine(control.title)}: ${oneLine(control.seen)}`]));
    }
    const measures = outcome.measures ?? [];
    if (measures.length > 0) lines.push(...indent([colour.dim(measures.map(formatMeasure).map(oneLine).join(', '))]));
    const last = item.transcripts.at(-1);
    // Where the step itself says what its programs wrote, once is enough.
    if (last && outcome.output === undefined) {
      lines.push(
        ...indent([
          colour.dim(
            truncate(`${last.host} $ ${oneLine(last.command)}  (${exitText(last)})`, stream.isTTY ? width : 2000),
          ),
        ]),
      );
      const tail = [...lastLines(last.stdout, 6), ...lastLines(last.stderr, 6)];
      lines.push(
        ...tail.map((line) =>
          colour.dim(`       ${truncate(line.replace(/\t/g, '  '), stream.isTTY ? width - 2 : 2000)}`),
        ),
      );
    }
    if (item.concluded)
      lines.push(...indent([colour.dim('(concluded from how the run ended; the record holds no result)')]));
    return lines;
  };

  const gridLines = (model: RunModel): string[] =>
    matrixGrids(model).flatMap(({ key, columns, rows, differences }) => {
      const texts = [
        [key, ...columns.map(columnText)],
        ...rows.map(({ name, cells }) => [name, ...cells.map(cellText)]),
      ].map((row) => row.map(oneLine));
      const widths = texts[0]!.map((_, column) => Math.max(...texts.map((row) => displayWidth(row[column]!))));
      const pad = (text: string, column: number): string =>
        text + ' '.repeat(Math.max(0, widths[column]! - displayWidth(text)));
      const lines = ['', colour.dim(texts[0]!.map(pad).join('  ').trimEnd())];
      rows.forEach(({ cells }, index) => {
        const row = texts[index + 1]!.map(pad);
        lines.push(
          row
            .map((text, column) => (column === 0 ? text : paint[cells[column - 1]?.verdict ?? 'skipped'](text)))
            .join('  ')
            .trimEnd(),
        );
      });
      lines.push(colour.dim('(checks passed / planned, -skipped)'));
      if (differences.length > 0)
        lines.push(
          '',
          `${differences.length === 1 ? '1 check differs' : `${differences.length} checks differ`} by ${oneLine(key)} (findings, not failures):`,
        );
      for (const difference of differences.slice(0, differencesShown)) {
        const [first = '', ...rest] = wrap(
          `${oneLine(difference.scenario)} › ${oneLine(difference.check)}: ${differenceText(difference)}`,
          detailWidth(),
        );
        lines.push(`  ${first}`, ...rest.map((line) => `    ${line}`));
      }
      if (differences.length > differencesShown)
        lines.push(colour.dim(`  and ${differences.length - differencesShown} more, all in index.html`));
      return lines;
    });

  const slowestLines = (model: RunModel): string[] => {
    if (model.scenarios.length <= slowestShown) return [];
    const sum = model.scenarios.reduce((ms, scenario) => ms + scenario.last.durationMs, 0);
    const slowest = [...model.scenarios].sort((a, b) => b.last.durationMs - a.last.durationMs).slice(0, slowestShown);
    return [
      '',
      `${model.scenarios.length} scenarios took ${formatDuration(sum)} together, ${formatDuration(model.durationMs)} by the clock. The slowest ${slowestShown}:`,
      ...slowest.map(
        (scenario) => `  ${formatDuration(scenario.last.durationMs).padStart(8)}  ${oneLine(scenario.id)}`,
      ),
    ];
  };

  const finish: ConsoleReporter['finish'] = (model, reports) => {
    stop();
    const lines: string[] = [''];
    let number = 0;
    for (const { scenario, item } of findings(model)) {
      number += 1;
      lines.push(...findingLines(model, scenario, item, number), '');
    }
    for (const problem of model.problems) {
      const text = `${problem.code}: ${oneLine(problem.message)}`;
      lines.push(...wrap(text, detailWidth()).map(model.exitCode === 130 ? colour.yellow : colour.red));
    }
    if (model.problems.length > 0) lines.push('');
    for (const scenario of model.scenarios.filter((s) => s.flaky)) {
      lines.push(
        colour.yellow(
          `flaky: ${oneLine(scenario.id)}: ${[...scenario.earlier, scenario.last].map((a) => a.verdict).join(', then ')}`,
        ),
      );
    }
    const verdict = runVerdict(model);
    lines.push(
      `${paint[verdict](colour.bold(`${verdictSign[verdict]} ${headline(model)}`))} ${colour.dim(`in ${formatDuration(model.durationMs)}`)}`,
    );
    lines.push(totalsLine(model.totals));
    for (const { reason, count } of model.skipReasons) {
      lines.push(...wrap(`${count} skipped: ${oneLine(reason)}`, detailWidth()).map((line) => colour.dim(`  ${line}`)));
    }
    lines.push(...gridLines(model), ...slowestLines(model));
    if (reports) {
      lines.push('', `Reports: ${reports.dir}`);
      if (reports.files.length > 0)
        lines.push(...wrap(reports.files.join(' '), detailWidth()).map((line) => colour.dim(`  ${line}`)));
      for (const note of reports.notes) lines.push(...wrap(note, detailWidth()).map((line) => colour.dim(`  ${line}`)));
    }
    stream.write(`${lines.join('\n')}\n`);
  };

  return {
    onEvent,
    print(line) {
      say(null, [displayWidth(line) > 0 ? neutralise(line) : '']);
    },
    finish,
    stop,
  };
}
