import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { page } from '../pages.js';
import { latestEvents, leftovers, netrig, workDirectory } from './netrig-command.js';

describe('docs/cookbook.md', function () {
  this.timeout(300_000);

  it('has recipes of which every step and check passes', async () => {
    const recipes = page('docs/cookbook.md').blocks.filter(({ language }) => language === 'yaml');
    const { dir, remove } = workDirectory();
    const names = recipes.map(({ text }) => (parse(text) as { scenario: string }).scenario);
    recipes.forEach(({ text }, at) => writeFileSync(join(dir, `${names[at]}.yaml`), text));
    const run = await netrig(['run', '.', '-j', '2'], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    const events = latestEvents(dir).filter(({ type }) => type === 'item:end');
    const shown = new Set(events.map(({ scenario }) => String(scenario).replace(/\[.*/, '')));
    expect([...shown].sort()).to.deep.equal([...names].sort());
    // What one engine leaves out another has shown.
    const left = events
      .map(({ outcome }) => outcome as { verdict: string; reason: string })
      .filter(({ verdict }) => verdict !== 'pass')
      .map(({ reason }) => reason);
    expect(left.filter((reason) => !/^only for engine /.test(reason))).to.deep.equal([]);
    for (const name of names) expect(leftovers(`${name}-`), name).to.deep.equal([]);
    remove();
  });
});
