import { expect } from 'chai';
import type { Control } from '../../src/model/verdict.js';
import { causeMeets, judge } from '../../src/judging/expectation.js';
import type { Sighting } from '../../src/judging/expectation.js';
import { firstBrokenHop, neighbourSilent, readPath } from '../../src/facts/path.js';
import { judgePing } from '../../src/checks/ping.js';
import { readPing } from '../../src/probes/ping-output.js';
import type { PingReport } from '../../src/probes/ping-output.js';

const head = 'PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n';
const end = (counters: string): string => `\n--- 10.0.0.2 ping statistics ---\n${counters}\n`;
const reply = (n: number, from = '10.0.0.2', tail = ''): string =>
  `64 bytes from ${from}: icmp_seq=${n} ttl=64 time=0.5 ms${tail}\n`;
const read = (text: string): PingReport => {
  const report = readPing(text, '10.0.0.2');
  if ('unread' in report) throw new Error(`not read: ${report.unread}`);
  return report;
};
const ends = { source: 'a', target: 'b (10.0.0.2)', address: '10.0.0.2' };

describe('the output of ping', () => {
  it('is counted by its lines and its counters', () => {
    const report = read(
      `${head}${reply(1)}${reply(2)}${end('2 packets transmitted, 2 received, 0% packet loss, time 51ms\nrtt min/avg/max/mdev = 0.500/0.500/0.500/0.000 ms')}`,
    );
    expect(report).to.include({ transmitted: 2, received: 2, duplicates: 0 });
    expect(report.rtts).to.deep.equal([0.5, 0.5]);
  });
  it('with "10 received" is not one with "0 received"', () => {
    const replies = Array.from({ length: 10 }, (_, i) => reply(i + 1)).join('');
    expect(
      read(`${head}${replies}${end('10 packets transmitted, 10 received, 0% packet loss, time 451ms')}`).received,
    ).to.equal(10);
  });
  it('gives every error its cause', () => {
    const silent = end('1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms');
    for (const [line, cause] of [
      ['From 10.0.0.1 icmp_seq=1 Destination Host Unreachable', 'host-unreachable'],
      ['From 10.0.0.9 icmp_seq=1 Destination Net Unreachable', 'net-unreachable'],
      ['From 10.0.0.9 icmp_seq=1 Packet filtered', 'prohibited'],
      ['From 10.0.0.9 icmp_seq=1 Frag needed and DF set (mtu = 1450)', 'too-big'],
      ['From 10.0.0.9 icmp_seq=1 Time to live exceeded', 'net-unreachable'],
      ['ping: local error: message too long, mtu=1500', 'too-big'],
      ['ping: sendmsg: Operation not permitted', 'prohibited'],
    ] as const) {
      expect(read(`${head}${line}\n${silent}`).errors[0]?.cause, line).to.equal(cause);
    }
    expect(read('ping: connect: Network is unreachable\n').errors[0]).to.deep.include({
      cause: 'no-route',
      from: null,
    });
  });
  it('is not guessed at', () => {
    for (const text of [
      '',
      'ping: unknown host',
      'Segmentation fault',
      `${head}${reply(1)}`,
      `${head}0 received\n`,
      `${head}From 10.0.0.9 icmp_seq=1 Something new\n${end('1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms')}`,
      `${head}${end('2 packets transmitted, 2 received, 0% packet loss, time 1ms')}`,
    ]) {
      expect(readPing(text, '10.0.0.2'), JSON.stringify(text)).to.have.property('unread');
    }
  });
  it('counts neither duplicates nor replies of somebody else', () => {
    const report = read(
      `${head}${reply(1)}${reply(1, '10.0.0.2', ' (DUP!)')}${reply(2, '10.0.0.7', ' (DIFFERENT ADDRESS!)')}${end('2 packets transmitted, 2 received, +1 duplicates, 0% packet loss, time 51ms')}`,
    );
    expect(report).to.deep.include({ received: 1, duplicates: 1, strangers: ['10.0.0.7'] });
    expect(judgePing(report, ends, null, null).sighting.saw).to.equal('failure');
  });
});

const parts = (route: string, neigh = '[]', link = '[]', exitCode = 0) =>
  new Map([
    ['route', { output: route, exitCode }],
    ['neigh', { output: neigh, exitCode: 0 }],
    ['link', { output: link, exitCode: 0 }],
  ]);

