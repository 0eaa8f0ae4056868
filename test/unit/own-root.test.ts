import { expect } from 'chai';
import { NetrigError } from '../../src/errors.js';
import { ownRoot, ownRootWords } from '../../src/lab/own-root.js';

describe('The root of what makes namespaces', () => {
  it('is left alone where this process is in no chroot', () => {
    expect(ownRootWords({ state: 'kept', words: [] })).to.deep.equal([]);
  });

  it('is put before the command in a chroot', () => {
    expect(ownRootWords({ state: 'moved', words: ['perl', '-e', 'x'] })).to.deep.equal(['perl', '-e', 'x']);
  });

  it('is an error with the way out where it cannot be made good: hosts would get out of the chroot', () => {
    const words = (): unknown => ownRootWords({ state: 'stuck', why: 'pivot_root: Invalid argument' });
    expect(words).to.throw(NetrigError, /in a chroot.*pivot_root: Invalid argument/);
    try {
      words();
    } catch (error) {
      expect((error as NetrigError).code).to.equal('NETRIG_CAPABILITY');
      expect((error as NetrigError).hint).to.contain('outside of the chroot');
    }
  });

  it('is looked at once', () => {
    expect(ownRoot()).to.equal(ownRoot());
  });
});
