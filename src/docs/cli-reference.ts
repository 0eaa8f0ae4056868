import type { Command } from 'commander';
import { buildProgram, type Handlers } from '../cli/program.js';

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function commandSection(command: Command, path: string): string {
  const parts = [`## \`${path}\``, '', command.description(), ''];
  const help = command.createHelp();
  const usage = `${path} ${command.usage()}`.trim();
  if (command.commands.length === 0) parts.push('```', usage, '```', '');
  const args = help.visibleArguments(command);
  if (args.length > 0) {
    parts.push('| Argument | Meaning |', '| --- | --- |');
    for (const one of args) parts.push(`| \`${cell(help.argumentTerm(one))}\` | ${cell(help.argumentDescription(one))} |`);
    parts.push('');
  }
  const options = help.visibleOptions(command).filter((one) => one.long !== '--help');
  if (options.length > 0) {
    parts.push('| Option | Meaning |', '| --- | --- |');
    for (const one of options) parts.push(`| \`${cell(help.optionTerm(one))}\` | ${cell(help.optionDescription(one))} |`);
    parts.push('');
  }
  return [parts.join('\n'), ...command.commands.map((one) => commandSection(one, `${path} ${one.name()}`))].join('\n');
}

/** `docs/cli.md`: every command with its arguments and options, from the definition that parses them. */
export function cliReferenceMarkdown(): string {
  // Only the definition is read here; nothing is called.
  const program = buildProgram('', {} as Handlers, () => undefined);
  return `# Command line

Generated from \`src/cli/command-table.ts\` by \`npm run docs\`.

Exit status of every command: 0 all passed (skipped checks are named), 1 something failed or could not be known, 2 wrong usage or scenario, 3 the lab or its provider broke, 130 interrupted. \`netrig exec\` and \`netrig ssh\` end with the status of the command or shell, \`netrig exec\` with 124 when its time was over.

${program.commands.map((one) => commandSection(one, `netrig ${one.name()}`)).join('\n')}`.trimEnd() + '\n';
}
