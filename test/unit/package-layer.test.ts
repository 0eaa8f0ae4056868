import { expect } from 'chai';
import { packageLayerKey } from '../../src/images/package-layer.js';

describe('A layer of packages', () => {
  const built = (at: string): { build: string } => ({ build: `debian-12-4e0cb1c5fa9b@${at}` });

  it('is one for a set of packages, in whatever order they are named', () => {
    const base = built('2026-11-20T10:00:00.000Z');
    expect(packageLayerKey(base, ['frr', 'bind9', 'frr'])).to.equal(packageLayerKey(base, ['bind9', 'frr']));
    expect(packageLayerKey(base, ['frr'])).not.to.equal(packageLayerKey(base, ['bind9']));
  });

  it('is another over an image that was built anew from the same recipe: it holds the books of the packages beneath', () => {
    const before = packageLayerKey(built('2026-11-20T10:00:00.000Z'), ['frr']);
    expect(packageLayerKey(built('2026-11-27T10:00:00.000Z'), ['frr'])).not.to.equal(before);
  });
});
