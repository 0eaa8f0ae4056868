import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadScenarioText, type LoadedScenario } from '../../src/scenario/load.js';
import type { ScenarioHost } from '../../src/scenario/scenario.js';

const scenario = (docker = '{ compose: ./shop/compose.yaml }', top = ''): string => `scenario: lab
title: A lab
${top}hosts: { app: { docker: ${docker} } }
steps:
  - run: "true"
`;

describe('Compose files', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'netrig-compose-'));
    writeFileSync(join(folder, 'lab.yaml'), '');
    mkdirSync(join(folder, 'shop/web'), { recursive: true });
    writeFileSync(join(folder, 'shop/web/Dockerfile'), 'FROM busybox');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function load(compose: string, text = scenario()): LoadedScenario {
    writeFileSync(join(folder, 'shop/compose.yaml'), compose);
    return loadScenarioText(text, join(folder, 'lab.yaml'));
  }
  function host(compose: string, text?: string): ScenarioHost {
    const { scenarios, diagnostics } = load(compose, text);
    expect(diagnostics.map((one) => `${one.line}:${one.column} ${one.message}`)).to.deep.equal([]);
    return scenarios[0]!.hosts[0]!;
  }
  function mistakes(compose: string, text?: string): string[] {
    const { diagnostics } = load(compose, text);
    return diagnostics.map((one) => `${one.file.replace(/^.*\//, '')}:${one.line}:${one.column} ${one.message}`);
  }

  it('are services, networks and ports of the host', () => {
    const { docker } = host(`services:
  front:
    image: web
    container_name: entry
    depends_on: [db]
    ports: ["8080:80", { target: 443, published: 8443, host_ip: 127.0.0.1, protocol: udp }]
    networks: [public, inner]
    environment: { A: "\${B:-c}", D: "$$x" }
    command: sh -c 'echo "a b"'
  db: { image: busybox, networks: { inner: { ipv4_address: 10.5.0.9 } }, volumes: [data:/data, /var/run/docker.sock:/s] }
networks:
  public:
  inner: { internal: true, ipam: { config: [{ subnet: 10.5.0.0/24 }] } }
volumes: { data: }
x-anything: 1
`);
    expect(Object.keys(docker.networks)).to.deep.equal(['public', 'inner']);
    expect(docker.networks['inner']).to.deep.include({ internal: true });
    // A service comes after those that it depends on.
    expect(Object.keys(docker.containers)).to.deep.equal(['db', 'entry']);
    expect(docker.containers['entry']).to.deep.include({
      image: 'web',
      ports: ['8080:80', '127.0.0.1:8443:443/udp'],
      environment: { A: 'c', D: '$x' },
      command: ['sh', '-c', 'echo "a b"'],
      networks: { public: { aliases: ['front'] }, inner: { aliases: ['front'] } },
    });
    expect(docker.containers['db']).to.deep.include({
      networks: { inner: { ipv4_address: '10.5.0.9', aliases: [] } },
      volumes: ['data:/data', '/var/run/docker.sock:/s'],
    });
  });

  it('have a network of their own for services that name none', () => {
    const { docker } = host(
      'services: { one: { image: busybox }, two: { image: busybox, network_mode: "service:one" } }',
    );
    expect(Object.keys(docker.networks)).to.deep.equal(['shop_default']);
    expect(docker.containers['one']!.networks).to.deep.equal({ shop_default: { aliases: [] } });
    expect(docker.containers['two']).to.deep.include({ networks: {}, network_mode: 'container:one' });
    const named = host('name: own\nservices: { one: { image: busybox } }\nnetworks: { default: { internal: true } }');
    expect(named.docker.networks['own_default']).to.deep.include({ internal: true });
  });

  it('stand beside what the scenario says itself', () => {
    const text = scenario(
      '{ compose: ./shop/compose.yaml, networks: [own], containers: { c1: { image: busybox, networks: [own] } } }',
    );
    const { docker } = host('services: { c2: { image: busybox } }', text);
    expect(Object.keys(docker.containers)).to.deep.equal(['c1', 'c2']);
    expect(mistakes('services:\n  c1: { image: busybox }\n', text)).to.deep.equal([
      'compose.yaml:2:3 the scenario gives this host a container "c1" itself',
    ]);
  });

  it('build images, and bind what lies beside them', () => {
    writeFileSync(join(folder, 'shop/conf'), 'x');
    const compose = `services:
  front:
    build: ./web
    volumes: ["./conf:/etc/conf:ro", { type: bind, source: ./web, target: /web }]
`;
    const { scenarios, diagnostics } = load(compose, scenario(undefined, 'images: [busybox]\n'));
    expect(diagnostics).to.deep.equal([]);
    const [one] = scenarios[0]!.wantedImages;
    expect(one).to.deep.include({ name: 'shop-front:latest' });
    expect(one!.source).to.deep.include({ from: 'build', context: join(folder, 'shop/web') });
    expect(one!.at).to.match(/compose\.yaml:3:5$/);
    const { docker, files } = scenarios[0]!.hosts[0]!;
    expect(docker.containers['front']!.volumes).to.deep.equal([
      '/srv/compose/shop/conf:/etc/conf:ro',
      '/srv/compose/shop/web:/web',
    ]);
    expect(files.map(({ from, to }) => [from, to])).to.deep.equal([
      [join(folder, 'shop/conf'), '/srv/compose/shop/conf'],
      [join(folder, 'shop/web'), '/srv/compose/shop/web'],
    ]);
  });

  it('with a key that is not carried out are mistakes with its line in that file', () => {
    const one = (lines: string): string => `services:\n  one:\n    image: busybox\n${lines}`;
    const wrong: [string, RegExp][] = [
      [
        one('    healthcheck: { test: a }\n'),
        /^compose\.yaml:4:5 netrig does not carry out "healthcheck" of a service: a check with/,
      ],
      [one('    deploy: { replicas: 2 }\n'), /^compose\.yaml:4:5 netrig does not carry out "deploy" of a service/],
      [one('    ulimits: { nofile: 9 }\n'), /^compose\.yaml:4:5 netrig does not carry out "ulimits" of a service$/],
      [one('    enviroment: { A: b }\n'), /^compose\.yaml:4:5 unknown key "enviroment"; did you mean "environment"/],
      [one('    depend_on: [one]\n'), /^compose\.yaml:4:5 unknown key "depend_on"; did you mean "depends_on"/],
      [one('    zzz: 1\n'), /^compose\.yaml:4:5 unknown key "zzz"; known here: .*build, container_name, depends_on$/],
      [
        one('    networks: { in: { priority: 1 } }\nnetworks: { in: }\n'),
        /^compose\.yaml:4:23 netrig does not carry out "priority" of a network of a service$/,
      ],
      [one('secrets: {}\n'), /^compose\.yaml:4:1 netrig does not carry out "secrets" of a Compose file/],
      [one('volumes: { data: { driver: nfs } }\n'), /^compose\.yaml:4:20 netrig makes plain volumes: "driver"/],
      [
        one('networks: { far: { external: true } }\n'),
        /^compose\.yaml:4:20 netrig does not carry out "external" of a network: /,
      ],
      [
        one('    depends_on: { two: { condition: service_healthy } }\n  two: { image: busybox }\n'),
        /^compose\.yaml:4:37 services are started in their order/,
      ],
      [one('    depends_on: [three]\n'), /^compose\.yaml:4:18 there is no service "three"/],
      [one('    volumes: ["~/x:/y"]\n'), /^compose\.yaml:4:15 ~\/x would be of the machine’s user/],
      [one('    volumes: ["./none:/y"]\n'), /^compose\.yaml:4:15 there is no file or directory/],
      [one('    volumes: ["../../x:/y"]\n'), /^compose\.yaml:4:15 .*lies outside the scenario’s folder/],
      [
        one('    build: { context: ./web, cache_from: [a] }\n'),
        /^compose\.yaml:4:30 netrig does not carry out "cache_from" of a build/,
      ],
      [one('    ports: [{ target: 80, published: 99999 }]\n'), /^compose\.yaml:4:13 expected a port/],
      ['services: { one: { ports: [a }\n', /^compose\.yaml:1:/],
      ['services: {}\n', /^compose\.yaml:1:11 there are no services/],
      ['', /^compose\.yaml:1:1 the file is empty/],
    ];
    for (const [compose, message] of wrong) expect(mistakes(compose)[0], compose).to.match(message);
  });

  it('with mistakes make no mistakes of what the scenario says of their services', () => {
    const text = `${scenario()}  - { check: it answers, ping: { from: app/front, to: 10.0.0.1 } }\n`;
    const wrong = 'services:\n  front:\n    build: ./web\n    ports: [x]\n';
    const told = mistakes(wrong, text);
    expect(told).to.have.length(1);
    expect(told[0]).to.match(/^compose\.yaml:4:13 expected a port/);
    expect(mistakes('services:\n  front: { image: busybox }\n', text.replace('app/front', 'app/frond'))[0]).to.match(
      /^lab\.yaml:\d+:\d+ no step creates the container frond on app/,
    );
    const none = scenario('{ compose: ./shop/compose.yaml }').replace('docker:', 'engine: false, docker:');
    for (const one of mistakes('services:\n  front:\n    build: ./web\n', none)) expect(one).to.not.match(/:1:1 /);
  });

  it('have words that containers of a scenario have not: that is said there', () => {
    const told = (keys: string): string[] =>
      mistakes('', scenario(`{ containers: { web: { image: busybox, ${keys} } } }`));
    expect(told('depends_on: [db]')).to.have.length(1);
    expect(told('depends_on: [db]')[0]).to.match(
      /netrig does not carry out "depends_on" of a container: containers are/,
    );
    expect(told('imagee: x')[0]).to.match(/unknown key "imagee"; did you mean "image"/);
  });

  it('that are not there are mistakes of the scenario', () => {
    const wrong = (compose: string): string | undefined => mistakes('', scenario(`{ compose: ${compose} }`))[0];
    expect(wrong('./none.yaml')).to.match(/^lab\.yaml:3:36 there is no file/);
    expect(wrong('../x.yaml')).to.match(/^lab\.yaml:3:36 .*outside the scenario’s folder/);
    expect(wrong('./shop')).to.match(/^lab\.yaml:3:36 .*is a directory/);
    expect(wrong('"${x}"')).to.match(/^lab\.yaml:3:36 the name of a Compose file has no variables/);
  });
});
