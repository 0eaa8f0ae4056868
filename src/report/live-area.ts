import { formatDuration } from '../model/duration.js';
import type { RunEvent } from '../model/events.js';
import type { Style } from './paint.js';
import { oneLine, truncate } from './terminal-text.js';

/** At most so many scenarios have a status line of their own. */
const statusRows = 6;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** Between two pictures of the live part, ms. */
const frameMs = 120;

export interface LivePhase {
  text: string;
  /** ms since the epoch. */
  since: number;
  hosts: Set<string>;
  up: number;
  /** A phase of the lab, not only of its hosts. */
  whole: boolean;
}

/** A scenario under way. */
export interface LiveScenario {
  title: string;
  planned: Map<string, { title: string; kind: string }>;
  done: number;
  /** Items under way, in the order in which they began, with the time of their start. */
  running: Map<string, number>;
  /** Phases under way: `boot` → hosts that are up, hosts in all. */
  phases: Map<string, LivePhase>;
  hosts: number;
  /** What items said of errors so far. */
  errors: string[];
}

export function liveScenario(event: Extract<RunEvent, { type: 'scenario:start' }>): LiveScenario {
  return {
    title: event.title,
    planned: new Map(event.planned.map((item) => [item.id, item])),
    done: 0,
    running: new Map(),
    phases: new Map(),
    hosts: event.topology.hosts.length,
    errors: [],
  };
}

export interface LiveArea {
  /** Prints lines above the live part in one write, so that nothing comes between them. */
  print(lines: readonly string[]): void;
  /** Starts and stops the clock by whether something is under way. */
  refresh(): void;
  /** Takes the live part away for good. */
  stop(): void;
}

export interface LiveAreaOptions {
  stream: { write(text: string): unknown };
  style: Style;
  scenarios: ReadonlyMap<string, LiveScenario>;
  /** Whether there is a terminal to draw on; without one, lines are printed and nothing else. */
  live: boolean;
  now: () => number;
}

/** The part of the terminal below the finished lines: a status line for each scenario under way, drawn over and over. */
export function createLiveArea({ stream, style, scenarios, live, now }: LiveAreaOptions): LiveArea {
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
  const draw = (): string => {
    if (!live || stopped) return '';
    const sign = frames[frame % frames.length] ?? '*';
    const rows = statusLines(scenarios, sign, now(), style);
    drawn = rows.length;
    return rows.map((row) => `${row}\n`).join('');
  };
  const print = (lines: readonly string[]): void => {
    stream.write(erase() + lines.map((line) => `${line}\n`).join('') + draw());
  };
  const clear = (): void => {
    if (timer !== null) clearInterval(timer);
    timer = null;
  };

  return {
    print,
    refresh() {
      if (!live || stopped) return;
      if (scenarios.size === 0) clear();
      else if (timer === null) {
        timer = setInterval(() => {
          frame += 1;
          print([]);
        }, frameMs);
        timer.unref();
      }
    },
    stop() {
      clear();
      if (!stopped) stream.write(erase());
      stopped = true;
    },
  };
}

function statusLines(
  scenarios: ReadonlyMap<string, LiveScenario>,
  sign: string,
  now: number,
  { colour, cut }: Style,
): string[] {
  const rows = [...scenarios]
    .slice(0, statusRows)
    .map(([id, scenario]) =>
      colour.cyan(truncate(statusLine(scenarios.size > 1 ? id : null, scenario, sign, now), cut.columns() - 1)),
    );
  if (scenarios.size > statusRows) rows.push(colour.dim(`  and ${scenarios.size - statusRows} more scenarios`));
  return rows;
}

/** `⠹ ports  [3/12] boot 1/3 hosts 1.2 s`. */
function statusLine(id: string | null, scenario: LiveScenario, sign: string, now: number): string {
  const since = (ms: number): string => formatDuration(Math.max(0, now - ms));
  const phases = [...scenario.phases.values()].map((phase) => {
    const hosts = phase.hosts.size > 0 ? ` ${phase.up}/${Math.max(scenario.hosts, phase.hosts.size)} hosts` : '';
    return `${phase.text}${hosts} ${since(phase.since)}`;
  });
  const items = [...scenario.running].map(
    ([item, began]) => `${scenario.planned.get(item)?.title ?? item} ${since(began)}`,
  );
  const what = [...phases, ...items].join(', ') || (scenario.done === 0 ? 'starting' : '');
  const name = id === null ? '' : `${oneLine(id)}  `;
  return `${sign} ${name}[${scenario.done}/${scenario.planned.size}] ${oneLine(what)}`;
}
