import type { Verdict } from '../model/verdict.js';
import { isConditionReason } from '../run/condition.js';
import { compareVersions, engineVersions, noEngine } from './engine-version.js';
import { baseName } from './matrix.js';
import { countedVerdict, type ItemResult, type RunModel, type ScenarioResult } from './model.js';
import { causeAndReason, uniqueNames } from './wording.js';

/** A run as one column of a comparison. The first one is what the others are held against. */
export interface ComparedRun {
  /** What tells it from the others: its provider, else its engines, else its place in the list. */
  label: string;
  /** The name of its directory. */
  id: string;
  startedAt: string | null;
  durationMs: number;
  providers: string[];
  engines: string[];
  state: RunModel['state'];
}

export interface ComparedScenario {
  name: string;
  /** It passed in the first run, or was not there, and failed, broke or could not be known in another one. */
  regressed: boolean;
  /** One a run; `null` where it did not run. Counts are of checks. */
  cells: ({ verdict: Verdict; passed: number; planned: number; skipped: number; durationMs: number } | null)[];
}

/**
 * What became of a check (or step) between the first run and the others, the gravest that holds for one of them.
 * `regressed`: it passed or was not there, and now fails, errs or cannot be known. `undecided`: it passed, and is now skipped. `gone`: it was
 * there, and is not any more. `new`: it was not there, and is as it should be. `mended`: it did not pass, and does now. `other`: any other difference.
 */
export const changes = ['regressed', 'undecided', 'gone', 'new', 'mended', 'other'] as const;
export type Change = (typeof changes)[number];

export interface ComparedItem {
  scenario: string;
  kind: 'step' | 'check';
  title: string;
  change: Change;
  /** One a run; `null` where it is not planned. */
  cells: ({ verdict: Verdict; reason: string; durationMs: number } | null)[];
}

export interface ComparedTime {
  scenario: string;
  kind: 'step' | 'check';
  title: string;
  /** Milliseconds, one a run; `null` where it did not pass there. */
  durationsMs: (number | null)[];
  /** The most extreme of the later runs' times over the first one's: above 1 slower, below 1 faster. */
  factor: number;
}

export interface Comparison {
  runs: ComparedRun[];
  scenarios: ComparedScenario[];
  /** Items that did not come to the same, by change and in the order of the first run. */
  items: ComparedItem[];
  /** Checks that passed on both sides and took clearly longer, slowest factor first. */
  slower: ComparedTime[];
  /** Checks that passed on both sides and took clearly less time, fastest factor first. */
  faster: ComparedTime[];
  /** Items that are in every run with the same verdict. */
  agreed: number;
  /** Items that regressed, and scenarios that did without one (the lab broke before anything could be checked). */
  regressions: number;
}

/** How much of a difference in time is more than chance: this many times as long, and at least so many milliseconds. */
export const timeThreshold = { factor: 2, ms: 250 } as const;

/** A name for each run that differs from all the others, if anything in them does. */
function labels(runs: readonly { model: RunModel }[], engines: readonly string[][]): string[] {
  const candidates = [
    runs.map(({ model }) => [...new Set(model.scenarios.map((scenario) => scenario.provider))].sort().join(' + ')),
    engines.map((versions) => (versions.length > 0 ? `engine ${versions.join(', ')}` : '')),
  ];
  const telling = candidates.find((names) => new Set(names).size === names.length && !names.includes(''));
  return telling ?? runs.map((_, index) => `run ${index + 1}`);
}

/**
 * The name under which a scenario is paired with those of the other runs: its id where another run has the same, else its
 * name without matrix values, provided that each run has only one of that name (the same lab on two engines).
 */
function pairing(models: readonly RunModel[]): (scenario: ScenarioResult) => string {
  const ids = new Map<string, number>();
  for (const model of models) for (const { id } of model.scenarios) ids.set(id, (ids.get(id) ?? 0) + 1);
  const alone = (name: string): boolean =>
    models.every((model) => model.scenarios.filter((scenario) => baseName(scenario.id) === name).length <= 1);
  return ({ id }) => ((ids.get(id) ?? 0) > 1 || !alone(baseName(id)) ? id : baseName(id));
}

function isRed(verdict: Verdict): boolean {
  return verdict !== 'pass' && verdict !== 'skipped';
}

function changeBetween(before: ItemResult | undefined, after: ItemResult | undefined): Change | null {
  // New and red is a regression: the run is worse than the one before it.
  if (!before) return after ? (isRed(countedVerdict(after)) ? 'regressed' : 'new') : null;
  if (!after) return 'gone';
  const [was, is] = [countedVerdict(before), countedVerdict(after)];
  if (was === is) return null;
  if (is === 'skipped') return was === 'pass' ? 'undecided' : 'other';
  if (was === 'pass') return 'regressed';
  return is === 'pass' && was !== 'skipped' ? 'mended' : 'other';
}

/** A condition of the scenario itself decided: the check is not for the engine of one of the runs. */
function notMeantFor(items: readonly (ItemResult | undefined)[]): boolean {
  return items.some((item) => item?.outcome.verdict === 'skipped' && isConditionReason(item.outcome.reason));
}

