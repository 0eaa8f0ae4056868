import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ospfLab, overlayLab, randomFaults } from './random-faults.js';

const usage = `npm run campaign -- faults [--rounds N] [--seed N] [ospf|overlay ...]

Puts faults into a lab at random, heals each, and looks each time whether all is as it must be.
`;

const root = join(import.meta.dirname, '..', '..', '..');
const labs = { ospf: ospfLab, overlay: overlayLab } as const;

interface Ended {
  verdict: string;
  reason: string;
  durationMs: number;
}

function endsOf(dir: string): Ended[] {
  const lines = readFileSync(join(dir, 'reports', 'latest', 'run.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.flatMap((line) => {
    const event = JSON.parse(line) as {
      type: string;
      outcome?: { verdict: string; reason: string };
      durationMs: number;
    };
    return event.type === 'item:end' && event.outcome ? [{ ...event.outcome, durationMs: event.durationMs }] : [];
  });
}

async function runOne(name: keyof typeof labs, rounds: number, seed: number): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'netrig-campaign-'));
  try {
    writeFileSync(join(dir, `${name}.yaml`), randomFaults(labs[name], { rounds, seed }));
    const main = join(root, 'dist', 'program', 'cli', 'main.js');
    const child = spawn(process.execPath, [main, 'run', '--no-allure-report', `${name}.yaml`], {
      cwd: dir,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    const ends = endsOf(dir);
    const verdicts = [...new Set(ends.map(({ verdict }) => verdict))];
    const said = verdicts.map((one) => `${ends.filter(({ verdict }) => verdict === one).length} ${one}`).join(', ');
    process.stdout.write(`${name}: ${rounds} rounds, seed ${seed}: ${said}; exit status ${status}\n`);
    return status === 0;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const [what, ...names] = positionals;
const known = Object.keys(labs) as (keyof typeof labs)[];
if (what !== 'faults' || names.some((name) => !known.includes(name as never))) {
  process.stderr.write(usage);
  process.exit(2);
}
const chosen = names.length === 0 ? known : (names as (keyof typeof labs)[]);
for (const name of chosen) if (!(await runOne(name, Number(values.rounds), Number(values.seed)))) process.exitCode = 1;
