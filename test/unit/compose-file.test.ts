import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadScenarioText, type LoadedScenario } from '../../src/scenario/load.js';
import type { ScenarioHost } from '../../src/scenario/scenario.js';
import { containerArgvs } from '../../src/steps/docker-state.js';

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

  it('wait for what they depend on, and say how the engine finds out whether they are well', () => {
    const { docker } = host(`services:
  front:
    image: web
    depends_on:
      db: { condition: service_healthy, restart: true }
      seed: { condition: service_completed_successfully }
      debug: { condition: service_started, required: false }
  debug: { image: busybox, profiles: [debug] }
  seed: { image: busybox, command: ["true"], depends_on: [db] }
  db:
    image: busybox
    container_name: store
    healthcheck: { test: ["CMD", "test", "-e", "/x y"], interval: 1s, timeout: 2s, retries: 3, start_period: 1m30s }
`);
    expect(Object.keys(docker.containers)).to.deep.equal(['store', 'seed', 'front']);
    expect(docker.containers['front']!.depends_on).to.deep.equal({
      store: 'service_healthy',
      seed: 'service_completed_successfully',
    });
    const argv = containerArgvs('store', docker.containers['store']!)[0]!;
    expect(argv.join(' ')).to.include(
      `--health-cmd test -e '/x y' --health-interval 1s --health-timeout 2s --health-start-period 1m30s --health-retries 3`,
    );
  });

  it('have profiles: services of one that is not wanted are not there', () => {
    const compose = 'services: { one: { image: busybox }, tools: { image: busybox, profiles: [debug, more] } }';
    expect(Object.keys(host(compose).docker.containers)).to.deep.equal(['one']);
    const wanted = scenario('{ compose: ./shop/compose.yaml, profiles: more }');
    expect(Object.keys(host(compose, wanted).docker.containers)).to.deep.equal(['one', 'tools']);
    expect(mistakes('', scenario('{ containers: {}, profiles: [x] }'))[0]).to.match(/`compose` names none/);
  });

  it('take variables of files beside them', () => {
    writeFileSync(join(folder, 'shop/.env'), 'TAG=latest\nEMPTY=\n# PORT=1\n');
    writeFileSync(
      join(folder, 'shop/one.env'),
      `A=from file # said\nexport B="x\\ny"\nC='\${TAG}'\nD=\${TAG}-\${A}\nE\n`,
    );
    writeFileSync(join(folder, 'shop/two.env'), 'A=later\nF=f\n');
    const { docker } = host(`services:
  one:
    image: "busybox:\${TAG}"
    ports: ["\${PORT:-8080}:\${INNER-80}"]
    env_file: [one.env, { path: ./two.env }, { path: ./none.env, required: false }]
    environment: { F: own, G: "\${EMPTY:-empty}", H: "\${TAG:+set}\${NONE:+set}", I: $TAG, J: "$$\{X}" }
  two: { image: busybox, env_file: ./two.env, environment: [F=list] }
`);
    expect(docker.containers['one']).to.deep.include({
      image: 'busybox:latest',
      ports: ['8080:80'],
      environment: {
        A: 'later',
        B: 'x\ny',
        C: '${TAG}',
        D: 'latest-from file',
        F: 'own',
        G: 'empty',
        H: 'set',
        I: 'latest',
        J: '${X}',
      },
    });
    expect(docker.containers['two']!.environment).to.deep.equal({ A: 'later', F: 'list' });
    expect(mistakes('services: { one: { image: "busybox:${NEVER}" } }')[0]).to.match(/^compose\.yaml:1:27 .*NEVER/);
    writeFileSync(join(folder, 'shop/one.env'), 'A=b\n?\n');
    expect(mistakes('services: { one: { image: busybox, env_file: one.env } }')).to.deep.equal([
      'compose.yaml:1:46 one.env:2 is no `NAME=value`',
    ]);
  });

  it('have secrets and configs of files', () => {
    writeFileSync(join(folder, 'shop/pass'), 'x');
    writeFileSync(join(folder, 'shop/web/conf'), 'x');
    const { docker, files } = host(`services:
  one:
    image: busybox
    secrets: [pass, { source: pass, target: other }]
    configs: [conf, { source: conf, target: /etc/conf }]
    volumes: [data:/data]
secrets: { pass: { file: ./pass } }
configs: { conf: { file: web/conf } }
volumes: { data: { driver: local } }
`);
    expect(docker.containers['one']!.volumes).to.deep.equal([
      'data:/data',
      '/srv/compose/shop/pass:/run/secrets/pass:ro',
      '/srv/compose/shop/pass:/run/secrets/other:ro',
      '/srv/compose/shop/web/conf:/conf:ro',
      '/srv/compose/shop/web/conf:/etc/conf:ro',
    ]);
    expect(files.map(({ to }) => to)).to.deep.equal(['/srv/compose/shop/pass', '/srv/compose/shop/web/conf']);
  });

  it('limit what a container may use', () => {
    const { docker } = host(`services:
  one:
    image: busybox
    deploy: { replicas: 1, resources: { limits: { cpus: "0.5", memory: 64M, pids: 100 } } }
    shm_size: 8mb
    ulimits: { nofile: { soft: 10, hard: 20 }, nproc: 65535 }
    stop_grace_period: 1m2s
    security_opt: ["no-new-privileges:true"]
    logging: { driver: json-file, options: { max-size: 10m } }
    pull_policy: always
    stdin_open: true
`);
    expect(containerArgvs('one', docker.containers['one']!)[0]!.join(' ')).to.include(
      '--memory 64M --shm-size 8mb --cpus 0.5 --pids-limit 100 --ulimit nofile=10:20 --ulimit nproc=65535 --security-opt no-new-privileges:true --stop-timeout 62 --log-driver json-file --log-opt max-size=10m',
    );
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
        one('    healthcheck: { test: [a] }\n'),
        /^compose\.yaml:4:26 expected a command, or a list that begins with CMD, CMD-SHELL or NONE/,
      ],
      [
        one('    healthcheck: { interval: 5 }\n'),
        /^compose\.yaml:4:30 expected a duration such as 30s or 1m30s, got 5/,
      ],
      [
        one('    deploy: { replicas: 2 }\n'),
        /^compose\.yaml:4:15 netrig does not carry out "deploy.replicas" of a service but for 1/,
      ],
      [
        one('    deploy: { resources: { reservations: { cpus: "1" } } }\n'),
        /^compose\.yaml:4:44 netrig does not carry out "deploy.resources.reservations.cpus" of a service$/,
      ],
      [one('    develop: { watch: [] }\n'), /^compose\.yaml:4:5 netrig does not carry out "develop" of a service$/],
      [one('    enviroment: { A: b }\n'), /^compose\.yaml:4:5 unknown key "enviroment"; did you mean "environment"/],
      [one('    depend_on: [one]\n'), /^compose\.yaml:4:5 unknown key "depend_on"; did you mean "depends_on"/],
      [
        one('    zzz: 1\n'),
        /^compose\.yaml:4:5 unknown key "zzz"; known here: .*depends_on, .*build, configs, container_name, .*secrets$/,
      ],
      [
        one('    networks: { in: { priority: 1 } }\nnetworks: { in: }\n'),
        /^compose\.yaml:4:23 netrig does not carry out "priority" of a network of a service$/,
      ],
      [one('include: [a]\n'), /^compose\.yaml:4:1 netrig does not carry out "include" of a Compose file/],
      [
        one('    secrets: [pass]\nsecrets: { pass: { environment: PASS } }\n'),
        /^compose\.yaml:5:20 netrig does not carry out "environment" of secrets: they are files/,
      ],
      [one('    secrets: [pass]\n'), /^compose\.yaml:4:15 there is no "pass" among the secrets of the file/],
      [one('    secrets: [pass]\nsecrets: { pass: { file: ./none } }\n'), /^compose\.yaml:5:20 there is no file/],
      [one('    env_file: none.env\n'), /^compose\.yaml:4:15 there is no file or directory .*none\.env/],
      [one('    env_file: [./web]\n'), /^compose\.yaml:4:16 \.\/web is a directory/],
      [one('volumes: { data: { driver: nfs } }\n'), /^compose\.yaml:4:20 netrig makes plain volumes: "driver"/],
      [
        one('networks: { far: { external: true } }\n'),
        /^compose\.yaml:4:20 netrig does not carry out "external" of a network: /,
      ],
      [
        one('    depends_on: { two: { condition: service_well } }\n  two: { image: busybox }\n'),
        /^compose\.yaml:4:37 expected service_started, service_healthy, service_completed_successfully/,
      ],
      [
        one('    depends_on: [two]\n  two: { image: busybox, depends_on: [one] }\n'),
        /^compose\.yaml:4:5 containers wait for each other in a circle: one → two → one/,
      ],
      [
        one('    depends_on: [two]\n  two: { image: busybox, profiles: [debug] }\n'),
        /^compose\.yaml:4:18 the service "two" is of a profile that is not wanted/,
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
    expect(told('env_file: [db]')).to.have.length(1);
    expect(told('env_file: [db]')[0]).to.match(
      /netrig does not carry out "env_file" of a container: write its lines under `environment`/,
    );
    expect(told('depends_on: [db]')[0]).to.match(/no container "db" is declared on app/);
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
