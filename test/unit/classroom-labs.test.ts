import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { openBook, type ClassBook } from '../../src/classroom/book.js';
import { createLabPool, type LabPool } from '../../src/classroom/labs.js';
import { openRecord } from '../../src/classroom/record.js';
import { workOf, type Work } from '../../src/classroom/state.js';
import { exerciseOf } from '../../src/exercise/exercise.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { lab } from './scenario-fixtures.js';

const exercise = exerciseOf(
  loadScenarioText(
    lab('  - { check: task, points: 4, ping: { from: node1, to: node2 } }', 'exercise: { text: Mend it. }\n'),
    '/labs/lab.yaml',
  ).scenarios[0]!,
)!;

/** Until it is so; the test's own time ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(2);
}

describe('Labs of a class', () => {
  let directory: string;
  let book: ClassBook;
  let pool: LabPool;
  /** The disk takes nothing more. */
  let full: boolean;
  /** Boots that are under way: how each ends is up to the test. */
  let boots: { up(lab: string): void; fail(message: string): void }[];
  let warned: string[];

  function begin({ labs = 1, reserve = 0 } = {}): void {
    pool = createLabPool({
      book,
      labs,
      starting: 2,
      reserve,
      limits: { memory: null, pids: null, cpus: null, disk: null },
      isolation: 'users',
      provider: 'local',
      exercise: () => exercise,
      bring: () =>
        new Promise((resolve, reject) =>
          boots.push({ up: resolve, fail: (message: string) => reject(new Error(message)) }),
        ),
      open: () => [{ id: 'door', personal: false }],
      students: ['ada', 'bob'],
      onEnd: () => undefined,
      onProgress: () => undefined,
      warn: (text) => warned.push(text),
    });
  }
  const work = (person: string): Work => workOf(book.state, person, 'door');
  const want = (person: string): Promise<void> =>
    book.append({ type: 'lab:wanted', person, exercise: 'door', stage: null });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ntrl-'));
    [full, boots, warned] = [false, [], []];
    book = openBook(
      openRecord(join(directory, 'record.jsonl'), (fd, bytes) => {
        if (full) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
        writeSync(fd, bytes);
      }),
    );
  });

  afterEach(async () => {
    full = false;
    for (const { fail } of boots) fail('the test is over');
    await pool.close();
    await book.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('that did not come up while the disk was full take no place, and are made once there is room', async () => {
    begin();
    await want('ada');
    pool.wake();
    expect(pool.counts()).to.include({ starting: 1, queued: 0 });
    full = true;
    boots[0]!.fail('ENOSPC: no space left on device');
    await until(() => warned.length > 0 && pool.stalled());
    expect(pool.counts(), 'no place is taken for ever').to.include({ starting: 0, up: 0, queued: 1 });
    pool.wake();
    expect(boots, 'nothing is begun that cannot be written down').to.have.length(1);
    full = false;
    pool.wake();
    expect(boots, 'a second try, which nobody had to ask for').to.have.length(2);
    expect(pool.counts()).to.include({ starting: 1, queued: 0 });
    expect([...book.state.labs.values()].map(({ state }) => state)).to.deep.equal(['ended', 'making']);
    expect(work('ada').wanted).not.to.equal(null);
  });

  it('that did not come up are told as such to who waited', async () => {
    begin();
    await want('ada');
    pool.wake();
    boots[0]!.fail('a step of the set-up failed');
    await until(() => work('ada').failed !== null);
    expect(work('ada')).to.include({ wanted: null, failed: 'a step of the set-up failed', brokeMaking: true });
    expect(pool.counts()).to.include({ starting: 0, queued: 0 });
    expect(pool.stalled()).to.equal(false);
  });

  it('in reserve are not made again and again where they do not come up', async () => {
    begin({ labs: 4, reserve: 1 });
    pool.wake();
    expect(boots).to.have.length(1);
    boots[0]!.fail('broken');
    await until(() => warned.length > 0);
    await delay(20);
    for (let time = 0; time < 5; time += 1) pool.wake();
    expect(boots).to.have.length(1);
    await want('ada');
    pool.wake();
    expect(boots, 'who wants one gets one tried all the same').to.have.length(2);
  });
});
