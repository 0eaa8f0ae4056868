import { NetrigError } from '../errors.js';
import { suggestion } from '../language/wording.js';
import {
  distinctDiagnostics,
  formatDiagnostics,
  loadScenarioFiles,
  type LoadedScenario,
  type LoadOptions,
} from '../scenario/load.js';
import { isDataMap } from '../scenario/source.js';
import { alreadyHarmless, err, errIsColoured, tell } from './terminal.js';

/**
 * Loads scenario files; what is wrong in them is printed, and with `hints` what is hardly meant.
 *
 * @throws NETRIG_SCENARIO_INVALID after printing; NETRIG_USAGE for a name of `--matrix` that none of the files has.
 */
export async function loadOrPrint(
  files: readonly string[],
  options: LoadOptions = {},
  { hints = false } = {},
): Promise<LoadedScenario[]> {
  const loaded = await loadScenarioFiles(files, options);
  const diagnostics = distinctDiagnostics(loaded.flatMap((one) => one.diagnostics));
  if (diagnostics.length === 0) {
    refuseUnknownNames(loaded, options.matrix ?? {});
    if (hints)
      for (const { file, line, column, message, hint } of distinctDiagnostics(loaded.flatMap((one) => one.hints)))
        tell`${err.yellow('hint:')} ${file}:${line}:${column}: ${message} ${err.dim(`[${hint ?? ''}]`)}`;
    return loaded;
  }
  tell`${alreadyHarmless(formatDiagnostics(diagnostics, { color: errIsColoured }))}`;
  throw new NetrigError('NETRIG_SCENARIO_INVALID', `${mistakeCount(loaded)}; nothing was started.`, {
    hint: 'Mend the places named above.',
  });
}

/** `4 mistakes in 1 of 2 files`: files are scenarios; a mistake may stand in another file that several of them take in, and is one. */
export function mistakeCount(loaded: readonly Pick<LoadedScenario, 'diagnostics'>[]): string {
  const mistakes = distinctDiagnostics(loaded.flatMap(({ diagnostics }) => diagnostics)).length;
  const bad = loaded.filter(({ diagnostics }) => diagnostics.length > 0).length;
  return `${mistakes} ${mistakes === 1 ? 'mistake' : 'mistakes'} in ${bad} of ${loaded.length} ${loaded.length === 1 ? 'file' : 'files'}`;
}

/** A value of a name that no file has would choose nothing, in silence. */
function refuseUnknownNames(loaded: readonly LoadedScenario[], wanted: Record<string, readonly string[]>): void {
  const known = new Set(
    loaded.flatMap(({ source, scenarios }) => [
      ...(isDataMap(source.data) && isDataMap(source.data.matrix) ? Object.keys(source.data.matrix) : []),
      ...scenarios.flatMap((scenario) => Object.keys(scenario.matrix)),
    ]),
  );
  const unknown = Object.keys(wanted).find((name) => !known.has(name));
  if (unknown === undefined) return;
  const among = known.size === 0 ? 'they have no matrix' : `they have ${[...known].sort().join(', ')}`;
  throw new NetrigError(
    'NETRIG_USAGE',
    unknown === 'image'
      ? 'Each host of these files names its image, so that --matrix image=… would change nothing.'
      : `None of these files has \`${unknown}\` in its matrix: ${among}${suggestion(unknown, known)}`,
    {
      hint:
        unknown === 'image'
          ? 'Leave out `image` in the hosts that may have another.'
          : 'Name one of the file’s matrix.',
    },
  );
}
