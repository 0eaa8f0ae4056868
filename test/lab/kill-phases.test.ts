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
 * Half of the kills are spread over the changes, half over the time that it takes: one in each equal part, at random in there.
 *
 * `npm run test:kills` tries all of them; NETRIG_KILLS says how many, NETRIG_SEED which.
 */
const kills = Number(process.env['NETRIG_KILLS'] ?? 10);
const seed = Number(process.env['NETRIG_SEED'] ?? 1);

/**
 * Brings a lab up and takes it down. Every change to files, and every program started, counts as one thing done, of which it
 * says the moment (ms since it began) before it does it; at last it says when it was done.
 */
const holderCode = `
import fs from 'node:fs';
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
const [provider, plan, at] = process.argv.slice(1);
const say = fs.writeSync;
let counting = false;
let begin = 0;
let calls = 0;
const count = (object, name) => {
  const own = object[name];
  object[name] = (...given) => {
    if (counting) {
      say(1, (performance.now() - begin).toFixed(1) + '\\n');
      if (++calls === Number(at)) process.kill(process.pid, 'SIGKILL');
    }
    return own.apply(object, given);
  };
};
for (const name of ['mkdirSync', 'writeFileSync', 'writeSync', 'openSync', 'renameSync', 'rmSync', 'rmdirSync', 'chownSync', 'unlinkSync']) count(fs, name);
count(fs.promises, 'rm');
count(childProcess, 'spawn');
syncBuiltinESMExports();
const { localProvider } = await import(provider);
const options = { signal: new AbortController().signal, emit: () => undefined, scenario: 'killed' };
begin = performance.now();
say(1, 'begun\\n');
counting = true;
const lab = await localProvider.up(JSON.parse(plan), options);
await lab.down();
say(1, (performance.now() - begin).toFixed(1) + '\\n');
process.exit(0);
`;

const never: Place = { change: 0, afterMs: null };

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

/** Where a holder is killed: before its `change`-th change, or `afterMs` after it began that, and then before the next one at the latest. */
interface Place {
  change: number;
  afterMs: number | null;
}

/** What a holder came to. */
interface Held {
  pid: number;
  /** When each change began, and at last the end where it came to that, ms. */
  moments: number[];
  killed: boolean;
  /** From its last change to the kill by the clock, ms. */
  lastMs: number;
}

/** The place on the way of a whole one at which `ms` have gone by. */
function placeAt(moments: readonly number[], ms: number): Place {
  const change = moments.findLastIndex((one) => one <= ms) + 1;
  return { change, afterMs: ms - (moments[change - 1] ?? 0) };
}

