import { expect } from 'chai';
import { httpCheck } from '../../src/checks/http.js';
import { keptResponseBytes, readCurlReport, readResponse } from '../../src/probes/http-exchange.js';
import { fakeLab } from '../fakes/lab.js';
import { kindTable } from '../fakes/kind-table.js';
import { curlText } from '../fakes/sayings.js';
import type { CurlSaid } from '../fakes/sayings.js';

const readAll = (raw: Buffer) => readResponse(raw, raw.length, 1);
const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

describe('an HTTP response', () => {
  it('is the one after the interim ones, with its headers in any case', () => {
    const response = readAll(
      bytes(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nX-One: a\r\nx-one: b\r\nServer:web\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody é',
      ),
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
      expect(readAll(bytes(text)), JSON.stringify(text)).to.equal(null);
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

describe('what curl says of a connection that it did not make', () => {
  const account = '{"response_code":0,"time_connect":0.000000,"time_total":3.06}\n';
  const table: [stderr: string, error: string | null][] = [
    ['* connect to 10.0.0.9 port 81 failed: No route to host\n', 'remote EHOSTUNREACH'],
    ['* connect to 10.0.0.9 port 81 from 10.0.0.4 port 46944 failed: Connection refused\n', 'remote ECONNREFUSED'],
    [
      '* Immediate connect fail for 10.8.0.1: Network is unreachable\n* connect to 10.8.0.1 port 80 from 0.0.0.0 port 0 failed: Network is unreachable\n',
      'local ENETUNREACH',
    ],
    ['* Immediate connect fail for 10.9.2.1: Invalid argument\n', 'local EINVAL'],
    ['* Immediate connect fail for 127.0.0.1: Connection refused\n', 'remote ECONNREFUSED'],
    ['* Connection timed out after 4001 milliseconds\n', null],
    ['* connect to 10.0.0.9 port 81 failed: Kein Weg zum Ziel\n', null],
  ];
  for (const [stderr, error] of table) {
    it(stderr.trim().split('\n')[0]!, () => {
      const report = readCurlReport(`*   Trying 10.0.0.9:81...\n${stderr}${account}netrig-icmp 3 13 10.0.0.9\n`)!;
      const { connectError, icmp } = report;
      expect(connectError === null ? null : `${connectError.where} ${connectError.errno}`).to.equal(error);
      expect(icmp).to.deep.equal({ type: 3, code: 13, from: '10.0.0.9' });
    });
  }
  it('says which source port the connection had, where curl does', () => {
    const account = { response_code: 0, time_total: 1, time_connect: 0.1 };
    const portOf = (more: object): number | null =>
      readCurlReport(`${JSON.stringify({ ...account, ...more })}\n`)!.fromPort;
    expect(portOf({ local_port: 40_001 })).to.equal(40_001);
    expect(portOf({})).to.equal(null);
  });
  it('is nothing without curl’s account of it', () => {
    expect(readCurlReport('curl: option --verbse: is unknown\n')).to.equal(null);
    expect(readCurlReport('{"response_code": "200"}\n')).to.equal(null);
  });
});

describe('an http check, from what the tools said to its verdict', () => {
  const hosts = { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } };
  interface Case {
    title: string;
    /** What curl says at a; at b itself the server answers with 200. */
    said: CurlSaid | { stdout?: string; stderr?: string; exitCode: number | null; timedOut?: boolean };
    itself?: CurlSaid;
    spec?: object;
    is: string;
    reason?: RegExp;
  }
  const long = 'x'.repeat(keptResponseBytes);
  const table: Case[] = [
    { title: 'a 200', said: { status: 200, body: 'page\n' }, is: 'pass' },
    { title: 'a 404 where any 2xx will do', said: { status: 404 }, is: 'fail http-status', reason: /status 404/ },
    { title: 'a 404 where it must be', said: { status: 404 }, spec: { status: 404 }, is: 'pass' },
    { title: 'the body', said: { status: 200, body: 'page\n' }, spec: { body: 'page' }, is: 'pass' },
    { title: 'another body', said: { status: 200, body: 'nope' }, spec: { body: 'page' }, is: 'fail wrong-answer' },
    {
      title: 'a header that is not there',
      said: { status: 200 },
      spec: { headers: { Location: '/' } },
      is: 'fail wrong-answer',
      reason: /without the header Location/,
    },
    {
      title: 'a header that must not be there',
      said: { status: 200 },
      spec: { headers: { Location: { absent: true } } },
      is: 'pass',
    },
    {
      title: 'a body that is longer than what is kept, and what must not stand in it is in its middle',
      said: { status: 200, body: `${long}ROOT${long}` },
      spec: { body: { not: { contains: 'ROOT' } } },
      is: 'inconclusive',
      reason: /its body has 33554436 bytes, of which no more than 16777216 are kept/,
    },
    {
      title: 'a body that is longer than what is kept, where only the status is asked for',
      said: { status: 200, body: `${long}ROOT` },
      is: 'pass',
    },
    {
      title: 'a body longer than what an ordinary command keeps',
      said: { status: 200, body: `${'x'.repeat(3_000_000)}ROOT` },
      spec: { body: { length: 3_000_004 } },
      is: 'pass',
    },
    {
      title: 'a request that the end of the attempt cut off',
      said: { exitCode: null, timedOut: true },
      is: 'fail timeout',
      reason: /had not answered a in full after/,
    },
    {
      title: 'a body that stalls',
      said: { exit: 28, status: 200, headers: { 'Content-Length': '100' }, body: 'half' },
      is: 'fail timeout',
      reason: /answers a with 200, then stalls after 4 of 100 bytes/,
    },
    {
      title: 'a body that stalls, without an announced length',
      said: { exit: 28, status: 200, body: 'half' },
      is: 'fail timeout',
      reason: /answers a with 200, then stalls after 4 bytes/,
    },
    {
      title: 'a body that stalls, where no answer must come in time',
      said: { exit: 28, status: 200, headers: { 'Content-Length': '100' }, body: 'half' },
      spec: { fails: 'timeout' },
      is: 'fail present',
      reason: /then stalls after 4 of 100 bytes, although it must fail/,
    },
    {
      title: 'a body that ends early',
      said: { exit: 18, status: 200, headers: { 'Content-Length': '100' }, body: 'half' },
      is: 'fail wrong-answer',
      reason: /answers a with 200, then ends after 4 of 100 bytes/,
    },
    {
      title: 'a connection that is reset in the body',
      said: { exit: 56, status: 200, headers: { 'Content-Length': '100' }, body: 'half' },
      is: 'fail reset',
      reason: /answers a with 200, then resets the connection after 4 of 100 bytes/,
    },
    {
      title: 'a server that takes connections and says nothing',
      said: { exit: 28, connected: true },
      is: 'fail timeout',
      reason: /accepts the connection, but does not answer in time/,
    },
    { title: 'a server that closes', said: { exit: 52, connected: true }, is: 'fail no-answer' },
    { title: 'no HTTP', said: { exit: 1, raw: 'SSH-2.0-x\r\n' }, is: 'fail wrong-answer', reason: /not in HTTP/ },
    { title: 'no HTTP, and curl takes it', said: { raw: 'hello' }, is: 'fail wrong-answer', reason: /not in HTTP/ },
    { title: 'no TLS', said: { exit: 60, connected: true }, is: 'fail tls' },
    {
      title: 'a certificate that is self-signed',
      said: { exit: 60, connected: true, certificate: 18 },
      is: 'fail tls',
      reason: /: its certificate is self-signed$/,
    },
    {
      title: 'a certificate for another name',
      said: { exit: 60, connected: true, certificate: 1 },
      is: 'fail tls',
      reason: /: its certificate is not for the name that was asked for$/,
    },
    {
      title: 'a port without TLS',
      said: { exit: 35, connected: true },
      is: 'fail tls',
      reason: /: the handshake failed$/,
    },
    { title: 'no TLS, and no time of the connection either', said: { exit: 60, counted: true }, is: 'fail tls' },
    {
      title: 'TLS that is waited for in vain over a connection without a time',
      said: { exit: 28, counted: true },
      is: 'fail timeout',
      reason: /accepts the connection, but does not answer in time/,
    },
    { title: 'a refusal', said: { exit: 7, refused: 'Connection refused' }, is: 'fail refused', reason: /refuses a/ },
    {
      title: 'a refusal, as it must be',
      said: { exit: 7, refused: 'Connection refused' },
      spec: { fails: 'refused' },
      is: 'pass refused',
    },
    {
      title: 'nobody at the address',
      said: { exit: 7, refused: 'No route to host', icmp: '3 1 10.0.0.1' },
      is: 'fail host-unreachable',
    },
    {
      title: 'a firewall that says so, which has the same errno',
      said: { exit: 7, refused: 'No route to host', icmp: '3 13 10.0.0.9' },
      is: 'fail prohibited',
      reason: /10\.0\.0\.9 answered with ICMP type 3 code 13/,
    },
    {
      title: 'no way there',
      said: { exit: 7, refused: 'Network is unreachable', local: true },
      is: 'fail no-route',
    },
    {
      title: 'the neighbour gave up after 3 s: the cause of that attempt, whatever a shorter one would meet',
      said: { exit: 7, refused: 'No route to host', icmp: '3 1 10.0.0.1' },
      spec: { fails: 'timeout' },
      is: 'fail host-unreachable',
    },
    { title: 'silence', said: { exit: 28 }, is: 'fail timeout' },
    { title: 'silence, as it must be', said: { exit: 28 }, spec: { fails: 'timeout' }, is: 'pass timeout' },
    {
      title: 'silence, as it must be, but the server is dead itself',
      said: { exit: 28 },
      itself: { exit: 28 },
      spec: { fails: 'timeout' },
      is: 'inconclusive',
    },
    { title: 'an answer where none must be', said: { status: 500 }, spec: { fails: 'timeout' }, is: 'fail present' },
    {
      title: 'words of the kernel that are not known',
      said: { exit: 7, refused: 'Kein Weg zum Ziel' },
      is: 'inconclusive',
      reason: /does not say why/,
    },
    {
      title: 'no curl',
      said: { stderr: 'sh: curl: not found\n', exitCode: 127 },
      is: 'inconclusive',
      reason: /lacks curl/,
    },
    {
      title: 'a curl that does not know an option',
      said: { stderr: 'curl: option --x: is unknown\n', exitCode: 2 },
      is: 'inconclusive',
    },
  ];
  kindTable(httpCheck, {
    hosts,
    cases: table.map(({ title, said, itself = { status: 200 }, spec, is, reason }) => ({
      title,
      said: [
        { at: 'a', tool: 'curl', about: '10.0.0.2', says: 'exitCode' in said ? said : curlText(said as CurlSaid) },
        { at: 'b', tool: 'curl', about: '10.0.0.2', says: curlText(itself) },
      ],
      spec: { from: 'a', url: 'http://b/', ...(spec === undefined ? {} : { expect: spec }) },
      is,
      ...(reason === undefined ? {} : { reason }),
    })),
  });
  it('asks once: no second connection is made to learn why there was none', async () => {
    const lab = fakeLab({
      hosts,
      said: [{ tool: 'curl', says: curlText({ exit: 7, refused: 'Connection refused' }) }],
    });
    await lab.check(httpCheck, { from: 'a', url: 'http://b/' });
    const sent = lab.asked.filter(({ at, port }) => at === 'a' && port !== null);
    expect(sent.map(({ tool }) => tool)).to.deep.equal(['curl']);
  });
  it('a control of a request that changes something changes nothing', async () => {
    const lab = fakeLab({
      hosts,
      said: [
        { at: 'a', tool: 'curl', says: curlText({ exit: 28 }) },
        { at: 'b', tool: 'curl', says: curlText({ status: 405 }) },
      ],
    });
    const outcome = await lab.check(httpCheck, {
      from: 'a',
      url: 'http://b/orders/1',
      method: 'DELETE',
      send: 'x',
      expect: { fails: 'timeout' },
    });
    expect(outcome.verdict, outcome.reason).to.equal('pass');
    const [control] = lab.asked.filter(({ at, tool }) => at === 'b' && tool === 'curl');
    expect(control!.argv).to.include('--head').and.not.include('DELETE');
    expect(control!.argv).not.to.include('--data-binary');
  });
  it('an answer of whoever has the source’s own address, too, is nobody’s', async () => {
    const engines = {
      n1: { on: { lan: '10.0.0.1' }, containers: { one: { on: { bridge: '172.17.0.2/16' } } } },
      n2: { on: { lan: '10.0.0.2' }, containers: { two: { on: { bridge: '172.17.0.2/16' } } } },
    };
    const lab = fakeLab({
      hosts: engines,
      said: [{ tool: 'curl', about: '172.17.0.2', says: curlText({ status: 200 }) }],
    });
    for (const expectation of [undefined, { fails: 'timeout' }]) {
      const outcome = await lab.check(httpCheck, {
        from: 'n1/one',
        url: 'http://two/',
        to: 'n2/two',
        ...(expectation === undefined ? {} : { expect: expectation }),
      });
      expect(outcome.verdict, outcome.reason).to.equal('inconclusive');
      expect(outcome.reason).to.match(/same address/);
    }
  });
});
