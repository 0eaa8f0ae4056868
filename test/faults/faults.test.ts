import { expect } from 'chai';
import type { Lab } from '../../src/api/lab.js';
import { families } from './faults.js';
import { CannotPlant, askBesides, labUp, plantAndAsk } from './plant.js';
import { missingHere } from './needs.js';

/** Of all faults, how many must be named; nothing false may be said of any. */
const share = 0.95;

/** `FAULTS_TELL=1`: what is said of each, as it is said. */
const tell = process.env.FAULTS_TELL === '1' ? (line: string): void => void process.stdout.write(`${line}\n`) : null;

describe('Planted faults', function () {
  this.timeout(120_000);
  const missed: string[] = [];
  let planted = 0;
  for (const family of families) {
    describe(family.name, () => {
      let lab: Lab | null = null;
      before(async function () {
        const missing = await missingHere(family.needs ?? []);
        if (missing !== null) {
          this.test!.title = `this machine lacks ${missing}`;
          this.skip();
        }
        lab = await labUp(family);
      });
      after(() => lab?.down());
      for (const fault of family.faults) {
        it(fault.name, async function () {
          const told = await plantAndAsk(lab!, fault).catch((error: unknown) => {
            if (error instanceof CannotPlant) return null;
            throw error;
          });
          if (told === null) {
            this.test!.title += ` (this kernel lacks ${fault.needs!})`;
            this.skip();
          }
          planted += 1;
          const { named, root, words } = told;
          tell?.(`        ${root ?? '–'}: ${words}`);
          if (!named) missed.push(`${family.name}, ${fault.name}: ${words}`);
        });
      }
      for (const harmless of family.harmless ?? [])
        it(`takes for no fault: ${harmless.name}`, async () => {
          const words = await askBesides(lab!, harmless);
          tell?.(`        ${harmless.root ?? '–'}: ${words}`);
        });
    });
  }
  it(`are named in at least ${100 * share} of 100`, () => {
    expect(families.flatMap(({ faults }) => faults).length).to.be.at.least(120);
    expect(missed.length, missed.join('\n')).to.be.at.most(Math.floor((1 - share) * planted));
  });
});
