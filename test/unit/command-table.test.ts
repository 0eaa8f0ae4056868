import { expect } from 'chai';
import { Option } from 'commander';
import { commandTable, type CommandRow, type OptionRow } from '../../src/cli/command-table.js';
import { buildProgram, type Handlers } from '../../src/cli/program.js';

const rows: CommandRow[] = commandTable.flatMap((row) => ('commands' in row ? row.commands : [row]));

/** What a command line calls: the handler's name and what it is given. */
async function called(...words: string[]): Promise<{ name: string; given: unknown[]; status: number }> {
  let call: { name: string; given: unknown[] } | null = null;
  let status = -1;
  const handlers = new Proxy(
    {},
    {
      get:
        (_, name) =>
        async (...given: unknown[]) => ((call = { name: String(name), given }), 7),
    },
  );
  await buildProgram('0', handlers as Handlers, (value) => (status = value)).parseAsync(words, { from: 'user' });
  return { ...(call as unknown as { name: string; given: unknown[] }), status };
}

describe('The table of commands', () => {
  it('names each option by the flag that its handler reads', () => {
    for (const row of rows)
      for (const [flag, option] of Object.entries<OptionRow>(row.options))
        expect(new Option(option.flags).attributeName(), `${row.name} ${option.flags}`).to.equal(flag);
  });

  it('has each handler once, no two options of a command with the same name', () => {
    expect(new Set(rows.map((row) => row.runs)).size).to.equal(rows.length);
    for (const row of rows) {
      const options = Object.values<OptionRow>(row.options).map(({ flags }) => new Option(flags));
      const names = options.flatMap(({ short, long }) => [short, long]).filter((name) => name !== undefined);
      expect(names, row.name).to.deep.equal([...new Set(names)]);
      expect(row.summary, row.name).to.match(/^[^A-Z].*[^.]$/);
      expect(row.description, row.name).to.match(/^[A-Z]/);
    }
  });

  it('gives handlers the arguments, then the values of the options, and takes their exit status', async () => {
    expect(await called('images', 'build', 'debian-12', '--force')).to.deep.equal({
      name: 'imagesBuild',
      given: [['debian-12'], { force: true }],
      status: 7,
    });
    expect(await called('up', 'one.yaml', '--no-steps')).to.deep.equal({
      name: 'up',
      given: ['one.yaml', { isolation: 'auto', steps: false }],
      status: 7,
    });
    expect(await called('mutate', 'a', '-m', 'image=x,y', '-m', 'image=z', '-u', '2')).to.deep.equal({
      name: 'mutate',
      given: [['a'], { matrix: { image: ['x', 'y', 'z'] }, untilNoticed: 2 }],
      status: 7,
    });
    // What stands after the endpoint is the command's own.
    expect(await called('exec', '-l', 'x', 'h', 'ls', '-i', '--timeout')).to.deep.equal({
      name: 'exec',
      given: ['h', ['ls', '-i', '--timeout'], { lab: 'x' }],
      status: 7,
    });
  });
});
