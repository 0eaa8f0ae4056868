import { expect } from 'chai';
import { page } from '../pages.js';
import { leftovers, workDirectory } from './netrig-command.js';
import { walk } from './walk.js';

describe('docs/your-first-lab.md', function () {
  this.timeout(300_000);

  it('goes as it says, from the first line to the last', async () => {
    const guide = page('docs/your-first-lab.md');
    const [, saveAs] = /Save this as `([^`]+)`/.exec(guide.text)!;
    const { dir, remove } = workDirectory();
    const done = await walk(guide.blocks, dir, saveAs!);
    const said = (part: string): string => done.filter(({ command }) => command.includes(part)).at(-1)!.output;
    expect(said('mutate'))
      .to.match(/3 noticed/)
      .and.match(/survived .*ip_forward/);
    // The break, seen by the run, and the wall put up again in the lab that is up.
    expect(said('netrig run')).to.contain('The visitor does not');
    expect(said('netrig check')).to.match(/All \d+ checks passed/);
    expect(leftovers('shop-')).to.deep.equal([]);
    remove();
  });
});
