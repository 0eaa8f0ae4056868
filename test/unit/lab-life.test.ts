import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { lifeOf, ownIdentity, ownPidSpace } from '../../src/lab/process.js';
import { createRecord, holderAlive, labDirectory, listRecords } from '../../src/lab/store.js';
import { sweepTemporary, temporaryDirectory } from '../../src/lab/temporary.js';
import { labsToTakeDown } from '../../src/labs/down.js';
import { describeLabs } from '../../src/labs/find.js';
import { isSurelyDead } from '../../src/lab/process.js';
import { removeLeftovers, sweepLocal } from '../../src/providers/local/leftovers.js';
import { localProvider } from '../../src/providers/local/provider.js';
import type { LabRecord } from '../../src/providers/provider.js';
import { rejectsWith } from '../lab/local-labs.js';

const anotherBoot = '00000000-0000-0000-0000-000000000000';

describe('the life of a process that is written down', () => {
  it('is judged once: alive, dead, or of another pid namespace, where nobody here can tell', () => {
    const own = ownIdentity();
    const gone = { ...own, startTime: own.startTime + 1 };
    const here = ownPidSpace();
    expect(lifeOf(own, here)).to.equal('alive');
    expect(lifeOf(gone, here)).to.equal('dead');
    expect(lifeOf(own, { ...here, bootId: anotherBoot })).to.equal('dead');
    expect(lifeOf(own, { ...here, pidNamespace: '4' })).to.equal('elsewhere');
    expect(lifeOf(gone, { ...here, pidNamespace: '4' })).to.equal('elsewhere');
    expect(isSurelyDead(gone, { ...here, pidNamespace: '4' })).to.equal(false);
  });
});

describe('a lab whose holder is in another pid namespace', () => {
  const old = process.env['XDG_STATE_HOME'];
  let state: string;

  function record(id: string, pidNamespace: string, startTime = ownIdentity().startTime): LabRecord {
    const space = { ...ownPidSpace(), pidNamespace };
    return {
      id,
      title: id,
      provider: 'local',
      holder: { pid: process.pid, startTime },
      space,
      createdAt: '2026-01-01T00:00:00.000Z',
      state: 'up',
      detached: false,
      plan: { title: id, slug: 'x', hosts: [], segments: [], bootTimeoutMs: 1 },
      access: { ...space, privateKey: '', hostKey: '', hosts: {} },
    };
  }

  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
    process.env['XDG_STATE_HOME'] = state;
  });

  afterEach(() => {
    if (old === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = old;
    rmSync(state, { recursive: true });
  });

  it('is told so by ps, left alone by gc, and refused by down and whoever wants to use it, alike', async () => {
    createRecord(record('far-1', '4'));
    expect(describeLabs().map(({ state: one }) => one)).to.deep.equal(['elsewhere']);
    expect(holderAlive(listRecords()[0]!)).to.equal(false);
    const swept = await sweepLocal();
    expect([...swept.removed, ...swept.left].filter((one) => one.lab === 'far-1')).to.deep.equal([]);
    expect(() => labsToTakeDown(['far-1'], false)).to.throw(/another pid namespace/);
    const error = await rejectsWith('NETRIG_LAB_GONE', localProvider.attach(listRecords()[0]!));
    expect(error.message).to.contain('another pid namespace');
    await rejectsWith('NETRIG_CLEANUP', localProvider.destroy(listRecords()[0]!));
    expect(existsSync(labDirectory('far-1'))).to.equal(true);
  });

  it('is one thing, a lab of a run that was killed another: that is dead, and down takes away what is left', () => {
    createRecord(record('dead-1', ownPidSpace().pidNamespace, 1));
    createRecord(record('busy-1', ownPidSpace().pidNamespace));
    expect(
      describeLabs()
        .map(({ id, state: one }) => `${id} ${one}`)
        .sort(),
    ).to.deep.equal(['busy-1 up', 'dead-1 dead']);
    expect(labsToTakeDown(['dead-1'], false).map(({ id }) => id)).to.deep.equal(['dead-1']);
    expect(() => labsToTakeDown(['busy-1'], false)).to.throw(/under way/);
  });

  it('a ledger can name nothing for removal but cgroups of its own lab', async () => {
    const precious = join(state, 'precious');
    mkdirSync(join(precious, 'empty'), { recursive: true });
    const dead = record('dead-2', ownPidSpace().pidNamespace, 1);
    createRecord(dead);
    writeFileSync(
      join(labDirectory('dead-2'), 'ledger.jsonl'),
      [precious, join(precious, 'empty')].map((path) => JSON.stringify({ kind: 'cgroup', path })).join('\n'),
    );
    const { left } = await removeLeftovers(dead);
    expect(left).to.deep.equal([]);
    expect(existsSync(join(precious, 'empty'))).to.equal(true);
  });
});

describe('temporary directories', () => {
  it('of dead processes are swept; others, links and files of that name are not', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-temporary-'));
    const mine = temporaryDirectory('up');
    const name = mine.split('/').at(-1)!;
    const [, , boot, space, pid] = name.split('-');
    const make = (text: string): string => {
      mkdirSync(join(directory, text));
      writeFileSync(join(directory, text, 'file'), '');
      return text;
    };
    const dead = make(`netrig-up-${boot}-${space}-${pid}-1-AbCdEf`);
    const old = make(`netrig-ssh-00000000-${space}-${pid}-1-AbCdEf`);
    const kept = [name, `netrig-up-${boot}-4-${pid}-1-AbCdEf`, 'netrig-state-AbCdEf'].map(make);
    symlinkSync(mine, join(directory, `netrig-up-${boot}-${space}-${pid}-1-AbCdEg`));
    expect(sweepTemporary(directory)).to.equal(2);
    for (const one of [dead, old]) expect(existsSync(join(directory, one)), one).to.equal(false);
    for (const one of kept) expect(existsSync(join(directory, one, 'file')), one).to.equal(true);
    expect(existsSync(mine)).to.equal(true);
    rmSync(directory, { recursive: true });
    rmSync(mine, { recursive: true });
  });
});
