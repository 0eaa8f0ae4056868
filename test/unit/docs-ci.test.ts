import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { buildProgram, type Handlers } from '../../src/cli/program.js';

const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'ci.md'), 'utf8');
const blocks = [...page.matchAll(/```(\w*)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
  language: language!,
  text: text!,
}));

/** Every `npx netrig …` of the page, with the CI systems' own variables replaced by what they stand for. */
const commands = blocks.flatMap(({ text }) =>
  [...text.matchAll(/npx netrig (.+)/g)].map(([, rest]) =>
    rest!.replace('${{ matrix.part }}', '1').replace('$CI_NODE_INDEX', '1').replace('$CI_NODE_TOTAL', '2').trim(),
  ),
);

describe('docs/ci.md', () => {
  it('has recipes that are YAML', () => {
    const recipes = blocks.filter(({ language }) => language === 'yaml').map(({ text }) => parse(text) as object);
    expect(recipes.map((recipe) => Object.keys(recipe))).to.deep.equal([['name', 'on', 'jobs'], ['labs']]);
  });

  it('uses commands and options that there are', async () => {
    expect(commands).to.have.length.of.at.least(6);
    for (const line of commands) {
      const called: string[] = [];
      const handlers = new Proxy({}, { get: (_, name) => async () => (called.push(String(name)), 0) }) as Handlers;
      const program = buildProgram('0', handlers, () => undefined);
      for (const command of [program, ...program.commands])
        command.exitOverride().configureOutput({ writeErr: () => undefined });
      await program.parseAsync(line.split(' '), { from: 'user' });
      expect(called, line).to.have.length(1);
    }
  });
});
