import { withCases, type CasesByItem } from './cases.js';
import { Assembly, composedSource } from './composed-source.js';
import { withComposeFiles } from './compose-file.js';
import type { Diagnostic } from './diagnostic.js';
import { withSharedFiles } from './shared-files.js';
import { isDataMap, type Data, type ScenarioSource } from './source.js';

/** A scenario's source with its shared files taken in and its cases written out. */
export interface Composed {
  source: ScenarioSource;
  cases: CasesByItem;
}

function namesOf(data: Data | undefined): string[] {
  return isDataMap(data) ? Object.keys(data) : [];
}

function broken(source: ScenarioSource, diagnostics: readonly Diagnostic[]): Composed {
  return {
    source: { ...source, diagnostics: [...source.diagnostics, ...diagnostics], usable: false },
    cases: new Map(),
  };
}

/**
 * Puts together what a scenario is made of. Its mistakes and places point into the files where the parts stand. Never throws
 * for what stands in a file.
 *
 * @param file Absolute path of the scenario.
 */
export function composeScenario(source: ScenarioSource, file: string): Composed {
  if (!source.usable || !isDataMap(source.data)) return { source, cases: new Map() };
  if ('shared' in source.data && !('scenario' in source.data))
    return broken(source, [
      source.diagnostic(
        ['shared'],
        'this file holds parts for scenarios and is none itself: name a scenario that extends it',
        'key',
      ),
    ]);
  const assembly = new Assembly();
  const shared = withSharedFiles(source, source.data, file, assembly);
  if (shared.diagnostics.length > 0) return broken(source, shared.diagnostics);
  const { data, diagnostics } = withComposeFiles(source, shared.data, file, assembly);
  if (diagnostics.length > 0) return broken(source, diagnostics);
  const whole = composedSource(source, data, assembly);
  const taken = new Set([
    ...namesOf(data.vars),
    ...namesOf(data.matrix),
    ...namesOf(data.secrets),
    ...namesOf(data.parameters),
  ]);
  const cases = withCases(whole, data, assembly, taken);
  if (cases.diagnostics.length > 0) return broken(whole, cases.diagnostics);
  return { source: composedSource(source, cases.data, assembly), cases: cases.cases };
}
