import { expect } from 'chai';
import { arpCheck } from '../../src/checks/arp.js';
import { counterCheck } from '../../src/checks/counter.js';
import { iptablesCheck } from '../../src/checks/iptables.js';
import { netnsCheck } from '../../src/checks/netns.js';
import { sysctlCheck } from '../../src/checks/sysctl.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env['NETRIG_TEST_IMAGE'] ?? 'debian-12';

const plan = lanPlan('checks-rules', [
  lanHost('node1', 11, image, 'systemd', ['busybox', 'web']),
  lanHost('client', 12, image, 'light', null),
  lanHost('twin', 13, image, 'light', null),
]);

describe('checks of rules, counters, sysctls, namespaces and ARP, on real hosts', function () {
  this.timeout(60_000);
  const { passes, fails, cannotKnow, run } = checkLab(plan, async () => {
    await run(
      'node1',
      'docker run -d --name web --stop-signal KILL -p 8080:80 web && docker run -d --name same --network host busybox sleep 86400 && docker run -d --name joined --network container:web busybox sleep 86400',
    );
    await run('node1', 'docker network create net1 && docker run -d --name named --network net1 busybox sleep 86400');
    await run('node1', 'docker create --name never busybox true');
    await run('twin', 'ip address add 10.10.10.99/24 dev eth0');
    await run('client', 'until curl -sf http://10.10.10.11:8080/ >/dev/null; do :; done');
  });

  const masquerade = { source: '172.17.0.0/16', out: '! docker0', jump: 'MASQUERADE' };
  const page = (from: string, address: string) => ({
    http: { from, url: `http://${address}:8080/`, expect: { status: 200 } },
  });

  describe('iptables', () => {
    it('passes', async () => {
      await passes(iptablesCheck, {
        on: 'node1',
        table: 'nat',
        chain: 'POSTROUTING',
        rule: masquerade,
        expect: { count: 1 },
      });
      await passes(iptablesCheck, {
        on: 'node1',
        table: 'nat',
        rule: { dport: 8080, jump: 'DNAT', to: { matches: '^172\\.17\\.0\\.\\d+:80$' } },
      });
      await passes(iptablesCheck, { on: 'node1', chain: 'FORWARD', expect: { policy: 'DROP' } });
      await passes(iptablesCheck, {
        on: 'node1',
        chain: 'FORWARD',
        rule: { jump: 'DOCKER-USER' },
        expect: { before: { jump: { 'one-of': ['DOCKER', 'DOCKER-FORWARD', 'DOCKER-BRIDGE'] } } },
      });
      await passes(
        iptablesCheck,
        { on: 'node1', chain: 'INPUT', rule: { jump: 'DROP' }, expect: { absent: true } },
        /no rule/,
      );
      await passes(iptablesCheck, { on: 'client', chain: 'NOBODY', expect: { absent: true } });
      await passes(iptablesCheck, { on: 'node1/web', chain: 'FORWARD', expect: { policy: 'ACCEPT', count: 0 } });
      await passes(iptablesCheck, {
        on: 'node1',
        chain: 'FORWARD',
        rule: { jump: 'DOCKER-USER' },
        expect: { position: 1 },
      });
      // The engine's name server, as a container of a network of its own sees it.
      await passes(iptablesCheck, {
        on: 'node1/named',
        table: 'nat',
        chain: 'DOCKER_OUTPUT',
        rule: {
          destination: '127.0.0.11/32',
          protocol: 'udp',
          dport: 53,
          jump: 'DNAT',
          to: { matches: '^127\\.0\\.0\\.11:' },
        },
      });
      await run(
        'node1',
        'ip netns add walled && ip netns exec walled iptables -A INPUT -p tcp --dport 7 -m comment --comment "says \\"-j DROP\\"" -j ACCEPT && ip netns exec walled ip6tables -P FORWARD DROP && ip netns exec walled ip6tables -A FORWARD -d fd00::2 -j ACCEPT',
      );
      await passes(iptablesCheck, {
        on: 'node1/netns:walled',
        chain: 'INPUT',
        rule: { jump: 'ACCEPT', comment: 'says "-j DROP"' },
        expect: { count: 1 },
      });
      await passes(iptablesCheck, {
        on: 'node1/netns:walled',
        chain: 'INPUT',
        rule: { jump: 'DROP' },
        expect: { absent: true },
      });
      await passes(iptablesCheck, {
        on: 'node1/netns:walled',
        family: 6,
        chain: 'FORWARD',
        rule: { destination: 'fd00::2/128' },
        expect: { policy: 'DROP' },
      });
    });
    it('fails', async () => {
      await fails('absent', iptablesCheck, { on: 'client', table: 'nat', rule: masquerade });
      await fails('absent', iptablesCheck, { on: 'node1', chain: 'NOBODY' });
      await fails(
        'absent',
        iptablesCheck,
        { on: 'node1', chain: 'NOBODY', rule: { jump: 'DROP' }, expect: { absent: true } },
        /no chain NOBODY/,
      );
      await fails('wrong-value', iptablesCheck, {
        on: 'node1',
        chain: 'FORWARD',
        rule: { jump: 'DOCKER-USER' },
        expect: { position: 2 },
      });
      const unmet = await fails('absent', iptablesCheck, { on: 'node1', chain: 'FORWARD', rule: { jump: 'LOG' } });
      expect(unmet.actual).to.match(/^-A FORWARD -j DOCKER-USER$/m);
      await fails('present', iptablesCheck, { on: 'node1', table: 'nat', rule: masquerade, expect: { absent: true } });
      await fails('present', iptablesCheck, { on: 'node1', table: 'nat', chain: 'DOCKER', expect: { absent: true } });
      await fails(
        'wrong-value',
        iptablesCheck,
        { on: 'node1', chain: 'FORWARD', expect: { policy: 'ACCEPT' } },
        /policy is "DROP"/,
      );
      await fails('wrong-value', iptablesCheck, { on: 'node1', table: 'nat', rule: masquerade, expect: { count: 2 } });
      await run('client', 'iptables -A INPUT -p tcp --dport 7 -j ACCEPT && iptables -A INPUT -p tcp --dport 7 -j DROP');
      await fails(
        'wrong-value',
        iptablesCheck,
        {
          on: 'client',
          chain: 'INPUT',
          rule: { dport: 7, jump: 'DROP' },
          expect: { before: { dport: 7, jump: 'ACCEPT' } },
        },
        /stands after/,
      );
      await fails('absent', iptablesCheck, {
        on: 'client',
        chain: 'INPUT',
        rule: { dport: 7, jump: 'DROP' },
        expect: { before: { dport: 9 } },
      });
      await passes(iptablesCheck, {
        on: 'client',
        chain: 'INPUT',
        rule: { dport: 7, jump: 'ACCEPT' },
        expect: { before: { dport: 7, jump: 'DROP' } },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/not running/, iptablesCheck, { on: 'node1/never', chain: 'INPUT' });
      // What iptables has no words for, its listing leaves out, with exit status 0.
      await run(
        'node1',
        `ip netns add odd && ip netns exec odd sh -c "nft add table ip mangle && nft 'add chain ip mangle POSTROUTING { type filter hook postrouting priority -150; }' && nft add rule ip mangle POSTROUTING numgen inc mod 2 0 accept"`,
      );
      await cannotKnow(/incompatible/, iptablesCheck, {
        on: 'node1/netns:odd',
        table: 'mangle',
        rule: { jump: 'DROP' },
        expect: { absent: true },
      });
      await passes(iptablesCheck, { on: 'node1/netns:odd', rule: { jump: 'DROP' }, expect: { absent: true } });
      // The other variant's rules count too, and are not listed; its mere tables are no rules.
      await run('node1', 'ip netns add old && ip netns exec old iptables-legacy -L -n');
      await passes(iptablesCheck, {
        on: 'node1/netns:old',
        chain: 'INPUT',
        rule: { jump: 'DROP' },
        expect: { absent: true },
      });
      await run('node1', 'ip netns exec old iptables-legacy -A INPUT -p tcp --dport 7 -j DROP');
      await cannotKnow(/rules of iptables-legacy/, iptablesCheck, {
        on: 'node1/netns:old',
        chain: 'INPUT',
        rule: { jump: 'DROP' },
        expect: { absent: true },
      });
      await run('twin', 'mv /usr/sbin/iptables-save /usr/sbin/iptables-away');
      await cannotKnow(/iptables-save/, iptablesCheck, {
        on: 'twin',
        rule: { jump: 'DROP' },
        expect: { absent: true },
      });
      await run('twin', 'mv /usr/sbin/iptables-away /usr/sbin/iptables-save');
    });
  });

  describe('counter', () => {
    const dnat = { on: 'node1', table: 'nat', rule: { dport: 8080, jump: 'DNAT' } };
    it('passes', async () => {
      await passes(counterCheck, { ...dnat, during: page('client', '10.10.10.11'), expect: { packets: 1 } });
      // The host's own connection to its loopback address goes through the proxy.
      await passes(counterCheck, { ...dnat, during: page('node1', '127.0.0.1'), expect: { packets: 0 } });
      await passes(counterCheck, {
        on: 'node1',
        interface: 'docker0',
        direction: 'tx',
        during: page('client', '10.10.10.11'),
        expect: { packets: { 'at-least': 4 }, bytes: { 'at-least': 200 } },
      });
    });
    it('fails', async () => {
      await fails(
        'wrong-value',
        counterCheck,
        { ...dnat, during: page('client', '10.10.10.11'), expect: { packets: 0 } },
        /packets is 1/,
      );
      await fails('absent', counterCheck, {
        ...dnat,
        rule: { dport: 9999 },
        during: page('client', '10.10.10.11'),
        expect: { packets: 0 },
      });
      await fails('absent', counterCheck, {
        on: 'node1',
        interface: 'nic9',
        direction: 'rx',
        during: page('client', '10.10.10.11'),
        expect: { packets: 0 },
      });
      await fails(
        'refused',
        counterCheck,
        { ...dnat, during: { port: { from: 'client', to: '10.10.10.11', port: 8082 } }, expect: { packets: 0 } },
        /did not pass/,
      );
    });
    it('tells by which policy packets were dropped', async () => {
      await run(
        'node1',
        'ip netns add walk && ip link add w0 type veth peer name w1 netns walk && ip address add 10.77.0.1/24 dev w0 && ip link set w0 up && ip -n walk address add 10.77.0.2/24 dev w1 && ip -n walk link set lo up && ip -n walk link set w1 up && ip -n walk route add default via 10.77.0.1',
      );
      const lost = {
        ping: {
          from: 'node1/netns:walk',
          to: 'client',
          count: 2,
          expect: { fails: 'timeout' },
          control: { from: 'node1' },
        },
      };
      await passes(counterCheck, { on: 'node1', chain: 'FORWARD', policy: true, during: lost, expect: { packets: 2 } });
      await fails(
        'wrong-value',
        counterCheck,
        { on: 'node1', chain: 'FORWARD', policy: true, during: lost, expect: { packets: 0 } },
        /the policy DROP of chain FORWARD/,
      );
      await fails(
        'absent',
        counterCheck,
        { on: 'node1', table: 'nat', chain: 'DOCKER', policy: true, during: lost, expect: { packets: 0 } },
        /no policy/,
      );
    });
    it('does not take the packets of others for its own', async () => {
      await run('client', 'setsid ping -i 0.05 10.10.10.11 >/dev/null 2>&1 </dev/null & echo $! >/run/ping.pid');
      await cannotKnow(/never stood still/, counterCheck, {
        on: 'node1',
        interface: 'eth0',
        direction: 'rx',
        during: page('client', '10.10.10.11'),
        expect: { packets: { 'at-least': 1 } },
      });
      await run('client', 'kill $(cat /run/ping.pid)');
      await passes(counterCheck, {
        on: 'node1',
        interface: 'eth0',
        direction: 'rx',
        during: { ping: { from: 'client', to: 'node1', count: 3 } },
        expect: { packets: { 'at-least': 3, 'at-most': 12 } },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/changed meanwhile/, counterCheck, {
        ...dnat,
        during: {
          command: {
            on: 'node1',
            run: 'docker run -d --name more -p 8081:80 --stop-signal KILL web && iptables -t nat -I DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80 && iptables -t nat -D DOCKER 1; iptables -t nat -A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80',
            expect: { exit: 0 },
          },
        },
        expect: { packets: 0 },
      });
      await cannotKnow(/no container gone/, counterCheck, {
        on: 'node1/gone',
        interface: 'eth0',
        direction: 'rx',
        during: page('client', '10.10.10.11'),
        expect: { packets: 0 },
      });
    });
  });

  describe('sysctl', () => {
    it('passes', async () => {
      await passes(sysctlCheck, {
        on: 'node1',
        expect: { 'net.ipv4.ip_forward': 1, 'net.ipv4.tcp_rmem': { matches: '^\\d+ \\d+ \\d+$' } },
      });
      await run('node1', 'ip netns add blue && ip netns exec blue sysctl -qw net.ipv4.ip_default_ttl=33');
      await passes(sysctlCheck, { on: 'node1/netns:blue', expect: { 'net.ipv4.ip_default_ttl': 33 } });
      await passes(sysctlCheck, { on: 'node1/web', expect: { 'net/ipv4/conf/eth0/forwarding': { 'one-of': [0, 1] } } });
    });
    it('fails', async () => {
      await fails(
        'wrong-value',
        sysctlCheck,
        { on: 'node1', expect: { 'net.ipv4.ip_forward': 0 } },
        /net\.ipv4\.ip_forward is "1", expected 0/,
      );
      await fails('absent', sysctlCheck, { on: 'node1', expect: { 'net.ipv4.no_such_thing': 0 } });
      await fails('wrong-value', sysctlCheck, { on: 'node1', expect: { 'net.ipv4.ip_forward': { absent: true } } });
    });
    it('passes for one that is not there', async () => {
      await passes(sysctlCheck, {
        on: 'node1',
        expect: { 'net.ipv4.no_such_thing': { absent: true }, 'net.ipv4.ip_forward': 1 },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/not running/, sysctlCheck, { on: 'node1/never', expect: { 'net.ipv4.ip_forward': 1 } });
      // A sysctl that can only be written.
      await cannotKnow(/Permission denied/, sysctlCheck, {
        on: 'node1',
        expect: { 'net.ipv4.route.flush': { absent: true } },
      });
    });
  });

  describe('netns', () => {
    it('passes', async () => {
      await passes(netnsCheck, { expect: 'same', on: ['node1', 'node1/same'] });
      await passes(netnsCheck, { expect: { not: 'same' }, on: ['node1', 'node1/web'] });
      await passes(netnsCheck, { expect: 'same', on: ['node1/web', 'node1/joined'] });
      await passes(netnsCheck, { namespace: 'pid', expect: { not: 'same' }, on: ['node1/web', 'node1/joined'] });
      await passes(netnsCheck, { namespace: 'mnt', expect: { not: 'same' }, on: ['node1', 'node1/same'] });
    });
    it('fails', async () => {
      await fails('wrong-value', netnsCheck, { expect: { not: 'same' }, on: ['node1', 'node1/same'] });
      await fails('wrong-value', netnsCheck, { expect: 'same', on: ['node1', 'node1/web'] });
    });
    it('cannot know', async () =>
      cannotKnow(/not running/, netnsCheck, { expect: { not: 'same' }, on: ['node1', 'node1/never'] }));
  });

  describe('arp', () => {
    const ask = { from: 'client', interface: 'eth0' };
    it('passes', async () => {
      await passes(arpCheck, { ...ask, address: '10.10.10.11', expect: { answers: 1, macs: ['02:00:0a:0a:0a:0b'] } });
      await passes(arpCheck, { ...ask, address: '10.10.10.77', questions: 1, expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('no-answer', arpCheck, { ...ask, address: '10.10.10.77', questions: 1 });
      await fails('present', arpCheck, { ...ask, address: '10.10.10.11', questions: 1, expect: { absent: true } });
      await fails('wrong-value', arpCheck, { ...ask, address: '10.10.10.11', expect: { macs: ['02:00:00:00:00:00'] } });
    });
    it('counts nobody only where somebody could have answered', async () => {
      await run(
        'node1',
        'ip link add lone type veth peer name other && ip address add 10.66.0.1/24 dev lone && ip link set lone up && ip link set other up',
      );
      await cannotKnow(/nobody is known who should/, arpCheck, {
        from: 'node1',
        interface: 'lone',
        address: '10.66.0.9',
        questions: 1,
        expect: { absent: true },
      });
      await cannotKnow(/control did not hold/, arpCheck, {
        from: 'node1',
        interface: 'lone',
        address: '10.66.0.9',
        questions: 1,
        control: '10.66.0.2',
        expect: { absent: true },
      });
      await passes(arpCheck, {
        from: 'node1/web',
        interface: 'eth0',
        address: '172.17.0.99',
        questions: 1,
        control: '172.17.0.1',
        expect: { absent: true },
      });
    });
    it('sees two hosts with one address', async () => {
      await run('node1', 'ip address add 10.10.10.99/24 dev eth0');
      await fails('wrong-value', arpCheck, { ...ask, address: '10.10.10.99' }, /answers is 2, expected 1/);
      await fails(
        'wrong-value',
        arpCheck,
        { ...ask, address: '10.10.10.99', questions: 1 },
        /answers is 2, expected 1/,
      );
      await passes(arpCheck, {
        ...ask,
        address: '10.10.10.99',
        expect: { answers: 2, macs: ['02:00:0a:0a:0a:0d', '02:00:0a:0a:0a:0b'] },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/no interface eth7/, arpCheck, { ...ask, interface: 'eth7', address: '10.10.10.11' });
      await run('twin', 'ip link set eth0 down');
      await cannotKnow(/is down/, arpCheck, {
        from: 'twin',
        interface: 'eth0',
        address: '10.10.10.11',
        expect: { absent: true },
      });
    });
  });
});