describe('the path of a probe that failed', () => {
  const silent = read(`${head}${end('2 packets transmitted, 0 received, 100% packet loss, time 51ms')}`);
  const route = '[{"dst":"10.0.0.2","dev":"eth0","prefsrc":"10.0.0.1"}]';
  it('makes silence host-unreachable where nobody answered ARP, timeout elsewhere', () => {
    const failed = readPath(parts(route, '[{"dst":"10.0.0.2","dev":"eth0","state":["FAILED"]}]'), '10.0.0.2');
    expect(neighbourSilent(failed)).to.equal(true);
    expect(judgePing(silent, ends, null, failed).sighting).to.include({
      cause: 'host-unreachable',
      text: 'b (10.0.0.2) does not answer a: 2 sent, none answered; no ARP answer from 10.0.0.2 on eth0 of a',
    });
    const known = readPath(
      parts(route, '[{"dst":"10.0.0.2","dev":"eth0","lladdr":"02:00:00:00:00:01","state":["REACHABLE"]}]'),
      '10.0.0.2',
    );
    expect(judgePing(silent, ends, null, known).sighting).to.include({ cause: 'timeout' });
  });
  it('looks at the gateway where there is one, on the link that is used', () => {
    const path = readPath(
      parts(
        '[{"dst":"10.9.0.2","gateway":"10.0.0.254","dev":"eth0","prefsrc":"10.0.0.1"}]',
        '[{"dst":"10.0.0.254","dev":"eth1","state":["REACHABLE"]},{"dst":"10.0.0.254","dev":"eth0","state":["INCOMPLETE"]}]',
      ),
      '10.9.0.2',
    );
    expect(firstBrokenHop(path, 'a', '10.9.0.2')).to.equal('no ARP answer from the gateway 10.0.0.254 on eth0 of a');
  });
  it('names a link that is down, and a missing route', () => {
    expect(
      firstBrokenHop(
        readPath(parts(route, '[]', '[{"ifname":"eth0","flags":["BROADCAST"]}]'), '10.0.0.2'),
        'a',
        '10.0.0.2',
      ),
    ).to.equal('eth0 of a is down');
    expect(
      firstBrokenHop(
        readPath(parts('RTNETLINK answers: Network is unreachable\n', '', '', 2), '10.0.0.2'),
        'a',
        '10.0.0.2',
      ),
    ).to.equal("a has no way to 10.0.0.2: the kernel's route lookup answers “Network is unreachable”");
  });
});

describe('the verdict over a probe', () => {
  const held: Control = { title: 'c', held: true, seen: 'yes' };
  const failure = (cause: 'timeout' | 'nxdomain'): Sighting => ({ saw: 'failure', cause, text: 'it failed' });
  const verdict = async (
    sighting: Sighting,
    fails: Parameters<typeof judge>[0]['fails'],
    controls: Control[] = [held],
  ) => {
    let asked = 0;
    const outcome = await judge({
      fails,
      sighting,
      success: 'a reply',
      controls: async () => ((asked += 1), controls),
    });
    return { verdict: outcome.verdict, cause: outcome.cause, asked };
  };
  it('of a negative that failed as it must needs its controls', async () => {
    expect(await verdict(failure('timeout'), ['timeout'])).to.deep.equal({
      verdict: 'pass',
      cause: 'timeout',
      asked: 1,
    });
    expect(await verdict(failure('timeout'), ['timeout'], [held, { ...held, held: false }])).to.deep.equal({
      verdict: 'inconclusive',
      cause: undefined,
      asked: 1,
    });
  });
  it('of a negative is fail for another cause, whatever the controls are, and for success', async () => {
    for (const controls of [[held], [{ ...held, held: false }]])
      expect(await verdict(failure('timeout'), ['refused'], controls)).to.deep.equal({
        verdict: 'fail',
        cause: 'timeout',
        asked: 0,
      });
    expect(await verdict({ saw: 'success', text: 'it went through' }, ['timeout'])).to.deep.equal({
      verdict: 'fail',
      cause: 'present',
      asked: 0,
    });
  });
  it('of what could not be known is inconclusive, both ways', async () => {
    for (const fails of [null, ['timeout' as const]])
      expect(await verdict({ saw: 'nothing', text: 'no ping' }, fails)).to.deep.equal({
        verdict: 'inconclusive',
        cause: undefined,
        asked: 0,
      });
  });
  it('lets unknown-host stand for every way in which a name does not resolve, and for no other', () => {
    for (const cause of ['nxdomain', 'servfail', 'no-answer', 'dns-refused', 'unknown-host'] as const)
      expect(causeMeets(['unknown-host'], cause)).to.equal(true);
    for (const cause of ['timeout', 'refused', 'no-route'] as const)
      expect(causeMeets(['unknown-host'], cause)).to.equal(false);
    expect(causeMeets(['nxdomain'], 'servfail')).to.equal(false);
  });
});
