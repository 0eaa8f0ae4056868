import { expect } from 'chai';
import type { CheckItem, StepItem } from '../../src/scenario/scenario.js';
import { lab, lines, validateFixture, validateText } from './scenario-fixtures.js';

function one(text: string) {
  const { scenarios, diagnostics } = validateText(text);
  expect(lines(diagnostics)).to.deep.equal([]);
  expect(scenarios).to.have.length(1);
  return scenarios[0]!;
}

describe('scenario: what a valid file means', () => {
  it('has a default for everything', () => {
    const { scenarios, diagnostics } = validateFixture('good/small.yaml');
    expect(diagnostics).to.deep.equal([]);
    const [scenario] = scenarios;
    expect(scenario).to.deep.include({
      file: '/labs/lab.yaml',
      name: 'small',
      id: 'small',
      description: '',
      matrix: {},
      covers: [],
      tags: [],
      requires: [],
      provider: null,
      segments: [],
      bootTimeoutMs: 60_000,
      containerImages: [],
    });
    expect(scenario!.hosts).to.deep.equal([
      {
        name: 'node1',
        image: 'debian-12',
        init: 'systemd',
        engine: true,
        packages: [],
        files: [],
        records: null,
        standsFor: [],
        outside: false,
        routes: [],
        sysctls: {},
        docker: { networks: {}, containers: {} },
        source: { line: 3, column: 10 },
      },
    ]);
    const [item] = scenario!.items as StepItem[];
    expect({ ...item, type: item!.type.name }).to.deep.equal({
      kind: 'step',
      id: 's01',
      type: 'run',
      spec: { run: 'ip link' },
      title: 'ip link',
      source: { line: 5, column: 5 },
      when: null,
      timeoutMs: null,
      covers: [],
      text: '',
      on: ['node1'],
      folders: { from: '/labs', root: '/labs' },
      last: false,
      late: null,
    });
  });

  it('runs once for each combination of the matrix, each with a name of its own', () => {
    const { scenarios, diagnostics } = validateFixture('good/whole.yaml');
    expect(lines(diagnostics)).to.deep.equal([]);
    expect(scenarios.map((scenario) => scenario.id)).to.deep.equal([
      'whole[image=debian-11,driver=bridge]',
      'whole[image=debian-11,driver=macvlan]',
      'whole[image=debian-12,driver=bridge]',
      'whole[image=debian-12,driver=macvlan]',
    ]);
    const last = scenarios[3]!;
    expect(last.matrix).to.deep.equal({ image: 'debian-12', driver: 'macvlan' });
    expect(
      Object.fromEntries(last.hosts.map((host) => [host.name, `${host.image} ${host.init} ${host.engine}`])),
    ).to.deep.equal({
      node1: 'debian-11 systemd true',
      node2: 'debian-12 systemd true',
      plain: 'debian-12 light false',
      modern: 'debian-13 systemd true',
      bare: 'debian-12 systemd false',
    });
    expect(last.hosts[1]!.docker.networks.blue!.driver).to.equal('macvlan');
  });

  it('takes the whole language', () => {
    const [scenario] = validateFixture('good/whole.yaml').scenarios;
    expect(scenario!.covers).to.deep.equal(['S4-25', 'S4-26', 'S4-27', 'F3']);
    expect(scenario!.requires).to.deep.equal(['kernel:vxlan']);
    expect(scenario!.bootTimeoutMs).to.equal(90_000);
    expect(scenario!.containerImages).to.deep.equal(['consul', 'web', 'busybox']);
    expect(scenario!.segments.map(({ name, mtu, hosts }) => ({ name, mtu, hosts }))).to.deep.equal([
      { name: 'lan', mtu: 1450, hosts: { node1: ['10.10.10.11'], node2: ['10.10.10.12'], plain: null } },
      { name: 'wan', mtu: null, hosts: { modern: ['10.10.11.1'], node2: ['10.10.11.2'], bare: ['10.10.11.3'] } },
      { name: 'six', mtu: null, hosts: { node1: ['fd00:10::1'], modern: ['fd00:10::2'] } },
    ]);
    expect(scenario!.hosts[1]!.sysctls).to.deep.equal({
      'net.ipv4.ip_forward': '1',
      'net/ipv4/conf/eth0.10/rp_filter': '0',
    });
    expect(scenario!.hosts[1]!.docker.containers.web).to.deep.equal({
      image: 'web',
      command: ['httpd', '-f', '-p', '80'],
      hostname: null,
      network_mode: null,
      networks: { blue: { ipv4_address: '172.30.0.5', aliases: ['www'] }, green: { aliases: [] } },
      ports: ['8080:80', '127.0.0.1:8081:81/udp', '443'],
      expose: [],
      environment: { A: '1', B: 'x=y' },
      dns: ['10.10.10.11'],
      dns_search: [],
      dns_opt: [],
      extra_hosts: ['db:10.10.10.11'],
      links: [],
      cap_add: [],
      sysctls: {},
      volumes: [],
      restart: null,
      labels: { tier: 'front' },
    });
    const items = scenario!.items;
    expect(items.map((item) => item.id)).to.deep.equal(['s01', 's02', 's03', 'c04', 'c05', 'c06']);
    const check = items[3] as CheckItem;
    expect(check).to.deep.include({
      withinMs: 10_000,
      holdsForMs: 2000,
      timeoutMs: 5000,
      covers: ['S4-26'],
      title: 'by name',
    });
    expect((items[4] as CheckItem).when).to.deep.equal({ engine: '>=20.10', image: ['debian-12', 'debian-13'] });
    expect((items[0] as StepItem).spec).to.deep.equal({
      start: 'consul agent -data-dir /opt/consul -bind ${ADDRESS} ${dir}',
      until: { tcp: '127.0.0.1:8500', within: 20_000 },
    });
  });

  it('chooses an image by the engine that is asked for', () => {
    const scenario = one(
      'scenario: engines\ntitle: t\nhosts: { a: { engine: ">=28" }, b: { engine: "<20.10.10" }, c: { engine: ">=20.10 <23" }, d: { engine: ">=26" }, e: { engine: false } }\nsteps: [{ on: a, run: x }]\n',
    );
    expect(scenario.hosts.map((host) => host.image)).to.deep.equal([
      'debian-sid',
      'debian-11',
      'debian-12',
      'debian-13',
      'debian-12',
    ]);
  });

  it('replaces variables with their own type, and leaves the shell its own', () => {
    const scenario = one(
      lab(
        '  - { on: node1, run: "echo ${name} ${HOME} $${name} ${name:-x}" }\n  - { on: "${host}", write: "/etc/${name}", content: "${PATH} ${port}" }\n  - { check: "port ${port}", port: { from: "${host}", to: "10.0.0.${last}", port: "${port}" }, within: "${time}" }',
        'vars: { name: blue, host: node2, port: 8080, last: 2, time: 5s }\n',
      ),
    );
    expect(scenario.items.map((item) => item.spec)).to.deep.equal([
      { run: 'echo blue ${HOME} ${name} ${name:-x}' },
      { write: '/etc/blue', content: '${PATH} 8080' },
      { from: 'node2', to: '10.0.0.2', port: 8080, protocol: 'tcp' },
    ]);
    expect(scenario.items[2]).to.deep.include({ title: 'port 8080', withinMs: 5000 });
    expect((scenario.items[1] as StepItem).on).to.deep.equal(['node2']);
  });

  it('does not put variables into variables', () => {
    const text = lab('  - { on: node1, run: "echo ${a}" }', 'vars: { a: "$$", b: "{a}" }\n');
    expect(one(text).items[0]!.spec).to.deep.equal({ run: 'echo $$' });
  });

  it('hands out the addresses of a list in its order', () => {
    const scenario = one(
      'scenario: two\ntitle: t\nhosts: { a: , b: }\nsegments: { p2p: { subnet: 10.0.0.8/31, hosts: [b, a] }, six: { subnet: "fd00::/64", hosts: [a, b] } }\nsteps: [{ on: a, run: x }]\n',
    );
    expect(scenario.segments.map((segment) => segment.hosts)).to.deep.equal([
      { b: ['10.0.0.8'], a: ['10.0.0.9'] },
      { a: ['fd00::1'], b: ['fd00::2'] },
    ]);
  });

  it('keeps the order of the file for hosts, segments and containers', () => {
    const names = ['zeta', 'alpha', 'n10', 'n9'];
    const scenario = one(
      `scenario: order\ntitle: t\nhosts: { ${names.map((name) => `${name}: `).join(', ')} }\nsteps: [{ on: zeta, run: x }]\n`,
    );
    expect(scenario.hosts.map((host) => host.name)).to.deep.equal(names);
  });

  it('holds a `when` possible that only some of the matrix meets', () => {
    const text = lab(
      '  - { check: newer, ping: { from: node1, to: node2 }, when: { engine: ">=26" } }',
      'matrix: { image: [debian-11, debian-13] }\n',
    );
    expect(lines(validateText(text).diagnostics)).to.deep.equal([]);
    expect(lines(validateText(text.replace('debian-13', 'debian-12')).diagnostics)[0]).to.match(
      /^7:\d+ this can never hold here: node1 is debian-11 with engine 20\.10\.5, node2/,
    );
  });

  it('holds a newer engine possible on an image of a suite that moves on', () => {
    const text = lab(
      '  - { check: newest, ping: { from: node1, to: node2 }, when: { engine: ">=29" } }',
      'matrix: { image: [debian-sid] }\n',
    );
    expect(lines(validateText(text).diagnostics)).to.deep.equal([]);
  });

  for (const [shell, container] of [
    ['docker run -d --name web busybox', 'web'],
    ['docker run -d --name=web busybox', 'web'],
    ['docker run -d --name "web" busybox', 'web'],
    ['for i in 1 2 3; do docker run -d --name srv$i busybox; done', 'srv2'],
    ['for i in 1 2 3; do docker run -d --name "srv-${i}" busybox; done', 'srv-2'],
    ['docker compose up -d', 'shop-web-1'],
    ['docker create web && docker rename web shop', 'shop'],
  ] as const) {
    it(`knows the container of: ${shell}`, () => {
      const text = lab(
        `  - { on: node1, run: '${shell}' }\n  - { check: c, ping: { from: node1/${container}, to: node2 } }`,
      );
      expect(lines(validateText(text).diagnostics)).to.deep.equal([]);
    });
  }

  for (const [shell, container] of [
    ['docker run -d --name web2 busybox', 'web'],
    ['docker run -d --name my-web busybox', 'web'],
    ['docker run -d --name srv$i busybox', 'db1'],
    ['echo nothing', 'web'],
  ] as const) {
    it(`does not take ${container} for the container of: ${shell}`, () => {
      const text = lab(
        `  - { on: node1, run: '${shell}' }\n  - { check: c, ping: { from: node1/${container}, to: node2 } }`,
      );
      expect(validateText(text).diagnostics.map((one) => one.message.replace(/;.*/, ''))).to.deep.equal([
        `no step creates the container ${container} on node1`,
      ]);
    });
  }

  for (const name of [
    '../x; rm -rf /',
    '$(id)',
    '`id`',
    'a b',
    'a\\nb',
    '-rf',
    'x'.repeat(100),
    '\u00fcber',
    'con\u0000',
    '',
    '.',
    '*',
  ]) {
    it(`takes no name that could hurt: ${JSON.stringify(name).slice(0, 40)}`, () => {
      const quoted = JSON.stringify(name.replace('\u0000', '\\u0000'));
      const places = {
        scenario: lab('  - { on: node1, run: x }').replace('scenario: lab', `scenario: ${quoted}`),
        host: lab('  - { on: node1, run: x }').replace('node2: }', `node2: , ${quoted}: }`),
        segment: lab('  - { on: node1, run: x }').replace('lan:', `${quoted}:`),
        container: lab('  - { on: node1, run: x }').replace(
          'node1: ,',
          `node1: { docker: { containers: { ${quoted}: { image: web } } } },`,
        ),
        endpoint: lab(`  - { check: c, ping: { from: ${quoted}, to: node2 } }`),
        tag: lab('  - { on: node1, run: x }', `tags: ${quoted}\n`),
        matrix: lab('  - { on: node1, run: "${m}" }', `matrix: { m: [${quoted}] }\n`),
      };
      for (const [place, text] of Object.entries(places)) {
        const { scenarios, diagnostics } = validateText(text);
        // A matrix value may be a mere dot or word; it is never a path or a command.
        if (place === 'matrix' && /^[\w.-]+$/.test(name) && name.length <= 64) continue;
        expect(scenarios, place).to.deep.equal([]);
        expect(diagnostics, place).to.not.deep.equal([]);
      }
    });
  }

  it('takes no longer for an item of a long file than for one of a short file, by a factor', function () {
    this.timeout(60_000);
    const ofItems = (count: number): string =>
      lab(
        Array.from({ length: count }, (_, i) =>
          i % 2 === 0
            ? `  - { step: number ${i}, on: node1, run: "docker run --name c${i} busybox" }`
            : `  - { check: number ${i}, within: 5s, ping: { from: node1/c${i - 1}, to: node2, count: 3 } }`,
        ).join('\n'),
      );
    const [short, long] = [ofItems(20), ofItems(200)];
    expect(lines(validateText(long).diagnostics)).to.deep.equal([]);
    // CPU time of both in turns: how fast the machine is, and who else uses it, is in both. What grows with the square takes ten
    // times as long for an item; the bench says how long it takes.
    const spent = { short: 0, long: 0 };
    const spend = (which: 'short' | 'long', times: number): void => {
      const before = process.cpuUsage();
      for (let i = 0; i < times; i += 1) validateText(which === 'short' ? short : long);
      const { user, system } = process.cpuUsage(before);
      spent[which] += user + system;
    };
    for (let round = 0; round < 5; round += 1) {
      spend('short', 20);
      spend('long', 2);
    }
    expect(spent.long / spent.short).to.be.below(4);
  });
});
