import { conntrackCheck } from '../../src/checks/conntrack.js';
import { fdbCheck } from '../../src/checks/fdb.js';
import { neighbourCheck } from '../../src/checks/neighbour.js';
import { parseConntrack } from '../../src/facts/conntrack.js';
import { expect } from 'chai';
import { kindTable } from '../fakes/kind-table.js';
import type { Row } from '../fakes/lab.js';

const hosts = { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } };
/** The fake lab gives hardware addresses in order: that of a's eth0, that of b's. */
const macOfA = '02:00:00:00:00:01';
const macOfB = '02:00:00:00:00:02';

const neighbours = (entries: object[]): Row[] => [
  { at: 'a', tool: 'ip', about: 'neigh', says: JSON.stringify(entries) },
];

kindTable(neighbourCheck, {
  hosts,
  cases: [
    { title: 'a neighbour that is known', spec: { on: 'a', address: '10.0.0.2' }, is: 'pass' },
    {
      title: 'the neighbour that is meant',
      spec: { on: 'a', address: '10.0.0.2', expect: { 'mac-of': 'b', state: 'REACHABLE' } },
      is: 'pass',
    },
    {
      title: 'another one at its address',
      spec: { on: 'a', address: '10.0.0.2', expect: { 'mac-of': 'b' } },
      said: neighbours([{ dst: '10.0.0.2', dev: 'eth0', lladdr: '02:00:00:00:00:66', state: ['STALE'] }]),
      is: 'fail wrong-value',
      reason: /mac of b is "02:00:00:00:00:66", expected one of "02:00:00:00:00:02"/,
    },
    {
      title: 'a neighbour that did not answer',
      spec: { on: 'a', address: '10.0.0.2' },
      said: neighbours([{ dst: '10.0.0.2', dev: 'eth0', state: ['FAILED'] }]),
      is: 'fail absent',
      reason: /10\.0\.0\.2 on eth0 without a hardware address, FAILED/,
    },
    {
      title: 'a neighbour that did not answer, as expected',
      spec: { on: 'a', address: '10.0.0.2', expect: { state: 'FAILED' } },
      said: neighbours([{ dst: '10.0.0.2', dev: 'eth0', state: ['FAILED'] }]),
      is: 'pass',
    },
    {
      title: 'a neighbour that did not answer is none',
      spec: { on: 'a', address: '10.0.0.2', expect: { absent: true } },
      said: neighbours([{ dst: '10.0.0.2', dev: 'eth0', state: ['FAILED'] }]),
      is: 'pass',
    },
    {
      title: 'one that must not be known',
      spec: { on: 'a', address: '10.0.0.2', expect: { absent: true } },
      is: 'fail present',
    },
    {
      title: 'one on another interface',
      spec: { on: 'a', address: '10.0.0.2', interface: 'eth1' },
      is: 'fail absent',
    },
    {
      title: 'one that must not be known, on an interface that is not there',
      spec: { on: 'a', address: '10.0.0.2', interface: 'etho', expect: { absent: true } },
      is: 'inconclusive',
      reason: /no interface etho/,
    },
    {
      title: 'one that must not be known, on an interface that is there',
      spec: { on: 'a', address: '10.0.0.9', interface: 'eth0', expect: { absent: true } },
      is: 'pass',
    },
    {
      title: 'the same IPv6 address in other words',
      spec: { on: 'a', address: 'fe80:0::2', expect: { mac: macOfB } },
      said: neighbours([{ dst: 'fe80::2', dev: 'eth0', lladdr: macOfB, state: ['STALE'] }]),
      is: 'pass',
    },
    {
      title: 'a table that could not be read',
      spec: { on: 'a', address: '10.0.0.2', expect: { absent: true } },
      said: [{ at: 'a', tool: 'ip', about: 'neigh', says: { exitCode: 127, stderr: 'sh: ip: not found\n' } }],
      is: 'inconclusive',
    },
    {
      title: 'an owner that could not be asked',
      spec: { on: 'a', address: '10.0.0.2', expect: { 'mac-of': 'b' } },
      said: [{ at: 'b', tool: 'ip', says: { timedOut: true } }],
      is: 'inconclusive',
    },
  ],
});

