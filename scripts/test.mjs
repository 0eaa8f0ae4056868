// npm test: does its own set-up, then runs the unit tests, and the lab tests, some files at once (--jobs N: so many; 1: one after
// the other, told as they go). Other arguments go to Mocha (-g PATTERN, …).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { consentFlags, consentOf, fail, root, run, setUp, testTools } from './setup.mjs';

const args = process.argv.slice(2);
const unitOnly = args.includes('--unit');
const images = unitOnly ? [] : ['debian-11', 'debian-12', 'debian-13', 'debian-sid'];
await setUp({ ...consentOf(args), images, tools: unitOnly ? {} : testTools });

const testFiles = (folder) =>
  readdirSync(join(root, 'test', folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('dist', 'test', folder, name.replace(/\.ts$/, '.js')))
    .filter((file) => existsSync(join(root, file)));

const labFiles = (...names) =>
  names.map((name) => {
    if (!existsSync(join(root, 'test', 'lab', `${name}.test.ts`)))
      fail(`test/lab/${name}.test.ts is not there any more`);
    return join('dist', 'test', 'lab', `${name}.test.js`);
  });
/** Files that take a minute or more, the longest first: what is begun last should be short. */
const longest = labFiles(
  'exercises',
  'container-images',
  'ssh-provider',
  'first-lab',
  'fault-steps',
  'guide',
  'foreign-hosts',
  'main-job',
);
/** Files whose tests use up what all labs of a machine share, such as its neighbour table: nothing else runs meanwhile. */
const alone = labFiles('local-isolation');
const lab = unitOnly ? [] : testFiles('lab');
const unit = testFiles('unit');
const files = [
  ...longest.filter((file) => lab.includes(file)),
  ...lab.filter((file) => ![...longest, ...alone].includes(file)),
];

const jobsAt = args.findIndex((arg) => arg === '--jobs' || arg === '-j');
// One more than there are processors: what a lab test does for most of its time is wait.
const jobs = jobsAt === -1 ? Math.min(4, availableParallelism() + 1) : Number(args[jobsAt + 1]);
if (!Number.isInteger(jobs) || jobs < 1)
  fail(`--jobs takes how many files at once, not ${args[jobsAt + 1] ?? 'nothing'}`);
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
  const own = process.env.XDG_STATE_HOME;
  for (const lane of readdirSync(lanes)) {
    const labs = join(lanes, lane, 'netrig', 'labs');
    if (!existsSync(labs) || readdirSync(labs).length === 0) continue;
    process.env.XDG_STATE_HOME = join(lanes, lane);
    await run(process.execPath, [join(root, 'dist', 'src', 'cli', 'main.js'), 'down', '--all']);
  }
  if (own === undefined) delete process.env.XDG_STATE_HOME;
  else process.env.XDG_STATE_HOME = own;
  rmSync(lanes, { recursive: true, force: true });
}

function mocha(some, atOnce) {
  return run(process.execPath, [
    join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'),
    '--reporter',
    join('dist', 'test', 'reporter.js'),
    '--timeout',
    '120000',
    ...(atOnce > 1 ? ['--parallel', '--jobs', String(atOnce), '--require', join('dist', 'test', 'lane.js')] : []),
    ...forMocha,
    ...some,
  ]);
}

if (unitOnly || jobs === 1) process.exit(await mocha([...unit, ...lab], 1));
// In one process: all files are loaded before the first test runs, and they are over in a minute or two.
let status = await mocha(unit, 1);
const lanes = makeLanes();
process.env.NETRIG_TEST_LANES = lanes;
status = Math.max(status, await mocha(files, jobs));
await removeLanes(lanes);
process.stdout.write('\nOne after the other, for they need the machine to themselves:\n');
status = Math.max(status, await mocha(alone, 1));
process.exit(status);
