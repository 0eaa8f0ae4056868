import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { buildProgram, type Handlers } from '../../src/cli/program.js';
import { formatDiagnostics, loadScenarioText } from '../../src/scenario/load.js';
import { readClass } from '../../src/classroom/class-file.js';
import { readInventory } from '../../src/scenario/inventory.js';
import { anchorsOf, commandsOf, page, pages, type Page } from '../pages.js';

const root = join(import.meta.dirname, '..', '..', '..');
const written = pages().filter(({ text }) => !/^(<!-- )?Generated (from|by) /m.test(text));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Where a link of a page leads, and the anchor there; nothing for addresses outside of the project. */
function linksOf({ path, text }: Page): { target: string; anchor: string }[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [file, anchor = ''] = link.split('#') as [string, string?];
      return { target: file === '' ? path : normalize(join(dirname(path), file)), anchor };
    });
}

/** Whether a file has that heading or, by `L12`, that line. */
function hasPlace(path: string, anchor: string): boolean {
  if (anchor === '') return true;
  const [, line] = /^L(\d+)$/.exec(anchor) ?? [];
  if (line) return readFileSync(join(root, path), 'utf8').split('\n').length > Number(line);
  return anchorsOf(page(path)).has(anchor);
}

/** The command line as the program takes it; throws what is wrong with it. */
async function parsed(line: string): Promise<string[]> {
  const called: string[] = [];
  const handlers = new Proxy({}, { get: (_, name) => async () => (called.push(String(name)), 0) }) as Handlers;
  const program = buildProgram('0', handlers, () => undefined);
  const commands = (from: typeof program): (typeof program)[] =>
    [from, ...from.commands.flatMap(commands as never)] as never;
  for (const command of commands(program)) command.exitOverride().configureOutput({ writeErr: () => undefined });
  await program.parseAsync(line.split(/\s+/), { from: 'user' });
  return called;
}

/** A scenario, or part of one with what it needs to be whole. */
function whole(text: string, top: string[], hosts: readonly string[]): string {
  const rest = {
    scenario: 'part',
    title: 'Part of a scenario',
    hosts: '{ server: }',
    steps: `[{ on: ${hosts[0] ?? 'server'}, run: "true" }]`,
  };
  if (top.includes('scenario') || top.includes('shared')) return text;
  return Object.entries(rest)
    .filter(([key]) => !top.includes(key))
    .reduce((all, [key, value]) => `${all}\n${key}: ${value}`, text.trimEnd());
}

/** Programs that a reader has, or is told to install, beside netrig. */
const otherPrograms =
  /^(cd|git|export|apt-get|docker|vagrant|systemctl|tail|npm (ci|install|i|pack)|npx (mocha|tsc)|node|XDG_\w+=\S+ )\b/;

describe('Pages', () => {
  it('are found', () => {
    expect(written.map(({ path }) => path)).to.include.members(['README.md', 'docs/ci.md', 'docs/ssh.md']);
  });

  for (const one of pages())
    it(`${one.path}: its links lead to what is there`, () => {
      const broken = linksOf(one).filter(
        ({ target, anchor }) => !existsSync(join(root, target)) || !hasPlace(target, anchor),
      );
      expect(broken).to.deep.equal([]);
      expect(one.text, 'a link with two ends').not.to.match(/\]\([^)\n]*\)\(/);
    });

  for (const one of written) {
    it(`${one.path}: every block says what it is`, () => {
      const words = ['sh', 'yaml', 'ts', 'json', 'text', 'mermaid', 'console'];
      expect(one.blocks.filter(({ language }) => !words.includes(language))).to.deep.equal([]);
    });

    it(`${one.path}: its commands are commands`, async () => {
      const wrong: string[] = [];
      for (const { command: line } of one.blocks.filter(({ language }) => language === 'sh').flatMap(commandsOf)) {
        const [, ours] = /^(?:\w+=\S+ )*(?:npx )?netrig\b ?(.*)$/.exec(line) ?? [];
        const [, script] = /^npm (?:run )?([\w:]+)/.exec(line) ?? [];
        if (ours !== undefined) {
          const called = await parsed(ours).catch((error: Error) => (wrong.push(`${line}: ${error.message}`), null));
          if (called?.length === 0) wrong.push(`${line}: nothing is called`);
        } else if (!otherPrograms.test(line) && !(script && Object.hasOwn(scripts, script))) wrong.push(line);
      }
      expect(wrong).to.deep.equal([]);
    });

    it(`${one.path}: its scenarios are valid`, () => {
      const wrong = one.blocks
        .filter(({ language }) => language === 'yaml')
        .flatMap(({ text }) => {
          const value = parse(text) as unknown;
          const top = Object.keys(value as object);
          if (top.includes('machines')) return readInventory(text, one.path).diagnostics.map(({ message }) => message);
          // Under the name of a file that is not there: what a page names beside a scenario is not there either.
          // CI recipes have a test of their own (docs-ci.test.ts).
          if (top.includes('jobs') || top.includes('labs')) return [];
          // The scenarios and the roster that a class names are not there: its keys are judged, not its files.
          if (top.includes('class'))
            return readClass(text, one.path)
              .diagnostics.map(({ message }) => message)
              .filter((message) => message.startsWith('unknown key'));
          const hosts = Object.keys((value as { hosts?: object }).hosts ?? {});
          return formatDiagnostics(loadScenarioText(whole(text, top, hosts), `${one.path}.yaml`).diagnostics) || [];
        });
      expect(wrong).to.deep.equal([]);
    });
  }
});
