import type { Verdict } from '../model/verdict.js';
import { compareVersions, engineVersions } from './engine-version.js';
import { baseName } from './matrix.js';
import { worstVerdict, type RunModel, type ScenarioResult } from './model.js';
import { uniqueNames } from './wording.js';

/** A check of a scenario file that names items. */
export interface CoveringCheck {
  /** The scenario's name, without matrix values. */
  scenario: string;
  file: string;
  line: number;
  /** Unique in its scenario. */
  title: string;
  covers: readonly string[];
}

export interface CoverageInput {
  /** Every item of the catalogue, in its order. */
  ids: readonly string[];
  checks: readonly CoveringCheck[];
  /** Item → names of scenarios whose own `covers` has it. It takes a check to settle an item. */
  claims: ReadonlyMap<string, readonly string[]>;
  /** Item → why no check covers it. */
  uncovered: ReadonlyMap<string, string>;
  runs: readonly RunModel[];
}

/** What one check that covers an item came to. */
export interface CheckCoverage extends Omit<CoveringCheck, 'covers'> {
  /** Engine version → worst verdict there. Without an engine: `none`. */
  verdicts: Record<string, Verdict>;
  /** Why it did not pass everywhere, or was not decided anywhere; `''` otherwise. */
  reason: string;
}

/**
 * `settled`: a check that covers it came to pass or fail. `undecided`: checks cover it, and none of them was decided.
 * `uncovered`: no check covers it, for a stated reason. `missing`: neither.
 */
export type ItemState = 'settled' | 'undecided' | 'uncovered' | 'missing';

export interface ItemCoverage {
  id: string;
  state: ItemState;
  /** Engine version → worst verdict of its checks there. */
  verdicts: Record<string, Verdict>;
  checks: CheckCoverage[];
  /** Why it is not covered, or that scenarios claim it without a check. */
  reason: string;
}

export interface Coverage {
  /** Engine versions of the runs, ascending; `none` last where labs without an engine decided something. */
  engines: string[];
  items: ItemCoverage[];
  /** Covering checks of the runs that no scenario file has any more: they do not count. */
  outdated: { scenario: string; title: string }[];
}

export type StateCounts = Record<ItemState, number> & { items: number };

interface Seen {
  verdict: Verdict;
  reason: string;
}

/** What checks came to: scenario and title → engine version → verdict. */
type Decisions = Map<string, Map<string, Seen>>;

const keyOf = (scenario: string, title: string): string => `${scenario}\0${title}`;

/** The worse of two, `skipped` being worth less than anything decided. */
function worse(a: Seen | undefined, b: Seen): Seen {
  return a === undefined || worstVerdict([a.verdict, b.verdict]) !== a.verdict ? b : a;
}

function decisionsOf(
  run: RunModel,
  versions: (scenario: ScenarioResult) => string[],
): { decisions: Decisions; covering: Map<string, { scenario: string; title: string }> } {
  const decisions: Decisions = new Map();
  const covering = new Map<string, { scenario: string; title: string }>();
  for (const scenario of run.scenarios) {
    const name = baseName(scenario.id);
    const checks = scenario.last.items.filter((item) => item.kind === 'check');
    const titles = uniqueNames(checks);
    for (const item of checks) {
      const title = titles.get(item.id) ?? item.title;
      const key = keyOf(name, title);
      if (item.covers.length > 0) covering.set(key, { scenario: name, title });
      const seen = decisions.get(key) ?? new Map<string, Seen>();
      for (const version of versions(scenario))
        seen.set(version, worse(seen.get(version), { verdict: item.outcome.verdict, reason: item.outcome.reason }));
      decisions.set(key, seen);
    }
  }
  return { decisions, covering };
}

/**
 * What the records of runs say of each item of the catalogue. Of several runs a later one stands for an earlier one, check by
 * check and engine by engine; a skip replaces nothing that was decided unless its scenario itself went wrong.
 */
