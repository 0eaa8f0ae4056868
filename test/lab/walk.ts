import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { commandsOf, type Block, type Page } from '../pages.js';
import { netrig } from './netrig-command.js';

/** The section of a page below one heading, as blocks. */
export function section(page: Page, heading: string): Block[] {
  const lines = page.text.split('\n');
  const from = lines.indexOf(heading);
  expect(from, `${page.path} has ${heading}`).not.to.equal(-1);
  const level = /^#+ /.exec(heading)![0];
  const next = lines.findIndex((line, at) => at > from && line.startsWith(level));
  return page.blocks.filter(({ line }) => line > from && (next === -1 || line <= next));
}

/**
 * Does in a directory what a reader of the blocks would: saves each scenario under the name told, and types each command of
 * netrig's. Each must end with the status that the page says, 0 where it says none. Returns the commands and what they said.
 */
export async function walk(
  blocks: readonly Block[],
  dir: string,
  saveAs: string,
): Promise<{ command: string; output: string }[]> {
  const done: { command: string; output: string }[] = [];
  for (const block of blocks) {
    if (block.language === 'yaml') {
      mkdirSync(dirname(join(dir, saveAs)), { recursive: true });
      writeFileSync(join(dir, saveAs), block.text);
      continue;
    }
    if (block.language !== 'sh') continue;
    for (const { command, status } of commandsOf(block)) {
      expect(command, `line ${block.line}`).to.match(/^npx netrig /);
      const ended = await netrig(command.split(/\s+/).slice(2), { cwd: dir }).ended;
      const output = ended.stdout + ended.stderr;
      expect(ended.status, `${command}\n${output}`).to.equal(status);
      done.push({ command, output });
    }
  }
  return done;
}
