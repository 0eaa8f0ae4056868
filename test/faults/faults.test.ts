import { expect } from 'chai';
import type { Lab } from '../../src/api/lab.js';
import { faults, labs } from './faults.js';
import { labUp, plantAndAsk } from './plant.js';

/** Of all faults, how many must be named; nothing false may be said of any. */
const share = 0.95;

describe('Planted faults', function () {
  this.timeout(120_000);
  const missed: string[] = [];
  for (const name of Object.keys(labs)) {
    describe(name, () => {
      let lab: Lab;
      before(async () => {
        lab = await labUp(name);
      });
      after(() => lab.down());
      for (const fault of faults.filter((one) => one.lab === name)) {
        it(fault.name, async () => {
          const { named, words } = await plantAndAsk(lab, fault);
          if (!named) missed.push(`${fault.name}: ${words}`);
        });
      }
    });
  }
  it(`are named in at least ${100 * share} of 100`, () => {
    expect(faults.length).to.be.at.least(60);
    expect(missed.length, missed.join('\n')).to.be.at.most(Math.floor((1 - share) * faults.length));
  });
});
