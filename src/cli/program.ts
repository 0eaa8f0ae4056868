import { Command, InvalidArgumentError, Option } from 'commander';
import { commandTable, type CommandGroup, type CommandRow, type OptionRow } from './command-table.js';
import { NetrigError } from '../errors.js';
import type { Handlers } from './flags.js';

export type * from './flags.js';

function optionOf(row: OptionRow): Option {
  const option = new Option(row.flags, row.description);
  // An empty value is a variable that was not set, more often than anything that was meant.
  if (row.flags.includes('<'))
    option.argParser<unknown>((text, before) => {
      if (text === '') throw new InvalidArgumentError('It takes a value that is not empty.');
      return row.parse ? row.parse(text, before) : text;
    });
  if (row.choices) option.choices(row.choices);
  if (row.default !== undefined) option.default(row.default, row.defaultShown);
  if (row.hidden) option.hideHelp();
  return option;
}

function addWords(command: Command, { summary, description }: CommandRow | CommandGroup): Command {
  return command.summary(summary).description(description);
}

/**
 * An empty argument is a variable that was not set, too: as a path it would be the working directory with all that is in it. A
 * command for a host may have any arguments.
 */
function refuseEmpty(row: CommandRow, called: string, values: readonly unknown[]): void {
  for (const [index, { name }] of (row.arguments ?? []).entries())
    if (!name.startsWith('<command') && [values[index]].flat().includes(''))
      throw new NetrigError('NETRIG_USAGE', `argument '${name.replace(/[<>[\].]/g, '')}' is empty.`, {
        hint: `\`${called} --help\` says what there is.`,
      });
}

/** @param act Called with the command's arguments, then its options' values. */
function addCommand(parent: Command, row: CommandRow, act: (values: unknown[]) => Promise<void>): void {
  const command = addWords(parent.command(row.name), row);
  for (const argument of row.arguments ?? []) command.argument(argument.name, argument.description, argument.default);
  for (const option of Object.values<OptionRow>(row.options)) command.addOption(optionOf(option));
  if (row.passThrough) command.passThroughOptions();
  // Commander appends itself after the declared arguments and flags.
  command.action(async (...values: unknown[]) => {
    const called = [parent.parent?.name(), parent.name(), row.name].filter((name) => name !== undefined).join(' ');
    refuseEmpty(row, called, values);
    await act(values.slice(0, -1));
  });
}

/**
 * The command line as the table of commands has it: parsing, `--help` and `docs/cli.md` come from it. Each handler gives the
 * exit status.
 */
export function buildProgram(version: string, handlers: Handlers, setStatus: (status: number) => void): Command {
  const program = new Command('netrig')
    .description(
      'Brings up a network lab of real hosts from one YAML scenario, applies its steps, proves what is reachable, and says why when it is not.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      `
Exit status: 0 all passed (skipped checks are named), 1 something failed or could not be known,
2 wrong usage or scenario, 3 the lab or its provider broke, 130 interrupted.

Start with:  netrig init && netrig run`,
    );

  const add = (parent: Command, row: CommandRow): void =>
    addCommand(parent, row, async (values) => {
      const handler = handlers[row.runs] as (...values: unknown[]) => Promise<number>;
      setStatus(await handler(...values));
    });
  for (const row of commandTable) {
    if (!('commands' in row)) add(program, row);
    else {
      const group = addWords(program.command(row.name), row);
      for (const one of row.commands) add(group, one);
    }
  }
  return program;
}
