// What CI runs: all tests, one suite after the other, and at the end one line that counts them together.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

const suites = [
  ['npm test', [join('scripts', 'test.mjs'), '--yes']],
  ['npm run test:vagrant', [join('scripts', 'test-vagrant.mjs'), '--yes']],
  ['npm run lint', [join('scripts', 'lint.mjs')]],
].filter(([, [script]]) => existsSync(join(root, script)));

/** Runs one suite with its output passed on. A suite that did not count its tests has failed as a whole. */
async function runSuite([name, args]) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, CI: process.env['CI'] ?? 'true' },
  });
  let counts = null;
  for await (const line of createInterface({ input: child.stdout })) {
    process.stdout.write(`${line}\n`);
    const match = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(line);
    // A suite of several parts counts each.
    if (match) counts = match.slice(1).map((count, at) => Number(count) + (counts?.[at] ?? 0));
  }
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1))));
  if (counts === null || (status !== 0 && counts[1] === 0)) {
    process.stdout.write(`${name} ended with ${status} before all tests were counted\n`);
    counts = [counts?.[0] ?? 0, (counts?.[1] ?? 0) + 1, counts?.[2] ?? 0];
  }
  return counts;
}

const total = [0, 0, 0];
for (const suite of suites) (await runSuite(suite)).forEach((count, at) => (total[at] += count));
process.stdout.write(`\n${total[0]} passed, ${total[1]} failed, ${total[2]} skipped\n`);
process.exit(total[1] === 0 && total[0] > 0 ? 0 : 1);
