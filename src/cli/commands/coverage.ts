import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import { exitStatus, type Verdict } from '../../model/verdict.js';
import {
  coverageLine,
  coverageOf,
  countStates,
  type Coverage,
  type CoveringCheck,
  type ItemCoverage,
} from '../../report/coverage.js';
import { noEngine, shortVersion } from '../../report/engine-version.js';
import type { RunModel } from '../../report/model.js';
import { loadRun } from '../../report/reports.js';
import { oneLine, truncate } from '../../report/terminal-text.js';
import { tutorialsMarkdown } from '../../report/tutorials.js';
import { uniqueNames, verdictSign } from '../../report/wording.js';
import { itemsFileName, loadTutorials, loadUncovered, type Tutorial } from '../../scenario/catalogue.js';
import { catalogueIds } from '../../scenario/covers.js';
import { formatDiagnostics, type Diagnostic } from '../../scenario/diagnostic.js';
import { findScenarioFiles, type LoadedScenario } from '../../scenario/load.js';
import { err, out } from '../colours.js';
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
  process.stderr.write(formatDiagnostics(diagnostics, { color: err.isColorSupported }));
  process.stderr.write('\n');
  throw new NetrigError(
    'NETRIG_SCENARIO_INVALID',
    `${diagnostics.length} ${diagnostics.length === 1 ? 'mistake' : 'mistakes'} in what is said about the catalogue.`,
    { hint: 'Mend the places named above.' },
  );
}

const paint: Record<Verdict, (text: string) => string> = {
  pass: out.green,
  fail: out.red,
  inconclusive: out.yellow,
  error: out.magenta,
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

function printTable(coverage: Coverage, tutorials: readonly Tutorial[]): void {
  const says = new Map(
    tutorials.flatMap((tutorial) =>
      tutorial.sections.flatMap((section) => section.claims.map((claim) => [claim.id, claim.says] as const)),
    ),
  );
  const width = process.stdout.isTTY ? (process.stdout.columns ?? 100) : 10_000;
  const heading = `${'item'.padEnd(6)}  ${coverage.engines.map((engine) => `${engine === noEngine ? 'none' : engine}  `).join('')}scenario › check`;
  const lines = [
    out.dim(heading),
    ...coverage.items.flatMap((item) => itemLines(item, coverage.engines, says.get(item.id) ?? '', width)),
  ];
  process.stdout.write(`${lines.join('\n')}\n\n`);
}

function isFault(item: ItemCoverage): boolean {
  return item.id.startsWith('F');
}

function sourceLine(runs: readonly RunModel[], coverage: Coverage): string {
  const days = [...new Set(runs.map((run) => run.startedAt?.slice(0, 10) ?? ''))].filter((day) => day !== '').sort();
  const kernels = [...new Set(runs.map((run) => shortVersion(run.kernel)))].filter((kernel) => kernel !== '');
  const engines = coverage.engines.filter((engine) => engine !== noEngine);
  return `Results of ${runs.length === 1 ? 'one run' : `${runs.length} runs`} of ${days.join(', ')} with netrig ${[...new Set(runs.map((run) => run.netrig))].join(', ')} on kernel ${kernels.join(', ')}; engines as they state their versions themselves: ${engines.join(', ') || 'none'}.`;
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
  const uncovered = loadUncovered(flags.scenarios, (id) => places.get(id) ?? null);
  const described = loadTutorials(flags.scenarios);
  stopAt([...uncovered.diagnostics, ...(described?.diagnostics ?? [])]);
  if (flags.tutorials !== undefined && described === null) {
    throw new NetrigError(
      'NETRIG_USAGE',
      `There is no ${path.join(flags.scenarios, itemsFileName)}, which says what each item claims.`,
    );
  }

  const directories = await Promise.all(
    (runs.length > 0 ? runs : [undefined]).map((run) => runDirectory(run, flags.reports)),
  );
  const models = await Promise.all([...new Set(directories)].map(loadRun));
  const result = coverageOf({
    ids: [...catalogueIds().values()].flat(),
    checks,
    claims,
    uncovered: uncovered.reasons,
    runs: models,
  });
  const tutorials = described?.tutorials ?? [];

  if (flags.tutorials !== undefined) {
    const page = path.resolve(flags.tutorials);
    const link = (file: string, line: number): string =>
      `${path.relative(path.dirname(page), file).split(path.sep).map(encodeURIComponent).join('/')}#L${line}`;
    const content = tutorialsMarkdown({ tutorials, coverage: result, source: sourceLine(models, result), link });
    await writeFile(page, content).catch((error: unknown) => {
      throw new NetrigError('NETRIG_REPORT_WRITE', `${flags.tutorials} could not be written: ${messageOf(error)}`, {
        cause: error,
      });
    });
  }

  const parts = { items: result.items.filter((item) => !isFault(item)), faults: result.items.filter(isFault) };
  if (flags.json) {
    const totals = { items: countStates(parts.items), faults: countStates(parts.faults) };
    const relative = (item: ItemCoverage) => ({
      ...item,
      checks: item.checks.map((check) => ({ ...check, file: path.relative(process.cwd(), check.file) })),
    });
    process.stdout.write(
      `${JSON.stringify({ schema: 'netrig-coverage/1', engines: result.engines, totals, items: result.items.map(relative), outdated: result.outdated }, null, 2)}\n`,
    );
  } else {
    if (flags.tutorials === undefined) printTable(result, tutorials);
    process.stdout.write(`${coverageLine(parts.items)}\n${coverageLine(parts.faults, 'faults')}\n`);
    if (flags.tutorials !== undefined) process.stdout.write(`${flags.tutorials}\n`);
  }
  if (result.outdated.length > 0) {
    const { length } = result.outdated;
    process.stderr.write(
      `netrig: ${length} covering ${length === 1 ? 'check' : 'checks'} of the runs ${length === 1 ? 'is' : 'are'} no longer in the scenario files and ${length === 1 ? 'does' : 'do'} not count.\n`,
    );
  }
  return result.items.some((item) => item.state === 'missing') ? exitStatus.failed : exitStatus.passed;
}
