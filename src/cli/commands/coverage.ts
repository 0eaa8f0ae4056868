import path from 'node:path';
import { NetrigError } from '../../errors.js';
import { exitStatus, type Verdict } from '../../model/verdict.js';
import {
  coverageLine,
  coverageOf,
  countStates,
  type Coverage,
  type CoveringCheck,
  type ItemCoverage,
} from '../../report/coverage.js';
import { noEngine } from '../../report/engine-version.js';
import type { RunModel } from '../../report/model.js';
import { loadRun } from '../../report/reports.js';
import { oneLine, truncate } from '../../report/terminal-text.js';
import { uniqueNames, verdictSign } from '../../report/wording.js';
import { loadCatalogue, loadUncovered } from '../../scenario/catalogue.js';
import type { Catalogue } from '../../scenario/covers.js';
import { formatDiagnostics, type Diagnostic } from '../../scenario/diagnostic.js';
import { findScenarioFiles, type LoadedScenario } from '../../scenario/load.js';
import {
  alreadyHarmless,
  errIsColoured,
  note,
  out as colours,
  print,
  printJson,
  tell,
  type Colour,
} from '../terminal.js';
import { loadOrPrint } from '../load-or-print.js';
import type { CoverageFlags } from '../program.js';
import { runDirectory } from './report.js';

/** The covering checks of scenario files, each once over all values of a matrix, and what scenarios claim as a whole. */
function coversOf(loaded: readonly LoadedScenario[]): { checks: CoveringCheck[]; claims: Map<string, string[]> } {
  const checks = new Map<string, CoveringCheck & { covers: string[] }>();
  const claims = new Map<string, string[]>();
  for (const scenario of loaded.flatMap((one) => one.scenarios)) {
    const items = scenario.items.filter((item) => item.kind === 'check');
    const titles = uniqueNames(items);
    for (const item of items) {
      const title = titles.get(item.id) ?? item.title;
      const key = `${scenario.name}\0${title}`;
      const known = checks.get(key) ?? {
        scenario: scenario.name,
        file: scenario.file,
        line: item.source.line,
        title,
        covers: [],
      };
      known.covers = [...new Set([...known.covers, ...item.covers])];
      checks.set(key, known);
    }
    for (const id of scenario.covers) claims.set(id, [...new Set([...(claims.get(id) ?? []), scenario.name])]);
  }
  return { checks: [...checks.values()].filter((check) => check.covers.length > 0), claims };
}

function stopAt(diagnostics: readonly Diagnostic[]): void {
  if (diagnostics.length === 0) return;
  tell`${alreadyHarmless(formatDiagnostics(diagnostics, { color: errIsColoured }))}`;
  throw new NetrigError(
    'NETRIG_SCENARIO_INVALID',
    `${diagnostics.length} ${diagnostics.length === 1 ? 'mistake' : 'mistakes'} in what is said about the catalogue.`,
    { hint: 'Mend the places named above.' },
  );
}

/** Cells and lines are put together as text, with what is not of netrig's own made harmless first. */
function painted(colour: Colour): (text: string) => string {
  return (text) => colours[colour](text).text;
}
const out = { red: painted('red'), dim: painted('dim') };

const paint: Record<Verdict, (text: string) => string> = {
  pass: painted('green'),
  fail: out.red,
  inconclusive: painted('yellow'),
  error: painted('magenta'),
  skipped: out.dim,
};

function engineCells(engines: readonly string[], verdicts: Record<string, Verdict>): string {
  return engines
    .map((engine) => {
      const verdict = verdicts[engine];
      const sign = (verdict === undefined ? '' : verdictSign[verdict]).padEnd(Math.max(engine.length, 1));
      return verdict === undefined ? sign : paint[verdict](sign);
    })
    .join('  ');
}

function itemLines(item: ItemCoverage, engines: readonly string[], says: string, width: number): string[] {
  const indent = ' '.repeat(8);
  const columns = engines.reduce((sum, engine) => sum + Math.max(engine.length, 1) + 2, 0);
  const room = Math.max(20, width - indent.length - columns);
  const head = `${item.id.padEnd(6)}  `;
  const line = (start: string, verdicts: Record<string, Verdict>, text: string, dim = false): string => {
    const shown = truncate(oneLine(text), room);
    return `${start}${columns > 0 ? `${engineCells(engines, verdicts)}  ` : ''}${dim ? out.dim(shown) : shown}`.trimEnd();
  };
  if (item.state === 'missing') return [line(out.red(head), {}, `${item.reason}${says === '' ? '' : `: ${says}`}`)];
  if (item.state === 'uncovered') return [line(head, {}, `not covered: ${item.reason}`, true)];
  const checks = item.checks.map((check) => ({
    check,
    text: `${check.scenario} › ${check.title}${check.reason === '' ? '' : ` (${check.reason})`}`,
  }));
  if (checks.length === 1 && says === '') return [line(head, item.verdicts, checks[0]!.text)];
  return [
    line(head, item.verdicts, says === '' ? `${checks.length} checks` : says, true),
    ...checks.map(({ check, text }) => line(indent, check.verdicts, text)),
  ];
}