const links: Row = {
  at: 'a',
  tool: 'ip',
  about: 'link',
  says: JSON.stringify([
    { ifname: 'lo', ifindex: 1, flags: ['LOOPBACK'], address: '00:00:00:00:00:00' },
    { ifname: 'eth0', ifindex: 2, flags: [], address: macOfA },
    { ifname: 'br0', ifindex: 3, flags: [], linkinfo: { info_kind: 'bridge' } },
    { ifname: 'vx0', ifindex: 4, flags: [], linkinfo: { info_kind: 'vxlan' } },
  ]),
};
const fdb = (of: string, entries: object[]): Row => ({
  at: 'a',
  tool: 'bridge',
  about: of,
  says: JSON.stringify(entries),
});

kindTable(fdbCheck, {
  hosts,
  said: [
    links,
    fdb('br0', [
      { mac: macOfB, ifname: 'eth0', master: 'br0', flags: [], state: '' },
      { mac: '33:33:00:00:00:01', ifname: 'br0', flags: ['self'], state: 'permanent' },
    ]),
    fdb('vx0', [{ mac: '00:00:00:00:00:00', dst: '10.0.0.2', flags: ['self'], state: 'permanent' }]),
  ],
  cases: [
    { title: 'what a bridge has learned', spec: { on: 'a', interface: 'br0', mac: macOfB }, is: 'pass' },
    {
      title: 'by the port and in the state expected',
      spec: { on: 'a', interface: 'br0', 'mac-of': 'b', expect: { port: 'eth0', state: 'learned', count: 1 } },
      is: 'pass',
    },
    {
      title: 'by another port',
      spec: { on: 'a', interface: 'br0', mac: macOfB, expect: { port: 'eth1' } },
      is: 'fail wrong-value',
      reason: /port is "eth0", expected "eth1"/,
    },
    {
      title: 'where a tunnel sends all that it does not know',
      spec: { on: 'a', interface: 'vx0', mac: '00:00:00:00:00:00', expect: { dst: '10.0.0.2' } },
      is: 'pass',
    },
    {
      title: 'no end of a tunnel on a bridge',
      spec: { on: 'a', interface: 'br0', mac: macOfB, expect: { dst: '10.0.0.2' } },
      is: 'fail wrong-value',
    },
    { title: 'what was not learned', spec: { on: 'a', interface: 'br0', mac: macOfA }, is: 'fail absent' },
    {
      title: 'what was not learned, as expected',
      spec: { on: 'a', interface: 'br0', mac: macOfA, expect: { absent: true } },
      is: 'pass',
    },
    {
      title: 'what must not be there',
      spec: { on: 'a', interface: 'br0', mac: macOfB, expect: { absent: true } },
      is: 'fail present',
    },
    { title: 'an interface that is not there', spec: { on: 'a', interface: 'br7', mac: macOfB }, is: 'fail absent' },
    {
      title: 'nothing on an interface that is not there',
      spec: { on: 'a', interface: 'br7', mac: macOfB, expect: { absent: true } },
      is: 'inconclusive',
    },
    {
      title: 'another VLAN',
      spec: { on: 'a', interface: 'br0', mac: macOfB, vlan: 7 },
      is: 'fail absent',
    },
    {
      title: 'no bridge tool',
      spec: { on: 'a', interface: 'br0', mac: macOfB },
      said: [{ at: 'a', tool: 'bridge', says: { exitCode: 127, stderr: 'bridge: not found' } }],
      is: 'inconclusive',
    },
    {
      title: 'words in place of entries',
      spec: { on: 'a', interface: 'br0', mac: macOfB, expect: { absent: true } },
      said: [{ at: 'a', tool: 'bridge', says: 'something\n' }],
      is: 'inconclusive',
    },
  ],
});

const tracked = [
  'ipv4     2 tcp      6 117 TIME_WAIT src=10.0.0.9 dst=10.0.0.1 sport=40000 dport=8080 src=172.17.0.2 dst=10.0.0.9 sport=80 dport=40000 [ASSURED] mark=0 zone=0 use=2',
  'ipv4     2 icmp     1 30 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=8015 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=8015 mark=7 zone=0 use=2',
  'ipv4     2 udp      17 12 src=10.0.0.1 dst=10.0.0.2 sport=5000 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5000 mark=0 zone=0 use=2',
  'ipv6     10 tcp      6 431999 ESTABLISHED src=fd00:0000:0000:0000:0000:0000:0000:0001 dst=fd00:0000:0000:0000:0000:0000:0000:0002 sport=40001 dport=22 packets=3 bytes=180 src=fd00:0000:0000:0000:0000:0000:0000:0002 dst=fd00:0000:0000:0000:0000:0000:0000:0001 sport=22 dport=40001 packets=2 bytes=120 [ASSURED] mark=0 zone=0 use=2',
  'ipv4     2 unknown  2 565 src=0.0.0.0 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=0.0.0.0 mark=0 zone=0 use=2',
  '',
].join('\n');

