import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { CheckKind } from '../../src/checks/kind.js';
import { tlsCheck } from '../../src/checks/tls.js';
import { startTlsArgv } from '../../src/probes/tls-handshake.js';
import { kindTable } from '../fakes/kind-table.js';
import { fakeLab } from '../fakes/lab.js';
import type { Row, Said } from '../fakes/lab.js';
import { root } from './scenario-fixtures.js';
import { areWellMade } from './well-made-kinds.js';

const fixture = (name: string): string => readFileSync(path.join(root, 'test/fixtures/tls', name), 'utf8').trim();
/** For www.example.org, *.apps.example.org and 10.0.0.2, from 2026-11-28 to 2027-02-26. */
const certificate = fixture('server.pem');
const authority = fixture('ca.pem');
const day = 86_400;
const issued = Date.parse('2026-11-28T10:36:12Z') / 1000;

/** As openssl s_client 1.1.1 to 3.6 print it, in what is read of it. */
const shown = (code: number, words: string, ...certificates: string[]): string =>
  [
    'CONNECTED(00000003)',
    '---',
    'Certificate chain',
    ...certificates,
    '---',
    'Server certificate',
    certificates[0] ?? '',
  ]
    .concat([`    Verify return code: ${code} (${words})`, '---', 'DONE', ''])
    .join('\n');
const openssl = (said: Said): Row => ({ at: 'a', tool: 'openssl', says: said });
const clock = (seconds: number): Row => ({ at: 'a', tool: 'date', says: `${seconds}\n` });
const connect = (says: string): Row => ({ at: 'a', tool: 'perl', says });

const base = { from: 'a', to: 'b', name: 'www.example.org' };

kindTable(tlsCheck, {
  hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } },
  said: [connect('open 0.4'), clock(issued + day), openssl(shown(0, 'ok', certificate, authority))],
  cases: [
    { title: 'a certificate that is in order', spec: base, is: 'pass' },
    {
      title: 'by all that it says',
      spec: {
        ...base,
        expect: {
          'valid-for': '720h',
          subject: 'CN=www.example.org',
          issuer: { contains: 'Test CA' },
          names: { contains: 'DNS:*.apps.example.org' },
          sent: 2,
          chain: 'trusted',
        },
      },
      is: 'pass',
    },
    { title: 'a name that a wildcard covers', spec: { ...base, name: 'shop.apps.example.org' }, is: 'pass' },
    { title: 'an address that it is for', spec: { from: 'a', to: '10.0.0.2' }, is: 'pass' },
    {
      title: 'another name',
      spec: { ...base, name: 'mail.example.org' },
      is: 'fail tls',
      reason: /asked for mail\.example\.org by a: name is false, expected true/,
    },
    {
      title: 'another name, as expected',
      spec: { ...base, name: 'mail.example.org', expect: { name: false } },
      is: 'pass',
    },
    {
      title: 'one that has expired',
      spec: base,
      said: [clock(issued + 91 * day)],
      is: 'fail tls',
      reason: /valid is false/,
    },
    { title: 'one that is not valid yet', spec: base, said: [clock(issued - day)], is: 'fail tls' },
    {
      title: 'one that expires too soon',
      spec: { ...base, expect: { 'valid-for': '720h' } },
      said: [clock(issued + 80 * day)],
      is: 'fail tls',
      reason: /ms left/,
    },
    {
      title: 'one that nobody has signed',
      spec: base,
      said: [openssl(shown(18, 'self-signed certificate', certificate))],
      is: 'fail tls',
      reason: /chain is "self-signed", expected "trusted"/,
    },
    {
      title: 'one of an authority that is not trusted',
      spec: base,
      said: [openssl(shown(21, 'unable to verify the first certificate', certificate))],
      is: 'fail tls',
      reason: /unknown-issuer/,
    },
    {
      title: 'one of an authority that is not trusted, as expected',
      spec: { ...base, expect: { chain: 'unknown-issuer' } },
      said: [openssl(shown(20, 'unable to get local issuer certificate', certificate))],
      is: 'pass',
    },
    {
      title: 'a verdict by a number that has no name here',
      spec: base,
      said: [openssl(shown(67, 'EE certificate key too weak', certificate))],
      is: 'fail tls',
      reason: /error 67/,
    },
    {
      title: 'a service that does not speak TLS',
      spec: base,
      said: [
        openssl({
          exitCode: 1,
          stdout: `CONNECTED(00000003)\n---\nVerify return code: 0 (ok)\n`,
          stderr: 'wrong version number',
        }),
      ],
      is: 'fail tls',
      reason: /no TLS session/,
    },
    {
      title: 'a service that must not speak TLS',
      spec: { ...base, expect: { fails: 'tls' } },
      is: 'fail present',
    },
    {
      title: 'a handshake that does not end',
      spec: base,
      said: [openssl({ timedOut: true })],
      is: 'fail timeout',
    },
    {
      title: 'a port that refuses',
      spec: base,
      said: [connect('error remote ECONNREFUSED')],
      is: 'fail refused',
    },
    {
      title: 'no openssl',
      spec: base,
      said: [openssl({ exitCode: 127, stderr: 'nsenter: failed to execute openssl' })],
      is: 'inconclusive',
    },
    {
      title: 'a file of roots that is not there',
      spec: { ...base, ca: '/etc/none.pem' },
      said: [openssl({ exitCode: 1, stderr: 'Could not open file or uri for loading certificate from /etc/none.pem' })],
      is: 'inconclusive',
      reason: /\/etc\/none\.pem/,
    },
    {
      title: 'a clock that cannot be read',
      spec: base,
      said: [{ at: 'a', tool: 'date', says: { exitCode: 127 } }],
      is: 'inconclusive',
    },
  ],
});

