#!/usr/bin/env node
import { CommanderError } from 'commander';
import { exitStatus } from '../model/verdict.js';
import { netrigVersion } from '../model/version.js';
import { NetrigError } from '../errors.js';
import { commandTable } from './command-table.js';
import { buildProgram, type Handlers } from './program.js';
import { allWritten, tell } from './terminal.js';

// Each command's code is loaded only when it is called for: `--help` has nothing to wait for.
const handlers: Handlers = {
  run: async (...all) => (await import('./commands/run.js')).run(...all),
  play: async (...all) => (await import('./commands/play.js')).play(...all),
  up: async (...all) => (await import('./commands/up.js')).up(...all),
  check: async (...all) => (await import('./commands/check.js')).check(...all),
  exec: async (...all) => (await import('./commands/exec.js')).exec(...all),
  ssh: async (...all) => (await import('./commands/exec.js')).ssh(...all),
  trace: async (...all) => (await import('./commands/trace.js')).trace(...all),
  watch: async (...all) => (await import('./commands/trace.js')).watch(...all),
  capture: async (...all) => (await import('./commands/capture.js')).capture(...all),
  ps: async (...all) => (await import('./commands/labs.js')).ps(...all),
  down: async (...all) => (await import('./commands/labs.js')).down(...all),
  gc: async (...all) => (await import('./commands/labs.js')).gc(...all),
  migrate: async (...all) => (await import('./commands/migrate.js')).migrate(...all),
  validate: async (...all) => (await import('./commands/validate.js')).validate(...all),
  lock: async (...all) => (await import('./commands/lock.js')).lock(...all),
  imagesList: async (...all) => (await import('./commands/images.js')).list(...all),
  imagesBuild: async (...all) => (await import('./commands/images.js')).build(...all),
  imagesRemove: async (...all) => (await import('./commands/images.js')).remove(...all),
  doctor: async (...all) => (await import('./commands/doctor.js')).doctor(...all),
  report: async (...all) => (await import('./commands/report.js')).report(...all),
  coverage: async (...all) => (await import('./commands/coverage.js')).coverage(...all),
  compare: async (...all) => (await import('./commands/compare.js')).compare(...all),
  prove: async (...all) => (await import('./commands/prove.js')).prove(...all),
  mutate: async (...all) => (await import('./commands/mutate.js')).mutate(...all),
  classStart: async (...all) => (await import('./commands/class.js')).start(...all),
  classStatus: async (...all) => (await import('./commands/class.js')).status(...all),
  classLink: async (file, person) => (await import('./commands/class.js')).link(file, person),
  classStop: async (file) => (await import('./commands/class.js')).stop(file),
  classRehearse: async (...all) => (await import('./commands/class.js')).rehearse(...all),
  classGrade: async (...all) => (await import('./commands/class-grade.js')).grade(...all),
  classHandout: async (...all) => (await import('./commands/class-handout.js')).handout(...all),
  classRegrade: async (...all) => (await import('./commands/class.js')).regrade(...all),
  init: async (...all) => (await import('./commands/init.js')).init(...all),
  importForeign: async (...all) => (await import('./commands/import.js')).importForeign(...all),
};

/** What commander says of wrong arguments, as an error with a code, and which help to read. */
function misuse({ message }: CommanderError): NetrigError {
  const [name, sub] = process.argv.slice(2);
  const row = commandTable.find((one) => one.name.split(' ')[0] === name);
  const inner =
    row && 'commands' in row && row.commands.some((one) => one.name.split(' ')[0] === sub) ? ` ${sub!}` : '';
  return new NetrigError(
    'NETRIG_USAGE',
    message
      .replace(/^error: /, '')
      .replace(/\n/g, ' ')
      .trim(),
    {
      hint: `\`netrig ${row ? `${name!}${inner} ` : ''}--help\` says what there is.`,
    },
  );
}

async function main(): Promise<number> {
  if (process.getuid?.() !== 0) {
    try {
      const { runWithoutRoot } = await import('./without-root.js');
      const ended = await runWithoutRoot(process.argv.slice(2));
      if (ended !== null) return ended;
    } catch (error) {
      const { printError } = await import('./print-error.js');
      return printError(error);
    }
  }
  let status: number = exitStatus.passed;
  const program = buildProgram(netrigVersion, handlers, (value) => (status = value));
  const strict = (command: typeof program): void => {
    command.exitOverride().configureOutput({ outputError: () => undefined });
    command.commands.forEach((one) => strict(one as typeof program));
  };
  strict(program);
  if (process.argv.length <= 2) {
    program.outputHelp();
    return exitStatus.usage;
  }
  try {
    await program.parseAsync();
  } catch (error) {
    // Help and version end this way too, with 0, and have been printed.
    if (error instanceof CommanderError && error.exitCode === 0) return exitStatus.passed;
    const { printError } = await import('./print-error.js');
    return printError(error instanceof CommanderError ? misuse(error) : error);
  }
  return status;
}

/** Commands that are there for their reader alone; what others do they do to the end, and their status says how it went. */
const endWithTheirReader = new Set(['capture', 'exec', 'trace', 'watch']);

// A reader that went away (`netrig ps | head -1`) is no error of ours: a lab that is up then is still taken down as ever.
let unwritten: Error | null = null;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') unwritten ??= Object.assign(error, { path: 'Standard output' });
  else if (endWithTheirReader.has(process.argv[2] ?? '')) process.exit(exitStatus.passed);
});
// Where nobody hears what went wrong, the status says it.
process.stderr.on('error', () => undefined);

/** The exit status, once all words are out; also of words that could not be written. */
async function statusOnceSaid(): Promise<number> {
  const status = await main();
  await allWritten();
  let own = process.exitCode === undefined || process.exitCode === 0 ? status : Number(process.exitCode);
  if (unwritten !== null) {
    const { printError } = await import('./print-error.js');
    const said = printError(unwritten);
    if (own === exitStatus.passed) own = said;
    await allWritten();
  }
  return own;
}

// Node ends with 0 when it has nothing to wait for any more, also while a promise is unsettled: that is no end of a command.
process.once('beforeExit', () => {
  process.exitCode = exitStatus.lab;
  tell`netrig ended in the middle of its work: nothing was left that it could wait for.`;
});

// Sockets to hosts that are gone may linger; the command is over when its work is, and all its words are out.
void statusOnceSaid().then((status) => process.exit(status));
