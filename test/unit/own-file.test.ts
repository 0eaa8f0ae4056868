import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetrigError } from '../../src/errors.js';
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
    // A rename that fails is about where the file was to be.
    expect(asCoded(failing('ENOSPC', { path: '/state/.x', dest: '/state/x' }))?.message).to.match(/^\/state\/x could/);
    for (const mistake of [new TypeError('x'), failing('ENOENT', { path: '/x' }), 'text', null])
      expect(asCoded(mistake)).to.equal(null);
    const own = new NetrigError('NETRIG_LIMIT', 'x');
    expect(asCoded(own)).to.equal(own);
  });
});
