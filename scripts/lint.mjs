// npm run lint: is the tree formatted, does the linter find nothing, and is nothing there that nobody uses (exports, files,
// packages: knip.json)? Each counts as one test.
import { join } from 'node:path';
import { root, run, say } from './setup.mjs';

const tool = (...path) => join(root, 'node_modules', ...path);
const checks = [
  ['formatted', [tool('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']],
  ['no finding of the linter', [tool('eslint', 'bin', 'eslint.js'), '.', '--max-warnings', '0']],
  ['nothing that nobody uses', [tool('knip', 'bin', 'knip.js'), '--no-progress', '--no-gitignore']],
];

let failed = 0;
for (const [what, argv] of checks) {
  const status = await run(process.execPath, argv);
  say(`${status === 0 ? 'yes' : 'NO'}: ${what}`);
  if (status !== 0) failed += 1;
}
say(`\n${checks.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 ? 0 : 1);
