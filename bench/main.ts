import { setMaxListeners } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { messageOf } from '../src/errors.js';
import { besideBench } from './beside.js';
import { classBench } from './class.js';
import { classKillsBench } from './class-kills.js';
import { classTerminalsBench } from './class-terminals.js';
import { commandsBench } from './commands.js';
import { diagnosisBench } from './diagnosis.js';
import { hostsBench } from './hosts.js';
import { sweep } from './leftovers.js';
import { isolationBench } from './isolation.js';
import { lightBench } from './light.js';
import { isMet, noise, Unavailable, type Bench, type BenchContext } from './measure.js';
import { overlayBench } from './overlay.js';
import { packagesBench } from './packages.js';
import { jobsBench, repeatsBench } from './set.js';
import { sshBench } from './ssh.js';
import { startupBench } from './startup.js';
import { tableOf } from './table.js';
import { workersBench } from './workers.js';

const benches: readonly Bench[] = [
  startupBench,
  sshBench,
  commandsBench,
  hostsBench,
  isolationBench,
  packagesBench,
  besideBench,
  lightBench,
  diagnosisBench,
  overlayBench,
  jobsBench,
  repeatsBench,
  workersBench,
  classBench,
  classKillsBench,
  classTerminalsBench,
];

const usage = `npm run bench [-- [--quick] [BENCH...]]

Measures netrig side by side with what it is compared with; they take turns. Without names, all benches are run but those that take
several minutes.

  --quick   fewer rounds
${benches.map((bench) => `  ${bench.name.padEnd(15)} ${bench.what}`).join('\n')}
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    say(usage);
    return 0;
  }
  const names = args.filter((arg) => arg !== '--quick');
  const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`There is no bench ${unknown.join(', ')}.\n\n${usage}`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write('The benches bring up labs: run them as root.\n');
    return 3;
  }
  const abort = new AbortController();
  // Each host of a lab listens.
  setMaxListeners(0, abort.signal);
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(130);
    process.stderr.write('interrupted: ending what runs; once more ends at once\n');
    abort.abort(new Error('interrupted'));
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);

  await sweep();
  say(
    `${cpus().length} processors, Node ${process.version}; load ${loadavg()
      .map((value) => value.toFixed(2))
      .join(' ')}`,
  );
  let failed = 0;
  let missed = 0;
  for (const bench of benches.filter((one) => (names.length === 0 ? !one.onlyNamed : names.includes(one.name)))) {
    const busy = await noise(500);
    say(`\n${bench.name}: ${bench.what}`);
    if (busy > 0.1) say(`(others keep the processors ${(100 * busy).toFixed(0)} % busy)`);
    const context: BenchContext = {
      quick: args.includes('--quick'),
      signal: abort.signal,
      note: (line) => say(`  ${line}`),
    };
    try {
      const results = await bench.run(context);
      say(tableOf(results));
      missed += results.filter((result) => isMet(result) === false).length;
    } catch (error) {
      if (abort.signal.aborted) return 130;
      if (!(error instanceof Unavailable)) failed += 1;
      say(error instanceof Unavailable ? `skipped: ${error.message}` : `failed: ${messageOf(error)}`);
    }
  }
  say(
    `\nload ${loadavg()
      .map((value) => value.toFixed(2))
      .join(
        ' ',
      )}; ${missed === 0 ? 'no goal was missed' : `${missed} ${missed === 1 ? 'goal was' : 'goals were'} missed`}${failed === 0 ? '' : `; ${failed} could not be measured`}`,
  );
  return failed === 0 ? 0 : 3;
}

const status = await main(process.argv.slice(2));
process.stdout.write('', () => process.exit(status));
