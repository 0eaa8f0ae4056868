import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { commandsOf, page } from '../pages.js';
import { leftovers, root, start, workDirectory } from './netrig-command.js';
import { section } from './walk.js';

describe('The package', function () {
  this.timeout(600_000);

  it('installed elsewhere from npm pack, what README.md tells to type works', async () => {
    const { dir, remove } = workDirectory({ 'package.json': '{ "name": "elsewhere", "private": true }' });
    const packed = await start('npm', ['pack', '--pack-destination', dir, '--ignore-scripts'], { cwd: root }).ended;
    expect(packed.status, packed.stderr).to.equal(0);
    const archive = readdirSync(dir).find((name) => name.endsWith('.tgz'))!;
    const installed = await start(
      'npm',
      ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', join(dir, archive)],
      { cwd: dir },
    ).ended;
    expect(installed.status, installed.stderr).to.equal(0);
    const readme = page('README.md');
    const own = section(readme, '## A lab of your own').find(({ language }) => language === 'sh')!;
    for (const { command } of commandsOf(own)) {
      const typed = await start('sh', ['-c', command], { cwd: dir }).ended;
      expect(typed.status, `${command}\n${typed.stdout}${typed.stderr}`).to.equal(0);
      if (command.includes(' exec ')) expect(typed.stdout).to.match(/^web on /);
    }
    const [mocha] = section(readme, '## Commands').flatMap(commandsOf);
    const ran = await start('sh', ['-c', mocha!.command], { cwd: dir }).ended;
    expect(ran.status, ran.stdout + ran.stderr).to.equal(0);
    expect(ran.stdout).to.match(/[1-9]\d* passing/);
    expect(leftovers('first-')).to.deep.equal([]);
    remove();
  });

  it('holds what it needs and no tests', async () => {
    const listed = await start('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root }).ended;
    const parsed = JSON.parse(listed.stdout.slice(listed.stdout.search(/^[[{]/m))) as unknown;
    const files = JSON.stringify(parsed);
    for (const wanted of [
      'dist/program/cli/main.js',
      'dist/src/index.d.ts',
      'schema/scenario.schema.json',
      'scenarios/overlay/consul.yaml',
    ])
      expect(files).to.contain(wanted);
    expect(files).not.to.contain('dist/test').and.not.to.contain('/fixtures/');
  });
});