function comparedScenario(name: string, row: readonly (ScenarioResult | undefined)[]): ComparedScenario {
  return {
    name,
    regressed:
      (row[0] === undefined || row[0].verdict === 'pass') &&
      row.slice(1).some((scenario) => scenario !== undefined && isRed(scenario.verdict)),
    cells: row.map((scenario) => {
      if (!scenario) return null;
      const checks = scenario.last.items.filter((item) => item.kind === 'check');
      const count = (verdict: Verdict): number => checks.filter((item) => countedVerdict(item) === verdict).length;
      return {
        verdict: scenario.verdict,
        passed: count('pass'),
        planned: checks.length,
        skipped: count('skipped'),
        durationMs: scenario.last.durationMs,
      };
    }),
  };
}

/** The same step or check in each run, by its kind and title; `undefined` where it is not planned. */
interface PairedItem {
  kind: 'step' | 'check';
  title: string;
  cells: (ItemResult | undefined)[];
}

function pairedItems(row: readonly (ScenarioResult | undefined)[]): PairedItem[] {
  const items = new Map<string, PairedItem>();
  row.forEach((scenario, column) => {
    if (!scenario) return;
    const titles = uniqueNames(scenario.last.items);
    for (const item of scenario.last.items) {
      const title = titles.get(item.id) ?? item.title;
      const key = `${item.kind}\0${title}`;
      const pair = items.get(key) ?? { kind: item.kind, title, cells: row.map(() => undefined) };
      pair.cells[column] = item;
      items.set(key, pair);
    }
  });
  return [...items.values()];
}

function addItem(comparison: Comparison, scenario: string, { kind, title, cells }: PairedItem): void {
  const found = cells.slice(1).flatMap((after) => changeBetween(cells[0], after) ?? []);
  const gravest = changes.find((change) => found.includes(change));
  const change = gravest !== undefined && gravest !== 'regressed' && notMeantFor(cells) ? 'other' : gravest;
  if (change === undefined) comparison.agreed += 1;
  else
    comparison.items.push({
      scenario,
      kind,
      title,
      change,
      cells: cells.map((item) =>
        item
          ? {
              verdict: item.outcome.verdict,
              reason: item.outcome.verdict === 'pass' ? '' : causeAndReason(item),
              durationMs: item.durationMs,
            }
          : null,
      ),
    });
  if (kind === 'check') addTime(comparison, { scenario, kind, title }, cells);
}

/** Notes a check that passed on both sides and took clearly longer, or clearly less time. */
function addTime(
  comparison: Comparison,
  name: Pick<ComparedTime, 'scenario' | 'kind' | 'title'>,
  cells: readonly (ItemResult | undefined)[],
): void {
  const durationsMs = cells.map((item) => (item?.outcome.verdict === 'pass' ? item.durationMs : null));
  const first = durationsMs[0] ?? null;
  if (first === null) return;
  const apart = durationsMs
    .slice(1)
    .filter((ms): ms is number => ms !== null && Math.abs(ms - first) >= timeThreshold.ms);
  if (apart.length === 0) return;
  const [longest, shortest] = [Math.max(...apart), Math.min(...apart)];
  if (longest >= first * timeThreshold.factor)
    comparison.slower.push({ ...name, durationsMs, factor: longest / Math.max(1, first) });
  if (shortest * timeThreshold.factor <= first)
    comparison.faster.push({ ...name, durationsMs, factor: Math.max(1, shortest) / first });
}

/**
 * Puts runs side by side. Scenarios are paired by their names, checks and steps by their titles; of several attempts the last
 * one counts. Pure: the same models give the same comparison.
 *
 * @param runs At least two, each with the name of its directory; the first is the one that the others are held against.
 */
export function compareRuns(runs: readonly { id: string; model: RunModel }[]): Comparison {
  const models = runs.map(({ model }) => model);
  const versionsOf = engineVersions(models);
  const engines = models.map((model) =>
    [...new Set(model.scenarios.flatMap(versionsOf))].filter((version) => version !== noEngine).sort(compareVersions),
  );
  const names = labels(runs, engines);
  const nameOf = pairing(models);

  const paired = new Map<string, (ScenarioResult | undefined)[]>();
  models.forEach((model, column) => {
    for (const scenario of model.scenarios) {
      const name = nameOf(scenario);
      const row = paired.get(name) ?? models.map(() => undefined);
      row[column] = scenario;
      paired.set(name, row);
    }
  });

  const comparison: Comparison = {
    runs: runs.map(({ id, model }, column) => ({
      label: names[column]!,
      id,
      startedAt: model.startedAt,
      durationMs: model.durationMs,
      providers: [...new Set(model.scenarios.map((scenario) => scenario.provider))].sort(),
      engines: engines[column]!,
      state: model.state,
    })),
    scenarios: [],
    items: [],
    slower: [],
    faster: [],
    agreed: 0,
    regressions: 0,
  };

  for (const [name, row] of paired) {
    comparison.scenarios.push(comparedScenario(name, row));
    for (const pair of pairedItems(row)) addItem(comparison, name, pair);
  }
  comparison.items.sort((a, b) => changes.indexOf(a.change) - changes.indexOf(b.change));
  comparison.slower.sort((a, b) => b.factor - a.factor);
  comparison.faster.sort((a, b) => a.factor - b.factor);
  const regressed = comparison.items.filter((item) => item.change === 'regressed');
  const withoutItem = comparison.scenarios.filter(
    ({ name, regressed: worse }) => worse && !regressed.some((item) => item.scenario === name),
  );
  comparison.regressions = regressed.length + withoutItem.length;
  return comparison;
}
