import { exitStatus } from '../../model/verdict.js';
import { mistakeCount } from '../load-or-print.js';
import { alreadyHarmless, errIsColoured, print, printJson, tell } from '../terminal.js';
import {
  diagnosticsToJson,
  distinctDiagnostics,
  findScenarioFiles,
  formatDiagnostics,
  loadScenarioFiles,
} from '../../scenario/load.js';

export async function validate(paths: string[], flags: { json?: boolean; strict?: boolean }): Promise<number> {
  const files = await findScenarioFiles(paths);
  const loaded = await loadScenarioFiles(files, { environment: null });
  const diagnostics = distinctDiagnostics(loaded.flatMap((one) => one.diagnostics));
  const hints = distinctDiagnostics(loaded.flatMap((one) => one.hints));
  if (flags.json) {
    printJson({
      files: files.length,
      diagnostics: diagnosticsToJson(diagnostics),
      hints: diagnosticsToJson(hints),
    });
    return diagnostics.length > 0 || (flags.strict && hints.length > 0) ? exitStatus.usage : exitStatus.passed;
  }
  if (hints.length > 0) tell`${alreadyHarmless(formatDiagnostics(hints, { color: errIsColoured }))}\n`;
  const hinted = hints.length === 0 ? '' : `, ${hints.length} ${hints.length === 1 ? 'hint' : 'hints'}`;
  if (diagnostics.length > 0) {
    tell`${alreadyHarmless(formatDiagnostics(diagnostics, { color: errIsColoured }))}`;
    tell`\n${mistakeCount(loaded)}`;
  } else {
    const scenarios = loaded.flatMap((one) => one.scenarios);
    const checks = scenarios.reduce((sum, one) => sum + one.items.filter((item) => item.kind === 'check').length, 0);
    print`${files.length} ${files.length === 1 ? 'file' : 'files'}, ${scenarios.length} ${scenarios.length === 1 ? 'scenario' : 'scenarios'}, ${checks} ${checks === 1 ? 'check' : 'checks'}: all valid${hinted}`;
  }
  return diagnostics.length > 0 || (flags.strict && hints.length > 0) ? exitStatus.usage : exitStatus.passed;
}
