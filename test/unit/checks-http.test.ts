import { expect } from 'chai';
import { httpCheck, readResponse } from '../../src/checks/http.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

describe('an HTTP response', () => {
  it('is the one after the interim ones, with its headers in any case', () => {
    const response = readResponse(
      bytes(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nX-One: a\r\nx-one: b\r\nServer:web\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody é',
      ),
      5,
    )!;
    expect(response.status).to.equal(404);
    expect([...response.headers]).to.deep.equal([
      ['x-one', 'a, b'],
      ['server', 'web'],
    ]);
    expect(response.body).to.equal('HTTP/1.1 200 OK\r\n\r\nbody é');
  });
  it('is not read out of anything else', () => {
    for (const text of [
      '',
      'hello',
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 abc OK\r\n\r\n',
      'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
      'HTTP/1.1 2000\r\n\r\n',
    ])
      expect(readResponse(bytes(text), 1), JSON.stringify(text)).to.equal(null);
  });
});

describe('the shape of an http check', () => {
  const takes = (more: object): boolean =>
    httpCheck.schema.safeParse({ from: 'node1', url: 'http://node2:8080/', ...more }).success;
  it('takes what it says and nothing else', () => {
    expect(takes({ expect: { status: [200, 204], body: { contains: 'x' } } })).to.equal(true);
    expect(takes({ expect: { fails: ['refused'] } })).to.equal(true);
    for (const wrong of [
      { url: 'ftp://node2/' },
      { url: 'node2' },
      { expect: { status: 99 } },
      { expect: { stats: 200 } },
      { expect: { fails: 'http-status' } },
      { headers: { 'a b': 'x' } },
      { method: 'get' },
    ])
      expect(takes(wrong), JSON.stringify(wrong)).to.equal(false);
  });
});
