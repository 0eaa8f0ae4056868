import { join } from 'node:path';
import { expect } from 'chai';
import { latestEvents, latestOutcomes, netrig, root, workDirectory } from './netrig-command.js';

/** Labs that come with netrig and that no other test runs, one for each way in which a host gets what is not in its image. */
const labs = ['containers/compose-app', 'services/dhcp-relay', 'firewall/zones'];

describe('Labs that come with netrig', function () {
  this.timeout(300_000);

  it(`hold what they say: ${labs.join(', ')}`, async () => {
    const { dir, remove } = workDirectory();
    const files = labs.map((name) => join(root, 'scenarios', `${name}.yaml`));
    const run = await netrig(['run', '--jobs', '2', '--matrix', 'image=debian-12', ...files], { cwd: dir }).ended;
    expect(run.status, run.stdout + run.stderr).to.equal(0);
    const outcomes = latestOutcomes(dir);
    expect(outcomes.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
    const planned = latestEvents(dir).flatMap((event) =>
      event['type'] === 'scenario:start' ? [(event['planned'] as unknown[]).length] : [],
    );
    expect(planned).to.have.length(labs.length);
    expect(outcomes.length).to.equal(planned.reduce((sum, count) => sum + count, 0));
    remove();
  });
});
