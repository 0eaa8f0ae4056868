import { expect } from 'chai';
import { planLab } from '../../src/plan/plan.js';
import { lab, validateFixture, validateText } from './scenario-fixtures.js';

const whole = validateFixture('good/whole.yaml').scenarios;

function planOf(text: string) {
  return planLab(validateText(text).scenarios[0]!);
}

describe('plan', () => {
  it('numbers the interfaces of a host in the order of the segments, with the prefix of the subnet', () => {
    const plan = planLab(whole[0]!);
    const seen = Object.fromEntries(
      plan.hosts.map((host) => [
        host.name,
        host.interfaces.map(({ name, segment, address }) => `${name} ${segment} ${address}`),
      ]),
    );
    expect(seen).to.deep.equal({
      node1: ['eth0 lan 10.10.10.11/24', 'eth1 six fd00:10::1/64'],
      node2: ['eth0 lan 10.10.10.12/24', 'eth1 wan 10.10.11.2/24'],
      plain: ['eth0 lan null'],
      modern: ['eth0 wan 10.10.11.1/24', 'eth1 six fd00:10::2/64'],
      bare: ['eth0 wan 10.10.11.3/24'],
    });
    expect(plan.segments).to.deep.equal([
      { name: 'lan', subnet: '10.10.10.0/24', mtu: 1450 },
      { name: 'wan', subnet: '10.10.11.0/24', mtu: null },
      { name: 'six', subnet: 'fd00:10::/64', mtu: null },
    ]);
    expect(plan.bootTimeoutMs).to.equal(90_000);
  });

  it('gives container images only to hosts with an engine', () => {
    const plan = planLab(whole[0]!);
    expect(Object.fromEntries(plan.hosts.map((host) => [host.name, host.containerImages.join()]))).to.deep.equal({
      node1: 'consul,web,busybox',
      node2: 'consul,web,busybox',
      plain: '',
      modern: 'consul,web,busybox',
      bare: '',
    });
  });

  it('carries routes and sysctls', () => {
    const node2 = planLab(whole[0]!).hosts[1]!;
    expect(node2.routes).to.deep.equal([
      { to: '10.9.0.0/16', via: '10.10.10.11' },
      { to: 'default', via: '10.10.11.1' },
    ]);
    expect(node2.sysctls).to.deep.equal({ 'net.ipv4.ip_forward': '1', 'net/ipv4/conf/eth0.10/rp_filter': '0' });
  });

  it('makes unicast, locally administered MAC addresses that are not Docker’s, each once, the same every time', () => {
    const names = Array.from({ length: 120 }, (_, i) => `n${i}`);
    const text = `scenario: many\ntitle: t\nhosts: { ${names.map((name) => `${name}: { init: light }`).join(', ')} }\nsegments: { a: { subnet: 10.0.0.0/16, hosts: [${names.join()}] }, b: { subnet: 10.1.0.0/16, hosts: [${names.join()}] } }\nsteps: [{ on: n0, run: x }]\n`;
    const plan = planOf(text);
    const macs = plan.hosts.flatMap((host) => host.interfaces.map((one) => one.mac));
    expect(new Set(macs).size).to.equal(240);
    for (const mac of macs) {
      expect(mac).to.match(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      expect(Number.parseInt(mac.slice(0, 2), 16) & 3, mac).to.equal(2);
      expect(mac.startsWith('02:42')).to.equal(false);
    }
    expect(planOf(text)).to.deep.equal(plan);
  });

  it('has a slug that is safe in a path and in a cgroup’s name', () => {
    const slugs = whole.map((scenario) => planLab(scenario).slug);
    expect(slugs).to.deep.equal([
      'whole-debian-11-bridge',
      'whole-debian-11-macvlan',
      'whole-debian-12-bridge',
      'whole-debian-12-macvlan',
    ]);
    const long = planOf(
      lab('  - { on: node1, run: x }').replace('scenario: lab', 'scenario: a-name-of-just-about-forty-characters-ab'),
    );
    expect(long.slug).to.equal('a-name-of-just-about-for');
    for (const odd of ['9', 'a-', 'a--b'])
      expect(planOf(lab('  - { on: node1, run: x }').replace('scenario: lab', `scenario: "${odd}"`)).slug).to.match(
        /^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$/,
      );
  });

  it('is data that survives JSON', () => {
    for (const scenario of whole) {
      const plan = planLab(scenario);
      expect(JSON.parse(JSON.stringify(plan))).to.deep.equal(plan);
    }
  });
});
