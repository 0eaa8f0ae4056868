import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { init } from '../../src/cli/commands/init.js';
import { isNetrigError } from '../../src/errors.js';
import { formatDiagnostics, loadScenarioFiles } from '../../src/scenario/load.js';

describe('netrig init', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-init-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  for (const [said, written] of [
    ['a directory', 'scenarios/first.yaml'],
    ['the file', 'labs/mine.yaml'],
    ['the file, with the other ending', 'mine.YML'],
  ] as const) {
    it(`writes a scenario that is valid and tells its own path, where ${said} was named`, async () => {
      const file = join(directory, written);
      expect(await init(said === 'a directory' ? directory : file, {})).to.equal(0);
      const [loaded] = await loadScenarioFiles([file]);
      expect(formatDiagnostics(loaded!.diagnostics)).to.equal('');
      expect(loaded!.scenarios.map(({ id }) => id)).to.deep.equal(['first']);
      expect(readFileSync(file, 'utf8')).to.match(new RegExp(`netrig run \\S*${written}\n`));
    });
  }

  it('writes over nothing unless told to', async () => {
    await init(directory, {});
    const file = join(directory, 'scenarios', 'first.yaml');
    const error: unknown = await init(directory, {}).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(isNetrigError(error, 'NETRIG_USAGE'), String(error)).to.equal(true);
    expect(await init(file, { force: true })).to.equal(0);
    expect(readdirSync(join(directory, 'scenarios'))).to.deep.equal(['first.yaml']);
  });
});
