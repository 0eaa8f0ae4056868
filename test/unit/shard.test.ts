import { expect } from 'chai';
import { parseShard, partOf } from '../../src/cli/shard.js';

describe('A part of a set of scenario files', () => {
  it('is written as part/parts', () => {
    expect(parseShard('2/3')).to.deep.equal({ index: 2, of: 3 });
    for (const wrong of ['', '1', '0/3', '4/3', '1/0', '-1/2', '1/2/3', 'a/b', '1.5/2', ' 1/2'])
      expect(parseShard(wrong), wrong).to.equal(null);
  });

  it('holds each file exactly once over all parts, whatever order they were found in', () => {
    const files = ['c', 'a', 'e', 'b', 'd'].map((file) => ({ file }));
    const parts = [1, 2, 3].map((index) => partOf(files, { index, of: 3 }).map(({ file }) => file));
    expect(parts).to.deep.equal([['a', 'd'], ['b', 'e'], ['c']]);
    expect(partOf([...files].reverse(), { index: 1, of: 3 }).map(({ file }) => file)).to.deep.equal(parts[0]);
    expect(partOf(files, { index: 6, of: 6 })).to.deep.equal([]);
  });
});
