import { readFile, writeFile } from 'node:fs/promises';
import { messageOf, NetrigError } from '../../errors.js';
import { exitStatus } from '../../model/verdict.js';
import { findScenarioFiles } from '../../scenario/load.js';
import { migrateText, stillFormer } from '../../scenario/migrate.js';
import { print, tell } from '../terminal.js';
import path from 'node:path';

/** `netrig migrate`: with `--check` ends with 1 when something is of the former language; always when something is left of it. */
export async function migrate(paths: string[], flags: { write?: boolean; check?: boolean }): Promise<number> {
  if (flags.write && flags.check)
    throw new NetrigError('NETRIG_USAGE', '--check writes nothing, so that it does not go with --write.');
  const files = await findScenarioFiles(paths);
  let former = 0;
  let left = 0;
  for (const file of files) {
    const shown = path.relative(process.cwd(), file) || file;
    const text = await reading(file);
    const { text: rewritten, lines } = migrateText(text);
    if (lines.length > 0) former += 1;
    if (!flags.write) for (const { line, before, after } of lines) print`${shown}:${line}\n- ${before}\n+ ${after}`;
    else if (rewritten !== text) {
      await writing(file, rewritten);
      print`${shown}: ${lines.length} ${lines.length === 1 ? 'place' : 'places'} rewritten`;
    }
    for (const { line, message } of stillFormer(rewritten, file)) {
      left += 1;
      tell`${shown}:${line}: ${message.replace(/; `netrig migrate.*$/, '')}, and it stands where it cannot be rewritten (behind an alias or a merge key): change it by hand`;
    }
  }
  if (former === 0) print`${files.length} ${files.length === 1 ? 'file' : 'files'}: nothing of the former language`;
  else if (!flags.write)
    print`${former} of ${files.length} ${files.length === 1 ? 'file' : 'files'} to rewrite: netrig migrate --write does it`;
  return left > 0 || (flags.check === true && former > 0) ? exitStatus.failed : exitStatus.passed;
}

async function reading(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new NetrigError('NETRIG_SCENARIO_READ', `${file}: ${messageOf(error)}`, { cause: error });
  });
}

async function writing(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw new NetrigError('NETRIG_REPORT_WRITE', `${file} could not be written: ${messageOf(error)}`, { cause: error });
  });
}
