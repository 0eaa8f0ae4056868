import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import { loadScenarioFiles } from '../../src/scenario/load.js';
import { surveyFiles } from '../../src/scenario/survey.js';

const scenario = (name: string, address = '10.0.0.2'): string => `scenario: ${name}
title: Two hosts
hosts: { a: { image: debian-12 }, b: { image: debian-12 } }
segments:
  lan: { subnet: 10.0.0.0/24, hosts: { a: 10.0.0.1, b: ${address} } }
steps:
  - check: a reaches b
    ping: { from: a, to: b }
  - check: b reaches a
    ping: { from: b, to: a }
`;

describe('many scenario files at once', () => {
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), 'netrig-survey-'))));
  after(() => rmSync(directory, { recursive: true }));

  /** Sixty: of them every seventh has a mistake, and number 40 the name of number 3. */
  const files = (): string[] =>
    Array.from({ length: 60 }, (_, index) => {
      const file = join(directory, `${index}.yaml`);
      writeFileSync(file, scenario(index === 40 ? 'lab-3' : `lab-${index}`, index % 7 === 0 ? '10.9.0.2' : undefined));
      return file;
    });

  for (const threads of [1, 3])
    it(`say what one after the other say, in ${threads === 1 ? 'one thread' : `${threads} threads`}`, async () => {
      const all = files();
      const loaded = await loadScenarioFiles(all, { environment: null });
      const surveys = await surveyFiles(all, threads);
      expect(surveys.map(({ nameAt, ...one }) => one)).to.deep.equal(
        loaded.map(({ file, name, scenarios, diagnostics, hints }) => ({
          file,
          name,
          scenarios: scenarios.length,
          checks: 2 * scenarios.length,
          diagnostics,
          hints,
        })),
      );
      expect(surveys.filter((one) => one.diagnostics.length > 0).map((one) => all.indexOf(one.file))).to.deep.equal([
        0, 7, 14, 21, 28, 35, 40, 42, 49, 56,
      ]);
      expect(surveys[40]!.diagnostics[0]!.message).to.match(/3\.yaml has a scenario of the name lab-3 already$/);
    });

  for (const threads of [1, 3])
    it(`name the first that cannot be read (${threads})`, async () => {
      const all = files();
      all.splice(50, 0, join(directory, 'second-missing.yaml'));
      all.splice(30, 0, join(directory, 'first-missing.yaml'));
      const error: unknown = await surveyFiles(all, threads).catch((one: unknown) => one);
      expect(isNetrigError(error, 'NETRIG_SCENARIO_READ')).to.equal(true);
      expect((error as Error).message).to.contain('first-missing.yaml');
    });
});
