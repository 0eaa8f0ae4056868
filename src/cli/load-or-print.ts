import { NetrigError } from '../errors.js';
import { formatDiagnostics, loadScenarioFiles, type LoadedScenario, type LoadOptions } from '../scenario/load.js';
import { alreadyHarmless, errIsColoured, tell } from './terminal.js';

/**
 * Loads scenario files; what is wrong in them is printed.
 *
 * @throws NETRIG_SCENARIO_INVALID after printing.
 */
export async function loadOrPrint(files: readonly string[], options: LoadOptions = {}): Promise<LoadedScenario[]> {
  const loaded = await loadScenarioFiles(files, options);
  const diagnostics = loaded.flatMap((one) => one.diagnostics);
  if (diagnostics.length === 0) return loaded;
  tell`${alreadyHarmless(formatDiagnostics(diagnostics, { color: errIsColoured }))}`;
  const bad = new Set(diagnostics.map((one) => one.file)).size;
  throw new NetrigError(
    'NETRIG_SCENARIO_INVALID',
    `${diagnostics.length} ${diagnostics.length === 1 ? 'mistake' : 'mistakes'} in ${bad} of ${files.length} ${files.length === 1 ? 'file' : 'files'}; nothing was started.`,
    {
      hint: 'Mend the places named above.',
    },
  );
}