kindTable(conntrackCheck, {
  hosts,
  said: [{ at: 'a', tool: 'cat', about: '/proc/net/nf_conntrack', says: tracked }],
  cases: [
    {
      title: 'a translated connection',
      spec: {
        on: 'a',
        protocol: 'tcp',
        dport: 8080,
        expect: { reply: { src: '172.17.0.2', sport: 80 }, state: 'TIME_WAIT' },
      },
      is: 'pass',
      reason: /tcp 10\.0\.0\.9 port 40000 → 10\.0\.0\.1 port 8080, reply 172\.17\.0\.2 port 80 → /,
    },
    {
      title: 'one translated to somebody else',
      spec: { on: 'a', protocol: 'tcp', dport: 8080, expect: { reply: { src: '172.17.0.3' } } },
      is: 'fail wrong-value',
      reason: /reply src is "172\.17\.0\.2", expected "172\.17\.0\.3"/,
    },
    {
      title: 'an echo',
      spec: { on: 'a', protocol: 'icmp', dst: '10.0.0.2', expect: { replied: true, mark: 7 } },
      is: 'pass',
    },
    { title: 'a question without an answer', spec: { on: 'a', dport: 53, expect: { replied: false } }, is: 'pass' },
    {
      title: 'a question without an answer, which must have one',
      spec: { on: 'a', dport: 53, expect: { replied: true } },
      is: 'fail wrong-value',
    },
    {
      title: 'IPv6, with counters',
      spec: { on: 'a', src: 'fd00::1', expect: { assured: true, state: 'ESTABLISHED' } },
      is: 'pass',
    },
    { title: 'none', spec: { on: 'a', dport: 81 }, is: 'fail absent' },
    { title: 'none, as expected', spec: { on: 'a', dport: 81, expect: { absent: true } }, is: 'pass' },
    {
      title: 'one that must not be there',
      spec: { on: 'a', dport: 8080, expect: { absent: true } },
      is: 'fail present',
    },
    { title: 'as many as expected', spec: { on: 'a', protocol: 'tcp', expect: { count: 2 } }, is: 'pass' },
    {
      title: 'not as many as expected',
      spec: { on: 'a', protocol: 'tcp', expect: { count: 3 } },
      is: 'fail wrong-value',
    },
    {
      title: 'none where nothing is tracked',
      spec: { on: 'a', dport: 81, expect: { absent: true } },
      said: [{ at: 'a', tool: 'cat', says: '' }],
      is: 'inconclusive',
    },
    {
      title: 'none where nothing is tracked, by the count either',
      spec: { on: 'a', dport: 81, expect: { count: 0 } },
      said: [{ at: 'a', tool: 'cat', says: '' }],
      is: 'inconclusive',
    },
    {
      title: 'a kernel without the table',
      spec: { on: 'a', dport: 81 },
      said: [
        {
          at: 'a',
          tool: 'cat',
          says: { exitCode: 1, stderr: 'cat: /proc/net/nf_conntrack: No such file or directory\n' },
        },
      ],
      is: 'inconclusive',
    },
    {
      title: 'a line that is not known',
      spec: { on: 'a', dport: 81, expect: { absent: true } },
      said: [{ at: 'a', tool: 'cat', says: `${tracked}ipv4 2 tcp 6 1 src=x dst=y src=z dst=w\n` }],
      is: 'inconclusive',
    },
  ],
});

describe('/proc/net/nf_conntrack', () => {
  it('is read with and without ports, states, answers and counters', () => {
    const [translated, echo, question, six, other] = parseConntrack(tracked)!;
    expect(translated).to.include({ protocol: 'tcp', state: 'TIME_WAIT', timeoutS: 117, replied: true, assured: true });
    expect(translated!.reply).to.deep.equal({ src: '172.17.0.2', dst: '10.0.0.9', sport: 80, dport: 40_000 });
    expect(echo!.original).to.deep.equal({ src: '10.0.0.1', dst: '10.0.0.2', sport: null, dport: null });
    expect(question).to.include({ replied: false, assured: false });
    expect(six!.original.src).to.equal('fd00::1');
    expect(other).to.include({ protocol: 'unknown', state: null });
  });
});
