// npm test: does its own set-up, then runs the unit tests and the lab tests, some files at once (--jobs N: so many; 1: one after
// the other, told as they go). Other arguments go to Mocha (-g PATTERN, …).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { consentFlags, consentOf, root, run, setUp, testTools } from './setup.mjs';

const args = process.argv.slice(2);
const unitOnly = args.includes('--unit');
const images = unitOnly ? [] : ['debian-11', 'debian-12', 'debian-13', 'debian-sid'];
await setUp({ ...consentOf(args), images, tools: unitOnly ? {} : testTools });

const testFiles = (folder) =>
  readdirSync(join(root, 'test', folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('dist', 'test', folder, name.replace(/\.ts$/, '.js')))
    .filter((file) => existsSync(join(root, file)));

/** Files that take a minute or more, the longest first: what is begun last should be short. */
const longest = [
  'exercises',
  'container-images',
  'ssh-provider',
  'first-lab',
  'fault-steps',
  'guide',
  'foreign-hosts',
  'main-job',
].map((name) => join('dist', 'test', 'lab', `${name}.test.js`));
const lab = unitOnly ? [] : testFiles('lab');
const files = [
  ...longest.filter((file) => lab.includes(file)),
  ...testFiles('unit'),
  ...lab.filter((file) => !longest.includes(file)),
];

const jobsAt = args.findIndex((arg) => arg === '--jobs' || arg === '-j');
// One more than there are processors: what a lab test does for most of its time is wait.
const jobs = jobsAt === -1 ? Math.min(4, availableParallelism() + 1) : Number(args[jobsAt + 1]);
const forMocha = args.filter(
  (arg, at) => ![...consentFlags, '--unit'].includes(arg) && (jobsAt === -1 || (at !== jobsAt && at !== jobsAt + 1)),
);

/** Where each process of Mocha's has the state of its labs, on the file system where a user's would be. */
function makeLanes() {
  const state = process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state');
  mkdirSync(state, { recursive: true });
  return mkdtempSync(join(state, 'netrig-test-'));
}

/** What a test left is taken down, and the state goes. */
async function removeLanes(lanes) {
  for (const lane of readdirSync(lanes)) {
    const labs = join(lanes, lane, 'netrig', 'labs');
    if (!existsSync(labs) || readdirSync(labs).length === 0) continue;
    process.env.XDG_STATE_HOME = join(lanes, lane);
    await run(process.execPath, [join(root, 'dist', 'src', 'cli', 'main.js'), 'down', '--all']);
  }
  rmSync(lanes, { recursive: true, force: true });
}

const lanes = jobs > 1 && !unitOnly ? makeLanes() : null;
if (lanes) process.env.NETRIG_TEST_LANES = lanes;
const status = await run(process.execPath, [
  join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'),
  '--reporter',
  join('dist', 'test', 'reporter.js'),
  '--timeout',
  '120000',
  ...(jobs > 1 ? ['--parallel', '--jobs', String(jobs), '--require', join('dist', 'test', 'lane.js')] : []),
  ...forMocha,
  ...files,
]);
if (lanes) await removeLanes(lanes);
process.exit(status);
