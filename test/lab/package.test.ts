import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { root, start, workDirectory } from './netrig-command.js';

describe('The package', function () {
  this.timeout(180_000);

  it('installed elsewhere from npm pack, its netrig runs the scenario that init writes', async () => {
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
    const netrig = join(dir, 'node_modules', '.bin', 'netrig');
    expect((await start(netrig, ['init'], { cwd: dir }).ended).status).to.equal(0);
    const run = await start(netrig, ['run', '--no-allure-report'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    const imported = await start(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        'import { Lab } from "netrig"; import { netrigChai } from "netrig/chai"; console.log(typeof Lab.up, typeof netrigChai)',
      ],
      { cwd: dir },
    ).ended;
    expect(imported.stdout).to.equal('function function\n');
    remove();
  });

  it('holds what it needs and no tests', async () => {
    const listed = await start('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root }).ended;
    const parsed = JSON.parse(listed.stdout.slice(listed.stdout.search(/^[[{]/m))) as unknown;
    const files = JSON.stringify(parsed);
    for (const wanted of [
      'dist/src/cli/main.js',
      'dist/src/index.d.ts',
      'schema/scenario.schema.json',
      'scenarios/overlay/consul.yaml',
    ])
      expect(files).to.contain(wanted);
    expect(files).not.to.contain('dist/test').and.not.to.contain('/fixtures/');
  });
});
