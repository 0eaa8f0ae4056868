import type { Verdict } from '../model/verdict.js';
import { conditionOf, isConditionReason } from '../run/condition.js';
import { compareVersions, noEngine, statedVersions } from './engine-version.js';
import { worstVerdict, type ItemResult, type RunModel, type ScenarioResult } from './model.js';
import { oneLine } from './terminal-text.js';
import { uniqueNames, verdictSign } from './wording.js';

/** One value of a matrix key. */
export interface MatrixColumn {
  value: string;
  /** Versions that engines stated in labs of this value, short. */
  engines: string[];
}

/** What a scenario came to with one value. Counts are of checks. */
export interface MatrixCell {
  verdict: Verdict;
  passed: number;
  planned: number;
  skipped: number;
  /** The scenarios it stands for, as places in the model's list: more than one where the file has another matrix key. */
  scenarios: number[];
}

export interface MatrixRow {
  /** The scenario's name without matrix values. */
  name: string;
  /** One a column; `null` where the scenario did not run with that value. */
  cells: (MatrixCell | null)[];
}

/** A check that did not come to the same with every value: a finding, not a failure. */
export interface MatrixDifference {
  /** The scenario's name, with the values of its other matrix keys. */
  scenario: string;
  check: string;
  /** What it came to, with the values for which it did; in the order of the columns. */
  groups: {
    verdict: Verdict;
    columns: MatrixColumn[];
    /** Of the first of them, where it did not pass. */ reason: string;
  }[];
}

export interface MatrixGrid {
  key: string;
  columns: MatrixColumn[];
  rows: MatrixRow[];
  differences: MatrixDifference[];
}

/** The scenario's name without its matrix values: `ports[image=debian-12]` is one of `ports`. */
export function baseName(id: string): string {
  const at = id.indexOf('[');
  return at < 0 ? id : id.slice(0, at);
}

/** The value that a scenario has of a key; a scenario that names its images itself takes part in a matrix of images too. */
function valueOf(scenario: ScenarioResult, key: string): string | null {
  const value = scenario.matrix[key];
  if (value !== undefined || key !== 'image') return value ?? null;
  const images = new Set(scenario.topology.hosts.filter((host) => host.init !== 'light').map((host) => host.image));
  return images.size === 1 ? [...images][0]! : null;
}

function cellOf(model: RunModel, scenarios: readonly ScenarioResult[]): MatrixCell | null {
  if (scenarios.length === 0) return null;
  const checks = scenarios.flatMap((scenario) => scenario.last.items.filter((item) => item.kind === 'check'));
  const count = (verdict: Verdict): number => checks.filter((item) => item.outcome.verdict === verdict).length;
  return {
    verdict: worstVerdict(scenarios.map((scenario) => scenario.verdict)),
    passed: count('pass'),
    planned: checks.length,
    skipped: count('skipped'),
    scenarios: scenarios.map((scenario) => model.scenarios.indexOf(scenario)),
  };
}

/** A check that was skipped for another reason than its own `when` says nothing about the value. */
function tells(item: ItemResult): boolean {
  return item.outcome.verdict !== 'skipped' || isConditionReason(item.outcome.reason);
}

function differencesOf(model: RunModel, key: string, columns: readonly MatrixColumn[]): MatrixDifference[] {
  const checks = new Map<string, { scenario: string; check: string; seen: Map<string, ItemResult> }>();
  for (const scenario of model.scenarios) {
    const value = scenario.matrix[key];
    if (value === undefined) continue;
    const others = Object.entries(scenario.matrix)
      .filter(([name]) => name !== key)
      .map(([name, other]) => `${name}=${other}`);
    const name = `${baseName(scenario.id)}${others.length > 0 ? `[${others.join(',')}]` : ''}`;
    const items = scenario.last.items.filter((item) => item.kind === 'check');
    const titles = uniqueNames(items);
    for (const item of items.filter(tells)) {
      const check = titles.get(item.id) ?? item.title;
      const id = `${name}\0${check}`;
      const known = checks.get(id) ?? { scenario: name, check, seen: new Map<string, ItemResult>() };
      known.seen.set(value, item);
      checks.set(id, known);
    }
  }
  return [...checks.values()].flatMap(({ scenario, check, seen }) => {
    const groups: MatrixDifference['groups'] = [];
    for (const column of columns) {
      const item = seen.get(column.value);
      if (!item) continue;
      const { verdict, reason } = item.outcome;
      const group = groups.find((one) => one.verdict === verdict);
      if (group) group.columns.push(column);
      else groups.push({ verdict, columns: [column], reason: verdict === 'pass' ? '' : conditionOf(reason) });
    }
    return groups.length > 1 ? [{ scenario, check, groups }] : [];
  });
}

/**
 * Scenarios × values, one grid for each matrix key of which at least one scenario ran with more than one value. Columns stand
 * in the order of the engines that they brought.
 */
export function matrixGrids(model: RunModel): MatrixGrid[] {
  const keys = [...new Set(model.scenarios.flatMap((scenario) => Object.keys(scenario.matrix)))];
  return keys.flatMap((key) => {
    const rowNames = [
      ...new Set(
        model.scenarios.filter((scenario) => valueOf(scenario, key) !== null).map((scenario) => baseName(scenario.id)),
      ),
    ].sort();
    const of = (name: string): ScenarioResult[] => model.scenarios.filter((scenario) => baseName(scenario.id) === name);
    const several = rowNames.some(
      (name) => new Set(of(name).flatMap((scenario) => scenario.matrix[key] ?? [])).size > 1,
    );
    if (!several) return [];
    const values = [...new Set(model.scenarios.flatMap((scenario) => scenario.matrix[key] ?? []))];
    const columns = values
      .map((value): MatrixColumn => {
        const engines = model.scenarios.filter((scenario) => scenario.matrix[key] === value).flatMap(statedVersions);
        return { value, engines: [...new Set(engines)].sort(compareVersions) };
      })
      .sort((a, b) => compareVersions(a.engines[0] ?? noEngine, b.engines[0] ?? noEngine));
    const rows = rowNames
      .map((name): MatrixRow => ({
        name,
        cells: columns.map(({ value }) =>
          cellOf(
            model,
            of(name).filter((scenario) => valueOf(scenario, key) === value),
          ),
        ),
      }))
      .filter((row) => row.cells.some((cell) => cell !== null));
    return [{ key, columns, rows, differences: differencesOf(model, key, columns) }];
  });
}

/** `debian-12 (20.10.24)`: a value with what its engines stated. */
export function columnText(column: MatrixColumn): string {
  return column.engines.length > 0
    ? `${oneLine(column.value)} (${column.engines.map(oneLine).join(', ')})`
    : oneLine(column.value);
}

/** `✓ 22/24 -2`: the verdict, checks passed of those planned, and how many were skipped. */
export function cellText(cell: MatrixCell | null): string {
  if (cell === null) return '';
  return `${verdictSign[cell.verdict]} ${cell.passed}/${cell.planned}${cell.skipped > 0 ? ` -${cell.skipped}` : ''}`;
}

/** `pass on debian-11 (20.10.5); skipped on debian-sid (28.5.2): only for engine <28`. */
export function differenceText(difference: MatrixDifference): string {
  return difference.groups
    .map(
      ({ verdict, columns, reason }) =>
        `${verdict} on ${columns.map(columnText).join(', ')}${reason === '' ? '' : `: ${oneLine(reason)}`}`,
    )
    .join('; ');
}
