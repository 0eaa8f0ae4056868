import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { commandsOf, page, type Page } from '../pages.js';
import { leftovers, netrig, root, start, workDirectory } from './netrig-command.js';
import { section, walk } from './walk.js';

const readme = page('README.md');

/** What a page says that `tsconfig.json` holds. */
function compilerOptions({ blocks }: Page): Record<string, unknown> {
  const config = blocks.find(({ language, text }) => language === 'json' && text.includes('compilerOptions'))!;
  return (JSON.parse(config.text) as { compilerOptions: Record<string, unknown> }).compilerOptions;
}

describe('README.md', function () {
  this.timeout(180_000);

  it('tells commands that work, with the lab of netrig init', async () => {
    const { dir, remove } = workDirectory();
    const done = await walk(
      section(readme, '## A lab of your own').filter(({ language }) => language === 'sh'),
      dir,
      'unused',
    );
    expect(done.map(({ command }) => command.split(' ')[2])).to.deep.equal([
      'init',
      'run',
      'up',
      'exec',
      'ssh',
      'down',
    ]);
    expect(done[3]!.output).to.match(/^web on /);
    expect(leftovers('first-')).to.deep.equal([]);
    remove();
  });

  it('shows a scenario that passes', async () => {
    const [scenario] = section(readme, '## A lab of your own').filter(({ language }) => language === 'yaml');
    const { dir, remove } = workDirectory({ 'shown.yaml': scenario!.text });
    const run = await netrig(['run', 'shown.yaml'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    remove();
  });

  it('tells a line for stock Mocha that works in the clone', async () => {
    const { command } = section(readme, '## Commands').flatMap(commandsOf)[1]!;
    // The folder of scenarios is another one: all of those in the clone would take minutes.
    const { dir, remove } = workDirectory();
    await netrig(['init', dir], { cwd: dir }).ended;
    const line = command.replace(/ scenarios$/, ` ${join(dir, 'scenarios')}`);
    expect(line).not.to.equal(command);
    const ran = await start('sh', ['-c', line], { cwd: root }).ended;
    expect(ran.status, ran.stdout + ran.stderr).to.equal(0);
    expect(ran.stdout).to.match(/[1-9]\d* passing/);
    remove();
  });
});

describe('Programs of README.md and docs/typescript.md', function () {
  this.timeout(180_000);
  const guide = page('docs/typescript.md');
  // In the project, so that `netrig` leads to it as it does in a clone.
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(root, 'dist', 'programs-'));
    mkdirSync(join(dir, 'scenarios'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('compile with the tsconfig.json that is told, run, and end well', async () => {
    expect((await netrig(['init'], { cwd: dir }).ended).status).to.equal(0);
    const programs = [readme, guide].flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'ts'));
    expect(programs).to.have.length(3);
    programs.forEach(({ text }, at) => writeFileSync(join(dir, `program-${at}.ts`), text));
    const options = compilerOptions(guide);
    // The last is a test file of Mocha's.
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...options, types: [...(options['types'] as string[]), 'mocha'] } }),
    );
    const compiler = join(root, 'node_modules', 'typescript-native', 'bin', 'tsc');
    const compiled = await start(process.execPath, [compiler, '-p', '.'], { cwd: dir }).ended;
    expect(compiled.status, compiled.stdout + compiled.stderr).to.equal(0);
    for (const [at, last] of [
      [0, /^pass /m],
      [1, /^pass /m],
    ] as const) {
      const ran = await start(process.execPath, [`program-${at}.js`], { cwd: dir }).ended;
      expect(ran.status, ran.stdout + ran.stderr).to.equal(0);
      expect(ran.stdout).to.match(last);
    }
    const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
    const tested = await start(process.execPath, [mocha, 'program-2.js'], { cwd: dir }).ended;
    expect(tested.status, tested.stdout + tested.stderr).to.equal(0);
    expect(tested.stdout).to.contain('1 passing');
    expect(leftovers('first-')).to.deep.equal([]);
  });
});
