import { expect } from 'chai';
import { ospfLab, overlayLab, randomFaults } from '../campaigns/random-faults.js';
import { leftovers, netrig, workDirectory } from './netrig-command.js';

/** A short round of `npm run campaign -- faults`. */
describe('Faults at random', function () {
  this.timeout(600_000);

  for (const [name, lab] of [
    ['ospf', ospfLab],
    ['overlay', overlayLab],
  ] as const)
    it(`${name}: each is healed, all verdicts are right, and nothing is left`, async () => {
      const { dir, remove } = workDirectory({ 'lab.yaml': randomFaults(lab, { rounds: 4, seed: 7 }) });
      const run = await netrig(['run', 'lab.yaml'], { cwd: dir }).ended;
      expect(run.status, run.stdout + run.stderr).to.equal(0);
      expect(leftovers(`random-faults-${name}`)).to.deep.equal([]);
      remove();
    });
});
