import { expect } from 'chai';
import { boxImageOf } from '../../src/images/box.js';
import { boxRecipe, boxVersion } from '../../src/images/box-recipe.js';
import { hostImageRows } from '../../src/images/host-image.js';
import { imageRecipe, recipeKey } from '../../src/images/recipe.js';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import { givenBox, memoryOfMachine, vagrantPreflight } from '../../src/providers/vagrant/backend.js';
import { requireVagrant } from '../../src/providers/vagrant/command.js';
import { configureScript } from '../../src/providers/vagrant/guest.js';
import {
  errorOf,
  parseBoxes,
  parseMessage,
  parseMessages,
  parsePlugins,
  parseSshConfig,
} from '../../src/providers/vagrant/machine-readable.js';
import { parseBoxVolumes } from '../../src/providers/vagrant/pool.js';
import { endOfCard } from '../../src/providers/vagrant/uplink.js';
import {
  managementNetwork,
  shapeOf,
  vagrantPlan,
  type MachineSettings,
} from '../../src/providers/vagrant/vagrant-plan.js';
import { isNetrigError } from '../../src/errors.js';
import { hostPlan, labPlan } from '../lab/local-labs.js';

function coded(work: () => unknown): { code: string; message: string } {
  try {
    work();
  } catch (error) {
    if (isNetrigError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('what vagrant says', () => {
  it('is read line by line, with its commas and line breaks', () => {
    expect(parseMessage('1795250108,m1,ui,info,==> m1:  Image(vda): /a.img%!(VAGRANT_COMMA) virtio')).to.deep.equal({
      target: 'm1',
      type: 'ui',
      data: ['info', '==> m1:  Image(vda): /a.img, virtio'],
    });
    expect(parseMessage('1,,error-exit,Vagrant::Errors::BoxNotFound,one\\ntwo')?.data).to.deep.equal([
      'Vagrant::Errors::BoxNotFound',
      'one\ntwo',
    ]);
    expect(parseMessage('==> m1: not of that form')).to.equal(null);
    expect(parseMessage('12,m1')).to.equal(null);
    expect(parseMessages('a warning\n1,,ui,info,x\n')).to.have.length(1);
  });

  it('names its plugins and boxes', () => {
    expect(
      parsePlugins(
        '17,,ui,info,vagrant-libvirt (0.11.2%!(VAGRANT_COMMA) system)\n17,,plugin-name,vagrant-libvirt\n17,vagrant-libvirt,plugin-version,0.11.2%!(VAGRANT_COMMA) system\n',
      ),
    ).to.deep.equal(['vagrant-libvirt']);
    const boxes =
      '1,,box-name,a/b\n1,,box-provider,libvirt\n1,,box-version,1.0.0\n1,,box-name,c\n1,,box-provider,virtualbox\n1,,box-version,2\n';
    expect(parseBoxes(boxes)).to.deep.equal([
      { name: 'a/b', provider: 'libvirt', version: '1.0.0' },
      { name: 'c', provider: 'virtualbox', version: '2' },
    ]);
  });

  it('says how ssh reaches its machines', () => {
    const text =
      'Host m1\n  HostName 192.168.121.102\n  User root\n  Port 22\n  UserKnownHostsFile /dev/null\n  IdentityFile "/with space/key"\n  IdentityFile /other\n\nHost m2\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n';
    expect([...parseSshConfig(text)]).to.deep.equal([
      ['m1', { host: '192.168.121.102', port: 22, user: 'root', keys: ['/with space/key', '/other'] }],
      ['m2', { host: '127.0.0.1', port: 2222, user: 'vagrant', keys: [] }],
    ]);
    expect(() => parseSshConfig('Host m1\n  User root\n  Port 22\n')).to.throw('HostName of m1');
    expect(() => parseSshConfig('Host m1\n  Port x\n')).to.throw('"x"');
    expect(() => parseSshConfig('Host m1\n  ProxyCommand nc x\n')).to.throw('ProxyCommand');
  });

  it('becomes an error of its kind by the class of the error, not by its words', () => {
    const result = (kind: string, words = 'Wörter'): Parameters<typeof requireVagrant>[0] => ({
      exitCode: 1,
      stdout: '',
      stderr: '',
      timedOut: false,
      messages: parseMessages(`1,,error-exit,${kind},${words}\n`),
    });
    const codeOf = (kind: string): string =>
      coded(() => requireVagrant(result(kind), { doing: 'do it', timeoutMs: 1000 })).code;
    expect(codeOf('Vagrant::Errors::VMBootTimeout')).to.equal('NETRIG_HOST_BOOT');
    expect(codeOf('VagrantPlugins::ProviderLibvirt::Errors::NoIpAddressError')).to.equal('NETRIG_HOST_BOOT');
    expect(codeOf('Vagrant::Errors::BoxNotFound')).to.equal('NETRIG_BOX_MISSING');
    expect(codeOf('Vagrant::Errors::ProviderNotFound')).to.equal('NETRIG_VAGRANT_PROVIDER');
    expect(codeOf('Vagrant::Errors::MachineLocked')).to.equal('NETRIG_VAGRANT');
    const slow = coded(() =>
      requireVagrant({ ...result(''), timedOut: true }, { doing: 'bring it up', timeoutMs: 2000 }),
    );
    expect(slow).to.deep.equal({ code: 'NETRIG_VAGRANT', message: 'Vagrant did not bring it up within 2 s.' });
    expect(
      coded(() => requireVagrant({ ...result(''), messages: [], stderr: 'boom\n' }, { doing: 'do it', timeoutMs: 1 }))
        .message,
    ).to.contain('boom');
    expect(errorOf(parseMessages('1,,ui,info,x\n'))).to.equal(null);
  });
});

describe('the machines of a lab', () => {
  const plan: LabPlan = labPlan('shape', [
    hostPlan('left', 11, ['net1', 'net2'], { image: 'debian-12', engine: true }),
    hostPlan('right', 12, ['net2'], { image: 'debian-11' }),
  ]);
  const settings: MachineSettings = {
    directory: '/state/abc',
    prefix: 'netrig-abc-',
    bootTimeoutMs: 90_500,
    memoryMiB: 640,
    boxes: new Map([
      ['debian-12', { box: 'twelve', version: '1.0.0' }],
      ['debian-11', { box: 'eleven' }],
    ]),
    libvirt: { uri: 'qemu:///system', driver: 'qemu' },
  };

  it('are one a host, with a card for each interface on the network of its segment', () => {
    const { machines, bootTimeoutSeconds } = vagrantPlan(shapeOf(plan), settings);
    expect(bootTimeoutSeconds).to.equal(91);
    expect(machines.map(({ name, box, boxVersion }) => ({ name, box, boxVersion }))).to.deep.equal([
      { name: 'netrig-abc-m1', box: 'twelve', boxVersion: '1.0.0' },
      { name: 'netrig-abc-m2', box: 'eleven', boxVersion: undefined },
    ]);
    expect(machines.map((machine) => machine.interfaces.map((nic) => nic.network))).to.deep.equal([
      ['netrig-abc-s1', 'netrig-abc-s2'],
      ['netrig-abc-s2'],
    ]);
    const cards = machines.flatMap((machine) => machine.interfaces);
    expect(new Set(cards.map((nic) => nic.mac)).size).to.equal(3);
    for (const nic of cards) expect(nic.mac).to.match(/^52:54:00(:[0-9a-f]{2}){3}$/);
    expect(new Set(cards.map((nic) => nic.bookAddress)).size).to.equal(3);
  });

  it('can be used by another lab of the same shape, whatever its names and addresses, and by no other', () => {
    const shape = JSON.stringify(shapeOf(plan));
    const [left, right] = plan.hosts;
    const renamed = {
      ...plan,
      hosts: [
        {
          ...left!,
          name: 'a',
          interfaces: left!.interfaces.map((nic) => ({ ...nic, address: null, mac: '0a:6e:00:00:00:01' })),
        },
        { ...right!, name: 'b' },
      ],
    };
    expect(JSON.stringify(shapeOf(renamed))).to.equal(shape);
    expect(JSON.stringify(shapeOf({ ...plan, hosts: [left!, { ...right!, image: 'debian-12' }] }))).not.to.equal(shape);
    expect(
      JSON.stringify(shapeOf({ ...plan, segments: plan.segments.map((segment) => ({ ...segment, mtu: 1400 })) })),
    ).to.equal(shape);
    const jumbo = { ...plan, segments: plan.segments.map((segment) => ({ ...segment, mtu: 9000 })) };
    expect(JSON.stringify(shapeOf(jumbo))).not.to.equal(shape);
    expect(vagrantPlan(shapeOf(jumbo), settings).machines[0]!.interfaces[0]!.mtu).to.equal(9000);
  });

  it('have one card more where they have a way to the outside, on a network with nobody else', () => {
    const [left, right] = plan.hosts;
    const open = shapeOf({
      ...plan,
      hosts: [
        { ...left!, outside: true },
        { ...right!, outside: true },
      ],
    });
    expect(JSON.stringify(open)).not.to.equal(JSON.stringify(shapeOf(plan)));
    const { machines } = vagrantPlan(open, settings);
    expect(machines.map((machine) => machine.interfaces.map((nic) => nic.network))).to.deep.equal([
      ['netrig-abc-s1', 'netrig-abc-s2', 'netrig-abc-u1'],
      ['netrig-abc-s2', 'netrig-abc-u2'],
    ]);
    const cards = machines.flatMap((machine) => machine.interfaces);
    expect(new Set(cards.map((nic) => nic.mac)).size).to.equal(5);
    expect(new Set(cards.map((nic) => nic.bookAddress)).size).to.equal(5);
    const card = machines[1]!.interfaces[1]!;
    const script = configureScript({ ...right!, outside: true }, machines[1]!.interfaces, [null], 0);
    expect(script).to.contain(`card ${card.mac}`).and.to.contain('name uplink0');
    expect(script).to.contain('route add default via 198.18.255.2 dev uplink0 metric 65000');
    expect(configureScript(right!, machines[1]!.interfaces, [null], 0)).not.to.contain('uplink0');
    const links = [
      { ifname: 'virbr3', address: '52:54:00:aa:bb:cc' },
      { ifname: 'vnet1', address: `fe${card.mac.slice(2)}`, master: 'virbr3' },
    ];
    expect(endOfCard(links, card.mac)?.master).to.equal('virbr3');
    expect(endOfCard(links, cards[0]!.mac)).to.equal(undefined);
  });

  it('are reached over a network that leads nowhere, on addresses that this machine does not have', () => {
    expect(managementNetwork('netrig-abc-', 3, [])).to.deep.equal({
      managementNetwork: 'netrig-abc-way',
      managementSubnet: '198.19.131.0/24',
      managementMode: 'none',
    });
    const subnet = (taken: string[], seed = 126): string => managementNetwork('', seed, taken).managementSubnet;
    expect(subnet([])).to.equal('198.19.254.0/24');
    expect(subnet(['198.19.254.1', '198.19.12.8'])).to.equal('198.19.128.0/24');
    expect(subnet(['198.19.254.1', '198.19.128.1'])).to.equal('198.19.129.0/24');
  });

  it('are refused what they cannot have, by name, before anything is looked for', async () => {
    const root = { kind: 'root' as const, path: '/rootfs.tar.gz', place: 'lab.yaml:3:9' };
    const refused = async (more: Partial<(typeof plan.hosts)[number]>): Promise<string> =>
      vagrantPreflight({ ...plan, hosts: [{ ...plan.hosts[0]!, ...more }] }).then(
        () => 'not refused',
        (error: unknown) => (isNetrigError(error) ? `${error.code} ${error.message}` : String(error)),
      );
    expect(await refused({ image: 'rootfs.tar.gz', root })).to.match(
      /^NETRIG_CAPABILITY lab\.yaml:3:9: left is to be made of rootfs\.tar\.gz; .*neither kernel nor boot loader/,
    );
    process.env['NETRIG_VAGRANT_BOX'] = 'debian-12=somebody/twelve';
    try {
      expect(await refused({ packages: ['frr'] })).to.match(
        /^NETRIG_CAPABILITY left wants the packages frr, and its box somebody\/twelve is not netrig's/,
      );
    } finally {
      delete process.env['NETRIG_VAGRANT_BOX'];
    }
    const networks = ['net1', 'net2', 'net3', 'net4', 'net5', 'net6', 'net7'];
    expect(await refused({ ...hostPlan('wide', 11, networks), outside: true })).to.match(
      /^NETRIG_CAPABILITY wide has 8 interfaces with its way to the outside/,
    );
  });

  it('become the hosts of a plan by one script, in which values are quoted', () => {
    const host = hostPlan("o'host", 11, ['net1'], { engine: false });
    const script = configureScript(
      host,
      [{ network: 'n', bookAddress: '198.18.1.11', mac: '52:54:00:00:00:01' }],
      [1400],
      1_700_000_000_250,
    );
    expect(script).to.contain('date -u -s @1700000000.250');
    expect(script).to.contain("hostname 'o'\\''host'");
    expect(script).to.contain('mtu 1400');
    expect(script).to.contain('address add 10.20.1.11/24 brd + dev eth0');
    expect(script).to.contain('mask');
    expect(configureScript({ ...host, engine: true, init: 'systemd' }, [], [], 0)).not.to.contain('mask --quiet');
  });
});

describe('boxes', () => {
  it('are named by their host image', () => {
    expect(boxImageOf('vagrant:debian-12')).to.equal('debian-12');
    expect(boxImageOf('debian-12')).to.equal(null);
  });

  it('have a key of their own, that a change of their content changes', () => {
    for (const row of hostImageRows) {
      const recipe = boxRecipe(row);
      expect(recipeKey(recipe)).not.to.equal(recipeKey(imageRecipe(row)));
      expect(
        recipeKey({ ...recipe, files: recipe.files.map((file) => ({ ...file, content: `${file.content}#` })) }),
      ).not.to.equal(recipeKey(recipe));
      expect(recipe.packages).to.include('linux-image-cloud-amd64');
      expect(recipe.masked).not.to.include('kmod-static-nodes.service');
      expect(new Set(recipe.files.map((file) => file.path)).size).to.equal(recipe.files.length);
    }
  });

  it('are told apart by when they were built, as each build has keys of its own', () => {
    expect(boxVersion('2026-01-02T03:04:05.678Z')).to.equal('1.0.1767323045');
    expect(boxVersion('2026-01-02T03:04:06.001Z')).not.to.equal(boxVersion('2026-01-02T03:04:05.678Z'));
  });

  it('have disks in the pool of a libvirtd, which are found among those of others', () => {
    const disk = 'netrig-debian-12-0123456789ab_vagrant_box_image_1.0.1767323045_box.img';
    const listed = ` ${disk}   /var/lib/libvirt/images/${disk}\n netrig-debian-12-0123456789ab-mine.img   /var/lib/libvirt/images/netrig-debian-12-0123456789ab-mine.img\n debian-VAGRANTSLASH-bookworm64_vagrant_box_image_12.1_box.img   /var/lib/libvirt/images/x.img\n ${disk.replace('-12-', '-13-')}   /var/lib/libvirt/images/y.img\n`;
    expect(parseBoxVolumes(listed, 'debian-12')).to.deep.equal([disk]);
    expect(parseBoxVolumes(listed, 'debian-11')).to.deep.equal([]);
    expect(parseBoxVolumes('', 'debian-12')).to.deep.equal([]);
  });

  it('of others are named for all images, or for one', () => {
    expect(givenBox('debian-12', {})).to.equal(null);
    expect(givenBox('debian-12', { NETRIG_VAGRANT_BOX: 'a/b' })).to.equal('a/b');
    expect(givenBox('debian-12', { NETRIG_VAGRANT_BOX: 'debian-11=x, debian-12=y' })).to.equal('y');
    expect(givenBox('debian-13', { NETRIG_VAGRANT_BOX: 'debian-11=x,all' })).to.equal('all');
    expect(givenBox('debian-13', { NETRIG_VAGRANT_BOX: 'debian-11=x' })).to.equal(null);
    expect(coded(() => givenBox('debian-12', { NETRIG_VAGRANT_BOX: 'debian-99=x' })).message).to.contain('debian-99');
    expect(coded(() => givenBox('debian-12', { NETRIG_VAGRANT_BOX: 'a=' })).code).to.equal('NETRIG_USAGE');
  });

  it('get the memory that was asked for', () => {
    expect(memoryOfMachine({})).to.equal(640);
    expect(memoryOfMachine({ NETRIG_VAGRANT_MEMORY: '1024' })).to.equal(1024);
    for (const text of ['much', '64', '700.5'])
      expect(coded(() => memoryOfMachine({ NETRIG_VAGRANT_MEMORY: text })).message).to.contain('MiB');
  });
});
