import { expect } from 'chai';
import { formatEndpoint, isVantage, parseEndpoint } from '../../src/places/endpoint.js';
import { composeScript, splitParts } from '../../src/places/script.js';
import { containerAddress, hostAddress } from '../../src/probes/target.js';
import { readInspect } from '../../src/places/vantage.js';
import type { ContainerFacts, ContainerNetwork, Vantage } from '../../src/places/vantage.js';
import type { HostPlan, LabPlan } from '../../src/plan/lab-plan.js';

function host(name: string, ...addresses: [segment: string, address: string][]): HostPlan {
  const interfaces = addresses.map(([segment, address], i) => ({
    name: `eth${i}`,
    segment,
    address,
    mac: `02:00:00:00:00:0${i}`,
  }));
  return {
    name,
    image: 'debian-11',
    init: 'systemd',
    engine: true,
    containerImages: [],
    interfaces,
    routes: [],
    sysctls: {},
  };
}

const plan: LabPlan = {
  title: 'ends',
  slug: 'ends',
  bootTimeoutMs: 1000,
  segments: [],
  hosts: [
    host('node1', ['lan', '10.10.10.11/24'], ['dmz', '10.20.0.11/24']),
    host('node2', ['dmz', '10.20.0.12/24'], ['lan', '10.10.10.12/24']),
    host('far', ['wan', '10.30.0.1/24']),
  ],
};

const network = (name: string, address: string, id = name): ContainerNetwork => ({
  name,
  id,
  address,
  prefix: 24,
  gateway: null,
  address6: null,
  prefix6: null,
  gateway6: null,
  mac: null,
  aliases: [],
});
const facts = (name: string, networks: ContainerNetwork[]): ContainerFacts => ({
  id: name,
  name,
  pid: 1,
  image: 'busybox',
  hostname: name,
  networkMode: 'bridge',
  networks,
  inspect: {},
});
const container = (name: string, networks: ContainerNetwork[]): Vantage => ({
  endpoint: { kind: 'container', host: 'node1', container: name },
  label: `node1/${name}`,
  host: null as never,
  enter: (argv) => [...argv],
  nameFiles: null,
  container: facts(name, networks),
});

describe('endpoints of checks', () => {
  it('tells hosts, containers, namespaces, addresses and names apart, and writes them back', () => {
    for (const [text, kind] of [
      ['node1', 'host'],
      ['node1/web', 'container'],
      ['node1/netns:blue', 'netns'],
      ['10.0.0.1', 'address'],
      ['fd00::1', 'address'],
      ['web', 'name'],
      ['web.example', 'name'],
    ] as const) {
      const endpoint = parseEndpoint(text, plan);
      expect(endpoint.kind, text).to.equal(kind);
      expect(formatEndpoint(endpoint)).to.equal(text);
      expect(isVantage(endpoint)).to.equal(['host', 'container', 'netns'].includes(kind));
    }
  });
  it('takes what is no endpoint for a name, which no vantage is', () => {
    for (const text of ['', 'node1/', '../x; rm -rf /', '$(id)', 'node1/netns:', '10.0.0.1/24'])
      expect(isVantage(parseEndpoint(text, plan)), text).to.equal(false);
  });
});