export function coverageOf(input: CoverageInput): Coverage {
  const runs = [...input.runs].sort((a, b) => Date.parse(a.startedAt ?? '') - Date.parse(b.startedAt ?? ''));
  const versions = engineVersions(runs);
  const known = new Set(input.checks.map((check) => keyOf(check.scenario, check.title)));
  const decisions: Decisions = new Map();
  const outdated = new Map<string, { scenario: string; title: string }>();
  for (const run of runs) {
    const wentWrong = new Set(
      run.scenarios
        .filter((scenario) => scenario.verdict !== 'pass' && scenario.verdict !== 'skipped')
        .map((scenario) => baseName(scenario.id)),
    );
    const { decisions: fresh, covering } = decisionsOf(run, versions);
    for (const [key, one] of covering) if (!known.has(key)) outdated.set(key, one);
    for (const [key, byVersion] of fresh) {
      const before = decisions.get(key) ?? new Map<string, Seen>();
      for (const [version, seen] of byVersion) {
        if (seen.verdict === 'skipped' && before.has(version) && !wentWrong.has(key.slice(0, key.indexOf('\0'))))
          continue;
        before.set(version, seen);
      }
      decisions.set(key, before);
    }
  }

  const byItem = new Map<string, CheckCoverage[]>();
  for (const { covers, ...check } of input.checks) {
    const seen = [...(decisions.get(keyOf(check.scenario, check.title)) ?? [])].sort(([a], [b]) =>
      compareVersions(a, b),
    );
    const worst = worstVerdict(seen.map(([, { verdict }]) => verdict));
    const coverage: CheckCoverage = {
      ...check,
      verdicts: Object.fromEntries(seen.map(([version, { verdict }]) => [version, verdict])),
      reason:
        seen.length === 0
          ? 'not in these runs'
          : worst === 'pass'
            ? ''
            : (seen.find(([, { verdict }]) => verdict === worst)?.[1].reason ?? ''),
    };
    for (const id of covers) byItem.set(id, [...(byItem.get(id) ?? []), coverage]);
  }

  const items = input.ids.map((id): ItemCoverage => {
    const checks = byItem.get(id) ?? [];
    const all = checks.flatMap((check) => Object.entries(check.verdicts));
    const engines = [...new Set(all.map(([version]) => version))].sort(compareVersions);
    const verdicts = Object.fromEntries(
      engines.map((engine) => [
        engine,
        worstVerdict(all.filter(([version]) => version === engine).map(([, verdict]) => verdict)),
      ]),
    );
    const settled = all.some(([, verdict]) => verdict === 'pass' || verdict === 'fail');
    const why = input.uncovered.get(id);
    const claims = input.claims.get(id) ?? [];
    const state: ItemState = settled
      ? 'settled'
      : checks.length > 0
        ? 'undecided'
        : why !== undefined
          ? 'uncovered'
          : 'missing';
    const reason =
      state === 'uncovered'
        ? why!
        : state === 'missing'
          ? claims.length > 0
            ? `${claims.join(', ')} claims it, but none of its checks does`
            : 'no check covers it, and no reason is stated'
          : '';
    return { id, state, verdicts, checks, reason };
  });
  const engines = [...new Set(items.flatMap((item) => Object.keys(item.verdicts)))].sort(compareVersions);
  return { engines, items, outdated: [...outdated.values()] };
}

/** How many of the items are in which state. */
export function countStates(items: readonly ItemCoverage[]): StateCounts {
  const counts: StateCounts = { items: items.length, settled: 0, undecided: 0, uncovered: 0, missing: 0 };
  for (const item of items) counts[item.state] += 1;
  return counts;
}

/** `412 of 428 items settled by a check that can fail, 10 not covered with a reason, 0 without a row`. */
export function coverageLine(items: readonly ItemCoverage[], noun = 'items'): string {
  const { items: all, settled, undecided, uncovered, missing } = countStates(items);
  const open = undecided > 0 ? `, ${undecided} with a check that these runs did not decide` : '';
  return `${settled} of ${all} ${noun} settled by a check that can fail, ${uncovered} not covered with a reason${open}, ${missing} without a row`;
}