(missing ? describe.skip : describe)(`kill -9 of a lab's holder${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(60_000 + kills * 30_000);
  let state: string;
  const oldState = process.env['XDG_STATE_HOME'];
  const { links, sysctls } = machineState();
  const untouched = { links, sysctls };
  let whole: { calls: number; ms: number; moments: number[] };

  const plan = (name: string) =>
    labPlan('killed', [
      hostPlan(`${name}s`, 11, ['net1'], { image: 'debian-12', init: 'systemd' }),
      hostPlan(`${name}l`, 12, ['net1']),
    ]);

  async function hold(name: string, { change, afterMs }: Place): Promise<Held> {
    const provider = new URL('../../src/providers/local/provider.js', import.meta.url).href;
    const given = [provider, JSON.stringify(plan(name)), String(afterMs === null ? change : change + 1)];
    const child = spawn(process.execPath, ['--input-type=module', '-e', holderCode, ...given], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    let changes = -1;
    let since = 0;
    let lastMs = 0;
    let clock: NodeJS.Timeout | undefined;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      changes = said.split('\n').length - 2;
      since = performance.now();
      if (afterMs === null || clock || changes < change) return;
      clock = setTimeout(() => {
        lastMs = performance.now() - since;
        child.kill('SIGKILL');
      }, afterMs);
    });
    const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(clock);
    const [begun, ...moments] = said.split('\n').slice(0, -1);
    expect(begun, 'what a holder says first').to.equal('begun');
    expect(signal, 'what ends a holder that does not come to its end').to.be.oneOf([null, 'SIGKILL']);
    return { pid: child.pid!, moments: moments.map(Number), killed: signal === 'SIGKILL', lastMs };
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
    // The quickest of them: the first one reads programs and images from the disk, and others of the machine may hold one up.
    const wholes: Held[] = [];
    for (const name of ['cold', 'warm', 'again']) wholes.push(await hold(name, never));
    expect(wholes.map(({ killed }) => killed)).to.deep.equal([false, false, false]);
    const [quickest] = wholes.map(({ moments }) => moments).sort((one, other) => one.at(-1)! - other.at(-1)!);
    whole = { calls: quickest!.length - 1, ms: quickest!.at(-1)!, moments: quickest!.slice(0, -1) };
    expect(whole.calls).to.be.greaterThan(50);
    if (kills > 10) console.log(`    ${whole.calls} changes in ${Math.round(whole.ms)} ms`);
  });

  after(() => {
    if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = oldState;
    rmSync(state, { recursive: true, force: true });
  });

  /** Where to kill: each change once, or one in each equal part of the changes, and of the time. */
  function places(): Place[] {
    if (kills >= whole.calls) return whole.moments.map((_, at) => ({ change: at + 1, afterMs: null }));
    const next = numbers(seed);
    // Also at any moment: what waits for a host does nothing itself.
    const moments = Math.floor(kills / 2);
    const changes = kills - moments;
    return Array.from({ length: changes }, (_, part) => {
      const from = Math.ceil((part * whole.calls) / changes);
      const to = Math.ceil(((part + 1) * whole.calls) / changes);
      const byChange = { change: 1 + from + Math.floor(next() * (to - from)), afterMs: null };
      return part < moments ? [byChange, placeAt(whole.moments, ((part + next()) / moments) * whole.ms)] : [byChange];
    }).flat();
  }

  it(`leaves nothing after a sweep, whatever it was doing (${kills} of them, seed ${seed})`, async () => {
    const all = places();
    const byChange = all.filter(({ afterMs }) => afterMs === null).length;
    const reached = { changes: new Set<number>(), moments: new Set<number>() };
    for (const [at, planned] of all.entries()) {
      const name = `k${process.pid}x${at}`;
      let place = planned;
      let held = await hold(name, place);
      // What waits looks a few times more or less often: this one needed fewer changes, and ended. Then before its last one.
      for (let again = 0; !held.killed && again < 5; again += 1) {
        place = { change: held.moments.length - 1, afterMs: null };
        held = await hold(name, place);
      }
      const { change, afterMs } = place;
      const where =
        afterMs === null
          ? `before the change ${change} of ${whole.calls}`
          : `${afterMs.toFixed(0)} ms after the change ${change} of ${whole.calls} began`;
      const done = held.moments.length;
      if (held.killed)
        expect(done, `changes of one killed ${where}`).to.be.within(change, change + (afterMs === null ? 0 : 1));
      if (held.killed && planned.afterMs === null)
        reached.changes.add(Math.floor(((done - 1) * byChange) / whole.calls));
      if (held.killed && planned.afterMs !== null) {
        // By the way of a whole one: between the changes that this one came to, as long after as it was.
        const from = whole.moments[done - 1] ?? 0;
        const ms = Math.min(from + held.lastMs, whole.moments[done] ?? whole.ms);
        reached.moments.add(Math.floor((ms / whole.ms) * (all.length - byChange)));
      }
      const found = ledgers();
      try {
        await nothingLeft(name, held.pid, found);
      } catch (error) {
        throw new Error(`killed ${where}${held.killed ? '' : ' (it had ended)'}: ${String(error)}`, { cause: error });
      }
    }
    // Else they were killed at a few places only.
    const { changes, moments } = reached;
    expect(changes.size, `parts of the changes: ${[...changes].join()}`).to.be.at.least(0.8 * byChange);
    expect(moments.size, `parts of the time: ${[...moments].join()}`).to.be.at.least(0.5 * (all.length - byChange));
  });

  it('leaves nothing after the machine was started anew, whose locks and records are still there', async () => {
    const name = `k${process.pid}boot`;
    const { pid } = await hold(name, { change: Math.floor(whole.calls / 2), afterMs: null });
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
