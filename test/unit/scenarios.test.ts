import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import { loadCatalogue, loadUncovered } from '../../src/scenario/catalogue.js';
import { findScenarioFiles, formatDiagnostics, loadScenarioFiles } from '../../src/scenario/load.js';

const root = join(import.meta.dirname, '..', '..', '..');
const scenarios = join(root, 'scenarios');
/** Each in the folder of its topic. A file beside the folders is somebody's own, as `netrig init` writes one. */
const labFiles = (): Promise<string[]> =>
  findScenarioFiles(
    readdirSync(scenarios, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(scenarios, name)),
  );

describe('The labs that come with netrig', function () {
  this.timeout(60_000);

  it('are valid, and each makes checks', async () => {
    const loaded = await loadScenarioFiles(await labFiles());
    expect(formatDiagnostics(loaded.flatMap((one) => one.diagnostics))).to.equal('');
    expect(loaded.length).to.be.greaterThan(10);
    const without = loaded
      .flatMap((one) => one.scenarios)
      .filter((scenario) => !scenario.items.some((item) => item.kind === 'check'));
    expect(without.map((scenario) => scenario.id)).to.deep.equal([]);
  });

  it('cover each item of the catalogue by a check, or say why none can', async () => {
    const loaded = await loadScenarioFiles(await labFiles());
    const covered = new Set(
      loaded.flatMap((one) =>
        one.scenarios.flatMap((scenario) =>
          scenario.items.flatMap((item) => (item.kind === 'check' ? item.covers : [])),
        ),
      ),
    );
    const { catalogue, diagnostics } = loadCatalogue(scenarios)!;
    expect(formatDiagnostics(diagnostics)).to.equal('');
    const uncovered = loadUncovered(scenarios, catalogue, (id) => (covered.has(id) ? 'a check' : null));
    expect(formatDiagnostics(uncovered.diagnostics)).to.equal('');
    const ids = [...catalogue.items.keys()];
    expect(ids.filter((id) => !covered.has(id) && !uncovered.reasons.has(id))).to.deep.equal([]);
    expect(ids.filter((id) => covered.has(id)).length).to.be.at.least(400);
  });

  it('have each been mutated, and two mutations at least were noticed (docs/mutation.md)', async () => {
    const page = readFileSync(join(root, 'docs', 'mutation.md'), 'utf8');
    const sections = page.split(/^## /m).slice(1);
    const lacking = (await labFiles()).flatMap((file) => {
      const name = relative(root, file);
      // `netrig prove` takes every line of their solutions out (test/lab/exercises.test.ts).
      if (name.startsWith('scenarios/exercises/')) return [];
      const own = sections.filter((section) => section.includes(`](../${name}#L1)`));
      const noticed = own.map((section) =>
        Number(/(\d+) noticed by a check/.exec(section)?.[1] ?? (section.includes('Skipped here') ? 2 : 0)),
      );
      return noticed.length > 0 && noticed.every((count) => count >= 2)
        ? []
        : [`${name}: run netrig mutate scenarios --until-noticed 2 --write docs/mutation.md`];
    });
    expect(lacking).to.deep.equal([]);
  });
});
