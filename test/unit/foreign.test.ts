import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { inInterfaceOrder, nameOf } from '../../src/foreign/draft.js';
import { importLab } from '../../src/foreign/import.js';
import type { ForeignKind } from '../../src/foreign/kinds.js';
import { packagesOf } from '../../src/foreign/node-image.js';
import { readScript } from '../../src/foreign/shell-lines.js';
import { loadScenarioText } from '../../src/scenario/load.js';
import { root } from './scenario-fixtures.js';

const fixtures = path.join(root, 'test/fixtures/foreign');

interface Scenario {
  scenario: string;
  images?: object;
  hosts: Record<string, Record<string, unknown> | null>;
  segments: Record<string, { subnet: unknown; hosts: Record<string, unknown> }>;
  steps: Record<string, unknown>[];
}

describe('labs of other tools', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netrig-import-'));
    cpSync(fixtures, folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Imports it; what comes of it is a valid scenario, in its folder. */
  function imported(named: string, kind?: ForeignKind): { scenario: Scenario; lost: string[]; text: string } {
    const result = importLab(path.join(folder, named), kind);
    const file = path.join(result.folder, 'imported.yaml');
    expect(loadScenarioText(result.text, file).diagnostics.map(({ message }) => message)).to.deep.equal([]);
    return {
      scenario: parse(result.text) as Scenario,
      lost: result.lost.map(({ file: where, line, what, why }) => `${where}:${line} ${what}: ${why}`),
      text: result.text,
    };
  }
  const write = (text: string, name = 'lab.yml'): string => {
    writeFileSync(path.join(folder, name), text);
    return name;
  };

  describe('containerlab', () => {
    it('nodes are hosts, links and bridges segments, addresses of their commands stand there', () => {
      const { scenario } = imported('clab/branch.clab.yml');
      expect(scenario.scenario).to.equal('branch-office');
      expect(scenario.hosts.r1).to.deep.equal({
        engine: false,
        packages: ['frr'],
        sysctls: { 'net.ipv4.ip_forward': '1' },
        files: { './r1/daemons': '/etc/frr/daemons', './r1/frr.conf': '/etc/frr/frr.conf' },
      });
      expect(scenario.hosts.r2!.limits).to.deep.equal({ memory: '512M' });
      expect(scenario.hosts.pc1).to.deep.equal({ init: 'light' });
      expect(Object.keys(scenario.segments)).to.deep.equal(['mgmt', 'r1-r2', 'r1-pc1', 'switch']);
      expect(scenario.segments.switch).to.deep.equal({
        subnet: '10.2.0.0/24',
        hosts: { r2: '10.2.0.1', pc2: '10.2.0.10' },
      });
      expect(scenario.steps.filter(({ step }) => step).map(({ on, run }) => [on, run])).to.deep.equal([
        ['pc1', 'ip route add 10.0.0.0/8 via 10.1.0.1\n'],
        ['pc2', 'ip route add 10.0.0.0/8 via 10.2.0.1\n'],
      ]);
      expect(scenario.steps.filter(({ check }) => check)).to.have.length(3);
    });
    it('says with its line what was not carried over, in the file, too', () => {
      const { lost, text } = imported('clab/branch.clab.yml');
      expect(lost).to.deep.equal([
        'branch.clab.yml:22 the bind /lib/modules:/lib/modules of r2: left out: it lies outside the lab’s folder',
        'branch.clab.yml:31 `env` of PC1: left out: set it in the lines that need it',
        'branch.clab.yml:39 the node core: left out: a nokia_srlinux is no Linux host',
        'branch.clab.yml:47 a link: left out: core is a nokia_srlinux, which is no Linux host',
      ]);
      expect(text).to.include('# - branch.clab.yml:39: the node core');
    });
    it('an interface that cannot keep its number is renamed in the lines of its host', () => {
      const { scenario, lost } = imported(
        write(`name: gap
topology:
  nodes: { a: { kind: linux, exec: [ip link set eth3 mtu 1400] }, b: { kind: linux } }
  links: [{ endpoints: ["a:eth3", "b:eth1"] }]
`),
      );
      expect(scenario.steps[0]!.run).to.equal('ip link set eth1 mtu 1400\n');
      expect(lost.join()).to.include('eth3 of a: it is eth1 here');
    });
    it('an address that is on no link of its own, and a second one, stay commands', () => {
      const { scenario } = imported(
        write(`topology:
  nodes:
    a: { kind: linux, exec: [ip addr add 10.0.0.1/24 dev eth1, ip addr add 10.9.0.1/24 dev eth1, ip addr add 10.255.0.1/32 dev lo] }
    b: { kind: linux, exec: [ip addr add 10.5.0.2/24 dev eth1] }
  links: [{ endpoints: ["a:eth1", "b:eth1"] }]
`),
      );
      expect(scenario.segments['a-b']).to.deep.equal({ subnet: '10.0.0.0/24', hosts: { a: '10.0.0.1', b: null } });
      expect(scenario.steps.map(({ on, run }) => [on, run])).to.deep.equal([
        ['a', 'ip addr add 10.9.0.1/24 dev eth1\nip addr add 10.255.0.1/32 dev lo\n'],
        ['b', 'ip addr add 10.5.0.2/24 dev eth1\n'],
      ]);
    });
  });

  describe('Kathará', () => {
    it('collision domains are segments, and start-up files are read', () => {
      const { scenario, lost } = imported('kathara/lab.conf');
      expect(scenario.segments).to.deep.equal({
        a: { subnet: '195.11.14.0/24', hosts: { pc1: '195.11.14.5', r1: '195.11.14.1' } },
        b: { subnet: '200.1.1.0/24', hosts: { pc2: '200.1.1.7', r1: '200.1.1.1' } },
      });
      expect(scenario.hosts.r1!.files).to.deep.equal({ './shared/': '/shared/', './r1/': '/' });
      expect(scenario.steps[0]!.run).to.equal('ip route add default via 195.11.14.1\necho ready > /tmp/ready\n');
      expect(lost).to.have.length(3);
      expect(lost[0]).to.match(/^lab\.conf:7 the hardware address 02:00:00:00:00:99 of pc2/);
    });
    it('addresses beside a branch are read, the branch is a step that is listed', () => {
      write('pc1[0]=A\npc2[0]=A\n', 'lab.conf');
      for (const [name, octet] of [
        ['pc1', 1],
        ['pc2', 2],
      ] as const)
        write(
          `ip address add 10.0.0.${octet}/24 dev eth0\nif [ -e /x ]; then echo x; fi\nif true\nthen ip addr add 10.9.9.9/24 dev eth0\nfi\nip route add default via 10.0.0.9\n`,
          `${name}.startup`,
        );
      const { scenario, lost } = imported('lab.conf', 'kathara');
      expect(scenario.segments.a).to.deep.equal({ subnet: '10.0.0.0/24', hosts: { pc1: '10.0.0.1', pc2: '10.0.0.2' } });
      expect(scenario.steps.some((step) => 'check' in step)).to.equal(true);
      expect(scenario.steps[0]!.run).to.match(/^if \[ -e \/x \].*\nif true\nthen ip addr add 10\.9\.9\.9/);
      expect(lost.filter((one) => one.includes('of pc1'))).to.deep.equal([
        'lab.conf:null `if [ -e /x ]; then echo x; fi` in the commands of pc1: a step as it is, not read: what it does to addresses is not known before it runs',
        'lab.conf:null `if true` in the commands of pc1: a step as it is, not read: what it does to addresses is not known before it runs',
      ]);
    });
    it('a lab without two addresses that can be read says that it has no check', () => {
      write('pc1[0]=A\npc2[0]=A\n', 'lab.conf');
      for (const name of ['pc1', 'pc2', 'shared']) write('', `${name}.startup`);
      const { scenario, lost, text } = imported('lab.conf', 'kathara');
      expect(scenario.steps.filter((step) => 'check' in step)).to.deep.equal([]);
      expect(lost.join('\n')).to.match(/checks: there are none, because no two hosts/);
      expect(text).to.match(/^# - lab\.conf: checks: there are none/m);
    });
    it('a folder stands for its lab.conf, and a line that is none is named', () => {
      expect(imported('kathara').scenario.scenario).to.equal('two-domains');
      write('pc1[0]=A\nwhat is this\n', 'lab.conf');
      expect(() => importLab(path.join(folder, 'lab.conf'))).to.throw(/lab\.conf:2: this is no line of a lab\.conf/);
    });
  });

  describe('Compose', () => {
    it('services are containers of one host, after those that they depend on', () => {
      const { scenario, lost } = imported('compose');
      const { docker, files } = scenario.hosts.docker as {
        docker: { networks: object; containers: Record<string, Record<string, unknown>> };
        files: object;
      };
      expect(Object.keys(docker.containers)).to.deep.equal(['worker', 'web', 'built']);
      expect(docker.networks).to.deep.equal({ front: null, back: { internal: true }, shop: null });
      expect(docker.containers.built!.image).to.equal('shop-built');
      expect(scenario.images).to.deep.equal({
        'shop-built': { build: { context: './app/', args: { WORD: 'built' } } },
      });
      expect(docker.containers.web).to.deep.include({
        ports: ['8080:80', '8081:80'],
        environment: { MODE: 'live', TOKEN: '' },
        networks: { front: { aliases: ['web'] }, back: { aliases: ['web'] } },
      });
      expect(docker.containers.worker!.volumes).to.deep.equal(['/srv/shop/html:/srv/html:ro']);
      expect(files).to.deep.equal({ './html/': '/srv/shop/html/' });
      expect(lost).to.have.length(3);
      expect(lost.join('\n')).to.include(
        'the service unknown: left out: of the directory that it is built of, it is not there',
      );
      expect(docker.containers.web!.healthcheck).to.deep.equal({ test: ['CMD', 'true'] });
      expect(docker.containers.web!.depends_on).to.deep.equal({ worker: { condition: 'service_healthy' } });
    });
    it('files of variables, secrets and profiles are carried over', () => {
      const file = write(
        `services:
  one:
    image: "busybox:\${TAG}"
    env_file: [one.env, { path: none.env, required: false }]
    environment: [B=own]
    secrets: [pass]
    depends_on: { seed: { condition: service_completed_successfully } }
  seed: { image: busybox, command: ["true"] }
  tools: { image: busybox, profiles: [debug] }
secrets: { pass: { file: ./pass } }
`,
        'compose.yml',
      );
      writeFileSync(path.join(folder, '.env'), 'TAG=latest\n');
      writeFileSync(path.join(folder, 'one.env'), "A='${x}'\nB=file\n");
      writeFileSync(path.join(folder, 'pass'), 'x');
      const { scenario, lost } = imported(file);
      rmSync(path.join(folder, '.env'));
      const { docker, files } = scenario.hosts.docker as {
        docker: { containers: Record<string, Record<string, unknown>> };
        files: object;
      };
      expect(Object.keys(docker.containers)).to.deep.equal(['seed', 'one']);
      expect(docker.containers.one).to.deep.include({
        image: 'busybox:latest',
        environment: { A: '$${x}', B: 'own' },
        depends_on: { seed: { condition: 'service_completed_successfully' } },
      });
      const [mount] = docker.containers.one!.volumes as string[];
      expect(mount).to.match(/^\/srv\/.*\/pass:\/run\/secrets\/pass:ro$/);
      expect(Object.keys(files)).to.deep.equal(['./pass']);
      expect(lost).to.have.length(1);
      expect(lost[0]).to.include('compose.yml:9 the service tools: left out: it is of the profile debug');
    });
    it('a variable is its default, and a doubled dollar one', () => {
      const { scenario } = imported(
        write('services: { a: { image: busybox, command: "echo $$HOME $${X} ${Y:-yes} $Z" } }', 'compose.yml'),
      );
      const { docker } = scenario.hosts.docker as { docker: { containers: { 'a-1': { command: string } } } };
      expect(docker.containers['a-1'].command).to.equal('echo $HOME ${X} yes ');
    });
  });

  it('what is none of these is refused, with what was looked for', () => {
    expect(() => importLab(path.join(folder, 'nothing.yml'))).to.throw(/cannot be read/);
    expect(() => importLab(path.join(folder, write('a: 1\n')))).to.throw(/neither `topology`.*nor `services`/);
    expect(() => importLab(path.join(folder, write('a: [1\n')))).to.throw(/lab\.yml:\d/);
    expect(() => importLab(path.join(folder, write('services: {}\n')))).to.throw(/has no services/);
    expect(() => importLab(path.join(folder, write('topology: { nodes: { s: { kind: srl } } }\n')))).to.throw(
      /has no Linux node/,
    );
    expect(() => importLab(folder)).to.throw(/no lab\.conf and no Compose file/);
  });
});

describe('parts of labs of other tools', () => {
  it('a script that branches is left as it is', () => {
    const script = 'if true; then\nip addr add 10.0.0.1/24 dev eth0\nfi';
    expect(readScript(script)).to.deep.include({ addresses: [], rest: script.split('\n') });
  });
  it('lines of net-tools are read, and those that are not understood are named', () => {
    const { addresses, rest, missing } = readScript(
      [
        'ifconfig eth0 10.0.0.1 netmask 255.255.254.0 up',
        'ifconfig eth1 up',
        'route add -net 10.8.0.0 netmask 255.248.0.0 gw 10.0.0.9',
        'route add -net 10.7.0.0/16 gw 10.0.0.9 dev eth0',
        'ifconfig eth0 hw ether 02:00:00:00:00:01',
      ].join('\n'),
    );
    expect(addresses).to.deep.equal([{ index: 0, address: '10.0.0.1/23' }]);
    expect(rest).to.deep.equal([
      'ip route add 10.8.0.0/13 via 10.0.0.9',
      'ip route add 10.7.0.0/16 via 10.0.0.9',
      'ifconfig eth0 hw ether 02:00:00:00:00:01',
    ]);
    expect(missing).to.deep.equal([{ line: 5, command: 'ifconfig' }]);
  });
  it('segments stand in an order in which interfaces keep their numbers, where there is one', () => {
    const segment = (name: string, ...ends: [string, number][]) => ({
      name,
      subnets: [],
      members: ends.map(([host, index]) => ({ host, index, addresses: [] })),
    });
    const order = (...segments: ReturnType<typeof segment>[]): string =>
      inInterfaceOrder(segments)
        .map(({ name }) => name)
        .join(' ');
    expect(order(segment('x', ['a', 2], ['b', 1]), segment('y', ['a', 1], ['c', 1]))).to.equal('y x');
    expect(order(segment('x', ['a', 2], ['b', 1]), segment('y', ['a', 1], ['b', 2]))).to.equal('x y');
  });
  it('names are ones that scenarios take, each once', () => {
    expect(nameOf('PC_1')).to.equal('pc-1');
    expect(nameOf('7')).to.equal('x');
    expect(nameOf('r1', new Set(['r1', 'r1-2']))).to.equal('r1-3');
  });
  it('images whose programs Debian has are packages, plain ones nothing, others unknown', () => {
    expect(packagesOf('quay.io/frrouting/frr:10.2.1')).to.deep.equal(['frr']);
    expect(packagesOf('alpine')).to.deep.equal([]);
    expect(packagesOf('ghcr.io/somebody/tool:1')).to.equal(null);
  });
  it('the fixtures name nothing outside of them', () => {
    expect(readFileSync(path.join(fixtures, 'clab/branch.clab.yml'), 'utf8')).to.not.match(/https?:/);
  });
});
