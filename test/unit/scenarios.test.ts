import { join } from 'node:path';
import { expect } from 'chai';
import { findScenarioFiles, formatDiagnostics, loadScenarioFiles } from '../../src/scenario/load.js';

const scenarios = join(import.meta.dirname, '..', '..', '..', 'scenarios');

describe('The labs that come with netrig', () => {
  it('are valid, and each makes checks', async () => {
    const loaded = await loadScenarioFiles(await findScenarioFiles([scenarios]));
    expect(formatDiagnostics(loaded.flatMap((one) => one.diagnostics))).to.equal('');
    expect(loaded.length).to.be.greaterThan(10);
    const without = loaded.flatMap((one) => one.scenarios).filter((scenario) => !scenario.items.some((item) => item.kind === 'check'));
    expect(without.map((scenario) => scenario.id)).to.deep.equal([]);
  });
});
