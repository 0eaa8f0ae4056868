import { expect } from 'chai';
import { dnsCheck } from '../../src/checks/dns.js';
import { decodeReply, encodeQuery, reverseName } from '../../src/probes/dns-message.js';
import { readHostsFile, readResolvConf, searchCandidates } from '../../src/facts/name-files.js';
import { readAnswer } from '../../src/probes/resolver.js';
import { kindTable } from '../fakes/kind-table.js';
import type { Case } from '../fakes/kind-table.js';
import { fakeLab } from '../fakes/lab.js';
import type { FakeOptions, Row } from '../fakes/lab.js';
import { dnsData, nameAsked } from '../fakes/sayings.js';
import type { DnsSaid } from '../fakes/sayings.js';

/** An answer to `query`: its question, the rcode and flags, and the records given as bytes after their name. */
function answerTo(query: Buffer, rcode: number, records: Buffer[] = [], flags = 0x8180): Buffer {
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(flags | rcode, 2);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12), ...records]);
}

/** A record whose name points back to the question's. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(600, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

const question = { server: '127.0.0.11', name: 'web', type: 'A' as const };
const query = encodeQuery(7, 'web', 'A')!;
const seen = (data: Buffer) => readAnswer(question, 7, { saw: 'data', ms: 1, data });
const address = record(1, Buffer.from([10, 0, 0, 2]));

describe('DNS messages', () => {
  it('ask for a name as RFC 1035 has it', () => {
    expect(query.toString('hex')).to.equal('0007010000010000000000000377656200' + '00010001');
  });
  it('can carry no empty or overlong label', () => {
    for (const name of ['a..b', `${'x'.repeat(64)}.test`, '', Array.from({ length: 60 }, () => 'abcde').join('.')])
      expect(encodeQuery(1, name, 'A'), name).to.equal(null);
    expect(encodeQuery(1, 'web.', 'A')!.equals(encodeQuery(1, 'web', 'A')!)).to.equal(true);
  });
  it('are read with compressed names, addresses of both families and texts', () => {
    const reply = decodeReply(
      answerTo(query, 0, [
        address,
        record(28, Buffer.from('fd000000000000000000000000000001', 'hex')),
        record(5, Buffer.from([1, 120, 0xc0, 12])),
        record(16, Buffer.from([2, 104, 105])),
      ]),
    )!;
    expect(reply.answers.map(({ name, type, data }) => [name, type, data])).to.deep.equal([
      ['web', 'A', '10.0.0.2'],
      ['web', 'AAAA', 'fd00::1'],
      ['web', 'CNAME', 'x.web'],
      ['web', 'TXT', 'hi'],
    ]);
  });
  it('that are broken are no answer, and end', () => {
    const loop = answerTo(query, 0, [record(5, Buffer.from([0xc0, 12 + 4 + 5 + 12]))]);
    for (const message of [
      Buffer.alloc(0),
      Buffer.alloc(11),
      query,
      answerTo(query, 0, [address]).subarray(0, -2),
      loop,
      answerTo(query, 0, [record(1, Buffer.from([1, 2, 3]))]),
    ])
      expect(decodeReply(message), message.toString('hex')).to.equal(null);
  });
  it('survive any bytes', () => {
    let state = 1;
    for (let round = 0; round < 3000; round += 1) {
      const message = answerTo(query, 0, [address, address]);
      for (let i = 0; i < 4; i += 1) {
        state = (state * 1103515245 + 12345) % 2147483648;
        message[2 + (state % (message.length - 2))] = (state >> 8) & 255;
      }
      const reply = decodeReply(message);
      if (reply) expect(reply.answers.length).to.be.lessThan(300);
    }
  });
  it('name addresses backwards', () => {
    expect(reverseName('172.18.0.3')).to.equal('3.0.18.172.in-addr.arpa');
    expect(reverseName('2001:db8::1')).to.equal(
      '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
    );
    expect(reverseName('::1')).to.equal(`1.${'0.'.repeat(31)}ip6.arpa`);
  });
});

describe('the answer of a name server', () => {
  it('is told with the port that was asked, which only a named server can have', () => {
    const silent = readAnswer({ ...question, port: 8600 }, 7, { saw: 'silent' });
    expect(silent.saw === 'failure' && silent.text).to.include('127.0.0.11, port 8600, did not answer');
    const { error } = dnsCheck.schema.safeParse({ from: 'node1', name: 'web', port: 8600 });
    expect(error?.issues.map(({ path, message }) => [path.join('.'), message])).to.deep.equal([
      ['port', 'needs a server that has it: resolvers ask port 53'],
    ]);
    expect(dnsCheck.schema.safeParse({ from: 'node1', name: 'web', server: '10.0.0.2', port: 8600 }).success).to.equal(
      true,
    );
  });
  it('has a typed cause for every way of saying no', () => {
    for (const [rcode, cause] of [
      [3, 'nxdomain'],
      [2, 'servfail'],
      [5, 'dns-refused'],
      [0, 'no-answer'],
    ] as const)
      expect(seen(answerTo(query, rcode))).to.include({ saw: 'failure', cause, replied: true });
    expect(readAnswer(question, 7, { saw: 'silent' })).to.include({ saw: 'failure', cause: 'timeout', replied: false });
  });
  it('is alive by its host’s refusal, but not by a router’s or the sender’s own error', () => {
    const error = (errno: string, where: 'local' | 'remote') =>
      readAnswer(question, 7, { saw: 'error', where, errno, icmp: null });
    expect(error('ECONNREFUSED', 'remote')).to.include({ cause: 'refused', replied: true });
    expect(error('EHOSTUNREACH', 'remote')).to.include({ cause: 'host-unreachable', replied: false });
    expect(error('ENETUNREACH', 'local')).to.include({ cause: 'no-route', replied: false });
    expect(error('EMFILE', 'local')).to.include({ saw: 'nothing' });
  });
  it('counts only for the question that was asked', () => {
    expect(seen(answerTo(query, 0, [address]))).to.include({ saw: 'answer' });
    expect(seen(answerTo(encodeQuery(8, 'web', 'A')!, 0, [address]))).to.include({ saw: 'nothing' });
    expect(seen(answerTo(encodeQuery(7, 'other', 'A')!, 0, [address]))).to.include({ saw: 'nothing' });
    expect(seen(answerTo(query, 0, [address], 0x8380))).to.include({ saw: 'nothing' });
    expect(seen(answerTo(query, 4))).to.include({ saw: 'nothing' });
    expect(seen(Buffer.from('no DNS'))).to.include({ saw: 'nothing' });
  });
});

describe('the files that name resolution reads', () => {
  it('resolv.conf: three servers, the last search list, ndots', () => {
    expect(
      readResolvConf(
        '; c\nnameserver 10.0.0.1\nnameserver nope\nsearch a b\ndomain c.test\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\noptions ndots:2 timeout:1\n',
      ),
    ).to.deep.equal({ servers: ['10.0.0.1', '10.0.0.2', '10.0.0.3'], search: ['c.test'], ndots: 2 });
    expect(readResolvConf('')).to.deep.equal({ servers: [], search: [], ndots: 1 });
  });
  it('hosts: by whole names in any case, of one family, without comments', () => {
    const hosts = '127.0.0.1 localhost\n10.0.0.2 web.n1 Web # alias app\nfd00::2 web\n10.0.0.3 website\n';
    expect(readHostsFile(hosts, 'web', 4)).to.deep.equal(['10.0.0.2']);
    expect(readHostsFile(hosts, 'WEB.', 6)).to.deep.equal(['fd00::2']);
    expect(readHostsFile(hosts, 'app', 4)).to.deep.equal([]);
  });
  it('the search list goes before or after the plain name, by ndots', () => {
    const config = { servers: [], search: ['a.test', 'b.test.'], ndots: 1 };
    expect(searchCandidates('web', config)).to.deep.equal(['web.a.test', 'web.b.test', 'web']);
    expect(searchCandidates('web.x', config)).to.deep.equal(['web.x', 'web.x.a.test', 'web.x.b.test']);
    expect(searchCandidates('web', { ...config, ndots: 0 })[0]).to.equal('web');
    expect(searchCandidates('web.', config)).to.deep.equal(['web']);
  });
});

describe('a dns check, from what the servers said to its verdict', () => {
  const hosts: FakeOptions['hosts'] = {
    a: {
      on: { lan: '10.0.0.1' },
      containers: {
        one: { on: { net1: '172.18.0.2/16' } },
        two: { on: { net1: '172.18.0.3/16' } },
      },
    },
    ns: { on: { lan: '10.0.0.53' } },
  };
  /** What a server says of names; what it is not told of it does not know; `silent`: nobody hears of it. */
  type Zone = 'silent' | 'dead' | Record<string, DnsSaid>;
  const serves = (server: string, zone: Zone, at?: string): Row => ({
    ...(at === undefined ? {} : { at }),
    tool: 'perl',
    about: server,
    port: 53,
    when: ({ argv }) => argv[2] === 'udp',
    says: ({ argv }) =>
      zone === 'silent'
        ? 'silent'
        : zone === 'dead'
          ? 'error remote ECONNREFUSED'
          : dnsData(argv, zone[nameAsked(argv)] ?? { rcode: 3 }),
  });
  /** A host's own file, or that of a container, which its host reads. */
  const resolv = (text: string, of: 'host' | 'container'): Row => ({
    at: 'a',
    tool: 'cat',
    when: ({ argv, part }) => part === 'resolv' && argv[1]!.startsWith('/proc/') === (of === 'container'),
    says: text,
  });
  const lab = [
    resolv('nameserver 10.0.0.53\nsearch example.org\n', 'host'),
    resolv('nameserver 127.0.0.11\n', 'container'),
  ];
  const servfail = { rcode: 2 };
  /** A server whose answer does not fit into a datagram, and what comes of the question over TCP. */
  const cut = (over: (argv: readonly string[]) => string): Row[] => [
    {
      tool: 'perl',
      about: '10.0.0.53',
      port: 53,
      when: ({ argv }) => argv[2] === 'udp',
      // The flag TC (RFC 1035, 4.1.1).
      says: ({ argv }) => dnsData(argv, {}).replace(/8180/, '8380'),
    },
    {
      tool: 'perl',
      about: '10.0.0.53',
      port: 53,
      when: ({ argv }) => argv[2] === 'framed',
      says: ({ argv }) => over(argv),
    },
  ];
  /** The answer with its length before it, to a question that has it, too. */
  const framed = (argv: readonly string[], said: DnsSaid): string => {
    const [, ms, hex] = dnsData([...argv.slice(0, -1), argv.at(-1)!.slice(4)], said).split(' ');
    return `data ${ms} ${(hex!.length / 2).toString(16).padStart(4, '0')}${hex}`;
  };
  const table: Case[] = [
    {
      title: 'an answer',
      spec: { from: 'a', name: 'www.example.net' },
      said: [serves('10.0.0.53', { 'www.example.net': { addresses: ['10.9.9.9'] } })],
      is: 'pass',
      reason: /^www\.example\.net is 10\.9\.9\.9 at a, says 10\.0\.0\.53$/,
    },
    {
      title: 'an answer to a name that the search list has completed, which is said',
      spec: { from: 'a', name: 'web' },
      said: [serves('10.0.0.53', { 'web.example.org': { addresses: ['10.9.9.9'] } })],
      is: 'pass',
      reason: /^web \(asked as web\.example\.org\) is 10\.9\.9\.9/,
    },
    {
      title: 'an answer that does not fit into a datagram, over TCP',
      spec: { from: 'a', name: 'www.example.net', expect: { addresses: ['10.9.9.9', '10.9.9.8'] } },
      said: cut((argv) => framed(argv, { addresses: ['10.9.9.9', '10.9.9.8'] })),
      is: 'pass',
    },
    {
      title: 'such an answer that is another one',
      spec: { from: 'a', name: 'www.example.net', expect: { addresses: '10.9.9.9' } },
      said: cut((argv) => framed(argv, { addresses: ['10.9.9.9', '10.9.9.8'] })),
      is: 'fail wrong-answer',
    },
    {
      title: 'an answer that does not fit into a datagram, and a server that refuses TCP',
      spec: { from: 'a', name: 'www.example.net' },
      said: cut(() => 'error remote ECONNREFUSED'),
      is: 'fail refused',
      reason: /with more than a datagram holds, and refuses connections over TCP/,
    },
    {
      title: 'the same, and TCP that nobody answers',
      spec: { from: 'a', name: 'www.example.net' },
      said: cut(() => 'silent'),
      is: 'fail timeout',
      reason: /does not answer over TCP/,
    },
    {
      title: 'the same, as part of a message only',
      spec: { from: 'a', name: 'www.example.net' },
      said: cut(() => 'closed 0.3'),
      is: 'fail reset',
    },
    {
      title: 'no answer to a name that glibc does not come to: a REFUSED ends the search list',
      spec: { from: 'a', name: 'web' },
      said: [
        resolv('nameserver 10.0.0.53\nsearch nil.test example.org\n', 'host'),
        serves('10.0.0.53', { 'web.nil.test': { rcode: 5 }, 'web.example.org': { addresses: ['10.9.9.9'] } }),
      ],
      is: 'fail nxdomain',
      reason:
        /NXDOMAIN for web \(A\); before that 10\.0\.0\.53 answered REFUSED for web\.nil\.test \(A\), which ends the search list: web\.example\.org is not asked for/,
    },
    {
      title: 'the plain name after a REFUSED',
      spec: { from: 'a', name: 'web' },
      said: [
        resolv('nameserver 10.0.0.53\nsearch nil.test example.org\n', 'host'),
        serves('10.0.0.53', { 'web.nil.test': { rcode: 5 }, web: { addresses: ['10.9.9.9'] } }),
      ],
      is: 'pass',
    },
    {
      title: 'a name of the search list after SERVFAIL for the one before it',
      spec: { from: 'a', name: 'web' },
      said: [
        resolv('nameserver 10.0.0.53\nsearch bad.test example.org\n', 'host'),
        serves('10.0.0.53', { 'web.bad.test': servfail, 'web.example.org': { addresses: ['10.9.9.9'] } }),
      ],
      is: 'pass',
      reason: /asked as web\.example\.org/,
    },
    {
      title: 'the first name of the search list at the second server before the second name at the first',
      spec: { from: 'a', name: 'web', expect: { addresses: '10.7.7.7' } },
      said: [
        resolv('nameserver 10.0.0.53\nnameserver 10.0.0.54\nsearch first.test example.org\n', 'host'),
        serves('10.0.0.53', { 'web.first.test': { rcode: 5 }, 'web.example.org': { addresses: ['10.9.9.9'] } }),
        serves('10.0.0.54', { 'web.first.test': { addresses: ['10.7.7.7'] } }),
      ],
      is: 'pass',
      reason: /says 10\.0\.0\.54$/,
    },
    {
      title: 'a name of the search list that the second server alone knows, though the first denies the plain name',
      spec: { from: 'a', name: 'web' },
      said: [
        resolv('nameserver 10.0.0.53\nnameserver 10.0.0.54\nsearch first.test\n', 'host'),
        serves('10.0.0.53', { 'web.first.test': { rcode: 5 } }),
        serves('10.0.0.54', { 'web.first.test': { addresses: ['10.7.7.7'] } }),
      ],
      is: 'pass',
    },
    {
      title: 'a name with a dot, of the search list, after a REFUSED for it as it is',
      spec: { from: 'a', name: 'web.corp' },
      said: [
        resolv('nameserver 10.0.0.53\nsearch test\n', 'host'),
        serves('10.0.0.53', { 'web.corp': { rcode: 5 }, 'web.corp.test': { addresses: ['10.9.9.9'] } }),
      ],
      is: 'pass',
    },
    {
      title: 'the address of who is meant',
      spec: { from: 'a/one', name: 'two', expect: { is: 'a/two' } },
      said: [serves('127.0.0.11', { two: { addresses: ['172.18.0.3'] } })],
      is: 'pass',
    },
    {
      title: 'the address that the engine states of who is meant, which has changed it',
      spec: { from: 'a/one', name: 'two', expect: { is: 'a/two' } },
      said: [
        serves('127.0.0.11', { two: { addresses: ['172.18.0.3'] } }),
        {
          at: 'a/two',
          tool: 'ip',
          says: JSON.stringify([
            {
              ifname: 'lo',
              flags: ['LOOPBACK'],
              addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8, scope: 'host' }],
            },
            {
              ifname: 'eth0',
              flags: [],
              addr_info: [{ family: 'inet', local: '172.18.0.77', prefixlen: 16, scope: 'global' }],
            },
          ]),
        },
      ],
      is: 'fail wrong-answer',
      reason:
        /an address of a\/two \(172\.18\.0\.77\); its engine says that it has 172\.18\.0\.3, but none of its interfaces does/,
    },
    {
      title: 'an address that a step has added to a host',
      spec: { from: 'a', name: 'ns.example.net', expect: { is: 'ns' } },
      said: [serves('10.0.0.53', { 'ns.example.net': { addresses: ['10.7.7.7'] } })],
      is: 'pass',
    },
    {
      title: 'addresses that could not be read',
      spec: { from: 'a', name: 'ns.example.net', expect: { is: 'ns' } },
      said: [
        serves('10.0.0.53', { 'ns.example.net': { addresses: ['10.0.0.53'] } }),
        { at: 'ns', tool: 'ip', says: { timedOut: true } },
      ],
      is: 'inconclusive',
    },
    {
      title: 'another server than the one that had to answer',
      spec: { from: 'a', name: 'www.example.net', expect: { 'answered-by': '127.0.0.11' } },
      said: [serves('10.0.0.53', { 'www.example.net': { addresses: ['10.9.9.9'] } })],
      is: 'fail wrong-answer',
    },
    {
      title: 'no such name, as it must be',
      spec: { from: 'a', name: 'nobody', expect: { fails: 'nxdomain' } },
      said: [serves('10.0.0.53', {})],
      is: 'pass nxdomain',
    },
    {
      title: 'no such name, as it must be, but another server says so',
      spec: { from: 'a', name: 'nobody', expect: { fails: 'nxdomain', 'answered-by': '127.0.0.11' } },
      said: [serves('10.0.0.53', {})],
      is: 'fail wrong-answer',
      reason: /10\.0\.0\.53 answered NXDOMAIN .*; expected that 127\.0\.0\.11 says so/,
    },
    {
      title: 'silence, as it must be, but somebody had to say so',
      spec: { from: 'a', name: 'nobody', expect: { fails: 'timeout', 'answered-by': '10.0.0.53' } },
      said: [serves('10.0.0.53', {}, 'ns'), serves('10.0.0.53', 'silent')],
      is: 'fail wrong-answer',
    },
    {
      title: 'silence, as it must be, of a server that answers at its own host',
      spec: { from: 'a', name: 'nobody', expect: { fails: 'timeout' } },
      said: [serves('10.0.0.53', {}, 'ns'), serves('10.0.0.53', 'silent')],
      is: 'pass timeout',
    },
    {
      title: 'silence, as it must be, and nobody serves there',
      spec: { from: 'a', name: 'nobody', expect: { fails: ['timeout', 'servfail'] } },
      said: [serves('10.0.0.53', 'silent')],
      is: 'inconclusive',
    },
    {
      title: 'SERVFAIL, as it must be, of a server that says it of everything',
      spec: { from: 'a', name: 'www.example.net', expect: { fails: 'servfail' } },
      said: [serves('10.0.0.53', { 'www.example.net': servfail })],
      is: 'inconclusive',
      reason: /can find out, asked for www\.example\.net from ns itself/,
    },
    {
      title: 'SERVFAIL, as it must be, of a server that answers another question',
      spec: { from: 'a', name: 'www.example.net', expect: { fails: 'servfail' }, control: { name: 'ok.example.net' } },
      said: [serves('10.0.0.53', { 'www.example.net': servfail, 'ok.example.net': { addresses: ['10.9.9.9'] } })],
      is: 'pass servfail',
    },
    {
      title: 'SERVFAIL, as it must be, of a server that does not answer the other question, either',
      spec: { from: 'a', name: 'www.example.net', expect: { fails: 'servfail' }, control: { name: 'ok.example.net' } },
      said: [serves('10.0.0.53', { 'www.example.net': servfail, 'ok.example.net': servfail })],
      is: 'inconclusive',
    },
    {
      title: 'a name of the outside in a container, of which the host knows nothing, either',
      spec: { from: 'a/one', name: 'www.example.net', expect: { fails: ['servfail', 'timeout'] } },
      said: [
        serves('127.0.0.11', { 'www.example.net': servfail, one: { addresses: ['172.18.0.2'] } }),
        serves('10.0.0.53', 'dead'),
      ],
      is: 'inconclusive',
      reason: /for whose containers 127\.0\.0\.11 asks, resolves www\.example\.net/,
    },
    {
      title: 'a name of the outside in a container, which its host resolves',
      spec: { from: 'a/one', name: 'www.example.net', expect: { fails: ['servfail', 'timeout'] } },
      said: [
        serves('127.0.0.11', { 'www.example.net': servfail, one: { addresses: ['172.18.0.2'] } }),
        serves('10.0.0.53', { 'www.example.net': { addresses: ['10.9.9.9'] } }),
      ],
      is: 'pass servfail',
    },
    {
      title: 'a name of a container that a network does not know, without an outside',
      spec: { from: 'a/one', name: 'two', expect: { fails: ['servfail', 'timeout', 'nxdomain'] } },
      said: [serves('127.0.0.11', { two: servfail, one: { addresses: ['172.18.0.2'] } })],
      is: 'pass servfail',
    },
    {
      title: 'an answer where none must be',
      spec: { from: 'a', name: 'web', expect: { fails: 'nxdomain' } },
      said: [serves('10.0.0.53', { 'web.example.org': { addresses: ['10.9.9.9'] } })],
      is: 'fail present',
      reason: /^web \(asked as web\.example\.org\) resolves at a to 10\.9\.9\.9/,
    },
    {
      title: 'another failure than the one that must be',
      spec: { from: 'a', name: 'nobody', expect: { fails: 'timeout' } },
      said: [serves('10.0.0.53', {})],
      is: 'fail nxdomain',
    },
  ];
  kindTable(dnsCheck, {
    hosts: { ...hosts, ns: { ...hosts.ns, added: { eth0: ['10.7.7.7/24'] } } },
    said: lab,
    cases: table,
  });
  it('fails where another one than the server that is named answers at its address', async () => {
    const impostor = fakeLab({
      hosts: { ...hosts, c: { on: { lan: '10.0.0.99' }, added: { eth0: ['10.0.0.53/24'] } } },
      said: [
        {
          at: 'a',
          tool: 'ip',
          about: 'neigh',
          says: JSON.stringify([{ dst: '10.0.0.53', dev: 'eth0', lladdr: '02:00:00:00:00:03', state: ['REACHABLE'] }]),
        },
        serves('10.0.0.53', { 'x.example': { addresses: ['10.9.9.9'] } }),
        ...lab,
      ],
    });
    for (const expected of [{ addresses: '10.9.9.9' }, { fails: 'nxdomain' }]) {
      const spec = { from: 'a', name: 'x.example', server: 'ns', expect: expected };
      const { verdict, cause, reason } = await impostor.check(dnsCheck, spec);
      expect(`${verdict} ${cause}`, reason).to.equal('fail wrong-answer');
      expect(reason).to.match(/10\.0\.0\.53 is c .*, and not ns$/);
    }
  });
  it('takes a control where nothing must be answered, and no hosts file that says so', () => {
    const takes = (more: object): boolean => dnsCheck.schema.safeParse({ from: 'a', name: 'x', ...more }).success;
    expect(takes({ expect: { fails: 'servfail' }, control: { from: 'b' } })).to.equal(true);
    expect(takes({ control: { from: 'b' } })).to.equal(false);
    expect(takes({ expect: { fails: 'servfail' }, control: {} })).to.equal(false);
    expect(takes({ expect: { fails: 'nxdomain', 'answered-by': 'hosts file' } })).to.equal(false);
  });
});
