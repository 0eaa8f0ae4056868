import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type { NetrigError } from '../../src/errors.js';
import { bootId } from '../../src/lab/process.js';
import {
  type FreeRoom,
  type KeptRoom,
  lackOf,
  type Need,
  type Place,
  sweepQueue,
  takePlace,
} from '../../src/providers/local/queue.js';

const MiB = 1024 ** 2;
const need: Need = { hosts: 2, memory: 100 * MiB, pids: 50, ranges: 2 };

describe('labs that share a machine', () => {
  let directory: string;
  /** MiB that no lab has taken yet. */
  let free: number;
  const room = (kept: readonly KeptRoom[]): FreeRoom => ({
    freeMemory: free * MiB - kept.reduce((sum, one) => sum + one.memory, 0),
    freePids: 10_000,
    freeRanges: 100 - kept.reduce((sum, one) => sum + one.ranges, 0),
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'netrig-queue-'));
    free = 150;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  interface Asking {
    said: string[];
    place: Promise<Place>;
    settled(): boolean;
    /** Resolves when it has said that much. */
    saw(pattern: RegExp): Promise<void>;
  }

  function ask(
    lab: string,
    more: { signal?: AbortSignal; patienceMs?: number; need?: Need; group?: string } = {},
  ): Asking {
    const said: string[] = [];
    let settled = false;
    const place = takePlace(more.need ?? need, {
      lab,
      directory,
      room,
      groups: more.group === undefined ? {} : { memory: more.group },
      signal: more.signal ?? new AbortController().signal,
      patienceMs: more.patienceMs ?? 60_000,
      tell: (text) => void said.push(text),
    });
    const end = (): void => void (settled = true);
    place.then(end, end);
    const saw = async (pattern: RegExp): Promise<void> => {
      while (!said.some((text) => pattern.test(text)) && !settled) await pause(5);
      expect(said.join('\n')).to.match(pattern);
    };
    return { said, place, settled: () => settled, saw };
  }

  const codeOf = (promise: Promise<unknown>): Promise<NetrigError> =>
    promise.then(
      () => {
        throw new Error('it got a place');
      },
      (error: unknown) => error as NetrigError,
    );

  it('wait for each other, and are told their place', async () => {
    const first = await ask('first').place;
    const second = ask('second');
    await second.saw(
      /^Waits for other labs \(first\), first in the queue: its 2 hosts need at least 100 MB of memory, and 50 MB are free/,
    );
    const third = ask('third');
    await third.saw(/number 2 in the queue/);
    // Up, with what it takes taken: still no room.
    free -= 100;
    first.settle();
    await pause(600);
    expect([second.settled(), third.settled()]).to.deep.equal([false, false]);
    free += 100;
    first.leave();
    const next = await second.place;
    expect(third.settled()).to.equal(false);
    next.leave();
    (await third.place).leave();
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('keep what a lab that is up has not taken yet: its engine starts later', async () => {
    const group = mkdtempSync(join(tmpdir(), 'netrig-group-'));
    writeFileSync(join(group, 'memory.current'), String(20 * MiB));
    const first = await ask('first', { group }).place;
    free -= 20;
    first.settle();
    const second = ask('second', { need: { ...need, memory: 60 * MiB } });
    // 130 are free, of which 80 are the first one's.
    await second.saw(/60 MB of memory, and 50 MB are free/);
    writeFileSync(join(group, 'memory.current'), String(110 * MiB));
    free -= 60;
    (await second.place).leave();
    first.leave();
    rmSync(group, { recursive: true });
  });

  it('are told again when their place has changed, not of all that others do', async () => {
    const first = await ask('first').place;
    const second = ask('second');
    await second.saw(/first in the queue/);
    const third = ask('third');
    await third.saw(/number 2/);
    first.leave();
    const next = await second.place;
    await third.saw(/first in the queue/);
    next.leave();
    (await third.place).leave();
    expect([second.said.length, third.said.length]).to.deep.equal([1, 2]);
  });

  it('go in the order in which they asked, also where a later one would fit', async () => {
    const first = await ask('first').place;
    const big = ask('big', { need: { ...need, memory: 140 * MiB } });
    await big.saw(/140 MB/);
    const small = ask('small', { need: { ...need, memory: MiB } });
    await small.saw(/number 2/);
    await pause(600);
    expect(small.settled()).to.equal(false);
    first.leave();
    (await big.place).leave();
    (await small.place).leave();
  });

  it('that do not fit are refused at once where nothing could make room', async () => {
    free = 60;
    const error = await codeOf(ask('alone').place);
    expect(error.code).to.equal('NETRIG_LIMIT');
    expect(error.message).to.equal(
      'The lab does not fit: its 2 hosts need at least 100 MB of memory, and 60 MB are free.',
    );
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('are refused when they have waited long enough, with the labs that they waited for', async () => {
    const first = await ask('first').place;
    const error = await codeOf(ask('second', { patienceMs: 300 }).place);
    expect(error.code).to.equal('NETRIG_LIMIT');
    expect(error.message).to.contain('300 ms of waiting');
    expect(error.hint).to.contain(`first (process ${process.pid})`);
    first.leave();
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('are interrupted while they wait, and leave their place', async () => {
    const first = await ask('first').place;
    const stop = new AbortController();
    const second = ask('second', { signal: stop.signal });
    await second.saw(/Waits/);
    stop.abort(new Error('Ctrl-C'));
    expect((await codeOf(second.place)).message).to.match(/Ctrl-C|aborted/);
    expect(readdirSync(directory)).to.have.length(1);
    first.leave();
  });

  it('that ask at once never get more than there is', async () => {
    let booting = 0;
    let most = 0;
    free = 250;
    await Promise.all(
      Array.from({ length: 6 }, async (_, number) => {
        const place = await ask(`lab${number}`).place;
        most = Math.max(most, ++booting);
        await pause(20);
        booting -= 1;
        place.leave();
      }),
    );
    expect(most).to.equal(2);
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('are not kept by one whose process was killed, and gc takes its place away', async () => {
    const code = `
const [module, directory] = process.argv.slice(1);
const { takePlace } = await import(module);
await takePlace(${JSON.stringify(need)}, { lab: 'killed', directory, signal: new AbortController().signal, groups: {}, tell() {}, room: () => ({ freeMemory: 2 ** 40, freePids: 1000, freeRanges: 10 }) });
console.log('booting');
setInterval(() => undefined, 2 ** 30);
`;
    const module = new URL('../../src/providers/local/queue.js', import.meta.url).href;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, module, directory]);
    await once(child.stdout, 'data');
    const second = ask('second');
    await second.saw(/Waits for other labs \(killed\)/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    (await second.place).leave();
    expect(sweepQueue(directory)).to.equal(1);
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('pass over one that waits and says nothing any more, as it is stopped', async () => {
    const first = await ask('first').place;
    // As one that asked before and was stopped while it waited: nobody touches its file.
    const [name] = readdirSync(directory);
    const stopped = join(directory, name!.replace(/^\d+/, '1'));
    writeFileSync(stopped, JSON.stringify({ lab: 'stopped', state: 'waiting', need, groups: {} }));
    const small = { ...need, memory: MiB };
    const third = ask('third', { need: small });
    await third.saw(/number 2 in the queue/);
    utimesSync(stopped, 0, 0);
    (await third.place).leave();
    first.leave();
  });

  it('do not wait for those of another boot, which gc takes away', async () => {
    const first = await ask('first').place;
    const [name] = readdirSync(directory);
    renameSync(join(directory, name!), join(directory, name!.replace(bootId(), bootId().replaceAll(/[a-f]/g, '0'))));
    (await ask('second').place).leave();
    expect(sweepQueue(directory)).to.equal(1);
    first.leave();
  });
});

describe('what a lab lacks', () => {
  it('is said of the first thing of which there is not enough', () => {
    const room = { freeMemory: 1000 * MiB, freePids: 100, freeRanges: 2 };
    expect(lackOf(need, room)).to.equal(null);
    expect(lackOf({ ...need, pids: 69 }, room)).to.equal('about 101 processes, and 100 can be made');
    expect(lackOf({ ...need, ranges: 3 }, room)).to.equal('3 ranges of user ids, and 2 are free');
    expect(lackOf(need, { ...room, freeMemory: -5 })).to.contain('and 0 bytes are free');
  });
});
