import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LedgerEntry } from '../../src/lab/ledger.js';
import { bootId } from '../../src/lab/process.js';
import { idsDirectory } from '../../src/providers/local/id-ranges.js';
import { imagesDirectory } from '../../src/images/cache-directory.js';
import { localProvider } from '../../src/providers/local/provider.js';
import { expectNothingLeft, hostPlan, labPlan, machineState, made, missing } from './local-labs.js';

/**
 * A lab's holder is killed (kill -9) before the N-th thing that it does to the machine, for many N from the first directory of
 * its lab to the last that it takes away, and at any moment in between. After a sweep nothing may be left.
 *
 * `npm run test:kills` tries all of them; NETRIG_KILLS says how many, NETRIG_SEED which.
 */
const kills = Number(process.env['NETRIG_KILLS'] ?? 10);
const seed = Number(process.env['NETRIG_SEED'] ?? 1);

/** Brings a lab up and takes it down. Every change to files, and every program started, counts as one thing done. */
const holderCode = `
import fs from 'node:fs';
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
const [provider, plan, at, ms] = process.argv.slice(1);
let counting = false;
let calls = 0;
const count = (object, name) => {
  const own = object[name];
  object[name] = (...given) => {
    if (counting && ++calls === Number(at)) process.kill(process.pid, 'SIGKILL');
    return own.apply(object, given);
  };
};
for (const name of ['mkdirSync', 'writeFileSync', 'writeSync', 'openSync', 'renameSync', 'rmSync', 'rmdirSync', 'chownSync', 'unlinkSync']) count(fs, name);
count(fs.promises, 'rm');
count(childProcess, 'spawn');
syncBuiltinESMExports();
const { localProvider } = await import(provider);
const options = { signal: new AbortController().signal, emit: () => undefined, scenario: 'killed' };
counting = true;
if (Number(ms) > 0) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(ms));
const begin = performance.now();
const lab = await localProvider.up(JSON.parse(plan), options);
await lab.down();
console.log(JSON.stringify({ calls, ms: performance.now() - begin }));
process.exit(0);
`;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function numbers(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

(missing ? describe.skip : describe)(`kill -9 of a lab's holder${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(60_000 + kills * 30_000);
  let state: string;
  const oldState = process.env['XDG_STATE_HOME'];
  const { links, sysctls } = machineState();
  const untouched = { links, sysctls };
  let whole: { calls: number; ms: number };

  const plan = (name: string) =>
    labPlan('killed', [
      hostPlan(`${name}s`, 11, ['net1'], { image: 'debian-12', init: 'systemd' }),
      hostPlan(`${name}l`, 12, ['net1']),
    ]);

  async function hold(name: string, at: number, ms: number): Promise<{ pid: number; stdout: string }> {
    const provider = new URL('../../src/providers/local/provider.js', import.meta.url).href;
    const given = [provider, JSON.stringify(plan(name)), String(at), String(ms)];
    const child = spawn(process.execPath, ['--input-type=module', '-e', holderCode, ...given], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    await once(child, 'close');
    return { pid: child.pid!, stdout };
  }

  /** Files below that have the pid of a process in their names. */
  const of = (directory: string, pid: number): string[] =>
    existsSync(directory)
      ? readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes(`.${pid}.`))
      : [];

  /** Processes that boot a host of that name. A host that is up is known by its cgroups. */
  const booting = (name: string): string[] =>
    readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`NETRIG_HOST=${name}`);
        } catch {
          return false;
        }
      });

  const labs = (): string[] => {
    const directory = join(state, 'netrig', 'labs');
    return existsSync(directory) ? readdirSync(directory) : [];
  };

  async function nothingLeft(name: string, pid: number, found: readonly [string, LedgerEntry[]][]): Promise<void> {
    const report = await localProvider.sweep();
    expect(report.left.filter((one) => found.some(([id]) => id === one.lab))).to.deep.equal([]);
    for (const [id, entries] of found) expectNothingLeft(id, entries, machineState());
    expect(labs(), 'records').to.deep.equal([]);
    expect(booting(name), 'processes of hosts').to.deep.equal([]);
    expect(of(idsDirectory, pid), 'ranges of ids').to.deep.equal([]);
    expect(of('/run/netrig/queue', pid), 'places in the queue').to.deep.equal([]);
    // Not all of the machine's mounts: the campaign takes minutes, in which others may make some.
    const { links, sysctls, mounts } = machineState();
    expect({ links, sysctls }, 'the machine').to.deep.equal(untouched);
    expect(mounts.split('\n').filter((line) => line.includes(state) || line.includes(imagesDirectory()))).to.deep.equal(
      [],
    );
  }

  const ledgers = (): [string, LedgerEntry[]][] =>
    labs()
      .filter((id) => !id.startsWith('.'))
      .map((id) => [id, made(id)]);

  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
    whole = JSON.parse((await hold('whole', 0, 0)).stdout) as typeof whole;
    expect(whole.calls).to.be.greaterThan(50);
    if (kills > 10) console.log(`    ${whole.calls} changes in ${Math.round(whole.ms)} ms`);
  });

  after(() => {
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true, force: true });
  });

  it(`leaves nothing after a sweep, whatever it was doing (${kills} of them, seed ${seed})`, async () => {
    const next = numbers(seed);
    const all = kills >= whole.calls;
    const reached = new Set<string>();
    for (let number = 1; number <= Math.min(kills, whole.calls); number += 1) {
      // Every other one at any moment: what waits for a host does nothing itself.
      const byTime = !all && number % 2 === 0;
      const at = byTime ? 0 : all ? number : 1 + Math.floor(next() * whole.calls);
      const ms = byTime ? Math.ceil(next() * whole.ms) : 0;
      const name = `k${process.pid}x${number}`;
      const { pid, stdout } = await hold(name, at, ms);
      const found = ledgers();
      reached.add(found.length === 0 ? 'no record' : `${found[0]![1].length} entries`);
      try {
        await nothingLeft(name, pid, found);
      } catch (error) {
        const where = byTime ? `after ${ms} ms` : `before the change ${at} of ${whole.calls}`;
        throw new Error(`killed ${where}${stdout === '' ? '' : ' (it had ended)'}: ${String(error)}`, { cause: error });
      }
    }
    // Else all were killed at one place.
    expect(reached.size, [...reached].join()).to.be.greaterThan(Math.min(3, kills - 1));
  });

  it('leaves nothing after the machine was started anew, whose locks and records are still there', async () => {
    const name = `k${process.pid}boot`;
    const { pid } = await hold(name, Math.floor(whole.calls / 2), 0);
    const found = ledgers();
    expect(found).to.have.length(1);
    const other = bootId().replace(/[0-9a-f]/g, (digit) => (digit === '0' ? '1' : '0'));
    const [[id]] = found as [[string, LedgerEntry[]]];
    const record = join(state, 'netrig', 'labs', id, 'lab.json');
    writeFileSync(record, readFileSync(record, 'utf8').replaceAll(bootId(), other));
    for (const directory of [idsDirectory, '/run/netrig/queue'])
      for (const file of of(directory, pid))
        renameSync(join(directory, file), join(directory, file.replace(bootId(), other)));
    expect(of(idsDirectory, pid).every((file) => file.includes(other))).to.equal(true);
    await nothingLeft(name, pid, found);
  });
});
