import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, NetrigError } from '../../errors.js';
import { importLab } from '../../foreign/import.js';
import { foreignKinds, type ForeignKind } from '../../foreign/kinds.js';
import { exitStatus } from '../../model/verdict.js';
import { formatDiagnostics, loadScenarioFiles } from '../../scenario/load.js';
import { print, tell } from '../terminal.js';

/** `netrig import`: writes the scenario beside the file that it was made from. Ends with 1 where what was written is not valid. */
export async function importForeign(
  named: string,
  flags: { as?: string; to?: string; force?: boolean },
): Promise<number> {
  const kind = foreignKinds.find((one) => one === flags.as) as ForeignKind | undefined;
  const { folder, name, text, lost, kind: was } = importLab(named, kind);
  const file = path.resolve(folder, flags.to ?? `${name}.netrig.yaml`);
  if (path.dirname(file) !== folder)
    throw new NetrigError('NETRIG_USAGE', `The scenario belongs into ${folder}, beside the files that it names.`);
  if (existsSync(file) && !flags.force)
    throw new NetrigError('NETRIG_USAGE', `${file} is there already.`, { hint: 'Say --force to write over it.' });
  await writeFile(file, text).catch((error: unknown) => {
    throw new NetrigError('NETRIG_USAGE', `${file} cannot be written: ${messageOf(error)}`, {
      hint: 'Name another file by --to.',
    });
  });
  const shown = path.relative(process.cwd(), file);
  for (const { file: where, line, what, why } of lost)
    tell`${where}${line === null ? '' : `:${line}`}: ${what}: ${why}`;
  const count =
    lost.length === 0
      ? 'all of it was carried over'
      : `${lost.length} ${lost.length === 1 ? 'thing' : 'things'} could not be carried over, or only in another way (also in its comments)`;
  print`${shown} written, from ${was}: ${count}`;
  const diagnostics = (await loadScenarioFiles([file])).flatMap((one) => one.diagnostics);
  if (diagnostics.length > 0) {
    tell`${formatDiagnostics(diagnostics)}`;
    print`It needs your hand in these places before it runs.`;
    return exitStatus.failed;
  }
  print`Run it:  netrig run ${shown}`;
  return exitStatus.passed;
}
