import { isMet, median, ratioOf, ratiosOf, type Result, type Unit } from './measure.js';

function number(value: number, unit: Unit): string {
  const digits = unit === 'MB' ? 0 : Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

function spread(values: readonly number[], unit: Unit): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const suffix = unit === '' ? '' : ` ${unit}`;
  return values.length === 1
    ? `${number(values[0]!, unit)}${suffix}`
    : `${number(median(values), unit)}${suffix} (${number(least, unit)}–${number(most, unit)})`;
}

function goalOf(result: Result): string {
  if (result.atMost === null) return '';
  const met = isMet(result) ? 'met' : 'MISSED';
  const bound =
    result.kind === 'figure'
      ? `${number(result.atMost, result.unit)}${result.unit === '' ? '' : ` ${result.unit}`}`
      : result.atMost.toFixed(2);
  return `≤ ${bound}: ${met}`;
}

/** The results of one bench as a table for a terminal that is also one in Markdown. */
export function tableOf(results: readonly Result[]): string {
  const head = ['figure', 'netrig', 'compared with', 'ratio', 'goal'];
  const rows = results.map((result) =>
    result.kind === 'figure'
      ? [result.title, spread(result.values, result.unit), '', '', goalOf(result)]
      : [
          result.title,
          spread(
            result.pairs.map((pair) => pair.netrig),
            result.unit,
          ),
          `${result.against} ${spread(
            result.pairs.map((pair) => pair.other),
            result.unit,
          )}`,
          `${ratioOf(result).toFixed(2)} (${Math.min(...ratiosOf(result)).toFixed(2)}–${Math.max(...ratiosOf(result)).toFixed(2)})`,
          goalOf(result),
        ],
  );
  const widths = head.map((text, column) => Math.max(text.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
