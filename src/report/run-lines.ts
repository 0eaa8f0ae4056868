import { formatDuration } from '../model/duration.js';
import { evidenceOf } from './evidence.js';
import { cellText, columnText, differenceText, matrixGrids } from './matrix.js';
import {
  findings,
  isWarning,
  saidBefore,
  type ItemResult,
  type RunModel,
  type RunProblem,
  type ScenarioResult,
} from './model.js';
import type { Style } from './paint.js';
import { displayWidth, oneLine, truncate, wrap } from './terminal-text.js';
import { formatMeasure, headline, placeOf, runVerdict, totalsLine, verdictSign, verdictText } from './wording.js';

/** Where more scenarios than that ran, the slowest of them are named, so many. */
const slowestShown = 10;
/** Differences between values of a matrix that the terminal names; the page has all. */
const differencesShown = 40;

/** What the end of a run says of its reports. */
export interface ReportFiles {
  dir: string;
  files: readonly string[];
  notes: readonly string[];
}

/** The end of a run on a terminal: each finding, what is wrong with the run as a whole, the sums, where the reports are. */
export function endLines(model: RunModel, style: Style, reports?: ReportFiles): string[] {
  const { colour } = style;
  const list = findings(model);
  const before = saidBefore(list);
  return [
    '',
    ...list.flatMap(({ scenario, item }, index) => [
      ...findingLines(model, scenario, item, { number: index + 1, before: before[index] ?? null }, style),
      '',
    ]),
    ...typeAgainLines(list, style),
    ...problemLines(model, style),
    ...model.scenarios
      .filter((scenario) => scenario.flaky)
      .map(({ id, earlier, last }) =>
        colour.yellow(`flaky: ${oneLine(id)}: ${[...earlier, last].map((a) => a.verdict).join(', then ')}`),
      ),
    ...sumLines(model, style),
    ...gridLines(model, style),
    ...slowestLines(model),
    ...(reports ? reportLines(reports, style) : []),
  ];
}

/** A finding: what, where, the sentence, expected and actual, the shortest evidence, what to type again. */
function findingLines(
  model: RunModel,
  scenario: ScenarioResult,
  item: ItemResult,
  { number, before }: { number: number; before: number | null },
  style: Style,
): string[] {
  const { colour } = style;
  const heading = `${`${number})`.padStart(4)} ${colour.bold(oneLine(scenario.id))} › ${oneLine(item.title)}`;
  const place = colour.dim(oneLine(placeOf(model, scenario, item)));
  if (before !== null)
    return [
      heading,
      `     ${place}`,
      `     ${style.verdict[item.outcome.verdict](`${verdictText(item)}: as in ${before + 1})`)}`,
    ];
  const { outcome } = item;
  const width = style.width();
  const said = wrap(
    `${verdictText(item)}${outcome.cause ? `, ${outcome.cause}` : ''}: ${oneLine(outcome.reason)}`,
    width,
  );
  const labelled = (label: string, text: string | undefined): string[] => {
    if (text === undefined) return [];
    const [first = '', ...rest] = wrap(oneLine(text), width - label.length);
    return [`${label}${first}`, ...rest.map((line) => `${' '.repeat(label.length)}${line}`)];
  };
  const { sentences, outputs, again } = evidenceOf(item, scenario.last.stays);
  const measures = outcome.measures ?? [];
  const lines = [
    place,
    ...said.map(isWarning(item) ? style.verdict.warning : style.verdict[outcome.verdict]),
    ...labelled('expected: ', outcome.expected),
    ...labelled('actual:   ', outcome.actual),
    ...sentences.flatMap((sentence) => labelled('- ', sentence)),
    ...(outcome.controls ?? []).map((control) => {
      const mark = control.held ? colour.green('control held') : colour.red('control failed');
      return `${mark}: ${oneLine(control.title)}: ${oneLine(control.seen)}`;
    }),
    ...(measures.length > 0 ? [colour.dim(measures.map(formatMeasure).map(oneLine).join(', '))] : []),
    ...outputs.flatMap(({ title, lines: written }) => outputLines(title, written, style)),
    ...(again === null ? [] : [`${colour.dim('again:   ')} ${oneLine(again)}`]),
    ...(item.concluded ? [colour.dim('(concluded from how the run ended; the record holds no result)')] : []),
  ];
  return [heading, ...lines.map((line) => `     ${line}`)];
}

/** A script line by line, as it was written, and what it wrote below it. */
function outputLines(title: string, written: readonly string[], { colour, cut }: Style): string[] {
  const room = cut.columns() - 10;
  const shown = (line: string): string => truncate(oneLineKept(line), room);
  return [...title.split('\n').map((line) => colour.dim(shown(line))), ...written.map((line) => `  ${shown(line)}`)];
}

