import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { addressCheck } from '../../src/checks/address.js';
import { captureCheck } from '../../src/checks/capture.js';
import { commandCheck } from '../../src/checks/command.js';
import { consulCheck } from '../../src/checks/consul.js';
import { dockerCheck } from '../../src/checks/docker.js';
import type { CheckKind } from '../../src/checks/kind.js';
import { linkCheck } from '../../src/checks/link.js';
import { parsePcap } from '../../src/probes/pcap.js';
import { routeCheck } from '../../src/checks/route.js';
import type { Outcome } from '../../src/model/verdict.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const plan = lanPlan('checks-state', [
  lanHost('node1', 11, 'debian-11', 'systemd', ['busybox']),
  lanHost('node2', 12, 'debian-11', 'systemd', ['busybox']),
]);

describe('checks of state, on real hosts', function () {
  this.timeout(60_000);
  const { check, believing, comesTo, run, runDir } = checkLab(plan, async () => {
    await run('node1', 'docker swarm init --advertise-addr 10.10.10.11');
    const token = await run('node1', 'docker swarm join-token -q worker');
    await run('node2', `docker swarm join --token ${token} 10.10.10.11:2377`);
    await run('node1', 'docker network create -d overlay --attachable --subnet 10.20.0.0/24 ov_net1');
    await run(
      'node1',
      'docker run -d --name one --network ov_net1 busybox sleep 86400 && docker run -d --name plain busybox sleep 86400',
    );
    await run(
      'node2',
      'docker run -d --name two --network ov_net1 busybox sleep 86400 && docker run -d --name dead busybox true',
    );
    await becomes(commandCheck, { on: 'node2/two', run: 'ping -c 1 -W 1 one' }, 30_000);
  });

  /** Tries until the check passes: what it waits for takes an engine or Consul some moments. */
  async function becomes<Spec>(kind: CheckKind<Spec>, body: unknown, withinMs: number): Promise<Outcome> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const outcome = await check(kind, body);
      if (outcome.verdict === 'pass') return outcome;
      if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${outcome.reason}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  describe('command', () => {
    it('passes on a host, in a container’s file system, and in its network', async () => {
      await comesTo({ verdict: 'pass' }, commandCheck, {
        on: 'node1',
        run: 'cat /proc/sys/net/ipv4/ip_forward',
        expect: { stdout: 1 },
      });
      await comesTo({ verdict: 'pass' }, commandCheck, {
        on: 'node1/one',
        run: 'ls -l /bin/sh',
        expect: { stdout: { contains: 'busybox' } },
      });
      await comesTo({ verdict: 'pass' }, commandCheck, {
        on: 'node1/one',
        'exec-in': 'network',
        run: ['ip', '-j', 'addr', 'show', 'eth0'],
        expect: { json: { '[0].mtu': 1450, '[0].addr_info[*].local': { contains: { 'in-subnet': '10.20.0.0/24' } } } },
      });
      await comesTo({ verdict: 'pass' }, commandCheck, {
        on: 'node1/one',
        run: 'cat',
        stdin: 'said',
        expect: { stdout: 'said' },
      });
    });
    it('interprets nothing in a list of arguments', async () => {
      await comesTo({ verdict: 'pass' }, commandCheck, {
        on: 'node1/one',
        run: ['echo', '$(id) `id` ; "\' *'],
        expect: { stdout: '$(id) `id` ; "\' *' },
      });
    });
    it('fails for another exit status, other output', async () => {
      await comesTo({ verdict: 'fail', cause: 'exit-status' }, commandCheck, { on: 'node1/one', run: 'exit 4' });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, commandCheck, {
        on: 'node1',
        run: 'echo 10',
        expect: { stdout: 1 },
      });
    });
    it('fails for time, and leaves nothing running, also in a container', async () => {
      await comesTo(
        { verdict: 'fail', cause: 'timeout' },
        commandCheck,
        { on: 'node1/one', run: 'sleep 77777 & sleep 77778' },
        1500,
      );
      await comesTo({ verdict: 'fail', cause: 'timeout' }, commandCheck, { on: 'node1', run: 'sleep 77779' }, 1000);
      await comesTo({ verdict: 'pass' }, commandCheck, {
        on: 'node1',
        run: 'ps -eo args | grep "^sleep 7777"',
        expect: { exit: 1, stdout: '' },
      });
    });
    it('cannot know without the program, the container, the engine’s word', async () => {
      await comesTo({ verdict: 'inconclusive', reason: /nosuchtool/ }, commandCheck, {
        on: 'node1',
        run: 'nosuchtool',
        expect: { exit: 'nonzero' },
      });
      await comesTo({ verdict: 'inconclusive', reason: /nosuchtool/ }, commandCheck, {
        on: 'node1/one',
        run: ['nosuchtool'],
        expect: { exit: 'any', stdout: { length: 0 } },
      });
      await comesTo({ verdict: 'inconclusive', reason: /no container gone/ }, commandCheck, {
        on: 'node1/gone',
        run: 'true',
      });
      await comesTo({ verdict: 'inconclusive', reason: /not running/ }, commandCheck, {
        on: 'node2/dead',
        run: 'true',
      });
    });
    it('cannot judge output of 50 MB', async () => {
      await comesTo({ verdict: 'inconclusive', reason: /52428800 bytes/ }, commandCheck, {
        on: 'node1',
        run: 'head -c 52428800 /dev/zero',
        expect: { stdout: { not: { contains: 'x' } } },
      });
    });
  });

  describe('address', () => {
    it('passes', async () => {
      await comesTo({ verdict: 'pass' }, addressCheck, { on: 'node1', expect: { is: '10.10.10.11/24' } });
      await comesTo({ verdict: 'pass' }, addressCheck, {
        on: 'node1/one',
        'address-on': 'ov_net1',
        expect: { in: '10.20.0.0/24' },
      });
      await comesTo({ verdict: 'pass' }, addressCheck, { on: 'node1', expect: { is: '10.10.10.99', absent: true } });
      await comesTo({ verdict: 'pass' }, addressCheck, {
        on: ['node1/one', 'node2/two'],
        'address-on': 'ov_net1',
        expect: { distinct: true },
      });
      await comesTo({ verdict: 'pass' }, addressCheck, {
        on: ['node1', 'node2'],
        expect: { distinct: true, in: '10.10.10.0/24' },
      });
    });
    it('fails', async () => {
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, addressCheck, {
        on: 'node1',
        expect: { is: '10.10.10.11/16' },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, addressCheck, {
        on: 'node1',
        expect: { in: '10.10.10.0/24', absent: true },
      });
      await comesTo({ verdict: 'fail', cause: 'absent' }, addressCheck, { on: 'node1/one', 'address-on': 'bridge' });
      await comesTo({ verdict: 'fail', cause: 'absent' }, addressCheck, {
        on: 'node1',
        interface: 'eth7',
        expect: { in: '10.0.0.0/8' },
      });
      // Every engine gives its bridge 172.17.0.1.
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, addressCheck, {
        on: ['node1', 'node2'],
        expect: { distinct: true, in: '172.17.0.0/16' },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, addressCheck, {
        on: ['node1/one', 'node1/plain'],
        expect: { distinct: true, in: '10.20.0.0/24' },
      });
    });
    it('cannot know', async () => {
      await comesTo({ verdict: 'inconclusive' }, addressCheck, {
        on: 'node1/gone',
        expect: { in: '10.0.0.0/8', absent: true },
      });
      await comesTo({ verdict: 'inconclusive' }, addressCheck, {
        on: 'node1',
        interface: 'eth7',
        expect: { absent: true },
      });
      await comesTo({ verdict: 'inconclusive' }, addressCheck, {
        on: ['node1/one', 'node2/two'],
        expect: { distinct: true },
      });
    });
  });

  describe('link', () => {
    it('passes', async () => {
      await comesTo({ verdict: 'pass' }, linkCheck, {
        on: 'node1/one',
        interface: 'eth0',
        expect: { kind: 'veth', mtu: 1450, up: true },
      });
      await comesTo({ verdict: 'pass' }, linkCheck, {
        on: 'node1/plain',
        interface: 'eth0',
        expect: { peer: { on: 'node1', master: 'docker0' } },
      });
      await comesTo({ verdict: 'pass' }, linkCheck, {
        on: 'node1',
        interface: 'docker0',
        expect: { kind: 'bridge', ports: { length: 1 }, stp: 0, vni: { absent: true } },
      });
      await comesTo({ verdict: 'pass' }, linkCheck, {
        on: 'node1',
        network: 'ov_net1',
        select: { kind: 'vxlan' },
        expect: { dstport: 4789, vni: { 'at-least': 256 }, master: 'br0' },
      });
      await comesTo({ verdict: 'pass' }, linkCheck, {
        on: 'node1',
        select: { kind: 'vxlan' },
        expect: { absent: true },
      });
    });
    it('fails', async () => {
      await comesTo({ verdict: 'fail', cause: 'wrong-value', reason: /mtu is 1450, expected 1500/ }, linkCheck, {
        on: 'node1/one',
        interface: 'eth0',
        expect: { mtu: 1500 },
      });
      await comesTo({ verdict: 'fail', cause: 'absent' }, linkCheck, { on: 'node1', interface: 'br7' });
      await comesTo({ verdict: 'fail', cause: 'present' }, linkCheck, {
        on: 'node1',
        interface: 'docker0',
        expect: { absent: true },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value', reason: /peer is not in node1\/one/ }, linkCheck, {
        on: 'node1/plain',
        interface: 'eth0',
        expect: { peer: { on: 'node1/one' } },
      });
    });
    it('cannot know', async () => {
      await comesTo({ verdict: 'inconclusive' }, linkCheck, {
        on: 'node1/gone',
        interface: 'eth0',
        expect: { absent: true },
      });
      await comesTo({ verdict: 'inconclusive', reason: /could mean/ }, linkCheck, {
        on: 'node1',
        select: { kind: 'veth' },
      });
      await comesTo({ verdict: 'inconclusive', reason: /no network nope/ }, linkCheck, {
        on: 'node1',
        network: 'nope',
        interface: 'vxlan0',
        expect: { absent: true },
      });
    });
  });

  describe('route', () => {
    before(async () => {
      await run('node1', 'ip route add blackhole 10.66.0.0/16 && ip route add prohibit 10.67.0.0/16');
    });
    it('passes', async () => {
      await comesTo({ verdict: 'pass' }, routeCheck, {
        on: 'node1/plain',
        to: 'default',
        expect: { via: '172.17.0.1', dev: 'eth0' },
      });
      await comesTo({ verdict: 'pass' }, routeCheck, {
        on: 'node1',
        to: '10.10.10.0/24',
        expect: { via: { absent: true }, src: '10.10.10.11', scope: 'link' },
      });
      await comesTo({ verdict: 'pass' }, routeCheck, { on: 'node1', to: '10.10.10.12', expect: { dev: 'eth0' } });
      await comesTo({ verdict: 'pass' }, routeCheck, { on: 'node1', to: 'default', expect: { absent: true } });
      await comesTo({ verdict: 'pass' }, routeCheck, { on: 'node1', to: '192.0.2.1', expect: { absent: true } });
      await comesTo({ verdict: 'pass' }, routeCheck, {
        on: 'node1',
        to: '10.66.0.0/16',
        expect: { type: 'blackhole' },
      });
    });
    it('fails', async () => {
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, routeCheck, {
        on: 'node1/plain',
        to: 'default',
        expect: { via: '172.17.0.9' },
      });
      await comesTo({ verdict: 'fail', cause: 'absent' }, routeCheck, { on: 'node1', to: 'default' });
      await comesTo({ verdict: 'fail', cause: 'no-route' }, routeCheck, { on: 'node1', to: '192.0.2.1' });
      await comesTo({ verdict: 'fail', cause: 'prohibited' }, routeCheck, { on: 'node1', to: '10.67.0.1' });
      await comesTo({ verdict: 'fail', cause: 'present' }, routeCheck, {
        on: 'node1/plain',
        to: 'default',
        expect: { absent: true },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, routeCheck, { on: 'node1', to: '10.66.0.0/16' });
    });
    it('cannot know', async () => {
      await comesTo({ verdict: 'inconclusive' }, routeCheck, {
        on: 'node1/netns:nope',
        to: 'default',
        expect: { absent: true },
      });
      await comesTo({ verdict: 'inconclusive' }, routeCheck, {
        on: 'node1',
        to: 'default',
        table: 'nosuch',
        expect: { absent: true },
      });
    });
  });

  describe('docker', () => {
    it('passes', async () => {
      await comesTo({ verdict: 'pass' }, dockerCheck, {
        on: ['node1', 'node2'],
        network: 'ov_net1',
        expect: {
          Driver: 'overlay',
          Scope: 'swarm',
          'IPAM.Config[0].Subnet': { 'in-subnet': '10.20.0.0/16' },
          same: ['Id'],
        },
      });
      await comesTo({ verdict: 'pass' }, dockerCheck, {
        on: 'node1',
        container: 'one',
        expect: {
          'State.Running': true,
          'NetworkSettings.Networks.ov_net1.IPAddress': { 'in-subnet': '10.20.0.0/24' },
        },
      });
      await comesTo({ verdict: 'pass' }, dockerCheck, {
        on: 'node2',
        container: 'dead',
        expect: { 'State.Running': false, 'State.ExitCode': 0 },
      });
      await comesTo({ verdict: 'pass' }, dockerCheck, {
        on: 'node1',
        expect: { ServerVersion: { matches: '^20\\.10\\.' }, 'Swarm.LocalNodeState': 'active' },
        info: true,
      });
      await comesTo({ verdict: 'pass' }, dockerCheck, { on: 'node1', image: 'busybox' });
      await comesTo({ verdict: 'pass' }, dockerCheck, {
        on: ['node1', 'node2'],
        network: 'nope',
        expect: { absent: true },
      });
    });
    it('fails', async () => {
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, dockerCheck, {
        on: 'node1',
        network: 'ov_net1',
        expect: { Scope: 'global' },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, dockerCheck, {
        on: ['node1', 'node2'],
        network: 'bridge',
        expect: { same: ['Id'] },
      });
      await comesTo({ verdict: 'fail', cause: 'absent' }, dockerCheck, {
        on: 'node1',
        network: 'ov_net1',
        expect: { 'No.Such.Field': { not: 'x' } },
      });
      await comesTo({ verdict: 'fail', cause: 'absent' }, dockerCheck, { on: ['node1', 'node2'], container: 'one' });
      await comesTo({ verdict: 'fail', cause: 'present' }, dockerCheck, {
        on: 'node1',
        container: 'one',
        expect: { absent: true },
      });
    });
    it('does not take the beginning of an id for a name', async () => {
      const id = await run('node1', "docker inspect --format '{{.Id}}' one");
      await comesTo({ verdict: 'fail', cause: 'absent' }, dockerCheck, { on: 'node1', container: id.slice(0, 6) });
      await comesTo({ verdict: 'pass' }, dockerCheck, { on: 'node1', container: id });
    });
  });

  describe('capture', () => {
    const ping = { ping: { from: 'node1/one', to: 'node2/two', 'address-on': 'ov_net1' } };
    it('passes: the traffic is VXLAN with the network’s own identifier', async () => {
      const outcome = await comesTo({ verdict: 'pass' }, captureCheck, {
        on: 'node1',
        segment: 'lan',
        filter: 'udp port 4789',
        during: ping,
        expect: {
          each: { proto: 'udp', dport: 4789, src: { 'in-subnet': '10.10.10.0/24' }, vni: { network: 'ov_net1' } },
          some: {
            src: 'node1',
            dst: 'node2',
            inner: { src: 'node1/one', dst: 'node2/two', proto: 'icmp', 'icmp-type': 8 },
          },
        },
      });
      const [attachment] = outcome.attachments ?? [];
      expect(attachment).to.include({ mime: 'application/vnd.tcpdump.pcap' });
      const { packets, cutOff } = parsePcap(readFileSync(path.join(runDir(), attachment!.file)));
      expect(cutOff).to.equal(false);
      expect(packets.some((packet) => packet.frame.vni !== undefined && packet.frame.inner?.proto === 'icmp')).to.equal(
        true,
      );
      expect(outcome.controls?.[0]).to.include({ held: true });
    });
    it('passes: nothing of it is bare on the segment, with the control that the capture saw', async () => {
      const outcome = await comesTo({ verdict: 'pass' }, captureCheck, {
        on: 'node2',
        interface: 'eth0',
        filter: 'icmp',
        during: ping,
        expect: { absent: true },
      });
      expect(outcome.controls?.[0]).to.include({ held: true });
    });
    it('passes inside a container, on a port of a bridge, on loopback', async () => {
      await comesTo({ verdict: 'pass' }, captureCheck, {
        on: 'node2/two',
        interface: 'eth0',
        filter: 'icmp',
        during: ping,
        expect: { some: { src: 'node1/one', 'icmp-type': 8 }, packets: { 'at-least': 1, 'at-most': 20 } },
      });
      const ports = JSON.parse(await run('node1', 'ip -j link show master docker0')) as { ifname: string }[];
      await comesTo({ verdict: 'pass' }, captureCheck, {
        on: 'node1',
        interface: ports[0]!.ifname,
        filter: 'tcp',
        during: { ping: { from: 'node1/plain', to: '172.17.0.1' } },
        expect: { absent: true },
      });
      await comesTo({ verdict: 'pass' }, captureCheck, {
        on: 'node1',
        interface: 'lo',
        filter: 'tcp port 81',
        during: { command: { on: 'node1', run: 'curl -s http://127.0.0.1:81/', expect: { exit: 7 } } },
        expect: { some: { dport: 81, 'tcp-flags': 'S' } },
      });
    });
    it('fails', async () => {
      await comesTo({ verdict: 'fail', cause: 'absent' }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        filter: 'udp port 4789',
        during: ping,
        expect: { some: { vni: 1 } },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        filter: 'udp port 4789',
        during: ping,
        expect: { each: { vni: 1 } },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        filter: 'udp port 4789',
        during: ping,
        expect: { absent: true },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        filter: 'udp port 4789',
        during: ping,
        expect: { packets: { 'at-least': 500 } },
      });
    });
    it('has the verdict of the check that runs meanwhile, where that does not pass', async () => {
      await comesTo(
        { verdict: 'fail', cause: 'exit-status', reason: /^the command during the capture/ },
        captureCheck,
        {
          on: 'node1',
          interface: 'eth0',
          during: { command: { on: 'node1', run: 'false' } },
          expect: { not: { some: { src: '192.0.2.1' } } },
        },
      );
      await comesTo({ verdict: 'inconclusive' }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        during: { command: { on: 'node1', run: 'nosuchtool' } },
        expect: { absent: true },
      });
    });
    it('is judged on an interface without an address, too', async () => {
      await run(
        'node1',
        'ip link add bare0 type veth peer name bare1 && sysctl -qw net.ipv6.conf.bare0.disable_ipv6=1 net.ipv6.conf.bare1.disable_ipv6=1 && ip link set bare0 up && ip link set bare1 up',
      );
      await comesTo({ verdict: 'pass' }, captureCheck, {
        on: 'node1',
        interface: 'bare0',
        during: ping,
        expect: { absent: true },
      });
      await comesTo({ verdict: 'fail', cause: 'absent' }, captureCheck, {
        on: 'node1',
        interface: 'bare0',
        during: ping,
        expect: { each: { proto: 'icmp' } },
      });
      await run('node1', 'ip link set bare0 down');
      await comesTo({ verdict: 'inconclusive' }, captureCheck, {
        on: 'node1',
        interface: 'bare0',
        during: ping,
        expect: { absent: true },
      });
      await run('node1', 'ip link del bare0');
    });
    it('sees tagged frames that came in, whatever the filter asks for beside their VLAN', async () => {
      // One broadcast ARP request with the tag of VLAN 10, by a packet socket: it takes no VLAN interface.
      const frame = 'ffffffffffff0200000000018100000a080600010800060400010200000000010a0a0a0b0000000000000a0a0a63';
      const tagged = {
        command: {
          on: 'node1',
          run: [
            'perl',
            '-e',
            'use Socket; my $index = `cat /sys/class/net/eth0/ifindex` + 0; socket(my $s, 17, SOCK_RAW, 0) or die; send($s, pack("H*", shift) . "\\0" x 18, 0, pack("S n l S C C a8", 17, 0x8100, $index, 0, 0, 6, "")) or die',
            frame,
          ],
        },
      };
      const on = { on: 'node2', segment: 'lan', during: tagged };
      await comesTo({ verdict: 'pass' }, captureCheck, {
        ...on,
        filter: 'vlan 10 and arp',
        expect: { packets: 1, each: { vlan: 10, dst: '10.10.10.99' } },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, captureCheck, {
        ...on,
        filter: 'vlan and arp',
        expect: { absent: true },
      });
      await comesTo({ verdict: 'pass' }, captureCheck, {
        ...on,
        filter: 'vlan 20 and arp',
        expect: { absent: true },
      });
    });

    it('cannot know: no such interface, a filter that is none, no way to send a packet of its own', async () => {
      await comesTo({ verdict: 'inconclusive', reason: /eth7/ }, captureCheck, {
        on: 'node1',
        interface: 'eth7',
        during: ping,
        expect: { absent: true },
      });
      await comesTo({ verdict: 'inconclusive', reason: /syntax error/ }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        filter: 'udp prot 1',
        during: ping,
        expect: { absent: true },
      });
      await comesTo({ verdict: 'inconclusive', reason: /only overlay networks/ }, captureCheck, {
        on: 'node1',
        interface: 'eth0',
        during: ping,
        expect: { some: { vni: { network: 'bridge' } } },
      });
      await run('node1', 'ip tuntap add tun0 mode tun && ip link set tun0 up && ip addr flush dev tun0');
      await comesTo({ verdict: 'inconclusive', reason: /tun0 of node1 carries no Ethernet/ }, captureCheck, {
        on: 'node1',
        interface: 'tun0',
        filter: 'icmp',
        during: ping,
        expect: { absent: true },
      });
      await run('node1', 'ip link del tun0');
    });
    it('leaves no tcpdump running', async () => {
      for (const on of ['node1', 'node2'])
        await comesTo({ verdict: 'pass' }, commandCheck, {
          on,
          run: 'ps -eo comm | grep -x tcpdump',
          expect: { exit: 1 },
        });
    });
  });

  describe('consul', () => {
    before(async () => {
      await comesTo({ verdict: 'fail', cause: 'refused' }, consulCheck, { on: 'node1', expect: { leader: true } });
      await comesTo({ verdict: 'inconclusive' }, consulCheck, {
        on: 'node1',
        kv: { key: 'lab' },
        expect: { absent: true },
      });
      const start = (name: string, rest: string): string =>
        `setsid consul agent -node ${name} -data-dir /opt/consul ${rest} >/var/log/consul.log 2>&1 </dev/null & echo $! >/run/consul.pid`;
      await run(
        'node1',
        start('node1', "-server -bootstrap -bind 10.10.10.11 -hcl 'performance { raft_multiplier = 1 }'"),
      );
      await run('node2', start('node2', '-bind 10.10.10.12 -retry-join 10.10.10.11 -retry-interval 1s'));
      await becomes(consulCheck, { on: 'node2', expect: { leader: true, members: { count: 2 } } }, 20_000);
      await run(
        'node1',
        `consul kv put lab/one 'hello wörld' && consul kv put lab/two '{"id":[1,2]}' && consul kv put lab/ && consul kv put empty/`,
      );
    });
    it('passes', async () => {
      await comesTo({ verdict: 'pass' }, consulCheck, {
        on: 'node2',
        expect: { leader: '10.10.10.11:8300', members: { count: 2, names: ['node2', 'node1'] } },
        status: 'alive',
      });
      await comesTo({ verdict: 'pass' }, consulCheck, {
        on: 'node2',
        kv: { key: 'lab/one' },
        expect: { value: 'hello wörld' },
      });
      await comesTo({ verdict: 'pass' }, consulCheck, {
        on: 'node2',
        kv: { key: 'lab/two' },
        expect: { json: { 'id[1]': 2 } },
      });
      await comesTo({ verdict: 'pass' }, consulCheck, {
        on: 'node2',
        kv: { prefix: 'lab/' },
        expect: { count: 2, keys: ['lab/one', 'lab/two'] },
      });
      await comesTo({ verdict: 'pass' }, consulCheck, {
        on: 'node2',
        kv: { prefix: 'nothing/' },
        expect: { absent: true },
        service: 'consul',
      });
    });
    it('fails', async () => {
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, consulCheck, {
        on: 'node1',
        expect: { members: { count: 3 } },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, consulCheck, {
        on: 'node1',
        expect: { members: { names: ['node1'] } },
      });
      await comesTo({ verdict: 'fail', cause: 'present' }, consulCheck, { on: 'node1', expect: { leader: false } });
      await comesTo({ verdict: 'fail', cause: 'absent' }, consulCheck, { on: 'node1', kv: { key: 'lab/three' } });
      await comesTo({ verdict: 'fail', cause: 'absent' }, consulCheck, { on: 'node1', kv: { prefix: 'empty/' } });
      await comesTo({ verdict: 'fail', cause: 'present' }, consulCheck, {
        on: 'node1',
        kv: { prefix: 'lab/' },
        expect: { absent: true },
      });
      await comesTo({ verdict: 'fail', cause: 'wrong-value' }, consulCheck, {
        on: 'node1',
        kv: { key: 'lab/one' },
        expect: { value: { not: { contains: 'hello' } } },
      });
    });
    it('cannot know', async () => {
      await comesTo({ verdict: 'inconclusive' }, consulCheck, { on: 'node1/gone', expect: { leader: true } });
      await run('node1', 'kill -KILL "$(cat /run/consul.pid)"');
      await comesTo({ verdict: 'inconclusive', reason: /HTTP 500/ }, consulCheck, {
        on: 'node2',
        kv: { key: 'nothing' },
        expect: { absent: true },
      });
    });
  });

  // Last, because these break the hosts.
  describe('without the tools', () => {
    const hidden = (tool: string): string => `tool=$(command -v ${tool}) && mv "$tool" "$tool.hidden"`;
    const shown = (tool: string, directory: string): string => `mv ${directory}/${tool}.hidden ${directory}/${tool}`;

    it('nothing can be known of links, addresses and routes without ip', async () => {
      const directory = path.posix.dirname(await run('node2', 'readlink -f "$(command -v ip)"'));
      await run('node2', `mv ${directory}/ip ${directory}/ip.hidden`);
      try {
        await believing({ verdict: 'inconclusive', reason: /no usable ip/ }, linkCheck, {
          on: 'node2',
          interface: 'br7',
          expect: { absent: true },
        });
        await believing({ verdict: 'inconclusive' }, addressCheck, {
          on: 'node2/two',
          expect: { is: '10.9.9.9', absent: true },
        });
        await believing({ verdict: 'inconclusive' }, routeCheck, {
          on: 'node2',
          to: 'default',
          expect: { absent: true },
        });
      } finally {
        await run('node2', shown('ip', directory));
      }
    });
    it('nothing can be captured without tcpdump', async () => {
      const directory = path.posix.dirname(await run('node2', 'command -v tcpdump'));
      await run('node2', hidden('tcpdump'));
      try {
        await believing({ verdict: 'inconclusive', reason: /tcpdump/ }, captureCheck, {
          on: 'node2',
          interface: 'eth0',
          listen: '1s',
          expect: { absent: true },
        });
      } finally {
        await run('node2', shown('tcpdump', directory));
      }
    });
    it('nothing can be asked of an engine that is down, and nothing is absent from it', async () => {
      await run('node2', 'docker rm -f two dead && systemctl stop docker.socket docker');
      await believing({ verdict: 'inconclusive' }, dockerCheck, {
        on: 'node2',
        network: 'nope',
        expect: { absent: true },
      });
      await believing({ verdict: 'inconclusive' }, dockerCheck, {
        on: 'node2',
        expect: { ServerVersion: { absent: true } },
        info: true,
      });
      await believing({ verdict: 'inconclusive' }, dockerCheck, {
        on: ['node1', 'node2'],
        network: 'ov_net1',
        expect: { same: ['Id'] },
      });
      await believing({ verdict: 'fail', cause: 'present' }, dockerCheck, {
        on: ['node1', 'node2'],
        network: 'ov_net1',
        expect: { absent: true },
      });
      await believing({ verdict: 'inconclusive' }, commandCheck, {
        on: 'node2/two',
        run: 'true',
        expect: { exit: 'nonzero' },
      });
    });
  });
});
