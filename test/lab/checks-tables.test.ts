import { conntrackCheck } from '../../src/checks/conntrack.js';
import { fdbCheck } from '../../src/checks/fdb.js';
import { neighbourCheck } from '../../src/checks/neighbour.js';
import { checkLab, lanHost, lanPlan } from './check-lab.js';

const image = process.env.NETRIG_TEST_IMAGE ?? 'debian-11';

const plan = lanPlan('checks-tables', [
  lanHost('node1', 11, image, 'light', null),
  lanHost('node2', 12, image, 'light', null),
]);

describe('checks of the kernel’s tables, on real hosts', function () {
  this.timeout(60_000);
  const { run, passes, fails, cannotKnow } = checkLab(plan, async () => {
    await run('node1', 'ping -qc1 10.10.10.12');
    await run('node1', 'ping -qc1 -W1 10.10.10.99 || true');
    await run(
      'node1',
      'ip link add br0 type bridge && ip link set br0 up && ip link add v0 type veth peer name v1 && ip link set v0 master br0 up && ip link set v1 up && bridge fdb add 02:00:00:00:00:99 dev v0 master static',
    );
    await run(
      'node1',
      'ip link add vx0 type vxlan id 42 dev eth0 dstport 4789 && bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.10.10.12',
    );
    await run('node2', 'iptables -t nat -A PREROUTING -p udp --dport 8053 -j DNAT --to-destination 10.10.10.12:53');
    await run('node1', 'printf x | socat - UDP-SENDTO:10.10.10.12:8053,sourceport=5353');
  });

  describe('neighbour', () => {
    it('passes', async () => {
      await passes(neighbourCheck, { on: 'node1', address: '10.10.10.12' });
      await passes(neighbourCheck, {
        on: 'node1',
        address: '10.10.10.12',
        interface: 'eth0',
        expect: { 'mac-of': 'node2', state: { 'one-of': ['REACHABLE', 'STALE', 'DELAY', 'PROBE'] } },
      });
      await passes(neighbourCheck, { on: 'node1', address: '10.10.10.99', expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('absent', neighbourCheck, { on: 'node1', address: '10.10.10.99' });
      await fails('present', neighbourCheck, { on: 'node1', address: '10.10.10.12', expect: { absent: true } });
      await fails('wrong-value', neighbourCheck, {
        on: 'node1',
        address: '10.10.10.12',
        expect: { 'mac-of': 'node1' },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/no network namespace/, neighbourCheck, { on: 'node1/netns:nope', address: '10.10.10.12' });
    });
  });

  describe('fdb', () => {
    it('passes', async () => {
      await passes(fdbCheck, {
        on: 'node1',
        interface: 'br0',
        mac: '02:00:00:00:00:99',
        expect: { port: 'v0', state: 'static', count: 1 },
      });
      await passes(fdbCheck, {
        on: 'node1',
        interface: 'vx0',
        mac: '00:00:00:00:00:00',
        expect: { dst: '10.10.10.12', state: 'permanent' },
      });
      await passes(fdbCheck, { on: 'node1', interface: 'br0', 'mac-of': 'node2', expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('absent', fdbCheck, { on: 'node1', interface: 'br0', mac: '02:00:00:00:00:98' });
      await fails('absent', fdbCheck, { on: 'node1', interface: 'br9', mac: '02:00:00:00:00:98' });
      await fails('wrong-value', fdbCheck, {
        on: 'node1',
        interface: 'vx0',
        mac: '00:00:00:00:00:00',
        expect: { dst: '10.10.10.13' },
      });
      await fails('present', fdbCheck, {
        on: 'node1',
        interface: 'br0',
        mac: '02:00:00:00:00:99',
        expect: { absent: true },
      });
    });
    it('cannot know', async () => {
      await cannotKnow(/no interface br9/, fdbCheck, {
        on: 'node1',
        interface: 'br9',
        mac: '02:00:00:00:00:98',
        expect: { absent: true },
      });
    });
  });

  describe('conntrack', () => {
    const question = { on: 'node2', protocol: 'udp', src: '10.10.10.11', dport: 8053 };
    it('passes', async () => {
      await passes(conntrackCheck, { ...question, expect: { reply: { src: '10.10.10.12', sport: 53, dport: 5353 } } });
      await passes(conntrackCheck, { on: 'node2', protocol: 'tcp', dport: 81, expect: { absent: true } });
    });
    it('fails', async () => {
      await fails('absent', conntrackCheck, { ...question, dport: 8054 });
      await fails('present', conntrackCheck, { ...question, expect: { absent: true } });
      await fails('wrong-value', conntrackCheck, { ...question, expect: { reply: { sport: 54 } } });
    });
    it('cannot know where nothing is tracked', async () => {
      await run('node1', 'ip netns add empty');
      await cannotKnow(/tracks no connection at all/, conntrackCheck, {
        on: 'node1/netns:empty',
        protocol: 'tcp',
        expect: { absent: true },
      });
    });
  });
});
