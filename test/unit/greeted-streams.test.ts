import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { greetedStreams } from '../../src/providers/held-lab.js';

describe('Streams on which sshd has said its banner', () => {
  it('are kept for the first login of the process that holds the lab, once', () => {
    const streams = greetedStreams();
    const stream = new PassThrough();
    streams.keep('a', stream);
    expect(streams.take('a')).to.equal(stream);
    expect(streams.take('a')).to.equal(undefined);
    streams.keep('b', stream);
    streams.close();
    expect(stream.destroyed).to.equal(true);
  });

  it('are dropped at once where the lab is held for others: nobody would take them', () => {
    const streams = greetedStreams(true);
    const stream = new PassThrough();
    streams.keep('a', stream);
    expect(stream.destroyed).to.equal(true);
    expect(streams.take('a')).to.equal(undefined);
  });
});
