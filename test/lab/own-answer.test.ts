import { dnsCheck } from '../../src/checks/dns.js';
import { httpCheck } from '../../src/checks/http.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { forgetDiagnoses } from '../../src/diagnosis/diagnose.js';
import type { HostPlan } from '../../src/plan/lab-plan.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-12';

/** client ─ left ─ router ─ right ─ server and other. */
function host(name: string, nics: Record<string, string>): HostPlan {
  return {
    ...lanHost(name, 1, image, 'light', null),
    interfaces: Object.entries(nics).map(([segment, address], at) => ({
      name: `eth${at}`,
      segment,
      address: `${address}/24`,
      mac: `02:00:0a:${address
        .split('.')
        .slice(1)
        .map((byte) => Number(byte).toString(16).padStart(2, '0'))
        .join(':')}`,
    })),
  };
}

const plan = {
  ...lanPlan('own-answer', [
    host('client', { left: '10.1.0.10' }),
    host('router', { left: '10.1.0.1', right: '10.2.0.1' }),
    host('server', { right: '10.2.0.10' }),
    host('other', { right: '10.2.0.20' }),
  ]),
  segments: [
    { name: 'left', subnet: '10.1.0.0/24', mtu: null },
    { name: 'right', subnet: '10.2.0.0/24', mtu: null },
  ],
};

describe('whose answer it is, on a real router', function () {
  this.timeout(90_000);
  const { comesTo, run } = checkLab(plan, async () => {
    await run('client', 'ip route add default via 10.1.0.1');
    await run('router', 'sysctl -qw net.ipv4.ip_forward=1');
    for (const one of ['server', 'other']) await run(one, 'ip route add default via 10.2.0.1');
    for (const one of ['server', 'other', 'router'])
      await run(
        one,
        'mkdir /srv/www; echo hello >/srv/www/index.html; setsid python3 -m http.server --directory /srv/www 80 >/dev/null 2>&1 </dev/null &',
      );
    for (const one of ['server', 'other', 'router'])
      await run(one, 'for i in $(seq 100); do ss -Hlnt | grep -q :80 && exit 0; sleep 0.05; done; exit 1');
  });
  const ends = { from: 'client', to: 'server' };
  const port = { ...ends, port: 80 };
  const refuses = { ...ends, port: 81, expect: { fails: 'refused' } };
  const page = { from: 'client', url: 'http://10.2.0.10/', expect: { body: { contains: 'hello' } } };
  const byName = { ...page, to: 'server' };
  const wrong = (reason: RegExp): { verdict: 'fail'; cause: string; reason: RegExp } => ({
    verdict: 'fail',
    cause: 'wrong-answer',
    reason,
  });
  const notServer = /what answers client at 10\.2\.0\.10 is not server, which got nothing of the probe/;
  /** What `lines` change is changed back, whatever comes of the test. */
  async function during(on: string, [change, back]: [string, string], test: () => Promise<void>): Promise<void> {
    await run(on, change);
    forgetDiagnoses(plan);
    try {
      await test();
    } finally {
      await run(on, back);
    }
  }
  const rule = (on: string, text: string, test: () => Promise<void>, table = 'filter'): Promise<void> =>
    during(on, [`iptables -t ${table} -I ${text}`, `iptables -t ${table} -D ${text}`], test);

  it('the server’s own answers and refusals are its own', async () => {
    await comesTo({ verdict: 'pass' }, pingCheck, ends);
    await comesTo({ verdict: 'pass' }, portCheck, port);
    await comesTo({ verdict: 'pass' }, httpCheck, page);
    await comesTo({ verdict: 'pass', cause: 'refused' }, portCheck, refuses);
    await comesTo({ verdict: 'pass', cause: 'refused' }, portCheck, { ...refuses, proto: 'udp' });
  });
  it('so is a refusal by a rule of the server, and what it sends on to another', async () => {
    await rule('server', 'INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset', async () => {
      await comesTo({ verdict: 'pass', cause: 'refused' }, portCheck, { ...port, expect: { fails: 'refused' } });
    });
    await run('server', 'sysctl -qw net.ipv4.ip_forward=1; iptables -t nat -I POSTROUTING -j MASQUERADE');
    await rule(
      'server',
      'PREROUTING -p tcp --dport 8080 -j DNAT --to 10.2.0.20:80',
      async () => {
        await comesTo({ verdict: 'pass' }, portCheck, { ...port, port: 8080 });
      },
      'nat',
    );
  });
  it('a router that takes the connection for itself is told', () =>
    rule(
      'router',
      'PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT',
      async () => {
        await comesTo(wrong(notServer), portCheck, port);
        await comesTo(wrong(/it is router/), httpCheck, page);
        await comesTo(wrong(notServer), httpCheck, byName);
      },
      'nat',
    ));
  it('a translation that leads to another host is told', () =>
    rule(
      'router',
      'PREROUTING -i eth0 -d 10.2.0.10 -j DNAT --to 10.2.0.20',
      async () => {
        await comesTo(wrong(/is not server.*it is other: its way was client → router → other/), portCheck, port);
        await comesTo(wrong(notServer), pingCheck, ends);
        await comesTo(wrong(notServer), portCheck, refuses);
      },
      'nat',
    ));
  it('a reset by a rule of a router is not the server’s refusal', () =>
    rule('router', 'FORWARD -p tcp --dport 80 -j REJECT --reject-with tcp-reset', async () => {
      const fails = { expect: { fails: 'refused' } };
      await comesTo(wrong(/is not server.*router rejects it: rule 1 of chain FORWARD/), portCheck, {
        ...port,
        ...fails,
      });
      await comesTo(wrong(notServer), httpCheck, { ...page, ...fails });
    }));
  it('whoever has the address of a server whose link is down is named', () =>
    during('server', ['ip link set eth0 down', 'ip link set eth0 up; ip route add default via 10.2.0.1'], () =>
      during('router', ['ip addr add 10.2.0.10/32 dev eth0', 'ip addr del 10.2.0.10/32 dev eth0'], async () => {
        await comesTo(wrong(/router has that address, too/), pingCheck, ends);
        await comesTo(wrong(/router has that address, too/), portCheck, refuses);
      }),
    ));
  it('a question that was led to another name server is told', async () => {
    // It sends the question back as it came: an answer in form, with no record in it and the code NOERROR.
    const echo = `perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => "udp", LocalPort => 53); while ($p = $s->recv($q, 512)) { substr($q, 2, 2) = "\\x85\\x83"; $s->send($q) }'`;
    for (const one of ['server', 'other']) await run(one, `setsid ${echo} >/dev/null 2>&1 </dev/null &`);
    for (const one of ['server', 'other'])
      await run(one, 'for i in $(seq 100); do ss -Hlnu | grep -q :53 && exit 0; sleep 0.05; done; exit 1');
    const asks = { from: 'client', name: 'www.t', server: 'server', expect: { fails: 'nxdomain' } };
    await comesTo({ verdict: 'pass', cause: 'nxdomain' }, dnsCheck, asks);
    await rule(
      'router',
      'PREROUTING -i eth0 -p udp --dport 53 -j DNAT --to 10.2.0.20',
      async () => {
        await comesTo(wrong(/is not server.*other \(10\.2\.0\.20\) answers/), dnsCheck, asks);
      },
      'nat',
    );
  });
});
