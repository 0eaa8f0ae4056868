import { expect } from 'chai';
import { readInventory } from '../../src/scenario/inventory.js';
import { changesFor, machinesFor } from '../../src/providers/ssh/provider.js';
import { changeScript } from '../../src/providers/ssh/journal.js';
import { sshConfig } from '../../src/providers/ssh/transport.js';
import { isNetrigError } from '../../src/errors.js';
import type { LabPlan } from '../../src/plan/lab-plan.js';

function wrong(text: string): string[] {
  const { inventory, diagnostics } = readInventory(text, 'machines.yaml');
  expect(inventory).to.equal(null);
  return diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

function good(text: string) {
  const { inventory, diagnostics } = readInventory(text, '/lab/machines.yaml');
  expect(diagnostics).to.deep.equal([]);
  return inventory!;
}

const two =
  'machines:\n  a: { address: 192.0.2.1, segments: { lan: ens4 } }\n  b: { address: 192.0.2.2, user: admin, sudo: true, key: keys/b, jump: a, host: node2, segments: { lan: eth0 } }\n';

const plan: LabPlan = {
  title: 'x',
  slug: 'x',
  bootTimeoutMs: 1000,
  segments: [{ name: 'lan', subnet: '10.0.0.0/24', mtu: 1400 }],
  hosts: ['a', 'node2'].map((name, at) => ({
    name,
    image: 'debian-12',
    init: 'systemd',
    engine: false,
    containerImages: [],
    interfaces: [{ name: 'eth0', segment: 'lan', address: `10.0.0.${at + 1}/24`, mac: '0a:6e:00:00:00:01' }],
    routes: at === 0 ? [{ to: '10.9.0.0/16', via: '10.0.0.9' }] : [],
    sysctls: (at === 0 ? { 'net.ipv4.ip_forward': '1' } : {}) as Record<string, string>,
  })),
};

describe('An inventory of machines', () => {
  it('fills in what is left out, and has absolute paths', () => {
    const { machines, tunnels } = good(two);
    expect(machines[0]).to.deep.include({
      name: 'a',
      port: 22,
      user: 'root',
      key: null,
      become: 'root',
      host: 'a',
      dedicated: false,
      jump: null,
    });
    expect(machines[1]).to.deep.include({ key: '/lab/keys/b', become: 'sudo', host: 'node2', jump: 'a' });
    expect(tunnels).to.deep.equal({});
  });

  it('names every mistake with its place', () => {
    expect(wrong('machines: {}')).to.deep.equal(['1:11 an inventory has at least one machine']);
    expect(wrong('machines:\n  a: { adress: x }\n')[0]).to.match(/^2:8 unknown key "adress"; did you mean "address"/);
    expect(wrong('machines:\n  a: { address: x, user: admin }\n')).to.deep.equal([
      '2:3 admin is not root: say how to become it, by `sudo: true`',
    ]);
    expect(wrong('machines:\n  a: { address: x, jump: c }\n')[0]).to.match(
      /^2:26 there is no machine or jump host "c"/,
    );
    expect(wrong('machines:\n  a: { address: x, host: h }\n  b: { address: y, host: h }\n')).to.deep.equal([
      '3:20 a stands for the host "h" already',
    ]);
    expect(wrong('machines:\n  a: { address: x, jump: b }\njumps:\n  b: { address: y, jump: b }\n').join()).to.contain(
      'reached through itself',
    );
    expect(
      wrong('machines:\n  a: { address: x, segments: { lan: e } }\nsegments: { lan: { vxlan: 7 } }\n')[0],
    ).to.match(/^2:32 lan is built as a VXLAN/);
  });

  it('lets nothing into ssh’s configuration that could be a line of its own', () => {
    for (const value of ['"x\\nProxyCommand evil"', '"x y"', '"-oProxyCommand=x\\ty"'])
      expect(wrong(`machines:\n  a: { address: ${value} }\n`)).to.have.length(1);
    expect(wrong('machines:\n  a: { address: x, key: "k\\"\\n  ProxyCommand evil" }\n')).to.have.length(1);
    const config = sshConfig(good(two).machines);
    expect(config).to.match(/Host netrig-b\n {2}HostName 192\.0\.2\.2\n.*ProxyJump netrig-a/s);
    expect(config.match(/StrictHostKeyChecking (\w+)/g)).to.deep.equal(['StrictHostKeyChecking yes']);
  });

  it('must fit the scenario', () => {
    expect([...machinesFor(plan, good(two)).keys()]).to.deep.equal(['a', 'node2']);
    const without = good('machines:\n  a: { address: 192.0.2.1 }\n');
    try {
      machinesFor(plan, without);
      expect.fail('it fits');
    } catch (error) {
      expect(isNetrigError(error, 'NETRIG_INVENTORY')).to.equal(true);
      expect(String(error))
        .to.contain('a has no interface for the segment lan')
        .and.to.contain('no machine stands for the host node2');
    }
    expect(() =>
      machinesFor(
        plan,
        good(
          'machines: { a: { address: host.example }, node2: { address: 192.0.2.2 } }\nsegments: { lan: { vxlan: 5 } }\n',
        ),
      ),
    ).to.throw(/needs its address as such/);
  });

  it('writes what undoes a change before it makes it, with the old value', () => {
    const inventory = good(two);
    const changes = changesFor(plan, plan.hosts[0]!, machinesFor(plan, inventory), inventory, 'lab-1');
    expect(changes.map(({ what }) => what)).to.deep.equal([
      'eth0 as another name of ens4',
      'MTU 1400 on ens4',
      'interface ens4 up',
      'address 10.0.0.1/24 on ens4',
      'sysctl net.ipv4.ip_forward',
      'route to 10.9.0.0/16',
      'names of the lab’s hosts in /etc/hosts',
    ]);
    for (const { undo } of changes) expect(undo).to.match(/\S/);
    const script = changeScript(changes.filter(({ what }) => what.startsWith('MTU')));
    expect(script.indexOf('journal "ip link set ens4 mtu $old')).to.be.greaterThan(
      script.indexOf('old=$(cat /sys/class/net/ens4/mtu)'),
    );
    expect(script.indexOf('ip link set ens4 mtu 1400')).to.be.greaterThan(script.indexOf('journal "ip link set'));
    // What is to be asked when it is undone is not asked now.
    expect(changeScript(changes.filter(({ what }) => what.startsWith('route')))).to.contain(
      '\\$(ip route show exact 10.9.0.0/16)',
    );
  });

  it('tunnels go to the other machines on the segment', () => {
    const inventory = good(
      'machines: { a: { address: 192.0.2.1 }, node2: { address: 192.0.2.2 } }\nsegments: { lan: { vxlan: 5 } }\n',
    );
    const [tunnel] = changesFor(plan, plan.hosts[1]!, machinesFor(plan, inventory), inventory, 'lab-1');
    expect(tunnel!.do)
      .to.contain('type vxlan id 5 dstport 4789 local 192.0.2.2')
      .and.to.contain('dst 192.0.2.1')
      .and.not.to.contain('dst 192.0.2.2');
    expect(tunnel!.undo).to.contain("'netrig lab-1'");
  });
});