describe('the address of a target', () => {
  const unread = { unknown: 'not asked' };
  it('of a host is the one on a segment that the source shares, or the one asked for', () => {
    expect(hostAddress(plan, unread, 'node1', 'node2', { via: 'lan' })).to.deep.equal({
      address: '10.10.10.12',
      how: 'its address on segment lan',
    });
    expect(hostAddress(plan, unread, 'far', 'node1', { via: 'wan' })).to.equal(
      'node1 has no IPv4 address on segment wan',
    );
    expect(hostAddress(plan, unread, 'node1', 'node2', { family: 6 })).to.equal('node2 has no IPv6 address');
  });
  it('of a host is none of those that its engine gave it, and the sentence says so', () => {
    const alone = { ...plan, hosts: plan.hosts.map((host) => ({ ...host, interfaces: [] })) };
    expect(hostAddress(alone, [{ device: 'docker0', address: '172.17.0.1' }], 'node1', 'node2', {})).to.equal(
      'node2 has no IPv4 address but those that its engine gave it (docker0)',
    );
  });
  it('of a host is what the host itself has: added by a step, moved to a bridge, or what was planned where it lost all', () => {
    const of = (own: { device: string; address: string }[], options = {}): unknown =>
      hostAddress(plan, own, 'node1', 'node2', { via: 'lan', ...options });
    const lan = plan.hosts.find(({ name }) => name === 'node2')!.interfaces.find(({ segment }) => segment === 'lan')!;
    expect(of([{ device: 'br0', address: '10.10.10.12' }])).to.include({ address: '10.10.10.12' });
    expect(of([{ device: lan.name, address: '10.10.10.99' }])).to.include({ address: '10.10.10.99' });
    expect(of([{ device: lan.name, address: 'fd00:1::2' }], { family: 6 })).to.include({ address: 'fd00:1::2' });
    expect(of([])).to.include({ address: '10.10.10.12' });
  });
  it('says when it had to choose', () => {
    expect(hostAddress(plan, unread, 'node1', 'node2', {})).to.deep.equal({
      address: '10.20.0.12',
      how: 'its address on segment dmz; the first of 2, `address-on` picks another',
    });
  });
  it('of a container is the one on a network both are on, by id and not by name', () => {
    const source = container('app', [
      network('front', '10.1.0.2', 'id-front'),
      network('back', '10.2.0.2', 'id-back-1'),
    ]);
    const target = facts('web', [network('back', '10.9.0.3', 'id-back-2'), network('front', '10.1.0.3', 'id-front')]);
    expect(containerAddress(target, source, {})).to.deep.equal({
      address: '10.1.0.3',
      how: 'its address on network front',
    });
    expect(containerAddress(target, source, { via: 'back' })).to.deep.equal({
      address: '10.9.0.3',
      how: 'its address on network back',
    });
    expect(containerAddress(target, source, { via: 'none' })).to.equal('web has no IPv4 address on network none');
  });
});

describe("the engine's answer about a container", () => {
  const answer = (state: object): string =>
    JSON.stringify({
      Id: 'abc',
      Name: '/web',
      State: state,
      HostConfig: { NetworkMode: 'n1' },
      Config: { Image: 'busybox', Hostname: 'h' },
      NetworkSettings: { Networks: { n1: { NetworkID: 'x', IPAddress: '10.0.0.2', IPPrefixLen: 24, Gateway: '' } } },
    });
  it('gives pid, networks and addresses; empty texts are none', () => {
    const read = readInspect(answer({ Status: 'running', Running: true, Pid: 42 }), 'web');
    expect(read).to.include({ name: 'web', pid: 42 });
    expect((read as ContainerFacts).networks[0]).to.include({
      name: 'n1',
      address: '10.0.0.2',
      prefix: 24,
      gateway: null,
      address6: null,
    });
  });
  it('tells stopped, missing and unreadable apart', () => {
    expect(readInspect(answer({ Status: 'exited', Running: false, Pid: 0, ExitCode: 3 }), 'web')).to.deep.equal({
      stopped: 'exited with status 3',
    });
    expect(readInspect('{"message":"No such container: web"}', 'web')).to.have.property('missing');
    expect(readInspect('{"message":"page not found"}', 'web')).to.have.property('unreadable');
    expect(readInspect('Cannot connect to the Docker daemon', 'web')).to.have.property('unreadable');
    expect(readInspect('{}', 'web')).to.have.property('unreadable');
  });
  it('is about the container of that name alone: the engine takes the beginning of an id for a name', () => {
    const running = answer({ Status: 'running', Running: true, Pid: 42 });
    expect(readInspect(running, 'ab')).to.have.property('missing');
    expect(readInspect(running, 'abc')).to.include({ name: 'web' });
    expect(readInspect(answer({ Status: 'exited', Running: false, Pid: 0 }), 'ab')).to.have.property('missing');
  });
});

describe('several commands in one exec', () => {
  it('gives each part its own output and status, and nothing for a part that did not end', () => {
    const parts = splitParts('one\n\n@@x first 0\n\n@@x second 7\nhalf of the thi', '@@x');
    expect([...parts]).to.deep.equal([
      ['first', { output: 'one\n', exitCode: 0 }],
      ['second', { output: '', exitCode: 7 }],
    ]);
  });
  it('is not misled by output that looks like another mark', () => {
    expect(splitParts('\n@@y first 0\n\n@@x first 1\n', '@@x').get('first')).to.deep.equal({
      output: '\n@@y first 0\n',
      exitCode: 1,
    });
  });
  it('hands each part the status of the one before', () => {
    expect(composeScript([{ name: 'first', shell: 'false' }], '@@x')).to.equal(
      `{ false\n} 2>&1; s=$?; printf '\\n@@x first %d\\n' "$s"`,
    );
  });
});