function printTable(coverage: Coverage, says: ReadonlyMap<string, string>): void {
  const width = process.stdout.isTTY ? (process.stdout.columns ?? 100) : 10_000;
  const heading = `${'item'.padEnd(6)}  ${coverage.engines.map((engine) => `${engine === noEngine ? 'none' : engine}  `).join('')}scenario › check`;
  const lines = [
    out.dim(heading),
    ...coverage.items.flatMap((item) => itemLines(item, coverage.engines, says.get(item.id) ?? '', width)),
  ];
  print`${alreadyHarmless(lines.join('\n'))}\n`;
}

interface PartCoverage {
  id: string;
  title: string;
  items: ItemCoverage[];
}

/** The items of each part of the catalogue, in its order. */
function partsOf(coverage: Coverage, catalogue: Catalogue | null): PartCoverage[] {
  return (catalogue?.parts ?? []).map(({ id, title }) => ({
    id,
    title,
    items: coverage.items.filter((item) => catalogue!.items.get(item.id)?.part === id),
  }));
}

function printCoverageJson(
  coverage: Coverage,
  catalogue: Catalogue | null,
  says: ReadonlyMap<string, string>,
  runs: readonly RunModel[],
): void {
  const relative = (item: ItemCoverage) => ({
    ...item,
    says: says.get(item.id) ?? '',
    part: catalogue?.items.get(item.id)?.part ?? null,
    checks: item.checks.map((check) => ({ ...check, file: path.relative(process.cwd(), check.file) })),
  });
  const parts = partsOf(coverage, catalogue).map(({ id, title, items }) => ({ id, title, ...countStates(items) }));
  printJson({
    schema: 'netrig-coverage/2',
    runs: runs.map(({ startedAt, netrig, kernel }) => ({ startedAt, netrig, kernel })),
    engines: coverage.engines,
    totals: { ...countStates(coverage.items), parts },
    items: coverage.items.map(relative),
    outdated: coverage.outdated,
  });
}

/** One line for each part of the catalogue, and one for all. */
function printTotals(coverage: Coverage, catalogue: Catalogue | null): void {
  const parts = partsOf(coverage, catalogue);
  const lines = parts.length > 1 ? parts.map(({ id, title, items }) => `${id} ${title}: ${coverageLine(items)}`) : [];
  print`${[...lines, coverageLine(coverage.items)].join('\n')}`;
}

/** `netrig coverage`: ends with 1 when an item has neither a check nor a reason. */
export async function coverage(runs: string[], flags: CoverageFlags): Promise<number> {
  const loaded = await loadOrPrint(await findScenarioFiles([flags.scenarios]));
  const { checks, claims } = coversOf(loaded);
  const places = new Map(
    checks.flatMap((check) =>
      check.covers.map((id) => [id, `${path.relative(process.cwd(), check.file)}:${check.line}`] as const),
    ),
  );
  const described = loadCatalogue(flags.scenarios);
  stopAt(described?.diagnostics ?? []);
  const catalogue = described?.catalogue ?? null;
  const uncovered = loadUncovered(flags.scenarios, catalogue, (id) => places.get(id) ?? null);
  stopAt(uncovered.diagnostics);

  const directories = await Promise.all(
    (runs.length > 0 ? runs : [undefined]).map((run) => runDirectory(run, flags.reports)),
  );
  const models = await Promise.all([...new Set(directories)].map(loadRun));
  // Without a catalogue there is as much to prove as the scenarios themselves name.
  const ids = catalogue?.items.keys() ?? new Set([...places.keys(), ...claims.keys(), ...uncovered.reasons.keys()]);
  const result = coverageOf({ ids: [...ids], checks, claims, uncovered: uncovered.reasons, runs: models });
  const says = new Map(
    (catalogue?.parts ?? []).flatMap((part) =>
      part.sections.flatMap((section) => section.items.map((item) => [item.id, item.says] as const)),
    ),
  );
  if (flags.json) printCoverageJson(result, catalogue, says, models);
  else {
    printTable(result, says);
    printTotals(result, catalogue);
  }
  if (result.outdated.length > 0) {
    const { length } = result.outdated;
    note(
      `${length} covering ${length === 1 ? 'check' : 'checks'} of the runs ${length === 1 ? 'is' : 'are'} no longer in the scenario files and ${length === 1 ? 'does' : 'do'} not count.`,
    );
  }
  return result.items.some((item) => item.state === 'missing') ? exitStatus.failed : exitStatus.passed;
}
