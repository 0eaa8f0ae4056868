import { expect } from 'chai';
import { formatDiagnostics } from '../../src/scenario/diagnostic.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { ospfLab, overlayLab, randomFaults } from '../campaigns/random-faults.js';

describe('Faults at random', () => {
  for (const [name, lab] of [
    ['ospf', ospfLab],
    ['overlay', overlayLab],
  ] as const)
    it(`${name}: a hundred rounds are a valid scenario, the same for the same seed`, () => {
      const text = randomFaults(lab, { rounds: 100, seed: 1 });
      expect(formatDiagnostics(loadScenarioText(text, '/labs/random.yaml').diagnostics)).to.equal('');
      expect(randomFaults(lab, { rounds: 100, seed: 1 })).to.equal(text);
      expect(randomFaults(lab, { rounds: 100, seed: 2 })).not.to.equal(text);
      for (const kind of ['cut:', 'partition:', 'loss:', 'poweroff:', 'as: silence', 'has no way', 'finds a way'])
        expect(text).to.contain(kind);
    });
});
