/**
 * Starts what `scripts/build-program.mjs` put together into one file. V8 reads such a file twice: once as a whole, then each
 * function when it is first called, which is more than a third of the time of a short command. What it made of it is therefore
 * kept beside the file, for this version of Node alone, and taken from there the next time (`vm.Script`, `cachedData`); V8
 * refuses what does not fit its version, its flags or the file's length, and then the file is read as ever.
 */
import { accessSync, constants as access, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';

/** The programs in one file, by the path of each module; each is begun by calling it. */
type Programs = Record<string, () => unknown>;
type Body = (
  exports: Programs,
  require: NodeJS.Require,
  importModule: (name: string) => Promise<unknown>,
  dirname: string,
  url: string,
) => void;

/** A file is loaded once: what its programs share is one thing in a process. */
const files = new Map<string, Programs>();

/** Where what V8 made of a file is kept. A program with flags of its own has a file of its own. */
const keptBeside = (file: string): string => `${file}-${process.version}-${process.arch}.v8`;

function readKept(file: string): Buffer | undefined {
  try {
    return readFileSync(keptBeside(file));
  } catch {
    return undefined;
  }
}

/** At the end, with all functions that were called by then. Where nothing can be written, the next start is as slow as this one. */
function keepAtExit(file: string, script: Script): void {
  process.once('exit', () => {
    const kept = keptBeside(file);
    const begun = `${kept}.${process.pid}`;
    try {
      accessSync(dirname(kept), access.W_OK);
      if (existsSync(kept)) return;
      writeFileSync(begun, script.createCachedData(), { flag: 'wx' });
      renameSync(begun, kept);
    } catch {
      rmSync(begun, { force: true });
    }
  });
}

function load(file: string): Programs {
  const cachedData = readKept(file);
  const script = new Script(
    `(function (exports, require, programImport, __dirname, programUrl) {${readFileSync(file, 'latin1')}\n})`,
    {
      filename: file,
      cachedData,
    },
  );
  if (cachedData === undefined) keepAtExit(file, script);
  const programs: Programs = {};
  const begin = script.runInThisContext() as Body;
  begin(programs, createRequire(file), (name) => import(name), dirname(file), pathToFileURL(file).href);
  return programs;
}

/**
 * Begins a program.
 *
 * @param file Absolute path of the file that it was put into.
 * @param name Path of its module, as the file has it.
 * @returns What the module exports.
 */
export function startProgram(file: string, name: string): unknown {
  let programs = files.get(file);
  if (programs === undefined) files.set(file, (programs = load(file)));
  return programs[name]!();
}
