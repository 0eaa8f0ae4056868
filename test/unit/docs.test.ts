import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { commandTable } from '../../src/cli/command-table.js';
import { generatedFiles } from '../../src/docs/generated-files.js';
import { errorCatalogue } from '../../src/errors.js';
import { sourceFiles } from './source-files.js';

const root = join(import.meta.dirname, '..', '..', '..');

describe('Generated files', () => {
  for (const { path, content } of generatedFiles()) {
    it(`${path} is what the code says (npm run docs)`, () => {
      expect(readFileSync(join(root, path), 'utf8') === content, `${path} is stale: run \`npm run docs\``).to.equal(
        true,
      );
    });
  }
});

describe('The error catalogue', () => {
  it('has no code that nothing raises', () => {
    const text = sourceFiles(join(root, 'src'))
      .filter(({ path }) => !path.endsWith('src/errors.ts'))
      .map(({ text }) => text)
      .join('\n');
    const unused = Object.keys(errorCatalogue).filter((code) => !text.includes(`'${code}'`));
    expect(unused).to.deep.equal([]);
  });
});

describe('Lists in the documents', () => {
  it('README.md names every command, and no other', () => {
    const text = readFileSync(join(root, 'README.md'), 'utf8');
    const listed = /## Commands\n\n([^:]*):/.exec(text)?.[1]?.match(/(?<=`)[a-z]+(?=`)/g) ?? [];
    expect(listed.toSorted()).to.deep.equal(commandTable.map(({ name }) => name).toSorted());
  });

  it('docs/README.md leads to every page', () => {
    const text = readFileSync(join(root, 'docs', 'README.md'), 'utf8');
    const pages = readdirSync(join(root, 'docs')).filter((one) => one.endsWith('.md') && one !== 'README.md');
    expect(pages.filter((page) => !text.includes(`](${page})`))).to.deep.equal([]);
  });
});
