import { err } from '../colours.js';
import { exitStatus } from '../../model/verdict.js';
import { diagnosticsToJson, findScenarioFiles, formatDiagnostics, loadScenarioFiles } from '../../scenario/load.js';

export async function validate(paths: string[], flags: { json?: boolean }): Promise<number> {
  const files = await findScenarioFiles(paths);
  const loaded = await loadScenarioFiles(files);
  const diagnostics = loaded.flatMap((one) => one.diagnostics);
  if (flags.json) {
    process.stdout.write(
      `${JSON.stringify({ files: files.length, diagnostics: diagnosticsToJson(diagnostics) }, null, 2)}\n`,
    );
  } else if (diagnostics.length > 0) {
    process.stderr.write(formatDiagnostics(diagnostics, { color: err.isColorSupported }));
    const bad = new Set(diagnostics.map((one) => one.file)).size;
    process.stderr.write(
      `\n${diagnostics.length} ${diagnostics.length === 1 ? 'mistake' : 'mistakes'} in ${bad} of ${files.length} files\n`,
    );
  } else {
    const scenarios = loaded.flatMap((one) => one.scenarios);
    const checks = scenarios.reduce((sum, one) => sum + one.items.filter((item) => item.kind === 'check').length, 0);
    process.stdout.write(
      `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${scenarios.length} ${scenarios.length === 1 ? 'scenario' : 'scenarios'}, ${checks} checks: all valid\n`,
    );
  }
  return diagnostics.length > 0 ? exitStatus.usage : exitStatus.passed;
}
