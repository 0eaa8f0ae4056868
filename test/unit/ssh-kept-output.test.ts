import { expect } from 'chai';
import { keepOutput } from '../../src/ssh/kept-output.js';

function keep(limit: number, ...chunks: (string | Buffer)[]) {
  const kept = keepOutput(limit);
  for (const chunk of chunks) kept.add(Buffer.from(chunk));
  return kept;
}

describe('ssh/kept-output', () => {
  it('keeps all of what fits', () => {
    expect(keep(10).text()).to.equal('');
    expect(keep(10, '12345', '67890').text()).to.equal('1234567890');
    expect(keep(10, '12345', '67890').bytes().toString()).to.equal('1234567890');
  });

  it('keeps head and tail of what does not, in chunks of any size', () => {
    const stream = Array.from({ length: 100 }, (_, index) => String.fromCharCode(48 + (index % 75))).join('');
    for (const limit of [0, 1, 2, 3, 10, 11, 99]) {
      const half = Math.ceil(limit / 2);
      const wanted = stream.slice(0, half) + stream.slice(stream.length - (limit - half));
      for (const size of [1, 2, 3, 7, 50, 100]) {
        const chunks = stream.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
        const kept = keep(limit, ...chunks);
        expect(kept.bytes().toString(), `limit ${limit}, chunks of ${size}`).to.equal(wanted);
        expect(kept.total).to.equal(100);
      }
    }
  });

  it('says where and how much is missing', () => {
    expect(keep(4, 'abcdefghij').text()).to.equal('ab\n[... 6 of 10 bytes left out here ...]\nij');
  });

  it('cuts between characters, and shows only what was invalid as U+FFFD', () => {
    const text = '✓'.repeat(100);
    for (const limit of [20, 21, 22, 23, 24, 25, 26]) {
      const shown = keep(limit, text).text();
      expect(shown, `limit ${limit}`).to.not.include('\ufffd');
      expect(shown).to.match(/^✓+\n\[\.\.\. \d+ of 300 bytes left out here \.\.\.\]\n✓+$/);
    }
    const invalid = Buffer.from([0x61, 0xff, 0xfe, 0x62]);
    expect(keep(10, invalid).text()).to.equal('a\ufffd\ufffdb');
    expect(keep(10, invalid).bytes()).to.deep.equal(invalid);
  });

  it('does not hold on to the chunks it was given', () => {
    const chunk = Buffer.from('abc');
    const kept = keepOutput(10);
    kept.add(chunk);
    chunk.fill(0x78);
    expect(kept.text()).to.equal('abc');
  });
});
