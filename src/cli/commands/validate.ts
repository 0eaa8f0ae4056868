import { exitStatus } from '../../model/verdict.js';
import { mistakeCount } from '../load-or-print.js';
import { alreadyHarmless, errIsColoured, print, printJson, tell } from '../terminal.js';
import { diagnosticsToJson, distinctDiagnostics, findScenarioFiles, formatDiagnostics } from '../../scenario/load.js';
import { surveyFiles } from '../../scenario/survey.js';

export async function validate(paths: string[], flags: { json?: boolean; strict?: boolean }): Promise<number> {
  const files = await findScenarioFiles(paths);
  const surveys = await surveyFiles(files);
  const diagnostics = distinctDiagnostics(surveys.flatMap((one) => one.diagnostics));
  const hints = distinctDiagnostics(surveys.flatMap((one) => one.hints));
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
    tell`\n${mistakeCount(surveys)}`;
  } else {
    const sum = (of: 'scenarios' | 'checks'): number => surveys.reduce((all, one) => all + one[of], 0);
    const scenarios = sum('scenarios');
    const checks = sum('checks');
    print`${files.length} ${files.length === 1 ? 'file' : 'files'}, ${scenarios} ${scenarios === 1 ? 'scenario' : 'scenarios'}, ${checks} ${checks === 1 ? 'check' : 'checks'}: all valid${hinted}`;
  }
  return diagnostics.length > 0 || (flags.strict && hints.length > 0) ? exitStatus.usage : exitStatus.passed;
}
