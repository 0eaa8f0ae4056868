import { expect } from 'chai';
import type { DockerContainer, DockerNetwork } from '../../src/scenario/scenario.js';
import { containerArgvs, networkCreateArgv } from '../../src/steps/docker-state.js';

const network: DockerNetwork = {
  driver: 'bridge',
  driver_opts: {},
  internal: false,
  attachable: false,
  enable_ipv6: false,
  ipam: { config: [] },
  labels: {},
};
const container: DockerContainer = {
  image: 'busybox',
  command: null,
  hostname: null,
  network_mode: null,
  networks: {},
  ports: [],
  expose: [],
  environment: {},
  dns: [],
  dns_search: [],
  dns_opt: [],
  extra_hosts: [],
  links: [],
  cap_add: [],
  sysctls: {},
  volumes: [],
  restart: null,
  labels: {},
};

describe('Declared engine state as docker commands', () => {
  it('a network with its pool and options', () => {
    const argv = networkCreateArgv('net1', {
      ...network,
      driver_opts: { 'com.docker.network.bridge.name': 'br1' },
      internal: true,
      ipam: { config: [{ subnet: '192.168.1.0/24', gateway: '192.168.1.1', ip_range: '192.168.1.128/25' }] },
    });
    expect(argv).to.deep.equal([
      ...[
        'docker',
        'network',
        'create',
        '--driver',
        'bridge',
        '--opt',
        'com.docker.network.bridge.name=br1',
        '--internal',
      ],
      ...['--subnet', '192.168.1.0/24', '--gateway', '192.168.1.1', '--ip-range', '192.168.1.128/25', 'net1'],
    ]);
  });

  it('a container in two networks: run in the first, connect to the second', () => {
    const argvs = containerArgvs('web', {
      ...container,
      image: 'web',
      ports: ['8080:80'],
      networks: { front: { ipv4_address: '10.1.0.5', aliases: ['www'] }, back: { aliases: ['inner'] } },
    });
    expect(argvs).to.deep.equal([
      [
        'docker',
        'run',
        '--detach',
        '--interactive',
        '--name',
        'web',
        '--network',
        'front',
        '--ip',
        '10.1.0.5',
        '--network-alias',
        'www',
        '--publish',
        '8080:80',
        'web',
      ],
      ['docker', 'network', 'connect', '--alias', 'inner', 'back', 'web'],
    ]);
  });

  it('a command as a list stays a list, a string goes to a shell', () => {
    expect(containerArgvs('c1', { ...container, command: ['echo', '$(id)'] })[0]!.slice(-3)).to.deep.equal([
      'busybox',
      'echo',
      '$(id)',
    ]);
    expect(containerArgvs('c1', { ...container, command: 'echo hi; sleep 1' })[0]!.slice(-4)).to.deep.equal([
      'busybox',
      'sh',
      '-c',
      'echo hi; sleep 1',
    ]);
  });
});