/** On one line, with the blanks that columns are made of. */
function oneLineKept(line: string): string {
  return line
    .replace(/\t/g, '  ')
    .split(/( {2,})/)
    .map((part) => (/^ +$/.test(part) ? part : oneLine(` ${part} `)))
    .join('');
}

/** Where labs are gone, the lines to type again need one first. */
function typeAgainLines(list: readonly { scenario: ScenarioResult; item: ItemResult }[], { colour }: Style): string[] {
  const needsLab = list.some(({ scenario, item }) => scenario.last.stays === null && evidenceOf(item).again !== null);
  if (!needsLab) return [];
  return [colour.dim('To type these lines, have the lab up: netrig run --keep-on-fail FILE, or netrig up FILE'), ''];
}

function problemLines(model: RunModel, style: Style): string[] {
  const paint = model.exitCode === 130 ? style.colour.yellow : style.colour.red;
  const list = findings(model);
  const textOf = ({ code, message, told }: RunProblem): string => {
    const at = list.findIndex(({ scenario, item }) => scenario.id === told?.scenario && item.id === told.item);
    return at === -1 ? `${code}: ${message}` : `${code}: ${told!.scenario}: see ${at + 1})`;
  };
  const lines = model.problems.flatMap((problem) => wrap(oneLine(textOf(problem)), style.width()));
  return lines.length === 0 ? [] : [...lines.map(paint), ''];
}

function sumLines(model: RunModel, style: Style): string[] {
  const { colour } = style;
  const verdict = runVerdict(model);
  return [
    `${style.verdict[verdict](colour.bold(`${verdictSign[verdict]} ${headline(model)}`))} ${colour.dim(`in ${formatDuration(model.durationMs)}`)}`,
    totalsLine(model.totals),
    ...model.skipReasons.flatMap(({ reason, count }) =>
      wrap(`${count} skipped: ${oneLine(reason)}`, style.width()).map((line) => colour.dim(`  ${line}`)),
    ),
  ];
}

function gridLines(model: RunModel, style: Style): string[] {
  const { colour } = style;
  return matrixGrids(model).flatMap(({ key, columns, rows, differences }) => {
    const texts = [
      [key, ...columns.map(columnText)],
      ...rows.map(({ name, cells }) => [name, ...cells.map(cellText)]),
    ].map((row) => row.map(oneLine));
    const widths = texts[0]!.map((_, column) => Math.max(...texts.map((row) => displayWidth(row[column]!))));
    const pad = (text: string, column: number): string =>
      text + ' '.repeat(Math.max(0, widths[column]! - displayWidth(text)));
    const grid = rows.map(({ cells }, index) =>
      texts[index + 1]!.map(pad)
        .map((text, column) => (column === 0 ? text : style.verdict[cells[column - 1]?.verdict ?? 'skipped'](text)))
        .join('  ')
        .trimEnd(),
    );
    const differing = differences.length === 1 ? '1 check differs' : `${differences.length} checks differ`;
    return [
      '',
      colour.dim(texts[0]!.map(pad).join('  ').trimEnd()),
      ...grid,
      colour.dim('(checks passed / planned, -skipped)'),
      ...(differences.length > 0 ? ['', `${differing} by ${oneLine(key)} (findings, not failures):`] : []),
      ...differences.slice(0, differencesShown).flatMap((difference) => {
        const text = `${oneLine(difference.scenario)} › ${oneLine(difference.check)}: ${differenceText(difference)}`;
        const [first = '', ...rest] = wrap(text, style.width());
        return [`  ${first}`, ...rest.map((line) => `    ${line}`)];
      }),
      ...(differences.length > differencesShown
        ? [colour.dim(`  and ${differences.length - differencesShown} more, all in index.html`)]
        : []),
    ];
  });
}

function slowestLines(model: RunModel): string[] {
  if (model.scenarios.length <= slowestShown) return [];
  const sum = model.scenarios.reduce((ms, scenario) => ms + scenario.last.durationMs, 0);
  const slowest = [...model.scenarios].sort((a, b) => b.last.durationMs - a.last.durationMs).slice(0, slowestShown);
  return [
    '',
    `${model.scenarios.length} scenarios took ${formatDuration(sum)} together, ${formatDuration(model.durationMs)} by the clock. The slowest ${slowestShown}:`,
    ...slowest.map((scenario) => `  ${formatDuration(scenario.last.durationMs).padStart(8)}  ${oneLine(scenario.id)}`),
  ];
}

function reportLines({ dir, files, notes }: ReportFiles, style: Style): string[] {
  const dim = (text: string): string[] => wrap(text, style.width()).map((line) => style.colour.dim(`  ${line}`));
  return ['', `Reports: ${oneLine(dir)}`, ...(files.length > 0 ? dim(files.join(' ')) : []), ...notes.flatMap(dim)];
}