describe('the kind tls', () => {
  areWellMade([tlsCheck] as CheckKind<never>[]);
  for (const [spec, message] of [
    [{ ...base, ca: 'ca.pem' }, /absolute path/],
    [{ ...base, expect: {} }, /says nothing/],
    [{ ...base, name: 'two words' }, /a name such as/],
  ] as const)
    it(`refuses ${JSON.stringify(spec)}`, () => {
      expect(JSON.stringify(tlsCheck.schema.safeParse(spec).error?.issues)).to.match(message);
    });
});

describe('tls, where another one answers', () => {
  it('fails, however good its certificate', async () => {
    const lab = fakeLab({
      hosts: {
        a: { on: { lan: '10.0.0.1' } },
        b: { on: { lan: '10.0.0.2' } },
        c: { on: { lan: '10.0.0.3' }, added: { eth0: ['10.0.0.2/24'] } },
      },
      said: [
        connect('open 0.4'),
        clock(issued + day),
        openssl(shown(0, 'ok', certificate, authority)),
        {
          at: 'a',
          tool: 'ip',
          about: 'neigh',
          says: JSON.stringify([{ dst: '10.0.0.2', dev: 'eth0', lladdr: '02:00:00:00:00:03', state: ['REACHABLE'] }]),
        },
      ],
    });
    const { verdict, cause, reason } = await lab.check(tlsCheck, base);
    expect(`${verdict} ${cause}`, reason).to.equal('fail wrong-answer');
    expect(reason).to.match(/^to a, 10\.0\.0\.2 is c .*, and not b$/);
  });
});

describe('a server that begins in the clear', () => {
  const portOf = (spec: object): number =>
    (tlsCheck.schema.parse({ from: 'a', to: 'b', ...spec }) as { port: number }).port;
  it('is asked for TLS at the port of its protocol, or at the one that is named', () => {
    expect(
      [{}, { starttls: 'smtp' }, { starttls: 'postgres' }, { starttls: 'smtp', port: 587 }].map(portOf),
    ).to.deep.equal([443, 25, 5432, 587]);
    expect(startTlsArgv('smtp', 'mail.example.org')).to.deep.equal(['-starttls', 'smtp']);
    expect(startTlsArgv('xmpp', 'example.org')).to.deep.equal(['-starttls', 'xmpp', '-xmpphost', 'example.org']);
    expect(() => portOf({ starttls: 'gopher' })).to.throw(/expected smtp, lmtp/);
  });
});
