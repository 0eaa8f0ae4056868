import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import { openLedger, readLedger } from '../../src/lab/ledger.js';
import { identify, isAlive, ownIdentity, signalProcess, waitUntilGone } from '../../src/lab/process.js';
import {
  createRecord,
  holderAlive,
  keepLog,
  labDirectory,
  labsDirectory,
  listRecords,
  newLabId,
  readRecord,
  removeRecord,
  strayDirectories,
  updateRecord,
} from '../../src/lab/store.js';
import type { LabRecord } from '../../src/providers/provider.js';

function record(id: string, createdAt = '2026-01-01T00:00:00.000Z'): LabRecord {
  const plan = { title: id, slug: 'x', hosts: [], segments: [], bootTimeoutMs: 1 };
  return {
    id,
    title: id,
    provider: 'local',
    holder: ownIdentity(),
    createdAt,
    state: 'starting',
    detached: false,
    plan,
    access: null,
  };
}

describe('records of labs', () => {
  const old = process.env['XDG_STATE_HOME'];
  let state: string;

  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
  });

  afterEach(() => {
    if (old === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = old;
    rmSync(state, { recursive: true });
  });

  it('are kept below XDG_STATE_HOME for their owner only, and a relative one is no such place', () => {
    const directory = createRecord(record('ports-0a1b2c'));
    expect(directory).to.equal(join(state, 'netrig', 'labs', 'ports-0a1b2c'));
    expect(statSync(directory).mode & 0o777).to.equal(0o700);
    expect(statSync(join(directory, 'lab.json')).mode & 0o777).to.equal(0o600);
    process.env['XDG_STATE_HOME'] = 'relative';
    expect(labsDirectory()).to.match(/^\/.*\/\.local\/state\/netrig\/labs$/);
  });

  it('come back as they were written, the oldest first, and go', async () => {
    createRecord(record('b-000001', '2026-01-02T00:00:00.000Z'));
    createRecord(record('a-000002', '2026-01-03T00:00:00.000Z'));
    createRecord(record('c-000003', '2026-01-01T00:00:00.000Z'));
    expect(listRecords().map((one) => one.id)).to.deep.equal(['c-000003', 'b-000001', 'a-000002']);
    const changed: LabRecord = { ...record('a-000002'), state: 'up' };
    updateRecord(changed);
    expect(readRecord('a-000002')).to.deep.equal(changed);
    await removeRecord('a-000002');
    await removeRecord('a-000002');
    expect(listRecords().map((one) => one.id)).to.deep.equal(['c-000003', 'b-000001']);
    expect(readdirSync(labsDirectory())).to.have.members(['b-000001', 'c-000003']);
  });

  it('do not overwrite each other', () => {
    createRecord(record('a-000001'));
    expect(() => createRecord(record('a-000001'))).to.throw();
    expect(readdirSync(labsDirectory())).to.deep.equal(['a-000001']);
  });

  it('are not found by a name that leads elsewhere', () => {
    for (const id of ['../x', '/etc', '', '.', '.new-1-1-x', 'A', 'a/b', '-rf', 'x\0']) {
      try {
        labDirectory(id);
        expect.fail(`${JSON.stringify(id)} was taken`);
      } catch (error) {
        expect(isNetrigError(error, 'NETRIG_LAB_UNKNOWN'), id).to.equal(true);
      }
    }
  });

  it('name the labs that exist when one is not there', () => {
    createRecord(record('here-000001'));
    expect(() => readRecord('gone-000002')).to.throw('There is no lab "gone-000002"; there is here-000001.');
  });

  it('that cannot be read, or were never finished by a process that is dead, are strays', () => {
    createRecord(record('good-000001'));
    mkdirSync(join(labsDirectory(), 'empty-000002'));
    mkdirSync(join(labsDirectory(), 'half-000003'));
    writeFileSync(join(labsDirectory(), 'half-000003', 'lab.json'), '{"id":"half');
    const { pid, startTime } = ownIdentity();
    mkdirSync(join(labsDirectory(), `.new-${pid}-${startTime}-living-000004`));
    mkdirSync(join(labsDirectory(), `.new-${pid}-${startTime + 1}-dead-000005`));
    expect(strayDirectories().map((path) => path.slice(labsDirectory().length + 1))).to.have.members([
      'empty-000002',
      'half-000003',
      `.new-${pid}-${startTime + 1}-dead-000005`,
    ]);
    expect(listRecords().map((one) => one.id)).to.deep.equal(['good-000001']);
  });

  it('tell whether their holder lives, and are not deceived by a pid that was used again', () => {
    const mine = record('a-000001');
    expect(holderAlive(mine)).to.equal(true);
    expect(holderAlive({ ...mine, holder: { ...mine.holder, startTime: mine.holder.startTime - 1 } })).to.equal(false);
  });

  it('have ids of their slug and a random part, never one that looks like an option', () => {
    expect(newLabId('ports')).to.match(/^ports-[0-9a-f]{6}$/);
    expect(newLabId('ports')).not.to.equal(newLabId('ports'));
    expect(newLabId('-f')).to.match(/^f-[0-9a-f]{6}$/);
    expect(newLabId('--')).to.match(/^lab-[0-9a-f]{6}$/);
  });

  it('leave the consoles of the last twenty hosts that did not boot', () => {
    const paths = Array.from({ length: 23 }, (_, index) =>
      keepLog(`a-${String(index).padStart(6, '0')}`, 'node1', 'text'),
    );
    expect(paths.filter((path) => existsSync(path))).to.have.length(20);
    expect(existsSync(paths.at(-1) ?? '')).to.equal(true);
  });

  it('have a ledger that is on disk when an entry is added, and is read without the line a crash cut off', () => {
    const directory = createRecord(record('a-000001'));
    expect(readLedger(directory)).to.deep.equal([]);
    const ledger = openLedger(directory);
    ledger.add({ kind: 'cgroup', path: '/x' });
    expect(readLedger(directory)).to.deep.equal([{ kind: 'cgroup', path: '/x' }]);
    ledger.add({ kind: 'process', role: 'node1', pid: 7, startTime: 8 });
    appendFileSync(join(directory, 'ledger.jsonl'), '{"kind":"process","pid":9,"sta');
    expect(readLedger(directory)).to.deep.equal(ledger.entries);
    ledger.close();
    ledger.close();
  });
});

describe('a process', () => {
  it('is known by its pid and its start, and nothing else is signalled', async () => {
    const child = spawn('sleep', ['30'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const identity = identify(child.pid ?? 0);
    if (!identity) throw new Error('sleep is not there');
    expect(isAlive(identity)).to.equal(true);
    const namesake = { ...identity, startTime: identity.startTime + 1 };
    expect(signalProcess(namesake, 'SIGKILL')).to.equal(false);
    expect(await waitUntilGone([namesake, identity], 30)).to.deep.equal([identity]);
    expect(signalProcess(identity, 'SIGKILL')).to.equal(true);
    expect(await waitUntilGone([identity], 5_000)).to.deep.equal([]);
    expect(identify(identity.pid)).to.equal(null);
    expect(signalProcess(identity, 'SIGKILL')).to.equal(false);
  });
});
