import { expect } from 'chai';
import { dnsCheck } from '../../src/checks/dns.js';
import { httpCheck } from '../../src/checks/http.js';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { reachCheck } from '../../src/checks/reach.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-11';

const plan = lanPlan('checks-probe', [
  lanHost('node1', 11, image, 'systemd', ['busybox']),
  lanHost('node2', 12, image, 'systemd', null),
]);

describe('probes, on real hosts', function () {
  this.timeout(60_000);
  const { session, believing, comesTo, run } = checkLab(plan, async () => {
    await run(
      'node1',
      'docker network create --subnet 10.21.0.0/24 net1 && docker network create --subnet 10.22.0.0/24 net2',
    );
    await run(
      'node1',
      'for c in one two; do docker run -d --name $c --network net1 busybox sleep 86400; done; docker run -d --name other --network net2 busybox sleep 86400; docker run -d --name alone --network none busybox sleep 86400; docker run -d --name dead busybox true',
    );
    await listen('node2', 'echo', 'TCP-LISTEN:7001,fork,reuseaddr', 'EXEC:cat');
    const page = "#!/bin/sh\nread line\nprintf 'HTTP/1.0 200 OK\\r\\nServer: lab\\r\\n\\r\\nhello from node2\\n'\n";
    await (await session().connection('node2')).writeFile('/root/page.sh', page, { mode: 0o755 });
    await listen('node2', 'web', 'TCP-LISTEN:7002,fork,reuseaddr', 'EXEC:/root/page.sh');
    await listen('node2', 'mute', 'TCP-LISTEN:7003,fork,reuseaddr', 'SYSTEM:read line');
    const stall = "#!/bin/sh\nread line\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nhalf'\nsleep 60\n";
    await (await session().connection('node2')).writeFile('/root/stall.sh', stall, { mode: 0o755 });
    await listen('node2', 'stall', 'TCP-LISTEN:7008,fork,reuseaddr', 'EXEC:/root/stall.sh');
    const flood = "#!/bin/sh\nread line\nprintf 'HTTP/1.0 200 OK\\r\\n\\r\\n'\nexec head -c 20000000 /dev/zero\n";
    await (await session().connection('node2')).writeFile('/root/flood.sh', flood, { mode: 0o755 });
    await listen('node2', 'flood', 'TCP-LISTEN:7009,fork,reuseaddr', 'EXEC:/root/flood.sh');
    await listen('node2', 'talk', 'TCP-LISTEN:7004,fork,reuseaddr', 'SYSTEM:echo SSH-2.0; read line');
    await listen('node2', 'udp', 'UDP-LISTEN:7005,fork,reuseaddr', 'EXEC:cat');
    await run('node2', 'sysctl -qw net.ipv4.ip_forward=1 && ip addr add 10.10.10.20/24 dev eth0');
    await run(
      'node2',
      'iptables -A INPUT -i eth0 -p tcp --dport 7006 -j DROP; iptables -A INPUT -i eth0 -p tcp --dport 7007 -j REJECT --reject-with icmp-admin-prohibited; iptables -A INPUT -p udp --dport 7006 -j DROP; iptables -A INPUT -i eth0 -d 10.10.10.20 -p icmp -j DROP',
    );
    await listen('node2', 'filtered', 'TCP-LISTEN:7006,fork,reuseaddr', 'EXEC:cat');
    await run(
      'node1',
      'ip route add 10.40.0.0/24 via 10.10.10.77; ip route add 10.41.0.0/24 via 10.10.10.12; ip route add prohibit 10.42.0.0/24',
    );
  });

  /** A listener that outlives the command that starts it, ready when this resolves. */
  async function listen(on: string, name: string, address: string, answer: string): Promise<void> {
    await run(on, `setsid socat ${address} '${answer}' >/dev/null 2>&1 </dev/null & echo $! > /run/${name}.pid`);
    const port = /:(\d+)/.exec(address)![1];
    await run(on, `for i in $(seq 100); do ss -Hlntu | grep -q ':${port} ' && exit 0; sleep 0.02; done; exit 1`);
  }

  describe('ping', () => {
    it('passes between hosts, into containers and out of them, by name and by address', async () => {
      const outcome = await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node1', to: 'node2' });
      expect(outcome.measures?.map(({ name }) => name)).to.deep.equal(['rtt min', 'rtt mean', 'loss']);
      await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node1/one', to: 'node1/two' });
      await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node1/one', to: 'two' });
      await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node1/one', to: 'node2' });
    });
    it('fails with the cause, and names the first broken hop', async () => {
      await comesTo(
        { verdict: 'fail', cause: 'host-unreachable', reason: /no ARP answer from 10\.10\.10\.99 on eth0 of node1/ },
        pingCheck,
        { from: 'node1', to: '10.10.10.99' },
      );
      await comesTo(
        {
          verdict: 'fail',
          cause: 'host-unreachable',
          reason: /no ARP answer from the gateway 10\.10\.10\.77 on eth0 of node1/,
        },
        pingCheck,
        { from: 'node1', to: '10.40.0.1' },
      );
      await comesTo({ verdict: 'fail', cause: 'no-route' }, pingCheck, { from: 'node1/alone', to: 'node2' });
      await comesTo({ verdict: 'fail', cause: 'prohibited' }, pingCheck, { from: 'node1', to: '10.42.0.1' });
      await comesTo({ verdict: 'fail', cause: 'net-unreachable', reason: /10\.10\.10\.12 answered/ }, pingCheck, {
        from: 'node1',
        to: '10.41.0.1',
      });
      await comesTo(
        { verdict: 'fail', cause: 'timeout', reason: /node1\/other .* does not answer node1\/one/ },
        pingCheck,
        {
          from: 'node1/one',
          to: 'node1/other',
        },
      );
      await comesTo({ verdict: 'fail', cause: 'too-big' }, pingCheck, {
        from: 'node1',
        to: 'node2',
        size: 1473,
        df: true,
      });
      await comesTo({ verdict: 'fail', cause: 'absent', reason: /has no container ghost/ }, pingCheck, {
        from: 'node1',
        to: 'node1/ghost',
      });
      await comesTo({ verdict: 'fail', cause: 'absent', reason: /not running: exited with status 0/ }, pingCheck, {
        from: 'node1',
        to: 'node1/dead',
      });
    });
    it('finds the MTU to the byte', async () => {
      await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node1', to: 'node2', size: 1472, df: true });
    });
    it('passes as a negative with its controls, and fails for another cause', async () => {
      const outcome = await comesTo({ verdict: 'pass', cause: 'timeout' }, pingCheck, {
        from: 'node1/one',
        to: 'node1/other',
        expect: { fails: ['timeout', 'host-unreachable'] },
      });
      expect(outcome.controls?.length).to.be.greaterThan(1);
      expect(outcome.controls?.every(({ held }) => held)).to.equal(true);
      await comesTo({ verdict: 'pass', cause: 'no-route' }, pingCheck, {
        from: 'node1/alone',
        to: 'node2',
        expect: { fails: 'no-route' },
      });
      await comesTo({ verdict: 'fail', cause: 'timeout' }, pingCheck, {
        from: 'node1/one',
        to: 'node1/other',
        expect: { fails: 'refused' },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, pingCheck, {
        from: 'node1',
        to: 'node2',
        expect: { fails: 'timeout' },
      });
    });
    it('cannot be met as a negative by what is dead or not there', async () => {
      await comesTo({ verdict: 'inconclusive', reason: /source is not there/ }, pingCheck, {
        from: 'node1/dead',
        to: 'node2',
        expect: { fails: 'timeout' },
      });
      await comesTo({ verdict: 'inconclusive' }, pingCheck, {
        from: 'node1',
        to: 'node1/ghost',
        expect: { fails: 'timeout' },
      });
      await comesTo({ verdict: 'inconclusive', reason: /a control did not hold/ }, pingCheck, {
        from: 'node1',
        to: '10.10.10.99',
        expect: { fails: 'host-unreachable' },
      });
      await comesTo({ verdict: 'inconclusive', reason: /source is not there/ }, pingCheck, {
        from: 'node2/ghost',
        to: 'node1',
      });
    });
    it('takes the author’s control in place of the target’s own answer', async () => {
      const negative = { from: 'node1', to: '10.10.10.20', expect: { fails: 'timeout' } };
      await comesTo({ verdict: 'pass', cause: 'timeout' }, pingCheck, { ...negative, control: { from: 'node2' } });
      await comesTo({ verdict: 'inconclusive', reason: /node1\/alone reaches/ }, pingCheck, {
        ...negative,
        control: { from: 'node1/alone' },
      });
    });
    it('is inconclusive without ping, unless it is sent from beside the host', async () => {
      await run('node2', 'mv "$(command -v ping)" /root/ping.away');
      try {
        await believing({ verdict: 'inconclusive', reason: /node2 has no ping/ }, pingCheck, {
          from: 'node2',
          to: 'node1',
        });
        await believing({ verdict: 'inconclusive' }, pingCheck, {
          from: 'node2',
          to: '10.10.10.99',
          expect: { fails: 'host-unreachable' },
        });
        await comesTo({ verdict: 'pass' }, pingCheck, { from: 'node2', to: 'node1' });
      } finally {
        await run('node2', 'mv /root/ping.away /usr/bin/ping');
      }
    });
  });

  describe('dns', () => {
    it('asks as the container’s own resolver would', async () => {
      await comesTo({ verdict: 'pass' }, dnsCheck, {
        from: 'node1/one',
        name: 'two',
        expect: { is: 'node1/two', 'answered-by': '127.0.0.11' },
      });
      await comesTo({ verdict: 'pass' }, dnsCheck, {
        from: 'node1/one',
        name: 'localhost',
        expect: { addresses: '127.0.0.1', 'answered-by': 'hosts file' },
      });
      await comesTo({ verdict: 'pass' }, dnsCheck, { from: 'node1/one', name: 'two', server: '127.0.0.11' });
    });
    it('fails for a wrong answer, and by whom', async () => {
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, dnsCheck, {
        from: 'node1/one',
        name: 'two',
        expect: { is: 'node1/one' },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, dnsCheck, {
        from: 'node1/one',
        name: 'two',
        expect: { addresses: ['10.21.0.200'] },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, dnsCheck, {
        from: 'node1/one',
        name: 'two',
        expect: { 'answered-by': '10.0.0.1' },
      });
    });
    it('proves that a name is known only inside its network', async () => {
      // With its upstream servers out of reach the embedded server stays silent (20.10.5, 20.10.24, 26.1.5) or answers SERVFAIL (28.5.2).
      const outcome = await comesTo(
        { verdict: 'pass', cause: image === 'debian-sid' ? 'servfail' : 'timeout' },
        dnsCheck,
        { from: 'node1/other', name: 'two', expect: { fails: ['nxdomain', 'servfail', 'timeout'] } },
      );
      expect(outcome.controls?.every(({ held }) => held)).to.equal(true);
      await comesTo({ verdict: 'fail', cause: 'present' }, dnsCheck, {
        from: 'node1/one',
        name: 'two',
        expect: { fails: ['nxdomain', 'servfail', 'timeout'] },
      });
      await comesTo({ verdict: 'pass', cause: 'no-answer' }, dnsCheck, {
        from: 'node1/one',
        name: 'two',
        type: 'AAAA',
        expect: { fails: 'no-answer' },
      });
    });
    it('asks a server at another port', async () => {
      const asked = { from: 'node1/one', name: 'two', server: '127.0.0.1', port: 5353 };
      await comesTo({ verdict: 'pass', cause: 'refused', reason: /127\.0\.0\.1, port 5353,/ }, dnsCheck, {
        ...asked,
        expect: { fails: 'refused' },
      });
      await run(
        'node1',
        `nsenter --net --target "$(docker inspect --format '{{.State.Pid}}' one)" socat -T 2 UDP4-LISTEN:5353,bind=127.0.0.1,fork UDP4:127.0.0.11:53 >/dev/null 2>&1 & echo $! >/run/forwarder; for try in 1 2 3 4 5 6 7 8 9 10; do nsenter --net --target "$(docker inspect --format '{{.State.Pid}}' one)" ss -Hlun 'sport = :5353' | grep -q . && break; sleep 0.1; done`,
      );
      try {
        await comesTo({ verdict: 'pass' }, dnsCheck, {
          ...asked,
          expect: { is: 'node1/two', 'answered-by': '127.0.0.1' },
        });
        await comesTo({ verdict: 'fail', cause: 'present' }, dnsCheck, { ...asked, expect: { fails: 'refused' } });
      } finally {
        await run('node1', 'kill "$(cat /run/forwarder)"');
      }
    });
    it('takes a refusal by the server’s host for an answer, and a silent nobody for nothing', async () => {
      await comesTo({ verdict: 'pass', cause: 'refused' }, dnsCheck, {
        from: 'node1',
        name: 'two',
        server: 'node2',
        expect: { fails: 'refused' },
      });
      await comesTo({ verdict: 'inconclusive', reason: /a control did not hold/ }, dnsCheck, {
        from: 'node1',
        name: 'two',
        server: '10.10.10.99',
        expect: { fails: ['timeout', 'host-unreachable'] },
      });
      await comesTo({ verdict: 'inconclusive' }, dnsCheck, {
        from: 'node1/dead',
        name: 'two',
        expect: { fails: 'timeout' },
      });
    });
  });

  describe('port', () => {
    it('passes for TCP and UDP', async () => {
      await comesTo({ verdict: 'pass' }, portCheck, { from: 'node1/one', to: 'node2', port: 7001 });
      await comesTo({ verdict: 'pass' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7005,
        proto: 'udp',
        send: 'hi $(id)',
        expect: { receive: 'hi $(id)' },
      });
    });
    it('fails with the cause the kernel had', async () => {
      await comesTo({ verdict: 'fail', cause: 'refused' }, portCheck, { from: 'node1', to: 'node2', port: 9 });
      await comesTo({ verdict: 'fail', cause: 'prohibited', reason: /ICMP type 3 code 13/ }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7007,
      });
      await comesTo({ verdict: 'fail', cause: 'timeout', reason: /does not answer node1/ }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7006,
      });
      await comesTo({ verdict: 'fail', cause: 'host-unreachable' }, portCheck, {
        from: 'node1',
        to: '10.10.10.99',
        port: 80,
      });
      await comesTo({ verdict: 'fail', cause: 'no-route' }, portCheck, {
        from: 'node1/alone',
        to: 'node2',
        port: 7001,
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7005,
        proto: 'udp',
        send: 'hi',
        expect: { receive: 'ho' },
      });
      await comesTo({ verdict: 'fail', cause: 'timeout' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7006,
        proto: 'udp',
        expect: { receive: 'hi' },
      });
    });
    it('passes as a negative with its controls', async () => {
      await comesTo({ verdict: 'pass', cause: 'refused' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 9,
        expect: { fails: 'refused' },
      });
      await comesTo({ verdict: 'pass', cause: 'timeout' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7006,
        expect: { fails: 'timeout' },
      });
      await comesTo({ verdict: 'fail', cause: 'refused' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 9,
        expect: { fails: 'timeout' },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7001,
        expect: { fails: 'refused' },
      });
    });
    it('says who accepts at a published port, and asks for the container where it is told to', async () => {
      await run(
        'node1',
        'docker run -d --name inward -p 8088:80 busybox httpd -f -p 127.0.0.1:80 && docker run -d --name outward -p 8089:80 busybox httpd -f -p 80',
      );
      try {
        const inward = { from: 'node1', to: '127.0.0.1', port: 8088 };
        const outward = { from: 'node2', to: 'node1', port: 8089 };
        const proxy = /accepted by docker-proxy of node1: the container inward behind it refuses/;
        await comesTo({ verdict: 'pass', reason: proxy }, portCheck, inward);
        await comesTo({ verdict: 'fail', cause: 'refused' }, portCheck, { ...inward, expect: { behind: 'open' } });
        await comesTo({ verdict: 'pass' }, portCheck, { ...outward, expect: { behind: 'open' } });
        await run(
          'node1',
          'docker run -d --name elsewhere -p 8090:80 busybox httpd -f -p 80 && iptables -t nat -I PREROUTING -p tcp --dport 8089 -j DNAT --to-destination "$(docker inspect -f "{{.NetworkSettings.IPAddress}}" elsewhere):80"',
        );
        const another = /nothing of it came in at node1\/outward/;
        await comesTo({ verdict: 'fail', cause: 'wrong-answer', reason: another }, portCheck, {
          ...outward,
          expect: { behind: 'open' },
        });
        await run('node1', 'iptables -t nat -D PREROUTING 1 && docker rm -f elsewhere');
        await run('node1', 'docker pause outward');
        await comesTo({ verdict: 'pass', reason: /outward behind it is paused/ }, portCheck, outward);
        await comesTo({ verdict: 'fail', cause: 'no-answer' }, portCheck, { ...outward, expect: { behind: 'open' } });
      } finally {
        await run('node1', 'docker unpause outward; docker rm -f inward outward elsewhere');
      }
    });
    it('cannot know what silence over UDP means, nor what a port does on which nobody listens', async () => {
      await comesTo({ verdict: 'inconclusive', reason: /look alike/ }, portCheck, {
        from: 'node1',
        to: 'node2',
        port: 7006,
        proto: 'udp',
      });
      await comesTo({ verdict: 'inconclusive', reason: /a control did not hold/ }, portCheck, {
        from: 'node1/one',
        to: 'node1/other',
        port: 80,
        expect: { fails: 'timeout' },
      });
      await comesTo({ verdict: 'inconclusive' }, portCheck, {
        from: 'node1/dead',
        to: 'node2',
        port: 7001,
        expect: { fails: 'refused' },
      });
    });
  });

  describe('http', () => {
    it('passes on status, header and body', async () => {
      await comesTo({ verdict: 'pass' }, httpCheck, {
        from: 'node1/one',
        url: 'http://node2:7002/',
        expect: { status: 200, headers: { server: 'lab' }, body: 'hello from node2' },
      });
    });
    it('fails with the cause', async () => {
      await comesTo({ verdict: 'fail', cause: 'http-status' }, httpCheck, {
        from: 'node1',
        url: 'http://10.10.10.12:7002/',
        expect: { status: 404 },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, httpCheck, {
        from: 'node1',
        url: 'http://node2:7002/',
        expect: { body: { contains: 'bye' } },
      });
      await comesTo({ verdict: 'fail', cause: 'no-answer' }, httpCheck, { from: 'node1', url: 'http://node2:7003/' });
      await comesTo({ verdict: 'fail', cause: 'wrong-answer' }, httpCheck, {
        from: 'node1',
        url: 'http://node2:7004/',
      });
      await comesTo({ verdict: 'fail', cause: 'tls' }, httpCheck, { from: 'node1', url: 'https://node2:7004/' });
      await comesTo({ verdict: 'fail', cause: 'refused' }, httpCheck, { from: 'node1', url: 'http://node2:9/' });
      await comesTo({ verdict: 'fail', cause: 'prohibited' }, httpCheck, { from: 'node1', url: 'http://node2:7007/' });
      await comesTo({ verdict: 'fail', cause: 'host-unreachable' }, httpCheck, {
        from: 'node1',
        url: 'http://10.10.10.99/',
      });
      await comesTo({ verdict: 'fail', cause: 'no-route' }, httpCheck, { from: 'node1/alone', url: 'http://node2/' });
      const stalls = { from: 'node1', url: 'http://node2:7008/', wait: '1s' };
      const reason = /answers node1 with 200, then stalls after 4 of 100 bytes/;
      await comesTo({ verdict: 'fail', cause: 'timeout', reason }, httpCheck, stalls);
      await comesTo({ verdict: 'fail', cause: 'present', reason }, httpCheck, {
        ...stalls,
        expect: { fails: 'timeout' },
      });
    });
    it('cannot judge a body that is longer than what is kept', async () => {
      const flood = { from: 'node1', url: 'http://node2:7009/' };
      await comesTo({ verdict: 'pass' }, httpCheck, flood);
      await comesTo({ verdict: 'inconclusive', reason: /20000000 bytes/ }, httpCheck, {
        ...flood,
        expect: { body: { not: { contains: 'x' } } },
      });
    });
    it('passes as a negative with its controls, and not from a dead source', async () => {
      await comesTo({ verdict: 'pass', cause: 'refused' }, httpCheck, {
        from: 'node1',
        url: 'http://node2:9/',
        expect: { fails: 'refused' },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, httpCheck, {
        from: 'node1',
        url: 'http://node2:7002/',
        expect: { fails: 'refused' },
      });
      await comesTo({ verdict: 'inconclusive' }, httpCheck, {
        from: 'node1/dead',
        url: 'http://node2:9/',
        expect: { fails: 'refused' },
      });
    });
  });

  describe('reach', () => {
    it('proves who reaches whom, with a grid', async () => {
      const outcome = await comesTo({ verdict: 'pass' }, reachCheck, {
        groups: { left: ['node1/one', 'node1/two'], right: ['node1/other'] },
      });
      expect(outcome.table).to.have.length(4);
      expect(outcome.controls?.every(({ held }) => held)).to.equal(true);
      await comesTo({ verdict: 'pass' }, reachCheck, { groups: { hosts: ['node1', 'node2'] } });
    });
    it('fails for a pair that must reach and does not, and for one that must not and does', async () => {
      await comesTo({ verdict: 'fail', cause: 'timeout', reason: /node1\/one → node1\/other/ }, reachCheck, {
        groups: { all: ['node1/one', 'node1/two', 'node1/other'] },
      });
      await comesTo(
        { verdict: 'fail', cause: 'present', reason: /node1\/one → node1\/two: reached, and must not be/ },
        reachCheck,
        { groups: { a: ['node1/one'], b: ['node1/two'] } },
      );
    });
    it('cannot know about a member that is dead', async () => {
      await comesTo({ verdict: 'inconclusive', reason: /dead/ }, reachCheck, {
        groups: { a: ['node1/one'], b: ['node1/dead'] },
      });
    });
    it('cannot know without fping', async () => {
      await run('node2', 'mv "$(command -v fping)" /root/fping.away');
      try {
        await believing({ verdict: 'inconclusive', reason: /node2 has no fping/ }, reachCheck, {
          groups: { all: ['node1', 'node2'] },
        });
      } finally {
        await run('node2', 'mv /root/fping.away /usr/bin/fping');
      }
    });
  });
});
