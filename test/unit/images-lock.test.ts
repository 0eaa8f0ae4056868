import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isNetrigError, NetrigError } from '../../src/errors.js';
import { takeLock } from '../../src/images/lock.js';
import { noteUse, userOf } from '../../src/images/use.js';
import { ownPidSpace } from '../../src/lab/process.js';

const moduleUrl = (path: string): string => new URL(path, import.meta.url).href;

/** A process of its own that runs an ES module from text, says `ready` and stays. */
async function startOther(code: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `${code}; console.log('ready'); setInterval(() => undefined, 1000);`, ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function rejection(promise: Promise<unknown>): Promise<NetrigError> {
  try {
    await promise;
  } catch (error) {
    if (isNetrigError(error)) return error;
    throw error;
  }
  throw new Error('expected a rejection');
}

/** A deadline that no test lives to see: what returns by it has hung. */
const longMs = 600_000;

describe('images/lock', function () {
  this.timeout(20_000);
  let directory: string;
  let file: string;
  const lines: string[] = [];
  const others: ChildProcess[] = [];
  const options = (deadlineMs: number, signal = new AbortController().signal): Parameters<typeof takeLock>[1] => ({
    subject: 'the image x',
    deadlineMs,
    signal,
    progress: (line) => lines.push(line),
  });
  const holder = `import { takeLock } from ${JSON.stringify(moduleUrl('../../src/images/lock.js'))}; await takeLock(process.argv[1], { subject: 'x', deadlineMs: 5000, signal: new AbortController().signal, progress() {} })`;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'netrig-lock-'));
    file = join(directory, '.lock-x');
    lines.length = 0;
  });
  afterEach(async () => {
    await Promise.all(others.splice(0).map(end));
    await rm(directory, { recursive: true, force: true });
  });

  it('is had at once when nobody holds it, and again after its release', async () => {
    await (await takeLock(file, options(1000))).release();
    await (await takeLock(file, options(1000))).release();
    expect(lines).to.deep.equal([]);
  });

  it('keeps a second one of the same process out', async () => {
    const first = await takeLock(file, options(1000));
    expect((await rejection(takeLock(file, options(400)))).code).to.equal('NETRIG_CACHE_LOCKED');
    await first.release();
  });

  it('says for whom it waits, and gives up at the deadline with the pid', async () => {
    const other = await startOther(holder, file);
    others.push(other);
    const error = await rejection(takeLock(file, options(900)));
    expect(error.code).to.equal('NETRIG_CACHE_LOCKED');
    expect(error.message).to.include(`process ${other.pid}`).and.to.include('the image x');
    expect(lines).to.have.lengthOf(1);
    expect(lines[0]).to.include(`waiting for process ${other.pid}`);
  });

  it('passes on at once when its holder is killed', async () => {
    const other = await startOther(holder, file);
    others.push(other);
    const waiting = takeLock(file, options(longMs));
    await end(other);
    await (await waiting).release();
  });

  it('is held by no process but this one, so that nothing else’s death can lose it', async () => {
    const first = await takeLock(file, options(1000));
    const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
    for (const pid of children.split(' ').filter(Boolean))
      expect(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).not.to.contain('flock');
    expect((await rejection(takeLock(file, options(300)))).code).to.equal('NETRIG_CACHE_LOCKED');
    await first.release();
    await first.release();
  });

  for (const afterMs of [0, 100, 500]) {
    it(`stops waiting when aborted ${afterMs} ms after the call`, async () => {
      const first = await takeLock(file, options(1000));
      const controller = new AbortController();
      const waiting = rejection(takeLock(file, options(longMs, controller.signal)));
      if (afterMs === 0) controller.abort();
      else setTimeout(() => controller.abort(), afterMs);
      expect((await waiting).code).to.equal('NETRIG_INTERRUPTED');
      await first.release();
      await (await takeLock(file, options(1000))).release();
    });
  }
});

describe('images/use', () => {
  it('knows who uses an image for as long as that process lives', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'netrig-use-'));
    const image = join(directory, 'x-0123456789ab');
    let other: ChildProcess | null = null;
    try {
      expect(await userOf(image)).to.equal(null);
      other = await startOther(
        `import { noteUse } from ${JSON.stringify(moduleUrl('../../src/images/use.js'))}; await noteUse(process.argv[1])`,
        image,
      );
      expect((await userOf(image))?.pid).to.equal(other.pid);
      expect(await userOf(join(directory, 'x-0123456789ac'))).to.equal(null);
      await end(other);
      expect(await userOf(image)).to.equal(null);
      await noteUse(image);
      expect((await userOf(image))?.pid).to.equal(process.pid);
      // Of another pid namespace: nobody here can tell that it is dead. Of another boot: it is.
      const elsewhere = join(directory, 'y-0123456789ab');
      const { bootId } = ownPidSpace();
      await writeFile(join(directory, '.users', `y-0123456789ab.${bootId}.4.17.1`), '');
      expect((await userOf(elsewhere))?.pid).to.equal(17);
      await rm(join(directory, '.users'), { recursive: true });
      await mkdir(join(directory, '.users'));
      await writeFile(join(directory, '.users', `y-0123456789ab.00000000-0000-0000-0000-000000000000.4.17.1`), '');
      expect(await userOf(elsewhere)).to.equal(null);
    } finally {
      if (other !== null) await end(other);
      await rm(directory, { recursive: true, force: true });
    }
  });
});
