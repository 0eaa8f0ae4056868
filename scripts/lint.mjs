// npm run lint: is the tree formatted, and does the linter find nothing? Each of the two counts as one test.
import { join } from 'node:path';
import { root, run, say } from './setup.mjs';

const tool = (...path) => join(root, 'node_modules', ...path);
const checks = [
  ['formatted', [tool('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']],
  ['no finding of the linter', [tool('eslint', 'bin', 'eslint.js'), '.', '--max-warnings', '0']],
];

let failed = 0;
for (const [what, argv] of checks) {
  const status = await run(process.execPath, argv);
  say(`${status === 0 ? 'yes' : 'NO'}: ${what}`);
  if (status !== 0) failed += 1;
}
say(`\n${checks.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 ? 0 : 1);
