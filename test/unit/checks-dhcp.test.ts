import { expect } from 'chai';
import type { CheckKind } from '../../src/checks/kind.js';
import { dhcpCheck } from '../../src/checks/dhcp.js';
import { readOffer } from '../../src/probes/dhcp-discover.js';
import { kindTable } from '../fakes/kind-table.js';
import type { Row, Said } from '../fakes/lab.js';
import { areWellMade } from './well-made-kinds.js';

const bytes = (address: string): number[] => address.split('.').map(Number);

interface Offered {
  server?: string;
  address?: string;
  relay?: string;
  type?: number;
  lease?: number;
  router?: string;
}

/** A BOOTP message as a server sends it. */
function message({
  server = '10.0.0.5',
  address = '10.0.0.50',
  relay,
  type = 2,
  lease = 3600,
  router,
}: Offered): Buffer {
  const fixed = Buffer.alloc(240);
  fixed.set([2, 1, 6, 0]);
  fixed.set(bytes(address), 16);
  if (relay !== undefined) fixed.set(bytes(relay), 24);
  fixed.set([0x63, 0x82, 0x53, 0x63], 236);
  const seconds = Buffer.alloc(4);
  seconds.writeUInt32BE(lease);
  const options = [53, 1, type, 54, 4, ...bytes(server), 51, 4, ...seconds, 1, 4, 255, 255, 255, 0]
    .concat(router === undefined ? [] : [3, 4, ...bytes(router)])
    .concat([0, 15, 3, ...Buffer.from('lan'), 255]);
  return Buffer.concat([fixed, Buffer.from(options)]);
}
const offers = (...list: Offered[]): Row =>
  probe(`${list.map((one) => `offer 0.4 ${message(one).toString('hex')}\n`).join('')}done\n`);
const probe = (says: Said): Row => ({ at: 'a', tool: 'perl', says });

kindTable(dhcpCheck, {
  hosts: { a: { on: { lan: '10.0.0.1' } } },
  said: [offers({ router: '10.0.0.1' })],
  cases: [
    { title: 'an offer', spec: { from: 'a' }, is: 'pass', reason: /10\.0\.0\.5 offers 10\.0\.0\.50 for 3600 s/ },
    {
      title: 'with all that was expected',
      spec: {
        from: 'a',
        expect: {
          count: 1,
          server: '10.0.0.5',
          address: { 'in-subnet': '10.0.0.0/24' },
          mask: '255.255.255.0',
          router: ['10.0.0.1'],
          dns: [],
          domain: 'lan',
          lease: { 'at-least': 600 },
          relay: { absent: true },
          mtu: { absent: true },
        },
      },
      is: 'pass',
    },
    { title: 'another server', spec: { from: 'a', expect: { server: '10.0.0.6' } }, is: 'fail wrong-value' },
    {
      title: 'by a relay',
      spec: { from: 'a', expect: { relay: '10.0.0.1' } },
      said: [offers({ relay: '10.0.0.1' })],
      is: 'pass',
      reason: /by the relay 10\.0\.0\.1/,
    },
    {
      title: 'a second server, which must not be there',
      spec: { from: 'a', expect: { server: '10.0.0.5' } },
      said: [offers({}, { server: '10.0.0.66', address: '10.0.0.200' })],
      is: 'fail wrong-value',
      reason: /10\.0\.0\.66/,
    },
    {
      title: 'a second server, counted',
      spec: { from: 'a', expect: { count: 1 } },
      said: [offers({}, { server: '10.0.0.66' })],
      is: 'fail wrong-value',
    },
    {
      title: 'one server that answers twice',
      spec: { from: 'a', expect: { count: 1 } },
      said: [offers({}, {})],
      is: 'pass',
    },
    { title: 'nobody', spec: { from: 'a' }, said: [probe('done\n')], is: 'fail no-answer' },
    {
      title: 'nobody, as expected',
      spec: { from: 'a', expect: { absent: true } },
      said: [probe('done\n')],
      is: 'pass',
    },
    {
      title: 'nobody, as expected by the count',
      spec: { from: 'a', expect: { count: 0 } },
      said: [probe('done\n')],
      is: 'pass',
    },
    {
      title: 'somebody where their count must be none',
      spec: { from: 'a', expect: { count: 0 } },
      is: 'fail wrong-value',
    },
    { title: 'somebody who must not be there', spec: { from: 'a', expect: { absent: true } }, is: 'fail present' },
    { title: 'a refusal is no offer', spec: { from: 'a' }, said: [offers({ type: 6 })], is: 'fail no-answer' },
    {
      title: 'an interface that is down shows no absence',
      spec: { from: 'a', expect: { absent: true } },
      said: [probe('down\ndone\n')],
      is: 'inconclusive',
    },
    {
      title: 'no such interface',
      spec: { from: 'a', interface: 'eth7' },
      said: [probe('none\ndone\n')],
      is: 'inconclusive',
    },
    { title: 'a probe that was cut off', spec: { from: 'a' }, said: [probe({ timedOut: true })], is: 'inconclusive' },
    {
      title: 'a place where it may not be sent',
      spec: { from: 'a', expect: { absent: true } },
      said: [probe({ exitCode: 1, stderr: 'no packet socket: Operation not permitted\n' })],
      is: 'inconclusive',
      reason: /Operation not permitted/,
    },
    { title: 'words', spec: { from: 'a' }, said: [probe('offer soon\ndone\n')], is: 'inconclusive' },
  ],
});

describe('the kind dhcp', () => {
  areWellMade([dhcpCheck] as CheckKind<never>[]);
  it('reads no offer from a question, from less than a message, and from options that are cut', () => {
    const question = message({});
    question[0] = 1;
    expect(readOffer(question, 1)).to.equal(null);
    expect(readOffer(message({}).subarray(0, 100), 1)).to.equal(null);
    expect(readOffer(message({}).subarray(0, 250), 1)).to.equal(null);
    expect(readOffer(message({}), 1)).to.include({ server: '10.0.0.5', domain: 'lan', lease: 3600 });
  });
});
