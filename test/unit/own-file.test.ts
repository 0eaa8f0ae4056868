import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetrigError } from '../../src/errors.js';
import { sourceFiles } from './source-files.js';
import { makeDirectory, makeDirectorySync } from '../../src/model/directory.js';
import { asCoded } from '../../src/model/refused-write.js';
import { named, writeOwnFile } from '../../src/lab/own-file.js';

const failing = (code: string, more: object = {}): Error => Object.assign(new Error(code), { code, ...more });

describe('files that netrig keeps for itself', () => {
  it('are readable to their owner only, and named in what the system says of them', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netrig-own-'));
    writeOwnFile(join(directory, 'x'), 'text');
    expect(statSync(join(directory, 'x')).mode & 0o777).to.equal(0o600);
    rmSync(directory, { recursive: true });
    const fail = (error: Error) => () =>
      named('/state/x', () => {
        throw error;
      });
    expect(fail(failing('ENOSPC')))
      .to.throw()
      .with.property('path', '/state/x');
    expect(fail(failing('ENOSPC', { path: '/state/y' })))
      .to.throw()
      .with.property('path', '/state/y');
  });

  it('that find no room are the machine’s trouble, with the place; what netrig did wrong is not', () => {
    for (const [code, words] of [
      ['ENOSPC', 'no space is left there'],
      ['EDQUOT', 'the quota there is used up'],
      ['EROFS', 'the file system there is read-only'],
      ['EACCES', 'permission denied'],
    ] as const) {
      const error = asCoded(failing(code, { path: '/state/x' }));
      expect(error?.code).to.equal('NETRIG_WRITE');
      expect(error?.message).to.equal(`/state/x could not be written: ${words}.`);
      expect(error?.exit).to.equal(3);
    }
    for (const [code, words] of [
      ['ENOTDIR', 'part of its path is no directory'],
      ['ENOENT', 'no directory can be made there'],
    ] as const)
      expect(asCoded(failing(code, { path: '/state/x', syscall: 'mkdir' }))?.message).to.equal(
        `/state/x could not be written: ${words}.`,
      );
    // A rename that fails is about where the file was to be.
    expect(asCoded(failing('ENOSPC', { path: '/state/.x', dest: '/state/x' }))?.message).to.match(/^\/state\/x could/);
    for (const mistake of [new TypeError('x'), failing('ENOENT', { path: '/x' }), 'text', null])
      expect(asCoded(mistake)).to.equal(null);
    const own = new NetrigError('NETRIG_LIMIT', 'x');
    expect(asCoded(own)).to.equal(own);
  });
});

describe('directories that netrig makes', () => {
  let base: string;
  beforeEach(() => void (base = mkdtempSync(join(tmpdir(), 'netrig-directory-'))));
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  for (const [how, make] of [
    ['at once', (path: string, mode?: number) => Promise.resolve().then(() => makeDirectorySync(path, mode))],
    ['in time', makeDirectory],
  ] as const)
    describe(`(${how})`, () => {
      it('are there afterwards with those above them, also where they were before', async () => {
        await Promise.all([make(join(base, 'a/b/c'), 0o700), make(join(base, 'a/b/d'), 0o700)]);
        await make(join(base, 'a/b/c'));
        for (const path of ['a', 'a/b', 'a/b/c', 'a/b/d'])
          expect(statSync(join(base, path)).mode & 0o777, path).to.equal(0o700);
      });

      it('are made by several at once', async () => {
        for (let round = 0; round < 50; round += 1)
          await Promise.all(Array.from({ length: 12 }, (_, one) => make(join(base, `${round}/b/c/d/${one % 4}`))));
      });

      it('that cannot be made are told of with their place, and nothing goes on for ever', async () => {
        writeFileSync(join(base, 'file'), '');
        for (const path of [join(base, 'file'), join(base, 'file/x/y'), '/proc/netrig/labs']) {
          const error = await make(path).then(
            () => null,
            (reason: unknown) => asCoded(reason),
          );
          expect(error?.code, path).to.equal('NETRIG_WRITE');
          expect(error?.message).to.match(/could not be written: (part of its path|no directory)/);
        }
      });
    });

  it('are made by nothing that never ends below /proc, but for those inside of directories that netrig has made', () => {
    const own = ['cgroups.ts', 'image-build.ts', 'container-image-build.ts'];
    const root = join(import.meta.dirname, '..', '..', '..');
    const found = sourceFiles(join(root, 'src')).flatMap(({ path, text }) =>
      !own.some((name) => path.endsWith(`/${name}`)) && /mkdir(?:Sync)?\([^;]*recursive/.test(text) ? [path] : [],
    );
    expect(found).to.deep.equal([]);
  });
});
